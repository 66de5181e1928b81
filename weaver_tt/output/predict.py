"""Predictions: every selected row of every test group, in input order, one file for each group."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import awkward as ak
import numpy as np
import torch

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting, BadFile, list_bad_files
from weaver_tt.data.loaders import Loader
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import (
    WITHOUT_OUTPUT,
    WITHOUT_TARGET,
    EpochMetrics,
    Predictor,
    refuse_observers,
    run_epoch,
)
from weaver_tt.engine.progress import total_accounting
from weaver_tt.engine.throughput import Doctor, make_setup
from weaver_tt.engine.trackers.make import with_progress
from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.formats.writers import Columns, Writer, open_writer, read_written
from weaver_tt.log import SHOWN_OTHERWISE, format_metrics, log
from weaver_tt.metrics.headline import headline_values
from weaver_tt.network.outputs import Output
from weaver_tt.output.about import ABOUT, NO_COST, NetworkCost, about_prediction
from weaver_tt.output.results import write_results
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.json_files import json_text
from weaver_tt.system.signals import deferring_signals, end_if_asked
from weaver_tt.system.stage_times import Stage
from weaver_tt.system.wording import counted
from weaver_tt.tasks.base import Task

# in an output file, the name of the text that lists what could not be read
BAD_FILES = "weaver_tt_bad_files"
# and that of the number of entries for which the network gives NaN or infinity
WITHOUT_OUTPUT_NOTE = "weaver_tt_without_output"

# what is kept of a file whose prediction is interrupted
BEGINS_ANEW = "the running prediction begins anew"

Part = tuple[Predictor, Mapping[str, Loader]]  # a network and the rows that it predicts


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was written for one test group.

    ``metrics``: the loss (torch only) and what the task measures, where the files have labels.
    ``bad_files``: those of which rows were left out, with ``--on-bad-file skip``.
    ``without_output``: entries (rows or objects) for which the network gives NaN or infinity.
    """

    path: Path
    rows: int
    metrics: Mapping[str, float]
    bad_files: Sequence[BadFile] = ()
    without_output: int = 0


class _Timed:
    """A network, and how long it takes for a row."""

    def __init__(self, network: Predictor, device: torch.device) -> None:
        self.activated = network.activated
        self.single_row_seconds: float | None = None
        self._network = network
        self._device = device
        self._taken: list[tuple[float, int]] = []  # seconds and rows of each batch

    def __call__(self, inputs: dict[str, torch.Tensor], /) -> Output:
        """What the network gives."""
        start = time.perf_counter()
        output = self._network(inputs)
        if self._device.type == "cuda":
            # the outputs are copied next, so that nothing is lost by waiting for them here
            torch.cuda.synchronize(self._device)
        rows = len(next(iter(inputs.values())))
        taken = time.perf_counter() - start
        if not self._taken:
            self.single_row_seconds = self._network.single_row_seconds(inputs)
        self._taken.append((taken, rows))
        return output

    @property
    def seconds_per_row(self) -> float | None:
        """The mean; None where no batch was predicted."""
        # memory is allocated, and kernels are chosen, with the first batch
        counted_batches = self._taken[1:] or self._taken
        rows = sum(number for _, number in counted_batches)
        if not rows:
            return None
        return sum(seconds for seconds, _ in counted_batches) / rows


def output_path(output: str | Path, group: str) -> Path:
    """``pred.root`` for unnamed files, ``pred_NAME.root`` for those of a group with a name."""
    path = Path(output)
    if group == UNNAMED_GROUP:
        return path
    return path.with_name(f"{path.stem}_{group}{path.suffix}")


def predict(
    network: Predictor,
    task: Task,
    loaders: Mapping[str, Loader],
    output: str | Path,
    device: torch.device,
    figures: bool = False,
) -> dict[str, Prediction]:
    """Write the columns of the task and the observers of each test group; returns them by group.

    Metrics and, with ``figures``, figures are written beside. A group in which no row is selected
    gives a file without entries, with the columns of the task and the observers whose types are
    known without rows.

    Raises:
        ConfigError: an observer has the name of a column.
        OutputError: a file cannot be written.
    """
    return predict_parts([(network, loaders)], task, output, device, figures)


