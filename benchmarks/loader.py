"""Rows per second from files to padded batches, beside weaver-core on the same files, YAML, batch size and cores, and beside reading alone.

    python benchmarks/loader.py --peer-python /path/to/python-with-weaver-core

Writes JetClass-like files (ten classes, 16 jagged columns, about 45 particles a jet, LZ4) unless ``--data`` names a folder of ROOT or parquet files,
one for each class. Each side runs in a process of its own, in turn, ``--repeat`` times; the median of the epochs counts. Ours and the peer's read
without worker processes, and ours once more with ``--workers`` of them. "Reading alone" is the format's own library (uproot, pyarrow), one thread,
the file kept open, the same columns, cluster by cluster, nothing done with them. The share of time of each stage is taken in one thread.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

CLASSES = ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"]
FLAGS = ["isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon"]
CONFIG = """
treename: tree
new_variables:
  part_mask: ak.ones_like(part_energy)
  part_pt: np.hypot(part_px, part_py)
  part_pt_log: np.log(part_pt)
  part_e_log: np.log(part_energy)
  part_logptrel: np.log(part_pt/jet_pt)
  part_logerel: np.log(part_energy/jet_energy)
  part_deltaR: np.hypot(part_deta, part_dphi)
  part_d0: np.tanh(part_d0val)
  part_dz: np.tanh(part_dzval)
preprocess: {{method: manual}}
inputs:
  pf_points:
    length: 128
    pad_mode: {pad}
    vars: [[part_deta, null], [part_dphi, null]]
  pf_features:
    length: 128
    pad_mode: {pad}
    vars:
      - [part_pt_log, 1.7, 0.7]
      - [part_e_log, 2.0, 0.7]
      - [part_logptrel, -4.7, 0.7]
      - [part_logerel, -4.7, 0.7]
      - [part_deltaR, 0.2, 4.0]
      - [part_charge, null]
      - [part_isChargedHadron, null]
      - [part_isNeutralHadron, null]
      - [part_isPhoton, null]
      - [part_isElectron, null]
      - [part_isMuon, null]
      - [part_d0, null]
      - [part_d0err, 0, 1, 0, 1]
      - [part_dz, null]
      - [part_dzerr, 0, 1, 0, 1]
      - [part_deta, null]
      - [part_dphi, null]
  pf_vectors:
    length: 128
    pad_mode: {pad}
    vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]
  pf_mask:
    length: 128
    pad_mode: constant
    vars: [[part_mask, null]]
labels:
  type: simple
  value: [{labels}]
"""


def write_files(folder: str, rows: int, cluster: int, suffix: str = "root") -> None:
    """Ten files of ``rows`` jets each, in clusters of ``cluster``."""
    import awkward as ak
    import numpy as np
    import uproot

    random = np.random.default_rng(1)
    for number, name in enumerate(CLASSES):
        counts = random.normal(45, 18, rows).clip(1, 128).astype(int)
        total = counts.sum()
        pt, eta, phi = (
            random.exponential(20, total) + 0.5,
            random.normal(0, 1, total),
            random.uniform(-3.14, 3.14, total),
        )
        kind = random.integers(0, 5, total)
        part = {
            "px": pt * np.cos(phi),
            "py": pt * np.sin(phi),
            "pz": pt * np.sinh(eta),
            "energy": pt * np.cosh(eta),
        }
        part |= {
            column: random.normal(0, 0.3, total) for column in ("deta", "dphi", "d0val", "dzval")
        }
        part |= {column: random.exponential(0.2, total) for column in ("d0err", "dzerr")}
        part |= {"charge": random.integers(-1, 2, total)} | {
            flag: kind == i for i, flag in enumerate(FLAGS)
        }
        objects = ak.unflatten(
            ak.zip({column: values.astype(np.float32) for column, values in part.items()}), counts
        )
        scalars = {
            "jet_pt": ak.sum(np.hypot(objects.px, objects.py), axis=1),
            "jet_energy": ak.sum(objects.energy, axis=1),
        }
        scalars |= {
            f"label_{label}": np.full(rows, label == name, dtype=np.float32) for label in CLASSES
        }
        types = {
            "part": "var * {" + ", ".join(f"{column}: float32" for column in part) + "}"
        } | dict.fromkeys(scalars, "float32")
        if suffix == "parquet":
            columns = {f"part_{column}": objects[column] for column in part} | scalars
            ak.to_parquet(
                ak.Array(columns),
                Path(folder, f"class{number}.parquet"),
                compression="LZ4",
                row_group_size=cluster,
            )
            continue
        with uproot.recreate(
            Path(folder, f"class{number}.root"), compression=uproot.LZ4(4)
        ) as file:
            tree = file.mktree("tree", types)
            for first in range(0, rows, cluster):
                tree.extend(
                    {"part": objects[first : first + cluster]}
                    | {k: np.asarray(v)[first : first + cluster] for k, v in scalars.items()}
                )


def paths(folder: str) -> list[str]:
    """The files, in order."""
    return sorted(
        str(path) for path in Path(folder).iterdir() if path.suffix in (".root", ".parquet")
    )


def ours(args: argparse.Namespace, read_ahead: int | None = None) -> Any:
    """Our training loader."""
    from dataclasses import replace

    from weaver_tt.config.load import load_config
    from weaver_tt.data import loaders
    from weaver_tt.options.train import DataOptions

    groups = [f"class{i}:{path}" for i, path in enumerate(paths(args.data))]
    options = DataOptions(
        data_train=groups, data_val=groups[:1], batch_size=args.batch_size, num_workers=args.workers
    )
    loader = loaders.train_loader(load_config(args.data_config), options, seed=1)
    if read_ahead is not None:
        loaders.BATCHES_AHEAD = 0
        loader._stream = replace(loader._stream, read_ahead=read_ahead)
    return loader


def peer(args: argparse.Namespace) -> Any:
    """weaver-core's training loader, as its own train.py makes it."""
    from torch.utils.data import DataLoader
    from weaver.utils.dataset import SimpleIterDataset

    files = {f"class{i}": [path] for i, path in enumerate(paths(args.data))}
    rows = ((0, 1), 1, 1)
    dataset = SimpleIterDataset(
        files,
        args.data_config,
        for_training=True,
        load_range_and_fraction=rows,
        fetch_step=args.fetch_step,
        name="train",
    )
    return DataLoader(
        dataset, batch_size=args.batch_size, drop_last=True, pin_memory=False, num_workers=0
    )


