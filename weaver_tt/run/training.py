"""Train networks: fold after fold of a cross-validation, the members of an ensemble together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import BadFile
from weaver_tt.data.loaders import Loader, train_loader, val_loader
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.deploy.sample import Sample, save_raw_sample, save_sample
from weaver_tt.engine.fit import AfterEpoch, fit
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.trackers.base import MultiTracker
from weaver_tt.engine.trackers.make import make_console, make_tracker
from weaver_tt.engine.training import Training
from weaver_tt.log import SHOWN_OTHERWISE, configure_log, log
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.network.summary import count_trainable, network_facts, summary_text
from weaver_tt.options.train import RunOptions
from weaver_tt.output.predict import Prediction
from weaver_tt.output.results import write_history_figure, write_results
from weaver_tt.run.bad_files import record_bad_files, recorded_bad_files, unite_bad_files
from weaver_tt.run.checks import describe_leaks, is_continuation
from weaver_tt.run.continuation import as_saved, describe_continuation
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.earlier_run import (
    check_prefix,
    holding_prefix,
    remove_earlier_run,
    requesting_requeue,
)
from weaver_tt.run.input_copies import local_copies
from weaver_tt.run.launch import choose_device
from weaver_tt.run.naming import choose_seed, name_run, seed_of_member, with_tracker_subfolders
from weaver_tt.run.networks import start_network
from weaver_tt.run.prediction import run_predict
from weaver_tt.run.preflight import TrainingScans, check_training
from weaver_tt.run.run_card import (
    DONE,
    Card,
    DataFiles,
    add_to_card,
    list_data_files,
    load_card,
    make_card,
    record_parameters,
    record_time_of_batch,
    recorded_parameters,
    recording_state,
    save_card,
)
from weaver_tt.run.run_description import describe_run
from weaver_tt.run.sample_rows import first_inputs, first_rows
from weaver_tt.run.screen import BestEpoch, show_best, show_header, show_next_steps
from weaver_tt.run.task import make_run_task
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.distributed import run_on_main
from weaver_tt.system.json_files import finite_or_none
from weaver_tt.tasks.base import Task


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left behind.

    ``best`` holds the metrics of the best epoch of each network: of one as a rule, of all members
    of an ensemble, fold after fold. ``bad_files``: those of which rows were left out, with
    ``--on-bad-file skip``, of the training or the prediction that followed. ``without_output``:
    entries for which the network gives NaN or infinity in that prediction. ``parameters``: the
    trainable ones of each network; None where it is not known.
    """

    files: RunFiles
    best: list[dict[str, float | None]]
    bad_files: Sequence[BadFile] = ()
    without_output: int = 0
    parameters: int | None = None


def run_train(
    config: DataConfig, options: RunOptions, after_epoch: AfterEpoch | None = None
) -> TrainingResult:
    """Train a network, or one for each fold of a cross-validation; then predict the test files."""
    with requesting_requeue(RunFiles(options.network.model_prefix).requeue):
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
    trained: list[TrainedFold] = []
    with holding_prefix(options):
        remove_earlier_run(options)
        configure_log(file=options.train.log, rank=distributed.rank())
        for line in describe_leaks(config, options.data):
            log.warning("%s", line)
        for change in changes:
            log.warning("changed since the run began: %s", change)
        with local_copies(options.data, "data_train", "data_val") as data:
            for fold in fold_options(replace(options, data=data)):
                trained.append(train_fold(config, fold, files, scans, after_epoch))
    bad_files: list[Sequence[BadFile]] = []
    without_output = 0
    for fold in fold_options(options):
        prefix = fold.network.model_prefix
        bad_files.append(run_on_main(partial(recorded_bad_files, prefix)))
    predictions: dict[str, Prediction] = {}
    if options.data.data_test and "test" in options.output.run_mode:
        predictions = run_predict(config, options)
        bad_files += [prediction.bad_files for prediction in predictions.values()]
        without_output = sum(prediction.without_output for prediction in predictions.values())
    # folds are alike
    first, *_ = fold_options(options)
    if after_epoch is None:
        # a search goes on with its next trial
        predicted = [prediction.path for prediction in predictions.values()]
        show_next_steps(options, trained[0].task, predicted)
    return TrainingResult(
        RunFiles(options.network.model_prefix),
        [metrics for fold in trained for metrics in fold.best],
        unite_bad_files(bad_files),
        without_output,
        run_on_main(partial(recorded_parameters, first.network.model_prefix)),
    )


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


