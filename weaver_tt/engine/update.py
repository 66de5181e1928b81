"""One update: loss of the batch, gradients, mean over ranks, clipping, learning rate, optimizer.

Nothing here waits for the device, but for :meth:`Update.find_nonfinite`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.average import WeightAverage
from weaver_tt.engine.batch_terms import BatchTerms
from weaver_tt.engine.gradient_norms import GradientNorms, gradient_norm
from weaver_tt.engine.optim import make_optimizer, max_gradient_norm
from weaver_tt.engine.schedule import PlateauOptions, Schedule, make_schedule
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import Scored
from weaver_tt.nn.layers.norm_over_ranks import synchronize_norms
from weaver_tt.options.thresholds import read_threshold
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.distributed import Agreement, agree_on_step, is_running
from weaver_tt.system.gradients import GradientExchange
from weaver_tt.system.stage_times import Stage, StageTimes
from weaver_tt.system.user_code import noting_call
from weaver_tt.tasks.base import Task

BatchLoss = Callable[[Scored, Batch], Mapping[str, Tensor | None]]
ENTRY_LOSS = "the loss of entries"
# steps between two norms of the gradient: in each, it would take some percent of a small network's
NORM_EVERY = 10
OUTPUT = "the network's output"
NOTHING_AGREED = Agreement(active=False, progress=0.0, save=False, stop=False)


class NonFinite(NamedTuple):
    """What was NaN or infinite first."""

    step: int
    terms: list[str]  # in words: parts of the loss, or weights


def no_batch_loss(scored: Scored, batch: Batch) -> dict[str, Tensor | None]:
    """A loss of entries alone."""
    return {}


class Update:
    """Trains ``network``, and the modules of a task, by one step per call.

    The loss is ``sum(weight * loss) / sum(|weight|)`` over the entries of a batch, of all ranks'
    batches together: weights may be signed, and their overall scale does not matter. A batch
    without entries, or whose weights are all 0, has loss 0 and zero gradients. The terms of
    ``batch_loss`` are added to it; ``terms`` holds their means over the epoch.

    A step is taken after each group of ``accumulate`` batches. It is the step of one batch with all
    their entries; of a term of ``batch_loss``, the mean over the batches of the group counts, each
    with its sum of |weight|.

    ``average``, that of the weights, follows each step. ``steps`` counts steps since the first
    epoch. ``done`` is the number of epochs done with the latest step, with a fraction; it drives
    the schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        clip: float | None = None,
        scaler: torch.amp.GradScaler | None = None,
        task_modules: nn.Module | None = None,
        batch_loss: BatchLoss = no_batch_loss,
        accumulate: int = 1,
        average: WeightAverage | None = None,
        norms_over_ranks: bool = False,
    ) -> None:
        """``norms_over_ranks``: batch norms take their statistics from the batches of all ranks."""
        self.parameters = trainable_parameters(network)
        self._of_network = len(self.parameters)
        if task_modules is not None:
            self.parameters += trainable_parameters(task_modules)
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip = clip
        # it keeps float16 gradients from becoming 0, and skips steps that overflow
        self.scaler = scaler or torch.amp.GradScaler(enabled=False)
        self.batch_loss = batch_loss
        self.accumulate = accumulate
        self.average = average
        self.terms = BatchTerms()
        # before clipping, which takes the norm of each step; without it, of some steps
        self.gradient_norms = GradientNorms()
        self.norm_every = NORM_EVERY
        self.times = StageTimes()  # where the time spent waiting for other ranks counts
        self.steps = 0
        self.epoch = 0
        self.done = 0.0
        # batches that no step has been taken with yet
        self.group_size = 0
        # asked before each step: whether this rank wants it to be saved
        self.wants_save: Callable[[], bool] = _never
        # the same: whether this rank wants it to be the last one
        self.wants_stop: Callable[[], bool] = _never
        # on the latest step, by all ranks
        self.agreed = NOTHING_AGREED
        self._device = self.parameters[0].device
        # a loss then has gradients on all ranks, in which it must count for what its batch does
        self._weights_loss = norms_over_ranks and is_running()
        self._exchange: GradientExchange | None = None
        if is_running():
            # on a GPU, the sums of batch norms must not come to wait behind messages that a rank
            # without a batch sends after them
            overlap = self._device.type == "cpu" or not self._weights_loss
            self._exchange = GradientExchange(self.parameters, self._weights_loss, overlap)
        # of the running group: what it counts for, the sum of |weight|, and up to where it reaches
        self._group_scale = torch.zeros((), device=self._device)
        self._group_progress = 0.0
        # output or part of the loss -> the first step at which it was not finite, or -1
        self._first_bad: dict[str, Tensor] = {}

    def __call__(self, losses: Tensor, scored: Scored, batch: Batch) -> None:
        """Take in a batch by its ``losses`` (M,), which hold the graph; step with a whole group."""
        scale = scored.weight.abs().sum()
        # clamped: a batch that does not count would be 0 / 0
        smallest = torch.finfo(torch.float32).tiny
        loss = (losses.float() * scored.weight).sum() / scale.clamp(min=smallest)
        self._watch(OUTPUT, scored.output)
        self._watch(ENTRY_LOSS, loss)
        for name, term in self.batch_loss(scored, batch).items():
            if term is None:
                continue
            term = _as_scalar(name, term)
            self._watch(f"the batch term {name!r}", term)
            self.terms.add(name, term.detach(), scale)
            loss = loss + term
        loss = self._join_group(loss, scale)
        is_last = self.group_size == self.accumulate
        if is_last and self._exchange is not None:
            self._exchange.begin(self._group_scale)
        with noting_call(lambda: "the backward pass of the network and its loss"):
            self.scaler.scale(loss).backward()
        if is_last:
            # up to here a rank may fail by itself: the others hear of it now
            self._agree_and_apply(batch.progress)
        else:
            self._group_progress = batch.progress
            self.agreed = NOTHING_AGREED

    def close_group(self) -> bool:
        """Take the step of a group that has been left unfinished; whether there was one."""
        if not self.group_size:
            return False
        if self._exchange is not None:
            self._exchange.begin(self._group_scale)
        self._agree_and_apply(self._group_progress)
        return True

    def _join_group(self, loss: Tensor, scale: Tensor) -> Tensor:
        """The share of ``loss`` (), of a batch that counts for ``scale``, in the loss of its group.

        The gradients that are there become their share, too: they always are those of the mean.
        """
        self.group_size += 1
        if self.group_size == 1:
            self.optimizer.zero_grad(set_to_none=True)
            self._group_scale = torch.zeros_like(self._group_scale)
        before = self._group_scale
        self._group_scale = before + scale.float()
        if self._weights_loss:
            # divided by the scale of all ranks in the end
            return loss * scale.float()
        if self.group_size == 1:
            return loss
        # clamped: batches that do not count would be 0 / 0
        divisor = self._group_scale.clamp(min=torch.finfo(torch.float32).tiny)
        gradients = [part.grad for part in self.parameters if part.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, before / divisor)
        return loss * (scale.float() / divisor)

    def idle(self, agreed: Agreement) -> None:
        """The step of a rank whose batches are used up: with the gradients of the others."""
        self.agreed = agreed
        self.optimizer.zero_grad(set_to_none=True)
        nothing = torch.zeros((), device=self._device)
        # the scaler begins with its first loss, also on a rank that never has one
        self.scaler.scale(nothing)
        if self._exchange is not None:
            self._exchange.begin(nothing)
        self._apply()

    def _agree_and_apply(self, progress: float) -> None:
        """Take the step to ``progress`` of the epoch on this rank, together with the others."""
        # alone, there is nothing to wait for
        waiting = nullcontext() if self._exchange is None else self.times.stage(Stage.OTHER_RANKS)
        with waiting:
            self.agreed = agree_on_step(progress, self.wants_save(), self.wants_stop())
        self._apply()

    def _apply(self) -> None:
        self.group_size = 0
        if self._exchange is not None:
            self._exchange.finish()
        # norms are those of the gradients themselves, not multiplied by the scaler
        self.scaler.unscale_(self.optimizer)
        if self.clip is not None:
            self.gradient_norms.add(nn.utils.clip_grad_norm_(self.parameters, self.clip))
        elif (self.steps + 1) % self.norm_every == 0:
            self.gradient_norms.add(gradient_norm(self.parameters))
        # a function of the epochs done, not of the steps taken: resumed runs need no counter
        factor = self.schedule.factor(self.done)
        for group in self.optimizer.param_groups:
            rate = group["initial_lr"] * factor
            if isinstance(group["lr"], Tensor):
                # of a compiled step, which a new number would compile again
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update()
        self.steps += 1
        self.done = self.epoch + self.agreed.progress

    @property
    def rate(self) -> float:
        """The learning rate of the latest step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _watch(self, part: str, value: Tensor) -> None:
        """Remember the step if this output or part of the loss is not finite for the first time."""
        if part not in self._first_bad:
            self._first_bad[part] = torch.tensor(-1, device=self._device)
        before = self._first_bad[part]
        is_finite = value.detach().isfinite().all()
        # on the device, as looking at the value would wait for it
        is_first = (before < 0) & ~is_finite
        self._first_bad[part] = torch.where(is_first, self.steps, before)

    def has_nonfinite_output(self, step: int) -> bool:
        """Whether the network's output was NaN or infinite by ``step``. Waits for the device."""
        if OUTPUT not in self._first_bad:
            return False
        return 0 <= int(self._first_bad[OUTPUT]) <= step

    def find_nonfinite(self) -> NonFinite | None:
        """The first step at which a part of the loss was NaN or infinite, and which parts.

        The latest step, if only weights are; None if all is well. Waits for the device.
        """
        first_bad = {}
        if self._first_bad:
            # all of them in one copy from the device
            steps = torch.stack(list(self._first_bad.values())).tolist()
            for part, step in zip(self._first_bad, steps, strict=True):
                # a loss may be finite where an output is not: a class that is ruled out
                if step >= 0 and part != OUTPUT:
                    first_bad[part] = step
        if first_bad:
            first = min(first_bad.values())
            parts = [part for part, step in first_bad.items() if step == first]
            return NonFinite(first, parts)
        # a gradient may be NaN where the loss was not; the next loss would tell
        flags = [parameter.detach().isfinite().all() for parameter in self.parameters]
        finite = torch.stack(flags).tolist()
        if all(finite):
            return None
        weights = []
        if not all(finite[: self._of_network]):
            weights.append("the weights of the network")
        if not all(finite[self._of_network :]):
            weights.append("the weights of the task's modules")
        return NonFinite(self.steps - 1, weights)


