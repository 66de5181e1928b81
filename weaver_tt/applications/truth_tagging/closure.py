"""Does the network close? Direct tagging, true efficiencies, map and network on the same events.

Events are read in chunks and only histograms and sums are kept, so memory does not grow with the
data.

Source: arXiv:2004.02665, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weaver_tt.applications.truth_tagging.distributions import (
    PAIR_OF,
    PAIRS,
    Distribution,
    pair_delta_r,
    pair_mass,
    regular_edges,
)
from weaver_tt.applications.truth_tagging.efficiency_map import EfficiencyMap
from weaver_tt.applications.truth_tagging.jets import (
    Floats,
    Integers,
    JetFiles,
    JetTable,
    first_chunks,
    stream_jets,
    weighted_counts,
)
from weaver_tt.applications.truth_tagging.residuals import Residuals
from weaver_tt.errors import DataError
from weaver_tt.physics.particles import FLAVOURS

VARIABLES = ("delta_r", "mass")
REQUIREMENTS = ("leading", "both")  # the leading jet is tagged; both leading jets are


@dataclass
class TagTotals:
    """Tagged weight of each flavour (3,), and what one estimate expects for the same jets.

    ``variance`` of their difference is the sum of w^2 e (1 - e).
    """

    direct: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))
    expected: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))
    variance: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))
    without: int = 0  # jets without an estimate: beyond the network's length

    def fill(self, tag: Floats, efficiency: Floats, flavour: Integers, weight: Floats) -> None:
        """Add jets (M,); those without an estimate count nowhere else."""
        known = np.isfinite(efficiency)
        self.without += int((~known).sum())
        e = efficiency[known]
        w = weight[known]
        index = flavour[known]
        shape = self.direct.shape
        self.direct += weighted_counts(index, w * tag[known], shape)
        self.expected += weighted_counts(index, w * e, shape)
        self.variance += weighted_counts(index, w**2 * e * (1 - e), shape)

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Per flavour: expected / direct and (direct - expected) / standard deviation."""
        summaries: dict[str, dict[str, float | None]] = {}
        for number, name in enumerate(FLAVOURS):
            direct = float(self.direct[number])
            expected = float(self.expected[number])
            variance = self.variance[number]
            pull = None
            if variance > 0:
                pull = float((direct - expected) / np.sqrt(variance))
            summaries[name] = {
                "direct": direct,
                "expected": expected,
                "expected_over_direct": expected / direct if direct else None,
                "pull": pull,
            }
        return summaries


class Closure:
    """All that is accumulated over the events.

    ``edges``: variable -> requirement -> bin edges.
    """

    def __init__(
        self, efficiency_map: EfficiencyMap, edges: Mapping[str, Mapping[str, Floats]]
    ) -> None:
        self.map = efficiency_map
        self.events = 0
        self.pairs = 0
        self.jets = 0
        self.distributions: dict[str, dict[str, Distribution]] = {}
        for variable in VARIABLES:
            of_variable = {name: Distribution(edges[variable][name]) for name in REQUIREMENTS}
            self.distributions[variable] = of_variable
        self.residuals: dict[str, Residuals] = {}
        self.totals: dict[str, TagTotals] = {}

    @property
    def has_truth(self) -> bool:
        """Whether the files have true efficiencies."""
        return bool(self.residuals)

    @property
    def reference(self) -> str:
        """The estimate that others are divided by, and that says which bins to merge."""
        return "true" if self.has_truth else "network"

    def add(self, jets: JetTable) -> None:
        """Add a chunk of events."""
        # in the order in which figures draw them
        estimates = {"direct": jets["tag"]}
        if "truth" in jets:
            estimates["true"] = jets["truth"]
        estimates["map"], _ = self.map(jets["pt"], jets["eta"], jets.flavour)
        estimates["network"] = jets["efficiency"]
        self.events += len(jets.counts)
        self.jets += int(jets.counts.sum())
        self._add_jets(jets, estimates)
        self._add_pairs(jets, estimates)

    def _add_jets(self, jets: JetTable, estimates: Mapping[str, Floats]) -> None:
        flavour = jets.flavour
        weight = jets.jet_weight
        # the other two are what these are compared with
        for name in ("map", "network"):
            totals = self.totals.setdefault(name, TagTotals())
            totals.fill(jets["tag"], estimates[name], flavour, weight)
            if "truth" not in jets:
                continue
            residuals = self.residuals.setdefault(name, Residuals())
            residuals.fill(jets["truth"], estimates[name], flavour, weight)

    def _add_pairs(self, jets: JetTable, estimates: Mapping[str, Floats]) -> None:
        leading = jets.leading(2)  # (N', 2)
        self.pairs += len(leading)
        first_flavour, second_flavour = jets.flavour[leading].T  # (N',) each
        pair = PAIR_OF[first_flavour, second_flavour]
        # of the same events as the leading pairs
        weight = jets.weight[jets.counts >= 2]
        for requirement in REQUIREMENTS:
            passing = {}
            for name, values in estimates.items():
                passing[name] = _pass_probability(values[leading], requirement)
            for variable, values in _pair_variables(jets, leading).items():
                self.distributions[variable][requirement].fill(values, pair, weight, passing)

    def summary(self) -> dict[str, Any]:
        """What ``closure.json`` says, but for where the data came from."""
        distributions: dict[str, Any] = {}
        for variable, group in self.distributions.items():
            distributions[variable] = {}
            for requirement, distribution in group.items():
                summary = _distribution_summary(distribution, self.reference)
                distributions[variable][requirement] = summary
        residuals = {name: of_estimate.summary() for name, of_estimate in self.residuals.items()}
        totals = {name: of_estimate.summary() for name, of_estimate in self.totals.items()}
        return {
            "events": self.events,
            "events_with_two_jets": self.pairs,
            "jets": self.jets,
            "residuals": residuals,
            "jets_without_network_efficiency": self.totals["network"].without,
            "tag_totals": totals,
            "distributions": distributions,
        }


