"""The story of a run: options -> config -> loaders -> network -> task -> fit, predict, export."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import BadFile, LostRows, list_bad_files
from weaver_tt.data.loaders import Loader, test_loaders, train_loader, val_loader
from weaver_tt.data.scan import Scan
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.export import export_onnx
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.sample import (
    Sample,
    check_sample,
    collect_sample,
    load_sample,
    random_sample,
    save_sample,
)
from weaver_tt.engine.checkpoint import find_states
from weaver_tt.engine.device_settings import seed_everything, set_threads
from weaver_tt.engine.fit import AfterEpoch, fit
from weaver_tt.engine.trackers.console import Console
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.engine.trials.lr_finder import find_rate
from weaver_tt.engine.trials.profiler import profile_steps
from weaver_tt.engine.trials.read_test import measure_reading
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import check_suffix
from weaver_tt.log import configure_log, log, open_log_file
from weaver_tt.network.file import NetworkFile, explain_missing_file
from weaver_tt.network.network import Ensemble, Network, build_network
from weaver_tt.network.summary import network_summary
from weaver_tt.network.weights import load_weights, prepare_network
from weaver_tt.options.train import DataOptions, RunOptions
from weaver_tt.output.predict import Prediction, predict_parts
from weaver_tt.output.results import write_results
from weaver_tt.run.bad_files import record_bad_files, recorded_bad_files, unite_bad_files
from weaver_tt.run.checks import (
    check_config,
    check_options,
    describe_leaks,
    is_continuation,
    is_onnx,
    is_prediction,
    is_trial,
)
from weaver_tt.run.class_number import first_batch_inputs, is_open, with_classes_of_network
from weaver_tt.run.continuation import as_saved, describe_continuation
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.earlier_run import (
    check_prefix,
    holding_prefix,
    remove_earlier_run,
    requesting_requeue,
    with_remembered_options,
)
from weaver_tt.run.input_copies import local_copies
from weaver_tt.run.launch import (
    INTERRUPTED,
    announce_rank,
    choose_device,
    demo_options,
    hand_over,
    is_launched,
    launch_ranks,
    needs_ranks,
)
from weaver_tt.run.naming import (
    AUTO,
    choose_name,
    choose_seed,
    seed_of_member,
    with_run_name,
    with_tracker_subfolders,
)
from weaver_tt.run.preflight import (
    TrainingScans,
    check_reading,
    check_training,
    try_test_files,
    try_training_files,
)
from weaver_tt.run.run_card import (
    DataFiles,
    list_data_files,
    list_files,
    load_card,
    make_card,
    recording_state,
    save_card,
)
from weaver_tt.run.task import make_run_task
from weaver_tt.run.unused_flags import flags_without_effect
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.distributed import run_on_main
from weaver_tt.system.json_files import finite_or_none
from weaver_tt.system.signals import Interrupted
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.classification import Classification

# rows of the data that a network's FLOPs are counted on
SUMMARY_ROWS = 16

# what of the run card goes into model.onnx
CARD_IN_ONNX = ("command", "started", "git", "versions", "seed", "best")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left behind.

    ``best`` holds the metrics of the best epoch of each network: of one as a rule, of all members
    of an ensemble, fold after fold. ``bad_files``: those of which rows were left out, with
    ``--on-bad-file skip``, of the training or the prediction that followed. ``without_output``:
    entries for which the network gives NaN or infinity in that prediction.
    """

    files: RunFiles
    best: list[dict[str, float | None]]
    bad_files: Sequence[BadFile] = ()
    without_output: int = 0


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial of which nothing is kept could not read."""

    bad_files: Sequence[BadFile] = ()


RunResult = TrainingResult | dict[str, Prediction] | float | TrialResult | None
"""Of a training, a prediction (by test group), an export (the difference to torch), a trial."""


def run(options: RunOptions) -> RunResult:
    """Do what the options of ``train.py`` ask for, on one process or on one for each GPU."""
    if needs_ranks(options):
        check_options(options)
        handed = launch_ranks(options)
        files = RunFiles(handed.pop("prefix"))
        return TrainingResult(files, **handed)
    if is_launched():
        announce_rank()
    try:
        result = run_on_this_process(options)
    except Interrupted as interruption:
        if not is_launched():
            raise
        # as for results: torchrun would kill the other ranks
        hand_over({INTERRUPTED: str(interruption)})
        return None
    if isinstance(result, TrainingResult) and is_launched():
        # torchrun would take any exit code but 0 for a failure
        prefix = result.files.prefix
        handed = {"best": result.best, "bad_files": result.bad_files}
        hand_over({"prefix": prefix, **handed, "without_output": result.without_output})
        return None
    return result


def run_on_this_process(options: RunOptions, after_epoch: AfterEpoch | None = None) -> RunResult:
    """Print, try out, export, predict or train.

    A training calls ``after_epoch`` when the files of an epoch are written. With ``--backend`` this
    process is one of several ranks, all of which call this. What fails on one of them fails on all.
    """
    with distributed.joined_ranks(options.train.backend):
        if distributed.is_running():
            # what all of them find is said once
            configure_log(rank=distributed.rank())
        return _run_joined(options, after_epoch)


def _run_joined(options: RunOptions, after_epoch: AfterEpoch | None) -> RunResult:
    check_options(options)
    set_threads(options.train.num_threads)
    for line in flags_without_effect(options):
        log.warning("%s", line)
    if options.data.demo:
        options = demo_options(options)
    config = load_config(options.data.data_config, options.data.custom_functions)
    check_config(config, options)
    if options.output.print:
        run_on_main(lambda: print_network(config, options))
    elif options.data.io_test:
        return run_on_main(lambda: run_io_test(config, options))
    elif is_trial(options):
        ranks = distributed.world_size()
        return run_on_main(lambda: run_trial(config, options, ranks))
    elif options.output.export_onnx:
        return run_on_main(lambda: run_export(config, options))
    elif is_prediction(options):
        return run_predict(config, options)
    else:
        return run_train(config, options, after_epoch)
    return None


def print_network(config: DataConfig, options: RunOptions) -> None:
    """Print the network's layers, parameters and FLOPs: of real rows, where files are given."""
    rows = None
    if options.data.data_train:
        with local_copies(options.data, "data_train") as data:
            # sizes do not depend on how inputs are scaled: no pass over all of the data
            tried = try_training_files(config, replace(options, data=data))
            config = tried.provisional
            rows = first_inputs(first_rows(config, data, tried.scans.training))
    network = build_network(config, options.network, torch.device("cpu"))
    print(network_summary(network, config, rows))


