"""Loaders of batches for training, validation and prediction.

Without worker processes a thread decodes and batches ahead while the consumer computes. Batches
travel jagged and are padded by the consumer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

import awkward as ak
import torch

from weaver_tt.config.plan import Purpose, make_plan, with_extra_selection, without_reweighting
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import sample_files, select_window
from weaver_tt.data.first_rows import FILES_OF_GROUP, read_first_rows, rows_and_counts
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import (
    ANY_LABELS,
    WantedLabels,
    check_class_variety,
    warn_of_empty_classes,
)
from weaver_tt.data.rows.observers import empty_observers
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.rows.table import describe_empty_selections
from weaver_tt.data.scan import Scan, scan_files
from weaver_tt.data.shuffle.read_ahead import read_ahead
from weaver_tt.data.shuffle.stream import (
    READ_AHEAD,
    Stream,
    UnpaddedBatch,
    batches_of_rests,
)
from weaver_tt.data.shuffle.workers import WorkerShare, batches_of_workers
from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import parse_groups, without_copies_folder
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.system.stage_times import Stage, StageTimes

BATCHES_AHEAD = 4  # batches that the thread may be ahead


class Loader:
    """The batches of one rank, epoch after epoch.

    Their tensors live in buffers that the next batch overwrites.
    """

    def __init__(
        self,
        stream: Stream,
        device: torch.device | str,
        *,
        shuffle: bool,
        repeat: bool = False,
        steps: int | None = None,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        shorten: bool = False,
        may_be_empty: bool = False,
        in_turns: bool = False,
    ) -> None:
        """``repeat``: every epoch is the same; ``shorten``: pad to the longest row of a batch.

        ``may_be_empty``: a selection that drops all rows is no error. ``in_turns``: ranks take
        ranges of entries in turn, so that what they make of them can be put into input order.
        """
        self.steps = steps  # batches in an epoch where that is fixed
        self.accounting = Accounting()  # of the running or the last epoch
        self.times = StageTimes()  # of all epochs so far, threads and worker processes included
        # rows of bad files that were left out, in all epochs so far
        self.lost = {*stream.scan.accounting.lost, *stream.scan.lost_in_statistics}
        self.scan = stream.scan
        self.groups = stream.scan.groups
        self._stream = stream
        self._padder = Padder(stream.config, device, shorten)
        self._shuffle = shuffle
        self._repeat = repeat
        self.workers = workers
        self._rank = rank
        self._world = world
        self._may_be_empty = may_be_empty
        self._in_turns = in_turns
        self._is_whole = True  # whether the latest epoch read all rows of its shares
        self._reported_classes = False  # whether classes without rows have been warned of
        self._reported_objects = False  # whether selections that nothing passes have been

    @property
    def turns(self) -> int:
        """In how many turns the ranks take all ranges of entries."""
        return self._stream.turns(self._world)

    @property
    def rows_of_groups(self) -> dict[str, int]:
        """File group -> rows in the files that are read in an epoch, before the selection."""
        rows: dict[str, int] = {}
        for source in self._stream.sources:
            group = self.groups[source.group]
            rows[group] = rows.get(group, 0) + source.rows
        return rows

    @property
    def files(self) -> int:
        """How many files have rows for it."""
        return len(self._stream.sources)

    @property
    def reads_copies(self) -> bool:
        """Whether its files are temporary copies (``--copy-inputs``)."""
        paths = [source.path for source in self._stream.sources]
        return all(without_copies_folder(path) != path for path in paths)

    def empty_observers(self) -> dict[str, ak.Array]:
        """The observers of no rows: names and types, as far as they are known without rows."""
        scan = self.scan
        columns = [name for name in scan.columns[0] if all(name in other for other in scan.columns)]
        return empty_observers(columns, scan.types, self._stream.plan, self._stream.config)

    def try_first_rows(self, files: int = FILES_OF_GROUP) -> dict[str, Accounting]:
        """Take the first rows of some files of each group through all but the padding.

        Returns what was counted in each group.

        Raises:
            DataError: expressions, labels or weights do not fit the columns, or an expression
                depends on other rows.
        """
        stream = self._stream
        first = read_first_rows(
            stream.config,
            stream.plan,
            stream.scan,
            files=files,
            skip_bad=stream.on_bad_file == "skip",
        )
        _, accounting = rows_and_counts(first, stream.config, stream.plan, stream.wanted_labels)
        return accounting

    def epoch(self, number: int, skip: int = 0, shares: int | None = None) -> Iterator[Batch]:
        """The batches of epoch ``number``, without the first ``skip`` of them.

        With ``shares``, an epoch that so many ranks have begun goes on: this rank takes the shares
        whose numbers leave its own when they are divided by the number of ranks, each without its
        first ``skip`` batches.

        Raises:
            DataError: no row passes the selection, no object of the training data that of its
                group, or a file cannot be read.
        """
        self.accounting = Accounting()
        self.accounting.add(self._stream.scan.accounting)
        self._is_whole = True
        if shares is None:
            own = [(self._rank, self._world)]
        else:
            own = [(share, shares) for share in range(self._rank, shares, self._world)]
        for done, share in enumerate(own):
            for batch in self._batches_of_share(number, skip, share):
                batch.progress = (done + batch.progress) / len(own)
                yield batch
        if self._world == 1:
            # one rank of several has seen a part of the rows only
            self.check_rows(self.accounting)

    def _batches_of_share(self, number: int, skip: int, share: tuple[int, int]) -> Iterator[Batch]:
        """The batches of a ``share`` of the rows: its number, and of how many it is one."""
        done = 0
        rows_of_batches = self._rows_of_batches(0 if self._repeat else number, skip, share)
        with closing(rows_of_batches) as parts:
            for rows, part_of_epoch, turn in parts:
                done += 1
                if done > skip and rows is not None:
                    with self.times.stage(Stage.PADDING):
                        batch = self._padder(rows)
                    batch.turn = turn
                    self._account_padding(rows, batch)
                    if self.steps is None:
                        batch.progress = part_of_epoch
                    else:
                        batch.progress = done / self.steps
                        if not self._shuffle:
                            # read in order, the rows may end before the steps do
                            batch.progress = max(batch.progress, part_of_epoch)
                    yield batch
                if done == self.steps:
                    self._is_whole = False
                    return

    def _rows_of_batches(
        self, number: int, skip: int, share: tuple[int, int]
    ) -> Generator[tuple[Rows | None, float, int], None, None]:
        """The rows of each batch, the share of the epoch that is done with it, and its turn.

        Of the first ``skip`` batches there may be no rows.
        """
        stream = self._stream
        whole = stream.batch_size if self.workers and stream.hands_over else None
        progress = _Progress(self.workers, whole)
        rests = []
        delivers = False
        with closing(self._unpadded_batches(number, skip, *share)) as batches:
            for unpadded in self.times.over(Stage.WAITING, batches):
                self.times.add(unpadded.times)
                self.accounting.add(unpadded.accounting)
                self.lost.update(unpadded.accounting.lost)
                part_of_epoch = progress.after(unpadded)
                if unpadded.number >= 0:
                    delivers = True
                    yield unpadded.rows, part_of_epoch, unpadded.turn
                elif unpadded.rest is not None:
                    rests.append(unpadded.rest)
        # what is left of all workers; data of less than a batch is one smaller batch
        smallest = None if delivers else stream.smallest_batch
        for rows, used in batches_of_rests(rests, stream.batch_size, smallest):
            for group, entries in used.items():
                self.accounting.used[self.groups[group]] += entries
            yield rows, progress.after_rest(rows.size), 0

    def _account_padding(self, rows: Rows, batch: Batch) -> None:
        """Count how much of a batch of similar rows is padding."""
        if self._stream.buckets == 1:
            return
        # groups that share the counts have the same objects: the first of them stands for all
        groups: dict[int, str] = {}
        for name, jagged in rows.objects.items():
            groups.setdefault(id(jagged.counts), name)
        slots = self.accounting.slots
        for name in groups.values():
            length = self._stream.config.inputs[name].length or 0
            slots[name, "objects"] += batch.real[name]
            slots[name, "padded"] += batch.masks[name].numel()
            slots[name, "full"] += rows.size * length

    def _unpadded_batches(
        self, number: int, skip: int, rank: int, world: int
    ) -> Generator[UnpaddedBatch, None, None]:
        """The batches of epoch ``number`` as they come from a thread or from processes."""
        stream = self._stream
        if self._in_turns:
            return read_ahead(stream.batches_in_turns(rank, world), BATCHES_AHEAD)
        if not self._shuffle:
            return read_ahead(stream.ordered_batches(rank, world, skip), BATCHES_AHEAD)
        if self.workers:
            share = WorkerShare(stream, number, rank, world, skip)
            return batches_of_workers(share, self.workers)
        batches = stream.shuffled_batches(number, rank, world, skip=skip)
        return read_ahead(batches, BATCHES_AHEAD)

    def check_rows(self, counts: Accounting) -> None:
        """After a pass that read ``counts`` rows: warn of classes that have none.

        Raises:
            DataError: there was no row, or the training lacks a class.
        """
        config = self._stream.config
        plan = self._stream.plan
        if not counts.selected.total():
            if self._may_be_empty:
                return
            why = "none is left"
            if plan.selection is not None:
                why = f"the selection {plan.selection.source!r} drops all of them"
            raise DataError(f"{config.source}: {counts.read.total()} rows were read, {why}")
        self._check_objects(counts)
        if not self._is_whole:
            return
        if self._is_training:
            check_class_variety(counts, config, self._stream.wanted_labels)
        if not self._reported_classes:
            kind = "validation" if plan.purpose == "train" else "test"
            warn_of_empty_classes(counts, config, "training" if self._shuffle else kind)
            self._reported_classes = True

    @property
    def _is_training(self) -> bool:
        """Whether these are batches to train on."""
        return self._shuffle and not self._repeat

    def _check_objects(self, counts: Accounting) -> None:
        """After a pass: raise DataError, or warn once, if no object of a group was left."""
        empty = describe_empty_selections(counts, self._stream.config)
        if not empty:
            return
        message = f"{self._stream.config.source}: object_selection: {'; '.join(empty)}"
        if self._is_training:
            raise DataError(message)
        if not self._reported_objects:
            log.warning("%s", message)
            self._reported_objects = True


class _Progress:
    """How far an epoch is, from what its streams (one for each worker) report."""

    def __init__(self, workers: int, whole: int | None) -> None:
        """``whole``: rows of a batch, where only whole batches are delivered in the end."""
        self._streams = max(1, workers)
        self._whole = whole
        self._handed_over = 0
        self._delivered: dict[int, int] = {}
        self._expected: dict[int, float] = {}
        self._highest = 0.0

    def after(self, unpadded: UnpaddedBatch) -> float:
        """Share of the epoch's rows delivered once ``unpadded`` is; never falls."""
        self._delivered[unpadded.worker] = unpadded.delivered
        self._expected[unpadded.worker] = unpadded.expected
        # workers that have not reported yet are assumed to be like the others
        silent = self._streams - len(self._expected)
        return self._share(sum(self._expected.values()) * (1 + silent / len(self._expected)))

    def after_rest(self, rows: int) -> float:
        """The same once ``rows`` of what all workers handed over are delivered, too."""
        self._handed_over += rows
        return self._share(sum(self._expected.values()))

    def _share(self, total: float) -> float:
        if self._whole is not None and total >= self._whole:
            # what is left then is left out
            total = total // self._whole * self._whole
        if total:
            delivered = sum(self._delivered.values()) + self._handed_over
            self._highest = max(self._highest, min(delivered / total, 1.0))
        return self._highest


