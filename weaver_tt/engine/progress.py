"""What a loader, the meters and the clock say about a running training."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.batch_terms import BatchTerms, term_means
from weaver_tt.engine.loop import TimedBatches
from weaver_tt.log import log
from weaver_tt.metrics.base import Meter
from weaver_tt.system import distributed


class BatchLoader(Protocol):
    """Batches of an epoch, a pure function of its number; ``skip`` leaves out the first ones."""

    accounting: Accounting

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where known."""

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number``."""


def first_batches(loader: BatchLoader, number: int) -> Iterator[Batch]:
    """The first ``number`` batches of as many epochs as it takes; fewer only of a loader that has none."""
    return itertools.islice(itertools.chain.from_iterable(_nonempty_epochs(loader)), number)


def _nonempty_epochs(loader: BatchLoader) -> Iterator[Iterator[Batch]]:
    """The epochs, until one gives nothing."""
    for number in itertools.count():
        batches = loader.epoch(number)
        first = next(batches, None)
        if first is None:
            return
        yield itertools.chain([first], batches)


class IntervalMetrics:
    """What the meters and clocks say about the steps since they were read last."""

    def __init__(
        self,
        meters: Sequence[Meter],
        batches: TimedBatches[Batch],
        terms: BatchTerms | None = None,
    ) -> None:
        self._meters, self._batches = meters, batches
        self._terms = BatchTerms() if terms is None else terms
        self.rows = 0
        self._take()

    def _take(self) -> None:
        self._term_sums = self._terms.sums()
        self._totals = [meter.totals().cpu() for meter in self._meters]
        self._start, self._waited, self.rows = time.perf_counter(), self._batches.waited, 0

    def read(self) -> dict[str, float]:
        """This rank's metrics, rows per second and share of the time spent waiting for data; waits for the device."""
        totals = [meter.totals().cpu() for meter in self._meters]
        differences = zip(self._meters, totals, self._totals, strict=True)
        values = {
            name: value
            for meter, now, before in differences
            for name, value in meter.values(now - before).items()
        }
        values |= term_means(self._terms.sums(), self._term_sums)
        seconds = time.perf_counter() - self._start
        values |= {
            "rows_per_second": self.rows / seconds,
            "data_wait": (self._batches.waited - self._waited) / seconds,
        }
        self._take()
        return values


def nonfinite_columns(loader: BatchLoader, batch: Batch | None) -> list[str]:
    """Columns in which NaN or infinity was met: replaced ones of all the epoch's data, and what is left of them in ``batch``."""
    found = [
        f"{column} ({number} in the data, replaced)"
        for column, number in loader.accounting.nonfinite.items()
    ]
    if batch is None:
        return found
    tensors = (
        batch.inputs
        | batch.labels
        | ({} if batch.weight is None else {"event_weight": batch.weight})
    )
    return found + [
        f"{name} (in the latest batch)"
        for name, tensor in tensors.items()
        if not tensor.isfinite().all()
    ]


def total_accounting(loader: BatchLoader) -> Accounting:
    """What became of the epoch's rows, on all ranks together."""
    total = Accounting()
    for part in distributed.gather_from_ranks(loader.accounting):
        total.add(part)
    return total


def log_rows(title: str, loader: BatchLoader) -> dict[str, float]:
    """Log what became of the rows, on all ranks together; returns the counts by name."""
    total = total_accounting(loader)
    log.info("%s data: %s", title, total.report().replace("\n", "\n  "))
    names = (
        "read",
        "selected",
        "dropped",
        "sampled_out",
        "repeated",
        "used",
        "truncated",
        "nonfinite",
    )
    return {f"rows_{title}/{name}": float(sum(getattr(total, name).values())) for name in names} | {
        f"padding_{title}/{group}": now for group, (now, _) in total.padding().items()
    }
