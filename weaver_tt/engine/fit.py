"""Training as a table of contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.engine.progress import BatchLoader
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.engine.training import Training
from weaver_tt.engine.training_parts import Trainable
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.signals import deferring_signals
from weaver_tt.tasks.base import Task

AfterEpoch = Callable[[int, Mapping[str, float]], None]
"""What is called when the files of an epoch are written: with its number and its metrics."""


def fit(
    network: Trainable,
    task: Task,
    train: BatchLoader,
    val: BatchLoader | None,
    options: TrainOptions,
    prefix: str,
    tracker: Tracker,
    seed: int | None = None,
    after_epoch: AfterEpoch | None = None,
) -> EpochMetrics:
    """Train ``network`` on ``task`` and keep its weights; the metrics of the best epoch.

    Writes ``PREFIX_epoch-N_state.pt`` after each epoch, ``PREFIX_best_epoch_state.pt`` and
    ``PREFIX_resume.pt``; with ``--ema`` the weights of both are averages, and the weights
    themselves are beside them. The best epoch is chosen by ``task.watch`` on ``val``, or on
    ``train`` if there is no validation data. The network is left as the last epoch made it. Every
    rank calls this, and ``after_epoch`` when the files of an epoch are written; only rank 0 writes.

    Raises:
        TrainingError: a loss is not finite, a run is resumed with another configuration, or the
            data gives no batch.
        OutputError: files cannot be written.
        Interrupted: a signal or ``--max-time`` has asked for the end; the latest step is saved.
    """
    training = Training(network, task, options, prefix, tracker, seed, train.steps)
    training.start()
    # a step is finished, and an epoch's files are written
    with deferring_signals():
        while not training.is_over():
            number = training.state.epoch
            train_metrics = training.train(train)
            if val is None:
                val_metrics = train_metrics
            else:
                val_metrics = training.validate(val)
            training.report(train_metrics, val_metrics, train, val)
            training.save_epoch(val_metrics)
            if after_epoch is not None:
                after_epoch(number, val_metrics)
    return training.finish()
