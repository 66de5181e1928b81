"""A sample of rows as the network sees them, which an exported network is compared on.

Training keeps some hundred of them beside the model, in ``PREFIX_sample.npz``, and the columns of
the files that they are made of in ``PREFIX_sample.parquet``.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import DERIVED_INPUTS, DataConfig, InputGroup, Variable
from weaver_tt.data.loaders import Loader
from weaver_tt.data.raw_rows import read_raw_rows
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.rows import Integers
from weaver_tt.data.rows.table import Table
from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import ParquetSink
from weaver_tt.physics.particles import BOTTOM, CHARM, LIGHT
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import writing

# input group -> (R, C, P), or (R, C) for scalars
Sample = dict[str, npt.NDArray[np.float32]]

# one row in 8 may be without objects: enough to compare on, and most rows are left to the others
ROWS_PER_EMPTY = 8
# rows of a sample
SAMPLE_ROWS = 256
MAX_BYTES = 2_000_000_000  # of a sample once it is unpacked: 256 rows of 2 million values


@dataclass(frozen=True, slots=True)
class SampleRows:
    """Rows as the network sees them, and the columns of the files that they are made of.

    ``raw`` has the same rows as ``tensors``; no columns where they are not known.
    """

    tensors: Sample
    raw: Table = field(default_factory=dict)


def collect_sample(batches: Iterable[Batch], rows: int = SAMPLE_ROWS) -> Sample:
    """The first ``rows`` rows of ``batches``, at most one in eight of them without any object.

    No more batches are read than needed.
    """
    sample, _ = collect_rows(batches, rows)
    return sample


def collect_sample_rows(loader: Loader, config: DataConfig, rows: int = SAMPLE_ROWS) -> SampleRows:
    """:func:`collect_sample` of a loader that identifies its rows, with their raw columns.

    ``config`` is that of the loader.

    Raises:
        DataError: a file cannot be read.
    """
    sample, identity = collect_rows(loader.epoch(0), rows)
    if not sample:
        return SampleRows({})
    return SampleRows(sample, read_raw_rows(identity, loader.scan, config))


def join_samples(parts: Sequence[SampleRows]) -> SampleRows:
    """The rows of all ``parts``, at least one, in their order."""
    tensors = {
        name: np.concatenate([part.tensors[name] for part in parts]) for name in parts[0].tensors
    }
    raw = {name: ak.concatenate([part.raw[name] for part in parts]) for name in parts[0].raw}
    return SampleRows(tensors, raw)


def collect_rows(batches: Iterable[Batch], rows: int) -> tuple[Sample, Integers]:
    """:func:`collect_sample`, and which rows of the files these are, (R,).

    There are none of these numbers where the batches do not say it.
    """
    parts: list[Sample] = []
    identities = [np.zeros(0, np.int64)]
    missing = rows
    empty_left = max(1, rows // ROWS_PER_EMPTY)
    for batch in batches:
        empty = _is_empty(batch)  # (N,)
        # skip rows without objects once there are enough of them
        keep = ~empty | (np.cumsum(empty) <= empty_left)  # (N,)
        # and stop at the number of rows that is wanted
        keep &= np.cumsum(keep) <= missing
        part = {}
        for name, tensor in batch.inputs.items():
            part[name] = tensor.detach().cpu().numpy()[keep]
        parts.append(part)
        if batch.identity is not None:
            identities.append(batch.identity[keep])
        missing -= int(keep.sum())
        empty_left -= int((keep & empty).sum())
        if missing == 0:
            break
    names = list(parts[0]) if parts else []
    sample = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return sample, np.concatenate(identities)


def _is_empty(batch: Batch) -> npt.NDArray[np.bool_]:
    """(N,) True for rows that have no object in any group.

    False everywhere when all groups are scalars.
    """
    if not batch.masks:
        return np.zeros(batch.size, bool)
    empty = np.ones(batch.size, bool)
    for mask in batch.masks.values():
        empty &= ~mask.detach().cpu().numpy().any(1)
    return empty


def save_sample(prefix: str | Path, sample: Sample) -> Path:
    """Write ``sample`` to ``PREFIX_sample.npz``, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    path = RunFiles(str(prefix)).sample
    with writing(path) as file:
        np.savez_compressed(file, **sample)  # type: ignore[arg-type]
    return path


