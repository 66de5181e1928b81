"""The story of a run: options -> config -> loaders -> network -> task -> fit, predict, export."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from weaver_tt import distributed
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.batch import Batch
from weaver_tt.data.files import parse_groups
from weaver_tt.data.loaders import test_loaders, train_loader, val_loader
from weaver_tt.data.standardize import load_statistics, prepare_statistics
from weaver_tt.engine.checkpoint import Files, run_prefix, trained_states
from weaver_tt.engine.fit import fit
from weaver_tt.engine.machine import set_up_threads
from weaver_tt.engine.run_card import describe, load_card, save_card
from weaver_tt.engine.trackers import make_tracker
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.log import configure, log
from weaver_tt.network import Ensemble, Network, NetworkFile, build_network, network_options, summary
from weaver_tt.options import RunOptions
from weaver_tt.output.onnx_export import export
from weaver_tt.output.onnx_network import OnnxNetwork
from weaver_tt.output.predict import predict
from weaver_tt.output.sample import Sample, collect_sample, load_sample, save_sample
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.registry import make_task
from weaver_tt.weights import load_weights, prepare

RUN_MODES = ("train", "val", "test")
CARD_IN_ONNX = ("command", "started", "git", "versions", "seed", "best")  # what of the run card goes into model.onnx


def run(options: RunOptions) -> None:
    """What ``train.py`` does: print, export, predict, or train (and then predict ``--data-test``)."""
    check(options)
    if launches_ranks(options):
        return
    set_up_threads(options.train.num_threads)
    config = load_config(options.data.data_config, options.data.custom_functions)
    if options.output.print:
        print(summary(build_network(config, options.network, torch.device("cpu")), config))
    elif options.output.export_onnx:
        run_export(config, options)
    elif predicts_only(options):
        run_predict(config, options, options.network.model_prefix)
    else:
        run_train(config, options)


def predicts_only(options: RunOptions) -> bool:
    """``--predict``, or Weaver's ``--run-mode test``."""
    return options.output.predict or options.output.run_mode.split(",") == ["test"]


def check(options: RunOptions) -> None:
    """Raise ConfigError for flags that are missing or contradict each other."""
    output, data, network = options.output, options.data, options.network
    predicting = predicts_only(options)
    for mode in output.run_mode.split(","):
        if mode not in RUN_MODES:
            raise ConfigError(f"--run-mode {output.run_mode}: {mode!r}; {nearest(mode, RUN_MODES)}")
    needed = {"--data-config": data.data_config}
    if not (predicting and is_onnx(network.model_prefix)):
        needed["--network-config"] = network.network_config
    if predicting:
        needed["--data-test"] = " ".join(data.data_test)
    elif not (output.print or output.export_onnx):
        needed["--data-train"] = " ".join(data.data_train)
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be given (see --help)")
    if (predicting or output.export_onnx) and "{auto}" in network.model_prefix:
        raise ConfigError("--model-prefix must name a trained network: a prefix, a _state.pt file or (to predict) a model.onnx")
    if predicting and output.export_onnx:
        raise ConfigError("--predict and --export-onnx are two runs; give one of them")
    if options.train.seed is not None and options.train.seed < 0:
        raise ConfigError(f"--seed {options.train.seed}: expected a number that is not negative")
    if network.ensemble < 1:
        raise ConfigError(f"--ensemble {network.ensemble}: at least one member is needed")


def launches_ranks(options: RunOptions) -> bool:
    """With several GPUs and no ``--backend``, start this command once a GPU under torchrun; True once that has been done."""
    devices = [gpu for gpu in (options.train.gpus or "").split(",") if gpu.strip()]
    training = not (predicts_only(options) or options.output.export_onnx or options.output.print)
    if len(devices) < 2 or options.train.backend or not training:
        return False
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={len(devices)}", *sys.argv, "--backend", "nccl"]
    log.info("one process a GPU: %s", " ".join(command))
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ConfigError(f"training on GPUs {options.train.gpus} ended with exit code {code}; the messages above say why")
    return True


def choose_device(gpus: str | None) -> torch.device:
    """``--gpus`` -> device of this rank: '' is the CPU, indices are GPUs, None takes what the machine has."""
    if gpus is None:
        gpus = "0" if torch.cuda.is_available() else ""
    indices = [gpu.strip() for gpu in gpus.split(",") if gpu.strip()]
    if not indices:
        return torch.device("cpu")
    if not all(index.isdigit() for index in indices):
        raise ConfigError(f"--gpus {gpus}: expected indices such as 0 or 0,1, or '' for the CPU")
    index = int(indices[distributed.local_rank() % len(indices)])
    if index >= torch.cuda.device_count():
        raise ConfigError(f"--gpus {gpus}: this machine has {torch.cuda.device_count()} GPU(s); --gpus '' runs on the CPU")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


# --- train


def run_train(config: DataConfig, options: RunOptions) -> None:
    """Train every member of the ensemble (one as a rule), then predict the test files where given."""
    distributed.setup(options.train.backend)
    device = choose_device(options.train.gpus)
    prefix = distributed.from_main(options.network.model_prefix.replace("{auto}", auto_name(options)))
    if distributed.is_main():
        Files(prefix).prepare()
    log_file = options.train.log or f"{prefix}.log"
    configure(file=log_file.replace("{auto}", Path(prefix).name), rank=distributed.rank())
    seed = distributed.from_main(choose_seed(options, prefix))
    log.info("files of this run: %s_*, log %s, seed %d", prefix, log_file, seed)
    config = prepare_statistics(config, prefix, options.data)
    if distributed.is_main():
        save_card(prefix, card := describe(options, seed, data_files(options), config_texts(config, options)))
    results = []
    for member in range(options.network.ensemble):
        name, member_seed = (prefix, seed) if options.network.ensemble == 1 else (f"{prefix}_member-{member}", mixed_seed(seed, member))
        results.append(train_member(config, options, name, member_seed, device))
    if distributed.is_main():
        save_card(prefix, card | {"best": results})
        save_sample(prefix, sample_rows(config, options))
    distributed.shutdown()
    if options.data.data_test and "test" in options.output.run_mode and distributed.is_main():
        run_predict(config, options, prefix)


