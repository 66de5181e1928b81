"""Does the network close? Direct tagging, true efficiencies, map and network on the same events (section 6 of the truth-tagging paper).

Events are read in chunks and only histograms and sums are kept, so memory does not grow with the data.
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
)
from weaver_tt.applications.truth_tagging.residuals import Residuals
from weaver_tt.errors import DataError
from weaver_tt.physics.particles import FLAVOURS

VARIABLES = ("delta_r", "mass")
REQUIREMENTS = ("leading", "both")  # the leading jet is tagged; both leading jets are


@dataclass
class TagTotals:
    """Tagged weight of each flavour (3,) and what one estimate expects for the same jets, with its variance sum w^2 e (1 - e)."""

    direct: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))
    expected: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))
    variance: Floats = field(default_factory=lambda: np.zeros(len(FLAVOURS)))
    without: int = 0  # jets without an estimate: beyond the network's length

    def fill(self, tag: Floats, efficiency: Floats, flavour: Integers, weight: Floats) -> None:
        """Add jets (M,); those without an estimate count nowhere else."""
        known = np.isfinite(efficiency)
        self.without += int((~known).sum())
        e, w = efficiency[known], weight[known]
        for total, entry in (
            (self.direct, w * tag[known]),
            (self.expected, w * e),
            (self.variance, w**2 * e * (1 - e)),
        ):
            total += np.bincount(flavour[known], entry, len(FLAVOURS))

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Per flavour: expected / direct and (direct - expected) / standard deviation."""
        return {
            name: {
                "direct": float(direct),
                "expected": float(expected),
                "expected_over_direct": float(expected / direct) if direct else None,
                "pull": float((direct - expected) / np.sqrt(variance)) if variance > 0 else None,
            }
            for name, direct, expected, variance in zip(
                FLAVOURS, self.direct, self.expected, self.variance, strict=True
            )
        }


class Closure:
    """All that is accumulated over the events."""

    def __init__(
        self, efficiency_map: EfficiencyMap, edges: Mapping[str, Mapping[str, Floats]]
    ) -> None:
        self.map = efficiency_map
        self.events = self.pairs = self.jets = 0
        self.distributions = {
            variable: {name: Distribution(edges[variable][name]) for name in REQUIREMENTS}
            for variable in VARIABLES
        }
        self.residuals: dict[str, Residuals] = {}
        self.totals: dict[str, TagTotals] = {}

    @property
    def has_truth(self) -> bool:
        """Whether the files have true efficiencies."""
        return bool(self.residuals)

    @property
    def reference(self) -> str:
        """The estimate that others are divided by, and that says which bins to merge: the truth, or the network."""
        return "true" if self.has_truth else "network"

    def add(self, jets: JetTable) -> None:
        """Add a chunk of events."""
        estimates = {"direct": jets["tag"]} | ({"true": jets["truth"]} if "truth" in jets else {})
        estimates |= {
            "map": self.map(jets["pt"], jets["eta"], jets.flavour)[0],
            "network": jets["efficiency"],
        }
        self.events += len(jets.counts)
        self.jets += int(jets.counts.sum())
        self._add_jets(jets, estimates)
        self._add_pairs(jets, estimates)

    def _add_jets(self, jets: JetTable, estimates: Mapping[str, Floats]) -> None:
        for name in ("map", "network"):
            self.totals.setdefault(name, TagTotals()).fill(
                jets["tag"], estimates[name], jets.flavour, jets.jet_weight
            )
            if "truth" in jets:
                self.residuals.setdefault(name, Residuals()).fill(
                    jets["truth"], estimates[name], jets.flavour, jets.jet_weight
                )

    def _add_pairs(self, jets: JetTable, estimates: Mapping[str, Floats]) -> None:
        leading = jets.leading(2)  # (N', 2)
        self.pairs += len(leading)
        pair = PAIR_OF[tuple(jets.flavour[leading].T)]
        weight = jets.weight[jets.counts >= 2]
        for variable, values in _pair_variables(jets, leading).items():
            for name, distribution in self.distributions[variable].items():
                distribution.fill(
                    values,
                    pair,
                    weight,
                    {
                        key: _pass_probability(values[leading], name)
                        for key, values in estimates.items()
                    },
                )

    def summary(self) -> dict[str, Any]:
        """What ``closure.json`` says, but for where the data came from."""
        return {
            "events": self.events,
            "events_with_two_jets": self.pairs,
            "jets": self.jets,
            "residuals": {name: residuals.summary() for name, residuals in self.residuals.items()},
            "jets_without_network_efficiency": self.totals["network"].without,
            "tag_totals": {name: totals.summary() for name, totals in self.totals.items()},
            "distributions": {
                variable: {
                    name: _describe_distribution(distribution, self.reference)
                    for name, distribution in group.items()
                }
                for variable, group in self.distributions.items()
            },
        }


