"""Models evaluated on their prediction files, in a stream.

Numbers overall and in bins of a column, usually pT, and how the models differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.metrics.classifier_summary import OPERATING_POINTS, ClassifierSummary
from weaver_tt.metrics.direction import metric_direction
from weaver_tt.output.about import NO_COST, NetworkCost, read_abouts
from weaver_tt.report.cost import ANT_EFFICIENCY, ant_factor, cost_content
from weaver_tt.report.scores import Floats, ModelFiles, ScoredRows, stream_scores
from weaver_tt.system.wording import listed

# Bins of the scores are as fine as memory allows (see ClassificationMeter), so that ties do not
# matter; in bins of a column, where many meters lie side by side, they are as in training.
SCORE_BINS = 8191
SCORE_BINS_IN_BINS = 511
IN_BINS = ("entries", "accuracy", "auc", "rejection")  # what metrics.json says of a bin


@dataclass(frozen=True)
class ColumnBins:
    """Bins of a column; ``open``: what lies beyond the outer edges belongs to the outer bins."""

    column: str
    edges: Floats
    open: bool = False

    def find(self, values: Floats) -> npt.NDArray[np.int64]:
        """Bin of each value (R,), -1 for those in none."""
        last = len(self.edges) - 2
        number = np.digitize(values, self.edges) - 1
        # the last bin includes its upper edge
        number[values == self.edges[-1]] = last
        if self.open:
            number = number.clip(0, last)
        return np.where((number > last) | np.isnan(values), -1, number)


def equal_content(source: ModelFiles, classes: Sequence[str], bins: int) -> ColumnBins:
    """At most ``bins`` bins of the bin column with about the same number of rows each.

    As the first chunk has it.

    Raises:
        DataError: the column has no spread.
    """
    shares = np.linspace(0, 1, bins + 1)
    edges = _quantiles(source, classes, shares, "--pt-edges")
    return ColumnBins(str(source.bin_column), edges, open=True)


def equal_width(source: ModelFiles, classes: Sequence[str], bins: int) -> ColumnBins:
    """``bins`` bins of the bin column of the same width.

    They cover all but the outermost per cent of the first chunk.

    Raises:
        DataError: the column has no spread.
    """
    shares = np.array([0.005, 0.995])
    low, high = _quantiles(source, classes, shares, "--mass-edges")
    return ColumnBins(str(source.bin_column), np.linspace(low, high, bins + 1))


def _quantiles(source: ModelFiles, classes: Sequence[str], shares: Floats, flag: str) -> Floats:
    """Different quantiles of the bin column at ``shares`` of the first chunk, at least two."""
    # the first chunk will do: nothing but edges depends on it
    values = _first_values(source, classes)
    values = values[np.isfinite(values)]
    # quantiles coincide where many rows share a value
    quantiles = np.unique(np.quantile(values, shares)) if len(values) else values
    if len(quantiles) < 2:
        raise DataError(
            f"{source.paths[0]}: column {source.bin_column!r} holds one value only; "
            f"{flag} gives the bins"
        )
    return quantiles


def _first_values(source: ModelFiles, classes: Sequence[str]) -> Floats:
    """The bin column in the first chunk that has rows; empty where none has."""
    for chunk in stream_scores(source, classes):
        if chunk.bin_values is not None and len(chunk.bin_values):
            return chunk.bin_values
    return np.empty(0)


class EvaluatedModel:
    """The sums over all rows of one model, and over those in each bin of ``binning``."""

    def __init__(
        self,
        source: ModelFiles,
        classes: list[str],
        binning: ColumnBins | None,
        cost: NetworkCost = NO_COST,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``cost`` of its network and ``names`` of its classes, as far as its files know them."""
        self.source = source
        self.cost = cost
        self.names = names
        self.classes = classes
        self.binning = binning
        self.rows = 0
        # rows that are left out, by reason
        self.left_out = {"rows_with_nan_scores": 0, "rows_without_class": 0}
        self._all = ClassificationMeter(classes, SCORE_BINS)
        self._bins: list[ClassificationMeter] = []
        if binning is not None:
            for _ in binning.edges[1:]:
                self._bins.append(ClassificationMeter(classes, SCORE_BINS_IN_BINS))

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.source.name

    def add(self, chunk: ScoredRows) -> None:
        """Add rows."""
        self.rows += chunk.rows
        for reason in self.left_out:
            self.left_out[reason] += getattr(chunk, reason)
        every = np.ones(len(chunk.target), bool)
        _fill(self._all, chunk, every)
        if self.binning is not None and chunk.bin_values is not None:
            bins = self.binning.find(chunk.bin_values)
            for number, meter in enumerate(self._bins):
                _fill(meter, chunk, bins == number)

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
        entries = self.summary.effective_entries.tolist()
        return [name for name, number in zip(self.classes, entries, strict=True) if not number]

    def check(self) -> None:
        """Warn of rows left out and of classes without rows.

        Raises:
            DataError: fewer than two classes have rows.
        """
        for reason, number in self.left_out.items():
            if number:
                words = reason.replace("_", " ")
                log.warning("%s: %s: %d of %d, left out", self.name, words, number, self.rows)
        # a rare class may be missing from a small file: the others are still compared
        empty = self.empty_classes
        if len(self.classes) - len(empty) < 2:
            raise DataError(
                f"{', '.join(self.source.paths)}: no row is of class "
                f"{' or '.join(map(repr, empty))}: there is nothing to tell apart"
            )
        if empty:
            names = listed([repr(name) for name in empty])
            log.warning(
                "%s: no row is of class %s; what depends on it is unknown", self.name, names
            )

    def metrics(self, shown: Sequence[str] = ()) -> dict[str, Any]:
        """What ``metrics.json`` says about the model; of many classes, pairs of those ``shown``."""
        summary = self.summary.details(shown)
        rejections = summary["rejection"][str(ANT_EFFICIENCY)]["one_vs_rest"]
        ant = {name: ant_factor(rejections[name], self.cost.parameters) for name in self.classes}
        details = {
            "files": list(self.source.paths),
            "rows": self.rows,
            **self.left_out,
            **cost_content(self.cost),
            **summary,
            "ant": ant,
        }
        if self.binning is not None:
            details["bins"] = {
                "column": self.binning.column,
                "edges": self.binning.edges.tolist(),
                "content": [_bin_details(summary, shown) for summary in self.in_bins],
            }
        return details


