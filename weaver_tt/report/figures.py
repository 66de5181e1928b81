"""The report's figures: models laid over each other, and what belongs to one model alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from weaver_tt.figures import classification as figures
from weaver_tt.figures.base import save_figure
from weaver_tt.metrics.roc import Roc
from weaver_tt.report.evaluation import ColumnBins, EvaluatedModel
from weaver_tt.report.sculpting import EFFICIENCIES, Sculpting


@dataclass(frozen=True)
class Picture:
    """A figure's file (PNG) and what it shows."""

    path: Path
    caption: str
    is_wide: bool = False


def draw_report(
    models: Sequence[EvaluatedModel], signals: Sequence[str], folder: Path
) -> list[Picture]:
    """Write all figures to ``folder`` as PNG and PDF; OutputError where that fails."""
    return [
        _write_picture(name, caption, figure, folder)
        for name, caption, figure in _figures(models, signals)
    ]


def draw_spectra(
    binning: ColumnBins, models: Mapping[str, Sculpting], signal: str, folder: Path
) -> list[Picture]:
    """Write the background's spectrum before and after selections that keep some share of the signal, a figure for each share."""
    pictures = []
    for number, efficiency in enumerate(EFFICIENCIES):
        spectra = {name: (one.every, one.passing[number]) for name, one in models.items()}
        percent = f"{100 * efficiency:.0f} %"
        caption = f"{binning.column} of the background, all of it and where {percent} of {signal} pass: the closer the shapes, the less it is sculpted."
        figure = figures.sculpted_spectrum(
            binning.edges, spectra, binning.column, rf"$\varepsilon_S$ = {percent}"
        )
        pictures.append(
            _write_picture(
                f"sculpting_{binning.column}_{100 * efficiency:.0f}", caption, figure, folder
            )
        )
    return pictures


def _write_picture(name: str, caption: str, figure: Figure, folder: Path) -> Picture:
    path = folder / re.sub(r"[^\w.+-]+", "_", name)
    save_figure(figure, path)
    width, height = figure.get_size_inches()
    return Picture(path.with_name(path.name + ".png"), caption, width > 1.5 * height)


def _figures(
    models: Sequence[EvaluatedModel], signals: Sequence[str]
) -> Iterator[tuple[str, str, Figure]]:
    """File name, caption and figure of each."""
    classes, first = models[0].classes, models[0].name
    for signal in signals:
        k = classes.index(signal)
        against = f"{signal} against {'the rest' if len(classes) > 2 else next(name for name in classes if name != signal)}"
        curves = {
            model.name: figures.rejection_curve(model.summary.against_rest, k) for model in models
        }
        band = "Bands are statistical errors of one standard deviation."
        yield (
            f"roc_{signal}",
            f"ROC: {against}. {band}",
            figures.draw_rejections(curves, first if len(models) > 1 else None),
        )
        if models[0].binning is not None:
            yield from _in_bins(models, models[0].binning, k, signal, against)
    yield (
        "calibration",
        "Calibration: share of rows that are of a class against the score of that class.",
        figures.score_calibration({model.name: model.summary for model in models}),
    )
    for model in models:
        yield (
            f"scores_{model.name}",
            f"Scores of {model.name} for rows of each class.",
            figures.score_distributions(model.summary),
        )
        yield (
            f"confusion_{model.name}",
            f"Confusion of {model.name}: each row adds up to one.",
            figures.confusion_figure(model.summary),
        )
        if len(classes) > 2:
            yield (
                f"auc_one_vs_one_{model.name}",
                f"AUC of {model.name} for each pair of classes.",
                figures.area_matrix(model.summary),
            )


def _in_bins(
    models: Sequence[EvaluatedModel], binning: ColumnBins, k: int, signal: str, against: str
) -> Iterator[tuple[str, str, Figure]]:
    """AUC, and rejection at half the signal in each bin, against the binned column."""
    half = torch.tensor([0.5])
    areas, rejections = {}, {}
    for model in models:
        rocs = [judged.against_rest for judged in model.in_bins]
        areas[model.name] = _points([(roc.area[k], roc.area_error[k]) for roc in rocs])
        rejections[model.name] = _points([_rejection_at(roc, k, half) for roc in rocs])
    column = binning.column
    yield (
        f"auc_vs_{column}_{signal}",
        f"AUC in bins of {column}: {against}.",
        figures.points_in_bins(binning.edges, areas, (column, "AUC")),
    )
    label = r"background rejection at $\varepsilon_S$ = 50 %"
    caption = f"Rejection in bins of {column}: {against}; in each bin the threshold keeps half of the bin's signal."
    yield (
        f"rejection_vs_{column}_{signal}",
        caption,
        figures.points_in_bins(binning.edges, rejections, (column, label)),
    )


def _rejection_at(roc: Roc, k: int, efficiency: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    value, error = roc.rejection(efficiency)
    return value[k, 0], error[k, 0]


def _points(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> figures.Points:
    """Values and errors (bins,), NaN where one is not finite."""
    value, error = np.array([[float(part) for part in pair] for pair in pairs]).T
    known = np.isfinite(value) & np.isfinite(error)
    return np.where(known, value, np.nan), np.where(known, error, np.nan)
