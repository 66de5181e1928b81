"""ParticleNeXt: ParticleNet with pair features, attentive pooling and several scales.

Each object receives messages from the 4, 8, 16 and 32 nearest in (eta, phi), itself among them;
each of these sets is pooled with an attention of its own. Names of classes, constructor parameters
and state_dict entries are those of weaver-core 0.5.3, whose weights give the same outputs here in
evaluation. Everything is computed on the list of real objects and on edges between them
(``nn/objects/neighbourhoods.py``), so that padding is nothing: how much of it there is and what it
holds changes neither outputs nor the statistics of batch norm.

Where this differs from weaver-core:

- batch norm in training counts real objects and edges only; there it counts padding, and edges from
  and to it;
- jets in fewer slots than there are neighbours, and jets without objects, have a finite output;
  there the first is an error, the second NaN;
- ``trim`` has nothing to do; there long jets lose particles at random in training, and after five
  batches slots behind the longest jet are cut off, which takes real objects with it if a mask has
  holes;
- points of padding are neither moved far away nor shifted at random: they are not looked at, and
  inputs are left as they are (there padded points become 1e9 in place);
- distances are made of differences, there of squares and a product in eta, and of a remainder in
  phi: of objects that are equally far to about 2e-7, others may be neighbours;
- an object is its own nearest neighbour, and then the first of objects in the same place are; there
  it is left open.

Shapes: N jets, P slots, M real objects of all jets, E edges, C features, H of a layer, K classes.

Source: H. Qu, ParticleNeXt, ML4Jets 2021, https://indico.cern.ch/event/980214/contributions/4413544.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from weaver_tt.data.rows.host_counts import is_traced
from weaver_tt.errors import ConfigError, unknown_key
from weaver_tt.nn.layers.blocks import PointwiseLinear, PointwiseLinear2d
from weaver_tt.nn.layers.multi_scale_conv import (
    MultiScaleEdgeConv,
    WeightedSum,
    apply_to_real,
    attention_size,
)
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.models.pair_features import (
    given_features,
    pair_features,
    polarization_angle,
)
from weaver_tt.nn.models.particle_net import Layers, read_dense_layers
from weaver_tt.nn.objects.neighbourhoods import Neighbourhoods, Scales, find_neighbourhoods
from weaver_tt.nn.objects.point_cloud import PointCloud, embed_objects, make_cloud
from weaver_tt.nn.objects.real_objects import (
    at_least_float32,
    join_masks,
    join_slots,
    real_slots,
)
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.nn.objects.trimming import ObjectDropout

# neighbours, features, (reduction, dilation) of each set of neighbours, features of a message
LayerParams = Sequence[Sequence[Any] | Mapping[str, Any]]
LAYER: tuple[Any, ...] = (32, 256, ((8, 1), (4, 1), (2, 1), (1, 1)), 64)
LAYER_PARAMS: LayerParams = (LAYER, LAYER, LAYER)
LAYER_KEYS = ("k", "c", "rd", "m")
LAYERS: Layers = ((256, 0.1),)
VECTOR_FEATURES = 4  # ln kT, ln z, ln Delta, ln m^2


class ParticleNeXt(nn.Module):
    """Edge convolutions over several scales, a pooling over objects, dense layers.

    ``node_dim`` and ``edge_dim``: features of objects and edges that the convolutions start from;
    0: those that are given, with batch norm for ``use_node_bn`` and ``use_edge_bn``.
    ``layer_params``: (neighbours, features, (reduction, dilation) of each set of neighbours,
    features of a message) of each convolution, the last two may be missing; or a mapping with the
    keys k, c, rd and m. ``fc_params``: (size, dropout) of each dense layer.

    The three improvements over ParticleNet: ``use_rel_lv_fts``, the pair features, with
    ``use_polarization_angle`` one more; ``edge_aggregation`` and ``global_aggregation``, the
    pooling over neighbours and over objects, "attn8" with 8 weights, or "mean", "sum", "max"; the
    sets of neighbours in ``layer_params``, one of all with [(1, 1)]. ``edge_input_dim``: features
    of each pair of slots that are given to ``forward``. ``use_rel_fts``, ``use_node_se``,
    ``use_edge_se`` and ``init_scale`` are those of
    :class:`~weaver_tt.nn.layers.multi_scale_conv.MultiScaleEdgeConv`. ``input_dropout``: the share
    of objects left out at random in training. ``for_inference``: outputs are probabilities.
    ``trim`` has nothing to do here and is accepted for the sake of existing files.

    551,496 parameters for 7 features and 2 classes.

    Raises:
        ConfigError: an option that is not offered, or of another form.
    Source: H. Qu, ParticleNeXt, ML4Jets 2021.
    """

    def __init__(
        self,
        feature_input_dim: int,
        edge_input_dim: int = 0,
        num_classes: int | None = None,
        node_dim: int = 32,
        edge_dim: int = 8,
        use_node_bn: bool = True,
        use_edge_bn: bool = True,
        layer_params: LayerParams = LAYER_PARAMS,
        fc_params: Layers = LAYERS,
        global_aggregation: str = "attn4",
        edge_aggregation: str = "attn8",
        use_rel_lv_fts: bool = True,
        use_polarization_angle: bool = False,
        use_rel_fts: bool = False,
        use_rel_dist: bool = False,
        update_coords: bool = False,
        lv_aggregation: bool = False,
        use_node_se: bool = True,
        use_edge_se: bool = True,
        init_scale: float = 1e-5,
        input_dropout: float | None = None,
        pt_dropout: float | None = None,
        lorentz_vector_scale: float | None = None,
        lorentz_vector_smear: float | None = None,
        lorentz_vector_shift: float | None = None,
        trim: bool = True,
        for_inference: bool = False,
        for_segmentation: bool = False,
    ) -> None:
        super().__init__()
        if num_classes is None:
            raise ConfigError("ParticleNeXt: num_classes is missing")
        refuse_options(
            {
                "use_rel_dist": use_rel_dist,
                "update_coords": update_coords,
                "lv_aggregation": lv_aggregation,
                "pt_dropout": pt_dropout,
                "lorentz_vector_scale": lorentz_vector_scale,
                "lorentz_vector_smear": lorentz_vector_smear,
                "lorentz_vector_shift": lorentz_vector_shift,
                "for_segmentation": for_segmentation,
            }
        )
        self.for_inference = for_inference
        self.input_dropout = ObjectDropout("input_dropout", input_dropout)
        for name, size in {"node_dim": node_dim, "edge_dim": edge_dim}.items():
            if size < 0:
                raise ConfigError(
                    f"{name} {size}: expected a number of features, 0 for those that are given"
                )
        self.given_edges = edge_input_dim
        self.use_rel_lv_fts = use_rel_lv_fts
        self.use_polarization_angle = use_rel_lv_fts and use_polarization_angle
        self.global_aggregation = global_aggregation.lower()

        size = feature_input_dim
        self.node_encode = encoder(size, node_dim, use_node_bn)
        size = node_dim or size
        edge_size = edge_input_dim
        if use_rel_lv_fts:
            edge_size += VECTOR_FEATURES + self.use_polarization_angle
        self.edge_encode: nn.Module = nn.Identity()
        if edge_size:
            self.edge_encode = encoder(edge_size, edge_dim, use_edge_bn)
            edge_size = edge_dim or edge_size

        self.layers = nn.ModuleList()
        for scales, d_out, d_message in read_layers(layer_params):
            self.layers.append(
                MultiScaleEdgeConv(
                    size,
                    edge_size,
                    d_out,
                    scales,
                    d_message,
                    edge_aggregation.lower(),
                    use_rel_fts,
                    use_node_se,
                    use_edge_se,
                    init_scale,
                )
            )
            size = d_out
        convolutions = cast("list[MultiScaleEdgeConv]", list(self.layers))
        self.k = max(convolution.scales.k for convolution in convolutions)
        self.post = nn.Sequential(ObjectNorm(size), nn.ReLU(inplace=True))
        attention = attention_size(self.global_aggregation, size, "global_aggregation")
        if attention > size:
            raise ConfigError(
                f"global_aggregation {global_aggregation!r}: more weights than the {size} features"
            )
        if attention:
            self.sa = PointwiseLinear(size, attention, bias=False)
            self.weighted_sum = WeightedSum(size, attention)
        parts: list[nn.Module] = []
        for width, dropout in read_dense_layers(fc_params):
            parts.append(nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)))
            size = width
        self.fc = nn.Sequential(*parts, nn.Linear(size, num_classes))

    def forward(
        self,
        points: Tensor,
        features: Tensor,
        lorentz_vectors: Tensor | None,
        mask: Tensor | None = None,
        edges: Tensor | None = None,
    ) -> Tensor:
        """Scores (N, K) of jets.

        ``points`` (N, 2, P) are eta and phi in radians, ``features`` (N, C, P),
        ``lorentz_vectors`` (N, 4, P) px, py, pz, E, ``mask`` (N, 1, P), 1 for real objects; None:
        all are. ``edges`` (N, C', P, P) are features of pairs, those of receiver i and sender j at
        [i, j].
        """
        if mask is None:
            real = torch.ones_like(features[:, 0], dtype=torch.bool)  # (N, P)
        else:
            real = real_slots(mask)
        cloud = make_cloud(self.input_dropout(real), not is_traced())
        neighbourhoods = find_neighbourhoods(cloud, points, self.k)
        edge_features = self._edge_features(lorentz_vectors, edges, neighbourhoods)
        objects = self.node_encode(cloud.gather(features))  # (M, H)
        for layer in self.layers:
            objects = layer(objects, edge_features, neighbourhoods)
        output = self.fc(self._pool(self.post(objects), cloud))
        # the list has the shortest jets first
        output = cloud.restore_order(output)
        return output.softmax(1) if self.for_inference else output

    def _edge_features(
        self, vectors: Tensor | None, given: Tensor | None, edges: Neighbourhoods
    ) -> Tensor | None:
        """What is known of each edge, encoded, (E, H); None without anything."""
        parts = []
        if self.use_rel_lv_fts:
            if vectors is None:
                raise ConfigError(
                    "ParticleNeXt: lorentz_vectors are missing; use_rel_lv_fts=False does without"
                )
            parts.append(features_of_edges(vectors, edges, self.use_polarization_angle))
        if self.given_edges:
            if given is None:
                raise ConfigError("ParticleNeXt: edges are missing; edge_input_dim=0 does without")
            slots = edges.cloud.slots
            parts.append(given_features(given, slots, edges.first, edges.second))
        if not parts:
            return None
        return apply_to_real(self.edge_encode, torch.cat(parts, dim=1), edges.real)

    def _pool(self, objects: Tensor, cloud: PointCloud) -> Tensor:
        """Over the objects of each jet: (M, H) -> (N, H); 0 for a jet without any."""
        if self.global_aggregation == "max":
            return cloud.max_row(objects)
        if self.global_aggregation == "sum":
            return cloud.sum_row(objects)
        if self.global_aggregation == "mean":
            return cloud.mean_row(objects)
        weights = cloud.softmax_row(self.sa(objects))  # (M, A)
        return cloud.sum_row(self.weighted_sum.products(objects, weights).flatten(1))


class ParticleNeXtTagger(nn.Module):
    """ParticleNeXt of particle-flow candidates and secondary vertices together.

    Batch norm and a linear layer for each, then one cloud of both. ``pf_input_dropout`` and
    ``sv_input_dropout`` are the shares of objects left out at random in training; the other
    parameters are :class:`ParticleNeXt`'s.
    """

    def __init__(
        self,
        pf_features_dims: int,
        sv_features_dims: int,
        edge_input_dim: int = 0,
        num_classes: int | None = None,
        node_dim: int = 32,
        edge_dim: int = 8,
        use_edge_bn: bool = True,
        layer_params: LayerParams = LAYER_PARAMS,
        fc_params: Layers = LAYERS,
        global_aggregation: str = "attn4",
        edge_aggregation: str = "attn8",
        use_rel_lv_fts: bool = True,
        use_polarization_angle: bool = False,
        use_rel_fts: bool = False,
        use_rel_dist: bool = False,
        update_coords: bool = False,
        lv_aggregation: bool = False,
        use_node_se: bool = True,
        use_edge_se: bool = True,
        init_scale: float = 1e-5,
        pf_input_dropout: float | None = None,
        sv_input_dropout: float | None = None,
        trim: bool = True,
        for_inference: bool = False,
    ) -> None:
        super().__init__()
        self.pf_input_dropout = ObjectDropout("pf_input_dropout", pf_input_dropout)
        self.sv_input_dropout = ObjectDropout("sv_input_dropout", sv_input_dropout)
        self.pf_encode = nn.Sequential(
            ObjectNorm(pf_features_dims), PointwiseLinear(pf_features_dims, node_dim, bias=False)
        )
        self.sv_encode = nn.Sequential(
            ObjectNorm(sv_features_dims), PointwiseLinear(sv_features_dims, node_dim, bias=False)
        )
        self.pn = ParticleNeXt(
            node_dim,
            edge_input_dim,
            num_classes,
            node_dim=0,
            edge_dim=edge_dim,
            use_node_bn=False,
            use_edge_bn=use_edge_bn,
            layer_params=layer_params,
            fc_params=fc_params,
            global_aggregation=global_aggregation,
            edge_aggregation=edge_aggregation,
            use_rel_lv_fts=use_rel_lv_fts,
            use_polarization_angle=use_polarization_angle,
            use_rel_fts=use_rel_fts,
            use_rel_dist=use_rel_dist,
            update_coords=update_coords,
            lv_aggregation=lv_aggregation,
            use_node_se=use_node_se,
            use_edge_se=use_edge_se,
            init_scale=init_scale,
            trim=trim,
            for_inference=for_inference,
        )

    def forward(
        self,
        pf_points: Tensor,
        pf_features: Tensor,
        pf_vectors: Tensor,
        pf_mask: Tensor,
        sv_points: Tensor,
        sv_features: Tensor,
        sv_vectors: Tensor,
        sv_mask: Tensor,
        edges: Tensor | None = None,
    ) -> Tensor:
        """Scores (N, K) of jets.

        Points (N, 2, P), features (N, C, P), four-vectors (N, 4, P) and mask (N, 1, P) of
        candidates, then of vertices with C and P of their own. ``edges`` (N, C', P, P) are features
        of pairs of all objects, vertices last.
        """
        # what is left out now must not be a neighbour either
        pf_left = self.pf_input_dropout(real_slots(pf_mask))
        sv_left = self.sv_input_dropout(real_slots(sv_mask))
        pf_embedded = embed_objects(self.pf_encode, pf_features, pf_left)
        sv_embedded = embed_objects(self.sv_encode, sv_features, sv_left)
        return self.pn(
            join_slots((pf_points, sv_points)),
            torch.cat((pf_embedded, sv_embedded), dim=2),
            join_slots((pf_vectors, sv_vectors)),
            join_masks((pf_left, sv_left)),
            edges,
        )


def encoder(d_in: int, d_out: int, use_norm: bool) -> nn.Module:
    """Batch norm and a linear layer; for ``d_out`` 0 batch norm alone, or nothing."""
    if d_out:
        return nn.Sequential(ObjectNorm(d_in), PointwiseLinear2d(d_in, d_out))
    return ObjectNorm(d_in) if use_norm else nn.Identity()


def refuse_options(given: Mapping[str, Any]) -> None:
    """Refuse options of weaver-core's constructor that no public configuration uses.

    Raises:
        ConfigError: one of them is set.
    """
    for name, value in given.items():
        if value:
            raise ConfigError(
                f"ParticleNeXt: {name}={value!r} is not offered, as no public configuration uses "
                "it; leave it out"
            )


def read_layers(given: LayerParams) -> list[tuple[Scales, int, int]]:
    """Sets of neighbours, features and features of a message of each convolution.

    Raises:
        ConfigError: what was given, perhaps on a command line, does not have this form.
    """
    layers = []
    try:
        for parameters in given:
            values: Sequence[Any]
            if isinstance(parameters, Mapping):
                for name in parameters:
                    if name not in LAYER_KEYS:
                        raise unknown_key(name, LAYER_KEYS, "layer_params")
                values = [parameters.get(name) for name in LAYER_KEYS]
            else:
                values = [*parameters, None, None][:4] if len(parameters) in (2, 3, 4) else []
            k, size, reductions, message = values
            if reductions is not None:
                reductions = [(int(reduction), int(dilation)) for reduction, dilation in reductions]
            layers.append((int(k), int(size), reductions, int(message or size)))
        is_valid = bool(layers)
        for k, size, reductions, message in layers:
            positive = [k, size, message, *(number for pair in reductions or () for number in pair)]
            # half of a message is of the receiver, half of the sender
            is_valid = is_valid and min(positive) > 0 and message % 2 == 0
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        raise ConfigError(
            "layer_params: expected (neighbours, features, (reduction, dilation) of each set of "
            "neighbours, an even number of features of a message) for each convolution, such as "
            f"{LAYER_PARAMS[:1]}, found {given!r}"
        )
    return [(Scales(k, reductions), size, message) for k, size, reductions, message in layers]


@made_once
@torch.no_grad()
def features_of_edges(vectors: Tensor, edges: Neighbourhoods, with_angle: bool) -> Tensor:
    """ln kT, ln z, ln Delta, ln m^2 and, if asked for, the polarization angle: (E, 4) or (E, 5).

    From four-vectors (N, 4, P).
    """
    # squares of half-precision numbers overflow
    with torch.autocast(vectors.device.type, enabled=False):
        listed = at_least_float32(edges.cloud.gather(vectors))
        features = pair_features(listed, edges.first, edges.second, VECTOR_FEATURES)
        if not with_angle:
            return features
        angle = polarization_angle(listed, edges.first, edges.second)
        return torch.cat((features, angle.unsqueeze(1)), dim=1)
