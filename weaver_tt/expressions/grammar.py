"""The allow-list: which syntax trees are expressions. Everything that is not listed here is refused, before anything runs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.registry import (
    ATTRIBUTES,
    HELPERS,
    METHODS,
    MODULES,
    MOMENTUM_CALLS,
    MOMENTUM_COORDINATES,
)

ALLOWED = (
    "allowed: numbers, columns, + - * / // % **, comparisons, & | ~, indexing and slicing, functions of np, ak and math, "
    "the helpers of docs/data-yaml.md, len abs min max sum round, and those of --custom-functions"
)
OPERATORS = (
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.BitAnd,
    ast.BitOr,
    ast.BitXor,
)
SIGNS = (ast.UAdd, ast.USub, ast.Invert)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
MAX_CHARACTERS = 20_000
MAX_DEPTH = 200  # far below the interpreter's own limit

SUGGESTIONS: Mapping[type[ast.AST], str] = {
    ast.BoolOp: "'and' and 'or' do not act on columns; write & or |, with each side in parentheses",
    ast.Not: "'not' does not act on columns; write ~",
    ast.IfExp: "a condition on columns is written np.where(condition, yes, no)",
    ast.In: "'in' does not act on columns; write (x == a) | (x == b)",
    ast.NotIn: "'not in' does not act on columns; write (x != a) & (x != b)",
    ast.Lambda: "functions cannot be defined here; put them in a file for --custom-functions",
    ast.ListComp: "loops are not allowed; write it with columns, or in a file for --custom-functions",
    ast.GeneratorExp: "loops are not allowed; write it with columns, or in a file for --custom-functions",
}
"""Construct -> what to write instead, where people are likely to try it."""


@dataclass(frozen=True)
class Grammar:
    """Checks the tree of one expression; ``functions`` are those called by their bare name."""

    source: str
    where: str
    functions: Mapping[str, Callable[..., Any]]

    def refusal(self, node: Any, why: str) -> ConfigError:
        """The error for a part of the expression: what is wrong, the expression, a caret under the part, what is allowed."""
        return ConfigError(
            f"{self.where}: {why}\n{with_caret(self.source, node.col_offset, node.end_col_offset)}\n{ALLOWED}"
        )

    def check(self, node: ast.expr, depth: int = 0) -> Iterator[str]:
        """Names of the columns that an allowed tree reads.

        :raises ConfigError: some part is not allowed.
        """
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"nested more than {MAX_DEPTH} deep")
        if isinstance(node, ast.Name):
            self.name(node)
            yield node.id
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.Attribute) and module_of(node.value):
            self.member(node)
        else:
            for part in self.parts(node):
                yield from self.check(part, depth + 1)

    def parts(self, node: ast.expr) -> list[ast.expr]:
        """The operands of an operation that is allowed."""
        match node:
            case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, OPERATORS):
                self.refuse_lists(left, right)
                return [left, right]
            case ast.UnaryOp(op=operator, operand=operand) if isinstance(operator, SIGNS):
                return [operand]
            case ast.Compare(left=left, ops=operators, comparators=others):
                for test in operators:
                    if not isinstance(test, COMPARISONS):
                        raise self.refusal(node, SUGGESTIONS.get(type(test), "'is' is not allowed"))
                return [left, *others]
            case ast.Call():
                return self.call(node)
            case ast.Attribute(value=value, attr=name):
                self.attribute(node, name)
                return [value]
            case ast.Subscript(value=value, slice=index):
                return [value, *self.index(index)]
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return elements
        faulty = getattr(node, "op", node)
        why = next(
            (
                hint
                for kind, hint in SUGGESTIONS.items()
                if isinstance(node, kind) or isinstance(faulty, kind)
            ),
            None,
        )
        raise self.refusal(node, why or f"{type(faulty).__name__} is not allowed")

    def name(self, node: ast.Name) -> None:
        """A bare name is a column."""
        if node.id in MODULES:
            raise self.refusal(node, f"{node.id!r} is a module; write {node.id}.NAME")
        if node.id.startswith("__"):
            raise self.refusal(node, f"names that begin with '__' are not allowed: {node.id!r}")

    def constant(self, node: ast.Constant) -> None:
        """Numbers; text only where a function or an index takes it (see ``call``, ``index``)."""
        value = node.value
        if isinstance(value, int) and value.bit_length() > 64:
            raise self.refusal(node, "a whole number of more than 64 bits")
        if value is not None and not isinstance(value, int | float):
            raise self.refusal(node, f"{type(value).__name__} {value!r} is not allowed here")

    def refuse_lists(self, *operands: ast.expr) -> None:
        """``[0] * 10**9`` would repeat a list."""
        for operand in operands:
            if isinstance(operand, ast.List | ast.Tuple):
                raise self.refusal(operand, "arithmetic acts on numbers and columns, not on lists")

    def member(self, node: ast.Attribute) -> Any:
        """``np.sqrt``: what a module's name stands for."""
        module = module_of(node.value)
        assert module is not None
        if node.attr not in MODULES[module]:
            raise self.refusal(
                node, f"{module}.{node.attr} is not allowed; {nearest(node.attr, MODULES[module])}"
            )
        return MODULES[module][node.attr]

    def attribute(self, node: ast.Attribute, name: str) -> None:
        """``p4.pt``: a coordinate of four-momenta; ``x.counts`` of a column."""
        self.submodule(node.value)
        known = (*MOMENTUM_COORDINATES, *ATTRIBUTES)
        if name not in known:
            raise self.refusal(node, f"attribute {name!r} is not allowed; {nearest(name, known)}")

    def submodule(self, node: ast.expr) -> None:
        """``np.lib`` in ``np.lib.format`` is what to complain of."""
        if isinstance(node, ast.Attribute) and module_of(node.value):
            self.member(node)

    def index(self, index: ast.expr) -> list[ast.expr]:
        """The expressions inside ``x[...]``; a field's name and ``...`` are allowed only here."""
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        inside: list[ast.expr] = []
        for part in parts:
            if isinstance(part, ast.Slice):
                inside += [edge for edge in (part.lower, part.upper, part.step) if edge is not None]
            elif not (
                isinstance(part, ast.Constant)
                and (isinstance(part.value, str) or part.value is ...)
            ):
                inside.append(part)
        return inside

    def call(self, node: ast.Call) -> list[ast.expr]:
        """The arguments of a call, where function and arguments fit together."""
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self.refusal(argument, "'*' is not allowed in a call")
        if any(keyword.arg is None for keyword in node.keywords):
            raise self.refusal(node, "'**' is not allowed in a call")
        target = node.func
        plain = [
            argument
            for argument in arguments
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str))
        ]
        if isinstance(target, ast.Attribute) and not module_of(target.value):
            self.method(node, target)
            return [target.value, *plain]
        self.signature(node, self.function(target))
        return plain

    def method(self, node: ast.Call, target: ast.Attribute) -> None:
        """``p4.deltaR(other)`` of four-momenta, ``x.sum()`` of a column."""
        self.submodule(target.value)
        known: Mapping[str, Callable[..., Any]] = {**MOMENTUM_CALLS, **METHODS}
        if target.attr not in known:
            raise self.refusal(
                target, f"method {target.attr!r} is not allowed; {nearest(target.attr, known)}"
            )
        itself = ast.Call(func=target, args=[target.value, *node.args], keywords=node.keywords)
        self.signature(ast.copy_location(itself, node), known[target.attr])

    def function(self, target: ast.expr) -> Callable[..., Any]:
        """What is called: a listed function of a module, a helper, a builtin, or the user's own."""
        if isinstance(target, ast.Attribute):
            function = self.member(target)
            if not callable(function):
                raise self.refusal(target, f"{ast.unparse(target)} is a number, not a function")
            return function
        if not isinstance(target, ast.Name):
            raise self.refusal(target, "only a named function can be called")
        if target.id not in self.functions:
            raise self.refusal(
                target, f"no function {target.id!r}; {nearest(target.id, self.functions)}"
            )
        return self.functions[target.id]

    def signature(self, node: ast.Call, function: Callable[..., Any]) -> None:
        """The arguments fit, and none of them makes the function write into a column or grow an array."""
        given = {keyword.arg: None for keyword in node.keywords if keyword.arg is not None}
        refused = {"out", "behavior", "attrs", "highlevel"} | (
            {"shape"} if getattr(function, "__name__", "").endswith("_like") else set()
        )
        if isinstance(function, np.ufunc):
            if len(node.args) != function.nin:
                raise self.refusal(
                    node,
                    f"{function.__name__} takes {function.nin} argument{'s' * (function.nin > 1)}, not {len(node.args)}",
                )
            bound = set(given)
        else:
            try:
                bound = set(inspect.signature(function).bind(*node.args, **given).arguments)
            except TypeError as error:
                raise self.refusal(node, f"{ast.unparse(node.func)}: {error}") from None
            except ValueError:  # builtins and types tell no signature
                bound = set(given)
        if function not in HELPERS.values() and bound & refused:
            raise self.refusal(node, f"argument {min(bound & refused)!r} is not allowed")


def module_of(node: ast.expr) -> str | None:
    """The module that ``np`` or ``awkward.JaggedArray`` stands for; None for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = f"{node.value.id}.{node.attr}"
    else:
        name = node.id if isinstance(node, ast.Name) else ""
    return name if name in MODULES else None


def with_caret(source: str, first: int, last: int) -> str:
    """The expression with a caret line under its bytes ``[first, last)``."""
    start, stop = (len(source.encode()[:byte].decode(errors="ignore")) for byte in (first, last))
    return f"  {source}\n  {' ' * start}{'^' * max(1, stop - start)}"
