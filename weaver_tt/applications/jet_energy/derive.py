"""The standard correction from a sample of jets: ``weaver-tt jec derive``.

Offset where there is pile-up, then the response in bins of (pT_gen, |eta|), its fit and inversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from weaver_tt.applications.jet_energy.correction import Correction
from weaver_tt.applications.jet_energy.inversion import (
    ResponseFit,
    eta_text,
    fit_response,
    invert,
)
from weaver_tt.applications.jet_energy.jets import JetFiles
from weaver_tt.applications.jet_energy.response import (
    ResponseSums,
    Survey,
    measured_points,
    survey_jets,
)
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.physics.jet_curves import EtaCurves, Integers
from weaver_tt.system.wording import counted

# edges in |eta|, of which the cells of the closure are wider ones
ETA_EDGES = (0, 0.4, 0.8, 1.05, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3, 2.5, 2.75, 3.0, 3.4, 5.2)
FINE_BINS = 100  # in log pT_gen, that bins of equal content are made of
JETS_A_POINT = 50
MOST_POINTS = 50
FEWEST_POINTS = 6
FEWEST_JETS = 300
"""In a bin of |eta|: six points of 50 jets."""
FEWEST_A_POINT = 20
"""In a bin of pT_gen that was asked for; one with fewer counts as empty."""
MOST_CELLS = 5_000  # of (pT, eta), each with a histogram of 24 kB
MOST_CHI2 = 3  # of a fit, over its degrees of freedom


@dataclass(frozen=True, kw_only=True)
class DeriveSettings:
    """How a correction is derived; without edges they are chosen by the jets.

    ``offset``: ``auto`` (where the density rho of most jets is above 0), ``area`` or ``none``.
    """

    center: str = "median"
    offset: str = "auto"
    pt_edges: Sequence[float] = ()
    eta_edges: Sequence[float] = ()
    extrapolates: bool = False


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A correction, and the fits that it rests on, one for each bin of |eta|."""

    correction: Correction
    fits: list[ResponseFit]
    jets: int
    left_out: int = 0  # jets beyond the edges
    remarks: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """For ``closure.json``: the points and their fits."""
        bins = []
        for fit, curve in zip(self.fits, self.correction.curves.curves, strict=True):
            points = fit.points
            bins.append(
                {
                    "eta": points.eta,
                    "pt": points.pt,
                    "response": points.response,
                    "error": points.error,
                    "jets": points.jets,
                    "chi2": fit.chi2,
                    "ndf": fit.ndf,
                    "range": [curve.low, curve.high],
                }
            )
        return {
            "jets": self.jets,
            "left_out": self.left_out,
            "offset": self.correction.has_offset,
            "parameters": self.correction.parameters,
            "remarks": self.remarks,
            "response": bins,
        }


def derive_correction(files: JetFiles, settings: DeriveSettings) -> Derived:
    """Derive a correction from jets with the roles pt, eta, gen_pt, if there are rho, area, weight.

    The jets are read twice.

    Raises:
        ConfigError: edges make no bins.
        DataError: the jets cannot be read, are too few, fill one bin of |eta| alone, leave a bin
            empty, or have a response that cannot be inverted.
    """
    for name, edges, fewest in (
        ("--pt-edges", settings.pt_edges, 2),
        ("--eta-edges", settings.eta_edges, 2),
    ):
        check_edges(name, edges, fewest)
    survey = survey_jets(files)
    files = with_offset_roles(files, survey, settings.offset)
    sums = _filled(files, survey, settings)
    place = ", ".join(files.paths)
    try:
        sums = _with_eta_bins(sums, has_given_edges=bool(settings.eta_edges))
        remarks: list[str] = []
        fits = []
        for number in range(len(sums.eta_edges) - 1):
            group = _point_of_bin(sums, number, bool(settings.pt_edges), remarks)
            points = measured_points(sums, number, group, settings.center)
            fit = fit_response(points)
            if fit.ndf and fit.chi2 > MOST_CHI2 * fit.ndf:
                remarks.append(
                    f"{eta_text(points.eta)}: the response is not described by its fit, chi2/ndf = "
                    f"{fit.chi2:.0f}/{fit.ndf}: see the figure"
                )
            fits.append(fit)
        curves = EtaCurves(eta_edges=sums.eta_edges, curves=tuple(invert(fit) for fit in fits))
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    roles = [role for role in ("pt", "eta", "area", "rho") if role in files.sources]
    correction = Correction(
        curves=curves,
        sources={role: files.sources[role] for role in roles},
        extrapolates=settings.extrapolates,
    )
    return Derived(
        correction=correction, fits=fits, jets=survey.jets, left_out=sums.outside, remarks=remarks
    )


def check_edges(name: str, edges: Sequence[float], fewest: int) -> None:
    """Raise ConfigError unless ``edges``, if any, make bins of a size above 0."""
    if not edges:
        return
    if edges[0] < 0 or any(high <= low for low, high in pairwise(edges)):
        raise ConfigError(
            f"{name}: edges must rise from 0 or above, got {' '.join(f'{x:g}' for x in edges)}"
        )
    if len(edges) < fewest + 1:
        raise ConfigError(
            f"{name}: {counted(len(edges) - 1, 'bin')}; expected at least {fewest}: the response "
            "depends on pT and on eta"
        )


