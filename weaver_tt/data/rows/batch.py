"""A batch of N rows as the network sees it: padded tensors, masks, labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from weaver_tt.data.rows.rows import Integers


@dataclass(slots=True)
class Batch:
    """N rows on one device.

    ``masks[group]`` (N, P) is True for real objects (also under wrap padding). ``counts[group]``
    (N,) are the objects of each row before the cut at the group's length, so
    ``counts.clamp(max=P)`` of them are real. ``host_counts`` and ``real`` say on the host how many
    are real, and ``undefined`` which labels have gaps, so that nobody has to wait for the device to
    count them. Tensors live in buffers that the next batch overwrites: clone what you keep.
    """

    inputs: dict[str, Tensor]  # group -> float32 (N, C, P), or (N, C) for scalars
    masks: dict[str, Tensor]  # per-object group -> bool (N, P)
    counts: dict[str, Tensor]  # per-object group -> int64 (N,)
    # "_label_" int64 (N,), custom float32 (N,), per-object float32 (N, P)
    # where undefined: NO_CLASS, NaN
    labels: dict[str, Tensor]
    weight: Tensor | None = None  # float32 (N,), signed event weight
    # (N,), or (N, P) for monitored columns of objects
    monitors: dict[str, Tensor] = field(default_factory=dict)
    # name -> ak.Array of N rows, prediction only
    observers: dict[str, Any] = field(default_factory=dict)
    progress: float = 0.0  # share of the epoch's rows delivered when this batch ends, in (0, 1]
    turn: int = 0  # where ranks take ranges of entries in turn: of which turn it is
    size: int = 0  # N
    # per-object group -> int64 (N,), real objects of each row: what masks[group].sum(1) is
    host_counts: dict[str, Integers] = field(default_factory=dict)
    # per-object group -> M, real objects of all rows
    real: dict[str, int] = field(default_factory=dict)
    # (N,) on the host, which row of which file each is; None where that is not asked for
    identity: Integers | None = None
    # label -> rows or objects of which it is undefined or masked, those with some; None: unknown
    undefined: dict[str, int] | None = None