# --- train


def run_train(
    config: DataConfig, options: RunOptions, after_epoch: AfterEpoch | None = None
) -> TrainingResult:
    """Train a network, or one for each fold of a cross-validation; then predict the test files."""
    with requesting_requeue(options):
        return _train_and_predict(config, options, after_epoch)


def _train_and_predict(
    config: DataConfig, options: RunOptions, after_epoch: AfterEpoch | None
) -> TrainingResult:
    check_prefix(options)
    # before a folder is made for it, and before the first pass over the data
    scans = check_training(config, options)
    config = replace(config, labels=scans.labels)
    files = list_data_files(options.data, scans.training, scans.validation)
    ranks = distributed.world_size()
    changes = run_on_main(lambda: changes_since_begin(config, options, files, ranks))
    # the new run is known to begin
    options = name_run(options)
    best = []
    with holding_prefix(options):
        remove_earlier_run(options)
        configure_log(file=options.train.log, rank=distributed.rank())
        for line in describe_leaks(config, options.data):
            log.warning("%s", line)
        for change in changes:
            log.warning("changed since the run began: %s", change)
        with local_copies(options.data, "data_train", "data_val") as data:
            for fold in fold_options(replace(options, data=data)):
                best += train_fold(config, fold, files, scans, after_epoch)
    bad_files: list[Sequence[BadFile]] = []
    without_output = 0
    for fold in fold_options(options):
        prefix = fold.network.model_prefix
        bad_files.append(run_on_main(partial(recorded_bad_files, prefix)))
    if options.data.data_test and "test" in options.output.run_mode:
        predictions = run_predict(config, options)
        bad_files += [prediction.bad_files for prediction in predictions.values()]
        without_output = sum(prediction.without_output for prediction in predictions.values())
    files_of_run = RunFiles(options.network.model_prefix)
    return TrainingResult(files_of_run, best, unite_bad_files(bad_files), without_output)


