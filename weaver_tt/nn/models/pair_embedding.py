"""Pairs of objects as a bias of the attention between them: Particle Transformer's interactions.

Pairs of all rows are embedded as one list, without padding, and only once where the two orders of a
pair are the same; then each group of rows gets a bias for all its pairs of slots.

Shapes: M objects of all rows, E pairs of all rows, C features of a pair, H heads; a group has n
rows of at most L objects (see ``nn/objects/ragged.py``) and e pairs.

Source: arXiv:2202.03772, section 3.
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
from weaver_tt.nn.models.pair_features import check_number, given_features, pair_features
from weaver_tt.nn.objects.ragged import Dense, Group, ObjectRows
from weaver_tt.nn.objects.sharing import made_once

# added to the logits of padding: its weight is exactly 0, and a row without objects stays finite
MASK_BIAS = -1e9


def padding_bias(rows: ObjectRows) -> list[Tensor | None]:
    """What keeps attention from padding: (n, 1, 1, L) of each group, None where there is none."""
    biases: list[Tensor | None] = []
    for group in rows.groups:
        if group.mask is None:
            biases.append(None)
        else:
            is_padding = ~group.mask[:, None, None, :]  # (n, 1, 1, L)
            biases.append(is_padding.to(torch.float32) * MASK_BIAS)
    return biases


def dense_pairs(values: Tensor, index: Tensor, slots: int) -> Tensor:
    """Features (N, C, R) of listed pairs -> (N, C, P, P) with P = ``slots``, 0 for all other pairs.

    ``index`` (N, 2, R) are the pairs' slots; one of P or more is padding.
    """
    rows, channels, _ = values.shape
    # padding of the list goes to a spare row or column behind the others
    size = slots + 1
    i, j = index.clamp(max=slots).unbind(1)  # (N, R) each
    place = (i * size + j).unsqueeze(1).expand_as(values)  # (N, C, R)
    dense = values.new_zeros(rows, channels, size**2).scatter_add(2, place, values)
    return dense.view(rows, channels, size, size)[:, :, :slots, :slots]


class Pairs:
    """Pairs of objects of the same row as one list of E, and their places in a group's (n, L, L).

    ``ordered``: all (i, j); else i >= j only, as the other half is the same, and without i = j
    where ``own`` is false. In the list, the pairs of a row stand together and are numbered from 0.
    """

    def __init__(self, rows: ObjectRows, ordered: bool = False, own: bool = True) -> None:
        self.rows = rows
        self.ordered = ordered
        # without i = j, pairs are those of a row with an object less
        self.shift = 0 if own or ordered else 1
        self.parts = [_GroupPairs(self, group) for group in rows.groups]
        self.first = torch.cat([part.first for part in self.parts])  # (E,) among the M objects
        self.second = torch.cat([part.second for part in self.parts])  # (E,)

    def count(self, objects: Any) -> Any:
        """Pairs of a row of so many objects: a number, or an array or tensor of them."""
        if self.ordered:
            return objects * objects
        size = objects - self.shift
        return size * (size + 1) // 2

    def members(self, number: Tensor, objects: Any) -> tuple[Tensor, Tensor]:
        """Places i, j in their row of pair ``number`` of a row of so many objects."""
        if self.ordered:
            i = torch.div(number, objects, rounding_mode="floor")
            return i, number - i * objects
        # the largest i with i (i + 1) / 2 <= number; the root of a square is exact
        i = (((8 * number + 1).double().sqrt() - 1) / 2).floor().long()
        before = torch.div(i * (i + 1), 2, rounding_mode="floor")  # pairs of smaller i
        return i + self.shift, number - before

    def number(self, i: Tensor, j: Tensor, objects: Any) -> Tensor:
        """The inverse of :meth:`members`, for either order of i and j."""
        if self.ordered:
            return i * objects + j
        larger = torch.maximum(i, j) - self.shift
        before = torch.div(larger * (larger + 1), 2, rounding_mode="floor")
        return before + torch.minimum(i, j)

    def bias(self, values: Tensor) -> list[Tensor]:
        """(E, H) -> attention bias (n, H, L, L) of each group.

        0 for pairs left out, ``MASK_BIAS`` where j is padding.
        """
        if values.dtype is torch.bfloat16:
            # as the groups that add a mask, which is float32
            values = values.float()
        if len(self.parts) == 1:
            values_of_parts: Sequence[Tensor] = [values]
        else:
            values_of_parts = values.split([len(part.first) for part in self.parts])
        biases = []
        masks = padding_bias(self.rows)
        for part, part_values, mask in zip(self.parts, values_of_parts, masks, strict=True):
            biases.append(part.spread(part_values, mask))
        return biases


class _GroupPairs:
    """The pairs of one group."""

    def __init__(self, pairs: Pairs, group: Group) -> None:
        self.group = group
        self.ordered = pairs.ordered
        # whether every row has L objects, as far as pairs are concerned: in the dense form, which
        # must not depend on data, padding has pairs too
        uniform = isinstance(pairs.rows, Dense) or group.mask is None
        device = group.starts.device
        length = group.length
        rows = torch.arange(group.rows, device=device)  # (n,)

        # the row of each pair, and its number in that row
        if uniform:
            each = pairs.count(length)
            row = rows.unsqueeze(1).expand(-1, each).reshape(-1)  # (e,)
            number = torch.arange(each, device=device).expand(group.rows, -1).reshape(-1)  # (e,)
            row_start = rows * each  # (n,) first pair of the row
            objects: Any = length
            objects_of_row: Any = length
        else:
            each = pairs.count(group.counts)  # (n,)
            row_start = each.cumsum(0) - each
            total: int | None = None
            if group.host_counts is not None:
                # else the host would wait for the device to add them up
                total = int(pairs.count(group.host_counts).sum())
            row = torch.repeat_interleave(rows, each, output_size=total)
            number = torch.arange(len(row), device=device) - row_start.index_select(0, row)
            objects = group.counts.index_select(0, row)  # (e,)
            objects_of_row = group.counts[:, None, None]

        # the objects of each pair, in the list of all
        i, j = pairs.members(number, objects)  # (e,) places in the row
        start = group.starts.index_select(0, row)
        self.first = start + i
        self.second = start + j

        # the one or two slots of (n, L, L) that each pair's bias goes to: the way of gradients back
        corner = row * length * length
        self.slot = corner + i * length + j  # (e,)
        self.mirror_slot = corner + j * length + i  # (e,)
        self.is_diagonal = (i == j).unsqueeze(1)  # (e, 1)

        # the pair that each slot gets its bias from, e for none: the way forward
        place = torch.arange(length, device=device)
        pair_of_row = pairs.number(place[:, None], place, objects_of_row)  # (L, L) or (n, L, L)
        pair_of_slot = row_start[:, None, None] + pair_of_row  # (n, L, L)
        no_pair = row.shape[0]
        if pairs.shift:
            pair_of_slot = torch.where(place[:, None] == place, no_pair, pair_of_slot)
        if not uniform and group.mask is not None:
            both_real = group.mask.unsqueeze(1) & group.mask.unsqueeze(2)
            pair_of_slot = torch.where(both_real, pair_of_slot, no_pair)
        self.pair_of_slot = pair_of_slot.flatten()

    def spread(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """(e, H) -> (n, H, L, L), with ``mask`` (n, 1, 1, L) added."""
        group = self.group
        heads = values.shape[1]
        # slots without a pair take a row of zeros behind the others
        extended = torch.cat((values, values.new_zeros(1, heads)))
        if torch.onnx.is_in_onnx_export():
            # a graph knows elementary operations only
            spread = extended.index_select(0, self.pair_of_slot)
        else:
            spread = _Spread.apply(extended, self)
        bias = spread.view(group.rows, group.length, group.length, heads).permute(0, 3, 1, 2)
        if mask is None:
            return bias.contiguous()
        return bias + mask


class _Spread(Function):
    """Each pair's row to its one or two slots.

    The gradient comes back by index, which is quicker than adding up, and the same for each run.
    """

    @staticmethod
    def forward(context: Any, values: Tensor, pairs: _GroupPairs) -> Tensor:
        context.pairs = pairs
        return values.index_select(0, pairs.pair_of_slot)

    @staticmethod
    def backward(context: Any, grad: Tensor) -> tuple[Tensor, None]:
        pairs: _GroupPairs = context.pairs
        # the last row stands for no pair: it stays 0
        result = grad.new_zeros(len(pairs.slot) + 1, grad.shape[1])
        torch.index_select(grad, 0, pairs.slot, out=result[:-1])
        if not pairs.ordered:
            # a pair of an object with itself has one slot only
            mirrored = grad.index_select(0, pairs.mirror_slot)
            result[:-1] += mirrored.masked_fill_(pairs.is_diagonal, 0)
        return result, None


class PairMLP(nn.Sequential):
    """Batch norm, then 1x1 convolutions with batch norm and activation, on a list of pairs.

    In evaluation each batch norm is part of the weights beside it, so that a layer is one matrix
    product.
    """

    def __init__(
        self, d_in: int, sizes: Sequence[int], activation: type[nn.Module], activate_last: bool
    ) -> None:
        layers: list[nn.Module] = [ObjectNorm(d_in)]
        for size_in, size_out in pairwise([d_in, *sizes]):
            layers += [PointwiseLinear(size_in, size_out), ObjectNorm(size_out), activation()]
        if not activate_last:
            layers.pop()
        super().__init__(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """(E, C) -> (E, sizes[-1])."""
        if self.training:
            return super().forward(values)
        for weight, bias, activation in self._fold_norms():
            values = activation(functional.linear(values, weight, bias))
        return values

    def _fold_norms(self) -> Iterator[tuple[Tensor, Tensor, nn.Module]]:
        """Weight, bias and activation of each layer as it is in evaluation."""
        # norm, then linear, norm, activation of each layer; the last activation may be missing
        modules: list[Any] = [*self, nn.Identity()]
        before_scale, before_shift = _evaluation_affine(modules[0])
        layers = zip(modules[1::3], modules[2::3], modules[3::3], strict=False)
        for linear, norm, activation in layers:
            weight = linear.weight.squeeze(2)
            scale, shift = _evaluation_affine(norm)
            # W (a x + b) + c, times the norm's scale, plus its shift
            folded_weight = weight * before_scale * scale.unsqueeze(1)
            folded_bias = (linear.bias + weight @ before_shift) * scale + shift
            yield folded_weight, folded_bias, activation
            # only the first linear layer has a norm right before it
            before_scale = torch.ones_like(scale)
            before_shift = torch.zeros_like(scale)


def _evaluation_affine(norm: ObjectNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that batch norm is in evaluation."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


class PairEmbed(nn.Module):
    """Four-vectors of the objects, or given features of their pairs, or both -> attention bias.

    Parameters are named as weaver-core's: ``embed`` acts on ``lorentz`` features of
    :func:`~weaver_tt.nn.models.pair_features.pair_features`, ``fts_embed`` on ``extra`` given ones,
    and their outputs are added. Given features need not be symmetric: then all ordered pairs are
    computed. ``own``: an object has a bias for its attention to itself.

    Raises:
        ConfigError: there is no set of ``lorentz`` features, or ``extra`` is given without ``own``.
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
                "ParticleTransformer: remove_self_pair does not go with pair_extra_dim; "
                "leave one of them out"
            )
        self.lorentz = lorentz
        self.extra = extra
        self.own = own
        if lorentz:
            self.embed = PairMLP(lorentz, sizes, activation, activate_last)
        if extra:
            self.fts_embed = PairMLP(extra, sizes, activation, activate_last)

    def forward(
        self, rows: ObjectRows, vectors: Tensor | None, given: Tensor | None
    ) -> list[Tensor]:
        """Vectors (N, 4, P), given features (N, C', P, P) -> bias (n, H, L, L) of each group."""
        pairs = make_pairs(rows, self.extra > 0, self.own)
        embedded: list[Tensor] = []
        if self.lorentz and vectors is not None:
            features = features_of_pairs(vectors, rows, pairs, self.lorentz)
            embedded.append(self.embed(features))
        if self.extra and given is not None:
            listed = given_features(given, rows.slots, pairs.first, pairs.second)
            embedded.append(self.fts_embed(listed))
        values = embedded[0]
        if len(embedded) == 2:
            values = values + embedded[1]
        return pairs.bias(values)


@made_once
def make_pairs(rows: ObjectRows, ordered: bool, own: bool) -> Pairs:
    """The pairs of objects of the same row."""
    return Pairs(rows, ordered, own)


@made_once
def features_of_pairs(vectors: Tensor, rows: ObjectRows, pairs: Pairs, number: int) -> Tensor:
    """Features (E, number) of pairs of objects with these four-vectors (N, 4, P)."""
    return pair_features(rows.gather(vectors), pairs.first, pairs.second, number)
