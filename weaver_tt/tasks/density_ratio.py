"""The ratio of the densities of two samples, of each row or of each object of a group.

Source: arXiv:2004.02665, section 7; losses in M. Sugiyama, T. Suzuki and T. Kanamori, "Density
Ratio Estimation in Machine Learning" (2012).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weaver_tt.config.schema import CLASS_LABEL, NO_CLASS, RATIO, DataConfig, InputGroup
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import WantedLabels
from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.metrics.base import LossMeter, Meter, Scored
from weaver_tt.metrics.density_ratio import LeftOutMeter, RatioMeter, class_sums
from weaver_tt.network.normalisation import find_normalisation
from weaver_tt.tasks.base import Output, Task
from weaver_tt.tasks.entries import Entries, to_jagged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# log(ratio) (M,) -> the losses of an entry of the numerator and of one of the denominator
RatioLoss = Callable[[Tensor], tuple[Tensor, Tensor]]
LARGEST_DEVIATION = 3  # standard deviations of the mean ratio from its value


def _bce(log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    """``-log(p)`` and ``-log(1 - p)`` of the probability p whose odds are the ratio."""
    # finite for any output, which log(sigmoid) is not
    return F.softplus(-log_ratio), F.softplus(log_ratio)


def _kl(log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    """``-log(r)`` and ``r``: the divergence of the numerator from r times the denominator."""
    return -log_ratio, log_ratio.exp()


def _lsif(log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    """``-r`` and ``r^2 / 2``: the squared error of r under the denominator, but for a constant."""
    ratio = log_ratio.exp()
    return -ratio, torch.square(ratio) / 2


LOSSES: dict[str, RatioLoss] = {"bce": _bce, "kl": _kl, "lsif": _lsif}


def _class_scales(sums: Tensor) -> Tensor:
    """What the losses of two classes with these sums of weights (2,) are multiplied by, (2,).

    Each class then has half of the sum of all weights; 0 where a sum is not above 0.
    """
    scales = sums.sum() / 2 / sums
    return torch.where((sums > 0).all(), scales, 0).float()


class DensityRatio(Task):
    """Network output (N, 1), or (N, 1, P) of the objects of a group: the logarithm of the ratio.

    What is learnt is ``p_numerator / p_denominator`` of densities normalised to 1, whatever the
    sizes of the samples: an entry counts for its weight over the sum of weights of its sample, so
    that both count alike. The losses are smallest at this ratio; with ``normalise: yield`` it is
    multiplied by the quotient of the sums of the training data.

    The sums that divide are those of the batch in training, of the training data in validation.
    With those of the training data in both, a batch with a few more entries of the numerator than
    usual would pull all ratios up, and the mean ratio would be what the last batches were made of.
    Each rank, and each batch of a group of ``--accumulate-batches``, has its own sums. A mean over
    weights that are all equal has no bias from this, however small the batch; where sizes or signs
    go with the inputs, it is of the order of 1 / (effective entries of a sample in the batch).

    Writes ``ratio``, or ``OBJECT_ratio`` with an entry for each object of the row, NaN beyond the
    input's length; with an ensemble ``..._std``. Objects of neither label have a ratio and do not
    count.

    A batch where the weights of a sample do not add up to more than 0 has no ratio, and its losses
    no lower bound. It has loss 0 in training; the number of such batches is a metric of the epoch.
    It is not joined with the next one, as a batch is what ranks, ``--resume`` and
    ``--accumulate-batches`` count. Batches are rarely so where they are large, and the statistics
    of the training data warn where they are not.
    """

    name = "density_ratio"
    completes_networks = True

    def __init__(self, config: DataConfig, *, object: str | None = None, **common: Any) -> None:
        """``object``: what the objects are called in output columns; their group without its s."""
        if config.density_ratio is None:
            raise ConfigError(
                f"{config.source}: task density_ratio needs `task: {{name: density_ratio, "
                "numerator: CLASS}` in the data YAML"
            )
        super().__init__(config, **common)
        assert config.labels is not None
        self.options = config.density_ratio
        self.classes = list(config.labels.expressions)
        # whose objects have a ratio; None for rows
        self.group: InputGroup | None = None
        self.object = object
        for group in config.labels.object_targets:
            self.group = config.inputs[group]
            self.object = object or group.removesuffix("s")
        if self.group is None and object is not None:
            raise ConfigError(
                f"{config.source}: task.object: only objects have a name, and the labels are "
                "those of rows"
            )
        self._losses = LOSSES[self.options.loss]
        # of denominator and numerator
        known = [self.options.sums.get(name, 1.0) for name in reversed(self.options.classes)]
        self._sums = torch.tensor(known, dtype=torch.float64)

    @property
    def wanted_labels(self) -> WantedLabels:
        """Objects are of a sample or not: labels of 0 and 1."""
        return WantedLabels(binary=frozenset(self.classes if self.group else ()))

    def judge_command(self, name: str, predictions: Sequence[str]) -> list[str]:
        """Closure: the samples are compared, as no entry has a true ratio.

        In the inputs that predictions have as observers; which ones those are is to be said where
        they have none.
        """
        inputs = [name for group in self.config.inputs.values() for name in group.names]
        known = [name for name in dict.fromkeys(inputs) if name in self.config.observers]
        variables = ["--variables", *(known or ["VARIABLES"])]
        return ["closure", *predictions, *variables, *self.weight_words(), "-o", "closure"]

    @property
    def output_names(self) -> list[str]:
        """``ratio``, or ``OBJECT_ratio``."""
        return [RATIO if self.group is None else f"{self.object}_{RATIO}"]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, 1) -> M = N rows, (N, 1, P) -> the M real objects; target 1 of the numerator."""
        value, spread = self.split_output(output)
        entries = Entries(batch, None if self.group is None else self.group.name)
        value = entries.outputs(value, self.output_names)  # (M, 1)
        if spread is not None:
            spread = entries.outputs(spread, self.output_names)  # (M, 1)
        weight = entries.weight(value)  # (M,)
        target = None
        if self.group is None and CLASS_LABEL in batch.labels:
            numbers = batch.labels[CLASS_LABEL]  # (M,)
            target = (numbers == self.classes.index(self.options.numerator)).float()
            target = target.masked_fill(numbers == NO_CLASS, torch.nan)
        labels = entries.labels(self.classes if self.group else ())
        if labels:
            target = (labels[self.options.numerator] == 1).float()
            # an object of neither sample counts for nothing
            weight = weight * ((target == 1) | (labels[self.options.denominator] == 1))
        return Scored(
            value,
            target,
            weight,
            counts=entries.counts(value),
            spread=spread,
            monitors=labels,
        )

    def losses(self, scored: Scored) -> Tensor:
        """The loss of each entry, times what its sample is scaled by, (M,).

        That is of the sums of the batch where there is a graph, in training.
        """
        assert scored.target is not None
        is_numerator = scored.target == 1
        if self.loss:
            own = self.own_loss(scored)
            losses = own, own
        else:
            losses = self._losses(scored.output[:, 0])
        if scored.output.requires_grad:
            sums = class_sums(scored)
        else:
            # batches are added up, and one of them may be anything
            sums = self._sums.to(scored.output.device)
        of_denominator, of_numerator = _class_scales(sums)
        return torch.where(is_numerator, of_numerator * losses[0], of_denominator * losses[1])

    def activate(self, output: Tensor) -> Tensor:
        """The ratio itself, in its normalisation."""
        return output.exp() * self.options.mean

    def meters(self) -> list[Meter]:
        """Loss; mean of the ratio, areas, effective size; batches that were left out."""
        training_size = self.options.sizes.get(self.options.denominator)
        return [LossMeter(), RatioMeter(training_size), LeftOutMeter()]

    def complete(
        self, module: nn.Module, measured: Mapping[str, float], best: Mapping[str, float]
    ) -> dict[str, float]:
        """Divide the ratio by its mean under the denominator, and give it that which it is to have.

        Of the metrics the mean and its errors are multiplied by the same factor. The loss hardly
        feels it, and stays what epochs were compared by.
        """
        normalisation = find_normalisation(module)
        mean = measured.get("mean_ratio")
        if normalisation is None or mean is None:
            return dict(best)
        expected = self.options.mean
        what = f"the mean of the ratio under {self.options.denominator}"
        if not mean > 0:
            log.warning("%s is %.5g: it is not normalised; are there too few rows?", what, mean)
            return dict(best)
        factor = expected / mean
        normalisation.shift += math.log(factor)
        log.info(
            "%s was %.5g ± %.2g on the rows of training and validation; times %.5g it is %.5g",
            what,
            mean,
            measured["mean_ratio_error"],
            factor,
            expected,
        )
        completed = dict(best)
        for name in ("mean_ratio", "mean_ratio_error", "normalisation_error"):
            if name in completed:
                completed[name] *= factor
        return completed

    def of_folds(self, tasks: Sequence[Task]) -> Task:
        """With the sums of weights of all folds: their rows have the quotient of these sums."""
        sums = dict.fromkeys(self.options.classes, 0.0)
        for task in tasks:
            assert isinstance(task, DensityRatio)
            for name, weight in task.options.sums.items():
                sums[name] += weight
        joint = copy(self)
        joint.options = replace(self.options, sums=sums)
        return joint

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        """A mean of the ratio that is far from what its normalisation says."""
        mean = metrics.get("mean_ratio")
        error = metrics.get("mean_ratio_error")
        if mean is None or error is None:
            return []
        expected = self.options.mean
        # of these rows, and of those that the normalisation comes from
        error = math.hypot(error, metrics.get("normalisation_error", 0.0))
        distance = abs(mean - expected)
        if not distance > LARGEST_DEVIATION * error:
            return []
        how_far = f"{distance / error:.1f} standard deviations" if error else f"{distance:.3g}"
        return [
            f"the mean of the ratio under {self.options.denominator} is {mean:.5g} ± {error:.2g}, "
            f"{how_far} from the {expected:.5g} of `normalise: {self.options.normalise}`: these "
            "are other samples than those of the training, or the network has learnt their "
            "fluctuations, or it is no best epoch of a finished training, which alone is normalised"
        ]

    def figures(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> dict[str, Figure]:
        """``ratio``: observed against predicted ratio."""
        # matplotlib takes a second to import: only where something is drawn
        from weaver_tt.figures.density_ratio import ratio_figures

        drawn: dict[str, Figure] = {}
        for meter, sums in zip(meters, totals, strict=True):
            if isinstance(meter, RatioMeter):
                drawn |= ratio_figures(meter, sums, self.options, self.config.names)
        return drawn

    def columns(self, scored: Scored) -> dict[str, Any]:
        """``ratio`` (N,), or jagged ``OBJECT_ratio`` and labels; ``..._std`` of an ensemble.

        A prediction file has the class columns of the data beside the ratio of rows.
        """
        columns = self.row_columns(scored)
        if self.group is None:
            return columns
        for name, values in (scored.monitors or {}).items():
            columns[name] = values.cpu().numpy()  # (M,)
        counts = scored.counts.cpu().numpy()  # (N,)
        return {
            name: to_jagged(values, counts, self.group.length) for name, values in columns.items()
        }
