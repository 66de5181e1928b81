"""Prediction files -> scores and classes, chunk by chunk.

From ``score_CLASS`` and ``CLASS`` (0 or 1) columns, as written here and by weaver-core. R rows of a
chunk, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import NO_CLASS
from weaver_tt.data.rows.labels import class_numbers
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.expressions.row_values import check_weights
from weaver_tt.formats.file_groups import UNNAMED_GROUP, FileGroup, parse_groups
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.pages.pictures import file_stem

CHUNK_ROWS = 100_000  # rows read at once
SCORE_PREFIX = "score_"
MAX_SCORE = 1.001  # a probability of 1, with some room for rounding
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """A model: its name and its prediction files.

    ``weight``: column of event weights (None: all 1); ``bin_column``: column to bin in, if any;
    ``further_columns``: others that are read with the scores;
    ``trainings``: the files of each of several trainings, which ``paths`` has all of; empty where
    there is one.
    """

    name: str
    paths: tuple[str, ...]
    treename: str | None = None
    weight: str | None = None
    bin_column: str | None = None
    further_columns: tuple[str, ...] = ()
    trainings: tuple[tuple[str, ...], ...] = ()

    def each_training(self) -> list[ModelFiles]:
        """Each training alone, all of the same name."""
        if not self.trainings:
            return [self]
        return [replace(self, paths=paths, trainings=()) for paths in self.trainings]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """Rows that can be evaluated, and how many cannot.

    ``rows`` counts all rows of the chunk; ``rows_without_class`` have none of the classes, or
    several.
    """

    scores: npt.NDArray[np.float32]  # (R, K)
    target: npt.NDArray[np.int64]  # (R,)
    weight: Floats  # (R,)
    bin_values: Floats | None  # (R,)
    further: Mapping[str, Floats]  # (R,) each
    rows: int
    rows_with_nan_scores: int
    rows_without_class: int


def parse_models(arguments: Sequence[str], **columns: Any) -> list[ModelFiles]:
    """``name:path`` or ``path`` -> a model each; ``name:path,path`` are trainings of one network.

    Without a name a model has that of its first file, with its folder where files share theirs.

    Raises:
        ConfigError: two models or their figures have one name, or a training has a name or a file
            of another.
        DataError: a file does not exist.
    """
    parts = [_parse_trainings(argument) for argument in arguments]
    groups = [first for first, *_ in parts]
    names = _model_names(groups)
    _check_names(names)
    models = []
    for name, trainings in zip(names, parts, strict=True):
        files = tuple(group.paths for group in trainings)
        paths = tuple(path for of_training in files for path in of_training)
        models.append(
            ModelFiles(name=name, paths=paths, trainings=files if len(files) > 1 else (), **columns)
        )
    return models


def _check_names(names: Sequence[str]) -> None:
    """Check that neither names of models nor those of their figures are the same.

    Raises:
        ConfigError: two are.
    """
    of_figures: dict[str, str] = {}
    for name in names:
        other = of_figures.setdefault(file_stem(name), name)
        if names.count(name) > 1:
            raise ConfigError(
                f"report: two models are called {name!r}; give each a name: name:path"
            )
        if other != name:
            raise ConfigError(
                f"report: figures of the models {other!r} and {name!r} would be files of one name, "
                f"{file_stem(name)}; give one of them another name"
            )


def _parse_trainings(argument: str) -> list[FileGroup]:
    """The files of each training, those after a comma without a name of their own."""
    groups: list[FileGroup] = []
    for part in _split_at_commas(argument):
        (group,) = parse_groups([part])
        if groups and group.name not in (UNNAMED_GROUP, groups[0].name):
            raise ConfigError(
                f"report: {argument}: {group.name!r}: the name of a network stands before its "
                "first training, and another network is an argument of its own"
            )
        twice = {path for other in groups for path in other.paths}.intersection(group.paths)
        if twice:
            raise ConfigError(f"report: {argument}: {min(twice)} is there twice")
        groups.append(group)
    return groups


def _split_at_commas(argument: str) -> list[str]:
    """An argument's trainings; a file whose name holds a comma is one."""
    path = argument.partition(":")[2] or argument
    if os.path.isfile(argument) or os.path.isfile(path):
        return [argument]
    return argument.split(",")


def _model_names(groups: Sequence[FileGroup]) -> list[str]:
    paths = [Path(group.paths[0]) for group in groups]
    stems = [path.stem for path in paths]
    names = []
    # files of several trainings often have one name, in folders of their own
    for group, path in zip(groups, paths, strict=True):
        if group.name != UNNAMED_GROUP:
            names.append(group.name)
        elif stems.count(path.stem) > 1:
            names.append(f"{path.parent.name}/{path.stem}")
        else:
            names.append(path.stem)
    return names