def predict_parts(
    parts: Sequence[Part],
    task: Task,
    output: str | Path,
    device: torch.device,
    figures: bool = False,
    cost: NetworkCost = NO_COST,
    progress: bool = False,
) -> dict[str, Prediction]:
    """The same with several networks, each on rows of its own.

    One file for each group, in which the rows of the parts follow each other. Every rank calls
    this and predicts its share of the rows; rank 0 writes. ``cost``: of the networks, for the
    files. ``progress``: with a bar, where there is a terminal.
    """
    # before a network runs; what a task writes beside its outputs is known with the first batch
    check_observer_names(task, [*task.output_names, *(f"{name}_std" for name in task.output_names)])
    _, loaders = parts[0]
    predictions = {}
    doctor = Doctor(make_setup(device))
    for group in loaders:
        path = output_path(output, group)
        predictions[group] = predict_group(
            parts, group, task, path, device, doctor, figures, cost=cost, progress=progress
        )
    return predictions


def predict_group(
    parts: Sequence[Part],
    group: str,
    task: Task,
    path: Path,
    device: torch.device,
    doctor: Doctor,
    figures: bool = False,
    title: str = "",
    cost: NetworkCost = NO_COST,
    progress: bool = False,
) -> Prediction:
    """Write what the networks of the ``parts`` predict for one test group to ``path``.

    A file without entries if no row is selected. Every rank calls this. ``title``: a line that the
    file says of its rows; ``cost``: what is known of the networks. ``doctor`` watches this and
    other groups. Types of observers are those that fit all files, those of the task those of the
    first batch. No network is called on rows that no file holds. ``progress``: with a bar, where
    there is a terminal.

    Raises:
        OutputError: a file cannot be written.
    """
    # meters go on from part to part, so that the metrics are those of all rows
    meters = task.meters()
    accounting = Accounting()
    left_out = {WITHOUT_TARGET: 0.0, WITHOUT_OUTPUT: 0.0}
    with _ending_together(), _open_writer(path, task, title) as writer:
        write_columns = None
        if writer is not None:
            write_columns = _CountingDerived(writer.write, list(task.config.derived_outputs))
        for network, loaders in parts:
            network.eval()
            loader = loaders[group]
            timed = _Timed(network, device)
            batches, write = _in_input_order(loader, write_columns)
            watched: Iterator[Batch] = doctor.watch(batches, loader)
            if progress:
                watched = with_progress(watched, f"predict {path.name}")
            metrics = run_epoch(timed, task, watched, write=write, meters=meters, device=device)
            cost = replace(
                cost,
                seconds_per_row=timed.seconds_per_row,
                single_row_seconds=timed.single_row_seconds,
            )
            accounting.add(total_accounting(loader))
            for name in left_out:
                left_out[name] += metrics.get(name, 0.0)
        metrics.update({name: number for name, number in left_out.items() if number})
        bad_files = list_bad_files(accounting.lost)
        without_output = int(left_out[WITHOUT_OUTPUT])
        if writer is not None:
            if writer.rows == 0:
                log.warning(
                    "%s: no row of the test group is selected; the file has no entries", path
                )
                writer.write(_no_rows(parts, group, task))
            writer.annotate(ABOUT, about_prediction(task, cost).as_text())
            if bad_files:
                writer.annotate(BAD_FILES, json_text(bad_files, indent=None))
            if without_output:
                writer.annotate(WITHOUT_OUTPUT_NOTE, str(without_output))
            # inside: a file that lacks rows is not kept, and one that is there has its metrics
            measured = headline_values(metrics, task.headline_metrics)
            labelled = _labelled_groups(task.config)
            log_prediction(path, writer.rows, accounting, metrics, measured, labelled)
            for remark in task.remarks(metrics):
                log.warning("%s: %s", path, remark)
            assert write_columns is not None
            write_columns.warn(path)
            _write_results(metrics, task, path, figures, bad_files)
    # once the file has its name, on all ranks
    rows = distributed.broadcast_from_main(writer.rows if writer else 0)
    return Prediction(path, rows, metrics, bad_files, without_output)


