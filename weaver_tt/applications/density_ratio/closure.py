"""Does a ratio close? The reweighted denominator beside the numerator, in all variables and pairs.

M entries of two samples, with weights w and ratios r; each entry of the denominator counts w r once
it is reweighted. Shapes are compared, each sample normalised to 1. Beside the network stands a map,
the ratio of two histograms in bins of two variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from weaver_tt.applications.density_ratio.entries import (
    Bools,
    Entries,
    Floats,
    Integers,
    random_half,
)
from weaver_tt.applications.density_ratio.roles import (
    BEFORE,
    DENOMINATOR,
    ESTIMATES,
    IS_DENOMINATOR,
    IS_NUMERATOR,
    MAP,
    NETWORK,
    NUMERATOR,
    RATIO,
    WEIGHT,
)
from weaver_tt.applications.density_ratio.shapes import (
    Agreement,
    Shape,
    bin_numbers,
    closed_edges,
    compare,
    equal_content_edges,
    join_bins,
)
from weaver_tt.applications.density_ratio.two_sample import Area, two_sample_test
from weaver_tt.errors import DataError
from weaver_tt.expressions.row_values import check_weights

BINS = 20  # of a variable alone
PAIR_BINS = 6  # of each of two variables
SUPPORT_BINS = 20  # of each of two variables, in which a sample may have no entry
LARGEST_SHARES = (0.001, 0.01)  # of the entries, those with the largest weights


@dataclass(frozen=True)
class RatioMap:
    """The ratio of two histograms in bins of one or two variables; 1 where there is none.

    ``edges`` between the bins of each variable, ``values`` by their numbers.
    """

    edges: Mapping[str, Floats]
    values: Floats

    @classmethod
    def of(cls, samples: Samples, edges: Mapping[str, Floats], chosen: Bools) -> RatioMap:
        """Of the ``chosen`` (M,) entries of two samples.

        Raises:
            DataError: one of the samples has no weight in them.
        """
        shape = tuple(len(of_variable) + 1 for of_variable in edges.values())
        place = np.ravel_multi_index(_places(samples.entries, edges), shape)
        histograms = []
        for of_sample in (samples.is_numerator, ~samples.is_numerator):
            weight = np.where(chosen & of_sample, samples.weight, 0)
            total = weight.sum()
            if not total > 0:
                raise DataError(
                    f"closure: {int(chosen.sum()):,} entries are too few for a binned ratio: "
                    f"the weights of one of the samples add up to {total:g}"
                )
            histograms.append(np.bincount(place, weight, np.prod(shape)) / total)
        numerator, denominator = histograms
        has_ratio = denominator > 0
        ratio = np.where(has_ratio, numerator / np.where(has_ratio, denominator, 1), 1.0)
        return cls(edges, ratio.reshape(shape))

    def of_entries(self, entries: Entries) -> Floats:
        """The ratio (M,) of entries."""
        return self.values[_places(entries, self.edges)]


def _places(entries: Entries, edges: Mapping[str, Floats]) -> tuple[Integers, ...]:
    return tuple(bin_numbers(entries[name], of_name) for name, of_name in edges.items())


@dataclass(frozen=True)
class Samples:
    """Entries of numerator and denominator; every entry is of one of them."""

    entries: Entries
    variables: Sequence[str]

    @cached_property
    def is_numerator(self) -> Bools:
        """(M,)."""
        return self.entries[IS_NUMERATOR] != 0

    @cached_property
    def weight(self) -> Floats:
        """(M,) without ratios."""
        if WEIGHT in self.entries.values:
            return self.entries[WEIGHT]
        return np.ones(len(self.entries))


@dataclass(frozen=True)
class VariableClosure:
    """Shapes in one variable: of the numerator, and of the denominator by its weights.

    ``edges`` (B + 1,) of the bins; nothing lies beyond the outermost ones.
    """

    name: str
    edges: Floats
    numerator: Shape
    denominators: Mapping[str, Shape]
    agreements: Mapping[str, Agreement]


@dataclass(frozen=True, kw_only=True)
class RatioClosure:
    """All that ``closure.json`` and the figures are made of."""

    variables: Sequence[VariableClosure]
    pairs: Mapping[tuple[str, str], Mapping[str, Agreement]]
    areas: Mapping[str, Area]
    ratios: Floats  # of the denominator, in rising order
    counts: Mapping[str, int]
    sizes: Mapping[str, float]
    mean: tuple[float, float]
    largest: Mapping[str, float]
    support: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """For ``closure.json``, but for where the data came from."""
        of_variables = {}
        for variable in self.variables:
            of_variables[variable.name] = _summaries(variable.agreements)
        of_pairs = {" ".join(pair): _summaries(found) for pair, found in self.pairs.items()}
        return {
            "entries": self.counts,
            "mean_ratio": {"value": self.mean[0], "error": self.mean[1]},
            "effective_size": self.sizes,
            "largest_weights": self.largest,
            "support": self.support,
            "variables": of_variables,
            "pairs": of_pairs,
            "two_sample_test": {name: area.summary() for name, area in self.areas.items()},
        }


def _summaries(agreements: Mapping[str, Agreement]) -> dict[str, Any]:
    return {name: agreement.summary() for name, agreement in agreements.items()}


def select_samples(entries: Entries, variables: Sequence[str], where: str) -> Samples:
    """The entries that are of one of both samples and have a ratio and all variables.

    Raises:
        DataError: one of the samples has no entry or no weight, an entry is of both, or a weight
            is not finite.
    """
    of_numerator = entries[IS_NUMERATOR] != 0
    of_denominator = ~of_numerator
    if IS_DENOMINATOR in entries.values:
        of_denominator = entries[IS_DENOMINATOR] != 0
    both = int((of_numerator & of_denominator).sum())
    if both:
        raise DataError(f"{where}: {both:,} of {len(entries):,} entries are of both samples")
    chosen = of_numerator | of_denominator
    # the entries that a map is made of have no ratio at all
    roles = [*variables, RATIO] if RATIO in entries.values else variables
    for role in roles:
        chosen &= np.isfinite(entries[role])
    samples = Samples(entries.take(chosen), variables)
    check_weights(samples.weight, f"{where}: the weight")
    for name, of_sample in (
        (NUMERATOR, samples.is_numerator),
        (DENOMINATOR, ~samples.is_numerator),
    ):
        total = float(samples.weight[of_sample].sum())
        if not total > 0:
            raise DataError(
                f"{where}: {int(of_sample.sum()):,} entries of the {name} whose weights add up to "
                f"{total:g}; expected more than 0"
            )
    return samples


def map_edges(samples: Samples, names: Sequence[str], bins: Sequence[int]) -> dict[str, Floats]:
    """Edges of a map in the variables ``names``, with equally many entries in each bin."""
    edges = {}
    for name, number in zip(names, bins, strict=True):
        edges[name] = equal_content_edges(samples.entries[name], number)
    return edges


def cross_fitted_map(samples: Samples, edges: Mapping[str, Floats]) -> Floats:
    """Ratios (M,) of a map, of each half of the rows that of the other half.

    Raises:
        DataError: a half has no weight of one of the samples.
    """
    half = random_half(samples.entries.row)
    ratios = np.empty(len(samples.entries))
    for of_map in (half, ~half):
        made = RatioMap.of(samples, edges, of_map)
        ratios[~of_map] = made.of_entries(samples.entries)[~of_map]
    return ratios


def measure_closure(samples: Samples, map_ratios: Floats) -> RatioClosure:
    """Compare the samples before and after reweighting by the network, and by a map (M,)."""
    ratio = samples.entries[RATIO]
    before = samples.weight
    weights = {BEFORE: before, MAP: before * map_ratios, NETWORK: before * ratio}
    variables = [_compare_variable(samples, name, weights) for name in samples.variables]
    pairs = {}
    for pair in combinations(samples.variables, 2):
        places, bins = _joint_bins(samples.entries, pair, PAIR_BINS)
        pairs[pair] = _compare_weights(samples, places, bins, weights)[2]
    inputs = np.stack([samples.entries[name] for name in samples.variables], axis=1)
    areas = {}
    for name in ESTIMATES:
        weight = np.where(samples.is_numerator, before, weights[name])
        row = samples.entries.row
        areas[name] = two_sample_test(inputs, samples.is_numerator, weight, row)
    of_denominator = ~samples.is_numerator
    return RatioClosure(
        variables=variables,
        pairs=pairs,
        areas=areas,
        ratios=np.sort(ratio[of_denominator]),
        counts={
            NUMERATOR: int(samples.is_numerator.sum()),
            DENOMINATOR: int(of_denominator.sum()),
        },
        sizes={name: _effective_size(weights[name][of_denominator]) for name in ESTIMATES},
        mean=_mean_ratio(before[of_denominator], ratio[of_denominator]),
        largest=_largest_weights(weights[NETWORK][of_denominator]),
        support=_support(samples),
    )


def _compare_variable(
    samples: Samples, name: str, weights: Mapping[str, Floats]
) -> VariableClosure:
    values = samples.entries[name]
    edges = equal_content_edges(values, BINS)
    place = bin_numbers(values, edges)
    numerator, denominators, found = _compare_weights(samples, place, len(edges) + 1, weights)
    return VariableClosure(name, closed_edges(values, edges), numerator, denominators, found)


def _compare_weights(
    samples: Samples, place: Integers, bins: int, weights: Mapping[str, Floats]
) -> tuple[Shape, dict[str, Shape], dict[str, Agreement]]:
    """The numerator's shape, those of the denominator by its weights, and how they agree.

    The bins that are compared are the same for all weights.
    """
    row = samples.entries.row
    above = samples.is_numerator
    numerator = Shape.of(place[above], bins, samples.weight[above], row[above])
    below = ~above
    shapes = {}
    for name, weight in weights.items():
        shapes[name] = Shape.of(place[below], bins, weight[below], row[below])
    groups = join_bins(numerator.entries, shapes[BEFORE].entries)
    agreements = {name: compare(numerator, shape, groups) for name, shape in shapes.items()}
    return numerator, shapes, agreements


def _joint_bins(entries: Entries, names: Sequence[str], bins: int) -> tuple[Integers, int]:
    """Bins (M,) in all of the variables ``names``, and how many there are."""
    edges = {name: equal_content_edges(entries[name], bins) for name in names}
    shape = tuple(len(of_name) + 1 for of_name in edges.values())
    place = np.ravel_multi_index(_places(entries, edges), shape)
    return place, int(np.prod(shape))


def _effective_size(weight: Floats) -> float:
    """(sum w)^2 / sum w^2."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def _mean_ratio(weight: Floats, ratio: Floats) -> tuple[float, float]:
    """The mean of the ratio under the denominator, and its statistical error."""
    total = weight.sum()
    mean = (weight * ratio).sum() / total
    error = np.sqrt((weight**2 * (ratio - mean) ** 2).sum()) / total
    return float(mean), float(error)


