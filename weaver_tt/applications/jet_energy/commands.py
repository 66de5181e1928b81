"""The commands ``weaver-tt jec derive | apply``: their options, and what runs them.

What they need is imported when they run, so that ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.options.flags import FINITE, flag
from weaver_tt.run_files import RunFiles
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted, value_with_error

if TYPE_CHECKING:
    from weaver_tt.applications.jet_energy.closure import Closure
    from weaver_tt.applications.jet_energy.derive import Derived
    from weaver_tt.applications.jet_energy.jets import JetFiles

# role -> key of a prediction's `report`, and column of a sample
DEFAULTS = {
    "pt": ("corrected_pt", "jet_pt"),
    "eta": ("eta", "jet_eta"),
    "gen_pt": ("true_pt", "gen_pt"),
    "reco_pt": ("raw_pt", "jet_pt"),
}


@dataclass(kw_only=True)
class DeriveOptions:
    """The standard correction of jets: offset and response, as correctionlib JSON, with closure."""

    files: list[str] = flag(
        [],
        "files of jets, one a row, such as of simulate --process jets",
        positional=True,
        nargs="*",
    )
    prediction: list[str] = flag(
        [],
        "prediction files instead: derive what remains to be corrected after the network",
        nargs="+",
        daily=True,
    )
    output: str = flag("jec.json", "JSON file to write", "-o")
    figures: str | None = flag(
        None,
        "folder for figures and closure.json (default: NAME_figures of the output NAME.json)",
    )
    test: list[str] = flag(
        [],
        "jets of another seed to measure the closure with (default: those of the derivation)",
        nargs="+",
        daily=True,
    )
    center: str = flag(
        "median",
        "of the response in a bin that becomes 1; gaussian: of its core, within two widths",
        choices=["median", "mean", "gaussian"],
    )
    offset: str = flag(
        "auto",
        "subtract rho times area: where most jets have rho > 0 (auto), always (area), never (none; "
        "so it is for predictions unless area is given)",
        choices=["auto", "area", "none"],
    )
    extrapolate: bool = flag(
        False,
        "beyond the range of the data the factor of its border holds; otherwise a jet there is an "
        "error",
    )
    pt_edges: list[float] = flag(
        [],
        "bin edges in pT_gen, GeV (default: bins of equal content)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    eta_edges: list[float] = flag(
        [],
        "bin edges in abs(eta) (default: 14 bins to 5.2, merged where jets are few)",
        nargs="+",
        type=float,
        bounds=FINITE,
    )
    pt_column: str | None = flag(
        None,
        "pT to correct, a column or an expression of columns (default: jet_pt; of predictions what "
        "they say of themselves)",
    )
    eta_column: str | None = flag(None, "pseudorapidity (default: jet_eta, or the same)")
    gen_pt_column: str | None = flag(None, "pT of the generated jet (default: gen_pt, or the same)")
    reco_pt_column: str | None = flag(
        None, "measured pT that the closure is binned in (default: the pT to correct, or the same)"
    )
    area_column: str = flag("jet_area", "area, for the offset")
    rho_column: str = flag("rho", "density of pile-up, for the offset")
    pileup_column: str = flag(
        "pileup", "number of further collisions: where it is above 0, rho must be there"
    )
    weight_column: str | None = flag(None, "weights of the jets (default: all count 1)")
    treename: str | None = flag(None, "tree of a ROOT file (default: its only one)")


@dataclass(kw_only=True)
class ApplyOptions:
    """A file of jets with the corrected pT as a further column."""

    correction: str = flag("", "JSON file of jec derive", positional=True)
    file: str = flag("", "file of jets", positional=True)
    output: str = flag("corrected.root", "file to write, .root or .parquet", "-o")
    column: str = flag("jec_pt", "name of the column to add")
    extrapolate: bool = flag(
        False,
        "beyond the range of the data the factor of its border holds; otherwise a jet there is an "
        "error",
    )
    treename: str | None = flag(
        None, "tree of the input and output (default: the input's only one, and 'tree')"
    )


def run_derive(options: DeriveOptions) -> None:
    """``weaver-tt jec derive``."""
    from weaver_tt.applications.jet_energy.closure import measure_closure
    from weaver_tt.applications.jet_energy.correction import save_correction
    from weaver_tt.applications.jet_energy.derive import DeriveSettings, derive_correction
    from weaver_tt.applications.jet_energy.figures import draw_correction
    from weaver_tt.figures.base import make_folder
    from weaver_tt.formats.file_groups import list_paths
    from weaver_tt.system.json_files import write_json

    if bool(options.files) == bool(options.prediction):
        raise ConfigError("jec derive: expected files of jets, or --prediction with its files")
    paths = list_paths(options.files or options.prediction)
    test_paths = list_paths(options.test) if options.test else paths
    settings = DeriveSettings(
        center=options.center,
        offset=options.offset,
        pt_edges=options.pt_edges,
        eta_edges=options.eta_edges,
        extrapolates=options.extrapolate,
    )
    output = Path(options.output)
    folder = Path(options.figures or RunFiles(str(output.with_suffix(""))).figures)
    derived = derive_correction(_sample(options, paths), settings)
    _warn_of_derived(derived)
    correction = derived.correction
    test_jets = _jets_of_closure(options, test_paths, set(correction.sources))
    closure = measure_closure(correction, test_jets, options.center)
    description = (
        f"{options.center} response of {derived.jets} jets in {', '.join(paths)}; by weaver_tt"
    )
    save_correction(correction, options.output, description)
    make_folder(folder)
    draw_correction(derived, closure, folder)
    content = {"test": test_paths} | derived.summary() | {"closure": closure.summary()}
    write_json(folder / "closure.json", content)
    results = [*_derived(derived), *_closure(closure, is_of_derivation=not options.test)]
    results.append(("correction", f"{options.output}, {correction.parameters} parameters"))
    results.append(("metrics", str(folder / "closure.json")))
    results.append(("figures", str(folder / "*.png")))
    apply = ["weaver-tt", "jec", "apply", options.output, *test_paths[:1], "-o", "corrected.root"]
    # jets beyond the range would be refused; a correction may say itself that they are not
    if closure.outside and not options.extrapolate:
        apply.append("--extrapolate")
    report_results("jet energies", results, [apply, ["correction", "summary", options.output]])


def run_apply(options: ApplyOptions) -> None:
    """``weaver-tt jec apply``."""
    from weaver_tt.applications.jet_energy.apply import write_corrected
    from weaver_tt.applications.jet_energy.correction import load_correction

    correction = load_correction(options.correction)
    if options.extrapolate:
        correction = correction.extrapolating()
    jets, outside = write_corrected(
        correction,
        options.file,
        options.output,
        column=options.column,
        treename=options.treename,
    )
    if outside:
        log.warning(
            "%s of %s are beyond the range of the correction: they have the factor of its border",
            f"{outside:,}",
            counted(jets, "jet"),
        )
    results = [("file", f"{options.output}, {counted(jets, 'jet')} with {options.column}")]
    report_results("corrected jets", results, [["weaver-tt", "inspect", options.output]])


def _sample(options: DeriveOptions, paths: list[str]) -> JetFiles:
    """What a correction is derived from: area, rho and pile-up as far as they are there."""
    from weaver_tt.applications.jet_energy.jets import JetFiles, has_columns

    sources = _sources(options, paths[0])
    density = {"area": options.area_column, "rho": options.rho_column}
    if options.offset == "area":
        sources |= density
    elif options.offset == "auto" and not options.prediction:
        # a network has seen rho
        if has_columns(paths, density, options.treename):
            sources |= density
        pileup = {"pileup": options.pileup_column}
        if has_columns(paths, pileup, options.treename):
            sources |= pileup
    return JetFiles(paths=paths, sources=sources, treename=options.treename)


def _jets_of_closure(options: DeriveOptions, paths: list[str], roles: set[str]) -> JetFiles:
    """What the closure is measured with: what the correction needs, and the truth."""
    from weaver_tt.applications.jet_energy.jets import JetFiles

    sources = _sources(options, paths[0])
    sources["reco_pt"] = _source(options, paths[0], "reco_pt")
    if "rho" in roles:
        sources |= {"area": options.area_column, "rho": options.rho_column}
    return JetFiles(paths=paths, sources=sources, treename=options.treename)


def _sources(options: DeriveOptions, path: str) -> dict[str, str]:
    """Columns by role of what all jets have."""
    sources = {role: _source(options, path, role) for role in ("pt", "eta", "gen_pt")}
    if options.weight_column is not None:
        sources["weight"] = options.weight_column
    return sources


def _source(options: DeriveOptions, path: str, role: str) -> str:
    """The column or expression of a role: of the flag, or of the prediction, or the usual one."""
    given = getattr(options, f"{role}_column")
    if given is None and role == "reco_pt" and options.pt_column is not None:
        given = options.pt_column
    if given is not None:
        return str(given)
    key, column = DEFAULTS[role]
    if not options.prediction:
        return column
    from weaver_tt.output.about import read_about

    about = read_about(path, options.treename)
    if about is None or key not in about.report:
        flag_name = f"--{role.replace('_', '-')}-column"
        raise ConfigError(
            f"{path}: the prediction does not say what its {key!r} is (`report:` of the data "
            f"YAML): give {flag_name}"
        )
    return about.report[key]


def _warn_of_derived(derived: Derived) -> None:
    for remark in derived.remarks:
        log.warning("%s", remark)
    if derived.left_out:
        left_out, jets = f"{derived.left_out:,}", counted(derived.jets, "jet")
        log.warning("%s of %s are beyond the edges", left_out, jets)


def _derived(derived: Derived) -> Iterator[tuple[str, str]]:
    """What a correction was made of, for each bin of |eta|."""
    yield "offset", "rho times area" if derived.correction.has_offset else "none"
    for fit, curve in zip(derived.fits, derived.correction.curves.curves, strict=True):
        points = fit.points
        low_eta, high_eta = points.eta
        made_of = f"{counted(points.jets.sum(), 'jet')} in {counted(len(points.pt), 'point')}"
        low, low_pt, high, high_pt = _ends(curve)
        ends = f"factor {low:.3f} at {low_pt:.4g} GeV, {high:.3f} at {high_pt:.4g} GeV"
        text = f"{made_of}, chi2/ndf {fit.chi2:.1f}/{fit.ndf}, {ends}"
        yield f"abs(eta) {low_eta:.4g}-{high_eta:.4g}", text


def _ends(curve: Any) -> tuple[float, float, float, float]:
    """Factor and pT at both ends of a curve."""
    import numpy as np

    pt = np.array([curve.low, curve.high])
    low, high = curve.factor(pt)
    return float(low), curve.low, float(high), curve.high


def _closure(closure: Closure, is_of_derivation: bool) -> Iterator[tuple[str, str]]:
    """In how many cells the corrected response is 1, and what it is in the others."""
    from weaver_tt.applications.jet_energy.closure import (
        ERRORS,
        FEWEST_JETS,
        TOLERANCE,
        VARIABLES,
    )

    whose = "the jets of the derivation" if is_of_derivation else "other jets"
    yield "closure", f"response within {100 * TOLERANCE:g} % or {ERRORS} errors of 1, of {whose}"
    for name, text in VARIABLES.items():
        cells = [cell for cell in closure.cells(name) if cell.has_jets()]
        if not cells:
            yield "", f"no cell of {text} and abs(eta) has more than {FEWEST_JETS} jets"
            continue
        closed = [cell for cell in cells if cell.closes(closure.center)]
        yield "", f"in {len(closed)} of {counted(len(cells), 'cell')} of {text} and abs(eta)"
        for cell in cells:
            if cell not in closed:
                value, error = cell.center(closure.center)
                pt = "{:g}-{:g} GeV".format(*cell.pt)
                eta = "abs(eta) {:g}-{:g}".format(*cell.eta)
                yield "", f"not at {pt}, {eta}: {value_with_error(value, error)}"
    if closure.outside:
        beyond = f"{closure.outside:,} of {counted(closure.jets, 'jet')}"
        yield "beyond its range", f"{beyond}, which have the factor of its border"
