"""The commands ``weaver-tt toy | map | weights | closure``: their options, and what runs them.

What they need is imported when they run, so that ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.options.flags import COUNT, FINITE, NOT_NEGATIVE, SEED, flag
from weaver_tt.system.json_files import write_json
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted

if TYPE_CHECKING:
    from weaver_tt.applications.truth_tagging.efficiency_map import EfficiencyMap, MapBinning
    from weaver_tt.applications.truth_tagging.jets import JetFiles


@dataclass(kw_only=True)
class ToyOptions:
    """Toy events with known tagging efficiencies."""

    events: int = flag(100_000, "number of events", "-n", bounds=COUNT)
    seed: int = flag(1, "another seed gives other events", bounds=SEED, daily=True)
    kind: str = flag(
        "multijet",
        "QCD-like events of 2 to 8 jets, or decays of a boosted scalar to two jets",
        choices=["multijet", "boosted"],
        daily=True,
    )
    distort: str | None = flag(
        None,
        "YAML of scale factors and flavour shares: pseudo-data, whose jets are tagged with another "
        "efficiency (jet_eff_true) than simulated ones, by the factor jet_sf_true",
    )
    output: str = flag("toy.root", "file to write, .root or .parquet", "-o")


@dataclass(kw_only=True)
class ColumnOptions:
    """Names of the columns."""

    pt_column: str = flag("jet_pt", "transverse momenta")
    eta_column: str = flag("jet_eta", "pseudorapidities")
    phi_column: str = flag("jet_phi", "azimuthal angles")
    mass_column: str = flag("jet_mass", "masses; taken as 0 where there is no such column")
    flavour_column: str = flag("jet_flavour", "flavours: 5 is b, 4 is c, anything else light")
    tag_column: str = flag("jet_istag", "tags, 0 or 1")
    weight_column: str | None = flag(
        None, "event weights, possibly negative (default: all events count 1)"
    )
    treename: str | None = flag(None, "tree of a ROOT file (default: its only one)")

    def roles(self, *names: str) -> dict[str, str]:
        """Role -> column for the named roles."""
        return {name: getattr(self, f"{name}_column") for name in names}


@dataclass(kw_only=True)
class BinningOptions:
    """Bins of the efficiency map."""

    pt_edges: list[float] = flag(
        [],
        "bin edges in pT (default: bins of equal content)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    eta_edges: list[float] = flag(
        [],
        "bin edges in eta (default: bins of equal content)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    pt_bins: int = flag(
        15,
        "bins in pT where no edges are given, fewer for a flavour with few tagged jets",
        bounds=COUNT,
    )
    eta_bins: int = flag(8, "the same in eta", bounds=COUNT)

    def binning(self) -> MapBinning:
        """The same as the map's own class."""
        from weaver_tt.applications.truth_tagging.efficiency_map import MapBinning

        return MapBinning(
            pt_edges=self.pt_edges,
            eta_edges=self.eta_edges,
            pt_bins=self.pt_bins,
            eta_bins=self.eta_bins,
        )


@dataclass(kw_only=True)
class MapOptions(ColumnOptions, BinningOptions):
    """The binned (pT, eta) efficiency map of each flavour, as correctionlib JSON."""

    files: list[str] = flag([], "files with jets and tags", positional=True, nargs="+")
    output: str = flag("efficiency_map.json", "JSON file to write", "-o")
    data_config: str | None = flag(
        None,
        "data YAML that makes the columns from the files, as for training, and gives the event "
        "weight",
        "-c",
    )


@dataclass(kw_only=True)
class WeightsOptions:
    """Event weights for tag multiplicities, from a prediction file."""

    predictions: str = flag("", "prediction file", positional=True)
    exactly: list[int] = flag(
        [],
        "weight of events with exactly this many tags; several numbers give several columns",
        nargs="+",
        type=int,
        bounds=NOT_NEGATIVE,
        daily=True,
    )
    at_least: list[int] = flag(
        [],
        "the same with at least this many tags",
        nargs="+",
        type=int,
        bounds=NOT_NEGATIVE,
        daily=True,
    )
    leading: int | None = flag(
        None,
        "count tags among this many first objects of the event only (default: all)",
        bounds=COUNT,
    )
    output: str = flag(
        "weights.root", "file to write, .root or .parquet: all columns and the weights", "-o"
    )
    efficiency_column: str = flag(
        "jet_eff", "efficiencies; NAME_std is their spread over an ensemble"
    )
    scale_factor: str | None = flag(
        None,
        "column of scale factors SF, data over simulation, and NAME_std their spread: an object is "
        "tagged with probability eff SF, 1 where that is larger",
        metavar="COLUMN",
    )
    correlation: str = flag(
        "full",
        "how the ensemble's shifts of an event's objects add up in the weight's error: linearly "
        "or in quadrature",
        choices=["full", "none"],
    )
    treename: str | None = flag(
        None, "tree of the input and output (default: the input's only one, and 'tree')"
    )


