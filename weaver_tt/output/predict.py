"""Predictions: every selected row of every test group, in input order, one file for each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.loaders import Loader
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import EpochMetrics, Predictor, run_epoch
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import Columns, open_writer
from weaver_tt.log import format_metrics, log
from weaver_tt.output.results import write_results
from weaver_tt.tasks.base import Task

UNNAMED_GROUP = "_"  # the group of files given without a name
Part = tuple[Predictor, Mapping[str, Loader]]  # a network and the rows that it predicts


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was written for one test group.

    ``metrics``: the loss (torch only) and what the task measures, where the files have labels.
    """

    path: Path
    rows: int
    metrics: Mapping[str, float]


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
    gives a file without entries, with the columns of the task alone: the types of the observers
    are unknown then.

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
) -> dict[str, Prediction]:
    """The same with several networks, each on rows of its own.

    One file for each group, in which the rows of the parts follow each other.
    """
    network, loaders = parts[0]
    empty = empty_columns(network, task, device)
    check_observer_names(task, empty)
    predictions = {}
    for group in loaders:
        path = output_path(output, group)
        rows, metrics = _predict_group(parts, group, task, path, device, empty)
        write_results(metrics, task, path.with_suffix(""), figures)
        predictions[group] = Prediction(path, rows, metrics)
    return predictions


def check_observer_names(task: Task, columns: Columns) -> None:
    """Check that no observer has the name of one of the ``columns`` that the task writes.

    Raises:
        ConfigError: one has.
    """
    config = task.config
    observers = {*config.observers, *config.optional_observers}
    clashes = sorted(columns.keys() & observers)
    if clashes:
        raise ConfigError(
            f"{config.source}: observer {clashes[0]!r} has the name of a column that {task.name} "
            "writes; rename it in new_variables"
        )


def _predict_group(
    parts: Sequence[Part],
    group: str,
    task: Task,
    path: Path,
    device: torch.device,
    empty: Columns,
) -> tuple[int, EpochMetrics]:
    """Write ``path``, ``empty`` columns if no row is selected: number of rows, and metrics."""
    # meters go on from part to part, so that the metrics are those of all rows
    meters = task.meters()
    accounting = Accounting()
    with open_writer(path, tree_name(task.config)) as writer:
        for network, loaders in parts:
            network.eval()
            metrics = run_epoch(
                network,
                task,
                loaders[group].epoch(0),
                write=writer.write,
                meters=meters,
                device=device,
            )
            accounting.add(loaders[group].accounting)
        if writer.rows == 0:
            log.warning(
                "%s: no row of the test group is selected; "
                "the file has no entries and no observers",
                path,
            )
            writer.write(empty)
        # inside: a file that lacks rows is not kept
        log_prediction(path, writer.rows, accounting, metrics, _labelled_groups(task.config))
    return writer.rows, metrics


def _labelled_groups(config: DataConfig) -> list[str]:
    """Input groups whose objects have labels, and so results."""
    return [] if config.labels is None else list(config.labels.object_targets)


def tree_name(config: DataConfig) -> str:
    """The name of the written tree: that of the input, without its folder and cycle."""
    # FOLDER/NAME;CYCLE, where folder and cycle belong to the input file
    return (config.treename or "tree").split("/")[-1].split(";")[0]


def empty_columns(network: Predictor, task: Task, device: torch.device) -> Columns:
    """The columns of the task for no row at all: names and types.

    Found by one row that is all padding; ``network`` is set to evaluation mode.
    """
    network.eval()
    # only the task knows its types, so a row must go through it, and is then cut off
    with torch.no_grad():
        batch = padding_row(task.config, device)
        columns = task.columns(task.score(network(batch.inputs), batch))
    return {name: column[:0] for name, column in columns.items()}


def padding_row(config: DataConfig, device: torch.device) -> Batch:
    """One row without objects, zero in its scalars."""
    inputs = {}
    masks = {}
    counts = {}
    for name, group in config.inputs.items():
        shape = [1, *group.shape[1:]]
        if group.length is None:
            inputs[name] = torch.zeros(shape, device=device)  # (1, C)
            continue
        # each variable has a padding value of its own
        pads = torch.tensor([variable.pad for variable in group.variables], device=device)
        inputs[name] = pads[None, :, None].expand(shape).contiguous()  # (1, C, P)
        masks[name] = torch.zeros(1, group.length, dtype=torch.bool, device=device)
        counts[name] = torch.zeros(1, dtype=torch.int64, device=device)
    return Batch(inputs=inputs, masks=masks, counts=counts, labels={}, progress=1.0, size=1)


def log_prediction(
    path: Path,
    rows: int,
    accounting: Accounting,
    metrics: Mapping[str, float],
    labelled: Sequence[str],
) -> None:
    """Log what was read, written and measured, and which objects have no results.

    ``labelled``: the groups whose objects have labels.

    Raises:
        DataError: rows are missing.
    """
    log.info("%s", accounting.report())
    selected = accounting.selected.total()
    if rows != selected:
        raise DataError(
            f"{path}: {selected} rows were selected but {rows} predicted; nothing is kept"
        )
    log.info("%s: %d rows", path, rows)
    measured = format_metrics(metrics)
    if measured:
        log.info("%s: %s", path, measured)
    for group in labelled:
        beyond = accounting.truncated[group]
        if beyond:
            log.warning(
                "%s: %d objects lie beyond the length of %s and were not given to the network; "
                "their results are NaN",
                path,
                beyond,
                group,
            )
