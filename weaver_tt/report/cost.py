"""What networks cost, beside what they achieve: parameters, FLOPs, times, and the ant factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weaver_tt.output.about import NetworkCost
from weaver_tt.pages.cells import UNKNOWN, Cell, Column

ANT = "ant"  # the name of the factor
ANT_EFFICIENCY = 0.3  # of the signal, at which the ant factor takes the rejection

ABOUT_COST = (
    "A training step is on the stated number of rows, without the time to wait for them; a row is "
    "a forward pass in the prediction. A row alone is given to ONNX Runtime in one thread, as in a "
    "trigger, where a prediction is made with an exported network. Times are of the machine that "
    "they were measured on."
)


def _shown_number(value: float) -> str:
    return f"{value:,.0f}"


def _shown_time(value: float) -> str:
    """Three digits, of a long time more: ``1.22e+03`` is hard to read."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


# title of a column, the name of its number, and how it is shown
_COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("trainable parameters", "parameters", _shown_number),
    ("FLOPs of a row", "flops_per_row", _shown_number),
    ("training step [ms]", "training_step_ms", _shown_time),
    ("rows of a step", "training_step_rows", _shown_number),
    ("a row [ms]", "row_ms", _shown_time),
    ("a row alone, ONNX Runtime [ms]", "single_row_ms", _shown_time),
)


def cost_content(cost: NetworkCost) -> dict[str, float | None]:
    """What ``metrics.json`` says of a cost; times in milliseconds, None where it is not known."""
    return {
        "parameters": cost.parameters,
        "flops_per_row": cost.flops_per_row,
        "training_step_ms": _milliseconds(cost.training_step_seconds),
        "training_step_rows": cost.training_step_rows,
        "row_ms": _milliseconds(cost.seconds_per_row),
        "single_row_ms": _milliseconds(cost.single_row_seconds),
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def cost_columns(contents: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Titles and cells of a table of costs, a cell for each model; a dash for what is not known."""
    columns: list[Column] = []
    for title, name, shown in _COLUMNS:
        cells: list[str | Cell] = []
        for content in contents:
            value = content.get(name)
            cells.append(UNKNOWN if value is None else shown(value))
        columns.append((title, cells))
    return columns


def ant_factor(rejection: Mapping[str, Any], parameters: float | None) -> dict[str, float | None]:
    """A rejection (``value``, ``error``, perhaps ``at_least``) divided by a number of parameters.

    None where one of the two is not known.

    Source: Murnane, Thais and Wong, "A Comprehensive Comparison of GNN Architectures for Jet
    Tagging" (poster), ant = accuracy / model size.
    """
    if not parameters:
        return dict.fromkeys(("value", "error"))
    found = {}
    for name, number in rejection.items():
        found[name] = None if number is None else number / parameters
    return found
