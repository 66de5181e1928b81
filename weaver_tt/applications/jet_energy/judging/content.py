"""What ``metrics.json`` says: NAME.central.all.beta, NAME.test_loss and so on.

Each number has its error beside it, ``beta_error``; null stands for what is not known.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weaver_tt import __version__
from weaver_tt.applications.jet_energy.judging.evaluation import (
    ALL_PT,
    Interval,
    JudgedModel,
    Judgement,
    ResponseNumbers,
    flavour_pairs,
)
from weaver_tt.applications.jet_energy.judging.reading import QuantileColumn
from weaver_tt.applications.jet_energy.judging.responses import (
    FOUR_GROUPS,
    GROUPS,
    LEAST_PT,
    PT_INTERVALS,
    QUARKS_AND_GLUON,
    RECO_ETA_EDGES,
    RECO_PT_EDGES,
    REGIONS,
    RHO_EDGES,
    SAMPLES,
)
from weaver_tt.metrics.bootstrap_quantiles import (
    WIDTH,
    Floats,
    SampledDistribution,
    bootstrap_error,
)
from weaver_tt.output.about import NO_COST
from weaver_tt.report.cost import cost_content

ABOUT = "about"
Content = dict[str, Any]

ALPHA_FLAVOURS = {"": tuple(QUARKS_AND_GLUON), "_four_groups": FOUR_GROUPS}
"""Ending of the name of SAE and alpha -> flavours they are over."""

# closure is asked of cells with more jets than this, within so much or so many errors of 1
CLOSURE_JETS = 500
CLOSURE_SIZE = 0.01
CLOSURE_ERRORS = 3.0


def with_error(name: str, values: Floats) -> Content:
    """A number and its error, both by name."""
    return {name: float(values[0]), f"{name}_error": bootstrap_error(values)}


def interval_name(interval: Interval) -> str:
    """``30-50``, and ``1000-`` without an upper end."""
    low, high = interval
    return f"{low:g}-" + (f"{high:g}" if np.isfinite(high) else "")


def interval_title(interval: Interval) -> str:
    """``30 - 50 GeV``, and ``> 1000 GeV`` without an upper end."""
    low, high = interval
    return f"{low:g} - {high:g} GeV" if np.isfinite(high) else f"> {low:g} GeV"


def edge_intervals(edges: Sequence[float]) -> list[Interval]:
    """The bins between ``edges``."""
    return list(itertools.pairwise(edges))


def metrics_content(judgement: Judgement) -> Content:
    """All of ``metrics.json``: what it is about, then each model by name."""
    content: Content = {ABOUT: _about(judgement)}
    for model in judgement.everything:
        content[model.name] = _model_content(judgement, model)
    return content


def _about(judgement: Judgement) -> Content:
    return {
        "weaver_tt": __version__,
        "jets": judgement.jets,
        "left_out": dict(judgement.left_out),
        "regions": {name: list(REGIONS[name]) for name in judgement.regions},
        "least_true_pt": LEAST_PT,
        "bootstrap_samples": SAMPLES,
        "largest_error_of_a_quantile": WIDTH / 2,
        "models": [model.name for model in judgement.models],
        "names": dict(judgement.names),
        "standard": None if judgement.standard is None else judgement.standard.name,
    }


def _model_content(judgement: Judgement, model: JudgedModel) -> Content:
    content: Content = {}
    if model.source is not None:
        content["files"] = list(model.source.paths)
        about = model.source.about
        content |= cost_content(NO_COST if about is None else about.network)
    elif model is judgement.standard and judgement.correction is not None:
        content["parameters"] = judgement.correction.parameters
    if judgement.has_raw_pt:
        content |= with_error("test_loss", model.loss.value)
    for region in judgement.regions:
        of_region = _interval_content(judgement, model, region, ALL_PT)
        of_region["pt"] = {
            interval_name(interval): _interval_content(judgement, model, region, interval)
            for interval in PT_INTERVALS
        }
        content[region] = of_region
    if judgement.has_raw_pt and judgement.has_eta:
        content["closure"] = _closure_content(judgement, model)
    if model.coverages:
        content["coverage"] = _coverage_content(judgement, model)
    first = judgement.models[0]
    if model in judgement.models and model is not first:
        content[f"minus_{first.name}"] = _difference_content(judgement, model, first)
    return content


def _interval_content(
    judgement: Judgement, model: JudgedModel, region: str, interval: Interval
) -> Content:
    """Each group of flavours, alpha, and differences of medians, in an interval of pT."""
    content: Content = {}
    for name in GROUPS:
        of_group = response_content(model.numbers(region, name, interval))
        beta = judgement.beta(model, region, name, interval)
        if beta is not None:
            of_group |= with_error("beta", beta)
        content[name] = of_group
    for ending, flavours in ALPHA_FLAVOURS.items():
        errors = model.absolute_errors(region, flavours, interval)
        content |= with_error(f"sae{ending}", errors)
        alpha = judgement.alpha(model, region, flavours, interval)
        if alpha is not None:
            content |= with_error(f"alpha{ending}", alpha)
    differences: Content = {}
    six = tuple(QUARKS_AND_GLUON)
    for one, other in dict.fromkeys([*flavour_pairs(FOUR_GROUPS), *flavour_pairs(six)]):
        medians = median_difference(model, region, (one, other), interval)
        differences[f"{one}-{other}"] = with_error("value", medians)
    content["differences"] = differences
    return content


def median_difference(
    model: JudgedModel, region: str, pair: tuple[str, str], interval: Interval
) -> Floats:
    """Median R of one group of flavours less that of another, (S,)."""
    one, other = pair
    first = model.numbers(region, one, interval).median
    return np.asarray(first - model.numbers(region, other, interval).median)


def response_content(numbers: ResponseNumbers) -> Content:
    """Number of jets, median and IQR / median of R."""
    return {
        "jets": float(numbers.jets[0]),
        **with_error("median", numbers.median),
        **with_error("resolution", numbers.resolution),
    }


def _closure_content(judgement: Judgement, model: JudgedModel) -> Content:
    """Medians of R in bins of measured pT, abs(eta), rho, and in pT and abs(eta) together."""
    bins = model.in_reco_bins
    content: Content = {"pt": {}, "eta": _medians(RECO_ETA_EDGES, bins.in_eta())}
    for region in judgement.regions:
        content["pt"][region] = _medians(RECO_PT_EDGES, bins.in_pt(region))
    if judgement.has_rho:
        content["rho"] = {
            region: _medians(RHO_EDGES, bins.in_rho(region)) for region in judgement.regions
        }
    plane = {}
    for interval, row in zip(edge_intervals(RECO_PT_EDGES), bins.in_plane(), strict=True):
        plane[interval_name(interval)] = _medians(RECO_ETA_EDGES, row)
    content["pt_eta"] = plane
    large = [cell for row in plane.values() for cell in row.values() if cell["jets"] > CLOSURE_JETS]
    content["large_cells"] = len(large)
    content["large_cells_closed"] = sum(map(is_closed, large))
    return content


def is_closed(cell: Mapping[str, float]) -> bool:
    """Whether a median is 1 within a per cent, or within three errors."""
    allowed = max(CLOSURE_SIZE, CLOSURE_ERRORS * cell["median_error"])
    return abs(cell["median"] - 1) <= allowed


def _medians(edges: Sequence[float], distributions: Sequence[SampledDistribution]) -> Content:
    """By bin, for bins that have jets."""
    content = {}
    for interval, distribution in zip(edge_intervals(edges), distributions, strict=True):
        numbers = ResponseNumbers.of(distribution)
        if numbers.jets[0] > 0:
            median = with_error("median", numbers.median)
            content[interval_name(interval)] = {"jets": float(numbers.jets[0]), **median}
    return content


def _coverage_content(judgement: Judgement, model: JudgedModel) -> Content:
    """Shares of jets below each quantile of each target, and inside of its central intervals."""
    content: Content = {}
    for target, columns in model.quantiles_of_targets.items():
        coverage = model.coverages[target]
        content[target] = {}
        for region in judgement.regions:
            of_region = _shares(columns, coverage.shares(region))
            of_region["pt"] = {
                interval_name(interval): _shares(columns, coverage.shares(region, interval))
                for interval in PT_INTERVALS
            }
            content[target][region] = of_region
    return content


def _shares(columns: Sequence[QuantileColumn], shares: Floats) -> Content:
    content: Content = {}
    for quantile, share in zip(columns, shares, strict=True):
        name = f"below_{100 * quantile.level:g}%"
        content[name] = {"expected": quantile.level, **with_error("value", share)}
    for low, high in central_intervals(columns):
        expected = columns[high].level - columns[low].level
        inside = shares[high] - shares[low]
        content[f"inside_{100 * expected:.4g}%"] = {
            "expected": expected,
            **with_error("value", inside),
        }
    return content


def central_intervals(columns: Sequence[QuantileColumn]) -> list[tuple[int, int]]:
    """Places of the quantiles that are as far from the lowest as from the highest level."""
    found = []
    for low, lower in enumerate(columns):
        for high, upper in enumerate(columns):
            if lower.level < upper.level and abs(lower.level + upper.level - 1) < 1e-9:
                found.append((low, high))
    return found


def _difference_content(judgement: Judgement, model: JudgedModel, first: JudgedModel) -> Content:
    """Loss, alpha and beta less those of the first model, with the errors of the differences."""
    content: Content = {}
    if judgement.has_raw_pt:
        content |= with_error("test_loss", model.loss.value - first.loss.value)
    if judgement.standard is None:
        return content
    for region in judgement.regions:
        of_region: Content = {}
        for name in GROUPS:
            beta = difference(
                judgement.beta(model, region, name), judgement.beta(first, region, name)
            )
            of_region[name] = with_error("beta", beta)
        for ending, flavours in ALPHA_FLAVOURS.items():
            alpha = difference(
                judgement.alpha(model, region, flavours), judgement.alpha(first, region, flavours)
            )
            of_region |= with_error(f"alpha{ending}", alpha)
        content[region] = of_region
    return content


def difference(value: Floats | None, other: Floats | None) -> Floats:
    """One number less another (S,), both of which are relative to a standard."""
    assert value is not None
    assert other is not None
    return np.asarray(value - other)
