"""Whether the message about what limits a training is right, and whether its advice helps.

    python benchmarks/throughput.py

Trains for some seconds where one stage of a batch is slow, prints what the message says, follows
its advice, and trains again, in turn. The files are those of ``loader.py``, the network is
``network_configs/pfn.py``. A slow disk is simulated: each request for bytes of a file waits.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import awkward as ak
import loader as data
import numpy as np
import torch
import uproot

from weaver_tt.config.load import load_config
from weaver_tt.data.loaders import train_loader
from weaver_tt.engine.loop import run_epoch
from weaver_tt.engine.throughput import Doctor, describe_limit, make_setup
from weaver_tt.engine.update import make_update
from weaver_tt.network.network import build_network
from weaver_tt.options.train import RunOptions
from weaver_tt.run.task import make_run_task

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
CLUSTER = 1000  # rows
POOL = 20_000  # rows; small beside those of an epoch
SLOW_ANSWER = 0.05  # seconds that a request waits on the simulated disk
RANK = "ak.argsort(ak.argsort(part_energy, axis=-1), axis=-1)"
SMALL = [["phi_sizes", "(8,)"], ["f_sizes", "(8,)"]]
LARGE = [["phi_sizes", "(256, 256, 256)"], ["f_sizes", "(256,)"]]


@dataclass(frozen=True)
class Way:
    """One way to train."""

    files: str = "lz4"
    yaml: str = "plain"
    network: list[list[str]] = field(default_factory=lambda: SMALL)
    workers: int = 0
    threads: int = 1
    around: Callable[[], Any] = nullcontext


@contextmanager
def slow_disk() -> Iterator[None]:
    """Each request for bytes of a ROOT file waits."""
    resource = uproot.source.file.FileResource
    get = resource.get

    def wait_and_get(self: Any, start: int, stop: int) -> bytes:
        time.sleep(SLOW_ANSWER)
        return get(self, start, stop)

    resource.get = wait_and_get
    try:
        yield
    finally:
        resource.get = get


# what is slow, what is advised -> a training, and one that follows the advice
CASES = {
    "files in LZMA; LZ4": (Way(files="lzma"), Way()),
    "ranks of particles by an expression; by a column": (
        Way(yaml="expression"),
        Way(yaml="column"),
    ),
    "a disk that answers in 50 ms; 2 workers": (
        Way(around=slow_disk),
        Way(around=slow_disk, workers=2),
    ),
    "three layers of 256, 1 thread; 2": (Way(network=LARGE), Way(network=LARGE, threads=2)),
}


def write_files(folder: Path, rows: int) -> None:
    """The same jets in LZ4 and in LZMA, with a column that ranks the particles."""
    random = np.random.default_rng(1)
    for compression in ("lz4", "lzma"):
        (folder / compression).mkdir()
    for number, name in enumerate(data.CLASSES):
        counts = random.normal(45, 18, rows).clip(1, 128).astype(int)  # (R,)
        particles = data.make_particles(random, int(counts.sum()))
        objects = ak.unflatten(ak.zip(particles), counts)
        objects["rank"] = ak.values_astype(
            ak.argsort(ak.argsort(objects.energy, axis=-1), axis=-1), np.float32
        )
        scalars = {
            "jet_pt": ak.sum(np.hypot(objects.px, objects.py), axis=1),
            "jet_energy": ak.sum(objects.energy, axis=1),
        }
        for label in data.CLASSES:
            scalars[f"label_{label}"] = np.full(rows, label == name, dtype=np.float32)
        members = ", ".join(f"{column}: float32" for column in objects.fields)
        types = {"part": f"var * {{{members}}}"} | dict.fromkeys(scalars, "float32")
        for folder_name, compression in (("lz4", uproot.LZ4(4)), ("lzma", uproot.LZMA(5))):
            path = folder / folder_name / f"class{number}.root"
            with uproot.recreate(path, compression=compression) as file:
                tree = file.mktree("tree", types)
                for first in range(0, rows, CLUSTER):
                    part = slice(first, first + CLUSTER)
                    columns = {name: np.asarray(values)[part] for name, values in scalars.items()}
                    tree.extend({"part": objects[part]} | columns)


def write_yamls(folder: Path) -> None:
    """The YAML of the loader's benchmark, and with ranks of particles."""
    labels = ", ".join(f"label_{name}" for name in data.CLASSES)
    plain = data.CONFIG.format(pad="constant", labels=labels)
    ranked = plain.replace("      - [part_d0, null]\n", "      - [part_order, 20, 0.05]\n")
    texts = {
        "plain": plain,
        "expression": ranked.replace("preprocess:", f"  part_order: {RANK}\npreprocess:"),
        "column": ranked.replace("part_order", "part_rank"),
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def train(folder: Path, way: Way, seconds: float) -> tuple[str, float]:
    """What the message says, and rows per second."""
    options = RunOptions()
    options.data.data_train = [
        f"class{number}:{folder}/{way.files}/class{number}.root"
        for number in range(len(data.CLASSES))
    ]
    options.data.data_val = options.data.data_train
    options.data.batch_size = 256
    options.data.pool_size = POOL
    options.data.num_workers = way.workers
    options.network.network_config = str(ROOT / "network_configs" / "pfn.py")
    options.network.network_option = way.network
    torch.set_num_threads(way.threads)
    config = load_config(str(folder / f"{way.yaml}.yaml"))
    network = build_network(config, options.network, CPU, seed=1)
    task = make_run_task(config, options, 1)
    rows = train_loader(config, options.data, seed=1, wanted_labels=task.wanted_labels)
    update = make_update(network.unwrapped, task, options.train)
    doctor = Doctor(make_setup(CPU, options.train), seconds)
    epochs = itertools.chain.from_iterable(rows.epoch(number) for number in itertools.count())
    with way.around():
        run_epoch(network, task, doctor.watch_until_said(epochs, rows), update=update)
    measurement = doctor.measurement
    setup = replace(make_setup(CPU, options.train), workers=way.workers)
    text = describe_limit(measurement, setup)
    return text, measurement.batches * options.data.batch_size / measurement.seconds


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6000, help="of each of ten files")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each training")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--case", help="only those whose name has this in it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_files(folder, args.rows)
        write_yamls(folder)
        for name, ways in CASES.items():
            if args.case and args.case not in name:
                continue
            texts: list[str] = []
            rates: list[list[float]] = [[], []]
            for _ in range(args.repeat):
                for way, found in zip(ways, rates, strict=True):
                    text, rate = train(folder, way, args.seconds)
                    texts.append(text)
                    found.append(rate)
            before, after = map(median, rates)
            print(f"\n{name}: {before:,.0f} -> {after:,.0f} rows/s ({after / before:.2f})")
            limits = [text.splitlines()[0].split(": ")[1].split(" (")[0] for text in texts]
            print(f"limit, before and after in turn: {', '.join(limits)}")
            print(texts[0])


if __name__ == "__main__":
    main()
