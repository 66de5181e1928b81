"""Objects that feel their neighbours: a term of the object, plus one of each pair with a partner.

The logarithm of a product of efficiency factors is a sum, so that ``log eff_i = term(i) + sum_j
term(i, j)`` is Eq. 2 of the truth-tagging paper (arXiv:2004.02665) with learnt functions of
everything known about the two objects and their geometry. Message passing adds what does not
factorise. Shapes: see ``nn/objects/pairwise.py``; ``objects`` and ``pairs`` are the leading
dimensions of its two forms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.nn.objects.pairwise import Layout, PairLinear
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.physics.angles import delta_phi

GEOMETRY = 4  # features that pair_geometry makes
# far below any detector's granularity; keeps log dR and its gradient finite for equal directions
MIN_DISTANCE = 1e-3
# of sharpness * u: beyond, the logit is a straight line to 1e-5
MAX_BENT = 12.0


@made_once
def pair_geometry(eta: Tensor, phi: Tensor, pairs: Layout) -> Tensor:
    """Eta and phi (objects, 1) -> dEta, abs(dPhi), dR, log dR of each pair (pairs, 4), float32.

    dPhi is the shorter way round, so that phi counts only through its period and only relative to
    the partner's; its sign is left out: a detector has no handedness.
    """
    d_eta = pairs.first(eta) - pairs.second(eta)
    d_phi = delta_phi(pairs.first(phi), pairs.second(phi))
    d_r = (d_eta.square() + d_phi.square() + MIN_DISTANCE**2).sqrt()
    return torch.cat((d_eta, d_phi.abs(), d_r, d_r.log()), dim=-1)


def smooth_mlp(d_in: int, hidden: int, layers: int, d_out: int) -> nn.Sequential:
    """``layers`` hidden layers of size ``hidden`` with SiLU, then a linear one.

    Efficiencies are smooth functions, and ReLU has kinks.
    """
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(d_in, hidden), nn.SiLU()]
        d_in = hidden
    return nn.Sequential(*parts, nn.Linear(hidden, d_out))


def zero_init(layer: nn.Linear) -> nn.Linear:
    """The layer with all parameters 0: what it adds is learnt from nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class NeighbourSum(nn.Module):
    """Sum over partners j of an MLP of [x_i, x_j, geometry_ij].

    The first layer is split into per-object products, and the sum is taken before whatever linear
    layer follows: per pair there are only ``layers - 1`` matrix products and the activations.
    """

    def __init__(self, d_in: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        self.first = PairLinear(d_in, hidden, GEOMETRY)
        rest: list[nn.Module] = [nn.SiLU()]
        for _ in range(layers - 1):
            rest += [nn.Linear(hidden, hidden), nn.SiLU()]
        self.rest = nn.Sequential(*rest)

    def forward(self, objects: Tensor, geometry: Tensor, pairs: Layout) -> Tensor:
        """(objects, d_in), (pairs, 4) -> (objects, hidden), float32; 0 without partners."""
        return pairs.sum_partners(self.rest(self.first(objects, pairs, geometry)))


class EdgeNetwork(nn.Module):
    """``K`` outputs for each object: own term, sums of pair terms, and a correction.

    Each round gives every object a summary of its neighbourhood (``message`` numbers) that the next
    round's pairs and the correction see beside the object's own features. Sums of pair terms and
    the correction start from 0: factorised first, the rest where the data ask for it. Sizes:
    ``hidden`` of all MLPs, ``layers`` of theirs, ``rounds`` >= 1.
    """

    def __init__(
        self,
        d_in: int,
        outputs: int,
        hidden: int = 64,
        layers: int = 2,
        rounds: int = 1,
        message: int = 16,
    ) -> None:
        super().__init__()
        self.own = smooth_mlp(d_in, hidden, layers, outputs)
        # the first round has no messages to read yet
        sizes = [d_in] + [d_in + message] * (rounds - 1)
        self.neighbours = nn.ModuleList(NeighbourSum(size, hidden, layers) for size in sizes)
        self.pair_terms = nn.ModuleList(
            zero_init(nn.Linear(hidden, outputs, bias=False)) for _ in range(rounds)
        )
        self.messages = nn.ModuleList(nn.Linear(hidden, message) for _ in range(rounds))
        self.correction = smooth_mlp(d_in + message, hidden, 1, outputs)
        zero_init(self.correction[-1])  # type: ignore[arg-type]

    def forward(self, objects: Tensor, geometry: Tensor, pairs: Layout) -> Tensor:
        """(objects, d_in), (pairs, 4) -> (objects, K), float32 under autocast too."""
        # only pairs are worth bf16: rounded in the final sum, it would be wrong by up to 1 % of an
        # efficiency
        in_float32 = torch.autocast(objects.device.type, enabled=False)
        state = objects
        pair_sums = []
        rounds = zip(self.neighbours, self.pair_terms, self.messages, strict=True)
        for neighbours, pair_term, message in rounds:
            around = neighbours(state, geometry, pairs)  # (objects, hidden)
            with in_float32:
                pair_sums.append(pair_term(around))
                state = torch.cat((objects, message(around)), dim=-1)
        with in_float32:
            return self.own(objects) + sum(pair_sums) + self.correction(state)


def logit_of_product(total: Tensor, sharpness: float) -> Tensor:
    """Sum of terms u -> logit of the efficiency eff = (1 + exp(-b u))^(-1/b).

    b = ``sharpness`` >= 1. eff is exp(u), terms multiply, until it bends to stay below 1: within
    about 1/b of u = 0. b = 1 is the plain sigmoid of u.
    """
    bent = (sharpness * total).clamp(max=MAX_BENT)
    minus_log_eff = functional.softplus(-bent) / sharpness
    # 1 - eff = 2 t / (1 + t), exact where it is small and an ONNX operator, which expm1 is not
    t = torch.tanh(minus_log_eff / 2)
    straight = sharpness * total - bent
    return straight - minus_log_eff - torch.log(t) + torch.log1p(t) - math.log(2)
