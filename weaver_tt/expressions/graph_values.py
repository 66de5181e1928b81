"""Columns inside of a graph of ONNX, with the types that numpy gives them.

Arithmetic and functions of numpy that are called on a :class:`GraphValue` write nodes. The type of
a result is that of numpy for values of these types, whatever ONNX would make of them. Nodes are
those that ONNX Runtime computes in doubles too, of operator set 15 where nothing else is said.

N rows, M objects of all rows one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

END = np.iinfo(np.int64).max  # of an axis
PREFIX = "raw/"  # of all names in the graph but those of its inputs

FLOAT = np.dtype(np.float32)
DOUBLE = np.dtype(np.float64)
WHOLE = np.dtype(np.int64)
UNSIGNED = np.dtype(np.uint64)
BOOL = np.dtype(np.bool_)


class NoFormError(Exception):
    """Something has no form in a graph; the text says why, and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionForm:
    """How a graph computes a function.

    ``compute`` takes values of one type, bool, int64, float32 or float64, and gives one of them, or
    a tuple. With ``in_double`` floats are computed in float64 and rounded, as ONNX Runtime has
    coarser functions, or none, of float32. Of ``typed`` forms ``compute`` takes the graph and the
    type of the result first, then the arguments as they stand in the expression.
    ``exact``: the numbers are the same to the last bit, else they may differ in the last places.
    ``unsigned``: it computes 64 bits modulo 2^64, and so unsigned numbers too.
    """

    compute: Callable[..., Any]
    exact: bool
    in_double: bool = False
    typed: bool = False
    unsigned: bool = False


