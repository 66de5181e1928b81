"""The command ``weaver-tt lund``: its options, and what runs it.

What it needs is imported when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.options.flags import FINITE, Bounds, flag
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted

if TYPE_CHECKING:
    from weaver_tt.samples.lund.trees import LundCounts

PROCESSES = Bounds(at_least=1, at_most=1024)
COMPONENTS = 4


@dataclass(kw_only=True)
class LundOptions:
    """Files of jets with the Lund tree of each jet: its Cambridge/Aachen splittings."""

    files: list[str] = flag(
        [],
        "files of jets, one a row; name:path names a class for the figure",
        positional=True,
        nargs="+",
    )
    output: str = flag("lund.root", "file to write, .root or .parquet", "-o")
    ln_kt_min: float | None = flag(
        None,
        "drop the softer branch of splittings with a smaller ln(kt / GeV) (default: no cut)",
        bounds=FINITE,
    )
    ln_delta_min: float | None = flag(
        None, "the same for ln Delta, the angle (default: no cut)", bounds=FINITE
    )
    workers: int = flag(1, "processes; their number changes nothing", bounds=PROCESSES, daily=True)
    columns: str = flag(
        "part_px,part_py,part_pz,part_energy",
        "columns of the constituents' px,py,pz,energy in GeV",
    )
    figure: bool = flag(
        True,
        "draw the average Lund plane of each class to OUTPUT_plane.png and .pdf: of the columns "
        "label_*, else of the names of the files",
        action=argparse.BooleanOptionalAction,
    )
    treename: str | None = flag(
        None, "tree of the input and output (default: the input's only one, and 'tree')"
    )
    progress: bool = flag(True, "progress bar", action=argparse.BooleanOptionalAction)


def run_lund(options: LundOptions) -> None:
    """``weaver-tt lund``."""
    from weaver_tt.figures.base import save_figure
    from weaver_tt.figures.lund_plane import lund_plane_figure
    from weaver_tt.formats.file_groups import parse_groups
    from weaver_tt.samples.lund.files import write_lund_trees
    from weaver_tt.samples.lund.trees import LundCuts

    momenta = [name.strip() for name in options.columns.split(",")]
    if len(momenta) != COMPONENTS or not all(momenta) or len(set(momenta)) < COMPONENTS:
        raise ConfigError(
            f"lund: --columns takes four different columns px,py,pz,energy, got {options.columns!r}"
        )
    cuts = LundCuts(ln_kt_min=options.ln_kt_min, ln_delta_min=options.ln_delta_min)
    start = time.perf_counter()
    counts, planes = write_lund_trees(
        parse_groups(options.files),
        options.output,
        momenta=momenta,
        cuts=cuts,
        workers=options.workers,
        treename=options.treename,
        progress=options.progress,
    )
    rate = counts.jets / (time.perf_counter() - start)
    _warn_of_empty_trees(counts)
    jets, splittings = counted(counts.jets, "jet"), counted(counts.splittings, "splitting")
    results = [
        ("file", f"{options.output}, {jets} with {splittings}"),
        ("speed", f"{rate:,.0f} jets/s"),
    ]
    densities = planes.densities()
    if options.figure and densities:
        path = Path(options.output)
        figure = lund_plane_figure(densities, planes.jets)
        written = save_figure(figure, path.with_name(f"{path.stem}_plane"))
        results.append(("average plane", ", ".join(map(str, written))))
        if planes.left_out:
            names = ", ".join(planes.left_out)
            results.append(("not drawn", f"{names}: their jets are of a class before them"))
    report_results("Lund trees", results, [["weaver-tt", "inspect", options.output]])


def _warn_of_empty_trees(counts: LundCounts) -> None:
    """Say how many jets have an empty tree, and why."""
    reasons = {
        "no constituents": counts.without_constituents,
        "NaN, infinite or cancelling momenta or negative energies": counts.unusable,
        "no splitting above the cuts": counts.cut_empty,
    }
    for reason, jets in reasons.items():
        if jets:
            log.warning(
                "%s of %d with an empty tree: %s", counted(jets, "jet"), counts.jets, reason
            )
