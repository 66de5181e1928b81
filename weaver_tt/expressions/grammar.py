"""The allow-list: which syntax trees are expressions.

Everything that is not listed here is refused, before anything runs.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.calls import (
    call_problem,
    is_content,
    module_of,
    subscript_problem,
    takes_content,
)
from weaver_tt.expressions.operators import BINARY, COMPARISON, UNARY
from weaver_tt.expressions.registry import (
    ATTRIBUTES,
    METHODS,
    MODULES,
    MOMENTUM_CALLS,
    MOMENTUM_COORDINATES,
)

ALLOWED = (
    "allowed: numbers, columns, + - * / // % **, comparisons, & | ~, indexing and slicing, "
    "functions of np, ak and math, the helpers of docs/data-yaml.md, len abs min max sum round, "
    "and those of --custom-functions"
)
MAX_CHARACTERS = 20_000
MAX_DEPTH = 200  # far below the interpreter's own limit
MAX_BITS = 64  # of a whole number
SHOWN_AROUND = 300  # characters before and after the place of an error

NO_LOOPS = "loops are not allowed; write it with columns, or in a file for --custom-functions"
SUGGESTIONS: Mapping[type[ast.AST], str] = {
    ast.BoolOp: "'and' and 'or' do not act on columns; write & or |, with each side in parentheses",
    ast.Not: "'not' does not act on columns; write ~",
    ast.IfExp: "a condition on columns is written np.where(condition, yes, no)",
    ast.In: "'in' does not act on columns; write (x == a) | (x == b)",
    ast.NotIn: "'not in' does not act on columns; write (x != a) & (x != b)",
    ast.Lambda: "functions cannot be defined here; put them in a file for --custom-functions",
    ast.ListComp: NO_LOOPS,
    ast.GeneratorExp: NO_LOOPS,
}
"""Construct -> what to write instead, where people are likely to try it."""

REFUSED_ARGUMENTS = frozenset({"out", "behavior", "attrs", "highlevel"})
"""Arguments that make a function write into a column, or return anything but an array."""

# of columns and of four-momenta
_METHODS: Mapping[str, Callable[..., Any]] = {**MOMENTUM_CALLS, **METHODS}


@dataclass(frozen=True)
class Grammar:
    """Checks the tree of one expression; ``functions`` are those called by their bare name."""

    source: str
    where: str
    functions: Mapping[str, Callable[..., Any]]

    def refusal(self, node: Any, why: str, allowed: str = ALLOWED) -> ConfigError:
        """The error for a part: what is wrong, a caret under the part, and what is allowed."""
        shown = with_caret(self.source, node.col_offset, node.end_col_offset)
        return ConfigError(f"{self.where}: {why}\n{shown}\n{allowed}".rstrip())

    def check(self, node: ast.expr, depth: int = 0) -> Iterator[str]:
        """Names of the columns that an allowed tree reads.

        Raises:
            ConfigError: some part is not allowed.
        """
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"nested more than {MAX_DEPTH} deep")
        if isinstance(node, ast.Name):
            self.check_name(node)
            yield node.id
        elif isinstance(node, ast.Constant):
            self.check_constant(node)
        elif isinstance(node, ast.Attribute) and module_of(node.value):
            # np.pi: the module is not a column
            self.member(node)
        else:
            for part in self.parts(node):
                yield from self.check(part, depth + 1)
            # last, as it is of no interest while a part is not allowed
            self.check_rows(node)

    def parts(self, node: ast.expr) -> list[ast.expr]:
        """The operands of an operation that is allowed."""
        match node:
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in BINARY:
                self.refuse_lists(left, right)
                return [left, right]
            case ast.UnaryOp(op=operator, operand=operand) if type(operator) in UNARY:
                return [operand]
            case ast.Compare(left=left, ops=operators, comparators=others):
                for test in operators:
                    if type(test) not in COMPARISON:
                        raise self.refusal(node, SUGGESTIONS.get(type(test), "'is' is not allowed"))
                return [left, *others]
            case ast.Call():
                return self.call(node)
            case ast.Attribute(value=value, attr=name):
                self.check_attribute(node, name)
                return [value]
            case ast.Subscript(value=value, slice=index):
                return [value, *self.index(index)]
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return elements
        raise self.refusal(node, _why_refused(node))

    def check_name(self, node: ast.Name) -> None:
        """A bare name is a column."""
        if node.id in MODULES:
            raise self.refusal(node, f"{node.id!r} is a module; write {node.id}.NAME")
        if node.id.startswith("__"):
            raise self.refusal(node, f"names that begin with '__' are not allowed: {node.id!r}")

    def check_constant(self, node: ast.Constant) -> None:
        """Numbers; text only where a function or an index takes it (see ``call``, ``index``)."""
        value = node.value
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise self.refusal(node, f"a whole number of more than {MAX_BITS} bits")
        if value is not None and not isinstance(value, int | float):
            raise self.refusal(node, f"{type(value).__name__} {value!r} is not allowed here")

    def refuse_lists(self, *operands: ast.expr) -> None:
        """Refuse ``[0] * 10**9``, which would repeat a list."""
        for operand in operands:
            if isinstance(operand, ast.List | ast.Tuple):
                raise self.refusal(operand, "arithmetic acts on numbers and columns, not on lists")

    def member(self, node: ast.Attribute) -> Any:
        """What a module's name stands for, such as ``np.sqrt``."""
        module = module_of(node.value)
        assert module is not None
        members = MODULES[module]
        if node.attr not in members:
            why = f"{module}.{node.attr} is not allowed; {nearest(node.attr, members)}"
            raise self.refusal(node, why)
        return members[node.attr]

    def check_attribute(self, node: ast.Attribute, name: str) -> None:
        """``p4.pt``: a coordinate of four-momenta; ``x.counts`` of a column."""
        self.check_submodule(node.value)
        known = (*MOMENTUM_COORDINATES, *ATTRIBUTES)
        if name not in known:
            why = f"attribute {name!r} is not allowed; {nearest(name, known)}"
            if _is_dotted_name(node):
                column = ast.unparse(node)
                why += f" (a column {column!r} is written {column.replace('.', '_')})"
            raise self.refusal(node, why)

    def check_submodule(self, node: ast.expr) -> None:
        """Of ``np.lib.format``, it is ``np.lib`` that is not allowed."""
        if isinstance(node, ast.Attribute) and module_of(node.value):
            self.member(node)

    def index(self, index: ast.expr) -> list[ast.expr]:
        """The expressions inside ``x[...]``; a field's name and ``...`` are allowed only here."""
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        inside: list[ast.expr] = []
        for part in parts:
            if isinstance(part, ast.Slice):
                edges = (part.lower, part.upper, part.step)
                inside += [edge for edge in edges if edge is not None]
            elif not (_is_text(part) or _is_ellipsis(part)):
                inside.append(part)
        return inside

    def call(self, node: ast.Call) -> list[ast.expr]:
        """The arguments of a call, where function and arguments fit together."""
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self.refusal(argument, "'*' is not allowed in a call")
        if any(keyword.arg is None for keyword in node.keywords):
            raise self.refusal(node, "'**' is not allowed in a call")
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        # text such as 'float32' is fine for an argument and has no parts to check
        parts = [argument for argument in arguments if not _is_text(argument)]
        target = node.func
        if isinstance(target, ast.Attribute) and not module_of(target.value):
            self.check_method(node, target)
            return [target.value, *parts]
        function = self.function(target)
        self.check_arguments(node, function, node.args)
        if takes_content(function):
            # ak.flatten(x) is allowed there, and nowhere else
            return [part.args[0] if is_content(part) else part for part in parts]
        return parts

    def check_method(self, node: ast.Call, target: ast.Attribute) -> None:
        """``p4.deltaR(other)`` of four-momenta, ``x.sum()`` of a column."""
        self.check_submodule(target.value)
        known = _METHODS
        if target.attr not in known:
            why = f"method {target.attr!r} is not allowed; {nearest(target.attr, known)}"
            raise self.refusal(target, why)
        # what stands before the dot is the first argument
        self.check_arguments(node, known[target.attr], [target.value, *node.args])

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
            why = f"no function {target.id!r}; {nearest(target.id, self.functions)}"
            raise self.refusal(target, why)
        return self.functions[target.id]

    def check_arguments(
        self, node: ast.Call, function: Callable[..., Any], positional: list[ast.expr]
    ) -> None:
        """The arguments fit, and none makes the function write into a column or grow an array."""
        named = _named_arguments(node)
        given = self.given_parameters(node, function, positional, named)
        refused = set(REFUSED_ARGUMENTS)
        if getattr(function, "__name__", "").endswith("_like"):
            # np.ones_like(x, shape=10**10)
            refused.add("shape")
        if given & refused:
            raise self.refusal(node, f"argument {min(given & refused)!r} is not allowed")

    def check_rows(self, node: ast.expr) -> None:
        """Rows are kept apart, as far as the tree tells before there are values."""
        problem = None
        if isinstance(node, ast.Subscript):
            problem = subscript_problem(node)
        elif isinstance(node, ast.Call):
            positional = list(node.args)
            if isinstance(node.func, ast.Attribute) and not module_of(node.func.value):
                function = _METHODS[node.func.attr]
                positional.insert(0, node.func.value)
            else:
                function = self.function(node.func)
            named = _named_arguments(node)
            problem = call_problem(function, node, positional, named)
        if problem is not None:
            # the message says what to write
            raise self.refusal(node, problem, allowed="")

    def given_parameters(
        self,
        node: ast.Call,
        function: Callable[..., Any],
        positional: list[ast.expr],
        named: Mapping[str, ast.expr],
    ) -> set[str]:
        """Names of the parameters that a call gives, those given by position included."""
        if isinstance(function, np.ufunc):
            # by position a ufunc would take ``out`` too
            if len(positional) != function.nin:
                plural = "s" if function.nin > 1 else ""
                raise self.refusal(
                    node,
                    f"{function.__name__} takes {function.nin} argument{plural}, "
                    f"not {len(positional)}",
                )
            return set(named)
        try:
            return set(inspect.signature(function).bind(*positional, **named).arguments)
        except TypeError as error:
            raise self.refusal(node, f"{ast.unparse(node.func)}: {error}") from None
        except ValueError:
            # some builtins and types have no signature to look at
            return set(named)


