"""Calls in the tree of an expression: whether they keep the rows of a table apart.

The same questions are asked of the tree alone, when a YAML is loaded, and with the values of the
arguments, when it is evaluated: only those show how many axes an argument has.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import awkward as ak
import numpy as np

from weaver_tt.expressions.registry import METHODS, MODULES, ROW_RULES
from weaver_tt.expressions.row_rules import ANY_AXIS, CHANCE, AlongAxis, IntoRows, Operand, bind


def module_of(node: ast.expr) -> str | None:
    """The module that ``np`` or ``awkward.JaggedArray`` stands for; None for anything else."""
    match node:
        case ast.Attribute(value=ast.Name(id=package), attr=last):
            name = f"{package}.{last}"
        case ast.Name(id=name):
            pass
        case _:
            return None
    return name if name in MODULES else None


def reads_columns(node: ast.AST) -> bool:
    """Whether a tree is made of columns, so that its rows are those of the table."""
    match node:
        case ast.Name(id=name):
            return name not in MODULES
        case ast.Call(func=ast.Name(), args=positional, keywords=named):
            # the name is that of a function
            return any(map(reads_columns, [*positional, *named]))
    return any(map(reads_columns, ast.iter_child_nodes(node)))


def is_content(node: ast.expr) -> TypeGuard[ast.Call]:
    """Whether a tree is ``ak.flatten(x)``: the objects of all rows one after another."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="flatten"), args=[_], keywords=[]):
            return module_of(owner) in ("ak", "awkward")
    return False


def takes_content(function: Callable[..., Any] | None) -> bool:
    """Whether a function divides ``ak.flatten(x)`` into rows again."""
    return isinstance(_rule_of(function), IntoRows)


def call_problem(
    function: Callable[..., Any],
    call: ast.expr,
    nodes: Sequence[ast.expr],
    named_nodes: Mapping[str, ast.expr],
    values: Sequence[Any] | None = None,
    named_values: Mapping[str, Any] | None = None,
) -> str | None:
    """Why a call looks across rows, and what to write instead; None where it does not.

    ``call`` is shown in the message. ``nodes`` are the arguments, what stands before the dot of a
    method among them; ``values`` what they have been evaluated to, None before that.
    """
    rule = _rule_of(function)
    if rule is None:
        return None
    if values is None or named_values is None:
        positional = [operand(node) for node in nodes]
        named = {name: operand(node) for name, node in named_nodes.items()}
    else:
        positional = [operand(*pair) for pair in zip(nodes, values, strict=True)]
        named = {name: operand(node, named_values[name]) for name, node in named_nodes.items()}
    problem = rule.problem(bind(function, positional, named))
    if problem is None:
        return None
    hint = ""
    name = getattr(call.func, "attr", "") if isinstance(call, ast.Call) else ""
    if isinstance(rule, AlongAxis) and name in METHODS and "axis=1" in problem:
        hint = f", or {_in_parentheses(nodes[0])}.{name}()"
    return f"{ast.unparse(call)} {problem}{hint}"


def _rule_of(function: Callable[..., Any] | None) -> Any:
    try:
        return ROW_RULES.get(function) if function is not None else None
    except TypeError:
        # what cannot be looked up is none of the listed functions
        return None


def _in_parentheses(node: ast.expr) -> str:
    text = ast.unparse(node)
    is_simple = isinstance(node, ast.Name | ast.Call | ast.Subscript | ast.Attribute)
    return text if is_simple else f"({text})"


UNKNOWN = object()  # the value of an argument that has not been evaluated


def operand(node: ast.expr, value: Any = UNKNOWN) -> Operand:
    """An argument as the rules see it, from its tree and, once it has been evaluated, its value."""
    if value is UNKNOWN:
        parts = None
        if isinstance(node, ast.List | ast.Tuple):
            parts = tuple(operand(element) for element in node.elts)
        return Operand(
            has_rows=reads_columns(node),
            parts=parts,
            may_be_list=isinstance(node, ast.Call | ast.Subscript),
            value=_literal(node),
            is_content=is_content(node),
        )
    has_rows = reads_columns(node)
    if isinstance(value, list | tuple):
        return Operand(
            has_rows=has_rows,
            parts=tuple(Operand(has_rows=has_rows, axes=number_of_axes(part)) for part in value),
            value=_literal(node),
        )
    axes = number_of_axes(value)
    return Operand(
        # len([x, y]) is made of columns, but is a number
        has_rows=has_rows and axes > 0,
        axes=axes,
        value=_literal(node),
        is_content=is_content(node),
    )


def number_of_axes(value: Any) -> int:
    """1 for one value a row, 2 for lists, 0 for anything but an array."""
    if isinstance(value, np.ndarray | ak.Array):
        return int(value.ndim)
    # content and offsets of lists
    return 2 if hasattr(value, "offsets") else 0


def _literal(node: ast.expr) -> Any:
    """The value of a constant such as ``-1``, ``None`` or ``(1, 2)``."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ANY_AXIS


# --- x[...]


def subscript_problem(node: ast.Subscript) -> str | None:
    """Why ``x[0]``, ``x[::-1]`` or ``x[:5]`` takes rows of ``x``, as far as the tree tells."""
    # of a call's result nobody knows yet whether it is a tuple, such as that of np.modf
    is_column = isinstance(node.value, ast.Name | ast.BinOp | ast.UnaryOp | ast.Compare)
    if not is_column or not reads_columns(node.value):
        return None
    first = (
        node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
    )
    if isinstance(first, ast.Slice):
        takes_rows = any((first.lower, first.upper, first.step))
    else:
        place = _literal(first)
        takes_rows = place is None or isinstance(place, int) or _is_list_of_numbers(place)
    return takes_rows_message(node) if takes_rows else None


def _is_list_of_numbers(place: Any) -> bool:
    return isinstance(place, list) and any(not isinstance(entry, str) for entry in place)


def takes_rows_message(node: ast.Subscript) -> str:
    """What is wrong with an index that takes some of the rows, or brings them into an order."""
    return (
        f"{ast.unparse(node)} takes rows of the table, and {CHANCE}; rows are chosen by "
        "`selection`; of lists, x[:, 0] takes the first object and x[mask] the objects that pass"
    )


def index_problem(node: ast.Subscript, value: Any, index: Any) -> str | None:
    """Why an index takes rows instead of objects inside of rows, once it is evaluated."""
    axes = number_of_axes(value)
    # a list or a tuple of arrays has no rows, nor has a constant array
    if axes == 0 or not reads_columns(node.value):
        return None
    parts = index if isinstance(index, tuple) else (index,)
    # fields of records come before places
    places = [part for part in parts if not _is_field(part)]
    if not places:
        return None
    first, *others = places
    if any(number_of_axes(part) > 0 for part in others):
        # an array beside another index is matched with the rows by its place, not row by row
        return takes_rows_message(node)
    if first is ...:
        inside = [part for part in others if part is not None]
        return None if len(inside) < axes else takes_rows_message(node)
    if isinstance(first, slice):
        return None if first == slice(None) else takes_rows_message(node)
    is_inside = number_of_axes(first) > 1 and axes > 1 and not others
    return None if is_inside else takes_rows_message(node)


def _is_field(part: Any) -> bool:
    if isinstance(part, list):
        return all(isinstance(entry, str) for entry in part)
    return isinstance(part, str)