def _largest_weights(weight: Floats) -> dict[str, float]:
    """The largest weight over the mean, and what those with the largest weights add up to."""
    size = np.sort(np.abs(weight))[::-1]
    found = {"largest_over_mean": float(size[0] / size.mean())}
    for share in LARGEST_SHARES:
        number = max(1, round(share * len(size)))
        found[f"sum_of_largest_{share:g}"] = float(size[:number].sum() / size.sum())
    return found


def _support(samples: Samples) -> dict[str, float]:
    """The share of the entries of one sample in bins where the other has none.

    Of pairs of variables, or the only variable, that with the largest share. Entries are counted,
    not weighted: a ratio can only be learnt where both samples have some.
    """
    found = {"denominator_without_numerator": 0.0, "numerator_without_denominator": 0.0}
    number = min(2, len(samples.variables))
    for names in combinations(samples.variables, number):
        place, bins = _joint_bins(samples.entries, names, SUPPORT_BINS)
        above = np.bincount(place[samples.is_numerator], minlength=bins)
        below = np.bincount(place[~samples.is_numerator], minlength=bins)
        shares = {
            "denominator_without_numerator": below[above == 0].sum() / below.sum(),
            "numerator_without_denominator": above[below == 0].sum() / above.sum(),
        }
        found = {name: max(found[name], float(share)) for name, share in shares.items()}
    return found
