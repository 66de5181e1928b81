"""Compare an exported network with the torch network it was made from.

Every export has to pass: same numbers for several N and P, and for rows without objects where the
training data had such, or where the network has numbers for them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.deploy.operators import explain_runtime_error
from weaver_tt.deploy.sample import Sample
from weaver_tt.deploy.signature import SPREAD
from weaver_tt.errors import DataError, OutputError, nearest
from weaver_tt.log import log
from weaver_tt.network.outputs import Activated
from weaver_tt.system.wording import counted

# inputs by group -> activated output and its spread
NetworkCall = Callable[[Mapping[str, Tensor]], Activated]

# largest difference that is float32 rounding
MAX_DIFFERENCE = 1e-5

# objects that are added to those of training, to try a larger P
EXTRA_OBJECTS = 3

# first rows of the batches: two of a single row, one of 7, and the rest
FIRST_ROWS = (0, 1, 2, 9)
MIN_ROWS = 7

FIXED_LENGTH_HINT = (
    "if it takes one number of objects only, leave axis 2 out of model_info['dynamic_axes']: the "
    "file then has the length of the data YAML"
)

# N * P * P of one batch, which the dense form of a graph network holds at once
MAX_PAIR_SLOTS = 200_000


@dataclass(frozen=True)
class Difference:
    """The largest |exported - reference| / max(1, |reference|) that was found, and where.

    ``at_own_length`` is the largest of the batches whose number of objects is that of the sample.
    """

    size: float = 0.0
    place: str = ""
    at_own_length: float = 0.0

    @property
    def is_rounding(self) -> bool:
        """Whether it is no more than float32 allows."""
        return self.size <= MAX_DIFFERENCE

    @property
    def is_of_length(self) -> bool:
        """Whether the two differ at other numbers of objects than the sample's alone."""
        return not self.is_rounding and self.at_own_length <= MAX_DIFFERENCE


@dataclass(frozen=True)
class ComparedBatch:
    """Some rows of the sample, all cut or padded to the same numbers of objects."""

    inputs: dict[str, Tensor]
    first_row: int
    is_own_length: bool


def largest_difference(
    reference: NetworkCall,
    exported: NetworkCall,
    sample: Sample,
    config: DataConfig,
    dynamic: Collection[str],
    names: Sequence[str] = (),
) -> Difference:
    """The largest |exported - reference| / max(1, |reference|) over all outputs, rows, N and P.

    Of the spread of an output, it is relative to max(1, |output|, |spread|): what a small spread is
    the difference of may be large.

    ``sample`` holds rows (R, C, P). Groups in ``dynamic`` are cut to 1 and 2 objects and padded to
    3 more than their length; N is 1, 7 and some hundred. Values that are NaN in both agree, with a
    warning. ``names`` are those of the K outputs, for messages.

    Raises:
        OutputError: shapes differ, or one of the two networks fails.
    """
    size = 0.0
    place = ""
    at_own_length = 0.0
    nan_values = 0
    for batch in comparison_batches(sample, config, dynamic):
        # with derived outputs beside the outputs
        expected = _evaluate(reference, batch).joined()
        found = _evaluate_exported(exported, batch).joined()
        # the output, then its spread, which a single network does not have
        for ending, one, other in zip(("", SPREAD), expected, found, strict=True):
            if one is None or other is None:
                continue
            if one.shape != other.shape:
                shapes = f"{tuple(other.shape)} where torch gives {tuple(one.shape)}"
                raise OutputError(
                    f"the exported network gives {shapes} for {_format_shapes(batch.inputs)}"
                    f"{_frozen_hint(batch)}"
                )
            both_nan = one.isnan() & other.isnan()
            nan_values += int(both_nan.sum())
            # absolute below 1, relative above; a spread is rounded as the values that it is of
            scale = torch.maximum(one.abs(), expected[0].abs()).clamp(min=1)
            difference = (other - one).abs() / scale
            # equal infinities, such as those of the logarithm of 0, have no difference either
            difference = difference.masked_fill(both_nan | (one == other), 0)
            # NaN in only one of the two is a difference without bound
            difference = difference.nan_to_num(nan=torch.inf)
            largest = float(difference.max())
            if batch.is_own_length:
                at_own_length = max(at_own_length, largest)
            if largest > size:
                size = largest
                index = np.unravel_index(int(difference.argmax()), difference.shape)
                output = _output_name(names, int(index[1])) + ending
                place = _describe_place(batch, sample, config, index, output)
                place += f": {float(other[index]):.6g}, in torch {float(one[index]):.6g}"
    if nan_values:
        log.warning(
            "the network gives NaN for %s, in torch as in ONNX: look at rows without objects",
            counted(nan_values, "value"),
        )
    return Difference(size, place, at_own_length)


