"""The proof inside of an export: rows with the outputs that torch gives for them.

They are written to ``golden.json`` with everything that is between: raw columns, the tensors that
are made of them, outputs, and how far these may differ elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import torch

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.data.raw_rows import evaluate_raw_rows, inputs_alone
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.table import Table, flat_column
from weaver_tt.deploy.changed_rows import (
    CHANGED_ROWS,
    EMPTY,
    INFINITY,
    KINDS,
    MIN_ROWS,
    NAN,
    OVER_LONG,
    SENTINEL,
    TWICE,
    Changes,
    RawRow,
    empty_in_file,
    real_rows,
    without_objects,
)
from weaver_tt.deploy.compare import FIXED_LENGTH_HINT
from weaver_tt.deploy.sample import Sample
from weaver_tt.deploy.signature import SPREAD
from weaver_tt.errors import DataError, OutputError
from weaver_tt.expressions.elementwise import JaggedColumn
from weaver_tt.network.network import Ensemble
from weaver_tt.system.json_files import strict_json_text

# what rounding in float32 may do, absolute and relative to the value
TOLERANCE = 1e-5
# neighbours at the same distance may come in another order
TOLERANCE_TWICE = 5e-5

MOST_ROUNDS = 60  # of one changed row of each kind

Numbers = npt.NDArray[Any]
# of one row, by name: one number (), those of its objects (n,), or a tensor
Values = dict[str, Numbers]

_NOT_POSSIBLE = {
    OVER_LONG: "no column of the inputs has objects",
    NAN: "no column of the inputs has floating-point numbers",
    INFINITY: "no column of the inputs has floating-point numbers",
    SENTINEL: "no column of the inputs has numbers with a sign",
    TWICE: "no column of the inputs has objects",
}


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """One row: its columns, the tensors of training, and the outputs of torch.

    ``raw`` are the columns of the file, ``columns`` the variables that they give, one number each
    or those of all objects, ``inputs`` the tensors (C, P) or (C,). ``scales`` are what the
    tolerance of each output is relative to, ``tolerance`` also what it may differ by in any case.
    """

    kind: str
    change: str
    raw: Table
    columns: Values
    inputs: Values
    outputs: Values
    scales: Values
    tolerance: float


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows of all kinds that there are; ``missing`` says why there are none of the others.

    ``empty`` are the rows without objects, ``source`` is where the columns come from.
    """

    rows: Sequence[GoldenRow]
    empty: Sequence[GoldenRow]
    missing: Mapping[str, str]
    source: str


