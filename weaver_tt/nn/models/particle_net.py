"""ParticleNet: a jet as an unordered cloud of particles, dynamic graphs of nearest neighbours and edge convolutions (arXiv:1902.08570).

Names of classes, constructor parameters and state_dict entries are those of weaver-core 0.5.3, whose weights give the same outputs here in
evaluation. Everything is computed on the flat list of real objects (``weaver_tt/nn/objects/point_cloud.py``), in training too. So padding is nothing:
how much of it there is and what it holds changes neither outputs nor the statistics of batch norm, which are those of real objects and edges.
A jet with fewer than k + 1 particles gets neighbours "no object", with all features 0, as many as are missing.

Where this differs from weaver-core: batch norm in training (there it counts padding); ``use_fts_bn=False`` with padding that is not zero, when jets
are short (there padding's features count); ``trim`` (there long jets lose particles at random in training, and outputs of ``use_counts=False``
depend on it).

Shapes: N jets, P slots, M real objects of all jets, C features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.edge_conv import EdgeConvBlock, kernel_matrix
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.point_cloud import PointCloud
from weaver_tt.nn.objects.real_objects import join_masks, real_slots
from weaver_tt.nn.objects.trimming import drop_objects

Convolutions = Sequence[
    tuple[int, Sequence[int]]
]  # (k, sizes of the layers) of each edge convolution
Layers = Sequence[tuple[int, float]]  # (size, dropout) of each fully connected layer

CONVOLUTIONS: Convolutions = ((7, (32, 32, 32)), (7, (64, 64, 64)))
LAYERS: Layers = ((128, 0.1),)
EMBEDDED_FEATURES = 32  # features of an object after FeatureConv


class ParticleNet(nn.Module):
    """Edge convolutions, the first on neighbours in ``points`` and the others on neighbours in feature space, a mean over objects, dense layers.

    ``conv_params``: (k, layer sizes) of each edge convolution; ``fc_params``: (size, dropout) of each dense layer. ``use_fusion`` joins the
    outputs of all convolutions through one more layer instead of taking the last. ``use_fts_bn``: batch norm of the input features. ``use_counts``:
    the mean is over real objects, without it over all P slots. ``for_inference``: outputs are probabilities. ``for_segmentation``: an output
    for each object. ``trim``, ``use_amp`` and ``compile_model`` have nothing to do here and are accepted for the sake of existing files.
    """

    def __init__(
        self,
        input_dims: int,
        num_classes: int,
        conv_params: Convolutions = CONVOLUTIONS,
        fc_params: Layers = LAYERS,
        use_fusion: bool = True,
        use_fts_bn: bool = True,
        use_counts: bool = True,
        trim: bool = True,
        for_inference: bool = False,
        for_segmentation: bool = False,
        use_amp: bool = False,
        compile_model: bool = False,
    ) -> None:
        super().__init__()
        conv_params = read_convolutions(conv_params)
        self.use_fts_bn, self.use_fusion, self.use_counts = use_fts_bn, use_fusion, use_counts
        self.for_inference, self.for_segmentation = for_inference, for_segmentation
        if use_fts_bn:
            self.bn_fts = ObjectNorm(input_dims)
        outputs = [sizes[-1] for _, sizes in conv_params]
        inputs = [input_dims, *outputs[:-1]]
        self.edge_convs = nn.ModuleList(
            EdgeConvBlock(k, size, sizes)
            for size, (k, sizes) in zip(inputs, conv_params, strict=True)
        )
        pooled = outputs[-1]
        if use_fusion:
            pooled = min(max(sum(outputs) // 128 * 128, 128), 1024)
            self.fusion_block = nn.Sequential(
                nn.Conv1d(sum(outputs), pooled, kernel_size=1, bias=False),
                ObjectNorm(pooled),
                nn.ReLU(),
            )
        self.fc = self._dense(pooled, fc_params, num_classes)

    def _dense(self, size: int, layers: Layers, num_classes: int) -> nn.Sequential:
        parts: list[nn.Module] = []
        for width, dropout in read_dense_layers(layers):
            if self.for_segmentation:
                parts.append(
                    nn.Sequential(
                        nn.Conv1d(size, width, kernel_size=1, bias=False),
                        ObjectNorm(width),
                        nn.ReLU(),
                        nn.Dropout(dropout),
                    )
                )
            else:
                parts.append(nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)))
            size = width
        parts.append(
            nn.Conv1d(size, num_classes, kernel_size=1)
            if self.for_segmentation
            else nn.Linear(size, num_classes)
        )
        return nn.Sequential(*parts)

    def forward(self, points: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, D, P), (N, C, P) and a mask (N, 1, P), 1 for real objects (None: all) -> (N, K); (N, K, P), 0 on padding, in segmentation."""
        if mask is None:
            real = torch.ones_like(features[:, 0], dtype=torch.bool)  # (N, P)
        else:
            real = real_slots(mask)
        cloud = PointCloud(real)
        objects = self._objects(cloud.gather(points), cloud.gather(features), cloud)
        if self.for_segmentation:
            output = cloud.scatter(apply_pointwise(self.fc, objects))
        else:
            number = cloud.counts.clamp(min=1).unsqueeze(1) if self.use_counts else real.shape[1]
            output = self.fc(cloud.sum_row(objects) / number)
        return output.softmax(1) if self.for_inference else output

    def _objects(self, points: Tensor, features: Tensor, cloud: PointCloud) -> Tensor:
        """(M, D), (M, C) -> what is pooled, (M, H)."""
        if self.use_fts_bn:
            features = self.bn_fts(features)
        outputs: list[Tensor] = []
        for convolution in self.edge_convs:
            features = convolution(outputs[-1] if outputs else points, features, cloud)
            outputs.append(features)
        return (
            apply_pointwise(self.fusion_block, torch.cat(outputs, dim=1))
            if self.use_fusion
            else features
        )


