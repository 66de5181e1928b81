"""Peak memory of training, statistics, weights and prediction, from 1 to 10 GB of input.

    python benchmarks/memory.py --figure docs/figures/memory.png

Ten files of each format, 1 GB together, are written here; larger inputs are the same files several
times, under other names (links). ROOT and parquet files hold JetClass-like jets, HDF5 files a table
of 40 tracks a jet, uncompressed. Each run is a process of its own, and the peak is that of its tree
of processes: memory of their own and shared between them (Pss_Anon + Pss_Shmem of Linux), sampled
every ``INTERVAL``; pages of files that the system caches do not count. The network is as small as
can be, so that memory is that of the data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# benchmarks are scripts, not a package
sys.path.insert(0, str(Path(__file__).parent))

# the data of the loader's benchmark
from hdf5_jets import write_tables, write_tracks_config
from loader import CLASSES, paths, write_config, write_files

ROOT = Path(__file__).parents[1]
FORMATS = ("root", "parquet", "hdf5")
PHASES = ("train", "statistics", "weights", "predict")
SUFFIXES = {"root": ".root", "parquet": ".parquet", "hdf5": ".h5"}

# highest ratio of the peaks over the most and the least data that is fine
BAR = 1.1

# jets of each of ten files that make 1 GB
ROWS = {"root": 49_000, "parquet": 49_000, "hdf5": 25_000}
INTERVAL = 0.1  # seconds

NETWORK = """
import torch
from torch import nn

from weaver_tt.api import model_info, num_outputs


class MeanOfObjects(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, *inputs):
        return self.linear(torch.cat([values.mean(2) for values in inputs], 1))


def get_model(data_config):
    names = tuple(data_config.inputs)
    features = sum(len(group.variables) for group in data_config.inputs.values())
    network = MeanOfObjects(features, num_outputs(data_config))
    return network, model_info(data_config, names)
"""

# the weights of classes that are as many in each bin of a spectrum
WEIGHTS = """
weights:
  reweight_method: flat
  reweight_vars: {{{variable}: {edges}}}
  reweight_classes: [{classes}]
