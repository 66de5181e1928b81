"""The options of a run: dataclasses whose fields are the flags of the command line."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from weaver_tt.options.examples import examples_of
from weaver_tt.options.figures import LabelOptions
from weaver_tt.options.flags import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SHARE,
    Bounds,
    FlagParser,
    add_flags,
    check_bounds,
    flag,
    read_flags,
    usage_of,
)
from weaver_tt.weaver_compat.retired_flags import RETIRED, Retired

# more of either no machine has
PROCESSES = Bounds(at_least=0, at_most=1024)
THREADS = Bounds(at_least=1, at_most=1024)
# the exporter knows no older ones, and C++ readers load no file of newer ones
OPSETS = Bounds(at_least=7, at_most=18)
# of an average: 0 would be no average, 1 would never move
DECAY = Bounds(above=0, below=1)
# values stay text here: their kind depends on the function that they are for
KEY_VALUE: dict[str, Any] = {"nargs": 2, "action": "append", "metavar": ("KEY", "VALUE")}


@dataclass(kw_only=True)
class DataOptions:
    """Which files and which part of them to read, and how they become batches."""

    data_config: str = flag(
        "",
        "data YAML: columns, selections, preparation, labels; weaver_tt:NAME for an example that "
        "comes with the package (required)",
        "-c",
        daily=True,
    )
    data_config_val: str | None = flag(
        None, "another data YAML for the validation data, with the same inputs"
    )
    data_config_test: str | None = flag(
        None, "another data YAML for the prediction, with the same inputs"
    )
    data_train: list[str] = flag(
        [],
        "training files: /path/*.root, or NAME:/path/*.root to name a group (required to train)",
        "-i",
        daily=True,
        nargs="*",
    )
    data_val: list[str] = flag(
        [],
        "validation files; without them --train-val-split divides the training files",
        "-l",
        daily=True,
        nargs="*",
    )
    data_test: list[str] = flag(
        [],
        "test files; NAME:/path gives one output file for each name, NAME%%10:/path one for every "
        "10 files",
        "-t",
        daily=True,
        nargs="*",
    )
    data_test_share: str | None = flag(
        None,
        "predict one share of the test files: 3/100 is the fourth of a hundred (they are counted "
        "from 0), every hundredth file; for arrays of jobs, with {file} in --predict-output",
    )
    extra_selection_train: str | None = flag(
        None, "selection of training rows in addition to that of the data YAML"
    )
    extra_selection_val: str | None = flag(None, "the same for validation")
    extra_selection_test: str | None = flag(
        None, "the same for prediction, in addition to test_time_selection"
    )
    train_val_split: float = flag(
        0.8,
        "without --data-val: fraction of the rows of each file to train on; the rest, at its end, "
        "is for validation (so files must not be sorted)",
        bounds=SHARE,
    )
    data_fraction: float = flag(
        1.0,
        "fraction of the rows of each file to train and validate on; prediction uses all rows",
        bounds=SHARE,
    )
    data_fraction_val: float | None = flag(
        None, "the same for validation (default: that of training)", bounds=SHARE
    )
    file_fraction: float = flag(
        1.0,
        "fraction of the files of each group to use; training draws them again for each epoch",
        bounds=SHARE,
    )
    on_bad_file: str = flag(
        "stop",
        "what to do about a file that is damaged or lacks the tree: stop, or skip it, report the "
        "rows that are missing, and end with exit code 3",
        choices=["stop", "skip"],
    )
    batch_size: int = flag(128, "rows in a batch", bounds=COUNT, daily=True)
    batch_size_val: int | None = flag(
        None, "the same for validation (default: that of training)", bounds=COUNT
    )
    batch_size_test: int | None = flag(
        None, "the same for prediction (default: that of training)", bounds=COUNT
    )
    pool_size: int = flag(
        100_000,
        "rows held in memory to draw shuffled batches from, on each rank; its workers share them. "
        "Data of no more rows are read once",
        bounds=COUNT,
    )
    num_workers: int = flag(
        0,
        "worker processes that read training files; 0 reads in a thread of this process",
        daily=True,
        bounds=PROCESSES,
    )
    # without bounds: Weaver's -1 is one pass over the data; 0 is refused by run/checks.py
    steps_per_epoch: int | None = flag(
        None, "training batches in an epoch (default: one pass over the data)"
    )
    samples_per_epoch: int | None = flag(None, "the same in rows", bounds=COUNT)
    steps_per_epoch_val: int | None = flag(
        None,
        "validation batches in an epoch, drawn from all files, the same ones in every epoch "
        "(default: all rows in order)",
    )
    samples_per_epoch_val: int | None = flag(None, "the same in rows", bounds=COUNT)
    remake_weights: bool = flag(
        True,
        "compute the weight tables again when the data or the YAML has changed; "
        "--no-remake-weights uses those of PREFIX.auto.yaml as they are",
    )
    copy_inputs: bool = flag(
        False,
        "copy input files to a temporary folder in $TMPDIR and read the copies, such as for files "
        "on EOS",
    )
    demo: bool = flag(False, "quick trial: 2 files of each group, 20 batches in an epoch, 2 epochs")
    io_test: bool = flag(False, "only read one epoch and report the speed")
    custom_functions: str | None = flag(
        None, "Python file with functions that expressions of the data YAML may call"
    )


@dataclass(kw_only=True)
class NetworkOptions:
    """Which network to use, and the weights that it starts from."""

    network_config: str = flag(
        "",
        "network file: Python, with get_model(data_config, **options); weaver_tt:NAME for an "
        "example that comes with the package (required, but to predict with a model.onnx)",
        "-n",
        daily=True,
    )
    network_option: list[list[str]] = flag(
        [],
        "option of get_model, such as -o hidden 64; prediction and export have those of the "
        "training, where no flag says otherwise",
        "-o",
        daily=True,
        **KEY_VALUE,
    )
    model_prefix: str = flag(
        "models/{auto}/network",
        "beginning of the names of all files of a run; {auto} stands for the time, the network and "
        "the main settings",
        "-m",
        daily=True,
    )
    load_model_weights: str | None = flag(
        None,
        "start from the weights in this checkpoint, as far as they fit, or from the best epoch of "
        "the run with this prefix; FILE.pt:PREFIX takes the weights under PREFIX",
    )
    exclude_model_weights: str | None = flag(
        None, "weights not to load: regular expressions separated by commas, such as 'mod.fc.*'"
    )
    freeze_model_weights: str | None = flag(
        None, "weights not to train: regular expressions separated by commas"
    )
    ensemble: int = flag(
        1,
        "number of networks to train, which differ in their initial weights and in the weights of "
        "the rows",
        bounds=COUNT,
    )
    ensemble_weights: str = flag(
        "poisson",
        "weights of the rows in the training of each member of an ensemble: poisson, a random "
        "number of mean 1 for each row and member (the bootstrap); none, all alike",
        choices=["poisson", "none"],
    )


@dataclass(kw_only=True)
class TrainOptions:
    """How to train."""

    num_epochs: int = flag(20, "number of epochs", bounds=COUNT, daily=True)
    start_lr: float = flag(
        5e-3, "learning rate; the schedule multiplies it by a factor", bounds=POSITIVE, daily=True
    )
    optimizer: str = flag(
        "ranger",
        "ranger, or any optimizer of torch.optim (adam, adamW, radam) or pytorch_optimizer (lion), "
        "in upper or lower case",
        daily=True,
    )
    optimizer_option: list[list[str]] = flag(
        [], "option of the optimizer, such as -p weight_decay 1e-4", "-p", **KEY_VALUE, daily=False
    )
    lr_scheduler: str = flag(
        "flat+decay",
        "schedule of the learning rate",
        choices=[
            "none",
            "steps",
            "flat+decay",
            "flat+linear",
            "flat+cos",
            "warmup+cos",
            "one-cycle",
            "reduce-on-plateau",
        ],
    )
    warmup_steps: float = flag(
        0.25,
        "length of the warm-up of flat+linear, flat+cos and warmup+cos: a fraction of the training "
        "(below 1) or a number of steps",
        "--warmup-fraction",
        bounds=NOT_NEGATIVE,
    )
    plateau_factor: float = flag(
        0.1,
        "reduce-on-plateau: what the learning rate is multiplied by when the watched metric has "
        "stopped improving",
        bounds=Bounds(above=0, below=1),
    )
    plateau_patience: int = flag(
        3, "reduce-on-plateau: after this many epochs without improvement", bounds=COUNT
    )
    # argparse formats help texts with %, hence %%
    plateau_threshold: str = flag(
        "1%",
        "reduce-on-plateau: an epoch has improved that is better than the best one before by more "
        "than this, in units of the metric (1e-4) or relative to its value (1%%)",
    )
    watch: str | None = flag(
        None,
        "metric that selects the best epoch: loss, accuracy, auc, rejection@0.5, ..., or a sum of "
        "some, 'auc - 0.5*sculpting@0.5' (default: that of the task, as a rule the loss)",
    )
    early_stopping: int | None = flag(
        None, "stop after this many epochs without improvement", bounds=COUNT
    )
    early_stopping_threshold: str = flag(
        "0",
        "--early-stopping: what counts as an improvement, as in --plateau-threshold",
    )
    clip_gradient: float | None = flag(None, "largest norm of the gradient", bounds=POSITIVE)
    accumulate_batches: int = flag(
        1,
        "batches whose gradients are added up for a step, as if they were one; fewer at the end of "
        "an epoch",
        bounds=COUNT,
    )
    ema: float | None = flag(
        None,
        "decay of an average of the weights over steps, such as 0.999, which is validated, saved, "
        "predicted with and exported in place of the weights themselves",
        bounds=DECAY,
    )
    use_amp: bool = flag(False, "train in mixed precision")
    amp_dtype: str = flag(
        "bf16",
        "precision of --use-amp; fp16 scales the loss (on a CPU bf16 is used)",
        choices=["fp16", "bf16"],
    )
    compile: bool = flag(False, "compile the network with torch.compile")
    compile_optimizer: bool = flag(False, "compile the step of the optimizer with torch.compile")
    compiler_option: list[list[str]] = flag(
        [], "option of torch.compile, such as --compiler-option dynamic False", **KEY_VALUE
    )
    # text and no list: '' is the CPU, None what the machine has
    gpus: str | None = flag(
        None,
        "indices of GPUs, such as 0 or 0,1; '' is the CPU (default: a GPU if there is one)",
        daily=True,
    )
    # given to each rank by the process that starts one for each GPU
    backend: str | None = flag(
        None,
        "this is one of several ranks (of torchrun, srun, mpirun), and how they communicate",
        choices=["gloo", "nccl", "mpi"],
    )
    sync_batchnorm: bool = flag(
        False,
        "batch norm takes its statistics from the batches of all ranks, which then train like one "
        "process (default: each rank from its own batch, as in Weaver)",
    )
    num_threads: int | None = flag(None, "CPU threads of torch", bounds=THREADS)
    seed: int | None = flag(
        None, "seed of all random numbers; makes a run reproducible", bounds=SEED, daily=True
    )
    deterministic: bool = flag(
        False,
        "compute the same to the last bit each time, on a GPU too, or stop at an operation that "
        "cannot",
    )
    resume: bool = flag(
        False,
        "continue from PREFIX_resume.pt; start from the beginning if there is none. A prediction "
        "with {file} in --predict-output keeps the outputs that are there",
        daily=True,
    )
    load_epoch: int | None = flag(
        None,
        "continue after this epoch: from PREFIX_resume.pt if it is of that moment, else from the "
        "weights of the epoch",
        bounds=NOT_NEGATIVE,
    )
    overwrite: bool = flag(
        False,
        "remove the earlier run of this --model-prefix: exactly the files that its run card lists",
        daily=True,
    )
    save_minutes: float = flag(
        5.0, "minutes between saves of PREFIX_resume.pt during an epoch", bounds=NOT_NEGATIVE
    )
    max_time: str | None = flag(
        None,
        "end after this time, HH:MM since the start of the command, as after a signal: the running "
        "step of a training is saved, and the exit code is 75",
    )
    auto_clean: bool = flag(False, "keep only the weights of the best and the latest epoch")
    # argparse formats help texts with %, hence %%
    cross_validation: str | None = flag(
        None,
        "COLUMN%%k: train k networks, each without the rows with int(COLUMN) %% k == i, and "
        "predict every row with the network that has not seen it",
    )
    lr_finder: str | None = flag(
        None,
        "learning-rate range test instead of a training: lowest rate, highest rate and number of "
        "steps, such as 5e-6,5,200; writes PREFIX_lr_finder.png and .json with a suggestion",
    )
    profile: bool = flag(
        False,
        "profile a few training steps instead of a training: a table and what limits the training "
        "in the log, and PREFIX_profile/trace.json for chrome://tracing",
    )
    # mostly a check: scripts that were written for Weaver give it
    regression_mode: bool = flag(
        False,
        "a regression: labels that are classes are refused, and a single label of type custom is "
        "a target, whatever number of outputs the network has",
    )
    tensorboard: str | None = flag(
        None,
        "folder for TensorBoard, or 'off'; a name without '/' means runs/DATE_HOSTNAME with that "
        "name (default: PREFIX_tensorboard)",
    )
    tracker: str = flag(
        "",
        "report to these, too: mlflow, wandb, or both as mlflow,wandb; each in a run of its own, "
        "with which --resume goes on (docs/trackers.md)",
    )
    tensorboard_custom_fn: str | None = flag(
        None,
        "Python file with get_tensorboard_custom_fn(tb_writer, model_output, model, epoch, "
        "i_batch, mode)",
    )
    histograms: bool = flag(
        False, "show how weights and gradients are distributed after each epoch, in TensorBoard"
    )
    log: str | None = flag(
        None, "log file; {auto} as in --model-prefix (default: PREFIX.log)", "--log-file"
    )
    log_every: int = flag(
        50,
        "training steps between two values of the loss beside the progress bar and in TensorBoard",
        bounds=COUNT,
    )
    progress: bool = flag(
        True, "show bars of the running epoch and of all of them, where there is a terminal"
    )


@dataclass(kw_only=True)
class OutputOptions:
    """What to do with a trained network."""

    run_mode: str = flag(
        "train,val,test",
        "as in Weaver: test alone is --predict; without test, nothing is predicted after the "
        "training",
    )
    predict: bool = flag(
        False,
        "only predict --data-test, with the network that -m names: a prefix, a _state.pt file or a "
        "model.onnx",
        daily=True,
    )
    predict_output: str = flag(
        "pred.root",
        "output file, .root or .parquet; a group of test files with a name has it in the file "
        "name: pred_NAME.root. With {file}, which stands for the name of an input file, there is "
        "one output for each input file: scores/{file}.root; {folder} and {group} stand for the "
        "input's folder and group",
        daily=True,
    )
    plain_weights: bool = flag(
        False, "of a training with --ema, predict with or export the weights without averaging"
    )
    predict_gpus: str | None = flag(None, "--gpus for the prediction (default: the same)")
    figures: bool = flag(
        True,
        "draw figures of the best epoch (PREFIX_figures) and of a prediction, as PNG and PDF",
    )
    export_onnx: str | None = flag(
        None,
        "write the network that -m names to this ONNX file, with preprocess.json beside it",
        daily=True,
    )
    onnx_opset: int = flag(17, "ONNX operator set", bounds=OPSETS)
    print: bool = flag(False, "print the network, its parameters and FLOPs, and exit")


@dataclass(kw_only=True)
class RunOptions:
    """All options of ``train.py``."""

    data: DataOptions = field(default_factory=DataOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    label: LabelOptions = field(default_factory=LabelOptions)


Options = TypeVar("Options", bound=RunOptions)


def check_all_bounds(options: RunOptions) -> None:
    """Raise ConfigError for a number that is out of its range."""
    for item in dataclasses.fields(options):
        check_bounds(getattr(options, item.name))


def parse_options(
    arguments: Sequence[str] | None = None,
    prog: str = "train.py",
    description: str = "Train, predict and export a network on collision events.",
    kind: type[Options] = RunOptions,  # type: ignore[assignment]
) -> Options:
    """The options in ``arguments`` (default: ``sys.argv``); prints help and exits where asked.

    ``kind`` may have parts of its own beside those of a run.
    """
    command = prog.removeprefix("weaver-tt ") if prog != "train.py" else "train"
    parts: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        parts[item.name] = item.default_factory
    # what a prediction does without is no part of this: an exported network needs no network file
    of_training = "-c DATA_CONFIG -n NETWORK_CONFIG -i DATA_TRAIN"
    parser = FlagParser(
        prog=prog,
        usage=usage_of(*parts.values()).replace("%(prog)s", f"%(prog)s {of_training}"),
        description=description,
        epilog=examples_of(command),
    )
    add_flags(parser, *parts.values())
    # scripts that were written for Weaver go on working; help does not show these
    for name, (values, _) in RETIRED.items():
        names = [name]
        if values is None:
            names.append(name.replace("--", "--no-"))
        parser.add_argument(
            *names,
            action=Retired,
            nargs=values or 0,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
    namespace = parser.parse_flags(arguments)
    filled = {name: read_flags(namespace, part) for name, part in parts.items()}
    return kind(**filled)
