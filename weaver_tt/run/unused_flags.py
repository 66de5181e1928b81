"""Flags that were given and have no effect in this run, each with the reason."""

from __future__ import annotations

from dataclasses import fields

from weaver_tt.engine.schedule import PLATEAU, WARMUP_CURVES
from weaver_tt.options.flags import default_of, spellings
from weaver_tt.options.train import RunOptions
from weaver_tt.run.checks import is_continuation, is_onnx, is_prediction, is_training
from weaver_tt.run.file_by_file import FILE, is_file_by_file
from weaver_tt.run.naming import AUTO

# options by what they are for
TRAINING_ROWS = (
    *("data_train", "extra_selection_train", "train_val_split", "data_fraction", "file_fraction"),
    *("pool_size", "num_workers", "steps_per_epoch", "samples_per_epoch", "remake_weights"),
)
VALIDATION_ROWS = (
    *("data_config_val", "extra_selection_val", "data_fraction_val", "batch_size_val"),
    *("steps_per_epoch_val", "samples_per_epoch_val"),
)
TEST_ROWS = ("data_config_test", "data_test_share", "extra_selection_test", "batch_size_test")
NETWORK = ("network_config", "network_option")
FIRST_WEIGHTS = ("load_model_weights", "exclude_model_weights", "freeze_model_weights")
UPDATE = (
    *("start_lr", "optimizer", "optimizer_option", "lr_scheduler", "warmup_steps"),
    *("clip_gradient", "accumulate_batches", "ema", "use_amp", "amp_dtype"),
    *("compile", "compile_optimizer", "compiler_option", "sync_batchnorm"),
)
PLATEAU_OPTIONS = ("plateau_factor", "plateau_patience", "plateau_threshold")
COURSE = (
    *("num_epochs", "ensemble", "ensemble_weights", "watch", "early_stopping"),
    *("early_stopping_threshold", "resume", "overwrite", "save_minutes", "max_time"),
    *("auto_clean", "run_mode"),
)
TRACKERS = (
    *("tensorboard", "tensorboard_custom_fn", "tracker", "histograms"),
    *("log", "log_every"),
)
LABEL = ("label", "label_simulation", "label_text", "label_energy")
PREDICTION = ("predict_output", "predict_gpus")
# options that count in every run, or say which kind of run it is
EVERYWHERE = (
    *("data_config", "custom_functions", "on_bad_file", "batch_size", "copy_inputs", "demo"),
    *("num_threads", "regression_mode"),
    *("io_test", "lr_finder", "profile", "predict", "export_onnx", "print"),
)
# the others
ONE_BY_ONE = (
    *("data_val", "data_test", "model_prefix", "load_epoch", "cross_validation", "seed", "gpus"),
    *("progress", "figures", "onnx_opset", "backend", "plain_weights", "deterministic"),
)

# kind of run -> options without effect in it
WITHOUT_EFFECT: dict[str, tuple[str, ...]] = {
    "--print": (
        *(*VALIDATION_ROWS, *TEST_ROWS, *FIRST_WEIGHTS, *UPDATE, *COURSE, *TRACKERS, *PREDICTION),
        *(*PLATEAU_OPTIONS, *LABEL),
        *("pool_size", "num_workers", "steps_per_epoch", "samples_per_epoch", "file_fraction"),
        *("data_test", "model_prefix", "load_epoch", "cross_validation", "seed", "gpus"),
        *("progress", "figures", "onnx_opset", "backend", "plain_weights", "deterministic"),
    ),
    "--io-test": (
        *(*NETWORK, *FIRST_WEIGHTS, *UPDATE, *COURSE, *TRACKERS, *PREDICTION),
        *(*PLATEAU_OPTIONS, *LABEL),
        *("model_prefix", "load_epoch", "cross_validation", "seed", "figures", "onnx_opset"),
        *("backend", "plain_weights", "deterministic"),
    ),
    "--lr-finder": (
        *(*VALIDATION_ROWS, *TEST_ROWS, *COURSE, *PREDICTION),
        *("start_lr", "lr_scheduler", "warmup_steps", "accumulate_batches", "ema"),
        *PLATEAU_OPTIONS,
        *("tensorboard_custom_fn", "tracker", "histograms", "log_every"),
        *("data_test", "load_epoch", "cross_validation", "figures", "onnx_opset", "backend"),
        "plain_weights",
    ),
    "--profile": (
        *(*VALIDATION_ROWS, *TEST_ROWS, *COURSE, *PREDICTION),
        *PLATEAU_OPTIONS,
        *("tensorboard_custom_fn", "tracker", "histograms", "log_every"),
        *("data_test", "load_epoch", "cross_validation", "figures", "onnx_opset", "backend"),
        "plain_weights",
    ),
    "--export-onnx": (
        *(*TRAINING_ROWS, *VALIDATION_ROWS, *FIRST_WEIGHTS, *UPDATE, *COURSE, *TRACKERS),
        *(*PLATEAU_OPTIONS, *LABEL),
        *(*PREDICTION, "data_config_test", "data_val", "seed", "gpus", "progress", "figures"),
        *("backend", "deterministic"),
    ),
    "--predict": (
        *(*TRAINING_ROWS, *VALIDATION_ROWS, *FIRST_WEIGHTS, *UPDATE, *TRACKERS),
        *PLATEAU_OPTIONS,
        *(name for name in COURSE if name not in ("resume", "max_time")),
        *("data_val", "seed", "onnx_opset"),
    ),
    "a training": ("onnx_opset",),
}


