"""What the discriminants of a data YAML tell apart, by model, from prediction files.

A discriminant is a share of scores, signal over signal and background. Rows of other classes do
not count. V bins of a column, B bins of the discriminant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weaver_tt.config.schema import Discriminant
from weaver_tt.log import log
from weaver_tt.metrics.base import fill_histograms
from weaver_tt.metrics.classification import MIN_SCORE, ClassificationMeter
from weaver_tt.metrics.classifier_summary import OPERATING_POINTS, json_number, rejections_at
from weaver_tt.metrics.roc import Roc, bin_centers, bin_scores
from weaver_tt.output.about import read_abouts
from weaver_tt.report.evaluation import SCORE_BINS, SCORE_BINS_IN_BINS, ColumnBins
from weaver_tt.report.scores import ModelFiles, stream_scores
from weaver_tt.report.sculpting import Sculpting, select_background

LOGITS = bin_centers(SCORE_BINS, ClassificationMeter.SCALE)
"""log(S / B) in the middle of the bins of :func:`discriminant_curves`."""


@dataclass(frozen=True)
class MeasuredDiscriminant:
    """A discriminant, and by model the curve of its signal against its background, (1,)."""

    classes: Discriminant
    curves: Mapping[str, Roc]

    def content(self) -> dict[str, Any]:
        """What ``metrics.json`` says."""
        models = {}
        for name, curve in self.curves.items():
            area = json_number(float(curve.area[0]), float(curve.area_error[0]))
            rejections = {str(point): rejections_at(curve, point)[0] for point in OPERATING_POINTS}
            models[name] = {"auc": area, "rejection": rejections}
        return {
            "signal": list(self.classes.signal),
            "background": list(self.classes.background),
            "models": models,
        }


def measure_discriminants(
    sources: Sequence[ModelFiles],
    classes: Sequence[str],
    discriminants: Mapping[str, Discriminant],
) -> dict[str, MeasuredDiscriminant]:
    """What each of the ``discriminants`` tells apart; rows are read once more.

    Raises:
        DataError: a file cannot be read.
    """
    curves: dict[str, dict[str, Roc]] = {name: {} for name in discriminants}
    for source in sources:
        for name, curve in discriminant_curves(source, classes, discriminants).items():
            curves[name][source.name] = curve
    return {
        name: MeasuredDiscriminant(found, curves[name]) for name, found in discriminants.items()
    }


def discriminant_curves(
    source: ModelFiles, classes: Sequence[str], discriminants: Mapping[str, Discriminant]
) -> dict[str, Roc]:
    """The curve of each discriminant's signal against its background, (1,), in fine bins.

    Raises:
        DataError: a file cannot be read.
    """
    curves = {}
    for name, sums in _fill(source, classes, discriminants, None, SCORE_BINS).items():
        signal, background = sums[:, 0], sums[:, 1]  # (2, 1, B), w and w^2
        curves[name] = Roc(signal, background)
    return curves


def sculpting_of_discriminants(
    source: ModelFiles,
    classes: Sequence[str],
    discriminants: Mapping[str, Discriminant],
    binning: ColumnBins,
) -> dict[str, Sculpting]:
    """What selections by each discriminant do to the spectrum of its own background.

    Raises:
        DataError: a file cannot be read.
    """
    found = {}
    sums_of_all = _fill(source, classes, discriminants, binning, SCORE_BINS_IN_BINS)
    for name, sums in sums_of_all.items():
        signal, background = sums[:, 0], sums[:, 1]  # (2, V, B), w and w^2
        found[name] = select_background(signal.sum(1).numpy(), background.numpy())
    return found


def common_discriminants(sources: Sequence[ModelFiles]) -> dict[str, Discriminant]:
    """Name -> the classes it tells apart, where the files of all models say the same.

    Raises:
        DataError: a file cannot be read.
    """
    of_models = []
    for source in sources:
        about = read_abouts(source.paths, source.treename)
        of_models.append({} if about is None else about.discriminants)
    common = {}
    for name in dict.fromkeys(name for of_model in of_models for name in of_model):
        kinds = [of_model.get(name) for of_model in of_models]
        if kinds[0] is not None and all(kind == kinds[0] for kind in kinds):
            common[name] = kinds[0]
            continue
        log.warning("discriminant %s: not the same in all models, left out", name)
    return common


def _fill(
    source: ModelFiles,
    classes: Sequence[str],
    discriminants: Mapping[str, Discriminant],
    binning: ColumnBins | None,
    half: int,
) -> dict[str, Tensor]:
    """Sums of w and w^2 of signal and background, (2, 2, V, B) by discriminant.

    Without ``binning`` all rows are in one bin, V = 1; B = 2 * ``half`` + 1.
    """
    if not discriminants:
        return {}
    bins = 2 * half + 1
    column_bins = 1 if binning is None else len(binning.edges) - 1
    shape = (2, 2, column_bins, bins)
    sums = {name: torch.zeros(shape, dtype=torch.float64) for name in discriminants}
    for chunk in stream_scores(source, classes):
        if binning is None or chunk.bin_values is None:
            column_bin = torch.zeros(len(chunk.target), dtype=torch.int64)
        else:
            column_bin = torch.from_numpy(binning.find(chunk.bin_values))  # (R,), -1 in none
        scores = torch.from_numpy(chunk.scores).double()  # (R, K)
        target = torch.from_numpy(chunk.target)  # (R,)
        weight = torch.from_numpy(chunk.weight)
        for name, discriminant in discriminants.items():
            signal = [classes.index(of_signal) for of_signal in discriminant.signal]
            background = [classes.index(other) for other in discriminant.background]
            # log(S / B) orders rows as S / (S + B) does, and resolves shares close to 0 and 1
            logits = _log_sum(scores, signal) - _log_sum(scores, background)
            place = bin_scores(logits, half, ClassificationMeter.SCALE)
            is_background = torch.isin(target, torch.tensor(background))
            counts = is_background | torch.isin(target, torch.tensor(signal))
            counts &= column_bin >= 0
            cell = ((is_background * column_bins + column_bin) * bins + place)[counts]
            used = weight[counts]
            fill_histograms(sums[name].view(2, -1), cell, [used, used.square()])
    return sums


def _log_sum(scores: Tensor, columns: Sequence[int]) -> Tensor:
    """log of the sum (R,) of some of the scores (R, K)."""
    return scores[:, columns].sum(1).clamp(min=MIN_SCORE).log()
