"""The programs of ``cpp/``, built for a benchmark and run on exported networks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HEADERS = ("onnxruntime/onnxruntime_cxx_api.h", "nlohmann/json.hpp")


class MissingError(Exception):
    """Something that a measurement needs is not there; says what, and how to get it."""


def build_programs(folder: Path) -> Path:
    """Configure and build ``cpp/`` in ``folder``, and return it.

    Headers are those of ``WEAVER_TT_CPP_HEADERS`` or of the system; else they are fetched as
    ``make cpp`` does.

    Raises:
        MissingError: there is no cmake, compiler or header, or it cannot be built.
    """
    for program in ("cmake", "c++"):
        if shutil.which(program) is None:
            raise MissingError(f"there is no {program}: it builds the C++ library")
    headers = _find_headers()
    configure = ["cmake", "-S", ROOT / "cpp", "-B", folder, "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DPython3_EXECUTABLE={sys.executable}"]
    if headers is not None:
        configure += [f"-DONNXRUNTIME_ROOT={headers}", f"-DCMAKE_PREFIX_PATH={headers}"]
    for command in (configure, ["cmake", "--build", folder, "--parallel", "2"]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise MissingError(f"the C++ library cannot be built: {' '.join(lines[-3:])}")
    return folder


def _find_headers() -> Path | None:
    """The folder above ``include`` where headers were put; None for those of the system.

    Raises:
        MissingError: they are not there, and cannot be fetched.
    """
    for system in (Path("/usr/include"), Path("/usr/local/include")):
        if all((system / header).exists() for header in HEADERS):
            return None
    folder = Path(os.environ.get("WEAVER_TT_CPP_HEADERS", ROOT / "build" / "cpp-dependencies"))
    if not all((folder / "usr" / "include" / header).exists() for header in HEADERS):
        script = ROOT / "cpp" / "get_dependencies.sh"
        done = subprocess.run([script, folder], capture_output=True, text=True)
        if done.returncode:
            raise MissingError(
                "the headers of ONNX Runtime and nlohmann-json are not there, and "
                f"cpp/get_dependencies.sh cannot fetch them: {done.stderr.strip()[-200:]}; "
                "WEAVER_TT_CPP_HEADERS names a folder that holds usr/include"
            )
    return folder / "usr"


def largest_difference(
    build: Path, export: Path, rows: Sequence[Mapping[str, Any]], space: Path
) -> float:
    """The largest difference of an output of these rows of ``golden.json``, computed in C++."""
    space.mkdir()
    for name in ("model.onnx", "preprocess.json"):
        (space / name).symlink_to(export.resolve() / name)
    # golden_check tells a difference as a multiple of what is allowed: of 1, it is itself
    one = {"absolute": 1.0, "relative": 0.0}
    golden = {"rows": [{**row, "tolerance": one} for row in rows]}
    (space / "golden.json").write_text(json.dumps(golden))
    done = subprocess.run([build / "golden_check", space], capture_output=True, text=True)
    found = re.search(r"largest difference (\S+) of", done.stdout)
    if found is None:
        raise RuntimeError(f"golden_check {export}: {done.stderr}")
    return float(found[1])


def seconds_per_row(
    build: Path, export: Path, columns: Path, turns: int, batches: Sequence[int]
) -> dict[int, list[float]]:
    """Time on the processor for a row, of each turn, by the number of rows in a call."""
    command = [build / "time_calls", export, columns, turns, *batches]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"time_calls {export}: {done.stderr}")
    return {int(batch): values for batch, values in json.loads(done.stdout).items()}
