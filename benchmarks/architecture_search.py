"""Which vec_net earns its parameters: a search over its sizes on simulated jets, in two hours.

    python benchmarks/architecture_search.py --data FOLDER              # 100 trials on two cores
    python benchmarks/architecture_search.py --data FOLDER --quick      # some minutes: does it work

Top against QCD jets of ``weaver-tt simulate`` (550-650 GeV), made in ``--data`` unless they are
there. ``weaver-tt tune`` proposes trials by AUC and ant factor together (rejection at 30 % signal
efficiency / parameters, on the validation jets), in ``--workers`` processes of one thread; a second
call goes on with the same search. The space is that of network_configs/vec_net_space.yaml, narrowed
so that a trial takes less than a minute: widths up to 64 on a logarithmic scale, so that narrow
networks are tried as often as wide ones, up to 8 heads and 24 particles, one epoch number.

Prints what the search says of three statements of the poster (Murnane, Thais and Wong): the number
of iterations and K matter little for the AUC; the best ant factors have hidden and vector channels
narrower than 40; a network with a twentieth of the parameters comes close to the best AUC. Exit
code 1 where fewer than 100 trials ended in two hours. ``--output`` gets the report, with
``tuning.json``, and ``search.json`` with what is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaver_tt.system.json_files import write_json

ROOT = Path(__file__).parents[1]
PROCESSES = ("top", "qcd")
SEEDS = {"train": 1, "val": 2}
NARROW = 40  # channels, in the words of the poster
SMALLER = 20  # times fewer parameters than the network with the best AUC
BEST = 10  # trials that are looked at as the best ones
TRIALS = 100
MOST_SECONDS = 2 * 3600.0

SPACE = """
network:
  edge_layers: {low: 1, high: 3}
  node_layers: {low: 0, high: 3}
  iterations: {low: 1, high: 6}
  scalar: {low: 1, high: 64, log: true}
  hidden: {low: 1, high: 64, log: true}
  vectors: {low: 1, high: 64, log: true}
  message: [8, 16, 32]
  heads: [1, 2, 4, 8]
  shortcut: [none, skip, concat]
  activation: [ReLU, SiLU, Tanh]
  batch_norm: [true, false]
  layer_norm: [true, false]
  graph: [fully-connected, static-knn, dynamic-knn]
  k: {low: 3, high: 11}
  keep: [12, 18, 24]
  dropout: {low: 0.0, high: 0.3}
flags:
  start_lr: {low: 1e-3, high: 1e-2, log: true}
"""
FLAGS = (
    "-c weaver_tt:top_tagging -n weaver_tt:vec_net --optimizer adamW --lr-scheduler one-cycle "
    "--batch-size 128 --batch-size-val 1024 --gpus= --num-workers 0 --num-threads 1 "
    "--tensorboard off --no-progress --no-figures --metric auc --metric ant"
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is searched: jets of each class, for training and validation, epochs, trials."""

    train: int
    val: int
    epochs: int
    trials: int


WHOLE = Size(train=2000, val=2000, epochs=3, trials=TRIALS)
QUICK = Size(train=500, val=1000, epochs=1, trials=6)


def command(*arguments: str) -> list[str]:
    """A command line of ``weaver-tt``."""
    return [sys.executable, "-m", "weaver_tt.cli", *arguments]


def simulate(folder: Path, process: str, use: str, jets: int) -> Path:
    """A file of simulated jets, made unless it is there."""
    path = folder / f"{process}_{use}_{jets}.root"
    if not path.exists():
        flags = f"simulate --process {process} -n {jets} --seed {SEEDS[use]} --workers 2 -o {path}"
        subprocess.run(command(*flags.split()), check=True)
    return path


def search(folder: Path, size: Size, workers: int) -> float:
    """Train what is missing of the trials; the seconds that it takes."""
    space = folder / "space.yaml"
    space.write_text(SPACE)
    flags = FLAGS.split()
    for flag, use, jets in (("-i", "train", size.train), ("--data-val", "val", size.val)):
        files = [simulate(folder, process, use, jets) for process in PROCESSES]
        flags += [flag, *(f"{name}:{path}" for name, path in zip(PROCESSES, files, strict=True))]
    flags += ["--num-epochs", str(size.epochs), "--trials", str(size.trials)]
    flags += ["--space", str(space), "--storage", str(folder / "search.journal")]
    flags += ["-m", str(folder / "models" / "vec_net")]
    start = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = []
    for number in range(workers):
        with (folder / f"worker-{number}.log").open("a") as log:
            processes.append(
                subprocess.Popen(command("tune", *flags), stderr=log, cwd=ROOT, env=environment)
            )
    codes = [process.wait() for process in processes]
    if any(codes):
        sys.exit(f"a worker ended with exit code {max(codes)}: see {folder}/worker-*.log")
    return time.monotonic() - start


