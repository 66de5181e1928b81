"""Which epoch is the best: judged after each, and again from all of them when a run continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from weaver_tt.engine import checkpoint
from weaver_tt.engine.patience import Patience
from weaver_tt.engine.training_parts import TrainingParts
from weaver_tt.log import log
from weaver_tt.options.thresholds import Threshold


def judge_epoch(
    parts: TrainingParts, number: int, metrics: Mapping[str, float], sums: Sequence[Tensor] = ()
) -> bool:
    """Note the ``metrics`` of an epoch; whether it is the best so far by the watched one.

    ``sums`` are what its figures are drawn from.
    """
    task = parts.task
    _, direction = task.watch
    state = parts.state
    state.history[number] = dict(metrics)
    best = task.watched_value(state.best)
    value = task.watched_value(metrics)
    assert value is not None
    is_best = best is None or direction.is_better(value, best)
    if is_best:
        state.best_epoch = number
        state.best = dict(metrics)
        state.best_sums = list(sums)
    return is_best


def judge_again(parts: TrainingParts, saved: Mapping[str, Any], last: int) -> None:
    """Judge the epochs up to ``last`` that a saved state knows: some later ones may be undone.

    The best of them may be another than that of the file of the best weights, which is then noted
    for :func:`remake_best`. It is so, too, where another metric is watched now.
    """
    name, _ = parts.task.watch
    state = parts.state
    # checkpoints from before there was a history know the metrics of the best epoch alone
    known = {saved["best_epoch"]: saved["best"], **saved.get("history", {})}
    state.history = {}
    state.best_epoch = -1
    state.best = {}
    state.best_sums = []
    for number, metrics in sorted(known.items()):
        if number <= last and parts.task.watched_value(metrics) is not None:
            judge_epoch(parts, number, metrics)
    before = saved["best_epoch"]
    is_there = state.best_epoch >= 0 and parts.files.epoch(state.best_epoch).is_file()
    if state.best_epoch != before and is_there:
        parts.is_best_stale = True
        log.info("the best epoch is %d now, by %s", state.best_epoch, name)
    elif before <= last:
        # the file of the best weights is of this one
        for field in ("best_epoch", "best", "best_sums"):
            setattr(state, field, saved[field])
    elif state.best_epoch != before:
        # its weights are gone: the next epoch is the best so far
        state.best_epoch = -1
        state.best = {}


def epochs_without_improvement(parts: TrainingParts, threshold: Threshold) -> int:
    """How many epochs have passed since the last one that improved on those before it.

    By more than the ``threshold``; 0 before the first epoch.
    """
    _, direction = parts.task.watch
    patience = Patience(direction, threshold)
    latest = parts.state.epoch - 1
    improved = latest
    # by the numbers of epochs: checkpoints from before there was a history know the best one alone
    for number, metrics in parts.state.history.items():
        value = parts.task.watched_value(metrics)
        assert value is not None
        patience.observe(value)
        if patience.waited == 0:
            improved = number
    return latest - improved


def observe_again(parts: TrainingParts) -> None:
    """Tell the schedule the watched metric of all epochs so far, as if each had just ended."""
    for metrics in parts.state.history.values():
        value = parts.task.watched_value(metrics)
        assert value is not None
        parts.update.schedule.observe(value)


def remake_best(parts: TrainingParts) -> None:
    """Make the files of the best weights those of the best epoch, if they are of another one.

    Raises:
        OutputError: they cannot be written.
    """
    if not parts.is_best_stale:
        return
    files = parts.files
    epoch = parts.state.best_epoch
    for kept, best in (
        (files.epoch(epoch), files.best),
        (files.plain_epoch(epoch), files.plain_best),
    ):
        if kept.is_file():
            checkpoint.save_checkpoint(checkpoint.load_checkpoint(kept), best)
        else:
            best.unlink(missing_ok=True)
