"""The command ``weaver-tt tune-report``: what the trials of a search say."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.options.flags import flag
from weaver_tt.system.wording import counted

if TYPE_CHECKING:
    from weaver_tt.report.figures import Picture
    from weaver_tt.report.search import Importance, SearchRecord, TrialRecord

ABOUT_IMPORTANCE = (
    "Random forest: how much of the metric's variation the splits in a setting explain, mean and "
    "standard deviation of {forests} forests of different seeds; all settings add up to one. "
    "Linear correlation: of the metric with the setting (its logarithm where it was drawn on a "
    "logarithmic scale); of choices that are no numbers it is the correlation ratio, which has no "
    "sign. A search draws most trials where they are good: both say what mattered there, and with "
    "few trials both are uncertain."
)


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
    trials = counted(len(search.trials), "trial")
    log.info("%s: %s, %s", folder / "report.html", trials, counted(len(pictures), "figure"))


# --- what is written


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
        seconds = "" if trial.seconds is None else f"{trial.seconds:.1f}"
        parameters = "" if trial.parameters is None else trial.parameters
        row = [trial.number, trial.state, *values, *settings, parameters, seconds]
        writer.writerow([*row, trial.prefix, trial.message])
    return text.getvalue()


def search_page(
    search: SearchRecord,
    importances: Mapping[str, Mapping[str, Importance]],
    correlations: Mapping[str, Mapping[str, float]],
    pictures: Sequence[Picture],
) -> str:
    """One page that needs no other file."""
    from html import escape

    from weaver_tt import __version__
    from weaver_tt.report.page import PAGE, STYLE, gallery
    from weaver_tt.report.search import FORESTS

    title = "Search for settings"
    goals = []
    for metric in search.metrics:
        goals.append(f"{metric} ({'larger' if search.maximized[metric] else 'smaller'} is better)")
    about = f"{_count_states(search)} · {', '.join(goals)} · made by weaver_tt {__version__}"
    parts = [f"<h1>{title}</h1>", f'<p class="soft">{escape(about)}</p>']
    parts.append("<h2>Pareto front</h2>" if len(search.metrics) > 1 else "<h2>Best trial</h2>")
    best = [trial for trial in search.trials if trial.number in search.best]
    parts.append(_trials_table(search, best))
    parts.append("<h2>What matters</h2>")
    for metric in search.metrics:
        parts.append(_importance_table(search, metric, importances, correlations))
    if importances:
        parts.append(f"<p>{ABOUT_IMPORTANCE.format(forests=FORESTS)}</p>")
    parts += ["<h2>Figures</h2>", gallery(pictures)]
    parts += ["<h2>All trials</h2>", _trials_table(search, search.trials)]
    return PAGE.format(title=title, style=STYLE, body="\n".join(parts))


def _importance_table(
    search: SearchRecord,
    metric: str,
    importances: Mapping[str, Mapping[str, Importance]],
    correlations: Mapping[str, Mapping[str, float]],
) -> str:
    """What matters for a metric, all settings; or why that is not known."""
    from html import escape

    from weaver_tt.report.page import html_table
    from weaver_tt.report.search import setting_remarks, why_unknown

    unknown = why_unknown(search, metric)
    if unknown is not None:
        return f"<p>{escape(metric)}: nothing is known of what matters: {escape(unknown)}.</p>"
    remarks = setting_remarks(search)
    of_metric = importances[metric]
    rows = []
    for name in [*of_metric, *(name for name in search.names if name not in of_metric)]:
        importance = "–"
        if name in of_metric:
            importance = f"{of_metric[name].mean:.2f} ± {of_metric[name].spread:.2f}"
        correlation = "–"
        if name in correlations[metric]:
            sign = "+" if search.is_numeric(name) else ""
            correlation = f"{correlations[metric][name]:{sign}.2f}"
        remark = escape("; ".join(remarks.get(name, [])))
        rows.append([escape(name), importance, correlation, f'<td class="left">{remark}</td>'])
    head = [escape(metric), "random forest", "linear correlation", ""]
    return html_table(head, rows)


def _count_states(search: SearchRecord) -> str:
    """``20 trials: 15 complete, 5 pruned``; a trial that was continued counts once."""
    counts: dict[str, int] = {}
    for trial in search.trials:
        if not trial.state.startswith("continued"):
            counts[trial.state] = counts.get(trial.state, 0) + 1
    each = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"{counted(sum(counts.values()), 'trial')}: {each}"


def _trials_table(search: SearchRecord, trials: Sequence[TrialRecord]) -> str:
    """Trials with their settings, the best ones marked."""
    from html import escape

    from weaver_tt.report.page import html_table
    from weaver_tt.report.search import shown_setting

    head = ["trial", *search.metrics, *search.names, "parameters", "state", "time", "files"]
    rows = []
    for trial in trials:
        mark = " class=best" if trial.number in search.best else ""
        row = [str(trial.number)]
        for metric in search.metrics:
            value = trial.values.get(metric)
            row.append(f"<td{mark}>{'' if value is None else f'{value:.5g}'}</td>")
        for name in search.names:
            row.append(escape(shown_setting(trial.settings.get(name, ""))))
        row.append("" if trial.parameters is None else f"{trial.parameters:,}")
        seconds = "" if trial.seconds is None else f"{trial.seconds:.0f} s"
        state = escape(trial.state)
        if trial.message:
            state = f'<span title="{escape(trial.message)}">{state} ⓘ</span>'
        row += [f'<td class="left">{state}</td>', seconds]
        row.append(f'<td class="left">{escape(trial.prefix)}_*</td>')
        rows.append(row)
    return html_table([escape(name) for name in head], rows)
