"""The entries that count, and meters over them: sums and counts on the device, divided once, when read.

M entries (rows, or real objects), K outputs each. A meter's update never waits for the device; all its sums are one flat tensor, so that adding them
over ranks, saving them or taking the difference of two readings is one operation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scored:
    """The M entries of a batch that count (rows, or real objects), K outputs each; padding is gone.

    ``counts`` (N,) objects of each row, so that per-object columns become jagged again; objects beyond the input's length, which are not among the M
    entries, are included. ``weight`` is normalised by nobody: losses are averaged as ``sum(weight * loss) / sum(|weight|)``.
    """

    output: Tensor  # (M, K) as the network gave it, or activated (probabilities, efficiencies, values)
    target: Tensor | None  # (M,) classes or (M, K) values, NaN where a label's mask is off; None in prediction on data without labels
    weight: Tensor  # (M,) what an entry counts for in the loss
    counts: Tensor  # (N,) entries per row
    spread: Tensor | None = None  # (M, K) standard deviation over an ensemble's members
    monitors: dict[str, Tensor] | None = None  # (M,) quantities that meters and figures need, such as pT

    def detach(self) -> Scored:
        """The same entries, cut from the graph."""
        return replace(self, output=self.output.detach())


class Meter(ABC):
    """Adds up sums and counts on the device; divides once, when read."""

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

    def figures(self, totals: Tensor) -> dict[str, Any]:
        """Named matplotlib figures from (summed) totals; none by default."""
        return {}


class SumMeter(Meter):
    """A meter whose sums are named blocks of one flat tensor."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self._shapes = shapes
        self._sums = torch.zeros(sum(math.prod(shape) for shape in shapes.values()), dtype=torch.float64)

    def totals(self) -> Tensor:
        """A copy of all sums."""
        return self._sums.clone()

    def restore(self, totals: Tensor) -> None:
        """Continue from these sums."""
        if totals.shape != self._sums.shape:
            raise ValueError(f"{type(self).__name__} has {len(self._sums)} sums, was given {len(totals)}")
        self._sums = totals.clone()

    def blocks(self, totals: Tensor) -> dict[str, Tensor]:
        """The named blocks, as views of ``totals``."""
        sizes = [math.prod(shape) for shape in self._shapes.values()]
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), totals.split(sizes), strict=True)}

    def sums_on(self, device: torch.device) -> dict[str, Tensor]:
        """The named blocks to add to, moved to ``device`` once."""
        self._sums = self._sums.to(device)
        return self.blocks(self._sums)


