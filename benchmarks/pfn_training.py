"""Rows per second of whole training epochs of a Particle Flow Network, beside weaver-core.

From ROOT files to updated weights.

    python benchmarks/pfn_training.py --peer-python /path/to/python-with-weaver-core

Both sides run their own training command on the same JetClass-like files (those of ``loader.py``),
with the same YAML, network, optimizer, batch size and threads, without worker processes, each in a
process of its own, in turn. Ours trains ``network_configs/pfn.py``; weaver-core the same network as
its users write it, on padded tensors. Only training epochs are timed, validation and start-up are
not; the median of the epochs counts. weaver-core reads a tenth of each file at a time (of 8,000
rows as many as its default 0.01 reads of JetClass' 100,000), which is faster here than that
default.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import loader

ROOT = Path(__file__).parents[1]
SPLIT = 0.9  # share of the rows that is trained on
# seconds of each epoch: by the clock, and of this process' threads on all cores
Spent = list[tuple[float, float]]
SETTINGS = (
    "rows",
    "batch_size",
    "epochs",
    "repeat",
    "threads",
    "fetch_step",
    "optimizer",
    "pad_mode",
)
# flags that the process of a side is given too
CHILD_FLAGS = ("data", "data_config", "batch_size", "epochs", "threads", "fetch_step", "optimizer")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# as users of weaver-core write it, on padded tensors
NETWORK = """
import torch
from torch import nn


class ParticleFlow(nn.Module):
    def __init__(self, features, classes, sizes):
        super().__init__()
        widths = [features, *sizes]
        layers = [
            nn.Sequential(nn.Conv1d(a, b, 1), nn.Identity(), nn.ReLU())
            for a, b in zip(widths, sizes)
        ]
        self.phi = nn.Sequential(*layers)
        widths = [sizes[-1], *sizes]
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in zip(widths, sizes)]
        self.fc = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))

    def forward(self, points, features, lorentz_vectors, mask):
        return self.fc((self.phi(features) * mask.bool().float()).sum(-1))


def get_model(data_config, **kwargs):
    channels = len(data_config.input_dicts["pf_features"])
    network = ParticleFlow(channels, len(data_config.label_value), (128, 128, 128))
    return network, {
        "input_names": list(data_config.input_names),
        "input_shapes": {k: ((1,) + s[1:]) for k, s in data_config.input_shapes.items()},
        "output_names": ["softmax"],
        "dynamic_axes": {
            **{k: {0: "N", 2: "n"} for k in data_config.input_names},
            "softmax": {0: "N"},
        },
    }


def get_loss(data_config, **kwargs):
    return torch.nn.CrossEntropyLoss()