class GoldenMaker:
    """Computes golden rows, one by one, as training and torch do.

    ``names`` are those of the outputs: of the K + D values of a row, or of the K of an object.
    """

    def __init__(self, reference: Ensemble, config: DataConfig, names: Sequence[str]) -> None:
        self.reference = reference
        self.config = config
        self.names = list(names)
        self._alone = inputs_alone(config)

    def __call__(self, raw: Table, source: str) -> Golden:
        """Golden rows of ``raw``, the columns of some rows of files (R >= 1).

        Raises:
            DataError: the columns are not those of the configuration.
        """
        is_empty = self._find_empty(raw)
        filled = [int(row) for row in np.flatnonzero(~is_empty)] or list(range(len(is_empty)))
        rows = [self.compute(row) for row in real_rows(raw, filled)]
        lengths = [group.length for group in self._alone.inputs.values()]
        longest = max((length for length in lengths if length), default=0)
        changes = Changes(raw, filled, longest)
        missing: dict[str, str] = {}
        for i in range(MOST_ROUNDS):
            if i >= CHANGED_ROWS and len(rows) >= MIN_ROWS:
                break
            for kind, maker in changes.makers.items():
                made = maker(i)
                if made is None:
                    missing[kind] = _NOT_POSSIBLE[kind]
                    continue
                try:
                    row = self.compute(made)
                except DataError as error:
                    missing[kind] = f"{made.change}: {error}"
                    continue
                if kind == OVER_LONG and not self._is_cut(row):
                    missing[kind] = "no input is cut off, as its objects are selected"
                    continue
                rows.append(row)
        empty: list[GoldenRow] = []
        reason = self._add_empty(raw, is_empty, filled, empty)
        if reason:
            missing[EMPTY] = reason
        present = {row.kind for row in rows}
        rows.sort(key=lambda row: KINDS.index(row.kind))
        missing = {kind: why for kind, why in missing.items() if kind not in present}
        return Golden(rows, empty, missing, source)

    def compute(self, row: RawRow) -> GoldenRow:
        """A row with what training makes of it and what torch gives.

        Raises:
            DataError: the expressions of the YAML do not fit its columns.
        """
        table, rows = evaluate_raw_rows(row.columns, self.config, f"a row ({row.kind})")
        batch = Padder(self._alone)(rows)
        columns = {}
        for group in self._alone.inputs.values():
            for name in group.names:
                columns[name] = _values_of_row(table[name])
        with torch.no_grad():
            value, spread = self.reference(batch.inputs).joined()
        outputs: Values = {}
        scales: Values = {}
        for ending, tensor in (("", value), (SPREAD, spread)):
            if tensor is None:
                continue
            for name, one, of in zip(self.names, tensor[0], value[0], strict=True):
                numbers = self._of_objects(one.numpy(), columns)
                outputs[name + ending] = numbers
                # a spread is rounded as the values that it is of
                of_value = self._of_objects(of.numpy(), columns)
                scales[name + ending] = np.maximum(np.abs(numbers), np.abs(of_value))
        return GoldenRow(
            kind=row.kind,
            change=row.change,
            raw=row.columns,
            columns=columns,
            inputs={name: tensor[0].numpy().copy() for name, tensor in batch.inputs.items()},
            outputs=outputs,
            scales=scales,
            tolerance=TOLERANCE_TWICE if row.has_twins else TOLERANCE,
        )

    def _of_objects(self, values: Numbers, columns: Values) -> Numbers:
        """(P,) outputs of slots -> (n,) of the objects, NaN beyond the length; () as it is."""
        if not values.ndim:
            return values.copy()
        labels = self.config.labels
        assert labels is not None  # outputs of objects are learnt from labels of theirs
        group = self.config.inputs[next(iter(labels.object_targets))]
        count = len(columns[group.names[0]])
        found = np.full(count, np.nan, np.float32)
        kept = min(count, len(values))
        found[:kept] = values[:kept]
        return found

    def _is_cut(self, row: GoldenRow) -> bool:
        """Whether a row has more objects than an input takes."""
        for group in self._alone.inputs.values():
            if group.length is not None and len(row.columns[group.names[0]]) > group.length:
                return True
        return False

    def _find_empty(self, raw: Table) -> npt.NDArray[np.bool_]:
        """(R,) which rows have no object in any input; none where all inputs are scalars."""
        _, rows = evaluate_raw_rows(raw, self.config, "the sample")
        empty = np.full(rows.size, bool(rows.objects))
        for objects in rows.objects.values():
            empty &= objects.counts == 0
        return empty

    def _add_empty(
        self,
        raw: Table,
        is_empty: npt.NDArray[np.bool_],
        filled: Sequence[int],
        found: list[GoldenRow],
    ) -> str | None:
        """Add a row without objects to ``found``, or return why there is none."""
        if not any(group.length for group in self._alone.inputs.values()):
            return "no input has objects"
        if is_empty.any():
            found.append(self.compute(empty_in_file(raw, int(np.argmax(is_empty)))))
            return None
        try:
            row = self.compute(without_objects(raw, filled[0]))
        # whatever a network, or an expression, raises on rows that it was not made for
        except Exception as error:
            first_line = str(error).partition("\n")[0]
            return f"the sample has none, and one that is made up fails: {first_line}"
        if any(not np.isfinite(values).all() for values in row.outputs.values()):
            return "the sample has none, and the network gives NaN or infinity for one"
        found.append(row)
        return None


def _values_of_row(values: Any) -> Numbers:
    """A column of one row: its number (), or those of its objects (n,)."""
    column = flat_column(values)
    if isinstance(column, JaggedColumn):
        return column.content
    return np.asarray(column)[0]