def read_classes(source: ModelFiles) -> list[str]:
    """The classes, in the order of the columns of the first file.

    Raises:
        DataError: a file has no scores, scores without classes, or other classes.
    """
    found: list[str] = []
    for path in source.paths:
        with open_reader(path, source.treename) as reader:
            classes = _classes(reader)
        if not found:
            found = classes
        if set(found) != set(classes):
            raise DataError(
                f"{path}: its classes are {', '.join(classes)}; "
                f"those of {source.paths[0]} are {', '.join(found)}"
            )
    return found


def _classes(reader: Reader) -> list[str]:
    """The classes of one file: those with a column of their own beside their score."""
    columns = reader.columns()
    scored = [name.removeprefix(SCORE_PREFIX) for name in columns if name.startswith(SCORE_PREFIX)]
    if not scored:
        raise DataError(
            f"{reader.place}: no column begins with {SCORE_PREFIX!r}, so it is not the prediction "
            f"of a classifier; {nearest(SCORE_PREFIX, columns)}"
        )
    classes = [name for name in scored if name in columns]
    for name in scored:
        # `score_CLASS_std` of an ensemble is the spread of a score, not a class
        if name in classes or name.removesuffix("_std") in classes:
            continue
        raise DataError(
            f"{reader.place}: there are scores of {', '.join(scored)} but no column {name!r} "
            "with 1 in the rows of that class"
        )
    if len(classes) < 2:
        raise DataError(f"{reader.place}: there is one class, {classes[0]!r}; two are needed")
    return classes


def has_column(sources: Iterable[ModelFiles], column: str) -> bool:
    """Whether all files of all models have it."""
    for source in sources:
        for path in source.paths:
            with open_reader(path, source.treename) as reader:
                if column not in reader:
                    return False
    return True


def stream_scores(source: ModelFiles, classes: Sequence[str]) -> Iterator[ScoredRows]:
    """All rows of all files in order.

    Raises:
        DataError: a column is missing, or scores are not probabilities.
    """
    for path in source.paths:
        with open_reader(path, source.treename) as reader:
            rows = reader.rows()
            # a chunk at a time, so that memory does not grow with the files
            for first in range(0, rows, CHUNK_ROWS):
                last = min(first + CHUNK_ROWS, rows)
                yield _read_chunk(reader, source, classes, first, last)


def _read_chunk(
    reader: Reader, source: ModelFiles, classes: Sequence[str], first: int, last: int
) -> ScoredRows:
    """Rows ``first`` to ``last``, without those that cannot be evaluated."""
    score_columns = [f"{SCORE_PREFIX}{name}" for name in classes]
    wanted = [*score_columns, *classes]
    # a column is read once, even if it is asked for twice
    for optional in (source.weight, source.bin_column, *source.further_columns):
        if optional is not None and optional not in wanted:
            wanted.append(optional)
    table = reader.read(wanted, first, last)
    columns = {name: _scalars(reader, name, table[name]) for name in wanted}

    scores = np.stack([columns[name] for name in score_columns], 1)
    scores = scores.astype(np.float32)  # (R, K)
    # the same rule as where the data are read: a 1 in one of the columns, 0 in the others
    target = class_numbers(np.stack([columns[name] for name in classes], 1))  # (R,)
    has_scores = np.isfinite(scores).all(1)
    has_class = target != NO_CLASS
    # logits would be binned without complaint, and all numbers would be wrong
    _check_probabilities(reader, scores[has_scores])
    use = has_scores & has_class

    weight = np.ones(len(scores))
    if source.weight is not None:
        weight = columns[source.weight].astype(np.float64)
        place = f"{reader.place}, rows from {first}: column {source.weight!r} (weight)"
        check_weights(weight[use], place)
    bin_values = None
    if source.bin_column is not None:
        bin_values = columns[source.bin_column].astype(np.float64)[use]
    further = {name: columns[name].astype(np.float64)[use] for name in source.further_columns}
    return ScoredRows(
        scores=scores[use],
        target=target[use],
        weight=weight[use],
        bin_values=bin_values,
        further=further,
        rows=len(scores),
        rows_with_nan_scores=int((~has_scores).sum()),
        rows_without_class=int((~has_class).sum()),
    )


def _check_probabilities(reader: Reader, scores: npt.NDArray[np.float32]) -> None:
    if ((scores < 0) | (scores > MAX_SCORE)).any():
        raise DataError(
            f"{reader.place}: scores must be probabilities in [0, 1]; "
            f"they reach from {scores.min():g} to {scores.max():g}"
        )


def _scalars(reader: Reader, name: str, array: ak.Array) -> npt.NDArray[Any]:
    # jagged columns, of objects, cannot be binned or weigh a row
    if array.ndim != 1:
        raise DataError(
            f"{reader.place}: column {name!r} must have one number a row, its type is {array.type}"
        )
    return np.asarray(ak.to_numpy(array))