@dataclass(kw_only=True)
class ClosureOptions(ColumnOptions, BinningOptions):
    """Network and map against direct tagging: closure.json and figures."""

    predictions: list[str] = flag([], "prediction files", positional=True, nargs="+")
    output: str = flag("closure", "folder to write to", "-o")
    map: str | None = flag(None, "efficiency map made by `weaver-tt map`", daily=True)
    map_from: list[str] = flag(
        [],
        "make the map from these files, best those of the training (default: from the predictions)",
        nargs="+",
        daily=True,
    )
    data_config: str | None = flag(
        None,
        "data YAML that makes the columns from the files of --map-from, and gives their event "
        "weight",
        "-c",
    )
    efficiency_column: str = flag("jet_eff", "the network's efficiencies")
    truth_column: str = flag("jet_eff_true", "true efficiencies, used where there are any")


def run_toy(options: ToyOptions) -> None:
    """``weaver-tt toy``."""
    from weaver_tt.applications.truth_tagging.distortion import load_distortion
    from weaver_tt.applications.truth_tagging.toy import write_toy

    distortion = None if options.distort is None else load_distortion(options.distort)
    write_toy(
        options.output,
        options.events,
        options.seed,
        options.kind,  # type: ignore[arg-type]
        distortion,
    )
    how = "" if options.distort is None else f", distorted by {options.distort}"
    made = f"{options.output}, {options.events:,} {options.kind} events{how}"
    report_results("toy events", [("file", made)], [["weaver-tt", "inspect", options.output]])


def run_map(options: MapOptions) -> None:
    """``weaver-tt map``."""
    from weaver_tt.applications.truth_tagging.correction_json import save_map
    from weaver_tt.applications.truth_tagging.efficiency_map import make_map

    source = _map_source(options, _paths(options.files), options.data_config)
    efficiency_map = make_map(source, options.binning())
    description = f"tagging efficiency of jets in {', '.join(options.files)}"
    save_map(efficiency_map, options.output, description)
    results = []
    for name, table in efficiency_map.flavours.items():
        pt_bins, eta_bins = table.efficiency.shape
        bins = f"{pt_bins} x {eta_bins} bins in (pT, eta), {table.tags:,.0f} tagged jets"
        results.append((f"{name} jets", bins))
    results.append(("map", options.output))
    compare = ["weaver-tt", "closure", "pred.root", "--map", options.output, "-o", "closure"]
    report_results("efficiency map", results, [compare])


def run_weights(options: WeightsOptions) -> None:
    """``weaver-tt weights``."""
    from weaver_tt.applications.truth_tagging.event_weights import TagRequest
    from weaver_tt.applications.truth_tagging.weights_output import write_event_weights

    requests = []
    for count in options.exactly:
        requests.append(TagRequest(count=count, leading=options.leading))
    for count in options.at_least:
        requests.append(TagRequest(count=count, more=True, leading=options.leading))
    corrected = write_event_weights(
        options.predictions,
        options.output,
        requests,
        efficiency=options.efficiency_column,
        scale_factor=options.scale_factor,
        correlation=options.correlation,  # type: ignore[arg-type]
        treename=options.treename,
    )
    if corrected.above_one:
        log.warning(
            "--scale-factor %s: the efficiency times the scale factor is above 1 for %s of %s, at "
            "most %.3g: they are taken as tagged for certain",
            options.scale_factor,
            f"{corrected.above_one:,}",
            counted(corrected.objects, "object"),
            corrected.largest,
        )
    names = ", ".join(request.column for request in requests)
    results = [("weights", names), ("file", options.output)]
    report_results("event weights", results, [["weaver-tt", "inspect", options.output]])


