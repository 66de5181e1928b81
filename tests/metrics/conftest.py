"""Batches of scored entries, and meters read after them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from weaver_tt.metrics.base import Meter, Scored


def make_scored(output: Any, target: Any, weight: Any = None, **monitors: Any) -> Scored:
    """Entries of as many rows."""
    output, target = torch.as_tensor(output), torch.as_tensor(target)
    weight = torch.ones(len(output)) if weight is None else torch.as_tensor(weight)
    return Scored(
        output, target, weight, counts=torch.ones(len(output), dtype=torch.int64), monitors=monitors
    )


def read_meter(meter: Meter, *batches: Scored) -> dict[str, float]:
    """Values after all batches."""
    for batch in batches:
        meter.update(batch, None)
    return meter.values(meter.totals())


@pytest.fixture(scope="session")
def scored() -> Callable[..., Scored]:
    """:func:`make_scored`."""
    return make_scored


@pytest.fixture(scope="session")
def read() -> Callable[..., dict[str, float]]:
    """:func:`read_meter`."""
    return read_meter
