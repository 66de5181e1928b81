"""The pre-flight of a run: all that can be wrong is tried out before the first pass over the data.

Nothing is written, and a training that follows is what it is without: what is tried is thrown away,
and random states are put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.plan import make_plan, with_extra_selection, without_reweighting
from weaver_tt.config.schema import DataConfig, Labels
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.file_magic import check_file_magic
from weaver_tt.data.first_rows import BATCH_ROWS, ROWS, FirstRows, first_batch, read_first_rows
from weaver_tt.data.loaders import Loader, test_loaders, val_loader
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.scan import Scan
from weaver_tt.data.statistics.fit import make_accumulators, scan_training_files
from weaver_tt.data.statistics.standardize import provisional_statistics
from weaver_tt.data.statistics.training_pass import training_sources
from weaver_tt.engine.checkpoint import random_state, set_random_state
from weaver_tt.engine.device_settings import autocast_type
from weaver_tt.engine.loop import run_epoch
from weaver_tt.engine.trackers.make import check_trackers
from weaver_tt.engine.trackers.user_function import find_user_function
from weaver_tt.engine.trials.lr_finder import Sweep
from weaver_tt.engine.update import make_update
from weaver_tt.errors import TrainingError
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.formats.writers import Columns, check_suffix
from weaver_tt.log import quiet_log
from weaver_tt.network.network import Ensemble
from weaver_tt.nn.layers.norm_over_ranks import check_norms
from weaver_tt.options.train import DataOptions, RunOptions
from weaver_tt.output.predict import check_observer_names
from weaver_tt.run.class_number import with_classes_of_first_rows
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.launch import choose_device
from weaver_tt.run.networks import start_network
from weaver_tt.run.task import make_run_task
from weaver_tt.system import distributed

# fewer rows tell nothing: batch norm takes no batch of one
LEAST_ROWS = 2


@dataclass(frozen=True, slots=True)
class TrainingScans:
    """The scans of the training files, and of the validation files where there are any.

    And what is learnt from them.
    """

    training: Scan
    validation: Scan | None
    labels: Labels | None  # of the YAML, with the classes that the network has outputs for


@dataclass(frozen=True, slots=True)
class TriedFiles:
    """What is in the files, and what the network can be tried with."""

    scans: TrainingScans
    first: list[FirstRows]  # of the training
    provisional: DataConfig  # with statistics of these rows


@dataclass(frozen=True, slots=True)
class OtherFiles:
    """What is in the files of validation and test.

    ``counts``: validation or test -> file group -> what was counted in its first rows.
    """

    validation: Scan | None
    counts: Mapping[str, Mapping[str, Accounting]]


def check_training(config: DataConfig, options: RunOptions) -> TrainingScans:
    """Try out a training, on a few rows of each file group, before anything is written.

    All files are looked at: those of training, validation and test, for all columns that their
    YAMLs name. A batch then goes through the network, the loss, the gradients and one step of the
    optimizer. Of several ranks the first one does that. Only what all of the data decides, such
    as a class without rows, is left to the training. Returns the scans, for the training.

    Raises:
        WeaverError: something is wrong.
    """
    # folds differ in their selections alone
    fold = fold_options(options)[0]
    check_user_files(fold)
    return distributed.run_on_main(lambda: _try_training(config, fold))


def check_reading(config: DataConfig, options: RunOptions) -> TrainingScans:
    """Try out the data of a training alone, without a network; as :func:`check_training`.

    Raises:
        WeaverError: something is wrong.
    """
    tried = try_training_files(config, options)
    others = try_other_files(tried.provisional, options, tried.scans.training)
    return replace(tried.scans, validation=others.validation)


def check_user_files(options: RunOptions) -> None:
    """Check what flags name beside data and network: files, and values of a form of their own.

    Raises:
        WeaverError: something is wrong.
    """
    if options.train.lr_finder is not None:
        Sweep.parse(options.train.lr_finder)
    check_trackers(options.train.tracker)
    if options.train.tensorboard_custom_fn:
        find_user_function(options.train.tensorboard_custom_fn)
    if options.data.data_test and "test" in options.output.run_mode:
        check_suffix(options.output.predict_output)


def _try_training(config: DataConfig, options: RunOptions) -> TrainingScans:
    tried = try_training_files(config, options)
    scan = tried.scans.training
    with thrown_away():
        provisional = with_classes_of_first_rows(tried.provisional, options, tried.first)
        # what the network says about the labels holds for those of validation and test, too
        wanted = make_run_task(provisional, options).wanted_labels
    others = try_other_files(provisional, options, scan, wanted)
    with thrown_away():
        try_network(provisional, options, tried.first)
    return TrainingScans(scan, others.validation, provisional.labels)


def try_training_files(
    config: DataConfig, options: RunOptions, rows: int = ROWS, known: Scan | None = None
) -> TriedFiles:
    """Look at the training files, and hand ``rows`` rows of each group to what adds up.

    ``known``: an earlier scan of these files.

    Raises:
        WeaverError: something is wrong.
    """
    data = options.data
    check_file_magic(config, parse_groups(data.data_train), parse_groups(data.data_val))
    scan = scan_training_files(config, data, known)
    selected = with_extra_selection(config, "train", data.extra_selection_train)
    plan = make_plan(selected, "train")
    skip_bad = data.on_bad_file == "skip"
    first = read_first_rows(selected, plan, scan, rows=rows, skip_bad=skip_bad)
    _try_accumulators(config, data, scan, first)
    tables = [part.table for part in first if part.selected]
    provisional = provisional_statistics(without_reweighting(config), tables)
    return TriedFiles(TrainingScans(scan, None, config.labels), first, provisional)


def try_other_files(
    config: DataConfig, options: RunOptions, scan: Scan, wanted: WantedLabels = ANY_LABELS
) -> OtherFiles:
    """Try the first rows of validation and test files, before the first epoch of a training.

    ``config`` has statistics of the training files, whose ``scan`` is used where validation reads
    these, too; ``wanted`` is what the task wants of the labels.

    Raises:
        WeaverError: something is wrong.
    """
    data = options.data
    validation = None
    counts: dict[str, dict[str, Accounting]] = {}
    of_validation = load_alternative(config, data.data_config_val)
    loader = val_loader(of_validation, data, wanted_labels=wanted, scan=scan)
    if loader is not None:
        counts["validation"] = loader.try_first_rows()
        validation = loader.scan
    if "test" in options.output.run_mode:
        # what is wrong with test files is reported now, not after days of training
        of_test = load_alternative(config, data.data_config_test)
        counts["test"] = try_test_files(test_loaders(of_test, data, wanted_labels=wanted))
    return OtherFiles(validation, counts)


def try_test_files(loaders: Mapping[str, Loader]) -> dict[str, Accounting]:
    """Try the first rows of every test group, before the first of them is predicted.

    Returns what was counted in each group.

    Raises:
        DataError: expressions or labels do not fit the columns.
    """
    counts: dict[str, Accounting] = {}
    for loader in loaders.values():
        counts |= loader.try_first_rows(files=1)
    return counts


def _try_accumulators(
    config: DataConfig, data: DataOptions, scan: Scan, first: Sequence[FirstRows]
) -> None:
    """Hand the first rows to what adds up statistics, weights and edges of buckets."""
    accumulators = make_accumulators(config, data, training_sources(scan, data))
    # labels are tried with the batches, where what is wrong is told for each file
    accumulators.pop("targets", None)
    for accumulator in accumulators.values():
        for part in first:
            if part.selected:
                accumulator.add(part.table, part.selected, part.path)


@contextmanager
def thrown_away() -> Iterator[None]:
    """What is done inside leaves no trace: no log, no random numbers drawn, no word to ranks."""
    state = random_state()
    try:
        # the same is logged once more when the run does it
        with quiet_log(), distributed.on_this_rank_alone():
            yield
    finally:
        set_random_state(state)


def try_network(config: DataConfig, options: RunOptions, first: Sequence[FirstRows]) -> None:
    """Take one step of a training on a few of the ``first`` rows, with a network of its own.

    Forward, loss, backward and optimizer, then a validation and a prediction. Rows that are too few
    to tell anything are not tried.

    Raises:
        WeaverError: something is wrong.
    """
    device = choose_device(options.train.gpus)
    network = start_network(config, options, device, seed=0)
    task = make_run_task(config, options)
    if options.train.sync_batchnorm and options.train.backend:
        check_norms(network.unwrapped)
    plan = make_plan(config, "train")
    # as large as in the training, as far as the rows go: a lack of memory shows now, and a loss of
    # the user's own meets the shapes that it will have
    size = max(options.data.batch_size, BATCH_ROWS)
    batch = first_batch(first, config, plan, task.wanted_labels, size, device)
    amp = autocast_type(options.train.use_amp, options.train.amp_dtype, device)
    update = make_update(network.unwrapped, task, options.train, amp)
    if batch is None or batch.size < LEAST_ROWS:
        return
    batch.progress = 1.0
    network.train()
    task.train()
    run_epoch(network, task, [batch], update=update, device=device, amp=amp)
    update.close_group()
    # float16 may overflow in its first steps, and is scaled down then
    if amp is not torch.float16:
        found = update.find_nonfinite()
        if found is not None:
            raise TrainingError(
                f"NaN or infinite in a step that was tried on {batch.size} rows before the "
                f"training: {', '.join(found.terms)}"
            )
    network.eval()
    task.train(False)
    run_epoch(network, task, [batch], device=device, amp=amp)
    written: list[Columns] = []
    # with labels, as in tests, and without, as in data: labels may be observers too
    batches = [batch, replace(batch, labels={})]
    predictor = Ensemble([network], task)
    run_epoch(predictor, task, batches, write=written.append, device=device, amp=amp)
    check_observer_names(task, written[-1])
