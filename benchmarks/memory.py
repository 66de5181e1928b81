"""Peak memory of a training epoch over some data and over ten times as much: it is set by --pool-size, not by the data.

    python benchmarks/memory.py

Each epoch runs in a process of its own, over the same generated files, present once or ten times under other names.
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

sys.path.insert(0, str(Path(__file__).parent))

from loader import CLASSES, CONFIG, paths, write_files  # the data of the loader's benchmark

BAR = 1.1


def epoch(args: argparse.Namespace) -> dict[str, float]:
    """Rows of an epoch over the files of ``--data``, and the peak memory of this process (MiB)."""
    from weaver_tt.config.load import load_config
    from weaver_tt.data.loaders import train_loader
    from weaver_tt.options.train import DataOptions

    files = [f"class{Path(path).stem.split('_')[0][-1]}:{path}" for path in paths(args.data)]
    options = DataOptions(
        data_train=files, data_val=files[:1], batch_size=512, pool_size=args.pool_size
    )
    rows = sum(
        batch.size
        for batch in train_loader(load_config(args.data_config), options, seed=1).epoch(0)
    )
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"rows": rows, "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}


def run(args: argparse.Namespace, data: str) -> dict[str, float]:
    """:func:`epoch` over a folder, in a process of its own."""
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


def many(folder: str, into: str, times: int) -> str:
    """Links to the files of ``folder``, ``times`` for each."""
    for path in paths(folder):
        for number in range(times):
            Path(into, f"{Path(path).stem}_{number}.root").symlink_to(Path(path).resolve())
    return into


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Peak memory over one and over ``--times`` times the data."""
    with tempfile.TemporaryDirectory() as once, tempfile.TemporaryDirectory() as often:
        if args.data_config is None:
            args.data_config = str(Path(often, "jets.yaml"))
            Path(args.data_config).write_text(
                CONFIG.format(pad="wrap", labels=", ".join(f"label_{name}" for name in CLASSES))
            )
        if args.data is None:
            write_files(once, args.rows, cluster=2_500)
        data = args.data or once
        one, ten = run(args, data), run(args, many(data, often, args.times))
    return {
        "once": one,
        "often": ten,
        "ratio": ten["peak_MiB"] / one["peak_MiB"],
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
        print(json.dumps(epoch(args)))
        return
    result = measure(args)
    print(f"{'rows of an epoch':>18s} {'peak memory':>14s}")
    for name in ("once", "often"):
        print(f"{result[name]['rows']:18,.0f} {result[name]['peak_MiB']:10,.0f} MiB")
    print(f"ratio {result['ratio']:.3f} (bar {BAR})")
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