def run_closure(options: ClosureOptions) -> None:
    """``weaver-tt closure``."""
    from weaver_tt.applications.truth_tagging.closure import measure_closure
    from weaver_tt.applications.truth_tagging.figures import draw_closure
    from weaver_tt.applications.truth_tagging.jets import JetFiles
    from weaver_tt.figures.base import make_folder

    paths = _paths(options.predictions)
    efficiency_map, origin = _closure_map(options, paths)
    source = JetFiles(
        paths=paths,
        names=options.roles("pt", "eta", "phi", "flavour", "tag", "efficiency"),
        optional=options.roles("mass", "truth"),
        weight=options.weight_column,
        treename=options.treename,
    )
    closure = measure_closure(source, efficiency_map)
    origin |= _tag_precision(efficiency_map)
    # nothing is left behind where files cannot be read
    make_folder(options.output)
    summary: dict[str, Any] = {"predictions": paths, "map": origin} | closure.summary()
    write_json(Path(options.output) / "closure.json", summary)
    draw_closure(closure, options.output)
    results = [*_residuals(summary["residuals"]), *_fits(summary["distributions"])]
    results.append(("metrics", str(Path(options.output) / "closure.json")))
    results.append(("figures", str(Path(options.output) / "*.png")))
    commands = []
    if len(paths) == 1:
        weights = ["--exactly", "2", "--at-least", "1", "-o", "weights.root"]
        commands.append(["weaver-tt", "weights", *paths, *weights])
    report_results("closure", results, commands)


def _closure_map(
    options: ClosureOptions, predictions: list[str]
) -> tuple[EfficiencyMap, dict[str, Any]]:
    """The map to compare with, and what ``closure.json`` says about it."""
    from weaver_tt.applications.truth_tagging.correction_json import load_map
    from weaver_tt.applications.truth_tagging.efficiency_map import make_map

    if options.map is not None:
        if options.map_from:
            raise ConfigError("closure: --map and --map-from exclude each other")
        return load_map(options.map), {"source": options.map, "made_from_predictions": False}
    if options.map_from:
        paths = _paths(options.map_from)
        source = _map_source(options, paths, options.data_config)
        origin = {"source": paths, "made_from_predictions": False}
    else:
        log.warning(
            "the efficiency map is made from the predictions themselves; "
            "--map or --map-from takes it from the training events"
        )
        # a prediction file has its columns already, whatever made them
        source = _map_source(options, predictions, None)
        origin = {"source": predictions, "made_from_predictions": True}
    return make_map(source, options.binning()), origin


def _map_source(options: ColumnOptions, paths: list[str], data_config: str | None) -> JetFiles:
    """Files to make a map from, read with the columns of a data YAML if one is given.

    Raises:
        ConfigError: the YAML needs groups of files.
    """
    from weaver_tt.applications.truth_tagging.jets import JetFiles
    from weaver_tt.config.load import load_config

    config = None if data_config is None else load_config(data_config)
    if config is not None and config.needs_groups:
        raise ConfigError(
            f"{config.source}: file_magic: a pattern 'NAME:' is of a group of files, and the files "
            "of a map have none; write what is found in their paths"
        )
    if config is not None and options.weight_column is not None:
        log.info(
            "%s: the event weight is that of the data YAML, not %r",
            data_config,
            options.weight_column,
        )
    return JetFiles(
        paths=paths,
        names=options.roles("pt", "eta", "flavour", "tag"),
        weight=options.weight_column,
        treename=options.treename,
        config=config,
    )


def _tag_precision(efficiency_map: EfficiencyMap) -> dict[str, Any]:
    """Number n of tagged jets that each flavour's map rests on, and its precision 1 / sqrt(n)."""
    tags = {name: table.tags for name, table in efficiency_map.flavours.items()}
    precision = {}
    for name, number in tags.items():
        precision[name] = number**-0.5 if number > 0 else None
    return {"tagged_jets": tags, "tagged_jets_precision": precision}


def _residuals(residuals: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """How far the efficiencies of each estimate are from the true ones, by flavour."""
    for name, flavours in residuals.items():
        parts = []
        for flavour, numbers in flavours.items():
            parts.append(f"{flavour} {numbers['mean']:+.3f} ({numbers['rms']:.3f})")
        yield f"residuals, {name}", f"relative, mean (RMS): {', '.join(parts)}"


def _fits(distributions: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """chi2/ndf of every estimate, all flavours together."""
    for variable, group in distributions.items():
        for requirement, pairs in group.items():
            texts = []
            for name, fit in pairs["all"].items():
                if name == "direct":
                    continue
                per_ndf = fit["chi2_per_ndf"]
                texts.append(f"{name} none" if per_ndf is None else f"{name} {per_ndf:.2f}")
            yield f"{variable}, {requirement} tagged", f"chi2/ndf: {', '.join(texts)}"


def _paths(patterns: list[str]) -> list[str]:
    """Files that match, with the names of groups left out."""
    from weaver_tt.formats.file_groups import list_paths

    return list_paths(patterns)
