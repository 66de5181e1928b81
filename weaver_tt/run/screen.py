"""What a terminal shows around a training and a prediction: a header, the results, what is next.

Logs without a terminal have all of this in lines, and nothing here is called for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weaver_tt.data.loaders import Loader
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.log import has_quiet_terminal, is_terminal
from weaver_tt.options.train import RunOptions
from weaver_tt.output.predict import Prediction
from weaver_tt.run.checks import is_onnx
from weaver_tt.run.file_by_file import PLACEHOLDERS, is_file_by_file
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.terminal import console, short_number, show_commands, show_panel
from weaver_tt.system.wording import counted, value_with_error
from weaver_tt.tasks.base import Task

SAID = ("network file", "output")  # facts of a network that a header does without
PREDICTED = "pred.root"  # where a prediction may be written
MANY_FILES = 6  # outputs of a prediction that are listed one by one


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch of one network: its number and its metrics."""

    name: str
    number: int
    metrics: EpochMetrics


def has_screen() -> bool:
    """Whether this process shows a screen: on a terminal, the first of several ranks.

    Trials of a search have none of their own.
    """
    return is_terminal() and not has_quiet_terminal() and distributed.is_main()


def show_header(
    options: RunOptions,
    prefix: str,
    seed: int,
    device: str,
    facts: Sequence[tuple[str, str]],
    loaders: Mapping[str, Loader | None],
) -> None:
    """Show what is trained on what: the data with their rows, the network, and how.

    ``facts``: of the network, with names. ``loaders``: by what their rows are for.
    """
    if not has_screen():
        return
    lines = [("data", options.data.data_config)]
    for name, loader in loaders.items():
        if loader is not None:
            lines.append((name, _describe_rows(loader)))
    lines.append(("network", options.network.network_config))
    lines += [fact for fact in facts if fact[0] not in SAID]
    train = options.train
    epochs = counted(train.num_epochs, "epoch")
    lines.append(("training", f"{epochs}, batches of {options.data.batch_size:,} rows"))
    optimizer = f"{train.optimizer}, learning rate {train.start_lr:g}, {train.lr_scheduler}"
    lines.append(("optimizer", optimizer))
    if options.network.ensemble > 1:
        lines.append(("ensemble", counted(options.network.ensemble, "member")))
    lines.append(("device", f"{device}, seed {seed}"))
    lines.append(("log", str(train.log)))
    show_panel(console(), prefix, lines)


def _describe_rows(loader: Loader) -> str:
    """``ttbar 40,000 rows, dijet 38,000 rows, in 12 files``; a single group needs no name."""
    of_groups = loader.rows_of_groups
    parts = []
    for group, rows in of_groups.items():
        text = counted(rows, "row")
        parts.append(text if group == UNNAMED_GROUP or len(of_groups) == 1 else f"{group} {text}")
    return f"{', '.join(parts)}, in {counted(loader.files, 'file')}"


def show_best(task: Task, prefix: str, best: Sequence[BestEpoch]) -> None:
    """Show the best epoch of each network with errors of its metrics, and where the files are."""
    if not has_screen():
        return
    is_ensemble = len(best) > 1
    lines = []
    for epoch in best:
        title = f"epoch {epoch.number}"
        text = _describe_metrics(task, epoch.metrics)
        if is_ensemble:
            text = f"{title}: {text}"
            # net_member-0
            title = f"member {epoch.name.rpartition('-')[2]}"
        lines.append((title, text))
    files = RunFiles(prefix)
    named = files.any_member if is_ensemble else files
    first = files.member(0) if is_ensemble else files
    results = {"weights": named.best, "metrics": named.metrics, "epochs": named.history}
    if first.figures.is_dir():
        results["figures"] = named.figures
    results["run card"] = files.card
    lines += [(name, str(path)) for name, path in results.items()]
    title = "best epochs of the members" if is_ensemble else "best epoch"
    show_panel(console(), title, lines)


def _describe_metrics(task: Task, metrics: Mapping[str, float]) -> str:
    """The loss and the headline metrics, with their errors where they are known."""
    errors = metrics.errors() if isinstance(metrics, EpochMetrics) else {}
    parts = []
    for name in ["loss", *task.headline_metrics]:
        value = metrics.get(name, math.nan)
        if math.isnan(value):
            continue
        error = errors.get(name, math.nan)
        # nothing fluctuates where all entries agree
        shown = value_with_error(value, error) if error > 0 else short_number(value)
        parts.append(f"{name} {shown}")
    return ", ".join(parts)


# --- predictions


def show_prediction_header(
    options: RunOptions, weights: Sequence[Path], device: str, rows: Mapping[str, Loader | str]
) -> None:
    """Show what is predicted by what. ``rows``: of each test group, or in words."""
    if not has_screen():
        return
    lines = [("data", options.data.data_config)]
    for group, of_group in rows.items():
        text = of_group if isinstance(of_group, str) else _describe_rows(of_group)
        lines.append(("test" if group == UNNAMED_GROUP else group, text))
    if options.network.network_config:
        lines.append(("network", options.network.network_config))
    lines.append(("weights", _some([str(path) for path in weights])))
    lines.append(("device", device))
    show_panel(console(), "prediction", lines)