@dataclass(frozen=True, slots=True)
class Fold:
    """One training of a cross-validation, or all there is: what the members of an ensemble share.

    ``config`` has the statistics of the training data; ``scans`` are those of the pre-flight.
    """

    config: DataConfig
    options: RunOptions
    scans: TrainingScans
    sample: Sample  # rows of the training data, on which FLOPs are counted
    device: torch.device
    seed: int
    card: Mapping[str, Any]  # as it was at the start; empty on other ranks than 0
    earlier: Card | None  # the one before, of a run that goes on; None on other ranks

    @property
    def prefix(self) -> str:
        """Of all its files."""
        return self.options.network.model_prefix

    @property
    def has_poisson_weights(self) -> bool:
        """Whether the rows count for each member in its own way."""
        network = self.options.network
        return network.ensemble > 1 and network.ensemble_weights == "poisson"

    def seeds(self) -> dict[str, int]:
        """The prefix of each network that is trained, with its seed: of one as a rule."""
        members = self.options.network.ensemble
        if members == 1:
            return {self.prefix: self.seed}
        files = [RunFiles(self.prefix).member(number) for number in range(members)]
        return {of.prefix: seed_of_member(self.seed, number) for number, of in enumerate(files)}


@dataclass(frozen=True, slots=True)
class TrainedFold:
    """What the training of a fold gives: the task, and the metrics of each member's best epoch."""

    task: Task
    best: list[dict[str, float | None]]


def train_fold(
    config: DataConfig,
    options: RunOptions,
    files: DataFiles,
    scans: TrainingScans,
    after_epoch: AfterEpoch | None = None,
) -> TrainedFold:
    """Train every member of the ensemble, one as a rule, on the run's ``files``.

    ``scans`` are those of the pre-flight.
    """
    fold = begin_fold(config, options, files, scans)
    epochs = 0  # that this command has trained

    def count_epoch(number: int, metrics: Mapping[str, float]) -> None:
        nonlocal epochs
        epochs += 1
        if after_epoch is not None:
            after_epoch(number, metrics)

    with recording_state(fold.prefix):
        trained = train_members(fold, count_epoch)
        if distributed.is_main():
            # members have added the files that they wrote
            card = load_card(fold.prefix) or fold.card
            if fold.earlier and fold.earlier.get("state") == DONE and not epochs:
                # there was nothing left to train: these weights are of the command before
                save_card(fold.prefix, {**fold.earlier, "files": card["files"]})
            else:
                save_card(fold.prefix, {**card, "best": trained.best})
    return trained


def begin_fold(
    config: DataConfig, options: RunOptions, files: DataFiles, scans: TrainingScans
) -> Fold:
    """Make what members share: statistics, and with them the run card and the sample rows.

    These are there from the start, so that an interrupted run can be resumed, and its best epoch
    exported.
    """
    prefix = options.network.model_prefix
    seed = distributed.broadcast_from_main(choose_seed(options, prefix))
    log.info(
        "files of this run: %s_*, log %s, seed %d",
        prefix,
        options.train.log,
        seed,
        extra=SHOWN_OTHERWISE,
    )
    texts = config_texts(config, options)
    # of a failed start, there is no network that knows the statistics it has left
    goes_on = is_continuation(options) and bool(RunFiles(prefix).weights())
    config, scan = fit_statistics(config, prefix, options.data, scans.training, keep=goes_on)
    sample = first_rows(config, options.data, scan, with_raw=distributed.is_main())
    card: Card = {}
    earlier = None
    if distributed.is_main():
        earlier = load_card(prefix) if is_continuation(options) else None
        card = make_card(options, seed, files, texts, earlier, distributed.world_size())
        save_card(prefix, card)
        save_sample(prefix, sample.tensors)
        save_raw_sample(prefix, sample.raw)
    scans = replace(scans, training=scan)
    device = choose_device(options.train.gpus)
    return Fold(config, options, scans, sample.tensors, device, seed, card, earlier)


