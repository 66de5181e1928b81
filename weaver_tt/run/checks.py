"""Before anything is read: do the flags fit together, one process or one for each GPU, and on which device."""

from __future__ import annotations

from weaver_tt.config.alternatives import check_same_inputs
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.engine.device_settings import compiler_options
from weaver_tt.engine.optim import max_gradient_norm, optimizer_options
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.options.train import RunOptions, TrainOptions

RUN_MODES = ("train", "val", "test")


def check_options(options: RunOptions) -> None:
    """Raise ConfigError for flags that are missing or contradict each other."""
    output, data, network = options.output, options.data, options.network
    predicting = is_prediction(options)
    for mode in output.run_mode.split(","):
        if mode not in RUN_MODES:
            raise ConfigError(f"--run-mode {output.run_mode}: {mode!r}; {nearest(mode, RUN_MODES)}")
    needed = {"--data-config": data.data_config}
    if not (data.io_test or (predicting and is_onnx(network.model_prefix))):
        needed["--network-config"] = network.network_config
    if predicting:
        needed["--data-test"] = " ".join(data.data_test)
    elif not (output.print or output.export_onnx):
        needed["--data-train"] = " ".join(
            [*data.data_train, *(data.data_test if data.io_test else [])]
        )
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be given (see --help)")
    if (predicting or output.export_onnx) and "{auto}" in network.model_prefix:
        raise ConfigError(
            "--model-prefix must name a trained network: a prefix, a _state.pt file or (to predict) a model.onnx"
        )
    if predicting and output.export_onnx:
        raise ConfigError("--predict and --export-onnx are two runs; give one of them")
    if options.train.cross_validation is not None and (
        is_onnx(network.model_prefix) or output.export_onnx
    ):
        raise ConfigError(
            "--cross-validation needs a prefix as --model-prefix; the network of one fold is exported by -m PREFIX_fold-0 alone"
        )
    if options.train.seed is not None and options.train.seed < 0:
        raise ConfigError(f"--seed {options.train.seed}: expected a number that is not negative")
    if data.steps_per_epoch is not None and data.samples_per_epoch is not None:
        raise ConfigError(
            "--steps-per-epoch and --samples-per-epoch say the same in batches and in rows; give one of them"
        )
    if data.steps_per_epoch_val is not None and data.samples_per_epoch_val is not None:
        raise ConfigError(
            "--steps-per-epoch-val and --samples-per-epoch-val say the same in batches and in rows; give one of them"
        )
    shares = ("train_val_split", "data_fraction", "data_fraction_val", "file_fraction")
    for name, share in ((name, getattr(data, name)) for name in shares):
        if share is not None and not 0 < share <= 1:
            raise ConfigError(
                f"--{name.replace('_', '-')} {share:g}: expected a share above 0 and at most 1"
            )
    if network.ensemble < 1:
        raise ConfigError(f"--ensemble {network.ensemble}: at least one member is needed")
    if not (predicting or output.export_onnx or output.print or data.io_test):
        check_training_options(options.train)


def check_training_options(options: TrainOptions) -> None:
    """Raise ConfigError for options of the optimizer and of the compiler that do not exist.

    They are needed when a network trains, after all of the data has been passed over.
    """
    optimizer_options(options.optimizer, options.optimizer_option)
    max_gradient_norm(options.clip_gradient, options.optimizer_option)
    if options.compile or options.compile_optimizer:
        compiler_options(options)


def check_config(config: DataConfig, options: RunOptions) -> None:
    """Raise ConfigError where the data YAMLs and the flags contradict each other."""
    for path in (options.data.data_config_val, options.data.data_config_test):
        if path is not None:
            check_same_inputs(config, load_config(path, options.data.custom_functions))
    labels = config.labels
    if options.train.regression_mode and labels is not None and labels.kind == "simple":
        raise ConfigError(
            f"--regression-mode: the labels of {config.source} are classes (type: simple); labels of type custom are regressed"
        )


def is_trial(options: RunOptions) -> bool:
    """Whether nothing is trained for good: ``--io-test``, ``--lr-finder``, ``--profile``."""
    return options.data.io_test or options.train.lr_finder is not None or options.train.profile


def is_prediction(options: RunOptions) -> bool:
    """``--predict``, or Weaver's ``--run-mode test``."""
    return options.output.predict or options.output.run_mode.split(",") == ["test"]


def is_onnx(model: str) -> bool:
    """Whether ``--model-prefix`` names an ONNX file."""
    return model.endswith(".onnx")
