"""Spectra of the fitted variable in fine bins, of which templates of any distortion are made.

K kinematic bins, 2 regions (pass, fail), B bins of the fit, F fine bins, some of them beyond the
edges: a distortion moves jets in from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from weaver_tt.applications.calibration.categories import Category
from weaver_tt.applications.calibration.jets import JetSources, stream_jets
from weaver_tt.expressions.row_values import Floats

REGIONS = ("pass", "fail")
FINE = 40  # fine bins in each bin of the fit
MARGIN = 0.25  # of the range, on both sides of it
MANY = 25  # jets in a bin, beside which a bin of about as many is not empty by chance


@dataclass(frozen=True)
class Grid:
    """Edges (B + 1,) of the bins of the fit, and of the fine bins (F + 1,) inside and beyond."""

    edges: Floats

    @cached_property
    def fine_edges(self) -> Floats:
        """Edges of the fine bins; those of the bins of the fit are among them."""
        low, high = self.edges[0], self.edges[-1]
        margin = MARGIN * (high - low)
        number = round(MARGIN * FINE * (len(self.edges) - 1))
        coarse = np.concatenate([[low - margin], self.edges, [high + margin]])
        parts = [number, *[FINE] * (len(self.edges) - 1), number]
        pieces = []
        for first, last, bins in zip(coarse[:-1], coarse[1:], parts, strict=True):
            pieces.append(np.linspace(first, last, bins, endpoint=False))
        return np.concatenate([*pieces, coarse[-1:]])

    def response(self, scale: float, variance: float) -> Floats:
        """The share (B, F) of each fine bin that lies in each bin once it is distorted.

        Values x become ``scale`` x, and are then smeared by a Gaussian of ``variance`` x^2. With a
        negative variance the change that its positive counterpart makes is taken away instead,
        which holds to first order: a spectrum is a linear function of the variance then.
        """
        sharp = self._smeared(scale, 0.0)
        if variance == 0:
            return sharp
        smeared = self._smeared(scale, abs(variance) ** 0.5)
        return smeared if variance > 0 else 2 * sharp - smeared

    def _smeared(self, scale: float, width: float) -> Floats:
        """The response where values are spread evenly in their fine bin."""
        low = scale * self.fine_edges[:-1]
        high = scale * self.fine_edges[1:]
        edges = self.edges[:, None]
        if width == 0:
            below = np.clip((edges - low) / (high - low), 0, 1)  # (B + 1, F)
        else:
            sigma = width * np.abs(low + high) / 2
            # where the variable is 0, nothing is smeared
            sigma = np.maximum(sigma, 1e-3 * (high - low))
            steps = _integrated_normal((edges - low) / sigma) - _integrated_normal(
                (edges - high) / sigma
            )
            below = steps * sigma / (high - low)
        # far from an edge what is left of a share is rounding
        return np.maximum(np.diff(below, axis=0), 0)


def _integrated_normal(x: Floats) -> Floats:
    """The integral of the cumulative normal distribution up to ``x``."""
    from scipy.special import ndtr

    return x * ndtr(x) + np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


@dataclass
class Spectra:
    """Sums of weights and of their squares (K, 2, F) of the jets of one category.

    ``rows``: all that are selected; ``outside_bins``: those in no kinematic bin; ``outside_edges``
    (K,): those in a bin, but not between the edges of the fit.
    """

    grid: Grid
    bins: int
    rows: int = 0
    outside_bins: int = 0
    sums: Floats = field(init=False)
    squares: Floats = field(init=False)
    outside_edges: Floats = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.bins, len(REGIONS), len(self.grid.fine_edges) - 1)
        self.sums = np.zeros(shape)
        self.squares = np.zeros(shape)
        self.outside_edges = np.zeros(self.bins)

    def cut_edges(self) -> list[float]:
        """The first and the last edge of the fit, where jets end at it that cannot end by chance.

        There are many in the bin inside, and not one in a bin as wide beyond. An edge at 0 is the
        end of most variables that end there, and no distortion moves a jet over it.
        """
        edges, fine = self.grid.edges, self.grid.fine_edges
        centers = (fine[:-1] + fine[1:]) / 2
        sums, squares = self.sums.sum((0, 1)), self.squares.sum((0, 1))
        found = []
        for edge, inside in ((edges[0], edges[1]), (edges[-1], edges[-2])):
            beyond = 2 * edge - inside
            within = (centers - edge) * (centers - inside) < 0
            outside = (centers - edge) * (centers - beyond) < 0
            is_many = sums[within].sum() ** 2 >= MANY * squares[within].sum() > 0
            if edge != 0 and is_many and not squares[outside].any():
                found.append(float(edge))
        return found

    def template(self, number: int, response: Floats) -> Floats:
        """Sums of weights (2, B) of a kinematic bin, distorted."""
        return self.sums[number] @ response.T

    def variances(self, number: int, response: Floats) -> Floats:
        """Sums of squared weights (2, B): a jet that is smeared is in one bin or in another."""
        return np.maximum(self.squares[number] @ response.T, 0)


def fill_spectra(
    category: Category,
    sources: JetSources,
    grid: Grid,
    treename: str | None,
    paths: Sequence[str] = (),
) -> Spectra:
    """The spectra of a category, or of other ``paths`` in its place.

    Raises:
        DataError: a file cannot be read, a column is missing, or a value is not finite.
    """
    spectra = Spectra(grid, len(sources.bins))
    shape = spectra.sums.shape
    fine_edges = grid.fine_edges
    for jets in stream_jets(category, sources, treename, paths):
        spectra.rows += len(jets.bin)
        is_inside = jets.bin >= 0
        spectra.outside_bins += int((~is_inside).sum())
        bins = jets.bin[is_inside]
        values = jets.variable[is_inside]
        weight = jets.weight[is_inside]
        region = np.where(jets.passes[is_inside], 0, 1)
        is_beyond = (values < grid.edges[0]) | (values >= grid.edges[-1])
        spectra.outside_edges += np.bincount(bins[is_beyond], minlength=len(sources.bins))
        place = np.searchsorted(fine_edges, values, side="right") - 1
        kept = (place >= 0) & (place < len(fine_edges) - 1)
        flat = np.ravel_multi_index((bins[kept], region[kept], place[kept]), shape)
        size = spectra.sums.size
        spectra.sums += np.bincount(flat, weight[kept], size).reshape(shape)
        spectra.squares += np.bincount(flat, weight[kept] ** 2, size).reshape(shape)
    return spectra
