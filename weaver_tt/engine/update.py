"""One update: loss of the batch, backward, mean over ranks, clipping, learning rate, optimiser. Nothing here waits for the device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.optim import make_optimizer, max_gradient_norm
from weaver_tt.engine.schedule import Schedule, make_schedule
from weaver_tt.metrics.base import Scored
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.distributed import average_gradients
from weaver_tt.tasks.base import Task


class Update:
    """Trains ``network`` by a step per call.

    The loss is ``sum(weight * loss) / sum(|weight|)`` over the batch's entries (over all ranks' batches): weights may be signed, and their overall
    scale does not matter. A batch without entries, or whose weights are all 0, gives loss 0 and zero gradients.
    ``steps`` counts steps since the first epoch; ``done`` is the number of epochs done, with fraction, and drives the schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        clip: float | None = None,
        scaler: torch.amp.GradScaler | None = None,
        task_modules: nn.Module | None = None,
    ) -> None:
        self.parameters = trainable_parameters(network)
        if task_modules is not None:
            self.parameters += trainable_parameters(task_modules)
        self.optimizer, self.schedule, self.clip = optimizer, schedule, clip
        self.scaler = scaler or torch.amp.GradScaler(
            enabled=False
        )  # keeps float16 gradients off zero, skips steps that overflow
        self.steps, self.epoch, self.done = 0, 0, 0.0
        self._first_bad = torch.tensor(
            -1, device=self.parameters[0].device
        )  # step of the first loss that was not finite

    def __call__(self, losses: Tensor, scored: Scored, batch: Batch) -> None:
        """One step on ``losses`` (M,), which hold the graph."""
        scale = scored.weight.abs().sum()
        loss = (losses.float() * scored.weight).sum() / scale.clamp(
            min=torch.finfo(torch.float32).tiny
        )
        self._first_bad = torch.where(
            (self._first_bad < 0) & ~loss.detach().isfinite(), self.steps, self._first_bad
        )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self._apply(scale.float(), batch.progress)

    def idle(self, progress: float) -> None:
        """The step of a rank whose batches are used up: the others' gradients."""
        self.optimizer.zero_grad(set_to_none=True)
        nothing = torch.zeros((), device=self._first_bad.device)
        self.scaler.scale(
            nothing
        )  # it is at work from its first loss on, also on a rank that never has one
        self._apply(nothing, progress)

    def _apply(self, scale: Tensor, progress: float) -> None:
        average_gradients(self.parameters, scale)
        if self.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        for group in self.optimizer.param_groups:
            rate = group["initial_lr"] * self.schedule.factor(self.done)
            if isinstance(group["lr"], Tensor):  # of a compiled step
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.steps += 1
        self.done = self.epoch + progress

    @property
    def rate(self) -> float:
        """The learning rate of the latest step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def first_bad_step(self) -> int | None:
        """The first step whose loss was NaN or infinite, the latest if only the weights are; None if all is well. Waits for the device."""
        step = int(self._first_bad)
        if step >= 0:
            return step
        finite = torch.stack(
            [parameter.detach().isfinite().all() for parameter in self.parameters]
        ).all()
        return None if finite else self.steps - 1


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
    ``steps`` the number of steps in an epoch where it is known.
    """
    device = next((part.device for part in network.parameters()), torch.device("cpu"))
    task.to(device)
    optimizer = make_optimizer(
        network, options.optimizer, options.start_lr, options.optimizer_option, task.modules
    )
    _, direction = task.watch
    schedule = make_schedule(
        options.lr_scheduler, options.num_epochs, options.warmup_steps, direction, steps
    )
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    return Update(
        network,
        optimizer,
        schedule,
        max_gradient_norm(options.clip_gradient, options.optimizer_option),
        scaler,
        task.modules,
    )
