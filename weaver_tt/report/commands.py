"""The command ``weaver-tt report``: compares classifiers by their prediction files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.log import log
from weaver_tt.options.flags import flag

if TYPE_CHECKING:
    from weaver_tt.report.evaluation import ColumnBins
    from weaver_tt.report.figures import Picture
    from weaver_tt.report.scores import Floats, ModelFiles

DEFAULT_PT = "jet_pt"
MASS_BINS = 30


@dataclass(kw_only=True)
class ReportOptions:
    """Taggers compared by their prediction files: metrics.json, figures and report.html."""

    predictions: list[str] = flag(
        [],
        "prediction files, one model each: path, or name:path to name it",
        positional=True,
        nargs="+",
    )
    output: str = flag("report", "folder to write to", "-o")
    signal: list[str] = flag(
        [],
        "classes to judge as signal against all others (default: the first of two, each of several)",
        nargs="+",
    )
    pt_column: str | None = flag(
        None, f"column to judge in bins of (default: {DEFAULT_PT} where all files have it)"
    )
    pt_edges: list[float] = flag(
        [], "bin edges of that column (default: bins of equal content)", nargs="+", type=float
    )
    pt_bins: int = flag(6, "bins where no edges are given")
    mass_column: str | None = flag(
        None,
        "column that taggers should not know: what they do to the background's spectrum of it is measured and drawn",
    )
    mass_edges: list[float] = flag(
        [], f"bin edges of that column (default: {MASS_BINS} of equal width)", nargs="+", type=float
    )
    weight_column: str | None = flag(
        None, "event weights, possibly negative (default: all rows count 1)"
    )
    treename: str | None = flag(None, "tree of a ROOT file (default: its only one)")


def run_report(options: ReportOptions) -> None:
    """``weaver-tt report``."""
    import json
    from pathlib import Path

    from weaver_tt.figures.base import make_folder
    from weaver_tt.report.evaluation import evaluate_model, headline_metrics, metric_differences
    from weaver_tt.report.figures import draw_report
    from weaver_tt.report.page import report_page
    from weaver_tt.report.scores import parse_models
    from weaver_tt.system.atomic_files import write_text

    sources = parse_models(
        options.predictions, treename=options.treename, weight=options.weight_column
    )
    classes = _common_classes(sources)
    signals = _signal_classes(options, classes)
    sources, binning = _with_bins(options, sources, classes)
    folder = Path(options.output)
    make_folder(folder)
    models = [evaluate_model(source, classes, binning) for source in sources]
    summaries = {model.name: model.metrics() for model in models}
    numbers = {name: headline_metrics(summary, signals) for name, summary in summaries.items()}
    first = models[0].name
    compared = {
        name: metric_differences(one, numbers[first])
        for name, one in numbers.items()
        if name != first
    }
    content = {
        "classes": classes,
        "signals": signals,
        "reference": first,
        "models": summaries,
        "differences": compared,
    }
    pictures = draw_report(models, signals, folder)
    if options.mass_column is not None:
        content["sculpting"], more = _measure_sculpting(options, sources, classes, signals[0])
        pictures += more
    write_text(folder / "metrics.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text(
        folder / "report.html",
        report_page(
            content, numbers, pictures, {model.name: model.empty_classes for model in models}
        ),
    )
    log.info("%s: %d models, %d figures", folder / "report.html", len(models), len(pictures))


def _common_classes(sources: list[ModelFiles]) -> list[str]:
    """The classes of the first model; DataError if another one has others."""
    from weaver_tt.report.scores import read_classes

    classes = read_classes(sources[0])
    for source in sources[1:]:
        others = read_classes(source)
        if set(others) != set(classes):
            raise DataError(
                f"{source.paths[0]}: its classes are {', '.join(others)}; those of {sources[0].paths[0]} are {', '.join(classes)}: "
                "only models of the same classes can be compared"
            )
    return classes


def _signal_classes(options: ReportOptions, classes: list[str]) -> list[str]:
    for name in options.signal:
        if name not in classes:
            raise ConfigError(
                f"report: --signal {name}: there is no such class; {nearest(name, classes)}"
            )
    return options.signal or (classes[:1] if len(classes) == 2 else classes)


def _with_bins(
    options: ReportOptions, sources: list[ModelFiles], classes: list[str]
) -> tuple[list[ModelFiles], ColumnBins | None]:
    """The sources with the column to bin in, and its bins; neither where it is not asked for and not there."""
    from weaver_tt.report.evaluation import ColumnBins, equal_content
    from weaver_tt.report.scores import has_column

    column = options.pt_column
    if column is None:
        if not has_column(sources, DEFAULT_PT):
            return sources, None
        column = DEFAULT_PT
    edges = _read_edges(options.pt_edges, "--pt-edges")
    if options.pt_bins < 1:
        raise ConfigError(f"report: --pt-bins {options.pt_bins}: expected 1 or more")
    sources = [replace(source, pt=column) for source in sources]
    return sources, ColumnBins(column, edges) if len(edges) else equal_content(
        sources[0], classes, options.pt_bins
    )


def _read_edges(edges: list[float], name: str) -> Floats:
    """Bin edges as an array, perhaps empty; ConfigError where they do not increase."""
    import numpy as np

    if edges and (len(edges) < 2 or (np.diff(edges) <= 0).any()):
        raise ConfigError(
            f"report: {name} {' '.join(map(str, edges))}: expected two or more numbers that increase"
        )
    return np.array(edges)


def _measure_sculpting(
    options: ReportOptions, sources: list[ModelFiles], classes: list[str], signal: str
) -> tuple[dict[str, Any], list[Picture]]:
    """What the models do to the background's spectrum of ``--mass-column``: numbers and figures."""
    from pathlib import Path

    from weaver_tt.report.evaluation import ColumnBins, equal_width, evaluate_model
    from weaver_tt.report.figures import draw_spectra
    from weaver_tt.report.sculpting import EFFICIENCIES, measure_sculpting

    column, edges = str(options.mass_column), _read_edges(options.mass_edges, "--mass-edges")
    sources = [replace(source, pt=column) for source in sources]
    binning = (
        ColumnBins(column, edges) if len(edges) else equal_width(sources[0], classes, MASS_BINS)
    )
    found = {
        source.name: measure_sculpting(
            evaluate_model(source, classes, binning), classes.index(signal)
        )
        for source in sources
    }
    distances = {
        name: dict(zip(map(str, EFFICIENCIES), one.distance, strict=True))
        for name, one in found.items()
    }
    numbers = {
        "column": column,
        "signal": signal,
        "edges": binning.edges.tolist(),
        "jensen_shannon_bits": distances,
    }
    return numbers, draw_spectra(binning, found, signal, Path(options.output))
