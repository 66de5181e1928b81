"""Trainings of networks that see the same batches: of one network as a rule, or of an ensemble.

Each batch is read, decompressed, scaled and padded once, and the networks take their steps on it
one after another. What is saved is one step of all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import NoReturn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine import checkpoint
from weaver_tt.engine.failures import check_any_batch
from weaver_tt.engine.loop import EpochMetrics, TimedBatches, run_together
from weaver_tt.engine.progress import BatchLoader, log_rows, total_accounting
from weaver_tt.engine.reweighting_figures import reweighting_figures
from weaver_tt.engine.throughput import Doctor, make_setup
from weaver_tt.engine.trackers.base import MultiTracker, NullTracker, Tracker
from weaver_tt.engine.training import LatestPass, Training
from weaver_tt.errors import TrainingError
from weaver_tt.log import SHOWN_OTHERWISE, log, messages_of
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.signals import end_early, interruption
from weaver_tt.system.wording import counted


def is_interrupted() -> bool:
    """Whether this rank has been asked to end early."""
    return interruption() is not None


class JointTraining:
    """Several trainings, epoch by epoch, until each of them is over."""

    def __init__(
        self,
        trainings: Sequence[Training],
        options: TrainOptions,
        files: RunFiles,
        tracker: Tracker | None = None,
        seed: int | None = None,
    ) -> None:
        """``files``: of what it is resumed from; ``seed``: of the run, which is kept there.

        ``tracker`` is told of all trainings together, their means; each has one of its own.
        """
        self.trainings = list(trainings)
        self.options = options
        self.files = files
        self.seed = seed
        # those that go on
        self.active = self.trainings
        self._tracker = tracker or NullTracker()
        self._saved = time.monotonic()
        self._data_wait = 0.0  # share of the latest epoch's time
        # of all batches trained on so far: time without waiting for them
        self._seconds = 0.0
        self._batches = 0
        self._rows = 0
        self._doctor = Doctor(make_setup(self.trainings[0].network.device, options))
        # the latest pass over data, for messages
        self._latest_pass: LatestPass = None

    @property
    def epoch(self) -> int:
        """The running epoch."""
        return self._first.state.epoch

    @property
    def _first(self) -> Training:
        """The first of those that go on; where they are in the data, all of them are."""
        return self.active[0]

    @property
    def _trackers(self) -> Tracker:
        return MultiTracker([self._tracker, *(training.tracker for training in self.active)])

    # --- where to start

    def start(self) -> None:
        """Start afresh, or where ``--resume`` or ``--load-epoch`` say.

        Raises:
            TrainingError: a checkpoint is missing, damaged, or of another training.
            OutputError: files cannot be written.
        """
        if distributed.is_main():
            for training in self.trainings:
                checkpoint.check_writable(training.parts.files)
        found = self._find_saved()
        for training, of_training in zip(self.trainings, found, strict=True):
            training.start(of_training)
        self._check_places()
        for training in self.trainings:
            training.tracker.start(training.state.epoch, training.update.steps)
        self._tracker.start(self.epoch, self._first.update.steps)
        self._log_start()
        # no rank reads files that another one has begun to replace
        distributed.barrier()

    def _find_saved(self) -> list[checkpoint.Found | None]:
        """What was saved of each training; None where nothing was, or none of it is wanted."""
        nothing: list[checkpoint.Found | None] = [None] * len(self.trainings)
        if not self.options.resume and self.options.load_epoch is None:
            return nothing
        if len(self.trainings) > 1 and self.options.load_epoch is None:
            checkpoint.check_trained_together(self.files)
        try:
            found = checkpoint.load_resumable(self.files)
        except TrainingError as error:
            if self.options.load_epoch is None:
                raise
            # the weights of an epoch can do without
            log.warning("%s; it is not used", error)
            return nothing
        if self.options.load_epoch is None and not found:
            log.info("--resume: there is no %s yet; starting afresh", self.files.resume)
        return [*found, *nothing][: len(self.trainings)]

    def _check_places(self) -> None:
        """Check that trainings that go on are at the same place in the data.

        Raises:
            TrainingError: they are not, so that they cannot go on together.
        """
        going_on = [training for training in self.trainings if not training.is_over()]
        places = {(training.state.epoch, training.state.batches) for training in going_on}
        if len(places) > 1:
            found = ", ".join(
                f"{training.name} after {counted(training.state.batches, 'batch', 'batches')} of "
                f"epoch {training.state.epoch}"
                for training in going_on
            )
            raise TrainingError(
                f"{self.files.resume}: the members of an ensemble go on together, and these are at "
                f"different places: {found}. A larger ensemble is a run of its own (-m)"
            )

    def _log_start(self) -> None:
        """Log where in the data the trainings go on, if they were interrupted."""
        going_on = [training for training in self.trainings if not training.is_over()]
        first = (going_on or self.trainings)[0]
        if first.resumed.where is None:
            return
        log.info(
            "continuing from %s: epoch %d, after %d of its batches",
            first.resumed.where,
            first.state.epoch,
            first.state.batches,
        )
        if first.resumed.shares is not None:
            log.info(
                "the rest of the epoch keeps the shares of %d ranks, on %d; the next save is "
                "at its end",
                first.resumed.shares,
                distributed.world_size(),
            )

    def goes_on(self) -> bool:
        """Whether a training is not over yet; those that are take no further part."""
        for training in self.active:
            if training.has_stopped_improving():
                metric, _ = training.task.watch
                since = training.state.best_epoch
                with self._messages_of(training):
                    log.info("stopping early: no better %s since epoch %d", metric, since)
        self.active = [training for training in self.active if not training.is_over()]
        return bool(self.active)

    def _messages_of(self, training: Training) -> AbstractContextManager[None]:
        """Inside, messages say which of several trainings they are of."""
        return messages_of(training.name) if len(self.trainings) > 1 else nullcontext()

    # --- an epoch

    def train(self, loader: BatchLoader) -> list[EpochMetrics]:
        """The rest of the running epoch; metrics of the whole of it, of each that goes on.

        Raises:
            TrainingError: a loss or weights are not finite; there is no batch at all.
        """
        batches = distributed.step_together(self._steps_to_come(loader), self._idle)
        timed = TimedBatches(self._doctor.watch(batches, loader))
        for training in self.active:
            training.begin_training(timed, loader)
            training.update.wants_save = self._wants_save
            training.update.wants_stop = is_interrupted
        trackers = self._trackers
        trackers.begin("train", self.epoch, self._first.update.done - self.epoch)
        self._latest_pass = ("training", loader)
        start = time.perf_counter()
        run_together(self.active, self._count_batches(timed, loader, trackers))
        taken = time.perf_counter() - start
        self._data_wait = timed.waited / taken
        self._seconds += taken - timed.waited
        trackers.end()
        metrics = [training.end_training(loader) for training in self.active]
        self._check_rows(loader)
        check_any_batch(self._first.parts, loader)
        return metrics

    @property
    def time_of_batch(self) -> dict[str, float]:
        """Mean ``seconds`` to train on a batch once it is there, and its mean ``rows``.

        Empty where nothing was trained. All networks together, with validation left out.
        """
        if not self._batches:
            return {}
        return {"seconds": self._seconds / self._batches, "rows": self._rows / self._batches}

    def _steps_to_come(self, loader: BatchLoader) -> Iterator[Batch]:
        """The batches of this rank that are left of the epoch, and the step after the last one."""
        state = self._first.state
        shares = self._first.resumed.shares
        if shares is None:
            yield from loader.epoch(state.epoch, state.batches)
        else:
            yield from loader.epoch(state.epoch, state.batches, shares)
        closed = [training.update.close_group() for training in self.active]
        if any(closed):
            # its place is that of a whole group, the same on all ranks
            self._move_on(-state.batches % self.options.accumulate_batches)
            self._log_interval(loader, None)
            self._save_if_agreed(None)

    def _idle(self, agreed: distributed.Agreement) -> None:
        """The step of a rank whose batches are used up, which other ranks still take."""
        for number, training in enumerate(self.active):
            if number:
                # ranks meet before the step of each network
                agreed = distributed.agree_on_idle_step()
            training.update.idle(agreed)
        self._move_on(self.options.accumulate_batches)
        self._save_if_agreed(None)

    def _move_on(self, batches: int) -> None:
        for training in self.active:
            training.state.batches += batches

    def _count_batches(
        self, batches: TimedBatches[Batch], loader: BatchLoader, trackers: Tracker
    ) -> Iterator[Batch]:
        """The ``batches``; after each step the log, and every now and then a save."""
        update = self._first.update
        for batch in batches:
            yield batch
            # from here on the batch is trained on: the loop has asked for the next one
            self._batches += 1
            self._rows += batch.size
            for training in self.active:
                training.count_batch(batch.size)
            is_step = update.group_size == 0
            progress = update.agreed.progress if is_step else batch.progress
            trackers.advance(progress, batch.size)
            if is_step:
                self._log_interval(loader, batch)
                self._save_if_agreed(batch)

    def _log_interval(self, loader: BatchLoader, batch: Batch | None) -> None:
        steps = self._first.update.steps
        if steps % self.options.log_every == 0:
            values = [training.read_interval(loader, batch) for training in self.active]
            self._tracker.interval(mean_of_members(values), steps)

    def _check_rows(self, loader: BatchLoader) -> None:
        """What one rank of several cannot tell of its own rows, after a pass of all of them."""
        if distributed.is_running():
            loader.check_rows(total_accounting(loader))

    def validate(self, loader: BatchLoader) -> list[EpochMetrics]:
        """Metrics of the validation data, of each training that goes on.

        They are those of the average of the weights, with ``--ema``.
        """
        for training in self.active:
            training.begin_validation()
        trackers = self._trackers
        trackers.begin("validate", self.epoch)
        self._latest_pass = ("validation", loader)
        with ExitStack() as averaged:
            for training in self.active:
                averaged.enter_context(training.parts.averaged_weights())
            run_together(self.active, self._validation_batches(loader, trackers))
        trackers.end()
        metrics = [training.end_validation() for training in self.active]
        self._check_rows(loader)
        return metrics

    def _validation_batches(self, loader: BatchLoader, trackers: Tracker) -> Iterator[Batch]:
        """The epoch's batches; after each, the progress."""
        batches = loader.epoch(self.epoch)
        for batch in distributed.step_together(batches, self._stop_validation_if_agreed):
            yield batch
            trackers.advance(batch.progress, batch.size)
            agreed = distributed.agree_on_step(batch.progress, stop=is_interrupted())
            self._stop_validation_if_agreed(agreed)

    def report(
        self,
        train_metrics: Sequence[EpochMetrics],
        val_metrics: Sequence[EpochMetrics],
        train: BatchLoader,
        val: BatchLoader | None,
    ) -> None:
        """Log metrics, event accounting and figures of the epoch.

        Without validation data both metrics are those of training, and only ``train/`` is logged.
        """
        shared = {"data_wait": self._data_wait, **log_rows("train", train)}
        if val is not None:
            shared |= log_rows("val", val)
        config = self._first.task.config
        spectra = reweighting_figures(
            train, config.weights, self.files.prefix, self.epoch, config.names
        )
        of_members = []
        for training, trained, validated in zip(
            self.active, train_metrics, val_metrics, strict=True
        ):
            values = {f"train/{name}": value for name, value in trained.items()}
            if val is not None:
                values |= {f"val/{name}": value for name, value in validated.items()}
            values["learning_rate"] = training.update.rate
            values |= shared
            training.report(values, validated, lambda: spectra)
            of_members.append(values)
        self._tracker.epoch(mean_of_members(of_members), self.epoch)
        if len(self.trainings) > 1:
            self._log_members(train_metrics if val is None else val_metrics)

    def _log_members(self, metrics: Sequence[EpochMetrics]) -> None:
        """Log what the best epoch of each member is chosen by."""
        watched, _ = self._first.task.watch
        numbers = []
        for training, of_training in zip(self.active, metrics, strict=True):
            member = training.name.rpartition("-")[2]
            value = training.task.watched_value(of_training)
            numbers.append(f"{member}: {float('nan') if value is None else value:.4g}")
        log.info(
            "epoch %d, %s of the members: %s",
            self.epoch,
            watched,
            ", ".join(numbers),
            extra=SHOWN_OTHERWISE,
        )

    # --- what is kept

    def save_epoch(self, metrics: Sequence[EpochMetrics]) -> None:
        """Save the epoch's weights, those of the best epochs, and what resumes the run.

        ``metrics`` decide whether this epoch is the best so far.

        Raises:
            TrainingError: the watched metric is NaN, or there is no such metric.
        """
        number = self.epoch
        for training, of_training in zip(self.active, metrics, strict=True):
            training.keep_epoch(of_training, self._latest_pass)
        self.save()
        is_best = any(training.state.best_epoch == number for training in self.active)
        self._tracker.kept(number, is_best)

    def save(self) -> None:
        """Write ``PREFIX_resume.pt``: one step of all trainings; all ranks call this.

        Raises:
            OutputError: it cannot be written.
        """
        self._saved = time.monotonic()
        states = [training.make_state() for training in self.trainings]
        if distributed.is_main():
            together = states[0] if len(states) == 1 else checkpoint.join_states(states, self.seed)
            checkpoint.save_resumable(together, self.files)

    def _wants_save(self) -> bool:
        """Whether it is long ago that the training was saved."""
        return time.monotonic() - self._saved >= 60 * self.options.save_minutes

    @property
    def _keeps_shares(self) -> bool:
        """Whether the epoch was begun by another number of ranks, whose shares it keeps."""
        return self._first.resumed.shares is not None

    def _save_if_agreed(self, batch: Batch | None) -> None:
        """Save the latest step, if a rank has asked for it."""
        assert self._latest_pass is not None
        # asked before the step of each network: a signal may have come between two of them
        agreed = [training.update.agreed for training in self.active]
        has_to_stop = any(of_network.stop for of_network in agreed)
        has_to_save = has_to_stop or any(of_network.save for of_network in agreed)
        # where the shares are those of other ranks, the number of steps is no place in the data
        if has_to_save and not self._keeps_shares:
            for training in self.active:
                training.note_sums(self._latest_pass[1], batch)
            self.save()
        if has_to_stop:
            self._stop("in training")

    def _stop_validation_if_agreed(self, agreed: distributed.Agreement) -> None:
        """Save the end of the epoch's training, with which the run goes on."""
        if not agreed.stop:
            return
        for training in self.active:
            training.go_on_after_training()
        if not self._keeps_shares:
            self.save()
        self._stop("in validation, which begins anew")

    def _stop(self, where: str) -> NoReturn:
        """End the training early, after what is there to continue from has been saved.

        Raises:
            Interrupted: always.
        """
        # ranks that have nothing to write wait: launchers end those that are left
        distributed.barrier()
        state = self._first.state
        batches = counted(state.batches, "batch", "batches")
        kept = f"saved after {batches} of epoch {state.epoch}, {where}"
        if self._keeps_shares:
            kept = "what was saved before this epoch is kept: it was begun by other ranks"
        end_early(f"{interruption() or 'another rank was'}: {kept}")

    # --- the end

    def finish(self, train: BatchLoader, val: BatchLoader | None) -> list[EpochMetrics]:
        """Complete the best networks; log and return the metrics of the best epoch of each.

        Raises:
            Interrupted: a signal or ``--max-time`` has asked for the end.
        """
        remade = [training.remake_best() for training in self.trainings]
        if any(remade):
            self.save()
        self._complete([train] if val is None else [train, val])
        return [training.finish() for training in self.trainings]

    def _complete(self, loaders: Sequence[BatchLoader]) -> None:
        """Measure the best weights on the rows of all ``loaders``, for tasks that complete them."""
        incomplete = [training for training in self.trainings if training.is_incomplete()]
        if not incomplete:
            return
        log.info("measuring the best weights on all rows of the training")
        with ExitStack() as best:
            for training in incomplete:
                best.enter_context(training.best_weights())
                training.begin_validation()
            for loader in loaders:
                # of one epoch, as where an epoch is a part of all rows
                number = incomplete[0].state.best_epoch
                run_together(incomplete, _batches_to_complete(loader, number))
            for training in incomplete:
                with self._messages_of(training):
                    training.complete()
        self.save()


def _batches_to_complete(loader: BatchLoader, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch; a run that is interrupted here begins with them again."""
    for batch in distributed.step_together(loader.epoch(epoch), _stop_completing_if_agreed):
        yield batch
        agreed = distributed.agree_on_step(batch.progress, stop=is_interrupted())
        _stop_completing_if_agreed(agreed)


def _stop_completing_if_agreed(agreed: distributed.Agreement) -> None:
    """End early where a rank was asked to: all epochs are saved."""
    if agreed.stop:
        distributed.barrier()
        end_early(f"{interruption() or 'another rank was'}: saved after all epochs")


def mean_of_members(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each of the values that all members have, and of how many members they are."""
    if len(values) == 1:
        return dict(values[0])
    names = [name for name in values[0] if all(name in other for other in values)]
    means = {name: sum(other[name] for other in values) / len(values) for name in names}
    return means | {"members": float(len(values))}
