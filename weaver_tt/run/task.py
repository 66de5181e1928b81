"""The task of a run."""

from __future__ import annotations

from typing import cast

import torch

from weaver_tt.config.schema import DataConfig
from weaver_tt.network.file import NetworkFile
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import RunOptions
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.registry import make_task


def make_run_task(config: DataConfig, options: RunOptions, seed: int = 0) -> Task:
    """The task of a run: that of the network file, else that of the labels in the data YAML.

    A ``get_task`` of the file makes the task; a ``get_loss`` replaces the loss of the YAML's.
    ``--watch`` names the metric that its best epoch is chosen by. The first weights of what the
    task itself trains follow from ``seed``; the global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        # not the seed of the network, whose first weights would be drawn alike
        torch.default_generator.manual_seed(seed + 1)
        task = _make_task(config, options)
    # what does not fit is refused before anything is trained
    task.check_derived()
    task.check_decorrelation()
    if options.train.watch is not None:
        task.choose(options.train.watch)
        task.check_watch("--watch")
    return task


def _make_task(config: DataConfig, options: RunOptions) -> Task:
    """The task of the network file, or that of the YAML with the loss of the file."""
    if not options.network.network_config:
        return make_task(config)
    file = NetworkFile(options.network.network_config)
    settings = read_options(options.network.network_option)
    own_task = file.get_task(config, settings)
    if own_task:
        return cast(Task, own_task)
    task = make_task(config, file.get_loss(config, settings))
    file.check_loops(config, settings, task.name)
    return task