def flags_without_effect(options: RunOptions) -> list[str]:
    """What was given in vain: a line for each reason, with the flags."""
    given = _given_flags(options)
    kind = kind_of_run(options)
    reasons = {f"in {kind}": WITHOUT_EFFECT[kind]}
    if is_training(options):
        reasons |= _reasons_in_training(options)
    elif is_prediction(options) or options.output.export_onnx:
        model = options.network.model_prefix
        if is_onnx(model) or ".pt" in model:
            reasons[f"-m {model} is one epoch"] = ("load_epoch",)
        if is_onnx(model):
            reasons[f"-m {model} has one set of weights"] = ("plain_weights",)
    if is_prediction(options) and not is_file_by_file(options):
        reasons[f"without {FILE} in --predict-output, all is predicted anew"] = ("resume",)
    lines = []
    for reason, names in reasons.items():
        flags = [given[name] for name in names if name in given]
        if flags:
            lines.append(f"no effect ({reason}): {', '.join(flags)}")
    return lines


def kind_of_run(options: RunOptions) -> str:
    """The flag that says what is to be done, in the order in which a run looks at them."""
    output = options.output
    if output.print:
        return "--print"
    if options.data.io_test:
        return "--io-test"
    if options.train.profile:
        return "--profile"
    if options.train.lr_finder is not None:
        return "--lr-finder"
    if output.export_onnx:
        return "--export-onnx"
    if is_prediction(options):
        return "--predict"
    return "a training"


def _given_flags(options: RunOptions) -> dict[str, str]:
    """Option -> flag, of all that differ from their default."""
    given = {}
    for part in fields(options):
        values = getattr(options, part.name)
        for item in fields(values):
            if getattr(values, item.name) != default_of(item):
                given[item.name] = spellings(item)[-1]
    # Weaver's way to say --predict
    if is_prediction(options):
        given.pop("run_mode", None)
    return given


def _reasons_in_training(options: RunOptions) -> dict[str, tuple[str, ...]]:
    """Reason -> options that have no effect for it, beside flags that decide."""
    data = options.data
    train = options.train
    reasons: dict[str, tuple[str, ...]] = {}
    if "test" not in options.output.run_mode.split(","):
        reasons[f"--run-mode {options.output.run_mode} predicts nothing"] = (
            *("data_test", *TEST_ROWS, *PREDICTION, "plain_weights"),
        )
    elif not data.data_test:
        reasons["nothing is predicted without --data-test"] = (
            *(*TEST_ROWS, *PREDICTION, "plain_weights"),
        )
    if data.data_val:
        reasons["--data-val gives the validation files"] = ("train_val_split",)
    elif data.train_val_split >= 1:
        reasons["--train-val-split 1 leaves nothing to validate on"] = VALIDATION_ROWS
    if not train.backend:
        reasons["on one process"] = ("sync_batchnorm",)
    if options.network.ensemble == 1:
        reasons["without --ensemble"] = ("ensemble_weights",)
    if not train.use_amp:
        reasons["without --use-amp"] = ("amp_dtype",)
    if not (train.compile or train.compile_optimizer):
        reasons["without --compile and --compile-optimizer"] = ("compiler_option",)
    if train.lr_scheduler not in WARMUP_CURVES:
        reasons[f"--lr-scheduler {train.lr_scheduler} has no warm-up"] = ("warmup_steps",)
    if train.lr_scheduler != PLATEAU:
        reasons[f"--lr-scheduler {train.lr_scheduler} follows no metric"] = PLATEAU_OPTIONS
    if train.early_stopping is None:
        reasons["without --early-stopping"] = ("early_stopping_threshold",)
    if train.tensorboard == "off":
        reasons["--tensorboard off"] = ("tensorboard_custom_fn", "histograms")
    if AUTO in options.network.model_prefix:
        reasons[f"{options.network.model_prefix} is a new prefix"] = ("overwrite",)
    if train.load_epoch is not None:
        reasons["--load-epoch says where to continue"] = ("resume",)
    if is_continuation(options):
        reasons["the weights of the run that is continued take their place"] = (
            *("load_model_weights", "exclude_model_weights"),
        )
    return reasons
