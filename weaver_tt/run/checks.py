"""Whether the flags of a run fit together, before anything is read."""

from __future__ import annotations

import os

from weaver_tt.config.alternatives import check_same_inputs, load_alternative
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.engine.device_settings import compiler_options
from weaver_tt.engine.optim import max_gradient_norm, optimizer_options
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.formats.file_groups import is_remote, list_paths
from weaver_tt.options.durations import seconds_of
from weaver_tt.options.thresholds import read_threshold
from weaver_tt.options.train import DataOptions, RunOptions, TrainOptions, check_all_bounds
from weaver_tt.run.file_by_file import check_file_by_file
from weaver_tt.system.wording import counted
from weaver_tt.tasks.classification import Classification

MAX_FILES = 3  # named in a message
RUN_MODES = ("train", "val", "test")


def check_options(options: RunOptions, names_files: bool = True) -> None:
    """Check what needs no file: that flags are there, fit together and are in their ranges.

    Without ``names_files``, the files of a prediction are named later.

    Raises:
        ConfigError: one is missing, contradicts another, or has an impossible value.
    """
    run_mode = options.output.run_mode
    for mode in run_mode.split(","):
        if mode not in RUN_MODES:
            raise ConfigError(f"--run-mode {run_mode}: {mode!r}; {nearest(mode, RUN_MODES)}")
    check_needed_flags(options, names_files)
    check_exclusive_flags(options)
    check_all_bounds(options)
    check_file_by_file(options)
    if options.train.max_time is not None:
        seconds_of(options.train.max_time, "--max-time")
    if is_training(options) or is_training_trial(options):
        check_training_options(options.train)


def check_needed_flags(options: RunOptions, names_files: bool = True) -> None:
    """Raise ConfigError for flags that are missing."""
    output = options.output
    data = options.data
    network = options.network
    predicting = is_prediction(options)
    needed = {"--data-config": data.data_config}
    # reading alone needs no network, and an ONNX file is one
    if not (data.io_test or (predicting and is_onnx(network.model_prefix))):
        needed["--network-config"] = network.network_config
    if predicting and names_files:
        needed["--data-test"] = " ".join(data.data_test)
    elif not (predicting or output.print or output.export_onnx):
        files = data.data_train
        if data.io_test:
            files = [*files, *data.data_test]
        needed["--data-train"] = " ".join(files)
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be given (see --help)")
    if (predicting or output.export_onnx) and "{auto}" in network.model_prefix:
        raise ConfigError(
            "--model-prefix must name a trained network: "
            "a prefix, a _state.pt file or (to predict) a model.onnx"
        )
    if is_training(options) and is_continuation(options) and "{auto}" in network.model_prefix:
        raise ConfigError(
            "--resume and --load-epoch need --model-prefix, the prefix of the run to continue: "
            f"{network.model_prefix} is a new one each time"
        )


def check_exclusive_flags(options: RunOptions) -> None:
    """Raise ConfigError for flags that contradict each other."""
    output = options.output
    data = options.data
    if is_prediction(options) and output.export_onnx:
        raise ConfigError("--predict and --export-onnx are two runs; give one of them")
    one_network = is_onnx(options.network.model_prefix) or output.export_onnx
    if options.train.cross_validation is not None and one_network:
        raise ConfigError(
            "--cross-validation needs a prefix as --model-prefix; the network of one fold is "
            "exported by -m PREFIX_fold-0 alone"
        )
    if options.train.overwrite and is_continuation(options):
        raise ConfigError(
            "--overwrite removes the earlier run, --resume and --load-epoch continue it; give one "
            "of them"
        )
    for ending in ("", "_val"):
        steps = getattr(data, f"steps_per_epoch{ending}")
        samples = getattr(data, f"samples_per_epoch{ending}")
        flag = ending.replace("_", "-")
        if steps is not None and steps < 1 and steps != -1:
            raise ConfigError(
                f"--steps-per-epoch{flag} {steps}: expected at least 1, or -1 for one pass over "
                "the data"
            )
        if steps is not None and samples is not None:
            raise ConfigError(
                f"--steps-per-epoch{flag} and --samples-per-epoch{flag} say the same in batches "
                "and in rows; give one of them"
            )


