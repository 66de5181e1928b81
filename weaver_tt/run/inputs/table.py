"""The numbers of ``weaver-tt inputs``: a row for each variable and class."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from typing import Any

from weaver_tt.data.statistics.input_sums import InputSums, VariableSums

COLUMNS = (
    "group",
    "variable",
    "class",
    "entries",
    "mean",
    "deviation",
    "min",
    "max",
    "nonfinite",
    "clipped",
    "padded",
    "beyond_length",
    "center",
    "scale",
)
"""Of the table: shares are fractions; of entries, of slots (padded), of objects (beyond_length)."""


def variable_rows(sums: InputSums) -> list[dict[str, Any]]:
    """The table, a mapping with the keys ``COLUMNS`` for each variable and class."""
    rows = []
    for variable in sums.variables:
        for place, name in enumerate(sums.classes):
            rows.append(_row(sums, variable, place, name))
    return rows


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table as text; what is not known is left empty."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _row(sums: InputSums, variable: VariableSums, place: int, name: str) -> dict[str, Any]:
    total = variable.total[place]
    mean = variable.first[place] / total if total else math.nan
    # rounding, or weights of either sign, may bring it below 0
    variance = variable.second[place] / total - mean**2 if total else math.nan
    entries = int(variable.entries[place])
    nonfinite = int(variable.nonfinite[place])
    padded = beyond = None
    objects = sums.objects.get(variable.group.name)
    if objects is not None:
        slots = int(sums.rows[place]) * objects.length
        padded = _share(slots - int(objects.kept[place]), slots)
        in_rows = int(objects.objects[place])
        beyond = _share(in_rows - int(objects.kept[place]), in_rows)
    return {
        "group": variable.group.name,
        "variable": variable.variable.name,
        "class": name,
        "entries": entries,
        "mean": _known(mean),
        "deviation": _known(math.sqrt(variance)) if variance >= 0 else None,
        "min": _known(float(variable.low[place])),
        "max": _known(float(variable.high[place])),
        "nonfinite": _share(nonfinite, entries),
        "clipped": _share(int(variable.clipped[place]), entries - nonfinite),
        "padded": padded,
        "beyond_length": beyond,
        "center": variable.variable.center,
        "scale": None if variable.variable.center is None else variable.variable.scale,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
