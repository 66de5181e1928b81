"""What ``weaver-tt check`` finds out: headers of all files, values of some rows, times."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from weaver_tt.config.load import load_config
from weaver_tt.config.plan import (
    Plan,
    Purpose,
    make_plan,
    with_extra_selection,
    without_reweighting,
)
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.datasets import copy_batch
from weaver_tt.data.first_rows import FirstRows, read_first_rows, rows_and_counts
from weaver_tt.data.loaders import Loader, val_loader
from weaver_tt.data.missing_columns import MissingColumn, describe_missing, find_missing
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels, check_class_variety
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.rows.table import describe_empty_selections
from weaver_tt.data.scan import CommonTypes, FileScan, Scan, combine_scans, scan_files, scan_groups
from weaver_tt.data.statistics.standardize import provisional_statistics
from weaver_tt.data.survey import (
    ColumnSurvey,
    ObjectsSurvey,
    row_bytes,
    survey_columns,
    survey_objects,
)
from weaver_tt.engine.device_settings import autocast_type
from weaver_tt.engine.loop import run_epoch
from weaver_tt.engine.update import make_update
from weaver_tt.errors import BadFileError, DataError, WeaverError
from weaver_tt.formats.file_groups import UNNAMED_GROUP, parse_groups
from weaver_tt.network.network import build_network
from weaver_tt.options.check import CheckRun
from weaver_tt.options.train import RunOptions
from weaver_tt.run.checks import check_config, describe_leaks
from weaver_tt.run.class_number import with_classes_of_first_rows
from weaver_tt.run.launch import choose_device
from weaver_tt.run.preflight import (
    check_user_files,
    thrown_away,
    try_network,
    try_other_files,
    try_training_files,
)
from weaver_tt.run.task import make_run_task
from weaver_tt.system.generators import closed_after
from weaver_tt.system.user_code import user_errors
from weaver_tt.system.wording import counted

# time to spend on how fast rows are read, and on how fast the network takes a step
SECONDS = 1.5

# fewer steps an epoch than these are remarked on: the batches are too large
FEW_BATCHES = 5

# shares of entries above which a remark is made
MANY_NONFINITE = 0.01
MANY_CLIPPED = 0.05
MANY_BEYOND = 0.05

# what the flags of files are called here -> what the rows are for
PURPOSES: dict[str, Purpose] = {"training": "train", "validation": "train", "test": "predict"}


@dataclass(frozen=True, slots=True)
class GroupFindings:
    """A file group: all of its files, and the rows that were looked at."""

    kind: str  # training, validation or test
    name: str
    files: int
    rows: int  # in the files
    fraction: float  # of them, the share that is used for this
    looked_at: int
    selected: int  # of those looked at
    targets: Mapping[str, int]  # class, or "LABEL = 0|1" -> selected rows or objects

    @property
    def title(self) -> str:
        """``training``, or with a name ``training group NAME``."""
        return self.kind if self.name == UNNAMED_GROUP else f"{self.kind} group {self.name}"

    @property
    def share(self) -> float:
        """The share of rows that pass the selection, as far as they were looked at."""
        return self.selected / self.looked_at if self.looked_at else 1.0

    @property
    def expected(self) -> int:
        """The number of rows that are used and pass, as far as the share says."""
        return round(self.rows * self.fraction * self.share)


@dataclass(frozen=True, slots=True)
class EpochFindings:
    """What an epoch of the training takes."""

    rows: int
    batches: int
    rows_per_second: float  # read
    seconds_of_reading: float
    seconds_of_steps: float | None  # None without a network
    pool_bytes: int
    parameters: int | None

    @property
    def seconds(self) -> float:
        """Of a whole epoch: rows are read while the network computes."""
        return max(self.seconds_of_reading, self.seconds_of_steps or 0.0)


@dataclass(slots=True)
class Findings:
    """All that is found. With ``problems`` the training would fail; ``remarks`` are for people."""

    config: str
    rows_of_group: int  # that are looked at
    groups: list[GroupFindings] = field(default_factory=list)
    missing: list[MissingColumn] = field(default_factory=list)
    columns: list[ColumnSurvey] = field(default_factory=list)
    objects: list[ObjectsSurvey] = field(default_factory=list)
    row_bytes: float = 0.0  # of a row in the shuffle pool
    epoch: EpochFindings | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Everything, by name, ready for JSON."""
        return dataclasses.asdict(self)


