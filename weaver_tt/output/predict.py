"""Every selected row of every test group, in input order, through the network into one file per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.loaders import Loader
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import Predictor, run_epoch
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import Columns, open_writer
from weaver_tt.log import format_metrics, log
from weaver_tt.output.results import write_results
from weaver_tt.tasks.base import Task

UNNAMED_GROUP = "_"  # the group of files given without a name


@dataclass(frozen=True, slots=True)
class Prediction:
    """What became of one test group."""

    path: Path
    rows: int
    metrics: Mapping[
        str, float
    ]  # loss (torch only) and what the task measures, where the files have labels


def output_path(output: str | Path, group: str) -> Path:
    """``pred.root`` for unnamed files, ``pred_NAME.root`` for those of a group with a name."""
    path = Path(output)
    return path if group == UNNAMED_GROUP else path.with_name(f"{path.stem}_{group}{path.suffix}")


def predict(
    network: Predictor,
    task: Task,
    loaders: Mapping[str, Loader],
    output: str | Path,
    device: torch.device,
    figures: bool = False,
) -> dict[str, Prediction]:
    """Write the task's columns and the observers of each test group, and beside them what was measured; returns what was written, by group.

    A group in which no row is selected gives a file without entries, with the task's columns (the observers' types are unknown then).
    Raises ConfigError when an observer has the name of a column, OutputError when a file cannot be written.
    """
    return predict_parts([(network, loaders)], task, output, device, figures)


def predict_parts(
    parts: Sequence[tuple[Predictor, Mapping[str, Loader]]],
    task: Task,
    output: str | Path,
    device: torch.device,
    figures: bool = False,
) -> dict[str, Prediction]:
    """The same with several networks, each on rows of its own: one file for each group, in which the rows of the parts follow each other."""
    empty = empty_columns(parts[0][0], task, device)
    config = task.config
    clashes = sorted(empty.keys() & {*config.observers, *config.optional_observers})
    if clashes:
        raise ConfigError(
            f"{config.source}: observer {clashes[0]!r} has the name of a column that {task.name} writes; rename it in new_variables"
        )
    predictions = {}
    for group in parts[0][1]:
        path = output_path(output, group)
        meters, accounting = task.meters(), Accounting()
        with open_writer(path, tree_name(config)) as writer:
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
                    "%s: no row of the test group is selected; the file has no entries and no observers",
                    path,
                )
                writer.write(empty)
            log_prediction(
                path,
                writer.rows,
                accounting,
                metrics,
                [] if config.labels is None else list(config.labels.object_targets),
            )
        write_results(metrics, task, path.with_suffix(""), figures)
        predictions[group] = Prediction(path, writer.rows, metrics)
    return predictions


def tree_name(config: DataConfig) -> str:
    """The name of the written tree: that of the input, without its folder and cycle."""
    return (config.treename or "tree").split("/")[-1].split(";")[0]


def empty_columns(network: Predictor, task: Task, device: torch.device) -> Columns:
    """The task's columns for no row at all: names and types, found by one row that is all padding; ``network`` is set to evaluation mode."""
    network.eval()
    with torch.no_grad():
        batch = padding_row(task.config, device)
        columns = task.columns(task.score(network(batch.inputs), batch))
    return {name: column[:0] for name, column in columns.items()}


def padding_row(config: DataConfig, device: torch.device) -> Batch:
    """One row without objects, zero in its scalars."""
    objects = {
        name: group.length for name, group in config.inputs.items() if group.length is not None
    }
    inputs = {}
    for name, group in config.inputs.items():
        pads = torch.tensor([variable.pad for variable in group.variables], device=device)
        shape = [1, *group.shape[1:]]
        inputs[name] = (
            torch.zeros(shape, device=device)
            if group.length is None
            else pads[None, :, None].expand(shape).contiguous()
        )
    masks = {
        name: torch.zeros(1, length, dtype=torch.bool, device=device)
        for name, length in objects.items()
    }
    counts = {name: torch.zeros(1, dtype=torch.int64, device=device) for name in objects}
    return Batch(inputs=inputs, masks=masks, counts=counts, labels={}, progress=1.0, size=1)


def log_prediction(
    path: Path,
    rows: int,
    accounting: Accounting,
    metrics: Mapping[str, float],
    labelled: Sequence[str],
) -> None:
    """Log what was read, written and measured, and which objects of the groups ``labelled`` have no results; DataError when rows are missing."""
    log.info("%s", accounting.report())
    selected = accounting.selected.total()
    if rows != selected:
        raise DataError(
            f"{path}: {selected} rows were selected but {rows} predicted; nothing is kept"
        )
    log.info("%s: %d rows", path, rows)
    if measured := format_metrics(metrics):
        log.info("%s: %s", path, measured)
    for group in labelled:
        beyond = accounting.truncated[group]
        if beyond:
            log.warning(
                "%s: %d objects lie beyond the length of %s and were not seen by the network; "
                "their results are NaN",
                path,
                beyond,
                group,
            )
