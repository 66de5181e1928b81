"""Peak memory of a training epoch over some data, and over ten times as much.

    python benchmarks/memory.py

Memory is set by ``--pool-size``, not by the amount of data. Each epoch runs in a process of its
own, over the same generated files, which are there once, or ten times under other names.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# benchmarks are scripts, not a package
sys.path.insert(0, str(Path(__file__).parent))

# the data of the loader's benchmark
from loader import paths, write_config, write_files

# highest ratio of the two that is fine
BAR = 1.1


def run_epoch(args: argparse.Namespace) -> dict[str, float]:
    """Rows of an epoch over the files of ``--data``, and peak memory of this process in MiB."""
    from weaver_tt.config.load import load_config
    from weaver_tt.data.loaders import train_loader
    from weaver_tt.options.train import DataOptions

    files = []
    for path in paths(args.data):
        # a link classN_i.root belongs to the group of classN.root
        group = Path(path).stem.split("_")[0]
        files.append(f"{group}:{path}")
    options = DataOptions(
        data_train=files, data_val=files[:1], batch_size=512, pool_size=args.pool_size
    )
    loader = train_loader(load_config(args.data_config), options, seed=1)
    rows = 0
    for batch in loader.epoch(0):
        rows += batch.size
    # bytes on macOS, kilobytes elsewhere
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"rows": rows, "peak_MiB": peak / unit}


def start_child(args: argparse.Namespace, data: str) -> dict[str, float]:
    """:func:`run_epoch` over a folder, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [
        sys.executable,
        __file__,
        "--child",
        "--data",
        data,
        "--data-config",
        args.data_config,
        "--pool-size",
        str(args.pool_size),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def link_files(folder: str, into: str, times: int) -> None:
    """Make ``times`` links to each file of ``folder``."""
    for path in paths(folder):
        for number in range(times):
            link = Path(into, f"{Path(path).stem}_{number}.root")
            link.symlink_to(Path(path).resolve())


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Peak memory over one and over ``--times`` times the data."""
    with tempfile.TemporaryDirectory() as once, tempfile.TemporaryDirectory() as often:
        if args.data_config is None:
            args.data_config = write_config(often, pad_mode="wrap")
        if args.data is None:
            write_files(once, args.rows, cluster=2_500)
        data = args.data or once
        link_files(data, often, args.times)
        found_once = start_child(args, data)
        found_often = start_child(args, often)
    return {
        "once": found_once,
        "often": found_often,
        "ratio": found_often["peak_MiB"] / found_once["peak_MiB"],
        "bar": BAR,
        "pool_size": args.pool_size,
    }


def main() -> None:
    """Read the flags, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of ROOT files (default: generated)")
    parser.add_argument("--data-config", help="data YAML (default: that of the loader's benchmark)")
    parser.add_argument(
        "--rows",
        type=int,
        default=10_000,
        help="jets of each of the ten generated classes; more of them than the pool holds",
    )
    parser.add_argument("--pool-size", type=int, default=30_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--json", default="memory.json", help="where to write the figures")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run_epoch(args)))
        return
    result = measure(args)
    print(f"{'rows of an epoch':>18s} {'peak memory':>14s}")
    for name in ("once", "often"):
        print(f"{result[name]['rows']:18,.0f} {result[name]['peak_MiB']:10,.0f} MiB")
    print(f"ratio {result['ratio']:.3f} (bar {BAR})")
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
