"""What checkpoints, event accounting and the clocks of stages cost.

    python benchmarks/bookkeeping.py

An epoch is run with every call of the accounting noted, and the calls are made once more in a tight
loop; the clocks' calls are counted. Fastest of several attempts over the fastest epoch, in time on
cores: on a machine with other jobs, epochs with and without differ by more than what is looked for.
Reading alone is the worst case: JetClass-like jets of ``loader.py``, nothing is computed on them.
A checkpoint is what ``--save-minutes`` writes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import loader as data
import torch

from weaver_tt.applications.truth_tagging.commands import ToyOptions, run_toy
from weaver_tt.config.load import load_config
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.loaders import Loader, train_loader
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.network.network import build_network
from weaver_tt.options.train import RunOptions
from weaver_tt.run.task import make_run_task
from weaver_tt.system import stage_times

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
JETCLASS = ("particle_net.py", [])
TOY = ("truth_tagging_edges.py", [])


def time_on_cores(work: Callable[[], Any]) -> float:
    """Seconds of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def fastest(work: Callable[[], Any], attempts: int) -> float:
    """Seconds on cores of the fastest of some attempts."""
    return min(time_on_cores(work) for _ in range(attempts))


def time_of_accounting(work: Callable[[], Any], attempts: int) -> float:
    """Seconds that ``work`` spends in the accounting, and in making its objects."""
    calls: list[tuple[str, tuple[Any, ...]]] = []
    made = 0

    def noting(name: str) -> Callable[..., Any]:
        original = getattr(Accounting, name)

        def note(self: Accounting, *args: Any) -> Any:
            calls.append((name, args))
            return original(self, *args)

        return note

    make = Accounting.__init__

    def make_and_count(self: Accounting, *args: Any, **named: Any) -> None:
        nonlocal made
        made += 1
        make(self, *args, **named)

    with ExitStack() as stack:
        for name in ("add", "add_rows"):
            stack.enter_context(mock.patch.object(Accounting, name, noting(name)))
        stack.enter_context(mock.patch.object(Accounting, "__init__", make_and_count))
        work()

    def once_more() -> None:
        total = Accounting()
        for _ in range(made):
            Accounting()
        for name, args in calls:
            getattr(total, name)(*args)

    return fastest(once_more, attempts)


def time_of_clocks(work: Callable[[], Any], attempts: int) -> float:
    """Seconds that ``work`` spends in the clocks of its stages."""
    running = stage_times._Running
    enter = running.__enter__
    entered = 0

    def enter_and_count(self: Any) -> None:
        nonlocal entered
        entered += 1
        enter(self)

    with mock.patch.object(running, "__enter__", enter_and_count):
        work()

    def once_more() -> None:
        times = stage_times.StageTimes()
        # inside a stage, as all but the outermost are
        with times.stage(stage_times.Stage.BATCHING):
            for _ in range(entered):
                with stage_times.stage(stage_times.Stage.EXPRESSIONS, "pt"):
                    pass

    return fastest(once_more, attempts)


def print_costs(name: str, work: Callable[[], Any], attempts: int) -> None:
    """The shares of the time of ``work``."""
    whole = fastest(work, attempts)
    accounting = time_of_accounting(work, attempts) / whole
    clocks = time_of_clocks(work, attempts) / whole
    print(f"{name}: accounting {accounting:.2%}, clocks {clocks:.2%} of {whole:.2f} s", flush=True)


def jets_loader(folder: Path, batch_size: int) -> Loader:
    """Training batches of the JetClass-like files."""
    options = RunOptions().data
    options.data_train = [f"class{i}:{path}" for i, path in enumerate(data.paths(str(folder)))]
    options.data_val = options.data_train[:1]
    options.batch_size = batch_size
    return train_loader(load_config(data.write_config(str(folder), "constant")), options, seed=1)


def toy_training(folder: Path, batch_size: int) -> tuple[Training, Loader]:
    """A training of the edge network on toy events."""
    options = RunOptions()
    options.data.data_train = [str(folder / "toy.root")]
    options.data.data_val = options.data.data_train
    options.data.batch_size = batch_size
    return make_training(folder, str(ROOT / "data_configs/truth_tagging.yaml"), TOY, options)


def jets_training(folder: Path) -> tuple[Training, Loader]:
    """A training of ParticleNet on JetClass-like jets, as far as a few steps."""
    options = RunOptions()
    paths = data.paths(str(folder))
    options.data.data_train = [f"class{i}:{path}" for i, path in enumerate(paths)]
    options.data.data_val = options.data.data_train
    options.data.batch_size = 32
    options.data.steps_per_epoch = 3
    yaml = data.write_config(str(folder), "constant")
    return make_training(folder, yaml, JETCLASS, options)


def make_training(
    folder: Path, yaml: str, network: tuple[str, list[list[str]]], options: RunOptions
) -> tuple[Training, Loader]:
    """A training that has not begun."""
    name, network_options = network
    options.network.network_config = str(ROOT / "network_configs" / name)
    options.network.network_option = network_options
    options.train.save_minutes = 1e9
    config = load_config(yaml)
    built = build_network(config, options.network, CPU, seed=1)
    task = make_run_task(config, options, 1)
    rows = train_loader(config, options.data, seed=1, wanted_labels=task.wanted_labels)
    training = Training(built, task, options.train, str(folder / name), NullTracker(), 1)
    training.start()
    return training, rows


def train_from_start(training: Training, rows: Loader) -> None:
    """An epoch, or what ``--steps-per-epoch`` makes of it."""
    training.state.batches = 0
    training.state.meters = []
    training.train(rows)


def time_saves(training: Training, rows: Loader, number: int) -> str:
    """How long saves take, of a step and of the end of an epoch, and a batch."""
    whole = time_on_cores(lambda: train_from_start(training, rows))
    of_batch = whole / training.state.batches
    size = 0
    of_step = []
    of_epoch = []
    metrics = training.train(rows)
    for _ in range(number):
        start = time.perf_counter()
        training.save_state(training.state.meters, {})
        of_step.append(time.perf_counter() - start)
        size = training.parts.files.resume.stat().st_size
        start = time.perf_counter()
        training.save_epoch(metrics)
        of_epoch.append(time.perf_counter() - start)
    return (
        f"a save takes {1000 * median(of_step):.0f} ms ({size / 1e6:.2f} MB), every 5 minutes "
        f"{median(of_step) / 300:.3%}; the end of an epoch {1000 * median(of_epoch):.0f} ms; "
        f"a batch {1000 * of_batch:.1f} ms on a core"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1500, help="of each of ten JetClass-like files")
    parser.add_argument("--events", type=int, default=20_000, help="toy events")
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data.write_files(scratch, args.rows, cluster=1000)
        run_toy(ToyOptions(events=args.events, output=f"{scratch}/toy/toy.root"))
        for batch_size in (128, 1024):
            read = partial(list_sizes, jets_loader(folder, batch_size))
            print_costs(f"reading alone, batches of {batch_size}", read, args.repeat)
        edges, events = toy_training(folder / "toy", 200)
        train = partial(train_from_start, edges, events)
        print_costs("edge network, batches of 200", train, args.repeat)
        trainings = {"edge network": (edges, events), "ParticleNet": jets_training(folder)}
        for name, (training, rows) in trainings.items():
            print(f"{name}: {time_saves(training, rows, 20)}", flush=True)


def list_sizes(rows: Loader) -> list[int]:
    """Rows of each batch of an epoch."""
    return [batch.size for batch in rows.epoch(0)]


if __name__ == "__main__":
    main()
