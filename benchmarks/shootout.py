"""Top against QCD jets, trained here and in weaver-core 0.5.3 with the same settings.

    python benchmarks/shootout.py --data FOLDER --peer-python /path/to/python-with-weaver-core

Gives quality, time and memory of each side, for several seeds. Jets are those of ``weaver-tt
simulate`` (made in ``--data`` unless they are there). PFN trains on 100k + 100k of them,
ParticleNet-Lite on the first 20k + 20k, 10 % of each for validation; the best epoch by validation
loss (ours) or accuracy (the peer's only way) predicts 30k + 30k other jets. Both sides use Ranger,
flat+decay and the same sizes, batch size, learning rate, epochs and threads. The peer reads its
files as its authors' script for this task says (``--num-workers 1 --fetch-step 1 --in-memory``), we
read ours with our defaults.

Every training is a process of its own, the two sides in turn. Its result is kept in ``--output``,
and a second call goes on where the first stopped. The time of an epoch is that from one epoch's
weights being written to the next, validation included; the median counts. Memory is that of the
largest process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

ROOT = Path(__file__).parents[1]
SIDES = ("weaver_tt", "weaver-core")
CLASSES = ("label_Tbqq", "label_QCD")


@dataclass(frozen=True)
class Settings:
    """How a network is trained, on both sides."""

    jets: int  # of each class
    batch_size: int
    flags: str = "--start-lr 5e-3 --num-epochs 2"


SETTINGS = {
    "pfn": Settings(jets=100_000, batch_size=512),
    "particle_net_lite": Settings(jets=20_000, batch_size=128),
}

# flags of both sides, and of each
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
  pf_vectors:
    length: 128
    vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]
  pf_mask: {length: 128, vars: [[part_mask, null]]}
labels: {type: simple, value: [label_Tbqq, label_QCD]}
"""
# weaver-core has no --seed: this is its command with a first argument for one
WEAVER = """
import random, sys, numpy, torch
seed = int(sys.argv.pop(1))
random.seed(seed)
numpy.random.seed(seed)
torch.manual_seed(seed)
from weaver.train import main
main()
"""


def jets_file(folder: Path, process: str, use: str, number: int) -> Path:
    """A file with ``number`` simulated jets for training or test.

    It is made unless it is there: of the first rows of a larger one if there is one, else by
    simulation.
    """
    path = folder / f"{process}_{use}_{number}.root"
    if path.exists():
        return path
    others = list(folder.glob(f"{process}_{use}_*.root"))
    largest = max(others, key=number_of_jets, default=None)
    if largest is not None and number_of_jets(largest) > number:
        copy_first_rows(largest, path, number)
        return path
    seed = {"train": "1", "test": "2"}[use]
    # the default window of the hard process loses fewer jets at its edges, and takes more events
    flags = f"simulate --process {process} -n {number} --seed {seed} --workers 2 --pthat-min 500 -o"
    command = [sys.executable, "-m", "weaver_tt.cli", *flags.split(), str(path)]
    subprocess.run(command, check=True, cwd=ROOT)
    return path


def number_of_jets(path: Path) -> int:
    """The number of jets in a file of :func:`jets_file`, by its name."""
    return int(path.stem.split("_")[-1])


def copy_first_rows(source: Path, target: Path, number: int) -> None:
    """Write the first ``number`` rows of a file to a file of its own."""
    import awkward as ak
    import uproot

    tree = uproot.open(source)["tree"]
    # the columns that the data YAML needs
    prefixes = ("part_p", "part_e", "part_d", "jet_", "label_")
    names = [name for name in tree.keys(recursive=False) if name.startswith(prefixes)]
    columns = tree.arrays(names, entry_stop=number)
    members = {}
    content = {}
    for name in names:
        if name.startswith("part_"):
            members[name.removeprefix("part_")] = columns[name]
        else:
            content[name] = columns[name]
    content = {"part": ak.zip(members)} | content
    types = {name: ak.type(values).content for name, values in content.items()}
    with uproot.recreate(target, compression=uproot.LZ4(4)) as file:
        file.mktree("tree", types).extend(content)


def base_command(side: str, network: str, seed: int, args: argparse.Namespace) -> list[str]:
    """What the training and the prediction of a side have in common."""
    if side == "weaver_tt":
        config = args.output / "ours.yaml"
        network_file = ROOT / "network_configs" / f"{network}.py"
        start = [sys.executable, str(ROOT / "train.py"), "--num-threads", str(args.threads)]
    else:
        # a YAML of its own, as weaver-core writes files beside it
        config = args.output / "peer.yaml"
        network_file = ROOT / "benchmarks" / "peers" / f"{network}.py"
        start = [args.peer_python, "-c", WEAVER, str(seed)]
    config.write_text(CONFIG)
    return [*start, "-c", str(config), "-n", str(network_file), "--gpus", ""]


def step_flags(network: str) -> list[str]:
    """Flags for the number of batches in one pass over the data.

    weaver-core has to be told when it keeps the data in memory.
    """
    rows = 2 * SETTINGS[network].jets
    batch_size = SETTINGS[network].batch_size
    train_steps = rows * 9 // 10 // batch_size
    val_steps = rows // 10 // batch_size
    return ["--steps-per-epoch", str(train_steps), "--steps-per-epoch-val", str(val_steps)]


