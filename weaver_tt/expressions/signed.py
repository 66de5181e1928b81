"""Differences of unsigned columns: below zero they are negative, and never wrap around.

Whole numbers of fewer bits are computed as int64. Those of 64 bits stay unsigned, as event numbers
may need all of them; what is subtracted or negated becomes int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from weaver_tt.errors import DataError


def subtract(left: Any, right: Any) -> Any:
    """``left - right``, of unsigned numbers as int64.

    Raises:
        DataError: a difference does not fit into int64.
    """
    difference = np.subtract(left, right)
    if not _is_uint64(difference):
        return difference
    # modulo 2^64 the same number; its sign says on which side of 0 it should be
    signed = np.asarray(difference).view(np.int64)
    if np.any((signed < 0) != np.less(left, right)):
        raise DataError("a difference of unsigned numbers is beyond 2^63")
    return signed


def negative(value: Any) -> Any:
    """``-value``, of unsigned numbers as int64.

    Raises:
        DataError: it does not fit into int64.
    """
    return subtract(np.uint64(0), value) if _is_uint64(value) else np.negative(value)


def _is_uint64(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) and value.dtype == np.uint64
