"""Mass sculpting: what a selection does to the background's spectrum of a variable.

Usually the mass of the jet, which a tagger should not depend on. S signal efficiencies, V bins of
the variable, B bins of the score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from weaver_tt.figures.base import Array
from weaver_tt.metrics.divergence import Divergence, measure_divergence
from weaver_tt.metrics.sculpting import EFFICIENCIES, passing_shares
from weaver_tt.report.evaluation import EvaluatedModel


@dataclass(frozen=True)
class Rejection:
    """1 / eps_B with its binomial error; not finite where no row passes, NaN without rows."""

    value: float
    error: float


def rejection_of(passing: Array, every: Array) -> Rejection:
    """The rejection of rows, from sums of w and w^2, (2,), of those that pass and of all."""
    if not every[0] > 0:
        return Rejection(math.nan, math.nan)
    share = float(passing[0] / every[0])
    if not share > 0:
        return Rejection(math.inf, math.nan)
    # negative weights may bring a share above 1
    variance = max(share * (1 - share), 0.0) * float(every[1] / every[0] ** 2)
    return Rejection(1 / share, math.sqrt(variance) / share**2)


@dataclass(frozen=True)
class Sculpting:
    """Sums of w and w^2 of the background in each bin of the variable.

    ``every`` (2, V): all rows; ``passing`` (S, 2, V): those that pass.
    """

    every: Array
    passing: Array

    @property
    def rejections(self) -> list[Rejection]:
        """1 / eps_B of the rows in all bins, (S,)."""
        every = self.every.sum(-1)
        return [rejection_of(passing.sum(-1), every) for passing in self.passing]

    @property
    def rejections_in_bins(self) -> list[list[Rejection]]:
        """1 / eps_B in each bin of the variable at the same threshold, (S, V)."""
        return [list(map(rejection_of, passing.T, self.every.T)) for passing in self.passing]

    @property
    def divergences(self) -> list[Divergence | None]:
        """How far the shapes before and after are apart, (S,); None where nothing passes."""
        return [measure_divergence(passing, self.every) for passing in self.passing]


def measure_sculpting(
    model: EvaluatedModel, signal: int, efficiencies: Sequence[float] = EFFICIENCIES
) -> Sculpting:
    """Spectra of the background where shares ``efficiencies`` of the signal pass.

    ``signal`` is the number of a class, whose rows in all bins together set the thresholds. Rows
    of one bin of the score count as lying evenly in it. ``model`` is evaluated in bins of the
    variable, and rows in none of them do not count.
    """
    in_bins = [summary.scores[:, :, signal] for summary in model.in_bins]  # (2, K, B) each
    scores = torch.stack(in_bins)  # (V, 2, K, B)
    background = scores.sum(2) - scores[:, :, signal]  # (V, 2, B)
    of_signal = scores[:, 0, signal].sum(0)  # (B,)
    passing = []
    for efficiency in efficiencies:
        shares = passing_shares(of_signal, efficiency)
        passed = (background * shares).sum(-1)  # (V, 2)
        passing.append(passed.T)
    every = background.sum(-1).T
    return Sculpting(every.numpy(), torch.stack(passing).numpy())
