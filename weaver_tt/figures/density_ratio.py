"""Figures of a ratio of two densities, drawn from a meter's sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

from weaver_tt.config.schema import RatioOptions
from weaver_tt.figures.base import COLORS, Array, make_axes, style
from weaver_tt.figures.names import in_words
from weaver_tt.metrics.density_ratio import DENOMINATOR, NUMERATOR, REWEIGHTED, RatioMeter

GROUPS = 30  # points, each with as many entries as the others
DECADE = 10


def ratio_figures(
    meter: RatioMeter, totals: Tensor, options: RatioOptions, names: Mapping[str, str]
) -> dict[str, Figure]:
    """``ratio``, the calibration, from the sums of a meter over all ranks.

    ``names``: the samples in words, of those that have some. There is no figure without entries of
    both samples.
    """
    ratios = meter.blocks(totals)["ratios"].numpy()  # (3, 2, bins)
    if not ratios[NUMERATOR, 1].any() or not ratios[DENOMINATOR, 1].any():
        return {}
    of_what = " / ".join(in_words(name, names) for name in options.classes)
    return {"ratio": ratio_calibration(ratios, of_what, options.mean)}


def ratio_calibration(ratios: Array, of_what: str, mean: float) -> Figure:
    """Observed against predicted ratio, in groups of entries of similar prediction.

    ``ratios`` (3, 2, bins): w and w^2 of numerator, denominator and reweighted denominator in bins
    of the predicted ratio ``of_what``, whose ``mean`` under the denominator says how the observed
    one is normalised. Axes are logarithmic where the ratios span more than a decade.
    """
    predicted, observed, error = observed_ratios(ratios, mean)
    with style():
        figure, axes = make_axes(f"predicted {of_what}", f"observed {of_what}")
        if len(predicted):
            ends = [predicted.min(), predicted.max()]
            axes.plot(ends, ends, color="grey", linewidth=1, zorder=1)
            if ends[1] > DECADE * ends[0]:
                axes.set_xscale("log")
                axes.set_yscale("log")
        axes.errorbar(predicted, observed, error, fmt="o", markersize=4, color=COLORS[0])
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
