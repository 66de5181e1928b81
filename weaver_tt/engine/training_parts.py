"""What a training consists of, which is what a checkpoint holds, and how far it is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from weaver_tt.engine.batch_terms import Sums
from weaver_tt.engine.loop import Runnable
from weaver_tt.engine.schedule import PLATEAU
from weaver_tt.engine.update import Update
from weaver_tt.options.literals import read_options
from weaver_tt.options.thresholds import read_threshold
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.tasks.base import Task

# options that must not change in a resumed run
FIXED_OPTIONS = (
    "optimizer",
    "start_lr",
    "lr_scheduler",
    "warmup_steps",
    "clip_gradient",
    "accumulate_batches",
    "ema",
    "use_amp",
    "amp_dtype",
)


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
    # metrics by which each epoch so far was judged
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    best_epoch: int = -1
    best: dict[str, float] = field(default_factory=dict)  # metrics of the best epoch
    best_sums: list[Tensor] = field(default_factory=list)  # what its figures are drawn from
    completed: int = -1  # the epoch whose network the task has completed, as the best one


@dataclass
class TrainingParts:
    """What is saved of a training, and filled again when it continues."""

    network: Trainable
    task: Task
    update: Update
    files: RunFiles
    seed: int | None
    settings: dict[str, Any]  # what must not change in a resumed run
    state: TrainingState = field(default_factory=TrainingState)
    # whether the file of the best weights is of another epoch than the best one
    is_best_stale: bool = False

    @property
    def task_modules(self) -> nn.Module:
        """What the task trains beside the network: a module without weights, if it does not."""
        if self.task.modules is None:
            return nn.Module()
        return self.task.modules

    def averaged_weights(self) -> AbstractContextManager[None]:
        """Inside, the network and the task's modules have the average of their weights.

        Without ``--ema`` they are as they are.
        """
        if self.update.average is None:
            return nullcontext()
        return self.update.average.in_place_of_weights()


def make_settings(
    options: TrainOptions, task: Task, seed: int | None, steps: int | None
) -> dict[str, Any]:
    """What must not change in a resumed run; an epoch has ``steps``, if that is known."""
    settings = {name: getattr(options, name) for name in FIXED_OPTIONS}
    # values: 1e-4 and 0.0001 are the same number
    settings["optimizer_option"] = read_options(options.optimizer_option)
    settings["task"] = task.name
    settings["outputs"] = task.output_names
    settings["seed"] = seed
    settings["steps_per_epoch"] = steps
    if options.lr_scheduler == PLATEAU:
        # the learning rates follow from these
        settings["watch"], _ = task.watch
        settings["plateau_factor"] = options.plateau_factor
        settings["plateau_patience"] = options.plateau_patience
        # 1e-4 and 0.0001 are the same
        threshold = read_threshold(options.plateau_threshold, "--plateau-threshold")
        settings["plateau_threshold"] = str(threshold)
    return settings
