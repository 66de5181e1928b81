"""What a real target must be so that it can be learnt: errors that name file, row and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.schema import DataConfig, Target
from weaver_tt.config.targets import arguments_of_logarithms
from weaver_tt.data.rows.rows import Floats, Integers
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column, row_numbers
from weaver_tt.data.rows.target_transforms import domain_problem
from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import Expression

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]


def transform_columns(table: Table, config: DataConfig, where: str) -> dict[str, torch.Tensor]:
    """The columns that targets are ratios to, float64 (R,) each.

    Raises:
        DataError: one has not one number for each row.
    """
    columns = {}
    for name in config.transform_columns:
        place = f"{where}: task.targets: ratio to {name!r}"
        columns[name] = torch.from_numpy(row_numbers(table[name], place)).double()
    return columns


def row_values(column: Any) -> Numbers | None:
    """A column with one number a row, (R,); None for any other."""
    values = flat_column(column)
    return values if isinstance(values, np.ndarray) and values.ndim == 1 else None


@dataclass(frozen=True, slots=True)
class TargetChecks:
    """Checks of the targets of the M ``entries`` of a table: its rows, or objects of them.

    ``row_numbers`` (M,) are those of the file ``where`` that they are in. ``values_of`` gives the
    values (M,) of a column of the table, None for one that has no value for each entry.
    """

    table: Table
    config: DataConfig
    where: str
    row_numbers: Integers
    entries: str = "rows"
    values_of: Callable[[Any], Numbers | None] = row_values

    def check_logarithms(self, name: str, is_missed: Flags) -> None:
        """Check that no target is undefined for a logarithm of what is not above 0.

        ``is_missed`` (M,): entries that lack a value, and are not masked.

        Raises:
            DataError: one is, as a pT that is 0, negative or NaN would make it.
        """
        if not is_missed.any():
            return
        for source, argument in self._logarithms(name):
            values = self.values_of(evaluate_column(argument, self.table, self.where, self.config))
            if values is None or values.shape != is_missed.shape:
                continue
            is_bad = is_missed & ~(values > 0)
            if not is_bad.any():
                continue
            columns = {}
            for column in sorted(argument.names):
                numbers = self.values_of(self.table[column])
                if numbers is not None and numbers.shape == is_missed.shape:
                    columns[column] = numbers
            raise DataError(
                f"{self.where}: label {name!r}: the logarithm in {source!r} needs numbers above 0: "
                f"{self._describe(name, is_bad, columns)}"
            )

    def _logarithms(self, name: str) -> Iterator[tuple[str, Expression]]:
        """Each logarithm that a target is made of: where it stands, and what it is taken of."""
        assert self.config.labels is not None
        expression = self.config.labels.regressed.targets[name]
        variables = self.config.new_variables
        made_of = dependency_order(self.config, sorted(expression.names))
        sources = [expression, *(variables[part] for part in made_of if part in variables)]
        for source in sources:
            for argument in arguments_of_logarithms(source):
                if argument.names <= self.table.keys():
                    yield source.source, argument

    def check_domain(self, name: str, values: Floats, is_learnt: Flags) -> None:
        """Check that the values (M,) of a target have an image, where it ``is_learnt`` (M,).

        Raises:
            DataError: some have none under the target's transform.
        """
        chain = self.config.targets.get(name, Target()).transform
        if not chain:
            return
        columns = transform_columns(self.table, self.config, self.where)
        learnt = torch.from_numpy(is_learnt)
        problem = domain_problem(torch.from_numpy(values).double(), chain, columns, learnt)
        if problem is not None:
            why, is_bad = problem
            shown = {name: values, **columns}
            raise DataError(
                f"{self.where}: label {name!r}: transform {why}: "
                f"{self._describe(name, is_bad.numpy(), shown)}"
            )

    def _describe(self, name: str, is_bad: Flags, shown: Mapping[str, Any]) -> str:
        """How many entries are bad, the first with the columns ``shown``, and what to do."""
        first = int(is_bad.argmax())
        values = ", ".join(f"{column} = {numbers[first]:g}" for column, numbers in shown.items())
        return (
            f"{is_bad.sum()} of {len(is_bad)} selected {self.entries} have others (the first is "
            f"{'row' if self.entries == 'rows' else 'in row'} {int(self.row_numbers[first])}: "
            f"{values}); leave them out by the selection, or by a label {name}_mask"
        )
