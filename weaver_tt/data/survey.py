"""The values of some rows, measured for people to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.data.first_rows import FirstRows
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.statistics.standardize import flat_values

Numbers = npt.NDArray[np.float64]

# a value that stands for "missing" is in at least this share of the entries
SENTINEL_SHARE = 0.005

# it is no small number, such as a flavour, and so many times farther away than others spread
LARGE = 9.0
FAR = 3.0

# numbers that programs write where there is nothing: 99, 999, 9999 ... with either sign
NINES = {sign * (10.0**digits - 1) for digits in range(2, 10) for sign in (1, -1)}


@dataclass(frozen=True, slots=True)
class ColumnSurvey:
    """The values of an input variable, of all file groups together.

    Shares are fractions of ``values``; those of clipped values are of finite ones.
    """

    group: str
    name: str
    values: int
    nonfinite: float
    low: float | None  # the least finite value
    median: float | None
    high: float | None
    constant: bool
    sentinel: float | None  # a value that seems to stand for "missing"
    sentinel_share: float
    clipped: float


@dataclass(frozen=True, slots=True)
class ObjectsSurvey:
    """The objects of an input group with a length."""

    group: str
    length: int
    mean: float  # objects in a row, before they are cut at the length
    most: int
    padded: float  # share of the slots without an object
    beyond: float  # share of the objects beyond the length


def survey_columns(first: Sequence[FirstRows], config: DataConfig) -> list[ColumnSurvey]:
    """The input variables, in the order of the YAML, measured on selected rows.

    Raises:
        DataError: a variable is not made of numbers.
    """
    found = []
    for group, variable in config.input_variables():
        parts = [flat_values(part.table[variable.name], variable.name) for part in first]
        found.append(survey_values(group, variable, np.concatenate([np.zeros(0), *parts])))
    return found


def survey_values(group: InputGroup, variable: Variable, values: Numbers) -> ColumnSurvey:
    """The values (M,) of a variable that is scaled as ``variable`` says."""
    finite = values[np.isfinite(values)]
    sentinel, share = find_sentinel(finite)
    low = median = high = None
    if len(finite):
        low, median, high = (float(x) for x in np.percentile(finite, [0, 50, 100]))
    return ColumnSurvey(
        group=group.name,
        name=variable.name,
        values=len(values),
        nonfinite=(len(values) - len(finite)) / max(1, len(values)),
        low=low,
        median=median,
        high=high,
        constant=len(finite) > 1 and low == high,
        sentinel=sentinel,
        sentinel_share=share,
        clipped=_clipped_share(finite, variable),
    )


def find_sentinel(values: Numbers) -> tuple[float | None, float]:
    """A value among finite ``values`` (M,) that seems to stand for "missing", and its share.

    That is the least or the greatest one where it comes often, is not alone, and is -99, 999 or
    such; or where it comes more than once, as an outlier does not, is large and far from all
    others, compared to how far these are from each other.
    """
    if not len(values):
        return None, 0.0
    for candidate in (float(values.min()), float(values.max())):
        is_it = values == candidate
        share = float(is_it.mean())
        others = values[~is_it]
        if share < SENTINEL_SHARE or not len(others):
            continue
        distance = float(np.abs(others - candidate).min())
        spread = float(others.max() - others.min())
        # two values alone, such as the PDG numbers of a lepton, are not far from each other
        is_far = abs(candidate) >= LARGE and distance > FAR * spread > 0 and is_it.sum() > 1
        if candidate in NINES or is_far:
            return candidate, share
    return None, 0.0


def _clipped_share(values: Numbers, variable: Variable) -> float:
    """The share of finite ``values`` that scaling moves to the end of its range."""
    if variable.center is None or variable.center == "auto" or not len(values):
        return 0.0
    scaled = (values - variable.center) * variable.scale
    return float(((scaled < variable.low) | (scaled > variable.high)).mean())


def survey_objects(rows: Iterable[Rows], config: DataConfig) -> list[ObjectsSurvey]:
    """The objects of each group that has a length, in ``rows`` of one or several chunks."""
    parts = list(rows)
    found = []
    for name, group in config.inputs.items():
        if group.length is None or not parts:
            continue
        counts = np.concatenate([part.objects[name].counts for part in parts])  # (R,) kept
        full = np.concatenate([part.objects[name].full_counts for part in parts])  # (R,)
        found.append(
            ObjectsSurvey(
                group=name,
                length=group.length,
                mean=float(full.mean()),
                most=int(full.max()),
                padded=1 - float(counts.sum()) / (len(counts) * group.length),
                beyond=float(full.sum() - counts.sum()) / max(1.0, float(full.sum())),
            )
        )
    return found


def row_bytes(rows: Rows) -> float:
    """Memory that a row takes in the shuffle pool, in bytes."""
    arrays: dict[int, npt.NDArray[np.generic]] = {}
    for objects in rows.objects.values():
        for array in (objects.content, objects.counts, objects.full_counts):
            # groups may share them
            arrays[id(array)] = array
    for named in (rows.scalars, rows.labels, rows.object_labels, rows.monitors):
        arrays |= {id(array): array for array in named.values()}
    arrays |= {id(array): array for array in rows.object_monitors.values()}
    if rows.weight is not None:
        arrays[id(rows.weight)] = rows.weight
    return sum(array.nbytes for array in arrays.values()) / max(1, rows.size)