@dataclass(frozen=True, eq=False)
class GraphValue(NDArrayOperatorsMixin):
    """One value for each row (N,) or object (M,), or a constant.

    ``name`` is that of the tensor, ``dtype`` its type. ``objects`` is the collection of the objects
    that it has values for, None for rows and constants. ``constant`` is the number of a constant,
    None for all else.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]
    objects: str | None = None
    constant: Any = None

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **named: Any) -> Any:
        """Numpy's own way to hand over ``np.exp(x)`` and ``x + 1``."""
        if method != "__call__" or named:
            return NotImplemented
        return self.graph.apply(ufunc, operands)

    def astype(self, dtype: npt.DTypeLike) -> GraphValue:
        """The values in another type."""
        return self.graph.cast(self, dtype)

    @property
    def is_float(self) -> bool:
        """Whether a value may be NaN or infinite."""
        return self.dtype.kind == "f"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph, whose first output has the ``name`` of the node."""

    operator: str
    inputs: tuple[str, ...]
    name: str
    attributes: Mapping[str, Any]
    more_outputs: tuple[str, ...] = ()


@dataclass(eq=False)
class Graph:
    """Nodes and constants, written one after another.

    ``form_of`` finds how a function is computed. ``offsets`` (N + 1,) are those of each collection,
    from 0. Pairs of collections whose values meet, so that their objects must be the same, are
    noted in ``met``. What a collection is made of: ``chosen`` tells the one that its objects are
    chosen of, and how, ``joined`` those whose objects it has one after another.
    """

    form_of: Callable[[Any], FunctionForm | None]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    offsets: dict[str, str] = field(default_factory=dict)
    met: list[tuple[str, str]] = field(default_factory=list)
    chosen: dict[str, tuple[str, str]] = field(default_factory=dict)
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _known: dict[Any, str] = field(default_factory=dict)

    # --- nodes

    def write(self, operator: str, *inputs: str, label: str = "", **attributes: Any) -> str:
        """The output of a node; one that is there already is not written again.

        ``label``: what its name begins with, which ONNX Runtime shows in its errors.
        """
        key = (operator, inputs, tuple(sorted(attributes.items())))
        if key not in self._known:
            name = f"{PREFIX}{label or operator}_{len(self.nodes)}"
            self.nodes.append(Node(operator, inputs, name, attributes))
            self._known[key] = name
        return self._known[key]

    def write_two(self, operator: str, *inputs: str, **attributes: Any) -> tuple[str, str]:
        """Both outputs of a node."""
        name = f"{PREFIX}{operator}_{len(self.nodes)}"
        other = f"{name}_other"
        self.nodes.append(Node(operator, inputs, name, attributes, (other,)))
        return name, other

    def array(self, values: Any, dtype: npt.DTypeLike) -> str:
        """The name of a constant array or number."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            name = f"{PREFIX}constant_{len(self.constants)}"
            self.constants[name] = array
            self._known[key] = name
        return self._known[key]

    def operation(
        self,
        operator: str,
        *values: GraphValue,
        dtype: npt.DTypeLike | None = None,
        **attributes: Any,
    ) -> GraphValue:
        """What an operator gives value by value; ``dtype`` where it is not that of the first."""
        objects = self.common_objects(values)
        names = [self.for_objects(value, objects).name for value in values]
        result = values[0].dtype if dtype is None else np.dtype(dtype)
        return GraphValue(self, self.write(operator, *names, **attributes), result, objects)

    # --- rows and objects

    def common_objects(self, values: Sequence[GraphValue]) -> str | None:
        """The collection of values that meet; None where all are of rows or constant."""
        found = [value.objects for value in values if value.objects is not None]
        for other in found[1:]:
            if other != found[0]:
                self.met.append((found[0], other))
        return found[0] if found else None

    def for_objects(self, value: GraphValue, objects: str | None) -> GraphValue:
        """Values of rows once for each of the row's objects; all others as they are."""
        if objects is None or value.objects is not None or value.constant is not None:
            return value
        name = self.write("Gather", value.name, self.rows_of(objects))
        return GraphValue(self, name, value.dtype, objects)

    def filled(self, like: GraphValue, value: GraphValue) -> GraphValue:
        """A constant for each row or object that ``like`` has values for; all else as it is."""
        if value.constant is None:
            return self.for_objects(value, like.objects)
        shape = self.write("Shape", like.name)
        return GraphValue(self, self.write("Expand", value.name, shape), value.dtype, like.objects)

    def starts(self, collection: str) -> str:
        """The place of the first object of each row (N,)."""
        return self.write("Slice", self.offsets[collection], self.whole(0), self.whole(-1))

    def counts(self, collection: str) -> str:
        """The number of objects of each row (N,)."""
        ends = self.write("Slice", self.offsets[collection], self.whole(1), self.whole(END))
        return self.write("Sub", ends, self.starts(collection))

    def total(self, collection: str) -> str:
        """The number of objects of all rows (1,)."""
        return self.write("Slice", self.offsets[collection], self.whole(-1), self.whole(END))

    def longest(self, collection: str) -> str:
        """The number of objects of the fullest row; 0 without rows."""
        counts = self.write("Concat", self.counts(collection), self.whole(0), axis=0)
        return self.write("ReduceMax", counts, keepdims=0)

    def is_object(self, collection: str, places: str) -> str:
        """Which of ``places`` (P,) of each row hold an object: (N, P)."""
        counts = self.write("Unsqueeze", self.counts(collection), self.whole(1))
        return self.write("Less", places, counts)

    def rows_of(self, collection: str) -> str:
        """The row of each object (M,): of a grid of rows and places, where it has objects."""
        return self.write("Gather", self._in_grid(collection), self.array(0, WHOLE))

    def places_of(self, collection: str) -> str:
        """The place of each object in its row (M,), from 0."""
        return self.write("Gather", self._in_grid(collection), self.array(1, WHOLE))

    def all_places(self, collection: str) -> str:
        """The places that the fullest row has (L,)."""
        zero, one = self.array(0, WHOLE), self.array(1, WHOLE)
        return self.write("Range", zero, self.longest(collection), one)

    def _in_grid(self, collection: str) -> str:
        """Row and place of each object (2, M)."""
        return self.write("NonZero", self.is_object(collection, self.all_places(collection)))

    def whole(self, number: int) -> str:
        """A whole number (1,), as for axes and ends of slices."""
        return self.array([number], WHOLE)

    # --- types

    def constant(self, number: Any, dtype: npt.DTypeLike) -> GraphValue:
        """A number of a type."""
        with np.errstate(all="ignore"):
            value = np.asarray(number).astype(dtype)[()]
        return GraphValue(self, self.array(value, dtype), value.dtype, constant=value)

    def lift(self, operand: Any, dtype: npt.DTypeLike) -> GraphValue:
        """A value, or a number of Python, in a type."""
        if isinstance(operand, GraphValue):
            return self.cast(operand, dtype)
        return self.constant(operand, dtype)

    def cast(self, value: GraphValue, dtype: npt.DTypeLike) -> GraphValue:
        """A value in another type, converted as numpy does."""
        kind = np.dtype(dtype)
        if value.dtype == kind:
            return value
        if value.constant is not None:
            return self.constant(value.constant, kind)
        name = self.write("Cast", value.name, to=kind.name)
        return GraphValue(self, name, kind, value.objects)

    # --- functions

    def apply(self, function: Any, operands: Sequence[Any]) -> Any:
        """A function of numpy, value by value, in the types that numpy chooses.

        Raises:
            NoFormError: it has no form, or none for these types.
        """
        examples = [_example(operand) for operand in operands]
        with np.errstate(all="ignore"):
            result = function(*examples)
        if all(_is_constant(operand) for operand in operands):
            return self.constant(result, result.dtype)
        parts = result if isinstance(result, tuple) else (result,)
        return self.compute(function, operands, {}, [part.dtype for part in parts])

    def compute(
        self,
        function: Any,
        operands: Sequence[Any],
        named: Mapping[str, Any],
        dtypes: Sequence[np.dtype[Any]],
    ) -> Any:
        """A function of values and numbers; ``dtypes`` are those of its results.

        Raises:
            NoFormError: it has no form, or none for these types.
        """
        form = self.form_of(function)
        if form is None:
            raise NoFormError("it has no form in a graph")
        if form.typed:
            found = form.compute(self, dtypes[0], *operands, **named)
        elif named:
            raise NoFormError(f"argument {next(iter(named))!r} cannot be given in a graph")
        else:
            loop = dtypes[0]
            if loop == BOOL:
                # a test: in the type that holds all operands
                loop = np.result_type(*(_example(operand) for operand in operands))
                if loop.kind == "f" and not any(map(_is_float, operands)):
                    raise NoFormError("signed and unsigned whole numbers of 64 bits meet")
            work = _working_type(loop, form)
            found = form.compute(*(self.lift(operand, work) for operand in operands))
        if isinstance(found, tuple):
            return tuple(self.cast(*pair) for pair in zip(found, dtypes, strict=True))
        return self.cast(found, dtypes[0])