def train_loader(
    config: DataConfig,
    options: DataOptions,
    *,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    device: torch.device | str = "cpu",
    any_length: bool = True,
    wanted_labels: WantedLabels = ANY_LABELS,
    scan: Scan | None = None,
    identify: bool = False,
) -> Loader:
    """Shuffled batches of the training files, reweighted as the YAML says.

    With labels and weight, without observers. With bucketing, batches are only as long as their
    longest row needs, unless the network takes but one length (``any_length`` False).
    ``scan``: an earlier one (of :func:`fit_statistics`), which is used if it is of these files.
    ``identify``: batches say which row of which file each of theirs is.

    Raises:
        DataError: a file cannot be read or lacks a column, or there is no row.
    """
    config = with_extra_selection(config, "train", options.extra_selection_train)
    rows_per_step = options.batch_size * world
    steps = _steps_per_epoch(options.steps_per_epoch, options.samples_per_epoch, rows_per_step)
    groups = parse_groups(options.data_train)
    plan = make_plan(config, "train")
    scan = scan_files(groups, config, plan, options.on_bad_file, scan)
    high = options.data_fraction
    if not options.data_val:
        high *= options.train_val_split
    stream = _make_stream(
        config, options, scan, "train", (0.0, high), options.batch_size, wanted_labels
    )
    stream = replace(
        stream,
        seed=seed,
        endless=steps is not None,
        # of a single row, batch norm has no variance
        smallest_batch=min(2, options.batch_size),
        file_fraction=options.file_fraction,
        identify=identify,
        # a worker process has no consumer beside it that a thread could work for
        read_ahead=0 if options.num_workers else READ_AHEAD,
    ).keeping_small_data()
    return Loader(
        stream,
        device,
        shuffle=True,
        steps=steps,
        workers=options.num_workers,
        rank=rank,
        world=world,
        shorten=any_length and config.bucketing is not None,
    )


