"""The figures of exported networks: the same numbers everywhere, and how fast they come.

    python benchmarks/deploy.py --quick     # some minutes; and --what differences import
    python benchmarks/deploy.py [--json deploy.json]

Four networks (edge network, Particle Flow Network, ParticleNet, Particle Transformer, in full size)
are trained for a moment and exported, the C++ programs are built, and each line of the table is
measured beside its bar:

- differences: outputs of ONNX Runtime (``Tagger``), of the C++ library and of the file that takes
  raw columns, to those of torch, for each kind of golden rows; in Python one by one and all at once
- particle_net: the same weights exported here and from weaver-core 0.5.3, in one kind of session
- batches: several events in one call of the C++ library against a call for each
- lengths: jets with half of the slots filled, padded to what they have against the full length
- import: ``from weaver_tt.deploy import Tagger`` in a new process

One thread; times are CPU time, as other work on the machine hits that least, and what is compared
takes turns in one process. Of ratios it is the median of the turns. What cannot be measured is said
with its reason. The exit code is 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# as train.py does: threads that wait must sleep
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# benchmarks are scripts, not a package
sys.path.insert(0, str(Path(__file__).parent))

import awkward as ak
import numpy as np
import numpy.typing as npt
import torch
from cpp_programs import MissingError, build_programs, largest_difference, seconds_per_row
from exported_networks import (
    EDGES,
    EXAMPLES,
    PFN,
    TRANSFORMER,
    Exported,
    jet_columns,
    train_and_export,
    write_data,
)

from weaver_tt.deploy.changed_rows import KINDS, REAL, TWICE
from weaver_tt.deploy.golden import GoldenRow, numbers_for_json, row_for_json
from weaver_tt.deploy.raw_columns import raw_inputs, read_raw_columns
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.tagger import Tagger

SLOTS = 128
# bars
DIFFERENCE = 2e-6
DIFFERENCE_TWICE = 5e-5
PARTICLE_NET_RATIOS = {40: 3.5, 128: 1.3}  # real particles of 128 -> least ratio, for single jets
EDGES_RATIO = 2.5
LENGTH_RATIOS = {TRANSFORMER.name: 2.0, PFN.name: 1.4}
IMPORT_SECONDS = 0.5

Call = Callable[[], Any]
Outputs = dict[str, npt.NDArray[Any]]  # of one row, by name: () or (n,)


@dataclass(frozen=True)
class Line:
    """A line of the table; ``bar`` is how large ``value`` must be at most, or at least.

    Without ``value``, ``note`` says why it could not be measured.
    """

    what: str
    case: str
    value: float | None = None
    bar: float | None = None
    is_ratio: bool = False  # larger is better
    note: str = ""

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, ``stated`` (there is no bar) or ``not measured``."""
        if self.value is None:
            return "not measured"
        if self.bar is None:
            return "stated"
        is_met = self.value >= self.bar if self.is_ratio else self.value <= self.bar
        return "met" if is_met else "missed"

    def cells(self) -> list[str]:
        """What is printed."""
        pattern = "{:.2f}" if self.is_ratio or self.what == "import" else "{:.1e}"
        value = "" if self.value is None else f"**{pattern.format(self.value)}**"
        sign = "≥" if self.is_ratio else "≤"
        bar = "" if self.bar is None else f"{sign} {self.bar:g}"
        return [self.what, self.case, value, bar, self.verdict, self.note]


# --- differences


def difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """The largest difference of outputs; infinite where only one is a number."""
    largest = 0.0
    for name, values in expected.items():
        one, other = np.asarray(values, np.float64), np.asarray(found[name], np.float64)
        is_same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            apart = np.where(is_same, 0, np.abs(one - other))
        largest = max(largest, np.where(np.isnan(apart), np.inf, apart).max(initial=0))
    return float(largest)


def joined_columns(rows: Sequence[GoldenRow]) -> dict[str, Any]:
    """The variables of all rows as columns for a Tagger."""
    columns: dict[str, Any] = {}
    for name, values in rows[0].columns.items():
        of_rows = [row.columns[name] for row in rows]
        if not values.ndim:
            columns[name] = np.array(of_rows)
            continue
        counts = [len(one) for one in of_rows]
        columns[name] = (np.concatenate(of_rows), np.concatenate([[0], np.cumsum(counts)]))
    return columns


