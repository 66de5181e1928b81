"""From the measured response to the factor that takes it back: a smooth fit, and its inversion.

The response r depends on the true pT, which is not known of a jet that is to be corrected. What is
measured is pT r(pT); where that rises with pT, each measured pT belongs to one true pT, and the
factor there is their ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.applications.jet_energy.response import ResponsePoints
from weaver_tt.errors import DataError
from weaver_tt.physics.jet_curves import Floats, PtCurve

DEGREE = 4  # of the polynomial in log pT, where there are points enough
POINTS_A_DEGREE = 4
SEGMENTS = 10  # of a curve, between its first and its last point
SIGNIFICANT = 5  # errors, from which on a measured pT that falls is no fluctuation
LOOKS = 500  # places where the fit is looked at


@dataclass(frozen=True, kw_only=True)
class ResponseFit:
    """A polynomial through the points of one bin of |eta|, in z = (log pT - middle) / half.

    ``covariance`` is that of the ``coefficients`` (D + 1,); between the first and the last point,
    ``first`` and ``last`` in log pT, the fit holds, beyond them what it says there.
    """

    points: ResponsePoints
    coefficients: Floats
    covariance: Floats
    first: float
    last: float
    chi2: float
    ndf: int

    def response(self, log_pt: Floats) -> tuple[Floats, Floats]:
        """Response and its derivative to log pT, of the shape of ``log_pt``."""
        half = (self.last - self.first) / 2
        z = self._scaled(log_pt)
        value = np.polynomial.polynomial.polyval(z, self.coefficients)
        slope = np.polynomial.polynomial.polyder(self.coefficients)
        derivative = np.polynomial.polynomial.polyval(z, slope) / half
        inside = (log_pt >= self.first) & (log_pt <= self.last)
        return np.asarray(value), np.asarray(np.where(inside, derivative, 0.0))

    def error(self, log_pt: Floats) -> Floats:
        """Statistical error of the response."""
        powers = np.vander(self._scaled(log_pt), len(self.coefficients), increasing=True)
        return np.sqrt(np.einsum("ri,ij,rj->r", powers, self.covariance, powers))

    def _scaled(self, log_pt: Floats) -> Floats:
        middle = (self.first + self.last) / 2
        half = (self.last - self.first) / 2
        return (np.clip(log_pt, self.first, self.last) - middle) / half


def fit_response(points: ResponsePoints) -> ResponseFit:
    """Weighted least squares; errors grow where the fit is worse than they allow.

    Raises:
        DataError: there is one point alone, or one without a response.
    """
    if not (np.isfinite(points.response) & (points.response > 0)).all():
        raise DataError(
            f"{eta_text(points.eta)}: a bin of pT_gen has no response above 0: the weights of its "
            "jets do not sum to more than 0"
        )
    log_pt = np.log(points.pt)
    first = float(log_pt[0])
    last = float(log_pt[-1])
    number = len(log_pt)
    if number < 2 or not last > first:
        raise DataError(
            f"{eta_text(points.eta)}: jets in one bin of pT_gen, at least 2 are needed for a "
            "correction that depends on pT"
        )
    degree = min(DEGREE, max(1, number // POINTS_A_DEGREE))
    z = (log_pt - (first + last) / 2) / ((last - first) / 2)
    design = np.vander(z, degree + 1, increasing=True) / points.error[:, None]
    measured = points.response / points.error
    coefficients = np.linalg.lstsq(design, measured, rcond=None)[0]
    chi2 = float(((design @ coefficients - measured) ** 2).sum())
    ndf = number - degree - 1
    covariance = np.linalg.inv(design.T @ design)
    if ndf:
        covariance = covariance * max(1.0, chi2 / ndf)
    return ResponseFit(
        points=points,
        coefficients=np.asarray(coefficients, np.float64),
        covariance=np.asarray(covariance, np.float64),
        first=first,
        last=last,
        chi2=chi2,
        ndf=ndf,
    )


def invert(fit: ResponseFit) -> PtCurve:
    """The factor as a function of the measured pT.

    Raises:
        DataError: the measured pT does not rise with the true one everywhere.
    """
    _check_is_rising(fit)
    true = np.linspace(fit.first, fit.last, SEGMENTS + 1)
    response, derivative = fit.response(true)
    measured = true + np.log(response)
    # of log factor = true - measured, by measured
    stretch = 1 / (1 + derivative / response)
    coefficients = _hermite(measured, -np.log(response), stretch - 1)
    relative = fit.error(true) / response * stretch
    rise = np.diff(relative) / np.diff(measured)
    errors = np.stack([relative[:-1], rise], axis=1)

    # jets beyond the first and the last point belong to the data, but the curve ends there
    edges = measured
    low = np.log(fit.points.lowest) + np.log(response[0])
    if low < edges[0]:
        edges = np.concatenate([[low], edges])
        coefficients = np.concatenate([[[-np.log(response[0]), 0, 0, 0]], coefficients])
        errors = np.concatenate([[[relative[0], 0]], errors])
    high = np.log(fit.points.highest) + np.log(response[-1])
    if high > edges[-1]:
        edges = np.concatenate([edges, [high]])
        coefficients = np.concatenate([coefficients, [[-np.log(response[-1]), 0, 0, 0]]])
        errors = np.concatenate([errors, [[relative[-1], 0]]])
    return PtCurve(edges=np.exp(edges), coefficients=coefficients, errors=errors)


def _check_is_rising(fit: ResponseFit) -> None:
    """Raise DataError where a measured pT would belong to several true ones."""
    log_pt = np.linspace(fit.first, fit.last, LOOKS)
    response, derivative = fit.response(log_pt)
    if (response <= 0).any():
        place = np.exp(log_pt[np.argmax(response <= 0)])
        raise DataError(
            f"{eta_text(fit.points.eta)}: the fit of the response is not above 0 at pT_gen = "
            f"{place:.4g} GeV"
        )
    falling = 1 + derivative / response <= 0
    if falling.any():
        raise _ambiguous(fit, *np.exp(log_pt[falling][[0, -1]]))
    # a polynomial may be too stiff to follow what the points say
    measured = fit.points.pt * fit.points.response
    error = fit.points.pt * fit.points.error
    highest = 0
    for number in range(len(measured)):
        drop = measured[highest] - measured[number]
        if drop > SIGNIFICANT * np.hypot(error[highest], error[number]):
            raise _ambiguous(fit, fit.points.pt[highest], fit.points.pt[number])
        if drop < 0:
            highest = number


def _ambiguous(fit: ResponseFit, low: float, high: float) -> DataError:
    return DataError(
        f"{eta_text(fit.points.eta)}: the measured pT does not rise with pT_gen between "
        f"{low:.4g} and {high:.4g} GeV: the response falls too fast there for a measured pT to "
        "belong to one pT_gen; leave these jets out, or take other bins (--pt-edges)"
    )


def _hermite(places: Floats, values: Floats, slopes: Floats) -> Floats:
    """Coefficients (K, 4) of cubic polynomials with ``values`` and ``slopes`` (K + 1,) at
    ``places``."""
    width = np.diff(places)
    rise = np.diff(values) / width
    second = (3 * rise - 2 * slopes[:-1] - slopes[1:]) / width
    third = (slopes[:-1] + slopes[1:] - 2 * rise) / width**2
    return np.stack([values[:-1], slopes[:-1], second, third], axis=1)


def eta_text(eta: tuple[float, float]) -> str:
    """A bin of |eta|, for messages."""
    return f"abs(eta) from {eta[0]:g} to {eta[1]:g}"
