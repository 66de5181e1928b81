"""A few rows of the training data, for summaries and exports."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.loaders import val_loader
from weaver_tt.data.scan import Scan
from weaver_tt.deploy.sample import (
    Sample,
    SampleRows,
    collect_sample,
    collect_sample_rows,
)
from weaver_tt.options.train import DataOptions

# rows of the data that a network's FLOPs are counted on
SUMMARY_ROWS = 16


def first_rows(
    config: DataConfig, data: DataOptions, scan: Scan, with_raw: bool = False
) -> SampleRows:
    """Some hundred rows of the training data, in order: what an export is compared on.

    ``with_raw``: with the columns of the files, too, which are read once more for that.
    """
    # read as validation reads: no shuffling, no reweighting, all of the rows
    data = replace(
        data,
        data_val=data.data_train,
        extra_selection_val=data.extra_selection_train,
        steps_per_epoch_val=None,
        samples_per_epoch_val=None,
    )
    loader = val_loader(config, data, scan=scan, identify=with_raw)
    assert loader is not None  # there are files
    if with_raw:
        return collect_sample_rows(loader, config)
    return SampleRows(collect_sample(loader.epoch(0)))


def first_inputs(sample: Sample, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The inputs of the first ``SUMMARY_ROWS`` rows, by group."""
    # copies: a network may write into its inputs
    return {name: torch.tensor(rows[:SUMMARY_ROWS]).to(device) for name, rows in sample.items()}