# --- what the trials say


def statements(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the search says of those of the poster, from ``tuning.json``."""
    trials = [trial for trial in content["trials"] if trial["values"]]
    forest = content["random_forest"]
    counts = Counter(trial["state"].partition(" ")[0] for trial in content["trials"])
    ended = counts["complete"] + counts["pruned"] + counts["fail"]
    found: dict[str, Any] = {"trials": ended, "completed": counts["complete"]}
    if "auc" in forest:
        order = list(forest["auc"])
        for name in ("-o iterations", "-o k"):
            found[f"place of {name} for auc, of {len(order)}"] = order.index(name) + 1
    by_ant = sorted(trials, key=lambda trial: -trial["values"]["ant"])
    found["narrow among all"] = share_of_narrow(trials)
    found[f"narrow among the {BEST} best by ant"] = share_of_narrow(by_ant[:BEST])
    best = max(trials, key=lambda trial: trial["values"]["auc"])
    small = [trial for trial in trials if trial["parameters"] * SMALLER <= best["parameters"]]
    found["best auc"] = of_trial(best)
    if small:
        found[f"best auc with {SMALLER} times fewer parameters"] = of_trial(
            max(small, key=lambda trial: trial["values"]["auc"])
        )
    found["best ant"] = of_trial(by_ant[0])
    return found


def share_of_narrow(trials: Sequence[Mapping[str, Any]]) -> float:
    """The share of trials whose hidden and vector channels are both narrow."""
    narrow = 0
    for trial in trials:
        widths = [trial["settings"][name] for name in ("-o hidden", "-o vectors")]
        narrow += max(widths) < NARROW
    return narrow / len(trials)


def of_trial(trial: Mapping[str, Any]) -> dict[str, Any]:
    """Quality and size of a trial."""
    return {
        "trial": trial["number"],
        "parameters": trial["parameters"],
        "auc": trial["values"]["auc"],
        "ant": trial["values"]["ant"],
    }


def print_importances(content: Mapping[str, Any]) -> None:
    """A line for each setting: importance and correlation for both metrics."""
    forest = content["random_forest"]
    if not forest:
        return
    # mean and spread of forests, and the correlation; that of choices is a ratio, never below 0
    head = "".join(f"{f'{metric}: forest':>18}{'correlation':>14}" for metric in ("auc", "ant"))
    print(" " * 18 + head)
    correlations = content["linear_correlation"]
    for name in forest["auc"]:
        line = f"{name:18}"
        for metric in ("auc", "ant"):
            importance = forest[metric][name]
            forest_text = f"{importance['mean']:.2f} +- {importance['spread']:.2f}"
            line += f"{forest_text:>18}{correlations[metric][name]:>+14.2f}"
        print(line)


def main() -> None:
    """Search, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of jets, trials, search")
    parser.add_argument("--output", type=Path, help="folder of the report (default: in --data)")
    parser.add_argument("--quick", action="store_true", help="few trials of few jets")
    parser.add_argument("--jets", type=int, help="of each class, for training")
    parser.add_argument("--val-jets", type=int, help="of each class, for validation")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    size = QUICK if options.quick else WHOLE
    size = Size(
        train=options.jets or size.train,
        val=options.val_jets or size.val,
        epochs=options.epochs or size.epochs,
        trials=options.trials or size.trials,
    )
    options.data.mkdir(parents=True, exist_ok=True)
    output = options.output or options.data / "report"
    seconds = search(options.data, size, options.workers)
    journal = str(options.data / "search.journal")
    subprocess.run(command("tune-report", journal, "-o", str(output)), check=True)
    content = json.loads((output / "tuning.json").read_text())
    print_importances(content)
    found = statements(content)
    found["seconds"] = seconds
    for name, value in found.items():
        print(f"{name}: {value}")
    write_json(output / "search.json", found)
    if not options.quick and (found["trials"] < TRIALS or seconds > MOST_SECONDS):
        sys.exit(f"bar: {TRIALS} trials in two hours")


if __name__ == "__main__":
    main()
