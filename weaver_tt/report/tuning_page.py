"""``report.html`` of a search for settings: its trials, and what matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weaver_tt.pages.cells import UNKNOWN, Cell, Row
from weaver_tt.pages.page import Block, Gallery, Note, Page, Section, Table, render_page
from weaver_tt.pages.pictures import Picture
from weaver_tt.report.search import (
    FORESTS,
    Importance,
    SearchRecord,
    TrialRecord,
    setting_remarks,
    shown_setting,
    why_unknown,
)
from weaver_tt.system.wording import counted

ABOUT_IMPORTANCE = (
    "Random forest: how much of the metric's variation the splits in a setting explain, mean and "
    "standard deviation of {forests} forests of different seeds; all settings add up to one. "
    "Linear correlation: of the metric with the setting (its logarithm where it was drawn on a "
    "logarithmic scale); of choices that are no numbers it is the correlation ratio, which has no "
    "sign. A search draws most trials where they are good: both say what mattered there, and with "
    "few trials both are uncertain."
)


def search_page(
    search: SearchRecord,
    importances: Mapping[str, Mapping[str, Importance]],
    correlations: Mapping[str, Mapping[str, float]],
    pictures: Sequence[Picture],
) -> str:
    """The page."""
    goals = []
    for metric in search.metrics:
        goals.append(f"{metric} ({'larger' if search.maximized[metric] else 'smaller'} is better)")
    best = [trial for trial in search.trials if trial.number in search.best]
    several = len(search.metrics) > 1
    matters = [
        _importance_block(search, metric, importances, correlations) for metric in search.metrics
    ]
    if importances:
        matters.append(Note(ABOUT_IMPORTANCE.format(forests=FORESTS)))
    sections = [
        Section("Pareto front" if several else "Best trial", [_trials_table(search, best)]),
        Section("What matters", matters),
        Section("Figures", [Gallery(pictures)]),
        Section("All trials", [_trials_table(search, search.trials)]),
    ]
    about = f"{_count_states(search)} · {', '.join(goals)}"
    return render_page(Page(title="Search for settings", about=about, sections=sections))


def _importance_block(
    search: SearchRecord,
    metric: str,
    importances: Mapping[str, Mapping[str, Importance]],
    correlations: Mapping[str, Mapping[str, float]],
) -> Block:
    """What matters for a metric, all settings; or why that is not known."""
    unknown = why_unknown(search, metric)
    if unknown is not None:
        return Note(f"{metric}: nothing is known of what matters: {unknown}.")
    remarks = setting_remarks(search)
    of_metric = importances[metric]
    rows: list[Row] = []
    for name in [*of_metric, *(name for name in search.names if name not in of_metric)]:
        importance = Cell(UNKNOWN)
        if name in of_metric:
            importance = Cell(f"{of_metric[name].mean:.2f}", f"± {of_metric[name].spread:.2f}")
        correlation = UNKNOWN
        if name in correlations[metric]:
            sign = "+" if search.is_numeric(name) else ""
            correlation = f"{correlations[metric][name]:{sign}.2f}"
        remark = Cell("; ".join(remarks.get(name, [])), is_words=True)
        rows.append([name, importance, correlation, remark])
    return Table(head=[metric, "random forest", "linear correlation", ""], rows=rows)


def _count_states(search: SearchRecord) -> str:
    """``20 trials: 15 complete, 5 pruned``; a trial that was continued counts once."""
    counts: dict[str, int] = {}
    for trial in search.trials:
        if not trial.state.startswith("continued"):
            counts[trial.state] = counts.get(trial.state, 0) + 1
    each = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"{counted(sum(counts.values()), 'trial')}: {each}"


def _trials_table(search: SearchRecord, trials: Sequence[TrialRecord]) -> Table:
    """Trials with their settings, the best ones marked."""
    rows = []
    for trial in trials:
        row: list[str | Cell] = [str(trial.number)]
        for metric in search.metrics:
            value = trial.values.get(metric)
            text = "" if value is None else f"{value:.5g}"
            row.append(Cell(text, is_best=trial.number in search.best))
        for name in search.names:
            row.append(shown_setting(trial.settings.get(name, "")))
        row.append("" if trial.parameters is None else f"{trial.parameters:,}")
        row.append("" if trial.seconds is None else f"{trial.seconds:.0f} s")
        row.append(Cell(trial.state, trial.message, is_words=True))
        row.append(Cell(f"{trial.prefix}_*", is_words=True))
        rows.append(row)
    head = ["trial", *search.metrics, *search.names, "parameters", "time", "state", "files"]
    return Table(head=head, rows=rows)
