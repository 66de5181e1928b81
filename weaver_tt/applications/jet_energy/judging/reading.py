"""Jets of several models, side by side, from their prediction files in a stream.

A file's row is a jet, or an event with lists of jets, which follow each other then. R jets of a
chunk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import REPORT_COLUMNS
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.expressions.elementwise import fill_missing
from weaver_tt.expressions.evaluate import Expression, evaluate, parse_expression
from weaver_tt.expressions.row_values import check_weights
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.output.about import AboutPrediction

Floats = npt.NDArray[np.float64]
Jets = dict[str, npt.NDArray[Any]]  # what it is -> of R jets

CHUNK_ROWS = 50_000  # rows read at once

# without these nothing can be measured
NEEDED = ("corrected_pt", "true_pt", "true_eta", "flavour")
# by these it is told whether two models predict the same jets
SHARED = ("true_pt", "true_eta", "flavour", "raw_pt")
SAME = 1e-5  # relative difference of numbers that went through float32
FLAG_OF = {name: f"--{name.replace('_', '-')}" for name in REPORT_COLUMNS}

# begins the names of columns that are read as they are: one may be called "eta" too
COLUMN = "column "

_QUANTILE = re.compile(r"output_(?P<target>.+)_q(?P<percent>\d+(p\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileColumn:
    """An output that is the quantile ``level`` of ``target``, whose truth is a column too."""

    column: str
    target: str
    level: float


@dataclass(frozen=True, kw_only=True)
class JetModel:
    """A model: its name, its files, and what of their columns is what.

    ``columns``: a key of :data:`~weaver_tt.config.schema.REPORT_COLUMNS` -> expression.
    ``weight``: a column of weights. ``more``: columns that are read as they are.
    """

    name: str
    paths: tuple[str, ...]
    columns: Mapping[str, str]
    about: AboutPrediction | None = None
    treename: str | None = None
    weight: str | None = None
    more: tuple[str, ...] = ()
    where: str = "report"

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """What is measured, by name."""
        found = {
            name: parse_expression(text, f"{self.where}: {name}")
            for name, text in self.columns.items()
        }
        if self.weight is not None:
            found["weight"] = parse_expression(self.weight, "--weight-column")
        for column in self.more:
            found[COLUMN + column] = parse_expression(column, f"{self.where}: {column}")
        return found

    @property
    def quantiles(self) -> list[QuantileColumn]:
        """The outputs that are quantiles, by target and level."""
        if self.about is None:
            return []
        found = []
        for column in self.about.outputs:
            match = _QUANTILE.fullmatch(column)
            if match and match["target"] in self.about.targets:
                level = float(match["percent"].replace("p", ".")) / 100
                found.append(QuantileColumn(column=column, target=match["target"], level=level))
        return sorted(found, key=lambda quantile: (quantile.target, quantile.level))

    def check(self) -> None:
        """Check that all that is needed is named.

        Raises:
            ConfigError: something is not.
        """
        for name in NEEDED:
            if name not in self.columns:
                raise ConfigError(
                    f"{self.paths[0]}: nothing says which column is {name} "
                    f"({REPORT_COLUMNS[name]}): give {FLAG_OF[name]} EXPRESSION, or `report: "
                    f"{{{name}: ...}}` in the data YAML of the prediction"
                )

    def chunks(self) -> Iterator[Jets]:
        """The jets of all files in order.

        Raises:
            DataError: a file cannot be read, a column is missing, or a value cannot be used.
        """
        for path in self.paths:
            with open_reader(path, self.treename) as reader:
                self._check_columns(reader)
                rows = reader.rows()
                for first in range(0, rows, CHUNK_ROWS):
                    yield self._read(reader, first, min(first + CHUNK_ROWS, rows))

    def _check_columns(self, reader: Reader) -> None:
        """Check that a file has the columns that are read.

        Raises:
            DataError: it lacks one; names it, and what it is needed for.
        """
        for name, expression in self.expressions.items():
            for column in sorted(expression.names):
                if column in reader:
                    continue
                flag = FLAG_OF.get(name)
                hint = f"; {flag} EXPRESSION gives it otherwise" if flag else ""
                raise DataError(
                    f"{reader.place}: no column {column!r}, of which {name} is made "
                    f"({expression.source}); {nearest(column, reader.columns())}{hint}"
                )

    def _read(self, reader: Reader, first: int, last: int) -> Jets:
        columns: dict[str, None] = {}
        for expression in self.expressions.values():
            columns |= dict.fromkeys(sorted(expression.names))
        table = reader.read(list(columns), first, last)
        values = {}
        for name, expression in self.expressions.items():
            try:
                values[name] = ak.Array(fill_missing(evaluate(expression, table)))
            except DataError as error:
                raise DataError(f"{reader.place}: {name}: {error}") from error
        jets = _flattened(values, reader.place)
        _check_flavour(jets["flavour"], f"{reader.place}: {self.columns['flavour']!r} (flavour)")
        for name, numbers in jets.items():
            if name != "flavour":
                jets[name] = numbers.astype(np.float64)
        if self.weight is not None:
            place = f"{reader.place}, rows from {first}: {self.weight!r} (weight)"
            check_weights(jets["weight"], place)
        return jets


def file_columns(jets: Jets, names: Sequence[str]) -> Jets:
    """The columns that were read as they are, by their names in the file."""
    return {name: jets[COLUMN + name] for name in names}


def _flattened(values: Mapping[str, ak.Array], place: str) -> Jets:
    """Each of the values as one number a jet; what is one number an event is that of all its jets.

    Raises:
        DataError: the numbers of jets in an event differ, or there are lists of lists.
    """
    jagged = {name: array for name, array in values.items() if array.ndim > 1}
    for name, array in jagged.items():
        if array.ndim > 2:
            raise DataError(
                f"{place}: {name} must have one number a row, or lists of numbers, its type is "
                f"{array.type}"
            )
    if not jagged:
        return {name: ak.to_numpy(array) for name, array in values.items()}
    first = next(iter(jagged))
    counts = ak.to_numpy(ak.num(jagged[first]))
    jets = {}
    for name, array in values.items():
        if name not in jagged:
            jets[name] = np.repeat(ak.to_numpy(array), counts)
            continue
        of_array = ak.to_numpy(ak.num(array))
        if not np.array_equal(of_array, counts):
            row = int(np.argmax(of_array != counts))
            raise DataError(
                f"{place}: in an event there are {of_array[row]} of {name} and {counts[row]} of "
                f"{first}: they are not of the same jets"
            )
        jets[name] = ak.to_numpy(ak.flatten(array))
    return jets


def _check_flavour(flavour: npt.NDArray[Any], where: str) -> None:
    """Raise DataError unless flavours are whole numbers."""
    if not np.issubdtype(flavour.dtype, np.integer):
        raise DataError(
            f"{where} is of {flavour.dtype}; expected whole numbers, the PDG numbers of flavours"
        )


def side_by_side(models: Sequence[JetModel]) -> Iterator[list[Jets]]:
    """The same jets of all models, range after range.

    Raises:
        DataError: the models have other jets, or in another order.
    """
    streams = [model.chunks() for model in models]
    waiting: list[Jets | None] = [None] * len(models)
    number = 0  # jets so far
    while True:
        for place, stream in enumerate(streams):
            # a file, or a selection, may have no jet
            while waiting[place] is None:
                chunk = next(stream, None)
                if chunk is None:
                    break
                if len(chunk["true_pt"]):
                    waiting[place] = chunk
        ended = [model for model, jets in zip(models, waiting, strict=True) if jets is None]
        if len(ended) == len(models):
            return
        if ended:
            (longer, *_) = (model for model in models if model not in ended)
            raise DataError(
                f"{ended[0].paths[-1]} ends after {number:,} jets, {longer.paths[-1]} has more: "
                "models are compared on the same jets, in the same order"
            )
        chunks = [jets for jets in waiting if jets is not None]
        size = min(len(jets["true_pt"]) for jets in chunks)
        taken = [{name: values[:size] for name, values in jets.items()} for jets in chunks]
        _check_same(models, taken, number)
        yield taken
        number += size
        for place, jets in enumerate(chunks):
            rest = {name: values[size:] for name, values in jets.items()}
            waiting[place] = rest if len(rest["true_pt"]) else None


def _check_same(models: Sequence[JetModel], chunks: Sequence[Jets], number: int) -> None:
    """Raise DataError where a model has other jets than the first."""
    for model, jets in zip(models[1:], chunks[1:], strict=True):
        for name in SHARED:
            if name not in jets or name not in chunks[0]:
                continue
            expected = chunks[0][name]
            differs = ~np.isclose(jets[name], expected, rtol=SAME, atol=SAME, equal_nan=True)
            if differs.any():
                row = int(np.argmax(differs))
                raise DataError(
                    f"{model.paths[0]}: {name} of jet {number + row} is {jets[name][row]:g}, in "
                    f"{models[0].paths[0]} it is {expected[row]:g}: models are compared on the "
                    "same jets, in the same order"
                )
