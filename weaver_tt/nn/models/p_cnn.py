"""P-CNN: the one-dimensional residual network over a jet's constituents, in their order.

Modules have the names and shapes of the public ``example_PCNN.py`` for Weaver, so that its weights
load, and on rows without padding both give the same numbers. They differ on padding, which counts
as nothing here: it is zero before every convolution (there only before the first: behind a row's
last constituent, biases and shifts of batch norm then mix into it), batch norm takes its statistics
from real slots, and the mean over a row is one over real slots.

Shapes: N jets, C features, P slots, K outputs; ``real`` (N, 1, P) is 1 for constituents and 0 on
padding.

Source: DeepAK8, CMS, arXiv:2004.08262.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weaver_tt.nn.layers.norm import ObjectNorm


class SlotNorm(ObjectNorm):
    """Batch norm of (N, C, P) with the statistics of real slots."""

    def forward(self, values: Tensor, real: Tensor) -> Tensor:  # type: ignore[override]
        """(N, C, P), ``real`` (N, 1, P) -> (N, C, P), arbitrary on padding."""
        return super().forward(values.transpose(1, 2), real.transpose(1, 2)).transpose(1, 2)


class ResidualUnit(nn.Module):
    """Shortcut plus relu(bn2(conv2(relu(bn1(conv1 x))))), convolutions of three neighbouring slots.

    With ``stride`` 2 every other slot stays, and is real where it was. The shortcut is a 1x1
    convolution where the shape changes.
    """

    def __init__(self, d_in: int, d_out: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv1d(d_in, d_out, kernel_size=3, stride=stride, padding=1)
        self.bn1 = SlotNorm(d_out)
        self.conv2 = nn.Conv1d(d_out, d_out, kernel_size=3, padding=1)
        self.bn2 = SlotNorm(d_out)
        self.relu = nn.ReLU()
        self.conv_sc: nn.Conv1d | None = None
        if d_in != d_out or stride > 1:
            self.conv_sc = nn.Conv1d(d_in, d_out, kernel_size=1, stride=stride, bias=False)

    def forward(self, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """(N, d_in, P) -> (N, d_out, ceil(P / stride)), both zero on padding, and its ``real``."""
        real = real[:, :, :: self.stride]
        # padding is made zero again after each norm, so that the next convolution does not read it
        hidden = self.relu(self.bn1(self.conv1(values), real)) * real
        hidden = self.relu(self.bn2(self.conv2(hidden), real)) * real
        if self.conv_sc is not None:
            values = self.conv_sc(values)
        return hidden + values, real


class Stage(nn.Sequential):
    """Residual units one after another."""

    def forward(  # type: ignore[override]
        self, values: Tensor, real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :class:`ResidualUnit`."""
        for unit in self:
            values, real = unit(values, real)
        return values, real


class ParticleCNN(nn.Module):
    """A convolution, stages of residual units, the mean over constituents, and an MLP.

    ``conv_params``: channels of the first convolution, then those of each unit of each stage; every
    stage but the first halves the number of slots. ``fc_params``: (size, dropout) of each hidden
    layer of the MLP.

    Source: arXiv:2004.08262.
    """

    def __init__(
        self,
        features_dims: int,
        num_classes: int,
        conv_params: Sequence[Sequence[int]] = ((32,), (64, 64), (64, 64), (128, 128)),
        fc_params: Sequence[tuple[int, float]] = ((512, 0.2),),
    ) -> None:
        super().__init__()
        size = conv_params[0][-1]
        self.fts_conv = nn.Sequential(
            SlotNorm(features_dims),
            nn.Conv1d(features_dims, size, kernel_size=3, padding=1),
            SlotNorm(size),
            nn.ReLU(),
        )
        self.resnet_units = nn.ModuleDict()
        for number, sizes in enumerate(conv_params[1:]):
            units = []
            # the first unit of a stage, but for the first stage, leaves every other slot out
            stride = 2 if number else 1
            for unit_size in sizes:
                units.append(ResidualUnit(size, unit_size, stride))
                size = unit_size
                stride = 1
            self.resnet_units[f"resnet_unit_{number}"] = Stage(*units)
        layers: list[nn.Module] = []
        for hidden, dropout in fc_params:
            layers.append(nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(dropout)))
            size = hidden
        self.fc = nn.Sequential(*layers, nn.Linear(size, num_classes))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (N, C, P), constituents in the order that counts -> (N, K).

        ``mask`` (N, 1, P) is 1 for real constituents.
        """
        real = (mask != 0).to(features.dtype)
        features, real = trim_slots(features, real)
        norm_in, conv, norm, relu = self.fts_conv
        values = norm_in(features, real) * real
        values = relu(norm(conv(values), real)) * real
        for stage in self.resnet_units.values():
            values, real = stage(values, real)
        mean = values.sum(2) / real.sum(2).clamp(min=1)  # (N, C)
        return self.fc(mean)


def trim_slots(features: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Without the slots behind the last constituent of the longest row; at least one is kept.

    On the CPU only: a GPU would make the host wait for their number, and an ONNX graph would keep
    it.
    """
    if real.is_cuda or torch.onnx.is_in_onnx_export():
        return features, real
    used = real.amax((0, 1)).nonzero()  # slots that are real in any row
    longest = int(used[-1]) + 1 if len(used) else 1
    return features[:, :, :longest], real[:, :, :longest]