def fill(histograms: Tensor, index: Tensor, quantities: Sequence[Tensor]) -> None:
    """Add Q quantities (M,) to the bins ``index`` (M,) of ``histograms`` (Q, ...), in place and in a fixed order."""
    for histogram, quantity in zip(histograms, quantities, strict=True):
        histogram.view(-1).index_add_(0, index, quantity)  # one-dimensional: serial on the CPU, hence reproducible


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
            self.sums_on(losses.device)["loss"].add_(torch.stack([(weight * losses.detach().double()).sum(), weight.abs().sum()]))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``loss``."""
        return {"loss": ratio(totals[0], totals[1])} if totals[1] > 0 else {}


class ClassificationMeter(SumMeter):
    """``accuracy``, ``auc`` (mean over classes of one class against the rest) and, for more than two classes, ``auc_CLASS``; the confusion matrix.

    The areas are streamed: scores are counted in bins of equal width in their logit, entries that share a bin count as ties, which is exact to the
    bins' width.
    """

    BINS = 512
    EDGE = 16.0  # logits beyond +-16, scores closer than 1e-7 to 0 or 1, share the outermost bins

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        super().__init__(confusion=(len(names), len(names)), scores=(2, len(names), self.BINS))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) probabilities and (M,) classes."""
        output, target = scored.output.nan_to_num(), scored.target
        if target is None:
            return
        sums, weight, classes = self.sums_on(output.device), scored.weight.double(), len(self.names)
        sums["confusion"].view(-1).index_add_(0, target * classes + output.argmax(1), weight)
        place = (torch.logit(output.double(), eps=1e-7) + self.EDGE) * (self.BINS / (2 * self.EDGE))
        column = torch.arange(classes, device=output.device)
        index = ((target[:, None] == column) * classes + column) * self.BINS + place.long().clamp(0, self.BINS - 1)  # (M, K)
        sums["scores"].view(-1).index_add_(0, index.flatten(), weight.repeat_interleave(classes))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``accuracy``, ``auc`` and ``auc_CLASS``."""
        blocks = self.blocks(totals)
        if not blocks["confusion"].any():
            return {}
        areas = {name: area_under_curve(*blocks["scores"][:, k]) for k, name in enumerate(self.names)}
        known = [area for area in areas.values() if not math.isnan(area)]
        values = {"accuracy": ratio(blocks["confusion"].trace(), blocks["confusion"].sum()), "auc": sum(known) / len(known) if known else math.nan}
        return values | ({f"auc_{name}": area for name, area in areas.items()} if len(self.names) > 2 else {})

    def figures(self, totals: Tensor) -> dict[str, Any]:
        """The confusion matrix."""
        from weaver_tt import figures  # matplotlib only where something is drawn

        return {"confusion": figures.confusion(self.blocks(totals)["confusion"].numpy(), self.names)}


def area_under_curve(rest: Tensor, signal: Tensor) -> float:
    """Area under the ROC curve from two histograms of the score (bins,): P(signal above rest) + P(same bin) / 2."""
    below = rest.cumsum(0) - rest / 2
    return ratio((signal * below).sum(), signal.sum() * rest.sum())


FLAVOURS = {"b": 5, "c": 4}  # the third class of the figures is everything else
PT_LOW, PT_DECADES, PT_BINS_A_DECADE = 1.0, 4, 8  # values beyond share the outermost bins
PT_EDGES = 10.0 ** torch.linspace(0, PT_DECADES, PT_DECADES * PT_BINS_A_DECADE + 1, dtype=torch.float64)


class EfficiencyMeter(SumMeter):
    """Predicted efficiencies against observed tags: means, Brier score, log loss, calibration; figures of calibration and of efficiency against pT.

    With several labels each name ends in its label. Calibration bins are equal in arcsin(sqrt(efficiency)), where a binomial's error is the same
    everywhere, so that efficiencies of a per cent are resolved too; ``calibration_error`` is the mean |predicted - observed| over these bins.
    """

    BINS = 20

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        count = len(names)
        super().__init__(means=(5, count), calibration=(4, count, self.BINS), pt=(4, count, len(FLAVOURS) + 1, len(PT_EDGES) - 1))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) efficiencies and (M, K) tags, each with its row's weight (``monitors["weight"]``)."""
        if scored.target is None:
            return
        monitors = scored.monitors or {}
        predicted, target = scored.output.double().nan_to_num().clamp(0, 1), scored.target.double()
        sums, weight = self.sums_on(predicted.device), monitors.get("weight", scored.weight).double()[:, None].expand_as(predicted)  # (M, K)
        log_loss = -(target * predicted.clamp(min=1e-7).log() + (1 - target) * (1 - predicted).clamp(min=1e-7).log())
        quantities = [weight, weight * predicted, weight * target, weight * (predicted - target) ** 2, weight * log_loss]
        sums["means"].add_(torch.stack([quantity.sum(0) for quantity in quantities]))
        filled = [quantity.flatten() for quantity in (weight, weight * predicted, weight * target, weight**2)]
        label = torch.arange(len(self.names), device=predicted.device)  # (K,)
        place = (predicted.sqrt().asin() * (self.BINS * 2 / math.pi)).long().clamp(max=self.BINS - 1)
        fill(sums["calibration"], (label * self.BINS + place).flatten(), filled)
        if "pt" in monitors:
            fill(sums["pt"], self._pt_bin(monitors, label), filled)

    def _pt_bin(self, monitors: dict[str, Tensor], label: Tensor) -> Tensor:
        """Flat index (M * K,) of label, flavour class and pT bin."""
        bins, classes = len(PT_EDGES) - 1, len(FLAVOURS) + 1
        place = (monitors["pt"].nan_to_num().clamp(min=PT_LOW).log10() * PT_BINS_A_DECADE).long().clamp(max=bins - 1)
        flavour = torch.full_like(place, classes - 1)
        if "flavour" in monitors:
            for number, code in enumerate(FLAVOURS.values()):
                flavour = torch.where(monitors["flavour"].abs().round() == code, number, flavour)
        return ((label * classes + flavour[:, None]) * bins + place[:, None]).flatten()

    def values(self, totals: Tensor) -> dict[str, float]:
        """``efficiency`` (mean predicted), ``tag_rate`` (observed), ``brier``, ``log_loss``, ``calibration_error``."""
        blocks = self.blocks(totals)
        values = {}
        for k, name in enumerate(self.names):
            end = f"_{name}" if len(self.names) > 1 else ""
            count, *sums = blocks["means"][:, k]
            if count == 0:
                continue
            values.update(
                {f"{key}{end}": ratio(total, count) for key, total in zip(("efficiency", "tag_rate", "brier", "log_loss"), sums, strict=True)}
            )
            _, predicted, observed, _ = blocks["calibration"][:, k]
            values[f"calibration_error{end}"] = ratio((predicted - observed).abs().sum(), count)
        return values

    def figures(self, totals: Tensor) -> dict[str, Any]:
        """For each label: calibration, and efficiency against pT by flavour."""
        from weaver_tt import figures  # matplotlib only where something is drawn

        blocks, made = self.blocks(totals), {}
        for k, name in enumerate(self.names):
            end = f"_{name}" if len(self.names) > 1 else ""
            made[f"calibration{end}"] = figures.calibration(blocks["calibration"][:, k].numpy())
            if blocks["pt"][0, k].any():
                flavours = dict(zip([*FLAVOURS, "other"], blocks["pt"][:, k].unbind(1), strict=True))
                sums = {flavour: values.numpy() for flavour, values in flavours.items() if values[0].any()}
                made[f"efficiency_vs_pt{end}"] = figures.efficiency_vs_pt(PT_EDGES.numpy(), sums)
        return made


class RegressionMeter(SumMeter):
    """``mae``, ``rmse`` and ``bias`` (mean of predicted - true) of each label, over the rows where it is defined.

    Names end in the label if there are several.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        super().__init__(sums=(4, len(names)))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) values; NaN targets do not count."""
        if scored.target is None:
            return
        residual = scored.output.double() - scored.target.double()
        weight = scored.weight.double()[:, None] * ~scored.target.isnan()  # (M, K)
        residual = torch.where(scored.target.isnan(), 0.0, residual)
        quantities = (torch.ones_like(residual), residual.abs(), residual**2, residual)
        self.sums_on(residual.device)["sums"].add_(torch.stack([(weight * quantity).sum(0) for quantity in quantities]))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``mae``, ``rmse``, ``bias``."""
        values: dict[str, float] = {}
        for name, (count, absolute, square, residual) in zip(self.names, self.blocks(totals)["sums"].T, strict=True):
            end = f"_{name}" if len(self.names) > 1 else ""
            if count > 0:
                values |= {
                    f"mae{end}": ratio(absolute, count),
                    f"rmse{end}": math.sqrt(max(ratio(square, count), 0.0)),
                    f"bias{end}": ratio(residual, count),
                }
        return values