def _why_refused(node: ast.expr) -> str:
    """What to write instead of a construct, or that it is not allowed."""
    # of an operation, its operator is at fault
    faulty = getattr(node, "op", node)
    for kind, suggestion in SUGGESTIONS.items():
        if isinstance(node, kind) or isinstance(faulty, kind):
            return suggestion
    return f"{type(faulty).__name__} is not allowed"


def _named_arguments(node: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}


def _is_dotted_name(node: ast.expr) -> bool:
    """Whether a tree is ``Jet.PT`` or ``Jet.P4.fX``, which may be meant as a column."""
    if isinstance(node, ast.Attribute):
        return _is_dotted_name(node.value)
    return isinstance(node, ast.Name)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def with_caret(source: str, first: int, last: int) -> str:
    """The expression with a caret line under its bytes ``[first, last)``.

    Of a long one, what stands around that place.
    """
    start = _characters(source, first)
    stop = max(start + 1, _characters(source, last))
    begin = max(0, start - SHOWN_AROUND)
    end = min(stop, start + SHOWN_AROUND) + SHOWN_AROUND
    before = "…" if begin > 0 else ""
    after = "…" if end < len(source) else ""
    shown = f"{before}{source[begin:end]}{after}"
    indent = " " * (len(before) + start - begin)
    carets = "^" * (min(stop, end) - start)
    return f"  {shown}\n  {indent}{carets}"


def _characters(source: str, byte: int) -> int:
    """Number of characters before a byte: Python's trees count bytes, a screen does not."""
    return len(source.encode()[:byte].decode(errors="ignore"))
