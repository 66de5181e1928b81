"""Rows per second from files to padded batches, beside a peer and beside reading alone.

    python benchmarks/loader.py --peer-python /path/to/python-with-weaver-core
    python benchmarks/loader.py --format hdf5 --peer salt --peer-python /path/to/python-with-salt

All read the same files with the same YAML, batch size and cores. The files are JetClass-like (ten
classes, 16 jagged columns, about 45 particles a jet, LZ4) and written here, unless ``--data`` names
a folder of ROOT or parquet files, one for each class. Each side runs in a process of its own, in
turn, ``--repeat`` times; the median of the epochs counts. Our loader and weaver-core's read without
worker processes, and ours once more with ``--workers`` of them. "Reading alone" is the format's own
library (uproot, pyarrow, h5py) in one thread: the file is kept open, and the same columns are read
cluster by cluster and dropped. The share of time of each stage is taken in one thread.

With ``--format hdf5`` it is one file of jets and tracks (19 variables of up to 40 tracks), which
salt reads, too: contiguous slices in random order, where our rows are shuffled. Beside other jobs
the rows per second of CPU time say more than those per second of the clock.
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

# benchmarks are scripts, not a package
sys.path.insert(0, str(Path(__file__).parent))

from hdf5_jets import VARIABLES, write_tables, write_tracks_config
from peers.salt_loader import salt_batch_sizes, salt_loader

# what a result says of how it was measured
SETTINGS = (
    "rows",
    "format",
    "peer",
    "compression",
    "tracks",
    "inputs_only",
    "batch_size",
    "epochs",
    "warm_up",
    "repeat",
    "threads",
    "fetch_step",
    "pad_mode",
)

CLASSES = ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"]
FLAGS = ["isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon"]

# the data YAML, in the style of JetClass_full.yaml
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
    """Write ten files of ``rows`` jets each, in clusters of ``cluster`` rows."""
    import awkward as ak
    import numpy as np

    random = np.random.default_rng(1)
    for number, name in enumerate(CLASSES):
        counts = random.normal(45, 18, rows).clip(1, 128).astype(int)  # (R,)
        particles = make_particles(random, int(counts.sum()))
        objects = ak.unflatten(ak.zip(particles), counts)
        # scalar sums over a jet's particles, which is as good for reading as a four-momentum
        pt = np.hypot(objects.px, objects.py)
        scalars = {
            "jet_pt": ak.sum(pt, axis=1),
            "jet_energy": ak.sum(objects.energy, axis=1),
        }
        for label in CLASSES:
            scalars[f"label_{label}"] = np.full(rows, label == name, dtype=np.float32)
        path = Path(folder, f"class{number}.{suffix}")
        if suffix == "parquet":
            columns = {f"part_{column}": objects[column] for column in particles} | scalars
            ak.to_parquet(ak.Array(columns), path, compression="LZ4", row_group_size=cluster)
        else:
            write_root(path, objects, scalars, cluster)


def make_particles(random: Any, number: int) -> dict[str, Any]:
    """Columns of ``number`` particles, float32."""
    import numpy as np

    pt = random.exponential(20, number) + 0.5
    eta = random.normal(0, 1, number)
    phi = random.uniform(-3.14, 3.14, number)
    kind = random.integers(0, 5, number)
    columns = {}
    columns["px"] = pt * np.cos(phi)
    columns["py"] = pt * np.sin(phi)
    columns["pz"] = pt * np.sinh(eta)
    columns["energy"] = pt * np.cosh(eta)
    for name in ("deta", "dphi", "d0val", "dzval"):
        columns[name] = random.normal(0, 0.3, number)
    for name in ("d0err", "dzerr"):
        columns[name] = random.exponential(0.2, number)
    columns["charge"] = random.integers(-1, 2, number)
    for i, flag in enumerate(FLAGS):
        columns[flag] = kind == i
    return {name: values.astype(np.float32) for name, values in columns.items()}


def write_root(path: Path, objects: Any, scalars: dict[str, Any], cluster: int) -> None:
    """Write a TTree with the objects as branches ``part_...``, ``cluster`` rows a basket."""
    import numpy as np
    import uproot

    members = ", ".join(f"{column}: float32" for column in objects.fields)
    types = {"part": f"var * {{{members}}}"} | dict.fromkeys(scalars, "float32")
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        tree = file.mktree("tree", types)
        # one call makes one basket of each branch
        for first in range(0, len(objects), cluster):
            rows = slice(first, first + cluster)
            columns = {name: np.asarray(values)[rows] for name, values in scalars.items()}
            tree.extend({"part": objects[rows]} | columns)


def write_config(folder: str, pad_mode: str) -> str:
    """Write the data YAML of these files; its path."""
    labels = ", ".join(f"label_{name}" for name in CLASSES)
    path = Path(folder, "jets.yaml")
    path.write_text(CONFIG.format(pad=pad_mode, labels=labels))
    return str(path)


def paths(folder: str) -> list[str]:
    """The files, in order."""
    suffixes = (".root", ".parquet", ".h5")
    files = [str(path) for path in Path(folder).iterdir() if path.suffix in suffixes]
    return sorted(files)


def our_loader(args: argparse.Namespace, read_ahead: int | None = None) -> Any:
    """Our training loader; with ``read_ahead`` 0, all in one thread."""
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


def weaver_core_loader(args: argparse.Namespace) -> Any:
    """weaver-core's training loader, as its own train.py makes it."""
    from torch.utils.data import DataLoader
    from weaver.utils.dataset import SimpleIterDataset

    files = {f"class{i}": [path] for i, path in enumerate(paths(args.data))}
    all_rows = ((0, 1), 1, 1)
    dataset = SimpleIterDataset(
        files,
        args.data_config,
        for_training=True,
        load_range_and_fraction=all_rows,
        fetch_step=args.fetch_step,
        name="train",
    )
    return DataLoader(
        dataset, batch_size=args.batch_size, drop_last=True, pin_memory=False, num_workers=0
    )


