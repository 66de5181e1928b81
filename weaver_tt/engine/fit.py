"""Training as a table of contents."""

from __future__ import annotations

from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.engine.progress import BatchLoader
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.engine.training import Trainable, Training
from weaver_tt.options.train import TrainOptions
from weaver_tt.tasks.base import Task


def fit(
    network: Trainable,
    task: Task,
    train: BatchLoader,
    val: BatchLoader | None,
    options: TrainOptions,
    prefix: str,
    tracker: Tracker,
    seed: int | None = None,
) -> EpochMetrics:
    """Train ``network`` and write ``PREFIX_epoch-N_state.pt``, ``PREFIX_best_epoch_state.pt`` and ``PREFIX_resume.pt``.

    The best epoch is chosen by ``task.watch`` on ``val``, without it on ``train``. Returns the best epoch's metrics; the network is left as the last
    epoch made it. Every rank calls this; only rank 0 writes. Raises TrainingError (loss not finite, resumed with another configuration, no batch)
    and OutputError (files cannot be written).
    """
    training = Training(network, task, options, prefix, tracker, seed, train.steps)
    training.start(train)
    while not training.is_over():
        fitted = training.train(train)
        checked = training.validate(val) if val is not None else fitted
        training.report(fitted, checked, train, val)
        training.save_epoch(checked)
    return training.finish()
