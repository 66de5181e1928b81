"""Where a run takes place: one process or one for each GPU, on which device, on how much of the data."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import torch

from weaver_tt.errors import ConfigError
from weaver_tt.formats.file_groups import first_files
from weaver_tt.log import log
from weaver_tt.options.train import RunOptions
from weaver_tt.run.checks import is_prediction, is_trial
from weaver_tt.system import distributed

DEMO_FILES, DEMO_STEPS, DEMO_EPOCHS = 2, 20, 2


def demo_options(options: RunOptions) -> RunOptions:
    """What ``--demo`` makes of ``options``: some batches of the first files of each group, for two epochs."""
    data, few = options.data, DEMO_STEPS
    kinds = {
        kind: first_files(getattr(data, kind), DEMO_FILES)
        for kind in ("data_train", "data_val", "data_test")
    }
    steps = {
        "steps_per_epoch": min(data.steps_per_epoch or few, few),
        "steps_per_epoch_val": min(data.steps_per_epoch_val or few, few),
    }
    small = replace(data, samples_per_epoch=None, samples_per_epoch_val=None, **kinds, **steps)  # type: ignore[arg-type]
    log.info(
        "--demo: %d files of each group, %d batches in an epoch, %d epochs",
        DEMO_FILES,
        few,
        DEMO_EPOCHS,
    )
    return replace(
        options,
        data=small,
        train=replace(options.train, num_epochs=min(options.train.num_epochs, DEMO_EPOCHS)),
    )


def launches_ranks(options: RunOptions) -> bool:
    """With several GPUs and no ``--backend``, start this command once a GPU under torchrun; True once that has been done."""
    devices = [gpu for gpu in (options.train.gpus or "").split(",") if gpu.strip()]
    training = not (
        is_prediction(options)
        or is_trial(options)
        or options.output.export_onnx
        or options.output.print
    )
    if len(devices) < 2 or options.train.backend or not training:
        return False
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={len(devices)}",
        *sys.argv,
        "--backend",
        "nccl",
    ]
    log.info("one process a GPU: %s", " ".join(command))
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ConfigError(
            f"training on GPUs {options.train.gpus} ended with exit code {code}; the messages above say why"
        )
    return True


def choose_device(gpus: str | None) -> torch.device:
    """``--gpus`` -> device of this rank: '' is the CPU, indices are GPUs, None takes what the machine has."""
    if gpus is None:
        gpus = "0" if torch.cuda.is_available() else ""
    indices = [gpu.strip() for gpu in gpus.split(",") if gpu.strip()]
    if not indices:
        return torch.device("cpu")
    if not all(index.isdigit() for index in indices):
        raise ConfigError(f"--gpus {gpus}: expected indices such as 0 or 0,1, or '' for the CPU")
    index = int(indices[distributed.local_rank() % len(indices)])
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"--gpus {gpus}: this machine has {torch.cuda.device_count()} GPU(s); --gpus '' runs on the CPU"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