def tagger_outputs(tagger: Tagger, rows: Sequence[GoldenRow]) -> list[Outputs]:
    """What the Tagger gives for all of the rows in one call."""
    outputs = tagger(joined_columns(rows))
    return [
        {name: np.asarray(values[number]) for name, values in outputs.items()}
        for number in range(len(rows))
    ]


class RawFile:
    """The file that takes raw columns, in ONNX Runtime."""

    def __init__(self, exported: Exported) -> None:
        self.exported = exported
        self.session = open_session(exported.raw_file, 1)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.taken = read_raw_columns(metadata, str(exported.raw_file))

    def outputs(self, rows: Sequence[GoldenRow]) -> list[Outputs]:
        """What it gives for all of the rows in one call."""
        columns = {
            name: ak.concatenate([ak.Array(row.raw[name]) for row in rows]) for name in self.taken
        }
        given = raw_inputs(self.taken, columns, str(self.exported.raw_file))
        found = self.session.run(None, given)
        if not self.exported.per_object:
            return [dict(zip(self.exported.values, row, strict=True)) for row in found[0]]
        named = dict(zip(self.exported.values, found, strict=True))
        results = []
        for number, row in enumerate(rows):
            outputs = {}
            for name, expected in row.outputs.items():
                # (N, P) -> those of the objects; there are none beyond the length
                outputs[name] = np.full(len(expected), np.nan, np.float32)
                kept = min(len(expected), named[name].shape[1])
                outputs[name][:kept] = named[name][number, :kept]
            results.append(outputs)
        return results


def score_range(rows: Sequence[GoldenRow]) -> tuple[float, float]:
    """The smallest and the largest output of real rows: a network that knows nothing is no test."""
    real = [np.ravel(values) for row in rows if row.kind == REAL for values in row.outputs.values()]
    scores = np.concatenate(real)
    return float(np.nanmin(scores)), float(np.nanmax(scores))


def largest_of(
    evaluate: Callable[[Sequence[GoldenRow]], list[Outputs]], rows: Sequence[GoldenRow]
) -> float:
    """The largest difference to torch, with one row in a call and with all of them."""
    largest = 0.0
    for part in (*([row] for row in rows), rows):
        for row, found in zip(part, evaluate(part), strict=True):
            largest = max(largest, difference(row.outputs, found))
    return largest


def difference_lines(exported: Exported, build: Path | MissingError, space: Path) -> Iterator[Line]:
    """Outputs of the three, by kind of row, against torch."""
    name = exported.example.name
    low, high = score_range(exported.golden)
    print(f"{name}: scores of real rows from {low:.3f} to {high:.3f}", flush=True)
    tagger = Tagger(exported.folder)
    raw = None if exported.refusals else RawFile(exported)
    largest: dict[str, dict[bool, float]] = {"ONNX Runtime": {}, "C++": {}, "raw columns": {}}
    notes: dict[bool, list[str]] = {False: [], True: []}
    for kind in KINDS:
        rows = [row for row in exported.golden if row.kind == kind]
        if not rows:
            continue
        found = {"ONNX Runtime": largest_of(lambda part: tagger_outputs(tagger, part), rows)}
        if raw is not None:
            found["raw columns"] = largest_of(raw.outputs, rows)
        if isinstance(build, Path):
            written = [row_for_json(row, {}) for row in rows]
            place = space / kind.replace(" ", "-")
            found["C++"] = largest_difference(build, exported.folder, written, place)
        is_twice = kind == TWICE
        notes[is_twice].append(f"{len(rows)} {kind}")
        for where, size in found.items():
            largest[where][is_twice] = max(size, largest[where].get(is_twice, 0.0))
    for where, sizes in largest.items():
        missing = str(build) if where == "C++" else "; ".join(exported.refusals)
        if not sizes:
            yield Line("difference to torch", f"{name}, {where}", note=missing)
        for is_twice, size in sizes.items():
            bar: float | None = DIFFERENCE_TWICE if is_twice else DIFFERENCE
            if exported.example is TRANSFORMER and not is_twice:
                bar = None
            case = f"{name}, {where}" + (", a particle twice" if is_twice else "")
            yield Line("difference to torch", case, size, bar, note=", ".join(notes[is_twice]))


