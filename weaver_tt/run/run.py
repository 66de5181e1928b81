"""The story of a run: options -> config -> loaders -> network -> task -> fit, predict, export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.loaders import Loader, test_loaders, train_loader, val_loader
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.scan import Scan
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.export import export_onnx
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.sample import Sample, collect_sample, load_sample, save_sample
from weaver_tt.engine.checkpoint import check_writable, find_states
from weaver_tt.engine.device_settings import seed_everything, set_threads
from weaver_tt.engine.fit import fit
from weaver_tt.engine.trackers.console import Console
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.engine.trials.lr_finder import find_rate
from weaver_tt.engine.trials.profiler import profile_steps
from weaver_tt.engine.trials.read_test import measure_reading
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.log import configure_log, log
from weaver_tt.network.file import NetworkFile, network_options
from weaver_tt.network.network import Ensemble, Network, build_network
from weaver_tt.network.summary import network_summary
from weaver_tt.network.weights import load_weights, prepare_network
from weaver_tt.options.train import RunOptions
from weaver_tt.output.predict import predict_parts
from weaver_tt.output.results import finite_or_none, write_results
from weaver_tt.run.checks import check_config, check_options, is_onnx, is_prediction, is_trial
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.input_copies import local_copies
from weaver_tt.run.launch import choose_device, demo_options, launches_ranks
from weaver_tt.run.naming import (
    auto_name,
    choose_seed,
    seed_of_member,
    with_run_name,
    with_tracker_subfolders,
)
from weaver_tt.run.run_card import load_card, make_card, save_card
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.registry import make_task

CARD_IN_ONNX = (
    "command",
    "started",
    "git",
    "versions",
    "seed",
    "best",
)  # what of the run card goes into model.onnx


def run(options: RunOptions) -> None:
    """What ``train.py`` does: print, try out, export, predict, or train (and then predict ``--data-test``)."""
    check_options(options)
    if launches_ranks(options):
        return
    set_threads(options.train.num_threads)
    if options.data.demo:
        options = demo_options(options)
    config = load_config(options.data.data_config, options.data.custom_functions)
    check_config(config, options)
    if options.output.print:
        print(network_summary(build_network(config, options.network, torch.device("cpu")), config))
    elif options.data.io_test:
        run_io_test(config, options)
    elif is_trial(options):
        run_trial(config, options)
    elif options.output.export_onnx:
        run_export(config, options)
    elif is_prediction(options):
        run_predict(config, options)
    else:
        run_train(config, options)


# --- train


def run_train(config: DataConfig, options: RunOptions) -> None:
    """Train (a network for each fold of a cross-validation, one as a rule), then predict the test files where given."""
    distributed.join_ranks(options.train.backend)
    options = open_run(options)
    files = training_files(options)
    predicts = bool(options.data.data_test) and "test" in options.output.run_mode
    if predicts:  # a column that test files lack is told now, not after days of training
        other = options.data.data_config_test
        test_loaders(
            load_config(other, options.data.custom_functions) if other else config, options.data
        )
    with local_copies(options.data, "data_train", "data_val") as data:
        for fold in fold_options(replace(options, data=data)):
            train_fold(config, fold, files)
    distributed.leave_ranks()
    if predicts and distributed.is_main():
        run_predict(config, options)


def open_run(options: RunOptions) -> RunOptions:
    """``options`` with a name for the run, whose folder and log are there from now on."""
    options = with_run_name(options, distributed.broadcast_from_main(auto_name(options)))
    if distributed.is_main():
        check_writable(RunFiles(options.network.model_prefix))
    configure_log(file=options.train.log, rank=distributed.rank())
    return options


def train_fold(config: DataConfig, options: RunOptions, files: list[str]) -> None:
    """Train every member of the ensemble (one as a rule) on the run's ``files``."""
    prefix, device = options.network.model_prefix, choose_device(options.train.gpus)
    seed = distributed.broadcast_from_main(choose_seed(options, prefix))
    log.info("files of this run: %s_*, log %s, seed %d", prefix, options.train.log, seed)
    config, scan = fit_statistics(config, prefix, options.data)
    if distributed.is_main():
        save_card(prefix, card := make_card(options, seed, files, config_texts(config, options)))
    results = []
    if options.network.ensemble == 1:
        results.append(train_member(config, scan, options, prefix, seed, device))
    else:
        for member in range(options.network.ensemble):
            name = RunFiles(prefix).member(member).prefix
            results.append(
                train_member(config, scan, options, name, seed_of_member(seed, member), device)
            )
    if distributed.is_main():
        save_card(prefix, card | {"best": results})
        save_sample(prefix, sample_batches(config, options, scan))