def training_flags(
    side: str, network: str, seed: int, prefix: Path, args: argparse.Namespace
) -> list[str]:
    """The flags of a training."""
    settings = SETTINGS[network]
    flags = ["-m", str(prefix), "-i"]
    for process in ("top", "qcd"):
        file = jets_file(args.data, process, "train", settings.jets)
        flags.append(f"{process}:{file}")
    flags += ["--batch-size", str(settings.batch_size)]
    flags += [*settings.flags.split(), *COMMON.split()]
    if args.epochs is not None:
        # the last value of a flag counts
        flags += ["--num-epochs", str(args.epochs)]
    if side == "weaver_tt":
        flags += [*OURS.split(), "--seed", str(seed), "--overwrite"]
    else:
        flags += [*PEER.split(), *step_flags(network)]
    return [*flags, "--run-mode", "train,val"]


def prediction_flags(side: str, prefix: Path, args: argparse.Namespace) -> list[str]:
    """The flags of a prediction."""
    weights = str(prefix) if side == "weaver_tt" else f"{prefix}_best_epoch_state.pt"
    flags = ["-m", weights, "--predict", "-t"]
    for process in ("top", "qcd"):
        flags.append(str(jets_file(args.data, process, "test", args.test_jets)))
    flags += ["--predict-output", f"{prefix}_pred.root"]
    return [*flags, "--batch-size", "512"]


def run_command(arguments: list[str], log: Path, threads: int) -> float:
    """Run a command in a process of its own; the MB that its largest process took."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments, cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        # wait4 gives the memory of this child alone
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed ({status}): {log}\n{log.read_text(errors='replace')[-3000:]}")
    return usage.ru_maxrss / 1024


def measure_quality(path: str) -> dict[str, float]:
    """Accuracy, area under the curve and background rejection at a signal efficiency of 30 %.

    They are computed from a prediction file by sorting its scores.
    """
    import numpy as np
    import uproot

    file = uproot.open(path)
    signal_class = CLASSES[0]
    tree = file[file.keys()[0]]
    columns = tree.arrays([f"score_{signal_class}", signal_class], library="np")
    score = columns[f"score_{signal_class}"]
    is_signal = columns[signal_class] == 1

    # number of signals and backgrounds above each score, from the highest on
    order = np.argsort(-score, kind="stable")
    is_signal_sorted = is_signal[order]
    signals = np.cumsum(is_signal_sorted)
    backgrounds = np.cumsum(~is_signal_sorted)
    pairs = signals[-1] * backgrounds[-1]
    # pairs in which the background has the higher score
    misordered = backgrounds[is_signal_sorted].sum()
    at_30 = np.searchsorted(signals, 0.3 * signals[-1])
    # no background at all counts as one
    accepted = max(1, backgrounds[at_30])
    is_correct = (score > 0.5) == is_signal
    quality = {}
    quality["auc"] = float(1 - misordered / pairs)
    quality["accuracy"] = float(is_correct.mean())
    quality["rejection_30"] = float(backgrounds[-1] / accepted)
    return quality


def train_and_predict(
    side: str, network: str, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Train and predict, unless that has been done; the results."""
    name = f"{side}_{network}_{seed}"
    result = args.output / f"{name}.json"
    if result.exists():
        return json.loads(result.read_text())
    prefix = args.output / name / "net"
    prefix.parent.mkdir(parents=True, exist_ok=True)
    log = args.output / f"{name}.log"
    start = base_command(side, network, seed, args)
    training = [*start, *training_flags(side, network, seed, prefix, args)]
    memory = run_command(training, log, args.threads)
    # both sides write the weights of every epoch when it ends
    states = prefix.parent.glob("net_epoch-*_state.pt")
    written = sorted(path.stat().st_mtime for path in states)
    run_command([*start, *prediction_flags(side, prefix, args)], log, args.threads)
    epoch_times = [after - before for before, after in pairwise(written)]
    found: dict[str, Any] = {**measure_quality(f"{prefix}_pred.root")}
    found["seconds_per_epoch"] = median(epoch_times)
    found["memory_mb"] = memory
    found |= {"side": side, "network": network, "seed": seed}
    found |= {"threads": args.threads, "epochs": len(written)}
    # written last: a run that was cut short is run again
    result.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found), flush=True)
    return found


def show(results: list[dict[str, Any]]) -> None:
    """Print the table: mean and spread over seeds."""
    print(
        f"\n{'network':20s} {'trained with':14s} {'AUC':>18s} {'accuracy':>18s} "
        f"{'1/eps_B at 30 %':>18s} {'s / epoch':>10s} {'MB':>7s}"
    )
    for network in SETTINGS:
        for side in SIDES:
            runs = []
            for run in results:
                if run["network"] == network and run["side"] == side:
                    runs.append(run)
            if runs:
                print(format_row(network, side, runs))


def format_row(network: str, side: str, runs: list[dict[str, Any]]) -> str:
    """The line of the table for the runs of one side."""
    cells = []
    for key, digits in (("auc", 5), ("accuracy", 4), ("rejection_30", 0)):
        values = [run[key] for run in runs]
        cell = f"{mean(values):.{digits}f}"
        if len(values) > 1:
            cell += f" +- {stdev(values):.{digits}f}"
        cells.append(f"{cell:>18s}")
    seconds = median(run["seconds_per_epoch"] for run in runs)
    memory = max(run["memory_mb"] for run in runs)
    return f"{network:20s} {side:14s} {' '.join(cells)} {seconds:10.1f} {memory:7.0f}"


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
    # commands run in other folders
    args.data = args.data.resolve()
    args.output = args.output.resolve()
    for folder in (args.data, args.output):
        folder.mkdir(parents=True, exist_ok=True)
    results = []
    for network, seed, side in itertools.product(args.networks, args.seeds, args.sides):
        results.append(train_and_predict(side, network, seed, args))
    show(results)


if __name__ == "__main__":
    main()
