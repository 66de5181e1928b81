"""Closure of a correction: how far corrected pT over pT_gen is from 1, in cells of pT and |eta|.

In bins of pT_gen a numerical inversion closes by construction. In bins of the measured pT the
spectrum matters too: jets migrate into a bin from both sides, more of them from where there are
more. What an analysis selects is measured pT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from weaver_tt.applications.jet_energy.correction import Correction
from weaver_tt.applications.jet_energy.histograms import (
    CENTERS_OF_RESPONSE,
    ResponseHistograms,
)
from weaver_tt.applications.jet_energy.jets import JetFiles
from weaver_tt.applications.jet_energy.response import bin_of
from weaver_tt.errors import DataError
from weaver_tt.physics.jet_curves import Floats

PT_EDGES = np.array([30.0, 50, 100, 200, 400, 1000, 3000])  # GeV
ETA_EDGES = np.array([0, 0.8, 1.3, 1.7, 2.1, 2.5, 3.0, 5.2])
VARIABLES = {"reco_pt": "measured pT", "gen_pt": "pT_gen"}
FEWEST_JETS = 500
"""A cell is looked at if it has more."""
TOLERANCE = 0.01
ERRORS = 3
"""A cell closes within the tolerance, or within so many of its errors."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Corrected pT over pT_gen of the jets in a bin of pT (GeV) and |eta|."""

    pt: tuple[float, float]
    eta: tuple[float, float]
    jets: int
    median: float
    median_error: float
    mean: float
    mean_error: float
    gaussian: float  # center of its core
    gaussian_error: float

    def center(self, center: str) -> tuple[float, float]:
        """``median``, ``mean`` or ``gaussian`` and its statistical error."""
        return getattr(self, center), getattr(self, f"{center}_error")

    def has_jets(self) -> bool:
        """Whether there are enough jets to say something."""
        return self.jets > FEWEST_JETS

    def closes(self, center: str) -> bool:
        """Whether it is 1 within the tolerance, or within its errors."""
        value, error = self.center(center)
        return abs(value - 1) <= max(TOLERANCE, ERRORS * error)


@dataclass(kw_only=True)
class Closure:
    """Sums over jets, for each of ``VARIABLES``; the cells are those of PT_EDGES and ETA_EDGES."""

    center: str
    jets: int = 0
    outside: int = 0  # jets beyond the range of the correction, which got that of its border
    histograms: dict[str, ResponseHistograms] = field(init=False)

    def __post_init__(self) -> None:
        cells = (len(PT_EDGES) - 1) * (len(ETA_EDGES) - 1)
        self.histograms = {name: ResponseHistograms(cells=cells) for name in VARIABLES}

    def add(self, values: Mapping[str, Floats], factor: Floats) -> None:
        """Add jets (R,): values by role, and the factors of the correction."""
        self.jets += len(factor)
        response = values["pt"] * factor / values["gen_pt"]
        weight = values.get("weight", np.ones(len(factor)))
        eta = bin_of(ETA_EDGES, np.abs(values["eta"]))
        for name, histograms in self.histograms.items():
            pt = bin_of(PT_EDGES, values[name])
            inside = (eta >= 0) & (pt >= 0)
            cell = pt[inside] * (len(ETA_EDGES) - 1) + eta[inside]
            histograms.add(cell, response[inside], weight[inside])

    def cells(self, variable: str) -> list[Cell]:
        """All cells, those of a bin of pT one after another."""
        histograms = self.histograms[variable]
        numbers = {"jets": histograms.entries}
        for kind in CENTERS_OF_RESPONSE:
            numbers[kind], numbers[f"{kind}_error"] = histograms.centers(kind)
        rows = (dict(zip(numbers, row, strict=True)) for row in zip(*numbers.values(), strict=True))
        cells = []
        for pt in pairwise(PT_EDGES.tolist()):
            for eta in pairwise(ETA_EDGES.tolist()):
                values = {name: float(value) for name, value in next(rows).items()}
                jets = int(values.pop("jets"))
                cells.append(Cell(pt=pt, eta=eta, jets=jets, **values))
        return cells

    def summary(self) -> dict[str, Any]:
        """For ``closure.json``."""
        content: dict[str, Any] = {
            "center": self.center,
            "jets": self.jets,
            "outside": self.outside,
            "tolerance": TOLERANCE,
            "errors": ERRORS,
        }
        for name in VARIABLES:
            rows = []
            for cell in self.cells(name):
                row = dict(vars(cell))
                row["closes"] = cell.closes(self.center) if cell.has_jets() else None
                rows.append(row)
            content[name] = rows
        return content


def measure_closure(correction: Correction, files: JetFiles, center: str) -> Closure:
    """Closure of ``correction`` on jets with the roles reco_pt and gen_pt beside its own.

    Raises:
        DataError: the jets cannot be read, or there are none.
    """
    closure = Closure(center=center)
    everywhere = correction.extrapolating()
    for values in files.chunks():
        closure.outside += int(correction.is_outside(values).sum())
        closure.add(values, everywhere.factor_of(values))
    if not closure.jets:
        raise DataError(f"{', '.join(files.paths)}: no jets")
    return closure
