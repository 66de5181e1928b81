"""A running training in numbers: from its loader, its meters and the clock."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.batch_terms import BatchTerms, term_means
from weaver_tt.engine.loop import TimedBatches
from weaver_tt.engine.throughput import Measurement, time_shares
from weaver_tt.log import log, shown_when_new
from weaver_tt.metrics.base import Meter
from weaver_tt.system import distributed
from weaver_tt.system.stage_times import StageTimes

ROW_COUNTS = (
    "read",
    "selected",
    "dropped",
    "sampled_out",
    "repeated",
    "used",
    "truncated",
    "nonfinite",
    "undefined",
)


class BatchLoader(Protocol):
    """Batches of an epoch, a pure function of its number: a resumed epoch has the same ones."""

    accounting: Accounting
    times: StageTimes  # of all epochs so far
    workers: int  # processes that read

    @property
    def reads_copies(self) -> bool:
        """Whether its files are temporary copies."""

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where known."""

    def epoch(self, number: int, skip: int = 0, shares: int | None = None) -> Iterator[Batch]:
        """The batches of epoch ``number``, without the first ``skip``.

        Where ``shares`` is given, of rows that are shared as so many ranks would share them.
        """

    def check_rows(self, total: Accounting) -> None:
        """Raise an error where the rows of all ranks, in a whole pass, are none."""


def first_batches(loader: BatchLoader, number: int) -> Iterator[Batch]:
    """The first ``number`` batches, of as many epochs as it takes.

    A loader that has no batch at all gives none.
    """
    batches = itertools.chain.from_iterable(_nonempty_epochs(loader))
    return itertools.islice(batches, number)


def _nonempty_epochs(loader: BatchLoader) -> Iterator[Iterator[Batch]]:
    """The epochs, up to the first that has no batch."""
    for number in itertools.count():
        batches = loader.epoch(number)
        first = next(batches, None)
        if first is None:
            # without this a loader of nothing would be asked for epochs for ever
            return
        yield itertools.chain([first], batches)


class IntervalMetrics:
    """Metrics and rates of the steps since they were last read."""

    def __init__(
        self,
        meters: Sequence[Meter],
        batches: TimedBatches[Batch],
        terms: BatchTerms | None = None,
        times: StageTimes | None = None,
    ) -> None:
        """``meters``, ``terms`` and ``times`` go on adding up; here they are only read."""
        self._meters = meters
        self._batches = batches
        self._terms = BatchTerms() if terms is None else terms
        self._times = StageTimes() if times is None else times
        self._begin()

    def _begin(self) -> None:
        """Begin an interval here: what has been added up so far does not belong to it."""
        self._totals = [meter.totals().cpu() for meter in self._meters]
        self._term_sums = self._terms.sums()
        self._start = time.perf_counter()
        self._waited = self._batches.waited
        self._times_before = self._times.copy()
        self.rows = 0

    def read(self) -> dict[str, float]:
        """This rank's metrics, rows per second and the shares of time, waiting for data first.

        Waits for the device.
        """
        values: dict[str, float] = {}
        for meter, before in zip(self._meters, self._totals, strict=True):
            # sums of the interval alone: nothing is reset, so the epoch's metrics are not disturbed
            values |= meter.values(meter.totals().cpu() - before)
        values |= term_means(self._terms.sums(), self._term_sums)
        seconds = time.perf_counter() - self._start
        values["rows_per_second"] = self.rows / seconds
        values["data_wait"] = (self._batches.waited - self._waited) / seconds
        times = self._times.since(self._times_before)
        values |= time_shares(Measurement(seconds, 0, times))
        self._begin()
        return values


def describe_nonfinite(loader: BatchLoader, batch: Batch | None = None) -> str:
    """What was NaN or infinite in the data read so far, and what is in the latest ``batch``."""
    accounting = loader.accounting
    parts = []
    replaced = accounting.describe_places("nonfinite")
    if replaced:
        parts.append(f"values taken as 0: {', '.join(replaced)}")
    undefined = accounting.describe_places("undefined")
    if undefined:
        parts.append(f"labels without a value, left out of the loss: {', '.join(undefined)}")
    in_batch = [] if batch is None else _nonfinite_tensors(batch)
    if in_batch:
        parts.append(f"in the latest batch: {', '.join(in_batch)}")
    if parts:
        return f"NaN or infinite in the data: {'; '.join(parts)}"
    return "The inputs, labels, monitored columns and weights that were read are finite"


def _nonfinite_tensors(batch: Batch) -> list[str]:
    """Names of the tensors of a batch with NaN or infinite values, but for labels with gaps."""
    known_gaps = batch.undefined or {}
    tensors = batch.inputs | batch.monitors
    for name, labels in batch.labels.items():
        if name not in known_gaps:
            tensors[name] = labels
    if batch.weight is not None:
        tensors["event_weight"] = batch.weight
    return [name for name, tensor in tensors.items() if not tensor.isfinite().all()]


def total_accounting(loader: BatchLoader) -> Accounting:
    """What became of the epoch's rows, on all ranks together."""
    total = Accounting()
    for of_rank in distributed.gather_from_ranks(loader.accounting):
        total.add(of_rank)
    return total


def log_rows(title: str, loader: BatchLoader) -> dict[str, float]:
    """Log what became of the epoch's rows, on all ranks together; the counts by name."""
    total = total_accounting(loader)
    log.info(
        "%s data: %s",
        title,
        total.report().replace("\n", "\n  "),
        # what is drawn of the rows differs from epoch to epoch
        extra=shown_when_new(f"{title} data", (total.read, total.dropped, total.lost)),
    )
    values = {}
    for name in ROW_COUNTS:
        counts = getattr(total, name)  # by file group, or by column
        values[f"rows_{title}/{name}"] = float(sum(counts.values()))
    for group, (share, _) in total.padding().items():
        values[f"padding_{title}/{group}"] = share
    return values