def predict_table(parts: Sequence[Part], task: Task, device: torch.device) -> ak.Array:
    """The columns that prediction files would hold, with all rows of all test groups in memory."""
    written: list[Columns] = []

    _, all_loaders = parts[0]
    for group in all_loaders:
        for network, loaders in parts:
            network.eval()
            batches = loaders[group].epoch(0)
            run_epoch(network, task, batches, write=_keep_in(written), meters=[], device=device)
        if not written:
            written.append(_no_rows(parts, group, task))
    table = {}
    for name in written[0]:
        table[name] = ak.concatenate([ak.Array(columns[name]) for columns in written])
    return ak.zip(table, depth_limit=1)


def _keep_in(kept: list[Columns]) -> Callable[[Columns], None]:
    """What is to be called with the columns of each batch, to have all of them in ``kept``."""

    def keep(columns: Columns) -> None:
        # copies: the next batch overwrites the buffers
        kept.append(copy.deepcopy(dict(columns)))

    return keep


def _no_rows(parts: Sequence[Part], group: str, task: Task) -> Columns:
    """The columns that are written where no row is selected."""
    network, loaders = parts[0]
    return task.empty_columns(network.has_spread) | loaders[group].empty_observers()


def _write_results(
    metrics: EpochMetrics, task: Task, path: Path, figures: bool, bad_files: Sequence[BadFile]
) -> None:
    """Write metrics and figures beside the file ``path``."""
    results = path.with_suffix("")
    if not metrics:
        # metrics of an earlier prediction are none of the file that will lie there
        RunFiles(str(results)).metrics.unlink(missing_ok=True)
    write_results(metrics, task, results, figures, bad_files)


def finished_prediction(path: Path, task: Task, title: str) -> Prediction | None:
    """What was written to ``path`` before; None where no file with this ``title`` lies there."""
    written = read_written(path, tree_name(task.config), (BAD_FILES, WITHOUT_OUTPUT_NOTE))
    if written is None or written.title != title:
        return None
    bad_files = json.loads(written.notes.get(BAD_FILES, "[]"))
    without_output = int(written.notes.get(WITHOUT_OUTPUT_NOTE, "0"))
    return Prediction(path, written.rows, {}, bad_files, without_output)


def check_observer_names(task: Task, columns: Iterable[str]) -> None:
    """Check that no observer has the name of one of the ``columns`` that the task writes.

    Raises:
        ConfigError: one has.
    """
    config = task.config
    refuse_observers(task, {*config.observers, *config.optional_observers}.intersection(columns))


@contextmanager
def _open_writer(path: Path, task: Task, title: str) -> Iterator[Writer | None]:
    """The writer of the file, on rank 0; None on the others."""
    if not distributed.is_main():
        yield None
        return
    with open_writer(path, tree_name(task.config), title) as writer:
        yield writer


class _CountingDerived:
    """Writes columns, and counts the rows of which derived outputs are NaN or infinite.

    A logarithm of what is negative is the expression's doing, and not the network's: its rows count
    in the metrics.
    """

    def __init__(self, write: Callable[[Columns], None], names: Sequence[str]) -> None:
        self._write = write
        self._counts = dict.fromkeys(names, 0)

    def __call__(self, columns: Columns) -> None:
        """Write the columns of some rows."""
        for name in self._counts:
            self._counts[name] += int((~np.isfinite(columns[name])).sum())
        self._write(columns)

    def warn(self, path: Path) -> None:
        """Log a warning for each derived output that is undefined somewhere in the file."""
        for name, number in self._counts.items():
            if number:
                log.warning(
                    "%s: %s is NaN or infinite for %s, which are written; look at what its "
                    "expression divides by, or takes the logarithm of",
                    path,
                    name,
                    counted(number, "row"),
                )