def val_loader(
    config: DataConfig,
    options: DataOptions,
    *,
    rank: int = 0,
    world: int = 1,
    device: torch.device | str = "cpu",
    wanted_labels: WantedLabels = ANY_LABELS,
    scan: Scan | None = None,
    identify: bool = False,
) -> Loader | None:
    """Validation batches in input order, the last one as it comes; None where there are no rows.

    If there are more rows than the number of steps needs, the same ones are drawn in each epoch,
    from everywhere: files may hold one class each. ``scan``: that of the training, which is used
    where the validation rows are in the training files. ``identify``: batches say which row of
    which file each of theirs is.

    Raises:
        DataError: a file cannot be read or lacks a column, or there is no row.
    """
    if not options.data_val and options.train_val_split >= 1:
        return None
    config = with_extra_selection(without_reweighting(config), "train", options.extra_selection_val)
    size = options.batch_size_val or options.batch_size
    rows_per_step = size * world
    steps = _steps_per_epoch(
        options.steps_per_epoch_val, options.samples_per_epoch_val, rows_per_step
    )
    groups = parse_groups(options.data_val or options.data_train)
    plan = make_plan(config, "train")
    scan = scan_files(groups, config, plan, options.on_bad_file, scan)
    fraction = options.data_fraction_val
    if fraction is None:
        fraction = options.data_fraction
    low = 0.0 if options.data_val else options.train_val_split
    high = low + (1 - low) * fraction
    stream = _make_stream(config, options, scan, "train", (low, high), size, wanted_labels)
    sources = sample_files(stream.sources, options.file_fraction, 0)
    stream = replace(stream, sources=sources, identify=identify)
    rows = sum(source.rows for source in stream.sources)
    wanted = rows if steps is None else steps * rows_per_step
    if wanted < rows:
        # a pool that holds more than what is wanted would decode rows for nothing
        stream = replace(stream, pool_size=min(stream.pool_size, 2 * wanted))
    return Loader(
        stream.keeping_small_data(),
        device,
        shuffle=wanted < rows,
        repeat=True,
        steps=steps,
        rank=rank,
        world=world,
    )


