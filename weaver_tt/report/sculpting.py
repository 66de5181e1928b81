"""Mass sculpting: what a selection does to the background's spectrum of a variable.

Usually the mass of the jet, which a tagger should not depend on. S signal efficiencies, V bins of
the variable, B bins of the score, T samples of the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from weaver_tt.figures.base import Array
from weaver_tt.metrics.classifier_summary import json_number
from weaver_tt.metrics.divergence import (
    BOOTSTRAP_SAMPLES,
    Divergence,
    SampledSpectra,
    divergence_numbers,
    measure_divergence,
    sample_sums,
)
from weaver_tt.metrics.sculpting import EFFICIENCIES, passing_shares
from weaver_tt.report.evaluation import EvaluatedModel


@dataclass(frozen=True)
class Rejection:
    """1 / eps_B with its error by bootstrap; not finite where no row passes, NaN without rows."""

    value: float
    error: float


def rejection_of(passing: Array, every: Array) -> Rejection:
    """The rejection of rows, from sums of w of those that pass and of all, (1 + T,).

    The first sums are those found, the others those of samples of the bootstrap.
    """
    if not every[0] > 0:
        return Rejection(math.nan, math.nan)
    share = float(passing[0] / every[0])
    if not share > 0:
        return Rejection(math.inf, math.nan)
    # few rows may be in none of a sample's
    has_rows = every > 0
    shares = passing[has_rows] / every[has_rows]
    # the share itself is sampled: one over it would be infinite where none passes
    return Rejection(1 / share, float(shares[1:].std()) / share**2)


@dataclass(frozen=True)
class Sculpting:
    """Sums of w and w^2 of the background in each bin of the variable.

    ``every`` (2, V): all rows; ``passing`` (S, 2, V): those that pass. ``samples`` of the bootstrap
    for each of the S, in which thresholds are found anew.
    """

    every: Array
    passing: Array
    samples: Sequence[SampledSpectra]

    @property
    def rejections(self) -> list[Rejection]:
        """1 / eps_B of the rows in all bins, (S,)."""
        return [
            rejection_of(passing.sum(1), every.sum(1))
            for passing, every in map(self._sums, range(len(self.passing)))
        ]

    @property
    def rejections_in_bins(self) -> list[list[Rejection]]:
        """1 / eps_B in each bin of the variable at the same threshold, (S, V)."""
        return [
            list(map(rejection_of, passing.T, every.T))
            for passing, every in map(self._sums, range(len(self.passing)))
        ]

    @property
    def divergences(self) -> list[Divergence | None]:
        """How far the shapes before and after are apart, (S,); None where nothing passes."""
        return [
            measure_divergence(passing, self.every, samples)
            for passing, samples in zip(self.passing, self.samples, strict=True)
        ]

    def _sums(self, number: int) -> tuple[Array, Array]:
        """Sums of w of what passes and of all, (1 + T, V): those found, and those of samples."""
        samples = self.samples[number]
        passing = np.concatenate([self.passing[number, :1], samples.passing])
        return passing, np.concatenate([self.every[:1], samples.every])


def measure_sculpting(
    model: EvaluatedModel, signal: int, efficiencies: Sequence[float] = EFFICIENCIES
) -> Sculpting:
    """Spectra of the background where shares ``efficiencies`` of the signal pass.

    ``signal`` is the number of a class, whose rows in all bins together set the thresholds. Rows
    of one bin of the score count as lying evenly in it. ``model`` is evaluated in bins of the
    variable, and rows in none of them do not count.
    """
    in_bins = [summary.scores[:, :, signal] for summary in model.in_bins]  # (2, K, B) each
    scores = torch.stack(in_bins, 1)  # (2, V, K, B)
    of_signal = scores[:, :, signal]
    background = scores.sum(2) - of_signal
    return select_background(of_signal.sum(1).numpy(), background.numpy(), efficiencies)


def select_background(
    signal: Array, background: Array, efficiencies: Sequence[float] = EFFICIENCIES
) -> Sculpting:
    """Spectra of a background (2, V, B) where shares of a signal (2, B) pass, sums of w and w^2."""
    passing = np.stack([background @ _shares(signal[0], one) for one in efficiencies])  # (S, 2, V)
    sampled_every = []
    sampled_passing = []
    random = np.random.default_rng(0)
    # one at a time, as bins of the score are many
    for _ in range(BOOTSTRAP_SAMPLES):
        (of_signal,) = sample_sums(signal, 1, random)
        (of_background,) = sample_sums(background, 1, random)
        if not of_signal.sum() > 0:
            # of very few rows none may be drawn
            of_signal = signal[0]
        sampled_every.append(of_background.sum(-1))
        shares = np.stack([_shares(of_signal, one) for one in efficiencies])  # (S, B)
        sampled_passing.append(shares @ of_background.T)
    every = np.stack(sampled_every)  # (T, V)
    samples = [SampledSpectra(every, one) for one in np.stack(sampled_passing, 1)]
    return Sculpting(background.sum(-1), passing, samples)


def _shares(signal: Array, efficiency: float) -> Array:
    """The share of each bin of the score (B,) that passes where a share of the signal (B,) does."""
    shares: Array = passing_shares(torch.from_numpy(signal), efficiency).numpy()
    return shares


def sculpting_content(models: Mapping[str, Sculpting]) -> dict[str, Any]:
    """What ``metrics.json`` says of models at the efficiencies that are always measured."""
    distances: dict[str, Any] = {}
    rejections: dict[str, Any] = {}
    for name, sculpting in models.items():
        distances[name] = {}
        rejections[name] = {}
        divergences = sculpting.divergences
        overall = sculpting.rejections
        in_bins = sculpting.rejections_in_bins
        for place, efficiency in enumerate(map(str, EFFICIENCIES)):
            distances[name][efficiency] = divergence_numbers(divergences[place])
            rejections[name][efficiency] = {
                **json_number(overall[place].value, overall[place].error),
                "in_bins": [json_number(one.value, one.error) for one in in_bins[place]],
            }
    return {"jensen_shannon_bits": distances, "rejection": rejections}
