"""How flat the share of the background is that passes, in bins of mass, before and after.

J jets, V bins of the mass, C bins of a map. Before: a plain cut on the score that as many pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_tt.applications.decorrelation.jets import Booleans, Jets
from weaver_tt.applications.decorrelation.threshold_map import (
    ONE_BIN,
    ThresholdMap,
    make_map,
)
from weaver_tt.expressions.row_values import Floats

FOLDS = 5
MASS_BINS = 8


@dataclass(frozen=True, kw_only=True)
class PassingShare:
    """The share of the background that passes a cut, overall and in bins of mass.

    ``errors``: of the judged jets and of the thresholds, in quadrature; NaN where a bin of mass is
    empty. ``chi2``: of the best constant share in all bins that have jets, with the errors that a
    share at the target has, and with what bins of mass have in common by their thresholds.
    """

    overall: float
    overall_error: float
    shares: Floats  # (V,)
    errors: Floats  # (V,)
    chi2: float
    ndf: int

    def summary(self) -> dict[str, Any]:
        """For ``closure.json``."""
        return {
            "overall": {"value": self.overall, "error": self.overall_error},
            "shares": self.shares,
            "errors": self.errors,
            "chi2": self.chi2,
            "ndf": self.ndf,
        }


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """An efficiency's cut before and after, and the jets that it is judged on (``how``)."""

    efficiency: float
    mass_edges: Floats  # (V + 1,), GeV
    before: PassingShare
    after: PassingShare
    how: str


def equal_mass_edges(jets: Jets) -> Floats:
    """Edges in mass with about as many background jets in each bin."""
    edges = np.unique(np.quantile(jets.mass, np.linspace(0, 1, MASS_BINS + 1)))
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def judge_elsewhere(
    found: ThresholdMap, jets: Jets, other: Jets, mass_edges: Floats, how: str
) -> Judgement:
    """Judge a map of ``jets`` on ``other`` background jets."""
    plain = make_map(jets, found.efficiency, ONE_BIN)
    after = other.score > found.of_jets(other.rho, other.pt)
    before = other.score > plain.thresholds[0]
    return Judgement(
        efficiency=found.efficiency,
        mass_edges=mass_edges,
        before=measure_share(plain, other, before, mass_edges),
        after=measure_share(found, other, after, mass_edges),
        how=how,
    )


def judge_by_folds(found: ThresholdMap, jets: Jets, mass_edges: Floats) -> Judgement:
    """Judge with the jets of the map: each fifth by the thresholds of the other four."""
    fold = np.arange(len(jets)) % FOLDS
    before = np.zeros(len(jets), bool)
    after = np.zeros(len(jets), bool)
    for number in range(FOLDS):
        mine = fold == number
        others = jets.take(~mine)
        plain = make_map(others, found.efficiency, ONE_BIN, fewest=1)
        before[mine] = jets.score[mine] > plain.thresholds[0]
        thresholds = make_map(others, found.efficiency, found.bins, fewest=1)
        after[mine] = jets.score[mine] > thresholds.of_jets(jets.rho[mine], jets.pt[mine])
    plain = make_map(jets, found.efficiency, ONE_BIN)
    return Judgement(
        efficiency=found.efficiency,
        mass_edges=mass_edges,
        before=measure_share(plain, jets, before, mass_edges),
        after=measure_share(found, jets, after, mass_edges),
        how=f"jets of the map, each {FOLDS}th by thresholds of the others",
    )


def measure_share(
    found: ThresholdMap, jets: Jets, passes: Booleans, mass_edges: Floats
) -> PassingShare:
    """The share of ``jets`` that passes (J,), cut at the thresholds of ``found``.

    Jets beyond the edges in mass count in the overall share alone.
    """
    bins = len(mass_edges) - 1
    mass_bin = np.digitize(jets.mass, mass_edges) - 1
    # the last bin includes its upper edge
    mass_bin[jets.mass == mass_edges[-1]] = bins - 1
    inside = (mass_bin >= 0) & (mass_bin < bins)
    place = mass_bin[inside]
    weight = jets.weight[inside]
    total = np.bincount(place, weight, minlength=bins)
    squares = np.bincount(place, weight**2, minlength=bins)
    passing = np.bincount(place, weight * passes[inside], minlength=bins)
    filled = total > 0

    # of the jets of a bin of mass, the share in each bin of the map
    cells = len(found.bins)
    cell = found.bins.find(jets.rho, jets.pt)
    in_both = np.bincount(place * cells + cell[inside], weight, minlength=bins * cells)
    shared = in_both.reshape(bins, cells)[filled] / total[filled, None]  # (V, C)
    of_target = found.efficiency * (1 - found.efficiency)
    of_thresholds = (shared * (of_target / found.effective_jets)) @ shared.T  # (V, V)

    effective = total[filled] ** 2 / squares[filled]
    shares = passing[filled] / total[filled]
    covariance = of_thresholds + np.diag(of_target / effective)
    chi2 = _chi2_of_constant(shares, covariance)
    # where none or all pass, as if one more did or did not
    bounded = np.clip(shares, 1 / (effective + 1), effective / (effective + 1))
    errors = np.sqrt(bounded * (1 - bounded) / effective + np.diag(of_thresholds))

    overall = float(jets.weight @ passes / jets.weight.sum())
    in_cells = np.bincount(cell, jets.weight, minlength=cells) / jets.weight.sum()
    rows = jets.weight.sum() ** 2 / (jets.weight**2).sum()
    overall_variance = of_target / rows + float(in_cells**2 @ (of_target / found.effective_jets))
    return PassingShare(
        overall=overall,
        overall_error=math.sqrt(overall_variance),
        shares=_in_bins(shares, filled),
        errors=_in_bins(errors, filled),
        chi2=chi2,
        ndf=int(filled.sum()) - 1,
    )


def _chi2_of_constant(values: Floats, covariance: Floats) -> float:
    """The chi2 of the constant that fits ``values`` best: Aitken's generalised least squares."""
    inverse = np.linalg.inv(covariance)
    constant = inverse.sum(0) @ values / inverse.sum()
    residual = values - constant
    return float(residual @ inverse @ residual)


def _in_bins(values: Floats, filled: Booleans) -> Floats:
    """Values of the filled bins in all bins (V,), NaN in the others."""
    of_all = np.full(len(filled), np.nan)
    of_all[filled] = values
    return of_all
