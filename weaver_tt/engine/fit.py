"""Training as a table of contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weaver_tt.engine.joint_training import JointTraining, mean_of_members
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.engine.progress import BatchLoader
from weaver_tt.system.signals import deferring_signals

AfterEpoch = Callable[[int, Mapping[str, float]], None]
"""What is called when the files of an epoch are written: with its number and its metrics.

It may raise :class:`Pruned`.
"""


class Pruned(Exception):  # noqa: N818, no error
    """Whoever watches a training has seen enough of it: nothing has failed."""


def fit(
    joint: JointTraining,
    train: BatchLoader,
    val: BatchLoader | None,
    after_epoch: AfterEpoch | None = None,
) -> list[EpochMetrics]:
    """Train networks on the same batches and keep their weights; metrics of each one's best epoch.

    Writes ``PREFIX_epoch-N_state.pt`` after each epoch and ``PREFIX_best_epoch_state.pt``, each
    network with its own prefix, and ``PREFIX_resume.pt``, which is that of all; with ``--ema`` the
    weights are averages, and the weights themselves are beside them. Where the task completes
    networks, the best weights are measured on all rows in the end, and completed in their files.
    The best epoch is chosen by
    ``task.watch`` on ``val``, or on ``train`` if there is no validation data. A network is left as
    its last epoch made it. Every rank calls this, and ``after_epoch`` when the files of an epoch
    are written, with the means over networks that are not over yet; only rank 0 writes.

    Raises:
        TrainingError: a loss is not finite, a run is resumed with another configuration, or the
            data gives no batch.
        OutputError: files cannot be written.
        Interrupted: a signal or ``--max-time`` has asked for the end; the latest step is saved.
    """
    joint.start()
    # a step is finished, and an epoch's files are written
    with deferring_signals():
        while joint.goes_on():
            number = joint.epoch
            train_metrics = joint.train(train)
            val_metrics = train_metrics
            if val is not None:
                val_metrics = joint.validate(val)
            joint.report(train_metrics, val_metrics, train, val)
            joint.save_epoch(val_metrics)
            if after_epoch is not None:
                after_epoch(number, mean_of_members(val_metrics))
    return joint.finish(train, val)
