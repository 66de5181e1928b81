"""The only loop over batches: training, validation, prediction, with torch and ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.host_counts import tensor_version
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import Meter, Scored
from weaver_tt.network.outputs import Output, to_float32
from weaver_tt.nn.objects.sharing import sharing
from weaver_tt.system.distributed import sum_over_ranks
from weaver_tt.system.generators import closed_after
from weaver_tt.tasks.base import Task

T = TypeVar("T")
CPU = torch.device("cpu")
WITHOUT_TARGET = "without_target"  # entries that no metric counts
# entries of a prediction that no metric counts, as the network gives NaN or infinity for them
WITHOUT_OUTPUT = "without_output"


class Runnable(Protocol):
    """What the loop needs of a network, an ensemble, an ONNX Runtime session."""

    activated: bool

    def __call__(self, inputs: dict[str, Tensor], /) -> Output:
        """What the module returns, raw; if ``activated``, an :class:`Activated` mean and spread."""


class Predictor(Runnable, Protocol):
    """What a prediction asks of one: a network, an ensemble, an ONNX Runtime session."""

    @property
    def has_spread(self) -> bool:
        """Whether its outputs come with a spread: several members, in one or in another form."""

    def eval(self) -> Any:
        """Evaluation mode."""

    def single_row_seconds(self, inputs: Mapping[str, Tensor]) -> float | None:
        """The time for a row alone, of the first rows of a batch; None where it is not asked for.

        A trigger has one row at a time, and runs exported networks.
        """


class Updater(Protocol):
    """What trains: it is given the losses (M,) of a batch and changes the network."""

    def __call__(self, losses: Tensor, scored: Scored, batch: Batch) -> None:
        """One step."""


class EpochMetrics(dict[str, float]):
    """Metrics of an epoch by name, of all ranks together.

    ``meters`` and ``totals``, the sums of each, are what a task draws its figures from.
    """

    def __init__(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> None:
        """``totals``: the sums of each meter, of all ranks.

        Raises:
            ConfigError: two meters give a metric of one name.
        """
        super().__init__()
        self.meters = list(meters)
        self.totals = list(totals)
        for meter, sums in zip(self.meters, self.totals, strict=True):
            values = meter.values(sums)
            for name in values:
                if name in self:
                    raise ConfigError(
                        f"two meters of the task measure {name!r}, and one would hide the other; "
                        "give one of them another name"
                    )
            self.update(values)

    @property
    def is_measured(self) -> bool:
        """Whether there is more in it than numbers of entries that were left out."""
        return bool(self.keys() - {WITHOUT_TARGET, WITHOUT_OUTPUT})

    def errors(self) -> dict[str, float]:
        """Statistical errors by name, of the metrics that have one.

        Where the error is a metric itself, ``NAME_error``, it is that: a task that completes a
        network knows it better than the sums (:meth:`~weaver_tt.tasks.base.Task.complete`).
        """
        found: dict[str, float] = {}
        for meter, sums in zip(self.meters, self.totals, strict=True):
            found |= meter.errors(sums)
        return {name: self.get(f"{name}_error", error) for name, error in found.items()}

    def details(self) -> dict[str, Any]:
        """What the meters know beyond these numbers, ready for JSON."""
        found: dict[str, Any] = {}
        for meter, sums in zip(self.meters, self.totals, strict=True):
            for name, detail in meter.details(sums).items():
                if isinstance(detail, Mapping) and isinstance(found.get(name), Mapping):
                    # such as targets that two meters know
                    detail = {**found[name], **detail}
                found[name] = detail
        return found


class TimedBatches(Generic[T]):
    """Iterates over ``batches``, once, and adds up the time spent waiting for them."""

    def __init__(self, batches: Iterable[T]) -> None:
        self._batches = batches
        self.waited = 0.0  # seconds

    def __iter__(self) -> Iterator[T]:
        """The batches."""
        iterator = iter(self._batches)
        with closed_after(iterator):
            while True:
                # the time between two batches is the caller's, and does not count
                start = time.perf_counter()
                batch = next(iterator, None)
                self.waited += time.perf_counter() - start
                if batch is None:
                    return
                yield batch


class Pass:
    """What one network does with the batches of an epoch, and what is measured of it.

    ``update`` trains on each batch. ``write`` is given its output columns and observers.
    ``meters`` continue from the sums of an interrupted epoch. ``amp`` is the type of the network's
    autocast on ``device``; losses stay in float32, and meters in float64.

    Entries whose target is undefined are written and otherwise left out: of losses, batch terms and
    meters. Without ``update`` their number is a metric, ``without_target``. With ``write``, entries
    for which the network gives NaN or infinity are written and left out of the meters; their number
    is a metric, ``without_output``.
    """

    def __init__(
        self,
        network: Runnable,
        task: Task,
        *,
        update: Updater | None = None,
        write: Callable[[dict[str, Any]], None] | None = None,
        meters: Sequence[Meter] | None = None,
        device: torch.device = CPU,
        amp: torch.dtype | None = None,
    ) -> None:
        self.network = network
        self.task = task
        self.update = update
        self.write = write
        self.meters = task.meters() if meters is None else meters
        self.device = device
        self.amp = amp
        self._without_target = 0
        self._without_output = 0

    def take(self, batch: Batch) -> None:
        """Run the network over a batch; learn from it, write it, measure it.

        Raises:
            ConfigError: training on data without labels; an observer has the name of a column.
        """
        task = self.task
        # only the update needs a graph; columns and metrics do not hold on to it
        with torch.set_grad_enabled(self.update is not None):
            output = _call_network(self.network, batch, self.device, self.amp)
            # padding ends here: what follows sees the entries that count
            scored = task.score(output, batch)
            if batch.undefined == {}:
                scored = replace(scored, all_defined=True)
            labelled = scored.with_target()
            self._without_target += len(scored.output) - len(labelled.output)
            losses = None
            if labelled.target is not None and not self.network.activated:
                losses = task.losses(labelled)  # (M,)
            if self.update is not None:
                if losses is None:
                    labels = ", ".join(task.config.label_names)
                    raise ConfigError(f"training needs the labels {labels} in the data")
                self.update(losses, labelled, batch)
        # losses are functions of raw outputs; all that is measured and written is activated
        labelled = _activated(labelled, task, self.network)
        if self.write is not None:
            written = _activated(scored, task, self.network)
            self._without_output += int((~_has_output(written)).sum())
            self.write(_with_observers(task, written, output, batch))
            # in training and validation NaN has to reach the loss, which stops there
            labelled, losses = _with_output(labelled, losses)
        if labelled.target is not None:
            for meter in self.meters:
                meter.update(labelled, losses)

    def metrics(self) -> EpochMetrics:
        """The metrics of all batches, on all ranks together; all ranks call this."""
        # ranks exchange sums once an epoch, not once a batch
        totals = [sum_over_ranks(meter.totals()) for meter in self.meters]
        metrics = EpochMetrics(self.meters, totals)
        # a training may have been resumed in the middle; the accounting of its data has all of them
        if self.update is None:
            left_out = torch.tensor([self._without_target, self._without_output])
            left_out = sum_over_ranks(left_out)
            names = (WITHOUT_TARGET, WITHOUT_OUTPUT)
            for name, number in zip(names, left_out.tolist(), strict=True):
                if number > 0:
                    metrics[name] = float(number)
        return metrics


class TakesBatches(Protocol):
    """A :class:`Pass`, or what stands around one."""

    def take(self, batch: Batch) -> None:
        """Run the network over a batch."""


def run_together(passes: Sequence[TakesBatches], batches: Iterable[Batch]) -> None:
    """Run several networks over the same ``batches``, one after another on each of them.

    What they make of a batch without weights is made once, see
    :func:`~weaver_tt.nn.objects.sharing.made_once`.

    Raises:
        ConfigError: training on data without labels; an observer has the name of a column; one of
            several networks changes its inputs in place.
    """
    with closed_after(batches):
        for batch in batches:
            with sharing(len(passes) > 1):
                versions = {name: tensor_version(tensor) for name, tensor in batch.inputs.items()}
                for number, each in enumerate(passes, start=1):
                    each.take(batch)
                    if number < len(passes):
                        _check_unchanged(batch, versions)


def _check_unchanged(batch: Batch, versions: Mapping[str, int]) -> None:
    """Check that a network has left the inputs as they were for the next one."""
    for name, tensor in batch.inputs.items():
        if tensor_version(tensor) != versions[name]:
            raise ConfigError(
                f"the network changes its input {name!r} in place, which the members of an "
                "ensemble share; let it work on a copy, such as x = x.clone()"
            )


def run_epoch(
    network: Runnable,
    task: Task,
    batches: Iterable[Batch],
    *,
    update: Updater | None = None,
    write: Callable[[dict[str, Any]], None] | None = None,
    meters: Sequence[Meter] | None = None,
    device: torch.device = CPU,
    amp: torch.dtype | None = None,
) -> EpochMetrics:
    """Run ``network`` over ``batches``; the metrics of all of them, on all ranks together.

    What else there is to say is said of a :class:`Pass`.

    Raises:
        ConfigError: training on data without labels; an observer has the name of a column.
    """
    alone = Pass(network, task, update=update, write=write, meters=meters, device=device, amp=amp)
    run_together([alone], batches)
    return alone.metrics()


def _has_output(scored: Scored) -> Tensor:
    """For which entries (M,) the network gives finite numbers."""
    return scored.output.isfinite().all(1)


def _with_output(scored: Scored, losses: Tensor | None) -> tuple[Scored, Tensor | None]:
    """The entries for which the network gives finite numbers, and their losses."""
    chosen = _has_output(scored)
    return scored.take(chosen), None if losses is None else losses[chosen]


def _activated(scored: Scored, task: Task, network: Runnable) -> Scored:
    """The same entries, detached, with probabilities, efficiencies, values as the output."""
    scored = scored.detach()
    if network.activated:
        return scored
    return replace(scored, output=task.activated_entries(scored))


def _with_observers(task: Task, scored: Scored, output: Output, batch: Batch) -> dict[str, Any]:
    """The columns of the task, what is derived of its outputs, and the observers of a batch.

    An observer may well be a label, as the data have it: classes come as such.
    """
    columns = task.columns(scored) | task.derived_columns(output)
    labels = task.config.labels
    results = columns.keys() - (set() if labels is None else labels.expressions.keys())
    refuse_observers(task, results & batch.observers.keys())
    return columns | batch.observers


def refuse_observers(task: Task, names: Iterable[str]) -> None:
    """Raise ConfigError for the first observer of ``names``: it is named like a result."""
    for name in sorted(names):
        raise ConfigError(
            f"{task.config.source}: observer {name!r} has the name of a column that {task.name} "
            "writes; rename it in new_variables"
        )


def _call_network(
    network: Runnable, batch: Batch, device: torch.device, amp: torch.dtype | None
) -> Output:
    """The network's output, whole, its tensors in float32."""
    with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
        output = network(batch.inputs)
    return to_float32(output)
