"""Mass sculpting: what a selection does to the background's spectrum of a variable.

Usually the mass of the jet, which a tagger should not depend on. S signal efficiencies, V bins of
the variable, B bins of the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from weaver_tt.figures.base import Array
from weaver_tt.report.evaluation import EvaluatedModel

EFFICIENCIES = (0.3, 0.5)  # of the signal, at which the background's spectrum is compared


@dataclass(frozen=True)
class Sculpting:
    """Sums of w and w^2 of the background in each bin of the variable.

    ``every`` (2, V): all rows; ``passing`` (S, 2, V): those that pass.
    """

    every: Array
    passing: Array

    @property
    def distance(self) -> list[float | None]:
        """Jensen-Shannon divergence in bits between the shapes before and after, (S,).

        0 for equal shapes, 1 for shapes that do not overlap.
        """
        return [jensen_shannon(passing[0], self.every[0]) for passing in self.passing]


def measure_sculpting(
    model: EvaluatedModel, signal: int, efficiencies: Sequence[float] = EFFICIENCIES
) -> Sculpting:
    """Spectra of the background where shares ``efficiencies`` of the signal pass.

    ``signal`` is the number of a class, whose rows in all bins together set the thresholds, exact
    to a bin of the score. ``model`` is evaluated in bins of the variable, and rows in none of
    them do not count.
    """
    in_bins = [summary.scores[:, :, signal] for summary in model.in_bins]  # (2, K, B) each
    scores = torch.stack(in_bins)  # (V, 2, K, B)
    background = scores.sum(2) - scores[:, :, signal]  # (V, 2, B)
    of_signal = scores[:, 0, signal].sum(0)  # (B,)
    # share of the signal in this bin of the score or a higher one
    above = of_signal.flip(0).cumsum(0).flip(0) / of_signal.sum()  # (B,)
    passing = []
    for efficiency in efficiencies:
        # the last bin above which enough of the signal lies
        threshold = max(int((above >= efficiency).sum()) - 1, 0)
        passed = background[..., threshold:].sum(-1)  # (V, 2)
        passing.append(passed.T)
    every = background.sum(-1).T
    return Sculpting(every.numpy(), torch.stack(passing).numpy())


def jensen_shannon(first: Array, second: Array) -> float | None:
    """Divergence in bits of the shapes of two histograms (V,); None where one is empty.

    Bins below 0, from negative weights, count as empty.

    Source: Lin, IEEE Trans. Inf. Theory 37 (1991) 145, equation 3.6.
    """
    histograms = np.clip([first, second], 0, None)  # (2, V)
    totals = histograms.sum(1, keepdims=True)
    if not totals.all():
        return None
    shapes = histograms / totals
    mean = shapes.mean(0)
    # 0 log 0 is 0: empty bins get a logarithm that exists, and do not count
    numerator = np.where(shapes > 0, shapes, 1)
    denominator = np.where(mean > 0, mean, 1)
    terms = shapes * np.log2(numerator / denominator)
    return float(np.where(shapes > 0, terms, 0).sum() / 2)