"""


def common_flags(args: argparse.Namespace, network: str | Path) -> list[str]:
    """The flags that both commands take."""
    settings: dict[str, Any] = {
        "data-config": args.data_config,
        "network-config": network,
        "model-prefix": Path(args.scratch, "model", "net"),
        "optimizer": args.optimizer,
        "start-lr": 1e-3,
        "batch-size": args.batch_size,
        "num-epochs": args.epochs,
        "num-workers": 0,
        "train-val-split": SPLIT,
        "gpus": "",
    }
    flags = ["--data-train"]
    for number, path in enumerate(loader.paths(args.data)):
        flags.append(f"class{number}:{path}")
    for name, value in settings.items():
        flags += [f"--{name}", str(value)]
    return flags


def with_times(function: Callable[..., Any], spent: Spent) -> Callable[..., Any]:
    """``function`` that notes in ``spent`` how long each of its calls took."""

    @functools.wraps(function)
    def wrapper(*positional: Any, **named: Any) -> Any:
        start = time.perf_counter()
        cores = time.process_time()
        result = function(*positional, **named)
        spent.append((time.perf_counter() - start, time.process_time() - cores))
        return result

    return wrapper


def ours(args: argparse.Namespace) -> Spent:
    """Time of each training epoch of ``train.py``."""
    from weaver_tt import cli
    from weaver_tt.engine.training import Training

    spent: Spent = []
    Training.train = with_times(Training.train, spent)  # type: ignore[method-assign]
    flags = ["--no-progress", "--tensorboard", "off", "--num-threads", str(args.threads)]
    network = ROOT / "network_configs" / "pfn.py"
    if cli.train([*common_flags(args, network), *flags]):
        sys.exit("our training failed")
    return spent


def peer(args: argparse.Namespace) -> Spent:
    """Time of each training epoch of ``weaver``."""
    import torch
    from weaver import train
    from weaver.utils.nn import tools

    torch.set_num_threads(args.threads)
    spent: Spent = []
    tools.train_classification = with_times(tools.train_classification, spent)
    network = Path(args.scratch, "peer_pfn.py")
    network.write_text(NETWORK)
    own_flags = ["--fetch-step", str(args.fetch_step), "--run-mode", "train"]
    # its main reads the command line of the process
    sys.argv = ["weaver", *common_flags(args, network), *own_flags]
    train.main()
    return spent


def count_rows(args: argparse.Namespace) -> float:
    """Rows in a training epoch of either side, to less than a batch."""
    import uproot

    files = dict.fromkeys(loader.paths(args.data), "tree")
    total = 0
    for _, _, entries in uproot.num_entries(files):
        total += entries
    return SPLIT * total


def run(args: argparse.Namespace, who: str) -> Spent:
    """The epochs of one side, in a process of its own."""
    python = sys.executable
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(args.threads))
    environment["PYTHONPATH"] = str(ROOT)
    if who == "peer":
        python = args.peer_python
        # this package answers to the import name "weaver" as well
        environment["PYTHONPATH"] = ""
    flags = []
    for name in CHILD_FLAGS:
        flags += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    with tempfile.TemporaryDirectory() as scratch:
        command = [python, __file__, "--child", who, "--scratch", scratch, *flags]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{who} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    sides = ("ours", "peer") if args.peer_python else ("ours",)
    found: dict[str, Spent] = {who: [] for who in sides}
    for _ in range(args.repeat):
        for who in sides:
            found[who] += run(args, who)
    rows = count_rows(args)
    result: dict[str, Any] = {}
    for who, spent in found.items():
        rates = [rows / wall for wall, _ in spent]
        result[who] = {
            "rows_per_second": median(rates),
            "all": rates,
            "core_ms_per_row": median(1e3 * cores / rows for _, cores in spent),
        }
    result["settings"] = {name: getattr(args, name) for name in SETTINGS}
    return result


def show(result: dict[str, Any]) -> None:
    """The table; the time on cores hardly depends on what else the machine does."""
    heads = f"{'rows/s (median)':>16s} {'lowest':>10s} {'highest':>10s} {'core ms/row':>12s}"
    print(f"{'training of a PFN':24s} {heads}")
    for who, name in (("ours", "weaver_tt"), ("peer", "weaver-core")):
        if who not in result:
            continue
        side = result[who]
        rates = f"{side['rows_per_second']:16,.0f} {min(side['all']):10,.0f}"
        print(f"{name:24s} {rates} {max(side['all']):10,.0f} {side['core_ms_per_row']:12.3f}")
    if "peer" in result:
        ours = result["ours"]
        peer = result["peer"]
        speed = ours["rows_per_second"] / peer["rows_per_second"]
        cores = peer["core_ms_per_row"] / ours["core_ms_per_row"]
        print(f"{'ratio':24s} {speed:16.1f} {'':21s} {cores:12.1f}")


def main() -> None:
    """Read the flags, make what is missing, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", help="folder of ROOT files, one for each class (default: generated)"
    )
    parser.add_argument(
        "--data-config", help="data YAML (default: one in the style of JetClass_full)"
    )
    parser.add_argument(
        "--pad-mode", default="wrap", choices=["wrap", "constant"], help="of that YAML"
    )
    parser.add_argument(
        "--rows", type=int, default=8_000, help="jets of each of the ten generated classes"
    )
    parser.add_argument(
        "--cluster", type=int, default=4_000, help="jets in a cluster of the generated files"
    )
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of torch and of numerical libraries, on both sides",
    )
    parser.add_argument("--optimizer", default="ranger")
    parser.add_argument("--peer-python", help="a python that has weaver-core")
    parser.add_argument(
        "--fetch-step",
        type=float,
        default=0.1,
        help="weaver-core's --fetch-step: share of each file that it reads at a time",
    )
    parser.add_argument("--json", default="pfn_training.json", help="where to write the figures")
    parser.add_argument("--child", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps({"ours": ours, "peer": peer}[args.child](args)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if args.data is None:
            args.data = scratch
            loader.write_files(scratch, args.rows, args.cluster)
        if args.data_config is None:
            args.data_config = str(Path(scratch, "jets.yaml"))
            labels = ", ".join(f"label_{name}" for name in loader.CLASSES)
            Path(args.data_config).write_text(
                loader.CONFIG.format(pad=args.pad_mode, labels=labels)
            )
        result = measure(args)
    show(result)
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
