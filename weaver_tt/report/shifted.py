"""Models on a second, shifted sample: what becomes of their efficiencies, and their resilience.

The thresholds are those of the first sample, on the score of each signal and on each discriminant.
S signals, E efficiencies of the signal, B bins of a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weaver_tt.config.schema import Discriminant
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.metrics.classifier_summary import (
    OPERATING_POINTS,
    ClassifierSummary,
    json_number,
)
from weaver_tt.metrics.resilience import (
    Resilience,
    ValueWithError,
    measure_performance,
    measure_resilience,
)
from weaver_tt.metrics.roc import Thresholds, passing_share, thresholds_at
from weaver_tt.report.discriminants import LOGITS, discriminant_curves
from weaver_tt.report.evaluation import EvaluatedModel
from weaver_tt.report.scores import ModelFiles
from weaver_tt.report.trainings import EvaluatedTrainings, evaluate_trainings, with_spread
from weaver_tt.system.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedPoint:
    """One model at one threshold: efficiencies in the first sample and in the shifted one."""

    threshold: float  # the score, exact to a bin of its histogram
    signal: tuple[ValueWithError, ValueWithError]
    background: tuple[ValueWithError, ValueWithError]

    @property
    def performance(self) -> ValueWithError:
        """In the first sample."""
        return measure_performance(self.signal[0], self.background[0])

    @property
    def resilience(self) -> Resilience:
        """Between the two."""
        return measure_resilience(self.signal, self.background)

    def details(self) -> dict[str, Any]:
        """What ``metrics.json`` says of it."""
        resilience = self.resilience
        by_chance = json_number(resilience.by_chance, 0.0)["value"]
        return {
            "threshold": self.threshold,
            "signal": _of_both_samples(self.signal),
            "background": _of_both_samples(self.background),
            "performance": _json(self.performance),
            "resilience": {
                **json_number(resilience.value, resilience.error),
                "unlimited": resilience.is_unlimited,
                "by_chance": by_chance,
            },
        }


# signal class, or discriminant -> operating point -> point
Points = dict[str, dict[float, ShiftedPoint]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedModel:
    """A model on both samples: the points of each of its trainings, one or several.

    ``shifted``: the median training on the shifted sample; ``median_place``: which one it is.
    """

    name: str
    shifted: EvaluatedModel
    each: Sequence[Points]
    median_place: int

    @property
    def points(self) -> Points:
        """Those of the median training."""
        return self.each[self.median_place]

    def details(self, signal: str) -> dict[str, Any]:
        """What ``metrics.json`` says of the points of a signal or a discriminant.

        Those of several trainings have a spread.
        """
        of_efficiencies = {}
        for efficiency, point in self.points[signal].items():
            details = point.details()
            if len(self.each) > 1:
                of_each = [points[signal][efficiency].details() for points in self.each]
                for name in ("performance", "resilience"):
                    with_spread(details[name], [one[name] for one in of_each])
            of_efficiencies[str(efficiency)] = details
        return of_efficiencies


def pair_by_name(sources: Sequence[ModelFiles], shifted: Sequence[ModelFiles]) -> list[ModelFiles]:
    """The files of ``shifted`` in the order of ``sources``: one of each name.

    Raises:
        ConfigError: a name is in one of them only, or with other trainings.
    """
    names = [source.name for source in sources]
    by_name = {source.name: source for source in shifted}
    for name, source in by_name.items():
        if name not in names:
            raise ConfigError(
                f"report: --shifted {source.paths[0]}: there is no model {name!r} to compare it "
                f"with; {nearest(name, names)}; NAME:PATH names both files of a model"
            )
    for source in sources:
        if source.name not in by_name:
            raise ConfigError(
                f"report: --shifted: model {source.name!r} ({source.paths[0]}) has no file there; "
                f"{nearest(source.name, by_name)}; each model needs one, as NAME:PATH"
            )
        expected = len(source.each_training())
        found = len(by_name[source.name].each_training())
        if found != expected:
            raise ConfigError(
                f"report: --shifted: model {source.name!r} has {counted(expected, 'training')} and "
                f"{counted(found, 'training')} there; the files of each stand in the same order"
            )
    return [by_name[name] for name in names]


def evaluate_shifted(
    networks: Sequence[EvaluatedTrainings],
    sources: Sequence[ModelFiles],
    signals: Sequence[str],
    discriminants: Mapping[str, Discriminant] | None = None,
) -> list[ShiftedModel]:
    """Evaluate each training of ``networks`` on its shifted sample, in ``sources``.

    ``discriminants`` are those of the first sample.

    Raises:
        DataError: a column is missing, scores are not probabilities, or fewer than two classes
            have rows.
    """
    evaluated = []
    for network, source in zip(networks, sources, strict=True):
        classes = network.median.classes
        shifted = evaluate_trainings(source, classes, None)
        each = []
        for model, other in zip(network.each, shifted.each, strict=True):
            points = {}
            for signal in signals:
                k = classes.index(signal)
                points[signal] = measure_shift(model.summary, other.summary, k)
            points |= _shift_of_discriminants(model, other, discriminants or {})
            each.append(points)
        place = network.median_place
        found = ShiftedModel(
            name=source.name, shifted=shifted.each[place], each=each, median_place=place
        )
        evaluated.append(found)
    return evaluated


def _shift_of_discriminants(
    first: EvaluatedModel, shifted: EvaluatedModel, discriminants: Mapping[str, Discriminant]
) -> Points:
    """Those of a training on both samples, whose rows are read once more."""
    curves = []
    for model in (first, shifted):
        curves.append(discriminant_curves(model.source, first.classes, discriminants))
    points = {}
    for name in discriminants:
        histograms = [(of[name].signal[:, 0], of[name].background[:, 0]) for of in curves]
        points[name] = _points_at(histograms, LOGITS, OPERATING_POINTS)
    return points


def measure_shift(
    first: ClassifierSummary,
    shifted: ClassifierSummary,
    signal: int,
    efficiencies: Sequence[float] = OPERATING_POINTS,
) -> dict[float, ShiftedPoint]:
    """Efficiencies of class ``signal`` and of the rest, where shares of it pass in ``first``.

    At thresholds that are fixed numbers from there on, the four efficiencies of a threshold are of
    four independent sets of entries. That of the signal in ``first`` has its error, although the
    threshold was chosen such that it is a round number: another sample would have another
    efficiency at this threshold.
    """
    histograms = []
    for summary in (first, shifted):
        roc = summary.against_rest
        histograms.append((roc.signal[:, signal], roc.background[:, signal]))
    return _points_at(histograms, first.logits, efficiencies)


def _points_at(
    histograms: Sequence[tuple[Tensor, Tensor]], logits: Tensor, efficiencies: Sequence[float]
) -> dict[float, ShiftedPoint]:
    """The points of signal and background, (2, B) each, in both samples; ``logits`` (B,)."""
    grid = torch.tensor(efficiencies, dtype=torch.float64)
    thresholds = thresholds_at(histograms[0][0], grid)
    of_signal = [_efficiencies(sums, thresholds) for sums, _ in histograms]
    of_background = [_efficiencies(sums, thresholds) for _, sums in histograms]
    # borders count from the highest score
    bins = len(logits) - 1 - thresholds.border
    scores = logits[bins].sigmoid()
    points = {}
    for place, efficiency in enumerate(efficiencies):
        points[efficiency] = ShiftedPoint(
            threshold=float(scores[place]),
            signal=(of_signal[0][place], of_signal[1][place]),
            background=(of_background[0][place], of_background[1][place]),
        )
    return points


def shifted_details(
    models: Sequence[ShiftedModel], signals: Sequence[str], discriminants: Sequence[str] = ()
) -> dict[str, Any]:
    """What ``metrics.json`` says of all of them."""
    of_models = {}
    for model in models:
        of_models[model.name] = {
            "files": list(model.shifted.source.paths),
            "rows": model.shifted.rows,
            **model.shifted.left_out,
            "entries": model.shifted.summary.details()["entries"],
        }
    content: dict[str, Any] = {"models": of_models}
    content["signals"] = {name: _details_of(models, name) for name in signals}
    if discriminants:
        content["discriminants"] = {name: _details_of(models, name) for name in discriminants}
    return content


def _details_of(models: Sequence[ShiftedModel], selected: str) -> dict[str, Any]:
    """By model, at a signal or a discriminant."""
    return {model.name: model.details(selected) for model in models}


def _efficiencies(histogram: torch.Tensor, thresholds: Thresholds) -> list[ValueWithError]:
    values, errors = passing_share(histogram, thresholds)  # (E,) each
    return [
        ValueWithError(value, error)
        for value, error in zip(values.tolist(), errors.tolist(), strict=True)
    ]


def _json(number: ValueWithError) -> dict[str, float | None]:
    return json_number(number.value, number.error)


def _of_both_samples(
    efficiencies: tuple[ValueWithError, ValueWithError],
) -> dict[str, dict[str, float | None]]:
    first, shifted = efficiencies
    return {"first": _json(first), "shifted": _json(shifted)}
