"""Time to look at many small files: ``weaver-tt check``, and the start of a training.

    python benchmarks/many_files.py                              # and --branches 700 --files 200

Copies of ten small files, looked at by threads of one process and by several processes, in turn.
Beside the time by the clock stands the time on cores, of this process and of the others: jobs
beside it change that less. ``--branches`` adds columns that nobody reads, as NanoAOD has them.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import awkward as ak
import numpy as np
import uproot

from weaver_tt.data import scan
from weaver_tt.formats import open_reader as opening
from weaver_tt.options.check import CheckRun
from weaver_tt.run.check.findings import find_all

DISTINCT = 10
EVENTS = 500
YAML = """
treename: tree
inputs: {jets: {length: 8, vars: [jet_pt, jet_eta]}}
preprocess: {method: auto}
labels: {type: simple, value: [is_signal, is_background]}
new_variables: {is_background: 1 - is_signal}
"""


def write_files(folder: Path, files: int, branches: int) -> None:
    """``files`` files of 500 events, of which ten differ."""
    random = np.random.default_rng(1)
    for number in range(DISTINCT):
        counts = random.poisson(4, EVENTS)
        jets = {
            "pt": random.exponential(50, counts.sum()).astype(np.float32),
            "eta": random.normal(0, 1, counts.sum()).astype(np.float32),
        }
        columns = {name: ak.unflatten(values, counts) for name, values in jets.items()}
        types = {"jet": "var * {pt: float32, eta: float32}", "is_signal": "int32"}
        types |= {f"column_{index}": "float32" for index in range(branches)}
        more = {f"column_{index}": np.zeros(EVENTS, np.float32) for index in range(branches)}
        with uproot.recreate(folder / f"{number}.root") as file:
            file.mktree("tree", types).extend(
                {"jet": ak.zip(columns), "is_signal": random.integers(0, 2, EVENTS), **more}
            )
    for number in range(DISTINCT, files):
        shutil.copy(folder / f"{number % DISTINCT}.root", folder / f"{number}.root")


def time_on_cores(who: int) -> float:
    """Seconds of this process, or of others that it has waited for."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measure(work: Callable[[], Any]) -> tuple[float, float, float]:
    """Seconds by the clock, on cores by this process, and by others."""
    start = time.perf_counter()
    own = time_on_cores(resource.RUSAGE_SELF)
    others = time_on_cores(resource.RUSAGE_CHILDREN)
    work()
    return (
        time.perf_counter() - start,
        time_on_cores(resource.RUSAGE_SELF) - own,
        time_on_cores(resource.RUSAGE_CHILDREN) - others,
    )


def count_opens(work: Callable[[], Any]) -> Counter[str]:
    """How often each file is opened, in this process."""
    opens: Counter[str] = Counter()

    def open_and_count(path: str, treename: str | None = None) -> Any:
        opens[path] += 1
        return original(path, treename)

    original = opening.open_reader
    owners = [module for module in sys.modules.values() if vars(module).get("open_reader")]
    for owner in owners:
        if owner.open_reader is original:
            owner.open_reader = open_and_count
    try:
        work()
    finally:
        for owner in owners:
            if owner.open_reader is open_and_count:
                owner.open_reader = original
    return opens


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--branches", type=int, default=0, help="further columns of the files")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_files(folder, args.files, args.branches)
        (folder / "data.yaml").write_text(YAML)
        options = CheckRun()
        options.data.data_config = str(folder / "data.yaml")
        options.data.data_train = [f"{folder}/*.root"]
        find_all(options)  # imports, and the files are in memory

        def check(processes: int) -> tuple[float, float, float]:
            with mock.patch.object(scan, "available_cores", return_value=processes):
                return measure(lambda: find_all(options))

        with mock.patch.object(scan, "available_cores", return_value=1):
            opens = count_opens(lambda: find_all(options))
        found: dict[int, list[tuple[float, float, float]]] = {1: [], args.processes: []}
        for _ in range(args.repeat):
            for processes, results in found.items():
                results.append(check(processes))
    print(f"check of {args.files} files, {args.branches} further columns")
    print(f"  opened {sum(opens.values()) / args.files:.2f} times each")
    for processes, results in found.items():
        clock, own, others = (median(values) for values in zip(*results, strict=True))
        print(
            f"  {processes} processes: {clock:.1f} s by the clock (fastest "
            f"{min(result[0] for result in results):.1f}), {own:.1f} s on a core by the first, "
            f"{others / max(1, processes):.1f} by each of the others"
        )


if __name__ == "__main__":
    main()