def _working_type(loop: np.dtype[Any], form: FunctionForm) -> np.dtype[Any]:
    """The type in which a graph computes what numpy computes in the type ``loop``."""
    if loop == BOOL:
        return BOOL
    if loop.kind == "f":
        # numpy, too, computes half precision in float32 and rounds each result
        return DOUBLE if form.in_double or loop == DOUBLE else FLOAT
    if loop == UNSIGNED and not form.unsigned:
        raise NoFormError(
            "unsigned whole numbers of 64 bits have no such form; write x.astype('int64')"
        )
    if loop.kind in "iu":
        return WHOLE
    raise NoFormError(f"values of type {loop} have no form")


def _example(operand: Any) -> Any:
    """What stands for an operand where numpy is asked for the type of a result."""
    if not isinstance(operand, GraphValue):
        return operand
    return np.ones(1, operand.dtype) if operand.constant is None else operand.constant


def _is_constant(operand: Any) -> bool:
    return not isinstance(operand, GraphValue) or operand.constant is not None


def _is_float(operand: Any) -> bool:
    return np.asarray(_example(operand)).dtype.kind == "f"


def onnx_parts(graph: Graph) -> tuple[list[Any], list[Any]]:
    """The nodes of a graph and its constants, as those of onnx."""
    # slow to import, and only needed here
    from onnx import helper, numpy_helper

    nodes = []
    for node in graph.nodes:
        attributes = dict(node.attributes)
        if node.operator == "Cast":
            attributes["to"] = helper.np_dtype_to_tensor_dtype(np.dtype(attributes["to"]))
        nodes.append(
            helper.make_node(
                node.operator,
                list(node.inputs),
                [node.name, *node.more_outputs],
                name=node.name,
                **attributes,
            )
        )
    used = {name for node in graph.nodes for name in node.inputs}
    constants = []
    for name, array in graph.constants.items():
        # numbers that went into others have left their own behind
        if name in used:
            constants.append(numpy_helper.from_array(array, name))
    return nodes, constants
