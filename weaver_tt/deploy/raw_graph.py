"""One ONNX file from raw columns to the outputs: nothing is prepared outside of it.

Its inputs are the columns as files hold them: a flat tensor for each, in its own type, and the
offsets (N + 1,) of each collection of objects. New variables, object selections, scaling, cutting
and padding are nodes in front of the exported network, which stays as it is. Which rows are given
to it is the caller's choice: the row selection is none of the graph's business.

N rows, M objects of a collection, P padded slots, C variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
from awkward.types import ListType, NumpyType, RegularType
from onnx import helper

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.schema import DataConfig, InputGroup, ObjectSelection, Variable
from weaver_tt.deploy.raw_columns import RAW_COLUMNS, RawColumn, columns_text
from weaver_tt.deploy.sample import random_sample
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.signature import CHOSEN_OBJECTS
from weaver_tt.errors import ConfigError, OutputError, WeaverError, nearest
from weaver_tt.expressions.evaluate import evaluate
from weaver_tt.expressions.graph_form import GraphMomenta, compute_in_graph
from weaver_tt.expressions.graph_formulas import choose
from weaver_tt.expressions.graph_functions import form_of
from weaver_tt.expressions.graph_objects import objects_that_pass
from weaver_tt.expressions.graph_values import (
    BOOL,
    END,
    FLOAT,
    PREFIX,
    WHOLE,
    Graph,
    GraphValue,
    onnx_parts,
)
from weaver_tt.system.atomic_files import writing
from weaver_tt.system.json_files import json_text

PREPARED = "raw_tensors"  # the metadata of what is prepared inside
OFFSETS = "offsets"  # the input with those of the only collection; of several, offsets_GROUP
OLDEST_OPSET = 16  # the first whose ScatterElements adds up
# groups of one prefix with these endings describe the same objects, as in Weaver
ENDINGS = re.compile(r"_(points|features|vectors|mask)$")
# with how many slots a network is tried, and what counts as rounding
FEW_SLOTS = (2, 17)
SAME = 1e-6
# objects of each of the rows on which the types of expressions are looked up
EXAMPLE_COUNTS = (3, 4)


def write_raw(model: Path, config: DataConfig, types: Mapping[str, str], path: Path) -> list[str]:
    """Write ``path``, a file that takes raw columns, from the exported network ``model``.

    ``types``: column of the files, as the data YAML names it -> the type of a row, as awkward
    writes it: ``float32``, ``var * int64``.

    What is returned are the reasons why it cannot be written; where there is one, nothing is.

    Raises:
        OutputError: the file cannot be written, or is none that ONNX takes.
    """
    network = onnx.load(str(model))
    inputs = [NetworkInput.of(item) for item in network.graph.input]
    opset = max(item.version for item in network.opset_import if item.domain in ("", "ai.onnx"))
    if opset < OLDEST_OPSET:
        return [
            f"{model}: has operator set {opset}, raw columns need {OLDEST_OPSET} or later; "
            "--onnx-opset 17 fits"
        ]
    for item in inputs:
        if item.name not in config.batch_groups:
            return [
                f"{model}: takes the input {item.name!r}, which {config.source} does not define; "
                f"{nearest(item.name, config.batch_groups)}"
            ]
        expected = config.batch_groups[item.name].length
        if item.length not in (None, expected):
            return [
                f"{model}: takes {item.length} objects in {item.name!r}, {config.source} says "
                f"{expected}"
            ]
    any_length = gives_the_same_for_fewer_slots(model, inputs, config)
    outputs = [output.name for output in network.graph.output]
    try:
        front, collections = _make_front(inputs, outputs, config, types, any_length)
    except _RefusedError as error:
        return error.reasons
    merged = front.merge(network, collections)
    try:
        onnx.checker.check_model(merged, full_check=True)
    # errors of onnx have no common base
    except Exception as error:
        raise OutputError(f"{path}: onnx refuses the graph: {error}") from error
    with writing(path, make_folders=True) as file:
        file.write(merged.SerializeToString())
    return []


def raw_refusals(
    config: DataConfig, inputs: Sequence[str], outputs: Sequence[str], types: Mapping[str, str]
) -> list[str]:
    """Why :func:`write_raw` would refuse a network of these inputs and outputs, before it is there.

    ``inputs`` are names of input groups, ``types`` those of :func:`write_raw`.
    """
    # neither rank nor length makes a difference
    found = [NetworkInput(name, rank=3, length=None) for name in inputs]
    try:
        _make_front(found, outputs, config, types, any_length=True)
    except _RefusedError as error:
        return error.reasons
    return []


def gives_the_same_for_fewer_slots(
    model: Path, inputs: Sequence[NetworkInput], config: DataConfig
) -> bool:
    """Whether the outputs stay the same when slots without an object are left out.

    A mean over all slots, padding included, does not, nor neighbours that may be padding, nor
    objects that are repeated (``pad_mode: wrap``). It is tried on random rows with few objects.
    """
    groups = [config.batch_groups[item.name] for item in inputs]
    lengths = {}
    for group, item in zip(groups, inputs, strict=True):
        if group.length is not None and item.length is None:
            lengths[group.name] = group.length
            if group.pad_mode == "wrap":
                return False
    session = open_session(model, 1)
    sample = random_sample(config)
    for slots in FEW_SLOTS:
        # row r has r + 1 objects at most
        rows = {group.name: sample[group.name][:slots] for group in groups}
        few = dict(rows)
        for name, length in lengths.items():
            few[name] = rows[name][:, :, : min(slots, length)]
        try:
            expected = session.run(None, rows)
            found = session.run(None, few)
        # errors of ONNX Runtime have no common base
        except Exception:
            # which is said where such rows are given to it
            return False
        for one, other in zip(expected, found, strict=True):
            # outputs of objects end earlier
            part = one[tuple(slice(size) for size in other.shape)]
            if not np.allclose(part, other, rtol=SAME, atol=SAME, equal_nan=True):
                return False
    return True


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """An input of a network: its group, its rank, and the number of slots where that is fixed."""

    name: str
    rank: int
    length: int | None

    @classmethod
    def of(cls, item: Any) -> NetworkInput:
        """That of an ONNX file."""
        sizes = item.type.tensor_type.shape.dim
        length = sizes[2].dim_value if len(sizes) == 3 else 0
        return cls(item.name, len(sizes), length or None)


class _RefusedError(Exception):
    """Why there can be no such file, each reason with its place."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = list(dict.fromkeys(reasons))


