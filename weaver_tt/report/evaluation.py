"""Models judged on their prediction files, in a stream: numbers overall and in bins of pT, and how the models differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.metrics.classifier_summary import OPERATING_POINTS, ClassifierSummary
from weaver_tt.metrics.direction import metric_direction
from weaver_tt.report.scores import Floats, ModelFiles, ScoredRows, stream_scores

SCORE_BINS = 8191  # bins of the scores are as fine as memory allows (see ClassificationMeter): ties matter nowhere
SCORE_BINS_IN_BINS = 511


@dataclass(frozen=True)
class ColumnBins:
    """Bins of a column; ``open``: what lies beyond the outer edges belongs to the outer bins."""

    column: str
    edges: Floats
    open: bool = False

    def places(self, values: Floats) -> np.ndarray[Any, Any]:
        """Bin of each value (R,), -1 for those in none."""
        last = len(self.edges) - 2
        place = np.digitize(values, self.edges) - 1
        place[values == self.edges[-1]] = last
        if self.open:
            return np.where(np.isnan(values), -1, place.clip(0, last))
        return np.where((place > last) | np.isnan(values), -1, place)


def equal_content(source: ModelFiles, classes: Sequence[str], bins: int) -> ColumnBins:
    """At most ``bins`` bins of ``source.pt`` with about the same number of rows each, judged by the first chunk; DataError where it has no spread."""
    return ColumnBins(
        str(source.pt),
        _quantile_edges(source, classes, np.linspace(0, 1, bins + 1), "--pt-edges"),
        open=True,
    )


def equal_width(source: ModelFiles, classes: Sequence[str], bins: int) -> ColumnBins:
    """``bins`` bins of ``source.pt`` of the same width over all but the outermost per cent of the first chunk; DataError where it has no spread."""
    low, *_, high = _quantile_edges(source, classes, np.array([0.005, 0.995]), "--mass-edges")
    return ColumnBins(str(source.pt), np.linspace(low, high, bins + 1))


def _quantile_edges(
    source: ModelFiles, classes: Sequence[str], shares: Floats, flag: str
) -> Floats:
    """Different quantiles of ``source.pt`` at ``shares`` of the first chunk's rows, at least two."""
    values = next(
        (
            chunk.pt
            for chunk in stream_scores(source, classes)
            if chunk.pt is not None and len(chunk.pt)
        ),
        np.empty(0),
    )
    edges = (
        np.unique(np.quantile(values[np.isfinite(values)], shares))
        if np.isfinite(values).any()
        else np.empty(0)
    )
    if len(edges) < 2:
        raise DataError(
            f"{source.paths[0]}: column {source.pt!r} holds one value only; {flag} gives the bins"
        )
    return edges