def show_predictions(task: Task, predictions: Mapping[str, Prediction]) -> None:
    """Show the files that were written, and what was measured on them."""
    if not has_screen() or not predictions:
        return
    lines = []
    shown = list(predictions.values())[:MANY_FILES]
    for prediction in shown:
        lines.append(("file", f"{prediction.path}, {counted(prediction.rows, 'row')}"))
        measured = _describe_metrics(task, prediction.metrics)
        results = RunFiles(str(prediction.path.with_suffix("")))
        if measured:
            lines += [("", measured), ("metrics", str(results.metrics))]
            if results.figures.is_dir():
                lines.append(("figures", str(results.figures)))
    if len(shown) < len(predictions):
        rows = counted(sum(prediction.rows for prediction in predictions.values()), "row")
        lines.append(("", f"and {len(predictions) - len(shown):,} more, {rows} in all"))
    show_panel(console(), "predicted", lines)


def _some(names: Sequence[str]) -> str:
    """The names, or the first of many."""
    more = f" and {len(names) - MANY_FILES} more" if len(names) > MANY_FILES else ""
    return f"{', '.join(names[:MANY_FILES])}{more}"


# --- what comes next


def show_next_steps(options: RunOptions, task: Task, predicted: Sequence[Path]) -> None:
    """Show the commands that predict, report and export, ready to be copied.

    ``predicted``: the files of a prediction that has followed the training already.
    """
    if has_screen():
        show_commands(console(), next_commands(options, task, predicted))


def next_commands(options: RunOptions, task: Task, predicted: Sequence[Path]) -> list[list[str]]:
    """Commands that go on with the network that has been trained, as words."""
    prefix = options.network.model_prefix
    commands = []
    outputs = _names_of_outputs(options, predicted)
    if not outputs:
        outputs = [PREDICTED]
        commands.append(prediction_command(options, prefix))
    commands.append(["weaver-tt", *task.judge_command(_name_of_network(options), outputs)])
    if not _fold_words(options):
        commands.append(["weaver-tt", "export", *network_words(options, prefix), "-o", "exported"])
    return commands


def prediction_command(options: RunOptions, prefix: str, output: str = PREDICTED) -> list[str]:
    """The command that predicts with the network at ``prefix``, or an ONNX file, as words."""
    tests = options.data.data_test or ["test.root"]
    which = [*network_words(options, prefix), *_fold_words(options)]
    return ["weaver-tt", "train", "--predict", "-t", *tests, *which, "--predict-output", output]


def show_steps_after_prediction(
    options: RunOptions, task: Task, predictions: Mapping[str, Prediction]
) -> None:
    """Show the commands that go on with prediction files."""
    if has_screen() and predictions:
        show_commands(console(), commands_after_prediction(options, task, predictions))


def commands_after_prediction(
    options: RunOptions, task: Task, predictions: Mapping[str, Prediction]
) -> list[list[str]]:
    """Judge what has its truth, look into a file, and export a network that is none yet."""
    first, *_ = predictions.values()
    outputs = _names_of_outputs(options, [each.path for each in predictions.values()])
    commands = []
    if any(prediction.metrics for prediction in predictions.values()):
        commands.append(["weaver-tt", *task.judge_command(_name_of_network(options), outputs)])
    commands.append(["weaver-tt", "inspect", str(first.path)])
    same = network_words(options, options.network.model_prefix)
    if not _fold_words(options) and not is_onnx(options.network.model_prefix):
        commands.append(["weaver-tt", "export", *same, "-o", "exported"])
    return commands


def _names_of_outputs(options: RunOptions, predicted: Sequence[Path]) -> list[str]:
    """The files of a prediction, or one pattern where there is a file for each input file."""
    if not predicted or not is_file_by_file(options):
        return [str(path) for path in predicted]
    pattern = options.output.predict_output
    for placeholder in PLACEHOLDERS:
        pattern = pattern.replace(placeholder, "*")
    return [pattern]


def _name_of_network(options: RunOptions) -> str:
    """What a report calls the network."""
    return Path(options.network.model_prefix).name.removesuffix(".onnx")


def network_words(options: RunOptions, prefix: str) -> list[str]:
    """The flags that name the network at ``prefix`` and its data."""
    same = ["-c", options.data.data_config]
    # a graph needs no network file
    if not is_onnx(prefix):
        same += ["-n", options.network.network_config]
    same += ["-m", prefix]
    if options.data.custom_functions is not None:
        same += ["--custom-functions", options.data.custom_functions]
    return same


def _fold_words(options: RunOptions) -> list[str]:
    """The flags of a cross-validation, where there is one."""
    if options.train.cross_validation is None:
        return []
    return ["--cross-validation", options.train.cross_validation]