def train_member(
    config: DataConfig,
    scan: Scan,
    options: RunOptions,
    prefix: str,
    seed: int,
    device: torch.device,
) -> dict[str, float | None]:
    """Train one network; returns the metrics of its best epoch."""
    rank, world = distributed.rank(), distributed.world_size()
    network = start_network(config, options, device, seed)
    task = make_run_task(config, options)
    train = train_loader(
        config,
        options.data,
        seed=seed,
        rank=rank,
        world=world,
        device=device,
        any_length=network.takes_any_length(config),
        wanted_labels=task.wanted_labels,
        scan=scan,
    )
    val = val_loader(
        load_alternative(config, options.data.data_config_val),
        options.data,
        rank=rank,
        world=world,
        device=device,
        wanted_labels=task.wanted_labels,
        scan=scan,
    )
    log.info("%s", network_summary(network, config))
    settings = options.train
    if options.network.ensemble > 1:
        settings = with_tracker_subfolders(settings, Path(prefix).name)
    with make_tracker(settings, prefix, network.unwrapped) as tracker:
        best = fit(network, task, train, val, settings, prefix, tracker, seed)
    if distributed.is_main():
        write_results(best, task, prefix, options.output.figures)
    return finite_or_none(best)


def start_network(
    config: DataConfig, options: RunOptions, device: torch.device, seed: int
) -> Network:
    """The network that a training starts from: initial weights by ``seed``, others where the flags ask for them."""
    network = build_network(config, options.network, device, seed=seed)
    prepare_network(network, options.network)
    return network


# --- try out


def run_trial(config: DataConfig, options: RunOptions) -> None:
    """Some steps of training, for ``--lr-finder`` or ``--profile``."""
    options = open_run(options)
    prefix, device = options.network.model_prefix, choose_device(options.train.gpus)
    seed = choose_seed(options, prefix)
    with (
        local_copies(options.data, "data_train") as data,
        make_tracker(options.train, prefix) as tracker,
    ):
        config, scan = fit_statistics(config, prefix, data)
        network, task = start_network(config, options, device, seed), make_run_task(config, options)
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


def run_io_test(config: DataConfig, options: RunOptions) -> None:
    """Read an epoch of each kind of data that is given."""
    device = choose_device(options.train.gpus)
    kinds = ("data_train", "data_val", "data_test")
    with (
        local_copies(options.data, *kinds) as data,
        TemporaryDirectory() as scratch,
        Console(options.train.progress) as tracker,
    ):
        scan = None
        if data.data_train:
            config, scan = fit_statistics(config, f"{scratch}/net", data)
            train = train_loader(config, data, device=device, scan=scan)
            measure_reading("training", train, tracker)
        if (
            val := val_loader(
                load_alternative(config, data.data_config_val), data, device=device, scan=scan
            )
            if data.data_train
            else None
        ):
            measure_reading("validation", val, tracker)
        for name, loader in test_loaders(
            load_alternative(config, data.data_config_test), data, device=device
        ).items():
            measure_reading(f"test {name}", loader, tracker)


# --- what a run is made of


def training_files(options: RunOptions) -> list[str]:
    """All files that training reads."""
    return [
        path
        for group in parse_groups([*options.data.data_train, *options.data.data_val])
        for path in group.paths
    ]


def config_texts(config: DataConfig, options: RunOptions) -> dict[str, str]:
    """The YAML and the network file as they were; ConfigError where there is no such network file."""
    return {
        "data": config.text,
        "network": NetworkFile(options.network.network_config).path.read_text(),
    }


