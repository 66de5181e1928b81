"""Metrics of a ratio of two densities: its mean, what it tells apart, what reweighting costs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, fill_histograms, ratio
from weaver_tt.metrics.classifier_summary import json_number
from weaver_tt.metrics.roc import Roc, bin_scores, effective_entries

MIN_RATIO = 1e-30  # ratios of 0 count as this in histograms
HALF = 511
SCALE = 8.0  # the bins of log(ratio) grow from SCALE / HALF at a ratio of 1
# the histograms, in their order
NUMERATOR, DENOMINATOR, REWEIGHTED = range(3)


def class_sums(scored: Scored) -> Tensor:
    """The sums of weights of denominator and numerator among entries with targets 0 and 1, (2,)."""
    assert scored.target is not None
    weight = scored.weight.double()
    of_numerator = (weight * scored.target).sum()
    return torch.stack([weight.sum() - of_numerator, of_numerator])


class RatioMeter(SumMeter):
    """The ratio r of two samples with weights w: outputs (M, 1); target 1 of the numerator, else 0.

    The denominator becomes the numerator where each of its entries counts w r. ``mean_ratio`` is
    the mean of r under the denominator, with its statistical error; ``normalisation_error`` what
    that error is for as many entries as the training had, whose mean is known no better;
    ``effective_size`` the number of entries without weights that would be as precise as the
    reweighted denominator, (sum w r)^2 / sum (w r)^2. ``auc`` tells the two samples apart by r, and
    ``auc_reweighted`` the numerator and the reweighted denominator, which is 1/2 where r is right.
    """

    directions = {  # noqa: RUF012, the values never change
        "mean_ratio": None,
        "mean_ratio_error": None,
        "normalisation_error": None,
        "effective_size": None,
        "auc_reweighted": None,
    }

    def __init__(self, training_size: float | None = None) -> None:
        """``training_size``: entries of the denominator that the training had, if that is known.

        Effective ones, (sum w)^2 / sum w^2.
        """
        self._training_size = training_size
        super().__init__(means=(5,), ratios=(3, 2, 2 * HALF + 1))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add ratios (M, 1) and targets (M,)."""
        if scored.target is None:
            return
        found = scored.output[:, 0].double()  # (M,)
        is_numerator = scored.target == 1
        weight = scored.weight.double()
        of_numerator = weight * is_numerator
        of_denominator = weight * ~is_numerator
        reweighted = of_denominator * found
        sums = self.sums_on(found.device)
        means = [
            of_denominator,
            of_denominator**2,
            reweighted,
            reweighted * of_denominator,
            reweighted**2,
        ]
        sums["means"].add_(torch.stack([quantity.sum() for quantity in means]))
        index = bin_scores(found.clamp(min=MIN_RATIO).log(), HALF, SCALE)
        for histogram, values in zip(
            sums["ratios"], (of_numerator, of_denominator, reweighted), strict=True
        ):
            fill_histograms(histogram, index, (values, values**2))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``mean_ratio``, its errors, ``effective_size``; ``auc``, ``auc_reweighted``.

        The latter where there are entries of both samples.
        """
        blocks = self.blocks(totals)
        weight, squares, reweighted, mixed, reweighted_squares = blocks["means"]
        if squares == 0:
            return {}
        mean = ratio(reweighted, weight)
        # of sum w^2 (r - mean)^2; rounding may leave it just below 0
        deviations = reweighted_squares - 2 * mean * mixed + mean**2 * squares
        error = math.sqrt(max(0.0, deviations.item())) / abs(weight.item() or math.nan)
        of_numerator, of_denominator, of_reweighted = blocks["ratios"]
        values = {
            "mean_ratio": mean,
            "mean_ratio_error": error,
            "effective_size": effective_entries(of_reweighted).item(),
        }
        if self._training_size is not None:
            size = (weight**2 / squares).item()
            values["normalisation_error"] = error * math.sqrt(size / self._training_size)
        if of_numerator[1].any():
            values["auc"] = Roc(of_numerator, of_denominator).area.item()
            values["auc_reweighted"] = Roc(of_numerator, of_reweighted).area.item()
        return values

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Of ``mean_ratio`` and of both areas."""
        values = self.values(totals)
        if not values:
            return {}
        errors = {"mean_ratio": values["mean_ratio_error"]}
        for name, roc in self._areas(totals).items():
            errors[name] = roc.area_error.item()
        return errors

    def details(self, totals: Tensor) -> dict[str, Any]:
        """Both areas with their errors."""
        return {
            name: json_number(roc.area.item(), roc.area_error.item())
            for name, roc in self._areas(totals).items()
        }

    def _areas(self, totals: Tensor) -> dict[str, Roc]:
        """The curves of both areas; none where a sample has no entries."""
        of_numerator, of_denominator, of_reweighted = self.blocks(totals)["ratios"]
        if not of_numerator[1].any() or not of_denominator[1].any():
            return {}
        return {
            "auc": Roc(of_numerator, of_denominator),
            "auc_reweighted": Roc(of_numerator, of_reweighted),
        }


class LeftOutMeter(SumMeter):
    """``batches_left_out``: batches of a training that have no ratio.

    Those are batches in which the weights of a class do not add up to more than 0.
    """

    directions = {"batches_left_out": None}  # noqa: RUF012, the value never changes

    def __init__(self) -> None:
        super().__init__(batches=(1,))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Count a batch that is trained on: one whose ``losses`` hold a graph."""
        if losses is None or not losses.requires_grad:
            return
        is_left_out = (class_sums(scored) <= 0).any()
        self.sums_on(losses.device)["batches"].add_(is_left_out.double())

    def values(self, totals: Tensor) -> dict[str, float]:
        """Their number, where there are any."""
        number = totals[0].item()
        return {"batches_left_out": number} if number else {}
