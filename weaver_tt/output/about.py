"""What a prediction file says of itself: what was predicted, by which network, at what cost.

A text beside the rows, by which a report knows what to make of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import read_notes
from weaver_tt.system.file_shapes import TEXT, AnyOf, ListOf, NamesTo, Value
from weaver_tt.system.json_files import json_text, parse_json
from weaver_tt.tasks.base import Task

# the name of the text
ABOUT = "weaver_tt_about"

_NUMBER_OR_NONE = AnyOf((Value((NoneType,)), Value((int, float), least=0)))
_COST = {
    "parameters": _NUMBER_OR_NONE,
    "flops_per_row": _NUMBER_OR_NONE,
    "training_step_seconds": _NUMBER_OR_NONE,
    "training_step_rows": _NUMBER_OR_NONE,
    "seconds_per_row": _NUMBER_OR_NONE,
}
_ABOUT = {
    "task": TEXT,
    "outputs": ListOf(TEXT),
    "classes": ListOf(TEXT),
    "targets": ListOf(TEXT),
    "report": NamesTo(TEXT),
    "network": _COST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """What a network costs; None where it is not known. Of an ensemble, all members together.

    ``parameters`` are the trainable ones. ``flops_per_row``: of one forward pass, the mean over
    rows of the data. A step of the training, without the time to wait for its data, was on
    ``training_step_rows`` rows in the mean. ``seconds_per_row``: of the forward pass, in the
    prediction.
    """

    parameters: int | None = None
    flops_per_row: float | None = None
    training_step_seconds: float | None = None
    training_step_rows: float | None = None
    seconds_per_row: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutPrediction:
    """What a prediction file holds.

    ``outputs`` are the columns that the network gives, ``classes`` and ``targets`` the truth that
    lies beside them where the data have it, and ``report`` the expressions of columns of the file
    that a report is made of: the ``report:`` of the data YAML.
    """

    task: str
    outputs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    report: Mapping[str, str] = field(default_factory=dict)
    network: NetworkCost = NetworkCost()

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
        network=network,
    )


def read_about(path: str, treename: str | None = None) -> AboutPrediction | None:
    """What the prediction file at ``path`` says of itself; None where it says nothing.

    Raises:
        DataError: it cannot be read, or what it says is damaged.
    """
    # opened as data first: errors of the file name it, and its nearest neighbour
    with open_reader(path, treename):
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
        network=_read_cost(found["network"]),
    )


def parse_cost(text: str, where: str) -> NetworkCost:
    """A cost as JSON; ``where`` says in messages what it is of.

    Raises:
        DataError: it is damaged.
    """
    return _read_cost(parse_json(text, _COST, where))


def _read_cost(found: Mapping[str, Any]) -> NetworkCost:
    known = {item.name for item in dataclasses.fields(NetworkCost)}
    return NetworkCost(**{name: value for name, value in found.items() if name in known})
