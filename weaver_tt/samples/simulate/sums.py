"""Sums over groups of entries."""

from __future__ import annotations

import numpy as np

from weaver_tt.samples.simulate.generator import Floats, Integers


def sum_by_group(group: Integers, values: Floats, groups: int) -> Floats:
    """(groups,) sums of values (M,) by the number of their group (M,)."""
    # numpy returns whole numbers where there are no values
    return np.bincount(group, values, groups).astype(np.float64)
