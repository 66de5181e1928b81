"""Deep Sets of jet constituents: Particle Flow Network and Energy Flow Network.

    PFN  F( sum_i Phi(x_i) )           Eq. 1.1: any features x_i of constituent i
    EFN  F( sum_i z_i Phi(angles_i) )  Eq. 1.2: z_i = pT_i / sum_j pT_j, infrared and collinear safe

Shapes: N jets, P slots, C features, H features of a layer, K outputs; ``objects`` is the leading
dimension of a :class:`~weaver_tt.nn.objects.pairwise.Layout`: on the CPU only real constituents, on
a GPU and in an ONNX export all slots, where padding counts as nothing.

Source: P. T. Komiske, E. M. Metodiev, J. Thaler, arXiv:1810.05165.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from weaver_tt.nn.layers.blocks import PointwiseLinear
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.pairwise import Layout, make_layout
from weaver_tt.nn.objects.real_objects import real_slots

MIN_PT = 1e-12  # keeps the momentum fractions of a jet without constituents at 0


class ObjectLayer(nn.Sequential):
    """Linear layer (with a bias or without), batch norm (or none), ReLU on each object."""

    def __init__(self, d_in: int, d_out: int, norm: bool, bias: bool = True) -> None:
        super().__init__(
            PointwiseLinear(d_in, d_out, bias),
            ObjectNorm(d_out) if norm else nn.Identity(),
            _relu_after(norm),
        )

    def forward(self, values: Tensor, objects: Layout) -> Tensor:  # type: ignore[override]
        """(objects, C) -> (objects, H)."""
        linear, norm, activation = self
        values = linear(values)
        if isinstance(norm, ObjectNorm):
            values = norm(values, objects.real)
        return activation(values)


def _relu_after(norm: bool) -> nn.ReLU:
    """In place where that saves memory: batch norm gives a view, whose gradient would be copied."""
    return nn.ReLU(inplace=not norm)


def constituent_layout(mask: Tensor, dense: bool) -> Layout:
    """The layout of real constituents in ``mask`` (N, 1, P), 1 for real ones.

    On a GPU it is the dense one: sums over slots are the same in each run there, and the host need
    not wait for the device to find the real ones.
    """
    return make_layout(real_slots(mask), dense or mask.is_cuda)


def object_layers(sizes: Sequence[int], norm: bool, bias: bool = True) -> nn.Sequential:
    """Phi: layers of ``sizes[0] -> sizes[1] -> …`` features on each object."""
    layers = [ObjectLayer(d_in, d_out, norm, bias) for d_in, d_out in pairwise(sizes)]
    return nn.Sequential(*layers)


def dense_head(
    d_in: int,
    hidden: Sequence[int],
    outputs: int,
    dropout: float = 0.0,
    norm: bool = False,
    bias: bool = True,
) -> nn.Sequential:
    """F: hidden layers, then a linear layer, (N, d_in) -> (N, outputs).

    A hidden layer is a linear one (with ``bias`` or without), batch norm where asked, ReLU and
    dropout where there is any.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        parts: list[nn.Module] = [nn.Linear(d_in, size, bias)]
        if norm:
            parts.append(ObjectNorm(size))
        parts.append(_relu_after(norm))
        if dropout:
            parts.append(nn.Dropout(dropout))
        layers.append(nn.Sequential(*parts))
        d_in = size
    return nn.Sequential(*layers, nn.Linear(d_in, outputs))


class ParticleFlowNetwork(nn.Module):
    """F of the sum over constituents of Phi of their features.

    Phi and F are linear layers with ReLU, sizes ``phi_sizes`` and ``f_sizes``; with ``use_bn``,
    batch norm acts on the input and in each layer of Phi, with statistics of real constituents
    only. Modules have the names and shapes of the public ``example_PFN.py`` for Weaver (layers of
    Phi are 1x1 convolutions, weight (H, C, 1)), so that its weights load; in evaluation both give
    the same numbers. ``dense``: compute on all slots, as the ONNX export does.

    Source: arXiv:1810.05165, Eq. 1.1.
    """

    def __init__(
        self,
        input_dims: int,
        num_classes: int,
        phi_sizes: Sequence[int] = (128, 128, 128),
        f_sizes: Sequence[int] = (128, 128, 128),
        use_bn: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dense = False
        self.input_bn = ObjectNorm(input_dims) if use_bn else nn.Identity()
        self.phi = object_layers([input_dims, *phi_sizes], use_bn)
        self.fc = dense_head(phi_sizes[-1], f_sizes, num_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (N, C, P) and mask (N, 1, P), 1 for real constituents -> (N, K)."""
        objects = constituent_layout(mask, self.dense)
        values = objects.gather(features)  # (objects, C)
        if isinstance(self.input_bn, ObjectNorm):
            values = self.input_bn(values, objects.real)
        for layer in self.phi:
            values = layer(values, objects)
        return self.fc(objects.sum_row(values))


class EnergyFlowNetwork(nn.Module):
    """F of the sum over constituents of their momentum fraction times Phi of their angles.

    Infrared safe: a constituent without momentum adds nothing. Collinear safe: halves of a split
    constituent have the same Phi and their fractions add up. Batch norm would undo both in
    training, where every constituent counts alike in its statistics: there is none.

    Source: arXiv:1810.05165, Eq. 1.2.
    """

    def __init__(
        self,
        input_dims: int,
        num_classes: int,
        phi_sizes: Sequence[int] = (128, 128, 128),
        f_sizes: Sequence[int] = (128, 128, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dense = False
        self.phi = object_layers([input_dims, *phi_sizes], norm=False)
        self.fc = dense_head(phi_sizes[-1], f_sizes, num_classes, dropout)

    def forward(self, angles: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        """Angles (N, C, P) relative to the jet -> (N, K).

        ``vectors`` (N, >= 2, P) are px, py, … in any unit, ``mask`` (N, 1, P) is 1 for real
        constituents.
        """
        objects = constituent_layout(mask, self.dense)
        values = objects.gather(angles)  # (objects, C)
        for layer in self.phi:
            values = layer(values, objects)
        pt = vectors[:, :2].square().sum(1, keepdim=True).sqrt()  # (N, 1, P)
        pt = objects.gather(pt)  # (objects, 1)
        total = objects.sum_row(pt).clamp(min=MIN_PT)  # (N, 1)
        # divided once a jet rather than once a constituent
        return self.fc(objects.sum_row(values * pt) / total)
