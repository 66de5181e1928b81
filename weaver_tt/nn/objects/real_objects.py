"""The real objects of padded rows as one list: what all forms without padding have in common.

Shapes: N rows, P slots, M real objects of all rows, C features, last dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weaver_tt.data.rows.host_counts import host_counts, is_traced, with_host_counts
from weaver_tt.data.rows.rows import Integers
from weaver_tt.nn.objects.sharing import made_once


class RealObjects:
    """The objects of ``mask`` (N, P), True for real ones, row after row; masks may have holes.

    ``shortest_first`` lists the rows by their number of objects, equal ones in the order of the
    mask; all that is said of rows here then has that order.

    Only ``index_select``, ``index_add`` and ``index_copy`` move data: their backward is
    reproducible bit for bit on CPU with any number of threads, which that of ``values[index]`` is
    not. Where the mask carries its counts
    (:func:`~weaver_tt.data.rows.host_counts.with_host_counts`), the host never waits for the
    device; else it waits once, to read them.
    """

    def __init__(self, mask: Tensor, shortest_first: bool = False) -> None:
        self.shape = mask.shape  # (N, P)
        slots = mask.shape[1]
        self.counts = mask.sum(1)  # (N,) objects of each row
        # the same on the host; None in a compiled or exported graph, which serves other rows too
        self.host_counts = counts_on_host(mask, self.counts)
        self.order: Tensor | None = None  # (N,) row of the mask that each row of the list is
        if shortest_first:
            self.counts, self.order = self.counts.sort(stable=True)
            mask = mask.index_select(0, self.order)
            if self.host_counts is not None:
                self.host_counts = np.sort(self.host_counts)
            self.restore = self.order.argsort()  # (N,)
        self.starts = self.counts.cumsum(0) - self.counts  # (N,) place of each row's first object
        number = None if self.host_counts is None else int(self.host_counts.sum())
        places = find_real(mask, number)  # (M,)
        self.rows = torch.div(places, slots, rounding_mode="floor")  # (M,) row of each object
        if self.order is not None:
            row_of_mask = self.order.index_select(0, self.rows)
            places = row_of_mask * slots + places % slots
        self.slots = places  # (M,) place of each object among the N * P slots of the mask

    def gather(self, features: Tensor) -> Tensor:
        """Padded features (N, C, P) -> (M, C)."""
        return features.transpose(1, 2).flatten(0, 1).index_select(0, self.slots)

    def gather_values(self, values: Tensor) -> Tensor:
        """One padded value of each object (N, P) -> (M,)."""
        return values.flatten().index_select(0, self.slots)

    def scatter(self, values: Tensor) -> Tensor:
        """(M, C) -> padded (N, C, P), zero on padding."""
        rows, slots = self.shape
        channels = values.shape[1]
        padded = values.new_zeros(rows * slots, channels).index_copy(0, self.slots, values)
        return padded.view(rows, slots, channels).transpose(1, 2)

    def sum_row(self, values: Tensor) -> Tensor:
        """Sum over the objects of each row: (M, C) -> (N, C), at least float32; 0 without any."""
        return sum_by_index(values, self.rows, self.shape[0])

    def mean_row(self, values: Tensor) -> Tensor:
        """Mean over the objects of each row: (M, C) -> (N, C); 0 without any."""
        return self.sum_row(values) / self.counts.clamp(min=1).unsqueeze(1)

    def spread_row(self, values: Tensor) -> Tensor:
        """Give each object what its row has: (N, ...) -> (M, ...)."""
        return values.index_select(0, self.rows)

    def restore_order(self, values: Tensor) -> Tensor:
        """Entries of rows (N, ...) in the order of the list -> in the order of the mask."""
        if self.order is None:
            return values
        return values.index_select(0, self.restore)


@made_once
def find_objects(mask: Tensor) -> RealObjects:
    """The real objects of ``mask`` (N, P)."""
    return RealObjects(mask)


def counts_on_host(mask: Tensor, counts: Tensor | None = None) -> Integers | None:
    """Objects of each row of ``mask`` (N, P) as the host knows them, (N,).

    None in a compiled or exported graph. Where the mask does not carry them, the host waits for the
    device: for ``counts`` (N,), if they are at hand there, else for the sums of the mask.
    """
    if is_traced():
        return None
    known = host_counts(mask)
    if known is not None:
        return known
    # on a CPU, that is no copy and no waiting
    return (mask.sum(1) if counts is None else counts).cpu().numpy()


def find_real(mask: Tensor, number: int | None = None) -> Tensor:
    """Flat indices (M,) of the entries of ``mask`` that are True, in order.

    With their ``number`` M the host does not wait for the device to count them.
    """
    flat = mask.flatten()
    # on the CPU there is nobody to wait for, and nonzero is quicker
    if number is None or flat.device.type == "cpu":
        return flat.nonzero().squeeze(1)
    return _find_known_number(flat, number)


def _find_known_number(flat: Tensor, number: int) -> Tensor:
    # torch.nonzero_static does this on a GPU from torch 2.6 on, and crashes on empty masks there
    rank = flat.cumsum(0) - 1
    # each real entry writes its index to the place of its rank, all others to a spare place behind
    place = torch.where(flat, rank, number)
    index = torch.arange(len(flat), device=flat.device)
    return index.new_empty(number + 1).scatter(0, place, index)[:number]


def at_least_float32(values: Tensor) -> Tensor:
    """``values`` in a precision that sums can be made in: bf16 would round after each term."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def sum_by_index(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sum of the rows of ``values`` (M, C) with the same ``index`` (M,): (size, C).

    At least float32.
    """
    values = at_least_float32(values)
    return values.new_zeros(size, values.shape[1]).index_add(0, index, values)


@made_once
def real_slots(mask: Tensor) -> Tensor:
    """A mask as networks take it, (N, 1, P), not 0 for real objects -> bool (N, P).

    It goes on carrying its counts.
    """
    return with_host_counts(mask.squeeze(1) != 0, host_counts(mask))


@made_once
def join_slots(values: Sequence[Tensor]) -> Tensor:
    """Padded values (N, C, P) of several kinds of objects -> one of all kinds side by side."""
    return torch.cat(list(values), dim=2)


@made_once
def join_masks(masks: Sequence[Tensor]) -> Tensor:
    """Masks (N, P) of several kinds of objects -> one of all kinds side by side, (N, 1, P).

    That is the form in which networks take masks. It carries its counts where all of them do.
    """
    known = [counts for mask in masks if (counts := host_counts(mask)) is not None]
    total = np.sum(known, axis=0) if len(known) == len(masks) else None
    return with_host_counts(torch.cat(list(masks), dim=1).unsqueeze(1), total)