def bare(args: argparse.Namespace) -> Iterator[int]:
    """Rows of each cluster, read by the format's own library and dropped."""
    from weaver_tt.config.load import load_config
    from weaver_tt.config.plan import make_plan

    names = list(make_plan(load_config(args.data_config), "train").columns)
    for path in paths(args.data):
        if path.endswith(".parquet"):
            import pyarrow.parquet as pq

            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                yield len(file.read_row_group(group, columns=names, use_threads=False))
            continue
        import uproot

        tree = uproot.open(f"{path}:tree")
        borders = tree.common_entry_offsets(filter_name=names)
        for first, last in itertools.pairwise(borders):
            yield len(tree.arrays(names, entry_start=first, entry_stop=last))


def rates(epochs: Sequence[Callable[[], Iterator[int]]]) -> list[float]:
    """Rows per second of each epoch."""
    found = []
    for epoch in epochs:
        start, rows = time.perf_counter(), 0
        for size in epoch():
            rows += size
        found.append(rows / (time.perf_counter() - start))
    return found


def sizes(loader: Any, number: int) -> Iterator[int]:
    """Rows of each batch of an epoch of ours."""
    return (batch.size for batch in loader.epoch(number))


def stages(args: argparse.Namespace) -> dict[str, float]:
    """Share of the time of each stage of an epoch in one thread."""
    from weaver_tt.data.rows import padding
    from weaver_tt.data.shuffle import pool, stream

    spent: dict[str, float] = defaultdict(float)
    running = [0.0]  # of each stage that is running, the time spent in stages that it called

    def timed(owner: Any, name: str, stage: str) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def wrapper(*positional: Any, **named: Any) -> Any:
            running.append(0.0)
            start = time.perf_counter()
            result = function(*positional, **named)
            total = time.perf_counter() - start
            spent[stage] += total - running.pop()
            running[-1] += total
            return result

        setattr(owner, name, wrapper)

    loader = ours(args, read_ahead=0)
    for _ in loader.epoch(0):
        pass
    timed(stream.Decoder, "read", "reading")
    timed(stream, "select_rows", "expressions")
    timed(stream, "to_rows", "scaling, side by side")
    timed(pool, "gather_rows", "shuffling: gathering rows")
    timed(padding.Padder, "__call__", "padding")
    start = time.perf_counter()
    for _ in loader.epoch(1):
        pass
    total = time.perf_counter() - start
    shares = {
        stage: seconds / total
        for stage, seconds in sorted(spent.items(), key=lambda item: -item[1])
    }
    return shares | {"the rest": 1 - sum(shares.values())}