def read_convolutions(given: Convolutions, k: int | None = None) -> list[tuple[int, list[int]]]:
    """(k, sizes of layers) of each edge convolution, checked, with ``k`` neighbours in all of them where it is given.

    :raises ConfigError: what was given, perhaps on a command line, does not have this form.
    """
    try:
        listed = [
            (int(each if k is None else k), [int(size) for size in sizes]) for each, sizes in given
        ]
    except (TypeError, ValueError):
        listed = []
    if not listed or not all(each > 0 and sizes and min(sizes) > 0 for each, sizes in listed):
        raise ConfigError(
            f"conv_params: expected (k, sizes of layers) for each edge convolution, such as {CONVOLUTIONS}, found {given!r}"
        )
    return listed


def read_dense_layers(given: Layers) -> list[tuple[int, float]]:
    """(size, dropout) of each dense layer, checked.

    :raises ConfigError: what was given, perhaps on a command line, does not have this form.
    """
    try:
        listed = [(int(size), float(dropout)) for size, dropout in given]
        right = all(size > 0 and 0 <= dropout < 1 for size, dropout in listed)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ConfigError(
            f"fc_params: expected (size, dropout) for each dense layer, such as {LAYERS}, found {given!r}"
        )
    return listed


def apply_pointwise(layers: nn.Sequential, values: Tensor) -> Tensor:
    """Layers made for (N, C, P), with kernel size 1, on objects (M, C) instead."""
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            values = apply_pointwise(layer, values)
        elif isinstance(layer, nn.Conv1d):
            values = functional.linear(values, kernel_matrix(layer), layer.bias)
        else:
            values = layer(values)
    return values


class FeatureConv(nn.Module):
    """Batch norm, a layer without bias, batch norm and ReLU for each object: brings objects of different kinds to the same features."""

    def __init__(self, in_chn: int, out_chn: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            ObjectNorm(in_chn),
            nn.Conv1d(in_chn, out_chn, kernel_size=1, bias=False),
            ObjectNorm(out_chn),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chn, P) -> (N, out_chn, P), all slots taken as real objects."""
        return (
            self.objects(x.transpose(1, 2).flatten(0, 1))
            .view(len(x), x.shape[2], -1)
            .transpose(1, 2)
        )

    def objects(self, values: Tensor) -> Tensor:
        """(M, in_chn) -> (M, out_chn)."""
        return apply_pointwise(self.conv, values)


class ParticleNetTagger(nn.Module):
    """ParticleNet of particle-flow candidates and secondary vertices together: one :class:`FeatureConv` each, then one cloud of both.

    ``pf_input_dropout``, ``sv_input_dropout``: the share of objects left out at random in training. The other parameters are
    :class:`ParticleNet`'s.
    """

    def __init__(
        self,
        pf_features_dims: int,
        sv_features_dims: int,
        num_classes: int,
        conv_params: Convolutions = CONVOLUTIONS,
        fc_params: Layers = LAYERS,
        use_fusion: bool = True,
        use_fts_bn: bool = True,
        use_counts: bool = True,
        trim: bool = True,
        pf_input_dropout: float | None = None,
        sv_input_dropout: float | None = None,
        for_inference: bool = False,
        use_amp: bool = False,
        compile_model: bool = False,
    ) -> None:
        super().__init__()
        self.pf_input_dropout, self.sv_input_dropout = (
            pf_input_dropout or 0.0,
            sv_input_dropout or 0.0,
        )
        self.pf_conv = FeatureConv(pf_features_dims, EMBEDDED_FEATURES)
        self.sv_conv = FeatureConv(sv_features_dims, EMBEDDED_FEATURES)
        self.pn = ParticleNet(
            EMBEDDED_FEATURES,
            num_classes,
            conv_params,
            fc_params,
            use_fusion,
            use_fts_bn,
            use_counts,
            trim,
            for_inference,
            False,
            use_amp,
            compile_model,
        )

    def forward(
        self,
        pf_points: Tensor,
        pf_features: Tensor,
        pf_mask: Tensor,
        sv_points: Tensor,
        sv_features: Tensor,
        sv_mask: Tensor,
    ) -> Tensor:
        """Points (N, D, P), features (N, C, P) and mask (N, 1, P) of candidates, then of vertices (their own C and P) -> (N, K)."""
        pf_left = self._drop_objects(real_slots(pf_mask), self.pf_input_dropout)
        sv_left = self._drop_objects(real_slots(sv_mask), self.sv_input_dropout)
        pf_embedded = self._embed(self.pf_conv, pf_features, pf_left)
        sv_embedded = self._embed(self.sv_conv, sv_features, sv_left)
        return self.pn(
            torch.cat((pf_points, sv_points), dim=2),
            torch.cat((pf_embedded, sv_embedded), dim=2),
            join_masks((pf_left, sv_left)),
        )

    def _drop_objects(self, mask: Tensor, dropout: float) -> Tensor:
        """The mask (N, P) without objects that are left out in this step."""
        if self.training and dropout:
            return drop_objects(mask, dropout)
        return mask

    @staticmethod
    def _embed(convolution: FeatureConv, features: Tensor, mask: Tensor) -> Tensor:
        """(N, C, P) -> (N, 32, P), 0 on padding."""
        cloud = PointCloud(mask)
        return cloud.scatter(convolution.objects(cloud.gather(features)))
