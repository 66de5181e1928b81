"""Objects of a row and their ordered pairs, without padding or dense, behind one interface.

Shapes: N rows, P slots, M real objects in all rows, E ordered pairs i != j of real objects of one
row, C or H features, last dimension. A network is written once for :class:`Layout`; ``objects`` and
``pairs`` below stand for the leading dimensions of its form:

    form                objects     pairs           used
    :class:`RealPairs`  (M,)        (E,)            training and evaluation: nothing on padding
    :class:`DensePairs` (N, P)      (N, P, P)       ONNX, which makes wrong graphs of ``index_add``

Pairs are made when they are first asked for: a network of sets alone does not pay for them. Pairs
of a few neighbours each, and all pairs of rows of similar length, are in ``partners.py``.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.nn.objects.real_objects import RealObjects, at_least_float32, sum_by_index
from weaver_tt.nn.objects.sharing import made_once


class Pairs(Protocol):
    """Which objects make pairs, and sums over an object's partners."""

    def first(self, values: Tensor) -> Tensor:
        """Each pair's object i: (objects, C) -> (pairs, C), or of a shape that broadcasts to it."""

    def second(self, values: Tensor) -> Tensor:
        """Each pair's object j: (objects, C) -> (pairs, C), or of a shape that broadcasts to it."""

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        """``first_i + second_j`` of each pair: two (objects, H) -> (pairs, H).

        The result is fresh, so that it may be changed in place.
        """

    def sum_partners(self, messages: Tensor) -> Tensor:
        """Sum over j of each i: (pairs, C) -> (objects, C), at least float32; 0 without partner."""

    def mean_partners(self, messages: Tensor) -> Tensor:
        """Mean over j of each i: (pairs, C) -> (objects, C); 0 without partner."""


class Layout(Pairs, Protocol):
    """How the objects of a batch lie in memory, their pairs, and sums over a row's objects."""

    @property
    def real(self) -> Tensor | None:
        """1 for real objects, 0 for padding, (objects, 1) float32; None where all are real."""

    def gather(self, features: Tensor) -> Tensor:
        """Padded features (N, C, P) -> (objects, C)."""

    def scatter(self, values: Tensor) -> Tensor:
        """(objects, C) -> padded (N, C, P), zero on padding."""

    def sum_row(self, values: Tensor) -> Tensor:
        """Sum over the real objects of each row: (objects, C) -> (N, C), at least float32.

        0 for an empty row.
        """

    def mean_row(self, values: Tensor) -> Tensor:
        """Mean over the real objects of each row: (objects, C) -> (N, C); 0 for an empty row."""

    def spread_row(self, values: Tensor) -> Tensor:
        """Give each object what its row has: (N, C) -> (objects, C), or a shape that broadcasts."""


@made_once
def make_layout(mask: Tensor, dense: bool = False) -> Layout:
    """The form in which to compute for ``mask`` (N, P), True for real objects.

    Dense when asked, and always in an ONNX export.
    """
    if dense or torch.onnx.is_in_onnx_export():
        return DensePairs(mask)
    return RealPairs(mask)