def child(args: argparse.Namespace) -> None:
    """What runs in a process of its own; the last line it prints is the result."""
    import torch

    torch.set_num_threads(args.threads)
    if args.child != "peer":
        from weaver_tt.system.allocator import keep_freed_memory

        keep_freed_memory()  # as train.py does
    if args.child == "stages":
        print(json.dumps(stages(args)))
        return
    if args.child == "bare":
        print(json.dumps(rates([functools.partial(bare, args)] * args.epochs)))
        return
    if args.child == "ours":
        loader = ours(args)
        epochs: list[Callable[[], Iterator[int]]] = [
            functools.partial(sizes, loader, number) for number in range(args.epochs)
        ]
    else:
        loader = peer(args)
        epochs = [lambda: (args.batch_size for _ in loader)] * args.epochs
    print(json.dumps(rates(epochs)))


def run(args: argparse.Namespace, who: str, workers: int = 0) -> Any:
    """Run this file's :func:`child` and read its result."""
    python = args.peer_python if who == "peer" else sys.executable
    names = ("data", "data_config", "batch_size", "epochs", "threads", "fetch_step")
    flags = [
        part for name in names for part in (f"--{name.replace('_', '-')}", str(getattr(args, name)))
    ] + ["--workers", str(workers)]
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(args.threads)
    )
    environment = (
        os.environ
        | threads
        | {"PYTHONPATH": "" if who == "peer" else str(Path(__file__).parents[1])}
    )
    done = subprocess.run(
        [python, __file__, "--child", who, *flags],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{who} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    sides: dict[str, tuple[str, int]] = {"weaver_tt": ("ours", 0), "reading alone": ("bare", 0)}
    if args.workers:
        sides[f"weaver_tt, {args.workers} workers"] = "ours", args.workers
    if args.peer_python:
        sides["weaver-core"] = "peer", 0
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.repeat):
        for name, (who, workers) in sides.items():
            found[name] += run(args, who, workers)
    settings = {
        name: getattr(args, name)
        for name in (
            "rows",
            "format",
            "batch_size",
            "epochs",
            "repeat",
            "threads",
            "fetch_step",
            "pad_mode",
        )
    }
    rates = {
        name: {"rows_per_second": median(values), "all": values} for name, values in found.items()
    }
    return {
        "rates": rates,
        "stages": run(args, "stages"),
        "settings": settings,
        "cpus": len(os.sched_getaffinity(0)),
    }


def show(result: dict[str, Any]) -> None:
    """The table."""
    ours = result["rates"]["weaver_tt"]["rows_per_second"]
    print(
        f"{'loader':32s} {'rows/s (median)':>16s} {'lowest':>10s} {'highest':>10s} {'weaver_tt to it':>16s}"
    )
    for name, rate in result["rates"].items():
        values = rate["all"]
        print(
            f"{name:32s} {rate['rows_per_second']:16,.0f} {min(values):10,.0f} {max(values):10,.0f} {ours / rate['rows_per_second']:16.2f}"
        )
    print("\nwhere the time goes, in one thread")
    for stage, share in result["stages"].items():
        print(f"  {stage:30s} {share:16.1%}")


def main() -> None:
    """Read the flags, make what is missing, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", help="folder of ROOT or parquet files, one for each class (default: generated)"
    )
    parser.add_argument(
        "--format", default="root", choices=["root", "parquet"], help="of the generated files"
    )
    parser.add_argument(
        "--data-config", help="data YAML (default: one in the style of JetClass_full)"
    )
    parser.add_argument(
        "--pad-mode", default="wrap", choices=["wrap", "constant"], help="of that YAML"
    )
    parser.add_argument(
        "--rows", type=int, default=20_000, help="jets of each of the ten generated classes"
    )
    parser.add_argument(
        "--cluster", type=int, default=5_000, help="jets in a cluster of the generated files"
    )
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of torch and of numerical libraries, on both sides",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        help="worker processes of the second run of ours; 0 for none",
    )
    parser.add_argument("--peer-python", help="a python that has weaver-core")
    parser.add_argument(
        "--fetch-step",
        type=float,
        default=0.01,
        help="weaver-core's --fetch-step (default 0.01; larger: faster, more memory)",
    )
    parser.add_argument("--json", default="loader.json", help="where to write the figures")
    parser.add_argument(
        "--child", choices=["ours", "peer", "bare", "stages"], help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    with tempfile.TemporaryDirectory() as scratch:
        if args.data is None:
            args.data = scratch
            write_files(scratch, args.rows, args.cluster, args.format)
        if args.data_config is None:
            args.data_config = str(Path(scratch, "jets.yaml"))
            Path(args.data_config).write_text(
                CONFIG.format(
                    pad=args.pad_mode, labels=", ".join(f"label_{name}" for name in CLASSES)
                )
            )
        result = measure(args)
    show(result)
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