def find_all(options: CheckRun) -> Findings:
    """Look at everything that the flags of a training name; what is wrong is among the findings."""
    findings = Findings(options.data.data_config, options.check.rows)
    with _problems_of(findings):
        config = load_config(options.data.data_config, options.data.custom_functions)
        check_config(config, options)
        check_user_files(options)
        configs = _configs(config, options)
        scanned = {}
        for kind, files in _files(options).items():
            scanned[kind] = _look_at_files(kind, files, configs[kind], options, findings)
        findings.remarks += describe_leaks(config, options.data)
    if findings.problems:
        return findings
    with _problems_of(findings):
        if options.data.data_train:
            plan = make_plan(configs["training"], "train")
            groups = parse_groups(options.data.data_train)
            scan = combine_scans(
                groups,
                scanned["training"],
                configs["training"],
                plan,
                options.data.on_bad_file,
            )
            _look_at_training(config, options, scan, findings)
        else:
            _look_at_rows(config, options, findings)
    _remark_on_values(findings)
    return findings


@contextmanager
def _problems_of(findings: Findings) -> Iterator[None]:
    """An error that the input or a user's code causes is noted, and ends what is done inside."""
    try:
        with user_errors():
            yield
    except WeaverError as error:
        # a file may be one of several kinds
        if str(error) not in findings.problems:
            findings.problems.append(str(error))


def _files(options: RunOptions) -> dict[str, list[str]]:
    """Kind -> the patterns of its files; without those that are not given."""
    data = options.data
    files = {"training": data.data_train, "validation": data.data_val, "test": data.data_test}
    return {kind: patterns for kind, patterns in files.items() if patterns}


def _configs(config: DataConfig, options: RunOptions) -> dict[str, DataConfig]:
    """Kind -> its data YAML, with the extra selection of its rows; no statistics."""
    data = options.data
    extra = {
        "training": (None, data.extra_selection_train),
        "validation": (data.data_config_val, data.extra_selection_val),
        "test": (data.data_config_test, data.extra_selection_test),
    }
    configs = {}
    for kind, (path, selection) in extra.items():
        own = config if path is None else load_config(path, data.custom_functions)
        if kind != "training":
            own = without_reweighting(own)
        configs[kind] = with_extra_selection(own, PURPOSES[kind], selection)
    return configs


# --- headers


def _look_at_files(
    kind: str, patterns: Sequence[str], config: DataConfig, options: RunOptions, findings: Findings
) -> list[list[FileScan | BadFileError]]:
    """Files of one kind: their rows, columns that are missing or differ, files that are bad.

    Returns what is in the files of each group.
    """
    groups = parse_groups(patterns, divide=kind == "test")
    plan = make_plan(config, PURPOSES[kind])
    if kind == "training":
        plan = _with_observers(plan, config)
    files: list[FileScan] = []
    scanned = scan_groups(groups, config, plan)
    for group, of_group in zip(groups, scanned, strict=True):
        rows = 0
        for file in of_group:
            if isinstance(file, FileScan):
                files.append(file)
                rows += file.rows
            elif options.data.on_bad_file == "skip":
                findings.remarks.append(f"{kind}: {file}; it is skipped")
            else:
                findings.problems.append(f"{kind}: {file}")
        fraction = _fraction(kind, options)
        findings.groups.append(
            GroupFindings(kind, group.name, len(group.paths), rows, fraction, 0, 0, {})
        )
    _note_missing(kind, files, config, plan, findings)
    _note_types(kind, files, findings)
    return scanned


def _with_observers(plan: Plan, config: DataConfig) -> Plan:
    """Training reads no observers, but a prediction of its files would."""
    of_prediction = make_plan(without_reweighting(config), "predict")
    more = []
    for name in of_prediction.columns:
        if name not in plan.columns and not of_prediction.is_optional(name):
            more.append(name)
    return replace(plan, columns=(*plan.columns, *more), optional=plan.optional | frozenset(more))