# --- times


def cpu_ratios(slow: Call, fast: Call, turns: int) -> tuple[float, float, float]:
    """Median of the ratios of turns of CPU time, and the fastest turn of each in seconds."""
    times: list[list[float]] = [[], []]
    for turn in range(turns + 1):
        for call, found in zip((slow, fast), times, strict=True):
            start = time.process_time()
            call()
            # the first turn warms up
            if turn:
                found.append(time.process_time() - start)
    ratio = statistics.median(one / other for one, other in zip(*times, strict=True))
    return ratio, min(times[0]), min(times[1])


def milliseconds(seconds: float) -> str:
    """Of one row."""
    return f"{1000 * seconds:.3g} ms"


def particle_net_lines(sizes: Sequence[int], turns: int) -> Iterator[Line]:
    """The same ParticleNet, as exported here and from weaver-core."""
    what = "ParticleNet, weaver-core / ours"
    try:
        from particle_net import jets, networks, onnx_inference, onnx_session

        both = networks()
    except ImportError as error:
        yield Line(what, "P = 128", note=f"{error}; pip install weaver-core==0.5.3")
        return
    # what the peer's for_inference does
    both["weaver"].trimmer.enabled = False
    sessions = {name: onnx_session(network, 1) for name, network in both.items()}
    for size in sizes:
        for real, bar in PARTICLE_NET_RATIOS.items():
            points, features, mask = jets(size, None)
            mask = (torch.arange(SLOTS) < real).float().expand_as(mask).contiguous()
            inputs = (points * mask, features * mask, mask)
            calls = {name: onnx_inference(session, inputs) for name, session in sessions.items()}
            apart = (calls["ours"]() - calls["weaver"]()).abs().max().item()
            # a turn of single jets is of several
            number = max(1, 8 // size)
            ratio, theirs, ours = cpu_ratios(
                repeated(calls["weaver"], number),
                repeated(calls["ours"], number),
                turns if size == 1 else 3,
            )
            of_jet = [milliseconds(seconds / number / size) for seconds in (theirs, ours)]
            yield Line(
                what,
                f"{real} real particles of {SLOTS}, N = {size}",
                ratio,
                bar if size == 1 else None,
                is_ratio=True,
                note=f"{of_jet[0]}, {of_jet[1]} a jet; outputs apart by {apart:.0e}",
            )


def repeated(call: Call, number: int) -> Call:
    """The call, ``number`` times."""

    def calls() -> None:
        for _ in range(number):
            call()

    return calls


def batch_lines(
    exported: Exported, build: Path | MissingError, space: Path, rows: int, turns: int
) -> Iterator[Line]:
    """Batches of 10 and 100 rows against a call for each row, in C++."""
    what = "C++, a call for each row / a batch"
    name = exported.example.name
    if isinstance(build, MissingError):
        yield Line(what, name, note=str(build))
        return
    columns = exported.columns({column: values[:rows] for column, values in exported.raw.items()})
    written = {}
    for column, values in columns.items():
        written[column] = [numbers_for_json(np.asarray(row)) for row in ak.Array(values)]
    path = space / "columns.json"
    path.write_text(json.dumps(written))
    seconds = seconds_per_row(build, exported.folder, path, turns, (1, 10, 100))
    for batch in (10, 100):
        pairs = zip(seconds[1], seconds[batch], strict=True)
        yield Line(
            what,
            f"{name}, batches of {batch}",
            statistics.median(alone / together for alone, together in pairs),
            EDGES_RATIO if exported.example is EDGES else None,
            is_ratio=True,
            note=f"{milliseconds(min(seconds[1]))}, {milliseconds(min(seconds[batch]))} a row",
        )


def length_lines(exported: Exported, jets: int, turns: int) -> Iterator[Line]:
    """Half-filled jets: as many slots as particles, against all slots."""
    half = SLOTS // 2
    columns = exported.columns(jet_columns(np.random.default_rng(2), np.full(jets, half)))
    tensors = Tagger(exported.folder).inputs(columns)  # (N, C, P / 2)
    # what is padded is 0 in this data YAML
    padding = ((0, 0), (0, 0), (0, SLOTS - half))
    padded = {name: np.pad(values, padding) for name, values in tensors.items()}
    session = open_session(exported.folder / "model.onnx", 1)

    def calls_with(inputs: Mapping[str, npt.NDArray[Any]], size: int) -> Call:
        batches = []
        for first in range(0, jets, size):
            rows = slice(first, first + size)
            batches.append({name: values[rows] for name, values in inputs.items()})
        return lambda: np.concatenate([session.run(None, batch)[0] for batch in batches])

    for size in (1, 16):
        full, dynamic = calls_with(padded, size), calls_with(tensors, size)
        apart = float(np.abs(full() - dynamic()).max())
        ratio, of_full, of_dynamic = cpu_ratios(full, dynamic, turns)
        name = exported.example.name
        of_jet = [milliseconds(seconds / jets) for seconds in (of_full, of_dynamic)]
        yield Line(
            "full P / dynamic P",
            f"{name}, {half} particles of {SLOTS}, N = {size}",
            ratio,
            LENGTH_RATIOS[name],
            is_ratio=True,
            note=f"{of_jet[0]}, {of_jet[1]} a jet; outputs apart by {apart:.0e}",
        )


IMPORT = """
import sys, time
start = time.process_time()
from weaver_tt.deploy import Tagger
taken = time.process_time() - start
heavy = [name for name in ("torch", "matplotlib") if name in sys.modules]
print(taken, *heavy)
"""


def import_line(turns: int) -> Line:
    """CPU seconds of the import in new processes."""
    seconds = []
    for turn in range(turns + 1):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
        )
        taken, *heavy = done.stdout.split()
        if heavy:
            raise RuntimeError(f"the import of Tagger imports {' and '.join(heavy)}")
        # the first one compiles, and reads from the disk
        if turn:
            seconds.append(float(taken))
    note = f"CPU seconds, {min(seconds):.2f} to {max(seconds):.2f}"
    return Line(
        "import",
        "from weaver_tt.deploy import Tagger",
        statistics.median(seconds),
        IMPORT_SECONDS,
        note=note,
    )


