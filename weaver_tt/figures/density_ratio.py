"""Figures of a ratio of two densities, drawn from a meter's sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

from weaver_tt.config.schema import RatioOptions
from weaver_tt.figures.base import COLORS, Array, make_axes, style
from weaver_tt.metrics.density_ratio import DENOMINATOR, NUMERATOR, REWEIGHTED, RatioMeter

GROUPS = 30  # points, each with as many entries as the others


def ratio_figures(meter: RatioMeter, totals: Tensor, options: RatioOptions) -> dict[str, Figure]:
    """``ratio``, the calibration, from the sums of a meter over all ranks.

    None where there are no entries of one of the samples.
    """
    ratios = meter.blocks(totals)["ratios"].numpy()  # (3, 2, bins)
    if not ratios[NUMERATOR, 1].any() or not ratios[DENOMINATOR, 1].any():
        return {}
    return {"ratio": ratio_calibration(ratios, options)}


def ratio_calibration(ratios: Array, options: RatioOptions) -> Figure:
    """Observed against predicted ratio, in groups of entries of similar prediction.

    ``ratios`` (3, 2, bins): w and w^2 of numerator, denominator and reweighted denominator in bins
    of the predicted ratio. The observed ratio is that of the sums of weights, in the normalisation
    of the ``options``.
    """
    predicted, observed, error = observed_ratios(ratios, options.mean)
    with style():
        figure, axes = make_axes(
            f"predicted {options.numerator} / {options.denominator}",
            f"observed {options.numerator} / {options.denominator}",
        )
        if len(predicted):
            ends = [predicted.min(), predicted.max()]
            axes.plot(ends, ends, color="grey", linewidth=1)
        axes.errorbar(predicted, observed, error, fmt="o", markersize=4, color=COLORS[0])
        axes.set_xscale("log")
        axes.set_yscale("log")
    return figure


def observed_ratios(ratios: Array, mean: float) -> tuple[Array, Array, Array]:
    """Predicted ratio, observed one and its error, (groups,) each.

    ``ratios`` as :func:`ratio_calibration` takes them; ``mean`` that of the ratio under the
    denominator. Groups in which weights below 0 leave nothing to divide are left out.
    """
    groups = _equal_groups(ratios[NUMERATOR, 1] + ratios[DENOMINATOR, 1])
    in_groups = np.add.reduceat(ratios, groups, axis=2)  # (3, 2, groups)
    weight, squares = in_groups[:, 0], in_groups[:, 1]
    kept = (weight[[NUMERATOR, DENOMINATOR]] > 0).all(0) & (weight[REWEIGHTED] > 0)
    weight, squares = weight[:, kept], squares[:, kept]
    predicted = weight[REWEIGHTED] / weight[DENOMINATOR]
    total = ratios[:, 0].sum(1)
    observed = weight[NUMERATOR] / weight[DENOMINATOR] * mean
    observed *= total[DENOMINATOR] / total[NUMERATOR]
    relative = squares[:2] / weight[:2] ** 2  # of numerator and denominator
    error = observed * np.sqrt(relative.sum(0))
    return predicted, observed, error


def _equal_groups(sizes: Array) -> npt.NDArray[np.intp]:
    """Where groups of bins with about as much of ``sizes`` (bins,) begin, (groups,)."""
    share = np.cumsum(sizes) / sizes.sum()
    begins = np.searchsorted(share, np.arange(GROUPS) / GROUPS, side="right")
    return np.unique(begins)
