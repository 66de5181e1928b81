"""What a prediction file says of itself: what was predicted, by which network, at what cost.

A text beside the rows, by which a report knows what to make of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any

from weaver_tt.config.schema import Discriminant, RatioOptions
from weaver_tt.errors import DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import read_notes
from weaver_tt.system.file_shapes import TEXT, AnyOf, ListOf, NamesTo, Value
from weaver_tt.system.json_files import json_text, parse_json
from weaver_tt.tasks.base import Task

# the name of the text
ABOUT = "weaver_tt_about"

_NUMBER_OR_NONE = AnyOf((Value((NoneType,)), Value((int, float), least=0)))
# what is measured anew in each prediction
_TIMES = ("seconds_per_row", "single_row_seconds")
_COST = {
    "parameters": _NUMBER_OR_NONE,
    "flops_per_row": _NUMBER_OR_NONE,
    "training_step_seconds": _NUMBER_OR_NONE,
    "training_step_rows": _NUMBER_OR_NONE,
    "seconds_per_row": _NUMBER_OR_NONE,
    # not in files of earlier versions
    "single_row_seconds?": _NUMBER_OR_NONE,
}
_ABOUT = {
    "task": TEXT,
    "outputs": ListOf(TEXT),
    "classes": ListOf(TEXT),
    "targets": ListOf(TEXT),
    "report": NamesTo(TEXT),
    # not in files of earlier versions
    "discriminants?": NamesTo({"signal": ListOf(TEXT), "background": ListOf(TEXT)}),
    "names?": NamesTo(TEXT),
    "ratio?": NamesTo(TEXT),
    "network": _COST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """What a network costs; None where it is not known. Of an ensemble, all members together.

    ``parameters`` are the trainable ones. ``flops_per_row``: of one forward pass, the mean over
    rows of the data. A step of the training, without the time to wait for its data, was on
    ``training_step_rows`` rows in the mean. ``seconds_per_row``: of the forward pass, in the
    prediction. ``single_row_seconds``: of a row alone in ONNX Runtime, in one thread, as a trigger
    has it; only of predictions with an exported network.
    """

    parameters: int | None = None
    flops_per_row: float | None = None
    training_step_seconds: float | None = None
    training_step_rows: float | None = None
    seconds_per_row: float | None = None
    single_row_seconds: float | None = None


NO_COST = NetworkCost()


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutPrediction:
    """What a prediction file holds.

    ``outputs`` are the columns that the network gives, ``classes`` and ``targets`` the truth that
    lies beside them where the data have it, and ``report`` the expressions of columns of the file
    that a report is made of: the ``report:`` of the data YAML. ``discriminants`` are further
    columns, of which a report knows what they tell apart. ``names`` are what classes and variables
    are called in figures and tables. ``ratio`` is that of two samples: ``numerator`` and
    ``denominator``, which are labels, and ``normalise``.
    """

    task: str
    outputs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    report: Mapping[str, str] = field(default_factory=dict)
    discriminants: Mapping[str, Discriminant] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    ratio: Mapping[str, str] = field(default_factory=dict)
    network: NetworkCost = NO_COST

    def as_text(self) -> str:
        """What stands in the file."""
        return json_text(dataclasses.asdict(self), indent=None)


def about_prediction(task: Task, network: NetworkCost) -> AboutPrediction:
    """What a file with the columns of ``task`` holds, predicted by ``network``."""
    config = task.config
    labels = config.labels
    return AboutPrediction(
        task=task.name,
        outputs=tuple(task.output_names),
        classes=() if labels is None else tuple(labels.classes),
        targets=() if labels is None else tuple(labels.target_names),
        report={name: expression.source for name, expression in config.report.items()},
        # a graph may have been exported without them
        discriminants={
            name: discriminant
            for name, discriminant in config.discriminants.items()
            if name in config.derived_outputs
        },
        names=dict(config.names),
        ratio=_about_ratio(config.density_ratio),
        network=network,
    )


def _about_ratio(options: RatioOptions | None) -> dict[str, str]:
    """What is divided by what, and how it is normalised; nothing without a density ratio."""
    if options is None:
        return {}
    return {
        "numerator": options.numerator,
        "denominator": options.denominator,
        "normalise": options.normalise,
    }


def read_about(path: str, treename: str | None = None) -> AboutPrediction | None:
    """What the prediction file at ``path`` says of itself; None where it says nothing.

    Raises:
        DataError: it cannot be read, or what it says is damaged.
    """
    # opened as data first: errors of the file name it, and its nearest neighbour
    with open_reader(path, treename):
        return about_in(path)


def about_in(path: str) -> AboutPrediction | None:
    """The same of a file that is known to be readable.

    Raises:
        DataError: what it says is damaged.
    """
    text = read_notes(path, (ABOUT,)).get(ABOUT)
    if text is None:
        return None
    found = parse_json(text, _ABOUT, f"{path}: damaged metadata {ABOUT!r}")
    return AboutPrediction(
        task=found["task"],
        outputs=tuple(found["outputs"]),
        classes=tuple(found["classes"]),
        targets=tuple(found["targets"]),
        report=found["report"],
        discriminants={
            name: Discriminant(
                signal=tuple(classes["signal"]), background=tuple(classes["background"])
            )
            for name, classes in found.get("discriminants", {}).items()
        },
        names=found.get("names", {}),
        ratio=found.get("ratio", {}),
        network=_read_cost(found["network"]),
    )


def read_abouts(paths: Sequence[str], treename: str | None = None) -> AboutPrediction | None:
    """What the prediction files of one network say together; None where all say nothing.

    A cost that several of them know is that of the first, of times the mean.

    Raises:
        DataError: a file cannot be read, or is the prediction of another network.
    """
    known = {}
    for path in paths:
        about = read_about(path, treename)
        if about is not None:
            known[path] = about
    if not known:
        return None
    first_path, first = next(iter(known.items()))
    for path, about in known.items():
        _check_same_network(path, about, first_path, first)
    return replace(first, network=_joined_cost([about.network for about in known.values()]))


def _check_same_network(
    path: str, about: AboutPrediction, first_path: str, first: AboutPrediction
) -> None:
    """Raise DataError where two files of one model say different things of their network."""
    differences = []
    for name in ("task", "outputs", "classes", "targets", "report", "discriminants", "ratio"):
        if getattr(about, name) != getattr(first, name):
            differences.append((name, getattr(about, name), getattr(first, name)))
    sizes = (about.network.parameters, first.network.parameters)
    if None not in sizes and sizes[0] != sizes[1]:
        differences.append(("parameters", *sizes))
    for name, here, there in differences:
        raise DataError(
            f"{path}: its {name}: {_shown(here)}; {first_path}: {_shown(there)}: the files of one "
            "model are predictions of one network; give each network an argument of its own"
        )


def _shown(value: Any) -> str:
    """What a file says, for a message."""
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _joined_cost(costs: Sequence[NetworkCost]) -> NetworkCost:
    """One cost of several files: the first that is known, of times the mean of those."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(NetworkCost):
        values = [getattr(cost, item.name) for cost in costs]
        known = [value for value in values if value is not None]
        if not known:
            continue
        found[item.name] = sum(known) / len(known) if item.name in _TIMES else known[0]
    return NetworkCost(**found)


def parse_cost(text: str, where: str) -> NetworkCost:
    """A cost as JSON; ``where`` says in messages what it is of.

    Raises:
        DataError: it is damaged.
    """
    return _read_cost(parse_json(text, _COST, where))


def _read_cost(found: Mapping[str, Any]) -> NetworkCost:
    known = {item.name for item in dataclasses.fields(NetworkCost)}
    return NetworkCost(**{name: value for name, value in found.items() if name in known})