def read_alone(args: argparse.Namespace) -> Iterator[int]:
    """Number of rows of each cluster, which the format's own library reads and which is dropped."""
    from weaver_tt.config.load import load_config
    from weaver_tt.config.plan import make_plan

    names = list(make_plan(load_config(args.data_config), "train").columns)
    for path in paths(args.data):
        if path.endswith(".h5"):
            yield from read_tables_alone(path)
            continue
        if path.endswith(".parquet"):
            import pyarrow.parquet as pq

            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                yield len(file.read_row_group(group, columns=names, use_threads=False))
            continue
        import uproot

        tree = uproot.open(f"{path}:tree")
        boundaries = tree.common_entry_offsets(filter_name=names)
        for first, last in itertools.pairwise(boundaries):
            yield len(tree.arrays(names, entry_start=first, entry_stop=last))


def read_tables_alone(path: str) -> Iterator[int]:
    """Number of rows of each block of an HDF5 file's tables that h5py reads."""
    import h5py

    with h5py.File(path) as file:
        for first in range(0, len(file["jets"]), 1000):
            jets = file["jets"][first : first + 1000]
            file["tracks"][first : first + 1000]
            yield len(jets)


def time_epochs(epochs: Sequence[Callable[[], Iterator[int]]]) -> list[tuple[float, float]]:
    """Rows per second of each epoch, and per second of CPU time.

    An epoch gives the number of rows of each of its batches.
    """
    rates = []
    for epoch in epochs:
        rows = 0
        start = time.perf_counter()
        cpu_start = time.process_time()
        for size in epoch():
            rows += size
        cpu_seconds = time.process_time() - cpu_start
        seconds = time.perf_counter() - start
        rates.append((rows / seconds, rows / cpu_seconds))
    return rates


def batch_sizes(loader: Any, number: int) -> Iterator[int]:
    """Rows of each batch of epoch ``number`` of our loader."""
    return (batch.size for batch in loader.epoch(number))


