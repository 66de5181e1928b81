"""Buckets of rows of similar size: a batch is taken from one, so that little of it is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weaver_tt.config.schema import Bucketing, DataConfig
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.rows import Integers
from weaver_tt.data.rows.table import Table, row_numbers
from weaver_tt.data.statistics.fingerprint import pass_fingerprint
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.data.statistics.spectra import Numbers
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.system.wording import counted

SAMPLE_ROWS = 1_000_000  # rows that quantiles are exact up to
SEED = 20_230_817


def bucket_indices(table: Table, bucketing: Bucketing, path: str) -> Integers:
    """The bucket (R,) of each row of a table.

    The number of inner edges at or below the row's value: the outer buckets are open.

    Raises:
        DataError: the variable is not one number for each row, or NaN.
    """
    assert bucketing.inner_edges is not None
    values = _bucketing_values(table, bucketing, path)
    return np.searchsorted(bucketing.inner_edges, values, side="right")


class BucketEdgesAccumulator:
    """Finds edges that put equally many training rows in each bucket, for ``bins: NUMBER``."""

    fraction = 1.0

    def __init__(self, config: DataConfig, bucketing: Bucketing, sources: Sequence[Source]) -> None:
        """``config``: with the extra selection of the training; ``sources``: its rows."""
        self.needed = replace(restrict_to_inputs(config, {}), bucketing=bucketing)
        settings = ["bucketing", bucketing.variable, bucketing.number]
        self.fingerprint = pass_fingerprint(self.needed, sources, settings)
        self._bucketing = bucketing
        self._sample = Reservoir(SAMPLE_ROWS, SEED)

    def find_fitted(self, old: DataConfig, path: str, keep: bool = False) -> Bucketing | None:
        """The edges in ``old``, which an earlier run saved at ``path``, if up to date.

        With ``keep`` also if not.
        """
        if old.bucketing is None or old.bucketing.inner_edges is None:
            return None
        if not keep and old.bucketing.fingerprint != self.fingerprint:
            return None
        return old.bucketing

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of selected rows of the file at ``path``.

        Raises:
            DataError: the variable is not one number for each row, or NaN.
        """
        self._sample.add(_bucketing_values(table, self._bucketing, path))

    def result(self) -> Bucketing:
        """The edges.

        Raises:
            DataError: there was no row.
        """
        if self._sample.seen == 0:
            raise DataError(
                f"{self.needed.source}: no row of the training data passes the selection; "
                "nothing to make buckets of"
            )
        shares = np.linspace(0, 1, self._bucketing.number + 1)[1:-1]
        quantiles = np.quantile(self._sample.values(), shares)
        # where many rows have the same value, several quantiles are one edge
        inner = np.unique(quantiles)
        log.info(
            "buckets of %s from %s, divided at %s",
            self._bucketing.variable,
            counted(self._sample.seen, "row"),
            ", ".join(f"{edge:g}" for edge in inner),
        )
        return replace(
            self._bucketing, inner_edges=tuple(inner.tolist()), fingerprint=self.fingerprint
        )


def _bucketing_values(table: Table, bucketing: Bucketing, path: str) -> Numbers:
    """The bucketing variable of each row (R,).

    Raises:
        DataError: it is not one number for each row, or undefined: such rows are of no size, and
            quantiles of NaN are NaN.
    """
    where = f"{path}: bucketing.var: {bucketing.variable!r}"
    values = row_numbers(table[bucketing.variable], where)
    undefined = ~np.isfinite(values)  # (R,)
    if undefined.any():
        raise DataError(
            f"{where} is NaN or infinite in {undefined.sum()} of {len(values)} selected rows, the "
            f"first of them number {int(undefined.argmax())}; give it a number in new_variables, "
            "such as nan_to_num(...), or leave such rows out by the selection"
        )
    return values
