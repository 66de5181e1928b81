"""``weaver-tt report`` of regressions: jets judged by their prediction files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weaver_tt.applications.jet_energy.correction import load_correction
from weaver_tt.applications.jet_energy.judging.content import ABOUT, metrics_content
from weaver_tt.applications.jet_energy.judging.evaluation import RAW, STANDARD, judge
from weaver_tt.applications.jet_energy.judging.figures import draw_judgement
from weaver_tt.applications.jet_energy.judging.page import judgement_page
from weaver_tt.applications.jet_energy.judging.reading import FLAG_OF, JetModel
from weaver_tt.applications.jet_energy.judging.responses import REGIONS
from weaver_tt.config.schema import REPORT_COLUMNS
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.figures.base import make_folder
from weaver_tt.output.about import AboutPrediction
from weaver_tt.report.scores import ModelFiles
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import write_json
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted

# NAME=EXPRESSION: of one model alone
_OF_MODEL = re.compile(r"([^=<>!]+?)\s*=(?!=)\s*(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class JetReport:
    """What the command line says of a report of jets."""

    sources: Sequence[ModelFiles]
    abouts: Mapping[str, AboutPrediction | None]  # name of the model -> what its files say
    columns: Mapping[str, str]  # by flags, for all models
    corrected: Sequence[str]  # --corrected-pt
    standard: str | None
    extrapolates: bool
    regions: Sequence[str]


def report_jets(report: JetReport, folder: Path) -> None:
    """Write ``metrics.json``, figures and ``report.html`` of jets to ``folder``.

    Raises:
        ConfigError: options do not fit together, or nothing says what a column is.
        DataError: files cannot be read, or what is in them cannot be compared.
        OutputError: a file cannot be written.
    """
    regions = _regions(report.regions)
    correction = None
    if report.standard is not None:
        if "standard_pt" in report.columns:
            raise ConfigError("report: --standard and --standard-pt are two standards; give one")
        correction = load_correction(report.standard)
        if report.extrapolates:
            correction = correction.extrapolating()
    needed = () if correction is None else correction.needed_columns
    models = _models(report, needed)
    judgement = judge(models, correction=correction, regions=regions)
    content = metrics_content(judgement)
    make_folder(folder)
    # figures come before the page, which holds them
    pictures = draw_judgement(judgement, folder)
    page = judgement_page(content, pictures)
    write_json(folder / "metrics.json", content)
    write_text(folder / "report.html", page)
    results = [
        ("models", ", ".join(model.name for model in judgement.everything)),
        ("jets", f"{judgement.jets:,}"),
        ("page", f"{folder / 'report.html'}, {counted(len(pictures.every), 'figure')}"),
        ("metrics", str(folder / "metrics.json")),
    ]
    report_results("report", results)


def _regions(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in REGIONS:
            raise ConfigError(f"report: --regions {name}: {nearest(name, REGIONS)}")
    # in the order of the tables, each once
    return [name for name in REGIONS if name in names or not names]


def _models(report: JetReport, needed: Sequence[str]) -> list[JetModel]:
    """The models, with what flags and their own files say of their columns."""
    names = [source.name for source in report.sources]
    for name in (ABOUT, STANDARD, RAW):
        if name in names:
            raise ConfigError(
                f"report: a model cannot be called {name!r}, which metrics.json has for something "
                "else; name it: NAME:PATH"
            )
    corrected = _corrected_by_model(report.corrected, names)
    models = []
    for number, source in enumerate(report.sources):
        about = report.abouts[source.name]
        columns: dict[str, str] = {}
        if about is not None:
            columns |= {key: text for key, text in about.report.items() if key in REPORT_COLUMNS}
        columns |= report.columns
        if source.name in corrected:
            columns["corrected_pt"] = corrected[source.name]
        model = JetModel(
            name=source.name,
            paths=source.paths,
            columns=columns,
            about=about,
            treename=source.treename,
            weight=source.weight,
        )
        # the standard is evaluated once, on the jets of the first model
        more = dict.fromkeys(needed if number == 0 else ())
        for quantile in model.quantiles:
            more |= dict.fromkeys([quantile.column, quantile.target])
        model = replace(model, more=tuple(more))
        model.check()
        models.append(model)
    return models


def _corrected_by_model(expressions: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """``--corrected-pt EXPRESSION`` for all models, ``NAME=EXPRESSION`` for one.

    Raises:
        ConfigError: there is no such model, or two expressions for one.
    """
    found: dict[str, str] = {}
    for text in expressions:
        match = _OF_MODEL.fullmatch(text)
        chosen = list(names)
        if match:
            if match[1] not in names:
                raise ConfigError(
                    f"report: {FLAG_OF['corrected_pt']} {text}: there is no model {match[1]!r}; "
                    f"{nearest(match[1], names)}"
                )
            chosen = [match[1]]
            text = match[2]
        for name in chosen:
            if name in found:
                raise ConfigError(
                    f"report: {FLAG_OF['corrected_pt']}: two expressions for the model {name!r}; "
                    "NAME=EXPRESSION is that of one model"
                )
            found[name] = text
    return found
