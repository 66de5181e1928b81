"""What is in files, measured on their headers and on some of their rows, for people to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan, dependency_order
from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.data.first_rows import FirstRows
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.rows.table import file_name
from weaver_tt.data.scan import FILES_AT_ONCE
from weaver_tt.data.statistics.standardize import flat_values
from weaver_tt.errors import WeaverError, nearest
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.formats.file_groups import FileGroup
from weaver_tt.formats.open_reader import open_reader

Numbers = npt.NDArray[np.float64]

# a value that stands for "missing" is in at least this share of the entries
SENTINEL_SHARE = 0.005

# it is no small number, such as a flavour, and so many times farther away than others spread
LARGE = 9.0
FAR = 3.0

# numbers that programs write where there is nothing: 99, 999, 9999 ... with either sign
NINES = {sign * (10.0**digits - 1) for digits in range(2, 10) for sign in (1, -1)}


# --- headers


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """One file: its rows and columns, or why it cannot be read."""

    path: str
    rows: int = 0
    columns: tuple[str, ...] = ()
    spellings: frozenset[str] = frozenset()  # of the columns, all that are understood
    error: str | None = None


@dataclass(frozen=True, slots=True)
class MissingColumn:
    """A column that files lack: what needs it, and the nearest that there is."""

    name: str
    needed_by: tuple[str, ...]
    optional: bool
    files: tuple[str, ...]  # that lack it
    looked_at: int  # files that could be read
    nearest: str


def survey_files(groups: Sequence[FileGroup], treename: str | None) -> list[FileSurvey]:
    """Open every file of ``groups`` and look at its columns; nothing is decoded.

    What is wrong with a file is part of the answer, not an error.
    """

    def survey_file(path: str) -> FileSurvey:
        try:
            with open_reader(path, treename) as reader:
                columns = tuple(reader.columns())
                spellings = frozenset(reader.known_columns())
                return FileSurvey(path, reader.rows(), columns, spellings)
        except WeaverError as error:
            return FileSurvey(path, error=str(error))

    paths: list[str] = []
    for group in groups:
        paths += group.paths
    with ThreadPoolExecutor(FILES_AT_ONCE) as executor:
        return list(executor.map(survey_file, paths))


def missing_columns(
    files: Sequence[FileSurvey], config: DataConfig, plan: Plan
) -> list[MissingColumn]:
    """The columns of ``plan`` that some of ``files`` lack, in the order of the plan.

    The nearest are sought among the columns of the first such file and the new variables.
    """
    readable = [file for file in files if file.error is None]
    found = []
    for name in plan.columns:
        wanted = file_name(name, config)
        lacking = [file for file in readable if wanted not in file.spellings]
        if not lacking:
            continue
        known = [*lacking[0].columns, *config.new_variables]
        found.append(
            MissingColumn(
                name=name,
                needed_by=tuple(needed_by(config, name)),
                optional=plan.is_optional(name),
                files=tuple(file.path for file in lacking),
                looked_at=len(readable),
                nearest=nearest(wanted, known),
            )
        )
    return found


def needed_by(config: DataConfig, column: str) -> list[str]:
    """The keys of the YAML that are made of ``column``, directly or through new variables."""
    keys = []
    for key, names in _names_by_key(config).items():
        if column in dependency_order(config, names):
            keys.append(key)
    return keys


def _names_by_key(config: DataConfig) -> dict[str, list[str]]:
    """Key of the YAML -> the names in it."""
    expressions: dict[str, Expression | None] = {
        "selection": config.selection,
        "test_time_selection": config.test_time_selection,
        "event_weight": config.event_weight,
    }
    for name, selection in config.objects.items():
        expressions[f"objects.{name}"] = selection.expression
    if config.labels is not None:
        for name, expression in config.labels.expressions.items():
            expressions[f"labels.{name}"] = expression
    names = {key: sorted(found.names) for key, found in expressions.items() if found is not None}
    for name, group in config.inputs.items():
        names[f"inputs.{name}"] = group.names
    names["observers"] = list(config.observers)
    names["monitor_variables"] = list(config.monitor_variables)
    if config.weights is not None:
        names["weights"] = list(config.weights.names)
    if config.bucketing is not None:
        names["bucketing"] = [config.bucketing.variable]
    return names


# --- values


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
    such, or is large and far from all others, compared to how far these are from each other.
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
        is_far = abs(candidate) >= LARGE and distance > FAR * spread
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
