"""The command ``weaver-tt ddt``: its options, and what runs it.

What it needs is imported when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.options.flags import FINITE, Bounds, flag
from weaver_tt.run_files import RunFiles
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted, value_with_error

if TYPE_CHECKING:
    from weaver_tt.applications.decorrelation.ddt_json import DdtMaps
    from weaver_tt.applications.decorrelation.jets import Jets, JetSources
    from weaver_tt.applications.decorrelation.judgement import Judgement
    from weaver_tt.applications.decorrelation.threshold_map import ThresholdMap

DEFAULT_OUTPUT = "ddt.json"
DEFAULT_APPLIED = "decorrelated.root"


@dataclass(kw_only=True)
class DdtOptions:
    """A score made independent of the mass: thresholds in (rho, pT) that are subtracted (DDT)."""

    predictions: list[str] = flag(
        [],
        "prediction files of a classifier, to make the thresholds of",
        positional=True,
        nargs="*",
    )
    background: list[str] = flag(
        [],
        "classes of the background: columns that are 1 for its rows (required without --map)",
        nargs="+",
        daily=True,
    )
    efficiency: list[float] = flag(
        [],
        "share of the background that is to pass, such as 0.05 (required without --map); may be "
        "given several times, each makes a map and a column",
        bounds=Bounds(above=0, below=1),
        action="append",
        type=float,
        daily=True,
    )
    discriminant: str | None = flag(
        None,
        "score, or an expression of scores such as score_a+score_b (default: the sum of the scores "
        "of all classes but the background)",
    )
    name: str | None = flag(
        None,
        "NAME of the columns NAME_ddt_5p0 (default: that of the discriminant, without score_; "
        "signal, where it is an expression)",
    )
    mass: str = flag("jet_sdmass", "mass in GeV: a column, or an expression of columns", daily=True)
    pt: str = flag("jet_pt", "pT in GeV, the same", daily=True)
    selection: str | None = flag(
        None,
        "expression, such as '(jet_sdmass > 40) & (jet_sdmass < 250)': other rows count neither in "
        "thresholds nor in the judgement, and have NaN in the columns",
    )
    output: list[str] = flag(
        [],
        f"JSON file to write, for correctionlib (default: {DEFAULT_OUTPUT}); given twice with "
        f"--apply, the second is the file with the columns, .root or .parquet (default: "
        f"{DEFAULT_APPLIED})",
        "-o",
        action="append",
    )
    apply: str | None = flag(
        None,
        "file to copy with a further column for each efficiency, the score less its threshold; "
        "other jets than those of the map",
        daily=True,
    )
    map: str | None = flag(
        None, "JSON file of an earlier ddt to --apply, instead of making one: -o is given once"
    )
    test: list[str] = flag(
        [],
        "predictions to judge on (default: cross-fitting, each fifth of the jets by thresholds of "
        "the other four)",
        nargs="+",
    )
    mass_edges: list[float] = flag(
        [],
        "edges of the bins of mass to judge in, GeV (default: 8 bins of equal content)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    pt_edges: list[float] = flag(
        [],
        "edges of the map in pT, GeV (default: of equal content)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    rho_edges: list[float] = flag(
        [],
        "edges of the map in rho = ln(m^2/pT^2) (default: of equal content in each bin of pT)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    figures: str | None = flag(
        None,
        "folder for figures and closure.json (default: NAME_figures of the output NAME.json)",
    )
    weight_column: str | None = flag(None, "event weights, possibly negative (default: all 1)")
    treename: str | None = flag(None, "tree of ROOT files (default: their only one)")


def run_ddt(options: DdtOptions) -> None:
    """``weaver-tt ddt``.

    Raises:
        ConfigError: options do not fit each other, or the classes.
        DataError: files cannot be read, or there is too little background.
        OutputError: a file cannot be written.
    """
    from weaver_tt.applications.decorrelation.apply import check_application
    from weaver_tt.applications.decorrelation.ddt_json import load_maps
    from weaver_tt.applications.decorrelation.jets import JetSources
    from weaver_tt.report.ddt import ddt_column

    if options.map is not None:
        _check_map_alone(options)
        maps = load_maps(options.map)
        _apply(options, maps, (options.output or [DEFAULT_APPLIED])[0])
        return
    _check_options(options)
    map_path, applied_path = _outputs(options)
    sources = _sources(options)
    if options.apply is not None:
        # a wrong name is reported before anything is read
        needed = {role: sources.by_role[role] for role in ("rho", "pt", "discriminant")}
        to_apply = JetSources(by_role=needed, selection=options.selection)
        columns = [ddt_column(_name(options, sources), share) for share in options.efficiency]
        check_application(options.apply, to_apply, columns, applied_path, options.treename)
        _warn_of_own_jets(options)
    maps = _make_maps(options, sources, map_path)
    if options.apply is not None:
        _apply(options, maps, applied_path)


def _check_map_alone(options: DdtOptions) -> None:
    if options.apply is None:
        raise ConfigError("ddt: --map FILE goes with --apply FILE")
    given = {
        "prediction files": options.predictions,
        "--efficiency": options.efficiency,
        "--background": options.background,
        "--discriminant": options.discriminant,
        "--test": options.test,
    }
    for name, value in given.items():
        if value:
            raise ConfigError(f"ddt: {name} and --map: the map of {options.map} is there already")
    if len(options.output) > 1:
        raise ConfigError("ddt: with --map there is one output, that of --apply; -o is given twice")


def _check_options(options: DdtOptions) -> None:
    import numpy as np

    from weaver_tt.report.ddt import ddt_column
    from weaver_tt.report.scores import SCORE_PREFIX

    if not options.predictions:
        raise ConfigError("ddt: expected prediction files, or --map FILE --apply FILE")
    if not options.background:
        raise ConfigError("ddt: expected --background CLASS, such as label_QCD")
    if not options.efficiency:
        raise ConfigError("ddt: expected --efficiency, the share that is to pass, such as 0.05")
    name = options.name
    if name is not None and (not name.isidentifier() or name.startswith(SCORE_PREFIX)):
        raise ConfigError(
            f"ddt: --name {name}: expected letters, digits and _, and not {SCORE_PREFIX!r} at the "
            "beginning, by which a report knows scores"
        )
    columns = [ddt_column("", efficiency) for efficiency in options.efficiency]
    for column, efficiency in zip(columns, options.efficiency, strict=True):
        if columns.count(column) > 1:
            raise ConfigError(f"ddt: --efficiency {efficiency:g} is there twice")
    edges = options.mass_edges
    if edges and (len(edges) < 2 or (np.diff(edges) <= 0).any()):
        shown = " ".join(f"{edge:g}" for edge in edges)
        raise ConfigError(f"ddt: --mass-edges {shown}: expected two or more numbers that increase")
    if len(options.output) > (1 if options.apply is None else 2):
        expected = "once, or twice with --apply"
        raise ConfigError(f"ddt: -o {' -o '.join(options.output)}: expected {expected}")


def _outputs(options: DdtOptions) -> tuple[str, str]:
    """The JSON file, and the file with the columns."""
    defaults = [DEFAULT_OUTPUT, DEFAULT_APPLIED]
    map_path, applied_path = [*options.output, *defaults[len(options.output) :]]
    if Path(map_path).suffix in (".root", ".parquet"):
        raise ConfigError(
            f"ddt: -o {map_path}: the first output is the JSON file of the thresholds, that of "
            "--apply the second"
        )
    return map_path, applied_path


def _sources(options: DdtOptions) -> JetSources:
    """Expressions by role, of the flags and the classes of the files."""
    from weaver_tt.applications.decorrelation.jets import JetSources, any_of, rho_of
    from weaver_tt.errors import nearest
    from weaver_tt.formats.file_groups import list_paths
    from weaver_tt.report.scores import ModelFiles, read_classes

    discriminant = options.discriminant
    paths = list_paths(options.predictions)
    source = ModelFiles(name="ddt", paths=tuple(paths), treename=options.treename)
    classes = read_classes(source)
    for name in options.background:
        if name not in classes:
            raise ConfigError(
                f"ddt: --background {name}: {paths[0]} has no such class; {nearest(name, classes)}"
            )
    if discriminant is None:
        others = [name for name in classes if name not in options.background]
        if not others:
            raise ConfigError(
                "ddt: --background: all classes are background, so that there is no score to cut on"
            )
        discriminant = "+".join(f"score_{name}" for name in others)
    by_role = {
        "rho": rho_of(options.mass, options.pt),
        "pt": options.pt,
        "mass": options.mass,
        "discriminant": discriminant,
        "background": any_of(options.background),
    }
    if options.weight_column is not None:
        by_role["weight"] = options.weight_column
    return JetSources(by_role=by_role, selection=options.selection)


def _make_maps(options: DdtOptions, sources: JetSources, output: str) -> DdtMaps:
    """Thresholds of each efficiency: made, judged, written and drawn."""
    import numpy as np

    from weaver_tt.applications.decorrelation.ddt_json import DdtMaps, save_maps
    from weaver_tt.applications.decorrelation.figures import DdtLabels, draw_ddt
    from weaver_tt.applications.decorrelation.jets import read_background
    from weaver_tt.applications.decorrelation.judgement import equal_mass_edges
    from weaver_tt.applications.decorrelation.threshold_map import adaptive_bins, make_map
    from weaver_tt.errors import DataError
    from weaver_tt.figures.base import make_folder
    from weaver_tt.formats.file_groups import list_paths
    from weaver_tt.output.about import read_abouts
    from weaver_tt.report.ddt import ddt_column
    from weaver_tt.system.json_files import write_json

    paths = list_paths(options.predictions)
    test_paths = list_paths(options.test)
    _check_other_files(paths, test_paths)
    jets = read_background(paths, sources, options.treename)
    other = read_background(test_paths, sources, options.treename) if test_paths else None
    judged = jets if other is None else other
    edges = np.array(options.mass_edges)
    if not len(edges):
        edges = equal_mass_edges(judged)
    if not ((judged.mass >= edges[0]) & (judged.mass <= edges[-1])).any():
        raise DataError(
            f"{', '.join(test_paths or paths)}: no background jet has a mass from {edges[0]:g} to "
            f"{edges[-1]:g} GeV (--mass-edges)"
        )

    name = _name(options, sources)
    found: dict[str, ThresholdMap] = {}
    judgements: dict[str, Judgement] = {}
    for efficiency in options.efficiency:
        try:
            bins = adaptive_bins(jets, efficiency, options.pt_edges, options.rho_edges)
            made = make_map(jets, efficiency, bins)
        except DataError as error:
            raise DataError(f"{', '.join(paths)}: {error}") from error
        column = ddt_column(name, efficiency)
        found[column] = made
        judgements[column] = _judge(made, jets, other, edges, ", ".join(test_paths))
        _warn_of_map(column, made)

    kept = {role: sources.by_role[role] for role in ("rho", "pt", "discriminant")}
    maps = DdtMaps(sources=kept, by_column=found)
    description = f"thresholds of {len(jets)} background jets in {', '.join(paths)}; by weaver_tt"
    save_maps(maps, output, description)
    folder = Path(options.figures or RunFiles(str(Path(output).with_suffix(""))).figures)
    make_folder(folder)
    about = read_abouts(paths, options.treename)
    labels = DdtLabels.of(sources.by_role, {} if about is None else about.names)
    content = {}
    for column, made in found.items():
        draw_ddt(column, made, judgements[column], labels, folder)
        content[column] = _summary(made, judgements[column])
    closure = {"files": paths, "test": test_paths, "jets": len(jets), "maps": content}
    write_json(folder / "closure.json", closure)
    results: list[tuple[str, str]] = []
    for column, made in found.items():
        results += _about_map(column, made, judgements[column])
    results.append(("maps", output))
    results.append(("metrics", str(folder / "closure.json")))
    results.append(("figures", str(folder / "*.png")))
    commands = [["correction", "summary", output]]
    if options.apply is None:
        apply = ["--map", output, "--apply", "pred.root", "-o", DEFAULT_APPLIED]
        commands.insert(0, ["weaver-tt", "ddt", *apply])
    report_results("decorrelation", results, commands)
    return maps


def _check_other_files(paths: list[str], test_paths: list[str]) -> None:
    from weaver_tt.formats.file_groups import is_same_file

    for path in test_paths:
        if any(is_same_file(path, other) for other in paths):
            raise ConfigError(
                f"ddt: --test {path}: the thresholds are made of it; without --test they are judged"
                " by cross-fitting"
            )


def _warn_of_own_jets(options: DdtOptions) -> None:
    from weaver_tt.formats.file_groups import is_same_file, list_paths

    paths = list_paths(options.predictions)
    own = [path for path in paths if is_same_file(path, str(options.apply))]
    if own:
        log.warning(
            "--apply %s: the thresholds are made of it: what is flat in the output may not be so "
            "for other jets",
            own[0],
        )


def _name(options: DdtOptions, sources: JetSources) -> str:
    """Of a score alone its class; names of scores would be taken for scores by a report."""
    from weaver_tt.report.scores import SCORE_PREFIX

    if options.name is not None:
        return options.name
    discriminant = sources.by_role["discriminant"]
    if discriminant.isidentifier():
        return discriminant.removeprefix(SCORE_PREFIX)
    return "signal"


def _judge(
    made: ThresholdMap, jets: Jets, other: Jets | None, edges: Any, test_name: str
) -> Judgement:
    from weaver_tt.applications.decorrelation.judgement import judge_by_folds, judge_elsewhere

    if other is None:
        return judge_by_folds(made, jets, edges)
    return judge_elsewhere(made, jets, other, edges, f"other jets, {test_name}")


def _summary(made: ThresholdMap, judgement: Judgement) -> dict[str, Any]:
    """For ``closure.json``: each bin, and the judgement."""
    bins = made.bins
    return {
        "efficiency": made.efficiency,
        "pt_edges": bins.pt_edges,
        "rho_edges": [edges.tolist() for edges in bins.rho_edges],
        "jets": made.jets,
        "thresholds": made.thresholds,
        "errors": made.errors,
        "passing": made.passing,
        "judged_on": judgement.how,
        "mass_edges": judgement.mass_edges,
        "before": judgement.before.summary(),
        "after": judgement.after.summary(),
    }


def _warn_of_map(column: str, made: ThresholdMap) -> None:
    from weaver_tt.applications.decorrelation.threshold_map import FEW_RHO_BINS

    fewest = min(len(edges) - 1 for edges in made.bins.rho_edges)
    if fewest < FEW_RHO_BINS:
        log.warning(
            "%s: %s in rho: the background is too little for more (or --rho-edges has no more), "
            "and the threshold follows the mass only coarsely",
            column,
            counted(fewest, "bin"),
        )
    empty = int((made.jets == 0).sum())
    if empty:
        log.warning(
            "%s: %s without background: the threshold is that of the nearest bin",
            column,
            counted(empty, "bin"),
        )
    tied = made.is_tied
    if tied.any():
        shares = made.passing[tied]
        log.warning(
            "%s: scores are tied in %s of %d, which pass together: there %.3g to %.3g %% pass "
            "instead of %.3g %%",
            column,
            counted(int(tied.sum()), "bin"),
            len(made.bins),
            100 * shares.min(),
            100 * shares.max(),
            100 * made.efficiency,
        )


def _about_map(column: str, made: ThresholdMap, judgement: Judgement) -> Iterator[tuple[str, str]]:
    """Its bins, and what passes it how flat in mass."""
    fewest = int(made.jets[made.jets > 0].min())
    bins = f"{counted(len(made.bins), 'bin')} in (rho, pT)"
    yield column, f"{bins}, at least {counted(fewest, 'background jet')} in each that has any"
    after, before = judgement.after, judgement.before
    passing = value_with_error(100 * after.overall, 100 * after.overall_error)
    yield "  passing", f"{passing} % of the background, judged on {judgement.how}"
    flatness = f"chi2/ndf {after.chi2:.1f}/{after.ndf}"
    yield "  flat in mass", f"{flatness}, a plain cut {before.chi2:.1f}/{before.ndf}"


def _apply(options: DdtOptions, maps: DdtMaps, output: str) -> None:
    from weaver_tt.applications.decorrelation.apply import write_decorrelated

    written = write_decorrelated(
        maps,
        str(options.apply),
        output,
        selection=options.selection,
        treename=options.treename,
    )
    if written.unselected:
        log.info(
            "%s of %s are not selected: their values are NaN",
            f"{written.unselected:,}",
            counted(written.jets, "jet"),
        )
    for column, outside in written.outside.items():
        if outside:
            log.info(
                "%s: %s of %s are beyond the bins of the map: they have the threshold of the "
                "nearest",
                column,
                f"{outside:,}",
                counted(written.jets, "jet"),
            )
    columns = ", ".join(maps.by_column)
    results = [("columns", columns), ("file", f"{output}, {counted(written.jets, 'jet')}")]
    report_results("decorrelated scores", results, [["weaver-tt", "inspect", output]])
