"""ROC curves from histograms of a score, with statistical errors.

A histogram holds w and w^2, summed over the entries of each of B bins that ascend in the score:
(2, ..., B), with any number of dimensions between, which are worked on together. Inside a bin the
curve is a straight line: entries that share a bin count as ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def bin_scores(score: Tensor, half: int, scale: float) -> Tensor:
    """Bin of each score (any shape, real numbers), one of 2 * half + 1.

    Equal steps of x / (scale + |x|): the bins grow from ``scale / half`` at 0, and the outermost
    reach infinity. The bin of -x mirrors that of x, and 0 is the middle of a bin.
    """
    share = score.abs().add_(scale)
    # in place, in few passes over memory: this is most of the cost of a meter
    torch.div(score, share, out=share)
    return share.mul_(half).round_().add_(half).long()


def bin_centers(half: int, scale: float) -> Tensor:
    """Scores in the middle of :func:`bin_scores`'s bins, (2 * half + 1,); infinite at the ends."""
    steps = torch.arange(-half, half + 1, dtype=torch.float64) / half
    return scale * steps / (1 - steps.abs())


def bin_borders(half: int, scale: float) -> Tensor:
    """Scores between :func:`bin_scores`'s bins, (2 * half + 2,); infinite at the ends."""
    steps = (torch.arange(-half, half + 2, dtype=torch.float64) - 0.5) / half
    # half of each outermost bin lies beyond what a score can be
    steps = steps.clamp(-1, 1)
    return scale * steps / (1 - steps.abs())