def _note_missing(
    kind: str, files: Sequence[FileScan], config: DataConfig, plan: Plan, findings: Findings
) -> None:
    """Columns that files lack: a problem, unless they are optional and all files lack them."""
    lacking = [(file.path, sorted(file.missing)) for file in files]
    missing = find_missing(lacking, config, plan)
    findings.missing += missing
    for column, line in zip(missing, describe_missing(missing, config), strict=True):
        if not column.optional:
            findings.problems.append(f"{kind}: {line}")
        elif kind == "training":
            findings.remarks.append(f"{kind}: {line}; only a prediction needs it")
        elif len(column.files) == column.looked_at:
            findings.remarks.append(f"{kind}: {line}; it is optional")
        else:
            findings.problems.append(f"{kind}: {line}; optional columns are in all files or none")


def _note_types(kind: str, files: Sequence[FileScan], findings: Findings) -> None:
    """Columns whose type differs between files; a problem where none fits all of them."""
    types = CommonTypes()
    found: dict[str, Counter[str]] = {}  # column -> type -> files
    for file in files:
        for name, of_file in file.types.items():
            found.setdefault(name, Counter())[str(of_file)] += 1
        with _problems_of(findings):
            types.add(file)
    for name, counts in found.items():
        if len(counts) > 1 and not findings.problems:
            shown = []
            for text, number in counts.items():
                shown.append(f"{text} in {counted(number, 'file')}")
            findings.remarks.append(
                f"{kind}: column {name!r} is {', '.join(shown)}; it is read as {types.common[name]}"
            )


def _fraction(kind: str, options: RunOptions) -> float:
    """The share of the rows of each file that is used."""
    data = options.data
    if kind == "test":
        return 1.0
    if kind == "validation":
        return data.data_fraction if data.data_fraction_val is None else data.data_fraction_val
    if data.data_val:
        return data.data_fraction
    return data.data_fraction * data.train_val_split


# --- rows


def _look_at_training(
    config: DataConfig, options: CheckRun, scan: Scan, findings: Findings
) -> None:
    """Rows of each training group, and a step of the network on some of them."""
    tried = try_training_files(config, options, options.check.rows, scan)
    provisional = tried.provisional
    with thrown_away():
        provisional = with_classes_of_first_rows(provisional, options, tried.first)
        wanted = make_run_task(provisional, options).wanted_labels
    parts = _look_at_values(provisional, "train", tried.first, wanted, findings)
    _note_single_class(parts, provisional, wanted, findings)
    if findings.problems and not (options.data.data_val or options.data.data_test):
        # validation would say the same of the same files
        return
    with _problems_of(findings):
        others = try_other_files(provisional, options, tried.scans.training, wanted)
        for kind, counts in others.counts.items():
            _note_counts(kind, counts, findings)
    if findings.problems:
        return
    reading = _measure_reading(provisional, options, tried.scans.training)
    if reading is None:
        return
    step = None
    if options.network.network_config:
        with thrown_away():
            try_network(provisional, options, tried.first)
            step = _measure_steps(provisional, options, reading.batch)
    findings.epoch = _expect_epoch(options, reading, step, findings)
    if step is not None:
        _remark_on_steps(options, findings)


def _look_at_rows(config: DataConfig, options: CheckRun, findings: Findings) -> None:
    """Rows of test or validation files, where there are none to train on."""
    kind, patterns = next(iter(_files(options).items()))
    own = _configs(config, options)[kind]
    plan = make_plan(own, PURPOSES[kind])
    groups = parse_groups(patterns, divide=kind == "test")
    scan = scan_files(groups, own, plan, options.data.on_bad_file)
    skip_bad = options.data.on_bad_file == "skip"
    first = read_first_rows(own, plan, scan, rows=options.check.rows, skip_bad=skip_bad)
    tables = [part.table for part in first if part.selected]
    provisional = provisional_statistics(own, tables)
    _look_at_values(provisional, PURPOSES[kind], first, ANY_LABELS, findings, kind)


