"""What the discriminants of a data YAML tell apart, by model, from prediction files.

A discriminant is a share of scores, signal over signal and background. Rows of other classes do
not count.
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
from weaver_tt.metrics.roc import Roc, bin_scores
from weaver_tt.output.about import read_abouts
from weaver_tt.report.evaluation import SCORE_BINS
from weaver_tt.report.scores import ModelFiles, stream_scores


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
    sources: Sequence[ModelFiles], classes: Sequence[str]
) -> dict[str, MeasuredDiscriminant]:
    """Those that the files of all models have, by name; rows are read once more.

    Raises:
        DataError: a file cannot be read.
    """
    found = _common_discriminants(sources)
    if not found:
        return {}
    curves: dict[str, dict[str, Roc]] = {name: {} for name in found}
    for source in sources:
        for name, sums in _fill(source, classes, found).items():
            signal, background = sums[:, :1], sums[:, 1:]
            curves[name][source.name] = Roc(signal, background)
    return {name: MeasuredDiscriminant(found[name], curves[name]) for name in found}


def _common_discriminants(sources: Sequence[ModelFiles]) -> dict[str, Discriminant]:
    """Name -> the classes it tells apart, where all models say the same."""
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
    source: ModelFiles, classes: Sequence[str], discriminants: Mapping[str, Discriminant]
) -> dict[str, Tensor]:
    """Sums of w and w^2 of signal and background in each bin of a discriminant, (2, 2, B)."""
    bins = 2 * SCORE_BINS + 1
    sums = {name: torch.zeros(2, 2, bins, dtype=torch.float64) for name in discriminants}
    for chunk in stream_scores(source, classes):
        scores = torch.from_numpy(chunk.scores).double()  # (R, K)
        target = torch.from_numpy(chunk.target)  # (R,)
        weight = torch.from_numpy(chunk.weight)
        for name, discriminant in discriminants.items():
            signal = [classes.index(of_signal) for of_signal in discriminant.signal]
            background = [classes.index(other) for other in discriminant.background]
            # log(S / B) orders rows as S / (S + B) does, and resolves shares close to 0 and 1
            logits = _log_sum(scores, signal) - _log_sum(scores, background)
            place = bin_scores(logits, SCORE_BINS, ClassificationMeter.SCALE)
            is_background = torch.isin(target, torch.tensor(background))
            counts = is_background | torch.isin(target, torch.tensor(signal))
            cell = (is_background * bins + place)[counts]
            used = weight[counts]
            fill_histograms(sums[name].view(2, -1), cell, [used, used.square()])
    return sums


def _log_sum(scores: Tensor, columns: Sequence[int]) -> Tensor:
    """log of the sum (R,) of some of the scores (R, K)."""
    return scores[:, columns].sum(1).clamp(min=MIN_SCORE).log()
