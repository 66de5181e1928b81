"""The ``weights`` and ``bucketing`` of a data YAML.

How often each row is sampled in training, or its weight in the loss; and which rows share a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np

from weaver_tt.config.schema import ALL_ROWS, Bucketing, Weights, WeightSummary
from weaver_tt.config.sections import Section, read_number
from weaver_tt.config.target_density import target_shares
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression

PRECOMPUTED_KEYS = ("use_precomputed_weights", "weight_branches")
TABLE_KEYS = (
    "reweight_method",
    "target",
    "reweight_vars",
    "reweight_classes",
    "class_weights",
    "reweight_threshold",
    "reweight_discard_under_overflow",
    "reweight_basewgt",
)
# what was computed from data, in PREFIX.auto.yaml
COMPUTED_KEYS = ("reweight_hists", "measured")
WEIGHTS = ("mode", "signed", *PRECOMPUTED_KEYS, *TABLE_KEYS, *COMPUTED_KEYS)
BUCKETING = ("var", "bins", "edges", "fingerprint")
MODES = ("sampling", "loss")
METHODS = ("flat", "ref", "target")
SUMMARY = ("rows", "mean", "kept", "fingerprint")
MAX_BUCKETS = 10_000
# bins of the weight tables of all classes, which PREFIX.auto.yaml has to hold
MAX_CELLS = 1_500_000
MAX_VARIABLES = 16
THRESHOLD = 10.0  # Weaver's


def read_reweighting(
    section: Section, custom_functions: str | None, has_classes: bool = False
) -> Weights | None:
    """``weights`` -> Weights; None where the YAML has none.

    ``has_classes``: whether classes are learnt, so that leaving them out here would be a mistake.

    Raises:
        ConfigError: bins that do not increase, a density that is none, a wrong number of class
            weights or a negative one, tables that do not fit; names the key.
    """
    if not section.values:
        return None
    mode_name = section.choice("mode", MODES, "sampling")
    mode = cast(Literal["sampling", "loss"], mode_name)
    signed = read_bool(section, "signed", False)
    summary = None
    if "measured" in section:
        summary = _read_summary(section.section("measured", SUMMARY))
    # all expressions are checked, used or not
    branches = _read_branches(section, custom_functions)
    base = _read_base_weight(section, custom_functions)
    target = _read_target(section, custom_functions)
    if read_bool(section, "use_precomputed_weights", False):
        if not branches:
            where = section.at("weight_branches")
            raise ConfigError(f"{where}: use_precomputed_weights needs at least one column")
        return Weights(mode=mode, signed=signed, branches=branches, summary=summary)
    method = _read_method(section, target)
    variables = _read_variables(section)
    classes = _read_classes(section, method, has_classes)
    _check_cells(variables, classes, section)
    if target is not None:
        # only to see that it is a density
        target_shares(target, variables, section.at("target"))
    return Weights(
        mode=mode,
        signed=signed,
        method=method,
        target=target,
        variables=variables,
        classes=_read_class_weights(section, classes),
        threshold=_read_threshold(section),
        discard_outside=read_bool(section, "reweight_discard_under_overflow", True),
        base=base,
        tables=_read_tables(section, variables, classes),
        summary=summary,
    )


def read_bucketing(section: Section) -> Bucketing | None:
    """``bucketing`` -> Bucketing; None where the YAML has none.

    Raises:
        ConfigError: there is no variable, or the bins are neither a number nor edges.
    """
    if not section.values:
        return None
    variable = section.text("var")
    if variable is None:
        where = section.at("var")
        raise ConfigError(f"{where}: expected the name of a column with one number for each row")
    bins = section.values.get("bins")
    inner_edges = None
    if isinstance(bins, int) and not isinstance(bins, bool):
        number = section.whole_number("bins", 2, MAX_BUCKETS)
        if "edges" in section:
            # where many rows have the same value, there may be none
            inner_edges = read_edges(section.values["edges"], section.at("edges"), least=0)
    else:
        edges = read_edges(bins, section.at("bins"), least=3)
        number = len(edges) - 1
        # the outer buckets are open
        inner_edges = edges[1:-1]
    return Bucketing(
        variable=variable,
        number=number,
        inner_edges=inner_edges,
        fingerprint=section.text("fingerprint"),
    )


def read_edges(value: Any, where: str, least: int = 2) -> tuple[float, ...]:
    """A list of at least ``least`` increasing numbers.

    Raises:
        ConfigError: it is something else; names the pair that does not increase.
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
    """What was computed from data, as the ``weights`` of ``PREFIX.auto.yaml`` have it.

    ``reweight_hists`` are in Weaver's spelling.
    """
    values: dict[str, Any] = {}
    if weights.tables is not None:
        tables = {}
        for name, table in weights.tables.items():
            tables[name] = table.tolist()
        values["reweight_hists"] = tables
    if weights.summary is not None:
        values["measured"] = {key: getattr(weights.summary, key) for key in SUMMARY}
    return values


def dump_bucketing(bucketing: Bucketing) -> dict[str, Any]:
    """The edges that were computed from data, as the ``bucketing`` of ``PREFIX.auto.yaml``."""
    if bucketing.inner_edges is None or bucketing.fingerprint is None:
        return {}
    return {
        "bins": bucketing.number,
        "edges": list(bucketing.inner_edges),
        "fingerprint": bucketing.fingerprint,
    }


