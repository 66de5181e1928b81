"""Efficiencies in data and simulation, and their ratio, of a fit's normalisations.

The content of category k in region r of the data is mu_kr n_kr, with n_kr that of the simulation
between the edges. Its efficiency in data is mu_kp n_kp / (mu_kp n_kp + mu_kf n_kf), and the scale
factor that over n_kp / (n_kp + n_kf). C free categories, 2 regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weaver_tt.applications.calibration.fit import Fit, is_statistical
from weaver_tt.applications.calibration.spectra import REGIONS
from weaver_tt.applications.calibration.workspace import normalisation
from weaver_tt.expressions.row_values import Floats


@dataclass(frozen=True, kw_only=True)
class ScaleFactor:
    """An efficiency in data over that in the simulation, with errors.

    ``statistical``: of the data; ``simulation``: of the number of simulated jets; ``systematic``:
    of the other nuisance parameters; ``total``: all of them, added in quadrature. ``data_error``
    and ``simulation_error`` are those of the efficiencies.
    """

    category: str
    data: float
    data_error: float
    mc: float
    mc_error: float
    value: float
    statistical: float
    simulation: float
    systematic: float

    @property
    def total(self) -> float:
        """All errors together."""
        return float(np.hypot(np.hypot(self.statistical, self.simulation), self.systematic))


@dataclass(frozen=True)
class ScaleFactors:
    """Those of all free categories of one kinematic bin, and their correlations (C, C)."""

    factors: tuple[ScaleFactor, ...]
    correlations: Floats


@dataclass(frozen=True)
class SimulatedYields:
    """Content between the edges and its variance, (2,) each, of a category in the simulation.

    ``scale`` (2,): what its template in the workspace is scaled by.
    """

    category: str
    contents: Floats
    variances: Floats
    scale: Floats


def simulated_efficiency(passing: float, failing: float) -> float:
    """The share that passes."""
    return passing / (passing + failing)


def efficiency_variance(contents: Floats, variances: Floats) -> float:
    """The variance of the share that passes, of contents (2,) of pass and fail."""
    passing, failing = contents
    of_pass, of_fail = variances
    return float((failing**2 * of_pass + passing**2 * of_fail) / (passing + failing) ** 4)


def conditional_covariance(covariance: Floats, kept: Sequence[int], given: Sequence[int]) -> Floats:
    """The covariance of parameters ``kept`` where those ``given`` were known."""
    of_kept = covariance[np.ix_(kept, kept)]
    if not len(given):
        return of_kept
    across = covariance[np.ix_(kept, given)]
    of_given = covariance[np.ix_(given, given)]
    return of_kept - across @ np.linalg.solve(of_given, across.T)


def measure_scale_factors(fit: Fit, simulated: Sequence[SimulatedYields]) -> ScaleFactors:
    """Efficiencies and scale factors of the free categories of a fit.

    Errors of sources are those that vanish where their parameters are known: the statistical one
    is left where all nuisance parameters are, and that of the simulation is what goes where its
    statistical parameters are.
    """
    names = [normalisation(one.category, region) for one in simulated for region in REGIONS]
    kept = [fit.place(name) for name in names]
    nuisances = [fit.place(name) for name in fit.pulls]
    of_simulation = [fit.place(name) for name in fit.pulls if is_statistical(name)]
    slopes, data, mc = _slopes(fit, simulated)
    covariances = []
    for given in ([], of_simulation, nuisances):
        of_kept = conditional_covariance(fit.covariance, kept, given)
        covariances.append(slopes @ of_kept @ slopes.T)
    factors = []
    for number, one in enumerate(simulated):
        # of all sources, without the simulation's statistics, and of the data alone
        # rounding may leave those of what is known exactly just below 0
        variances = [max(float(matrix[number, number]), 0.0) for matrix in covariances]
        factors.append(
            ScaleFactor(
                category=one.category,
                data=data[number],
                data_error=mc[number] * float(np.sqrt(variances[0])),
                mc=mc[number],
                mc_error=float(np.sqrt(efficiency_variance(one.contents, one.variances))),
                value=data[number] / mc[number],
                statistical=float(np.sqrt(variances[2])),
                simulation=_difference(variances[0], variances[1]),
                systematic=_difference(variances[1], variances[2]),
            )
        )
    sigma = np.sqrt(np.maximum(np.diag(covariances[0]), 0))
    products = np.outer(sigma, sigma)
    correlations = np.eye(len(sigma))
    np.divide(covariances[0], products, out=correlations, where=products > 0)
    return ScaleFactors(tuple(factors), correlations)


def _slopes(
    fit: Fit, simulated: Sequence[SimulatedYields]
) -> tuple[Floats, list[float], list[float]]:
    """Slopes (C, 2C) of the scale factors in the normalisations; efficiencies in data and MC."""
    slopes = np.zeros((len(simulated), len(REGIONS) * len(simulated)))
    data = []
    mc = []
    for number, one in enumerate(simulated):
        mu = np.array([fit.value(normalisation(one.category, region)) for region in REGIONS])
        in_data = mu * one.scale * one.contents
        efficiency = simulated_efficiency(*in_data)
        in_simulation = simulated_efficiency(*one.contents)
        # d eff = eff (1 - eff) (d ln mu_pass - d ln mu_fail)
        slope = efficiency * (1 - efficiency) / in_simulation / mu * np.array([1, -1])
        slopes[number, 2 * number : 2 * number + 2] = slope
        data.append(float(efficiency))
        mc.append(float(in_simulation))
    return slopes, data, mc


def _difference(larger: float, smaller: float) -> float:
    """The error that is left of a larger variance without a smaller one."""
    return float(np.sqrt(max(larger - smaller, 0)))
