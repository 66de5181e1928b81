"""Top against QCD jets, trained here and in weaver-core 0.5.3 with the same settings: quality, time and memory of each, several seeds.

    python benchmarks/shootout.py --data /path/for/jets --peer-python /path/to/python-with-weaver-core

Jets are those of ``weaver-tt simulate`` (made in ``--data`` unless they are there). PFN trains on 100k + 100k of them, ParticleNet-Lite on the first
20k + 20k, 10 % of each for validation; the best epoch by validation loss (ours) or accuracy (the peer's only way) predicts 30k + 30k other jets.
Both use Ranger, flat+decay and the same sizes, batch size, rate, epochs, threads. The peer reads as its authors' script for this task says
(``--num-workers 1 --fetch-step 1 --in-memory``), ours with its defaults.

Every training is a process of its own, sides in turn. Its result is kept in ``--output``, and a second call goes on where the first stopped.
Time of an epoch: from one epoch's weights being written to the next, median; validation included. Memory: the largest process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

ROOT = Path(__file__).parents[1]
SIDES = ("weaver_tt", "weaver-core")
CLASSES = ("label_Tbqq", "label_QCD")
SETTINGS = {  # jets of each class, flags of both sides
    "pfn": (100_000, "--batch-size 512 --start-lr 5e-3 --num-epochs 2"),
    "particle_net_lite": (20_000, "--batch-size 128 --start-lr 5e-3 --num-epochs 2"),
}
COMMON = "--optimizer ranger --lr-scheduler flat+decay --train-val-split 0.9"
OURS = "--num-workers 0 --tensorboard off --no-progress"
PEER = "--num-workers 1 --fetch-step 1 --in-memory"
CONFIG = """
treename: tree
new_variables:
  part_mask: ak.ones_like(part_energy)
  part_pt: np.hypot(part_px, part_py)
  part_pt_log: np.log(part_pt)
  part_e_log: np.log(part_energy)
  part_logptrel: np.log(part_pt / jet_pt)
  part_logerel: np.log(part_energy / jet_energy)
  part_deltaR: np.hypot(part_deta, part_dphi)
preprocess: {method: manual}
inputs:
  pf_points: {length: 128, vars: [[part_deta, null], [part_dphi, null]]}
  pf_features:
    length: 128
    vars:
      - [part_pt_log, 1.7, 0.7]
      - [part_e_log, 2.0, 0.7]
      - [part_logptrel, -4.7, 0.7]
      - [part_logerel, -4.7, 0.7]
      - [part_deltaR, 0.2, 4.0]
      - [part_deta, null]
      - [part_dphi, null]
  pf_vectors: {length: 128, vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]}
  pf_mask: {length: 128, vars: [[part_mask, null]]}
labels: {type: simple, value: [label_Tbqq, label_QCD]}
"""
# weaver-core has no --seed: these lines are its command with one
SEEDED = "import random, sys, numpy, torch; s = int(sys.argv.pop(1)); random.seed(s); numpy.random.seed(s); torch.manual_seed(s); {}"
WEAVER = SEEDED.format("from weaver.train import main; main()")


def jets(folder: Path, process: str, use: str, number: int) -> Path:
    """A file with ``number`` simulated jets for training or test; cut from a larger one where there is one."""
    path = folder / f"{process}_{use}_{number}.root"
    if path.exists():
        return path
    larger = sorted(
        folder.glob(f"{process}_{use}_*.root"), key=lambda other: int(other.stem.split("_")[-1])
    )
    if larger and int(larger[-1].stem.split("_")[-1]) > number:
        return head(larger[-1], path, number)
    seed = {"train": "1", "test": "2"}[use]
    # the default window of the hard process loses fewer jets at its edges, and takes more events
    flags = f"simulate --process {process} -n {number} --seed {seed} --workers 2 --pthat-min 500 -o"
    subprocess.run(
        [sys.executable, "-m", "weaver_tt.cli", *flags.split(), str(path)], check=True, cwd=ROOT
    )
    return path


def head(source: Path, target: Path, number: int) -> Path:
    """The first ``number`` rows of a file, in a file of its own."""
    import awkward as ak
    import uproot

    tree = uproot.open(source)["tree"]
    names = [
        name
        for name in tree.keys(recursive=False)
        if name.startswith(("part_p", "part_e", "part_d", "jet_", "label_"))
    ]
    columns = tree.arrays(names, entry_stop=number)
    parts = [name.removeprefix("part_") for name in names if name.startswith("part_")]
    objects = ak.zip({name: columns[f"part_{name}"] for name in parts})
    with uproot.recreate(target, compression=uproot.LZ4(4)) as file:
        content = {"part": objects} | {
            name: columns[name] for name in names if not name.startswith("part_")
        }
        file.mktree(
            "tree", {name: ak.type(values).content for name, values in content.items()}
        ).extend(content)
    return target


def command(side: str, network: str, seed: int, args: argparse.Namespace) -> list[str]:
    """What the training and the prediction of a side have in common."""
    ours = side == "weaver_tt"
    config = args.output / ("ours.yaml" if ours else "peer.yaml")
    config.write_text(CONFIG)
    folder = ROOT / ("network_configs" if ours else "benchmarks/peers")
    start = (
        [sys.executable, str(ROOT / "train.py"), "--num-threads", str(args.threads)]
        if ours
        else [args.peer_python, "-c", WEAVER, str(seed)]
    )
    return [*start, "-c", str(config), "-n", str(folder / f"{network}.py"), "--gpus", ""]


def steps(network: str) -> list[str]:
    """How many batches one pass over the data has: weaver-core wants to be told when it keeps the data in memory."""
    rows, batch = 2 * SETTINGS[network][0], int(SETTINGS[network][1].split()[1])
    return [
        "--steps-per-epoch",
        str(rows * 9 // 10 // batch),
        "--steps-per-epoch-val",
        str(rows // 10 // batch),
    ]


def training(
    side: str, network: str, seed: int, prefix: Path, args: argparse.Namespace
) -> list[str]:
    """The flags of a training."""
    groups = [
        f"{process}:{jets(args.data, process, 'train', SETTINGS[network][0])}"
        for process in ("top", "qcd")
    ]
    settings = f"{SETTINGS[network][1]} {COMMON}" + (
        "" if args.epochs is None else f" --num-epochs {args.epochs}"
    )
    own = (
        [*OURS.split(), "--seed", str(seed)]
        if side == "weaver_tt"
        else [*PEER.split(), *steps(network)]
    )
    return ["-m", str(prefix), "-i", *groups, *settings.split(), *own, "--run-mode", "train,val"]


def prediction(side: str, prefix: Path, args: argparse.Namespace) -> list[str]:
    """The flags of a prediction."""
    files = [str(jets(args.data, process, "test", args.test_jets)) for process in ("top", "qcd")]
    weights = str(prefix) if side == "weaver_tt" else f"{prefix}_best_epoch_state.pt"
    return [
        "-m",
        weights,
        "--predict",
        "-t",
        *files,
        "--predict-output",
        f"{prefix}_pred.root",
        "--batch-size",
        "512",
    ]


def timed(arguments: list[str], log: Path, threads: int) -> float:
    """Run a command in a process of its own; MB that its largest process took."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments, cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed ({status}): {log}\n{log.read_text(errors='replace')[-3000:]}")
    return usage.ru_maxrss / 1024


