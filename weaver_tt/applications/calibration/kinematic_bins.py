"""The bins of pT, eta, … in which a tagger is calibrated, one independently of the other.

R rows of a chunk, A axes, K bins in all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError
from weaver_tt.expressions.row_values import Floats

Integers = npt.NDArray[np.int64]
ALL_JETS = "all_jets"  # the name of the only bin where there are no axes


@dataclass(frozen=True)
class Axis:
    """A column, or an expression of columns, and its bin edges (E + 1,)."""

    source: str
    edges: Floats

    @property
    def name(self) -> str:
        """The expression as a part of a file's name."""
        return file_name(self.source)


@dataclass(frozen=True)
class KinematicBins:
    """All combinations of the bins of the ``axes``, the last of which runs fastest."""

    axes: tuple[Axis, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins of each axis."""
        return tuple(len(axis.edges) - 1 for axis in self.axes)

    def __len__(self) -> int:
        return math.prod(self.shape)

    def find(self, values: Sequence[Floats], rows: int) -> Integers:
        """The bin (R,) of each of so many rows, -1 outside; ``values`` (R,) of each axis.

        A value on an edge belongs to the bin above.
        """
        found = np.zeros(rows, np.int64)
        is_inside = np.ones(rows, bool)
        for axis, value in zip(self.axes, values, strict=True):
            place = np.searchsorted(axis.edges, value, side="right") - 1
            is_inside &= (place >= 0) & (place < len(axis.edges) - 1)
            found = found * (len(axis.edges) - 1) + place
        return np.where(is_inside, found, -1)

    def ranges(self, number: int) -> list[tuple[Axis, float, float]]:
        """The axes of a bin, with its lower and upper edge."""
        places = np.unravel_index(number, self.shape) if self.axes else ()
        found = []
        for axis, place in zip(self.axes, places, strict=True):
            low, high = axis.edges[place : place + 2]
            found.append((axis, float(low), float(high)))
        return found

    def label(self, number: int) -> str:
        """A bin in words: ``jet_pt 300 to 400``."""
        parts = [f"{axis.source} {low:g} to {high:g}" for axis, low, high in self.ranges(number)]
        return ", ".join(parts) or "all jets"

    def name(self, number: int) -> str:
        """A bin as a part of a file's name: ``jet_pt_300_400``."""
        parts = [f"{axis.name}_{low:g}_{high:g}" for axis, low, high in self.ranges(number)]
        return file_name("_".join(parts)) or ALL_JETS


def parse_axis(words: Sequence[str]) -> Axis:
    """An axis of what ``--bins-in`` was given: an expression, then edges.

    Raises:
        ConfigError: there are less than two edges, or they do not increase.
    """
    source, *texts = words
    try:
        edges = np.array([float(text) for text in texts])
    except ValueError as error:
        raise ConfigError(f"calibrate: --bins-in {' '.join(words)}: {error}") from None
    check_edges(edges, f"--bins-in {source}")
    return Axis(source, edges)


def check_edges(edges: Floats, flag: str) -> None:
    """Raise unless there are two or more finite numbers that increase.

    Raises:
        ConfigError: there are not.
    """
    if len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        shown = " ".join(f"{edge:g}" for edge in edges)
        raise ConfigError(
            f"calibrate: {flag} {shown}: expected two or more numbers that increase".replace(
                "  ", " "
            )
        )


def file_name(text: str) -> str:
    """``text`` with an underscore in place of all but letters and digits."""
    return re.sub(r"\W+", "_", text).strip("_")
