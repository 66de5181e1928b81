"""Object efficiencies to event weights.

The probability that exactly, or at least, k of the first n objects are tagged (Eq. 3 of
arXiv:2004.02665, generalized). N events of J padded objects. Objects are tagged independently of
one another given their efficiencies, so the number of tags has a Poisson-binomial distribution,
which is built up object by object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError, DataError

Floats = npt.NDArray[np.float64]
Correlation = Literal["full", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRequest:
    """Which events: those with exactly ``count`` tags, or at least so many if ``more``.

    Counted among their first ``leading`` objects (None: all).
    """

    count: int
    more: bool = False
    leading: int | None = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigError(f"weights: a number of tags cannot be negative, got {self.count}")
        if self.leading is not None and self.leading < 1:
            raise ConfigError(f"weights: leading must be at least 1, got {self.leading}")

    @property
    def column(self) -> str:
        """Name of the weight's column, such as ``weight_exactly2`` or ``weight_atleast1``."""
        return f"weight_{'atleast' if self.more else 'exactly'}{self.count}"


def event_weight(efficiency: ak.Array, request: TagRequest) -> Floats:
    """Weights (N,) of events with jagged ``efficiency``; with fewer than ``count`` objects, 0.

    Raises:
        DataError: among the objects that count, an efficiency is outside [0, 1], or NaN (an object
            beyond the network's ``length``).
    """
    return _probability(_pad_efficiencies(efficiency, request.leading), request)


def event_weight_error(
    efficiency: ak.Array, spread: ak.Array, request: TagRequest, correlation: Correlation = "full"
) -> Floats:
    """Standard deviation (N,) of the weight from that of each efficiency, to first order.

    ``spread`` is jagged as ``efficiency``. The weight is linear in every efficiency, so its
    derivatives d are exact. ``"full"``: sum |d| std, for members of an ensemble that shift all
    objects together; for at least k tags this is full correlation (all d >= 0), for exactly k tags
    the upper limit over all correlations. ``"none"``: sqrt(sum (d std)^2).
    """
    padded = _pad_efficiencies(efficiency, request.leading)
    width = _pad_efficiencies(spread, request.leading, padded.shape[1])
    # what the weight changes by when one efficiency moves by its standard deviation
    shifts = np.abs(_derivatives(padded, request) * width)  # (N, J)
    if correlation == "full":
        return shifts.sum(axis=1)
    return np.sqrt((shifts**2).sum(axis=1))


def _probability(efficiency: Floats, request: TagRequest) -> Floats:
    """Probability (N,) of the requested number of tags, from padded efficiencies (N, J).

    Padding is 0.
    """
    # probability of 0 … k tags, and of more, after each object
    states = np.zeros((request.count + 2, len(efficiency)))
    states[0] = 1
    for of_object in efficiency.T:
        # an object moves its share of each state to the next; padding moves nothing
        gained = states[:-1] * of_object
        states[:-1] *= 1 - of_object
        states[1:] += gained
    if request.more:
        return states[-2] + states[-1]
    return states[-2]


def _derivatives(efficiency: Floats, request: TagRequest) -> Floats:
    """Derivatives (N, J) of the probability by each efficiency.

    The probability with the object tagged for certain, minus that with it never tagged.
    """
    derivatives = np.empty_like(efficiency)
    for number in range(efficiency.shape[1]):
        fixed = efficiency.copy()
        fixed[:, number] = 1
        derivatives[:, number] = _probability(fixed, request)
        fixed[:, number] = 0
        derivatives[:, number] -= _probability(fixed, request)
    return derivatives


def _pad_efficiencies(values: ak.Array, leading: int | None, width: int | None = None) -> Floats:
    """Jagged values -> (N, J) with zeros behind them, at most ``leading`` of each event."""
    kept: Any = values if leading is None else values[:, :leading]
    if width is None:
        width = int(ak.to_numpy(ak.num(kept)).max(initial=0))
    filled = ak.fill_none(ak.pad_none(kept, width, axis=1), 0.0)
    padded = ak.to_numpy(filled).astype(np.float64)
    # without any event the array has no second axis
    padded = padded.reshape(len(values), width)
    # NaN too is neither
    bad = ~((padded >= 0) & (padded <= 1))
    if bad.any():
        row, place = np.argwhere(bad)[0]
        raise DataError(
            f"row {row}, object {place + 1}: {padded[row, place]} is no efficiency or spread in "
            f"[0, 1]; NaN marks an object beyond the network's length: raise `length` in the data "
            f"YAML, or count only the leading {place} objects (--leading {place})"
        )
    return padded