def _make_front(
    inputs: Sequence[NetworkInput],
    outputs: Sequence[str],
    config: DataConfig,
    types: Mapping[str, str],
    any_length: bool,
) -> tuple[_Front, dict[str, str]]:
    """What comes before the network, and the input of offsets of each collection.

    At first each column of lists is a collection of its own. Those that meet in an expression or a
    group are one, and all is written again with these.

    Raises:
        _RefusedError: there is something that it cannot hold.
    """
    of_columns = {name: name for name in types}
    of_rows: str | None = None
    while True:
        front = _Front(inputs, config, types, of_columns, of_rows, any_length)
        front.write_groups()
        joined = _join(of_columns, front.met())
        collections = front.collections_taken()
        first = collections[0] if collections else None
        if joined == of_columns and first == of_rows:
            break
        of_columns = joined
        of_rows = first
    reasons = list(front.reasons)
    names = front.name_collections()
    for name in (*front.columns_taken, *names.values()):
        if name in outputs:
            reasons.append(f"{config.source}: the column {name!r} has the name of an output")
    for name in names.values():
        if name in front.columns_taken:
            reasons.append(f"{config.source}: the column {name!r} has the name of the offsets")
    if reasons:
        raise _RefusedError(reasons)
    return front, names


def objects_with_outputs(config: DataConfig) -> str | None:
    """The input group whose objects have outputs; None where rows have."""
    labels = config.labels
    return None if labels is None else next(iter(labels.object_targets), None)


