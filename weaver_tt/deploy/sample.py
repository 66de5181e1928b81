"""Some hundred rows as the network sees them, kept beside the model (``PREFIX_sample.npz``): what an exported network is compared on."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import DataError
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import writing

Sample = dict[str, npt.NDArray[np.float32]]  # input group -> (R, C, P), or (R, C) for scalars

# share of the rows that may be without objects: enough to compare on, not so many as to push out the others
EMPTY_SHARE = 8


def collect_sample(batches: Iterable[Batch], rows: int = 256) -> Sample:
    """The first ``rows`` rows of ``batches``, at most one in eight of them without any object. Reads no more batches than needed."""
    parts: list[Sample] = []
    missing, empty_left = rows, max(1, rows // EMPTY_SHARE)
    for batch in batches:
        empty = _without_objects(batch)  # (N,)
        keep = ~empty | (np.cumsum(empty) <= empty_left)
        keep &= np.cumsum(keep) <= missing
        parts.append(
            {name: tensor.detach().cpu().numpy()[keep] for name, tensor in batch.inputs.items()}
        )
        missing -= int(keep.sum())
        empty_left -= int((keep & empty).sum())
        if missing == 0:
            break
    if not parts:
        return {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _without_objects(batch: Batch) -> npt.NDArray[np.bool_]:
    """(N,) True for rows that have no object in any group; False everywhere when all groups are scalars."""
    if not batch.masks:
        return np.zeros(batch.size, bool)
    return np.logical_and.reduce(
        [~mask.detach().cpu().numpy().any(1) for mask in batch.masks.values()]
    )


def save_sample(prefix: str | Path, batches: Iterable[Batch], rows: int = 256) -> Path:
    """Write the first ``rows`` rows of ``batches`` to ``PREFIX_sample.npz``, atomically; OutputError when that fails."""
    path = RunFiles(str(prefix)).sample
    sample = collect_sample(batches, rows)
    with writing(path) as file:
        np.savez_compressed(file, **sample)  # type: ignore[arg-type]
    return path


def load_sample(model: str | Path) -> Sample | None:
    """The rows saved with a model, named by its prefix or any of its files (members of an ensemble share them): input group -> float32 (R, C, P).

    None where there is no such file or no row in it, DataError if it is damaged.
    """
    files = RunFiles.of(model)
    path = files.sample if files.sample.exists() else files.run.sample
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name].astype(np.float32, copy=False) for name in file.files} or None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: not a sample of rows ({error}); remove it, or give rows with -t"
        ) from error


def random_sample(config: DataConfig, rows: int = 256, seed: int = 1) -> Sample:
    """Made-up rows for a model without a sample, the first without objects: within the variables' ranges, padded as the data are."""
    random = np.random.default_rng(seed)
    counts: dict[int, npt.NDArray[np.int64]] = {}  # groups of one length describe the same objects
    sample: Sample = {}
    for name, group in config.inputs.items():
        if group.length is None:
            columns = [_random_values(variable, random, (rows,)) for variable in group.variables]
            sample[name] = np.stack(columns, axis=1).astype(np.float32)
            continue
        if group.length not in counts:
            counts[group.length] = np.minimum(
                random.integers(0, group.length + 1, rows), np.arange(rows)
            )
        real = np.arange(group.length) < counts[group.length][:, None]  # (R, P)
        sample[name] = _random_objects(group, real, random)
    return sample


def _random_objects(
    group: InputGroup, real: npt.NDArray[np.bool_], random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """(R, C, P) values where ``real`` (R, P), the variables' padding elsewhere."""
    columns = []
    for variable in group.variables:
        values = (
            np.ones(real.shape) if group.is_mask else _random_values(variable, random, real.shape)
        )
        columns.append(np.where(real, values, variable.pad))
    return np.stack(columns, axis=1).astype(np.float32)


def _random_values(
    variable: Variable, random: np.random.Generator, shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Plausible values of one variable: standard normal and clipped when it is scaled, else by what its name says."""
    name = variable.name.lower()
    if variable.center is not None:
        return np.clip(random.normal(size=shape), variable.low, variable.high)
    if name.endswith("phi"):
        return random.uniform(-np.pi, np.pi, shape)
    if name.endswith(("flavour", "flavor")):
        return random.choice([0.0, 4.0, 5.0], shape)
    if name.endswith(("pt", "energy", "mass", "_e", "_m")):
        return 20 + random.exponential(50, shape)
    return np.clip(random.normal(size=shape), -2.5, 2.5)
