"""The commands of a benchmark, one after another, each done once; numbers and bars in tables."""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a command took: seconds of CPU with those of its children, MB of its largest process."""

    cpu: float
    memory: float


@dataclass(kw_only=True)
class Steps:
    """Runs commands in a folder and keeps what they took in ``steps.json``.

    ``resumes``: steps that are done are not done again. Several threads may run steps at a time.
    """

    folder: Path
    resumes: bool
    done: dict[str, Usage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what has been done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        if self.resumes and self.record.exists():
            steps = json.loads(self.record.read_text())
            self.done = {name: Usage(**usage) for name, usage in steps.items()}

    @property
    def record(self) -> Path:
        """The file that says what has been done."""
        return self.folder / "steps.json"

    def log(self, name: str) -> Path:
        """What a step printed."""
        return self.folder / f"{name.replace(' ', '_')}.log"

    def run(self, name: str, *command: str, again: bool = False) -> Usage:
        """Run ``weaver-tt`` with ``command``, on one thread."""
        program = [sys.executable, "-m", "weaver_tt.cli", *command]
        return self.run_program(name, *program, again=again)

    def run_program(self, name: str, *program: str, again: bool = False) -> Usage:
        """Run a program, on one thread, unless that is done; ``again``: in any case.

        Raises:
            SystemExit: it fails; with the end of what it printed.
        """
        with self._lock:
            if name in self.done and not again:
                return self.done[name]
        shown = shlex.join(program).replace(f"{sys.executable} -m weaver_tt.cli", "weaver-tt")
        print("$", shown, flush=True)
        with open(self.log(name), "w") as log:
            process = subprocess.Popen(
                program,
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            # gives the usage of this child alone
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            end = self.log(name).read_text(errors="replace")[-3000:]
            sys.exit(f"{self.log(name)}: exit code {process.returncode}\n{end}")
        found = Usage(cpu=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss / 1024)
        with self._lock:
            # those of another call for the same folder stay
            if self.resumes and self.record.exists():
                steps = json.loads(self.record.read_text())
                self.done = {key: Usage(**one) for key, one in steps.items()} | self.done
            self.done[name] = found
            done = {key: asdict(one) for key, one in self.done.items()}
            self.record.write_text(json.dumps(done, indent=2))
        return found


def in_turn(function: Callable[[Any], Any], arguments: Sequence[Any], workers: int) -> None:
    """Call a function with each argument, some at a time; the first error ends it."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(function, argument) for argument in arguments]
        try:
            for future in futures:
                future.result()
        except BaseException:
            # those that have not begun
            pool.shutdown(cancel_futures=True)
            raise


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a number should be."""

    least: float = -np.inf
    most: float = np.inf

    def text(self) -> str:
        """The bar, for a table."""
        if np.isinf(self.least):
            return f"<= {self.most:g}"
        return f">= {self.least:g}" if np.isinf(self.most) else f"{self.least:g} to {self.most:g}"

    def verdict(self, values: Sequence[float]) -> str:
        """Whether the mean of some values is as it should be."""
        return "met" if self.least <= float(np.mean(values)) <= self.most else "MISSED"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A number with its bar; None where it was not measured."""

    name: str
    value: float | None
    bar: Bar

    def text(self) -> str:
        """A line of the table."""
        if self.value is None:
            return f"| {self.name} | not measured | {self.bar.text()} | |"
        verdict = self.bar.verdict([self.value])
        return f"| {self.name} | {self.value:.4g} | {self.bar.text()} | {verdict} |"


def with_error(number: Mapping[str, Any]) -> str:
    """``value +- error`` to two digits of the error, in brackets the ``spread`` of trainings.

    A ``value`` that is not known (None) is nothing, and one without an error has four digits.
    """
    value, error = number["value"], number["error"]
    if value is None or not error:
        return "" if value is None else f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    # z: no -0.000
    text = f"{value:z.{digits}f} +- {error:.{digits}f}"
    if number.get("spread") is not None:
        text += f" ({number['spread']:.{digits}f})"
    return text