def train_members(fold: Fold, after_epoch: AfterEpoch) -> TrainedFold:
    """Train the networks of ``fold`` on the same batches."""
    seeds = fold.seeds()
    networks = [
        start_network(fold.config, fold.options, fold.device, seed, member)
        for member, seed in enumerate(seeds.values())
    ]
    tasks = [make_run_task(fold.config, fold.options, seed) for seed in seeds.values()]
    rows = first_inputs(fold.sample, fold.device)
    facts = network_facts(networks[0], fold.config, rows)
    log.info("%s", summary_text(networks[0], facts), extra=SHOWN_OTHERWISE)
    if distributed.is_main():
        # lazy layers have their sizes since the rows of the summary
        record_parameters(fold.prefix, count_trainable(networks[0].unwrapped))
    train, val = make_loaders(fold, networks[0], tasks[0])
    loaders = {"train": train, "validate": val}
    show_header(fold.options, fold.prefix, fold.seed, str(fold.device), facts, loaders)

    def end_epoch(number: int, metrics: Mapping[str, float]) -> None:
        record_bad_files(fold.prefix, train.lost | (val.lost if val else set()))
        after_epoch(number, metrics)

    trainings = []
    with ExitStack() as trackers:
        console = trackers.enter_context(make_console(fold.options.train, tasks[0]))
        for (prefix, seed), network, task in zip(seeds.items(), networks, tasks, strict=True):
            settings = fold.options.train
            if len(seeds) > 1:
                settings = with_tracker_subfolders(settings, Path(prefix).name)
            about = describe_run(fold.options, prefix, seed, fold.card, task.headline_metrics)
            tracker = trackers.enter_context(
                make_tracker(settings, prefix, about, network.unwrapped)
            )
            add_to_card(fold.prefix, tracker.files())
            training = Training(
                network,
                task,
                settings,
                prefix,
                MultiTracker([tracker, console.member(Path(prefix).name)]),
                seed,
                train.steps,
                takes_turns=len(seeds) > 1,
                poisson_seed=seed if fold.has_poisson_weights else None,
            )
            trainings.append(training)
        files = RunFiles(fold.prefix)
        joint = JointTraining(trainings, fold.options.train, files, console, fold.seed)
        best = fit(joint, train, val, end_epoch)
        for training in trainings:
            add_to_card(fold.prefix, training.tracker.files())
    if distributed.is_main():
        record_time_of_batch(fold.prefix, joint.time_of_batch)
        bad_files = recorded_bad_files(fold.prefix)
        epochs = []
        for training, metrics in zip(trainings, best, strict=True):
            prefix = training.parts.files.prefix
            epochs.append(BestEpoch(training.name, training.state.best_epoch, metrics))
            draws = fold.options.output.figures
            written = write_results(metrics, training.task, prefix, draws, bad_files)
            if draws:
                written += write_history_figure(prefix, training.state.best_epoch)
            add_to_card(fold.prefix, written)
        show_best(tasks[0], fold.prefix, epochs)
    return TrainedFold(tasks[0], [finite_or_none(metrics) for metrics in best])


def make_loaders(fold: Fold, network: Network, task: Task) -> tuple[Loader, Loader | None]:
    """The data of training and validation, for all networks that are like ``network``."""
    data = fold.options.data
    rank = distributed.rank()
    world = distributed.world_size()
    train = train_loader(
        fold.config,
        data,
        seed=fold.seed,
        rank=rank,
        world=world,
        device=fold.device,
        any_length=network.takes_any_length(fold.config),
        wanted_labels=task.wanted_labels,
        scan=fold.scans.training,
        identify=fold.has_poisson_weights,
    )
    val = val_loader(
        load_alternative(fold.config, data.data_config_val),
        data,
        rank=rank,
        world=world,
        device=fold.device,
        wanted_labels=task.wanted_labels,
        scan=fold.scans.validation,
    )
    return train, val
