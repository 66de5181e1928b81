"""Expressions of a data YAML: parsed to a tree, checked against an allow-list, evaluated on tables.

The tree says what is meant and knows nothing of how it is computed: here it is evaluated on arrays,
elsewhere it may be compiled.
"""

from __future__ import annotations

import ast
import io
import operator
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.errors import ConfigError, DataError, WeaverError, nearest
from weaver_tt.expressions.call_limits import check_call, check_result
from weaver_tt.expressions.calls import (
    call_problem,
    index_problem,
    is_content,
    module_of,
    number_of_axes,
    reads_columns,
    takes_content,
)
from weaver_tt.expressions.custom_functions import is_custom_function, known_functions
from weaver_tt.expressions.elementwise import apply_function, as_operand, to_awkward
from weaver_tt.expressions.grammar import (
    ALLOWED,
    MAX_BITS,
    MAX_CHARACTERS,
    Grammar,
    with_caret,
)
from weaver_tt.expressions.helpers import UNCHECKED
from weaver_tt.expressions.momentum import add_momenta, is_momentum
from weaver_tt.expressions.operators import BINARY, COMPARISON, UNARY
from weaver_tt.expressions.registry import (
    ATTRIBUTES,
    METHODS,
    MODULES,
    MOMENTUM_CALLS,
    MOMENTUM_COORDINATES,
)

# what numpy and awkward raise for arguments that do not fit
CALL_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,  # NotImplementedError and RecursionError are some
)

Table = Mapping[str, Any]  # column -> ak.Array or np.ndarray of R rows


@dataclass(frozen=True)
class Expression:
    """A checked expression. ``tree`` says what it means; how to compute it is another matter."""

    source: str
    tree: ast.expr
    names: frozenset[str]  # the columns it reads
    functions_file: str | None = None  # python file whose functions it may call


def parse_expression(source: Any, where: str, functions_file: str | None = None) -> Expression:
    """Parse and check the text (or number) that a YAML holds.

    ``where``: file and key, for messages. ``functions_file``: the user's python file whose
    functions may be called.

    Raises:
        ConfigError: it is not an expression, or some part of it is not allowed; the message shows
            it with a caret under that part.
    """
    if not isinstance(source, str | int | float):
        raise ConfigError(f"{where}: expected an expression, found {source!r}")
    # a YAML may fold a long expression over several lines
    text = " ".join(str(source).splitlines()).strip()
    if not text or len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"{where}: expected an expression of 1 to {MAX_CHARACTERS} characters, "
            f"found {len(text)}"
        )
    _refuse_comment(text, where)
    tree = _parse_text(text, where)
    grammar = Grammar(text, where, known_functions(functions_file))
    names = frozenset(grammar.check(tree))
    _try_constants(tree, grammar)
    return Expression(text, tree, names, functions_file)


def _refuse_comment(text: str, where: str) -> None:
    """Raise ConfigError for a ``#``, behind which Python would read nothing."""
    # what cannot even be divided into words is reported by the parser
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                byte = len(text[: token.start[1]].encode())
                shown = with_caret(text, byte, byte + 1)
                raise ConfigError(
                    f"{where}: what follows '#' is a comment and would not be read; put comments "
                    f"outside of the expression{_hint_of_name(text)}\n{shown}"
                )


def _hint_of_name(text: str) -> str:
    """What to write for a column whose name no expression can hold, if there seems to be one."""
    found = re.search(r"[A-Za-z_]\w*[:#@][A-Za-z0-9_][\w.:#@]*", text)
    if found is None:
        return ""
    return f" (a column {found[0]!r} is written {re.sub(r'[^0-9A-Za-z_]', '_', found[0])})"