def test_loaders(
    config: DataConfig,
    options: DataOptions,
    *,
    rank: int = 0,  # noqa: PT028
    world: int = 1,  # noqa: PT028
    device: torch.device | str = "cpu",  # noqa: PT028
    wanted_labels: WantedLabels = ANY_LABELS,  # noqa: PT028
    scan: Scan | None = None,  # noqa: PT028
    identify: bool = False,  # noqa: PT028
) -> dict[str, Loader]:
    """For each file group its selected rows in input order, or the ranges that this rank takes.

    With observers, and with labels where the files have them. ``scan``: that of
    :func:`scan_test_files` with the same configuration and options. ``identify``: batches say which
    row of which file each of theirs is.

    Raises:
        DataError: a file cannot be read or lacks a column, or there is no row.
    """
    if not options.data_test:
        return {}
    if scan is None:
        scan = scan_test_files(config, options)
    config = with_extra_selection(
        without_reweighting(config), "predict", options.extra_selection_test
    )
    size = options.batch_size_test or options.batch_size
    loaders = {}
    for number, group in enumerate(scan.files):
        part = scan.of_group(number)
        stream = _make_stream(config, options, part, "predict", (0.0, 1.0), size, wanted_labels)
        stream = replace(stream, identify=identify)
        # one file of many may well hold nothing of interest: whoever predicts says so
        loaders[group.name] = Loader(
            stream,
            device,
            shuffle=False,
            rank=rank,
            world=world,
            may_be_empty=True,
            in_turns=True,
        )
    return loaders


