"""Expressions inside of a graph of ONNX: the second evaluation of the same tree.

The types are those of the first one, which is run on a few rows of ones: what each node gives
there, the graph gives, converted where ONNX would choose another type. What a graph cannot compute
is refused, with a caret under it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.errors import ConfigError, WeaverError, nearest
from weaver_tt.expressions import helpers
from weaver_tt.expressions.calls import module_of, reads_columns
from weaver_tt.expressions.custom_functions import is_custom_function, known_functions
from weaver_tt.expressions.elementwise import JaggedColumn
from weaver_tt.expressions.evaluate import Expression, Table, evaluate_nodes
from weaver_tt.expressions.grammar import with_caret
from weaver_tt.expressions.graph_functions import REASONS, form_of
from weaver_tt.expressions.graph_objects import at_places, chosen, first_or
from weaver_tt.expressions.graph_values import BOOL, Graph, GraphValue, NoFormError
from weaver_tt.expressions.momentum import coordinate, is_momentum
from weaver_tt.expressions.operators import BINARY, COMPARISON, UNARY
from weaver_tt.expressions.registry import (
    ATTRIBUTES,
    METHODS,
    MODULES,
    MOMENTUM_CALLS,
    MOMENTUM_COORDINATES,
    REGISTRY,
    Function,
)
from weaver_tt.expressions.row_rules import ConstantsOnly

ALLOWED = (
    "what a graph can compute is in the table of docs/onnx.md; a column of this name in the files "
    "can be anything"
)

MOMENTUM_MAKERS = (
    helpers._p4_from_pxpypze,
    helpers._p4_from_ptetaphie,
    helpers._p4_from_ptetaphim,
)
MOMENTUM_SUM = ("px", "py", "pz", "energy")

_SPELLINGS = [name for entry in REGISTRY if entry.graph for name in entry.names]


@dataclass(frozen=True, slots=True)
class GraphMomenta:
    """Four-momenta as their coordinates; what else is asked of them follows from these."""

    parts: Mapping[str, Any]

    @property
    def fields(self) -> list[str]:
        """The coordinates that there are."""
        return list(self.parts)

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]


def compute_in_graph(
    expression: Expression,
    graph: Graph,
    columns: Mapping[str, GraphValue | GraphMomenta],
    examples: Table,
    where: str,
) -> GraphValue | GraphMomenta:
    """An expression of ``columns`` as a value of the graph, or as four-momenta.

    ``examples`` are columns of the same types, with a few rows; ``where``: file and key, for
    messages.

    Raises:
        ConfigError: some part cannot be computed in a graph, with a caret under it; or it does not
            fit the types of the columns.
    """
    tree = expression.tree
    if isinstance(tree, ast.Name) and tree.id in columns:
        # a column alone is handed on as it is, of whatever type
        return columns[tree.id]
    try:
        found = evaluate_nodes(expression, examples)
    except WeaverError as error:
        raise ConfigError(f"{where}: {error}") from error
    return _GraphEvaluation(expression, graph, columns, found, where).result(tree)


@dataclass(frozen=True, slots=True)
class _GraphEvaluation:
    """Writes the nodes of one tree; ``found`` is what the first evaluation gave for each."""

    expression: Expression
    graph: Graph
    columns: Mapping[str, GraphValue | GraphMomenta]
    found: Mapping[ast.expr, Any]
    where: str

    def refusal(self, node: Any, why: str) -> ConfigError:
        """The error for a part: why not, and a caret under it."""
        shown = with_caret(self.expression.source, node.col_offset, node.end_col_offset)
        return ConfigError(f"{self.where}: {why}\n{shown}\n{ALLOWED}")

    def result(self, node: ast.expr) -> GraphValue | GraphMomenta:
        """A node that must be a column of numbers, or of four-momenta, which others ask more of."""
        value = self.value(node)
        if isinstance(value, GraphValue | GraphMomenta):
            return value
        if _is_number(value):
            return self.graph.constant(value, np.asarray(value).dtype)
        raise self.refusal(node, f"{ast.unparse(node)} is no column of numbers in a graph")

    def value(self, node: ast.expr) -> Any:
        """The value of a node.

        A GraphValue, a tuple of them, four-momenta; of a constant, what it is.
        """
        if not reads_columns(node) or _is_number(self.found.get(node)):
            return self.found[node]
        match node:
            case ast.Name(id=name):
                if is_momentum(self.found[node]):
                    return self.columns[name]
                dtype = self.dtypes(node)[0]
                return self.graph.lift(self.columns[name], dtype)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self.value(element) for element in elements]
            case ast.BinOp(left=left, op=op, right=right):
                operands = [self.value(left), self.value(right)]
                if all(isinstance(operand, GraphMomenta) for operand in operands):
                    return _sum_of_momenta(*operands)
                return self.compute(node, BINARY[type(op)].of_columns, operands)
            case ast.UnaryOp(op=op, operand=operand):
                return self.compute(node, UNARY[type(op)].of_columns, [self.value(operand)])
            case ast.Compare():
                return self.compare(node)
            case ast.Call():
                return self.call(node)
            case ast.Attribute(value=owner, attr=name):
                if name in ATTRIBUTES:
                    return self.compute(node, ATTRIBUTES[name], [self.value(owner)])
                return self.of_momenta(node, MOMENTUM_COORDINATES[name], [self.value(owner)])
            case ast.Subscript():
                return self.subscript(node)
        raise self.refusal(node, f"{ast.unparse(node)} cannot be computed in a graph")

    def subscript(self, node: ast.Subscript) -> Any:
        """One of several results, objects that pass, objects at given places, or ``x[:, None]``.

        Raises:
            ConfigError: it is something else.
        """
        values = self.value(node.value)
        if isinstance(values, tuple) and isinstance(self.found.get(node.slice), int):
            return values[self.found[node.slice]]
        if isinstance(values, GraphValue) and not values.objects and _is_new_axis(node.slice):
            # a value of a row meets each of its objects as it is
            return values
        found = self.found.get(node.slice)
        if isinstance(values, GraphValue) and values.objects and isinstance(found, JaggedColumn):
            index = self.value(node.slice)
            if index.dtype == BOOL:
                return chosen(self.graph, values, index)
            if index.dtype.kind in "iu":
                return at_places(self.graph, values, index)
        raise self.refusal(
            node, f"{ast.unparse(node)} takes objects in a way that a graph does not have"
        )

    def compare(self, node: ast.Compare) -> Any:
        """A comparison; ``0 < x < 5`` is ``(0 < x) & (x < 5)``."""
        values = [self.value(part) for part in (node.left, *node.comparators)]
        passed = None
        for test, left, right in zip(node.ops, values, values[1:], strict=False):
            one = self.compute(node, COMPARISON[type(test)], [left, right])
            passed = one if passed is None else passed & one
        return passed

    def call(self, node: ast.Call) -> Any:
        """A function or method of columns or four-momenta."""
        filled = self.first_objects(node)
        if filled is not None:
            return filled
        operands = [self.value(part) for part in node.args]
        named = {str(part.arg): self.value(part.value) for part in node.keywords}
        match node.func:
            case ast.Attribute(value=owner, attr=name) if module := module_of(owner):
                function = MODULES[module][name]
            case ast.Attribute(value=owner, attr=name):
                operands.insert(0, self.value(owner))
                if name in MOMENTUM_CALLS:
                    return self.of_momenta(node, MOMENTUM_CALLS[name], [*operands, *named.values()])
                function = METHODS[name]
            case ast.Name(id=name):
                functions = known_functions(self.expression.functions_file)
                if is_custom_function(name, functions):
                    raise self.refusal(node, f"{name} is a function of your own, in Python")
                function = functions[name]
        if function in MOMENTUM_MAKERS:
            bound = inspect.signature(function).bind(*operands, **named)
            return self.momenta(bound.arguments)
        return self.compute(node, function, operands, named)

    def first_objects(self, node: ast.Call) -> Any:
        """``ak.fill_none(ak.firsts(x), number)``, or ``.fillna``; None for any other call."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Call() as inner, attr="fillna")):
                arguments = [inner, *node.args]
            case ast.Call(args=[ast.Call() as inner, _]) if self.member(node.func) is ak.fill_none:
                arguments = node.args
            case _:
                return None
        is_plain = len(arguments) == 2 and not node.keywords and not inner.keywords
        if not is_plain or self.member(inner.func) is not ak.firsts or len(inner.args) != 1:
            return None
        array = self.value(inner.args[0])
        number = self.value(arguments[1])
        return self.reporting(node, first_or, self.graph, self.dtypes(node)[0], array, number)

    def member(self, node: ast.expr) -> Any:
        """What ``ak.firsts`` stands for; None for anything but a name in a module."""
        if isinstance(node, ast.Attribute) and (module := module_of(node.value)):
            return MODULES[module].get(node.attr)
        return None

    def compute(
        self,
        node: ast.expr,
        function: Any,
        operands: Sequence[Any],
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """A function value by value, with results of the types of the first evaluation.

        Raises:
            ConfigError: a graph cannot compute it.
        """
        shown = ast.unparse(node.func) if isinstance(node, ast.Call) else ast.unparse(node)
        if form_of(function) is None:
            reason = f": {REASONS[function]}" if function in REASONS else ""
            hint = nearest(shown, _SPELLINGS) if isinstance(node, ast.Call) else ""
            why = f"{shown} cannot be computed in a graph{reason}; {hint}".rstrip("; ")
            raise self.refusal(node, why)
        dtypes = self.dtypes(node)
        return self.reporting(node, self.graph.compute, function, operands, named or {}, dtypes)

    def reporting(self, node: ast.expr, function: Any, *arguments: Any) -> Any:
        """What a function gives; of what has no form, a refusal with a caret.

        Raises:
            ConfigError: in place of these.
        """
        try:
            return function(*arguments)
        except (NoFormError, TypeError) as error:
            shown = ast.unparse(node.func) if isinstance(node, ast.Call) else ast.unparse(node)
            raise self.refusal(node, f"{shown} cannot be computed in a graph: {error}") from None

    def momenta(self, parts: Mapping[str, Any]) -> GraphMomenta:
        """Four-momenta of coordinates, which become columns of the same rows or objects."""
        values = [part for part in parts.values() if isinstance(part, GraphValue)]
        objects = self.graph.common_objects(values)
        like = next(value for value in values if value.objects == objects)
        columns = {}
        for name, part in parts.items():
            # a number has the type of an array of such numbers
            dtype = part.dtype if isinstance(part, GraphValue) else np.asarray(part).dtype
            columns[name] = self.graph.filled(like, self.graph.lift(part, dtype))
        return GraphMomenta(columns)

    def of_momenta(self, node: ast.expr, function: Any, operands: Sequence[Any]) -> Any:
        """A coordinate or a distance of four-momenta, by the same lines as of arrays.

        Raises:
            ConfigError: a graph cannot compute it.
        """
        found = self.reporting(node, function, *operands)
        expected = self.dtypes(node)[0]
        if found.dtype != expected:
            shown = ast.unparse(node)
            raise self.refusal(node, f"{shown} is {expected}, a graph has {found.dtype}")
        return found

    def dtypes(self, node: ast.expr) -> list[np.dtype[Any]]:
        """The types of what the first evaluation found: of one value, or of each of a tuple.

        Raises:
            ConfigError: it found something else than numbers.
        """
        found = self.found[node]
        parts = found if isinstance(found, tuple) else (found,)
        return [self.dtype_of(part, node) for part in parts]

    def dtype_of(self, found: Any, node: ast.expr) -> np.dtype[Any]:
        """The type of numbers of rows or objects."""
        if isinstance(found, JaggedColumn):
            return found.content.dtype
        if isinstance(found, np.ndarray) and (found.ndim == 1 or found.shape[1:] == (1,)):
            return found.dtype
        if isinstance(found, ak.Array) and found.ndim == 2:
            # rows with a new axis and objects meet in awkward
            return ak.to_numpy(ak.flatten(found)).dtype
        kind = found.type if isinstance(found, ak.Array) else type(found).__name__
        raise self.refusal(node, f"{ast.unparse(node)} has values of the type {kind}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_)


def _is_new_axis(place: ast.expr) -> bool:
    """Whether ``place`` is that of ``x[:, np.newaxis]`` or ``x[:, None]``."""
    match place:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), last]):
            is_none = isinstance(last, ast.Constant) and last.value is None
            return is_none or (isinstance(last, ast.Attribute) and last.attr == "newaxis")
    return False


def _sum_of_momenta(left: Any, right: Any) -> GraphMomenta:
    """The sum of two four-momenta."""
    total = {name: coordinate(left, name) + coordinate(right, name) for name in MOMENTUM_SUM}
    return GraphMomenta(total)


def how_in_graph(entry: Function) -> str:
    """How a graph has a function: exact, composed, as a constant, or not, and why."""
    if entry.rows is None or isinstance(entry.rows, ConstantsOnly):
        return "of constants alone"
    if entry.value is ak.fill_none:
        return "exact, of ak.firsts(x)"
    if entry.graph is not None:
        return "exact" if entry.graph.exact else "composed"
    is_of_momenta = entry.value in MOMENTUM_MAKERS or entry.names[0].startswith("p4.")
    if is_of_momenta:
        return "composed"
    reason = REASONS.get(entry.value)
    return "refused" if reason is None else f"refused: {reason}"
