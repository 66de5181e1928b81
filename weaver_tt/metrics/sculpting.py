"""How far a selection by a score sculpts the background's spectrum of a variable, in an epoch.

S signals, V bins of the variable, B bins of the score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from weaver_tt.config.schema import spectator
from weaver_tt.metrics.base import Scored, SumMeter, fill_histograms, label_endings
from weaver_tt.metrics.classification import MIN_SCORE
from weaver_tt.metrics.classifier_summary import json_number
from weaver_tt.metrics.divergence import Array, Divergence, measure_divergence
from weaver_tt.metrics.roc import bin_scores

EFFICIENCIES = (0.3, 0.5)  # of the signal, at which the background's spectrum is compared
UNKNOWN = 1.0  # bits, the largest divergence: where not a row of the background passes
MAX_SUMS = 1 << 21  # of all histograms together: with many bins of variables scores get fewer
MIN_HALF = 31  # but not fewer than this to each side of 0
MOMENTS = 6  # sums of w, w x, w y, w x^2, w y^2 and w x y


def variable_bins(values: Tensor, edges: Sequence[float]) -> Tensor:
    """The bin (M,) of each of the ``values`` (M,), one of V = len(edges) - 1.

    A value on an edge belongs to the bin above it; the outermost bins are open.
    """
    inner = torch.tensor(edges[1:-1], dtype=torch.float64, device=values.device)
    return torch.bucketize(values.double(), inner, right=True)


def passing_shares(signal: Tensor, efficiency: float) -> Tensor:
    """The share of the rows in each bin of the score (B,) that passes a threshold.

    It is that at which a share ``efficiency`` of a signal (B,) passes: 1 above the threshold, 0
    below it, and in its bin what is missing, as if its rows lay evenly in it.
    """
    total = signal.sum()
    above = signal.flip(0).cumsum(0).flip(0) / total  # (B,), with the bin itself
    # negative weights may make it fall, and then it could not be searched
    above = above.flip(0).cummax(0).values.flip(0)
    place = max(int((above >= efficiency).sum()) - 1, 0)
    shares = torch.zeros_like(signal)
    shares[place + 1 :] = 1
    beyond = float(above[place + 1]) if place + 1 < len(above) else 0.0
    inside = float(above[place]) - beyond
    shares[place] = (efficiency - beyond) / inside if inside > 0 else 1.0
    return shares.clamp(0, 1)


@dataclass(frozen=True)
class BackgroundSpectra:
    """Sums of w and w^2 of the background in each bin of the variable: (2, V)."""

    every: Array
    passing: Array  # of the rows that pass

    @property
    def divergence(self) -> Divergence | None:
        """How far both shapes are apart; None where one of them is empty."""
        return measure_divergence(self.passing, self.every)


class SculptingMeter(SumMeter):
    """``sculpting@0.5``, ``sculpting_excess@0.5`` and ``correlation`` of a variable and a score.

    The sculpting is the Jensen-Shannon divergence in bits of the background's spectrum where a
    share of the signal passes from that of all background, its excess what it has beyond that of a
    random selection of as many rows; both are 1 where none passes. The correlation is Pearson's of
    the score and the variable in the background. With several signals each name ends in the signal,
    with several variables in the variable, too. Negative weights may make a spectrum negative in
    some bin, which counts as empty.

    Rows count of which the variable is known.
    """

    SCALE = 1.0  # finer bins than those of ROC curves: decorrelated scores may lie close together
    directions: ClassVar[Mapping[str, str | None]] = {
        "sculpting": "min",
        "sculpting_excess": "min",
        "correlation": "zero",
    }

    def __init__(
        self,
        variable: str,
        edges: Sequence[float] | None,
        classes: Sequence[str],
        signals: Sequence[str],
        background: Sequence[str],
        ending: str = "",
        half: int = 511,
    ) -> None:
        """``variable`` is decorrelated; ``ending`` is that of its metrics' names.

        Without ``edges`` nothing is measured: metrics have names alone.

        ``signals`` and ``background`` are among the ``classes`` of the K scores.
        """
        self.variable = variable
        self._is_measured = edges is not None
        self.edges = (0.0, 1.0) if edges is None else tuple(edges)
        self._signals = [classes.index(name) for name in signals]
        self._background = [classes.index(name) for name in background]
        self._endings = [f"{end}{ending}" for end in label_endings(list(signals))]
        self._classes = list(classes)
        number = len(self._signals)
        bins = len(self.edges) - 1
        largest_half = MAX_SUMS // (4 * number * bins)
        self.half = max(min(half, largest_half), MIN_HALF)
        self._score_bins = 2 * self.half + 1
        super().__init__(
            background=(2, number, bins, self._score_bins),  # w and w^2
            signal=(number, self._score_bins),  # w of each signal by its own score
            moments=(MOMENTS, number, bins),
        )

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) probabilities and (M,) classes; nothing where the variable is not there."""
        values = (scored.monitors or {}).get(spectator(self.variable))
        if scored.target is None or values is None or not self._is_measured:
            return
        output = scored.output[:, : len(self._classes)].float().nan_to_num()
        weight = scored.weight.double()
        sums = self.sums_on(output.device)
        # a weight of 0 alone would not do: 0 times NaN is NaN
        is_known = values.isfinite()
        variable = torch.where(is_known, values, 0.0).double()  # (M,)
        variable_bin = variable_bins(variable, self.edges)
        is_background = torch.isin(
            scored.target, torch.tensor(self._background, device=output.device)
        )
        of_background = weight * (is_background & is_known)  # (M,)
        bins = len(self.edges) - 1
        for number, signal in enumerate(self._signals):
            score = output[:, signal]
            score_bin = self._bins_of(output, signal)
            of_signal = weight * (scored.target == signal)
            fill_histograms(sums["signal"][number][None], score_bin, [of_signal])
            cell = variable_bin * self._score_bins + score_bin
            squares = of_background.square()
            fill_histograms(sums["background"][:, number], cell, [of_background, squares])
            x = score.double()
            quantities = [of_background * part for part in (x, variable, x * x, variable**2)]
            quantities += [of_background * x * variable]
            cell = number * bins + variable_bin
            fill_histograms(sums["moments"], cell, [of_background, *quantities])

    def _bins_of(self, output: Tensor, signal: int) -> Tensor:
        """Bin (M,) of the score log(s_k / sum of the others) of a signal k."""
        own = output[:, signal]
        others = torch.ones(len(self._classes), device=output.device)
        others[signal] = 0
        # the others are added up, for 1 - s_k would cancel
        rest = (output @ others).clamp(min=MIN_SCORE)
        score = own.clamp(min=MIN_SCORE).log() - rest.log()
        return bin_scores(score, self.half, self.SCALE)

    def values(self, totals: Tensor) -> dict[str, float]:
        """Scalars by name; NaN where there is no signal or no background at all."""
        blocks = self.blocks(totals.cpu())
        values: dict[str, float] = {}
        if not blocks["background"].any() and not blocks["signal"].any():
            return values
        for number, end in enumerate(self._endings):
            for efficiency in EFFICIENCIES:
                value, excess = self._sculpting(totals, number, efficiency)
                values[f"sculpting@{efficiency}{end}"] = value
                values[f"sculpting_excess@{efficiency}{end}"] = excess
            values[f"correlation{end}"] = correlation(blocks["moments"][:, number].sum(1))
        return values

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Of the divergences, whose excess has the same: what random rows have is known."""
        errors = {}
        for number, end in enumerate(self._endings):
            for efficiency in EFFICIENCIES:
                found = self.spectra(totals, number, efficiency)
                divergence = None if found is None else found.divergence
                if divergence is not None:
                    errors[f"sculpting@{efficiency}{end}"] = divergence.error
                    errors[f"sculpting_excess@{efficiency}{end}"] = divergence.error
        return errors

    def _sculpting(self, totals: Tensor, number: int, efficiency: float) -> tuple[float, float]:
        """Divergence and its excess for a signal."""
        found = self.spectra(totals, number, efficiency)
        if found is None or not found.every[0].sum() > 0:
            return math.nan, math.nan
        divergence = found.divergence
        if divergence is None:
            # nobody knows what would pass: a training must neither choose this nor end here
            return UNKNOWN, UNKNOWN
        return divergence.value, divergence.excess

    def spectra(self, totals: Tensor, number: int, efficiency: float) -> BackgroundSpectra | None:
        """The background's spectra where a share ``efficiency`` of a signal passes.

        None without that signal.
        """
        blocks = self.blocks(totals.cpu())
        of_signal = blocks["signal"][number]  # (B,)
        if not of_signal.sum() > 0:
            return None
        shares = passing_shares(of_signal, efficiency)
        background = blocks["background"][:, number]  # (2, V, B)
        every = background.sum(-1)
        passing = (background * shares).sum(-1)
        return BackgroundSpectra(every.numpy(), passing.numpy())

    def details(self, totals: Tensor) -> dict[str, Any]:
        """``sculpting``: of the variable and each signal the divergences, with errors, and more.

        The profile has, in each bin of the variable, the mean score of the background and the
        correlation inside of the bin.
        """
        if not self.values(totals):
            return {}
        blocks = self.blocks(totals.cpu())
        of_signals: dict[str, Any] = {}
        for number, signal in enumerate(self._signals):
            own: dict[str, Any] = {"edges": list(self.edges)}
            for efficiency in EFFICIENCIES:
                spectra = self.spectra(totals, number, efficiency)
                divergence = None if spectra is None else spectra.divergence
                if divergence is not None:
                    own[str(efficiency)] = {
                        "jensen_shannon_bits": json_number(divergence.value, divergence.error),
                        "random_selection": divergence.random,
                        "excess": json_number(divergence.excess, divergence.error),
                    }
            moments = blocks["moments"][:, number]  # (MOMENTS, V)
            own["correlation"] = _finite_or_none(correlation(moments.sum(1)))
            own["profile"] = [_profile(in_bin) for in_bin in moments.T]
            of_signals[self._classes[signal]] = own
        return {"sculpting": {self.variable: of_signals}}


def _profile(moments: Tensor) -> dict[str, float | None]:
    """Mean score and correlation in a bin of the variable, from its moments (MOMENTS,)."""
    weight, score = moments[:2].tolist()
    return {
        "sum_of_weights": weight,
        "mean_score": score / weight if weight > 0 else None,
        "correlation": _finite_or_none(correlation(moments)),
    }


def correlation(moments: Tensor) -> float:
    """Pearson's correlation from sums of w, wx, wy, wx^2, wy^2 and wxy, (6,).

    NaN where nothing was added, 0 where x or y is constant.
    """
    weight = float(moments[0])
    if not weight > 0:
        return math.nan
    x, y, xx, yy, xy = (moments[1:] / weight).tolist()
    variance_x = xx - x * x
    variance_y = yy - y * y
    # of what is constant, rounding leaves some of the last digits
    smallest = 1e-12
    if variance_x <= smallest * xx or variance_y <= smallest * yy:
        return 0.0
    # signed weights may bring it beyond what is possible
    return max(-1.0, min(1.0, (xy - x * y) / math.sqrt(variance_x * variance_y)))


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
