"""Shapes of two samples in the same bins, and whether they agree within their errors.

A shape is the share p of a sample's weight in each of B bins. Entries of one row, such as the jets
of an event, are not independent of each other, so that sums over rows are what is. With h (B,) the
weight that a row has in each bin, D all of the weight and A = sum over rows of h h^T,

    Cov(p) = (A - a p^T - p a^T + p p^T sum(a)) / D^2,   a = A 1

to first order, for weights of either sign. For rows with one entry each, A is diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.applications.density_ratio.entries import Floats, Integers

ENTRIES_PER_BIN = 10.0  # effective entries of both samples that a bin must have on its own


@dataclass(frozen=True)
class Shape:
    """A sample in B bins: weights ``total`` (B,), and ``products`` (B, B), A above."""

    total: Floats
    products: Floats

    @classmethod
    def of(cls, place: Integers, bins: int, weight: Floats, row: Integers) -> Shape:
        """The shape of M entries with bins, weights and rows (M,); ``row`` rises."""
        total = np.bincount(place, weight, bins).astype(np.float64)
        products = np.zeros((bins, bins))
        for lag in range(len(row)):
            # each entry with the one that many places behind it, where that is of the same row
            first = np.flatnonzero(row[lag:] == row[: len(row) - lag])
            if len(first) == 0:
                break
            second = first + lag
            cell = place[first] * bins + place[second]
            summed = np.bincount(cell, weight[first] * weight[second], bins**2)
            pairs = summed.reshape(bins, bins)
            products += pairs if lag == 0 else pairs + pairs.T
        return cls(total, products)

    @property
    def shares(self) -> Floats:
        """p, (B,)."""
        return self.total / self.total.sum()

    @property
    def covariance(self) -> Floats:
        """Of the shares, (B, B)."""
        p = self.shares
        a = self.products.sum(axis=1)
        moved = self.products - np.outer(a, p) - np.outer(p, a) + a.sum() * np.outer(p, p)
        return np.asarray(moved / self.total.sum() ** 2)

    @property
    def errors(self) -> Floats:
        """Of the shares, (B,)."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0, None))

    @property
    def entries(self) -> Floats:
        """Effective entries of each bin, (B,)."""
        squares = np.diag(self.products)
        return np.where(squares > 0, self.total**2 / np.where(squares > 0, squares, 1), 0.0)

    def joined(self, groups: Integers) -> Shape:
        """The same in larger bins: ``groups`` (B,) are their numbers, from 0."""
        to_group = (groups == np.arange(groups.max() + 1)[:, None]).astype(float)  # (G, B)
        return Shape(to_group @ self.total, to_group @ self.products @ to_group.T)


@dataclass(frozen=True, slots=True)
class Agreement:
    """chi2 of two shapes and its degrees of freedom, one less than bins."""

    chi2: float
    ndf: int

    @property
    def per_ndf(self) -> float | None:
        """chi2/ndf; None where nothing can be compared."""
        return self.chi2 / self.ndf if self.ndf else None

    def summary(self) -> dict[str, float | int | None]:
        """For ``closure.json``."""
        return {"chi2": self.chi2, "ndf": self.ndf, "chi2_per_ndf": self.per_ndf}


def join_bins(*entries: Floats, least: float = ENTRIES_PER_BIN) -> Integers:
    """Numbers (B,) of larger bins, in each of which every sample has ``least`` entries or more.

    ``entries`` (B,) of each sample. The bins with the fewest entries are put together.
    """
    fewest = np.min(entries, axis=0)
    groups = np.zeros(len(fewest), np.int64)
    group = 0
    held = 0.0
    for place in np.argsort(fewest, kind="stable"):
        groups[place] = group
        held += fewest[place]
        if held >= least:
            group += 1
            held = 0.0
    # bins come in rising order, so that those left over are few only where all are
    return np.minimum(groups, max(group - 1, 0))


def compare(first: Shape, second: Shape, groups: Integers) -> Agreement:
    """Whether two independent samples have the same shape, in the joined bins ``groups`` (B,)."""
    first = first.joined(groups)
    second = second.joined(groups)
    # shares add up to 1, so that one of them says nothing
    difference = (first.shares - second.shares)[:-1]
    covariance = (first.covariance + second.covariance)[:-1, :-1]
    if len(difference) == 0:
        return Agreement(0.0, 0)
    chi2 = difference @ np.linalg.pinv(covariance, hermitian=True) @ difference
    return Agreement(float(chi2), len(difference))


def equal_content_edges(values: Floats, bins: int) -> Floats:
    """Edges between at most ``bins`` bins with equally many values, (B - 1,).

    The outermost bins are open, and none is empty. Whole numbers that are few have a bin each; a
    value that nearly all have is a bin, and what lies above it another.
    """
    distinct = np.unique(values)
    if len(distinct) <= bins:
        return np.asarray((distinct[1:] + distinct[:-1]) / 2)
    inner = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    # where many have the smallest value, nothing lies below it
    inner = inner[inner > distinct[0]]
    return inner if len(inner) else distinct[1:2]


def closed_edges(values: Floats, edges: Floats) -> Floats:
    """The inner ``edges`` (B - 1,) with the outermost ones, (B + 1,), for a figure.

    These are the smallest and the largest value, or lie around them where they have a bin of their
    own: as far from them as its inner edge, half of a unit around a single value.
    """
    distinct = np.unique(values)
    low, high = distinct[0], distinct[-1]
    if len(distinct) == 1:
        low, high = low - 0.5, high + 0.5
    elif len(distinct) == len(edges) + 1:
        low, high = 2 * low - edges[0], 2 * high - edges[-1]
    elif edges[-1] == high:
        # as wide as the bin before it
        high += np.diff([low, *edges])[-1]
    return np.array([low, *edges, high])


def bin_numbers(values: Floats, edges: Floats) -> Integers:
    """The bins (M,) of values, from 0 to the number of inner ``edges``."""
    return np.searchsorted(edges, values, side="right").astype(np.int64)