class RealPairs(RealObjects):
    """Real objects one after another (M,), and their pairs (E,) sorted by first object."""

    real: Tensor | None = None

    @cached_property
    def partners(self) -> Tensor:
        """Partners of each object, (M,)."""
        return self.spread_row(self.counts) - 1

    @cached_property
    def _pairs(self) -> tuple[Tensor, Tensor]:
        """Indices of all ordered pairs, in time proportional to their number."""
        objects = torch.arange(len(self.rows), device=self.rows.device)  # (M,)
        number: int | None = None  # E
        if self.host_counts is not None:
            number = int((self.host_counts * (self.host_counts - 1)).sum())
        # each object is i of as many pairs as it has partners; without their number, the host would
        # wait for the device to add them up
        first = torch.repeat_interleave(objects, self.partners, output_size=number)  # (E,)
        pair_start = self.partners.cumsum(0) - self.partners  # (M,) first pair of the object
        pairs = torch.arange(len(first), device=first.device)
        rank = pairs - pair_start.index_select(0, first)  # (E,) 0 … partners - 1
        # j runs over the objects of the row of i
        row_start = self.spread_row(self.starts)  # (M,) first object of the object's row
        second = row_start.index_select(0, first) + rank
        # and steps over i itself
        return first, second + (second >= first)

    @property
    def i(self) -> Tensor:
        """Each pair's first object, (E,), among the M objects."""
        return self._pairs[0]

    @property
    def j(self) -> Tensor:
        """Each pair's second object, (E,), among the M objects."""
        return self._pairs[1]

    def first(self, values: Tensor) -> Tensor:
        """(M, C) -> (E, C)."""
        return values.index_select(0, self.i)

    def second(self, values: Tensor) -> Tensor:
        """(M, C) -> (E, C)."""
        return values.index_select(0, self.j)

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (M, H) -> (E, H)."""
        return self.first(first).add_(self.second(second))

    def sum_partners(self, messages: Tensor) -> Tensor:
        """(E, C) -> (M, C)."""
        return sum_by_index(messages, self.i, len(self.rows))

    def mean_partners(self, messages: Tensor) -> Tensor:
        """(E, C) -> (M, C)."""
        return self.sum_partners(messages) / self.partners.clamp(min=1).unsqueeze(1)


class DensePairs:
    """All P slots and P x P pairs of each row, with zeros where there is no object or no pair.

    Elementary operations only, for ONNX.
    """

    def __init__(self, mask: Tensor) -> None:
        self.real = mask.unsqueeze(2).to(torch.float32)  # (N, P, 1)

    @cached_property
    def pair(self) -> Tensor:
        """1 for pairs of different real objects, 0 for others, (N, P, P, 1)."""
        slots = torch.arange(self.real.shape[1], device=self.real.device)
        # not torch.eye, as a bool one has no ONNX Runtime kernel
        is_other = slots.unsqueeze(1) != slots.unsqueeze(0)  # (P, P)
        both_real = self.real * self.real.transpose(1, 2)  # (N, P, P)
        return (both_real * is_other.to(torch.float32)).unsqueeze(3)

    def gather(self, features: Tensor) -> Tensor:
        """(N, C, P) -> (N, P, C), padding included."""
        return features.transpose(1, 2)

    def scatter(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, C, P), zero on padding."""
        return (values * self.real).transpose(1, 2)

    def first(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, P, 1, C)."""
        return values.unsqueeze(2)

    def second(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, 1, P, C)."""
        return values.unsqueeze(1)

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (N, P, H) -> (N, P, P, H)."""
        return self.first(first) + self.second(second)

    def sum_partners(self, messages: Tensor) -> Tensor:
        """(N, P, P, C) -> (N, P, C)."""
        return (at_least_float32(messages) * self.pair).sum(2)

    def mean_partners(self, messages: Tensor) -> Tensor:
        """(N, P, P, C) -> (N, P, C)."""
        return self.sum_partners(messages) / self.pair.sum(2).clamp(min=1)

    def sum_row(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, C)."""
        return (at_least_float32(values) * self.real).sum(1)

    def mean_row(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, C)."""
        return self.sum_row(values) / self.real.sum(1).clamp(min=1)

    def spread_row(self, values: Tensor) -> Tensor:
        """(N, C) -> (N, 1, C)."""
        return values.unsqueeze(1)


class PairLinear(nn.Linear):
    """A linear layer on ordered pairs, ``W [x_i, x_j, e_ij] + b``.

    It never builds the pairs' inputs. ``W = [W1, W2, W3]``: ``W1 x_i + b`` and ``W2 x_j`` are
    computed once per object and added per pair; only ``W3 e_ij`` (when there are ``d_edge`` > 0
    pair features) is computed per pair. The parameters are those of ``nn.Linear(2 * d_in + d_edge,
    d_out)``.
    """

    def __init__(self, d_in: int, d_out: int, d_edge: int = 0) -> None:
        super().__init__(2 * d_in + d_edge, d_out)
        self.d_in = d_in

    def forward(  # type: ignore[override]
        self, objects: Tensor, pairs: Pairs, edges: Tensor | None = None
    ) -> Tensor:
        """(objects, d_in), and (pairs, d_edge) with pair features -> a fresh (pairs, d_out)."""
        first, second, third = self.weight.tensor_split((self.d_in, 2 * self.d_in), dim=1)
        of_first = functional.linear(objects, first, self.bias)
        of_second = functional.linear(objects, second)
        sums = pairs.add(of_first, of_second)
        if edges is None:
            return sums
        return sums + functional.linear(edges, third)
