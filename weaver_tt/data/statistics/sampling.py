"""Rows drawn by their weights: how often each comes in an epoch, or its weight in the loss.

A function of seed, epoch and the row alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.config.schema import DataConfig, WeightSummary
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import Chunk, Source, number_files
from weaver_tt.data.rows.rows import Floats, Integers
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.spectra import OUTSIDE, BinnedRows, Numbers, bin_rows
from weaver_tt.data.statistics.weight_tables import row_weights
from weaver_tt.errors import ConfigError

MAX_REPEATS = 10  # times that a row comes in an epoch at most (Weaver's)


@dataclass(slots=True)
class DrawnRows:
    """How often each of R rows comes, (R,), and its weight in the loss, (R,).

    ``weight`` is None where all rows count the same.
    """

    copies: Integers
    weight: Floats | None = None
    accounting: Accounting = field(default_factory=Accounting)


def repeats_per_row(summary: WeightSummary) -> int:
    """How often a row of weight 1 comes, so that an epoch is about as long as the data.

    If few rows are kept, they are drawn again and again (as in Weaver).
    """
    return min(MAX_REPEATS, max(1, int(1 / summary.kept)))


class Sampler:
    """Draws the rows of one pass over the data.

    Each row has a random number of its own, whoever reads it: the same rows are drawn for any
    number of ranks and workers and any pool.
    """

    def __init__(
        self, config: DataConfig, sources: Sequence[Source], seed: tuple[int, ...]
    ) -> None:
        """``seed``: of the pass; ``sources``: the files in input order.

        Raises:
            ConfigError: the weights have not been computed.
        """
        weights = config.weights
        if (
            weights is None
            or weights.summary is None
            or (weights.tables is None and not weights.branches)
        ):
            raise ConfigError(
                f"{config.source}: weights: nothing has been computed from the training data yet"
            )
        self._config = config
        self._weights = weights
        self._summary = weights.summary
        self._seed = seed
        self._number = number_files(sources)

    def uniform(self, chunk: Chunk) -> Numbers:
        """A random number in [0, 1) for each row of a chunk, (rows,).

        The same for a row in whatever chunk it comes.
        """
        file = self._number[chunk.group, chunk.path]
        seed = np.random.SeedSequence((*self._seed, file))
        bits = np.random.PCG64(seed)
        # a row's number is found by its place in the file, not by what was drawn before it
        random = np.random.Generator(bits.advance(chunk.first))
        return random.random(chunk.rows)

    def draw(self, table: Table, chunk: Chunk, positions: Integers, group: str) -> DrawnRows:
        """The draw for a table of R selected rows; ``positions`` (R,): their places in the chunk.

        Raises:
            DataError: classes overlap, or a variable or weight is not one number for each row.
        """
        binned = None
        if not self._weights.branches:
            binned = bin_rows(table, self._weights, self._config, chunk.path)
        weights = row_weights(table, binned, self._weights, chunk.path)
        if self._weights.mode == "sampling":
            # as in Weaver, min(weight, 1) is a probability
            expected = repeats_per_row(self._summary) * np.abs(weights).clip(max=1)
            # a row that is expected n and a half times comes n or n + 1 times
            uniform = self.uniform(chunk)[positions]
            copies = np.floor(expected + uniform).astype(np.int64)
            drawn = DrawnRows(copies)
            weights_after = copies.astype(np.float64)
            if self._weights.signed:
                # a negative row is drawn by its size, and counts -1 when it comes
                signs = np.where(weights < 0, -1, 1)
                drawn.weight = signs.astype(np.float32)
                weights_after *= signs
        else:
            weights_after = weights / self._summary.mean
            copies = (weights_after != 0).astype(np.int64)
            drawn = DrawnRows(copies, weights_after.astype(np.float32))
        accounting = drawn.accounting
        accounting.sampled_out[group] += int((copies == 0).sum())
        accounting.repeated[group] += int((copies - 1).clip(0).sum())
        if binned is not None:
            spectra = count_spectra(binned, weights_after, self._config)
            accounting.spectra.update(spectra)
        return drawn


def count_spectra(
    binned: BinnedRows, weights: Numbers, config: DataConfig
) -> Counter[tuple[str, str, str, int]]:
    """Spectra before and after reweighting, for each (variable, class, what, bin).

    ``before``: rows; ``after``: the sum of their ``weights`` (R,); ``square``: the sum of the
    squares of these, for its error.
    """
    assert config.weights is not None
    sums: Counter[tuple[str, str, str, int]] = Counter()
    classes = list(config.weights.classes)
    variables = config.weights.variables
    for (variable, edges), index in zip(variables.items(), binned.bins, strict=True):
        bins = len(edges) - 1
        inside = (binned.label != OUTSIDE) & (index != OUTSIDE)
        cell = binned.label[inside] * bins + index[inside]  # of a table (class, bin)
        after = weights[inside]
        columns = {"before": np.ones(len(cell)), "after": after, "square": after**2}
        for what, values in columns.items():
            found = np.bincount(cell, values, len(classes) * bins)
            for place in np.flatnonzero(found).tolist():
                label, number = divmod(place, bins)
                key = variable, classes[label], what, number
                # sums of floats add up as counts do
                sums[key] = float(found[place])  # type: ignore[assignment]
    return sums