def measure_closure(source: JetFiles, efficiency_map: EfficiencyMap) -> Closure:
    """Read all events of ``source`` and compare the estimates.

    Roles pt, eta, phi, flavour, tag, efficiency; optional: mass, else 0, and truth.

    Raises:
        DataError: no event has two jets, or an efficiency is none.
    """
    samples, share = first_chunks(source)
    closure = Closure(efficiency_map, _choose_edges(samples, share))
    for jets in stream_jets(source):
        _check_efficiencies(jets, source)
        closure.add(jets)
    if closure.pairs == 0:
        raise DataError(f"{source}: no event has two jets, so there is nothing to close")
    return closure


def _choose_edges(samples: Sequence[JetTable], share: float) -> dict[str, dict[str, Floats]]:
    """Bins of each variable and requirement, fit for the number of tags to be expected.

    ``samples`` hold ``share`` of the data.
    """
    values: dict[str, list[Floats]] = {variable: [] for variable in VARIABLES}
    tags = dict.fromkeys(REQUIREMENTS, 0.0)
    for jets in samples:
        leading = jets.leading(2)
        for variable, of_chunk in _pair_variables(jets, leading).items():
            values[variable].append(of_chunk)
        for requirement in REQUIREMENTS:
            tags[requirement] += _pass_probability(jets["tag"][leading], requirement).sum()
    edges: dict[str, dict[str, Floats]] = {}
    for variable in VARIABLES:
        # without any chunk there are no values, and bins of no use
        sample = np.concatenate([[], *values[variable]])
        edges[variable] = {}
        for requirement in REQUIREMENTS:
            expected_tags = tags[requirement] / max(share, 1e-9)
            edges[variable][requirement] = regular_edges(sample, expected_tags)
    return edges


def _pair_variables(jets: JetTable, leading: Integers) -> dict[str, Floats]:
    """The plotted variables (N',) of the two leading jets at places ``leading`` (N', 2)."""
    pt = jets["pt"][leading]
    eta = jets["eta"][leading]
    phi = jets["phi"][leading]
    mass = jets["mass"][leading] if "mass" in jets else np.zeros_like(pt)
    return {"delta_r": pair_delta_r(eta, phi), "mass": pair_mass(pt, eta, phi, mass)}


def _pass_probability(efficiency: Floats, requirement: str) -> Floats:
    """Probability (N',) of passing the requirement.

    From efficiencies or tags of the two leading jets (N', 2).
    """
    if requirement == "leading":
        return efficiency[:, 0]
    return efficiency.prod(axis=1)


def _check_efficiencies(jets: JetTable, source: JetFiles) -> None:
    """Raise DataError for efficiencies of the leading jets, or true ones, that are none."""
    leading = jets["efficiency"][jets.leading(2)]
    place = f"{source}: column {source.names['efficiency']!r}"
    if np.isnan(leading).any():
        raise DataError(
            f"{place} is NaN for one of the two leading jets: the network's `length` must keep "
            f"at least these"
        )
    if not ((leading >= 0) & (leading <= 1)).all():
        raise DataError(f"{place} holds values outside [0, 1]")
    if "truth" not in jets:
        return
    # residuals are divided by the truth
    truth = jets["truth"]
    if not ((truth > 0) & (truth <= 1)).all():
        name = source.optional["truth"]
        raise DataError(f"{source}: column {name!r} must hold efficiencies in (0, 1]")


def _distribution_summary(distribution: Distribution, reference: str) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "edges": distribution.edges.tolist(),
        "tagged_outside_edges": distribution.outside,
    }
    for pair in ("all", *PAIRS):
        tagged = float(distribution.sums["direct"].of(pair).total.sum())
        summary[pair] = {"direct": {"tagged": tagged}}
        summary[pair] |= distribution.chi_square(pair, reference)
    return summary
