"""Outputs of a network of which the data know no truth: they are written, and nothing is learnt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.metrics.base import Meter, Scored
from weaver_tt.tasks.base import Output, Task, check_shape, row_weight
from weaver_tt.tasks.classification import Classification
from weaver_tt.tasks.regression import Regression


class Scores(Task):
    """Network output (N, K), as a network gives it that others have trained.

    Writes ``score_NAME`` for each of the K ``names``, and ``output_NAME`` for those of them that
    are ``targets``, real numbers.
    """

    name = "scores"

    def __init__(
        self, config: DataConfig, names: Sequence[str], targets: Collection[str] = ()
    ) -> None:
        super().__init__(config)
        self.names = list(names)
        self.targets = targets

    @property
    def output_names(self) -> list[str]:
        """``score_NAME`` or ``output_NAME`` of each output."""
        columns = []
        for name in self.names:
            task = Regression if name in self.targets else Classification
            columns.append(f"{task.column_prefix}{name}")
        return columns

    @property
    def value_names(self) -> list[str]:
        """The names of the outputs."""
        return self.names

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, K) -> M = N rows."""
        value, spread = self.split_output(output)  # (N, K)
        check_shape(value, (batch.size, len(self.names)), self.names)
        weight = row_weight(batch, value)  # (N,)
        counts = weight.new_ones(batch.size).long()
        return Scored(value, None, weight, counts, spread=spread)

    def losses(self, scored: Scored) -> Tensor:
        """Nothing is learnt."""
        raise NotImplementedError("scores have no loss")

    def activate(self, output: Tensor) -> Tensor:
        """The outputs themselves."""
        return output

    def meters(self) -> list[Meter]:
        """None: there is nothing to compare with."""
        return []

    def columns(self, scored: Scored) -> dict[str, Any]:
        """``score_NAME`` and ``output_NAME``, float32 (N,)."""
        return self.row_columns(scored)
