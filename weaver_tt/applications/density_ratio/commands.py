"""``weaver-tt scale-factors`` and ``weaver-tt closure`` of ratios: their options, what runs them.

What they need is imported when they run, so that ``--help`` is instant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_tt.applications.density_ratio.roles import (
    DENOMINATOR,
    IS_DENOMINATOR,
    IS_NUMERATOR,
    NUMERATOR,
    RATIO,
    WEIGHT,
)
from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.options.flags import COUNT, flag
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted, value_with_error

if TYPE_CHECKING:
    from weaver_tt.applications.density_ratio.closure import Samples
    from weaver_tt.applications.density_ratio.entries import Entries, Floats
    from weaver_tt.applications.density_ratio.scale_factors import (
        GlobalFactor,
        Prediction,
        WrittenFactors,
    )
    from weaver_tt.output.about import AboutPrediction

MAP_BINS = [15, 8]


@dataclass(kw_only=True)
class ScaleFactorOptions:
    """Scale factors of a tagger, data over simulation, of each object or row of a file."""

    tagged: str = flag(
        "", "prediction of the network for tagged objects, in data over simulation", positional=True
    )
    all: str = flag(
        "", "prediction, for the same rows, of the network for all objects", positional=True
    )
    data: list[str] = flag(
        [],
        "files of the data that both networks were trained on: their share of tagged objects",
        nargs="+",
        needed=True,
    )
    simulation: list[str] = flag([], "the same of the simulation", nargs="+", needed=True)
    tag: str = flag(
        "jet_istag",
        "column or expression that is not 0 for tagged objects, of all that the network for all "
        "objects was trained on, and NaN for others",
        daily=True,
    )
    ratio_column: str | None = flag(
        None, "the ratio in both predictions (default: the output that they say they have)"
    )
    name: str | None = flag(
        None, "column to add (default: the ratio's name, with sf in the place of ratio)"
    )
    output: str = flag(
        "scale_factors.root",
        "file to write, .root or .parquet: all columns of the first and the scale factor, with "
        "NAME_std its spread; beside it .json with the global factor and its error",
        "-o",
    )
    weight_column: str | None = flag(
        None, "event weights of data and simulation, possibly negative (default: all 1)"
    )
    treename: str | None = flag(None, "tree of ROOT files (default: their only one)")


@dataclass(kw_only=True)
class RatioClosureOptions:
    """The ratio of two samples: the reweighted denominator against the numerator."""

    predictions: list[str] = flag([], "prediction files", positional=True, nargs="+")
    output: str = flag("closure", "folder to write to", "-o")
    ratio: bool = flag(
        False,
        "of the ratio of two samples: the reweighted denominator against the numerator (default: "
        "where the files say that they are predictions of the task density_ratio)",
        action="store_true",
    )
    ratio_column: str | None = flag(
        None, "the ratio (default: the output that the files say they have)"
    )
    numerator: str | None = flag(
        None,
        "column or expression that is not 0 for rows, or objects, of the numerator (default: the "
        "label that the files name)",
    )
    denominator: str | None = flag(
        None,
        "the same of the denominator (default: the label that the files name, or all that are not "
        "of the numerator)",
    )
    variables: list[str] = flag(
        [],
        "columns or expressions to compare the ratio's samples in, alone and in pairs",
        nargs="+",
    )
    map_variables: list[str] = flag(
        [],
        "those of the variables that the binned ratio, to compare with, is made in (default: the "
        "first two)",
        nargs="+",
    )
    map_bins: list[int] = flag(
        [],
        "bins of equal content of the binned ratio, in each of its variables (default: 15 8)",
        nargs="+",
        type=int,
        bounds=COUNT,
    )
    map_from: list[str] = flag(
        [],
        "make the binned ratio from these files (default: of each half of the predictions for the "
        "other half)",
        nargs="+",
    )
    weight_column: str | None = flag(None, "event weights, possibly negative (default: all 1)")
    treename: str | None = flag(None, "tree of a ROOT file (default: its only one)")


def run_ratio_closure(options: RatioClosureOptions) -> None:
    """``weaver-tt closure`` of the ratio of two samples.

    Raises:
        ConfigError: options do not fit each other, or the files.
        DataError: a file cannot be read, or one of the samples has no weight.
        OutputError: a file cannot be written.
    """
    from weaver_tt.applications.density_ratio.closure import measure_closure, select_samples
    from weaver_tt.applications.density_ratio.figures import draw_closure
    from weaver_tt.applications.density_ratio.table import closure_results, closure_table
    from weaver_tt.figures.base import make_folder
    from weaver_tt.figures.names import NO_NAMES
    from weaver_tt.formats.file_groups import list_paths
    from weaver_tt.output.about import read_abouts
    from weaver_tt.system.atomic_files import write_text
    from weaver_tt.system.json_files import write_json

    _check_variables(options)
    paths = list_paths(options.predictions)
    about = read_abouts(paths, options.treename)
    ratio = options.ratio_column or _ratio_of(about, paths[0])
    options = _with_samples(options, {} if about is None else about.ratio)
    entries = _read(paths, options, {RATIO: ratio})
    samples = select_samples(entries, options.variables, ", ".join(paths))
    without = len(entries) - len(samples.entries)
    closure = measure_closure(samples, _map_ratios(options, samples))
    folder = Path(options.output)
    make_folder(folder)
    content = {
        "predictions": paths,
        "ratio": ratio,
        "numerator": options.numerator,
        "denominator": options.denominator,
        "map": {
            "variables": _map_names(options),
            "source": options.map_from or "the other half of the predictions",
        },
        "entries_left_out": without,
    }
    write_json(folder / "closure.json", content | closure.summary())
    write_text(folder / "closure.md", closure_table(closure))
    names = NO_NAMES if about is None else about.names
    above, below = options.numerator or NUMERATOR, options.denominator or DENOMINATOR
    draw_closure(closure, folder, names, (names.get(above, above), names.get(below, below)))
    if without:
        log.info(
            "%s of %s are of neither sample, or lack the ratio or a variable",
            f"{without:,}",
            counted(len(entries), "entry", "entries"),
        )
    results = closure_results(closure)
    results.append(("metrics", f"{folder / 'closure.json'}, {folder / 'closure.md'}"))
    results.append(("figures", str(folder / "*.png")))
    report_results("closure", results)


def _with_samples(options: RatioClosureOptions, said: Mapping[str, str]) -> RatioClosureOptions:
    """The options with the two samples that the files name, where no flag says them."""
    if options.numerator is not None:
        return options
    if NUMERATOR not in said:
        raise ConfigError(
            f"closure: {options.predictions[0]} does not say what its numerator is; expected "
            "--numerator, a column or expression that is not 0 for it"
        )
    denominator = options.denominator or said[DENOMINATOR]
    return replace(options, numerator=said[NUMERATOR], denominator=denominator)


def _map_names(options: RatioClosureOptions) -> list[str]:
    return options.map_variables or options.variables[:2]


def _check_variables(options: RatioClosureOptions) -> None:
    from collections import Counter

    from weaver_tt.errors import nearest

    if not options.variables:
        raise ConfigError(
            "closure: expected --variables, those that the ratio depends on, such as jet_pt jet_eta"
        )
    for name, times in Counter(options.variables).items():
        if times > 1:
            raise ConfigError(f"closure: --variables: {name!r} is listed {times} times")
    for name in options.map_variables:
        if name not in options.variables:
            raise ConfigError(
                f"closure: --map-variables: {name!r} is not among --variables; "
                f"{nearest(name, options.variables)}"
            )
    names = _map_names(options)
    bins = options.map_bins or MAP_BINS
    if len(bins) < len(names):
        raise ConfigError(
            f"closure: --map-bins {' '.join(map(str, bins))}: expected a number for each of "
            f"{', '.join(names)}"
        )


def _read(paths: list[str], options: RatioClosureOptions, first: dict[str, str]) -> Entries:
    """The entries of files, with the roles ``first`` before all others."""
    from weaver_tt.applications.density_ratio.entries import EntrySources, read_entries

    by_role = first | {name: name for name in options.variables}
    by_role[IS_NUMERATOR] = str(options.numerator)
    if options.denominator is not None:
        by_role[IS_DENOMINATOR] = options.denominator
    if options.weight_column is not None:
        by_role[WEIGHT] = options.weight_column
    return read_entries(paths, EntrySources(by_role), options.treename)


def _map_ratios(options: RatioClosureOptions, samples: Samples) -> Floats:
    """The binned ratio of each entry, made of other files or of the other half."""
    import numpy as np

    from weaver_tt.applications.density_ratio.closure import (
        RatioMap,
        cross_fitted_map,
        map_edges,
        select_samples,
    )
    from weaver_tt.formats.file_groups import list_paths

    names = _map_names(options)
    bins = (options.map_bins or MAP_BINS)[: len(names)]
    if not options.map_from:
        return cross_fitted_map(samples, map_edges(samples, names, bins))
    paths = list_paths(options.map_from)
    entries = _read(paths, options, {})
    others = select_samples(entries, options.variables, ", ".join(paths))
    edges = map_edges(others, names, bins)
    made = RatioMap.of(others, edges, np.ones(len(others.entries), bool))
    return made.of_entries(samples.entries)


def run_scale_factors(options: ScaleFactorOptions) -> None:
    """``weaver-tt scale-factors``.

    Raises:
        ConfigError: options do not fit each other, or the files.
        DataError: a file cannot be read, or the predictions are of different rows.
        OutputError: a file cannot be written.
    """
    from weaver_tt.applications.density_ratio.scale_factors import (
        GlobalFactor,
        measure_share,
        write_scale_factors,
    )
    from weaver_tt.formats.file_groups import list_paths
    from weaver_tt.formats.writers import check_suffix

    check_suffix(options.output)
    for name in ("data", "simulation"):
        if not getattr(options, name):
            raise ConfigError(
                f"scale-factors: expected --{name} FILES, of which the share of tagged objects is "
                "taken"
            )
    tagged = _prediction(options.tagged, options)
    all_objects = _prediction(options.all, options)
    column = options.name or _factor_name(tagged.ratio)
    shares = {}
    for name in ("data", "simulation"):
        paths = list_paths(getattr(options, name))
        shares[name] = measure_share(paths, options.tag, options.weight_column, options.treename)
    factor = GlobalFactor(**shares)
    written = write_scale_factors(
        tagged, all_objects, options.output, column, factor, options.treename
    )
    _report(options, column, factor, written)


def _prediction(path: str, options: ScaleFactorOptions) -> Prediction:
    """A prediction file, by what it says of itself."""
    from weaver_tt.applications.density_ratio.scale_factors import Prediction
    from weaver_tt.output.about import read_about

    about = read_about(path, options.treename)
    ratio = options.ratio_column or _ratio_of(about, path)
    normalisation = "unit" if about is None else about.ratio.get("normalise", "unit")
    if normalisation != "unit":
        raise ConfigError(
            f"{path}: its network was trained with normalise: {normalisation}, so that the global "
            "factor would count twice; expected one with normalise: unit"
        )
    return Prediction(path=path, ratio=ratio)


def _ratio_of(about: AboutPrediction | None, path: str) -> str:
    """The column of the ratio in a prediction file that says what it is."""
    from weaver_tt.config.density_ratio import TASK

    if about is None or about.task != TASK:
        what = "does not say what it is" if about is None else f"is of the task {about.task}"
        raise ConfigError(
            f"{path}: expected a prediction of the task {TASK}, and it {what}; --ratio-column "
            "names the column of the ratio"
        )
    return about.outputs[0]


def _factor_name(ratio: str) -> str:
    if "ratio" in ratio:
        return ratio.replace("ratio", "sf")
    return f"{ratio}_sf"


def _report(
    options: ScaleFactorOptions, column: str, factor: GlobalFactor, written: WrittenFactors
) -> None:
    from weaver_tt.system.json_files import write_json

    if written.without:
        log.warning(
            "%s of %s have no ratio, as the networks did not see them: NaN",
            f"{written.without:,}",
            counted(written.objects, "object"),
        )
    path = Path(options.output).with_suffix(".json")
    content = {
        "predictions": {"tagged": options.tagged, "all": options.all},
        "column": column,
        "global_factor": {
            "value": factor.value,
            "error": factor.error,
            "data": dataclasses.asdict(factor.data),
            "simulation": dataclasses.asdict(factor.simulation),
        },
        "scale_factors": dataclasses.asdict(written),
    }
    write_json(path, content)
    results = []
    for name in ("data", "simulation"):
        share = getattr(factor, name)
        results.append(
            (name, f"{value_with_error(share.share, share.error)} of all objects are tagged")
        )
    global_factor = value_with_error(factor.value, factor.error)
    results.append(("global factor", f"{global_factor}, data over simulation"))
    of_objects = f"mean {written.mean:.4g}, of {counted(written.objects, 'object')}"
    results.append((column, of_objects))
    results += [("file", options.output), ("metrics", str(path))]
    report_results("scale factors", results, [["weaver-tt", "inspect", options.output]])
