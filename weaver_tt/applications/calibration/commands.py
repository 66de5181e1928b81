"""The command ``weaver-tt calibrate``: its options, and what runs it.

What it needs is imported when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.log import log
from weaver_tt.options.flags import FINITE, SEED, Bounds, flag
from weaver_tt.system.terminal import report_results

if TYPE_CHECKING:
    from weaver_tt.applications.calibration.inputs import CalibrationFiles
    from weaver_tt.applications.calibration.measurement import Measurement
    from weaver_tt.applications.calibration.scale_factors import ScaleFactor

TOYS = Bounds(at_least=0, at_most=100_000)
ERROR = Bounds(at_least=0, below=0.5)


@dataclass(kw_only=True)
class CalibrateOptions:
    """Efficiencies of a tagger in data: a fit of templates to the jets that pass and that fail."""

    data: list[str] = flag([], "files of the data, a jet a row", nargs="+", needed=True)
    mc: list[str] = flag(
        [],
        "CATEGORY:FILES of the simulation, such as top:top.root, for each category",
        nargs="+",
        needed=True,
    )
    category: list[list[str]] = flag(
        [],
        "CATEGORY EXPRESSION: which rows of its files are of a category (default: all)",
        action="append",
        nargs=2,
    )
    tag: str | None = flag(
        None, "expression that is not 0 for jets that pass, such as 'score>0.9'", needed=True
    )
    variable: str | None = flag(
        None,
        "variable whose templates are fitted: a column or an expression, such as jet_sdmass "
        "(required without --mistag)",
        daily=True,
    )
    variable_label: str | None = flag(
        None,
        "what its axis says in figures, with the unit, such as '$m_{SD}$ [GeV]' (default: what "
        "prediction files call it)",
    )
    edges: list[float] = flag(
        [],
        "edges of its bins (required without --mistag)",
        nargs="+",
        type=float,
        bounds=FINITE,
        daily=True,
    )
    bins_in: list[list[str]] = flag(
        [],
        "COLUMN EDGES: bins, such as jet_pt 300 400 600, that are measured one by one; given "
        "several times, in all combinations",
        action="append",
        nargs="+",
        daily=True,
    )
    selection: str | None = flag(
        None, "expression that is not 0 for the jets that count, of data and simulation"
    )
    weight_column: str | None = flag(
        None, "weights of the simulation, possibly negative: a column or an expression (default: 1)"
    )
    data_weight_column: str | None = flag(None, "weights of the data, the same (default: 1)")
    systematics: str | None = flag(
        None,
        "YAML of up and down templates, and of rates with log-normal uncertainties",
        daily=True,
    )
    scale_error: float = flag(
        0.01, "prior uncertainty of the variable's scale; 0: the scale is fixed", bounds=ERROR
    )
    resolution_error: float = flag(
        0.1,
        "prior uncertainty of its resolution, relative to that; 0: the resolution is fixed",
        bounds=ERROR,
    )
    resolution: float = flag(
        0.1, "its relative resolution in the simulation", bounds=Bounds(above=0, below=1)
    )
    mistag: str | None = flag(
        None,
        "CATEGORY whose efficiency is counted instead, in a region that is rich in it: the data "
        "less the other categories; without --variable and --edges",
    )
    asimov: bool = flag(
        False, "in place of data, the sum of the templates: the errors to be expected", daily=True
    )
    toys: int = flag(
        0, "data sets to draw from the fitted model and to fit, for pulls", bounds=TOYS
    )
    seed: int = flag(1, "of the toys", bounds=SEED)
    allow_bad_fit: bool = flag(
        False,
        "exit code 0 and scale factors even where a fit did not converge, has a parameter at its "
        "bound or p < 0.001",
    )
    treename: str | None = flag(None, "tree of ROOT files (default: their only one)")
    output: str = flag("calibration", "folder for results", "-o")


def run_calibrate(options: CalibrateOptions) -> None:
    """``weaver-tt calibrate``.

    Raises:
        ConfigError: options do not fit each other, or pyhf or iminuit is not installed.
        DataError: files cannot be read, templates cannot be fitted, or a fit is bad.
        OutputError: a file cannot be written.
    """
    import numpy as np

    from weaver_tt.applications.calibration.fit import load_pyhf
    from weaver_tt.applications.calibration.inputs import check_files, read_inputs
    from weaver_tt.applications.calibration.kinematic_bins import check_edges
    from weaver_tt.applications.calibration.measurement import check_templates, measure
    from weaver_tt.applications.calibration.spectra import Grid
    from weaver_tt.applications.calibration.systematics import read_systematics
    from weaver_tt.applications.calibration.templates import Distortions

    if options.mistag is not None:
        _run_mistag(options, options.mistag)
        return
    _check_options(options)
    load_pyhf()
    edges = np.array(options.edges)
    check_edges(edges, "--edges")
    distortions = Distortions(
        scale_error=options.scale_error,
        resolution_error=options.resolution_error,
        resolution=options.resolution,
    )
    files = _files(options)
    names = [category.name for category in files.categories]
    systematics = read_systematics(options.systematics, names)
    _check_free(names, systematics.rated, len(edges) - 1)
    check_files(files)
    tasks = read_inputs(files, Grid(edges), distortions, systematics)
    if options.asimov:
        tasks = [task.with_asimov_data() for task in tasks]
    for task in tasks:
        check_templates(task)
    _write(options, files, [measure(task) for task in tasks])


def _check_options(options: CalibrateOptions) -> None:
    _check_samples(options)
    for name, value in {"--variable COLUMN": options.variable, "--edges": options.edges}.items():
        if not value:
            raise ConfigError(f"calibrate: expected {name}")


def _check_samples(options: CalibrateOptions) -> None:
    required = {
        "--data FILES": options.data,
        "--mc CATEGORY:FILES": options.mc,
        "--tag EXPRESSION": options.tag,
    }
    for name, value in required.items():
        if not value:
            raise ConfigError(f"calibrate: expected {name}")


def _files(options: CalibrateOptions) -> CalibrationFiles:
    from weaver_tt.applications.calibration.categories import Category, parse_categories
    from weaver_tt.applications.calibration.inputs import DATA, CalibrationFiles
    from weaver_tt.applications.calibration.jets import JetSources
    from weaver_tt.applications.calibration.kinematic_bins import KinematicBins, parse_axis
    from weaver_tt.formats.file_groups import list_paths

    bins = KinematicBins(tuple(parse_axis(words) for words in options.bins_in))
    sources = JetSources(
        tag=str(options.tag),
        bins=bins,
        variable=options.variable,
        weight=options.weight_column,
        selection=options.selection,
    )
    return CalibrationFiles(
        data=Category(DATA, tuple(list_paths(options.data))),
        categories=parse_categories(options.mc, options.category),
        sources=sources,
        data_weight=options.data_weight_column,
        treename=options.treename,
    )


def _check_free(names: list[str], rated: set[str], bins: int) -> None:
    """Raise unless there are categories to measure, and bins enough for them."""
    free = [name for name in names if name not in rated]
    if not free:
        raise ConfigError(
            "calibrate: all categories have a rate in --systematics: none is left to be measured"
        )
    if bins <= len(free):
        raise ConfigError(
            f"calibrate: --edges makes {bins} bins; {len(free)} categories with free "
            f"normalisations ({', '.join(free)}) need more"
        )


def _write(
    options: CalibrateOptions, files: CalibrationFiles, measurements: list[Measurement]
) -> None:
    """All results of a fit; raises where it is bad."""
    import numpy as np

    from weaver_tt.applications.calibration.figures import draw_calibration
    from weaver_tt.applications.calibration.page import calibration_page
    from weaver_tt.applications.calibration.results import (
        measurement_content,
        measurement_results,
        toys_content,
        toys_results,
        warn_of_toys,
        write_calibration,
        write_workspaces,
    )
    from weaver_tt.applications.calibration.toys import run_toys
    from weaver_tt.figures.base import make_folder

    folder = Path(options.output)
    make_folder(folder)
    for measurement in measurements:
        for problem in measurement.problems:
            log.error("%s: %s", measurement.label, problem)
    write_workspaces(measurements, folder)
    contents = [measurement_content(one) for one in measurements]
    toys = []
    if options.toys:
        for measurement, content in zip(measurements, contents, strict=True):
            toys.append(run_toys(measurement, options.toys, options.seed))
            content["toys"] = toys_content(toys[-1])
            warn_of_toys(measurement.label, content["toys"])
    content = _about(options, files) | {"variable": options.variable, "bins": contents}
    label = options.variable_label or files.readable(str(options.variable))
    pictures = draw_calibration(measurements, np.array(options.edges), label, toys, folder)
    write_calibration(content, calibration_page(content, pictures), folder)
    results: list[tuple[str, str]] = []
    for measurement, of_bin in zip(measurements, contents, strict=True):
        results += measurement_results(measurement)
        if "toys" in of_bin:
            results += toys_results(of_bin["toys"])
    bad = [one for one in measurements if one.problems]
    if bad and not options.allow_bad_fit:
        report_results("calibration", results)
        _refuse(f"{bad[0].label}: {bad[0].problems[0]}", folder)
    _save_factors(files, [one.scale_factors.factors for one in measurements], folder)
    _report(results, folder)


def _run_mistag(options: CalibrateOptions, measured: str) -> None:
    """A mistag rate, counted in each bin."""
    from weaver_tt.applications.calibration.figures import draw_mistag_rates
    from weaver_tt.applications.calibration.inputs import check_files, read_control_region
    from weaver_tt.applications.calibration.page import mistag_page
    from weaver_tt.applications.calibration.results import (
        factor_content,
        factor_results,
        write_calibration,
    )
    from weaver_tt.applications.calibration.systematics import read_systematics
    from weaver_tt.errors import nearest
    from weaver_tt.figures.base import make_folder

    _check_samples(options)
    fitted = {"--variable": options.variable, "--edges": options.edges, "--toys": options.toys}
    fitted |= {"--asimov": options.asimov, "--variable-label": options.variable_label}
    for name, value in fitted.items():
        if value:
            raise ConfigError(f"calibrate: {name} and --mistag: nothing is fitted there")
    files = _files(options)
    names = [category.name for category in files.categories]
    if measured not in names:
        raise ConfigError(
            f"calibrate: --mistag {measured}: no --mc {measured}:FILES; {nearest(measured, names)}"
        )
    systematics = read_systematics(options.systematics, names)
    check_files(files)
    region = read_control_region(files, measured, systematics)
    bins = files.sources.bins
    labels = [bins.label(number) for number in range(len(bins))]
    factors = [region.mistag_rate(number, label) for number, label in enumerate(labels)]
    folder = Path(options.output)
    make_folder(folder)
    contents = []
    results = []
    for label, one in zip(labels, factors, strict=True):
        results += [(label, ""), *factor_results(one)]
        contents.append({"bin": label, "scale_factors": [factor_content(one)]})
    content = _about(options, files) | {"mistag": measured, "bins": contents}
    pictures = [draw_mistag_rates(factors, labels, folder)]
    write_calibration(content, mistag_page(content, pictures), folder)
    _save_factors(files, [[one] for one in factors], folder)
    _report(results, folder)


def _about(options: CalibrateOptions, files: CalibrationFiles) -> dict[str, Any]:
    """What ``calibration.json`` says of its input."""
    return {
        "tag": options.tag,
        "data": list(files.data.paths),
        "categories": {category.name: list(category.paths) for category in files.categories},
    }


def _refuse(problem: str, folder: Path) -> NoReturn:
    """Raise for a bad fit, of which no scale factors are left behind."""
    from weaver_tt.applications.calibration.results import SCALE_FACTORS

    # those of an earlier calibration would be taken for these
    (folder / SCALE_FACTORS).unlink(missing_ok=True)
    raise DataError(
        f"calibrate: {problem}; {folder / SCALE_FACTORS} is not written, unless with "
        "--allow-bad-fit"
    )


def _save_factors(
    files: CalibrationFiles, factors: Sequence[Sequence[ScaleFactor]], folder: Path
) -> None:
    from weaver_tt.applications.calibration.results import (
        SCALE_FACTORS,
        binned_factors,
        description,
    )
    from weaver_tt.applications.calibration.scale_factors_json import save_scale_factors

    bins = files.sources.bins
    text = description(bins, files.sources.tag)
    save_scale_factors(binned_factors(factors), bins, folder / SCALE_FACTORS, text)


def _report(results: Sequence[tuple[str, str]], folder: Path) -> None:
    """End with ``results`` and the files of the calibration."""
    from weaver_tt.applications.calibration.results import CALIBRATION, PAGE, SCALE_FACTORS

    factors = str(folder / SCALE_FACTORS)
    files = [("scale factors", factors)]
    files.append(("metrics", str(folder / CALIBRATION)))
    files.append(("page", str(folder / PAGE)))
    report_results("calibration", [*results, *files], [["correction", "summary", factors]])
