"""Factors of pT as smooth curves: cubic polynomials in log pT between knots, one curve a |eta| bin.

R jets, B bins in |eta|, K segments of a curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class PtCurve:
    """The factor that corrects pT, and its relative statistical error, in one bin of |eta|.

    ``edges`` (K + 1,) are pT in GeV. In segment k, with d = log(pT / edges[k]), the factor is
    exp(a + b d + c d^2 + e d^3) with the ``coefficients`` (K, 4) a, b, c, e, and its relative error
    is a + b d with those of ``errors`` (K, 2). The outermost segments are constant: what they say
    holds beyond the edges, too, where that is asked for.
    """

    edges: Floats
    coefficients: Floats
    errors: Floats

    @property
    def low(self) -> float:
        """pT in GeV from which on the response has been measured."""
        return float(self.edges[0])

    @property
    def high(self) -> float:
        """pT in GeV below which the response has been measured."""
        return float(self.edges[-1])

    @cached_property
    def log_edges(self) -> Floats:
        """(K + 1,) logarithms of the edges."""
        return np.log(self.edges)

    def factor(self, pt: Floats) -> Floats:
        """Factors (R,) at ``pt`` (R,); beyond the edges those of the outermost segments."""
        segment, distance = self._place(pt)
        a, b, c, e = self.coefficients[segment].T
        return np.exp(a + distance * (b + distance * (c + distance * e)))

    def error(self, pt: Floats) -> Floats:
        """Relative statistical errors (R,) of the factors at ``pt`` (R,)."""
        segment, distance = self._place(pt)
        a, b = self.errors[segment].T
        return np.asarray(a + distance * b)

    def _place(self, pt: Floats) -> tuple[Integers, Floats]:
        """Segment of each pT (R,), and the logarithm of its ratio to the segment's lower edge."""
        segment = np.searchsorted(self.edges, pt, "right") - 1
        segment = np.clip(segment, 0, len(self.coefficients) - 1)
        return segment, np.log(pt) - self.log_edges[segment]


@dataclass(frozen=True, kw_only=True)
class EtaCurves:
    """Curves of B bins in |eta|: ``eta_edges`` (B + 1,), ascending from the lowest |eta|."""

    eta_edges: Floats
    curves: tuple[PtCurve, ...]

    @property
    def parameters(self) -> int:
        """Numbers that the factors are made of."""
        return sum(curve.coefficients.size for curve in self.curves)

    def factor(self, pt: Floats, eta: Floats) -> Floats:
        """Factors (R,) at ``pt`` (R,) and ``eta`` (R,), beyond the ranges those of the nearest."""
        factors = np.ones(len(pt))
        for curve, mine in self._of_bins(eta):
            factors[mine] = curve.factor(pt[mine])
        return factors

    def error(self, pt: Floats, eta: Floats) -> Floats:
        """Relative statistical errors (R,) of the factors."""
        errors = np.zeros(len(pt))
        for curve, mine in self._of_bins(eta):
            errors[mine] = curve.error(pt[mine])
        return errors

    def is_outside_eta(self, eta: Floats) -> npt.NDArray[np.bool_]:
        """(R,) whether no bin holds the jet."""
        size = np.abs(eta)
        return np.asarray((size < self.eta_edges[0]) | (size >= self.eta_edges[-1]))

    def is_outside_pt(self, pt: Floats, eta: Floats) -> npt.NDArray[np.bool_]:
        """(R,) whether the curve of the jet's bin says nothing about its pT."""
        outside = np.zeros(len(pt), bool)
        for curve, mine in self._of_bins(eta):
            outside[mine] = (pt[mine] < curve.low) | (pt[mine] >= curve.high)
        return outside

    def _of_bins(self, eta: Floats) -> list[tuple[PtCurve, npt.NDArray[np.bool_]]]:
        """Each curve, and which jets (R,) are in its bin or nearest to it."""
        number = np.searchsorted(self.eta_edges, np.abs(eta), "right") - 1
        number = np.clip(number, 0, len(self.curves) - 1)
        return [(curve, number == place) for place, curve in enumerate(self.curves)]
