"""One training, as a table of contents: where it starts, its epochs, what is kept, when it ends."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from torch import Tensor

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine import checkpoint
from weaver_tt.engine.batch_terms import BatchTerms, Sums, sum_terms_over_ranks, term_means
from weaver_tt.engine.best_epoch import judge_epoch, remake_best
from weaver_tt.engine.device_settings import (
    autocast_type,
    compile_network,
    compiler_options,
    seed_everything,
)
from weaver_tt.engine.failures import (
    check_any_batch,
    check_finite,
    stop_at_nan,
    stop_without_entries,
)
from weaver_tt.engine.histograms import weights_and_gradients
from weaver_tt.engine.loop import WITHOUT_TARGET, EpochMetrics, TimedBatches, run_epoch
from weaver_tt.engine.optim import compile_step
from weaver_tt.engine.progress import BatchLoader, IntervalMetrics, log_rows, total_accounting
from weaver_tt.engine.resume import (
    RANK_STRIDE,
    ResumedEpoch,
    continue_after_epoch,
    restore_buffers,
    restore_random,
    resume,
)
from weaver_tt.engine.reweighting_figures import reweighting_figures
from weaver_tt.engine.save import save_state, save_weights
from weaver_tt.engine.throughput import Doctor, make_setup
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.engine.training_parts import (
    Trainable,
    TrainingParts,
    TrainingState,
    make_settings,
)
from weaver_tt.engine.update import make_update
from weaver_tt.errors import TrainingError, nearest
from weaver_tt.log import format_metrics, log
from weaver_tt.metrics.base import Meter
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.signals import end_early, interruption
from weaver_tt.tasks.base import Task


def is_interrupted() -> bool:
    """Whether this rank has been asked to end early."""
    return interruption() is not None


class Training:
    """One training of ``network`` on ``task``; see :func:`weaver_tt.engine.fit.fit`."""

    def __init__(
        self,
        network: Trainable,
        task: Task,
        options: TrainOptions,
        prefix: str,
        tracker: Tracker,
        seed: int | None = None,
        steps: int | None = None,
    ) -> None:
        """``steps``: of an epoch, if known; ``tracker``: where to report what happens."""
        if seed is not None:
            # it costs nothing on the CPU; on a GPU it does, and is for those who ask for a seed
            deterministic = options.seed is not None or network.device.type == "cpu"
            seed_everything(seed + RANK_STRIDE * distributed.rank(), deterministic)
        self.network = network
        self.task = task
        self.options = options
        self.tracker = tracker
        self.amp = autocast_type(options.use_amp, options.amp_dtype, network.device)
        self.update = make_update(network.unwrapped, task, options, self.amp, steps)
        compile_network(network, options)
        self.parts = TrainingParts(
            network,
            task,
            self.update,
            RunFiles(prefix),
            seed,
            make_settings(options, task, seed, steps),
        )
        self._resumed = ResumedEpoch()
        # the random state at the end of the training part of the running epoch
        self._random_after: dict[str, Any] | None = None
        self._saved = time.monotonic()
        self._data_wait = 0.0  # share of the latest epoch's time
        self._doctor = Doctor(make_setup(network.device, options))
        # the latest pass over data, for messages
        self._last_pass: tuple[str, BatchLoader] | None = None

    @property
    def state(self) -> TrainingState:
        """How far it is."""
        return self.parts.state

    # --- where to start

    def start(self) -> None:
        """Start afresh, or where ``--resume`` or ``--load-epoch`` say.

        All ranks start with the same weights.

        Raises:
            TrainingError: a checkpoint is missing, damaged, or of another training.
            OutputError: files cannot be written.
        """
        if distributed.is_main():
            checkpoint.check_writable(self.parts.files)
        if self.options.load_epoch is not None:
            self._resumed = continue_after_epoch(self.parts, self.options.load_epoch)
        elif self.options.resume:
            self._resumed = resume(self.parts)
        if self.options.compile_optimizer:
            # only now: a checkpoint brings plain numbers for its learning rates
            compile_step(self.update.optimizer, compiler_options(self.options))
        distributed.copy_weights_from_main(self.network.unwrapped)
        distributed.copy_weights_from_main(self.parts.task_modules)
        if self.update.average is not None:
            self.update.average.copy_from_main()
        restore_buffers(self.parts, self._resumed)
        # no rank reads files that another one has begun to replace
        distributed.barrier()

    # --- an epoch

    def train(self, loader: BatchLoader) -> EpochMetrics:
        """The rest of the running epoch; metrics of the whole of it.

        Raises:
            TrainingError: a loss or weights are not finite; there is no batch at all.
        """
        self.update.epoch = self.state.epoch
        meters = self.task.meters()
        terms_so_far: Sums = {}
        if self.state.meters:
            # an interrupted epoch: what was measured before counts too
            for meter, totals in zip(meters, self.state.meters, strict=True):
                meter.restore(totals)
            terms_so_far = self.state.terms
        self.update.terms = BatchTerms(self.task.metric_names(), terms_so_far)
        self.network.train()
        self.task.train()
        self.tracker.begin("train", self.state.epoch, self.update.done - self.state.epoch)
        metrics = run_epoch(
            self.network,
            self.task,
            self._train_batches(loader, meters),
            update=self.update,
            meters=meters,
            device=self.network.device,
            amp=self.amp,
        )
        self.tracker.end()
        # also where not a batch of the epoch was left
        restore_random(self.parts, self._resumed)
        check_finite(self.parts, loader)
        # a run that is interrupted in the validation that follows begins with it
        self.state.meters = [meter.totals().cpu() for meter in meters]
        self.state.terms = self.update.terms.sums()
        self._random_after = checkpoint.random_state()
        metrics.update(term_means(sum_terms_over_ranks(self.update.terms.sums())))
        self._last_pass = ("training", loader)
        # each rank has followed its own batches: those of the rank that saves are validated
        distributed.copy_buffers_from_main(self.network.unwrapped)
        distributed.copy_buffers_from_main(self.parts.task_modules)
        if self.update.average is not None:
            self.update.average.copy_from_main()
        self._check_rows(loader)
        check_any_batch(self.parts, loader)
        return metrics

    def _train_batches(self, loader: BatchLoader, meters: Sequence[Meter]) -> Iterator[Batch]:
        """The epoch's batches; after each step the log, and every now and then a save."""
        group = self.options.accumulate_batches

        def batches_to_come() -> Iterator[Batch]:
            yield from self._batches_to_come(loader)
            if self.update.close_group():
                # its place is that of a whole group, the same on all ranks
                self.state.batches += -self.state.batches % group
                log_interval(None)
                self._save_if_agreed(loader, None, meters)

        def idle(agreed: distributed.Agreement) -> None:
            self.update.idle(agreed)
            self.state.batches += group
            self._save_if_agreed(loader, None, meters)

        def log_interval(batch: Batch | None) -> None:
            if self.update.steps % self.options.log_every != 0:
                return
            check_finite(self.parts, loader, batch)
            values = interval.read() | self.update.gradient_norms.read()
            values["learning_rate"] = self.update.rate
            self.tracker.interval(values, self.update.steps)

        self.update.wants_save = self._wants_save
        self.update.wants_stop = is_interrupted
        self.update.times = loader.times
        batches = distributed.step_together(batches_to_come(), idle)
        timed = TimedBatches(self._doctor.watch(batches, loader))
        interval = IntervalMetrics(meters, timed, self.update.terms, loader.times)
        start = time.perf_counter()
        for batch in timed:
            restore_random(self.parts, self._resumed)
            yield batch
            # from here on the batch is trained on: the loop has asked for the next one
            self.state.batches += 1
            interval.rows += batch.size
            self.tracker.advance(batch.progress, batch.size)
            if self.update.group_size == 0:
                log_interval(batch)
                self._save_if_agreed(loader, batch, meters)
        self._data_wait = timed.waited / (time.perf_counter() - start)

    def _batches_to_come(self, loader: BatchLoader) -> Iterator[Batch]:
        """The batches of this rank that are left of the epoch."""
        if self._resumed.shares is None:
            return loader.epoch(self.state.epoch, self.state.batches)
        return loader.epoch(self.state.epoch, self.state.batches, self._resumed.shares)

    def _check_rows(self, loader: BatchLoader) -> None:
        """What one rank of several cannot tell of its own rows, after a pass of all of them."""
        if distributed.is_running():
            loader.check_rows(total_accounting(loader))

    def validate(self, loader: BatchLoader) -> EpochMetrics:
        """Metrics of the validation data; of the average of the weights, with ``--ema``."""
        self.network.eval()
        self.task.train(False)
        self.tracker.begin("validate", self.state.epoch)
        with self.parts.averaged_weights():
            metrics = run_epoch(
                self.network,
                self.task,
                self._validation_batches(loader),
                device=self.network.device,
                amp=self.amp,
            )
        self.tracker.end()
        self._last_pass = ("validation", loader)
        self._check_rows(loader)
        return metrics

    def _validation_batches(self, loader: BatchLoader) -> Iterator[Batch]:
        """The epoch's batches; after each, the progress."""
        batches = loader.epoch(self.state.epoch)
        for batch in distributed.step_together(batches, self._stop_validation_if_agreed):
            yield batch
            self.tracker.advance(batch.progress, batch.size)
            agreed = distributed.agree_on_step(batch.progress, stop=is_interrupted())
            self._stop_validation_if_agreed(agreed)

    # --- what is kept

    def save_epoch(self, metrics: EpochMetrics) -> None:
        """Save the epoch's weights, those of the best epoch, and what resumes the run.

        ``metrics`` decide whether this epoch is the best so far.

        Raises:
            TrainingError: the watched metric is NaN, or there is no such metric.
        """
        self.update.schedule.observe(self._watched_value(metrics))
        sums = [totals.cpu() for totals in metrics.totals]
        is_best = judge_epoch(self.parts, self.state.epoch, metrics, sums)
        if distributed.is_main():
            save_weights(self.parts, is_best, self.options.auto_clean)
        self.parts.is_best_stale = False
        self.state.epoch += 1
        self.state.batches = 0
        self._resumed.shares = None
        self.save_state([], {})

    def _watched_value(self, metrics: EpochMetrics) -> float:
        """What decides which epoch is the best."""
        name, _ = self.task.watch
        if not metrics.keys() - {WITHOUT_TARGET}:
            assert self._last_pass is not None
            stop_without_entries(self.parts, *self._last_pass)
        if name not in metrics:
            raise TrainingError(
                f"task.watch: there is no metric {name!r}; {nearest(name, metrics)}"
            )
        value = metrics[name]
        if math.isnan(value):
            assert self._last_pass is not None
            stop_at_nan(self.parts, name, *self._last_pass)
        return value

    def save_state(self, meters: list[Tensor], terms: Sums) -> None:
        """Write ``PREFIX_resume.pt``, with the sums of this rank; all ranks call this."""
        self._saved = time.monotonic()
        save_state(self.parts, meters, terms, self._resumed.random)

    def _wants_save(self) -> bool:
        """Whether it is long ago that the training was saved."""
        return time.monotonic() - self._saved >= 60 * self.options.save_minutes

    def _save_if_agreed(
        self, loader: BatchLoader, batch: Batch | None, meters: Sequence[Meter]
    ) -> None:
        """Save the latest step, if a rank has asked for it."""
        agreed = self.update.agreed
        # where the shares are those of other ranks, the number of steps is no place in the data
        if self._resumed.shares is None and (agreed.save or agreed.stop):
            # nothing is saved that a run could not continue from
            check_finite(self.parts, loader, batch)
            totals = [meter.totals().cpu() for meter in meters]
            self.save_state(totals, self.update.terms.sums())
        if agreed.stop:
            self._stop("in training")

    def _stop_validation_if_agreed(self, agreed: distributed.Agreement) -> None:
        """Save the end of the epoch's training, with which the run goes on."""
        if not agreed.stop:
            return
        if self.update.average is not None:
            # the run goes on with the weights that are trained
            self.update.average.put_weights_back()
        if self._resumed.shares is None:
            self._resumed.random = self._random_after
            self.save_state(self.state.meters, self.state.terms)
        self._stop("in validation, which begins anew")

    def _stop(self, where: str) -> NoReturn:
        """End the training early, after what is there to continue from has been saved.

        Raises:
            Interrupted: always.
        """
        # ranks that have nothing to write wait: launchers end those that are left
        distributed.barrier()
        kept = f"saved after {self.state.batches} batches of epoch {self.state.epoch}, {where}"
        if self._resumed.shares is not None:
            kept = "what was saved before this epoch is kept: it was begun by other ranks"
        end_early(f"{interruption() or 'another rank was'}: {kept}")

    def report(
        self,
        train_metrics: EpochMetrics,
        val_metrics: EpochMetrics,
        train: BatchLoader,
        val: BatchLoader | None,
    ) -> None:
        """Log metrics, event accounting and figures of the epoch.

        Without validation data both metrics are those of training, and only ``train/`` is logged.
        """
        values = {f"train/{name}": value for name, value in train_metrics.items()}
        if val is not None:
            values |= {f"val/{name}": value for name, value in val_metrics.items()}
        values["learning_rate"] = self.update.rate
        values["data_wait"] = self._data_wait
        values |= log_rows("train", train)
        if val is not None:
            values |= log_rows("val", val)
        weights = self.task.config.weights
        prefix = self.parts.files.prefix
        spectra = reweighting_figures(train, weights, prefix, self.state.epoch)

        def figures() -> dict[str, Any]:
            # drawn only if a tracker wants them
            return self.task.figures(val_metrics.meters, val_metrics.totals) | spectra

        self.tracker.epoch(values, self.state.epoch, figures)
        if self.options.histograms:
            self.tracker.histograms(lambda: weights_and_gradients(self.parts), self.state.epoch)

    # --- the end

    def is_over(self) -> bool:
        """Whether all epochs are done, or too many without improvement."""
        if self._has_stopped_improving():
            metric, _ = self.task.watch
            log.info("stopping early: no better %s since epoch %d", metric, self.state.best_epoch)
            return True
        return self.state.epoch >= self.options.num_epochs

    def _has_stopped_improving(self) -> bool:
        """Whether ``--early-stopping`` many epochs were no better than the best one."""
        patience = self.options.early_stopping
        if patience is None or not self.state.best:
            return False
        latest_epoch = self.state.epoch - 1
        return latest_epoch - self.state.best_epoch >= patience

    def finish(self) -> EpochMetrics:
        """Log and return the metrics of the best epoch."""
        # judged by another metric than before, and nothing was left to train; after --load-epoch
        # what came later is undone by the next epoch only
        if self.parts.is_best_stale and self.options.load_epoch is None:
            if distributed.is_main():
                remake_best(self.parts)
            self.parts.is_best_stale = False
            self.save_state(self.state.meters, self.state.terms)
        log.info("best epoch: %d with %s", self.state.best_epoch, format_metrics(self.state.best))
        self.tracker.finish(dataclasses.asdict(self.options), self.state.best)
        # there are no sums where no epoch was measured, as with --load-epoch
        meters = self.task.meters() if self.state.best_sums else []
        metrics = EpochMetrics(meters, self.state.best_sums)
        metrics.update(self.state.best)
        return metrics
