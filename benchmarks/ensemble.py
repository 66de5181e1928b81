"""A training step of an ensemble whose members are trained together, against that of one network.

    python benchmarks/ensemble.py                       # 20 members, batches of 200 and 1000
    python benchmarks/ensemble.py --members 4 --network network_configs/particle_net.py ...

Both take their steps on the same batches of toy jets, in turn in one process, with all that a
training does in a step: Poisson weights, forward, loss, backward, Adam, meters and, of members,
their own random numbers. Batches lie in memory, padded; the time to read and pad them, which
is done once whatever the number of members, is stated beside. Seconds are those of this thread on a
CPU, which another job on the machine does not add to; medians over ``--repeat`` rounds.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from weaver_tt.applications.truth_tagging.toy import write_toy
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.loaders import train_loader
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import TimedBatches, run_together
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.network.network import build_network
from weaver_tt.options.train import DataOptions, NetworkOptions, TrainOptions
from weaver_tt.tasks.registry import make_task

ROOT = Path(__file__).parents[1]
BATCHES = 8


def main() -> None:
    """Parse, measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--network", default=str(ROOT / "network_configs/truth_tagging_edges.py"))
    parser.add_argument("--repeat", type=int, default=9, help="rounds of one and of all")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.root"
        write_toy(str(path), BATCHES * max(arguments.batch_sizes) * 2, seed=1)
        for size in arguments.batch_sizes:
            results.append(measure(path, size, arguments))
    print(f"{arguments.members} members, {arguments.threads} thread(s), ms of a step")
    print("batch   one   all   ratio   ratio without sharing   reading and padding")
    for found in results:
        print(
            f"{found['batch_size']:5d} {found['one']:5.2f} {found['all']:5.1f} "
            f"{found['ratio']:7.2f} {found['ratio_without_sharing']:23.2f} "
            f"{found['reading']:21.2f}"
        )
    print(json.dumps(results))


def measure(path: Path, batch_size: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a step of one network and of all members."""
    config = load_config(str(ROOT / "data_configs/truth_tagging.yaml"))
    data = DataOptions(data_train=[str(path)], batch_size=batch_size)
    loader = train_loader(config, data, seed=1, identify=True)
    start = time.perf_counter()
    batches = []
    for batch in loader.epoch(0):
        # the next one overwrites it
        batches.append(copy.deepcopy(batch))
        if len(batches) == BATCHES:
            break
    reading = (time.perf_counter() - start) / BATCHES
    one = [make_member(config, arguments.network, 0, takes_turns=False)]
    members = [
        make_member(config, arguments.network, number, takes_turns=True)
        for number in range(arguments.members)
    ]
    for training in [*one, *members]:
        training.begin_training(TimedBatches(batches), loader)
    seconds: dict[str, list[float]] = {"one": [], "all": [], "without": []}
    for _ in range(arguments.repeat + 1):
        seconds["one"].append(time_steps(one, batches))
        seconds["all"].append(time_steps(members, batches))
        seconds["without"].append(time_steps(members, batches, shares=False))
    # the first round allocates memory
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    return {
        "batch_size": batch_size,
        "members": arguments.members,
        "one": 1000 * medians["one"],
        "all": 1000 * medians["all"],
        "ratio": medians["all"] / medians["one"],
        "ratio_without_sharing": medians["without"] / medians["one"],
        "reading": 1000 * reading,
    }


def make_member(config: DataConfig, network: str, number: int, *, takes_turns: bool) -> Training:
    """A training that begins, as ``--ensemble`` makes its members."""
    options = TrainOptions(optimizer="adam", lr_scheduler="warmup+cos", start_lr=2e-2)
    built = build_network(config, NetworkOptions(network_config=network), seed=number)
    return Training(
        built,
        make_task(config),
        options,
        "net",
        NullTracker(),
        number,
        takes_turns=takes_turns,
        # a network alone has none
        poisson_seed=number if takes_turns else None,
    )


def time_steps(trainings: list[Training], batches: list[Batch], shares: bool = True) -> float:
    """Seconds of a step of all ``trainings``, of this thread."""

    def given() -> Iterator[Batch]:
        for batch in batches:
            yield replace(batch)

    start = time.thread_time()
    if shares:
        run_together(trainings, given())
    else:
        # as if each were alone
        for training in trainings:
            run_together([training], given())
    return (time.thread_time() - start) / len(batches)


if __name__ == "__main__":
    main()
