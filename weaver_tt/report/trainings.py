"""Several trainings of one network: the median one is reported, with the spread between them.

As in the ParticleNet and ParticleNeXt studies: a network is trained from several initial weights,
the training of median accuracy is shown, and the standard deviation of each number over the
trainings stands beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaver_tt.errors import DataError
from weaver_tt.report.evaluation import (
    ColumnBins,
    EvaluatedModel,
    evaluate_model,
    headline_metrics,
)
from weaver_tt.report.scores import ModelFiles

Number = Mapping[str, Any]  # value, error, perhaps at_least and, of several trainings, spread


@dataclass(frozen=True)
class EvaluatedTrainings:
    """The trainings of one network, one or several, on the same rows."""

    each: Sequence[EvaluatedModel]

    @property
    def median_place(self) -> int:
        """The training of median accuracy; of an even number, the lower of the two in the middle.

        A mean of two would be no training, and have no curves.
        """
        places = range(len(self.each))
        ordered = sorted(places, key=lambda place: self.each[place].summary.accuracy[0])
        return ordered[(len(ordered) - 1) // 2]

    @property
    def median(self) -> EvaluatedModel:
        """The training at :attr:`median_place`."""
        return self.each[self.median_place]

    def metrics(self, shown: Sequence[str] = ()) -> dict[str, Any]:
        """What ``metrics.json`` says: the median training, and with several what they share.

        Of many classes it has pairs of those ``shown``.
        """
        details = self.median.metrics(shown)
        if len(self.each) == 1:
            return details
        of_each = [model.metrics(shown) for model in self.each]
        details["trainings"] = {
            "files": [list(model.source.paths) for model in self.each],
            "accuracy": [one["accuracy"]["value"] for one in of_each],
        }
        for name in details["ant"]:
            with_spread(details["ant"][name], [one["ant"][name] for one in of_each])
        return details

    def headlines(self, signals: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The numbers that models are compared by, those of several trainings with a spread."""
        headlines = headline_metrics(self.median.summary.details(), signals)
        if len(self.each) > 1:
            of_each = [headline_metrics(one.summary.details(), signals) for one in self.each]
            for title, number in headlines.items():
                with_spread(number, [one[title] for one in of_each])
        return headlines


def with_spread(number: dict[str, Any], of_each: Sequence[Number]) -> None:
    """Add how far the trainings lie apart: ``spread``, and the number of ``trainings``.

    The spread is the standard deviation of one training, sqrt(sum (x - mean)^2 / (n - 1)); None
    where one of the values is not known.
    """
    values = [one["value"] for one in of_each]
    is_known = None not in values
    number["spread"] = statistics.stdev(values) if is_known else None
    number["trainings"] = len(values)


def evaluate_trainings(
    source: ModelFiles, classes: list[str], binning: ColumnBins | None
) -> EvaluatedTrainings:
    """Read all files of all trainings of a model.

    Raises:
        DataError: as of :func:`evaluate_model`, or the trainings are evaluated on other rows.
    """
    each = []
    for training in source.each_training():
        model = evaluate_model(training, classes, binning)
        each.append(model)
        here = model.summary.confusion.sum(1).tolist()
        there = each[0].summary.confusion.sum(1).tolist()
        if here != there:
            raise DataError(
                f"{training.paths[0]}: has {_count(classes, here)}; {each[0].source.paths[0]} has "
                f"{_count(classes, there)}: trainings of {source.name} are compared on the same "
                "rows"
            )
    return EvaluatedTrainings(each)


def _count(classes: Sequence[str], entries: Sequence[float]) -> str:
    """``2,000 top, 1,990 qcd``; sums of weights where there are such."""
    counts = zip(classes, entries, strict=True)
    return ", ".join(f"{number:,.6g} {name}" for name, number in counts)
