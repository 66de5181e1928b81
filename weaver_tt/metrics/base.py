"""The entries that count, and meters that add them up.

M entries (rows, or real objects), K outputs each. A meter keeps sums and counts on the device and
divides once, when it is read; an update never waits for the device. All sums of a meter are one
flat tensor, so that adding them over ranks, saving them and taking the difference of two readings
are one operation each.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from weaver_tt.config.schema import NO_CLASS


@dataclass(frozen=True, slots=True)
class Scored:
    """The M entries of a batch that count (rows, or real objects), K outputs each; no padding.

    ``output``: as the network gave it, or activated (probabilities, efficiencies, values).
    ``target``: classes (M,), NO_CLASS where an entry has none, or values (M, K), NaN where they are
    undefined or masked; None in prediction on data without labels.
    ``weight``: weight of an entry in the loss. It need not be normalized: losses are averaged as
    ``sum(weight * loss) / sum(|weight|)``.
    ``counts``: objects of each row, so that per-object columns become jagged again. They include
    objects beyond the length of the input, which are not among the M entries.
    ``spread``: standard deviation over the members of an ensemble.
    ``outside``: which targets lie outside of their window, and count in the mean loss with loss 0;
    None where there are none.
    ``monitors``: quantities that meters and figures need, such as pT; (M,) or (M, ...).
    ``all_defined``: whether it is known on the host that every target is defined, so that nobody
    has to wait for the device to look for those that are not.
    """

    output: Tensor  # (M, K)
    target: Tensor | None  # (M,) or (M, K)
    weight: Tensor  # (M,)
    counts: Tensor  # (N,)
    spread: Tensor | None = None  # (M, K)
    monitors: dict[str, Tensor] | None = None  # (M,) each
    all_defined: bool = False
    outside: Tensor | None = None  # bool, of the target's shape

    def detach(self) -> Scored:
        """The same entries, detached from the graph."""
        return replace(self, output=self.output.detach())

    def with_target(self) -> Scored:
        """The entries that have a target, at least one of several, or count with loss 0."""
        if self.target is None or self.all_defined:
            return self
        defined = is_defined(self.target)  # (M,) or (M, K)
        if self.outside is not None:
            defined = defined | self.outside
        return self.take(defined if defined.ndim == 1 else defined.flatten(1).any(1))

    def with_all_targets(self) -> Scored:
        """The entries of which all targets are defined."""
        if self.target is None or self.all_defined:
            return self
        return self.take(has_all_targets(self.target))

    def take(self, chosen: Tensor) -> Scored:
        """The ``chosen`` (M,) entries; ``counts`` stay those of all. Waits for the device."""
        if chosen.all():
            return self
        monitors = None
        if self.monitors is not None:
            monitors = {name: values[chosen] for name, values in self.monitors.items()}
        return replace(
            self,
            output=self.output[chosen],
            target=None if self.target is None else self.target[chosen],
            weight=self.weight[chosen],
            spread=None if self.spread is None else self.spread[chosen],
            outside=None if self.outside is None else self.outside[chosen],
            monitors=monitors,
        )


def is_defined(target: Tensor) -> Tensor:
    """Where there is a target: no NaN or infinity, no ``NO_CLASS``; of the target's shape."""
    if target.is_floating_point():
        return target.isfinite()
    return target != NO_CLASS


def has_all_targets(target: Tensor) -> Tensor:
    """Of which entries all targets are defined: (M,) or (M, K) -> (M,)."""
    defined = is_defined(target)
    return defined if defined.ndim == 1 else defined.flatten(1).all(1)


class Meter(ABC):
    """Adds up sums and counts on the device; divides once, when read.

    ``directions`` says where metrics are best that :mod:`weaver_tt.metrics.direction` does not
    know, by the beginning of their names: ``{"gain": "max"}``.
    """

    directions: ClassVar[Mapping[str, str | None]] = {}

    @abstractmethod
    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add a batch: activated entries with targets.

        ``losses`` (M,) are there where the network gives raw outputs.
        """

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Statistical errors of its scalars by their names, of those that have one.

        From sums of all ranks, :meth:`totals`.
        """
        return {}

    @abstractmethod
    def totals(self) -> Tensor:
        """All sums in one flat float64 tensor, to be added over ranks."""

    @abstractmethod
    def restore(self, totals: Tensor) -> None:
        """Continue from sums that :meth:`totals` gave."""

    @abstractmethod
    def values(self, totals: Tensor) -> dict[str, float]:
        """Scalars by name from (summed) totals; empty if nothing was added."""

    def details(self, totals: Tensor) -> dict[str, Any]:
        """What scalars cannot say, from (summed) totals, ready for JSON; nothing by default."""
        return {}


