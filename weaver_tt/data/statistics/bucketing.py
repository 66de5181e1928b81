"""Buckets of rows of similar size, which batches are cut from, so that little of a batch is padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from weaver_tt.config.load import load_config
from weaver_tt.config.plan import with_extra_selection
from weaver_tt.config.schema import Bucketing, DataConfig
from weaver_tt.data.rows.rows import Integers
from weaver_tt.data.rows.table import Table, row_numbers
from weaver_tt.data.statistics import training_pass
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.run_files import RunFiles

SAMPLE_ROWS = 1_000_000  # rows that quantiles are exact up to
SEED = 20_230_817


def bucket_indices(table: Table, bucketing: Bucketing, path: str) -> Integers:
    """The bucket (R,) of each row of a table: as many edges lie at or below its value."""
    assert bucketing.inner_edges is not None
    values = row_numbers(
        table[bucketing.variable], f"{path}: bucketing.var: {bucketing.variable!r}"
    )
    return np.searchsorted(bucketing.inner_edges, values, side="right")


def prepare_bucketing(config: DataConfig, prefix: str, data: DataOptions) -> DataConfig:
    """The configuration with edges for ``bins: NUMBER``, which put equally many training rows in each bucket; kept in ``PREFIX.auto.yaml`` as
    weights are (see :func:`weaver_tt.data.statistics.reweighting.prepare_weights`).

    :raises DataError: the variable is not one number for each row, or no row passes the selection.
    """
    bucketing = config.bucketing
    if bucketing is None or bucketing.inner_edges is not None:
        return config
    return replace(
        config,
        bucketing=training_pass.run_on_main(
            lambda: _find_edges(config, bucketing, str(RunFiles(prefix).auto_yaml), data)
        ),
    )


def _find_edges(
    config: DataConfig, bucketing: Bucketing, path: str, data: DataOptions
) -> Bucketing:
    needed = replace(
        training_pass.restrict_to_inputs(
            with_extra_selection(config, "train", data.extra_selection_train), {}
        ),
        bucketing=bucketing,
    )
    sources = training_pass.training_sources(needed, data)
    now = training_pass.pass_fingerprint(
        needed, sources, ["bucketing", bucketing.variable, bucketing.number]
    )
    old = load_config(path, config.custom_functions).bucketing if Path(path).is_file() else None
    if old is not None and old.fingerprint == now:
        return old
    sample = Reservoir(SAMPLE_ROWS, SEED)
    for table, rows, file in training_pass.selected_tables(
        needed, sources, data.on_bad_file == "skip"
    ):
        if rows:
            sample.add(
                row_numbers(
                    table[bucketing.variable], f"{file}: bucketing.var: {bucketing.variable!r}"
                )
            )
    if sample.seen == 0:
        raise DataError(
            f"{config.source}: no row of the training data passes the selection; nothing to make buckets of"
        )
    inner = np.unique(np.quantile(sample.values(), np.linspace(0, 1, bucketing.number + 1)[1:-1]))
    log.info(
        "buckets of %s from %d rows, divided at %s",
        bucketing.variable,
        sample.seen,
        ", ".join(f"{edge:g}" for edge in inner),
    )
    return replace(bucketing, inner_edges=tuple(inner.tolist()), fingerprint=now)
