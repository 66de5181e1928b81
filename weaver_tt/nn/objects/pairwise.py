"""Objects of a row and their ordered pairs, without padding (training) or dense (export), behind one interface.

Shapes: N rows, P slots, M real objects in all rows, E ordered pairs i != j of real objects of one row, C or H features, last dimension.
A network is written once for :class:`Layout`; ``objects`` and ``pairs`` below stand for the leading dimensions of its form:

    form                objects     pairs           used
    :class:`RealPairs`  (M,)        (E,)            training and evaluation: nothing is ever computed on padding
    :class:`DensePairs` (N, P)      (N, P, P)       ONNX: ``nonzero`` and ``index_add`` become silently wrong graphs there

Pairs are made when they are first asked for: a network of sets alone does not pay for them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layout(Protocol):
    """How the objects of a batch lie in memory, and sums over an object's partners or a row's objects."""

    @property
    def real(self) -> Tensor | None:
        """1 for real objects, 0 for padding, (objects, 1) float32; None where all are real."""

    def gather(self, features: Tensor) -> Tensor:
        """Padded features (N, C, P) -> (objects, C)."""

    def scatter(self, values: Tensor) -> Tensor:
        """(objects, C) -> padded (N, C, P), zero on padding."""

    def first(self, values: Tensor) -> Tensor:
        """Each pair's object i: (objects, C) -> (pairs, C), or of a shape that broadcasts to it."""

    def second(self, values: Tensor) -> Tensor:
        """Each pair's object j: (objects, C) -> (pairs, C), or of a shape that broadcasts to it."""

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        """``first_i + second_j`` of each pair: two (objects, H) -> a fresh (pairs, H), which may be changed in place."""

    def sum_partners(self, messages: Tensor) -> Tensor:
        """Sum over j of each i: (pairs, C) -> (objects, C), at least float32; 0 for an object without partner."""

    def mean_partners(self, messages: Tensor) -> Tensor:
        """Mean over j of each i: (pairs, C) -> (objects, C); 0 for an object without partner."""

    def sum_row(self, values: Tensor) -> Tensor:
        """Sum over the real objects of each row: (objects, C) -> (N, C), at least float32; 0 for an empty row."""

    def mean_row(self, values: Tensor) -> Tensor:
        """Mean over the real objects of each row: (objects, C) -> (N, C); 0 for an empty row."""

    def spread_row(self, values: Tensor) -> Tensor:
        """Give each object what its row has: (N, C) -> (objects, C), or of a shape that broadcasts to it."""


def make_layout(mask: Tensor, dense: bool = False) -> Layout:
    """The form in which to compute for ``mask`` (N, P), True for real objects: dense when asked, and always in an ONNX export."""
    return DensePairs(mask) if dense or torch.onnx.is_in_onnx_export() else RealPairs(mask)


def _accumulator(values: Tensor) -> torch.dtype:
    # sums of bf16 messages would round after each term
    return torch.promote_types(values.dtype, torch.float32)