class PartMeter(Meter):
    """A meter of a part of the outputs and targets of each entry.

    ``part`` takes it, and leaves out the entries that have no such target.
    """

    def __init__(self, meter: Meter, part: Callable[[Scored], Scored]) -> None:
        self.meter = meter
        self.part = part

    @property
    def directions(self) -> Mapping[str, str | None]:  # type: ignore[override]
        """Those of the meter."""
        return self.meter.directions

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add the part of a batch; losses are those of whole entries, and not for the meter."""
        if scored.target is not None:
            self.meter.update(self.part(scored), None)

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Those of the meter."""
        return self.meter.errors(totals)

    def totals(self) -> Tensor:
        """A copy of all sums."""
        return self.meter.totals()

    def restore(self, totals: Tensor) -> None:
        """Continue from these sums."""
        self.meter.restore(totals)

    def values(self, totals: Tensor) -> dict[str, float]:
        """Those of the meter."""
        return self.meter.values(totals)

    def details(self, totals: Tensor) -> dict[str, Any]:
        """Those of the meter."""
        return self.meter.details(totals)


def innermost(meter: Meter) -> Meter:
    """The meter itself, where it is one of a part of the entries."""
    while isinstance(meter, PartMeter):
        meter = meter.meter
    return meter


class SumMeter(Meter):
    """A meter whose sums are named blocks of one flat tensor."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self._shapes = shapes
        self._sizes = [math.prod(shape) for shape in shapes.values()]
        length = sum(self._sizes)
        self._sums = torch.zeros(length, dtype=torch.float64)

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
        parts = totals.split(self._sizes)
        named = {}
        for (name, shape), part in zip(self._shapes.items(), parts, strict=True):
            named[name] = part.view(shape)
        return named

    def sums_on(self, device: torch.device) -> dict[str, Tensor]:
        """The named blocks to add to, moved to ``device`` once."""
        self._sums = self._sums.to(device)
        return self.blocks(self._sums)


def fill_histograms(histograms: Tensor, index: Tensor, quantities: Sequence[Tensor]) -> None:
    """Add Q quantities (M,) to the bins ``index`` (M,) of ``histograms`` (Q, ...), in place."""
    for histogram, quantity in zip(histograms, quantities, strict=True):
        # in one dimension it adds one after another on the CPU, hence reproducibly
        histogram.view(-1).index_add_(0, index, quantity)


def ratio(numerator: Tensor, denominator: Tensor) -> float:
    """Their quotient; NaN where nothing was counted."""
    if denominator.item() == 0:
        return math.nan
    return (numerator / denominator).item()


def squared_moments(weight: Tensor, values: Tensor) -> Tensor:
    """Sums of w^2, w^2 x and w^2 x^2 over the entries (M, ...) of weights and values, (3, ...)."""
    squares = weight.square()
    moments = [squares, squares * values, squares * values.square()]
    return torch.stack([moment.sum(0) for moment in moments])


def error_of_mean(mean: float, total: float, moments: Sequence[float]) -> float:
    """Standard deviation of a weighted mean, sqrt(sum w^2 (x - mean)^2) / sum w.

    ``total``: the sum of w; ``moments`` as :func:`squared_moments` has them.
    """
    if total == 0:
        return math.nan
    squares, first, second = moments
    # rounding may bring it below 0 where all values are the same
    deviations = max(second - 2 * mean * first + mean**2 * squares, 0.0)
    return math.sqrt(deviations) / abs(total)


def label_endings(names: Sequence[str]) -> list[str]:
    """What metrics of several labels end in, ``_LABEL`` each; nothing for a single label."""
    if len(names) == 1:
        return [""]
    return [f"_{name}" for name in names]


class LossMeter(SumMeter):
    """``loss``: sum(weight * loss) / sum(|weight|), over all entries and not over batches."""

    def __init__(self) -> None:
        super().__init__(loss=(2,))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M,) losses; nothing from networks that give activated outputs."""
        if losses is None:
            return
        weight = scored.weight.double()
        loss = (weight * losses.detach().double()).sum()
        total = weight.abs().sum()
        self.sums_on(losses.device)["loss"].add_(torch.stack([loss, total]))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``loss``."""
        if totals[1] > 0:
            return {"loss": ratio(totals[0], totals[1])}
        return {}
