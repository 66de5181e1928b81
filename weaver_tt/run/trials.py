"""Trials, of which nothing is kept: a summary, steps of a training, reading alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import torch

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import BadFile, LostRows, list_bad_files
from weaver_tt.data.loaders import test_loaders, train_loader, val_loader
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.engine.device_settings import seed_everything
from weaver_tt.engine.trackers.base import MultiTracker, RunDescription
from weaver_tt.engine.trackers.make import make_console, make_tensorboard
from weaver_tt.engine.trials.lr_finder import find_rate
from weaver_tt.engine.trials.profiler import profile_steps
from weaver_tt.engine.trials.read_test import measure_reading
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.log import log
from weaver_tt.network.network import build_network
from weaver_tt.network.summary import network_summary
from weaver_tt.options.train import RunOptions
from weaver_tt.run.input_copies import local_copies
from weaver_tt.run.launch import choose_device
from weaver_tt.run.naming import choose_seed, open_run
from weaver_tt.run.networks import start_network
from weaver_tt.run.preflight import check_reading, check_training, try_training_files
from weaver_tt.run.sample_rows import first_inputs, first_rows
from weaver_tt.run.task import make_run_task
from weaver_tt.run_files import RunFiles


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial of which nothing is kept could not read."""

    bad_files: Sequence[BadFile] = ()


def print_network(config: DataConfig, options: RunOptions) -> None:
    """Print the network's layers, parameters and FLOPs: of real rows, where files are given."""
    rows = None
    if options.data.data_train:
        with local_copies(options.data, "data_train") as data:
            # sizes do not depend on how inputs are scaled: no pass over all of the data
            tried = try_training_files(config, replace(options, data=data))
            config = tried.provisional
            rows = first_inputs(first_rows(config, data, tried.scans.training).tensors)
    network = build_network(config, options.network, torch.device("cpu"))
    print(network_summary(network, config, rows))


def run_trial(config: DataConfig, options: RunOptions, ranks: int = 1) -> TrialResult:
    """Train for a few steps, for ``--lr-finder`` or ``--profile``, on one process.

    The learning-rate test takes the steps that ``ranks`` would take: on all their batches together.
    """
    if options.train.lr_finder is not None and ranks > 1:
        rows = options.data.batch_size * ranks
        log.info("learning-rate test for %d ranks: batches of %d rows", ranks, rows)
        options = replace(options, data=replace(options.data, batch_size=rows))
    scans = check_training(config, options)
    config = replace(config, labels=scans.labels)
    options = open_run(options)
    prefix = options.network.model_prefix
    device = choose_device(options.train.gpus)
    seed = choose_seed(options, prefix)
    with (
        TemporaryDirectory() as scratch,
        local_copies(options.data, "data_train") as data,
        MultiTracker(
            [
                make_console(options.train),
                make_tensorboard(options.train, prefix, RunDescription(name=prefix)),
            ]
        ) as tracker,
    ):
        statistics = trial_prefix(prefix, scratch)
        config, scan = fit_statistics(config, statistics, data, scans.training)
        network = start_network(config, options, device, seed)
        task = make_run_task(config, options, seed)
        train = train_loader(
            config,
            data,
            seed=seed,
            device=device,
            any_length=network.takes_any_length(config),
            wanted_labels=task.wanted_labels,
            scan=scan,
        )
        seed_everything(seed, deterministic=False)
        if options.train.profile:
            profile_steps(network, task, train, options.train, prefix)
        else:
            find_rate(network, task, train, options.train, prefix, tracker)
        return TrialResult(list_bad_files(train.lost))


def trial_prefix(prefix: str, scratch: str) -> str:
    """Where a trial keeps its statistics: at ``prefix``, for the training that follows.

    Where a trained network lies at ``prefix``, in the folder ``scratch``: what that network was
    trained with must stay, and a trial may be of other files.
    """
    files = RunFiles(prefix)
    if not files.weights():
        return prefix
    copy = RunFiles(f"{scratch}/net")
    if files.auto_yaml.is_file():
        # nothing is computed again where the files are those of the training
        shutil.copy2(files.auto_yaml, copy.auto_yaml)
    return copy.prefix


def run_io_test(config: DataConfig, options: RunOptions) -> TrialResult:
    """Read one epoch of each kind of data that is given."""
    lost: set[LostRows] = set()
    device = choose_device(options.train.gpus)
    kinds = ("data_train", "data_val", "data_test")
    with (
        local_copies(options.data, *kinds) as data,
        TemporaryDirectory() as scratch,
        make_console(options.train) as tracker,
    ):
        if data.data_train:
            scans = check_reading(config, replace(options, data=data))
            # statistics of a test are of no use afterwards
            config, scan = fit_statistics(config, f"{scratch}/net", data, scans.training)
            train = train_loader(config, data, device=device, scan=scan)
            measure_reading("training", train, tracker)
            lost |= train.lost
            val_config = load_alternative(config, data.data_config_val)
            val = val_loader(val_config, data, device=device, scan=scans.validation)
            if val is not None:
                measure_reading("validation", val, tracker)
                lost |= val.lost
        test_config = load_alternative(config, data.data_config_test)
        for name, loader in test_loaders(test_config, data, device=device).items():
            title = "test" if name == UNNAMED_GROUP else f"test {name}"
            measure_reading(title, loader, tracker)
            lost |= loader.lost
    return TrialResult(list_bad_files(lost))
