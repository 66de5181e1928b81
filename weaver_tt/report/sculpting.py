"""Mass sculpting: what a selection does to the background's spectrum of a variable.

Usually the mass of the jet, which a tagger should not depend on. S signal efficiencies, V bins of
the variable, B bins of the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from weaver_tt.figures.base import Array
from weaver_tt.metrics.divergence import Divergence, measure_divergence
from weaver_tt.metrics.sculpting import EFFICIENCIES, passing_shares
from weaver_tt.report.evaluation import EvaluatedModel


@dataclass(frozen=True)
class Sculpting:
    """Sums of w and w^2 of the background in each bin of the variable.

    ``every`` (2, V): all rows; ``passing`` (S, 2, V): those that pass.
    """

    every: Array
    passing: Array

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
