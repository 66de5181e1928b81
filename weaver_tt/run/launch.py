"""Where a run takes place: on one process or one for each GPU, on which device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from weaver_tt.errors import ConfigError
from weaver_tt.formats.file_groups import first_files
from weaver_tt.log import log
from weaver_tt.options.train import RunOptions
from weaver_tt.run.checks import is_training
from weaver_tt.system import distributed
from weaver_tt.system.json_files import write_json
from weaver_tt.system.signals import Interrupted, deferring_signals, interruption

# seconds between two looks at signals that came for the ranks
LOOK_EVERY = 0.2

# what rank 0 hands over instead of a result
INTERRUPTED = "interrupted"

# environment variable: the file in which rank 0 leaves its result
RESULT_FILE = "WEAVER_TT_RESULT_FILE"

# what --demo leaves: files of each group, batches in an epoch, epochs
DEMO_FILES = 2
DEMO_STEPS = 20
DEMO_EPOCHS = 2


def demo_options(options: RunOptions) -> RunOptions:
    """What ``--demo`` makes of ``options``: a few batches of the first files, for two epochs."""
    data = options.data
    small = replace(
        data,
        data_train=first_files(data.data_train, DEMO_FILES),
        data_val=first_files(data.data_val, DEMO_FILES),
        data_test=first_files(data.data_test, DEMO_FILES),
        steps_per_epoch=_demo_steps(data.steps_per_epoch),
        steps_per_epoch_val=_demo_steps(data.steps_per_epoch_val),
        # steps and rows would contradict each other
        samples_per_epoch=None,
        samples_per_epoch_val=None,
    )
    log.info(
        "--demo: %d files of each group, %d batches in an epoch, %d epochs",
        DEMO_FILES,
        DEMO_STEPS,
        DEMO_EPOCHS,
    )
    train = replace(options.train, num_epochs=min(options.train.num_epochs, DEMO_EPOCHS))
    return replace(options, data=small, train=train)


def _demo_steps(steps: int | None) -> int:
    """The batches that ``--demo`` leaves; None, or Weaver's -1, stands for all of the data."""
    if steps is None or steps < 0:
        return DEMO_STEPS
    return min(steps, DEMO_STEPS)


def needs_ranks(options: RunOptions) -> bool:
    """Whether this command is to be started once for each GPU.

    That is a training on several GPUs without ``--backend``, which says that it has been.
    """
    if options.train.backend or len(_indices(options.train.gpus or "")) < 2:
        return False
    return is_training(options)


def launch_ranks(options: RunOptions) -> dict[str, Any]:
    """Start this command once for each GPU, under torchrun; what its rank 0 has handed over.

    Signals are passed on to the ranks, and an interruption of theirs is raised here.

    Raises:
        ConfigError: one of the processes failed.
        Interrupted: the ranks were asked to end early.
    """
    processes = len(_indices(options.train.gpus or ""))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
        *sys.argv,
        "--backend",
        "nccl",
    ]
    log.info("one process for each GPU: %s", " ".join(command))
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        environment = os.environ | {RESULT_FILE: str(result)}
        # what the ranks hand over says more than the signal that they have ended by
        with suppress(Interrupted), deferring_signals():
            code = _run_passing_signals(command, environment, Path(folder))
        handed = json.loads(result.read_text()) if result.is_file() else {}
        if INTERRUPTED in handed:
            raise Interrupted(handed[INTERRUPTED])
        if code:
            raise ConfigError(
                f"training on GPUs {options.train.gpus} ended with exit code {code}; "
                "the messages above say why"
            )
        return handed


def _run_passing_signals(command: list[str], environment: dict[str, str], folder: Path) -> int:
    """Run torchrun, and pass what asks for an early end to its ranks; its exit code.

    torchrun itself ends by some signals and leaves its ranks alone, and kills them half a minute
    after others.
    """
    told: set[int] = set()
    # in a session of its own: what the terminal sends would reach torchrun as well
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_EVERY)
            if interruption() is not None:
                ranks = _rank_processes(folder)
                _send(signal.SIGTERM, ranks - told)
                told |= ranks
    except KeyboardInterrupt:
        # the second one: at once
        _send(signal.SIGKILL, _rank_processes(folder) | {process.pid})
        process.wait()
        raise


def _rank_processes(folder: Path) -> set[int]:
    """The ranks that have begun, by the files that :func:`announce_rank` leaves."""
    return {int(path.stem) for path in folder.glob("*.rank")}


def _send(number: signal.Signals, processes: set[int]) -> None:
    for process in processes:
        # it may have ended meanwhile
        with suppress(ProcessLookupError):
            os.kill(process, number)


def announce_rank() -> None:
    """Say that this process is a rank, to the one that has launched it."""
    folder = Path(os.environ[RESULT_FILE]).parent
    (folder / f"{os.getpid()}.rank").touch()


def is_launched() -> bool:
    """Whether :func:`launch_ranks` has started this process."""
    return RESULT_FILE in os.environ


def hand_over(result: dict[str, Any]) -> None:
    """Give the ``result`` of rank 0 to the process that has started the ranks."""
    if distributed.launched_rank() == 0:
        write_json(os.environ[RESULT_FILE], result)


def choose_device(gpus: str | None) -> torch.device:
    """The device of this rank, by ``--gpus``: '' is the CPU, indices are GPUs.

    None is the first GPU, or the CPU where there is none.

    Raises:
        ConfigError: this machine has no such GPU.
    """
    if gpus is None:
        gpus = "0" if torch.cuda.is_available() else ""
    indices = _indices(gpus)
    if not indices:
        return torch.device("cpu")
    if not all(index.isdigit() for index in indices):
        raise ConfigError(f"--gpus {gpus}: expected indices such as 0 or 0,1, or '' for the CPU")
    index = int(indices[distributed.local_rank() % len(indices)])
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"--gpus {gpus}: this machine has {torch.cuda.device_count()} GPU(s); "
            "--gpus '' runs on the CPU"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _indices(gpus: str) -> list[str]:
    """The entries of ``--gpus``."""
    return [gpu.strip() for gpu in gpus.split(",") if gpu.strip()]
