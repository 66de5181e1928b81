"""Interrupt runs at random moments, continue them, and compare: ``make soak``.

Each kind of run is begun again and again, and met at a random moment by a random signal. What it
leaves is continued by the same command, and must be what an undisturbed run leaves, to the last
bit. Prints one line for each kind; the exit code is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import awkward as ak
import numpy as np
import torch
import uproot
import yaml

from weaver_tt.run_files import RunFiles
from weaver_tt.system.signals import RESUME_ME

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)
LONGEST = 300.0  # seconds that a run may take

# random numbers of every kind, and slow enough to be met within steps
NETWORK = """
import random, time
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Dropout(0.5), nn.Linear(width, 2))

    def forward(self, event):
        noise = 0.0
        if self.training:
            time.sleep(0.01)
            noise = random.random() + np.random.rand()
        return self.layers(self.norm(event)) * (1 + 0.1 * noise)


def get_model(data_config, width=4):
    return Net(width), {"input_names": ["event"]}
"""

DATA = {
    "inputs": {"event": {"length": None, "vars": ["x", ["n", None]]}},
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "preprocess": {"method": "auto"},
    "observers": ["n"],
}

BASE = (
    "-i a.parquet b.parquet -c d.yaml -n net.py --batch-size 8 --num-epochs 4 --gpus= --no-figures "
    "--no-progress --tensorboard off --seed 3 --save-minutes 0.002"
)
PREDICT = "-c d.yaml -n net.py -t a.parquet b.parquet --gpus= --no-figures --no-progress"

# all that a training may do beside its steps
COMFORTS = (
    "--accumulate-batches 3 --ema 0.9 --clip-gradient 1 --use-amp --deterministic "
    "--lr-scheduler reduce-on-plateau --early-stopping 3 --watch auc --num-epochs 6"
)


@dataclass(frozen=True)
class Kind:
    """A kind of run: its flags, in which OUT is where it writes, and whether it can be resumed."""

    flags: str
    ranks: int = 1
    trains: bool = True


KINDS = {
    "one process": Kind(f"{BASE} -m OUT/net"),
    "two workers": Kind(f"{BASE} -m OUT/net --num-workers 2"),
    "two ranks": Kind(f"{BASE} -m OUT/net --backend gloo", ranks=2),
    "comforts": Kind(f"{BASE} {COMFORTS} -m OUT/net"),
    "comforts, two ranks": Kind(f"{BASE} {COMFORTS} -m OUT/net --backend gloo", ranks=2),
    "ensemble": Kind(f"{BASE} -m OUT/net --ensemble 2"),
    "cross-validation": Kind(f"{BASE} -m OUT/net --cross-validation n%2"),
    "prediction": Kind(
        f"{PREDICT} --predict -m whole/net --predict-output OUT/pred.root", trains=False
    ),
    "prediction of files": Kind(
        f"{PREDICT} --predict -m whole/net --predict-output OUT/{{file}}.root --resume",
        trains=False,
    ),
    "export": Kind(
        "-c d.yaml -n net.py -m whole/net --export-onnx OUT/net.onnx --no-progress", trains=False
    ),
}


def prepare() -> None:
    """The input in the working folder."""
    numbers = np.random.default_rng(1)
    for name, is_a in (("a", 1), ("b", 0)):
        columns = {
            "x": numbers.normal(is_a, 1, 100).astype("f4"),
            "n": np.arange(100),
            "is_a": np.full(100, is_a),
            "is_b": np.full(100, 1 - is_a),
        }
        ak.to_parquet(ak.Array(columns), f"{name}.parquet")
    Path("net.py").write_text(NETWORK)
    Path("d.yaml").write_text(yaml.safe_dump(DATA))


def begin(kind: Kind, out: str, *more: str) -> subprocess.Popen[bytes]:
    """Start a run that writes to the folder ``out``."""
    starter = [sys.executable, "-m"]
    if kind.ranks > 1:
        starter += ["torch.distributed.run", "--standalone", f"--nproc-per-node={kind.ranks}", "-m"]
    flags = kind.flags.replace("OUT", out).split()
    with open(f"{out}.log", "ab") as log:
        return subprocess.Popen(
            [*starter, "weaver_tt.cli", "train", *flags, *more],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and those that these have."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def meet(process: subprocess.Popen[bytes], kind: Kind, number: signal.Signals) -> None:
    """Send what a batch system sends: a job is killed as a whole."""
    below = descendants(process.pid)
    targets = [process.pid]
    if number == signal.SIGKILL and kind.ranks > 1:
        targets += below
    elif kind.ranks > 1 and number != signal.SIGTERM:
        # torchrun passes SIGTERM on, and ends by others alone
        targets = below
    for pid in targets:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def content(out: str) -> dict[str, object]:
    """What a run has left, in a form that can be compared."""
    found: dict[str, object] = {}
    for path in sorted(Path(out).rglob("*")):
        name = str(path.relative_to(out))
        if name.endswith(("_state.pt", "_plain.pt")):
            weights = torch.load(path, weights_only=True)
            found[name] = {key: value.numpy().tobytes() for key, value in weights.items()}
        elif name.endswith("_run.json"):
            card = json.loads(path.read_text())
            found[name] = (card["best"], card["state"])
        elif name.endswith((".auto.yaml", ".onnx", "preprocess.json")):
            found[name] = path.read_bytes()
        elif name.endswith(".root"):
            with uproot.open(path) as file:
                found[name] = file[file.keys()[0]].arrays().to_list()
        elif path.is_file() and not name.endswith((".log", "_resume.pt", "_resume_before.pt")):
            # nothing else is left behind: no lock, no request, no part of a file
            found[name] = None
    return found


def soak(name: str, moments: int, dice: random.Random) -> bool:
    """Interrupt one kind of run at so many moments; whether all of them end equal."""
    kind = KINDS[name]
    start = time.monotonic()
    undisturbed = f"whole-{re.sub(r'[ ,]+', '-', name)}"
    assert begin(kind, undisturbed).wait(LONGEST) == 0, Path(f"{undisturbed}.log").read_text()
    duration = time.monotonic() - start
    expected = content(undisturbed)
    codes: Counter[str] = Counter()
    different = 0
    for number in range(moments):
        out = f"out-{re.sub(r'[ ,]+', '-', name)}-{number}"
        process = begin(kind, out)
        wait = dice.uniform(0, duration)
        if kind.trains and dice.random() < 0.7:
            # within the training: most of the time goes into starting
            begun = RunFiles(f"{out}/net").lock
            while process.poll() is None and not begun.exists():
                time.sleep(0.01)
            wait = dice.uniform(0, 0.4 * duration)
        time.sleep(wait)
        sent = dice.choice(SIGNALS)
        meet(process, kind, sent)
        code = process.wait(LONGEST)
        codes[f"{sent.name} {code}"] += 1
        if code != RESUME_ME:
            # ranks of a killed launcher end by themselves
            time.sleep(0.5)
        again = begin(kind, out, *(["--resume"] if kind.trains else [])).wait(LONGEST)
        if again != 0 or content(out) != expected:
            different += 1
            print(f"{name}: {sent.name} after {wait:.2f} s: {again}; see {out}", flush=True)
        else:
            shutil.rmtree(out)
    print(f"{name}: {moments} interrupted, {moments - different} equal; {dict(codes)}", flush=True)
    return not different


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="of each kind")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all of them")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    equal = True
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare()
        process = begin(KINDS["one process"], "whole")
        assert process.wait(LONGEST) == 0, Path("whole.log").read_text()
        for name in options.kind or KINDS:
            equal &= soak(name, options.moments, random.Random(f"{options.seed} {name}"))
        os.chdir("/")
    return 0 if equal else 1


if __name__ == "__main__":
    raise SystemExit(main())
