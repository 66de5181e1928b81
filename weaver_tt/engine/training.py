"""One network that is trained: where it starts, its steps, what is measured and kept of it.

How several of them walk over the same batches is said in :mod:`weaver_tt.engine.joint_training`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.bootstrap import with_poisson_weights
from weaver_tt.engine import checkpoint
from weaver_tt.engine.batch_terms import BatchTerms, Sums, sum_terms_over_ranks, term_means
from weaver_tt.engine.best_epoch import (
    epochs_without_improvement,
    judge_epoch,
    remake_best,
)
from weaver_tt.engine.device_settings import (
    autocast_type,
    compile_network,
    compiler_options,
    seed_everything,
)
from weaver_tt.engine.failures import check_finite, stop_at_nan, stop_without_entries
from weaver_tt.engine.histograms import weights_and_gradients
from weaver_tt.engine.loop import WITHOUT_TARGET, EpochMetrics, Pass, TimedBatches
from weaver_tt.engine.optim import compile_step
from weaver_tt.engine.own_random import OwnRandom
from weaver_tt.engine.progress import BatchLoader, IntervalMetrics
from weaver_tt.engine.resume import (
    RANK_STRIDE,
    ResumedEpoch,
    continue_after_epoch,
    restore_buffers,
    restore_random,
    resume,
)
from weaver_tt.engine.save import make_state, save_weights
from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.engine.training_parts import (
    Trainable,
    TrainingParts,
    TrainingState,
    make_settings,
)
from weaver_tt.engine.update import make_update
from weaver_tt.errors import TrainingError, nearest
from weaver_tt.log import SHOWN_OTHERWISE, format_metrics, log
from weaver_tt.metrics.combination import WATCHED_SUM
from weaver_tt.metrics.headline import headline_values
from weaver_tt.network.weights import set_weights
from weaver_tt.options.thresholds import read_threshold
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.tasks.base import Task

LatestPass = tuple[str, BatchLoader] | None
"""What data the networks were run over last, in a word, and what has read them."""


class Training:
    """The training of one ``network`` on ``task``; see :func:`weaver_tt.engine.fit.fit`."""

    def __init__(
        self,
        network: Trainable,
        task: Task,
        options: TrainOptions,
        prefix: str,
        tracker: Tracker,
        seed: int | None = None,
        steps: int | None = None,
        *,
        takes_turns: bool = False,
        poisson_seed: int | None = None,
    ) -> None:
        """``steps``: of an epoch, if known; ``tracker``: where to report what happens.

        ``takes_turns``: other networks are trained meanwhile; each has random numbers of its own.
        ``poisson_seed``: rows count with the Poisson weights of this seed.
        """
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
        self._poisson_seed = poisson_seed
        settings = make_settings(options, task, seed, steps)
        self.parts = TrainingParts(network, task, self.update, RunFiles(prefix), seed, settings)
        self.resumed = ResumedEpoch()
        # of the running or the latest pass over data
        self._pass = self._make_pass()
        self._interval: IntervalMetrics | None = None
        # the random state at the end of the training part of the running epoch
        self._random_after: dict[str, Any] | None = None
        self._random = OwnRandom() if takes_turns else None

    @property
    def state(self) -> TrainingState:
        """How far it is."""
        return self.parts.state

    @property
    def name(self) -> str:
        """What to call it in the log, where there are several."""
        return Path(self.parts.files.prefix).name

    def in_turn(self) -> AbstractContextManager[None]:
        """Inside, random numbers are those of this network."""
        return nullcontext() if self._random is None else self._random.in_turn()

    # --- where to start

    def start(self, found: checkpoint.Found | None = None) -> None:
        """Start afresh, or where ``--resume`` or ``--load-epoch`` say; ``found`` is what was saved.

        All ranks start with the same weights.

        Raises:
            TrainingError: a checkpoint is missing, or of another training.
        """
        with self.in_turn():
            if self.options.load_epoch is not None:
                self.resumed = continue_after_epoch(self.parts, self.options.load_epoch, found)
            elif found is not None:
                self.resumed = resume(self.parts, found)
        if self.options.compile_optimizer:
            # only now: a checkpoint brings plain numbers for its learning rates
            compile_step(self.update.optimizer, compiler_options(self.options))
        distributed.copy_weights_from_main(self.network.unwrapped)
        distributed.copy_weights_from_main(self.parts.task_modules)
        if self.update.average is not None:
            self.update.average.copy_from_main()
        restore_buffers(self.parts, self.resumed)

    # --- an epoch

    def begin_training(self, batches: TimedBatches[Batch], loader: BatchLoader) -> None:
        """Begin to train on ``batches``, the rest of the running epoch, which ``loader`` gives."""
        self._pass = self._make_pass(trains=True)
        self.update.epoch = self.state.epoch
        terms_so_far: Sums = {}
        if self.state.meters:
            # an interrupted epoch: what was measured before counts too
            for meter, totals in zip(self._pass.meters, self.state.meters, strict=True):
                meter.restore(totals)
            terms_so_far = self.state.terms
        self.update.terms = BatchTerms(self.task.metric_names(), terms_so_far)
        self.update.times = loader.times
        self._interval = IntervalMetrics(
            self._pass.meters, batches, self.update.terms, loader.times
        )
        self.network.train()
        self.task.train()

    def begin_validation(self) -> None:
        """Begin to measure the network on other data."""
        self._pass = self._make_pass()
        self.network.eval()
        self.task.train(False)

    def _make_pass(self, trains: bool = False) -> Pass:
        update = self.update if trains else None
        device = self.network.device
        return Pass(self.network, self.task, update=update, device=device, amp=self.amp)

    def take(self, batch: Batch) -> None:
        """Train on a batch, or measure it.

        Raises:
            ConfigError: training on data without labels.
        """
        with self.in_turn():
            restore_random(self.parts, self.resumed)
            if self._pass.update is not None and self._poisson_seed is not None:
                batch = with_poisson_weights(batch, self._poisson_seed)
            if self._pass.update is not None:
                self.task.follow(self.update.done, self.update.steps)
            self._pass.take(batch)

    def count_batch(self, rows: int) -> None:
        """Note that a batch of ``rows`` has been trained on."""
        self.state.batches += 1
        assert self._interval is not None
        self._interval.rows += rows

    def read_interval(self, loader: BatchLoader, batch: Batch | None) -> dict[str, float]:
        """Metrics of the steps since this was called last, which the tracker is given.

        Raises:
            TrainingError: a loss or weights are not finite.
        """
        check_finite(self.parts, loader, batch)
        assert self._interval is not None
        values = self._interval.read() | self.update.gradient_norms.read()
        values["learning_rate"] = self.update.rate
        self.tracker.interval(values, self.update.steps)
        return values

    def end_training(self, loader: BatchLoader) -> EpochMetrics:
        """The metrics of the whole epoch.

        Raises:
            TrainingError: a loss or weights are not finite.
        """
        metrics = self._with_sum(self._pass.metrics())
        with self.in_turn():
            # also where not a batch of the epoch was left
            restore_random(self.parts, self.resumed)
            self._random_after = checkpoint.random_state()
        # a run that is interrupted in the validation that follows begins with it
        self.note_sums(loader, None)
        metrics.update(term_means(sum_terms_over_ranks(self.update.terms.sums())))
        # each rank has followed its own batches: those of the rank that saves are validated
        distributed.copy_buffers_from_main(self.network.unwrapped)
        distributed.copy_buffers_from_main(self.parts.task_modules)
        if self.update.average is not None:
            self.update.average.copy_from_main()
        return metrics

    def end_validation(self) -> EpochMetrics:
        """The metrics of the validation."""
        return self._with_sum(self._pass.metrics())

    def _with_sum(self, metrics: EpochMetrics) -> EpochMetrics:
        """``metrics`` with the watched one where that is a sum of several."""
        value = self.task.watched_value(metrics)
        if value is not None and self.task.watches_sum:
            metrics[WATCHED_SUM] = value
        return metrics

    # --- what is kept

    def note_sums(self, loader: BatchLoader, batch: Batch | None) -> None:
        """Take the sums over this rank's batches of the epoch, as they are now, for what is saved.

        Raises:
            TrainingError: a run could not continue from here, as a loss or weights are not finite.
        """
        check_finite(self.parts, loader, batch)
        self.state.meters = [meter.totals().cpu() for meter in self._pass.meters]
        self.state.terms = self.update.terms.sums()

    def go_on_after_training(self) -> None:
        """Let what is saved now continue with the validation of the running epoch."""
        if self.update.average is not None:
            # the run goes on with the weights that are trained
            self.update.average.put_weights_back()
        self.resumed.random = self._random_after

    def make_state(self) -> dict[str, Any]:
        """What this training can be resumed from; all ranks call this, and rank 0 has it."""
        with self.in_turn():
            random_state = self.resumed.random or checkpoint.random_state()
        return make_state(self.parts, random_state)

    def keep_epoch(self, metrics: EpochMetrics, latest_pass: LatestPass) -> None:
        """Save the weights of the epoch and those of the best one; the next epoch begins.

        ``metrics`` decide whether this epoch is the best so far; they are of ``latest_pass``.

        Raises:
            TrainingError: the watched metric is NaN, or there is no such metric.
        """
        self.update.schedule.observe(self._watched_value(metrics, latest_pass))
        sums = [totals.cpu() for totals in metrics.totals]
        is_best = judge_epoch(self.parts, self.state.epoch, metrics, sums)
        if distributed.is_main():
            save_weights(self.parts, is_best, self.options.auto_clean)
        self.parts.is_best_stale = False
        self.tracker.kept(self.state.epoch, is_best)
        self.state.epoch += 1
        self.state.batches = 0
        self.state.meters = []
        self.state.terms = {}
        self.resumed.shares = None

    def _watched_value(self, metrics: EpochMetrics, latest_pass: LatestPass) -> float:
        """What decides which epoch is the best."""
        if not metrics.keys() - {WITHOUT_TARGET}:
            assert latest_pass is not None
            stop_without_entries(self.parts, *latest_pass)
        value = self.task.watched_value(metrics)
        if value is None:
            missing = [part for part in self.task.watched_names if part not in metrics]
            raise TrainingError(
                f"task.watch: there is no metric {missing[0]!r}; {nearest(missing[0], metrics)}"
            )
        if math.isnan(value):
            assert latest_pass is not None
            stop_at_nan(self.parts, metrics, *latest_pass)
        return value

    def report(self, values: dict[str, float], metrics: EpochMetrics, spectra: Figures) -> None:
        """Hand the ``values`` of the epoch to the tracker, and figures of the ``metrics``.

        ``spectra`` are figures of the data, which come with them.
        """

        def figures() -> dict[str, Any]:
            # drawn only if a tracker wants them
            return {**self.task.figures(metrics.meters, metrics.totals), **spectra()}

        self.tracker.epoch(values, self.state.epoch, figures)
        if self.options.histograms:
            self.tracker.histograms(lambda: weights_and_gradients(self.parts), self.state.epoch)

    # --- the end

    def is_over(self) -> bool:
        """Whether all epochs are done, or too many without improvement."""
        return self.has_stopped_improving() or self.state.epoch >= self.options.num_epochs

    def has_stopped_improving(self) -> bool:
        """Whether the latest ``--early-stopping`` many epochs were no improvement."""
        patience = self.options.early_stopping
        if patience is None:
            return False
        threshold = read_threshold(
            self.options.early_stopping_threshold, "--early-stopping-threshold"
        )
        return epochs_without_improvement(self.parts, threshold) >= patience

    def remake_best(self) -> bool:
        """Write the best weights if another epoch is the best now; whether it is.

        That is where it is judged by another metric than before, and nothing was left to train.
        """
        # after --load-epoch, what came later is undone by the next epoch only
        if not self.parts.is_best_stale or self.options.load_epoch is not None:
            return False
        if distributed.is_main():
            remake_best(self.parts)
        self.parts.is_best_stale = False
        return True

    @contextmanager
    def best_weights(self) -> Iterator[None]:
        """Inside, the network has the weights of the best epoch, as they were saved."""
        module = self.network.unwrapped
        latest = {name: value.clone() for name, value in module.state_dict().items()}
        if distributed.is_main():
            files = self.parts.files
            best = checkpoint.load_checkpoint(files.best)
            set_weights(module, best, f"{files.best}: the weights of another network")
        distributed.copy_weights_from_main(module)
        try:
            yield
        finally:
            module.load_state_dict(latest)

    def is_incomplete(self) -> bool:
        """Whether the task has yet to complete the network of the best epoch."""
        state = self.state
        is_measured = state.best_epoch >= 0
        return self.task.completes_networks and is_measured and state.completed != state.best_epoch

    def complete(self) -> None:
        """Let the task complete the best network by what was measured of it, and write it.

        Raises:
            OutputError: it cannot be written.
        """
        module = self.network.unwrapped
        state = self.state
        state.best = self.task.complete(module, self._pass.metrics(), state.best)
        state.completed = state.best_epoch
        if not distributed.is_main():
            return
        files = self.parts.files
        for path in (files.best, files.epoch(state.best_epoch)):
            # with --auto-clean the epoch has no file of its own
            if path.is_file():
                checkpoint.save_checkpoint(module.state_dict(), path)

    def finish(self) -> EpochMetrics:
        """Log and return the metrics of the best epoch."""
        of_which = "" if self._random is None else f" of {self.name}"
        # of many classes a line would not hold all, which stand in PREFIX_metrics.json
        best = headline_values(self.state.best, self.task.headline_metrics)
        log.info(
            "best epoch%s: %d with %s",
            of_which,
            self.state.best_epoch,
            format_metrics(best),
            extra=SHOWN_OTHERWISE,
        )
        for remark in self.task.remarks(self.state.best):
            log.warning("best epoch%s: %s", of_which, remark)
        self.tracker.finish(self.state.best, self.state.best_epoch)
        # there are no sums where no epoch was measured, as with --load-epoch
        meters = self.task.meters() if self.state.best_sums else []
        metrics = EpochMetrics(meters, self.state.best_sums)
        metrics.update(self.state.best)
        return metrics
