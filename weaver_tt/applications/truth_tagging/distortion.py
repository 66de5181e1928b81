"""Pseudo-data: toy events of another tagging efficiency and flavour mix than the simulation.

``weaver-tt toy --distort FILE.yaml``. The scale factor of a jet is the efficiency in pseudo-data
over that in simulation: that of all jets times that of its flavour, each a number, an expression of
``VARIABLES``, or a table of bins in some of them. M jets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from weaver_tt.config.sections import Section, read_number, read_yaml
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.expressions.evaluate import Expression, evaluate, parse_expression
from weaver_tt.physics.particles import FLAVOURS, flavour_index

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

KEYS = ("scale_factors", "flavours")
ALL = "all"  # the factor that jets of every flavour have
VALUES = "values"  # of bins; the other keys of a table are variables with their edges
# of a jet: pt in GeV, the distance to the nearest other jet, and the number of jets of its event
VARIABLES = ("pt", "eta", "phi", "delta_r", "jets")


class EfficiencyFactor(Protocol):
    """A factor of the efficiency."""

    def of_jets(self, variables: Mapping[str, Floats]) -> Floats:
        """The factor (M,) of jets with these ``VARIABLES`` (M,) each."""


@dataclass(frozen=True)
class ExpressionFactor:
    """A number, or an expression of ``VARIABLES``."""

    expression: Expression

    def of_jets(self, variables: Mapping[str, Floats]) -> Floats:
        """The factor (M,)."""
        return np.asarray(evaluate(self.expression, variables), np.float64)


@dataclass(frozen=True)
class BinnedEfficiencyFactor:
    """A factor for each bin; jets outside the edges belong to the outermost bins.

    ``edges`` by variable, ``values`` with an axis for each variable, in their order.
    """

    edges: Mapping[str, Floats]
    values: Floats

    def of_jets(self, variables: Mapping[str, Floats]) -> Floats:
        """The factor (M,)."""
        place = []
        for name, edges in self.edges.items():
            bins = np.searchsorted(edges, variables[name], side="right") - 1
            place.append(np.clip(bins, 0, len(edges) - 2))
        return self.values[tuple(place)]


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """How pseudo-data differ from the simulation.

    ``factors``: of flavours in ``FLAVOURS`` and of ``ALL``, 1 where there is none; ``shares`` of
    the flavours (None: those of the simulation); ``source`` is the file.
    """

    source: str
    factors: Mapping[str, EfficiencyFactor] = field(default_factory=dict)
    shares: Mapping[str, float] | None = None

    def scale_factors(self, variables: Mapping[str, Floats], flavour: Integers) -> Floats:
        """The factor (M,) of jets with these ``VARIABLES`` and flavours (M,).

        Raises:
            DataError: a factor is not above 0.
        """
        factors = np.ones(len(flavour))
        index = flavour_index(flavour)
        for name, of_name in self.factors.items():
            chosen = np.ones(len(flavour), bool)
            if name != ALL:
                chosen = index == FLAVOURS.index(name)
            of_chosen = {variable: values[chosen] for variable, values in variables.items()}
            found = of_name.of_jets(of_chosen)
            self._check(name, found, of_chosen)
            factors[chosen] *= found
        return factors

    def _check(self, name: str, factors: Floats, variables: Mapping[str, Floats]) -> None:
        good = np.isfinite(factors) & (factors > 0)
        if good.all():
            return
        first = int(np.argmin(good))
        jet = ", ".join(f"{key} {values[first]:.4g}" for key, values in variables.items())
        raise DataError(
            f"{self.source}: scale_factors.{name}: expected factors above 0, found "
            f"{factors[first]:g} for a jet of {jet}"
        )


def load_distortion(path: str) -> Distortion:
    """Read ``scale_factors`` and ``flavours`` of a YAML.

    Raises:
        ConfigError: it cannot be read, a key, flavour or variable is unknown (names the nearest),
            or a value is of another kind.
    """
    content, _ = read_yaml(path)
    top = Section.of(content, path, KEYS)
    if not top.values:
        raise ConfigError(f"{path}: expected {' or '.join(KEYS)}; the file says nothing")
    section = top.section("scale_factors", (ALL, *FLAVOURS))
    factors = {name: _read_factor(section, name) for name in section.values}
    shares = _read_shares(top.section("flavours", FLAVOURS)) if "flavours" in top else None
    return Distortion(source=path, factors=factors, shares=shares)


def _read_factor(section: Section, name: str) -> EfficiencyFactor:
    value = section.values[name]
    where = section.at(name)
    if isinstance(value, Mapping):
        return _read_bins(section.section(name, (*VARIABLES, VALUES)))
    expression = parse_expression(value, where)
    for variable in sorted(expression.names):
        if variable not in VARIABLES:
            raise ConfigError(f"{where}: no variable {variable!r}; {nearest(variable, VARIABLES)}")
    return ExpressionFactor(expression)


def _read_bins(section: Section) -> BinnedEfficiencyFactor:
    """A table of bins: the edges of some variables, and values."""
    names = [name for name in section.values if name != VALUES]
    if not names or VALUES not in section:
        raise ConfigError(
            f"{section.where}: expected the edges of variables ({', '.join(VARIABLES)}) and "
            f"{VALUES!r}, found {', '.join(section.values) or 'nothing'}"
        )
    edges = {}
    for name in names:
        of_name = _read_array(section, name)
        if of_name.ndim != 1 or len(of_name) < 2 or not (np.diff(of_name) > 0).all():
            raise ConfigError(
                f"{section.at(name)}: expected two or more edges that increase, found "
                f"{section.values[name]!r}"
            )
        edges[name] = of_name
    values = _read_array(section, VALUES)
    bins = tuple(len(of_name) - 1 for of_name in edges.values())
    if values.shape != bins:
        expected = " x ".join(
            f"{number} ({name})" for name, number in zip(names, bins, strict=True)
        )
        found = " x ".join(map(str, values.shape)) or "one number"
        raise ConfigError(
            f"{section.at(VALUES)}: expected a value for each bin, {expected}, found {found}"
        )
    return BinnedEfficiencyFactor(edges, values)


def _read_array(section: Section, key: str) -> Floats:
    """A list of numbers, or of lists of numbers as long as each other."""
    try:
        values = np.array(section.values[key], np.float64)
    except (ValueError, TypeError):
        values = np.array(np.nan)
    if not np.isfinite(values).all():
        raise ConfigError(
            f"{section.at(key)}: expected a list of numbers, found {section.values[key]!r}"
        )
    return values


def _read_shares(section: Section) -> dict[str, float]:
    """Shares of all flavours, which add up to 1."""
    missing = [name for name in FLAVOURS if name not in section]
    if missing:
        raise ConfigError(
            f"{section.where}: expected the share of each flavour, {', '.join(FLAVOURS)}; "
            f"{', '.join(missing)} is missing"
        )
    shares = {name: read_number(section.values[name], section.at(name)) for name in FLAVOURS}
    for name, share in shares.items():
        if share < 0:
            raise ConfigError(
                f"{section.at(name)}: expected a share of at least 0, found {share:g}"
            )
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ConfigError(f"{section.where}: expected shares that add up to 1, found {total:g}")
    return shares