def _output_name(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else f"output {number}"


def _describe_place(
    batch: ComparedBatch,
    sample: Sample,
    config: DataConfig,
    index: tuple[Any, ...],
    output: str,
) -> str:
    """Where a value is: output, object and row, and how many objects that row has."""
    row = batch.first_row + int(index[0])
    where = f"{output} of "
    if len(index) == 3:
        where += f"object {int(index[2])} in "
    where += f"row {row} of {_row_count(sample)}"
    for name, array in sample.items():
        group = config.batch_groups[name]
        if group.length is not None:
            padding = _padding(group, rows=1, slots=array.shape[2])
            objects = int((array[row : row + 1] != padding).any(axis=1).sum())
            where += f" ({objects} objects in {name})"
            break
    return f"{where}, for {_format_shapes(batch.inputs)}"


def _length_hint(batch: ComparedBatch) -> str:
    """What to do about a network that fails at another length than its own."""
    if batch.is_own_length:
        return ""
    return f"; {FIXED_LENGTH_HINT}"


def _frozen_hint(batch: ComparedBatch) -> str:
    """Which size of tracing an exported network may have kept, where torch takes all."""
    if batch.is_own_length:
        return (
            "; the graph may have kept the number of rows that it was traced with: take it from "
            "the shape of an input (x.shape[0]), and never through int() or float()"
        )
    return (
        "; the graph may have kept the number of objects that it was traced with: take it from the "
        f"shape of an input, or, {FIXED_LENGTH_HINT}"
    )


def _evaluate(reference: NetworkCall, batch: ComparedBatch) -> Activated:
    """Call the torch network.

    Raises:
        OutputError: it does not take inputs of these shapes.
    """
    try:
        with torch.no_grad():
            return reference(batch.inputs)
    except (RuntimeError, IndexError) as error:
        raise OutputError(
            f"the network itself fails for {_format_shapes(batch.inputs)}: {error}"
            f"{_length_hint(batch)}"
        ) from error


def _evaluate_exported(exported: NetworkCall, batch: ComparedBatch) -> Activated:
    """Call the exported network.

    Raises:
        OutputError: it does not take inputs of these shapes.
    """
    try:
        return exported(batch.inputs)
    except OutputError as error:
        raise OutputError(
            f"the exported network fails for {_format_shapes(batch.inputs)}: "
            f"{explain_runtime_error(str(error))}{_frozen_hint(batch)}"
        ) from error


def _format_shapes(inputs: dict[str, Tensor]) -> str:
    """Names and shapes, for messages."""
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in inputs.items())