def quality(path: str) -> dict[str, float]:
    """Accuracy, area under the curve and background rejection at 30 % of a prediction file, by sorting."""
    import numpy as np
    import uproot

    file = uproot.open(path)
    columns = file[file.keys()[0]].arrays([f"score_{CLASSES[0]}", CLASSES[0]], library="np")
    score, signal = columns[f"score_{CLASSES[0]}"], columns[CLASSES[0]] == 1
    order = np.argsort(-score, kind="stable")
    signals, backgrounds = np.cumsum(signal[order]), np.cumsum(~signal[order])
    at_30 = np.searchsorted(signals, 0.3 * signals[-1])
    return {
        "auc": float(1 - backgrounds[signal[order]].sum() / (signals[-1] * backgrounds[-1])),
        "accuracy": float(((score > 0.5) == signal).mean()),
        "rejection_30": float(backgrounds[-1] / max(1, backgrounds[at_30])),
    }


def one(side: str, network: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train and predict, unless that has been done."""
    name = f"{side}_{network}_{seed}"
    result = args.output / f"{name}.json"
    if result.exists():
        return json.loads(result.read_text())
    prefix = args.output / name / "net"
    prefix.parent.mkdir(parents=True, exist_ok=True)
    log, start = args.output / f"{name}.log", command(side, network, seed, args)
    memory = timed([*start, *training(side, network, seed, prefix, args)], log, args.threads)
    written = sorted(path.stat().st_mtime for path in prefix.parent.glob("net_epoch-*_state.pt"))
    timed([*start, *prediction(side, prefix, args)], log, args.threads)
    found = quality(f"{prefix}_pred.root") | {
        "seconds_per_epoch": median(b - a for a, b in pairwise(written)),
        "memory_mb": memory,
    }
    found |= {
        "side": side,
        "network": network,
        "seed": seed,
        "threads": args.threads,
        "epochs": len(written),
    }
    result.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found), flush=True)
    return found


def show(results: list[dict[str, Any]]) -> None:
    """The table: mean and spread over seeds."""
    print(
        f"\n{'network':20s} {'trained with':14s} {'AUC':>18s} {'accuracy':>18s} {'1/eps_B at 30 %':>18s} {'s / epoch':>10s} {'MB':>7s}"
    )
    for network in SETTINGS:
        for side in SIDES:
            runs = [run for run in results if (run["network"], run["side"]) == (network, side)]
            if not runs:
                continue
            cells = []
            for key, digits in (("auc", 5), ("accuracy", 4), ("rejection_30", 0)):
                values = [run[key] for run in runs]
                spread = f" +- {stdev(values):.{digits}f}" if len(values) > 1 else ""
                cells.append(f"{mean(values):.{digits}f}{spread}")
            seconds, memory = (
                median(run["seconds_per_epoch"] for run in runs),
                max(run["memory_mb"] for run in runs),
            )
            print(
                f"{network:20s} {side:14s} {cells[0]:>18s} {cells[1]:>18s} {cells[2]:>18s} {seconds:10.1f} {memory:7.0f}"
            )


def main() -> None:
    """Read the flags, run what has not been run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("shootout_jets"), help="folder of the simulated jets"
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, help="a python that has weaver-core 0.5.3"
    )
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=SIDES)
    parser.add_argument("--networks", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, help="instead of each network's own")
    parser.add_argument("--test-jets", type=int, default=30_000, help="of each class")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("shootout"),
        help="folder of networks, logs and results",
    )
    args = parser.parse_args()
    args.data, args.output = args.data.resolve(), args.output.resolve()
    for folder in (args.data, args.output):
        folder.mkdir(parents=True, exist_ok=True)
    show(
        [
            one(side, network, seed, args)
            for network in args.networks
            for seed in args.seeds
            for side in args.sides
        ]
    )


if __name__ == "__main__":
    main()
