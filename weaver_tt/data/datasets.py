"""Batches of any files for loops of one's own, as a dataset of torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from weaver_tt.config.plan import Purpose, make_plan, with_extra_selection, without_reweighting
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.loaders import Loader
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.scan import scan_files
from weaver_tt.data.shuffle.stream import Stream
from weaver_tt.errors import ConfigError
from weaver_tt.formats.file_groups import list_files, parse_groups
from weaver_tt.system.generators import closed_after


class BatchDataset(IterableDataset[Batch]):
    """Batches of the selected rows of files: ``for batch in dataset``.

    In order (the default) rows come as prediction reads them: selected by ``test_time_selection``
    where there is one, with observers, with labels where the files have them, none repeated. With
    ``shuffle`` they come as training reads them: labels are required, rows are drawn from a pool of
    ``pool_size`` rows filled from all files, reweighted as the YAML says, and the last batch is
    left out where it is not full. :meth:`set_epoch` makes another order.

    Each batch is a :class:`~weaver_tt.data.rows.batch.Batch` with tensors of its own on the CPU.
    ``torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)`` reads in worker
    processes, of which each takes a share of the rows.
    """

    def __init__(
        self,
        config: DataConfig,
        files: str | Path | Sequence[str | Path],
        *,
        batch_size: int = 128,
        shuffle: bool = False,
        seed: int = 0,
        pool_size: int = 100_000,
        extra_selection: str | None = None,
        on_bad_file: str = "stop",
    ) -> None:
        """``files`` and the options are as on the command line; all files are looked at once.

        Raises:
            ConfigError: a center is ``auto``, or tables of weights are missing: those come from
                ``fit_statistics``, or ``load_statistics`` of a training.
            DataError: a file cannot be read, or lacks a column; an expression does not fit the
                columns, or depends on other rows.
        """
        super().__init__()
        purpose: Purpose = "train" if shuffle else "predict"
        # in order, each row comes once, whatever weights say
        if not shuffle:
            config = without_reweighting(config)
        check_fitted(config)
        config = with_extra_selection(config, purpose, extra_selection)
        plan = make_plan(config, purpose)
        scan = scan_files(parse_groups(list_files(files)), config, plan, on_bad_file)
        self._shuffle = shuffle
        self._epoch = 0
        self._stream = Stream(
            config=config,
            plan=plan,
            scan=scan,
            sources=list(scan.sources),
            batch_size=batch_size,
            pool_size=pool_size,
            on_bad_file=on_bad_file,
            seed=seed,
            smallest_batch=min(2, batch_size) if shuffle else 1,
        )
        self._loader = Loader(self._stream, "cpu", shuffle=shuffle)
        # functions of the user's own may look across rows: tried before the first batch
        self._loader.try_first_rows()

    @property
    def accounting(self) -> Accounting:
        """What became of the rows in the running or latest pass, except in worker processes."""
        return self._loader.accounting

    def set_epoch(self, number: int) -> None:
        """Shuffle anew: the next pass is epoch ``number``."""
        self._epoch = number

    def __iter__(self) -> Iterator[Batch]:
        """One pass over the rows; in a worker process over its share of them."""
        info = get_worker_info()
        if info is None:
            batches = self._loader.epoch(self._epoch)
        else:
            batches = self._share_of_worker(info.id, info.num_workers)
        for batch in batches:
            # the tensors are buffers that the next batch is written to
            yield copy_batch(batch)

    def _share_of_worker(self, worker: int, workers: int) -> Iterator[Batch]:
        # a loader would count a share without rows as an error
        if self._shuffle:
            shares = self._stream.shuffled_batches(self._epoch, worker=worker, workers=workers)
        else:
            shares = self._stream.ordered_batches(worker, workers)
        padder = Padder(self._stream.config, "cpu")
        with closed_after(shares):
            for unpadded in shares:
                # the last one only accounts for rows
                if unpadded.rows is None:
                    continue
                batch = padder(unpadded.rows)
                batch.progress = unpadded.delivered / unpadded.expected
                yield batch


def check_fitted(config: DataConfig) -> None:
    """Raise ConfigError where something that training computes from its data is missing."""
    hint = (
        "load_statistics(config, model_prefix) takes them from a training, "
        "fit_statistics(config, files) computes them"
    )
    if config.needs_statistics:
        raise ConfigError(f"{config.source}: centers that are auto have no numbers yet; {hint}")
    if config.needs_target_statistics:
        raise ConfigError(f"{config.source}: targets that are standardised have no numbers; {hint}")
    if config.weights is not None and config.weights.summary is None:
        raise ConfigError(f"{config.source}: weights have no tables yet; {hint}")
    if config.bucketing is not None and config.bucketing.inner_edges is None:
        raise ConfigError(f"{config.source}: bucketing has no edges yet; {hint}")


def copy_batch(batch: Batch) -> Batch:
    """The batch with tensors of its own."""
    return replace(
        batch,
        inputs=_copy_tensors(batch.inputs),
        masks=_copy_tensors(batch.masks),
        counts=_copy_tensors(batch.counts),
        labels=_copy_tensors(batch.labels),
        monitors=_copy_tensors(batch.monitors),
        weight=None if batch.weight is None else batch.weight.clone(),
    )


def _copy_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}
