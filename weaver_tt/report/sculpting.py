"""Mass sculpting: what selecting with a tagger does to the background's spectrum of a variable it should not know, usually the jet's mass.

S signal efficiencies, V bins of the variable, B bins of the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from weaver_tt.figures.base import Array
from weaver_tt.report.evaluation import EvaluatedModel

EFFICIENCIES = (0.3, 0.5)  # of the signal, at which the background's spectrum is looked at


@dataclass(frozen=True)
class Sculpting:
    """Sums of w and w^2 of the background in each bin of the variable: ``every`` (2, V) row, and those ``passing`` (S, 2, V)."""

    every: Array
    passing: Array

    @property
    def distance(self) -> list[float | None]:
        """Jensen-Shannon divergence in bits between the shapes before and after, at each efficiency: 0 for equal shapes, 1 for shapes apart."""
        return [jensen_shannon(passing[0], self.every[0]) for passing in self.passing]


def measure_sculpting(
    model: EvaluatedModel, signal: int, efficiencies: Sequence[float] = EFFICIENCIES
) -> Sculpting:
    """The background's spectrum where shares ``efficiencies`` of the signal (class number ``signal``, all bins together) pass.

    ``model`` is judged in bins of the variable, of rows inside the bins only. The threshold is exact to a bin of the score.
    """
    scores = torch.stack([judged.scores[:, :, signal] for judged in model.in_bins])  # (V, 2, K, B)
    of_signal = scores[:, 0, signal].sum(0)  # (B,)
    background = scores.sum(2) - scores[:, :, signal]  # (V, 2, B)
    above = (
        of_signal.flip(0).cumsum(0).flip(0) / of_signal.sum()
    )  # (B,) share of the signal in this bin or a higher one
    first = [max(int((above >= efficiency).sum()) - 1, 0) for efficiency in efficiencies]
    passing = torch.stack([background[..., bin_number:].sum(-1).T for bin_number in first])
    return Sculpting(background.sum(-1).T.numpy(), passing.numpy())


def jensen_shannon(first: Array, second: Array) -> float | None:
    """Divergence in bits of two histograms (V,) as shapes (Lin, IEEE Trans. Inf. Theory 37 (1991) 145, Eq. 3.6); None where one is empty.

    Bins that negative weights pull below 0 count as empty.
    """
    shapes = np.clip([first, second], 0, None)
    total = shapes.sum(1, keepdims=True)
    if not total.all():
        return None
    shapes = shapes / total
    middle = shapes.mean(0)
    terms = np.where(
        shapes > 0,
        shapes * np.log2(np.where(shapes > 0, shapes, 1) / np.where(middle > 0, middle, 1)),
        0,
    )
    return float(terms.sum() / 2)