def _join(of_columns: Mapping[str, str], met: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Column -> collection, where those that ``met`` have become one."""
    joined = dict(of_columns)
    for one, other in met:
        first, second = joined[one], joined[other]
        if first != second:
            joined = {name: first if own == second else own for name, own in joined.items()}
    return joined


class _Front:
    """Writes the nodes from raw columns to the inputs of a network.

    ``collections``: column of lists -> the first column of its collection. After an object
    selection of a group, what is left of the collection ``x`` is ``x|GROUP``. All columns must have
    as many rows as the collection ``of_rows``. With ``any_length`` a network that takes any number
    of slots is given what the fullest row needs, else as many as in a prediction.
    """

    def __init__(
        self,
        inputs: Sequence[NetworkInput],
        config: DataConfig,
        types: Mapping[str, str],
        collections: Mapping[str, str],
        of_rows: str | None,
        any_length: bool,
    ) -> None:
        self.config = config
        self.graph = Graph(form_of)
        self.columns_taken: dict[str, RawColumn] = {}  # offsets are named in the end
        self.reasons: list[str] = []
        self.network_inputs: dict[str, str] = {}  # group -> its tensor
        self.objects_of: dict[str, str] = {}  # group -> its collection
        self._inputs = inputs
        self._of_rows = of_rows
        self._any_length = any_length
        self._types = types
        self._collections = collections
        self._raw: dict[str, GraphValue] = {}
        self._selected: dict[str, GraphValue | GraphMomenta] = {}
        self._examples: dict[str, Any] = {}
        self._users: dict[str, str] = {}  # collection -> the first group that has its objects

    # --- names

    def met(self) -> list[tuple[str, str]]:
        """Pairs of raw columns whose objects must be the same."""
        return [pair for met in self.graph.met for pair in self._same_columns(*met)]

    def _same_columns(self, one: str, other: str) -> Iterator[tuple[str, str]]:
        """The columns that two collections are made of, pair by pair."""
        graph = self.graph
        if one in graph.chosen and other in graph.chosen:
            (first, how), (second, how_too) = graph.chosen[one], graph.chosen[other]
            yield from self._same_columns(first, second)
            is_alike = how == how_too
        elif one in graph.joined and other in graph.joined:
            parts, parts_too = graph.joined[one], graph.joined[other]
            is_alike = len(parts) == len(parts_too)
            for first, second in zip(parts, parts_too, strict=False):
                yield from self._same_columns(first, second)
        else:
            is_alike = one in self._collections and other in self._collections
            if is_alike:
                yield one, other
        if not is_alike:
            self.reasons.append(
                f"{self.config.source}: objects of {self._columns_of(one)[0]!r} that were chosen "
                "or joined meet others; `columns:` of object_selection lists what is filtered"
            )

    def _columns_of(self, collection: str) -> list[str]:
        """The first columns of the collections that one is made of."""
        if collection in self.graph.chosen:
            return self._columns_of(self.graph.chosen[collection][0])
        parts = self.graph.joined.get(collection)
        if parts is None:
            return [collection]
        return [column for part in parts for column in self._columns_of(part)]

    def collections_taken(self) -> list[str]:
        """The collections that columns of lists are of."""
        names = [column.offsets for column in self.columns_taken.values()]
        return list(dict.fromkeys(name for name in names if name is not None))

    def name_collections(self) -> dict[str, str]:
        """Collection -> the name of the input with its offsets."""
        taken = self.collections_taken()
        if len(taken) == 1:
            return dict.fromkeys(taken, OFFSETS)
        return {name: f"{OFFSETS}_{self._users.get(name, name)}" for name in taken}

    def offsets_input(self, collection: str) -> str:
        """What the input is called until all collections are known."""
        return f"{PREFIX}offsets of {collection}"

    # --- columns

    def column(self, name: str) -> GraphValue | GraphMomenta:
        """A column after object selections, or a new variable.

        Raises:
            ConfigError: it cannot be computed in a graph.
        """
        for part in dependency_order(self.config, [name]):
            if part in self._selected:
                continue
            if part in self.config.new_variables:
                where = f"{self.config.source}: new_variables.{part}"
                self._selected[part] = self.expression(part, self._selected, where)
            else:
                self._selected[part] = self.filtered(part)
        return self._selected[name]

    def expression(
        self, name: str, columns: dict[str, GraphValue | GraphMomenta], where: str
    ) -> GraphValue | GraphMomenta:
        """A new variable of ``columns``."""
        expression = self.config.new_variables[name]
        value = compute_in_graph(expression, self.graph, columns, self._examples, where)
        if name not in self._examples:
            self._examples[name] = evaluate(expression, self._examples, checks_values=False)
        return value

    def filtered(self, name: str) -> GraphValue:
        """A column of the files, with the objects that pass the selection of its group."""
        value = self.raw(name)
        if value.objects is None:
            return value
        owners = [chosen for chosen in self.config.objects.values() if chosen.filters(name)]
        if not owners:
            return value
        mask = self.mask(owners[0])
        self.graph.common_objects([value, mask])
        left = self.graph.write("Compress", value.name, mask.name, axis=0)
        objects = objects_that_pass(self.graph, mask, owners[0].group)
        return GraphValue(self.graph, left, value.dtype, objects)

    def mask(self, chosen: ObjectSelection) -> GraphValue:
        """Which objects of a collection pass, (M,) of bool."""
        scratch: dict[str, GraphValue | GraphMomenta] = {}
        for name in dependency_order(self.config, chosen.expression.names):
            if name in self.config.new_variables:
                where = f"{self.config.source}: new_variables.{name}"
                scratch[name] = self.expression(name, scratch, where)
            else:
                scratch[name] = self.raw(name)
        where = f"{self.config.source}: object_selection.{chosen.group}"
        value = compute_in_graph(chosen.expression, self.graph, scratch, self._examples, where)
        if isinstance(value, GraphMomenta) or value.objects is None:
            raise ConfigError(f"{where}: tells nothing of single objects")
        return value.astype(BOOL)

    def raw(self, name: str) -> GraphValue:
        """A column of the files.

        Raises:
            ConfigError: it is none, or of a type that a graph cannot take.
        """
        if name not in self._raw:
            self._raw[name] = self._read(name)
        return self._raw[name]

    def _read(self, name: str) -> GraphValue:
        where = f"{self.config.source}: column {name!r}"
        if name in self.config.file_magic and name not in self._types:
            raise ConfigError(
                f"{where}: follows from the name of a file, which a graph cannot see; with a type "
                "it is a column that the caller gives"
            )
        if name in self.config.original_indices:
            raise ConfigError(f"{where}: places in the file have no form in a graph")
        if name not in self._types:
            raise ConfigError(f"{where}: its type is not known; {nearest(name, self._types)}")
        dtype, is_list = _numbers_of(self._types[name], where)
        objects = self._collections[name] if is_list else None
        self._examples[name] = _example(dtype, is_list)
        self.columns_taken[name] = RawColumn(dtype.name, objects)
        if objects is not None:
            return GraphValue(self.graph, self._content(name, objects), dtype, objects)
        if self._of_rows is None:
            return GraphValue(self.graph, name, dtype)
        graph = self.graph
        offsets = graph.write("Shape", self.offsets_input(self._of_rows))
        rows = graph.write("Sub", offsets, graph.whole(1))
        label = f"{name} has other rows than the offsets"
        return GraphValue(
            graph, graph.write("Reshape", name, rows, label=label, allowzero=1), dtype
        )

    def _content(self, name: str, collection: str) -> str:
        """The values (M,) of a column of lists that its offsets speak of; others fail to run."""
        graph = self.graph
        given = self.offsets_input(collection)
        if self._of_rows not in (None, collection):
            shape = graph.write("Shape", self.offsets_input(str(self._of_rows)))
            label = f"the offsets of {name} have other rows than others"
            given = graph.write("Reshape", given, shape, label=label)
        # part of larger buffers may be given
        first = graph.write("Slice", given, graph.whole(0), graph.whole(1))
        last = graph.write("Slice", given, graph.whole(-1), graph.whole(END))
        graph.offsets[collection] = graph.write("Sub", given, first)
        inside = graph.write("Slice", name, first, last)
        label = f"{name} has other objects than its offsets"
        return graph.write("Reshape", inside, graph.total(collection), label=label, allowzero=1)

    # --- inputs of the network

    def write_groups(self) -> None:
        """Write all inputs of the network; what cannot be written is noted in ``reasons``."""
        of_prefix: dict[tuple[str, int], GraphValue] = {}
        for item in self._inputs:
            group = self.config.batch_groups[item.name]
            values = []
            for variable in group.variables:
                with_reason = self.prepared(variable, group)
                if with_reason is not None:
                    values.append(with_reason)
            if len(values) < len(group.variables):
                continue
            if group.length is None:
                self._write_scalars(group, values, item.rank)
                continue
            objects = self.graph.common_objects(values)
            assert objects is not None
            columns = self._columns_of(objects)
            if len(columns) == 1:
                self._users.setdefault(columns[0], group.name)
            prefix = ENDINGS.sub("", group.name), group.length
            if prefix[0] != group.name:
                self.graph.common_objects([of_prefix.setdefault(prefix, values[0]), values[0]])
            self.objects_of[group.name] = objects
            is_any = self._any_length and item.length is None
            self._write_objects(group, values, objects, is_any)

    def prepared(self, variable: Variable, group: InputGroup) -> GraphValue | None:
        """A variable of the network in float32, finite and scaled; None with a reason noted."""
        try:
            if variable.center == "auto":
                raise ConfigError(
                    f"{self.config.source}: the center of {variable.name!r} is auto, and its "
                    "statistics are missing"
                )
            value = self.column(variable.name)
            if isinstance(value, GraphMomenta):
                raise ConfigError(
                    f"{self.config.source}: inputs.{group.name}: {variable.name!r} has "
                    f"four-momenta; their coordinates are numbers, such as {variable.name}.px"
                )
            if (value.objects is None) != (group.length is None):
                found = "one value a row" if value.objects is None else "lists"
                raise ConfigError(
                    f"{self.config.source}: inputs.{group.name}: {variable.name!r} has {found}"
                )
            if value.constant is not None:
                raise ConfigError(
                    f"{self.config.source}: inputs.{group.name}: {variable.name!r} is a constant"
                )
        except WeaverError as error:
            self.reasons.append(str(error))
            return None
        single = value.astype(FLOAT)
        if value.is_float:
            single = choose(np.isfinite(single), single, 0)
        if variable.center is None:
            return single
        assert not isinstance(variable.center, str)
        scaled = (single - np.float32(variable.center)) * np.float32(variable.scale)
        limits = [self.graph.constant(edge, FLOAT) for edge in (variable.low, variable.high)]
        return self.graph.operation("Clip", scaled, *limits)

    def _write_scalars(self, group: InputGroup, values: Sequence[GraphValue], rank: int) -> None:
        """(N, C), or (N, C, 1) where the network takes that."""
        graph = self.graph
        axis = graph.whole(1)
        columns = [graph.write("Unsqueeze", value.name, axis) for value in values]
        joined = graph.write("Concat", *columns, axis=1)
        if rank == 3:
            joined = graph.write("Unsqueeze", joined, graph.whole(2))
        self.network_inputs[group.name] = graph.write("Identity", joined, label=group.name)

    def _write_objects(
        self, group: InputGroup, values: Sequence[GraphValue], objects: str, is_any: bool
    ) -> None:
        """(N, C, P): each slot is gathered from the values and, behind them, the padding.

        ``is_any``: P is what the fullest row needs; else it is the length of the group.
        """
        graph = self.graph
        axis = graph.whole(0)
        columns = []
        for value, variable in zip(values, group.variables, strict=True):
            padding = graph.array([variable.pad], FLOAT)
            with_padding = graph.write("Concat", value.name, padding, axis=0)  # (M + 1,)
            columns.append(graph.write("Unsqueeze", with_padding, axis))
        content = graph.write("Concat", *columns, axis=0)  # (C, M + 1)
        slots = self._objects_of_slots(group, objects, is_any)  # (N, P)
        padded = graph.write("Gather", content, slots, axis=1)  # (C, N, P)
        self.network_inputs[group.name] = graph.write(
            "Transpose", padded, perm=(1, 0, 2), label=group.name
        )

    def _objects_of_slots(self, group: InputGroup, objects: str, is_any: bool) -> str:
        """The object (N, P) in each slot; their number where there is none."""
        graph = self.graph
        assert group.length is not None
        if is_any:
            most = graph.write("Min", graph.longest(objects), graph.array(group.length, WHOLE))
            slots = graph.write("Max", most, graph.array(1, WHOLE))
            zero, one = graph.array(0, WHOLE), graph.array(1, WHOLE)
            places = graph.write("Range", zero, slots, one)
        else:
            places = graph.array(np.arange(group.length), WHOLE)
        is_filled = graph.is_object(objects, places)
        column = graph.whole(1)
        if group.pad_mode == "wrap":
            kept = graph.write("Min", graph.counts(objects), graph.array(group.length, WHOLE))
            kept = graph.write("Unsqueeze", kept, column)  # (N, 1)
            repeated = graph.write("Max", kept, graph.array(1, WHOLE))
            is_filled = graph.write("Less", graph.array(0, WHOLE), kept)
            places = graph.write("Mod", places, repeated)  # (N, P)
        starts = graph.write("Unsqueeze", graph.starts(objects), column)
        index = graph.write("Add", starts, places)
        return graph.write("Where", is_filled, index, graph.total(objects))

    # --- one graph

    def merge(self, network: Any, offsets: Mapping[str, str]) -> Any:
        """The network behind these nodes; ``offsets``: collection -> the name of its input."""
        merged = onnx.ModelProto()
        merged.CopyFrom(network)
        graph = merged.graph
        # names in the network that are those of columns, or of nodes here, get others
        new_names = dict(self.network_inputs)
        ours = {*self.columns_taken, *offsets.values()}
        for name in _names_inside(network.graph):
            if name not in new_names and (name in ours or name.startswith(PREFIX)):
                new_names[name] = f"network/{name}"
        _rename(graph, new_names)
        nodes, constants = onnx_parts(self.graph)
        inputs = self._graph_inputs(offsets)
        for node in nodes:
            node.input[:] = [self._final_name(name, offsets) for name in node.input]
        behind = list(graph.node)
        del graph.node[:], graph.input[:]
        graph.node.extend([*nodes, *behind])
        graph.initializer.extend(constants)
        graph.input.extend(inputs)
        judged = objects_with_outputs(self.config)
        if judged is not None:
            for output in graph.output:
                # by this name readers know which of the objects that they give the values are of
                axis = output.type.tensor_type.shape.dim[1]
                axis.dim_param = offsets.get(self.objects_of[judged], CHOSEN_OBJECTS)
        taken = {
            name: RawColumn(
                column.type, None if column.offsets is None else offsets[column.offsets]
            )
            for name, column in self.columns_taken.items()
        }
        properties = {item.key: item.value for item in network.metadata_props}
        properties |= {RAW_COLUMNS: columns_text(taken), PREPARED: self._prepared_text()}
        helper.set_model_props(merged, properties)
        return merged

    def _prepared_text(self) -> str:
        """Group -> the tensor that its network input has become, and the counts of its rows."""
        found = {}
        for group, tensor in self.network_inputs.items():
            objects = self.objects_of.get(group)
            counts = None if objects is None else self.graph.counts(objects)
            found[group] = [tensor, counts]
        return json_text(found, indent=None)

    def _final_name(self, name: str, offsets: Mapping[str, str]) -> str:
        beginning = self.offsets_input("")
        return offsets[name.removeprefix(beginning)] if name.startswith(beginning) else name

    def _graph_inputs(self, offsets: Mapping[str, str]) -> list[Any]:
        """Offsets, then columns."""
        found = []
        for name in offsets.values():
            kind = helper.np_dtype_to_tensor_dtype(WHOLE)
            found.append(helper.make_tensor_value_info(name, kind, ["N + 1"]))
        for name, column in self.columns_taken.items():
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(column.type))
            axis = "N" if column.offsets is None else offsets[column.offsets].replace(OFFSETS, "M")
            found.append(helper.make_tensor_value_info(name, kind, [axis]))
        return found


def _numbers_of(text: str, where: str) -> tuple[np.dtype[Any], bool]:
    """The type of the numbers of a column, and whether a row has lists of them.

    Raises:
        ConfigError: it has something else.
    """
    kind = ak.types.from_datashape(text, highlevel=False)
    is_list = isinstance(kind, ListType | RegularType)
    content = kind.content if is_list else kind
    # text is lists of characters
    is_text = kind.parameter("__array__") is not None
    is_number = isinstance(content, NumpyType) and np.dtype(content.primitive).kind in "biuf"
    if is_text or not is_number:
        raise ConfigError(
            f"{where}: its type is {text}; a graph takes numbers or lists of numbers, none of them "
            "missing"
        )
    return np.dtype(content.primitive), is_list


def _example(dtype: np.dtype[Any], is_list: bool) -> Any:
    """A column of a few rows: of ones; of whole numbers 0, as they may be places of objects."""
    number = 0 if dtype.kind in "iu" else 1
    if not is_list:
        return np.full(len(EXAMPLE_COUNTS), number, dtype)
    return ak.unflatten(np.full(sum(EXAMPLE_COUNTS), number, dtype), EXAMPLE_COUNTS)


def _subgraphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _names_inside(graph: Any) -> set[str]:
    """All names of tensors in a graph but those of its outputs, in the branches of nodes too."""
    names = {item.name for item in (*graph.input, *graph.initializer)}
    for node in graph.node:
        names.update(node.output)
        for inner in _subgraphs(node):
            names |= _names_inside(inner) | {item.name for item in inner.output}
    return names - {item.name for item in graph.output}


def _rename(graph: Any, new_names: Mapping[str, str]) -> None:
    """Give tensors other names, in the branches of nodes too."""
    for item in (*graph.input, *graph.initializer, *graph.value_info, *graph.output):
        item.name = new_names.get(item.name, item.name)
    for node in graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
        node.output[:] = [new_names.get(name, name) for name in node.output]
        for inner in _subgraphs(node):
            _rename(inner, new_names)