def _look_at_values(
    config: DataConfig,
    purpose: Purpose,
    first: Sequence[FirstRows],
    wanted: WantedLabels,
    findings: Findings,
    kind: str = "training",
) -> list[Accounting]:
    """Targets, objects and columns of the ``first`` rows, which ``config`` scales.

    Returns what was counted in each file group.
    """
    plan = make_plan(config, purpose)
    # before labels, which may be wrong
    findings.columns = survey_columns([part for part in first if part.selected], config)
    parts: list[Rows] = []
    accounting: dict[str, Accounting] = {}
    for of_file in first:
        # what is wrong in one file says nothing about the others
        with _problems_of(findings):
            rows, counts = rows_and_counts([of_file], config, plan, wanted)
            parts += rows
            for group, counted in counts.items():
                accounting.setdefault(group, Accounting()).add(counted)
    _note_counts(kind, accounting, findings)
    _note_empty_selections(list(accounting.values()), config, kind, findings)
    findings.objects = survey_objects(parts, config)
    sizes = [row_bytes(rows) * rows.size for rows in parts]
    findings.row_bytes = sum(sizes) / max(1, sum(rows.size for rows in parts))
    return list(accounting.values())


def _note_counts(kind: str, accounting: Mapping[str, Accounting], findings: Findings) -> None:
    """Selected rows and targets of each file group of one kind."""
    for number, group in enumerate(findings.groups):
        counts = accounting.get(group.name)
        if group.kind != kind or counts is None:
            continue
        findings.groups[number] = replace(
            group,
            looked_at=counts.read.total(),
            selected=counts.selected.total(),
            targets=dict(counts.targets),
        )
        for text in counts.describe_places("undefined"):
            findings.remarks.append(f"{group.title}: labels without a value: {text}")


def _note_empty_selections(
    parts: Sequence[Accounting], config: DataConfig, kind: str, findings: Findings
) -> None:
    """Object selections that nothing passes: a problem where all rows were looked at."""
    total = _sum_of(parts)
    place = findings.problems if _has_all_rows(total, kind, findings) else findings.remarks
    for text in describe_empty_selections(total, config):
        place.append(f"object_selection: {text}")


def _note_single_class(
    parts: Sequence[Accounting], config: DataConfig, wanted: WantedLabels, findings: Findings
) -> None:
    """Labels that are alike in all rows: a problem where all rows were looked at."""
    total = _sum_of(parts)
    try:
        check_class_variety(total, config, wanted)
    except DataError as error:
        if _has_all_rows(total, "training", findings):
            findings.problems.append(str(error))
        else:
            findings.remarks.append(f"as far as was looked: {error}")


def _sum_of(parts: Sequence[Accounting]) -> Accounting:
    """What was counted in all ``parts`` together."""
    total = Accounting()
    for part in parts:
        total.add(part)
    return total


def _has_all_rows(total: Accounting, kind: str, findings: Findings) -> bool:
    """Whether all rows of the files of one kind were looked at."""
    rows = sum(group.rows for group in findings.groups if group.kind == kind)
    return total.read.total() >= rows


@dataclass(frozen=True, slots=True)
class _Reading:
    """How fast rows are read, and a batch of them."""

    rows_per_second: float
    batch: Batch


def _measure_reading(config: DataConfig, options: RunOptions, scan: Scan) -> _Reading | None:
    """Read batches of the training for ``SECONDS``; None where there is no row."""
    # in order, as a shuffled stream would fill its pool first
    data = replace(
        options.data,
        data_val=options.data.data_train,
        batch_size_val=options.data.batch_size,
        extra_selection_val=options.data.extra_selection_train,
        steps_per_epoch_val=None,
        samples_per_epoch_val=None,
    )
    loader = val_loader(config, data, device=choose_device(options.train.gpus), scan=scan)
    assert loader is not None  # there are files
    batch: Batch | None = None
    # the first batch takes what is done once: imports, opening files for the first time
    for found in _batches_for(loader, 0.0):
        batch = copy_batch(found)
    if batch is None:
        return None
    start = time.perf_counter()
    rows = sum(found.size for found in _batches_for(loader, SECONDS))
    return _Reading(rows / (time.perf_counter() - start), batch)


def _batches_for(loader: Loader, seconds: float) -> Iterator[Batch]:
    """Batches of an epoch until ``seconds`` have passed, at least one."""
    start = time.perf_counter()
    batches = loader.epoch(0)
    with closed_after(batches):
        for batch in batches:
            yield batch
            if time.perf_counter() - start > seconds:
                return