def with_offset_roles(files: JetFiles, survey: Survey, offset: str) -> JetFiles:
    """The files without rho and area where no offset is to be subtracted.

    Raises:
        DataError: there is pile-up, but no rho and area.
    """
    has_density = "rho" in files.sources
    if offset == "auto" and not has_density and survey.pileup > 0:
        raise DataError(
            f"{', '.join(files.paths)}: {files.sources['pileup']!r} says that there are up to "
            f"{survey.pileup:g} further collisions, but rho and area of the jets, which the "
            "offset needs, are not both there (--rho-column, --area-column); with --offset none "
            "the response takes the mean offset, too"
        )
    is_used = has_density and (offset == "area" or (offset == "auto" and survey.has_pileup))
    unused = {"pileup"} if is_used else {"pileup", "rho", "area"}
    kept = {role: source for role, source in files.sources.items() if role not in unused}
    return replace(files, sources=kept)


def _filled(files: JetFiles, survey: Survey, settings: DeriveSettings) -> ResponseSums:
    """The response of all jets, in the bins asked for, or in finer ones than are used."""
    pt_edges = np.asarray(settings.pt_edges, np.float64)
    if not len(pt_edges):
        low = survey.lowest_pt
        high = survey.highest_pt
        if not high > low:
            raise DataError(
                f"{', '.join(files.paths)}: all jets have pT_gen = {low:g} GeV; a response needs a "
                "range"
            )
        pt_edges = np.geomspace(low, high, FINE_BINS + 1)
    eta_edges = np.asarray(settings.eta_edges, np.float64)
    if not len(eta_edges):
        bins = int(np.searchsorted(ETA_EDGES[1:-1], survey.highest_eta, "left")) + 1
        eta_edges = np.asarray(ETA_EDGES[: bins + 1], np.float64)
    cells = (len(eta_edges) - 1) * (len(pt_edges) - 1)
    if cells > MOST_CELLS:
        raise ConfigError(
            f"--pt-edges and --eta-edges: {cells:,} bins in (pT, eta); at most {MOST_CELLS:,}"
        )
    sums = ResponseSums(eta_edges=eta_edges, pt_edges=pt_edges)
    for values in files.chunks():
        sums.add(values)
    return sums


def _with_eta_bins(sums: ResponseSums, has_given_edges: bool) -> ResponseSums:
    """The sums in bins of |eta| that have enough jets: default ones are merged until they have."""
    jets = sums.jets().sum(1)
    if has_given_edges:
        for number, eta in enumerate(pairwise(sums.eta_edges)):
            if jets[number] < FEWEST_JETS:
                raise DataError(
                    f"{eta_text(eta)}: {counted(int(jets[number]), 'jet')}, at least "
                    f"{FEWEST_JETS} are needed; wider bins (--eta-edges) have more"
                )
        return sums
    edges = [float(sums.eta_edges[0])]
    held = 0
    for number, upper in enumerate(sums.eta_edges[1:]):
        held += int(jets[number])
        if held >= FEWEST_JETS:
            edges.append(float(upper))
            held = 0
    if len(edges) < 2:
        raise DataError(
            f"{counted(int(jets.sum()), 'jet')} within the bins; at least {FEWEST_JETS} are needed "
            "in each of two bins of abs(eta)"
        )
    # a rest of too few jets belongs to the last bin
    edges[-1] = float(sums.eta_edges[-1])
    if len(edges) < 3:
        raise DataError(
            f"{eta_text((edges[0], edges[1]))}: all {counted(int(jets.sum()), 'jet')} are in one "
            f"bin of abs(eta), at least 2 are needed, of {FEWEST_JETS} jets each; --eta-edges "
            "gives others"
        )
    return sums.merged_eta(np.array(edges))


def _point_of_bin(
    sums: ResponseSums, number: int, has_given_edges: bool, remarks: list[str]
) -> Integers:
    """The point (G,) that each bin of pT_gen belongs to, -1 for none, in a bin of |eta|."""
    jets = sums.jets()
    if has_given_edges:
        return _given_points(sums, jets, number, remarks)
    mine = jets[number]
    points = int(np.clip(mine.sum() // JETS_A_POINT, FEWEST_POINTS, MOST_POINTS))
    # by the middle of a bin in the cumulative distribution
    before = np.cumsum(mine) - mine / 2
    point = np.minimum((before / mine.sum() * points).astype(np.int64), points - 1)
    # without numbers that no jet has
    group = np.full(len(mine), -1)
    group[mine > 0] = np.unique(point[mine > 0], return_inverse=True)[1]
    return group


def _given_points(sums: ResponseSums, jets: Integers, number: int, remarks: list[str]) -> Integers:
    """Each bin that was asked for is a point; jets end at some pT at large |eta|."""
    eta = (float(sums.eta_edges[number]), float(sums.eta_edges[number + 1]))
    filled = jets >= FEWEST_A_POINT
    for place, (low, high) in enumerate(pairwise(sums.pt_edges)):
        is_hole = not filled[number, place] and (place == 0 or filled[number, place:].any())
        if is_hole or not filled[:, place].any():
            raise DataError(
                f"pT_gen from {low:g} to {high:g} GeV, {eta_text(eta)}: "
                f"{counted(int(jets[number, place]), 'jet')}, at least {FEWEST_A_POINT} are needed "
                "in a bin (--pt-edges)"
            )
    points = int(filled[number].sum())
    if points < len(sums.pt_edges) - 1:
        remarks.append(
            f"{eta_text(eta)}: too few jets above pT_gen = {sums.pt_edges[points]:g} GeV, where "
            "the correction ends"
        )
    return np.where(filled[number], np.arange(len(sums.pt_edges) - 1), -1)
