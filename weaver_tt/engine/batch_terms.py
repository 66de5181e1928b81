"""Terms of the loss that are functions of a whole batch: their means over an epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor

from weaver_tt.errors import ConfigError
from weaver_tt.system.distributed import gather_from_ranks

Sums = dict[str, Tensor]  # name -> (2,): sum of weight * value, sum of weight


class BatchTerms:
    """Adds up the terms of batches by name, on the device; divides once, when read."""

    def __init__(
        self, taken: Collection[str] = (), sums: Mapping[str, Tensor] | None = None
    ) -> None:
        """``taken``: names of metrics, which no term may have; ``sums`` of an epoch to continue."""
        self._taken = set(taken)
        self._sums: Sums = dict(sums or {})

    def add(self, name: str, value: Tensor, weight: Tensor) -> None:
        """Add the term of a batch, which counts for ``weight`` (), the sum of its |weights|.

        Raises:
            ConfigError: a metric has that name, so that one would hide the other in the log.
        """
        if name not in self._sums:
            if name in self._taken:
                raise ConfigError(f"batch_loss: {name!r} is the name of a metric; choose another")
            self._sums[name] = torch.zeros(2, dtype=torch.float64, device=value.device)
        weight = weight.double()
        added = torch.stack([weight * value.double(), weight])  # (2,)
        # sums that were read from a checkpoint lie on the CPU
        before = self._sums[name].to(value.device)
        # not in place: the sums that were handed in are the caller's
        self._sums[name] = before + added

    def sums(self) -> Sums:
        """A copy of all sums, on the CPU; waits for the device."""
        return {name: sums.cpu() for name, sums in self._sums.items()}


def sum_terms_over_ranks(sums: Sums) -> Sums:
    """The sums of all ranks together; a rank whose batches had no such term has none."""
    # by name, and not as one tensor: ranks may have met different terms
    return add_terms(gather_from_ranks(sums))


def add_terms(parts: Iterable[Sums]) -> Sums:
    """The sums of all ``parts`` together, of which some may lack a term."""
    total: Sums = {}
    for part in parts:
        for name, pair in part.items():
            if name in total:
                pair = total[name] + pair
            total[name] = pair
    return total


def term_means(now: Sums, before: Sums | None = None) -> dict[str, float]:
    """The mean of each term over the batches between two readings, by name."""
    means = {}
    for name, sums in now.items():
        if before is not None and name in before:
            sums = sums - before[name]
        value, weight = sums.tolist()
        if weight > 0:
            means[name] = value / weight
    return means