def columns_from_tensors(sample: Sample, config: DataConfig) -> tuple[Table, DataConfig]:
    """Variables that give the tensors of a sample, for a model that kept no raw columns.

    Returned with the configuration for which these are the columns of a file.
    """
    # collection -> objects of each row (R,)
    counts: dict[tuple[str, int | None], npt.NDArray[np.int64]] = {}
    for name, group in config.batch_groups.items():
        if group.length is None:
            continue
        pads = np.array([variable.pad for variable in group.variables], np.float32)
        differs = (sample[name] != pads[None, :, None]).any(1)  # (R, P)
        last = group.length - np.argmax(differs[:, ::-1], axis=1)  # (R,)
        own = np.where(differs.any(1), last, 0)
        collection = _collection_of(group)
        known = counts.get(collection, np.zeros_like(own))
        counts[collection] = np.maximum(known, own)
    table: Table = {}
    for name, group in config.batch_groups.items():
        for number, variable in enumerate(group.variables):
            values = sample[name][:, number].astype(np.float64)  # (R, P) or (R,)
            if isinstance(variable.center, float | int):
                values = values / variable.scale + variable.center
            if group.length is None:
                table[variable.name] = ak.Array(values)
                continue
            count = counts[_collection_of(group)]
            real = np.arange(group.length) < count[:, None]
            table[variable.name] = ak.unflatten(values[real], count)
    return table, replace(config, new_variables={}, objects={}, file_magic={})


def _collection_of(group: InputGroup) -> tuple[str, int | None]:
    """What groups of the same objects have in common: ``pf_points``, ``pf_features``, ``pf_mask``.

    Two collections may have one length.
    """
    prefix, _, _ = group.name.rpartition("_")
    return prefix, group.length


# --- how a reader does


@dataclass(frozen=True, slots=True)
class ReaderResult:
    """What a reader gives for one row: its outputs, and the tensors (1, ...) it has made.

    ``are_prepared``: whether these are scaled and padded, and not raw values.
    """

    outputs: Values
    inputs: Values
    are_prepared: bool = True


# variables of a row by name -> what a reader makes of them
RowReader = Callable[[Values], ReaderResult]


def check_rows(
    rows: Sequence[GoldenRow], read: RowReader, variables: Mapping[str, list[str]], where: str
) -> tuple[list[Values], float]:
    """Compare a reader with torch on all ``rows``.

    ``variables`` are those of each input, ``where`` is the export, for messages. Returns the
    tensors that the reader has made of each row, and the largest difference, relative above 1.

    Raises:
        OutputError: an output differs by more than its tolerance; names row, output and column.
    """
    tensors = []
    largest = 0.0
    for number, row in enumerate(rows):
        result = read(row.columns)
        for name, share in _differences(row, result.outputs, f"{where}: row {number}"):
            largest = max(largest, share)
            if share > row.tolerance:
                raise OutputError(
                    f"{where}: not written, row {number} ({row.kind}: {row.change}): output "
                    f"{name!r} differs from torch by {share:.3g} (1 + |value|), allowed "
                    f"{row.tolerance:.0e}; {_first_other_column(row, result, variables)}"
                )
        tensors.append(result.inputs)
    return tensors, largest


def _differences(row: GoldenRow, outputs: Values, where: str) -> Iterator[tuple[str, float]]:
    """Each output with its largest difference, as a share of 1 + |value|.

    Raises:
        OutputError: these are other outputs, or of another shape.
    """
    if outputs.keys() != row.outputs.keys():
        raise OutputError(
            f"{where}: the outputs are {', '.join(outputs)}; expected {', '.join(row.outputs)}"
        )
    for name, expected in row.outputs.items():
        found = np.asarray(outputs[name], np.float64)
        if found.shape != expected.shape:
            raise OutputError(
                f"{where}: output {name!r} has the shape {found.shape}; expected {expected.shape}"
            )
        if not found.size:
            continue
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            share = np.abs(found - expected) / (1 + row.scales[name])
        # NaN in only one of the two is more than anything
        share = np.where(same, 0, np.where(np.isnan(share), np.inf, share))
        yield name, float(share.max())


