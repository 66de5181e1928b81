"""The ``weights`` and ``bucketing`` of a data YAML: which rows training sees how often, and which of them share a batch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np

from weaver_tt.config.schema import Bucketing, Weights, WeightSummary
from weaver_tt.config.sections import Section, read_number
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import parse_expression

WEIGHTS = (
    *(
        "mode",
        "use_precomputed_weights",
        "weight_branches",
        "reweight_method",
        "reweight_vars",
        "reweight_classes",
        "class_weights",
    ),
    *(
        "reweight_threshold",
        "reweight_discard_under_overflow",
        "reweight_basewgt",
        "reweight_hists",
        "measured",
    ),
)
BUCKETING = ("var", "bins", "edges", "fingerprint")
SUMMARY = ("rows", "mean", "kept", "fingerprint")
THRESHOLD = 10.0  # Weaver's


def read_reweighting(section: Section, custom_functions: str | None) -> Weights | None:
    """``weights`` -> Weights; None where the YAML has none.

    :raises ConfigError: bins that do not increase, a wrong number of class weights or a negative one, tables that do not fit; names the key.
    """
    if not section.values:
        return None
    mode = cast(
        Literal["sampling", "loss"], section.choice("mode", ("sampling", "loss"), "sampling")
    )
    measured = (
        _read_summary(section.section("measured", SUMMARY)) if "measured" in section else None
    )
    # all expressions are checked, used or not
    branches = tuple(
        parse_expression(name, section.at("weight_branches"), custom_functions)
        for name in section.names("weight_branches")
    )
    base = section.values.get("reweight_basewgt")
    expression = (
        parse_expression(base, section.at("reweight_basewgt"), custom_functions)
        if base not in (None, False)
        else None
    )
    if _read_bool(section, "use_precomputed_weights", False):
        if not branches:
            raise ConfigError(
                f"{section.at('weight_branches')}: use_precomputed_weights needs at least one column"
            )
        return Weights(mode=mode, branches=branches, summary=measured)
    variables, classes = _read_variables(section), _read_classes(section)
    threshold = section.number("reweight_threshold", THRESHOLD)
    if not 0 <= threshold <= 100:
        raise ConfigError(
            f"{section.at('reweight_threshold')}: expected a percentage from 0 to 100, found {threshold:g}"
        )
    return Weights(
        mode=mode,
        method=cast(Literal["flat", "ref"], section.choice("reweight_method", ("flat", "ref"))),
        variables=variables,
        classes=_read_class_weights(section, classes),
        threshold=threshold,
        discard_outside=_read_bool(section, "reweight_discard_under_overflow", True),
        base=expression,
        tables=_read_tables(section, variables, classes),
        summary=measured,
    )


def read_bucketing(section: Section) -> Bucketing | None:
    """``bucketing`` -> Bucketing; None where the YAML has none.

    :raises ConfigError: no variable, or bins that are neither a number nor edges.
    """
    if not section.values:
        return None
    variable = section.text("var")
    if variable is None:
        raise ConfigError(
            f"{section.at('var')}: expected the name of a column with one number for each row"
        )
    bins = section.values.get("bins")
    fingerprint = section.text("fingerprint")
    if isinstance(bins, int) and not isinstance(bins, bool):
        if bins < 2:
            raise ConfigError(f"{section.at('bins')}: expected at least 2 buckets, found {bins}")
        edges = (
            read_edges(section.values["edges"], section.at("edges"), least=0)
            if "edges" in section
            else None
        )
        return Bucketing(variable=variable, number=bins, inner_edges=edges, fingerprint=fingerprint)
    edges = read_edges(bins, section.at("bins"), least=3)
    return Bucketing(
        variable=variable, number=len(edges) - 1, inner_edges=edges[1:-1], fingerprint=fingerprint
    )


def read_edges(value: Any, where: str, least: int = 2) -> tuple[float, ...]:
    """A list of at least ``least`` increasing numbers.

    :raises ConfigError: it is something else; names the pair that does not increase.
    """
    if not isinstance(value, list) or len(value) < least:
        raise ConfigError(
            f"{where}: expected a list of at least {least} bin edges, found {value!r}"
        )
    edges = tuple(read_number(edge, where) for edge in value)
    for low, high in pairwise(edges):
        if low >= high:
            raise ConfigError(
                f"{where}: bin edges must increase, but {low:g} is followed by {high:g}"
            )
    return edges


def dump_reweighting(weights: Weights) -> dict[str, Any]:
    """What was computed from data, as the ``weights`` section of ``PREFIX.auto.yaml`` has it (``reweight_hists`` in Weaver's spelling)."""
    values: dict[str, Any] = {}
    if weights.tables is not None:
        values["reweight_hists"] = {name: table.tolist() for name, table in weights.tables.items()}
    if weights.summary is not None:
        values["measured"] = {key: getattr(weights.summary, key) for key in SUMMARY}
    return values


def dump_bucketing(bucketing: Bucketing) -> dict[str, Any]:
    """The edges that were computed from data, as the ``bucketing`` section of ``PREFIX.auto.yaml`` has them."""
    if bucketing.inner_edges is None or bucketing.fingerprint is None:
        return {}
    return {
        "bins": bucketing.number,
        "edges": list(bucketing.inner_edges),
        "fingerprint": bucketing.fingerprint,
    }


def _read_bool(section: Section, key: str, default: bool) -> bool:
    value = section.values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{section.at(key)}: expected true or false, found {value!r}")
    return value


def _read_variables(section: Section) -> dict[str, tuple[float, ...]]:
    """Reweighting variables and their bin edges."""
    inner = section.section("reweight_vars")
    if not inner.values:
        raise ConfigError(
            f"{section.at('reweight_vars')}: expected at least one VARIABLE: [edge, edge, ...]"
        )
    return {name: read_edges(edges, inner.at(name)) for name, edges in inner.values.items()}


def _read_classes(section: Section) -> tuple[str, ...]:
    classes = section.names("reweight_classes")
    if not classes:
        raise ConfigError(
            f"{section.at('reweight_classes')}: expected the 0/1 column of at least one class"
        )
    return classes


def _read_class_weights(section: Section, classes: tuple[str, ...]) -> dict[str, float]:
    """Class -> its weight; 1 each where the YAML has none."""
    where = section.at("class_weights")
    given = section.values.get("class_weights", [1.0] * len(classes))
    if not isinstance(given, list) or len(given) != len(classes):
        found = f"{len(given)} numbers" if isinstance(given, list) else repr(given)
        raise ConfigError(
            f"{where}: expected a number for each of the {len(classes)} reweight_classes ({', '.join(classes)}), found {found}"
        )
    weights = {
        name: read_number(value, f"{where}: {name!r}")
        for name, value in zip(classes, given, strict=True)
    }
    negative = [name for name, weight in weights.items() if weight < 0]
    if negative:
        raise ConfigError(
            f"{where}: {negative[0]!r} has the negative weight {weights[negative[0]]:g}"
        )
    if not any(weights.values()):
        raise ConfigError(
            f"{where}: the weights of all classes are 0; nothing would be left to train on"
        )
    return weights


def _read_tables(
    section: Section, variables: Mapping[str, tuple[float, ...]], classes: tuple[str, ...]
) -> dict[str, np.ndarray[Any, Any]] | None:
    """``reweight_hists`` in the order of the classes, each of the shape that the bins have."""
    if "reweight_hists" not in section:
        return None
    inner = section.section("reweight_hists")
    for name in inner.values:
        if name not in classes:
            raise ConfigError(
                f"{inner.where}: {name!r} is none of the reweight_classes; {nearest(name, classes)}"
            )
    missing = [name for name in classes if name not in inner]
    if missing:
        raise ConfigError(f"{inner.where}: there is no table for class {missing[0]!r}")
    shape = tuple(len(edges) - 1 for edges in variables.values())
    return {name: _read_table(inner.values[name], shape, inner.at(name)) for name in classes}


def _read_table(values: Any, shape: tuple[int, ...], where: str) -> np.ndarray[Any, Any]:
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}: expected nested lists of numbers with the shape {shape} of the bins"
        ) from None
    if table.shape != shape:
        raise ConfigError(
            f"{where}: the table has the shape {table.shape}, the bins of reweight_vars have {shape}"
        )
    if not np.isfinite(table).all() or (table < 0).any():
        raise ConfigError(f"{where}: the weights of a table must be finite and not negative")
    return table


def _read_summary(section: Section) -> WeightSummary:
    rows, mean, kept = (section.number(key, 0.0) for key in SUMMARY[:3])
    return WeightSummary(
        rows=int(rows), mean=mean, kept=kept, fingerprint=section.text("fingerprint")
    )