def check_training_options(options: TrainOptions) -> None:
    """Raise ConfigError for options of optimizer, schedule and compiler that cannot be meant.

    They are needed when a network trains, after all of the data has been passed over.
    """
    read_threshold(options.plateau_threshold, "--plateau-threshold")
    read_threshold(options.early_stopping_threshold, "--early-stopping-threshold")
    optimizer_options(options.optimizer, options.optimizer_option)
    max_gradient_norm(options.clip_gradient, options.optimizer_option)
    if options.compile or options.compile_optimizer:
        compiler_options(options)


def check_config(config: DataConfig, options: RunOptions) -> None:
    """Raise ConfigError where the data YAMLs and the flags contradict each other."""
    for path in (options.data.data_config_val, options.data.data_config_test):
        if path is not None:
            check_same_inputs(config, load_config(path, options.data.custom_functions))
    if not options.train.regression_mode or config.labels is None:
        return
    why = ""
    if config.labels.class_number:
        why = "`classes` is there"
    elif config.labels.classes:
        # beside targets, too: that is another task
        why = "type: simple"
    elif config.task is not None and config.task.name == Classification.name:
        why = f"task: {config.task.name}"
    if why:
        raise ConfigError(
            f"--regression-mode: the labels of {config.source} are classes ({why}); "
            "labels of type custom are regressed"
        )


def find_leaks(config: DataConfig, data: DataOptions) -> list[str]:
    """The files of ``--data-val``, as given, that are trained on with the same rows selected."""
    if data.extra_selection_train != data.extra_selection_val:
        # a column may divide the rows of the same files
        return []
    of_validation = load_alternative(config, data.data_config_val)
    if _source(config.selection) != _source(of_validation.selection):
        return []
    trained_on = {_real_path(path) for path in list_paths(data.data_train)}
    return sorted(path for path in list_paths(data.data_val) if _real_path(path) in trained_on)


def _real_path(path: str) -> str:
    """The same for all names of a file on this machine."""
    return path if is_remote(path) else os.path.realpath(path)


def _source(expression: Expression | None) -> str | None:
    return None if expression is None else expression.source


def describe_leaks(config: DataConfig, data: DataOptions) -> list[str]:
    """One line about the files of ``--data-val`` that the network is trained on; none without."""
    leaks = find_leaks(config, data)
    if not leaks:
        return []
    shown = ", ".join(leaks[:MAX_FILES])
    if len(leaks) > MAX_FILES:
        shown += ", …"
    number = counted(len(leaks), "file is", "files are")
    return [
        f"{number} both in --data-train and in --data-val ({shown}): the validation measures rows "
        "that the network is trained on"
    ]


def is_trial(options: RunOptions) -> bool:
    """Whether no network is left in the end: ``--io-test``, ``--lr-finder``, ``--profile``."""
    return options.data.io_test or is_training_trial(options)


def is_training_trial(options: RunOptions) -> bool:
    """Whether a network is trained for a few steps: ``--lr-finder``, ``--profile``."""
    return options.train.lr_finder is not None or options.train.profile


def is_training(options: RunOptions) -> bool:
    """Whether a network is trained and left in the end."""
    output = options.output
    if is_trial(options) or is_prediction(options):
        return False
    return not (output.export_onnx or output.print)


def is_prediction(options: RunOptions) -> bool:
    """``--predict``, or Weaver's ``--run-mode test``."""
    return options.output.predict or options.output.run_mode.split(",") == ["test"]


def is_continuation(options: RunOptions) -> bool:
    """Whether a training goes on from an earlier one: ``--resume`` or ``--load-epoch``."""
    return options.train.resume or options.train.load_epoch is not None


def is_onnx(model: str) -> bool:
    """Whether ``--model-prefix`` names an ONNX file."""
    return model.endswith(".onnx")
