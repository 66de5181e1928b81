"""Flags of ``weaver-tt report``, and its reports of classifiers and of a sample of jets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.log import log
from weaver_tt.options.figures import MAX_CLASSES
from weaver_tt.options.flags import COUNT, FINITE, flag
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted, value_with_error

if TYPE_CHECKING:
    from weaver_tt.config.schema import Discriminant
    from weaver_tt.pages.pictures import Picture
    from weaver_tt.report.ddt import DdtPoint
    from weaver_tt.report.evaluation import ColumnBins
    from weaver_tt.report.scores import Floats, ModelFiles
    from weaver_tt.report.sculpting import Sculpting

DEFAULT_PT = "jet_pt"
MASS_BINS = 30
SHOWN_NUMBERS = 4  # of each model, when the report is done; all are on its page


@dataclass(kw_only=True)
class ReportOptions:
    """Models compared by their prediction files: metrics.json, figures and report.html."""

    predictions: list[str] = flag(
        [],
        "prediction files, one model each: path, or name:path to name it; name:path,path,path are "
        "trainings of one network, of which the one of median accuracy is shown",
        positional=True,
        nargs="*",
    )
    shifted: list[str] = flag(
        [],
        "of classifiers: predictions of a second sample, such as partons or another year, as "
        "name:path with the names of the first: what becomes of efficiencies at fixed thresholds; "
        "models LINE@POINT of one LINE are joined in the figure",
        nargs="+",
    )
    sample: str | None = flag(
        None,
        "a file of jets to calibrate (of simulate --process jets, or with its columns) to draw "
        "instead: spectrum, flavours, a jet, shapes, target",
    )
    output: str = flag("report", "folder to write to", "-o")
    signal: list[str] = flag(
        [],
        "of classifiers: signal classes, each against all others (default: the first of two, each "
        "of several)",
        nargs="+",
        daily=True,
    )
    classes: list[str] = flag(
        [],
        "of classifiers: classes to draw, each with figures of its own (default: all, or the "
        f"{MAX_CLASSES} with most rows; those of --signal are drawn in any case)",
        nargs="+",
    )
    pt_column: str | None = flag(
        None,
        f"of classifiers: column to bin in (default: {DEFAULT_PT} where all files have it)",
    )
    pt_edges: list[float] = flag(
        [],
        "bin edges of that column (default: bins of equal content)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    pt_bins: int = flag(6, "bins where no edges are given", bounds=COUNT)
    mass_column: str | None = flag(
        None,
        "of classifiers: column that they should be decorrelated from: measure and draw how a "
        "selection sculpts the background's spectrum of it",
        daily=True,
    )
    mass_edges: list[float] = flag(
        [],
        f"bin edges of that column (default: {MASS_BINS} of equal width)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    standard: str | None = flag(
        None,
        "of jet energies: the standard correction (of weaver-tt jec derive), to which improvements "
        "are relative",
    )
    extrapolate: bool = flag(
        False, "beyond its range the standard correction has the factor of the border"
    )
    regions: list[str] = flag(
        [],
        "of jet energies: regions of the detector, central (abs(eta) below 2.5) and forward (2.5 "
        "to 5) (default: both)",
        nargs="+",
    )
    corrected_pt: list[str] = flag(
        [],
        "corrected pT in GeV, an expression of the columns of the files, or NAME=EXPRESSION for "
        "one model; as for the flags that follow, default is what a prediction file says itself",
        nargs="+",
    )
    raw_pt: str | None = flag(None, "measured pT that is corrected: an expression")
    standard_pt: str | None = flag(
        None, "pT by the standard correction, in place of --standard: an expression"
    )
    true_pt: str | None = flag(None, "pT of the generated jet: an expression; not above 0: none")
    true_eta: str | None = flag(None, "eta of the generated jet: an expression")
    flavour: str | None = flag(
        None, "flavour of the jet, a PDG number or 0 where it is unknown: an expression"
    )
    eta: str | None = flag(None, "measured eta, for the closure: an expression")
    rho: str | None = flag(None, "density of pile-up, for the closure: an expression")
    weight_column: str | None = flag(
        None, "event weights, possibly negative (default: all rows count 1)"
    )
    treename: str | None = flag(None, "tree of a ROOT file (default: its only one)")


def report_classifiers(options: ReportOptions) -> None:
    """Compare classifiers by their scores.

    Raises:
        ConfigError: options do not fit the files, or each other.
        DataError: files cannot be read, or cannot be compared.
        OutputError: a file cannot be written.
    """
    # torch, matplotlib and the readers take seconds to import: not for --help
    from weaver_tt.figures.base import make_folder
    from weaver_tt.figures.names import in_words
    from weaver_tt.report.ddt import ddt_content, judge_ddt
    from weaver_tt.report.discriminants import common_discriminants, measure_discriminants
    from weaver_tt.report.evaluation import metric_differences
    from weaver_tt.report.figures import draw_discriminants, draw_report, draw_resilience
    from weaver_tt.report.page import about_left_out, report_page
    from weaver_tt.report.scores import parse_models
    from weaver_tt.report.shifted import evaluate_shifted, shifted_details
    from weaver_tt.report.trainings import evaluate_trainings
    from weaver_tt.system.atomic_files import write_text
    from weaver_tt.system.json_files import write_json

    sources = parse_models(
        options.predictions, treename=options.treename, weight=options.weight_column
    )
    shifted = _shifted_sources(options, sources)
    classes = _common_classes([*sources, *shifted])
    _check_classes("--signal", options.signal, classes)
    _check_classes("--classes", options.classes, classes)
    signals = _signal_classes(options, classes)
    sources, binning = _with_bins(options, sources, classes)
    mass = _mass_bins(options, sources[0], classes)

    # all rows are read once here, and once more where there are discriminants, and where the
    # sculpting needs other bins
    networks = [evaluate_trainings(source, classes, binning) for source in sources]
    models = [network.median for network in networks]
    drawn = models[0].summary.shown_classes(options.classes)
    shown = [name for name in classes if name in (*drawn, *options.signal)]
    metrics = {}
    headlines = {}
    for model, network in zip(models, networks, strict=True):
        metrics[model.name] = network.metrics(shown)
        headlines[model.name] = network.headlines(signals)
    # a file that was not made here knows no names: those of the first model that has one count
    names = {name: text for model in reversed(models) for name, text in model.names.items()}
    reference = models[0].name
    differences = {}
    for name, headline in headlines.items():
        if name != reference:
            differences[name] = metric_differences(headline, headlines[reference])
    content = {
        "classes": classes,
        "signals": signals,
        "reference": reference,
        "models": metrics,
        "differences": differences,
        "names": names,
    }

    folder = Path(options.output)
    make_folder(folder)
    sources = [model.source for model in models]
    ddt = judge_ddt(sources, classes, signals, mass)
    if ddt:
        content["ddt"] = ddt_content(ddt)
    left_out = [name for name in classes if name not in shown]
    drawn_signals = [name for name in signals if name in shown]
    # figures come before the page, which holds them
    pictures = draw_report(models, drawn_signals, folder, ddt, names, drawn)
    pictures.left_out = left_out
    discriminants = common_discriminants(sources)
    if discriminants:
        measured = measure_discriminants(sources, classes, discriminants)
        content["discriminants"] = {name: found.content() for name, found in measured.items()}
        pictures.discriminants = draw_discriminants(measured, folder)
    if mass is not None:
        content["sculpting"], pictures.sculpting = _measure_sculpting(
            mass,
            sources,
            classes,
            signals[0],
            discriminants,
            ddt.get(signals[0], {}),
            folder,
            names,
        )
    if shifted:
        shifted_models = evaluate_shifted(networks, shifted, signals, discriminants)
        content["shifted"] = shifted_details(shifted_models, signals, list(discriminants))
        selected = {name: in_words(name, names) for name in drawn_signals}
        selected |= {name: f"the signal of {name}" for name in discriminants}
        pictures.resilience = draw_resilience(shifted_models, selected, folder)
    empty = {model.name: model.empty_classes for model in models}
    page = report_page(content, headlines, pictures, empty)
    write_json(folder / "metrics.json", content)
    write_text(folder / "report.html", page)
    if left_out:
        log.info("report: %s", about_left_out(classes, left_out))
    results = [(model.name, _headline_text(headlines[model.name])) for model in models]
    figures = counted(len(pictures.every), "figure")
    results.append(("page", f"{folder / 'report.html'}, {figures}"))
    results.append(("metrics", str(folder / "metrics.json")))
    report_results("report", results)


def _headline_text(headlines: Mapping[str, Mapping[str, Any]]) -> str:
    """The first numbers that models are compared by, with their errors."""
    parts: list[str] = []
    for name, number in headlines.items():
        if number["value"] is not None and len(parts) < SHOWN_NUMBERS:
            # an unknown error is None
            parts.append(f"{name} {value_with_error(number['value'], number['error'] or 0.0)}")
    return ", ".join(parts) or "nothing could be measured"


def report_jet_sample(options: ReportOptions) -> None:
    """What is in a sample of jets, instead of predictions.

    Raises:
        ConfigError: there are predictions too.
        DataError: the sample cannot be read.
        OutputError: a file cannot be written.
    """
    from weaver_tt.report.jet_sample import report_sample

    if options.predictions:
        raise ConfigError("report: --sample draws a sample alone, without prediction files")
    report_sample(str(options.sample), options.treename, Path(options.output))


def _common_classes(sources: list[ModelFiles]) -> list[str]:
    """The classes of the first model.

    Raises:
        DataError: another model has others.
    """
    from weaver_tt.report.scores import read_classes

    classes = read_classes(sources[0])
    for source in sources[1:]:
        others = read_classes(source)
        if set(others) != set(classes):
            raise DataError(
                f"{source.paths[0]}: its classes are {', '.join(others)}; those of "
                f"{sources[0].paths[0]} are {', '.join(classes)}: only models of the same classes "
                "can be compared"
            )
    return classes


def _shifted_sources(options: ReportOptions, sources: list[ModelFiles]) -> list[ModelFiles]:
    """The files of ``--shifted`` in the order of the models; none where there is no such flag."""
    from weaver_tt.report.scores import parse_models
    from weaver_tt.report.shifted import pair_by_name

    if not options.shifted:
        return []
    shifted = parse_models(options.shifted, treename=options.treename, weight=options.weight_column)
    return pair_by_name(sources, shifted)


def _check_classes(option: str, names: Sequence[str], classes: Sequence[str]) -> None:
    """Raise ConfigError for one of the ``names`` that is no class."""
    for name in names:
        if name not in classes:
            raise ConfigError(
                f"report: {option} {name}: there is no such class; {nearest(name, classes)}"
            )


def _signal_classes(options: ReportOptions, classes: list[str]) -> list[str]:
    if options.signal:
        return options.signal
    # of two classes the second is the background
    return classes[:1] if len(classes) == 2 else classes


def _with_bins(
    options: ReportOptions, sources: list[ModelFiles], classes: list[str]
) -> tuple[list[ModelFiles], ColumnBins | None]:
    """The sources with the column to bin in, and its bins.

    Without bins if none are asked for and the files lack the default column.
    """
    from weaver_tt.report.evaluation import ColumnBins, equal_content
    from weaver_tt.report.scores import has_column

    column = options.pt_column
    if column is None:
        if not has_column(sources, DEFAULT_PT):
            return sources, None
        column = DEFAULT_PT
    # options are checked before rows are read
    edges = _read_edges(options.pt_edges, "--pt-edges")
    sources = [replace(source, bin_column=column) for source in sources]
    if len(edges):
        return sources, ColumnBins(column, edges)
    return sources, equal_content(sources[0], classes, options.pt_bins)


def _read_edges(edges: list[float], name: str) -> Floats:
    """Bin edges as an array, perhaps empty.

    Raises:
        ConfigError: they do not increase.
    """
    import numpy as np

    if edges and (len(edges) < 2 or (np.diff(edges) <= 0).any()):
        given = " ".join(map(str, edges))
        raise ConfigError(f"report: {name} {given}: expected two or more numbers that increase")
    return np.array(edges)


def _mass_bins(options: ReportOptions, source: ModelFiles, classes: list[str]) -> ColumnBins | None:
    """The bins of ``--mass-column``; None without it."""
    from weaver_tt.report.evaluation import ColumnBins, equal_width

    if options.mass_column is None:
        return None
    edges = _read_edges(options.mass_edges, "--mass-edges")
    if len(edges):
        return ColumnBins(options.mass_column, edges)
    return equal_width(replace(source, bin_column=options.mass_column), classes, MASS_BINS)


def _measure_sculpting(
    binning: ColumnBins,
    sources: Sequence[ModelFiles],
    classes: list[str],
    signal: str,
    discriminants: Mapping[str, Discriminant],
    ddt: Mapping[str, Sequence[DdtPoint]],
    folder: Path,
    names: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, list[Picture]]]:
    """How selections sculpt the background's spectrum of the mass: numbers, figures.

    Selections by the score of ``signal``, and by each discriminant; figures are by their names.
    """
    from weaver_tt.report.discriminants import sculpting_of_discriminants
    from weaver_tt.report.evaluation import evaluate_model
    from weaver_tt.report.figures import draw_spectra, draw_trade_off
    from weaver_tt.report.sculpting import measure_sculpting, sculpting_content

    models = {}
    by_discriminant: dict[str, dict[str, Sculpting]] = {name: {} for name in discriminants}
    for source in sources:
        binned = replace(source, bin_column=binning.column)
        model = evaluate_model(binned, classes, binning)
        models[source.name] = measure_sculpting(model, classes.index(signal))
        found = sculpting_of_discriminants(binned, classes, discriminants, binning)
        for name, of_discriminant in found.items():
            by_discriminant[name][source.name] = of_discriminant
    numbers = {
        "column": binning.column,
        "signal": signal,
        "edges": binning.edges.tolist(),
        **sculpting_content(models),
    }
    drawn = draw_spectra(binning, models, signal, folder, names)
    drawn.append(draw_trade_off(models, ddt, signal, binning.column, folder, names))
    pictures = {signal: drawn}
    if by_discriminant:
        numbers["discriminants"] = {}
    for name, of_models in by_discriminant.items():
        numbers["discriminants"][name] = sculpting_content(of_models)
        selected = f"the signal of {name}"
        drawn = draw_spectra(binning, of_models, selected, folder, names, name)
        drawn.append(draw_trade_off(of_models, {}, selected, binning.column, folder, names, name))
        pictures[name] = drawn
    return numbers, pictures