def changes_since_begin(
    config: DataConfig, options: RunOptions, files: DataFiles, ranks: int
) -> list[str]:
    """What has changed since the run began that is continued; nothing for a fresh training.

    Raises:
        ConfigError: it cannot be continued with that.
    """
    changes: list[str] = []
    if not is_continuation(options):
        return changes
    texts = config_texts(config, options)
    for fold in fold_options(options):
        run_files = RunFiles(fold.network.model_prefix)
        before = load_card(run_files.prefix)
        # runs of Weaver have no card
        if before and run_files.weights():
            seed = choose_seed(fold, run_files.prefix)
            now = make_card(fold, seed, files, texts, before, ranks)
            changes += describe_continuation(before, as_saved(now), run_files)
    # folds share their changes
    return list(dict.fromkeys(changes))


def open_run(options: RunOptions) -> RunOptions:
    """``options`` with a name for the run, whose folder and log exist from now on."""
    options = name_run(options)
    configure_log(file=options.train.log, rank=distributed.rank())
    return options


def name_run(options: RunOptions) -> RunOptions:
    """``options`` with a name for the run, whose folder exists from now on."""

    def begin() -> str:
        log_file = options.train.log
        if log_file is not None and AUTO not in log_file:
            # a log that cannot be written leaves no folder behind
            open_log_file(log_file).close()
        return choose_name(options)

    return with_run_name(options, run_on_main(begin))


def train_fold(
    config: DataConfig,
    options: RunOptions,
    files: DataFiles,
    scans: TrainingScans,
    after_epoch: AfterEpoch | None = None,
) -> list[dict[str, float | None]]:
    """Train every member of the ensemble, one as a rule, on the run's ``files``.

    ``scans`` are those of the pre-flight. Returns the metrics of each member's best epoch.
    """
    prefix = options.network.model_prefix
    device = choose_device(options.train.gpus)
    seed = distributed.broadcast_from_main(choose_seed(options, prefix))
    log.info("files of this run: %s_*, log %s, seed %d", prefix, options.train.log, seed)
    texts = config_texts(config, options)
    # of a failed start, there is no network that knows the statistics it has left
    goes_on = is_continuation(options) and bool(RunFiles(prefix).weights())
    config, scan = fit_statistics(config, prefix, options.data, scans.training, keep=goes_on)
    scans = replace(scans, training=scan)
    sample = first_rows(config, options.data, scan)
    # card and sample are there from the start, so that an interrupted run can be resumed, and its
    # best epoch exported
    if distributed.is_main():
        earlier = load_card(prefix) if is_continuation(options) else None
        card = make_card(options, seed, files, texts, earlier, distributed.world_size())
        save_card(prefix, card)
        save_sample(prefix, sample)
    best = []
    seeds = {prefix: seed}
    if options.network.ensemble > 1:
        members = map(RunFiles(prefix).member, range(options.network.ensemble))
        seeds = {member.prefix: seed_of_member(seed, n) for n, member in enumerate(members)}
    with recording_state(prefix):
        for member, member_seed in seeds.items():
            best.append(
                train_member(
                    config, scans, sample, options, member, member_seed, device, after_epoch
                )
            )
        if distributed.is_main():
            # members have added the files that they wrote
            card = load_card(prefix) or card
            save_card(prefix, card | {"best": best})
    return best


