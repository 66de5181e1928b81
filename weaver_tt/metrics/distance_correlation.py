"""The distance correlation of scores and variables, over some rows of a validation.

M rows, S signals, V variables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from weaver_tt.config.schema import spectator
from weaver_tt.metrics.base import Scored, SumMeter
from weaver_tt.system.distributed import rank, world_size

MAX_ROWS = 10_000  # of all ranks together: time grows with their square, to some seconds
BLOCK = 500  # rows whose distances to all others are in memory at a time


class DistanceCorrelationMeter(SumMeter):
    """``distance_correlation`` of the scores of signals and of variables in the background.

    All signals and variables together, each variable in units of its standard deviation; the root
    of what the term of disco is made of. Of more than ``MAX_ROWS`` rows of the background an even
    choice counts. Not measured in training, where it would take longer than the training.
    """

    directions: ClassVar[Mapping[str, str | None]] = {"distance_correlation": "min"}

    def __init__(
        self, variables: Sequence[str], signals: Sequence[int], background: Sequence[int]
    ) -> None:
        """``signals`` and ``background`` are numbers of classes."""
        self._variables = [spectator(name) for name in variables]
        self._signals = list(signals)
        self._background = list(background)
        width = 1 + len(self._signals) + len(self._variables)
        super().__init__(rows=(MAX_ROWS, width))  # weight, scores, variables
        # each rank has places of its own, so that rows of all of them add up
        self._places = MAX_ROWS // world_size()
        self._first = rank() * self._places
        self._seen = 0
        self._stride = 1  # one of so many rows is kept
        self._kept = 0

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Keep rows of probabilities (M, K) and classes (M,) of a validation or prediction."""
        # in training, losses have a graph
        if scored.target is None or (losses is not None and losses.requires_grad):
            return
        monitors = scored.monitors or {}
        if not all(name in monitors for name in self._variables):
            return
        numbers = torch.tensor(self._background, device=scored.target.device)
        chosen = torch.isin(scored.target, numbers)
        columns = [scored.weight, *scored.output[:, self._signals].T]
        columns += [monitors[name] for name in self._variables]
        found = torch.stack([column.double() for column in columns], 1)[chosen]
        found = found[found.isfinite().all(1)]
        self._keep(found)

    def _keep(self, found: Tensor) -> None:
        rows = self.sums_on(found.device)["rows"][self._first : self._first + self._places]
        while True:
            number = torch.arange(self._seen, self._seen + len(found), device=found.device)
            kept = found[number % self._stride == 0]
            if self._kept + len(kept) <= self._places:
                break
            # every other one of those that are there, so that they are an even choice again
            remaining = rows[: self._kept : 2].clone()
            rows.zero_()
            rows[: len(remaining)] = remaining
            self._kept = len(remaining)
            self._stride *= 2
        rows[self._kept : self._kept + len(kept)] = kept
        self._kept += len(kept)
        self._seen += len(found)

    def values(self, totals: Tensor) -> dict[str, float]:
        """``distance_correlation``; nothing where no row was kept."""
        rows = self.blocks(totals.cpu())["rows"]
        rows = rows[rows[:, 0] != 0]
        if not len(rows):
            return {}
        weight = rows[:, 0]
        scores = rows[:, 1 : 1 + len(self._signals)]
        variables = rows[:, 1 + len(self._signals) :]
        deviation = variables.std(0, correction=0)
        variables = variables / torch.where(deviation > 0, deviation, 1)
        return {"distance_correlation": distance_correlation(scores, variables, weight)}


def distance_correlation(scores: Tensor, variables: Tensor, weight: Tensor) -> float:
    """The distance correlation of scores (M, S) and variables (M, V), block by block.

    0 where one of them is constant, or weights (M,) add up to nothing.

    Source: Szekely, Rizzo and Bakirov, Ann. Statist. 35 (2007) 2769.
    """
    is_constant = [bool((values == values[:1]).all()) for values in (scores, variables)]
    total = weight.sum()
    if any(is_constant) or not total > 0:
        return 0.0
    share = weight / total
    means = [_mean_distances(values, share) for values in (scores, variables)]  # (M,) each
    sums = torch.zeros(3, dtype=torch.float64)  # covariance, both variances
    for first in range(0, len(share), BLOCK):
        block = slice(first, first + BLOCK)
        centred = []
        for values, mean in zip((scores, variables), means, strict=True):
            distances = torch.cdist(values[block], values)  # (BLOCK, M)
            centred.append(distances - mean[block, None] - mean + mean @ share)
        both = share[block, None] * share
        x, y = centred
        products = [(both * x * y).sum(), (both * x * x).sum(), (both * y * y).sum()]
        sums += torch.stack(products)
    covariance, of_scores, of_variables = sums.tolist()
    variances = of_scores * of_variables
    # signed weights may make them negative
    if variances <= 0 or covariance <= 0:
        return 0.0
    return math.sqrt(covariance / math.sqrt(variances))


def _mean_distances(values: Tensor, share: Tensor) -> Tensor:
    """The mean distance (M,) of each of the values (M, D) from all of them, by ``share`` (M,)."""
    parts = []
    for first in range(0, len(values), BLOCK):
        parts.append(torch.cdist(values[first : first + BLOCK], values) @ share)
    return torch.cat(parts)
