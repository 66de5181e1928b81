"""The parts of a training: an epoch, what is kept of it, how an interrupted one continues."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.table import describe_empty_selections
from weaver_tt.engine import checkpoint
from weaver_tt.engine.batch_terms import (
    BatchTerms,
    Sums,
    add_terms,
    sum_terms_over_ranks,
    term_means,
)
from weaver_tt.engine.device_settings import (
    autocast_type,
    compile_network,
    compiler_options,
    seed_everything,
)
from weaver_tt.engine.loop import (
    WITHOUT_TARGET,
    EpochMetrics,
    Runnable,
    TimedBatches,
    run_epoch,
)
from weaver_tt.engine.optim import compile_step
from weaver_tt.engine.progress import (
    BatchLoader,
    IntervalMetrics,
    describe_nonfinite,
    log_rows,
    total_accounting,
)
from weaver_tt.engine.reweighting_figures import reweighting_figures
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.engine.update import ENTRY_LOSS, make_update
from weaver_tt.errors import TrainingError, nearest
from weaver_tt.log import format_metrics, log
from weaver_tt.metrics.base import Meter
from weaver_tt.network.weights import set_weights
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.signals import end_early, interruption
from weaver_tt.tasks.base import Task

RANK_STRIDE = 7919  # between the seeds of ranks
STEP_STRIDE = 104_729  # between the seeds of resumed steps

# options that must not change in a resumed run
FIXED_OPTIONS = (
    "optimizer",
    "start_lr",
    "lr_scheduler",
    "warmup_steps",
    "clip_gradient",
    "use_amp",
    "amp_dtype",
)


def is_interrupted() -> bool:
    """Whether this rank has been asked to end early."""
    return interruption() is not None


class Trainable(Runnable, Protocol):
    """A network: ``module`` is called and may be compiled; ``unwrapped`` holds the weights."""

    module: Any

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

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
    batches: int = 0  # steps of this epoch, those without a batch on this rank included
    meters: list[Tensor] = field(default_factory=list)  # sums over its batches on this rank
    terms: Sums = field(default_factory=dict)  # the same of the loss's batch terms
    best_epoch: int = -1
    best: dict[str, float] = field(default_factory=dict)  # metrics of the best epoch
    best_sums: list[Tensor] = field(default_factory=list)  # what its figures are drawn from


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
        self.seed = seed
        self.files = RunFiles(prefix)
        self.state = TrainingState()
        self.amp = autocast_type(options.use_amp, options.amp_dtype, network.device)
        self.update = make_update(network.unwrapped, task, options, self.amp, steps)
        compile_network(network, options)
        self._settings: dict[str, Any] = {}
        # of how many ranks the shares of a resumed epoch are, where there are other ranks now
        self._shares: int | None = None
        # to be set once the first batch of a resumed epoch is there
        self._random: dict[str, Any] | None = None
        self._buffers: list[dict[str, Tensor]] | None = None
        # the random state at the end of the training part of the running epoch
        self._random_after: dict[str, Any] | None = None
        self._saved = time.monotonic()
        self._data_wait = 0.0  # share of the latest epoch's time
        # the latest pass over data, for messages
        self._last_pass: tuple[str, BatchLoader] | None = None

    @property
    def _task_modules(self) -> nn.Module:
        """What the task trains beside the network: a module without weights, if it does not."""
        if self.task.modules is None:
            return nn.Module()
        return self.task.modules

    # --- where to start

    def start(self, train: BatchLoader) -> None:
        """Start afresh, or where ``--resume`` or ``--load-epoch`` say.

        All ranks start with the same weights.

        Raises:
            TrainingError: a checkpoint is missing, damaged, or of another training.
            OutputError: files cannot be written.
        """
        if distributed.is_main():
            checkpoint.check_writable(self.files)
        self._settings = self._make_settings(train)
        if self.options.load_epoch is not None:
            self._load_epoch(self.options.load_epoch)
        elif self.options.resume:
            found = checkpoint.load_resumable(self.files)
            if found is None:
                log.info("--resume: there is no %s yet; starting afresh", self.files.resume)
            else:
                self._resume(*found)
        if self.options.compile_optimizer:
            # only now: a checkpoint brings plain numbers for its learning rates
            compile_step(self.update.optimizer, compiler_options(self.options))
        distributed.copy_weights_from_main(self.network.unwrapped)
        distributed.copy_weights_from_main(self._task_modules)
        self._restore_buffers()
        # no rank reads files that another one has begun to replace
        distributed.barrier()

    def _restore_buffers(self) -> None:
        """Continue with the buffers that this rank had in a resumed epoch."""
        if self._buffers is None:
            return
        modules = (self.network.unwrapped, self._task_modules)
        for module, saved in zip(modules, self._buffers, strict=True):
            for name, buffer in distributed.saved_buffers(module).items():
                buffer.copy_(saved[name])

    def _make_settings(self, train: BatchLoader) -> dict[str, Any]:
        """What must not change in a resumed run."""
        settings = {name: getattr(self.options, name) for name in FIXED_OPTIONS}
        # values: 1e-4 and 0.0001 are the same number
        settings["optimizer_option"] = read_options(self.options.optimizer_option)
        settings["task"] = self.task.name
        settings["outputs"] = self.task.output_names
        settings["seed"] = self.seed
        settings["steps_per_epoch"] = train.steps
        return settings

    def _resume(self, where: Path, saved: dict[str, Any]) -> None:
        """Continue from what was read from the file ``where`` as if the run had never stopped."""
        # weights first: of all differences, those of another network say most
        problem = f"{where}: the weights of another network"
        set_weights(self.network.unwrapped, saved["weights"], problem)
        # checkpoints from before tasks could train something have no such entry
        task_weights = saved.get("task_weights", {})
        problem = f"{where}: the weights of another task's modules"
        set_weights(self._task_modules, task_weights, problem)
        checkpoint.check_settings(self._settings, saved["settings"], where)
        with checkpoint.reading(where):
            checkpoint.load_optimizer(self.update.optimizer, saved["optimizer"], where)
            self.update.schedule.load_state_dict(saved["schedule"])
            self.update.scaler.load_state_dict(saved["scaler"])
            self.update.steps = saved["steps"]
            self.update.done = saved["done"]
            self.state = TrainingState(**saved["state"])
        log.info(
            "continuing from %s: epoch %d, after %d of its batches",
            where,
            self.state.epoch,
            self.state.batches,
        )
        self._continue_on_rank(saved)

    def _continue_on_rank(self, saved: Mapping[str, Any]) -> None:
        """Go on with the random state and the sums of this rank.

        With another number of ranks the rows that are left of the epoch stay shared as they were,
        and rank 0 goes on with the sums of all.
        """
        parts = [
            {"meters": self.state.meters, "terms": self.state.terms, "random": saved["random"]},
            *saved.get("other_ranks", []),
        ]
        ranks = distributed.world_size()
        rank = distributed.rank()
        # checkpoints from before each rank's state was kept have that of rank 0 alone
        ranks_before = saved["settings"].get("ranks", len(parts))
        if ranks_before != ranks:
            if self.state.batches:
                self._shares = ranks_before
                log.info(
                    "the rest of the epoch keeps the shares of %d ranks, on %d; the next save is "
                    "at its end",
                    ranks_before,
                    ranks,
                )
            of_meters = zip(*(part["meters"] for part in parts), strict=True)
            meters = [torch.stack(totals).sum(0) for totals in of_meters]
            terms = add_terms(part["terms"] for part in parts)
            parts = [part | {"meters": [], "terms": {}} for part in parts]
            parts[0] |= {"meters": meters, "terms": terms}
        self.state.meters = []
        self.state.terms = {}
        if rank >= len(parts):
            offset = RANK_STRIDE * rank + STEP_STRIDE * self.update.steps
            torch.manual_seed((self.seed or 0) + offset)
            return
        self.state.meters = parts[rank]["meters"]
        self.state.terms = parts[rank]["terms"]
        # those of rank 0 are among its weights
        self._buffers = parts[rank].get("buffers")
        if self.state.batches:
            # not yet: see _restore_random
            self._random = parts[rank]["random"]
        else:
            with checkpoint.reading(self.files.resume):
                checkpoint.set_random_state(parts[rank]["random"])

    def _load_epoch(self, number: int) -> None:
        """Weights after epoch ``number``; all the rest too, if the run was saved just then."""
        saved = None
        found = self._saved_with_weights()
        if found is not None:
            where, saved = found
            saved_state = saved["state"]
            is_of_that_moment = (saved_state["epoch"], saved_state["batches"]) == (number + 1, 0)
            # with other settings the weights go on, and the optimizer starts afresh
            changed = checkpoint.changed_settings(self._settings, saved["settings"])
            if is_of_that_moment and not changed:
                self._resume(where, saved)
                return
        path = self.files.epoch(number)
        if not path.exists():
            raise TrainingError(f"--load-epoch {number}: {path} does not exist")
        weights = checkpoint.load_checkpoint(path)
        problem = f"{path}: the weights of another network"
        set_weights(self.network.unwrapped, weights, problem)
        if self.task.modules is not None:
            self._load_task_epoch(number)
        self.state.epoch = number + 1
        self.update.done = float(number + 1)
        # a best epoch from later on is none of this run any more
        if saved is not None and saved["state"]["best_epoch"] <= number:
            for name in ("best_epoch", "best", "best_sums"):
                setattr(self.state, name, saved["state"][name])
        log.info(
            "--load-epoch %d: weights from %s; the optimizer's moments start afresh", number, path
        )
        of_weaver = self.files.weaver_optimizer(number)
        if of_weaver.exists():
            log.warning("%s: Weaver's file of the optimizer's moments is not read", of_weaver)

    def _saved_with_weights(self) -> tuple[Path, dict[str, Any]] | None:
        """What could be resumed, which weights of an epoch can do without: None if damaged."""
        try:
            return checkpoint.load_resumable(self.files)
        except TrainingError as error:
            log.warning("%s; it is not used", error)
            return None

    def _load_task_epoch(self, number: int) -> None:
        """Weights of the task's modules after epoch ``number``."""
        path = self.files.task_epoch(number)
        if not path.exists():
            raise TrainingError(
                f"--load-epoch {number}: {path} does not exist; it holds what {self.task.name} "
                "trains beside the network"
            )
        weights = checkpoint.load_checkpoint(path)
        problem = f"{path}: the weights of another task's modules"
        set_weights(self._task_modules, weights, problem)

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
        self._restore_random()
        self._check_finite(loader)
        # a run that is interrupted in the validation that follows begins with it
        self.state.meters = [meter.totals().cpu() for meter in meters]
        self.state.terms = self.update.terms.sums()
        self._random_after = checkpoint.random_state()
        metrics.update(term_means(sum_terms_over_ranks(self.update.terms.sums())))
        self._last_pass = ("training", loader)
        # each rank has followed its own batches: those of the rank that saves are validated
        distributed.copy_buffers_from_main(self.network.unwrapped)
        distributed.copy_buffers_from_main(self._task_modules)
        self._check_rows(loader)
        # one rank of several may have had none, but not all of them
        empty = describe_empty_selections(total_accounting(loader), self.task.config)
        if empty:
            raise TrainingError(f"nothing to learn from in training: {'; '.join(empty)}")
        if not self.update.steps:
            raise TrainingError(
                "the training data gave no batch: a single row is selected, and a batch has at "
                "least two, or batch norm had no variance (--batch-size 1 asks for batches of one)"
            )
        return metrics

    def _train_batches(self, loader: BatchLoader, meters: Sequence[Meter]) -> Iterator[Batch]:
        """The epoch's batches; after each step the log, and every now and then a save."""

        def idle(agreed: distributed.Agreement) -> None:
            self.update.idle(agreed)
            self.state.batches += 1
            self._save_if_agreed(loader, None, meters)

        self.update.wants_save = self._wants_save
        self.update.wants_stop = is_interrupted
        timed = TimedBatches(distributed.step_together(self._batches_to_come(loader), idle))
        interval = IntervalMetrics(meters, timed, self.update.terms)
        start = time.perf_counter()
        for batch in timed:
            self._restore_random()
            yield batch
            # from here on the batch is trained on: the loop has asked for the next one
            self.state.batches += 1
            interval.rows += batch.size
            self.tracker.advance(batch.progress, batch.size)
            if self.update.steps % self.options.log_every == 0:
                self._check_finite(loader, batch)
                values = interval.read()
                values["learning_rate"] = self.update.rate
                self.tracker.interval(values, self.update.steps)
            self._save_if_agreed(loader, batch, meters)
        self._data_wait = timed.waited / (time.perf_counter() - start)

    def _batches_to_come(self, loader: BatchLoader) -> Iterator[Batch]:
        """The batches of this rank that are left of the epoch."""
        if self._shares is None:
            return loader.epoch(self.state.epoch, self.state.batches)
        return loader.epoch(self.state.epoch, self.state.batches, self._shares)

    def _wants_save(self) -> bool:
        """Whether it is long ago that the training was saved."""
        return time.monotonic() - self._saved >= 60 * self.options.save_minutes

    def _save_if_agreed(
        self, loader: BatchLoader, batch: Batch | None, meters: Sequence[Meter]
    ) -> None:
        """Save the latest step, if a rank has asked for it."""
        agreed = self.update.agreed
        # where the shares are those of other ranks, the number of steps is no place in the data
        if self._shares is None and (agreed.save or agreed.stop):
            # nothing is saved that a run could not continue from
            self._check_finite(loader, batch)
            totals = [meter.totals().cpu() for meter in meters]
            self.save_state(totals, self.update.terms.sums())
        if agreed.stop:
            self._stop("in training")

    def _stop(self, where: str) -> NoReturn:
        """End the training early, after what is there to continue from has been saved.

        Raises:
            Interrupted: always.
        """
        # ranks that have nothing to write wait: launchers end those that are left
        distributed.barrier()
        kept = f"saved after {self.state.batches} batches of epoch {self.state.epoch}, {where}"
        if self._shares is not None:
            kept = "what was saved before this epoch is kept: it was begun by other ranks"
        end_early(f"{interruption() or 'another rank was'}: {kept}")

    def _check_rows(self, loader: BatchLoader) -> None:
        """What one rank of several cannot tell of its own rows, after a pass of all of them."""
        if distributed.is_running():
            loader.check_rows(total_accounting(loader))

    def _restore_random(self) -> None:
        """Continue with the random state of the interrupted epoch, once.

        Not before its first batch is there: an iterator may draw random numbers when it is made.
        """
        if self._random is not None:
            with checkpoint.reading(self.files.resume):
                checkpoint.set_random_state(self._random)
            self._random = None

    def validate(self, loader: BatchLoader) -> EpochMetrics:
        """Metrics of the validation data."""
        self.network.eval()
        self.task.train(False)
        self.tracker.begin("validate", self.state.epoch)
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

    def _stop_validation_if_agreed(self, agreed: distributed.Agreement) -> None:
        """Save the end of the epoch's training, with which the run goes on."""
        if not agreed.stop:
            return
        if self._shares is None:
            self._random = self._random_after
            self.save_state(self.state.meters, self.state.terms)
        self._stop("in validation, which begins anew")

    def _check_finite(self, loader: BatchLoader, batch: Batch | None = None) -> None:
        """Stop with an explanation when a loss or weights are not finite."""
        found = self.update.find_nonfinite()
        if found is None:
            return
        output = "finite until then"
        if self.update.has_nonfinite_output(found.step):
            output = "NaN or infinite as well"
        raise TrainingError(
            f"NaN or infinite in training: {', '.join(found.terms)}, since step {found.step} "
            f"(epoch {self.state.epoch}, learning rate {self.update.rate:.3g}). "
            f"The network's output was {output}. {describe_nonfinite(loader, batch)}. "
            "What may help: a smaller --start-lr, --clip-gradient 1, a run without --use-amp, "
            "inputs scaled to about -5 ... 5 (preprocess), labels and event weights without "
            f"extreme values. The weights before it are in {self.files.prefix}_*.pt"
        )

    # --- what is kept

    def save_epoch(self, metrics: EpochMetrics) -> None:
        """Save the epoch's weights, those of the best epoch, and what resumes the run.

        ``metrics`` decide whether this epoch is the best so far.

        Raises:
            TrainingError: the watched metric is NaN, or there is no such metric.
        """
        name, direction = self.task.watch
        if not metrics.keys() - {WITHOUT_TARGET}:
            self._stop_without_entries()
        if name not in metrics:
            raise TrainingError(
                f"task.watch: there is no metric {name!r}; {nearest(name, metrics)}"
            )
        value = metrics[name]
        if math.isnan(value):
            self._stop_at_nan(name)
        self.update.schedule.observe(value)
        best = self.state.best.get(name)
        is_best = best is None or direction.is_better(value, best)
        if is_best:
            self.state.best_epoch = self.state.epoch
            self.state.best = dict(metrics)
            self.state.best_sums = [sums.cpu() for sums in metrics.totals]
        if distributed.is_main():
            self._save_weights(is_best)
        self.state.epoch += 1
        self.state.batches = 0
        self._shares = None
        self.save_state([], {})

    def _save_weights(self, is_best: bool) -> None:
        """Write the files of the epoch that has ended."""
        weights = self.network.unwrapped.state_dict()
        checkpoint.save_checkpoint(weights, self.files.epoch(self.state.epoch))
        if self.task.modules is not None:
            task_weights = self.task.modules.state_dict()
            checkpoint.save_checkpoint(task_weights, self.files.task_epoch(self.state.epoch))
        if is_best:
            checkpoint.save_checkpoint(weights, self.files.best)
        # only now, when the newer files are there
        kept = self.files.epochs()
        later = [number for number in kept if number > self.state.epoch]
        if later:
            # with --load-epoch: they are of another course of the training than this epoch
            log.info("epochs %s, of before --load-epoch, are removed", ", ".join(map(str, later)))
            checkpoint.remove_epochs(self.files, later)
        if self.options.auto_clean:
            earlier = [number for number in kept if number < self.state.epoch]
            checkpoint.remove_epochs(self.files, earlier)

    def _stop_without_entries(self) -> NoReturn:
        """Say in which pass over data nothing was left that counts, and why."""
        assert self._last_pass is not None
        where, loader = self._last_pass
        accounting = total_accounting(loader)
        reasons = describe_empty_selections(accounting, self.task.config)
        if not reasons:
            reasons = [
                f"of {accounting.used.total():,} rows none has a labelled object or a target that "
                "is known and not masked"
            ]
            undefined = accounting.describe_places("undefined")
            if undefined:
                reasons.append(f"labels without a value: {', '.join(undefined)}")
        raise TrainingError(
            f"nothing to learn from in {where}, epoch {self.state.epoch}: {'; '.join(reasons)}"
        )

    def _stop_at_nan(self, metric: str) -> NoReturn:
        """Say in which pass over data the watched ``metric`` became NaN."""
        assert self._last_pass is not None
        where, loader = self._last_pass
        what = ENTRY_LOSS if metric == "loss" else metric
        raise TrainingError(
            f"NaN in {where}: {what}, after epoch {self.state.epoch}: nothing is saved. "
            f"{describe_nonfinite(loader)}. "
            "What may help: a smaller --start-lr, --clip-gradient 1"
        )

    def save_state(self, meters: list[Tensor], terms: Sums) -> None:
        """Write ``PREFIX_resume.pt``; all ranks call this.

        ``meters`` and ``terms`` are sums over this rank's batches of the running epoch.
        """
        self._saved = time.monotonic()
        self.state.meters = meters
        self.state.terms = terms
        random_state = self._random or checkpoint.random_state()
        part = {
            "meters": meters,
            "terms": terms,
            "random": random_state,
            "buffers": [
                {name: part.cpu() for name, part in distributed.saved_buffers(module).items()}
                for module in (self.network.unwrapped, self._task_modules)
            ],
        }
        _, *other_ranks = distributed.gather_on_main(part) or [part]
        if not distributed.is_main():
            return
        # not dataclasses.asdict, which would copy all tensors
        state = {item.name: getattr(self.state, item.name) for item in fields(self.state)}
        everything = {
            "format": checkpoint.CHECKPOINT_FORMAT,
            "settings": self._settings | {"ranks": distributed.world_size()},
            "weights": self.network.unwrapped.state_dict(),
            "task_weights": self._task_modules.state_dict(),
            "optimizer": self.update.optimizer.state_dict(),
            "schedule": self.update.schedule.state_dict(),
            "scaler": self.update.scaler.state_dict(),
            "steps": self.update.steps,
            "done": self.update.done,
            "state": state,
            "random": random_state,
            "other_ranks": other_ranks,
        }
        checkpoint.save_resumable(everything, self.files)

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
        spectra = reweighting_figures(train, weights, self.files.prefix, self.state.epoch)

        def figures() -> dict[str, Any]:
            # drawn only if a tracker wants them
            return self.task.figures(val_metrics.meters, val_metrics.totals) | spectra

        self.tracker.epoch(values, self.state.epoch, figures)

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
        log.info("best epoch: %d with %s", self.state.best_epoch, format_metrics(self.state.best))
        self.tracker.finish(dataclasses.asdict(self.options), self.state.best)
        # there are no sums where no epoch was measured, as with --load-epoch
        meters = self.task.meters() if self.state.best_sums else []
        metrics = EpochMetrics(meters, self.state.best_sums)
        metrics.update(self.state.best)
        return metrics