def time_stages(args: argparse.Namespace) -> dict[str, float]:
    """Share of the time of each stage of an epoch in one thread."""
    from weaver_tt.data.rows import padding
    from weaver_tt.data.shuffle import decoder, pool

    seconds: dict[str, float] = defaultdict(float)
    # of each stage that is running, the seconds spent in stages that it called
    inner_seconds = [0.0]

    def time_calls(owner: Any, name: str, stage: str) -> None:
        """Replace a function by itself with a clock; inner stages do not count for outer ones."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def wrapper(*positional: Any, **named: Any) -> Any:
            inner_seconds.append(0.0)
            start = time.perf_counter()
            result = function(*positional, **named)
            elapsed = time.perf_counter() - start
            seconds[stage] += elapsed - inner_seconds.pop()
            inner_seconds[-1] += elapsed
            return result

        setattr(owner, name, wrapper)

    loader = our_loader(args, read_ahead=0)
    # the first epoch opens files and fills caches
    for _ in loader.epoch(0):
        pass
    time_calls(decoder.Decoder, "read", "reading")
    time_calls(decoder, "select_rows", "expressions")
    time_calls(decoder, "to_rows", "scaling, side by side")
    time_calls(pool, "gather_rows", "shuffling: gathering rows")
    time_calls(padding.Padder, "__call__", "padding")
    start = time.perf_counter()
    for _ in loader.epoch(1):
        pass
    total = time.perf_counter() - start
    largest_first = sorted(seconds.items(), key=lambda item: -item[1])
    shares = {stage: value / total for stage, value in largest_first}
    shares["the rest"] = 1 - sum(shares.values())
    return shares


def run_child(args: argparse.Namespace) -> None:
    """Measure in a process of its own; the last line that is printed is the result."""
    import torch

    torch.set_num_threads(args.threads)
    if args.child != "peer":
        from weaver_tt.system.allocator import keep_freed_memory

        # as train.py does
        keep_freed_memory()
    if args.child == "stages":
        print(json.dumps(time_stages(args)))
        return
    number = args.epochs + args.warm_up
    epochs: list[Callable[[], Iterator[int]]] = []
    if args.child == "alone":
        epochs = [functools.partial(read_alone, args)] * number
    elif args.child == "ours":
        loader = our_loader(args)
        epochs = [functools.partial(batch_sizes, loader, epoch) for epoch in range(number)]
    elif args.peer == "salt":
        loader = salt_loader(paths(args.data)[0], VARIABLES, args.batch_size)
        epochs = [functools.partial(salt_batch_sizes, loader)] * number
    else:
        loader = weaver_core_loader(args)
        epochs = [lambda: (args.batch_size for _ in loader)] * number
    print(json.dumps(time_epochs(epochs)[args.warm_up :]))


def start_child(args: argparse.Namespace, who: str, workers: int = 0) -> Any:
    """Start this file with ``--child`` and return its result."""
    is_peer = who == "peer"
    command = [args.peer_python if is_peer else sys.executable, __file__, "--child", who]
    for name in (
        "data",
        "data_config",
        "batch_size",
        "epochs",
        "threads",
        "fetch_step",
        "peer",
        "warm_up",
    ):
        value = getattr(args, name)
        command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--workers", str(workers)]
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[name] = str(args.threads)
    # the peer must not find our stand-ins for its modules
    environment["PYTHONPATH"] = "" if is_peer else str(Path(__file__).parents[1])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{who} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    # name -> (what the process does, number of workers)
    sides: dict[str, tuple[str, int]] = {}
    sides["weaver_tt"] = ("ours", 0)
    sides["reading alone"] = ("alone", 0)
    if args.workers:
        sides[f"weaver_tt, {args.workers} workers"] = ("ours", args.workers)
    if args.peer_python:
        sides[args.peer] = ("peer", 0)
    # in turn, so that a busy spell of the machine meets all sides
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(args.repeat):
        for name, (who, workers) in sides.items():
            found[name] += start_child(args, who, workers)
    rates = {}
    for name, values in found.items():
        by_clock, by_cpu = zip(*values, strict=True)
        rates[name] = {
            "rows_per_second": median(by_clock),
            "rows_per_cpu_second": median(by_cpu),
            "all": by_clock,
            "all_cpu": by_cpu,
        }
    stages = start_child(args, "stages")
    settings = {name: getattr(args, name) for name in SETTINGS}
    cpus = len(os.sched_getaffinity(0))
    return {"rates": rates, "stages": stages, "settings": settings, "cpus": cpus}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    rates = result["rates"]
    ours = rates["weaver_tt"]
    print(
        f"{'loader':24s} {'rows/s (median)':>16s} {'lowest':>10s} {'highest':>10s} "
        f"{'weaver_tt to it':>16s} {'rows/CPU s':>12s} {'weaver_tt to it':>16s}"
    )
    for name, rate in rates.items():
        middle = rate["rows_per_second"]
        of_cpu = rate["rows_per_cpu_second"]
        print(
            f"{name:24s} {middle:16,.0f} {min(rate['all']):10,.0f} {max(rate['all']):10,.0f} "
            f"{ours['rows_per_second'] / middle:16.2f} {of_cpu:12,.0f} "
            f"{ours['rows_per_cpu_second'] / of_cpu:16.2f}"
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
        "--format",
        default="root",
        choices=["root", "parquet", "hdf5"],
        help="of the generated files; hdf5: ten times --rows jets with tracks in one file",
    )
    parser.add_argument(
        "--compression", default="none", choices=["none", "lzf", "gzip"], help="of HDF5 files"
    )
    parser.add_argument(
        "--tracks", type=float, default=12, help="tracks of a jet in HDF5 files; 40: no padding"
    )
    parser.add_argument(
        "--inputs-only",
        action="store_true",
        help="HDF5 tables hold the 19 variables alone, without six others that are not read",
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
    parser.add_argument(
        "--warm-up", type=int, default=0, help="epochs before those, which do not count"
    )
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
    parser.add_argument("--peer", default="weaver-core", choices=["weaver-core", "salt"])
    parser.add_argument("--peer-python", help="a python that has the peer")
    parser.add_argument(
        "--fetch-step",
        type=float,
        default=0.01,
        help="weaver-core's --fetch-step (default 0.01; larger: faster, more memory)",
    )
    parser.add_argument("--json", default="loader.json", help="where to write the figures")
    parser.add_argument(
        "--child", choices=["ours", "peer", "alone", "stages"], help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.child:
        run_child(args)
        return
    if (args.peer == "salt") != (args.format == "hdf5") and args.peer_python:
        parser.error("salt reads HDF5 files, weaver-core the others")
    with tempfile.TemporaryDirectory() as scratch:
        if args.data is None:
            args.data = scratch
            if args.format == "hdf5":
                compression = None if args.compression == "none" else args.compression
                path = Path(scratch, "jets.h5")
                write_tables(path, 10 * args.rows, args.tracks, compression, args.inputs_only)
            else:
                write_files(scratch, args.rows, args.cluster, args.format)
        if args.data_config is None and args.format == "hdf5":
            args.data_config = write_tracks_config(scratch)
        elif args.data_config is None:
            args.data_config = write_config(scratch, args.pad_mode)
        result = measure(args)
    show(result)
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
