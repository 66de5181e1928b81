"""``task.decorrelate`` of a data YAML: which scores are to be independent of which variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.reweighting import read_bool, read_edges
from weaver_tt.config.schema import AdversaryOptions, DataConfig, Decorrelation, Labels
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError, nearest, unknown_key

KEY = "decorrelate"
COMMON_KEYS = (
    *("variable", "method", "strength", "classes", "signals", "warmup", "edges"),
    "distance_correlation",
    "fingerprint",  # written by training
)
# method -> its own keys
METHOD_KEYS: Mapping[str, tuple[str, ...]] = {
    "disco": ("score",),
    "adversary": (
        *("layers", "updates", "adversary_steps", "learning_rate"),
        *("features", "width"),
    ),
    "kl": ("score", "passing"),
    "mi": ("score", "score_bins"),
}
# method -> what of a signal it may decorrelate, the usual first
SCORES: Mapping[str, tuple[str, ...]] = {
    "disco": ("probability", "logit"),
    "kl": ("rank", "probability"),
    "mi": ("rank", "probability"),
}
MAX_BINS = 1000  # of all variables together: each bin needs some rows of a batch
DEFAULT_BINS = 20
MAX_WIDTH = 10_000  # of a layer of an adversary
DEFAULT_PASSING = 0.1
MAX_PASSING = 0.5  # beyond, the slope at the lowest rank would be infinite


def read_decorrelation(section: Section, labels: Labels | None) -> Decorrelation | None:
    """``task.decorrelate`` -> Decorrelation; None where the YAML has none.

    Raises:
        ConfigError: no such method, class or key, a negative strength, bins that do not increase.
    """
    if not section.values:
        return None
    if labels is None or not labels.classes:
        raise ConfigError(
            f"{section.where}: scores of classes are decorrelated, and the labels have none"
        )
    method = section.choice("method", tuple(METHOD_KEYS))
    known = (*COMMON_KEYS, *METHOD_KEYS[method])
    for key in section.values:
        if key not in known:
            raise unknown_key(key, known, f"{section.where} (method {method})")
    variables = section.names("variable")
    if not variables:
        where = section.at("variable")
        raise ConfigError(f"{where}: expected a column with one number for each row, or a list")
    if "strength" not in section:
        raise ConfigError(f"{section.at('strength')}: expected a number of at least 0")
    classes = _read_classes(section, "classes", labels)
    if not classes:
        where = section.at("classes")
        raise ConfigError(
            f"{where}: expected the classes whose rows are decorrelated, such as the background; "
            f"{nearest('', labels.classes)}"
        )
    bins, edges = _read_bins(section, variables)
    scores = SCORES.get(method, SCORES["disco"])
    score = section.choice("score", scores, scores[0])
    return Decorrelation(
        variables=variables,
        classes=classes,
        signals=_read_signals(section, labels, classes),
        method=method,
        strength=_read_size(section, "strength", 0.0),
        warmup=_read_size(section, "warmup", 0.0),
        score=cast(Literal["probability", "logit", "rank"], score),
        passing=_read_passing(section, score),
        score_bins=_read_count(section, "score_bins", 10, least=2, most=100),
        adversary=_read_adversary(section) if method == "adversary" else None,
        bins=bins,
        edges=edges,
        measures_distance_correlation=read_bool(section, "distance_correlation", False),
        fingerprint=section.text("fingerprint"),
    )


def dump_decorrelation(written: Mapping[str, Any], decorrelation: Decorrelation) -> dict[str, Any]:
    """The ``task`` of a data YAML, ``written``, with the bins that were made of training rows."""
    if decorrelation.fingerprint is None:
        return dict(written)
    edges = {name: list(of_variable) for name, of_variable in decorrelation.edges.items()}
    found = {"edges": edges, "fingerprint": decorrelation.fingerprint}
    return {**written, KEY: {**written[KEY], **found}}


def decorrelated_inputs(config: DataConfig) -> dict[str, str]:
    """Decorrelated variable -> an input that is made of it, or that it is made of."""
    found: dict[str, str] = {}
    if config.decorrelation is None:
        return found
    for variable in config.decorrelation.variables:
        made_of = dependency_order(config, [variable])
        for _, read in config.input_variables():
            if read.name in made_of or variable in dependency_order(config, [read.name]):
                found.setdefault(variable, read.name)
    return found


def _read_size(section: Section, key: str, default: float) -> float:
    """A number of at least 0."""
    value = section.number(key, default)
    if value < 0:
        raise ConfigError(f"{section.at(key)}: expected a number of at least 0, found {value:g}")
    return value


def _read_count(section: Section, key: str, default: int, least: int, most: int) -> int:
    """A whole number, or the default where there is none."""
    return section.whole_number(key, least, most) if key in section else default


def _read_passing(section: Section, score: str) -> float:
    """The share of rows that passes, by their ranks."""
    if "passing" not in section:
        return DEFAULT_PASSING
    where = section.at("passing")
    if score != "rank":
        raise ConfigError(f"{where}: it is that of `score: rank`, found `score: {score}`")
    share = section.number("passing", DEFAULT_PASSING)
    if not 0 < share <= MAX_PASSING:
        raise ConfigError(
            f"{where}: expected a share above 0 and up to {MAX_PASSING:g}, found {share:g}"
        )
    return share


def _read_adversary(section: Section) -> AdversaryOptions:
    layers = section.values.get("layers", [64, 64])
    sizes = layers if isinstance(layers, list) else [layers]
    for size in sizes:
        # true and false are whole numbers to Python
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_WIDTH:
            raise ConfigError(
                f"{section.at('layers')}: expected sizes of hidden layers from 1 to {MAX_WIDTH}, "
                f"such as [64, 64], found {layers!r}"
            )
    updates = section.choice("updates", ("reversal", "alternating"), "reversal")
    if "adversary_steps" in section and updates != "alternating":
        raise ConfigError(
            f"{section.at('adversary_steps')}: they are those of `updates: alternating`, found "
            f"{updates}"
        )
    rate = None
    if "learning_rate" in section:
        rate = section.number("learning_rate", 0.0)
        if rate <= 0:
            raise ConfigError(
                f"{section.at('learning_rate')}: expected a number above 0, found {rate:g}"
            )
    features = section.text("features")
    width = None
    if features is not None:
        # not known before the network has been called
        width = section.whole_number("width", 1, MAX_WIDTH)
    elif "width" in section:
        raise ConfigError(f"{section.at('width')}: it is that of `features`, which are missing")
    return AdversaryOptions(
        layers=tuple(sizes),
        updates=cast(Literal["reversal", "alternating"], updates),
        adversary_steps=_read_count(section, "adversary_steps", 1, least=1, most=1000),
        learning_rate=rate,
        features=features,
        width=width,
    )


def _read_classes(section: Section, key: str, labels: Labels) -> tuple[str, ...]:
    names = section.names(key)
    for name in names:
        if name not in labels.classes:
            raise ConfigError(
                f"{section.at(key)}: there is no class {name!r}; {nearest(name, labels.classes)}"
            )
    return names


def _read_signals(section: Section, labels: Labels, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes whose scores are decorrelated: by default, all whose rows are not."""
    signals = _read_classes(section, "signals", labels)
    if not signals:
        signals = tuple(name for name in labels.classes if name not in classes)
    both = [name for name in signals if name in classes]
    if both:
        raise ConfigError(
            f"{section.at('signals')}: {both[0]!r} is among the `classes`, whose rows are "
            "decorrelated"
        )
    if not signals:
        raise ConfigError(
            f"{section.at('classes')}: all classes are listed, so that there is no signal whose "
            "score could be decorrelated"
        )
    return signals


def _read_bins(
    section: Section, variables: tuple[str, ...]
) -> tuple[int, dict[str, tuple[float, ...]]]:
    """Number of bins where there are no edges yet, and the edges that there are."""
    given = section.values.get("edges", DEFAULT_BINS)
    where = section.at("edges")
    edges: dict[str, tuple[float, ...]] = {}
    bins = DEFAULT_BINS
    if isinstance(given, Mapping):
        inner = section.section("edges", variables)
        for name, of_variable in inner.values.items():
            edges[name] = read_edges(of_variable, inner.at(name), least=3)
    elif isinstance(given, list):
        if len(variables) > 1:
            raise ConfigError(
                f"{where}: expected VARIABLE: [edge, edge, ...] for each of {', '.join(variables)}"
            )
        edges[variables[0]] = read_edges(given, where, least=3)
    elif "edges" in section:
        bins = section.whole_number("edges", 2, MAX_BINS, ", or a list of bin edges")
    numbers = [len(edges[name]) - 1 if name in edges else bins for name in variables]
    if math.prod(numbers) > MAX_BINS:
        raise ConfigError(
            f"{where}: {' x '.join(map(str, numbers))} bins; all variables together can have "
            f"{MAX_BINS}"
        )
    return bins, edges
