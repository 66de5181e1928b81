"""``weaver-tt report --sample``: what is in a sample of jets, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.figures.base import make_folder
from weaver_tt.figures.jet_sample import (
    ConstituentsOfJet,
    cloud_figure,
    shapes_figure,
    spectrum_figure,
    target_figure,
)
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.pages.page import Gallery, Page, Section, Table, render_page
from weaver_tt.pages.pictures import Picture, write_pictures
from weaver_tt.physics.particles import BOTTOM, CHARM, GLUON, LIGHT_QUARKS
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import write_json
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Any]

CHUNK_ROWS = 50_000
WINDOW = 1.0  # jets whose target is farther from 0 do not count in the loss: Eq. 6.8

JET_COLUMNS = ("jet_pt", "gen_pt", "gen_eta", "jet_flavour")
COLLECTIONS = {"ch": "charged", "ne": "neutral", "sv": "secondary vertices"}
FLAVOURS = {
    "uds": LIGHT_QUARKS,
    "c": (CHARM,),
    "b": (BOTTOM,),
    "g": (GLUON,),
    "unknown": (0,),
}
# column -> label of its axis, and bin edges
SHAPES: dict[str, tuple[str, Floats]] = {
    "jet_multiplicity": ("multiplicity", np.arange(-0.5, 120.5, 3.0)),
    "jet_ptd": (r"$p_T D$", np.linspace(0, 1, 41)),
    "jet_sigma2": (r"$\sigma_2$", np.linspace(0, 0.16, 41)),
}
SHAPES_OF = ("uds", "g")
SHAPES_PT = (100.0, 300.0)
"""GeV, of the generated jet: flavours with other spectra are compared at the same pT."""
TARGET_OF = ("uds", "c", "b", "g")
PT_EDGES = np.geomspace(10, 5000, 55)
ETA_EDGES = np.linspace(-5.2, 5.2, 53)
TARGET_EDGES = np.linspace(-1.5, 1.5, 121)


@dataclass(slots=True, kw_only=True)
class SampleSums:
    """Sums over the jets of a sample, and the jet with the most constituents."""

    jets: int = 0
    outside: int = 0  # jets whose target is outside of the window
    plane: Floats = field(default_factory=lambda: np.zeros((54, 52)))  # in (pT, eta)
    flavours: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLAVOURS, 0))
    target: dict[str, Floats] = field(default_factory=dict)
    shapes: dict[str, dict[str, Floats]] = field(default_factory=dict)
    largest: ConstituentsOfJet | None = None

    def add(self, place: str, columns: Columns) -> None:
        """Add the jets of a chunk; ``place`` is where it comes from.

        Raises:
            DataError: a pT is not positive, or flavours are not whole numbers.
        """
        values = {name: ak.to_numpy(columns[name]) for name in (*JET_COLUMNS, *SHAPES)}
        for name in ("jet_pt", "gen_pt"):
            check_positive(place, name, values[name])
        flavour = whole_numbers(place, "jet_flavour", values["jet_flavour"])
        target = np.log(values["gen_pt"].astype(np.float64) / values["jet_pt"])
        self.jets += len(target)
        self.outside += int((np.abs(target) >= WINDOW).sum())
        plane, _, _ = np.histogram2d(values["gen_pt"], values["gen_eta"], (PT_EDGES, ETA_EDGES))
        self.plane += plane
        for name, numbers in FLAVOURS.items():
            mine = np.isin(np.abs(flavour), numbers)
            self.flavours[name] += int(mine.sum())
            if name in TARGET_OF:
                self._fill(self.target, name, target[mine], TARGET_EDGES)
            if name in SHAPES_OF:
                mine &= (values["gen_pt"] >= SHAPES_PT[0]) & (values["gen_pt"] < SHAPES_PT[1])
                for column, (_, edges) in SHAPES.items():
                    of_column = self.shapes.setdefault(column, {})
                    self._fill(of_column, name, values[column][mine], edges)
        self._keep_largest(columns)

    @staticmethod
    def _fill(sums: dict[str, Floats], name: str, values: Any, edges: Floats) -> None:
        # what is beyond the edges is in the outermost bins
        inside = np.clip(values, edges[0], np.nextafter(edges[-1], -np.inf))
        counts = np.histogram(inside, edges)[0]
        sums[name] = sums.get(name, np.zeros(len(edges) - 1)) + counts

    def _keep_largest(self, columns: Columns) -> None:
        """Keep the jet with the most constituents, if no earlier one has as many."""
        numbers = sum(ak.to_numpy(ak.num(columns[f"{prefix}_pt"])) for prefix in COLLECTIONS)
        if not len(numbers):
            return
        row = int(np.argmax(numbers))
        if self.largest is not None:
            known = sum(part.shape[1] for part in self.largest.parts.values())
            if numbers[row] <= known:
                return
        parts = {}
        for prefix, name in COLLECTIONS.items():
            values = [columns[f"{prefix}_{axis}"][row] for axis in ("eta", "phi", "pt")]
            parts[name] = np.stack([ak.to_numpy(value).astype(np.float64) for value in values])
        self.largest = ConstituentsOfJet(pt=float(columns["jet_pt"][row]), parts=parts)


def check_positive(place: str, name: str, values: npt.NDArray[Any]) -> None:
    """Raise DataError unless all values of a column are finite and above 0."""
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        first = int(np.argmax(bad))
        raise DataError(
            f"{place}: column {name!r}: {int(bad.sum())} of {len(values)} values are not above 0 "
            f"(first: {values[first]:g}); the target is the logarithm of a ratio of them"
        )


def whole_numbers(place: str, name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The values of a column as whole numbers.

    Raises:
        DataError: they are of another kind.
    """
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"{place}: column {name!r} holds {values.dtype}; expected whole numbers, the PDG "
            "numbers of flavours"
        )
    return values.astype(np.int64)