def _first_other_column(
    row: GoldenRow, result: ReaderResult, variables: Mapping[str, list[str]]
) -> str:
    """Which column a reader prepares in another way than training."""
    if not result.are_prepared:
        return "columns are prepared inside of the graph"
    for group, tensor in result.inputs.items():
        expected = row.inputs[group]
        found = np.asarray(tensor)[0].reshape(len(expected), -1)  # (C, P)
        expected = expected.reshape(len(expected), -1)
        size = min(found.shape[1], expected.shape[1])
        differs = ~np.isclose(found[:, :size], expected[:, :size], rtol=1e-6, atol=1e-6)
        if differs.any():
            channel, slot = np.argwhere(differs)[0]
            return (
                f"column {variables[group][channel]!r} of input {group!r} is "
                f"{found[channel, slot]:.6g} in slot {slot}, in training "
                f"{expected[channel, slot]:.6g}"
            )
    for group, tensor in result.inputs.items():
        slots = np.shape(tensor)[2:]
        in_training = row.inputs[group].shape[1:]
        if len(in_training) and slots and slots[0] < in_training[0]:
            return (
                f"all columns are prepared as in training, but input {group!r} has {slots[0]} "
                f"slots instead of {in_training[0]}: the network's outputs depend on the padding; "
                f"{FIXED_LENGTH_HINT}"
            )
    return "all columns are prepared as in training: it is the network that differs"


# --- golden.json


def raw_for_json(values: Any) -> Any:
    """A column of one row as JSON can hold it, lists of lists and text too."""
    (content,) = ak.to_list(values)
    return _with_texts(content)


def numbers_for_json(values: Numbers) -> Any:
    """Numbers as JSON can hold them: NaN and infinities are texts."""
    if values.dtype == np.float32:
        # the shortest text that is this number in float32
        content = values.astype("U32").astype(np.float64).tolist()
    else:
        content = values.tolist()
    return _with_texts(content)


def _with_texts(content: Any) -> Any:
    if isinstance(content, list):
        return [_with_texts(value) for value in content]
    if isinstance(content, bool):
        return int(content)
    if not isinstance(content, int | float):
        # text, or a value that is missing
        return content
    if math.isfinite(content):
        return content
    if math.isnan(content):
        return "NaN"
    return "Infinity" if content > 0 else "-Infinity"


def golden_text(head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """``golden.json``: what is in ``head``, then one line for each row."""
    lines = [strict_json_text(row, "golden.json", indent=None) for row in rows]
    start = strict_json_text(dict(head), "golden.json").removesuffix("\n}")
    return start + ',\n "rows": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def row_for_json(row: GoldenRow, tensors: Values) -> dict[str, Any]:
    """One row of ``golden.json``; ``tensors`` are those of the reader, (1, ...) each."""
    tolerance: dict[str, Any] = {"absolute": row.tolerance, "relative": row.tolerance}
    # of a spread it is relative to the value that it is of
    own = {}
    for name, scale in row.scales.items():
        # an output that is NaN, such as a correction beyond its range, has no scale
        if np.any(scale > np.abs(row.outputs[name])):
            largest = np.nanmax(scale, initial=0)
            own[name] = {"absolute": row.tolerance * float(1 + largest), "relative": 0.0}
    if own:
        tolerance["outputs"] = own
    return {
        "kind": row.kind,
        "change": row.change,
        "raw_columns": {name: raw_for_json(values) for name, values in row.raw.items()},
        "columns": {name: numbers_for_json(values) for name, values in row.columns.items()},
        "inputs": {name: numbers_for_json(values[0]) for name, values in tensors.items()},
        "outputs": {name: numbers_for_json(values) for name, values in row.outputs.items()},
        "tolerance": tolerance,
    }


def column_types(columns: Values) -> dict[str, str]:
    """Name -> type of the numbers, such as ``float32``."""
    return {name: str(values.dtype) for name, values in columns.items()}
