"""How far the shape of a selection's spectrum is from that of all rows: Jensen-Shannon divergences.

V bins of the variable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RANDOM_SELECTIONS = 1000  # drawn to see what divergence statistics alone make
BOOTSTRAP_SAMPLES = 200


@dataclass(frozen=True)
class Divergence:
    """The Jensen-Shannon divergence of a selection's shape from that of all rows, in bits.

    0 for equal shapes, 1 for shapes that do not overlap. Few rows have another shape by chance:
    ``random`` is the mean divergence of random selections of as many rows, ``excess`` what the
    value has beyond it, and ``error`` the statistical error of both, by bootstrap.
    """

    value: float
    error: float
    random: float

    @property
    def excess(self) -> float:
        """The value beyond that of a random selection: 0 within errors if nothing is sculpted."""
        return self.value - self.random


def divergence_numbers(divergence: Divergence | None) -> dict[str, float] | None:
    """What ``metrics.json`` says of a divergence."""
    if divergence is None:
        return None
    names = ("value", "error", "random", "excess")
    return {name: getattr(divergence, name) for name in names}


@dataclass(frozen=True)
class SampledSpectra:
    """Sums of w of all rows and of those that pass in T samples of the bootstrap, (T, V) each."""

    every: Array
    passing: Array


def sample_sums(sums: Array, samples: int, random: np.random.Generator) -> Array:
    """Sums of w of bins in samples of the bootstrap (T, ...), from sums of w and w^2 (2, ...).

    Each row is in a sample a Poisson number of times. Those of a bin count as rows of one weight,
    sum w^2 / sum w, as many as have the relative error of all of them.
    """
    total, squares = sums
    rows = np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1), 0)
    # a bin whose weights cancel has no such rows, and does not fluctuate
    weight = np.where(rows > 0, squares / np.where(rows > 0, total, 1), 0)
    times = random.poisson(rows, (samples, *rows.shape)).astype(np.float64)
    found: Array = times * weight
    return found


def sample_spectra(passing: Array, every: Array) -> SampledSpectra:
    """Samples of sums of w and w^2 (2, V) of rows that pass a fixed threshold, and of all."""
    random = np.random.default_rng(0)
    # a row passes in all samples or in none: what fails is sampled by itself
    failing = sample_sums(np.clip(every - passing, 0, None), BOOTSTRAP_SAMPLES, random)
    passed = sample_sums(passing, BOOTSTRAP_SAMPLES, random)
    return SampledSpectra(every=passed + failing, passing=passed)


def measure_divergence(
    passing: Array, every: Array, samples: SampledSpectra | None = None
) -> Divergence | None:
    """The divergence of ``passing`` from ``every``, sums of w and w^2 (2, V), with its error.

    None where one of them is empty. Weighted rows count as their effective number, (sum w)^2 /
    sum w^2, in the random selections. For n unweighted rows in V well filled bins these have
    (V - 1) / (8 n ln 2) bits in the mean. ``samples`` of the bootstrap are those of a fixed
    threshold unless others are given.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 6.
    """
    value = jensen_shannon(passing[0], every[0])
    if value is None:
        return None
    random = _random_divergences(passing, every)
    if samples is None:
        samples = sample_spectra(passing, every)
    by_bootstrap = _sampled_variance(samples)
    by_chance = float(random.var())
    # 8 n ln 2 divergences are a chi-square of V - 1 = k degrees of freedom, which are not central
    # by some d, and vary by 2 k + 4 d. A sample adds k to what was found, d + k in the mean, so
    # that samples vary by 2 k + 4 (d + k): by twice 2 k too much
    error = math.sqrt(max(by_bootstrap - 2 * by_chance, by_chance))
    return Divergence(value, error, float(random.mean()))


def _sampled_variance(samples: SampledSpectra) -> float:
    """The variance of the divergence over samples in which something passes."""
    values = map(jensen_shannon, samples.passing, samples.every)
    return float(np.var([value for value in values if value is not None] or [0.0]))


def _random_divergences(passing: Array, every: Array) -> Array:
    """Divergences of random selections from all rows, of as many rows as pass."""
    shape = np.clip(every[0], 0, None)
    shape = shape / shape.sum()
    rows = _effective_rows(passing)
    share = rows / _effective_rows(every)
    if share >= 1:
        # all rows are the only selection of that size
        return np.zeros(1)
    # drawn from a finite number of rows, a selection fluctuates less: as one of more rows would
    # that is drawn from infinitely many
    drawn = max(1, round(rows / (1 - share)))
    counts = np.random.default_rng(0).multinomial(drawn, shape, RANDOM_SELECTIONS)
    return _divergences(counts / drawn, shape)


def _effective_rows(sums: Array) -> float:
    """Rows of equal weight that would have the same relative error: sums of w and w^2 (2, V)."""
    return float(sums[0].sum() ** 2 / sums[1].sum())


def jensen_shannon(first: Array, second: Array) -> float | None:
    """Divergence in bits of the shapes of two histograms (V,); None where one is empty.

    Bins below 0, from negative weights, count as empty.

    Source: Lin, IEEE Trans. Inf. Theory 37 (1991) 145, equation 3.6.
    """
    histograms = np.clip([first, second], 0, None)  # (2, V)
    totals = histograms.sum(1, keepdims=True)
    if not totals.all():
        return None
    shapes = histograms / totals
    return float(_divergences(shapes[:1], shapes[1])[0])


def _divergences(shapes: Array, reference: Array) -> Array:
    """Divergence of each of ``shapes`` (T, V) from ``reference`` (V,); all have the sum 1."""
    mean = (shapes + reference) / 2  # (T, V)
    terms = _relative_entropy(shapes, mean) + _relative_entropy(reference, mean)
    return terms.sum(1) / 2


def _relative_entropy(shape: Array, mean: Array) -> Array:
    """``shape`` log2(``shape`` / ``mean``) in each bin, (T, V); 0 log 0 is 0."""
    # empty bins get a logarithm that exists
    numerator = np.where(shape > 0, shape, 1)
    denominator = np.where(shape > 0, mean, 1)
    return shape * np.log2(numerator / denominator)