def _bin_details(summary: ClassifierSummary, shown: Sequence[str]) -> dict[str, Any] | None:
    """The main numbers of one bin; None if it is empty."""
    if summary.is_empty:
        return None
    details = summary.details(shown)
    return {name: details[name] for name in IN_BINS}


def _fill(meter: ClassificationMeter, chunk: ScoredRows, use: npt.NDArray[np.bool_]) -> None:
    target = torch.from_numpy(chunk.target[use])
    scored = Scored(
        output=torch.from_numpy(chunk.scores[use]),
        target=target,
        weight=torch.from_numpy(chunk.weight[use]),
        counts=torch.ones_like(target),
    )
    meter.update(scored, None)


def evaluate_model(
    source: ModelFiles, classes: list[str], binning: ColumnBins | None
) -> EvaluatedModel:
    """Read all files of a model.

    Raises:
        DataError: a column is missing, scores are not probabilities, fewer than two classes have
            rows, or the files are of several networks.
    """
    about = read_abouts(source.paths, source.treename)
    if about is None:
        model = EvaluatedModel(source, classes, binning)
    else:
        model = EvaluatedModel(source, classes, binning, about.network, about.names)
    for chunk in stream_scores(source, classes):
        model.add(chunk)
    model.check()
    return model


def headline_metrics(
    details: Mapping[str, Any], signals: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The numbers that models are compared by, from :meth:`ClassifierSummary.details`.

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
    """Each number less that of the reference; None where one of them is unknown.

    Errors are added in quadrature, which is too large for models evaluated on the same rows, and
    so are spreads between trainings.
    """
    return {metric: _difference(number, reference[metric]) for metric, number in numbers.items()}


def _difference(number: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float | None]:
    value = number["value"]
    error = number["error"]
    # a rejection is unknown where no background passes
    if None in (value, error, other["value"], other["error"]):
        return {"value": None, "error": None}
    errors = [error, other["error"], number.get("spread") or 0, other.get("spread") or 0]
    return {"value": value - other["value"], "error": math.hypot(*errors)}
