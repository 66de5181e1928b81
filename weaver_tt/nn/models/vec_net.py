"""A small network of three channels, one of which turns with the jet: semi-equivariant.

Each particle has

- *hidden* numbers h, which are learnt freely;
- *scalars* s, a linear map of what is known of it: invariants of its vectors, and with
  ``scalars="features"`` its input features, such as log pT and angles;
- *vectors* p, V four-vectors, which are only ever added up with invariant coefficients, so that
  they turn with the jet under any Lorentz transformation.

With ``scalars="invariant"`` the logits are invariant, but for the graph: neighbours by
``distance="points"`` and ``keep`` see what a transformation changes (``keep`` by the order of the
file does not). With ``vectors=0`` nothing is left of the symmetry.

An iteration passes messages between a particle and its partners j != i:

    m_ij = phi_e(h_i, h_j, s_i, s_j, <p_i, p_j>, (p_i - p_j)^2)
    p_i <- p_i + mean_j (a p_i + b p_j) tanh phi_x(m_ij)
    m_i  = sum_j psi_ij m_ij / sum_j psi_ij
    h_i <- phi_h(h_i, s_i, m_i)

with attention weights psi_ij > 0, learnt from m_ij, of as many heads as asked for. The first
vectors are the particle's own in V units, which are learnt. Norms and products enter as sign(x)
ln(1 + |x|) of GeV^2, and sums over partners as means, so that neither the momentum nor the number
of particles sets the scale. As tanh is at most 1, no vector becomes longer than (1 + |a| + |b|)
times the longest in an iteration. Logits follow from the mean of h over the particles and from the
invariant masses of the summed vectors.

Everything is computed on the list of real objects (``nn/objects/``): padding is nothing.

Shapes: N jets, P slots, M real particles of all jets, K places for partners or classes, C features,
H hidden, S scalars, V channels of vectors.

Source: D. Murnane, S. Thais, J. Wong, "A Comprehensive Comparison of GNN Architectures for Jet
Tagging" (poster), for the equations and the ranges of the options; V. G. Satorras, E. Hoogeboom,
M. Welling, arXiv:2102.09844, whose equations these are but for the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.nn.layers.dropout import Dropout
from weaver_tt.nn.layers.minkowski import (
    in_units,
    mean_of_channels,
    product,
    scale,
    signed_log,
    square,
    to_light_cone,
)
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.pairwise import PairLinear
from weaver_tt.nn.objects.partners import (
    PartnerPairs,
    all_others,
    nearest_by_inputs,
    nearest_neighbours,
)
from weaver_tt.nn.objects.point_cloud import PointCloud, make_cloud
from weaver_tt.nn.objects.real_objects import at_least_float32, real_slots
from weaver_tt.nn.objects.trimming import keep_first

ACTIVATIONS: dict[str, type[nn.Module]] = {"ReLU": nn.ReLU, "SiLU": nn.SiLU, "Tanh": nn.Tanh}
CHOICES = {
    "shortcut": ("none", "skip", "concat"),
    "activation": tuple(ACTIVATIONS),
    "graph": ("fully-connected", "static-knn", "dynamic-knn"),
    "distance": ("points", "minkowski"),
    "scalars": ("features", "invariant"),
}
"""Options that are one of a few words."""
RANGES = {
    "hidden": (1, 256),
    "scalar": (0, 256),
    "vectors": (0, 256),
    "message": (1, 256),
    "iterations": (1, 6),
    "edge_layers": (1, 3),
    "node_layers": (0, 3),
    "heads": (1, 256),
    "k": (3, 32),
}
"""Smallest and largest value of options that are whole numbers."""
# of the logarithm of an attention weight, so that its exponential stays finite
MAX_LOG_ATTENTION = 10.0
# the units of the first vectors: from 1 down to this, in equal ratios
SMALLEST_UNIT = 0.1
OWN_INVARIANTS = 2  # of each channel of a particle's vectors: its mass, and its part of the jet's
PAIR_INVARIANTS = 2  # of each channel of two particles' vectors


@dataclass(frozen=True)
class VecNetOptions:
    """Options of :class:`VecNet`.

    ``hidden`` H, ``scalar`` S, ``vectors`` V and ``message`` m are sizes; ``edge_layers`` of phi_e,
    hidden ``node_layers`` of phi_h, ``heads`` of the attention, which divide m. ``shortcut``: the
    hidden numbers of an iteration stand in the place of those before (none), are added to them
    (skip), or stand beside them (concat). ``batch_norm``, ``layer_norm`` and ``dropout`` are those
    of all hidden layers, a layer norm of those of two numbers and more; with batch norm, inputs
    have one, too. ``graph``: all other particles, or the ``k`` nearest ones, found once (static) or
    anew in each iteration (dynamic). ``distance``: Euclidean in points and, in later iterations of
    a dynamic graph, in hidden numbers; or minkowski, |(p_i - p_j)^2| of the four-vectors, later of
    the mean of each particle's vectors.
    ``scalars``: features and invariants of particles, or invariants alone. ``keep``: only the first
    particles of each jet; None for all.

    Raises:
        ConfigError: an option is out of its range, or does not go with another one.
    """

    hidden: int = 16
    scalar: int = 4
    vectors: int = 2
    message: int = 16
    iterations: int = 3
    edge_layers: int = 2
    node_layers: int = 0
    heads: int = 4
    shortcut: str = "skip"
    activation: str = "SiLU"
    batch_norm: bool = True
    layer_norm: bool = False
    dropout: float = 0.0
    graph: str = "fully-connected"
    k: int = 16
    distance: str = "points"
    scalars: str = "features"
    keep: int | None = None

    def __post_init__(self) -> None:
        """Check all of them."""
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"network option {name} {value!r}; {nearest(value, choices)}")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(
                    f"network option {name} {value!r}: expected a whole number from {least} to "
                    f"{most}"
                )
        if self.message % self.heads:
            divisors = [str(n) for n in range(1, self.message + 1) if self.message % n == 0]
            raise ConfigError(
                f"network option heads {self.heads}: does not divide message {self.message}; "
                f"expected one of {', '.join(divisors)}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                f"network option dropout {self.dropout!r}: expected at least 0 and below 1"
            )
        is_number = isinstance(self.keep, int) and not isinstance(self.keep, bool)
        if self.keep is not None and not (is_number and self.keep > 0):
            raise ConfigError(
                f"network option keep {self.keep!r}: expected a number of particles, or none for "
                "all"
            )
        if self.vectors:
            return
        if not self.takes_features:
            raise ConfigError(
                "network option vectors 0: with scalars invariant the network would see nothing; "
                "expected at least 1, or scalars features"
            )
        if self.has_neighbours and self.is_minkowski:
            raise ConfigError(
                "network option distance 'minkowski': there are no vectors to take distances of; "
                "expected vectors of at least 1, or distance points"
            )

    @property
    def takes_features(self) -> bool:
        """Whether scalars may be other than invariant."""
        return self.scalars == "features"

    @property
    def has_neighbours(self) -> bool:
        """Whether the graph is of nearest neighbours."""
        return self.graph != "fully-connected"

    @property
    def is_minkowski(self) -> bool:
        """Whether these are the nearest by four-vectors."""
        return self.distance == "minkowski"


class DenseBlock(nn.Module):
    """What follows a linear layer of ``size`` features: norms, activation, dropout."""

    def __init__(self, size: int, options: VecNetOptions) -> None:
        super().__init__()
        self.batch_norm = ObjectNorm(size) if options.batch_norm else None
        # of one number it would leave nothing
        self.layer_norm = nn.LayerNorm(size) if options.layer_norm and size > 1 else None
        self.activation = ACTIVATIONS[options.activation]()
        self.dropout = Dropout(options.dropout)

    def forward(self, values: Tensor, real: Tensor | None = None) -> Tensor:
        """(…, size); ``real`` (…, 1) is 1 for what counts, None where everything does."""
        if self.batch_norm is not None:
            values = self.batch_norm(values, real)
        if self.layer_norm is not None:
            values = self.layer_norm(values)
        return self.dropout(self.activation(values))


class VecConv(nn.Module):
    """One iteration: messages of pairs change the vectors and the hidden numbers of particles.

    ``size`` hidden numbers of a particle come in, H go out.
    """

    head_of_number: Tensor

    def __init__(self, size: int, options: VecNetOptions) -> None:
        super().__init__()
        message = options.message
        size += options.scalar
        self.phi_e = PairLinear(size, message, PAIR_INVARIANTS * options.vectors)
        self.phi_e_blocks = nn.ModuleList([DenseBlock(message, options)])
        self.phi_e_layers = nn.ModuleList()
        for _ in range(options.edge_layers - 1):
            self.phi_e_layers.append(nn.Linear(message, message))
            self.phi_e_blocks.append(DenseBlock(message, options))
        self.attention = nn.Linear(message, options.heads)
        # each head weights m / heads numbers of a message: 1 for its own, (heads, m)
        own = torch.eye(options.heads).repeat_interleave(message // options.heads, dim=1)
        self.register_buffer("head_of_number", own, persistent=False)
        if options.vectors:
            self.phi_x = nn.Linear(message, options.vectors, bias=False)
            self.a = nn.Parameter(torch.ones(options.vectors))
            self.b = nn.Parameter(torch.ones(options.vectors))
        layers: list[nn.Module] = []
        size += message
        for _ in range(options.node_layers):
            layers += [nn.Linear(size, options.hidden), DenseBlock(options.hidden, options)]
            size = options.hidden
        self.phi_h = nn.Sequential(*layers, nn.Linear(size, options.hidden))

    def forward(
        self, hidden: Tensor, scalars: Tensor | None, vectors: Tensor | None, pairs: PartnerPairs
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden (M, H), scalars (M, S), vectors (M, 4 V) -> new hidden and vectors.

        None for scalars or vectors stands for none of them.
        """
        own = hidden if scalars is None else torch.cat((hidden, scalars), dim=1)
        partner: Tensor | None = None
        invariants: Tensor | None = None
        if vectors is not None:
            partner = pairs.second(vectors)  # (M, K, 4 V)
            invariants = pair_invariants(vectors, partner, pairs).to(self.a.dtype)
        messages = self._messages(own, invariants, pairs)  # (M, K, m)
        if vectors is not None:
            assert partner is not None
            with torch.autocast(vectors.device.type, enabled=False):
                vectors = self._move(vectors, partner, at_least_float32(messages), pairs)
        around = self._attend(messages, pairs)  # (M, m)
        return self.phi_h(torch.cat((own, around.to(own.dtype)), dim=1)), vectors

    def _messages(self, own: Tensor, invariants: Tensor | None, pairs: PartnerPairs) -> Tensor:
        """phi_e: (M, H + S), (M, K, 2 V) -> (M, K, m)."""
        first, *blocks = self.phi_e_blocks
        messages = first(self.phi_e(own, pairs, invariants), pairs.real_pairs)
        for layer, block in zip(self.phi_e_layers, blocks, strict=True):
            messages = block(layer(messages), pairs.real_pairs)
        return messages

    def _move(
        self, vectors: Tensor, partner: Tensor, messages: Tensor, pairs: PartnerPairs
    ) -> Tensor:
        """Vectors (M, 4 V), those of partners (M, K, 4 V), messages -> new vectors (M, 4 V)."""
        share = torch.tanh(self.phi_x(messages))  # (M, K, V)
        of_own = scale(vectors, pairs.mean_partners(share))
        of_partner = pairs.mean_partners(scale(partner, share))
        return vectors + scale(of_own, self.a) + scale(of_partner, self.b)

    def _attend(self, messages: Tensor, pairs: PartnerPairs) -> Tensor:
        """The weighted mean of messages over the partners: (M, K, m) -> (M, m), 0 without any."""
        scores = at_least_float32(self.attention(messages))  # (M, K, heads)
        scores = MAX_LOG_ATTENTION * torch.tanh(scores / MAX_LOG_ATTENTION)
        weights = torch.exp(scores) * pairs.real_pairs
        # no partner has no weight; any other has more than this
        total = weights.sum(1).clamp(min=torch.finfo(torch.float32).tiny)  # (M, heads)
        of_heads = pairs.weighted_sums(weights, messages) / total.unsqueeze(2)  # (M, heads, m)
        return (of_heads * self.head_of_number).sum(1)