def _in_input_order(
    loader: Loader, write_columns: Callable[[Columns], None] | None
) -> tuple[Iterator[Batch], Callable[[Columns], None]]:
    """The batches of this rank, and what is to be called with the columns of each.

    ``write_columns`` is given those of all ranks, in the order of the input; it is None on others
    than the first.
    """
    if not distributed.is_running():

        def write(columns: Columns) -> None:
            assert write_columns is not None
            with loader.times.stage(Stage.WRITING):
                write_columns(columns)

        return _until_asked_to_end(loader.epoch(0)), write
    waiting: list[Columns] = []  # of the running turn

    def hand_over() -> None:
        distributed.end_together_if_asked(BEGINS_ANEW)
        # the ranges of a turn follow each other, rank after rank
        with loader.times.stage(Stage.OTHER_RANKS):
            of_ranks = distributed.gather_on_main(waiting)
        with loader.times.stage(Stage.WRITING):
            for of_rank in of_ranks:
                for columns in of_rank:
                    assert write_columns is not None
                    write_columns(columns)
        waiting.clear()

    def batches() -> Iterator[Batch]:
        turn = 0
        for batch in loader.epoch(0):
            # a range in which no row is selected has no batch
            for _ in range(turn, batch.turn):
                hand_over()
            turn = batch.turn
            yield batch
        for _ in range(turn, loader.turns):
            hand_over()

    return batches(), _keep_in(waiting)


def _until_asked_to_end(batches: Iterator[Batch]) -> Iterator[Batch]:
    for batch in batches:
        end_if_asked(BEGINS_ANEW)
        yield batch


@contextmanager
def _ending_together() -> Iterator[None]:
    """Inside, several ranks end where they agree on it, and not where a signal meets one."""
    if not distributed.is_running():
        yield
        return
    with deferring_signals():
        yield
        distributed.end_together_if_asked("what is written stays")


def _labelled_groups(config: DataConfig) -> list[str]:
    """Input groups whose objects have labels, and so results."""
    return [] if config.labels is None else list(config.labels.object_targets)


def tree_name(config: DataConfig) -> str:
    """The name of the written tree: that of the input, without its folder and cycle."""
    # FOLDER/NAME;CYCLE, where folder and cycle belong to the input file
    return (config.treename or "tree").split("/")[-1].split(";")[0]


def log_prediction(
    path: Path,
    rows: int,
    accounting: Accounting,
    metrics: Mapping[str, float],
    measured: Mapping[str, float],
    labelled: Sequence[str],
) -> None:
    """Log what was read, written and measured, and which objects have no results.

    ``measured``: the ``metrics`` that say most. ``labelled``: the groups whose objects have labels.

    Raises:
        DataError: rows are missing.
    """
    read = accounting.report()
    # of a file without rows there is nothing to say
    if read:
        log.info("test data: %s", read.replace("\n", "\n  "))
    selected = accounting.selected.total()
    if rows != selected:
        raise DataError(
            f"{path}: {counted(selected, 'row')} selected but {rows:,} predicted; nothing is kept"
        )
    log.info("%s: %s", path, counted(rows, "row"), extra=SHOWN_OTHERWISE)
    line = format_metrics(measured)
    if line:
        log.info("%s: %s", path, line, extra=SHOWN_OTHERWISE)
    without_output = metrics.get(WITHOUT_OUTPUT, 0)
    if without_output:
        log.warning(
            "%s: the network gives NaN or infinity for %s (rows or objects), which are "
            "written; no metric counts them; look at rows without objects, and at the weights",
            path,
            counted(int(without_output), "entry", "entries"),
        )
    undefined = accounting.describe_places("undefined")
    if undefined:
        log.warning(
            "%s: labels without a value: %s; these rows are written, and no metric counts them",
            path,
            ", ".join(undefined),
        )
    for group in labelled:
        beyond = accounting.truncated[group]
        if beyond:
            log.warning(
                "%s: %s beyond the length of %s and not given to the network: NaN is written",
                path,
                counted(beyond, "object is", "objects are"),
                group,
            )
