"""The command ``weaver-tt tune-report``: what the trials of a search say."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from weaver_tt.errors import DataError
from weaver_tt.options.flags import flag
from weaver_tt.system.terminal import report_results, short_number
from weaver_tt.system.wording import counted, short_settings

if TYPE_CHECKING:
    from weaver_tt.report.search import SearchRecord


@dataclass(kw_only=True)
class TuneReportOptions:
    """The trials of a search: trials.csv, tuning.json, figures and report.html."""

    storage: str = flag("", "file of the search (--storage of weaver-tt tune)", positional=True)
    output: str = flag("tune-report", "folder to write to", "-o")


def run_tune_report(options: TuneReportOptions) -> None:
    """``weaver-tt tune-report``.

    Raises:
        ConfigError: there is no such file, or no library to read it.
        DataError: it is no search, or no trial of it has been completed.
        OutputError: a file cannot be written.
    """
    # matplotlib and scikit-learn take seconds to import: not for --help
    from pathlib import Path

    from weaver_tt.figures.base import make_folder
    from weaver_tt.report.search import (
        load_study,
        read_search,
        setting_correlations,
        setting_importances,
        setting_remarks,
    )
    from weaver_tt.report.tuning_figures import draw_search
    from weaver_tt.report.tuning_page import search_page
    from weaver_tt.system.atomic_files import write_text
    from weaver_tt.system.json_files import write_json
    from weaver_tt.system.optional_imports import require_module

    require_module("sklearn", "tune", "tune-report")
    study = load_study(options.storage)
    search = read_search(study)
    if not search.complete:
        raise DataError(f"{options.storage}: no trial of {len(search.trials)} has been completed")
    importances = setting_importances(study, search)
    correlations = setting_correlations(search)
    folder = Path(options.output)
    make_folder(folder)
    pictures = draw_search(search, importances, correlations, folder)
    content = {
        "metrics": list(search.metrics),
        "best": list(search.best),
        "random_forest": {
            metric: {name: asdict(one) for name, one in of_metric.items()}
            for metric, of_metric in importances.items()
        },
        "linear_correlation": correlations,
        "remarks": setting_remarks(search),
        "trials": [asdict(trial) for trial in search.trials],
    }
    write_text(folder / "trials.csv", trials_csv(search))
    write_json(folder / "tuning.json", content)
    page = search_page(search, importances, correlations, pictures)
    write_text(folder / "report.html", page)
    complete = f"{counted(len(search.trials), 'trial')}, {len(search.complete):,} of them complete"
    results = [("search", f"{options.storage}, {complete}")]
    best = [trial for trial in search.complete if trial.number in search.best]
    for trial in best:
        values = ", ".join(f"{name} {short_number(value)}" for name, value in trial.values.items())
        results.append((f"trial {trial.number}", f"{values}, the best"))
        results.append(("", short_settings(trial.settings)))
    results += [
        ("page", f"{folder / 'report.html'}, {counted(len(pictures), 'figure')}"),
        ("metrics", f"{folder / 'tuning.json'}, {folder / 'trials.csv'}"),
    ]
    commands = [["weaver-tt", "inspect", trial.prefix] for trial in best[:1] if trial.prefix]
    report_results("search", results, commands)


def trials_csv(search: SearchRecord) -> str:
    """All trials, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("trial", "state", *search.metrics, *search.names),
            *("parameters", "seconds", "prefix", "message"),
        ]
    )
    for trial in search.trials:
        values = [trial.values.get(metric, "") for metric in search.metrics]
        settings = [trial.settings.get(name, "") for name in search.names]
        # a choice, such as `-o shortcut none`, which csv would leave empty
        settings = ["none" if value is None else value for value in settings]
        seconds = "" if trial.seconds is None else f"{trial.seconds:.1f}"
        parameters = "" if trial.parameters is None else trial.parameters
        row = [trial.number, trial.state, *values, *settings, parameters, seconds]
        writer.writerow([*row, trial.prefix, trial.message])
    return text.getvalue()