def train_member(
    config: DataConfig,
    scans: TrainingScans,
    sample: Sample,
    options: RunOptions,
    prefix: str,
    seed: int,
    device: torch.device,
    after_epoch: AfterEpoch | None = None,
) -> dict[str, float | None]:
    """Train one network; returns the metrics of its best epoch.

    ``sample``: rows of the training data, on which its FLOPs are counted.
    """
    rank = distributed.rank()
    world = distributed.world_size()
    network = start_network(config, options, device, seed)
    task = make_run_task(config, options, seed)
    train = train_loader(
        config,
        options.data,
        seed=seed,
        rank=rank,
        world=world,
        device=device,
        any_length=network.takes_any_length(config),
        wanted_labels=task.wanted_labels,
        scan=scans.training,
    )
    val = val_loader(
        load_alternative(config, options.data.data_config_val),
        options.data,
        rank=rank,
        world=world,
        device=device,
        wanted_labels=task.wanted_labels,
        scan=scans.validation,
    )
    log.info("%s", network_summary(network, config, first_inputs(sample, device)))
    settings = options.train
    if options.network.ensemble > 1:
        settings = with_tracker_subfolders(settings, Path(prefix).name)
    run_prefix = options.network.model_prefix

    def end_epoch(number: int, metrics: Mapping[str, float]) -> None:
        record_bad_files(run_prefix, train.lost | (val.lost if val else set()))
        if after_epoch is not None:
            after_epoch(number, metrics)

    with make_tracker(settings, prefix, network.unwrapped) as tracker:
        list_files(run_prefix, tracker.files())
        best = fit(network, task, train, val, settings, prefix, tracker, seed, end_epoch)
        list_files(run_prefix, tracker.files())
    if distributed.is_main():
        bad_files = recorded_bad_files(run_prefix)
        written = write_results(best, task, prefix, options.output.figures, bad_files)
        list_files(run_prefix, written)
    return finite_or_none(best)


def start_network(
    config: DataConfig, options: RunOptions, device: torch.device, seed: int
) -> Network:
    """The network that a training starts from.

    Its initial weights depend on ``seed`` alone; others are loaded where flags ask for them.
    """
    network = build_network(config, options.network, device, seed=seed)
    prepare_network(network, options.network)
    return network


# --- try out


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
        make_tracker(options.train, prefix) as tracker,
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
        Console(options.train.progress) as tracker,
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
            measure_reading(f"test {name}", loader, tracker)
            lost |= loader.lost
    return TrialResult(list_bad_files(lost))


# --- what a run is made of


def config_texts(config: DataConfig, options: RunOptions) -> dict[str, str]:
    """The data YAML, the network file and the file of functions, as text, for the run card.

    Raises:
        ConfigError: there is no such network file.
    """
    network_file = NetworkFile(options.network.network_config)
    texts = {"data": config.text, "network": network_file.path.read_text()}
    if config.custom_functions is not None:
        texts["functions"] = Path(config.custom_functions).read_text()
    return texts


def first_rows(config: DataConfig, data: DataOptions, scan: Scan) -> Sample:
    """Some hundred rows of the training data, in order: what an export is compared on."""
    # read as validation reads: no shuffling, no reweighting, all of the rows
    data = replace(
        data,
        data_val=data.data_train,
        extra_selection_val=data.extra_selection_train,
        steps_per_epoch_val=None,
        samples_per_epoch_val=None,
    )
    loader = val_loader(config, data, scan=scan)
    assert loader is not None  # there are files
    return collect_sample(loader.epoch(0))