class RealPairs:
    """Real objects one after another (M,), and their pairs (E,) sorted by first object.

    Only ``index_select``, ``index_add`` and ``index_copy`` move data: their backward is reproducible bit for bit on CPU with any number of
    threads, which that of ``values[index]`` is not. Masks may have holes.
    """

    def __init__(self, mask: Tensor) -> None:
        self.real: Tensor | None = None
        self.shape = mask.shape  # (N, P)
        self.slots = (
            mask.flatten().nonzero().squeeze(1)
        )  # (M,) place of each object among the N * P slots
        self.rows = torch.div(self.slots, mask.shape[1], rounding_mode="floor")  # (M,)
        self.counts = mask.sum(1)  # (N,) objects of each row

    @cached_property
    def partners(self) -> Tensor:
        """Partners of each object, (M,)."""
        return self.counts.index_select(0, self.rows) - 1

    @cached_property
    def _pairs(self) -> tuple[Tensor, Tensor]:
        """Indices of all ordered pairs, in time proportional to their number."""
        objects = torch.arange(len(self.rows), device=self.rows.device)  # (M,)
        row_start = (self.counts.cumsum(0) - self.counts).index_select(
            0, self.rows
        )  # (M,) first object of the object's row
        pair_start = self.partners.cumsum(0) - self.partners  # (M,) first pair of the object
        first = torch.repeat_interleave(objects, self.partners)  # (E,)
        rank = torch.arange(len(first), device=first.device) - pair_start.index_select(
            0, first
        )  # (E,) 0 .. partners - 1
        second = row_start.index_select(0, first) + rank
        return first, second + (second >= first)  # step over the object itself

    @property
    def i(self) -> Tensor:
        """Each pair's first object, (E,), among the M objects."""
        return self._pairs[0]

    @property
    def j(self) -> Tensor:
        """Each pair's second object, (E,), among the M objects."""
        return self._pairs[1]

    def gather(self, features: Tensor) -> Tensor:
        """(N, C, P) -> (M, C)."""
        return features.transpose(1, 2).flatten(0, 1).index_select(0, self.slots)

    def scatter(self, values: Tensor) -> Tensor:
        """(M, C) -> (N, C, P), zero on padding."""
        rows, places = self.shape
        padded = values.new_zeros(rows * places, values.shape[1]).index_copy(0, self.slots, values)
        return padded.view(rows, places, values.shape[1]).transpose(1, 2)

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
        return self._sum(messages, self.i, len(self.rows))

    def mean_partners(self, messages: Tensor) -> Tensor:
        """(E, C) -> (M, C)."""
        return self.sum_partners(messages) / self.partners.clamp(min=1).unsqueeze(1)

    def sum_row(self, values: Tensor) -> Tensor:
        """(M, C) -> (N, C)."""
        return self._sum(values, self.rows, self.shape[0])

    def mean_row(self, values: Tensor) -> Tensor:
        """(M, C) -> (N, C)."""
        return self.sum_row(values) / self.counts.clamp(min=1).unsqueeze(1)

    def spread_row(self, values: Tensor) -> Tensor:
        """(N, C) -> (M, C)."""
        return values.index_select(0, self.rows)

    @staticmethod
    def _sum(values: Tensor, target: Tensor, size: int) -> Tensor:
        accumulator = _accumulator(values)
        return values.new_zeros(size, values.shape[1], dtype=accumulator).index_add(
            0, target, values.to(accumulator)
        )


class DensePairs:
    """All P slots and P x P pairs of each row, with zeros where there is no object or no pair: elementary operations only, for ONNX."""

    def __init__(self, mask: Tensor) -> None:
        self.real = mask.unsqueeze(2).to(torch.float32)  # (N, P, 1)

    @cached_property
    def pair(self) -> Tensor:
        """1 for pairs of different real objects, 0 for others, (N, P, P, 1)."""
        slots = torch.arange(self.real.shape[1], device=self.real.device)
        other = (slots.unsqueeze(1) != slots.unsqueeze(0)).to(
            torch.float32
        )  # (P, P); a bool eye has no ONNX Runtime kernel
        both = self.real * self.real.transpose(1, 2)  # (N, P, P)
        return (both * other).unsqueeze(3)

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
        return (messages.to(_accumulator(messages)) * self.pair).sum(2)

    def mean_partners(self, messages: Tensor) -> Tensor:
        """(N, P, P, C) -> (N, P, C)."""
        return self.sum_partners(messages) / self.pair.sum(2).clamp(min=1)

    def sum_row(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, C)."""
        return (values.to(_accumulator(values)) * self.real).sum(1)

    def mean_row(self, values: Tensor) -> Tensor:
        """(N, P, C) -> (N, C)."""
        return self.sum_row(values) / self.real.sum(1).clamp(min=1)

    def spread_row(self, values: Tensor) -> Tensor:
        """(N, C) -> (N, 1, C)."""
        return values.unsqueeze(1)


class PairLinear(nn.Linear):
    """A linear layer on ordered pairs, ``W [x_i, x_j, e_ij] + b``, that never builds the pairs' inputs.

    ``W = [W1, W2, W3]``: ``W1 x_i + b`` and ``W2 x_j`` are computed once per object and added per pair; only ``W3 e_ij`` (when there are
    ``d_edge`` > 0 pair features) is computed per pair. The parameters are those of ``nn.Linear(2 * d_in + d_edge, d_out)``.
    """

    def __init__(self, d_in: int, d_out: int, d_edge: int = 0) -> None:
        super().__init__(2 * d_in + d_edge, d_out)
        self.d_in = d_in

    def forward(self, objects: Tensor, pairs: Layout, edges: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """(objects, d_in), and (pairs, d_edge) where the layer has pair features -> a fresh (pairs, d_out)."""
        first, second, third = self.weight.tensor_split((self.d_in, 2 * self.d_in), dim=1)
        sums = pairs.add(
            functional.linear(objects, first, self.bias), functional.linear(objects, second)
        )
        return sums if edges is None else sums + functional.linear(edges, third)
