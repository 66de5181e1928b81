"""What counts once in a loss: the rows of a batch, or the real objects of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from weaver_tt.data.rows.batch import Batch
from weaver_tt.nn.objects.real_objects import find_objects
from weaver_tt.tasks.base import check_shape


class Entries:
    """The M entries of a batch of N rows: the rows themselves, or the objects of a ``group``."""

    def __init__(self, batch: Batch, group: str | None) -> None:
        self._batch = batch
        self._group = group
        self._objects = None if group is None else find_objects(batch.masks[group])

    def outputs(self, output: Tensor, names: list[str]) -> Tensor:
        """What the network gave, (N, K) or (N, K, P), or (N,) for one output of rows -> (M, K).

        Raises:
            ConfigError: it has another shape.
        """
        if self._objects is None:
            if output.ndim == 1:
                output = output.unsqueeze(1)  # (N, 1)
            check_shape(output, (self._batch.size, len(names)), names)
            return output
        rows, slots = self._objects.shape
        check_shape(output, (rows, len(names), slots), names)
        return self._objects.gather(output)

    def labels(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The labels of these ``names`` that the batch has, (M,) each."""
        known = {name: self._batch.labels[name] for name in names if name in self._batch.labels}
        if self._objects is None:
            return known
        return {name: self._objects.gather_values(values) for name, values in known.items()}

    def weight(self, like: Tensor) -> Tensor:
        """The event weight of each entry, (M,) beside ``like`` (M, K): that of its row, else 1."""
        of_rows = self._batch.weight
        if of_rows is None:
            return torch.ones(len(like), device=like.device)
        return of_rows if self._objects is None else self._objects.spread_row(of_rows)

    def counts(self, like: Tensor) -> Tensor:
        """How many entries there are of each row, (N,), those beyond an input's length included."""
        if self._group is None:
            return like.new_ones(self._batch.size).long()
        return self._batch.counts[self._group]


def to_jagged(
    values: np.ndarray[Any, Any], counts: np.ndarray[Any, Any], length: int | None
) -> ak.Array:
    """(M,) values of the first ``length`` objects of each row -> N lists of ``counts`` entries.

    Objects beyond ``length`` are NaN.
    """
    if length is not None and (counts > length).any():
        first_of_row = np.repeat(np.cumsum(counts) - counts, counts)
        place = np.arange(counts.sum()) - first_of_row  # of each object in its row
        full = np.full(len(place), math.nan, dtype=values.dtype)
        full[place < length] = values
        values = full
    return ak.unflatten(values, counts)