def sample_batches(config: DataConfig, options: RunOptions, scan: Scan) -> Iterator[Batch]:
    """Batches of real rows to judge an export by: the first training rows, in order."""
    data = replace(
        options.data,
        data_val=options.data.data_train,
        extra_selection_val=options.data.extra_selection_train,
    )
    data = replace(data, steps_per_epoch_val=None, samples_per_epoch_val=None)
    loader = val_loader(config, data, scan=scan)
    assert loader is not None  # there are files
    return loader.epoch(0)


def make_run_task(config: DataConfig, options: RunOptions) -> Task:
    """The task: the network file's ``get_task``, else that of the YAML with the file's ``get_loss``, if any; ``--watch`` chooses its best epoch."""
    if not options.network.network_config:
        task = make_task(config)
    else:
        file, settings = (
            NetworkFile(options.network.network_config),
            network_options(options.network.network_option),
        )
        own = file.get_task(config, settings)
        task = own or make_task(config, file.get_loss(config, settings))
        if own is None:
            file.check_loops(config, settings, task.name)
    if options.train.watch is not None:
        task.choose(options.train.watch)
        task.check_watch("--watch")
    return task


# --- predict and export


def run_predict(config: DataConfig, options: RunOptions) -> None:
    """Predict ``--data-test`` with a prefix's best epoch (all its members and folds), a ``_state.pt`` file or a ``model.onnx``."""
    device = choose_device(
        options.train.gpus if options.output.predict_gpus is None else options.output.predict_gpus
    )
    with local_copies(options.data, "data_test") as data:
        parts = [
            load_part(config, fold, device) for fold in fold_options(replace(options, data=data))
        ]
        pairs, output = [(network, loaders) for network, _, loaders in parts], options.output
        predict_parts(pairs, parts[0][1], output.predict_output, device, output.figures)


def load_part(
    config: DataConfig, options: RunOptions, device: torch.device
) -> tuple[Ensemble | OnnxNetwork, Task, dict[str, Loader]]:
    """A trained network, its task, and the rows that it predicts."""
    model = options.network.model_prefix
    config = load_alternative(load_statistics(config, model), options.data.data_config_test)
    task = make_run_task(config, options)
    if is_onnx(model):
        network: Ensemble | OnnxNetwork = OnnxNetwork(
            model, config, threads=options.train.num_threads
        )
    else:
        network = Ensemble(load_members(config, options, model, device), task)
    loaders = test_loaders(config, options.data, device=device, wanted_labels=task.wanted_labels)
    return network, task, loaders


def run_export(config: DataConfig, options: RunOptions) -> None:
    """Write the network of ``--model-prefix`` to ONNX, once it gives torch's numbers on real rows."""
    model, cpu = options.network.model_prefix, torch.device("cpu")
    config = load_statistics(config, model)
    task = make_run_task(config, options)
    members = load_members(config, options, model, cpu)
    if options.data.data_test:
        loaders = test_loaders(config, options.data, device=cpu, wanted_labels=task.wanted_labels)
        sample: Sample | None = collect_sample(next(iter(loaders.values())).epoch(0))
    else:
        sample = load_sample(model)
    card = load_card(RunFiles.of(model).run.prefix)
    metadata = {"training": {key: card[key] for key in CARD_IN_ONNX if key in card}} if card else {}
    path, opset = str(options.output.export_onnx), options.output.onnx_opset
    export_onnx(
        members,
        task,
        config,
        path,
        opset=opset,
        sample=sample,
        metadata=metadata,
    )


def load_members(
    config: DataConfig, options: RunOptions, model: str, device: torch.device
) -> list[Network]:
    """The trained networks that ``model`` names, weights loaded, in evaluation mode."""
    card = load_card(model)
    expected = int(card["options"]["network"]["ensemble"]) if card else None
    members = []
    for path in find_states(model, options.train.load_epoch, expected):
        network = build_network(config, options.network, device)
        load_weights(network, path)
        members.append(network.eval())
        log.info("weights: %s", path)
    return members
