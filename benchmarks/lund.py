"""Lund trees a second of CPU, and a training step of LundNet beside one of ParticleNet.

    python benchmarks/lund.py top.root qcd.root [--repeats 5] [--json lund.json]

Files of ``weaver-tt simulate`` with at least 128 jets in all, without Lund columns. Trees are made
from file to file by one process, without a cut and with ln kt > 0. A step is the gradient of the
first 128 jets on one thread; both networks take turns. Times are CPU times. Bars: 500 jets a
second, and 5 times the jets of the full ParticleNet. Prints a line for each; exit code 1 where a
bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional
from turns import take_turns

from weaver_tt.api import BatchDataset, load_config
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.network.file import NetworkFile
from weaver_tt.samples.lund.files import write_lund_trees
from weaver_tt.samples.lund.trees import MOMENTA, LundCuts
from weaver_tt.system.json_files import write_json

JETS = 128
BARS = {"jets a CPU second": 500.0, "LundNet over ParticleNet": 5.0}
NETWORKS = {"lund_net": "lund", "particle_net": "top_tagging"}


def tree_rate(files: list[str], output: str, ln_kt_min: float | None) -> float:
    """Jets a second of CPU, from file to file."""
    start = time.process_time()
    counts, _ = write_lund_trees(
        parse_groups(files),
        output,
        momenta=MOMENTA,
        cuts=LundCuts(ln_kt_min=ln_kt_min),
        progress=False,
    )
    return counts.jets / (time.process_time() - start)


def training_step(network: str, example: str, path: str) -> Callable[[], None]:
    """The gradient of the first jets of a file; ``example`` is the data YAML."""
    config = load_config(f"weaver_tt:{example}")
    module, info = NetworkFile(f"weaver_tt:{network}").get_model(config, {})
    batch = next(iter(BatchDataset(config, [path], batch_size=JETS)))
    inputs = [batch.inputs[name].clone() for name in info["input_names"]]
    classes = batch.labels["_label_"].clone()

    def step() -> None:
        module.zero_grad()
        functional.cross_entropy(module(*inputs), classes).backward()

    return step


def step_times(path: str, repeats: int) -> dict[str, float]:
    """Milliseconds of CPU a jet of a training step of each network, in turns, on one thread."""
    torch.set_num_threads(1)
    steps = {name: training_step(name, example, path) for name, example in NETWORKS.items()}
    times = take_turns(steps, repeats, clock=time.process_time)
    return {name: 1000 * statistics.median(values) / JETS for name, values in times.items()}


def main() -> int:
    """Measure, print, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "trees.root")
        # the last one, without a cut, is trained on
        with_cut = tree_rate(options.files, path, 0.0)
        without = tree_rate(options.files, path, None)
        per_jet = step_times(path, options.repeats)
    ratio = per_jet["particle_net"] / per_jet["lund_net"]
    print(f"trees: {without:.0f} jets a CPU second, {with_cut:.0f} with ln kt > 0")
    ours, theirs = per_jet["lund_net"], per_jet["particle_net"]
    print(
        f"a step: {ours:.2f} ms of CPU a jet, ParticleNet {theirs:.2f}: {ratio:.1f} times the jets"
    )
    found = {"jets a CPU second": min(without, with_cut), "LundNet over ParticleNet": ratio}
    if options.json:
        write_json(Path(options.json), {"ms_per_jet": per_jet, **found})
    missed = [name for name, bar in BARS.items() if found[name] < bar]
    print("bars missed: " + ", ".join(missed) if missed else "all bars are met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
