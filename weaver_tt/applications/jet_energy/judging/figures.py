"""Figures of jets judged: models laid over each other, in regions and by flavour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from weaver_tt.applications.jet_energy.judging.content import (
    CLOSURE_SIZE,
    central_intervals,
    edge_intervals,
    flavour_pairs,
    interval_title,
    median_difference,
)
from weaver_tt.applications.jet_energy.judging.evaluation import (
    Interval,
    JudgedModel,
    Judgement,
    ResponseNumbers,
)
from weaver_tt.applications.jet_energy.judging.responses import (
    FOUR_GROUPS,
    LEAST_PT,
    PT_EDGES,
    PT_INTERVALS,
    QUARKS_AND_GLUON,
    RECO_ETA_EDGES,
    RECO_PT_EDGES,
    RHO_EDGES,
)
from weaver_tt.figures.base import (
    legend_above,
    line_color,
    mark_beyond,
    per_bin,
    say_empty,
    style,
)
from weaver_tt.figures.names import in_words
from weaver_tt.metrics.bootstrap_quantiles import Floats, SampledDistribution, bootstrap_error
from weaver_tt.pages.pictures import CaptionedFigure, Picture, write_pictures

LEAST_JETS = 20
"""Fewer have no point in a figure."""
LEAST_DIFFERENCE = 0.01  # of medians: the axis goes at least as far
MOST_RATIO = 2.0  # the end of an axis of ratios
ROWS, COLUMNS = 2, 3  # of panels
SHOWN_GROUPS = ("all", *FOUR_GROUPS)
RESPONSE_EDGES = np.linspace(0.4, 1.6, 81)
MARKERS = "osD^v<>p*hX"
# how far apart the points of all models in a bin are, in its width or in log pT
APART = 0.15


@dataclass(frozen=True, slots=True)
class Points:
    """A number in each of B bins, and in each sample: (B, S), with how many jets it is of (B,)."""

    values: Floats
    jets: Floats

    @property
    def shown(self) -> tuple[Floats, Floats]:
        """Values and errors (B,), NaN where there are too few jets."""
        values = self.values[:, 0].copy()
        errors = np.array([bootstrap_error(of_bin) for of_bin in self.values])
        values[(self.jets < LEAST_JETS) | ~np.isfinite(errors)] = np.nan
        return values, errors

    def over(self, other: Points) -> Points:
        """The ratio to another one, sample by sample."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return Points(self.values / other.values, np.minimum(self.jets, other.jets))