def save_raw_sample(prefix: str | Path, raw: Table) -> Path:
    """Write the raw columns of the sample, if any, to ``PREFIX_sample.parquet``, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    path = RunFiles(str(prefix)).raw_sample
    if not raw:
        # those of an earlier training would be of other rows
        path.unlink(missing_ok=True)
        return path
    with writing(path) as file:
        sink = ParquetSink(file, "", "")
        sink.append({name: ak.Array(values) for name, values in raw.items()})
        sink.close()
    return path


def load_raw_sample(model: str | Path) -> Table | None:
    """The raw columns saved with a model, named by its prefix or any of its files.

    None where there is no such file: earlier versions kept none.

    Raises:
        DataError: the file is damaged.
    """
    files = RunFiles.of(model)
    path = files.raw_sample if files.raw_sample.exists() else files.run.raw_sample
    if not path.exists():
        return None
    try:
        with open_reader(str(path)) as reader:
            columns = reader.read(reader.columns(), 0, reader.rows())
    except DataError as error:
        raise DataError(
            f"{path}: not a sample of rows ({error}); remove it, or give rows with -t"
        ) from error
    return columns or None


def load_sample(model: str | Path) -> Sample | None:
    """The rows saved with a model, named by its prefix or any of its files.

    Members of an ensemble share them. None where there is no such file or no row in it.

    Raises:
        DataError: the file is damaged.
    """
    files = RunFiles.of(model)
    path = files.sample if files.sample.exists() else files.run.sample
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            # a file of some megabytes may unpack to any size
            size = sum(entry.file_size for entry in file.zip.infolist())
            if size > MAX_BYTES:
                raise ValueError(f"{size} bytes unpacked")
            sample = {name: _numbers(file[name], name) for name in file.files}
    # the rest is what numpy and zlib run into
    except (
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        OSError,
        EOFError,
        MemoryError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(
            f"{path}: not a sample of rows ({error}); remove it, or give rows with -t"
        ) from error
    return sample or None


def with_derived_inputs(sample: Sample, config: DataConfig) -> Sample:
    """A sample with random columns for ``derived_inputs``, where it has none.

    It has none if the training did not know of derived outputs.
    """
    if config.derived_inputs is None or DERIVED_INPUTS in sample:
        return sample
    rows = len(next(iter(sample.values())))
    return {**sample, DERIVED_INPUTS: random_sample(config, rows)[DERIVED_INPUTS]}


def check_sample(sample: Sample, config: DataConfig, model: str | Path) -> None:
    """Check that a sample that was loaded with a model has the inputs of ``config``.

    Raises:
        DataError: a group is missing, or has other variables or rows.
    """
    rows = {len(values) for values in sample.values()}
    if len(rows) > 1:
        raise DataError(f"{model}: the groups of its sample differ in their rows")
    for name, group in config.batch_groups.items():
        if name not in sample:
            raise DataError(
                f"{model}: its sample has no group {name!r}; {nearest(name, sample)}; give rows "
                "with -t"
            )
        shape = sample[name].shape
        if len(shape) != len(group.shape) or shape[1] != len(group.variables):
            raise DataError(
                f"{model}: the group {name!r} of its sample has the shape {shape}, the data YAML "
                f"says {group.shape}; give rows with -t"
            )


def _numbers(values: npt.NDArray[Any], name: str) -> npt.NDArray[np.float32]:
    """The rows of one group as float32, (R, C, P) or (R, C).

    Raises:
        ValueError: they are something else.
    """
    if values.ndim not in (2, 3) or values.dtype.kind not in "fiub":
        raise ValueError(f"{name!r} has the shape {values.shape} and the type {values.dtype}")
    return values.astype(np.float32, copy=False)


def random_sample(config: DataConfig, rows: int = 256, seed: int = 1) -> Sample:
    """Random rows for a model without a sample, with one object or more.

    Values are within the variables' ranges, and padded as the data are.
    """
    random = np.random.default_rng(seed)
    # length -> number of objects (R,): groups of one length describe the same objects
    counts: dict[int, npt.NDArray[np.int64]] = {}
    sample: Sample = {}
    for name, group in config.batch_groups.items():
        if group.length is None:
            columns = [_random_values(variable, random, (rows,)) for variable in group.variables]
            sample[name] = np.stack(columns, axis=1).astype(np.float32)
            continue
        if group.length not in counts:
            drawn = random.integers(1, group.length + 1, rows)  # (R,)
            # row r has at most r + 1 objects, and so the first just one
            counts[group.length] = np.minimum(drawn, np.arange(rows) + 1)
        count = counts[group.length][:, None]  # (R, 1)
        real = np.arange(group.length) < count  # (R, P)
        sample[name] = _random_objects(group, real, random)
    return sample


def _random_objects(
    group: InputGroup, real: npt.NDArray[np.bool_], random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """(R, C, P) values where ``real`` (R, P), the variables' padding elsewhere."""
    columns = []
    for variable in group.variables:
        if group.is_mask:
            values = np.ones(real.shape)  # (R, P)
        elif group.is_parent:
            values = _random_mothers(random, real.shape)
        else:
            values = _random_values(variable, random, real.shape)  # (R, P)
        columns.append(np.where(real, values, variable.pad))
    return np.stack(columns, axis=1).astype(np.float32)


def _random_mothers(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """(R, P) places of mothers, each before its daughter; -1 for the first node of a row."""
    places = np.arange(shape[1])
    return np.where(places == 0, -1, np.floor(random.uniform(size=shape) * places))


def _random_values(
    variable: Variable, random: np.random.Generator, shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Plausible values of one variable: normal and clipped if it is scaled, else by its name."""
    if variable.center is not None:
        return np.clip(random.normal(size=shape), variable.low, variable.high)
    # raw values that a network may compute distances and masses from
    name = variable.name.lower()
    if name.endswith("phi"):
        return random.uniform(-np.pi, np.pi, shape)
    if name.endswith(("flavour", "flavor")):
        return random.choice(np.array([LIGHT, CHARM, BOTTOM], float), shape)
    if name.endswith(("pt", "energy", "mass", "_e", "_m")):
        return 20 + random.exponential(50, shape)
    return np.clip(random.normal(size=shape), -2.5, 2.5)