def train_member(config: DataConfig, options: RunOptions, prefix: str, seed: int, device: torch.device) -> dict[str, float]:
    """Train one network; returns the metrics of its best epoch."""
    rank, world = distributed.rank(), distributed.world_size()
    train = train_loader(config, options.data, seed=seed, rank=rank, world=world, device=device)
    val = val_loader(config, options.data, rank=rank, world=world, device=device)
    network = build_network(config, options.network, device, seed=seed)
    prepare(network, options.network)
    task = task_of(config, options)
    log.info("%s", summary(network, config))
    settings = options.train
    if options.network.ensemble > 1 and settings.tensorboard not in (None, "off"):
        settings = replace(settings, tensorboard=f"{settings.tensorboard}/{Path(prefix).name}")  # members must not write over each other
    with make_tracker(settings, prefix) as tracker:
        return fit(network, task, train, val, settings, prefix, tracker, seed)


def auto_name(options: RunOptions) -> str:
    """What ``{auto}`` stands for: time, network, optimiser, learning rate and batch size."""
    network = Path(options.network.network_config).stem
    return f"{time.strftime('%Y%m%d-%H%M%S')}_{network}_{options.train.optimizer}_lr{options.train.start_lr:g}_batch{options.data.batch_size}"


def choose_seed(options: RunOptions, prefix: str) -> int:
    """``--seed``; without it that of the run to be resumed, or a fresh one (told in the log, kept in the run card)."""
    if options.train.seed is not None:
        return options.train.seed
    card = load_card(prefix) if options.train.resume else None
    return int(card["seed"]) if card else secrets.randbelow(2**31)


def mixed_seed(seed: int, member: int) -> int:
    """A seed for one member, unlike that of any member of a run with another seed."""
    return int(np.random.SeedSequence((seed, member)).generate_state(1)[0]) >> 1


def data_files(options: RunOptions) -> list[str]:
    """All files that training reads."""
    return [path for group in parse_groups([*options.data.data_train, *options.data.data_val]) for path in group.paths]


def config_texts(config: DataConfig, options: RunOptions) -> dict[str, str]:
    """The YAML and the network file as they were; ConfigError where there is no such network file."""
    return {"data": config.text, "network": NetworkFile(options.network.network_config).path.read_text()}


def sample_rows(config: DataConfig, options: RunOptions) -> Iterator[Batch]:
    """Batches of real rows to judge an export by: the first training rows, in order."""
    loader = val_loader(config, replace(options.data, data_val=options.data.data_train))
    assert loader is not None  # there are files
    return loader.epoch(0)


def task_of(config: DataConfig, options: RunOptions) -> Task:
    """The task: the network file's ``get_task``, else that of the YAML with the file's ``get_loss``, if any; ``--watch`` chooses its best epoch."""
    if not options.network.network_config:
        task = make_task(config)
    else:
        file, settings = NetworkFile(options.network.network_config), network_options(options.network.network_option)
        own = file.get_task(config, settings)
        task = own or make_task(config, file.get_loss(config, settings))
        if own is None:
            file.check_loops(config, settings, task.name)
    if options.train.watch is not None:
        task.choose(options.train.watch)
        task.check_watch("--watch")
    return task


# --- predict and export


def run_predict(config: DataConfig, options: RunOptions, model: str) -> None:
    """Predict ``--data-test`` with a prefix's best epoch (all its members), a ``_state.pt`` file or a ``model.onnx``."""
    device = choose_device(options.train.gpus)
    config = load_statistics(config, model)
    task = task_of(config, options)
    if is_onnx(model):
        network: Ensemble | OnnxNetwork = OnnxNetwork(model, config, threads=options.train.num_threads)
    else:
        network = Ensemble(load_members(config, options, model, device), task)
    predict(network, task, test_loaders(config, options.data, device=device), options.output.predict_output, device)


def run_export(config: DataConfig, options: RunOptions) -> None:
    """Write the network of ``--model-prefix`` to ONNX, once it gives torch's numbers on real rows."""
    model, cpu = options.network.model_prefix, torch.device("cpu")
    config = load_statistics(config, model)
    members = load_members(config, options, model, cpu)
    if options.data.data_test:
        sample: Sample | None = collect_sample(next(iter(test_loaders(config, options.data, device=cpu).values())).epoch(0))
    else:
        sample = load_sample(model)
    card = load_card(run_prefix(model))
    metadata = {"training": {key: card[key] for key in CARD_IN_ONNX if key in card}} if card else {}
    path, opset = str(options.output.export_onnx), options.output.onnx_opset
    export(members, task_of(config, options), config, path, opset=opset, sample=sample, metadata=metadata)


def load_members(config: DataConfig, options: RunOptions, model: str, device: torch.device) -> list[Network]:
    """The trained networks that ``model`` names, weights loaded, in evaluation mode."""
    card = load_card(model)
    expected = int(card["options"]["network"]["ensemble"]) if card else None
    members = []
    for path in trained_states(model, options.train.load_epoch, expected):
        network = build_network(config, options.network, device)
        load_weights(network, path)
        members.append(network.eval())
        log.info("weights: %s", path)
    return members


def is_onnx(model: str) -> bool:
    """Whether ``--model-prefix`` names an ONNX file."""
    return model.endswith(".onnx")
