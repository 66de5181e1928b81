"""What a real target must be so that it can be learnt: errors that name file, row and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class TargetChecks:
    """Checks of the targets of a table of R rows, ``row_numbers`` (R,) of the file ``where``."""

    table: Table
    config: DataConfig
    where: str
    row_numbers: Integers

    def check_logarithms(self, name: str, is_missed: Flags) -> None:
        """Check that no target is undefined for a logarithm of what is not above 0.

        ``is_missed`` (R,): rows that lack a value, and are not masked.

        Raises:
            DataError: one is, as a pT that is 0, negative or NaN would make it.
        """
        if not is_missed.any():
            return
        for source, argument in self._logarithms(name):
            values = flat_column(evaluate_column(argument, self.table, self.where, self.config))
            if not isinstance(values, np.ndarray) or values.shape != is_missed.shape:
                continue
            is_bad = is_missed & ~(values > 0)
            if not is_bad.any():
                continue
            columns = {column: self.table[column] for column in sorted(argument.names)}
            raise DataError(
                f"{self.where}: label {name!r}: the logarithm in {source!r} needs numbers above 0: "
                f"{self._describe(name, is_bad, columns)}"
            )

    def _logarithms(self, name: str) -> Iterator[tuple[str, Expression]]:
        """Each logarithm that a target is made of: where it stands, and what it is taken of."""
        assert self.config.labels is not None
        expression = self.config.labels.targets[name]
        variables = self.config.new_variables
        made_of = dependency_order(self.config, sorted(expression.names))
        sources = [expression, *(variables[part] for part in made_of if part in variables)]
        for source in sources:
            for argument in arguments_of_logarithms(source):
                if argument.names <= self.table.keys():
                    yield source.source, argument

    def check_domain(self, name: str, values: Floats, is_learnt: Flags) -> None:
        """Check that the values (R,) of a target have an image, where it ``is_learnt`` (R,).

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

    def _describe(self, name: str, is_bad: Flags, shown: Table) -> str:
        """How many rows are bad, the first of them with the columns ``shown``, and what to do."""
        first = int(is_bad.argmax())
        values = ", ".join(f"{column} = {numbers[first]:g}" for column, numbers in shown.items())
        return (
            f"{is_bad.sum()} of {len(is_bad)} selected rows have others (the first is row "
            f"{int(self.row_numbers[first])}: {values}); leave them out by the selection, or by a "
            f"label {name}_mask"
        )
