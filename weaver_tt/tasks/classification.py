"""Classification: one class per row, softmax and cross entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from weaver_tt.config.schema import CLASS_LABEL, DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import LossMeter, Meter, Scored, innermost
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.tasks.base import Output, check_shape, first_outputs, row_weight
from weaver_tt.tasks.classes import TaskWithClasses

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Classification(TaskWithClasses):
    """Network output (N, K) logits of the K classes.

    Writes ``score_CLASS`` and, where known, the class as 0/1 columns. A subclass may append outputs
    (``output_names``): loss and metrics of the classes look at the first K. Where the data YAML
    says ``decorrelate``, scores are kept independent of other variables
    (:class:`~weaver_tt.tasks.decorrelation.Decorrelator`).
    """

    name = "classification"
    column_prefix = "score_"

    def __init__(self, config: DataConfig, **common: Any) -> None:
        super().__init__(config, **common)
        if config.labels is None or not config.labels.classes:
            raise ConfigError(
                f"{config.source}: task classification needs `labels.type: simple` with a list of "
                "classes, or one label of type custom with `classes`, whose number it is"
            )
        self.set_classes(config.labels.classes)

    @property
    def output_names(self) -> list[str]:
        """``score_CLASS`` of each class."""
        return [f"{self.column_prefix}{name}" for name in self.classes]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, K) -> M = N rows."""
        value, spread = self.split_output(output)  # (N, K)
        names = self.value_names
        check_shape(value, (batch.size, len(names)), names)
        weight = row_weight(batch, value)  # (N,)
        return Scored(
            value,
            batch.labels.get(CLASS_LABEL),
            weight,
            counts=weight.new_ones(batch.size).long(),
            spread=spread,
            monitors=self.spectators(output, batch),
        )

    def losses(self, scored: Scored) -> Tensor:
        """Cross entropy, (M,)."""
        assert scored.target is not None
        if self.loss:
            return self.own_loss(scored)
        # outputs that a subclass appended are no classes
        logits = first_outputs(scored.output, len(self.classes))  # (M, K)
        return nn.functional.cross_entropy(logits, scored.target, reduction="none")

    def activate(self, output: Tensor) -> Tensor:
        """Softmax over classes."""
        return output.softmax(1)

    def meters(self) -> list[Meter]:
        """Loss; accuracy, areas, confusion; what a selection does to other variables."""
        meters: list[Meter] = [LossMeter(), ClassificationMeter(self.classes)]
        if self.decorrelator is not None:
            meters += self.decorrelator.meters()
        return meters

    def figures(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> dict[str, Figure]:
        """ROC curves, scores, calibration, confusion matrix, areas of pairs of classes."""
        return figures_of_classes(meters, totals, self.config.names)

    def columns(self, scored: Scored) -> dict[str, Any]:
        """Scores by class, and the true class as 0/1 columns where there are labels.

        ``score_CLASS`` is float32 (N,), with ``score_CLASS_std`` of an ensemble; ``CLASS`` is int8,
        all 0 where a row has no class. A prediction file has the columns of the data instead.
        """
        columns = self.row_columns(scored)
        if scored.target is not None:
            target = scored.target.cpu().numpy()  # (N,)
            for number, name in enumerate(self.classes):
                columns[name] = (target == number).astype(np.int8)
        return columns


def figures_of_classes(
    meters: Sequence[Meter], totals: Sequence[Tensor], names: Mapping[str, str]
) -> dict[str, Figure]:
    """The figures of each meter of classes, from the sums of all ``meters``.

    ``names`` are what classes are called in them.
    """
    # matplotlib takes a second to import: only where something is drawn
    from weaver_tt.figures.classification import classifier_figures

    drawn: dict[str, Figure] = {}
    for meter, sums in zip(map(innermost, meters), totals, strict=True):
        if not isinstance(meter, ClassificationMeter):
            continue
        summary = meter.summarize(sums)
        if not summary.is_empty:
            drawn |= classifier_figures(summary, names)
    return drawn
