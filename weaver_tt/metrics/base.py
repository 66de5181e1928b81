"""The entries that count, and meters over them: sums and counts on the device, divided once, when read.

M entries (rows, or real objects), K outputs each. A meter's update never waits for the device; all its sums are one flat tensor, so that adding them
over ranks, saving them or taking the difference of two readings is one operation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scored:
    """The M entries of a batch that count (rows, or real objects), K outputs each; padding is gone.

    ``counts`` (N,) objects of each row, so that per-object columns become jagged again; objects beyond the input's length, which are not among the M
    entries, are included. ``weight`` is normalised by nobody: losses are averaged as ``sum(weight * loss) / sum(|weight|)``.
    """

    output: (
        Tensor  # (M, K) as the network gave it, or activated (probabilities, efficiencies, values)
    )
    target: (
        Tensor | None
    )  # (M,) classes or (M, K) values, NaN where a label's mask is off; None in prediction on data without labels
    weight: Tensor  # (M,) what an entry counts for in the loss
    counts: Tensor  # (N,) entries per row
    spread: Tensor | None = None  # (M, K) standard deviation over an ensemble's members
    monitors: dict[str, Tensor] | None = (
        None  # (M,) quantities that meters and figures need, such as pT
    )

    def detach(self) -> Scored:
        """The same entries, cut from the graph."""
        return replace(self, output=self.output.detach())


class Meter(ABC):
    """Adds up sums and counts on the device; divides once, when read.

    ``directions`` says where metrics are best that :mod:`weaver_tt.metrics.direction` does not
    know, by the beginning of their names: ``{"gain": "max"}``.
    """

    directions: ClassVar[Mapping[str, str | None]] = {}

    @abstractmethod
    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add a batch: activated entries with targets and, where the network gives raw outputs, their losses (M,)."""

    @abstractmethod
    def totals(self) -> Tensor:
        """All sums in one flat float64 tensor, to be added over ranks."""

    @abstractmethod
    def restore(self, totals: Tensor) -> None:
        """Continue from sums that :meth:`totals` gave."""

    @abstractmethod
    def values(self, totals: Tensor) -> dict[str, float]:
        """Named scalars from (summed) totals; empty where nothing was added."""

    def details(self, totals: Tensor) -> dict[str, Any]:
        """What scalars cannot say, from (summed) totals, ready for JSON; nothing by default."""
        return {}


class SumMeter(Meter):
    """A meter whose sums are named blocks of one flat tensor."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self._shapes = shapes
        self._sums = torch.zeros(
            sum(math.prod(shape) for shape in shapes.values()), dtype=torch.float64
        )

    def totals(self) -> Tensor:
        """A copy of all sums."""
        return self._sums.clone()

    def restore(self, totals: Tensor) -> None:
        """Continue from these sums."""
        if totals.shape != self._sums.shape:
            raise ValueError(
                f"{type(self).__name__} has {len(self._sums)} sums, was given {len(totals)}"
            )
        self._sums = totals.clone()

    def blocks(self, totals: Tensor) -> dict[str, Tensor]:
        """The named blocks, as views of ``totals``."""
        sizes = [math.prod(shape) for shape in self._shapes.values()]
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self._shapes.items(), totals.split(sizes), strict=True)
        }

    def sums_on(self, device: torch.device) -> dict[str, Tensor]:
        """The named blocks to add to, moved to ``device`` once."""
        self._sums = self._sums.to(device)
        return self.blocks(self._sums)


def fill_histograms(histograms: Tensor, index: Tensor, quantities: Sequence[Tensor]) -> None:
    """Add Q quantities (M,) to the bins ``index`` (M,) of ``histograms`` (Q, ...), in place and in a fixed order."""
    for histogram, quantity in zip(histograms, quantities, strict=True):
        histogram.view(-1).index_add_(
            0, index, quantity
        )  # one-dimensional: serial on the CPU, hence reproducible


def ratio(numerator: Tensor, denominator: Tensor) -> float:
    """Their quotient; NaN where nothing was counted."""
    return (numerator / denominator).item() if denominator.item() != 0 else math.nan


class LossMeter(SumMeter):
    """``loss``: sum(weight * loss) / sum(|weight|), over all entries and not over batches."""

    def __init__(self) -> None:
        super().__init__(loss=(2,))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M,) losses; nothing from networks that give activated outputs."""
        if losses is not None:
            weight = scored.weight.double()
            self.sums_on(losses.device)["loss"].add_(
                torch.stack([(weight * losses.detach().double()).sum(), weight.abs().sum()])
            )

    def values(self, totals: Tensor) -> dict[str, float]:
        """``loss``."""
        return {"loss": ratio(totals[0], totals[1])} if totals[1] > 0 else {}
