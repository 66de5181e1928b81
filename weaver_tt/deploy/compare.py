"""An exported network against the torch network it was made from: the judge of every export."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.deploy.sample import Sample
from weaver_tt.errors import DataError, OutputError, nearest
from weaver_tt.log import log

NetworkCall = Callable[
    [Mapping[str, Tensor]], tuple[Tensor, Tensor | None]
]  # inputs -> activated output, spread

MAX_DIFFERENCE = 1e-5  # largest difference that is float32 rounding
OFFSETS = {"1": 1, "2": 2, "length": None, "length + 3": 3}
MAX_PAIR_SLOTS = 200_000  # N * P * P of one comparison, which the dense form holds at once


def largest_difference(
    reference: NetworkCall,
    exported: NetworkCall,
    sample: Sample,
    config: DataConfig,
    dynamic: Collection[str],
) -> float:
    """The largest difference |exported - reference| / max(1, |reference|) over all outputs, rows, and several N and P.

    ``sample``: rows (R, C, P) that include rows without objects. Groups in ``dynamic`` are cut to 1 and 2 objects and padded to 3 more than
    their length, and N is 1, 7 and some hundred. Values that both say are NaN agree, with a warning. OutputError when shapes differ or one
    of the two fails.
    """
    largest, bad = 0.0, 0
    for inputs in comparison_batches(sample, config, dynamic):
        expected, found = _evaluate(reference, inputs), exported(inputs)
        for one, other in zip(expected, found, strict=True):
            if one is None or other is None:
                continue
            one = (
                one if one.dim() > 1 else one.unsqueeze(1)
            )  # regression of one label may give (N,)
            if one.shape != other.shape:
                raise OutputError(
                    f"the exported network gives {tuple(other.shape)} where torch gives {tuple(one.shape)} for {_shapes(inputs)}"
                )
            both_nan = one.isnan() & other.isnan()
            bad += int(both_nan.sum())
            difference = ((other - one).abs() / one.abs().clamp(min=1)).masked_fill(both_nan, 0)
            largest = max(largest, float(difference.nan_to_num(nan=torch.inf).max()))
    if bad:
        log.warning(
            "the network gives NaN for %d values, in torch as in ONNX: look at rows without objects",
            bad,
        )
    return largest


def _evaluate(reference: NetworkCall, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
    try:
        with torch.no_grad():
            return reference(inputs)
    except (RuntimeError, IndexError) as error:
        raise OutputError(
            f"the network itself fails for {_shapes(inputs)}: {error}; if it takes only full length, leave axis 2 out of model_info['dynamic_axes']"
        ) from error


def _shapes(inputs: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in inputs.items())


def comparison_batches(
    sample: Sample, config: DataConfig, dynamic: Collection[str]
) -> Iterator[dict[str, Tensor]]:
    """Batches of the sample's rows: for each P, N = 1 (twice), 7, then the rest in as large parts as memory allows."""
    rows = len(next(iter(sample.values())))
    for offset in OFFSETS.values() if dynamic else [None]:
        resized = {
            name: resize(array, config.inputs[name], offset) if name in dynamic else array
            for name, array in sample.items()
        }
        places = max((array.shape[2] for array in resized.values() if array.ndim == 3), default=1)
        step = max(7, MAX_PAIR_SLOTS // places**2)
        for first, last in _batch_edges(rows, step):
            # a copy, as torch refuses to share read-only memory quietly
            yield {name: torch.tensor(array[first:last]) for name, array in resized.items()}


def _batch_edges(rows: int, step: int) -> list[tuple[int, int]]:
    edges = [edge for edge in (0, 1, 2, 9) if edge < rows]
    edges += [*range(edges[-1] + step, rows, step), rows]
    return list(itertools.pairwise(edges))


def resize(array: np.ndarray, group: InputGroup, offset: int | None) -> np.ndarray:
    """(R, C, P) cut to ``offset`` objects (1 or 2), padded to P + ``offset`` (3), or as it is (None)."""
    if offset is None:
        return array
    if offset < 3:
        return array[:, :, :offset]
    pads = np.array([variable.pad for variable in group.variables], np.float32)
    more = np.broadcast_to(pads[None, :, None], (*array.shape[:2], offset))
    return np.concatenate([array, more], axis=2)


def with_empty_rows(sample: Sample, config: DataConfig) -> Sample:
    """The sample and two rows without objects, the first (so that N = 1 tries it) and one in the middle."""
    empty = {name: _empty_row(array, config.inputs[name]) for name, array in sample.items()}
    middle = len(next(iter(sample.values()))) // 2
    return {
        name: np.concatenate([empty[name], array[:middle], empty[name], array[middle:]])
        for name, array in sample.items()
    }


def _empty_row(array: np.ndarray, group: InputGroup) -> np.ndarray:
    """(1, C, P) of padding; scalars (1, C) are those of the first row."""
    if group.length is None:
        return array[:1]
    pads = np.array([variable.pad for variable in group.variables], np.float32)
    return np.broadcast_to(pads[None, :, None], (1, *array.shape[1:])).astype(np.float32)


def select_inputs(sample: Sample, config: DataConfig, input_names: list[str]) -> Sample:
    """The sample's arrays for these inputs; DataError when they are not rows of this configuration."""
    for name in input_names:
        if name not in sample:
            raise DataError(f"the sample of rows has no input {name!r}; {nearest(name, sample)}")
        expected, found = config.inputs[name].shape[1:], sample[name].shape[1:]
        if expected != found:
            raise DataError(
                f"input {name!r} of the sample has shape {found} per row, {config.source} says {expected}"
            )
    return {name: sample[name] for name in input_names}
