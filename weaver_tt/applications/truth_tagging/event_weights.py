"""Object efficiencies to event weights: the probability that exactly, or at least, k of the first n objects are tagged (Eq. 3, generalised).

N events of J padded objects. Objects are tagged independently of one another given their efficiencies, so the number of tags has a
Poisson-binomial distribution, which is built up object by object.
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
    """Which events: those with exactly ``count`` tags (or at least, if ``more``) among their first ``leading`` objects (None: all)."""

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
    """Weights (N,) of events with jagged ``efficiency``; events with fewer than ``count`` objects get 0.

    Raises DataError for an efficiency that is not within [0, 1], or NaN (an object beyond the network's ``length``), among the objects that count.
    """
    return _probability(_pad_efficiencies(efficiency, request.leading), request)


def event_weight_error(
    efficiency: ak.Array, spread: ak.Array, request: TagRequest, correlation: Correlation = "full"
) -> Floats:
    """Standard deviation (N,) of the weight from that of each efficiency (``spread``, jagged as ``efficiency``), to first order.

    The weight is linear in every efficiency, so its derivatives d are exact. ``"full"``: sum |d| std, what members of an ensemble give that
    shift all objects together; for at least k tags this is full correlation (all d >= 0), for exactly k tags the upper limit over all
    correlations. ``"none"``: sqrt(sum (d std)^2).
    """
    padded = _pad_efficiencies(efficiency, request.leading)
    width = _pad_efficiencies(spread, request.leading, padded.shape[1])
    shifts = np.abs(_derivatives(padded, request) * width)
    return shifts.sum(axis=1) if correlation == "full" else np.sqrt((shifts**2).sum(axis=1))


def _probability(efficiency: Floats, request: TagRequest) -> Floats:
    """Padded efficiencies (N, J), 0 for padding -> probability (N,) of the requested number of tags."""
    states = np.zeros(
        (request.count + 2, len(efficiency))
    )  # probability of 0 … k tags, and of more, after each object
    states[0] = 1
    for one in efficiency.T:
        gained = states[:-1] * one
        states[:-1] *= 1 - one
        states[1:] += gained
    return states[-2] + states[-1] if request.more else states[-2]


def _derivatives(efficiency: Floats, request: TagRequest) -> Floats:
    """Derivatives (N, J): the probability with the object tagged for certain, minus that with it never tagged."""
    result = np.empty_like(efficiency)
    for number in range(efficiency.shape[1]):
        given = efficiency.copy()
        given[:, number] = 1
        result[:, number] = _probability(given, request)
        given[:, number] = 0
        result[:, number] -= _probability(given, request)
    return result


def _pad_efficiencies(values: ak.Array, leading: int | None, width: int | None = None) -> Floats:
    """Jagged values -> (N, J) with zeros behind them, cut at ``leading``."""
    cut: Any = values if leading is None else values[:, :leading]
    width = width if width is not None else int(ak.to_numpy(ak.num(cut)).max(initial=0))
    padded = (
        ak.to_numpy(ak.fill_none(ak.pad_none(cut, width, axis=1), 0.0))
        .astype(np.float64)
        .reshape(len(values), width)
    )
    bad = ~((padded >= 0) & (padded <= 1))  # NaN too
    if bad.any():
        row, place = np.argwhere(bad)[0]
        raise DataError(
            f"row {row}, object {place + 1}: {padded[row, place]} is no efficiency or spread in [0, 1]; NaN marks an object beyond the "
            f"network's length: raise `length` in the data YAML, or count only the leading {place} objects (--leading {place})"
        )
    return padded
