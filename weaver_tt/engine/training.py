"""The parts of a training: what happens in an epoch, what is kept of it, how an interrupted one goes on."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine import checkpoint
from weaver_tt.engine.batch_terms import BatchTerms, Sums, sum_terms_over_ranks, term_means
from weaver_tt.engine.device_settings import (
    autocast_type,
    compile_network,
    compiler_options,
    seed_everything,
)
from weaver_tt.engine.loop import EpochMetrics, Runnable, TimedBatches, run_epoch
from weaver_tt.engine.optim import compile_step
from weaver_tt.engine.progress import BatchLoader, IntervalMetrics, log_rows, nonfinite_columns
from weaver_tt.engine.reweighting_figures import reweighting_figures
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.engine.update import ENTRY_LOSS, make_update
from weaver_tt.errors import TrainingError, nearest
from weaver_tt.log import format_metrics, log
from weaver_tt.metrics.base import Meter
from weaver_tt.network.weights import set_weights
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.tasks.base import Task


class Trainable(Runnable, Protocol):
    """A network: ``module`` is what is called (compiled, perhaps), ``bare`` holds the weights."""

    module: Any

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""

    @property
    def unwrapped(self) -> nn.Module:
        """The network itself, without wrappers."""

    def train(self) -> Any:
        """Training mode."""

    def eval(self) -> Any:
        """Evaluation mode."""


@dataclass
class TrainingState:
    """How far the training is, and the best epoch so far."""

    epoch: int = 0
    batches: int = 0  # of this epoch that were trained on
    meters: list[Tensor] = field(default_factory=list)  # sums over these
    terms: Sums = field(default_factory=dict)  # the same of the loss's batch terms
    best_epoch: int = -1
    best: dict[str, float] = field(default_factory=dict)  # metrics of the best epoch
    best_sums: list[Tensor] = field(default_factory=list)  # what they and their figures are made of


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
        steps: int | None = None,  # in an epoch, where known
    ) -> None:
        if seed is not None:
            # on the CPU reproducibility costs nothing; on a GPU it does, and is for those who ask for it
            seed_everything(
                seed + 7919 * distributed.rank(),
                deterministic=options.seed is not None or network.device.type == "cpu",
            )
        self.network, self.task, self.options, self.tracker, self.seed = (
            network,
            task,
            options,
            tracker,
            seed,
        )
        self.files, self.state = RunFiles(prefix), TrainingState()
        self.amp = autocast_type(options.use_amp, options.amp_dtype, network.device)
        self.update = make_update(network.unwrapped, task, options, self.amp, steps)
        compile_network(network, options)
        self._random: dict[str, Any] | None = (
            None  # to be set once the first batch of a resumed epoch is there
        )
        self._saved = time.monotonic()
        # the latest pass over data, for messages
        self._last_pass: tuple[str, BatchLoader] | None = None

    # --- where to start

    def start(self, train: BatchLoader) -> None:
        """Start afresh, or where ``--resume`` or ``--load-epoch`` say; all ranks start with the same weights."""
        if distributed.is_main():
            checkpoint.check_writable(self.files)
        self._settings = self._settings_of(train)
        if self.options.load_epoch is not None:
            self._load_epoch(self.options.load_epoch)
        elif self.options.resume and self.files.resume.exists():
            self._resume(checkpoint.load_checkpoint(self.files.resume))
        elif self.options.resume:
            log.info("--resume: there is no %s yet; starting afresh", self.files.resume)
        if self.options.compile_optimizer:  # not before the state that it resumes from is there
            compile_step(self.update.optimizer, compiler_options(self.options))
        distributed.copy_weights_from_main(self.network.unwrapped)
        distributed.copy_weights_from_main(self._task_modules)
        distributed.barrier()

    @property
    def _task_modules(self) -> nn.Module:
        """What the task trains beside the network; a module without weights where that is nothing."""
        return nn.Module() if self.task.modules is None else self.task.modules

    def _settings_of(self, train: BatchLoader) -> dict[str, Any]:
        """What must not change in a resumed run."""
        names = (
            "optimizer",
            "start_lr",
            "lr_scheduler",
            "warmup_steps",
            "clip_gradient",
            "use_amp",
            "amp_dtype",
        )
        settings = {name: getattr(self.options, name) for name in names}
        more = {
            "task": self.task.name,
            "outputs": self.task.output_names,
            "seed": self.seed,
            "ranks": distributed.world_size(),
            "steps_per_epoch": train.steps,
        }
        return (
            settings
            | {"optimizer_option": [list(pair) for pair in self.options.optimizer_option]}
            | more
        )

    def _resume(self, saved: dict[str, Any]) -> None:
        where = self.files.resume
        if saved.get("format") != checkpoint.CHECKPOINT_FORMAT:
            raise TrainingError(
                f"{where}: format {saved.get('format')!r}, expected {checkpoint.CHECKPOINT_FORMAT}: written by another version"
            )
        set_weights(
            self.network.unwrapped, saved["weights"], f"{where}: the weights of another network"
        )
        # not there in checkpoints that know of no modules of a task
        set_weights(
            self._task_modules,
            saved.get("task_weights", {}),
            f"{where}: the weights of another task's modules",
        )
        checkpoint.check_settings(self._settings, saved["settings"], where)
        checkpoint.load_optimizer(self.update.optimizer, saved["optimizer"], where)
        self.update.schedule.load_state_dict(saved["schedule"])
        self.update.scaler.load_state_dict(saved["scaler"])
        self.update.steps, self.update.done = saved["steps"], saved["done"]
        self.state = TrainingState(**saved["state"])
        log.info(
            "continuing from %s: epoch %d, after %d of its batches",
            where,
            self.state.epoch,
            self.state.batches,
        )
        if not distributed.is_main():  # only rank 0's random state is kept
            torch.manual_seed(
                (self.seed or 0) + 7919 * distributed.rank() + 104729 * self.update.steps
            )
        elif self.state.batches:
            self._random = saved["random"]
        else:
            checkpoint.set_random_state(saved["random"])

    def _load_epoch(self, number: int) -> None:
        """Weights after epoch ``number``; all the rest too if the run was saved just then."""
        saved = (
            checkpoint.load_checkpoint(self.files.resume) if self.files.resume.exists() else None
        )
        if saved is not None and (saved["state"]["epoch"], saved["state"]["batches"]) == (
            number + 1,
            0,
        ):
            self._resume(saved)
            return
        path = self.files.epoch(number)
        if not path.exists():
            raise TrainingError(f"--load-epoch {number}: {path} does not exist")
        set_weights(
            self.network.unwrapped,
            checkpoint.load_checkpoint(path),
            f"{path}: the weights of another network",
        )
        if self.task.modules is not None:
            self._load_task_epoch(number)
        self.state.epoch = number + 1
        self.update.done = float(number + 1)
        if saved is not None and saved["state"]["best_epoch"] <= number:
            for name in ("best_epoch", "best", "best_sums"):
                setattr(self.state, name, saved["state"][name])
        log.info(
            "--load-epoch %d: weights from %s; the optimiser's moments start afresh", number, path
        )
        if (of_weaver := self.files.weaver_optimizer(number)).exists():
            log.warning("%s: Weaver's file of the optimiser's moments is not read", of_weaver)

    def _load_task_epoch(self, number: int) -> None:
        """Weights of the task's modules after epoch ``number``."""
        path = self.files.task_epoch(number)
        if not path.exists():
            raise TrainingError(
                f"--load-epoch {number}: {path} does not exist; it holds what {self.task.name} "
                "trains beside the network"
            )
        set_weights(
            self._task_modules,
            checkpoint.load_checkpoint(path),
            f"{path}: the weights of another task's modules",
        )

    # --- an epoch

    def train(self, loader: BatchLoader) -> EpochMetrics:
        """The rest of the running epoch; metrics of the whole of it."""
        self.update.epoch = self.state.epoch
        meters = self.task.meters()
        if self.state.batches:
            for meter, totals in zip(meters, self.state.meters, strict=True):
                meter.restore(totals)
        terms_so_far = self.state.terms if self.state.batches else {}
        self.update.terms = BatchTerms(self.task.metric_names(), terms_so_far)
        self.network.train()
        self.task.train()
        self.tracker.begin("train", self.state.epoch, self.update.done - self.state.epoch)
        batches = self._train_batches(loader, meters)
        outcome = run_epoch(
            self.network,
            self.task,
            batches,
            update=self.update,
            meters=meters,
            device=self.network.device,
            amp=self.amp,
        )
        self.tracker.end()
        self._restore_random()  # where not a batch was left
        self._check_finite(loader)
        outcome.update(term_means(sum_terms_over_ranks(self.update.terms.sums())))
        self._last_pass = ("training", loader)
        if not self.update.steps:
            raise TrainingError(
                "the training data gave no batch: fewer rows are selected than --batch-size asks for"
            )
        return outcome

    def _train_batches(self, loader: BatchLoader, meters: Sequence[Meter]) -> Iterator[Batch]:
        """The epoch's batches; after each step the log, and every now and then a save."""
        timed = TimedBatches(
            distributed.step_together(
                loader.epoch(self.state.epoch, self.state.batches), self.update.idle
            )
        )
        readings, start = IntervalMetrics(meters, timed, self.update.terms), time.perf_counter()
        for batch in timed:
            self._restore_random()
            yield batch
            self.state.batches += 1
            readings.rows += batch.size
            self.tracker.advance(batch.progress, batch.size)
            if self.update.steps % self.options.log_every == 0:
                self._check_finite(loader, batch)
                self.tracker.interval(
                    readings.read() | {"learning_rate": self.update.rate}, self.update.steps
                )
            if time.monotonic() - self._saved >= 60 * self.options.save_minutes:
                self._check_finite(loader, batch)
                self.save_state(
                    [meter.totals().cpu() for meter in meters], self.update.terms.sums()
                )
        self._data_wait = timed.waited / (time.perf_counter() - start)

    def _restore_random(self) -> None:
        # an iterator may draw random numbers when it is made: the state of the interrupted epoch comes after that
        if self._random is not None:
            checkpoint.set_random_state(self._random)
            self._random = None

    def validate(self, loader: BatchLoader) -> EpochMetrics:
        """Metrics of the validation data."""
        self.network.eval()
        self.task.train(False)
        self.tracker.begin("validate", self.state.epoch)
        outcome = run_epoch(
            self.network,
            self.task,
            self._advancing(loader),
            device=self.network.device,
            amp=self.amp,
        )
        self.tracker.end()
        self._last_pass = ("validation", loader)
        return outcome

    def _advancing(self, loader: BatchLoader) -> Iterator[Batch]:
        for batch in loader.epoch(self.state.epoch):
            yield batch
            self.tracker.advance(batch.progress, batch.size)

    def _check_finite(self, loader: BatchLoader, batch: Batch | None = None) -> None:
        """Stop with an explanation when a loss was not finite."""
        found = self.update.find_nonfinite()
        if found is None:
            return
        columns = ", ".join(nonfinite_columns(loader, batch))
        raise TrainingError(
            f"NaN or infinite in training: {', '.join(found.terms)}, since step {found.step} "
            f"(epoch {self.state.epoch}, learning rate {self.update.rate:.3g}). "
            f"Non-finite values: {columns or 'none in inputs, labels and weights'}. "
            "What may help: a smaller --start-lr, --clip-gradient 1, a run without --use-amp, inputs scaled to about -5 ... 5 (preprocess), "
            f"labels and event weights without extreme values. The weights before it are in {self.files.prefix}_*.pt"
        )

    # --- what is kept

    def save_epoch(self, checked: EpochMetrics) -> None:
        """Save the epoch's weights, those of the best epoch, and what resumes the run."""
        name, direction = self.task.watch
        if name not in checked:
            raise TrainingError(
                f"task.watch: there is no metric {name!r}; {nearest(name, checked) if checked else 'no entry counts'}"
            )
        value, best = checked[name], self.state.best.get(name)
        if math.isnan(value):
            assert self._last_pass is not None
            where, loader = self._last_pass
            what = ENTRY_LOSS if name == "loss" else name
            columns = ", ".join(nonfinite_columns(loader, None))
            raise TrainingError(
                f"NaN in {where}: {what}, after epoch {self.state.epoch}: nothing is saved. "
                f"Non-finite values: {columns or 'none in inputs, labels and weights'}. "
                "What may help: a smaller --start-lr, --clip-gradient 1"
            )
        self.update.schedule.observe(value)
        better = best is None or direction.is_better(value, best)
        if better:
            self.state.best_epoch, self.state.best = self.state.epoch, dict(checked)
            self.state.best_sums = [sums.cpu() for sums in checked.totals]
        if distributed.is_main():
            weights = self.network.unwrapped.state_dict()
            checkpoint.save_checkpoint(weights, self.files.epoch(self.state.epoch))
            if self.task.modules is not None:
                path = self.files.task_epoch(self.state.epoch)
                checkpoint.save_checkpoint(self.task.modules.state_dict(), path)
            if better:
                checkpoint.save_checkpoint(weights, self.files.best)
            if self.options.auto_clean:
                checkpoint.remove_epochs(self.files, self.state.epoch)
        self.state.epoch, self.state.batches = self.state.epoch + 1, 0
        self.save_state([], {})

    def save_state(self, meters: list[Tensor], terms: Sums) -> None:
        """Write ``PREFIX_resume.pt``; ``meters`` and ``terms``: sums over the running epoch's batches."""
        self._saved = time.monotonic()
        self.state.meters = meters
        self.state.terms = terms
        if not distributed.is_main():
            return
        everything = {
            "format": checkpoint.CHECKPOINT_FORMAT,
            "settings": self._settings,
            "weights": self.network.unwrapped.state_dict(),
            "task_weights": self._task_modules.state_dict(),
            "optimizer": self.update.optimizer.state_dict(),
            "schedule": self.update.schedule.state_dict(),
            "scaler": self.update.scaler.state_dict(),
            "steps": self.update.steps,
            "done": self.update.done,
            "state": {
                item.name: getattr(self.state, item.name) for item in dataclasses.fields(self.state)
            },
            "random": self._random or checkpoint.random_state(),
        }
        checkpoint.save_checkpoint(everything, self.files.resume)

    def report(
        self,
        fitted: EpochMetrics,
        checked: EpochMetrics,
        train: BatchLoader,
        val: BatchLoader | None,
    ) -> None:
        """Metrics, event accounting and figures of the epoch."""
        values = {f"train/{name}": value for name, value in fitted.items()}
        if val is not None:
            values |= {f"val/{name}": value for name, value in checked.items()}
        values |= {"learning_rate": self.update.rate, "data_wait": self._data_wait}
        values |= log_rows("train", train) | ({} if val is None else log_rows("val", val))
        spectra = reweighting_figures(
            train, self.task.config.weights, self.files.prefix, self.state.epoch
        )

        def figures() -> dict[str, Any]:
            return self.task.figures(checked.meters, checked.totals) | spectra

        self.tracker.epoch(values, self.state.epoch, figures)

    # --- the end

    def is_over(self) -> bool:
        """Whether all epochs are done, or too many without improvement."""
        patience = self.options.early_stopping
        if (
            patience is not None
            and self.state.best
            and self.state.epoch - 1 - self.state.best_epoch >= patience
        ):
            log.info(
                "stopping early: no better %s since epoch %d",
                self.task.watch[0],
                self.state.best_epoch,
            )
            return True
        return self.state.epoch >= self.options.num_epochs

    def finish(self) -> EpochMetrics:
        """Report and return what the best epoch's data said."""
        log.info("best epoch: %d with %s", self.state.best_epoch, format_metrics(self.state.best))
        self.tracker.finish(dataclasses.asdict(self.options), self.state.best)
        outcome = EpochMetrics(
            self.task.meters() if self.state.best_sums else [], self.state.best_sums
        )
        outcome.update(self.state.best)
        return outcome
