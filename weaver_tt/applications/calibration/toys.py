"""Toys: data sets drawn from a fitted model and fitted again, which tell whether errors are right.

T toys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weaver_tt.applications.calibration.measurement import Measurement
from weaver_tt.applications.calibration.scale_factors import measure_scale_factors
from weaver_tt.errors import DataError
from weaver_tt.expressions.row_values import Floats

SCALE_FACTOR = "SF {}"


@dataclass(frozen=True)
class Toys:
    """Pulls (T,) of scale factors, and of scale and resolution: (toy - truth) / error of the toy.

    Of fewer than two toys whose fits are good there are none. ``truth`` is the fit that they are
    drawn from; ``bad``: how many fits had problems, and by what they are left out of the pulls;
    ``worse``: how many described their data worse than the fit.
    """

    pulls: Mapping[str, Floats]
    number: int
    bad: Mapping[str, int]
    worse: int


@dataclass(frozen=True)
class PullSummary:
    """Mean and width of pulls, with errors: 0 and 1 where errors are right."""

    mean: float
    mean_error: float
    width: float
    width_error: float


def summarise_pulls(pulls: Floats) -> PullSummary:
    """Of two or more pulls (T,)."""
    number = len(pulls)
    width = float(np.std(pulls, ddof=1))
    return PullSummary(
        mean=float(np.mean(pulls)),
        mean_error=width / float(np.sqrt(number)),
        width=width,
        width_error=width / float(np.sqrt(2 * (number - 1))),
    )


def run_toys(measurement: Measurement, number: int, seed: int) -> Toys:
    """Draw ``number`` data sets of the fitted model, and fit each of them.

    Auxiliary data are drawn, too, so that the simulation fluctuates as its statistical errors say.
    """
    truth = measurement.fit
    true_factors = {one.category: one.value for one in measurement.scale_factors.factors}
    drawn = measurement.model.draw(truth.values, number, seed)
    pulls: dict[str, list[float]] = {}
    bad: dict[str, int] = {}
    worse = 0
    for data in drawn:
        try:
            fit = measurement.model.with_data(data).fit(start=truth.values)
        except DataError as error:
            bad[str(error)] = bad.get(str(error), 0) + 1
            continue
        worse += fit.goodness.statistic > truth.goodness.statistic
        serious = [problem for problem in fit.problems if "describe" not in problem]
        if serious:
            reason = serious[0].partition(":")[0]
            bad[reason] = bad.get(reason, 0) + 1
            continue
        for one in measure_scale_factors(fit, measurement.simulated).factors:
            pull = (one.value - true_factors[one.category]) / one.total
            pulls.setdefault(SCALE_FACTOR.format(one.category), []).append(pull)
        for name in measurement.factors:
            pull = (fit.value(name) - truth.value(name)) / fit.error(name)
            pulls.setdefault(name, []).append(pull)
    # one pull alone has no width
    arrays = {name: np.array(values) for name, values in pulls.items() if len(values) > 1}
    return Toys(arrays, number, bad, worse)
