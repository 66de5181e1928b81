"""Values of rows by role (pt, mass, ...), from columns or expressions of columns.

R rows of a chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError, nearest
from weaver_tt.expressions.elementwise import fill_missing
from weaver_tt.expressions.evaluate import Expression, evaluate, parse_expression

Floats = npt.NDArray[np.float64]


def parse_sources(sources: Mapping[str, str]) -> dict[str, Expression]:
    """The expressions of the roles.

    Raises:
        ConfigError: one cannot be understood.
    """
    return {role: parse_expression(source, role) for role, source in sources.items()}


def columns_of(expressions: Mapping[str, Expression]) -> tuple[str, ...]:
    """Columns that expressions need, in the order of the roles, each once."""
    names: dict[str, None] = {}
    for expression in expressions.values():
        names |= dict.fromkeys(sorted(expression.names))
    return tuple(names)


def check_weights(weights: Floats, what: str) -> None:
    """Raise where one of the event weights (M,) is not finite, which no sum with it would be.

    ``what``: where they come from, for the message.

    Raises:
        DataError: one is not.
    """
    good = np.isfinite(weights)
    if not good.all():
        first = weights[np.argmin(good)]
        raise DataError(
            f"{what} is not finite in {int((~good).sum()):,} of {len(weights):,} (first: {first:g})"
        )


def values_by_role(
    expressions: Mapping[str, Expression], columns: Mapping[str, Any]
) -> dict[str, Floats]:
    """Values (R,) by role.

    Raises:
        DataError: a column is missing, or an expression gives no number for each row.
    """
    values = {}
    for role, expression in expressions.items():
        for name in sorted(expression.names):
            if name not in columns:
                raise DataError(f"no column {name!r} ({role}); {nearest(name, columns)}")
        column = ak.Array(fill_missing(evaluate(expression, columns)))
        if column.ndim != 1:
            raise DataError(
                f"{expression.source!r} ({role}) must give one number a row, its type is "
                f"{column.type}"
            )
        values[role] = ak.to_numpy(column).astype(np.float64)
    return values
