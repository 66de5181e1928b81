"""What the histograms of a classifier say: numbers with statistical errors.

For every class and every pair of classes, K classes and B bins of the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from weaver_tt.metrics.base import ratio
from weaver_tt.metrics.many_classes import shown_classes
from weaver_tt.metrics.roc import Roc, effective_entries
from weaver_tt.options.figures import MAX_CLASSES

OPERATING_POINTS = (0.3, 0.5, 0.7)  # signal efficiencies at which rejections are reported
NONE_SEEN_95 = -math.log(0.05)  # expected entries of which not one is seen in 5 % of all cases


class ClassifierSummary:
    """A classifier of K classes, from the sums of a ClassificationMeter.

    ``logits`` (B,) are the scores in the middle of the histograms' bins, ``borders`` (B + 1,) those
    between them. What depends on a class without entries is NaN.

    ``confusion`` (K, K): w by true and predicted class.
    ``confidence`` (4, bins): w, w * highest score, w * (is correct) and w^2, by highest score.
    ``scores`` (2, K, K, B): w and w^2 of true class t, by the score of class k.
    """

    def __init__(
        self, names: Sequence[str], blocks: Mapping[str, Tensor], logits: Tensor, borders: Tensor
    ) -> None:
        self.names = list(names)
        self.logits = logits
        self.borders = borders
        self.confusion = blocks["confusion"]
        self.confidence = blocks["calibration"]
        kinds = blocks["scores"]  # (2, 1 or 2, K, K, B)
        self.scores = kinds[:, 0]
        # the same by the score of t against k; of two classes it follows from the other
        self._pair_scores = kinds[:, 1] if kinds.shape[1] == 2 else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self.confusion.any()

    @cached_property
    def effective_entries(self) -> Tensor:
        """(sum w)^2 / sum w^2 of each class, (K,)."""
        # every entry is in the histogram of every score: that of the first will do
        return effective_entries(self.scores[:, :, 0])

    def shown_classes(self, asked: Sequence[str] = ()) -> list[str]:
        """The classes that get curves, panels, figures and pairs, in their order.

        See :func:`~weaver_tt.metrics.many_classes.shown_classes`.
        """
        return shown_classes(self.names, self.effective_entries.tolist(), asked)

    @cached_property
    def against_rest(self) -> Roc:
        """Curves of each class against all others by its own score, (K,)."""
        own = torch.diagonal(self.scores, dim1=1, dim2=2)  # (2, B, K)
        own = own.movedim(-1, 1)  # (2, K, B)
        every_class = self.scores.sum(1)  # (2, K, B)
        return Roc(own, every_class - own)

    @cached_property
    def against_each(self) -> Roc:
        """Curves of each class a against each class b, (K, K); the diagonal means nothing.

        By the pair score s_a / (s_a + s_b).
        """
        if self._pair_scores is None:
            # of two classes the other one is the rest
            signal = self.against_rest.signal[:, :, None].expand_as(self.scores)
        else:
            signal = self._pair_scores
        # log(s_b / s_a) = -log(s_a / s_b): the bins of b against a in reverse
        return Roc(signal, signal.transpose(1, 2).flip(-1))

    @property
    def accuracy(self) -> tuple[float, float]:
        """Share of the entries whose own class has the highest score, and its binomial error.

        The error is that of the effective number of entries.
        """
        share = ratio(self.confusion.trace(), self.confusion.sum())
        of_all_classes = self.scores[:, :, 0].sum(1)  # (2, B)
        entries = float(effective_entries(of_all_classes))
        if not entries:
            return share, math.nan
        # negative weights may bring the share above 1
        variance = max(share * (1 - share), 0)
        return share, math.sqrt(variance / entries)

    @property
    def expected_error(self) -> float:
        """Expected calibration error: the mean of |confidence - accuracy| over bins.

        Source: arXiv:1706.04599, equation 3.
        """
        weight, confidence, correct, _ = self.confidence
        deviation = (confidence - correct).abs().sum()
        return ratio(deviation, weight.sum())

    def reliability(self, column: int, bins: int = 20) -> Tensor:
        """Sums (4, bins) of w, w * score, w * (is of the class) and w^2 for class ``column``.

        In bins of equal width in the score of that class.
        """
        score = self.logits.sigmoid()  # (B,)
        weight, squares = self.scores[:, :, column].sum(1)  # (B,) each
        of_class = self.scores[0, column, column]
        quantities = torch.stack([weight, weight * score, of_class, squares])  # (4, B)
        # a score of 1 belongs to the last bin
        index = (score * bins).long().clamp(max=bins - 1)
        return quantities.new_zeros(4, bins).index_add_(1, index, quantities)

    def of_pairs(self, matrix: Tensor) -> Tensor:
        """The entries of (K, K) for two different classes, (K (K - 1),)."""
        diagonal = torch.eye(len(self.names), dtype=torch.bool)
        return matrix[~diagonal]

    def values(self) -> dict[str, float]:
        """Scalars by name.

        Of two classes the first is the signal; of more, each is the signal once.
        """
        areas = self.against_rest.area  # (K,)
        points = torch.tensor(OPERATING_POINTS)
        rejections, _ = self.against_rest.rejection(points)  # (K, points)
        values = {"accuracy": self.accuracy[0], "auc": float(areas.nanmean())}
        if len(self.names) == 2:
            for point, rejection in zip(OPERATING_POINTS, rejections[0].tolist(), strict=True):
                values[f"rejection@{point}"] = rejection
            values["calibration_error"] = self.expected_error
            return values

        areas_of_pairs = self.of_pairs(self.against_each.area)
        values["auc_ovo"] = float(areas_of_pairs.nanmean())
        values["calibration_error"] = self.expected_error
        for name, area in zip(self.names, areas.tolist(), strict=True):
            values[f"auc_{name}"] = area
        for point, of_classes in zip(OPERATING_POINTS, rejections.T.tolist(), strict=True):
            for name, rejection in zip(self.names, of_classes, strict=True):
                values[f"rejection@{point}_{name}"] = rejection
        return values

    def errors(self) -> dict[str, float]:
        """Statistical errors of some of :meth:`values`, by the same names.

        Of a mean area, whose areas share entries, the mean of their errors is an upper bound.
        """
        errors = {"accuracy": self.accuracy[1]}
        error_of_area = self.against_rest.area_error  # (K,)
        errors["auc"] = float(error_of_area.nanmean())
        _, of_points = self.against_rest.rejection(torch.tensor(OPERATING_POINTS))  # (K, points)
        if len(self.names) == 2:
            for point, error in zip(OPERATING_POINTS, of_points[0].tolist(), strict=True):
                errors[f"rejection@{point}"] = error
            return errors
        errors["auc_ovo"] = float(self.of_pairs(self.against_each.area_error).nanmean())
        for name, error in zip(self.names, error_of_area.tolist(), strict=True):
            errors[f"auc_{name}"] = error
        for point, of_classes in zip(OPERATING_POINTS, of_points.T.tolist(), strict=True):
            for name, error in zip(self.names, of_classes, strict=True):
                errors[f"rejection@{point}_{name}"] = error
        return errors

    def details(self, asked: Sequence[str] = ()) -> dict[str, Any]:
        """Everything with its error, ready for JSON: numbers that are not known are None.

        Of more than ``MAX_CLASSES`` classes, the pairs are those of :meth:`shown_classes`: of all
        pairs of 188 classes a file would be longer than anyone reads.
        """
        few = len(self.names) <= MAX_CLASSES
        paired = self.names if few else self.shown_classes(asked)
        pairs = self._pairs(paired)
        rejection = {}
        for point in OPERATING_POINTS:
            rejection[str(point)] = self._rejections(point, paired, pairs)
        return {
            "classes": self.names,
            "entries": self._entries(),
            "accuracy": json_number(*self.accuracy),
            "auc": self._areas(paired, pairs),
            "rejection": rejection,
            "confusion": self.confusion.tolist(),
            "calibration": {
                "expected_error": self.expected_error,
                "confidence": _filled_calibration_bins(self.confidence),
            },
        }

    def _entries(self) -> dict[str, dict[str, float]]:
        totals = self.confusion.sum(1).tolist()
        effective = self.effective_entries.tolist()
        entries = {}
        for name, total, number in zip(self.names, totals, effective, strict=True):
            entries[name] = {"sum_of_weights": total, "effective": number}
        return entries

    def _pairs(self, classes: Sequence[str]) -> Roc:
        """Curves of each of P ``classes`` against each other one of them, (P, P)."""
        places = [self.names.index(name) for name in classes]
        each = self.against_each
        sides = [side[:, places][:, :, places] for side in (each.signal, each.background)]
        return Roc(*sides)

    def _areas(self, paired: Sequence[str], pairs: Roc) -> dict[str, Any]:
        area = self.against_rest.area  # (K,)
        error = self.against_rest.area_error
        by_class = nested_lists(json_number, area, error)
        every_area = self.of_pairs(self.against_each.area)
        every_error = self.of_pairs(self.against_each.area_error)
        by_pair = nested_lists(json_number, pairs.area, pairs.area_error)
        return {
            "mean_one_vs_rest": _json_mean(area, error),
            "mean_one_vs_one": _json_mean(every_area, every_error),
            "one_vs_rest": dict(zip(self.names, by_class, strict=True)),
            "one_vs_one": _by_pair(paired, by_pair),
        }

    def _rejections(self, point: float, paired: Sequence[str], pairs: Roc) -> dict[str, Any]:
        of_rest = rejections_at(self.against_rest, point)
        return {
            "one_vs_rest": dict(zip(self.names, of_rest, strict=True)),
            "one_vs_one": _by_pair(paired, rejections_at(pairs, point)),
        }


def _by_pair(classes: Sequence[str], table: list[list[Any]]) -> dict[str, dict[str, Any]]:
    """Signal -> background -> entry of ``table`` (P, P), without the diagonal."""
    by_pair = {}
    for signal, row in zip(classes, table, strict=True):
        by_background = dict(zip(classes, row, strict=True))
        del by_background[signal]
        by_pair[signal] = by_background
    return by_pair


def json_number(value: float, error: float) -> dict[str, float | None]:
    """A value with its error for JSON."""
    return {
        "value": value if math.isfinite(value) else None,
        "error": error if math.isfinite(error) else None,
    }


def _json_mean(values: Tensor, errors: Tensor) -> dict[str, float | None]:
    """Mean of values that share entries; the mean of their errors is an upper bound."""
    return json_number(float(values.nanmean()), float(errors.nanmean()))


def nested_lists(function: Callable[..., Any], *tensors: Tensor) -> list[Any]:
    """``function`` of the elements of tensors of one shape, (...), as nested lists."""
    if tensors[0].ndim > 1:
        return [nested_lists(function, *rows) for rows in zip(*tensors, strict=True)]
    columns = [tensor.tolist() for tensor in tensors]
    return [function(*elements) for elements in zip(*columns, strict=True)]


def rejections_at(roc: Roc, point: float) -> list[Any]:
    """Rejections of curves (...) at one signal efficiency, as nested lists.

    With ``at_least``, a lower limit at 95 % confidence, where not one background entry passes.
    """
    efficiency = torch.tensor([point])
    value, error = roc.rejection(efficiency)  # (..., 1) each
    limit = rejection_limit(roc)  # (...)
    return nested_lists(_json_rejection, value.squeeze(-1), error.squeeze(-1), limit)


def rejection_limit(roc: Roc) -> Tensor:
    """Lower limit (95 %) of a rejection where not one background entry passes, (...)."""
    return effective_entries(roc.background) / NONE_SEEN_95


def _json_rejection(value: float, error: float, limit: float) -> dict[str, float | None]:
    number = json_number(value, error)
    if math.isinf(value):
        number["at_least"] = limit
    return number


def _filled_calibration_bins(sums: Tensor) -> list[dict[str, float]]:
    """The bins that hold something, of sums (4, bins) of w, w * confidence, w * correct, w^2."""
    filled = []
    for weight, confidence, correct, squares in sums.T.tolist():
        if not weight:
            continue
        calibration_bin = {
            "sum_of_weights": weight,
            "confidence": confidence / weight,
            "accuracy": correct / weight,
            "effective": weight * weight / squares,
        }
        filled.append(calibration_bin)
    return filled
