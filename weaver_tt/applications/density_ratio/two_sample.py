"""Classifier two-sample test: can a fresh network tell two weighted samples apart?

Each half of the rows is judged by a network that was trained on the other one. Where both samples
have one distribution, its area under the ROC curve is 1/2 within its error, whatever it has learnt.

Source: D. Lopez-Paz and M. Oquab, Revisiting classifier two-sample tests, arXiv:1610.06545.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weaver_tt.applications.density_ratio.entries import Bools, Floats, Integers, random_half

HIDDEN = 64
BATCH = 1024
STEPS = 1500
LARGEST_RATE = 5e-3
FARTHEST = 5.0  # inputs, in standard deviations


@dataclass(frozen=True, slots=True)
class Area:
    """An area under the ROC curve and its statistical error."""

    value: float
    error: float

    @property
    def deviation(self) -> float | None:
        """Its distance from 1/2 in errors; None where it has no error."""
        return (self.value - 0.5) / self.error if self.error > 0 else None

    def summary(self) -> dict[str, float | None]:
        """For ``closure.json``."""
        return {"auc": self.value, "error": self.error, "deviation": self.deviation}


def two_sample_test(
    inputs: Floats, is_numerator: Bools, weight: Floats, row: Integers, seed: int = 0
) -> Area:
    """The area of fresh networks on inputs (M, V), classes, weights and rows (M,).

    Rows, with all of their entries, are divided at random. Inputs are standardised.
    """
    half = random_half(row, seed)
    center = inputs.mean(axis=0)
    scale = inputs.std(axis=0)
    scaled = (inputs - center) / np.where(scale > 0, scale, 1)
    scaled = np.clip(scaled, -FARTHEST, FARTHEST)
    # both samples have half of the weight
    weight = np.where(
        is_numerator, weight / weight[is_numerator].sum(), weight / weight[~is_numerator].sum()
    )
    areas = []
    for of_training in (half, ~half):
        network = _train(scaled[of_training], is_numerator[of_training], weight[of_training], seed)
        judged = ~of_training
        with torch.no_grad():
            score = network(torch.from_numpy(scaled[judged]).float())[:, 0].numpy()
        areas.append(weighted_area(score, is_numerator[judged], weight[judged], row[judged]))
    value = np.mean([area.value for area in areas])
    error = np.sqrt(sum(area.error**2 for area in areas)) / 2
    return Area(float(value), float(error))


def weighted_area(score: Floats, is_numerator: Bools, weight: Floats, row: Integers) -> Area:
    """The area of scores (M,), with the error of sums over rows; equal scores count half.

    Source of the error: the first-order influence of each entry on a two-sample U-statistic
    (E. DeLong, D. DeLong and D. Clarke-Pearson, Biometrics 44 (1988) 837), with weights.
    """
    _, place = np.unique(score, return_inverse=True)
    of_numerator = np.where(is_numerator, weight, 0)
    of_denominator = np.where(is_numerator, 0, weight)
    numerator = np.bincount(place, of_numerator)
    denominator = np.bincount(place, of_denominator)
    totals = numerator.sum(), denominator.sum()
    # share of either sample below each score
    numerator_below = (np.cumsum(numerator) - numerator / 2) / totals[0]
    denominator_below = (np.cumsum(denominator) - denominator / 2) / totals[1]
    value = float((numerator * denominator_below).sum() / totals[0])
    influence = of_numerator * (denominator_below[place] - value) / totals[0]
    influence += of_denominator * (1 - numerator_below[place] - value) / totals[1]
    _, row_place = np.unique(row, return_inverse=True)
    by_row = np.bincount(row_place, influence)
    return Area(value, float(np.sqrt((by_row**2).sum())))


def _train(inputs: Floats, is_numerator: Bools, weight: Floats, seed: int) -> nn.Module:
    """A network that tells the two samples apart, trained on entries (M, V), (M,), (M,)."""
    x = torch.from_numpy(inputs).float()
    y = torch.from_numpy(is_numerator).float()
    w = torch.from_numpy(weight / np.abs(weight).mean()).float()
    # random numbers of its own: nothing else of the program sees them
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 1),
        )
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LARGEST_RATE, total_steps=STEPS)
        for _ in range(STEPS):
            chosen = torch.randint(len(x), (BATCH,))
            loss = _loss(network(x[chosen])[:, 0], y[chosen], w[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network


def _loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit, target, weight)
