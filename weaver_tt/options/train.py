"""What a run can be told: dataclasses whose fields are the command line's flags."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from weaver_tt.errors import nearest
from weaver_tt.options.flags import add_flags, flag, read_flags
from weaver_tt.weaver_compat.retired_flags import RETIRED, Retired

KEY_VALUE: dict[str, Any] = {"nargs": 2, "action": "append", "metavar": ("KEY", "VALUE")}


@dataclass(kw_only=True)
class DataOptions:
    """Which files, which share of them, and how they become batches."""

    data_config: str = flag("", "data YAML: columns, preparation, labels", "-c")
    data_config_val: str | None = flag(
        None, "another data YAML for validation, with the same inputs"
    )
    data_config_test: str | None = flag(
        None, "another data YAML for prediction, with the same inputs"
    )
    data_train: list[str] = flag(
        [], "training files: /path/*.root, or name:/path/*.root to name a group", "-i", nargs="*"
    )
    data_val: list[str] = flag(
        [],
        "validation files; without them --train-val-split divides the training files",
        "-l",
        nargs="*",
    )
    data_test: list[str] = flag(
        [],
        "test files; name:/path writes an output for each name, name%%10:/path one for every 10 files",
        "-t",
        nargs="*",
    )
    extra_selection_train: str | None = flag(
        None, "a further condition on training rows: (selection) & (this)"
    )
    extra_selection_val: str | None = flag(None, "the same for validation")
    extra_selection_test: str | None = flag(
        None, "the same for prediction: (test_time_selection) & (this)"
    )
    train_val_split: float = flag(
        0.8,
        "without --data-val: share of each file's rows to train on; its end validates (not for sorted files)",
    )
    data_fraction: float = flag(
        1.0, "share of each file's rows to train and validate on; prediction takes all"
    )
    data_fraction_val: float | None = flag(
        None, "the same for validation (default: that of training)"
    )
    file_fraction: float = flag(
        1.0, "share of each group's files to use; training chooses them anew for each epoch"
    )
    on_bad_file: str = flag(
        "stop",
        "a file that cannot be read: stop, or skip it, count it and report it",
        choices=["stop", "skip"],
    )
    batch_size: int = flag(128, "rows in a batch")
    batch_size_val: int | None = flag(None, "the same in validation (default: that of training)")
    batch_size_test: int | None = flag(None, "the same in prediction (default: that of training)")
    pool_size: int = flag(
        100_000, "rows held in memory to shuffle from (of each rank; its workers share them)"
    )
    num_workers: int = flag(
        0, "worker processes that read training files; 0 reads in a thread of this process"
    )
    steps_per_epoch: int | None = flag(
        None, "training batches in an epoch (default: one pass over the data)"
    )
    samples_per_epoch: int | None = flag(None, "the same in rows")
    steps_per_epoch_val: int | None = flag(
        None,
        "validation batches in an epoch, drawn once from all files (default: all rows in order)",
    )
    samples_per_epoch_val: int | None = flag(None, "the same in rows")
    remake_weights: bool = flag(
        True,
        "--no-remake-weights reuses the run's histograms of reweighting, whatever they were made from",
    )
    copy_inputs: bool = flag(
        False,
        "copy input files to a folder in $TMPDIR first and read them there, such as from EOS; it is removed at the end",
    )
    demo: bool = flag(
        False, "a quick trial: 2 files of each group, 20 batches in an epoch, 2 epochs"
    )
    io_test: bool = flag(False, "only read an epoch and tell how fast")
    custom_functions: str | None = flag(
        None, "python file whose functions the YAML's expressions may call"
    )


@dataclass(kw_only=True)
class NetworkOptions:
    """Which network, and what it starts from."""

    network_config: str = flag("", "python file with get_model(data_config, **options)", "-n")
    network_option: list[list[str]] = flag(
        [], "an option for get_model: -o key value", "-o", **KEY_VALUE
    )
    model_prefix: str = flag(
        "models/{auto}/network",
        "path prefix of all files of a run; {auto}: a name made of time and configuration",
        "-m",
    )
    load_model_weights: str | None = flag(
        None,
        "start from what fits of the weights in this file; FILE.pt:PREFIX takes those under PREFIX.",
    )
    exclude_model_weights: str | None = flag(
        None, "regular expressions, with commas between: weights not to load, such as 'mod.fc.*'"
    )
    freeze_model_weights: str | None = flag(
        None, "regular expressions, with commas between: weights to keep as they are"
    )
    ensemble: int = flag(1, "train this many members that differ in their seed")


@dataclass(kw_only=True)
class TrainOptions:
    """How to train."""

    num_epochs: int = flag(20, "epochs to train")
    start_lr: float = flag(5e-3, "learning rate that the schedule scales")
    optimizer: str = flag(
        "ranger",
        "ranger, or any optimiser of torch.optim (adam, adamW, radam) or pytorch_optimizer (lion); case does not matter",
    )
    optimizer_option: list[list[str]] = flag(
        [], "an option of the optimiser: -p weight_decay 1e-4", "-p", **KEY_VALUE
    )
    lr_scheduler: str = flag(
        "flat+decay",
        "learning-rate curve",
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
        "share of the training (below 1) or number of steps (1 and more) that flat+linear, flat+cos and warmup+cos rise for",
        "--warmup-fraction",
    )
    watch: str | None = flag(
        None,
        "metric that makes the best epoch: loss, accuracy, auc, rejection@0.5, ... (default: the task's, loss as a rule)",
    )
    early_stopping: int | None = flag(None, "stop after this many epochs without improvement")
    clip_gradient: float | None = flag(None, "largest norm of the gradient")
    use_amp: bool = flag(False, "mixed precision: the network runs in --amp-dtype")
    amp_dtype: str = flag(
        "bf16",
        "precision of --use-amp; fp16 scales the loss, and is bf16 on the CPU",
        choices=["fp16", "bf16"],
    )
    compile: bool = flag(False, "torch.compile the network")
    compile_optimizer: bool = flag(False, "torch.compile the optimiser's step")
    compiler_option: list[list[str]] = flag(
        [], "an option of torch.compile: --compiler-option dynamic False", **KEY_VALUE
    )
    gpus: str | None = flag(
        None, "GPU indices such as 0 or 0,1; '' is the CPU; default: what the machine has"
    )
    backend: str | None = flag(
        None,
        "train on the ranks that torchrun (gloo, nccl) or mpirun (mpi) started: nccl for GPUs",
        choices=["gloo", "nccl", "mpi"],
    )
    num_threads: int | None = flag(None, "CPU threads of torch")
    seed: int | None = flag(None, "makes a run reproducible")
    resume: bool = flag(
        False, "continue from PREFIX_resume.pt, or start afresh where there is none"
    )
    load_epoch: int | None = flag(
        None,
        "continue after this epoch: from PREFIX_resume.pt if it was written then, else from that epoch's weights",
    )
    save_minutes: float = flag(5.0, "minutes between saves of PREFIX_resume.pt inside an epoch")
    auto_clean: bool = flag(False, "keep the weights of the best and the latest epoch only")
    cross_validation: str | None = flag(
        None,
        "column%%k: k trainings, each without the rows with int(column) %% k == i, which it then predicts",
    )
    lr_finder: str | None = flag(
        None,
        "only try rates: lowest, highest, steps, such as 5e-6,5,200; a figure and a suggestion in PREFIX_lr_finder.png and .json",
    )
    profile: bool = flag(
        False,
        "only profile some steps: a table in the log, PREFIX_profile/trace.json for chrome://tracing",
    )
    regression_mode: bool = flag(
        False, "make sure that the data YAML's labels are to be regressed; it is they that decide"
    )
    tensorboard: str | None = flag(
        None,
        "folder for TensorBoard (default: PREFIX_tensorboard); a name without '/' means runs/DATE_HOSTNAME; 'off' for none",
    )
    tensorboard_custom_fn: str | None = flag(
        None,
        "python file with get_tensorboard_custom_fn(tb_writer, model_output, model, epoch, i_batch, mode)",
    )
    log: str | None = flag(
        None, "log file (default: PREFIX.log); {auto} as in --model-prefix", "--log-file"
    )
    log_every: int = flag(50, "steps between reading the meters in training")
    progress: bool = flag(True, "progress bar")


@dataclass(kw_only=True)
class OutputOptions:
    """What to do with a trained network."""

    run_mode: str = flag(
        "train,val,test",
        "as in Weaver: `test` alone is --predict; without `test` nothing is predicted after training",
    )
    predict: bool = flag(
        False,
        "only predict --data-test with the network of -m (a prefix, a _state.pt file or a model.onnx)",
    )
    predict_output: str = flag(
        "pred.root",
        "output file, .root or .parquet; a test group with a name adds it: pred_NAME.root",
    )
    predict_gpus: str | None = flag(None, "--gpus for prediction (default: the same)")
    figures: bool = flag(
        True, "figures of the best epoch (PREFIX_figures) and of a prediction, as PNG and PDF"
    )
    export_onnx: str | None = flag(
        None, "write the network of -m to this ONNX file, with preprocess.json beside it"
    )
    onnx_opset: int = flag(17, "ONNX operator set")
    print: bool = flag(False, "print the network, its parameters and FLOPs, and stop")


@dataclass(kw_only=True)
class RunOptions:
    """All options of ``train.py``."""

    data: DataOptions = field(default_factory=DataOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    output: OutputOptions = field(default_factory=OutputOptions)


def parse_options(arguments: Sequence[str] | None = None, prog: str = "train.py") -> RunOptions:
    """``sys.argv`` (or ``arguments``) -> RunOptions; prints help and exits where asked."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Train, predict and export a network on collision events."
    )
    parts = {item.name: item.default_factory for item in dataclasses.fields(RunOptions)}
    for part in parts.values():
        add_flags(parser, part)  # type: ignore[arg-type]
    for name, (values, _) in RETIRED.items():
        spellings = (name,) if values else (name, name.replace("--", "--no-"))
        parser.add_argument(
            *spellings,
            action=Retired,
            nargs=values or 0,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
    namespace, left = parser.parse_known_args(arguments)
    if left:
        flags = [
            flag
            for action in parser._actions
            for flag in action.option_strings
            if flag.startswith("--")
        ]
        parser.error(
            f"{' '.join(left)}: no such flag"
            + (f"; {nearest(left[0].split('=')[0], flags)}" if left[0].startswith("--") else "")
        )
    return RunOptions(**{name: read_flags(namespace, part) for name, part in parts.items()})  # type: ignore[arg-type]
