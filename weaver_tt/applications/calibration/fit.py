"""Fit of a workspace: pyhf has the likelihood, Minuit finds its minimum.

P parameters, S samples (categories), 2 regions, B bins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.applications.calibration.spectra import REGIONS
from weaver_tt.applications.calibration.workspace import MEASUREMENT, STATISTICAL
from weaver_tt.errors import DataError
from weaver_tt.expressions.row_values import Floats
from weaver_tt.system.optional_imports import require_module

EXTRA = "calibrate"
LEAST_P_VALUE = 0.001
AT_BOUND = 1e-3  # nearer to its bound than that, a parameter is at it
# the error of a normalisation over what it would be if all other parameters were known: that of a
# category which others can take the place of
MOST_INFLATION = 20.0


@dataclass(frozen=True)
class Goodness:
    """The likelihood ratio to the saturated model, -2 ln, which is about a chi2 of ``ndf``.

    Source: Baker and Cousins, Nucl. Instrum. Meth. 221 (1984) 437.
    """

    statistic: float
    ndf: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The best parameters of a model and what is to be known of them.

    ``constraints`` (P, 2): where a nuisance parameter is expected and its standard deviation there;
    NaN for free ones. ``is_fixed`` (P,): bins without simulation have no statistical error to fit.
    ``yields`` (S, 2, B) of the ``samples``; ``errors`` (2, B) those of their sum; ``problems`` say
    why the fit is not to be trusted.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    constraints: Floats
    is_fixed: npt.NDArray[np.bool_]
    samples: tuple[str, ...]
    yields: Floats
    errors: Floats
    goodness: Goodness
    problems: tuple[str, ...]

    def place(self, name: str) -> int:
        """The place of a parameter."""
        return self.names.index(name)

    def value(self, name: str) -> float:
        """The best value of a parameter."""
        return float(self.values[self.place(name)])

    def error(self, name: str) -> float:
        """The standard deviation of a parameter."""
        place = self.place(name)
        return float(np.sqrt(self.covariance[place, place]))

    @property
    def pulls(self) -> dict[str, tuple[float, float]]:
        """Of each nuisance parameter, (value - expected) / sigma and error / sigma."""
        found = {}
        for place, name in enumerate(self.names):
            expected, sigma = self.constraints[place]
            if np.isfinite(sigma) and not self.is_fixed[place]:
                pull = (self.values[place] - expected) / sigma
                found[name] = (float(pull), float(self.error(name) / sigma))
        return found


def load_pyhf() -> Any:
    """pyhf with Minuit as its minimiser.

    Raises:
        ConfigError: one of both is not installed.
    """
    pyhf = require_module("pyhf", EXTRA, "calibrate")
    require_module("iminuit", EXTRA, "calibrate")
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer())
    return pyhf


@dataclass(frozen=True)
class Model:
    """A model of pyhf, and its data: contents of the bins, then auxiliary data."""

    model: Any
    data: Floats

    @classmethod
    def of(cls, workspace: dict[str, Any]) -> Model:
        """The model of a workspace."""
        loaded = load_pyhf().Workspace(workspace)
        model = loaded.model(measurement_name=MEASUREMENT)
        return cls(model, np.asarray(loaded.data(model), np.float64))

    def with_data(self, data: Floats) -> Model:
        """The same model for other data, auxiliary data included."""
        return Model(self.model, data)

    def fit(self, start: Floats | None = None) -> Fit:
        """The best parameters; ``start`` (P,): where to begin, by default where the model says.

        Raises:
            DataError: the parameters have no covariance.
        """
        pyhf = load_pyhf()
        problems = []
        try:
            with _quiet_pyhf():
                _, result = pyhf.infer.mle.fit(
                    self.data,
                    self.model,
                    init_pars=None if start is None else start.tolist(),
                    return_uncertainties=True,
                    return_result_obj=True,
                )
        except pyhf.exceptions.FailedMinimization as failure:
            result = failure.result
            result.minuit.hesse()
            problems.append(f"the fit did not converge: {result.message}")
        minuit = result.minuit
        if minuit.covariance is None:
            raise DataError(
                "the fit is singular: its parameters have no covariance; categories of like "
                "shapes, or more of them than the bins can tell apart, cannot be measured"
            )
        if not minuit.accurate or minuit.fmin.has_made_posdef_covar:
            problems.append(
                "the covariance of the parameters is not positive definite: shapes of categories "
                "are alike, or the fit is at an edge"
            )
        values = np.array(minuit.values)
        problems += self._at_bounds(values)
        covariance = np.array(minuit.covariance)
        problems += self._alike(covariance)
        goodness = self._goodness(values, float(minuit.fval))
        if goodness.p_value < LEAST_P_VALUE:
            problems.append(
                f"the fit does not describe the data: {goodness.statistic:.1f} for {goodness.ndf} "
                f"degrees of freedom, p = {goodness.p_value:.2g}"
            )
        return Fit(
            names=tuple(self.model.config.par_names),
            values=values,
            covariance=covariance,
            constraints=self._constraints(),
            is_fixed=np.array(self.model.config.suggested_fixed()),
            samples=tuple(self.model.config.samples),
            yields=self._yields(values),
            errors=self._errors(values, covariance),
            goodness=goodness,
            problems=tuple(problems),
        )

    def draw(self, values: Floats, number: int, seed: int) -> Floats:
        """So many data sets (number, ·) of the model with these parameters (P,).

        Auxiliary data are drawn, too: those of nuisance parameters and of the statistical errors of
        the simulation.
        """
        # pyhf draws from the global generator of numpy
        state = np.random.get_state()
        np.random.seed(seed % 2**32)
        try:
            drawn = self.model.make_pdf(values).sample((number,))
        finally:
            np.random.set_state(state)
        return np.asarray(drawn, np.float64)

    @property
    def contents(self) -> Floats:
        """The data without auxiliary data, in the order of the model's channels."""
        return self.data[: self.model.config.nmaindata]

    def _by_region(self, contents: Floats) -> Floats:
        """Contents (..., bins of all channels) as (..., 2, B)."""
        slices = [self.model.config.channel_slices[region] for region in REGIONS]
        return np.stack([contents[..., one] for one in slices], axis=-2)

    def _yields(self, values: Floats) -> Floats:
        """Expected contents (S, 2, B)."""
        by_sample = self.model.main_model.expected_data(values, return_by_sample=True)
        return self._by_region(np.asarray(by_sample))

    def _errors(self, values: Floats, covariance: Floats) -> Floats:
        """Errors (2, B) of the sum of all samples, by the slopes in the parameters."""
        sigma = np.sqrt(np.diag(covariance))
        slopes = np.zeros((len(values), len(self.contents)))
        for place in np.flatnonzero(sigma > 0):
            sides = []
            for side in (0.1, -0.1):
                there = values.copy()
                there[place] += side * sigma[place]
                sides.append(self.model.expected_data(there, include_auxdata=False))
            slopes[place] = (sides[0] - sides[1]) / (0.2 * sigma[place])
        variances = np.einsum("pb,pq,qb->b", slopes, covariance, slopes)
        return self._by_region(np.sqrt(np.maximum(variances, 0)))

    def _constraints(self) -> Floats:
        """(P, 2) where a nuisance parameter is expected, and its standard deviation."""
        config = self.model.config
        found = np.full((config.npars, 2), np.nan)
        for name in config.par_order:
            parameter = config.param_set(name)
            if parameter.constrained:
                found[config.par_slice(name)] = np.transpose([parameter.auxdata, parameter.width()])
        return found

    def _at_bounds(self, values: Floats) -> list[str]:
        """What is to be said of parameters at one of their bounds."""
        config = self.model.config
        found = []
        for name, value, (low, high) in zip(
            config.par_names, values, config.suggested_bounds(), strict=True
        ):
            if min(value - low, high - value) < AT_BOUND:
                found.append(f"{name} is at its bound: {value:.4g}, of {low:.4g} to {high:.4g}")
        return found

    def _alike(self, covariance: Floats) -> list[str]:
        """What is to be said of normalisations that the fit cannot tell apart.

        Whether Minuit finds their covariance is a matter of rounding.
        """
        inflation = error_inflation(covariance)
        is_free = np.isnan(self._constraints()[:, 1])
        alike = np.flatnonzero(is_free & (inflation > MOST_INFLATION))
        if not len(alike):
            return []
        names = ", ".join(self.model.config.par_names[place] for place in alike)
        return [
            f"{names} cannot be told apart: errors are up to {inflation[alike].max():.0f} times "
            "what they would be if the other parameters were known; shapes of categories are alike"
        ]

    def _goodness(self, values: Floats, minimum: float) -> Goodness:
        """Of the minimum of -2 ln L."""
        pyhf = load_pyhf()
        from scipy.stats import chi2

        contents = self.contents
        # the same likelihood where each bin and each auxiliary datum is as expected
        saturated = pyhf.probability.Poisson(contents).log_prob(contents).sum()
        if len(self.data) > len(contents):
            expected = self.model.expected_auxdata(values)
            saturated = saturated + self.model.constraint_logpdf(expected, values)
        statistic = minimum + 2 * float(saturated)
        free = int(np.isnan(self._constraints()[:, 1]).sum())
        filled = int((self.model.expected_data(values, include_auxdata=False) > 0).sum())
        ndf = filled - free
        return Goodness(statistic, ndf, float(chi2.sf(statistic, ndf)))


def error_inflation(covariance: Floats) -> Floats:
    """The error of each parameter (P,) over that which it has where all others are known.

    It is 1 / sqrt(1 - R^2) with the global correlation R; 1 for a parameter without an error.
    """
    sigma = np.sqrt(np.diag(covariance))
    fitted = np.flatnonzero(sigma > 0)
    correlations = covariance[np.ix_(fitted, fitted)] / np.outer(sigma[fitted], sigma[fitted])
    values, vectors = np.linalg.eigh(correlations)
    # of parameters that depend on each other entirely, rounding leaves any small number
    of_inverse = vectors**2 @ (1 / np.maximum(values, 1e-12))
    inflation = np.ones(len(sigma))
    inflation[fitted] = np.sqrt(of_inverse)
    return inflation


@contextmanager
def _quiet_pyhf() -> Iterator[None]:
    """What pyhf logs of a fit that fails is said in one message of ours."""
    logger = logging.getLogger("pyhf.optimize.mixins")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def is_statistical(name: str) -> bool:
    """Whether a parameter is the statistical error of the simulation in a bin."""
    return name.startswith(f"{STATISTICAL}_")