Read = Callable[[ResponseNumbers], Floats]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is drawn against pT, and the range of its ratio to what others are compared with."""

    label: str
    read: Read
    ratios: tuple[float, float]


RESOLUTION = Quantity("IQR / median of R", lambda numbers: numbers.resolution, (0.7, 1.2))
MEDIAN = Quantity("median of R", lambda numbers: numbers.median, (0.95, 1.05))


@dataclass(frozen=True, kw_only=True)
class JudgementPictures:
    """The figures of jets judged, by what they are about."""

    medians: Sequence[Picture] = ()
    regions: Mapping[str, Sequence[Picture]] = field(default_factory=dict)
    closure: Sequence[Picture] = ()
    coverage: Sequence[Picture] = ()

    @property
    def every(self) -> list[Picture]:
        """All of them."""
        groups = [self.medians, *self.regions.values(), self.closure, self.coverage]
        return [picture for group in groups for picture in group]


def draw_judgement(judgement: Judgement, folder: Path) -> JudgementPictures:
    """Write all figures to ``folder`` as PNG and PDF.

    Raises:
        OutputError: one of them cannot be written.
    """
    medians = (
        "medians",
        "Median response of each flavour (Figure 7.1 of the thesis); the closer the flavours are "
        "together, the larger alpha is.",
        _medians_figure(judgement),
    )
    return JudgementPictures(
        medians=write_pictures([medians], folder),
        regions={
            region: write_pictures(_region_figures(judgement, region), folder)
            for region in judgement.regions
        },
        closure=write_pictures(_closure_figures(judgement), folder),
        coverage=write_pictures(_coverage_figures(judgement), folder),
    )


def _region_figures(judgement: Judgement, region: str) -> Iterator[CaptionedFigure]:
    """All models in one region."""
    reference = judgement.shown[0].name
    yield (
        f"resolution_{region}",
        f"IQR / median of the response of {region} jets against the pT of the generated jet, "
        f"and its ratio to {reference} (Figures 7.2 and 7.3 of the thesis).",
        _pt_figure(judgement, region, RESOLUTION),
    )
    yield (
        f"median_{region}",
        f"Median response of {region} jets against the pT of the generated jet, and its ratio "
        f"to {reference}.",
        _pt_figure(judgement, region, MEDIAN),
    )
    yield (
        f"differences_{region}",
        f"Median response of one flavour less that of another, of {region} jets.",
        _differences_figure(judgement, region),
    )
    yield (
        f"responses_{region}",
        f"Responses of {region} jets, of all flavours.",
        _responses_figure(judgement, region),
    )


def _closure_figures(judgement: Judgement) -> Iterator[CaptionedFigure]:
    """What the closure needs may be missing from the files."""
    if judgement.has_raw_pt and judgement.has_eta and _closure_panels(judgement):
        yield (
            "closure",
            "Closure: median response in bins of measured pT, abs(eta) and rho, of all flavours, "
            "without a cut on the generated jet; the band is one per cent.",
            _closure_figure(judgement),
        )


def _coverage_figures(judgement: Judgement) -> Iterator[CaptionedFigure]:
    """One for each target of a model that predicts quantiles."""
    for model in judgement.models:
        for target in model.coverages:
            yield (
                f"coverage_{model.name}_{target}",
                f"Coverage of the quantiles of {in_words(target, judgement.names)} by "
                f"{model.name}: share of jets whose true value is below; lines are where they "
                "should be.",
                _coverage_figure(judgement, model, target),
            )


@dataclass(frozen=True, slots=True)
class Look:
    """How model ``number`` of ``of`` shown ones is drawn, the first as what others are compared to.

    ``shift`` is from -1/2 to 1/2: points of different models are drawn beside each other.
    """

    number: int
    of: int

    @property
    def is_reference(self) -> bool:
        """Whether others are compared with it."""
        return self.number == 0 and self.of > 1

    @property
    def color(self) -> str:
        """Black for the reference."""
        return "black" if self.is_reference else line_color(max(self.number - 1, 0))

    @property
    def line(self) -> str:
        """Dashed for the reference."""
        return "--" if self.is_reference else "-"

    @property
    def marker(self) -> str:
        """One for each model."""
        return MARKERS[self.number % len(MARKERS)]

    @property
    def shift(self) -> float:
        """Where in a bin its point is."""
        return (self.number - (self.of - 1) / 2) / self.of


def _looks(judgement: Judgement) -> list[tuple[JudgedModel, Look]]:
    shown = judgement.shown
    return [(model, Look(number, len(shown))) for number, model in enumerate(shown)]


def _draw(axes: Any, places: Floats, points: Points, look: Look, label: str, line: bool) -> None:
    """Points at ``places`` (B,) with their errors, perhaps with a line through them."""
    values, errors = points.shown
    axes.errorbar(
        places,
        values,
        errors,
        fmt=look.marker,
        markersize=5,
        color=look.color,
        linewidth=1.4,
        linestyle=look.line if line else "none",
        label=label,
    )


def _draw_in_pt(axes: Any, points: Points, look: Look, label: str) -> None:
    """Points in the bins of pT, on a logarithmic axis."""
    _draw(axes, _places_in_pt(look), points, look, label, line=True)


def _places_in_pt(look: Look) -> Floats:
    return np.asarray(_centers(PT_EDGES) * np.exp(APART * look.shift))


def _medians_figure(judgement: Judgement) -> Figure:
    flavours = list(QUARKS_AND_GLUON)
    with style():
        figure = Figure(figsize=(6.4 * len(judgement.regions), 5.2), layout="constrained")
        panels = figure.subplots(1, len(judgement.regions), squeeze=False)[0]
        for axes, region in zip(panels, judgement.regions, strict=True):
            for model, look in _looks(judgement):
                numbers = [model.numbers(region, name) for name in flavours]
                points = _points(numbers, lambda one: one.median)
                places = np.arange(float(len(flavours))) + 0.5 * look.shift
                _draw(axes, places, points, look, model.name, line=False)
            axes.axhline(1, color="0.7", linewidth=1, zorder=0)
            axes.set_xticks(range(len(flavours)), flavours)
            axes.set(xlabel="flavour", title=rf"{region}, $p_T^{{gen}}$ > {LEAST_PT:g} GeV")
        panels[0].set_ylabel("median of R")
        legend_above(panels[0])
    return figure


def _points(numbers: Sequence[ResponseNumbers], read: Read) -> Points:
    values = np.stack([read(one) for one in numbers])
    return Points(values, np.array([one.jets[0] for one in numbers]))


def _true_pt(judgement: Judgement) -> str:
    return judgement.label("true_pt", r"$p_T^{gen}$ [GeV]")


def _true_bins() -> list[Interval]:
    return edge_intervals(PT_EDGES)


def _centers(edges: Sequence[float]) -> Floats:
    """Of bins of pT on a logarithmic axis; the last one has no end."""
    closed = np.array([*edges[:-1], 2 * edges[-2]])
    return np.asarray(np.sqrt(closed[:-1] * closed[1:]))


def _pt_figure(judgement: Judgement, region: str, quantity: Quantity) -> Figure:
    """A panel for each group of flavours, each with its ratio to the first model below."""
    with style():
        figure = Figure(figsize=(15, 11), layout="constrained")
        outer = figure.add_gridspec(ROWS, COLUMNS)
        for place, group in enumerate(SHOWN_GROUPS):
            inner = outer[place // COLUMNS, place % COLUMNS].subgridspec(
                2, 1, height_ratios=[2.2, 1], hspace=0.04
            )
            top = figure.add_subplot(inner[0])
            bottom = figure.add_subplot(inner[1], sharex=top)
            reference: Points | None = None
            ratios = []
            most_jets = 0.0
            for model, look in _looks(judgement):
                numbers = [model.numbers(region, group, interval) for interval in _true_bins()]
                points = _points(numbers, quantity.read)
                most_jets = max(most_jets, points.jets.max())
                _draw_in_pt(top, points, look, model.name)
                if reference is None:
                    reference = points
                else:
                    ratios.append(points.over(reference))
                    _draw_in_pt(bottom, ratios[-1], look, model.name)
            if most_jets < LEAST_JETS:
                _say_too_few(top)
                top.set_yticks([])
            # neither median nor resolution is negative
            top.set_ylim(bottom=max(0.0, top.get_ylim()[0]))
            bottom.axhline(1, color="0.7", linewidth=1, zorder=0)
            bottom.set_ylim(_ratio_limits(quantity.ratios, ratios))
            for ratio, (_, look) in zip(ratios, _looks(judgement)[1:], strict=True):
                mark_beyond(bottom, _places_in_pt(look), ratio.shown[0], look.color)
            top.tick_params(labelbottom=False)
            top.set(xscale="log", title=_group_title(group))
            _log_ticks(bottom)
            bottom.set_xlabel(_true_pt(judgement))
            if place % COLUMNS == 0:
                top.set_ylabel(quantity.label)
                bottom.set_ylabel(f"/ {judgement.shown[0].name}")
        _legend_panel(figure.add_subplot(outer[-1, -1]), top, f"{region} jets")
    return figure


def _say_too_few(axes: Any) -> None:
    say_empty(axes, f"no bin with {LEAST_JETS} jets")


def _ratio_limits(usual: tuple[float, float], ratios: Sequence[Points]) -> tuple[float, float]:
    """The ``usual`` limits of ratios, or as far as the values of some reach beyond them."""
    low, high = usual
    values = np.concatenate([ratio.shown[0] for ratio in ratios] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if len(values):
        margin = 0.1 * (high - low)
        low = min(low, float(values.min()) - margin)
        high = max(high, float(values.max()) + margin)
    # a ratio of few jets may be anywhere
    return max(low, 0.0), min(high, MOST_RATIO)


def _group_title(group: str) -> str:
    return "all flavours" if group == "all" else group


def _log_ticks(axes: Any) -> None:
    axes.set_xticks([30, 100, 300, 1000], ["30", "100", "300", "1000"])
    # many, and slow to draw
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(28, 3200)


def _legend_panel(axes: Any, drawn: Any, title: str) -> None:
    """The legend of another panel, in one without axes."""
    axes.axis("off")
    axes.legend(
        *drawn.get_legend_handles_labels(),
        frameon=False,
        loc="center",
        title=title,
        fontsize=15,
        title_fontsize=15,
    )


def _differences_figure(judgement: Judgement, region: str) -> Figure:
    """A panel for each pair of flavours."""
    pairs = flavour_pairs(FOUR_GROUPS)
    with style():
        figure = Figure(figsize=(15, 8.4), layout="constrained")
        panels = figure.subplots(ROWS, COLUMNS, sharex=True, sharey=True)
        for axes, pair in zip(panels.flat, pairs, strict=True):
            most_jets = 0.0
            for model, look in _looks(judgement):
                values = np.stack(
                    [median_difference(model, region, pair, bins) for bins in _true_bins()]
                )
                fewest = np.min(
                    [
                        [model.numbers(region, name, bins).jets[0] for bins in _true_bins()]
                        for name in pair
                    ],
                    axis=0,
                )
                most_jets = max(most_jets, fewest.max())
                _draw_in_pt(axes, Points(values, fewest), look, model.name)
            if most_jets < LEAST_JETS:
                _say_too_few(axes)
            axes.axhline(0, color="0.7", linewidth=1, zorder=0)
            axes.set(xscale="log", title=f"{pair[0]} - {pair[1]}")
            _log_ticks(axes)
        for axes in panels[-1]:
            axes.set_xlabel(_true_pt(judgement))
        for axes in panels[:, 0]:
            axes.set_ylabel("difference of medians of R")
        # all panels have the same axis, which without any point has no length
        reach = max(LEAST_DIFFERENCE, *np.abs(panels[0, 0].get_ylim()))
        panels[0, 0].set_ylim(-reach, reach)
        legend_above(panels[0, 0])
    return figure


def _responses_figure(judgement: Judgement, region: str) -> Figure:
    """A panel for each interval of pT."""
    with style():
        figure = Figure(figsize=(15, 8.4), layout="constrained")
        panels = list(figure.subplots(ROWS, COLUMNS, sharex=True).flat)
        for axes, interval in zip(panels, PT_INTERVALS, strict=False):
            found = [model.responses(region, interval, "all") for model, _ in _looks(judgement)]
            if not any(len(one.values) for one in found):
                say_empty(axes, "no jets")
            for (model, look), distribution in zip(_looks(judgement), found, strict=True):
                shares = _shares(distribution)
                axes.stairs(
                    shares,
                    RESPONSE_EDGES,
                    color=look.color,
                    linestyle=look.line,
                    linewidth=1.6,
                    label=model.name,
                )
            axes.axvline(1, color="0.7", linewidth=1, zorder=0)
            axes.set(title=interval_title(interval), ylim=(0, None))
            axes.set_xlim(RESPONSE_EDGES[0], RESPONSE_EDGES[-1])
            axes.set_xlabel(r"R = $p_T^{corr} / p_T^{gen}$")
        for axes in panels[::COLUMNS]:
            axes.set_ylabel(per_bin("share of jets", RESPONSE_EDGES, ""))
        _legend_panel(panels[-1], panels[0], f"{region} jets")
    return figure


def _shares(distribution: SampledDistribution) -> Floats:
    """Shares of the jets in bins of R; those beyond are in none."""
    weights = distribution.weights[:, 0]
    counts, _ = np.histogram(distribution.values, RESPONSE_EDGES, weights=weights)
    total = weights.sum(dtype=np.float64)
    return np.asarray(counts / total if total > 0 else counts, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ClosurePanel:
    """Bins of something measured, in a region or in all of them."""

    region: str
    label: str
    edges: Sequence[float]
    read: Callable[[JudgedModel], list[SampledDistribution]]
    is_logarithmic: bool = False

    @property
    def centers(self) -> Floats:
        """Middles of the bins (B,)."""
        if self.is_logarithmic:
            return _centers(self.edges)
        ends = np.array(self.edges)
        if not np.isfinite(ends[-1]):
            # as wide as the bin before
            ends[-1] = 2 * ends[-2] - ends[-3]
        return np.asarray((ends[:-1] + ends[1:]) / 2)


def _closure_panels(judgement: Judgement) -> list[ClosurePanel]:
    panels = []
    for region in judgement.regions:
        in_pt = partial(_in_pt, region=region)
        label = judgement.label("raw_pt", r"measured $p_T$ [GeV]")
        panels.append(ClosurePanel(region, label, RECO_PT_EDGES, in_pt, is_logarithmic=True))
    panels.append(ClosurePanel("", r"measured $|\eta|$", RECO_ETA_EDGES, _in_eta))
    if judgement.has_rho:
        for region in judgement.regions:
            in_rho = partial(_in_rho, region=region)
            label = judgement.label("rho", r"$\rho$ [GeV]")
            panels.append(ClosurePanel(region, label, RHO_EDGES, in_rho))
    # without pile-up all jets are in one bin of rho
    return [panel for panel in panels if _filled_bins(judgement.models[0], panel) > 1]


def _filled_bins(model: JudgedModel, panel: ClosurePanel) -> int:
    filled = [one.total[0] >= LEAST_JETS for one in panel.read(model)]
    return sum(filled)


def _in_pt(model: JudgedModel, region: str) -> list[SampledDistribution]:
    return model.in_reco_bins.in_pt(region)


def _in_eta(model: JudgedModel) -> list[SampledDistribution]:
    return model.in_reco_bins.in_eta()


def _in_rho(model: JudgedModel, region: str) -> list[SampledDistribution]:
    return model.in_reco_bins.in_rho(region)


def _closure_figure(judgement: Judgement) -> Figure:
    """Panels of pT in each region, of abs(eta), and of rho where it is known."""
    panels = _closure_panels(judgement)
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    with style():
        figure = Figure(figsize=(5 * columns, 4.4 * rows), layout="constrained")
        every = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, panel in zip(every, panels, strict=False):
            for model, look in _looks(judgement):
                numbers = [ResponseNumbers.of(one) for one in panel.read(model)]
                points = _points(numbers, lambda one: one.median)
                if panel.is_logarithmic:
                    places = panel.centers * np.exp(APART * look.shift)
                else:
                    places = panel.centers + APART * look.shift * np.gradient(panel.centers)
                _draw(axes, places, points, look, model.name, line=True)
            axes.axhspan(1 - CLOSURE_SIZE, 1 + CLOSURE_SIZE, color="0.9", zorder=0)
            if panel.is_logarithmic:
                axes.set_xscale("log")
                _log_ticks(axes)
            axes.set(xlabel=panel.label, ylabel="median of R", title=panel.region)
        every[0].legend(frameon=False)
        for axes in every[len(panels) :]:
            axes.axis("off")
    return figure


def _coverage_figure(judgement: Judgement, model: JudgedModel, target: str) -> Figure:
    """A panel for each region: shares below each quantile and inside of central intervals."""
    columns = model.quantiles_of_targets[target]
    coverage = model.coverages[target]
    centers = _centers(PT_EDGES)
    with style():
        figure = Figure(figsize=(6.4 * len(judgement.regions) + 1.6, 5.2), layout="constrained")
        panels = figure.subplots(1, len(judgement.regions), squeeze=False)[0]
        for axes, region in zip(panels, judgement.regions, strict=True):
            jets = np.array(
                [model.numbers(region, "all", interval).jets[0] for interval in _true_bins()]
            )
            shares = np.stack([coverage.shares(region, one) for one in _true_bins()])  # (B, Q, S)
            curves = [
                (f"below {100 * quantile.level:g} %", quantile.level, shares[:, number])
                for number, quantile in enumerate(columns)
            ]
            for low, high in central_intervals(columns):
                level = columns[high].level - columns[low].level
                inside = shares[:, high] - shares[:, low]
                curves.append((f"inside {100 * level:.4g} %", level, inside))
            for number, (label, expected, values) in enumerate(curves):
                shown, errors = Points(values, jets).shown
                color = line_color(number)
                marker = MARKERS[number % len(MARKERS)]
                axes.errorbar(
                    centers, shown, errors, fmt=marker, markersize=5, color=color, label=label
                )
                axes.axhline(expected, color=color, linewidth=1, zorder=0)
            axes.set(xscale="log", ylim=(0, 1), title=region, xlabel=_true_pt(judgement))
            _log_ticks(axes)
        panels[0].set_ylabel("share of jets")
        panels[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
