"""The response pT_reco / pT_gen of jets in bins of |eta| and pT_gen, filled in a stream.

R jets of a chunk, B bins in |eta|, G bins in pT_gen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.jet_energy.correction import own_share
from weaver_tt.applications.jet_energy.histograms import ResponseHistograms
from weaver_tt.applications.jet_energy.jets import JetFiles
from weaver_tt.errors import DataError
from weaver_tt.physics.jet_curves import Floats, Integers


@dataclass(slots=True, kw_only=True)
class Survey:
    """What a first look at the jets says: their number and ranges, and whether there is pile-up."""

    jets: int = 0
    lowest_pt: float = np.inf  # GeV, of the generated jets
    highest_pt: float = 0.0
    highest_eta: float = 0.0  # |eta|
    with_density: int = 0  # jets with rho above 0
    pileup: float = 0.0  # largest number of further collisions

    @property
    def has_pileup(self) -> bool:
        """Whether the median density is above 0: few hard collisions alone have one."""
        return 2 * self.with_density > self.jets

    def add(self, values: Mapping[str, Floats]) -> None:
        """Add jets (R,), values by role."""
        pt = values["gen_pt"]
        self.jets += len(pt)
        self.lowest_pt = min(self.lowest_pt, float(pt.min(initial=np.inf)))
        self.highest_pt = max(self.highest_pt, float(pt.max(initial=0)))
        self.highest_eta = max(self.highest_eta, float(np.abs(values["eta"]).max(initial=0)))
        if "rho" in values:
            self.with_density += int((values["rho"] > 0).sum())
        if "pileup" in values:
            self.pileup = max(self.pileup, float(values["pileup"].max(initial=0)))


def survey_jets(files: JetFiles) -> Survey:
    """Look at all jets.

    Raises:
        DataError: they cannot be read, or there are none.
    """
    survey = Survey()
    for values in files.chunks():
        survey.add(values)
    if not survey.jets:
        raise DataError(f"{', '.join(files.paths)}: no jets")
    return survey


@dataclass(kw_only=True)
class ResponseSums:
    """The response in B x G cells, bins of pT_gen running fastest."""

    eta_edges: Floats  # (B + 1,)
    pt_edges: Floats  # (G + 1,) GeV
    outside: int = 0  # jets beyond the edges
    histograms: ResponseHistograms = field(init=False)
    log_pt: Floats = field(init=False)  # (B G,) sums of weight log pT_gen
    lowest: Floats = field(init=False)  # (B G,) GeV, pT_gen
    highest: Floats = field(init=False)

    def __post_init__(self) -> None:
        cells = (len(self.eta_edges) - 1) * (len(self.pt_edges) - 1)
        self.histograms = ResponseHistograms(cells=cells)
        self.log_pt = np.zeros(cells)
        self.lowest = np.full(cells, np.inf)
        self.highest = np.zeros(cells)

    def add(self, values: Mapping[str, Floats]) -> None:
        """Add jets (R,), values by role; rho and area are those of an offset to be subtracted."""
        eta = bin_of(self.eta_edges, np.abs(values["eta"]))
        pt = bin_of(self.pt_edges, values["gen_pt"])
        inside = (eta >= 0) & (pt >= 0)
        self.outside += int((~inside).sum())
        values = {role: numbers[inside] for role, numbers in values.items()}
        cell = eta[inside] * (len(self.pt_edges) - 1) + pt[inside]
        response = values["pt"] / values["gen_pt"]
        if "rho" in values:
            response = response * own_share(values)
        weight = values.get("weight", np.ones(len(cell)))
        self.histograms.add(cell, response, weight)
        self.log_pt += np.bincount(cell, weight * np.log(values["gen_pt"]), len(self.log_pt))
        np.minimum.at(self.lowest, cell, values["gen_pt"])
        np.maximum.at(self.highest, cell, values["gen_pt"])

    def merged_eta(self, edges: Floats) -> ResponseSums:
        """The same in wider bins of |eta|, whose ``edges`` are some of ours."""
        group = bin_of(edges, self.eta_edges[:-1])
        bins = len(self.pt_edges) - 1
        of_cell = np.where(group < 0, -1, group * bins)[:, None] + np.arange(bins)
        of_cell[group < 0] = -1
        return self._merged(of_cell.ravel(), edges)

    def _merged(self, group: Integers, edges: Floats) -> ResponseSums:
        whole = ResponseSums(eta_edges=edges, pt_edges=self.pt_edges, outside=self.outside)
        kept = group >= 0
        whole.histograms = self.histograms.merged(group, whole.histograms.cells)
        np.add.at(whole.log_pt, group[kept], self.log_pt[kept])
        np.minimum.at(whole.lowest, group[kept], self.lowest[kept])
        np.maximum.at(whole.highest, group[kept], self.highest[kept])
        return whole

    def jets(self) -> Integers:
        """(B, G) numbers of jets."""
        return self.histograms.entries.reshape(len(self.eta_edges) - 1, -1).astype(np.int64)


def bin_of(edges: Floats, values: Floats) -> Integers:
    """Bin (R,) of each value, -1 where there is none; the last bin holds its upper edge."""
    number = np.searchsorted(edges, values, "right") - 1
    bins = len(edges) - 1
    number = np.where(values == edges[-1], bins - 1, number)
    return np.where(number >= bins, -1, number)


@dataclass(frozen=True, kw_only=True)
class ResponsePoints:
    """The measured response in one bin of |eta|, in P bins of pT_gen.

    ``lowest`` and ``highest``: pT_gen in GeV of the jets it was measured with.
    """

    eta: tuple[float, float]
    pt: Floats  # (P,) GeV, geometric mean of pT_gen
    response: Floats  # (P,) median, mean or center of its core
    error: Floats  # (P,) statistical
    jets: Integers  # (P,)
    lowest: float
    highest: float


def measured_points(
    sums: ResponseSums, number: int, group: Integers, center: str
) -> ResponsePoints:
    """The points of the bin ``number`` in |eta|; ``group`` (G,) is the point of each bin of pT.

    ``center`` of the response: one of ``CENTERS_OF_RESPONSE``.
    """
    bins = len(sums.pt_edges) - 1
    mine = slice(number * bins, (number + 1) * bins)
    points = int(group.max()) + 1
    whole_group = np.full(sums.histograms.cells, -1)
    whole_group[mine] = group
    merged = sums.histograms.merged(whole_group, points)
    response, error = merged.centers(center)
    log_pt = np.zeros(points)
    kept = group >= 0
    np.add.at(log_pt, group[kept], sums.log_pt[mine][kept])
    with np.errstate(invalid="ignore", divide="ignore"):
        pt = np.exp(log_pt / merged.weight)
    return ResponsePoints(
        eta=(float(sums.eta_edges[number]), float(sums.eta_edges[number + 1])),
        pt=pt,
        response=response,
        error=error,
        jets=merged.entries.astype(np.int64),
        lowest=float(sums.lowest[mine][kept].min()),
        highest=float(sums.highest[mine][kept].max()),
    )
