"""Settings, metrics, figures and texts in MLflow."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weaver_tt.engine.trackers.experiment import PROJECT, ExperimentTracker
from weaver_tt.log import log
from weaver_tt.system.optional_imports import require_module

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MLflow(ExperimentTracker):
    """A run in the store that MLflow finds: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` here.

    It is in the experiment ``MLFLOW_EXPERIMENT_NAME``, else ``weaver_tt``.
    """

    name = "mlflow"

    def _open(self, run: str | None) -> str:
        """Begin a run, or go on with ``run``."""
        mlflow = require_module("mlflow", "mlflow", "train --tracker mlflow")
        # how it makes the tables of its store is of no interest here
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        # not the functions of mlflow itself, which know one run at a time
        self._client = mlflow.MlflowClient()
        if run is None:
            experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
            tags = {"group": self.about.group} if self.about.group else {}
            begun = self._client.create_run(
                experiment.experiment_id, run_name=self.about.name, tags=tags
            )
            run = str(begun.info.run_id)
        else:
            self._client.update_run(run, status="RUNNING")
        # a parameter cannot be changed: a run that goes on keeps those that it began with
        known = self._client.get_run(run).data.params
        for name, value in self.about.settings.items():
            if name not in known:
                self._client.log_param(run, name, value)
        for name, text in self.about.texts.items():
            self._client.log_text(run, text, name)
        store = without_password(mlflow.get_tracking_uri())
        log.info("mlflow: run %s in %s", self.about.name, store)
        return run

    def _log(self, values: Mapping[str, float], axis: str, number: int) -> None:
        """Write metrics; what they are over, says the beginning of their names."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics: list[Any] = []
        for name, value in values.items():
            metrics.append(Metric(allowed_name(name), value, now, number))
        self._client.log_batch(self._tracked.run, metrics=metrics)

    def _show(self, name: str, figure: Figure, number: int) -> None:
        """Write a figure as an artifact; names sort by epoch."""
        file = f"plots/{allowed_name(name)}/epoch_{number:04}.png"
        self._client.log_figure(self._tracked.run, figure, file)

    def _summarize(self, best: Mapping[str, float], epoch: int) -> None:
        """Write the metrics of the best epoch as metrics: only these can be sorted by."""
        self._log(best, "epoch", epoch)

    def _close(self, is_finished: bool) -> None:
        """End the run."""
        self._client.set_terminated(self._tracked.run, "FINISHED" if is_finished else "KILLED")


def without_password(store: str) -> str:
    """The address of a store, without the user and the password that may stand in it."""
    return re.sub(r"//[^/]*@", "//", store)


def allowed_name(name: str) -> str:
    """``name`` as MLflow takes it, which knows no ``@``: ``rejection_0.5``."""
    return re.sub(r"[^\w\-. :/]", "_", name)
