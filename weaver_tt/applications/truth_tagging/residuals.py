"""Relative residuals of jet efficiencies, (true - estimated) / true.

Histograms for the figure, exact moments for the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.truth_tagging.jets import Floats, Integers
from weaver_tt.physics.particles import FLAVOURS

EDGES = np.linspace(-1, 1, 101)
POWERS = 5  # r^0 to r^4, which give mean, RMS and the error of the RMS


@dataclass
class Residuals:
    """Residuals of one estimate, for each flavour in ``FLAVOURS`` order.

    ``counts`` (3, B) in ``EDGES``; over all jets, ``powers`` (3, 5) are the sums of w r^0 … w r^4,
    ``square`` (3,) that of w^2.
    """

    counts: Floats = field(default_factory=lambda: np.zeros((len(FLAVOURS), len(EDGES) - 1)))
    powers: Floats = field(default_factory=lambda: np.zeros((len(FLAVOURS), POWERS)))
    square: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))

    def fill(self, true: Floats, estimate: Floats, flavour: Integers, weight: Floats) -> None:
        """Add jets (M,); those without an estimate count nowhere."""
        # the network has no estimate, NaN, for jets beyond its length
        known = np.isfinite(estimate)
        true = true[known]
        residual = (true - estimate[known]) / true
        flavour = flavour[known]
        weight = weight[known]
        for number in range(len(FLAVOURS)):
            is_flavour = flavour == number
            r = residual[is_flavour]
            w = weight[is_flavour]
            self.counts[number] += np.histogram(r, EDGES, weights=w)[0]
            self.powers[number] += [(w * r**power).sum() for power in range(POWERS)]
            self.square[number] += (w**2).sum()

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and RMS of each flavour that has jets, with their statistical errors.

        The RMS is about the mean, as in ROOT.
        """
        summaries = {}
        for number, name in enumerate(FLAVOURS):
            if self.powers[number, 0] > 0:
                summaries[name] = self._flavour_summary(number)
        return summaries

    def _flavour_summary(self, number: int) -> dict[str, float]:
        total = self.powers[number, 0]
        _, mean, mean_square, mean_cube, mean_fourth = self.powers[number] / total
        variance = max(mean_square - mean**2, 0.0)
        # fourth moment about the mean
        fourth = mean_fourth - 4 * mean * mean_cube + 6 * mean**2 * mean_square - 3 * mean**4
        entries = total**2 / self.square[number]
        rms = float(np.sqrt(variance))
        rms_error = 0.0
        if rms > 0:
            # half the relative error of the variance
            variance_error = np.sqrt(max(fourth - variance**2, 0.0) / entries)
            rms_error = float(variance_error / (2 * rms))
        return {
            "mean": float(mean),
            "mean_error": rms / float(np.sqrt(entries)),
            "rms": rms,
            "rms_error": rms_error,
            "jets": float(entries),
        }
