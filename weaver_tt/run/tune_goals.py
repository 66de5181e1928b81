"""What the trials of a search are compared by: metrics of the best epoch, and the ant factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weaver_tt.errors import ConfigError, TrainingError, nearest
from weaver_tt.metrics.combination import parse_combination
from weaver_tt.metrics.direction import Direction
from weaver_tt.report.cost import ANT, ANT_EFFICIENCY
from weaver_tt.tasks.base import Task

Goals = Mapping[str, Direction]  # by metric


def measured_metric(goal: str) -> str:
    """The metric of an epoch that a goal follows from: of ``ant`` a rejection, else itself.

    ``ant_top`` is that of ``top`` against all others, with more than two classes.
    """
    if goal == ANT or goal.startswith(f"{ANT}_"):
        return f"rejection@{ANT_EFFICIENCY}" + goal.removeprefix(ANT)
    return goal


def find_goals(metrics: Sequence[str], task: Task) -> dict[str, Direction]:
    """Where each metric is best.

    Raises:
        ConfigError: it is not measured, or has no best value.
    """
    goals = {}
    for metric in metrics:
        measured = measured_metric(metric)
        if measured != metric and measured not in task.metric_names():
            raise ConfigError(
                f"--metric {metric}: is {measured} / parameters, and there is no metric "
                f"{measured!r}; {nearest(measured, task.metric_names())}"
            )
        task.choose(measured)
        task.check_watch("--metric")
        goals[metric] = task.watch[1]
    return goals


def goal_values(
    best: Sequence[Mapping[str, float | None]], goals: Goals, parameters: int | None = None
) -> list[float]:
    """What trials are compared by: the mean over the networks of a trial, one as a rule.

    Of a metric that is best at zero it is the absolute value. ``parameters``: those of each
    network, which the ant factor needs.

    Raises:
        ConfigError: a metric is not measured.
        TrainingError: it is not defined.
    """
    values = []
    for goal, direction in goals.items():
        metric = measured_metric(goal)
        numbers = []
        for of_network in best:
            combination = parse_combination(metric, of_network, f"--metric {goal}")
            # NaN and infinity are None in a result
            known = {name: value for name, value in of_network.items() if value is not None}
            number = combination.value(known)
            if number is None or number != number:
                raise TrainingError(f"--metric {goal}: {_why_undefined(metric)}")
            if metric != goal:
                if not parameters:
                    raise TrainingError(
                        f"--metric {goal}: the number of trainable parameters is not known, or 0"
                    )
                number /= parameters
            numbers.append(abs(number) if direction is Direction.ZERO else number)
        values.append(sum(numbers) / len(numbers))
    return values


def _why_undefined(metric: str) -> str:
    """Why a metric has no value, for a message."""
    if metric.startswith("rejection"):
        return f"{metric} is infinite or not defined: validate on more rows of background"
    return "is not defined for this network"
