"""Decoded, selected, scaled rows, still jagged: what the pool holds and what travels between threads, processes and devices.

R rows, M objects in all of them, C features. Objects are stored one after another with their features side by side, so that moving a row is
moving one contiguous run of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(slots=True)
class Jagged:
    """Objects of R rows: ``content`` (M, C) row after row, ``counts`` (R,) objects of each row, with ``counts.sum() == M``.

    At most ``length`` objects a row are kept; ``full_counts`` (R,) are the numbers before that cut.
    """

    content: Floats
    counts: Integers
    full_counts: Integers


@dataclass(slots=True)
class Rows:
    """R rows, ready but for padding: per-object groups (inputs and per-object labels), per-row scalars, labels, weight, observers.

    ``objects``: input group -> Jagged; the features of per-object labels are in ``object_labels`` under their group, (M, L) beside it.
    """

    objects: dict[str, Jagged]
    scalars: dict[str, Floats]  # input group -> (R, C)
    labels: dict[str, npt.NDArray[Any]]  # per-row label -> (R,)
    object_labels: dict[str, Floats] = field(default_factory=dict)  # input group -> (M, L), aligned with objects[group].content
    weight: Floats | None = None  # (R,)
    monitors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)  # (R,) 
    observers: dict[str, Any] = field(default_factory=dict)  # name -> ak.Array of R rows, prediction only
