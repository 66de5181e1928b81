"""Expressions of a data YAML: parsed to a tree, checked against an allow-list, evaluated on a table.

The tree says what is meant and knows nothing of how it is computed: here it is evaluated on arrays, elsewhere it may be compiled.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.errors import ConfigError, DataError, WeaverError, nearest
from weaver_tt.expressions.custom_functions import known_functions
from weaver_tt.expressions.elementwise import apply_function, as_operand, to_awkward
from weaver_tt.expressions.grammar import ALLOWED, MAX_CHARACTERS, Grammar, module_of, with_caret
from weaver_tt.expressions.momentum import add_momenta, is_momentum
from weaver_tt.expressions.registry import (
    ATTRIBUTES,
    FUNCTIONS,
    METHODS,
    MODULES,
    MOMENTUM_CALLS,
    MOMENTUM_COORDINATES,
)

Table = Mapping[str, Any]  # column -> ak.Array or np.ndarray of R rows
MOST_BITS = 64  # of a whole number that constants make


@dataclass(frozen=True)
class Expression:
    """A checked expression. ``tree`` says what it means; how to compute it is another matter."""

    source: str
    tree: ast.expr
    names: frozenset[str]  # the columns it reads
    functions_file: str | None = None  # python file whose functions it may call


def parse_expression(source: Any, where: str, functions_file: str | None = None) -> Expression:
    """Text (or a number) of a YAML -> a checked expression.

    :param where: file and key, for messages.
    :param functions_file: the user's python file whose functions may be called.
    :raises ConfigError: it is not an expression, or some part of it is not allowed; shows it with a caret under that part.
    """
    if not isinstance(source, str | int | float):
        raise ConfigError(f"{where}: expected an expression, found {source!r}")
    text = " ".join(str(source).splitlines()).strip()
    if not text or len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"{where}: expected an expression of 1 to {MAX_CHARACTERS} characters, found {len(text)}"
        )
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        byte = len(text[: (error.offset or 1) - 1].encode())
        raise ConfigError(
            f"{where}: not an expression: {error.msg}\n{with_caret(text, byte, byte + 1)}\n{ALLOWED}"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(
            f"{where}: not an expression: {error or type(error).__name__}\n  {text[:200]}\n{ALLOWED}"
        ) from None
    grammar = Grammar(text, where, known_functions(functions_file))
    names = frozenset(grammar.check(tree))
    _try_constants(tree, grammar)
    return Expression(text, tree, names, functions_file)


def _try_constants(tree: ast.expr, grammar: Grammar) -> None:
    """Refuse ``9**9**9`` when the YAML is loaded: the innermost operation on constants that cannot be computed."""
    for node in reversed(list(ast.walk(tree))):
        if isinstance(node, ast.BinOp) and not any(
            isinstance(part, ast.Name | ast.Call | ast.Subscript) for part in ast.walk(node)
        ):
            try:
                _Evaluation({}, {}, grammar.source).value(node)
            except DataError as error:
                raise grammar.refusal(node, str(error)) from None


def evaluate(expression: Expression, table: Table) -> Any:
    """The value of an expression for each row of ``table``: (R,) ``np.ndarray``, or a jagged ``ak.Array`` of R rows.

    Jagged columns of one expression must have the same number of objects in every row; a per-row value meets each of a row's objects.
    Whole numbers are computed with 64 bits (``np.sqrt`` of a ``uint8`` would have only 16). A constant is repeated for every row.

    :raises DataError: a column is missing, or the shapes do not fit.
    """
    if isinstance(expression.tree, ast.Name) and expression.tree.id in table:
        return table[expression.tree.id]
    rows = next((len(column) for column in table.values()), None)
    with np.errstate(all="ignore"):  # non-finite values are counted where inputs are scaled
        result = to_awkward(
            _Evaluation(table, known_functions(expression.functions_file), expression.source).value(
                expression.tree
            )
        )
    if rows is None:
        return result
    if isinstance(result, int | float | np.generic):
        return np.full(rows, result)
    if not isinstance(result, np.ndarray | ak.Array) or len(result) != rows:
        found = f"{len(result)} entries" if hasattr(result, "__len__") else repr(result)
        raise DataError(
            f"expression {expression.source!r}: expected one entry for each of the {rows} rows, found {found}"
        )
    return result


BINARY: Mapping[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.Pow: np.power,
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
}
NUMBER_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Invert: np.invert,
}
NUMBER_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
COMPARE: Mapping[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Evaluates the nodes of one checked tree on one table."""

    table: Table
    functions: Mapping[str, Callable[..., Any]]
    source: str

    def value(self, node: ast.expr | None) -> Any:
        """The value of a node: a number, (R,) array, Jagged, any other array, or text, None, list for arguments."""
        match node:
            case None:
                return None
            case ast.Constant(value=constant):
                return constant
            case ast.Name(id=name):
                return self.column(name)
            case ast.BinOp():
                return self.binary(node)
            case ast.UnaryOp(op=sign, operand=operand):
                value = self.value(operand)
                plain_number = _is_number(value) and not isinstance(value, bool)
                return self.run(
                    (NUMBER_UNARY if plain_number else UNARY)[type(sign)], [value], {}, node
                )
            case ast.Compare():
                return self.compare(node)
            case ast.Call():
                return self.call(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Subscript(value=inner, slice=index):
                return self.run(operator.getitem, [self.value(inner), self.index(index)], {}, node)
            case ast.Tuple(elts=elements):
                return tuple(to_awkward(self.value(element)) for element in elements)
            case ast.List(elts=elements):
                return [to_awkward(self.value(element)) for element in elements]
        raise ConfigError(f"expression {self.source!r}: {type(node).__name__} is not allowed")

    def column(self, name: str) -> Any:
        """A column of the table, jagged ones as content and offsets."""
        if name not in self.table:
            raise DataError(
                f"expression {self.source!r}: no column {name!r}; {nearest(name, self.table)}"
            )
        return as_operand(self.table[name], name)

    def binary(self, node: ast.BinOp) -> Any:
        """Arithmetic and ``& | ^``, object by object."""
        left, right = self.value(node.left), self.value(node.right)
        if _is_number(left) and _is_number(right):
            return self.number(node, left, right)
        if isinstance(node.op, ast.Add) and is_momentum(left) and is_momentum(right):
            return self.run(add_momenta, [left, right], {}, node)
        return self.run(BINARY[type(node.op)], [left, right], {}, node)

    def number(self, node: ast.BinOp, left: Any, right: Any) -> Any:
        """Arithmetic of constants, bounded so that no power can run for ever."""
        whole = isinstance(left, int) and isinstance(right, int)
        if (
            whole
            and isinstance(node.op, ast.Pow)
            and abs(left) > 1
            and right * (abs(left).bit_length() - 1) > MOST_BITS
        ):
            raise DataError(f"{ast.unparse(node)} has more than {MOST_BITS} bits")
        try:
            result = NUMBER_BINARY[type(node.op)](left, right)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise DataError(f"{ast.unparse(node)}: {error}") from None
        if (isinstance(result, int) and result.bit_length() > MOST_BITS) or isinstance(
            result, complex
        ):
            raise DataError(f"{ast.unparse(node)} is not a real number of at most {MOST_BITS} bits")
        return result

    def compare(self, node: ast.Compare) -> Any:
        """A comparison; ``0 < x < 5`` is ``(0 < x) & (x < 5)``."""
        values = [self.value(part) for part in (node.left, *node.comparators)]
        pairs = zip(node.ops, values[:-1], values[1:], strict=True)
        tests = [
            self.run(COMPARE[type(test)], [left, right], {}, node) for test, left, right in pairs
        ]
        return reduce(lambda left, right: self.run(np.bitwise_and, [left, right], {}, node), tests)

    def attribute(self, node: ast.Attribute) -> Any:
        """A module's constant or type, a coordinate of four-momenta, or what a column has."""
        if module := module_of(node.value):
            return MODULES[module][node.attr]
        if node.attr in ATTRIBUTES:
            return self.run(ATTRIBUTES[node.attr], [self.value(node.value)], {}, node)
        return self.run(MOMENTUM_COORDINATES[node.attr], [self.momenta(node.value)], {}, node)

    def momenta(self, node: ast.expr) -> Any:
        """The value of a node that has to be four-momenta."""
        value = self.value(node)
        if not is_momentum(value):
            raise DataError(
                f"expression {self.source!r}: {ast.unparse(node)} is not made by a _p4_from_... helper, and has no attributes"
            )
        return value

    def call(self, node: ast.Call) -> Any:
        """A function applied to its arguments."""
        positional = [self.value(argument) for argument in node.args]
        named = {
            keyword.arg: self.value(keyword.value)
            for keyword in node.keywords
            if keyword.arg is not None
        }
        if isinstance(node.func, ast.Name) and node.func.id not in FUNCTIONS:
            return apply_function(
                self.functions[node.func.id], positional, named
            )  # the user's own errors are shown as they are
        if isinstance(node.func, ast.Name):
            return self.run(self.functions[node.func.id], positional, named, node)
        if isinstance(node.func, ast.Attribute) and (module := module_of(node.func.value)):
            return self.run(MODULES[module][node.func.attr], positional, named, node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            return self.run(
                METHODS[node.func.attr],
                [self.value(node.func.value), *positional],
                named,
                node,
            )
        if isinstance(node.func, ast.Attribute):
            method = MOMENTUM_CALLS[node.func.attr]
            return self.run(
                method, [self.momenta(node.func.value), *positional, *named.values()], {}, node
            )
        raise ConfigError(f"expression {self.source!r}: {ast.unparse(node.func)} cannot be called")

    def index(self, node: ast.expr) -> Any:
        """What stands inside ``x[...]``."""
        if isinstance(node, ast.Tuple):
            return tuple(self.index(element) for element in node.elts)
        if isinstance(node, ast.Slice):
            return slice(self.value(node.lower), self.value(node.upper), self.value(node.step))
        return to_awkward(self.value(node))

    def run(
        self,
        function: Callable[..., Any],
        positional: list[Any],
        named: dict[str, Any],
        node: ast.expr,
    ) -> Any:
        """Call a function; what goes wrong in it is told with the expression and the part."""
        try:
            return apply_function(function, positional, named)
        except WeaverError as error:
            raise DataError(f"expression {self.source!r}: {error}") from error
        except (ValueError, TypeError, IndexError, ArithmeticError, AttributeError) as error:
            first = next(
                (line.strip() for line in str(error).splitlines() if line.strip()),
                type(error).__name__,
            )
            raise DataError(
                f"expression {self.source!r}: in {ast.unparse(node)}: {first}"
            ) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
