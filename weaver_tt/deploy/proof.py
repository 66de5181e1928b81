"""Replay ``golden.json``, the rows of proof in an exported folder. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.deploy.flat_columns import Values
from weaver_tt.deploy.tagger import Tagger
from weaver_tt.errors import DataError, OutputError, nearest
from weaver_tt.system.file_shapes import ANYTHING, NUMBER, TEXT, ListOf, NamesTo
from weaver_tt.system.json_files import read_json

GOLDEN = "golden.json"

_TOLERANCE = {"absolute": NUMBER, "relative": NUMBER}
_ROW = {
    "kind": TEXT,
    "columns": NamesTo(ANYTHING),
    "outputs": NamesTo(ANYTHING),
    "tolerance": {**_TOLERANCE, "outputs?": NamesTo(_TOLERANCE)},
}
_SHAPE = {"column_types?": NamesTo(TEXT), "rows": ListOf(_ROW)}

# numbers that JSON does not have, as texts
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True)
class Replay:
    """The rows of each kind, and the largest difference, as a share of 1 + |expected|."""

    kinds: Mapping[str, int]
    largest: float


def replay_golden(folder: Path, model: str = "model.onnx", threads: int = 1) -> Replay:
    """Compute the rows of ``golden.json`` in ``folder``, one by one and all in one call.

    Raises:
        ConfigError: the network cannot be loaded.
        DataError: the file cannot be read, or is of another form.
        OutputError: an output differs by more than its tolerance; names row and output.
    """
    path = folder / GOLDEN
    content = read_json(path, _SHAPE)
    rows = content["rows"]
    if not rows:
        raise DataError(f"{path}: rows: there are none")
    largest = 0.0
    for batch_size in (1, len(rows)):
        tagger = Tagger(folder, model=model, threads=threads, batch_size=batch_size)
        columns = {}
        for name in tagger.column_names:
            # masks may be missing, and whatever else is missing the tagger names
            if name in rows[0]["columns"]:
                kind = content.get("column_types", {}).get(name, "float64")
                columns[name] = _column(name, rows, kind, path)
        try:
            outputs = tagger(columns)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        for number, row in enumerate(rows):
            found = {name: values[number] for name, values in outputs.items()}
            where = f"{path}: row {number} ({row['kind']}), in calls of {batch_size}"
            largest = max([largest, *_differences(found, row, where)])
    kinds: dict[str, int] = {}
    for row in rows:
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + 1
    return Replay(kinds, largest)


def _column(name: str, rows: Sequence[Mapping[str, Any]], kind: str, path: Path) -> Any:
    """A column of all rows: numbers (N,), or values (M,) and offsets (N + 1,).

    Raises:
        DataError: a row has it not, or something else than numbers of its type.
    """
    found = []
    for number, row in enumerate(rows):
        where = f"{path}: rows[{number}].columns"
        if name not in row["columns"]:
            raise DataError(f"{where}: there is no {name!r}; {nearest(name, row['columns'])}")
        found.append(_numbers(row["columns"][name], f"{where}.{name}"))
    if len({values.ndim for values in found}) > 1:
        raise DataError(f"{path}: column {name!r}: lists in some rows, single numbers in others")
    try:
        joined = np.concatenate([np.atleast_1d(values) for values in found]).astype(kind)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: column_types.{name}: {error}") from error
    if found[0].ndim == 0:
        return joined
    return joined, np.cumsum([0, *map(len, found)])


def _numbers(value: Any, where: str) -> Values:
    """A number (), or a list of them (n,), as JSON has them.

    Raises:
        DataError: it is something else.
    """
    is_list = isinstance(value, list)
    numbers = []
    for one in value if is_list else [value]:
        number = WORDS.get(one) if isinstance(one, str) else one
        if not isinstance(number, int | float):
            raise DataError(f"{where}: expected numbers, NaN or Infinity, found {one!r:.60}")
        numbers.append(number)
    # whole numbers stay whole
    array = np.array(numbers) if numbers else np.zeros(0)
    return array if is_list else array[0]


def _differences(found: Mapping[str, Any], row: Mapping[str, Any], where: str) -> Iterator[float]:
    """The largest difference of each output, as a share of 1 + |expected|.

    Raises:
        OutputError: one is more than its tolerance, or the outputs are others.
    """
    if found.keys() != row["outputs"].keys():
        raise OutputError(
            f"{where}: the outputs are {', '.join(found)}; expected {', '.join(row['outputs'])}"
        )
    for name, value in row["outputs"].items():
        expected = _numbers(value, f"{where}: outputs.{name}")
        values = np.asarray(found[name], np.float64)
        if values.shape != expected.shape:
            raise OutputError(
                f"{where}: output {name!r} has the shape {values.shape}; expected {expected.shape}"
            )
        tolerance = row["tolerance"]
        tolerance = tolerance.get("outputs", {}).get(name, tolerance)
        same = (values == expected) | (np.isnan(values) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            difference = np.where(same, 0, np.abs(values - expected))
        allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(expected)
        # NaN in only one of the two is above anything
        above = ~(difference <= allowed) & ~same
        if above.any():
            place = np.unravel_index(int(np.argmax(above)), above.shape)
            raise OutputError(
                f"{where}: output {name!r} is {values[place]:.7g}, the network gave "
                f"{expected[place]:.7g} in torch"
            )
        share = difference / (1 + np.abs(expected))
        yield float(np.max(share, initial=0, where=~same))