@dataclass
class EvaluatedModel:
    """What is added up of one model."""

    source: ModelFiles
    classes: list[str]
    binning: ColumnBins | None
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("rows", "rows_with_nan_scores", "rows_without_class"), 0
        )
    )

    def __post_init__(self) -> None:
        self._all = ClassificationMeter(self.classes, SCORE_BINS)
        self._bins = (
            [ClassificationMeter(self.classes, SCORE_BINS_IN_BINS) for _ in self.binning.edges[1:]]
            if self.binning
            else []
        )

    @property
    def name(self) -> str:
        """What it goes by."""
        return self.source.name

    def add(self, chunk: ScoredRows) -> None:
        """Add rows."""
        for name in self.counts:
            self.counts[name] += getattr(chunk, name)
        _fill(self._all, chunk, np.ones(len(chunk.target), bool))
        if self.binning is not None and chunk.pt is not None:
            place = self.binning.places(chunk.pt)
            for number, meter in enumerate(self._bins):
                _fill(meter, chunk, place == number)

    @cached_property
    def summary(self) -> ClassifierSummary:
        """All rows."""
        return self._all.summarize(self._all.totals())

    @cached_property
    def in_bins(self) -> list[ClassifierSummary]:
        """The rows of each bin."""
        return [meter.summarize(meter.totals()) for meter in self._bins]

    @property
    def empty_classes(self) -> list[str]:
        """Classes without a row."""
        return [
            name
            for name, entries in zip(
                self.classes, self.summary.effective_entries.tolist(), strict=True
            )
            if not entries
        ]

    def check(self) -> None:
        """Warn of rows left out and of classes without rows; DataError where there are not two classes to tell apart."""
        for name, number in list(self.counts.items())[1:]:
            if number:
                log.warning(
                    "%s: %s: %d of %d, left out",
                    self.name,
                    name.replace("_", " "),
                    number,
                    self.counts["rows"],
                )
        empty = self.empty_classes
        if len(self.classes) - len(empty) < 2:
            raise DataError(
                f"{', '.join(self.source.paths)}: no row is of class {' or '.join(map(repr, empty))}: there is nothing to tell apart"
            )
        if empty:
            log.warning(
                "%s: no row is of class %s; what depends on it is unknown",
                self.name,
                ", ".join(map(repr, empty)),
            )

    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` says about the model."""
        details = {"files": list(self.source.paths), **self.counts, **self.summary.details()}
        if self.binning is not None:
            bins = [judged.details() for judged in self.in_bins]
            kept = [
                {name: one[name] for name in ("entries", "accuracy", "auc", "rejection")}
                if not judged.is_empty
                else None
                for one, judged in zip(bins, self.in_bins, strict=True)
            ]
            details["bins"] = {
                "column": self.binning.column,
                "edges": self.binning.edges.tolist(),
                "content": kept,
            }
        return details


def _fill(meter: ClassificationMeter, chunk: ScoredRows, use: np.ndarray[Any, Any]) -> None:
    parts = (torch.from_numpy(part[use]) for part in (chunk.scores, chunk.target, chunk.weight))
    output, target, weight = parts
    meter.update(Scored(output, target, weight, counts=torch.ones_like(target)), None)


def evaluate_model(
    source: ModelFiles, classes: list[str], binning: ColumnBins | None
) -> EvaluatedModel:
    """Read all of a model's files; DataError as :func:`weaver_tt.report.scores.stream_scores` and :meth:`Model.check`."""
    model = EvaluatedModel(source, classes, binning)
    for chunk in stream_scores(source, classes):
        model.add(chunk)
    model.check()
    return model


def headline_metrics(
    details: Mapping[str, Any], signals: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The numbers that models are compared by, from :meth:`EvaluatedModel.metrics`.

    Title -> ``value``, ``error``, perhaps ``at_least``, and the ``direction`` in which it improves.
    """
    areas = details["auc"]
    numbers = {"accuracy": _headline("accuracy", details["accuracy"])}
    if len(signals) > 1:
        numbers["mean AUC, one against the rest"] = _headline("auc", areas["mean_one_vs_rest"])
        numbers["mean AUC, one against one"] = _headline("auc_ovo", areas["mean_one_vs_one"])
    for name in signals:
        numbers[f"AUC of {name}"] = _headline("auc", areas["one_vs_rest"][name])
        for point in OPERATING_POINTS:
            rejection = details["rejection"][str(point)]["one_vs_rest"][name]
            title = f"rejection at {100 * point:.0f} % of {name}"
            numbers[title] = _headline("rejection", rejection)
    return numbers


def _headline(metric: str, number: Mapping[str, Any]) -> dict[str, Any]:
    return {**number, "direction": metric_direction(metric)}


def metric_differences(
    numbers: Mapping[str, Mapping[str, Any]], reference: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, float | None]]:
    """Each number less the reference's; errors added in quadrature, which is too large for models judged on the same rows. None where unknown."""
    differences: dict[str, dict[str, float | None]] = {}
    for metric, own in numbers.items():
        other = reference[metric]
        known = None not in (own["value"], other["value"], own["error"], other["error"])
        differences[metric] = {
            "value": own["value"] - other["value"] if known else None,
            "error": math.hypot(own["error"], other["error"]) if known else None,
        }
    return differences
