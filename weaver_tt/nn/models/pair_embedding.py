"""Pairs of objects as a bias of the attention between them: the interaction embedding of the Particle Transformer (arXiv:2202.03772, section 3).

Shapes: M objects of all rows, E pairs of all rows, H heads; a group has n rows of at most L objects (see ``rows.py``) and e pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.blocks import PointwiseLinear
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.models.pair_features import check_number, pair_features
from weaver_tt.nn.objects.ragged import Dense, Group, ObjectRows

MASK_BIAS = (
    -1e9
)  # added to the logits of padding: its weight is exactly 0, and a row without objects stays finite


def padding_bias(rows: ObjectRows) -> list[Tensor | None]:
    """What keeps attention from padding: (n, 1, 1, L) of each group, None where there is none."""
    return [
        None
        if group.mask is None
        else (~group.mask[:, None, None, :]).to(torch.float32) * MASK_BIAS
        for group in rows.groups
    ]


def dense_pairs(values: Tensor, index: Tensor, slots: int) -> Tensor:
    """Features (N, C, R) of the pairs ``index`` (N, 2, R) -> (N, C, P, P) with P = ``slots``, 0 elsewhere; an index of P or more is padding."""
    rows, channels, _ = values.shape
    i, j = index.clamp(max=slots).unbind(1)
    flat = (i * (slots + 1) + j).unsqueeze(1).expand_as(values)
    dense = values.new_zeros(rows, channels, (slots + 1) ** 2).scatter_add(2, flat, values)
    return dense.view(rows, channels, slots + 1, slots + 1)[:, :, :slots, :slots]


class Pairs:
    """Pairs of objects of the same row, as one list of E, and their places in each group's (n, L, L).

    ``ordered``: all (i, j); else i >= j only, as the other half is the same, and without i = j where ``own`` is false.
    """

    def __init__(self, rows: ObjectRows, ordered: bool = False, own: bool = True) -> None:
        self.rows, self.ordered, self.shift = rows, ordered, 0 if own or ordered else 1
        self.parts = [
            _GroupPairs(self, group, isinstance(rows, Dense) or group.mask is None)
            for group in rows.groups
        ]
        self.first = torch.cat([part.first for part in self.parts])  # (E,) among the M objects
        self.second = torch.cat([part.second for part in self.parts])

    def count(self, objects: Any) -> Any:
        """Pairs of a row of so many objects."""
        size = objects - self.shift
        return objects * objects if self.ordered else size * (size + 1) // 2

    def members(self, number: Tensor, objects: Any) -> tuple[Tensor, Tensor]:
        """Places i, j in their row of pair ``number`` of a row of so many objects."""
        if self.ordered:
            i = torch.div(number, objects, rounding_mode="floor")
            return i, number - i * objects
        # the largest i with i (i + 1) / 2 <= number; the root of a square is exact
        i = (((8 * number + 1).double().sqrt() - 1) / 2).floor().long()
        return i + self.shift, number - torch.div(i * (i + 1), 2, rounding_mode="floor")

    def number(self, i: Tensor, j: Tensor, objects: Any) -> Tensor:
        """The inverse of :meth:`members`, for either order of i and j."""
        if self.ordered:
            return i * objects + j
        larger = torch.maximum(i, j) - self.shift
        return torch.div(larger * (larger + 1), 2, rounding_mode="floor") + torch.minimum(i, j)

    def bias(self, values: Tensor) -> list[Tensor]:
        """(E, H) -> attention bias (n, H, L, L) of each group: 0 for pairs left out, ``MASKED`` where j is padding."""
        values = values.float() if values.dtype is torch.bfloat16 else values
        split = (
            values.split([len(part.first) for part in self.parts])
            if len(self.parts) > 1
            else [values]
        )
        masks = padding_bias(self.rows)
        return [
            part.spread(value, mask)
            for part, value, mask in zip(self.parts, split, masks, strict=True)
        ]


class _GroupPairs:
    """The pairs of one group. ``uniform``: every row has L objects, as far as pairs are concerned."""

    def __init__(self, pairs: Pairs, group: Group, uniform: bool) -> None:
        self.group, self.ordered = group, pairs.ordered
        device, length = group.starts.device, group.length
        rows = torch.arange(group.rows, device=device)
        if uniform:
            each = pairs.count(length)
            row = rows.unsqueeze(1).expand(-1, each).reshape(-1)  # (e,)
            number = torch.arange(each, device=device).expand(group.rows, -1).reshape(-1)
            base, objects, counts = rows * each, length, length
        else:
            every = pairs.count(group.counts)  # (n,)
            base = every.cumsum(0) - every
            pairs_of_group: int | None = None
            if group.host_counts is not None:
                pairs_of_group = int(pairs.count(group.host_counts).sum())
            row = torch.repeat_interleave(rows, every, output_size=pairs_of_group)
            number = torch.arange(len(row), device=device) - base.index_select(0, row)
            objects, counts = group.counts.index_select(0, row), group.counts[:, None, None]
        i, j = pairs.members(number, objects)
        start = group.starts.index_select(0, row)
        self.first, self.second = start + i, start + j  # (e,)
        corner = row * length * length
        self.at, self.mirrored, self.diagonal = (
            corner + i * length + j,
            corner + j * length + i,
            (i == j).unsqueeze(1),
        )
        slot = torch.arange(length, device=device)
        numbers = base[:, None, None] + pairs.number(slot[:, None], slot, counts)  # (n, L, L)
        if pairs.shift:
            numbers = torch.where(slot[:, None] == slot, row.shape[0], numbers)
        if not uniform and group.mask is not None:
            numbers = torch.where(
                group.mask.unsqueeze(1) & group.mask.unsqueeze(2), numbers, row.shape[0]
            )
        self.numbers = numbers.flatten()

    def spread(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """(e, H) -> (n, H, L, L), with ``mask`` (n, 1, 1, L) added."""
        group = self.group
        extended = torch.cat((values, values.new_zeros(1, values.shape[1])))
        # an ONNX export knows elementary operations only
        spread = (
            extended.index_select(0, self.numbers)
            if torch.onnx.is_in_onnx_export()
            else _Spread.apply(extended, self)
        )
        bias = spread.view(group.rows, group.length, group.length, values.shape[1]).permute(
            0, 3, 1, 2
        )
        return bias.contiguous() if mask is None else bias + mask


class _Spread(Function):
    """Each pair's row to its one or two places: the gradient comes back by index, quicker than adding up."""

    @staticmethod
    def forward(context: Any, values: Tensor, pairs: _GroupPairs) -> Tensor:
        context.pairs = pairs
        return values.index_select(0, pairs.numbers)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        pairs: _GroupPairs = context.pairs
        result = gradient.new_zeros(len(pairs.at) + 1, gradient.shape[1])
        torch.index_select(gradient, 0, pairs.at, out=result[:-1])
        if not pairs.ordered:
            result[:-1] += gradient.index_select(0, pairs.mirrored).masked_fill_(pairs.diagonal, 0)
        return result, None