def scan_test_files(
    config: DataConfig, options: DataOptions, *, may_be_empty: bool = False
) -> Scan:
    """What is in the test files, of all groups together, so that their columns have the same types.

    ``may_be_empty``: files without any row are no error.

    Raises:
        DataError: a file cannot be read or lacks a column, or there is no row.
    """
    config = with_extra_selection(
        without_reweighting(config), "predict", options.extra_selection_test
    )
    groups = parse_groups(options.data_test, divide=True)
    plan = make_plan(config, "predict")
    return scan_files(groups, config, plan, options.on_bad_file, may_be_empty=may_be_empty)


# not a test, whatever pytest thinks of its name
test_loaders.__test__ = False  # type: ignore[attr-defined]


def _steps_per_epoch(steps: int | None, samples: int | None, rows_per_step: int) -> int | None:
    """Batches in an epoch, given as such or in rows; None, or Weaver's -1, is all of the data."""
    if steps is None and samples is not None:
        return max(1, samples // rows_per_step)
    if steps is not None and steps < 0:
        return None
    return steps


def _make_stream(
    config: DataConfig,
    options: DataOptions,
    scan: Scan,
    purpose: Purpose,
    window: tuple[float, float],
    size: int,
    wanted_labels: WantedLabels,
) -> Stream:
    """The stream of the part of each file's rows between two fractions."""
    wanted_labels.check_names(config)
    low, high = window
    sources = []
    for source in scan.sources:
        part = select_window(source, low, high)
        if part.rows:
            sources.append(part)
    # a test group may be without rows
    if scan.sources and not sources:
        raise DataError(
            f"no rows to read: the share {low:g} to {high:g} of each of {len(scan.sources)} "
            "files is empty"
        )
    return Stream(
        config=config,
        plan=make_plan(config, purpose),
        scan=scan,
        sources=sources,
        batch_size=size,
        pool_size=options.pool_size,
        on_bad_file=options.on_bad_file,
        wanted_labels=wanted_labels,
    )