"""


def write_data(folder: Path, kind: str, rows: int) -> None:
    """Write ten files of ``rows`` jets each."""
    folder.mkdir()
    if kind == "hdf5":
        for number in range(10):
            write_tables(folder / f"part{number}.h5", rows, 12, None)
        return
    write_files(str(folder), rows, cluster=2_500, suffix=kind)


def link_files(folder: Path, into: Path, times: int) -> None:
    """Make ``times`` links to each file of ``folder``."""
    into.mkdir()
    for path in map(Path, paths(str(folder))):
        for number in range(times):
            link = into / f"{path.stem}_{number}{path.suffix}"
            link.symlink_to(path.resolve())


def write_yaml(folder: str, kind: str, phase: str) -> str:
    """The data YAML of a phase: ``auto`` for statistics, ``weights`` for weights."""
    if kind == "hdf5":
        path = Path(write_tracks_config(folder))
        weights = {
            "variable": "jets_pt",
            "edges": "[0, 40, 60, 100, 1000]",
            "classes": "is_b, is_c, is_light",
        }
    else:
        path = Path(write_config(folder, pad_mode="constant"))
        weights = {
            "variable": "jet_pt",
            "edges": "[0, 500, 800, 1000, 1200, 1600, 10000]",
            "classes": ", ".join(f"label_{name}" for name in CLASSES),
        }
    # half as many slots as the loader's benchmark has: less to compute, the same to read
    text = path.read_text().replace("length: 128", "length: 64")
    if phase == "statistics":
        text = text.replace("{method: manual}", "{method: auto}")
        for variable in ("part_pt_log, 1.7, 0.7", "part_e_log, 2.0, 0.7", "tracks_v1, 0.1, 1.1"):
            text = text.replace(f"[{variable}]", variable.split(",")[0])
    if phase == "weights":
        text += WEIGHTS.format(**weights)
    path.write_text(text)
    return str(path)


def run_phase(args: argparse.Namespace) -> None:
    """One phase over the files of ``--data``, in this process."""
    files = []
    for path in paths(args.data):
        # a link classN_i.root belongs to the group of classN.root; tables hold all classes
        group = Path(path).stem.split("_")[0] if args.format != "hdf5" else "jets"
        files.append(f"{group}:{path}")
    with tempfile.TemporaryDirectory() as scratch:
        config = write_yaml(scratch, args.format, args.phase)
        if args.phase in ("statistics", "weights"):
            fit(config, files, scratch)
            return
        network = Path(scratch, "network.py")
        network.write_text(NETWORK)
        flags = ["--data-config", config, "--network-config", str(network), "--gpus", ""]
        flags += ["--batch-size", "2000", "--num-threads", "1", "--no-progress"]
        if args.phase == "predict":
            test = [f"test:{entry.partition(':')[2]}" for entry in files]
            flags += ["--predict", "--data-test", *test]
            command([*flags, "--predict-output", f"{scratch}/prediction.root"], args.model)
            return
        flags += ["--data-train", *files, "--data-val", files[0], "--num-epochs", "1"]
        flags += ["--num-workers", str(args.workers), "--pool-size", str(args.pool_size)]
        flags += ["--steps-per-epoch-val", "1"]
        if args.phase == "prepare":
            # the model of the predictions
            flags += ["--steps-per-epoch", "2"]
        command(flags, args.model)


def command(flags: list[str], model: str) -> None:
    """Run ``train.py`` in a process of its own, with files that begin with ``model``."""
    subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "--tensorboard", "off", "-m", model, *flags],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def fit(config: str, files: list[str], scratch: str) -> None:
    """The pass over the training rows that comes before a training."""
    from weaver_tt.config.load import load_config
    from weaver_tt.data.statistics.fit import fit_statistics
    from weaver_tt.options.train import DataOptions
    from weaver_tt.system.allocator import keep_freed_memory

    # as train.py does
    keep_freed_memory()
    options = DataOptions(data_train=files, train_val_split=1.0)
    fit_statistics(load_config(config), f"{scratch}/net", options)


def tree_of(process: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree_of(int(child))


def memory_of(process: int) -> int:
    """Memory of a process in kB: its own, and its share of what is shared."""
    total = 0
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        # it has ended
        return 0
    for line in lines:
        if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
            total += int(line.split()[1])
    return total


def peak_of(start: Callable[[], subprocess.Popen[str]]) -> tuple[float, float]:
    """Highest memory of a tree of processes in MiB, and its seconds."""
    begin = time.perf_counter()
    child = start()
    peak = 0
    while child.poll() is None:
        peak = max(peak, sum(memory_of(process) for process in tree_of(child.pid)))
        time.sleep(INTERVAL)
    if child.returncode:
        assert child.stderr is not None
        child.stderr.seek(0)
        sys.exit(child.stderr.read()[-3000:])
    return peak / 2**10, time.perf_counter() - begin


def measure_phase(
    args: argparse.Namespace, kind: str, phase: str, data: Path, model: str
) -> dict[str, float]:
    """Peak memory of a phase over a folder; ``model`` is the prefix of the network's files."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    flags = ["--child", "--format", kind, "--phase", phase, "--data", str(data)]
    flags += ["--pool-size", str(args.pool_size), "--workers", str(args.workers)]
    flags += ["--model", model]
    with tempfile.TemporaryFile("w+") as errors:

        def start() -> subprocess.Popen[str]:
            child = subprocess.Popen(
                [sys.executable, __file__, *flags], env=environment, stderr=errors, text=True
            )
            child.stderr = errors  # type: ignore[assignment]
            return child

        peak, seconds = peak_of(start)
    return {"peak_MiB": peak, "seconds": seconds}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Peak memory by format, phase and size of the input; written as it goes."""
    result: dict[str, Any] = {"bar": BAR, "pool_size": args.pool_size, "workers": args.workers}
    result["peaks"] = {}
    for kind in args.formats:
        with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
            if args.data is None:
                data = Path(scratch, "data")
                write_data(data, kind, args.rows or ROWS[kind])
            else:
                data = Path(args.data)
            size = sum(path.stat().st_size for path in data.iterdir())
            for times in args.times:
                link_files(data, Path(scratch, f"times{times}"), times)
            model = f"{scratch}/model/net"
            if "predict" in args.phases:
                measure_phase(args, kind, "prepare", data, model)
            for phase in args.phases:
                peaks = result["peaks"].setdefault(f"{kind} {phase}", [])
                for times in args.times:
                    folder = Path(scratch, f"times{times}")
                    of_phase = model if phase == "predict" else f"{scratch}/{phase}{times}/net"
                    found = measure_phase(args, kind, phase, folder, of_phase)
                    found["GB"] = times * size / 1e9
                    peaks.append(found)
                    print(f"{kind:8s} {phase:11s} {show_one(found)}", flush=True)
                Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return result


def show_one(found: dict[str, float]) -> str:
    """A line of the table."""
    return f"{found['GB']:6.1f} GB {found['peak_MiB']:7.0f} MiB {found['seconds']:6.0f} s"


def draw(result: dict[str, Any], path: str) -> None:
    """The peaks over the size of the input, and the bar."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(PHASES), figsize=(12, 3.2), sharey=True, sharex=True)
    colours = dict(zip(FORMATS, ("tab:blue", "tab:orange", "tab:green"), strict=True))
    for axis, phase in zip(axes, PHASES, strict=True):
        for kind in FORMATS:
            peaks = result["peaks"].get(f"{kind} {phase}", [])
            if not peaks:
                continue
            sizes = [found["GB"] for found in peaks]
            memory = [found["peak_MiB"] for found in peaks]
            axis.plot(sizes, memory, "o-", color=colours[kind], label=kind)
            axis.axhline(BAR * memory[0], color=colours[kind], linestyle=":", linewidth=1)
        axis.set_title(phase)
        axis.set_xlabel("input [GB]")
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("peak memory [MiB]")
    axes[-1].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Read the flags, measure, print, draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--phases", nargs="+", default=list(PHASES), choices=PHASES)
    parser.add_argument(
        "--times", type=int, nargs="+", default=[1, 3, 10], help="how often the files are linked"
    )
    parser.add_argument(
        "--rows", type=int, help="jets of each of the ten files (default: those of 1 GB)"
    )
    parser.add_argument("--pool-size", type=int, default=30_000)
    parser.add_argument("--workers", type=int, default=0, help="worker processes of the training")
    parser.add_argument("--scratch", help="folder for the files, with some GB of room")
    parser.add_argument("--json", default="memory.json", help="where to write the figures")
    parser.add_argument("--figure", help="where to draw them")
    parser.add_argument("--draw", action="store_true", help="only draw those of --json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--data", help="folder with the ten files of one format, written before")
    for name in ("--format", "--phase", "--model"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_phase(args)
        return
    result = json.loads(Path(args.json).read_text()) if args.draw else measure(args)
    print(f"\n{'':20s} {'least':>9s} {'most data':>10s} {'ratio':>6s} (bar {BAR})")
    for name, peaks in result["peaks"].items():
        first = peaks[0]["peak_MiB"]
        last = peaks[-1]["peak_MiB"]
        print(f"{name:20s} {first:5.0f} MiB {last:6.0f} MiB {last / first:6.2f}")
    if args.figure:
        draw(result, args.figure)


if __name__ == "__main__":
    main()