def measure_closure(source: JetFiles, efficiency_map: EfficiencyMap) -> Closure:
    """Read all events of ``source`` (roles pt, eta, phi, flavour, tag, efficiency; optional: mass, else 0, and truth).

    Raises DataError where there is no event with two jets, or an efficiency is none.
    """
    samples, share = first_chunks(source)
    closure = Closure(efficiency_map, _choose_edges(samples, share))
    for jets in stream_jets(source):
        _check(jets, source)
        closure.add(jets)
    if closure.pairs == 0:
        raise DataError(f"{source}: no event has two jets, so there is nothing to close")
    return closure


def _choose_edges(samples: Sequence[JetTable], share: float) -> dict[str, dict[str, Floats]]:
    """Bins of each variable and requirement, fit for the number of tags that the sample lets expect."""
    leading = [jets.leading(2) for jets in samples]
    values = [_pair_variables(jets, places) for jets, places in zip(samples, leading, strict=True)]
    tags = {
        name: sum(
            _pass_probability(jets["tag"][places], name).sum()
            for jets, places in zip(samples, leading, strict=True)
        )
        for name in REQUIREMENTS
    }
    together = {
        variable: np.concatenate([[], *(one[variable] for one in values)]) for variable in VARIABLES
    }
    return {
        variable: {
            name: regular_edges(sample, tags[name] / max(share, 1e-9)) for name in REQUIREMENTS
        }
        for variable, sample in together.items()
    }


def _pair_variables(jets: JetTable, leading: Integers) -> dict[str, Floats]:
    """The plotted variables (N',) of the two leading jets at positions ``leading`` (N', 2)."""
    pt, eta, phi = (jets[role][leading] for role in ("pt", "eta", "phi"))
    mass = jets["mass"][leading] if "mass" in jets else np.zeros_like(pt)
    return {"delta_r": pair_delta_r(eta, phi), "mass": pair_mass(pt, eta, phi, mass)}


def _pass_probability(efficiency: Floats, requirement: str) -> Floats:
    """Efficiencies or tags of the two leading jets (N', 2) -> probability (N',) of passing the requirement."""
    return efficiency[:, 0] if requirement == "leading" else efficiency.prod(axis=1)


def _check(jets: JetTable, source: JetFiles) -> None:
    leading = jets["efficiency"][jets.leading(2)]
    place = f"{source}: column {source.names['efficiency']!r}"
    if np.isnan(leading).any():
        raise DataError(
            f"{place} is NaN for one of the two leading jets: the network's `length` must keep at least these"
        )
    if not ((leading >= 0) & (leading <= 1)).all():
        raise DataError(f"{place} holds values outside [0, 1]")
    if "truth" in jets and not ((jets["truth"] > 0) & (jets["truth"] <= 1)).all():
        raise DataError(
            f"{source}: column {source.optional['truth']!r} must hold efficiencies in (0, 1]"
        )


def _describe_distribution(distribution: Distribution, reference: str) -> dict[str, Any]:
    description: dict[str, Any] = {
        "edges": distribution.edges.tolist(),
        "tagged_outside_edges": distribution.outside,
    }
    for pair in ("all", *PAIRS):
        direct = float(distribution.sums["direct"].of(pair).total.sum())
        description[pair] = {"direct": {"tagged": direct}} | distribution.chi_square(
            pair, reference
        )
    return description