def _never() -> bool:
    return False


def _as_scalar(name: str, term: Tensor) -> Tensor:
    """The term of a batch as a float32 number, ()."""
    if term.numel() != 1:
        raise ConfigError(
            f"batch_loss: {name!r} has shape {tuple(term.shape)}; expected one number for the batch"
        )
    return term.float().reshape(())


def trainable_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def make_update(
    network: nn.Module,
    task: Task,
    options: TrainOptions,
    amp: torch.dtype | None = None,
    steps: int | None = None,
) -> Update:
    """What trains ``network`` and the modules of ``task`` as ``options`` say.

    The task's modules are moved to the network's device. ``amp`` is the type of mixed precision,
    ``steps`` the number of batches in an epoch, if known.
    """
    device = next((part.device for part in network.parameters()), torch.device("cpu"))
    # first, as an optimizer chooses its implementation by where the parameters lie
    task.to(device)
    if options.sync_batchnorm and is_running():
        synchronize_norms(network, device)
        if task.modules is not None:
            synchronize_norms(task.modules, device)
    optimizer = make_optimizer(
        network,
        options.optimizer,
        options.start_lr,
        options.optimizer_option,
        task.modules,
        task.learning_rate,
    )
    _, direction = task.watch
    if steps is not None:
        # the last group of an epoch may be an unfinished one
        steps = math.ceil(steps / options.accumulate_batches)
    plateau = PlateauOptions(
        options.plateau_factor,
        options.plateau_patience,
        read_threshold(options.plateau_threshold, "--plateau-threshold"),
    )
    schedule = make_schedule(
        options.lr_scheduler, options.num_epochs, options.warmup_steps, direction, steps, plateau
    )
    clip = max_gradient_norm(options.clip_gradient, options.optimizer_option)
    average = None
    if options.ema is not None:
        modules = [network] if task.modules is None else [network, task.modules]
        average = WeightAverage(modules, options.ema)
    # bfloat16 has the range of float32 and needs no scaling
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    update = Update(
        network,
        optimizer,
        schedule,
        clip,
        scaler,
        task.modules,
        task.batch_loss,
        options.accumulate_batches,
        average,
        options.sync_batchnorm,
    )
    # at least one in each interval of the log
    update.norm_every = min(NORM_EVERY, options.log_every)
    return update
