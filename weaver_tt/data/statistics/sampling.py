"""Rows drawn by their weights: how often each comes in an epoch, or what it counts in the loss. A function of seed, epoch and the row alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.config.schema import DataConfig, WeightSummary
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import Chunk, Source
from weaver_tt.data.rows.rows import Floats, Integers
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.spectra import OUTSIDE, BinnedRows, Numbers, bin_rows
from weaver_tt.data.statistics.weight_tables import row_weights
from weaver_tt.errors import ConfigError

MAX_REPEATS = 10  # times that a row comes in an epoch at most (Weaver's)


@dataclass(slots=True)
class DrawnRows:
    """How often each of R rows comes, (R,), and what it counts in the loss, (R,), None where all count the same."""

    copies: Integers
    weight: Floats | None = None
    accounting: Accounting = field(default_factory=Accounting)


def repeats_per_row(measured: WeightSummary) -> int:
    """How often a row of weight 1 comes, so that an epoch is about as long as the data: few kept rows are drawn again and again (as in Weaver)."""
    return min(MAX_REPEATS, max(1, int(1 / measured.kept)))


class Sampler:
    """Draws the rows of one pass over the data.

    Each row has a random number of its own, whoever reads it: the same rows are drawn for any number of ranks and workers and any pool.
    """

    def __init__(
        self, config: DataConfig, sources: Sequence[Source], seed: tuple[int, ...]
    ) -> None:
        """``seed``: of the pass; ``sources``: the files in input order.

        :raises ConfigError: the weights were not prepared.
        """
        weights = config.weights
        if (
            weights is None
            or weights.summary is None
            or not (weights.branches or weights.tables is not None)
        ):
            raise ConfigError(
                f"{config.source}: weights: nothing has been computed from the training data yet"
            )
        self._config, self._weights, self._measured = config, weights, weights.summary
        self._seed = seed
        self._number = {
            (source.group, source.path): number for number, source in enumerate(sources)
        }

    def uniform(self, chunk: Chunk) -> Numbers:
        """A random number in [0, 1) for each row of a chunk, the same for a row in whatever chunk it comes."""
        bits = np.random.PCG64(
            np.random.SeedSequence((*self._seed, self._number[chunk.group, chunk.path]))
        )
        return np.random.Generator(bits.advance(chunk.first)).random(chunk.rows)

    def draw(self, table: Table, chunk: Chunk, positions: Integers, group: str) -> DrawnRows:
        """The draw for a table of selected rows, whose ``positions`` (R,) are their places in the chunk."""
        placed = (
            None
            if self._weights.branches
            else bin_rows(table, self._weights, self._config, chunk.path)
        )
        weights = row_weights(table, placed, self._weights, chunk.path)
        if self._weights.mode == "sampling":
            # as Weaver, min(weight, 1) is a probability; a row wanted n times and a half comes n or n + 1 times
            copies = np.floor(
                repeats_per_row(self._measured) * weights.clip(0, 1)
                + self.uniform(chunk)[positions]
            ).astype(np.int64)
            drawn, counted = DrawnRows(copies), copies.astype(np.float64)
        else:
            counted = weights / self._measured.mean
            drawn = DrawnRows((counted != 0).astype(np.int64), counted.astype(np.float32))
        drawn.accounting.sampled_out[group] += int((drawn.copies == 0).sum())
        drawn.accounting.repeated[group] += int((drawn.copies - 1).clip(0).sum())
        if placed is not None:
            drawn.accounting.spectra.update(count_spectra(placed, counted, self._config))
        return drawn


def count_spectra(
    placed: BinnedRows, counted: Numbers, config: DataConfig
) -> Counter[tuple[str, str, str, int]]:
    """For each (variable, class, what, bin): rows ``before``, what they count ``after``, and the ``square`` of that, for its error."""
    assert config.weights is not None
    found: Counter[tuple[str, str, str, int]] = Counter()
    classes = list(config.weights.classes)
    for (variable, edges), index in zip(config.weights.variables.items(), placed.bins, strict=True):
        bins = len(edges) - 1
        inside = (placed.label != OUTSIDE) & (index != OUTSIDE)
        cell = placed.label[inside] * bins + index[inside]
        for what, values in (
            ("before", np.ones(len(cell))),
            ("after", counted[inside]),
            ("square", counted[inside] ** 2),
        ):
            sums = np.bincount(cell, values, len(classes) * bins)
            for place_ in np.flatnonzero(sums).tolist():
                found[variable, classes[place_ // bins], what, place_ % bins] = float(sums[place_])  # type: ignore[assignment]  # add up as counts do
    return found
