"""What every task is: loss, meters and output columns of one thing to learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.errors import ConfigError
from weaver_tt.formats.file_groups import common_pattern
from weaver_tt.metrics.base import Meter, Scored, has_all_targets
from weaver_tt.metrics.combination import WATCHED_SUM, Combination, is_sum, parse_combination
from weaver_tt.metrics.direction import DIRECTIONS, Direction, metric_direction
from weaver_tt.metrics.headline import headline_metrics, own_metrics
from weaver_tt.network.derived import DerivedOutputs, raw_columns
from weaver_tt.network.outputs import Activated, Output, first_tensor, shape_text
from weaver_tt.system.user_code import noting_call

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # imported only where something is drawn

# Weaver's signature, loss(output, label): a mean, or one value an entry
Loss = Callable[[Tensor, Tensor], Tensor]


class Task(ABC):
    """What is learnt: loss, meters and output columns. Nothing outside asks which task it is.

    ``modules`` are trainable parts of the task itself, such as an adversary or a loss with
    parameters; several of them are an ``nn.ModuleDict``. They are trained, saved and resumed beside
    the network, and never exported.
    """

    name: ClassVar[str]
    has_targets: ClassVar[bool] = False  # whether `task.targets` of the data YAML is for it
    # whether it does what `task.decorrelate` of the data YAML asks for
    decorrelates: ClassVar[bool] = False
    # whether its networks are measured again at the end of a training, see :meth:`complete`
    completes_networks: ClassVar[bool] = False
    column_prefix: ClassVar[str] = ""  # of the columns of a prediction file, such as score_
    modules: nn.Module | None = None
    # of its modules, at the start of the schedule; None for that of the network
    learning_rate: float | None = None

    def __init__(
        self, config: DataConfig, *, loss: Loss | None = None, watch: str = "loss"
    ) -> None:
        """``loss``: a network file's own; ``watch``: the metric that makes the best epoch."""
        self.config = config
        self.loss = loss
        if isinstance(loss, nn.Module) and next(loss.parameters(), None) is not None:
            # a loss with parameters learns them
            self.modules = loss
        # where in the training the next batch is, for what changes on the way
        self.epochs_done = 0.0
        self.steps_done = 0
        self.choose(watch)

    def follow(self, epochs: float, steps: int) -> None:
        """Note that so many ``epochs``, with a fraction, and ``steps`` of a training are done.

        Called before each batch that is trained on; in a resumed run as if it had never stopped.
        """
        self.epochs_done = epochs
        self.steps_done = steps

    def to(self, device: torch.device) -> None:
        """Move what the task computes losses with to ``device``."""
        # a loss without parameters may still have weights of classes
        for part in (self.modules, self.loss):
            if isinstance(part, nn.Module):
                part.to(device)

    def train(self, mode: bool = True) -> None:
        """Training mode of the task's modules (or evaluation mode)."""
        if self.modules is not None:
            self.modules.train(mode)

    def choose(self, metric: str) -> None:
        """Let ``metric`` make the best epoch, where it is best; see :attr:`watch`.

        It may be a sum, such as ``auc - 0.5*loss``.
        """
        self._watched = metric
        self._direction: Direction | None = None
        # of which metrics it is the sum, once that has been looked at
        self._combination: Combination | None = None

    @property
    def watch(self) -> tuple[str, Direction]:
        """The metric that makes the best epoch, and whether it is best small, large or close to 0.

        A task may set both, ``self.watch = ("gain", "max")``, or leave the direction to its meters.

        Raises:
            ConfigError: the metric says nothing about the quality of the network.
        """
        if self._direction is None:
            # not before it is needed: a task can only make its meters when it is complete
            where = f"{self.config.source}: task.watch"
            if is_sum(self._watched):
                self._combination = parse_combination(self._watched, self.metric_names(), where)
            self._direction = self._find_direction(where)
        return self._watched, self._direction

    @watch.setter
    def watch(self, metric_and_direction: tuple[str, Direction]) -> None:
        metric, direction = metric_and_direction
        self._watched = metric
        self._combination = None
        self._direction = Direction(direction)

    def _find_direction(self, where: str) -> Direction:
        known = dict(DIRECTIONS)
        for meter in self.meters():
            for name, value in meter.directions.items():
                known[name] = None if value is None else Direction(value)
        if self._combination is None:
            # named by a task that does not ask whether it is measured
            direction = metric_direction(self._watched, known)
        else:
            direction = self._combination.direction(lambda name: metric_direction(name, known))
        if direction is not None:
            return direction
        if self._combination is not None and len(self._combination.terms) > 1:
            raise ConfigError(
                f"{where}: {self._watched!r} has no best value: of each term a large number must "
                "be good, or of each a small one"
            )
        raise ConfigError(
            f"{where}: {self._watched!r} has no best value: neither a large nor a small one "
            "is better; expected a metric of quality, such as loss"
        )

    def check_watch(self, where: str) -> None:
        """Check that the metric that makes the best epoch is measured, and has a best value.

        Raises:
            ConfigError: it is not or has not; ``where`` says who asked for it.
        """
        metrics = self.metric_names()
        self._combination = parse_combination(self._watched, metrics, where)
        if self._direction is None:
            self._direction = self._find_direction(where)

    @property
    def watched_names(self) -> list[str]:
        """The metrics that the watched one is made of: itself, as a rule."""
        return [self._watched] if self._combination is None else self._combination.names

    @property
    def watches_sum(self) -> bool:
        """Whether the watched metric is a sum, and none that is measured."""
        return is_sum(self._watched)

    def watched_value(self, metrics: Mapping[str, float]) -> float | None:
        """What decides which epoch is the best, of its ``metrics``; None where it is not known."""
        if self._combination is None:
            return metrics.get(self._watched)
        return self._combination.value(metrics)

    def judge_command(self, name: str, predictions: Sequence[str]) -> list[str]:
        """The command, as words behind ``weaver-tt``, that judges prediction files of a network.

        ``name``: what to call it. ``predictions``: of different rows, which are judged together.
        """
        # files behind commas would be those of several trainings
        models = f"{name}:{common_pattern(predictions)}"
        return ["report", models, *self.weight_words(), "-o", "report"]

    def weight_words(self) -> list[str]:
        """The flag with which rows count as in the loss, where predictions have their weight."""
        weight = self.config.event_weight
        if weight is None or weight.source not in self.config.observer_names:
            return []
        return ["--weight-column", weight.source]

    def metric_names(self) -> list[str]:
        """The names of all that the meters measure."""
        return [name for meter in self.meters() for name in _names_measured(meter)]

    @property
    def headline_metrics(self) -> list[str]:
        """The few metrics that say most of a network beside its loss: the watched ones first.

        Then come those of a user's own meters. Before them the sum, where one is watched: it
        decides.
        """
        measured = []
        own = []
        for meter in self.meters():
            names = _names_measured(meter)
            measured += names
            own += own_metrics(meter, names)
        found = headline_metrics(measured, self.watched_names, own)
        return [WATCHED_SUM, *found] if self.watches_sum else found

    @property
    def wanted_labels(self) -> WantedLabels:
        """What the data is checked for while it is read; by default any numbers will do."""
        return ANY_LABELS

    @abstractmethod
    def score(self, output: Output, batch: Batch) -> Scored:
        """The entries that count, of what the module returned: a tensor, tuple, list or dict.

        Ensembles and ONNX files give an :class:`Activated` output instead: ``activated_output``
        (its mean over members) and its spread. :meth:`split_output` reads both.
        """

    @abstractmethod
    def losses(self, scored: Scored) -> Tensor:
        """Loss of each entry from raw outputs, (M,); each has a target, at least one of several."""

    def batch_loss(self, scored: Scored, batch: Batch) -> Mapping[str, Tensor | None]:
        """Terms of the loss that are functions of a whole batch, such as a correlation; by name.

        Each is one number, already multiplied by its strength, from raw outputs; None where a batch
        is too small to tell. ``scored`` has the entries with a target, which may be fewer than the
        batch has rows. Training adds them to the mean loss of the entries and logs their mean
        over the epoch as ``train/NAME``. Validation does not compute them: a mean over batches
        depends on their size. What it should watch is a meter's, from the sums of an epoch.

        Over several ranks a term is computed from each rank's own batch, and the gradients are
        averaged, each weighted by the sum of |weight| of its batch, like the log's means. This is
        not the term of all ranks' batches taken together, unless the term is a weighted mean.
        """
        return {}

    @abstractmethod
    def activate(self, output: Tensor) -> Tensor:
        """Raw outputs -> what is written and exported (sigmoid, softmax, physical units).

        The shape is kept, dimension 1 is K: (M, K) of entries, (N, K) or (N, K, P) of a batch.
        """

    def in_units(self, values: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Activated values (M, K) in the units of the data, as they are by default.

        ``columns`` (M,) by name are :meth:`raw_columns`, where a transform of targets needs some.
        """
        return values

    def activated_entries(self, scored: Scored) -> Tensor:
        """What is written and measured of entries with raw outputs, (M, K)."""
        return self.activate(scored.output)

    @abstractmethod
    def meters(self) -> list[Meter]:
        """Fresh meters for an epoch."""

    def complete(
        self, module: nn.Module, measured: Mapping[str, float], best: Mapping[str, float]
    ) -> dict[str, float]:
        """Set what of a trained network is not learnt by steps, such as a normalisation.

        With ``completes_networks`` this is called when the training is over, with the best weights
        in ``module`` and what was ``measured`` of them on the rows of training and validation. What
        it changes is written with the weights. Returns the metrics of the ``best`` epoch as they
        are with it.
        """
        return dict(best)

    def of_folds(self, tasks: Sequence[Task]) -> Task:
        """What measures the rows of all folds of a cross-validation together.

        ``tasks`` are those of the folds, this one the first. They are alike by default.
        """
        return self

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        """What a user is to be warned of in the metrics of the best epoch or of a prediction.

        Nothing by default.
        """
        return []

    def figures(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> dict[str, Figure]:
        """Figures of an epoch by name, from its meters and their sums over all ranks.

        None by default. A task that draws imports matplotlib here, not at the top of its file.
        """
        return {}

    @abstractmethod
    def columns(self, scored: Scored) -> dict[str, Any]:
        """Activated entries -> output columns by name, and labels where the data has them.

        Each is an array (N,) or, for objects, an awkward array of N lists. N may be 0.
        """

    def empty_columns(self, spread: bool = False) -> dict[str, Any]:
        """The output columns of no row at all: names and types, for which no network is needed.

        ``spread``: with the spread of an ensemble.
        """
        output = torch.zeros(0, len(self.output_names))  # (0, K)
        counts = torch.zeros(0, dtype=torch.int64)
        nothing = Scored(
            output,
            target=None,
            weight=output.new_zeros(0),
            counts=counts,
            spread=output if spread else None,
            monitors={},
        )
        # as an ensemble would give them
        derived = torch.zeros(0, len(self.config.derived_outputs))  # (0, D)
        activated = Activated(output, None, derived, derived if spread else None)
        return self.columns(nothing) | self.derived_columns(activated)

    @property
    @abstractmethod
    def output_names(self) -> list[str]:
        """Names of the K outputs, as columns of a prediction file."""

    @property
    def value_names(self) -> list[str]:
        """Names of the K outputs for everybody else: those of the columns without their prefix.

        Classes and targets by the names of the YAML; what a subclass appends has no prefix.
        """
        return [name.removeprefix(self.column_prefix) for name in self.output_names]

    @property
    def derived(self) -> DerivedOutputs | None:
        """What the data YAML derives from the K outputs; None for nothing.

        Raises:
            ConfigError: an expression names an output that the network does not have.
        """
        if not self.config.derived_outputs:
            return None
        return DerivedOutputs(self.config, self.value_names)

    def check_decorrelation(self) -> None:
        """Check that the task does what `task.decorrelate` of the data YAML asks for.

        Raises:
            ConfigError: it does not.
        """
        if self.config.decorrelation is not None and not self.decorrelates:
            raise ConfigError(
                f"{self.config.source}: task.decorrelate: the task {self.name} cannot; "
                "classification and hybrid can, and tasks of network files that are made of them"
            )

    def check_derived(self) -> None:
        """Check that derived outputs are made of outputs, and have columns of their own.

        Raises:
            ConfigError: they read an output that there is not, or are named as another column.
        """
        if self.derived is None:
            return
        columns = [*self.output_names, *(f"{name}_std" for name in self.output_names)]
        for name in self.derived.names:
            for column in (name, f"{name}_std"):
                if column in columns:
                    raise ConfigError(
                        f"{self.config.source}: derived_outputs.{name}: {column!r} is a column of "
                        "predictions already; choose another name"
                    )

    def raw_columns(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The raw columns (N,) by name that derived outputs and transforms of targets need.

        ``inputs`` are those of a batch.
        """
        return raw_columns(self.config, inputs)

    def derived_columns(self, output: Output) -> dict[str, Any]:
        """Derived outputs by name, (N,) each, and ``NAME_std`` with an ensemble.

        None of what a module returned itself: only an :class:`Activated` output has them.
        """
        columns: dict[str, Any] = {}
        if not isinstance(output, Activated):
            return columns
        for values, ending in ((output.derived, ""), (output.derived_spread, "_std")):
            if values is not None:
                names = [f"{name}{ending}" for name in self.config.derived_outputs]
                columns |= dict(zip(names, values.cpu().numpy().T, strict=True))
        return columns

    def output_tensor(self, output: Output) -> Tensor:
        """The K outputs (N, K) or (N, K, P) of what the module returned: its first tensor.

        A task whose heads are all to be written and exported joins them here.
        """
        return first_tensor(output)

    def activated_output(self, output: Output) -> Tensor:
        """What is written, averaged over an ensemble and exported, of what the module returned."""
        return self.activate(self.output_tensor(output))

    def split_output(self, output: Output) -> tuple[Tensor, Tensor | None]:
        """The K outputs, (N, K) or (N, K, P), and their spread; a module's own have none."""
        return split(output, self.output_tensor)

    def row_columns(self, scored: Scored) -> dict[str, Any]:
        """Outputs of a per-row task by name, (N,) each, and ``NAME_std`` with an ensemble."""
        columns: dict[str, Any] = {}
        outputs = scored.output.cpu().numpy().T  # (K, N)
        for name, values in zip(self.output_names, outputs, strict=True):
            columns[name] = values
        if scored.spread is not None:
            spreads = scored.spread.cpu().numpy().T  # (K, N)
            for name, values in zip(self.output_names, spreads, strict=True):
                columns[f"{name}_std"] = values
        return columns

    def loss_arguments(self, scored: Scored) -> tuple[Tensor, Tensor]:
        """What the network file's loss is called with: outputs (M, K) and targets."""
        assert scored.target is not None
        return scored.output, scored.target

    def own_loss(self, scored: Scored) -> Tensor:
        """The network file's loss as one value an entry, (M,).

        It is called with the entries of which all targets are defined; that of the others is 0. A
        loss (M, K) is averaged over outputs; a mean stands for each of its entries.

        Raises:
            ConfigError: the loss has another shape.
        """
        assert scored.target is not None
        complete = scored.with_all_targets()
        losses = self._loss_of_complete(complete)
        if len(complete.output) == len(scored.output):
            return losses
        every = losses.new_zeros(len(scored.output))
        return every.masked_scatter(has_all_targets(scored.target), losses)

    def _loss_of_complete(self, scored: Scored) -> Tensor:
        """The network file's loss of entries that have all targets, (M,)."""
        assert self.loss is not None
        entries = len(scored.output)
        if not entries:
            # a mean over nothing would be NaN; this is (0,) and holds the graph
            return scored.output.sum(1)
        output, target = self.loss_arguments(scored)
        with noting_call(
            lambda: (
                f"the loss of get_loss, called with output {shape_text(output.shape)} and "
                f"label {shape_text(target.shape)}, N = {entries},"
            )
        ):
            value = self.loss(output, target)
        if value.ndim == 0:
            return value.expand(entries)  # (M,)
        if value.shape[0] != entries:
            raise ConfigError(
                f"get_loss: the loss has shape {tuple(value.shape)}; expected a mean or one value "
                f"for each of {entries} entries"
            )
        if value.ndim == 1:
            return value
        return value.flatten(1).mean(1)  # (M, ...) -> (M,)


def _names_measured(meter: Meter) -> list[str]:
    """The names of what a meter measures."""
    # any sums will do to learn them
    return list(meter.values(torch.ones_like(meter.totals())))


def split(
    output: Output, output_tensor: Callable[[Output], Tensor] = first_tensor
) -> tuple[Tensor, Tensor | None]:
    """The K outputs and their spread, which a module's own output does not have.

    ``output_tensor`` takes the K outputs from what a module returned.
    """
    if isinstance(output, Activated):
        return output.value, output.spread
    return output_tensor(output), None


def first_outputs(output: Tensor, number: int) -> Tensor:
    """The first ``number`` of K outputs, (M, K) -> (M, number)."""
    if output.shape[1] == number:
        # the gradient of a slice is a copy, also where nothing is cut off
        return output
    return output[:, :number]


def check_shape(output: Tensor, expected: Sequence[int], names: Sequence[str]) -> None:
    """Refuse a network whose output has another shape, with K = len(names) outputs.

    Raises:
        ConfigError: the shape of ``output`` is not the ``expected`` one.
    """
    if tuple(output.shape) != tuple(expected):
        raise ConfigError(
            f"the network's output has shape {tuple(output.shape)}; expected {tuple(expected)}, "
            f"one output for each of: {', '.join(names)}"
        )


def row_weight(batch: Batch, output: Tensor) -> Tensor:
    """Signed event weight of each row, (N,); ones without event weights."""
    if batch.weight is None:
        return torch.ones(len(output), device=output.device)
    return batch.weight
