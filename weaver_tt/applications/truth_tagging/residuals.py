"""Relative residuals of jet efficiencies, (true - estimated) / true: histograms for the figure, exact moments for the numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.truth_tagging.jets import Floats, Integers
from weaver_tt.physics.particles import FLAVOURS

EDGES = np.linspace(-1, 1, 101)


@dataclass
class Residuals:
    """Of one estimate, for each flavour in ``FLAVOURS`` order: ``counts`` (3, B) in ``EDGES``, and sums over all jets.

    ``powers`` (3, 5) are the sums of w r^0 … w r^4, ``square`` (3,) that of w^2.
    """

    counts: Floats = field(default_factory=lambda: np.zeros((len(FLAVOURS), len(EDGES) - 1)))
    powers: Floats = field(default_factory=lambda: np.zeros((len(FLAVOURS), 5)))
    square: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))

    def fill(self, true: Floats, estimate: Floats, flavour: Integers, weight: Floats) -> None:
        """Add jets (M,); those without an estimate, which are beyond the network's length, count nowhere."""
        known = np.isfinite(estimate)
        residual = (true[known] - estimate[known]) / true[known]
        for number in range(len(FLAVOURS)):
            here = flavour[known] == number
            r, w = residual[here], weight[known][here]
            self.counts[number] += np.histogram(r, EDGES, weights=w)[0]
            self.powers[number] += [(w * r**power).sum() for power in range(5)]
            self.square[number] += (w**2).sum()

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and RMS (about the mean, as ROOT has it) of each flavour that has jets, with their statistical errors."""
        return {
            name: self._of(number)
            for number, name in enumerate(FLAVOURS)
            if self.powers[number, 0] > 0
        }

    def _of(self, number: int) -> dict[str, float]:
        total = self.powers[number, 0]
        raw = self.powers[number] / total
        mean, mean_square = raw[1], raw[2]
        variance = max(mean_square - mean**2, 0.0)
        fourth = raw[4] - 4 * mean * raw[3] + 6 * mean**2 * mean_square - 3 * mean**4
        entries = total**2 / self.square[number]
        rms = float(np.sqrt(variance))
        rms_error = (
            float(np.sqrt(max(fourth - variance**2, 0.0) / entries) / (2 * rms)) if rms > 0 else 0.0
        )  # error of a sample variance
        return {
            "mean": float(mean),
            "mean_error": rms / float(np.sqrt(entries)),
            "rms": rms,
            "rms_error": rms_error,
            "jets": float(entries),
        }
