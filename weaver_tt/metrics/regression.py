"""Metrics of regression, accumulated batch by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaver_tt.metrics.base import (
    Scored,
    SumMeter,
    error_of_mean,
    fill_histograms,
    is_defined,
    label_endings,
    ratio,
    squared_moments,
)

Numbers = npt.NDArray[np.float64]
# losses (M, T) of targets, and which of them count (M, T), from activated entries
TargetLosses = Callable[[Scored], tuple[Tensor, Tensor]]

# Bins of both signs whose widths are a share of their distance from 0, so that quantities of any
# size have a resolution: values closer to 0 than SMALLEST are in the bin of 0.
SMALLEST = 1e-6
LARGEST = 1e7
BIN_WIDTH = 0.01  # of the logarithm
BINS_OF_SIGN = math.ceil(math.log(LARGEST / SMALLEST) / BIN_WIDTH)
BINS = 2 * BINS_OF_SIGN + 1
MAX_LOG = 700.0  # whose exponential a double holds


def bin_numbers(values: Tensor) -> Tensor:
    """The bin of each value, int64 of the same shape; what is too large is in the outermost."""
    above = (values.abs() / SMALLEST).log() / BIN_WIDTH
    place = above.nan_to_num(neginf=-1).floor().clamp(-1, BINS_OF_SIGN - 1) + 1
    return (BINS_OF_SIGN + place * values.sign()).nan_to_num().long()


def bin_edges() -> Numbers:
    """The BINS + 1 edges of all bins."""
    positive = SMALLEST * np.exp(BIN_WIDTH * np.arange(BINS_OF_SIGN + 1))
    return np.concatenate([-positive[::-1], positive])


def histogram_quantiles(counts: Numbers, levels: Sequence[float]) -> Numbers:
    """The ``levels`` of a histogram of BINS bins; NaN where nothing was counted.

    Inside of a bin the values are taken to lie evenly: an error of at most half a bin's width,
    0.5 % of the value. Negative weights may bring the sum below what it was, which is left out.
    """
    total = counts.sum()
    if not total > 0:
        return np.full(len(levels), np.nan)
    reached = np.maximum.accumulate(np.concatenate([[0.0], counts.cumsum()])) / total
    # of edges with the same sum, the one on the side of the entries
    edges = bin_edges()
    found = []
    for level in levels:
        last = max(int(np.searchsorted(reached, level)), 1)
        step = reached[last] - reached[last - 1]
        share = (level - reached[last - 1]) / step
        found.append(edges[last - 1] + share * (edges[last] - edges[last - 1]))
    return np.array(found)


CENTRAL = (0.16, 0.84)  # the quantiles between which 68 % lie
NEIGHBOURS = 0.04  # share of the entries on either side of a quantile that tell the density there


def resolution_error(counts: Numbers, effective: float) -> float:
    """Standard deviation of half the central 68 % of a histogram of BINS bins.

    ``effective`` entries. A quantile of share p deviates by sqrt(p (1 - p) / n) / density, and the
    density is that of the entries around it, from so many shares on either side; both quantiles
    fluctuate together. NaN where nothing was counted.
    """
    if not (counts.sum() > 0 and effective > 0):
        return math.nan
    share = CENTRAL[0]
    deviation = math.sqrt(share * (1 - share) / effective)
    if deviation >= share:
        # of fewer than six entries the quantiles are those of the outermost ones
        return math.nan
    # few entries have a density of their own
    around = max(deviation, NEIGHBOURS)
    errors = []
    for level in CENTRAL:
        low, high = histogram_quantiles(counts, [level - around, level + around])
        errors.append(deviation * (high - low) / (2 * around))
    # of the shares below two levels p < q the correlation is sqrt(p (1 - q) / (q (1 - p)))
    correlation = share / (1 - share)
    lower, upper = errors
    variance = lower**2 + upper**2 - 2 * correlation * lower * upper
    return math.sqrt(variance) / 2


class RegressionMeter(SumMeter):
    """``mae``, ``rmse``, ``bias`` and ``resolution`` of each target.

    The bias is the mean of the residual, predicted - true; the resolution half the width of its
    central 68 %, from fine bins (exact to 1 %). Over the rows where the target is defined. Each
    name ends in its target, ``mae_mass``; with ``alone``, a single target has plain names, ``mae``.
    ``without_target_mass`` is the number of entries that lack the target beside others, if some do.

    The sums hold what figures are drawn from, too: distributions of residuals and of responses,
    predicted / true, and the predictions in bins of the true value. ``log_bases``: of a target that
    is a logarithm, its base; its response is that of the numbers, exp(residual).
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        alone: bool = False,
        log_bases: Mapping[str, float] | None = None,
    ) -> None:
        self.names = list(names)
        self.endings = label_endings(self.names) if alone else [f"_{name}" for name in self.names]
        self._scales: list[float | None] = []
        for name in self.names:
            base = (log_bases or {}).get(name)
            self._scales.append(None if base is None else math.log(base))
        targets = len(self.names)
        super().__init__(
            sums=(4, targets),
            # of w^2 |r|, w^2 r^2 and w^2 r, of which errors are made
            squares=(3, 3, targets),
            missing=(targets,),  # entries without the target, that have something else to learn
            residuals=(targets, BINS),
            responses=(targets, BINS),  # of their logarithms
            profiles=(targets, 4, BINS),  # in bins of the truth: w, w true, w pred, w pred^2
        )

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) values, with the row's weight; targets that are not finite do not count."""
        if scored.target is None:
            return
        unknown = ~is_defined(scored.target)  # (M, K)
        # a task may append outputs of its own
        predicted = scored.output[:, : len(self.names)].double()
        true = scored.target.double()
        # a weight of 0 alone would not do: 0 times NaN is NaN
        residual = torch.where(unknown, 0.0, predicted - true)
        # the loss of a network file may need all labels of a row, a metric needs its own
        monitors = scored.monitors or {}
        weight = monitors.get("weight", scored.weight).double()  # (M,)
        weight = weight[:, None] * ~unknown  # (M, K)
        quantities = [weight, weight * residual.abs(), weight * residual**2, weight * residual]
        sums = [quantity.sum(0) for quantity in quantities]  # (K,) each
        blocks = self.sums_on(residual.device)
        blocks["sums"].add_(torch.stack(sums))
        of_kinds = [residual.abs(), residual**2, residual]  # (M, K) each
        blocks["squares"].add_(torch.stack([squared_moments(weight, kind) for kind in of_kinds]))
        blocks["missing"].add_(unknown.sum(0))
        for k, scale in enumerate(self._scales):
            own = weight[:, k]
            fill_histograms(blocks["residuals"][k][None], bin_numbers(residual[:, k]), [own])
            bins_of_truth = bin_numbers(true[:, k])
            values = torch.where(unknown[:, k], 0.0, predicted[:, k])
            known = torch.where(unknown[:, k], 0.0, true[:, k])
            moments = [own, own * known, own * values, own * values**2]
            fill_histograms(blocks["profiles"][k], bins_of_truth, moments)
            if scale is None:
                response = predicted[:, k] / true[:, k]
                # the ratio of numbers of two signs, or to 0, says nothing
                is_ratio = (response > 0) & response.isfinite()
                own = own * is_ratio
                log_response = torch.where(is_ratio, response, 1.0).log()
            else:
                log_response = scale * residual[:, k]
            fill_histograms(blocks["responses"][k][None], bin_numbers(log_response), [own])

    def values(self, totals: Tensor) -> dict[str, float]:
        """``mae``, ``rmse``, ``bias``, ``resolution``, and how many entries lack a target."""
        blocks = self.blocks(totals.cpu())
        values: dict[str, float] = {}
        for k, end in enumerate(self.endings):
            count, absolute, square, residual = blocks["sums"][:, k]
            if count > 0:
                # negative weights may pull the mean square below 0
                mean_square = max(ratio(square, count), 0.0)
                low, high = histogram_quantiles(blocks["residuals"][k].numpy(), CENTRAL)
                values[f"mae{end}"] = ratio(absolute, count)
                values[f"rmse{end}"] = math.sqrt(mean_square)
                values[f"bias{end}"] = ratio(residual, count)
                values[f"resolution{end}"] = float(high - low) / 2
            if blocks["missing"][k] > 0:
                values[f"without_target{end}"] = float(blocks["missing"][k])
        return values

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Of ``mae``, ``rmse``, ``bias`` and ``resolution``."""
        blocks = self.blocks(totals.cpu())
        values = self.values(totals)
        errors: dict[str, float] = {}
        for k, end in enumerate(self.endings):
            if f"mae{end}" not in values:
                continue
            count = float(blocks["sums"][0, k])
            absolute, square, residual = blocks["squares"][:, :, k].tolist()
            root = values[f"rmse{end}"]
            of_square = error_of_mean(root**2, count, square)
            effective = count**2 / absolute[0]
            counts = blocks["residuals"][k].numpy()
            errors[f"mae{end}"] = error_of_mean(values[f"mae{end}"], count, absolute)
            errors[f"rmse{end}"] = of_square / (2 * root) if root else 0.0
            errors[f"bias{end}"] = error_of_mean(values[f"bias{end}"], count, residual)
            errors[f"resolution{end}"] = resolution_error(counts, effective)
        return errors

    def details(self, totals: Tensor) -> dict[str, Any]:
        """``targets``: of each one its metrics, the median of the residual and the response.

        ``response`` has the median and the resolution (half the central 68 %) of predicted / true.
        """
        blocks = self.blocks(totals.cpu())
        values = self.values(totals)
        targets: dict[str, Any] = {}
        for k, (name, end) in enumerate(zip(self.names, self.endings, strict=True)):
            if f"mae{end}" not in values:
                continue
            kinds = ("mae", "rmse", "bias", "resolution")
            own: dict[str, Any] = {kind: values[f"{kind}{end}"] for kind in kinds}
            own["median"] = float(histogram_quantiles(blocks["residuals"][k].numpy(), [0.5])[0])
            response = self.response_quantiles(totals, k)
            if response is not None:
                low, median, high = response
                own["response"] = {"median": median, "resolution": (high - low) / 2}
            own["weight"] = float(blocks["sums"][0, k])
            targets[name] = own
        return {"targets": targets} if targets else {}

    def is_logarithm(self, target: int) -> bool:
        """Whether a target is a logarithm, whose response is that of the numbers."""
        return self._scales[target] is not None

    def response_quantiles(self, totals: Tensor, target: int) -> tuple[float, float, float] | None:
        """The 16, 50 and 84 % quantiles of predicted / true; None where there is none."""
        counts = self.blocks(totals.cpu())["responses"][target].numpy()
        if not counts.sum() > 0:
            return None
        logarithms = histogram_quantiles(counts, [0.16, 0.5, 0.84])
        low, median, high = np.exp(np.clip(logarithms, -MAX_LOG, MAX_LOG)).tolist()
        return low, median, high


class CoverageMeter(SumMeter):
    """How often the true value lies below each quantile that is predicted for it.

    ``coverage@0.16`` is 0.16 where the quantile 0.16 is right, and ``coverage@0.16-0.84``, the
    share between two that lie as far from 0 as from 1, is 0.68. ``coverage_error`` is the mean over
    the quantiles of how far off they are. Each name ends in the target unless it is ``alone``.
    """

    def __init__(self, name: str, quantiles: Sequence[float], *, alone: bool = False) -> None:
        """``quantiles`` of the target ``name``, in rising order: outputs (M, Q)."""
        self.name = name
        self.quantiles = list(quantiles)
        self.end = "" if alone else f"_{name}"
        super().__init__(sums=(1 + len(quantiles),), squares=(1 + len(quantiles),))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add quantiles (M, Q) with their target (M, 1)."""
        if scored.target is None:
            return
        known = is_defined(scored.target)  # (M, 1)
        monitors = scored.monitors or {}
        weight = monitors.get("weight", scored.weight).double()[:, None] * known  # (M, 1)
        below = weight * (scored.target <= scored.output)  # (M, Q)
        sums = torch.cat([weight.sum(0), below.sum(0)])  # (1 + Q,)
        squares = torch.cat([weight.square().sum(0), (weight * below).sum(0)])  # (1 + Q,)
        blocks = self.sums_on(sums.device)
        blocks["sums"].add_(sums)
        blocks["squares"].add_(squares)

    def values(self, totals: Tensor) -> dict[str, float]:
        """``coverage@QUANTILE``, ``coverage@LOW-HIGH``, ``coverage_error``."""
        count, *below = self.blocks(totals)["sums"].tolist()
        if not count > 0:
            return {}
        shares = {q: number / count for q, number in zip(self.quantiles, below, strict=True)}
        values = {f"coverage@{q:g}{self.end}": share for q, share in shares.items()}
        for low, high in self._intervals():
            inside = shares[high] - shares[low]
            values[f"coverage@{low:g}-{high:g}{self.end}"] = inside
        errors = [abs(share - q) for q, share in shares.items()]
        values[f"coverage_error{self.end}"] = sum(errors) / len(errors)
        return values

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Of the shares, which are binomial: of each quantile and of each interval."""
        values = self.values(totals)
        if not values:
            return {}
        blocks = self.blocks(totals)
        count = float(blocks["sums"][0])
        every, *below = blocks["squares"].tolist()
        # of an entry that is 1 or 0 the square is the entry
        found = {f"coverage@{q:g}{self.end}": s for q, s in zip(self.quantiles, below, strict=True)}
        of_quantiles = dict(zip(self.quantiles, below, strict=True))
        for low, high in self._intervals():
            inside = of_quantiles[high] - of_quantiles[low]
            found[f"coverage@{low:g}-{high:g}{self.end}"] = inside
        return {
            name: error_of_mean(values[name], count, (every, squares, squares))
            for name, squares in found.items()
        }

    def _intervals(self) -> list[tuple[float, float]]:
        """Pairs of quantiles that lie as far from 0 as from 1."""
        pairs = []
        for low in self.quantiles:
            for high in self.quantiles:
                if low < high and math.isclose(low + high, 1):
                    pairs.append((low, high))
        return pairs


class PullMeter(SumMeter):
    """Pulls of a target: its residual, predicted - true, divided by its predicted width.

    Where the widths are right and residuals are Gaussian, pulls have mean 0 and width 1:
    ``pull_mean``, ``pull_width`` (standard deviation), and ``pull_resolution``, half of their
    central 68 %, which does not look at tails. Each name ends in the target unless it is ``alone``.
    """

    def __init__(self, name: str, *, alone: bool = False) -> None:
        self.name = name
        self.end = "" if alone else f"_{name}"
        super().__init__(sums=(3,), squares=(3,), pulls=(1, BINS))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add pulls, which are output and target (M, 1); those that are not finite do not count."""
        if scored.target is None:
            return
        known = is_defined(scored.target)[:, 0]  # (M,)
        monitors = scored.monitors or {}
        weight = monitors.get("weight", scored.weight).double() * known  # (M,)
        pulls = torch.where(known, scored.output[:, 0].double(), 0.0)
        sums = torch.stack([weight.sum(), (weight * pulls).sum(), (weight * pulls**2).sum()])
        blocks = self.sums_on(pulls.device)
        blocks["sums"].add_(sums)
        blocks["squares"].add_(squared_moments(weight, pulls))
        fill_histograms(blocks["pulls"], bin_numbers(pulls), [weight])

    def values(self, totals: Tensor) -> dict[str, float]:
        """``pull_mean``, ``pull_width``, ``pull_resolution``."""
        blocks = self.blocks(totals.cpu())
        count, first, second = blocks["sums"].tolist()
        if not count > 0:
            return {}
        mean = first / count
        low, high = histogram_quantiles(blocks["pulls"][0].numpy(), CENTRAL)
        return {
            f"pull_mean{self.end}": mean,
            # negative weights may pull the variance below 0
            f"pull_width{self.end}": math.sqrt(max(second / count - mean**2, 0.0)),
            f"pull_resolution{self.end}": float(high - low) / 2,
        }

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Of ``pull_mean`` and ``pull_resolution``."""
        values = self.values(totals)
        if not values:
            return {}
        blocks = self.blocks(totals.cpu())
        count = float(blocks["sums"][0])
        squares = blocks["squares"].tolist()
        mean = values[f"pull_mean{self.end}"]
        return {
            f"pull_mean{self.end}": error_of_mean(mean, count, squares),
            f"pull_resolution{self.end}": resolution_error(
                blocks["pulls"][0].numpy(), count**2 / squares[0]
            ),
        }


class TargetLossMeter(SumMeter):
    """``loss_TARGET``: the mean loss of each target, over the rows where it counts.

    It is computed from activated outputs, so that ensembles and exported networks have it, too.
    """

    def __init__(self, names: Sequence[str], losses: TargetLosses) -> None:
        """``losses`` gives those of activated entries (M, K)."""
        self.names = list(names)
        self._losses = losses
        super().__init__(sums=(2, len(names)))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add a batch of activated entries."""
        if scored.target is None:
            return
        of_targets, counts = self._losses(scored)  # (M, T) each
        monitors = scored.monitors or {}
        weight = monitors.get("weight", scored.weight).double()[:, None] * counts  # (M, T)
        sums = torch.stack([(weight * of_targets.double()).sum(0), weight.abs().sum(0)])
        self.sums_on(sums.device)["sums"].add_(sums)

    def values(self, totals: Tensor) -> dict[str, float]:
        """``loss_TARGET`` of each."""
        values = {}
        for name, (loss, total) in zip(self.names, self.blocks(totals)["sums"].T, strict=True):
            if total > 0:
                values[f"loss_{name}"] = ratio(loss, total)
        return values