def read_sample(path: str, treename: str | None) -> SampleSums:
    """Sums over all jets of a file.

    Raises:
        DataError: there is no such file, a column is missing or cannot be used, or it has no jets.
    """
    sums = SampleSums()
    names = [*JET_COLUMNS, *SHAPES]
    names += [f"{prefix}_{axis}" for prefix in COLLECTIONS for axis in ("eta", "phi", "pt")]
    with open_reader(path, treename) as reader:
        for first, last in row_ranges(reader):
            sums.add(reader.place, reader.read(names, first, last))
    if not sums.jets:
        raise DataError(f"{path}: the file has no jets")
    return sums


def row_ranges(reader: Reader) -> list[tuple[int, int]]:
    """Ranges of rows to read at once."""
    rows = reader.rows()
    starts = range(0, rows, CHUNK_ROWS)
    return [(first, min(first + CHUNK_ROWS, rows)) for first in starts]


def report_sample(path: str, treename: str | None, folder: Path) -> None:
    """Write figures, ``sample.json`` and ``report.html`` of a sample to ``folder``.

    Raises:
        DataError: the sample cannot be read.
        OutputError: a file cannot be written.
    """
    sums = read_sample(path, treename)
    make_folder(folder)
    pictures = draw_sample(sums, folder)
    content = {
        "file": path,
        "jets": sums.jets,
        "flavours": sums.flavours,
        "outside_window": sums.outside,
        "window": WINDOW,
    }
    write_json(folder / "sample.json", content)
    write_text(folder / "report.html", sample_page(content, pictures))
    results = [
        ("jets", f"{sums.jets:,}"),
        ("page", f"{folder / 'report.html'}, {counted(len(pictures), 'figure')}"),
        ("metrics", str(folder / "sample.json")),
    ]
    report_results("sample", results)


def draw_sample(sums: SampleSums, folder: Path) -> list[Picture]:
    """Write the figures of a sample as PNG and PDF."""
    figures = [
        (
            "sample_spectrum",
            "Jets in pT and eta of the generated jet, and their flavours.",
            spectrum_figure(sums.plane, PT_EDGES, ETA_EDGES, sums.flavours),
        ),
        (
            "sample_shapes",
            f"Multiplicity, pTD and sigma2 of quark and gluon jets of {SHAPES_PT[0]:g} to "
            f"{SHAPES_PT[1]:g} GeV.",
            shapes_figure(
                {label: (edges, sums.shapes[name]) for name, (label, edges) in SHAPES.items()}
            ),
        ),
        (
            "sample_target",
            "The target; jets beyond the dotted lines do not count in the loss.",
            target_figure(TARGET_EDGES, sums.target, WINDOW),
        ),
    ]
    if sums.largest is not None:
        figures.insert(
            1,
            (
                "sample_cloud",
                "The jet with the most constituents; areas are proportional to pT.",
                cloud_figure(sums.largest),
            ),
        )
    return write_pictures(figures, folder)


def sample_page(content: Mapping[str, Any], pictures: Sequence[Picture]) -> str:
    """The page: how many jets of each flavour, and the figures."""
    name = Path(content["file"]).name
    head = ["", "jets", *content["flavours"], "outside of the window"]
    numbers = [content["jets"], *content["flavours"].values(), content["outside_window"]]
    table = Table(head=head, rows=[[name, *(f"{number:,}" for number in numbers)]])
    sections = [Section("Jets", [table]), Section("Figures", [Gallery(pictures)])]
    about = counted(content["jets"], "jet")
    return render_page(Page(title=f"Sample {name}", about=about, sections=sections))
