"""ROC curves from histograms of a score: areas, background efficiencies, rejections, and the statistical errors of all of them.

A histogram holds w and w^2, summed over the entries of each of B bins that ascend in the score: (2, ..., B) with any number of dimensions between,
which are worked on together. Inside a bin the curve is a straight line: entries that share a bin count as ties.
"""

from __future__ import annotations

import torch
from torch import Tensor


def bin_scores(score: Tensor, half: int, scale: float) -> Tensor:
    """Bin of each score (any shape, real numbers), one of 2 * half + 1: equal steps of x / (scale + |x|).

    The bins grow from ``scale / half`` at 0 and the outermost reach infinity. The place of -x mirrors that of x, and 0 is the middle of a bin.
    """
    part = score.abs().add_(scale)
    return (
        torch.div(score, part, out=part).mul_(half).round_().add_(half).long()
    )  # few passes over memory: this is most of a meter's cost


def bin_centers(half: int, scale: float) -> Tensor:
    """Scores in the middle of :func:`bin_scores`'s bins, (2 * half + 1,); infinite at the ends."""
    steps = torch.arange(-half, half + 1, dtype=torch.float64) / half
    return scale * steps / (1 - steps.abs())


class Roc:
    """The curves of a signal against a background, from histograms (2, ..., B); NaN where one of them is empty."""

    def __init__(self, signal: Tensor, background: Tensor) -> None:
        self.signal, self.background = signal, background

    @property
    def area(self) -> Tensor:
        """P(signal above background) + P(equal) / 2, (...)."""
        return (self.signal[0] * self._below()).sum(-1) / self.signal[0].sum(-1)

    @property
    def area_error(self) -> Tensor:
        """Standard deviation of :attr:`area`, (...): DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, with each entry's weight."""
        area, below = self.area[..., None], self._below()
        above = 1 - _fraction_below(self.signal[0])
        variance = (self.signal[1] * (below - area) ** 2).sum(-1) / self.signal[0].sum(-1) ** 2
        return (
            variance
            + (self.background[1] * (above - area) ** 2).sum(-1) / self.background[0].sum(-1) ** 2
        ).sqrt()

    def _below(self) -> Tensor:
        """For each bin the share of the background below a signal entry there, (..., B)."""
        return _fraction_below(self.background[0])

    def background_efficiency(self, efficiency: Tensor) -> tuple[Tensor, Tensor]:
        """Share of the background that passes where a share ``efficiency`` (E,) of the signal does, and its standard deviation, both (..., E).

        The variance is that of the background's efficiency e at a fixed threshold, ((1 - e)^2 sum w^2 of those that pass + e^2 sum w^2 of the rest) /
        (sum w)^2, which is e (1 - e) / n for n entries without weights, plus what the finite signal adds: half the difference squared of e where the
        signal's efficiency is one standard deviation higher and lower.
        """
        signal, background = _passing(self.signal), _passing(self.background)
        grid = efficiency.to(signal).expand(*signal.shape[1:-1], -1).contiguous()
        at, spread = self._read(signal, background, grid)
        higher, _ = self._read(signal, background, (grid + spread).clamp(0, 1))
        lower, _ = self._read(signal, background, (grid - spread).clamp(0, 1))
        total = background[:, ..., -1:]
        variance = ((1 - at[0]) ** 2 * at[1] + at[0] ** 2 * (total[1] - at[1])) / total[0] ** 2
        return at[0], (variance.clamp(min=0) + ((higher[0] - lower[0]) / 2) ** 2).sqrt()

    @staticmethod
    def _read(signal: Tensor, background: Tensor, efficiency: Tensor) -> tuple[Tensor, Tensor]:
        """At signal efficiencies (..., E): the background's efficiency and sum of w^2, (2, ..., E); standard deviation of the signal's, (..., E)."""
        total = signal[:, ..., -1:]
        rising = (signal[0] / total[0]).cummax(-1).values  # negative weights may make it fall
        right = torch.searchsorted(rising.contiguous(), efficiency.contiguous()).clamp(
            1, rising.shape[-1] - 1
        )
        low, high = rising.gather(-1, right - 1), rising.gather(-1, right)
        part = torch.where(high > low, (efficiency - low) / (high - low), 0.0).clamp(0, 1)

        def read(sums: Tensor) -> Tensor:
            index = right.expand(2, *right.shape)
            before = sums.gather(-1, index - 1)
            return before + part * (sums.gather(-1, index) - before)

        squares = read(signal)[1]
        variance = ((1 - efficiency) ** 2 * squares + efficiency**2 * (total[1] - squares)) / total[
            0
        ] ** 2
        passed = read(background)
        known = torch.where(total[0] != 0, background[0, ..., -1:], torch.nan)
        return torch.stack([passed[0] / known, passed[1]]), variance.clamp(min=0).sqrt()

    def rejection(self, efficiency: Tensor) -> tuple[Tensor, Tensor]:
        """1 / background efficiency and its standard deviation, (..., E); infinite and NaN where no background passes."""
        value, error = self.background_efficiency(efficiency)
        return 1 / value.clamp(min=0), torch.where(value > 0, error / value**2, torch.nan)


def effective_entries(sums: Tensor) -> Tensor:
    """Effective number of entries (sum w)^2 / sum w^2 of histograms (2, ..., B): as many without weights would be as precise, (...)."""
    total = sums.sum(-1)
    return torch.where(total[1] > 0, total[0] ** 2 / total[1], 0.0)


def _fraction_below(histogram: Tensor) -> Tensor:
    """Share of a histogram's entries (..., B) below each bin, those in it counting half, (..., B)."""
    total = histogram.cumsum(-1)
    return (total - histogram / 2) / total[..., -1:]


def _passing(sums: Tensor) -> Tensor:
    """Sums (2, ..., B) of the entries above each of the B + 1 borders, from the highest, which none pass, to the lowest, (2, ..., B + 1)."""
    return torch.nn.functional.pad(sums.flip(-1).cumsum(-1), (1, 0))