def comparison_batches(
    sample: Sample, config: DataConfig, dynamic: Collection[str]
) -> Iterator[ComparedBatch]:
    """Batches of the sample's rows, all of them for each P.

    N = 1 (twice), 7, then the rest in parts as large as memory allows.
    """
    rows = _row_count(sample)
    for lengths in _compared_lengths(sample, dynamic):
        resized = dict(sample)
        for name, length in lengths.items():
            resized[name] = resize(sample[name], config.batch_groups[name], length)
        slots = 1
        for array in resized.values():
            if array.ndim == 3:
                slots = max(slots, array.shape[2])
        step = max(MIN_ROWS, MAX_PAIR_SLOTS // slots**2)
        for first, last in _row_ranges(rows, step):
            # a copy, as torch warns of arrays that cannot be written to
            inputs = {name: torch.tensor(array[first:last]) for name, array in resized.items()}
            is_own = all(lengths[name] == sample[name].shape[2] for name in lengths)
            yield ComparedBatch(inputs, first, is_own)


def _compared_lengths(sample: Sample, dynamic: Collection[str]) -> Iterator[dict[str, int]]:
    """Numbers of objects to compare at, for each dynamic group: its own, 1, 2, and 3 more.

    Its own first: what fails there does not fail for its length.
    """
    own = {name: sample[name].shape[2] for name in dynamic}
    yield own
    if own:
        yield dict.fromkeys(own, 1)
        yield {name: min(2, length) for name, length in own.items()}
        yield {name: length + EXTRA_OBJECTS for name, length in own.items()}


def _row_ranges(rows: int, step: int) -> list[tuple[int, int]]:
    """First and last row of each batch."""
    boundaries = [row for row in FIRST_ROWS if row < rows]
    boundaries += range(boundaries[-1] + step, rows, step)
    boundaries.append(rows)
    return list(itertools.pairwise(boundaries))


def resize(
    array: npt.NDArray[np.float32], group: InputGroup, length: int
) -> npt.NDArray[np.float32]:
    """(R, C, P) cut or padded to ``length`` objects: (R, C, length)."""
    rows, _, slots = array.shape
    if length <= slots:
        return array[:, :, :length]
    padding = _padding(group, rows, length - slots)
    return np.concatenate([array, padding], axis=2)


def with_empty_rows(sample: Sample, config: DataConfig, reference: NetworkCall) -> Sample:
    """The sample with rows without objects, where that can be asked of the network.

    Of a sample that has such rows, one comes first, so that a batch of N = 1 consists of it. Else
    two are made up, the first and one in the middle, if the network has finite numbers for them: it
    need not stand what its data does not hold. The log says what is compared.
    """
    groups = [name for name in sample if config.batch_groups[name].length is not None]
    if not groups:
        return sample
    empty = find_empty_rows(sample, config)
    if len(empty):
        order = np.r_[empty[0], np.delete(np.arange(_row_count(sample)), empty[0])]
        return {name: array[order] for name, array in sample.items()}
    made_up = {name: _empty_row(array, config.batch_groups[name]) for name, array in sample.items()}
    problem = _problem_with(reference, made_up)
    if problem is not None:
        log.warning(
            "rows without objects are not compared: the sample has none, and the network %s; "
            "never give it one in C++",
            problem,
        )
        return sample
    log.info("the sample has no row without objects; two such are compared as well")
    extended = {}
    for name, array in sample.items():
        first_half, second_half = np.split(array, [len(array) // 2])
        extended[name] = np.concatenate([made_up[name], first_half, made_up[name], second_half])
    return extended


def find_empty_rows(sample: Sample, config: DataConfig) -> npt.NDArray[np.int64]:
    """The rows that have padding alone in all groups of objects, of which there is at least one."""
    empty = np.ones(_row_count(sample), dtype=bool)  # (R,)
    for name, array in sample.items():
        group = config.batch_groups[name]
        if group.length is not None:
            padding = _padding(group, len(array), array.shape[2])
            empty &= (array == padding).all(axis=(1, 2))
    return np.flatnonzero(empty)


def _row_count(sample: Sample) -> int:
    return len(next(iter(sample.values())))


def _problem_with(reference: NetworkCall, rows: Sample) -> str | None:
    """What the torch network does with ``rows`` that it should not; None if all is well."""
    try:
        with torch.no_grad():
            output = reference({name: torch.tensor(array) for name, array in rows.items()}).value
    # whatever a network raises on rows that it was not made for
    except Exception as error:
        return f"fails on them ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
    if not output.isfinite().all():
        return "gives NaN or infinity for them"
    return None


def _empty_row(array: npt.NDArray[np.float32], group: InputGroup) -> npt.NDArray[np.float32]:
    """(1, C, P) of padding; scalars (1, C) are those of the first row."""
    if group.length is None:
        return array[:1]
    return _padding(group, rows=1, slots=array.shape[2])


def _padding(group: InputGroup, rows: int, slots: int) -> npt.NDArray[np.float32]:
    """(R, C, slots) of each variable's padding value."""
    pads = np.array([variable.pad for variable in group.variables], np.float32)  # (C,)
    shape = (rows, len(pads), slots)
    return np.broadcast_to(pads[None, :, None], shape)


def select_inputs(sample: Sample, config: DataConfig, input_names: list[str]) -> Sample:
    """The sample's arrays for these inputs.

    Raises:
        DataError: the sample does not hold rows of this configuration.
    """
    for name in input_names:
        if name not in sample:
            raise DataError(f"the sample of rows has no input {name!r}; {nearest(name, sample)}")
        expected = config.batch_groups[name].shape[1:]
        found = sample[name].shape[1:]
        if expected != found:
            raise DataError(
                f"input {name!r} of the sample has shape {found} per row, "
                f"{config.source} says {expected}"
            )
    return {name: sample[name] for name in input_names}
