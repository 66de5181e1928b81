"""The trials of a search, and which settings matter for its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.system.missing_files import no_such_file
from weaver_tt.system.study_file import STUDY_NAME, open_journal
from weaver_tt.system.wording import counted

# importances of fewer trials are chance
LEAST_TRIALS = 4
# states of a trial: failed, and continued by another one whose number follows
FAILED = "fail"
CONTINUED = "continued"
FORESTS = 10  # of different seeds, between which an importance is spread
# trials that must have failed with a value, and none must have got further, before it is blamed
LEAST_FAILURES = 2


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it is shown: ``values`` by metric, where it was completed."""

    number: int
    state: str
    settings: Mapping[str, Any]
    values: Mapping[str, float]
    seconds: float | None
    prefix: str
    message: str
    last_value: float | None  # the latest one that was reported on the way
    parameters: int | None = None  # trainable ones of its network

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return bool(self.values)


@dataclass(frozen=True)
class SearchRecord:
    """All trials of a search."""

    metrics: Sequence[str]
    maximized: Mapping[str, bool]
    trials: Sequence[TrialRecord]
    best: Sequence[int]  # the best trial, or those of the Pareto front
    names: Sequence[str]  # of all settings
    logarithmic: frozenset[str]  # settings that were drawn on a logarithmic scale

    @property
    def complete(self) -> list[TrialRecord]:
        """The trials that were trained to their end."""
        return [trial for trial in self.trials if trial.is_complete]

    def settings_of(self, name: str) -> list[Any]:
        """One setting of each completed trial."""
        return [trial.settings[name] for trial in self.complete]

    def is_constant(self, name: str) -> bool:
        """Whether a setting is the same in all completed trials."""
        return len(set(map(repr, self.settings_of(name)))) < 2

    def is_numeric(self, name: str) -> bool:
        """Whether a setting is a number in all completed trials."""
        return all(is_number(setting) for setting in self.settings_of(name))


# --- what is in the file


def load_study(path: str) -> Any:
    """The search in a file.

    Raises:
        ConfigError: there is no such file; names the nearest.
        DataError: it is no search.
    """
    file = Path(path)
    # a journal would be made where there is none
    if not file.is_file():
        raise ConfigError(no_such_file(path))
    storage = open_journal(path, "tune-report")
    import optuna

    try:
        study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    except KeyError:
        others = [one.study_name for one in storage.get_all_studies()]
        holds = f"; it holds {', '.join(map(repr, others))}" if others else ""
        raise DataError(f"{path}: there is no search of weaver-tt tune in it{holds}") from None
    if "metric" not in study.user_attrs.get("search", {}):
        raise DataError(f"{path}: the search in it says nothing of its metrics: it never began")
    return study


def read_search(study: Any) -> SearchRecord:
    """All trials of a study, as they are shown."""
    from optuna.distributions import CategoricalDistribution
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    frozen = study.get_trials(deepcopy=False)
    metrics = study.user_attrs["search"]["metric"]
    successors = {trial.user_attrs.get("continues"): trial.number for trial in frozen}
    trials = []
    names: dict[str, None] = {}
    logarithmic = set()
    for trial in frozen:
        state = trial.state.name.lower()
        if trial.number in successors:
            state = f"{CONTINUED} by {successors[trial.number]}"
        values = {}
        if trial.state == TrialState.COMPLETE:
            values = dict(zip(metrics, trial.values, strict=True))
        seconds = None
        if trial.duration is not None:
            seconds = trial.duration.total_seconds()
        last = trial.intermediate_values.get(trial.last_step)
        for name, distribution in trial.distributions.items():
            names[name] = None
            if not isinstance(distribution, CategoricalDistribution) and distribution.log:
                logarithmic.add(name)
        message = trial.user_attrs.get("message", "")
        prefix = trial.user_attrs.get("prefix", "")
        trials.append(
            TrialRecord(
                number=trial.number,
                state=state,
                settings=dict(trial.params),
                values=values,
                seconds=seconds,
                prefix=prefix,
                message=message,
                last_value=last,
                parameters=trial.user_attrs.get("parameters"),
            )
        )
    maximized = {}
    for metric, direction in zip(metrics, study.directions, strict=True):
        maximized[metric] = direction == StudyDirection.MAXIMIZE
    best = sorted(trial.number for trial in study.best_trials)
    return SearchRecord(metrics, maximized, trials, best, list(names), frozenset(logarithmic))


# --- what matters


@dataclass(frozen=True)
class Importance:
    """The importance of a setting: mean and standard deviation over forests of different seeds."""

    mean: float
    spread: float