# --- all of it

WHAT = ("differences", "particle_net", "batches", "lengths", "import")


def measure(what: Sequence[str], quick: bool, folder: Path) -> Iterator[Line]:
    """All lines of ``what``."""
    turns = 5 if quick else 21
    if "import" in what:
        yield import_line(turns)
    if "particle_net" in what:
        yield from particle_net_lines((1,) if quick else (1, 64), turns)
    if not {"differences", "batches", "lengths"} & set(what):
        return
    build: Path | MissingError
    try:
        build = build_programs(folder / "build")
    except MissingError as error:
        build = error
    data = write_data(folder, jets=200 if quick else 1000, events=1000 if quick else 5000)
    for example in EXAMPLES:
        space = folder / example.network
        exported = train_and_export(example, data[example.config], space)
        if "differences" in what:
            yield from difference_lines(exported, build, space)
        if "batches" in what:
            # calls of the edge network take microseconds, of the others milliseconds
            rows, times = (200, turns) if example is EDGES else (100, 3 if quick else 7)
            yield from batch_lines(exported, build, space, rows, times)
        if "lengths" in what and example.name in LENGTH_RATIOS:
            yield from length_lines(exported, 16 if quick else 32, 5 if quick else 11)


def main() -> int:
    """Measure, and print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--what", nargs="+", choices=WHAT, default=WHAT)
    parser.add_argument("--quick", action="store_true", help="fewer rows and turns")
    parser.add_argument("--json", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        lines = list(measure(options.what, options.quick, Path(scratch)))
    print("\n| what | | measured | bar | | |")
    print("|---|---|---|---|---|---|")
    for line in lines:
        print(f"| {' | '.join(line.cells())} |")
    report = [{**asdict(line), "verdict": line.verdict} for line in lines]
    print(json.dumps(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(line.verdict == "missed" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
