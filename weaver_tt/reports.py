"""``weaver-tt report``: which report is made follows from what the prediction files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_tt.config.density_ratio import TASK as DENSITY_RATIO
from weaver_tt.errors import ConfigError
from weaver_tt.options.flags import refuse_flags
from weaver_tt.report.commands import ReportOptions, report_classifiers, report_jet_sample

if TYPE_CHECKING:
    from weaver_tt.output.about import AboutPrediction
    from weaver_tt.report.scores import ModelFiles

# flags that say something of one kind of predictions
OF_CLASSIFIERS = (
    *("signal", "classes", "pt_column", "pt_edges", "pt_bins"),
    *("mass_column", "mass_edges", "shifted"),
)
# expressions, by the names that the ``report`` of a data YAML has for them
JET_COLUMNS = ("raw_pt", "standard_pt", "true_pt", "true_eta", "flavour", "eta", "rho")
OF_JETS = ("standard", "extrapolate", "regions", "corrected_pt", *JET_COLUMNS)
# where the classes of predictions of jets are reported
CLASSES_FOLDER = "classes"


def run_report(options: ReportOptions) -> None:
    """``weaver-tt report``."""
    if options.sample is not None:
        report_jet_sample(options)
        return
    if not options.predictions:
        raise ConfigError("report: expected prediction files, or --sample FILE")
    # slow imports: not for --help
    from weaver_tt.output.about import read_abouts
    from weaver_tt.report.scores import parse_models

    sources = parse_models(
        options.predictions, treename=options.treename, weight=options.weight_column
    )
    abouts = {source.name: read_abouts(source.paths, source.treename) for source in sources}
    _refuse_ratios(sources, abouts)
    of_jets = [source for source in sources if _is_of_jets(source, abouts[source.name], options)]
    if not of_jets:
        what = f"{sources[0].paths[0]} is the prediction of a classifier"
        refuse_flags(options, OF_JETS, "report", what)
        report_classifiers(options)
        return
    for source in of_jets:
        if source.trainings:
            raise ConfigError(
                f"report: {source.name}: several trainings of a network are compared by their "
                f"accuracy, and {source.paths[0]} is a prediction of jet energies, which has "
                "none; give each training an argument of its own"
            )
    if len(of_jets) < len(sources):
        (other, *_) = (source for source in sources if source not in of_jets)
        raise ConfigError(
            f"report: {of_jets[0].paths[0]} is a prediction of jet energies, {other.paths[0]} is "
            "not: one report compares models of one kind"
        )
    has_classes = all(about is not None and about.classes for about in abouts.values())
    if not has_classes:
        what = f"{sources[0].paths[0]} is a prediction of jet energies"
        refuse_flags(options, OF_CLASSIFIERS, "report", what)
    _report_jets(options, sources, abouts)
    if has_classes:
        report_classifiers(replace(options, output=str(Path(options.output) / CLASSES_FOLDER)))


def _is_of_jets(source: ModelFiles, about: AboutPrediction | None, options: ReportOptions) -> bool:
    """Whether a model predicts energies of jets, as its files say or a flag does."""
    from weaver_tt.formats.open_reader import open_reader
    from weaver_tt.report.scores import SCORE_PREFIX

    if options.corrected_pt:
        return True
    if about is not None:
        return bool(about.report) or (bool(about.targets) and not about.classes)
    # of a version that did not say it, or of others
    with open_reader(source.paths[0], source.treename) as reader:
        columns = reader.columns()
    has_scores = any(name.startswith(SCORE_PREFIX) for name in columns)
    return not has_scores and any(name.startswith("output_") for name in columns)


def _refuse_ratios(
    sources: Sequence[ModelFiles], abouts: Mapping[str, AboutPrediction | None]
) -> None:
    """Raise ConfigError for a prediction of which there is nothing to compare with the truth."""
    for source in sources:
        about = abouts[source.name]
        if about is not None and about.task == DENSITY_RATIO:
            raise ConfigError(
                f"report: {source.paths[0]} is a prediction of the ratio of two samples, which no "
                "row knows the truth of; its metrics file has the mean of the ratio, the area of "
                "the two samples and the effective size, and weaver-tt closure compares the "
                "samples (docs/density-ratio.md)"
            )


def _report_jets(
    options: ReportOptions,
    sources: Sequence[ModelFiles],
    abouts: Mapping[str, AboutPrediction | None],
) -> None:
    from weaver_tt.applications.jet_energy.judging.report import JetReport, report_jets

    columns = {}
    for name in JET_COLUMNS:
        if getattr(options, name) is not None:
            columns[name] = getattr(options, name)
    report = JetReport(
        sources=sources,
        abouts=abouts,
        columns=columns,
        corrected=options.corrected_pt,
        standard=options.standard,
        extrapolates=options.extrapolate,
        regions=options.regions,
    )
    report_jets(report, Path(options.output))
