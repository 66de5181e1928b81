"""What is known about a classifier once its histograms are filled: numbers with statistical errors, for every class and every pair of classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from weaver_tt.metrics.roc import Roc, effective_entries

OPERATING_POINTS = (0.3, 0.5, 0.7)  # signal efficiencies at which rejections are told
NONE_SEEN_95 = -math.log(0.05)  # expected entries of which not one is seen in 5 % of all cases


class ClassifierSummary:
    """A classifier of K classes, from the sums that :class:`weaver_tt.metrics.classification.ClassificationMeter` kept.

    ``logits`` (B,) are the scores in the middle of the histograms' bins. Whatever depends on a class without entries is NaN.
    """

    def __init__(self, names: Sequence[str], blocks: Mapping[str, Tensor], logits: Tensor) -> None:
        self.names, self.logits = list(names), logits
        self.confusion, self.confidence = (
            blocks["confusion"],
            blocks["calibration"],
        )  # (K, K) true, predicted; (4, bins), see `expected_error`
        self.scores = blocks["scores"][
            :, 0
        ]  # (2, K, K, B): w and w^2 of true class t in the score of class k
        self._pairs = (
            blocks["scores"][:, 1] if blocks["scores"].shape[1] == 2 else None
        )  # the same of t against k

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self.confusion.any()

    @cached_property
    def effective_entries(self) -> Tensor:
        """(sum w)^2 / sum w^2 of each class, (K,)."""
        return effective_entries(self.scores[:, :, 0])

    @cached_property
    def against_rest(self) -> Roc:
        """Curves of each class against all others by its own score, (K,)."""
        own = torch.diagonal(self.scores, dim1=1, dim2=2).movedim(-1, 1)  # (2, K, B)
        return Roc(own, self.scores.sum(1) - own)

    @cached_property
    def against_each(self) -> Roc:
        """Curves of each class a against each class b by the pair score s_a / (s_a + s_b), (K, K); the diagonal means nothing."""
        if self._pairs is None:  # of two classes the other one is the rest
            own = self.against_rest.signal[:, :, None].expand_as(self.scores)
            return Roc(own, own.transpose(1, 2).flip(-1))
        return Roc(self._pairs, self._pairs.transpose(1, 2).flip(-1))

    @property
    def accuracy(self) -> tuple[float, float]:
        """Share of the entries whose class has the highest score, and its binomial error with the effective number of entries."""
        value = float(self.confusion.trace() / self.confusion.sum())
        entries = float(effective_entries(self.scores[:, :, 0].sum(1)))
        return value, math.sqrt(max(value * (1 - value), 0) / entries) if entries else math.nan

    @property
    def expected_error(self) -> float:
        """Expected calibration error: the mean of |confidence - accuracy| over bins of the highest score (arXiv:1706.04599, equation 3)."""
        weight, confidence, correct, _ = self.confidence
        return float((confidence - correct).abs().sum() / weight.sum())

    def reliability(self, column: int, bins: int = 20) -> Tensor:
        """Sums (4, bins) of w, w * score, w * (is of the class) and w^2 in bins of equal width in the score of class ``column``."""
        score = self.logits.sigmoid()  # (B,)
        weight, squares = self.scores[:, :, column].sum(1)
        quantities = torch.stack([weight, weight * score, self.scores[0, column, column], squares])
        place = (score * bins).long().clamp(max=bins - 1)
        return quantities.new_zeros(4, bins).index_add_(1, place, quantities)

    def of_pairs(self, matrix: Tensor) -> Tensor:
        """The entries of (K, K) for two different classes, (K (K - 1),)."""
        return matrix[~torch.eye(len(self.names), dtype=torch.bool)]

    def values(self) -> dict[str, float]:
        """Scalars by name; with two classes the first is the signal, with more each of them is once."""
        area, (rejection, _) = (
            self.against_rest.area,
            self.against_rest.rejection(torch.tensor(OPERATING_POINTS)),
        )
        values = {"accuracy": self.accuracy[0], "auc": float(area.nanmean())}
        if len(self.names) == 2:
            values |= {
                f"rejection@{point}": float(rejection[0, i])
                for i, point in enumerate(OPERATING_POINTS)
            }
            return values | {"calibration_error": self.expected_error}
        values |= {
            "auc_ovo": float(self.of_pairs(self.against_each.area).nanmean()),
            "calibration_error": self.expected_error,
        }
        values |= {f"auc_{name}": float(area[k]) for k, name in enumerate(self.names)}
        return values | {
            f"rejection@{p}_{name}": float(rejection[k, i])
            for i, p in enumerate(OPERATING_POINTS)
            for k, name in enumerate(self.names)
        }

    def details(self) -> dict[str, Any]:
        """Everything with its error, ready for JSON: numbers that are not known are None."""
        rest, each = self.against_rest, self.against_each
        entries = zip(
            self.names, self.confusion.sum(1).tolist(), self.effective_entries.tolist(), strict=True
        )
        return {
            "classes": self.names,
            "entries": {
                name: {"sum_of_weights": total, "effective": effective_number}
                for name, total, effective_number in entries
            },
            "accuracy": json_number(*self.accuracy),
            "auc": {
                "mean_one_vs_rest": json_number(
                    float(rest.area.nanmean()), float(rest.area_error.nanmean())
                ),
                "mean_one_vs_one": json_number(
                    float(self.of_pairs(each.area).nanmean()),
                    float(self.of_pairs(each.area_error).nanmean()),
                ),
                "one_vs_rest": dict(
                    zip(
                        self.names,
                        nested_lists(json_number, rest.area, rest.area_error),
                        strict=True,
                    )
                ),
                "one_vs_one": self._by_pair(nested_lists(json_number, each.area, each.area_error)),
            },
            "rejection": {
                str(point): {
                    "one_vs_rest": dict(zip(self.names, _rejections_at(rest, point), strict=True)),
                    "one_vs_one": self._by_pair(_rejections_at(each, point)),
                }
                for point in OPERATING_POINTS
            },
            "confusion": self.confusion.tolist(),
            "calibration": {
                "expected_error": self.expected_error,
                "confidence": _filled_calibration_bins(self.confidence),
            },
        }

    def _by_pair(self, table: list[list[Any]]) -> dict[str, dict[str, Any]]:
        """signal -> background -> what ``table`` (K, K) says of them."""
        return {
            signal: {
                background: value
                for background, value in zip(self.names, row, strict=True)
                if background != signal
            }
            for signal, row in zip(self.names, table, strict=True)
        }


def json_number(value: float, error: float) -> dict[str, float | None]:
    """A value with its error for JSON."""
    return {
        "value": value if math.isfinite(value) else None,
        "error": error if math.isfinite(error) else None,
    }


def nested_lists(function: Callable[..., Any], *tensors: Tensor) -> list[Any]:
    """``function`` of the elements of tensors of one shape, (...), as nested lists."""
    if tensors[0].ndim == 1:
        return [
            function(*elements)
            for elements in zip(*(tensor.tolist() for tensor in tensors), strict=True)
        ]
    return [nested_lists(function, *parts) for parts in zip(*tensors, strict=True)]


def _rejections_at(roc: Roc, point: float) -> list[Any]:
    """Rejections of curves (...) at one signal efficiency; ``at_least`` (95 % confidence) where not one background entry passes."""
    value, error = (found[..., 0] for found in roc.rejection(torch.tensor([point])))

    def tell(value: float, error: float, limit: float) -> dict[str, float | None]:
        return json_number(value, error) | ({"at_least": limit} if math.isinf(value) else {})

    return nested_lists(tell, value, error, effective_entries(roc.background) / NONE_SEEN_95)


def _filled_calibration_bins(sums: Tensor) -> list[dict[str, float]]:
    """The bins that hold something, of sums (4, bins) of w, w * confidence, w * correct, w^2."""
    return [
        {
            "sum_of_weights": w,
            "confidence": confidence / w,
            "accuracy": correct / w,
            "effective": w * w / square,
        }
        for w, confidence, correct, square in sums.T.tolist()
        if w
    ]