def read_bool(section: Section, key: str, default: bool) -> bool:
    """True or false at ``key``.

    Raises:
        ConfigError: it is something else.
    """
    value = section.values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{section.at(key)}: expected true or false, found {value!r}")
    return value


def _read_branches(section: Section, custom_functions: str | None) -> tuple[Expression, ...]:
    """Precomputed weights."""
    where = section.at("weight_branches")
    branches = []
    for name in section.names("weight_branches"):
        branches.append(parse_expression(name, where, custom_functions))
    return tuple(branches)


def _read_base_weight(section: Section, custom_functions: str | None) -> Expression | None:
    """What the weight of a row is multiplied by; None where the YAML has nothing, or false."""
    value = section.values.get("reweight_basewgt")
    if value in (None, False):
        return None
    return parse_expression(value, section.at("reweight_basewgt"), custom_functions)


def _read_target(section: Section, custom_functions: str | None) -> Expression | None:
    """The density that is to be reached; None where the YAML has none."""
    if "target" not in section:
        return None
    return parse_expression(section.values["target"], section.at("target"), custom_functions)


def _read_method(section: Section, target: Expression | None) -> Literal["flat", "ref", "target"]:
    """``reweight_method``, which a target density alone says too."""
    default = None if target is None else "target"
    name = section.choice("reweight_method", METHODS, default)
    if name == "target" and target is None:
        raise ConfigError(
            f"{section.at('target')}: reweight_method: target needs a density in the reweight_vars"
        )
    if name != "target" and target is not None:
        raise ConfigError(
            f"{section.at('target')}: a density is for reweight_method: target, found {name}"
        )
    return cast(Literal["flat", "ref", "target"], name)


def _read_threshold(section: Section) -> float:
    threshold = section.number("reweight_threshold", THRESHOLD)
    if not 0 <= threshold <= 100:
        where = section.at("reweight_threshold")
        raise ConfigError(f"{where}: expected a percentage from 0 to 100, found {threshold:g}")
    return threshold


def _read_variables(section: Section) -> dict[str, tuple[float, ...]]:
    """Reweighting variables and their bin edges."""
    inner = section.section("reweight_vars")
    if not inner.values:
        where = section.at("reweight_vars")
        raise ConfigError(f"{where}: expected at least one VARIABLE: [edge, edge, ...]")
    if len(inner.values) > MAX_VARIABLES:
        where = section.at("reweight_vars")
        raise ConfigError(f"{where}: at most {MAX_VARIABLES} variables, found {len(inner.values)}")
    variables = {}
    for name, edges in inner.values.items():
        variables[name] = read_edges(edges, inner.at(name))
    return variables


def _read_classes(section: Section, method: str, has_classes: bool) -> tuple[str, ...]:
    """The classes; ALL_ROWS where none are named and none need be."""
    where = section.at("reweight_classes")
    if "reweight_classes" not in section and not has_classes and method != "ref":
        return (ALL_ROWS,)
    classes = section.names("reweight_classes")
    if not classes:
        why = "; the first one is the reference" if method == "ref" else ""
        raise ConfigError(f"{where}: expected the 0/1 column of at least one class{why}")
    return classes


def _check_cells(
    variables: Mapping[str, tuple[float, ...]], classes: tuple[str, ...], section: Section
) -> None:
    """Raise ConfigError where the weight tables have more bins than can be kept."""
    bins = [len(edges) - 1 for edges in variables.values()]
    if math.prod(bins) * len(classes) > MAX_CELLS:
        shape = " x ".join(map(str, bins))
        raise ConfigError(
            f"{section.at('reweight_vars')}: {shape} bins for each of {len(classes)} classes; "
            f"all tables together can have {MAX_CELLS}"
        )


def _read_class_weights(section: Section, classes: tuple[str, ...]) -> dict[str, float]:
    """Class -> its weight; 1 each where the YAML has none."""
    where = section.at("class_weights")
    values = section.values.get("class_weights", [1.0] * len(classes))
    if not isinstance(values, list) or len(values) != len(classes):
        found = f"{len(values)} numbers" if isinstance(values, list) else repr(values)
        raise ConfigError(
            f"{where}: expected a number for each of the {len(classes)} reweight_classes "
            f"({', '.join(classes)}), found {found}"
        )
    weights = {}
    for name, value in zip(classes, values, strict=True):
        weights[name] = read_number(value, f"{where}: {name!r}")
    for name, weight in weights.items():
        if weight < 0:
            raise ConfigError(f"{where}: {name!r} has the negative weight {weight:g}")
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
    shape = tuple(len(edges) - 1 for edges in variables.values())
    tables = {}
    for name in classes:
        if name not in inner:
            raise ConfigError(f"{inner.where}: there is no table for class {name!r}")
        tables[name] = _read_table(inner.values[name], shape, inner.at(name))
    return tables


def _read_table(values: Any, shape: tuple[int, ...], where: str) -> np.ndarray[Any, Any]:
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}: expected nested lists of numbers with the shape {shape} of the bins"
        ) from None
    if table.shape != shape:
        raise ConfigError(
            f"{where}: the table has the shape {table.shape}, "
            f"the bins of reweight_vars have {shape}"
        )
    if not np.isfinite(table).all() or (table < 0).any():
        raise ConfigError(f"{where}: the weights of a table must be finite and not negative")
    return table


def _read_summary(section: Section) -> WeightSummary:
    return WeightSummary(
        rows=int(section.number("rows", 0.0)),
        mean=section.number("mean", 0.0),
        kept=section.number("kept", 0.0),
        fingerprint=section.text("fingerprint"),
    )
