"""Variables that scores are to be independent of: raw, and known where they are decorrelated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import CLASS_LABEL, DataConfig, spectator
from weaver_tt.data.rows.rows import Floats, Integers
from weaver_tt.data.rows.table import Table, row_numbers
from weaver_tt.errors import DataError

Numbers = npt.NDArray[Any]


def decorrelated_rows(config: DataConfig, classes: Integers) -> npt.NDArray[np.bool_]:
    """Which of the rows with these ``classes`` (R,) are decorrelated, (R,)."""
    assert config.decorrelation is not None
    assert config.labels is not None
    numbers = [list(config.labels.classes).index(name) for name in config.decorrelation.classes]
    return np.isin(classes, numbers)


def row_spectators(
    table: Table,
    config: DataConfig,
    plan: Plan,
    where: str,
    labels: dict[str, Numbers],
    numbers_in_file: Integers | None = None,
) -> dict[str, Floats]:
    """The raw values of each decorrelated variable, float32 (R,), by its name among monitors.

    None in a prediction whose files lack one of them. ``labels`` (R,) are those of the rows,
    ``numbers_in_file`` (R,) their places, for messages.

    Raises:
        DataError: a variable has not one number for each row or, in training, is not finite in
            rows that are decorrelated.
    """
    found: dict[str, Floats] = {}
    if config.decorrelation is None:
        return found
    variables = config.decorrelation.variables
    if not all(name in table for name in variables):
        return found
    for name in variables:
        place = f"{where}: task.decorrelate.variable: {name!r}"
        # doubles beyond the range of float32 become infinite, and count as such
        with np.errstate(over="ignore"):
            values = row_numbers(table[name], place).astype(np.float32)
        found[spectator(name)] = values
        if plan.purpose != "train":
            continue
        counts = decorrelated_rows(config, labels[CLASS_LABEL])
        is_bad = counts & ~np.isfinite(values)  # (R,)
        if is_bad.any():
            first = int(is_bad.argmax())
            if numbers_in_file is not None:
                first = int(numbers_in_file[first])
            raise DataError(
                f"{place} is NaN or infinite in {is_bad.sum()} of {counts.sum()} selected rows of "
                f"{' and '.join(config.decorrelation.classes)} (the first is row {first}); give it "
                "a number in new_variables, such as nan_to_num(...), or leave such rows out by the "
                "selection"
            )
    return found