def _parse_text(text: str, where: str) -> ast.expr:
    """The tree of a text that is Python, whether its parts are allowed or not."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        # Python counts characters from 1, the caret is placed by bytes from 0
        byte = len(text[: (error.offset or 1) - 1].encode())
        shown = with_caret(text, byte, byte + 1)
        problem = f"not an expression: {error.msg}{_hint_of_name(text)}"
        raise ConfigError(f"{where}: {problem}\n{shown}\n{ALLOWED}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        why = error or type(error).__name__
        raise ConfigError(f"{where}: not an expression: {why}\n  {text[:200]}\n{ALLOWED}") from None


def _try_constants(tree: ast.expr, grammar: Grammar) -> None:
    """Refuse ``9**9**9`` when the YAML is loaded, and show which operation cannot be computed."""
    evaluation = _Evaluation({}, {}, grammar.source, True)
    # from the leaves up, so that the caret stands under the innermost operation at fault
    for node in reversed(list(ast.walk(tree))):
        if not isinstance(node, ast.BinOp) or not _is_constant(node):
            continue
        try:
            evaluation.value(node)
        except DataError as error:
            raise grammar.refusal(node, str(error)) from None


def _is_constant(node: ast.expr) -> bool:
    """Whether a tree reads no column and calls nothing."""
    return not any(isinstance(part, ast.Name | ast.Call | ast.Subscript) for part in ast.walk(node))


def calls_custom_function(expression: Expression) -> bool:
    """Whether an expression calls a function of the user's file."""
    functions = known_functions(expression.functions_file)
    for node in ast.walk(expression.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if is_custom_function(node.func.id, functions):
            return True
    return False


def evaluate(expression: Expression, table: Table, *, checks_values: bool = True) -> Any:
    """Compute an expression for each row of ``table``: (R,) numpy, or a jagged awkward array.

    Jagged columns of one expression must have the same number of objects in every row; a per-row
    value meets each of a row's objects. Whole numbers are computed with 64 bits (``np.sqrt`` of a
    ``uint8`` would have only 16). A constant is repeated for every row. Without ``checks_values``
    numbers are taken that are only examples of their type, and would be none of a tree.

    Raises:
        DataError: a column is missing, or the shapes do not fit.
    """
    # a column alone is handed on as it is, of whatever type
    if isinstance(expression.tree, ast.Name) and expression.tree.id in table:
        return table[expression.tree.id]
    functions = known_functions(expression.functions_file)
    evaluation = _Evaluation(table, functions, expression.source, checks_values)
    # non-finite values are counted where inputs are scaled, so that numpy need not warn
    with np.errstate(all="ignore"):
        result = to_awkward(evaluation.value(expression.tree))
    if not table:
        return result
    rows = len(next(iter(table.values())))
    if isinstance(result, int | float | np.generic):
        return np.full(rows, result)
    if not isinstance(result, np.ndarray | ak.Array) or len(result) != rows:
        found = f"{len(result)} entries" if hasattr(result, "__len__") else repr(result)
        raise DataError(
            f"expression {expression.source!r}: expected one entry for each of the {rows} rows, "
            f"found {found}"
        )
    return result


def evaluate_nodes(expression: Expression, table: Table) -> dict[ast.expr, Any]:
    """The value of each node of an expression that has one, as it stands while it is evaluated.

    Numbers, (R,) arrays, JaggedColumns or other arrays; what the table holds need not pass checks
    of its values.

    Raises:
        DataError: a column is missing, or the shapes do not fit.
    """
    functions = known_functions(expression.functions_file)
    found: dict[ast.expr, Any] = {}
    with np.errstate(all="ignore"):
        evaluation = _NotingEvaluation(table, functions, expression.source, False, found)
        evaluation.value(expression.tree)
    return found


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Evaluates the nodes of one checked tree on one table."""

    table: Table
    functions: Mapping[str, Callable[..., Any]]
    source: str
    checks_values: bool

    def value(self, node: ast.expr | None) -> Any:
        """The value of a node.

        A number, an (R,) array, a JaggedColumn or any other array; text, None or a list where it is
        an argument.
        """
        match node:
            case None:
                return None
            case ast.Constant(value=constant):
                return constant
            case ast.Name(id=name):
                return self.column(name)
            case ast.BinOp():
                return self.binary(node)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.Compare():
                return self.compare(node)
            case ast.Call():
                return self.call(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Subscript():
                return self.subscript(node)
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

    def unary(self, node: ast.UnaryOp) -> Any:
        """A sign or ``~``."""
        value = self.value(node.operand)
        # ~True is -2 for Python's integers, but False is meant
        is_plain_number = _is_number(value) and not isinstance(value, bool)
        sign = UNARY[type(node.op)]
        return self.run(sign.of_numbers if is_plain_number else sign.of_columns, [value], {}, node)

    def binary(self, node: ast.BinOp) -> Any:
        """Arithmetic and ``& | ^``, object by object."""
        left = self.value(node.left)
        right = self.value(node.right)
        if _is_number(left) and _is_number(right):
            return self.number(node, left, right)
        if isinstance(node.op, ast.Add) and is_momentum(left) and is_momentum(right):
            return self.run(add_momenta, [left, right], {}, node)
        function = BINARY[type(node.op)].of_columns
        self.check_rows(function, node, [node.left, node.right], [left, right])
        return self.run(function, [left, right], {}, node)

    def number(self, node: ast.BinOp, left: Any, right: Any) -> Any:
        """Arithmetic of constants, bounded so that no power can run for ever."""
        if isinstance(node.op, ast.Pow) and _has_too_many_bits(left, right):
            raise DataError(f"{ast.unparse(node)} has more than {MAX_BITS} bits")
        try:
            result = BINARY[type(node.op)].of_numbers(left, right)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise DataError(f"{ast.unparse(node)}: {error}") from None
        is_too_long = isinstance(result, int) and result.bit_length() > MAX_BITS
        if is_too_long or isinstance(result, complex):
            raise DataError(f"{ast.unparse(node)} is not a real number of at most {MAX_BITS} bits")
        return result

    def compare(self, node: ast.Compare) -> Any:
        """A comparison; ``0 < x < 5`` is ``(0 < x) & (x < 5)``."""
        result = None
        left_node = node.left
        left = self.value(left_node)
        for test, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            function = COMPARISON[type(test)]
            self.check_rows(function, node, [left_node, comparator], [left, right])
            passed = self.run(function, [left, right], {}, node)
            if result is None:
                result = passed
            else:
                result = self.run(np.bitwise_and, [result, passed], {}, node)
            # the middle of 0 < x < 5 is the left side of the second comparison
            left_node = comparator
            left = right
        return result

    def subscript(self, node: ast.Subscript) -> Any:
        """``x[...]``: what it takes lies inside of the rows."""
        value = to_awkward(self.value(node.value))
        index = self.index(node.slice)
        problem = index_problem(node, value, index)
        if problem is not None:
            raise DataError(f"expression {self.source!r}: {problem}")
        if number_of_axes(value) > 1 and number_of_axes(index) > 1:
            # numpy would take whole rows by the numbers in an array of places
            value = _as_lists(value)
            index = _as_lists(index)
        return self.run(operator.getitem, [value, index], {}, node)

    def attribute(self, node: ast.Attribute) -> Any:
        """A module's constant or type, a coordinate of four-momenta, or what a column has."""
        if module := module_of(node.value):
            return MODULES[module][node.attr]
        if node.attr in ATTRIBUTES:
            value = self.value(node.value)
            self.check_rows(ATTRIBUTES[node.attr], node, [node.value], [value])
            return self.run(ATTRIBUTES[node.attr], [value], {}, node)
        return self.run(MOMENTUM_COORDINATES[node.attr], [self.momenta(node.value)], {}, node)

    def momenta(self, node: ast.expr) -> Any:
        """The value of a node that has to be four-momenta."""
        value = self.value(node)
        if not is_momentum(value):
            raise DataError(
                f"expression {self.source!r}: {ast.unparse(node)} is not made by a _p4_from_... "
                f"helper, and has no attributes"
            )
        return value

    def call(self, node: ast.Call) -> Any:
        """A function applied to its arguments."""
        named_nodes = {
            keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None
        }
        if isinstance(node.func, ast.Attribute) and not module_of(node.func.value):
            return self.call_method(node, node.func.value, node.func.attr, named_nodes)
        function, is_own = self.function(node.func)
        argument = self.argument_with_content if takes_content(function) else self.value
        positional = [argument(part) for part in node.args]
        named = {name: argument(part) for name, part in named_nodes.items()}
        if is_own:
            # errors of the user's own functions are shown as they are
            return apply_function(function, positional, named)
        self.check_rows(function, node, node.args, positional, named_nodes, named)
        result = self.run(function, positional, named, node)
        self.check_length(node, result)
        return result

    def function(self, node: ast.expr) -> tuple[Callable[..., Any], bool]:
        """What is called by its name, and whether it is one of the user's own."""
        match node:
            case ast.Name(id=name):
                function = self.functions[name]
                is_own = is_custom_function(name, self.functions)
                if not self.checks_values:
                    function = UNCHECKED.get(function, function)
                return function, is_own
            case ast.Attribute(value=owner, attr=name) if module := module_of(owner):
                return MODULES[module][name], False
        raise ConfigError(f"expression {self.source!r}: {ast.unparse(node)} cannot be called")

    def call_method(
        self, node: ast.Call, owner: ast.expr, name: str, named_nodes: Mapping[str, ast.expr]
    ) -> Any:
        """A method of a column or of four-momenta."""
        positional = [self.value(argument) for argument in node.args]
        named = {argument: self.value(part) for argument, part in named_nodes.items()}
        if name not in METHODS:
            # the one argument of a four-momentum's method, by whatever name it is given
            others = [*positional, *named.values()]
            return self.run(MOMENTUM_CALLS[name], [self.momenta(owner), *others], {}, node)
        method = METHODS[name]
        nodes = [owner, *node.args]
        values = [self.value(owner), *positional]
        self.check_rows(method, node, nodes, values, named_nodes, named)
        result = self.run(method, values, named, node)
        self.check_length(node, result)
        return result

    def argument_with_content(self, node: ast.expr) -> Any:
        """The value of an argument that may be ``ak.flatten(x)``."""
        if not is_content(node):
            return self.value(node)
        return self.run(ak.flatten, [self.value(node.args[0])], {}, node)

    def check_rows(
        self,
        function: Callable[..., Any],
        node: ast.expr,
        nodes: Sequence[ast.expr],
        values: Sequence[Any],
        named_nodes: Mapping[str, ast.expr] | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> None:
        """Check that a function keeps rows apart; ``nodes`` are those of its arguments.

        Raises:
            DataError: it does not.
        """
        with self.reporting(node):
            problem = call_problem(function, node, nodes, named_nodes or {}, values, named or {})
        if problem is not None:
            raise DataError(f"expression {self.source!r}: {problem}")

    def check_length(self, node: ast.Call, result: Any) -> None:
        """Check that what a call has made of columns still has an entry for each row.

        Raises:
            DataError: it has fewer or more.
        """
        if number_of_axes(result) == 0 or not self.table or not reads_columns(node):
            return
        rows = len(next(iter(self.table.values())))
        found = len(to_awkward(result))
        if found != rows:
            raise DataError(
                f"expression {self.source!r}: {ast.unparse(node)} has {found} entries "
                f"for {rows} rows"
            )

    def index(self, node: ast.expr) -> Any:
        """What stands inside ``x[...]``."""
        if isinstance(node, ast.Tuple):
            return tuple(self.index(element) for element in node.elts)
        if isinstance(node, ast.Slice):
            return self.slice_of(node)
        return to_awkward(self.value(node))

    def slice_of(self, node: ast.Slice) -> slice:
        """``first:last:step``, the same for every row."""
        bounds = [self.value(bound) for bound in (node.lower, node.upper, node.step)]
        for bound in bounds:
            # awkward's own error for a column would not say what is wrong
            if not isinstance(bound, int | np.integer | None):
                raise DataError(
                    f"expression {self.source!r}: in [{ast.unparse(node)}]: "
                    "the bounds of a slice are whole numbers, the same for every row"
                )
        if bounds[2] == 0:
            # awkward would never come to an end
            raise DataError(
                f"expression {self.source!r}: in [{ast.unparse(node)}]: a step of 0 goes nowhere"
            )
        return slice(*bounds)

    def run(
        self,
        function: Callable[..., Any],
        positional: list[Any],
        named: dict[str, Any],
        node: ast.expr,
    ) -> Any:
        """Call a function; its errors are reported with the expression and the part at fault."""
        with self.reporting(node):
            check_call(function, positional, named)
            result = apply_function(function, positional, named)
            check_result(result)
        return result

    @contextmanager
    def reporting(self, node: ast.expr) -> Iterator[None]:
        """Errors that arise inside, with the expression and the part at fault.

        Raises:
            DataError: in place of them.
        """
        try:
            yield
        except WeaverError as error:
            raise DataError(f"expression {self.source!r}: {error}") from error
        except MemoryError as error:
            raise DataError(
                f"expression {self.source!r}: in {ast.unparse(node)}: not enough memory for the "
                "rows that are read together; --pool-size makes them fewer"
            ) from error
        except CALL_ERRORS as error:
            part = ast.unparse(node)
            message = _first_line(error)
            raise DataError(f"expression {self.source!r}: in {part}: {message}") from error


@dataclass(frozen=True, slots=True)
class _NotingEvaluation(_Evaluation):
    """The same, which notes what it finds."""

    found: dict[ast.expr, Any]

    def value(self, node: ast.expr | None) -> Any:
        """See :class:`_Evaluation`."""
        value = _Evaluation.value(self, node)
        if node is not None:
            self.found[node] = value
        return value


def _as_lists(array: Any) -> Any:
    """An array of R rows as R lists, those of fixed size too."""
    return ak.from_regular(ak.Array(array), axis=None)


def _has_too_many_bits(base: Any, exponent: Any) -> bool:
    """Whether a power of whole numbers is too long a number, told without computing it."""
    if not isinstance(base, int) or not isinstance(exponent, int) or abs(base) <= 1:
        return False
    least_bits = exponent * (abs(base).bit_length() - 1)
    return least_bits > MAX_BITS


def _first_line(error: Exception) -> str:
    """The first line of an error's message that says something; awkward's are long."""
    for line in str(error).splitlines():
        if line.strip():
            return line.strip()
    return type(error).__name__


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
