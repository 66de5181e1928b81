"""The trials of a search, and which settings matter for its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.system.study_file import STUDY_NAME, open_journal

# importances of fewer trials are chance
LEAST_TRIALS = 4
FOREST_SEED = 0


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
        beside = [one.name for one in file.parent.glob("*")] if file.parent.is_dir() else []
        raise ConfigError(f"{path}: no such file; {nearest(file.name, beside)}")
    storage = open_journal(path, "tune-report")
    import optuna

    try:
        return optuna.load_study(study_name=STUDY_NAME, storage=storage)
    except KeyError:
        raise DataError(f"{path}: there is no search of weaver-tt tune in it") from None


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
            state = f"continued by {successors[trial.number]}"
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
                trial.number, state, dict(trial.params), values, seconds, prefix, message, last
            )
        )
    maximized = {}
    for metric, direction in zip(metrics, study.directions, strict=True):
        maximized[metric] = direction == StudyDirection.MAXIMIZE
    best = sorted(trial.number for trial in study.best_trials)
    return SearchRecord(metrics, maximized, trials, best, list(names), frozenset(logarithmic))


# --- what matters


def setting_importances(study: Any, search: SearchRecord) -> dict[str, dict[str, float]]:
    """Metric -> setting -> importance in a random forest, from the largest; they add up to one.

    Nothing where there are too few trials, or all of them have the same value.
    """
    from optuna.importance import MeanDecreaseImpurityImportanceEvaluator, get_param_importances

    found: dict[str, dict[str, float]] = {}
    for place, metric in enumerate(search.metrics):
        values = {trial.values[metric] for trial in search.complete}
        if len(search.complete) < LEAST_TRIALS or len(values) < 2:
            continue
        importances = get_param_importances(
            study,
            evaluator=MeanDecreaseImpurityImportanceEvaluator(seed=FOREST_SEED),
            target=lambda trial, place=place: trial.values[place],  # type: ignore[misc]
        )
        found[metric] = {name: float(value) for name, value in importances.items()}
    return found


def setting_correlations(search: SearchRecord) -> dict[str, dict[str, float]]:
    """Metric -> setting -> linear correlation; of choices that are no numbers, correlation ratio.

    Settings that are the same in all trials have none.
    """
    found: dict[str, dict[str, float]] = {}
    if len(search.complete) < LEAST_TRIALS:
        return found
    for metric in search.metrics:
        values = np.array([trial.values[metric] for trial in search.complete])
        if values.std() == 0:
            continue
        of_metric = {}
        for name in search.names:
            settings = search.settings_of(name)
            if len(set(map(repr, settings))) < 2:
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
    """A setting, numbers with four digits."""
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
