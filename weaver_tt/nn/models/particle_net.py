"""ParticleNet: a jet as an unordered cloud of particles (arXiv:1902.08570).

Edge convolutions on dynamic graphs of nearest neighbours. Names of classes, constructor parameters
and state_dict entries are those of weaver-core 0.5.3, whose weights give the same outputs here in
evaluation. Everything is computed on the list of real objects (``nn/objects/point_cloud.py``), in
training too. So padding is nothing: how much of it there is and what it holds changes neither
outputs nor the statistics of batch norm, which are those of real objects and edges. A jet with
fewer than k + 1 particles gets neighbours "no object", with all features 0, as many as are missing.

Where this differs from weaver-core: batch norm in training (there it counts padding);
``use_fts_bn=False`` with padding that is not zero, when jets are short (there padding's features
count); ``trim`` (there long jets lose particles at random in training, and outputs of
``use_counts=False`` depend on it).

Shapes: N jets, P slots, M real objects of all jets, C features, D coordinates, H features of a
layer, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.edge_conv import EdgeConvBlock, convolve, kernel_matrix
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.point_cloud import PointCloud, embed_objects, make_cloud
from weaver_tt.nn.objects.real_objects import join_masks, join_slots, real_slots
from weaver_tt.nn.objects.trimming import ObjectDropout

# (k, sizes of the layers) of each edge convolution
Convolutions = Sequence[tuple[int, Sequence[int]]]
# (size, dropout) of each fully connected layer
Layers = Sequence[tuple[int, float]]

CONVOLUTIONS: Convolutions = ((7, (32, 32, 32)), (7, (64, 64, 64)))
LAYERS: Layers = ((128, 0.1),)
EMBEDDED_FEATURES = 32  # features of an object after FeatureConv


class ParticleNet(nn.Module):
    """Edge convolutions, a mean over objects, dense layers.

    The first convolution takes neighbours in ``points``, the others in feature space.
    ``conv_params``: (k, layer sizes) of each edge convolution; ``fc_params``: (size, dropout) of
    each dense layer. ``use_fusion`` joins the outputs of all convolutions through one more layer
    instead of taking the last. ``use_fts_bn``: batch norm of the input features. ``use_counts``:
    the mean is over real objects, without it over all P slots. ``for_inference``: outputs are
    probabilities. ``for_segmentation``: an output for each object. ``trim``, ``use_amp`` and
    ``compile_model`` have nothing to do here and are accepted for the sake of existing files.

    Raises:
        ConfigError: ``conv_params`` or ``fc_params`` do not have this form.
    Source: arXiv:1902.08570.
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
        self.use_fts_bn = use_fts_bn
        self.use_fusion = use_fusion
        self.use_counts = use_counts
        self.for_inference = for_inference
        self.for_segmentation = for_segmentation
        if use_fts_bn:
            self.bn_fts = ObjectNorm(input_dims)
        self.edge_convs = nn.ModuleList()
        outputs: list[int] = []  # features after each convolution
        size = input_dims
        for k, sizes in read_convolutions(conv_params):
            self.edge_convs.append(EdgeConvBlock(k, size, sizes))
            size = sizes[-1]
            outputs.append(size)
        if use_fusion:
            # a multiple of 128 in [128, 1024], as in weaver-core
            size = min(max(sum(outputs) // 128 * 128, 128), 1024)
            self.fusion_block = nn.Sequential(
                nn.Conv1d(sum(outputs), size, kernel_size=1, bias=False),
                ObjectNorm(size),
                nn.ReLU(),
            )
        self.fc = self._dense_layers(size, fc_params, num_classes)

    def _dense_layers(self, size: int, layers: Layers, num_classes: int) -> nn.Sequential:
        """Of each object in segmentation, else of what is pooled."""
        parts: list[nn.Module] = []
        for width, dropout in read_dense_layers(layers):
            if self.for_segmentation:
                linear = [nn.Conv1d(size, width, kernel_size=1, bias=False), ObjectNorm(width)]
            else:
                linear = [nn.Linear(size, width)]
            parts.append(nn.Sequential(*linear, nn.ReLU(), nn.Dropout(dropout)))
            size = width
        if self.for_segmentation:
            parts.append(nn.Conv1d(size, num_classes, kernel_size=1))
        else:
            parts.append(nn.Linear(size, num_classes))
        return nn.Sequential(*parts)

    def forward(self, points: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores (N, K) of jets; in segmentation of each object (N, K, P), 0 on padding.

        ``points`` (N, D, P), ``features`` (N, C, P), ``mask`` (N, 1, P), 1 for real objects; None:
        all are.
        """
        if mask is None:
            real = torch.ones_like(features[:, 0], dtype=torch.bool)  # (N, P)
        else:
            real = real_slots(mask)
        cloud = make_cloud(real)
        objects = self._convolve(points, cloud.gather(features), cloud)
        if self.for_segmentation:
            output = cloud.scatter(apply_pointwise(self.fc, objects))
        else:
            output = self.fc(self._pool(objects, cloud))
        return output.softmax(1) if self.for_inference else output

    def _convolve(self, points: Tensor, features: Tensor, cloud: PointCloud) -> Tensor:
        """Padded points (N, D, P), features (M, C) -> what is pooled, (M, H)."""
        if self.use_fts_bn:
            features = self.bn_fts(features)
        outputs = convolve(self.edge_convs, points, features, cloud)
        if self.use_fusion:
            return apply_pointwise(self.fusion_block, torch.cat(outputs, dim=1))
        return outputs[-1]

    def _pool(self, objects: Tensor, cloud: PointCloud) -> Tensor:
        """Mean over the objects of each jet: (M, H) -> (N, H)."""
        if self.use_counts:
            return cloud.mean_row(objects)
        return cloud.sum_row(objects) / cloud.shape[1]


def read_convolutions(given: Convolutions, k: int | None = None) -> list[tuple[int, list[int]]]:
    """(k, sizes of layers) of each edge convolution; ``k`` neighbours in all of them where given.

    Raises:
        ConfigError: what was given, perhaps on a command line, does not have this form.
    """
    convolutions: list[tuple[int, list[int]]] = []
    try:
        for neighbours, sizes in given:
            number = int(neighbours if k is None else k)
            convolutions.append((number, [int(size) for size in sizes]))
    except (TypeError, ValueError):
        convolutions = []
    # at least one convolution, with at least one layer each
    are_valid = [number > 0 and sizes and min(sizes) > 0 for number, sizes in convolutions]
    if not convolutions or not all(are_valid):
        raise ConfigError(
            "conv_params: expected (k, sizes of layers) for each edge convolution, "
            f"such as {CONVOLUTIONS}, found {given!r}"
        )
    return convolutions


def read_dense_layers(given: Layers) -> list[tuple[int, float]]:
    """(size, dropout) of each dense layer.

    Raises:
        ConfigError: what was given, perhaps on a command line, does not have this form.
    """
    try:
        layers = [(int(size), float(dropout)) for size, dropout in given]
        is_valid = all(size > 0 and 0 <= dropout < 1 for size, dropout in layers)
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        raise ConfigError(
            "fc_params: expected (size, dropout) for each dense layer, "
            f"such as {LAYERS}, found {given!r}"
        )
    return layers


def apply_pointwise(layers: nn.Sequential, values: Tensor) -> Tensor:
    """Layers made for (N, C, P), with kernel size 1, on objects (M, C) instead."""
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            values = apply_pointwise(layer, values)
        elif isinstance(layer, nn.Conv1d):
            # its weight has the shape that weaver-core's weights have
            values = functional.linear(values, kernel_matrix(layer), layer.bias)
        else:
            values = layer(values)
    return values


class FeatureConv(nn.Module):
    """Batch norm, a layer without bias, batch norm and ReLU for each object.

    Brings objects of different kinds to the same features.
    """

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
        rows, _, slots = x.shape
        objects = self.objects(x.transpose(1, 2).flatten(0, 1))  # (N * P, out_chn)
        return objects.view(rows, slots, -1).transpose(1, 2)

    def objects(self, values: Tensor) -> Tensor:
        """(M, in_chn) -> (M, out_chn)."""
        return apply_pointwise(self.conv, values)


class ParticleNetTagger(nn.Module):
    """ParticleNet of particle-flow candidates and secondary vertices together.

    One :class:`FeatureConv` for each, then one cloud of both. ``pf_input_dropout`` and
    ``sv_input_dropout`` are the shares of objects left out at random in training; the other
    parameters are :class:`ParticleNet`'s.
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
        self.pf_input_dropout = ObjectDropout("pf_input_dropout", pf_input_dropout)
        self.sv_input_dropout = ObjectDropout("sv_input_dropout", sv_input_dropout)
        self.pf_conv = FeatureConv(pf_features_dims, EMBEDDED_FEATURES)
        self.sv_conv = FeatureConv(sv_features_dims, EMBEDDED_FEATURES)
        self.pn = ParticleNet(
            EMBEDDED_FEATURES,
            num_classes,
            conv_params,
            fc_params,
            use_fusion=use_fusion,
            use_fts_bn=use_fts_bn,
            use_counts=use_counts,
            trim=trim,
            for_inference=for_inference,
            for_segmentation=False,
            use_amp=use_amp,
            compile_model=compile_model,
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
        """Scores (N, K) of jets.

        Points (N, D, P), features (N, C, P) and mask (N, 1, P) of candidates, then of vertices with
        C and P of their own.
        """
        # what is left out now must not be a neighbour either
        pf_left = self.pf_input_dropout(real_slots(pf_mask))
        sv_left = self.sv_input_dropout(real_slots(sv_mask))
        pf_embedded = embed_objects(self.pf_conv.objects, pf_features, pf_left)
        sv_embedded = embed_objects(self.sv_conv.objects, sv_features, sv_left)
        return self.pn(
            join_slots((pf_points, sv_points)),
            torch.cat((pf_embedded, sv_embedded), dim=2),
            join_masks((pf_left, sv_left)),
        )
