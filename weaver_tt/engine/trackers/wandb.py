"""Settings, metrics, figures and texts in Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.engine.trackers.experiment import PROJECT, ExperimentTracker
from weaver_tt.log import log
from weaver_tt.system.optional_imports import require_module

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {"step": ("step",), "epoch": ("train", "val", "training", "plots")}
"""What is counted -> beginnings of the names of what is drawn over it."""


class WandB(ExperimentTracker):
    """A run in the project ``WANDB_PROJECT``, else ``weaver_tt``.

    Its files are in ``WANDB_DIR``, else ``PREFIX_wandb``. With ``WANDB_MODE=offline`` they wait
    there for ``wandb sync``.
    """

    name = "wandb"

    def _open(self, run: str | None) -> str:
        """Begin a run, or go on with ``run``."""
        wandb = require_module("wandb", "wandb", "train --tracker wandb")
        folder = os.environ.get("WANDB_DIR", str(self.run_files.tracker_folder("wandb")))
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=folder,
            name=self.about.name,
            group=self.about.group,
            id=run,
            resume=None if run is None else "allow",
            # the members of an ensemble are trained together
            reinit="create_new",
            # what the terminal shows is in the log
            settings=wandb.Settings(console="off", silent=True),
        )
        # the number of epochs may have changed
        self._run.config.update(dict(self.about.settings), allow_val_change=True)
        for axis, beginnings in AXES.items():
            self._run.define_metric(axis)
            for beginning in beginnings:
                self._run.define_metric(f"{beginning}/*", step_metric=axis)
        for name, text in self.about.texts.items():
            (Path(self._run.dir) / name).write_text(text, encoding="utf-8")
        log.info("wandb: %s", self._run.dir if self._run.offline else self._run.url)
        return str(self._run.id)

    def _log(self, values: Mapping[str, float], axis: str, number: int) -> None:
        """Write metrics with the number of the epoch or step that they are drawn over."""
        self._run.log({**values, axis: number}, step=self._place(), commit=True)

    def _show(self, name: str, figure: Figure, number: int) -> None:
        """Write a figure into the row that the numbers of the epoch complete."""
        wandb = require_module("wandb", "wandb", "train --tracker wandb")
        self._run.log({f"plots/{name}": wandb.Image(figure)}, step=self._place(), commit=False)

    def _place(self) -> int:
        """A number of what is written that grows, also where a run goes on offline."""
        return self._tracked.step + self._tracked.epoch + 1

    def _summarize(self, best: Mapping[str, float], epoch: int) -> None:
        """Write the metrics of the best epoch, which are no curves."""
        self._run.summary.update({**best, "best/epoch": epoch})

    def _close(self, is_finished: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if is_finished else 1)
