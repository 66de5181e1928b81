"""Prediction files -> scores and classes, chunk by chunk: ``score_CLASS`` and ``CLASS`` (0 or 1) columns as written here and by weaver-core.

R rows of a chunk, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.formats.file_groups import UNNAMED_GROUP, parse_groups
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader

CHUNK_ROWS = 100_000  # rows read at once
SCORE_PREFIX = "score_"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """A model: the name it goes by and its prediction files; ``weight``: column of event weights (None: all 1), ``pt``: column to bin in, if any."""

    name: str
    paths: tuple[str, ...]
    treename: str | None = None
    weight: str | None = None
    pt: str | None = None


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Rows that can be judged, and how many cannot."""

    scores: npt.NDArray[np.float32]  # (R, K)
    target: npt.NDArray[np.int64]  # (R,)
    weight: Floats  # (R,)
    pt: Floats | None  # (R,)
    rows: int  # in the file, with the two below
    rows_with_nan_scores: int
    rows_without_class: int  # none of the classes, or several


def parse_models(arguments: Sequence[str], **columns: Any) -> list[ModelFiles]:
    """``name:path`` or ``path`` -> a model each; without a name it is that of the file, with its folder where files share theirs.

    Raises ConfigError when two models have one name, DataError when a file does not exist.
    """
    groups = [parse_groups([argument])[0] for argument in arguments]
    stems = [Path(group.paths[0]).stem for group in groups]
    names = []
    for group, stem in zip(groups, stems, strict=True):
        shared = stems.count(stem) > 1
        names.append(
            group.name
            if group.name != UNNAMED_GROUP
            else f"{Path(group.paths[0]).parent.name}/{stem}"
            if shared
            else stem
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"report: two models are called {twice!r}; give each a name: name:path")
    return [
        ModelFiles(name=name, paths=group.paths, **columns)
        for name, group in zip(names, groups, strict=True)
    ]


def read_classes(source: ModelFiles) -> list[str]:
    """The classes in the order of the files' columns; DataError where a file has no scores, scores without classes, or other classes."""
    found: list[str] = []
    for path in source.paths:
        with open_reader(path, source.treename) as reader:
            classes = _classes(reader)
        if found and set(found) != set(classes):
            raise DataError(
                f"{path}: its classes are {', '.join(classes)}; those of {source.paths[0]} are {', '.join(found)}"
            )
        found = found or classes
    return found


def _classes(reader: Reader) -> list[str]:
    columns = reader.columns()
    scored = [name.removeprefix(SCORE_PREFIX) for name in columns if name.startswith(SCORE_PREFIX)]
    classes = [name for name in scored if name in columns]
    if not scored:
        raise DataError(
            f"{reader.place}: no column begins with {SCORE_PREFIX!r}, so it is no classifier's prediction; {nearest(SCORE_PREFIX, columns)}"
        )
    lacking = [
        name for name in scored if name not in classes and name.removesuffix("_std") not in classes
    ]
    if not classes or lacking:
        raise DataError(
            f"{reader.place}: there are scores of {', '.join(scored)} but no column {lacking[0]!r} that tells the rows of that class"
        )
    if len(classes) < 2:
        raise DataError(
            f"{reader.place}: there is one class, {classes[0]!r}; two are needed to tell them apart"
        )
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
    """All rows of all files in order; DataError for missing columns and for scores that are no probabilities."""
    wanted = [
        *(f"{SCORE_PREFIX}{name}" for name in classes),
        *classes,
        *(name for name in (source.weight, source.pt) if name is not None),
    ]
    for path in source.paths:
        with open_reader(path, source.treename) as reader:
            for first in range(0, reader.rows(), CHUNK_ROWS):
                yield _read_chunk(
                    reader, source, classes, wanted, (first, min(first + CHUNK_ROWS, reader.rows()))
                )


def _read_chunk(
    reader: Reader,
    source: ModelFiles,
    classes: Sequence[str],
    wanted: Sequence[str],
    rows: tuple[int, int],
) -> ScoredRows:
    table = reader.read(list(dict.fromkeys(wanted)), *rows)
    columns = {name: _scalars(reader, name, table[name]) for name in wanted}
    scores = np.stack([columns[f"{SCORE_PREFIX}{name}"] for name in classes], 1).astype(
        np.float32
    )  # (R, K)
    flags = np.stack([columns[name] for name in classes], 1) == 1
    known, one = np.isfinite(scores).all(1), flags.sum(1) == 1
    if ((scores[known] < 0) | (scores[known] > 1.001)).any():
        raise DataError(
            f"{reader.place}: scores must be probabilities in [0, 1]; they reach from {scores[known].min():g} to {scores[known].max():g}"
        )
    use = known & one
    weight = (
        np.ones(len(scores)) if source.weight is None else columns[source.weight].astype(np.float64)
    )
    pt = None if source.pt is None else columns[source.pt].astype(np.float64)[use]
    return ScoredRows(
        scores[use],
        flags[use].argmax(1),
        weight[use],
        pt,
        len(scores),
        int((~known).sum()),
        int((~one).sum()),
    )


def _scalars(reader: Reader, name: str, array: ak.Array) -> npt.NDArray[Any]:
    if array.ndim != 1:
        raise DataError(
            f"{reader.place}: column {name!r} must have one number a row, its type is {array.type}"
        )
    return np.asarray(ak.to_numpy(array))