def first_inputs(sample: Sample, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The inputs of the first ``SUMMARY_ROWS`` rows, by group."""
    # copies: a network may write into its inputs
    return {name: torch.tensor(rows[:SUMMARY_ROWS]).to(device) for name, rows in sample.items()}


# --- predict and export


def run_predict(config: DataConfig, options: RunOptions) -> dict[str, Prediction]:
    """Predict ``--data-test`` with the network that ``--model-prefix`` names.

    That is the best epoch of a prefix, with all its members and folds, a ``_state.pt`` file or a
    ``model.onnx``. Returns what was written, by test group.
    """
    gpus = options.output.predict_gpus
    if gpus is None:
        gpus = options.train.gpus
    device = choose_device(gpus)
    output = options.output
    check_suffix(output.predict_output)
    # a mistyped name is reported before files are copied
    for fold in fold_options(options):
        find_network(fold)
    with local_copies(options.data, "data_test") as data:
        folds = fold_options(replace(options, data=data))
        parts = [load_part(config, fold, device) for fold in folds]
        task = parts[0][1]
        for _, _, loaders in parts:
            try_test_files(loaders)
        networks = [(network, loaders) for network, _, loaders in parts]
        return predict_parts(networks, task, output.predict_output, device, output.figures)


def load_part(
    config: DataConfig, options: RunOptions, device: torch.device
) -> tuple[Ensemble | OnnxNetwork, Task, dict[str, Loader]]:
    """A trained network, its task, and the rows that it predicts."""
    options = with_remembered_options(options)
    model = options.network.model_prefix
    config = load_statistics(config, model)
    config = load_alternative(config, options.data.data_config_test)
    exported = None
    members = []
    if is_onnx(model):
        exported = OnnxNetwork(model, config, threads=options.train.num_threads)
    else:
        members = load_members(config, options, device)
    # an exported network says itself what it was trained for
    is_known = exported is not None and exported.metadata.get("task") != Classification.name
    if not is_known and is_open(config, options):
        inputs = first_batch_inputs(test_loaders(config, options.data, device=device))
        if inputs:
            config = with_classes_of_network(config, exported or members[0], inputs)
    task = make_run_task(config, options)
    network = exported or Ensemble(members, task)
    loaders = test_loaders(
        config,
        options.data,
        rank=distributed.rank(),
        world=distributed.world_size(),
        device=device,
        wanted_labels=task.wanted_labels,
    )
    return network, task, loaders


def run_export(config: DataConfig, options: RunOptions) -> float:
    """Write the network of ``--model-prefix`` to ONNX, once it gives torch's numbers on real rows.

    Returns the largest difference to torch.
    """
    find_network(options)
    options = with_remembered_options(options)
    model = options.network.model_prefix
    cpu = torch.device("cpu")
    config = load_statistics(config, model)
    members = load_members(config, options, cpu)
    sample: Sample | None
    if options.data.data_test:
        loaders = test_loaders(config, options.data, device=cpu)
        first_group = next(iter(loaders.values()))
        sample = collect_sample(first_group.epoch(0))
        if not sample:
            raise DataError("--export-onnx: no row of the first group of --data-test is selected")
    else:
        sample = load_sample(model)
        if sample:
            check_sample(sample, config, model)
    if is_open(config, options):
        rows = first_inputs(sample or random_sample(config))
        config = with_classes_of_network(config, members[0], rows)
    task = make_run_task(config, options)
    card = load_card(RunFiles.of(model).run.prefix)
    metadata = {}
    if card:
        metadata["training"] = {key: card[key] for key in CARD_IN_ONNX if key in card}
    return export_onnx(
        members,
        task,
        config,
        str(options.output.export_onnx),
        opset=options.output.onnx_opset,
        sample=sample,
        metadata=metadata,
    )


def find_network(options: RunOptions) -> list[Path]:
    """The files of the trained network that ``--model-prefix`` names, one for each member.

    Raises:
        ConfigError: they are not there; names the nearest trained network.
    """
    model = options.network.model_prefix
    if is_onnx(model):
        path = Path(model)
        if not path.is_file():
            raise ConfigError(f"--model-prefix {model}: {explain_missing_file(path, '*.onnx')}")
        return [path]
    # the card says how many members there are: files of an earlier run may lie beside them
    card = load_card(model)
    expected = int(card["options"]["network"]["ensemble"]) if card else None
    return find_states(model, options.train.load_epoch, expected)


def load_members(config: DataConfig, options: RunOptions, device: torch.device) -> list[Network]:
    """The trained networks of ``--model-prefix``, weights loaded, in evaluation mode."""
    members = []
    for path in find_network(options):
        network = build_network(config, options.network, device)
        load_weights(network, path)
        members.append(network.eval())
        log.info("weights: %s", path)
    return members