def setting_importances(study: Any, search: SearchRecord) -> dict[str, dict[str, Importance]]:
    """Metric -> setting -> importance in random forests, from the largest; they add up to one.

    Settings that are the same in all trials have none, and neither have any for a metric that is,
    or where there are too few trials (:func:`why_unknown`).
    """
    from optuna.importance import MeanDecreaseImpurityImportanceEvaluator, get_param_importances

    found: dict[str, dict[str, Importance]] = {}
    varied = [name for name in search.names if not search.is_constant(name)]
    for place, metric in enumerate(search.metrics):
        if why_unknown(search, metric) is not None:
            continue
        of_forests = []
        for seed in range(FORESTS):
            importances = get_param_importances(
                study,
                evaluator=MeanDecreaseImpurityImportanceEvaluator(seed=seed),
                params=varied,
                target=lambda trial, place=place: trial.values[place],  # type: ignore[misc]
            )
            of_forests.append([importances[name] for name in varied])
        means = np.mean(of_forests, axis=0)
        spreads = np.std(of_forests, axis=0, ddof=1)
        order = np.argsort(-means, kind="stable")
        found[metric] = {varied[i]: Importance(float(means[i]), float(spreads[i])) for i in order}
    return found


def why_unknown(search: SearchRecord, metric: str) -> str | None:
    """Why nothing can be said of what matters for a metric; None where something can."""
    trials = search.complete
    if len(trials) < LEAST_TRIALS:
        return f"at least {LEAST_TRIALS} completed trials are needed"
    first = trials[0].values[metric]
    if all(trial.values[metric] == first for trial in trials):
        return f"{metric} is {first:.5g} in all completed trials"
    if all(search.is_constant(name) for name in search.names):
        return "all settings are the same in all completed trials"
    return None


def setting_remarks(search: SearchRecord) -> dict[str, list[str]]:
    """Setting -> why nothing is known of it, or of one of its values."""
    trials = counted(len(search.complete), "completed trial")
    remarks: dict[str, list[str]] = {}
    for name in search.names:
        of_setting = []
        if search.is_constant(name):
            values = search.settings_of(name)
            if values:
                of_setting.append(f"{shown_setting(values[0])} in all {trials}")
        for value, number in _failed_values(search, name).items():
            of_setting.append(f"all {number} trials with {value} failed")
        if of_setting:
            remarks[name] = of_setting
    return remarks


def _failed_values(search: SearchRecord, name: str) -> dict[str, int]:
    """Values with which trials failed and none got further, and how many did."""
    failed: dict[str, int] = {}
    others = set()
    for trial in search.trials:
        if name not in trial.settings:
            continue
        value = shown_setting(trial.settings[name])
        if trial.state == FAILED:
            failed[value] = failed.get(value, 0) + 1
        elif not trial.state.startswith(CONTINUED):
            others.add(value)
    return {
        value: number
        for value, number in failed.items()
        if number >= LEAST_FAILURES and value not in others
    }


def setting_correlations(search: SearchRecord) -> dict[str, dict[str, float]]:
    """Metric -> setting -> linear correlation; of choices that are no numbers, correlation ratio.

    Settings that are the same in all trials have none.
    """
    found: dict[str, dict[str, float]] = {}
    for metric in search.metrics:
        if why_unknown(search, metric) is not None:
            continue
        values = np.array([trial.values[metric] for trial in search.complete])
        of_metric = {}
        for name in search.names:
            settings = search.settings_of(name)
            if search.is_constant(name):
                continue
            if search.is_numeric(name):
                numbers = np.array(settings, dtype=float)
                if name in search.logarithmic:
                    numbers = np.log(numbers)
                of_metric[name] = float(np.corrcoef(numbers, values)[0, 1])
            else:
                of_metric[name] = _correlation_ratio([repr(one) for one in settings], values)
        found[metric] = of_metric
    return found


def shown_setting(setting: Any) -> str:
    """A setting as on the command line, numbers with four digits."""
    if setting is None:
        return "none"
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)


def is_number(setting: Any) -> bool:
    """Whether a setting is a number, and no switch."""
    return isinstance(setting, int | float) and not isinstance(setting, bool)


def _correlation_ratio(choices: Sequence[str], values: Any) -> float:
    """Spread of the means of each choice over the whole spread, both as standard deviations."""
    means = {}
    for choice in set(choices):
        means[choice] = np.mean([v for c, v in zip(choices, values, strict=True) if c == choice])
    of_rows = np.array([means[choice] for choice in choices])
    return float(of_rows.std() / values.std())