class Roc:
    """The curves of a signal against a background, from histograms (2, ..., B).

    Numbers are NaN where one of the two is empty.
    """

    def __init__(self, signal: Tensor, background: Tensor) -> None:
        self.signal = signal
        self.background = background

    @property
    def area(self) -> Tensor:
        """P(signal above background) + P(equal) / 2, (...)."""
        signal = self.signal[0]  # (..., B)
        below = _fraction_below(self.background[0])
        return _divide((signal * below).sum(-1), signal.sum(-1))

    @property
    def area_error(self) -> Tensor:
        """Standard deviation of :attr:`area`, (...), with the weight of each entry.

        Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837.
        """
        signal, signal_squares = self.signal  # (..., B) each
        background, background_squares = self.background
        area = self.area[..., None]
        # how much of the other class an entry of each bin beats
        below = _fraction_below(background)
        above = 1 - _fraction_below(signal)
        signal_deviations = signal_squares * (below - area) ** 2
        background_deviations = background_squares * (above - area) ** 2
        from_signal = _divide(signal_deviations.sum(-1), signal.sum(-1) ** 2)
        from_background = _divide(background_deviations.sum(-1), background.sum(-1) ** 2)
        return (from_signal + from_background).sqrt()

    def background_efficiency(self, efficiency: Tensor) -> tuple[Tensor, Tensor]:
        """Share of the background that passes where a share ``efficiency`` (E,) of the signal does.

        With its standard deviation, both (..., E). The variance has two parts: that of the
        background's efficiency e at a fixed threshold, ((1 - e)^2 sum w^2 of those that pass +
        e^2 sum w^2 of the others) / (sum w)^2, which is e (1 - e) / n for n entries without
        weights; and that of the finite signal, half the difference squared of e where the
        efficiency of the signal is one standard deviation higher and lower.
        """
        signal = _passing(self.signal)  # (2, ..., B + 1)
        background = _passing(self.background)
        curves = signal.shape[1:-1]
        grid = efficiency.to(signal).expand(*curves, -1).contiguous()  # (..., E)

        found, deviation = self._read(signal, background, grid)
        share, squares = found  # (..., E) each
        variance = _share_variance(share, squares, background)

        above = (grid + deviation).clamp(0, 1)
        below = (grid - deviation).clamp(0, 1)
        higher, _ = self._read(signal, background, above)
        lower, _ = self._read(signal, background, below)
        from_signal = (higher[0] - lower[0]) / 2
        return share, (variance + from_signal**2).sqrt()

    @staticmethod
    def _read(signal: Tensor, background: Tensor, efficiency: Tensor) -> tuple[Tensor, Tensor]:
        """The curve at signal efficiencies (..., E), from sums that pass, (2, ..., B + 1).

        Efficiency and sum of w^2 of the background, (2, ..., E), and the standard deviation of the
        signal's efficiency, (..., E).
        """
        thresholds = _find_thresholds(signal, efficiency)
        _, signal_squares = _read_sums(signal, thresholds)
        deviation = _share_variance(efficiency, signal_squares, signal).sqrt()
        passing, squares = _read_sums(background, thresholds)
        share = _divide(passing, background[0, ..., -1:])
        return torch.stack([share, squares]), deviation

    def rejection(self, efficiency: Tensor) -> tuple[Tensor, Tensor]:
        """1 / background efficiency and its standard deviation, (..., E).

        Infinite with an unknown (NaN) error where no background passes.
        """
        share, error = self.background_efficiency(efficiency)
        error = torch.where(share > 0, error / share**2, torch.nan)
        return 1 / share.clamp(min=0), error


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds (..., E) on a score in bins.

    What is above ``border`` passes, and of what shares the bin below it, ``part``.
    """

    border: Tensor  # (..., E) counted from the highest border
    part: Tensor  # (..., E) 0 to 1


def thresholds_at(histogram: Tensor, efficiency: Tensor) -> Thresholds:
    """The thresholds (..., E) that a share ``efficiency`` (E,) of a histogram (2, ..., B) passes.

    An empty histogram has none: the shares that pass are NaN (:func:`passing_share`).
    """
    sums = _passing(histogram)
    curves = sums.shape[1:-1]
    grid = efficiency.to(sums).expand(*curves, -1).contiguous()  # (..., E)
    return _find_thresholds(sums, grid)


def passing_share(histogram: Tensor, thresholds: Thresholds) -> tuple[Tensor, Tensor]:
    """Share of a histogram (2, ..., B) that passes, and its standard deviation, (..., E).

    The thresholds count as fixed numbers, wherever they come from.
    """
    sums = _passing(histogram)
    passing, squares = _read_sums(sums, thresholds)
    share = _divide(passing, sums[0, ..., -1:])
    return share, _share_variance(share, squares, sums).sqrt()


def _find_thresholds(passing: Tensor, efficiency: Tensor) -> Thresholds:
    """Where shares ``efficiency`` (..., E) pass, from sums (2, ..., B + 1); NaN without entries."""
    total = passing[0, ..., -1:]
    # negative weights may make it fall, and then it could not be searched
    rising = (passing[0] / total).cummax(-1).values  # (..., B + 1)
    right = torch.searchsorted(rising.contiguous(), efficiency.contiguous())
    right = right.clamp(1, rising.shape[-1] - 1)  # (..., E)

    # between two borders the curve is a straight line
    low = rising.gather(-1, right - 1)
    high = rising.gather(-1, right)
    part = (efficiency - low) / (high - low)
    part = torch.where(high > low, part, 0.0).clamp(0, 1)
    part = torch.where(total != 0, part, torch.nan)
    return Thresholds(right - 1, part)


def _read_sums(passing: Tensor, thresholds: Thresholds) -> Tensor:
    """Sums (2, ..., B + 1) at thresholds, (2, ..., E)."""
    index = thresholds.border.expand(2, *thresholds.border.shape)
    before = passing.gather(-1, index)
    after = passing.gather(-1, index + 1)
    return before + thresholds.part * (after - before)


def _divide(sums: Tensor, total: Tensor) -> Tensor:
    """Their quotient; NaN where the total is 0, as signed weights may make it, and not infinity."""
    return sums / torch.where(total != 0, total, torch.nan)


def effective_entries(sums: Tensor) -> Tensor:
    """Effective number of entries (sum w)^2 / sum w^2 of histograms (2, ..., B), (...).

    As many entries without weights would be as precise.
    """
    total, squares = sums.sum(-1)
    return torch.where(squares > 0, total**2 / squares, 0.0)


def _share_variance(share: Tensor, squares: Tensor, sums: Tensor) -> Tensor:
    """Variance of the share of the entries that passes a fixed threshold, (..., E).

    ``squares`` (..., E): sum of w^2 of those that pass; ``sums`` (2, ..., B + 1) as
    :func:`_passing` gives them, whose last entry is the sum of all.
    """
    total, total_squares = sums[:, ..., -1:]
    from_passing = (1 - share) ** 2 * squares
    from_failing = share**2 * (total_squares - squares)
    variance = _divide(from_passing + from_failing, total**2)
    # no term is below 0, but where all or none pass, rounding may leave a sum just below it
    return variance.clamp(min=0)


def _fraction_below(histogram: Tensor) -> Tensor:
    """Share of the entries of a histogram (..., B) below each bin, those in it counting half."""
    total = histogram.cumsum(-1)
    below = total - histogram / 2
    return _divide(below, total[..., -1:])


def _passing(sums: Tensor) -> Tensor:
    """Sums (2, ..., B) of the entries above each of the B + 1 borders, (2, ..., B + 1).

    From the highest border, which none pass, to the lowest.
    """
    from_above = sums.flip(-1).cumsum(-1)
    return torch.nn.functional.pad(from_above, (1, 0))