class PairMLP(nn.Sequential):
    """Batch norm, then 1x1 convolutions with batch norm and activation, on a list of pairs (E, C) -> (E, ``sizes[-1]``).

    In evaluation each batch norm is part of the weights beside it, so that a layer is one matrix product.
    """

    def __init__(
        self, d_in: int, sizes: Sequence[int], activation: type[nn.Module], activate_last: bool
    ) -> None:
        layers: list[nn.Module] = [ObjectNorm(d_in)]
        for a, b in pairwise([d_in, *sizes]):
            layers += [PointwiseLinear(a, b), ObjectNorm(b), activation()]
        super().__init__(*(layers if activate_last else layers[:-1]))

    def forward(self, values: Tensor) -> Tensor:
        """(E, C) -> (E, sizes[-1])."""
        if self.training:
            return super().forward(values)
        for weight, bias, activation in self._fold_norms():
            values = activation(functional.linear(values, weight, bias))
        return values

    def _fold_norms(self) -> Iterator[tuple[Tensor, Tensor, nn.Module]]:
        """Weight, bias and activation of each layer as it is in evaluation."""
        modules: list[Any] = [*self, nn.Identity()]
        scale, shift = _affine(modules[0])
        for linear, norm, activation in zip(
            modules[1::3], modules[2::3], modules[3::3], strict=False
        ):
            weight = linear.weight.squeeze(2)
            after, constant = _affine(norm)
            yield (
                weight * scale * after.unsqueeze(1),
                (linear.bias + weight @ shift) * after + constant,
                activation,
            )
            scale, shift = torch.ones_like(after), torch.zeros_like(after)


def _affine(norm: ObjectNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that batch norm is in evaluation."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


class PairEmbed(nn.Module):
    """Four-vectors of the objects and, or, given features of their pairs -> bias of the attention, for each head.

    Parameters are named as weaver-core's: ``embed`` acts on ``lorentz`` features of :func:`~weaver_tt.nn.models.pair_features.pair_features`,
    ``fts_embed`` on ``extra`` given ones, and their outputs are added. Given features need not be symmetric: then all ordered pairs are computed.
    """

    def __init__(
        self,
        lorentz: int,
        extra: int,
        sizes: Sequence[int],
        activation: type[nn.Module],
        activate_last: bool,
        own: bool = True,
    ) -> None:
        super().__init__()
        check_number(lorentz, "ParticleTransformer: pair_input_dim")
        if extra and not own:
            raise ConfigError(
                "ParticleTransformer: remove_self_pair does not go with pair_extra_dim; leave one of them out"
            )
        self.lorentz, self.extra, self.own = lorentz, extra, own
        if lorentz:
            self.embed = PairMLP(lorentz, sizes, activation, activate_last)
        if extra:
            self.fts_embed = PairMLP(extra, sizes, activation, activate_last)

    def forward(
        self, rows: ObjectRows, vectors: Tensor | None, given: Tensor | None
    ) -> list[Tensor]:
        """Vectors (M, 4), given features (N, C', P, P) -> bias (n, H, L, L) of each group."""
        pairs = Pairs(rows, ordered=self.extra > 0, own=self.own)
        embedded: list[Tensor] = []
        if self.lorentz and vectors is not None:
            embedded.append(
                self.embed(pair_features(vectors, pairs.first, pairs.second, self.lorentz))
            )
        if self.extra and given is not None:
            slots, (i, j) = (
                given.shape[3],
                (rows.slots.index_select(0, index) for index in (pairs.first, pairs.second)),
            )
            listed = (
                given.permute(0, 2, 3, 1).flatten(0, 2).index_select(0, i * slots + j % slots)
            )  # (E, C')
            embedded.append(self.fts_embed(listed))
        return pairs.bias(embedded[0] if len(embedded) == 1 else embedded[0] + embedded[1])
