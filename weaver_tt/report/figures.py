"""The figures of a report: models laid over each other, and each model alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from weaver_tt.figures import classification as figures
from weaver_tt.figures.classification import TradeOffPoint
from weaver_tt.figures.names import NO_NAMES, in_words
from weaver_tt.figures.resilience import ResiliencePoint, resilience_figure
from weaver_tt.metrics.classifier_summary import ClassifierSummary
from weaver_tt.metrics.resilience import ValueWithError
from weaver_tt.metrics.sculpting import EFFICIENCIES
from weaver_tt.pages.pictures import CaptionedFigure, Picture, write_picture, write_pictures
from weaver_tt.report.cost import ANT_EFFICIENCY
from weaver_tt.report.ddt import DdtPoint, DdtPoints
from weaver_tt.report.discriminants import MeasuredDiscriminant
from weaver_tt.report.evaluation import ColumnBins, EvaluatedModel
from weaver_tt.report.sculpting import Sculpting
from weaver_tt.report.shifted import ShiftedModel

HALF = torch.tensor([0.5])  # the signal efficiency of rejections in bins


@dataclass(kw_only=True)
class ReportPictures:
    """The figures of a report, by what they are about."""

    signals: dict[str, list[Picture]] = field(default_factory=dict)  # by class
    models: dict[str, list[Picture]] = field(default_factory=dict)  # by model
    discriminants: dict[str, list[Picture]] = field(default_factory=dict)  # by name
    calibration: list[Picture] = field(default_factory=list)
    # by signal or discriminant
    sculpting: dict[str, list[Picture]] = field(default_factory=dict)
    resilience: dict[str, list[Picture]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # classes without figures of their own

    @property
    def every(self) -> list[Picture]:
        """All of them."""
        every = [*self.calibration]
        of_signals = (self.signals, self.discriminants, self.sculpting, self.resilience)
        for by_name in (self.models, *of_signals):
            for pictures in by_name.values():
                every += pictures
        return every


def draw_report(
    models: Sequence[EvaluatedModel],
    signals: Sequence[str],
    folder: Path,
    ddt: DdtPoints = MappingProxyType({}),
    names: Mapping[str, str] = NO_NAMES,
    drawn: Sequence[str] = (),
) -> ReportPictures:
    """Write the figures of signals and models to ``folder`` as PNG and PDF.

    ``ddt`` are points beside the ROC curves, ``names`` what classes and columns are called,
    ``drawn`` the classes whose scores have panels.

    Raises:
        OutputError: one of them cannot be written.
    """
    pictures = ReportPictures()
    for signal in signals:
        of_signal = _figures_of_signal(models, signal, ddt.get(signal, {}), names)
        pictures.signals[signal] = write_pictures(of_signal, folder)
    summaries = {model.name: model.summary for model in models}
    calibration = (
        "calibration",
        "Calibration: share of rows that are of a class against the score of that class.",
        figures.score_calibration(summaries, names, drawn),
    )
    pictures.calibration = write_pictures([calibration], folder)
    for name, summary in summaries.items():
        of_model = _figures_of_model(name, summary, names, drawn)
        pictures.models[name] = write_pictures(of_model, folder)
    return pictures


def draw_spectra(
    binning: ColumnBins,
    models: Mapping[str, Sculpting],
    signal: str,
    folder: Path,
    names: Mapping[str, str] = NO_NAMES,
    discriminant: str = "",
) -> list[Picture]:
    """Write the spectrum of the background before and after selections, as PNG and PDF.

    A figure for each share of the signal that passes; ``signal`` in words. Files of a discriminant
    have its name.
    """
    column = binning.column
    ending = f"_{discriminant}" if discriminant else ""
    pictures = []
    for number, efficiency in enumerate(EFFICIENCIES):
        spectra = {}
        for name, sculpting in models.items():
            spectra[name] = (sculpting.every, sculpting.passing[number])
        percent = f"{100 * efficiency:.0f} %"
        selection = rf"$\varepsilon_S$ = {percent}"
        label = names.get(column, column)
        figure = figures.sculpted_spectrum(binning.edges, spectra, label, selection)
        caption = (
            f"{in_words(column, names)} of the background, all of it and where {percent} of "
            f"{in_words(signal, names)} pass: the closer the shapes, the less it is sculpted."
        )
        file_name = f"sculpting_{column}_{100 * efficiency:.0f}{ending}"
        pictures.append(write_picture(file_name, caption, figure, folder))
    return pictures


def draw_discriminants(
    discriminants: Mapping[str, MeasuredDiscriminant], folder: Path
) -> dict[str, list[Picture]]:
    """Write the curves of all models as PNG and PDF, a figure for each discriminant."""
    pictures = {}
    for name, found in discriminants.items():
        curves = {}
        for model, curve in found.curves.items():
            curves[model] = figures.rejection_curve(curve, 0)
        reference = next(iter(curves)) if len(curves) > 1 else None
        signal, background = (
            " + ".join(classes) for classes in (found.classes.signal, found.classes.background)
        )
        caption = (
            f"ROC of the discriminant {name}: {signal} against {background}. Bands are statistical "
            "errors of one standard deviation."
        )
        figure = figures.draw_rejections(curves, reference)
        pictures[name] = [write_picture(f"discriminant_{name}", caption, figure, folder)]
    return pictures


def draw_trade_off(
    models: Mapping[str, Sculpting],
    ddt: Mapping[str, Sequence[DdtPoint]],
    signal: str,
    column: str,
    folder: Path,
    names: Mapping[str, str] = NO_NAMES,
    discriminant: str = "",
) -> Picture:
    """Write the excess of the sculpting against the rejection, as PNG and PDF.

    A point for each model in which something passes, and for each of its decorrelated columns, at
    the cut 0. Models ``LINE@POINT`` of one ``LINE`` are joined, in their order. Files of a
    discriminant have its name.
    """
    ending = f"_{discriminant}" if discriminant else ""
    percent = f"{100 * EFFICIENCIES[-1]:.0f} %"
    lines: dict[str, list[TradeOffPoint]] = {}
    for name, sculpting in models.items():
        rejection, divergence = sculpting.rejections[-1], sculpting.divergences[-1]
        if divergence is not None:
            line, _, label = name.partition("@")
            point = TradeOffPoint(
                label=label,
                rejection=ValueWithError(rejection.value, rejection.error),
                excess=ValueWithError(divergence.excess, divergence.error),
            )
            lines.setdefault(line, []).append(point)
    for name, of_columns in ddt.items():
        for of_column in of_columns:
            number = of_column.rejection
            divergence = of_column.divergence
            if number["value"] is not None and divergence is not None:
                efficiency = rf"$\varepsilon_S$ = {100 * of_column.signal.value:.0f} %"
                point = TradeOffPoint(
                    label="",
                    rejection=ValueWithError(number["value"], number["error"]),
                    excess=ValueWithError(divergence.excess, divergence.error),
                )
                lines[f"{name}: {of_column.column} > 0, {efficiency}"] = [point]
    figure = figures.trade_off_figure(lines, rf"$\varepsilon_S$ = {percent}")
    caption = (
        f"Excess of the divergence of {in_words(column, names)} against the rejection where "
        f"{percent} of {in_words(signal, names)} pass: the best is at the lower right."
    )
    if ddt:
        caption += " Decorrelated columns are cut at 0, where another share of the signal passes."
    return write_picture(f"trade_off_{column}{ending}", caption, figure, folder)


def draw_resilience(
    models: Sequence[ShiftedModel], selected: Mapping[str, str], folder: Path
) -> dict[str, list[Picture]]:
    """Write performance against resilience as PNG and PDF.

    A figure for each signal and discriminant; ``selected``: what of it passes, in words. Models
    ``LINE@POINT`` of one ``LINE`` are joined, in their order.
    """
    pictures = {}
    for signal, words in selected.items():
        panels: dict[str, dict[str, list[ResiliencePoint]]] = {}
        for model in models:
            line, _, label = model.name.partition("@")
            for efficiency, point in model.points[signal].items():
                title = rf"$\varepsilon_S$ = {100 * efficiency:.0f} %"
                lines = panels.setdefault(title, {})
                found = ResiliencePoint(
                    label=label, performance=point.performance, resilience=point.resilience
                )
                lines.setdefault(line, []).append(found)
        caption = (
            f"Performance and resilience where 30, 50 and 70 % of {words} pass in the first "
            "sample: the best is at the upper right. An arrow is an unlimited resilience."
        )
        figure = resilience_figure(panels)
        pictures[signal] = [write_picture(f"resilience_{signal}", caption, figure, folder)]
    return pictures


def _figures_of_signal(
    models: Sequence[EvaluatedModel],
    signal: str,
    ddt: Mapping[str, Sequence[DdtPoint]],
    names: Mapping[str, str],
) -> Iterator[CaptionedFigure]:
    """All models at one signal."""
    yield _roc(models, signal, ddt, names)
    # all models are evaluated in the same bins
    binning = models[0].binning
    if binning is not None:
        yield _areas_in_bins(models, binning, signal, names)
        yield _rejections_in_bins(models, binning, signal, names)
    yield from figures_of_sizes(models, signal, names)


def _roc(
    models: Sequence[EvaluatedModel],
    signal: str,
    ddt: Mapping[str, Sequence[DdtPoint]],
    names: Mapping[str, str],
) -> CaptionedFigure:
    k = models[0].classes.index(signal)
    curves = {}
    for model in models:
        curves[model.name] = figures.rejection_curve(model.summary.against_rest, k)
    # a single model has nothing to be divided by
    reference = models[0].name if len(models) > 1 else None
    caption = (
        f"ROC: {_against(models[0].classes, signal, names)}. "
        "Bands are statistical errors of one standard deviation."
    )
    points = []
    for number, model in enumerate(models):
        for point in ddt.get(model.name, ()):
            rejection = point.rejection
            if rejection["value"] is not None:
                drawn = figures.CutPoint(
                    label=f"{model.name}: {point.column} > 0",
                    curve=number,
                    efficiency=point.signal.value,
                    rejection=rejection["value"],
                    error=rejection["error"],
                )
                points.append(drawn)
    if points:
        caption += " Points are decorrelated columns at the cut 0."
    return f"roc_{signal}", caption, figures.draw_rejections(curves, reference, points)


def figures_of_sizes(
    models: Sequence[EvaluatedModel], signal: str, names: Mapping[str, str] = NO_NAMES
) -> Iterator[CaptionedFigure]:
    """Rejection against the number of parameters; nothing where no model has both."""
    k = models[0].classes.index(signal)
    points = {}
    for number, model in enumerate(models):
        values, errors = model.summary.against_rest.rejection(torch.tensor([ANT_EFFICIENCY]))
        value = float(values[k, 0])
        if model.cost.parameters and math.isfinite(value):
            # the number chooses the colour that the model has in other figures
            points[model.name] = (number, model.cost.parameters, value, float(errors[k, 0]))
    if not points:
        return
    caption = (
        f"Rejection against size: {_against(models[0].classes, signal, names)}. "
        "On a dashed line the ant factor is the same."
    )
    label = rf"background rejection at $\varepsilon_S$ = {100 * ANT_EFFICIENCY:.0f} %"
    yield f"size_{signal}", caption, figures.rejection_of_sizes(points, label)


def _figures_of_model(
    name: str, summary: ClassifierSummary, names: Mapping[str, str], drawn: Sequence[str]
) -> Iterator[CaptionedFigure]:
    yield (
        f"scores_{name}",
        f"Scores of {name} for rows of each class.",
        figures.score_distributions(summary, names, drawn),
    )
    yield (
        f"confusion_{name}",
        f"Confusion of {name}: each row adds up to one.",
        figures.confusion_figure(summary, names),
    )
    if len(summary.names) > 2:
        yield (
            f"auc_one_vs_one_{name}",
            f"AUC of {name} for each pair of classes.",
            figures.area_matrix(summary, names),
        )


def _against(classes: Sequence[str], signal: str, names: Mapping[str, str]) -> str:
    """``signal against background`` in words."""
    shown = in_words(signal, names)
    if len(classes) > 2:
        return f"{shown} against the rest"
    (background,) = (name for name in classes if name != signal)
    return f"{shown} against {in_words(background, names)}"


def _areas_in_bins(
    models: Sequence[EvaluatedModel], binning: ColumnBins, signal: str, names: Mapping[str, str]
) -> CaptionedFigure:
    k = models[0].classes.index(signal)

    def area(summary: ClassifierSummary) -> tuple[Tensor, Tensor]:
        return summary.against_rest.area[k], summary.against_rest.area_error[k]

    column = binning.column
    label = names.get(column, column)
    variable = in_words(column, names)
    caption = f"AUC in bins of {variable}: {_against(models[0].classes, signal, names)}."
    points = {model.name: _points(model.in_bins, area) for model in models}
    figure = figures.points_in_bins(binning.edges, points, (label, "AUC"), largest=1)
    return f"auc_vs_{column}_{signal}", caption, figure


def _rejections_in_bins(
    models: Sequence[EvaluatedModel], binning: ColumnBins, signal: str, names: Mapping[str, str]
) -> CaptionedFigure:
    k = models[0].classes.index(signal)

    def rejection(summary: ClassifierSummary) -> tuple[Tensor, Tensor]:
        values, errors = summary.against_rest.rejection(HALF)  # (K, 1) each
        return values[k, 0], errors[k, 0]

    column = binning.column
    label = names.get(column, column)
    variable = in_words(column, names)
    caption = (
        f"Rejection in bins of {variable}: {_against(models[0].classes, signal, names)}; "
        "in each bin the threshold keeps half of the bin's signal."
    )
    points = {model.name: _points(model.in_bins, rejection) for model in models}
    rejection_label = r"background rejection at $\varepsilon_S$ = 50 %"
    figure = figures.points_in_bins(binning.edges, points, (label, rejection_label))
    return f"rejection_vs_{column}_{signal}", caption, figure


def _points(
    in_bins: Sequence[ClassifierSummary],
    read: Callable[[ClassifierSummary], tuple[Tensor, Tensor]],
) -> figures.Points:
    """Values and errors (bins,) that ``read`` finds in each bin, NaN where one is not finite."""
    pairs = []
    # an empty bin, or one without background that passes, has no point to draw
    for summary in in_bins:
        value, error = read(summary)
        is_known = bool(value.isfinite() and error.isfinite())
        pairs.append((float(value), float(error)) if is_known else (np.nan, np.nan))
    values, errors = np.array(pairs).T
    return values, errors