def _measure_steps(config: DataConfig, options: RunOptions, batch: Batch) -> tuple[float, int]:
    """Seconds of a step of the training on ``batch``, and the parameters of the network."""
    device = choose_device(options.train.gpus)
    amp = autocast_type(options.train.use_amp, options.train.amp_dtype, device)
    network = build_network(config, options.network, device, seed=0)
    task = make_run_task(config, options)
    update = make_update(network.unwrapped, task, options.train, amp)
    network.train()
    task.train()
    batch.progress = 1.0
    # the first step makes buffers, and is slower
    run_epoch(network, task, [batch], update=update, device=device, amp=amp)
    steps = 0
    start = time.perf_counter()
    while steps == 0 or time.perf_counter() - start < SECONDS:
        run_epoch(network, task, [batch], update=update, device=device, amp=amp)
        steps += 1
    seconds = (time.perf_counter() - start) / steps
    return seconds, sum(parameter.numel() for parameter in network.unwrapped.parameters())


def _expect_epoch(
    options: RunOptions, reading: _Reading, step: tuple[float, int] | None, findings: Findings
) -> EpochFindings:
    """What an epoch takes, by what was measured."""
    data = options.data
    selected = sum(group.expected for group in findings.groups if group.kind == "training")
    batches = max(1, selected // data.batch_size)
    if data.steps_per_epoch is not None and data.steps_per_epoch > 0:
        batches = data.steps_per_epoch
    elif data.samples_per_epoch is not None:
        batches = max(1, data.samples_per_epoch // data.batch_size)
    rows = batches * data.batch_size
    if data.steps_per_epoch is None and data.samples_per_epoch is None:
        # fewer rows than a batch has are a batch of their own
        rows = min(rows, selected)
    return EpochFindings(
        rows=rows,
        batches=batches,
        rows_per_second=reading.rows_per_second,
        seconds_of_reading=rows / reading.rows_per_second,
        seconds_of_steps=None if step is None else batches * step[0],
        pool_bytes=int(min(data.pool_size, selected) * findings.row_bytes),
        parameters=None if step is None else step[1],
    )


def _remark_on_steps(options: RunOptions, findings: Findings) -> None:
    """Batches so large that a training on few rows would hardly take a step."""
    data = options.data
    epoch = findings.epoch
    is_all_rows = data.steps_per_epoch is None and data.samples_per_epoch is None
    if epoch is None or not is_all_rows or epoch.batches >= FEW_BATCHES or epoch.rows < FEW_BATCHES:
        return
    selected = sum(group.expected for group in findings.groups if group.kind == "training")
    # a power of two, as sizes of batches are
    size = 1 << ((selected // FEW_BATCHES).bit_length() - 1)
    findings.remarks.append(
        f"an epoch is {counted(epoch.batches, 'step')} of the optimizer, as a batch has "
        f"{data.batch_size:,} rows; --batch-size {size} makes {selected // size} of {selected:,} "
        "rows"
    )


def _remark_on_values(findings: Findings) -> None:
    """What in the values a physicist should look at."""
    for column in findings.columns:
        name = f"inputs.{column.group}: {column.name}"
        if column.nonfinite > MANY_NONFINITE:
            findings.remarks.append(f"{name}: {column.nonfinite:.1%} NaN or infinite, taken as 0")
        # a mask is 1 for each object: padding is not looked at
        if column.constant and not column.group.endswith("_mask"):
            findings.remarks.append(f"{name}: {column.low:g} everywhere")
        if column.sentinel is not None:
            findings.remarks.append(
                f"{name}: {column.sentinel:g} in {column.sentinel_share:.1%} of the values "
                "seems to stand for a missing one"
            )
        if column.clipped > MANY_CLIPPED:
            findings.remarks.append(f"{name}: {column.clipped:.1%} lie beyond min and max")
    for objects in findings.objects:
        if objects.beyond > MANY_BEYOND:
            findings.remarks.append(
                f"inputs.{objects.group}: {objects.beyond:.1%} of the objects lie beyond its "
                f"length {objects.length}; the longest row has {objects.most}"
            )
    for group in findings.groups:
        if not group.rows:
            findings.remarks.append(f"{group.title}: no rows")
        elif group.looked_at and not group.selected:
            findings.remarks.append(
                f"{group.title}: none of {group.looked_at:,} rows passes the selection"
            )