class VecNet(nn.Module):
    """Message passing with hidden, scalar and vector channels; a mean over particles; a head.

    ``features``: C, of which the network takes none where its scalars are invariant.
    """

    def __init__(
        self, features: int, num_classes: int, options: VecNetOptions | None = None
    ) -> None:
        super().__init__()
        options = options or VecNetOptions()
        self.options = options
        known = OWN_INVARIANTS * options.vectors
        if options.takes_features:
            known += features
        if options.vectors:
            self.units = nn.Parameter(torch.logspace(0, 1, options.vectors, SMALLEST_UNIT))
        self.embed = nn.Linear(known, options.hidden)
        # of what is known: each time it is of other vectors, with other statistics
        self.norms = nn.ModuleList()
        self.scalars = nn.ModuleList()
        self.iterations = nn.ModuleList()
        size = options.hidden
        for number in range(options.iterations):
            if options.scalar or number == 0:
                # a linear layer follows, which has a scale and a shift
                norm = ObjectNorm(known, affine=False) if options.batch_norm else nn.Identity()
                self.norms.append(norm)
            if options.scalar:
                self.scalars.append(nn.Linear(known, options.scalar))
            self.iterations.append(VecConv(size, options))
            if options.shortcut == "concat":
                size += options.hidden
        self.head = nn.Sequential(
            nn.Linear(size + options.vectors, options.hidden),
            DenseBlock(options.hidden, options),
            nn.Linear(options.hidden, num_classes),
        )

    @property
    def takes(self) -> list[str]:
        """Which of the arguments of ``forward`` it needs."""
        names = []
        if self.options.takes_features:
            names.append("features")
        if self.options.vectors:
            names.append("vectors")
        if self.options.has_neighbours and not self.options.is_minkowski:
            names.append("points")
        return [*names, "mask"]

    def forward(
        self,
        mask: Tensor,
        features: Tensor | None = None,
        vectors: Tensor | None = None,
        points: Tensor | None = None,
    ) -> Tensor:
        """Scores (N, K) of jets.

        ``mask`` (N, 1, P), 1 for real particles, and those of features (N, C, P), vectors (N, 4, P)
        px, py, pz, E in GeV, and points (N, D, P) that it :attr:`takes`.
        """
        cloud = self.make_cloud(mask)
        hidden, moved = self.pass_messages(cloud, features, vectors, points)
        pooled = cloud.mean_row(hidden)  # (N, H)
        if moved is not None:
            masses = signed_log(square(jet_vectors(cloud, moved)))  # (N, V)
            pooled = torch.cat((pooled, masses.to(pooled.dtype)), dim=1)
        return self.head(pooled)

    def pass_messages(
        self,
        cloud: PointCloud,
        features: Tensor | None,
        vectors: Tensor | None,
        points: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden numbers (M, H) and vectors (M, 4 V) after all iterations, as for ``forward``.

        Vectors are of double precision.
        """
        own: Tensor | None = None  # (M, 4 V)
        momenta: Tensor | None = None  # (M, 4)
        if self.options.vectors:
            assert vectors is not None
            # a small mass of hard particles is a difference of large products: in single precision
            # it is rounding, and other rounding in each runtime
            momenta = to_light_cone(cloud.gather(vectors).double())
            own = in_units(momenta, self.units)
        inputs = None
        if self.options.takes_features:
            assert features is not None
            inputs = cloud.gather(features)  # (M, C)
        known = self.norms[0](self._join_known(inputs, own, cloud))
        hidden = self.embed(known)  # (M, H)
        pairs = self._first_pairs(cloud, momenta, points)
        for number, iteration in enumerate(cast("list[VecConv]", list(self.iterations))):
            if number > 0 and self.options.graph == "dynamic-knn":
                pairs = self._next_pairs(cloud, hidden, own)
            scalars: Tensor | None = None
            if self.scalars:
                if number > 0:
                    # the vectors have moved
                    known = self.norms[number](self._join_known(inputs, own, cloud))
                scalars = self.scalars[number](known)  # (M, S)
            updated, own = iteration(hidden, scalars, own, pairs)
            if self.options.shortcut == "skip":
                updated = hidden + updated
            elif self.options.shortcut == "concat":
                updated = torch.cat((hidden, updated), dim=1)
            hidden = updated
        return hidden, own

    def make_cloud(self, mask: Tensor) -> PointCloud:
        """The particles that it sees, of a mask (N, 1, P)."""
        real = real_slots(mask)  # (N, P)
        if self.options.keep is not None:
            real = keep_first(real, self.options.keep)
        return make_cloud(real, False, self.options.keep)

    def _join_known(
        self, inputs: Tensor | None, vectors: Tensor | None, cloud: PointCloud
    ) -> Tensor:
        """What is known of each particle: features (M, C), vectors (M, 4 V) -> (M, C + 2 V)."""
        parts = [] if inputs is None else [inputs]
        if vectors is not None:
            parts.append(own_invariants(vectors, cloud).to(self.units.dtype))
        return torch.cat(parts, dim=1)

    def _first_pairs(
        self, cloud: PointCloud, momenta: Tensor | None, points: Tensor | None
    ) -> PartnerPairs:
        """By momenta (M, 4) or points (N, D, P), where the graph is of neighbours."""
        if not self.options.has_neighbours:
            return all_others(cloud)
        if self.options.is_minkowski:
            assert momenta is not None
            return nearest_neighbours(cloud, momenta, self.options.k, minkowski=True)
        assert points is not None
        return nearest_by_inputs(cloud, points, self.options.k)

    def _next_pairs(
        self, cloud: PointCloud, hidden: Tensor, vectors: Tensor | None
    ) -> PartnerPairs:
        """By what the iterations before have made of the particles."""
        places = hidden
        if self.options.is_minkowski:
            assert vectors is not None
            places = mean_of_channels(vectors)  # (M, 4)
        return nearest_neighbours(cloud, places, self.options.k, self.options.is_minkowski)


def jet_vectors(cloud: PointCloud, vectors: Tensor) -> Tensor:
    """The sum of each jet's vectors: (M, 4 V) -> (N, 4 V).

    Of momenta that is the momentum of the jet, whatever the number of particles that share it.
    """
    return cloud.sum_row(vectors)


def own_invariants(vectors: Tensor, cloud: PointCloud) -> Tensor:
    """What no transformation changes of each particle's vectors: (M, 4 V) -> (M, 2 V).

    Their squares, and their products with the vectors of the jet, as sign(x) ln(1 + |x|).
    """
    of_jet = cloud.spread_row(jet_vectors(cloud, vectors))  # (M, 4 V)
    values = torch.cat((square(vectors), product(vectors, of_jet)), dim=1)
    return signed_log(values)


def pair_invariants(vectors: Tensor, partner: Tensor, pairs: PartnerPairs) -> Tensor:
    """Products and squared differences, (M, 4 V), (M, K, 4 V) -> (M, K, 2 V).

    As sign(x) ln(1 + |x|); those of no partner are arbitrary.
    """
    products = product(vectors.unsqueeze(1), partner)  # (M, K, V)
    squares = square(vectors)  # (M, V)
    differences = pairs.add(squares, squares) - 2 * products
    return signed_log(torch.cat((products, differences), dim=2))
