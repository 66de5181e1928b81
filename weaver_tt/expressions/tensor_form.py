"""The tensor form of expressions: what can be computed of a network's outputs, inside its graph.

It is a small part of the language, checked when a data YAML is loaded: arithmetic, ``np.exp``,
``np.log``, ``np.clip``, and ``np.where`` with comparisons. A function is known here once its entry
in the registry names the function of torch that computes the same of float tensors.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.calls import module_of
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.expressions.grammar import with_caret
from weaver_tt.expressions.operators import BINARY, UNARY
from weaver_tt.expressions.registry import FUNCTIONS, MODULES, REGISTRY

if TYPE_CHECKING:
    # a data YAML is checked without torch, which takes long to import
    from torch import Tensor

Value = Any  # a tensor (N,) of float32, of bool for a condition; or a number, the same for all rows

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
OF_CONDITIONS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Invert)

COMPARISON: Mapping[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
"""The operators that make a condition, for tensors and for numbers."""

CONDITION = "condition"

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "exp": ("x",),
    "log": ("x",),
    "clamp": ("a", "a_min", "a_max"),
    "where": (CONDITION, "x", "y"),
}
"""Function of torch -> what the arguments are called in an expression, in their order."""

ALLOWED = (
    "allowed in a network: numbers, names, + - * / **, np.exp, np.log, np.clip, and "
    "np.where(condition, yes, no), whose condition is made of comparisons with & | ~"
)

# function of an expression -> that of torch
_TORCH_NAMES: Mapping[Any, str] = {
    entry.value: entry.tensor for entry in REGISTRY if entry.tensor is not None
}
_SPELLINGS = [name for entry in REGISTRY if entry.tensor is not None for name in entry.names]


def check_tensor_form(expression: Expression, where: str) -> None:
    """Check that an expression can be computed on tensors, and gives a number for each row.

    ``where``: file and key, for messages.

    Raises:
        ConfigError: some part has no tensor form; the message shows it with a caret under it.
    """
    _Checker(expression.source, where).number(expression.tree)


def compute_on_tensors(expression: Expression, values: Mapping[str, Tensor]) -> Value:
    """An expression of which :func:`check_tensor_form` approves: a tensor (N,), or a number.

    ``values``: name -> float32 (N,), for all names of the expression.
    """
    return _Computation(values).value(expression.tree)


@dataclass(frozen=True, slots=True)
class _Checker:
    """Checks one tree: all of it is known, with conditions where they belong and nowhere else."""

    source: str
    where: str

    def refusal(self, node: Any, why: str) -> ConfigError:
        """The error for a part: what is wrong, a caret under it, and what is allowed."""
        shown = with_caret(self.source, node.col_offset, node.end_col_offset)
        return ConfigError(f"{self.where}: {why}\n{shown}\n{ALLOWED}")

    def number(self, node: ast.expr) -> None:
        """A part that gives a number for each row."""
        match node:
            case ast.Name():
                return
            case ast.Constant(value=value) if _is_number(value):
                return
            case ast.Attribute() if _is_number(_member(node)):
                return
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, ARITHMETIC):
                self.number(left)
                self.number(right)
            case ast.UnaryOp(op=op, operand=operand) if isinstance(op, ARITHMETIC):
                self.number(operand)
            case ast.Call():
                for name, argument in self.arguments(node).items():
                    if name == CONDITION:
                        self.condition(argument)
                    elif not _is_none(argument):
                        self.number(argument)
            case _ if _is_condition(node):
                raise self.refusal(
                    node, f"{ast.unparse(node)} is true or false; write np.where(condition, 1, 0)"
                )
            case _:
                raise self.refusal(node, f"{ast.unparse(node)} cannot be computed in a network")

    def condition(self, node: ast.expr) -> None:
        """A part that is true or false for each row."""
        match node:
            case ast.Compare(left=left, comparators=others):
                for part in (left, *others):
                    self.number(part)
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, OF_CONDITIONS):
                self.condition(left)
                self.condition(right)
            case ast.UnaryOp(op=op, operand=operand) if isinstance(op, OF_CONDITIONS):
                self.condition(operand)
            case _:
                text = ast.unparse(node)
                raise self.refusal(node, f"{text} is not a condition; write a comparison")

    def arguments(self, node: ast.Call) -> dict[str, ast.expr]:
        """The arguments of a call by name, where its function has a tensor form."""
        name = _torch_name(node)
        if name is None:
            called = ast.unparse(node.func)
            why = f"{called} cannot be computed in a network; {nearest(called, _SPELLINGS)}"
            raise self.refusal(node, why)
        arguments = _arguments(node)
        for argument in arguments:
            if argument not in PARAMETERS[name]:
                raise self.refusal(node, f"{argument} cannot be given to a function in a network")
        return arguments


@dataclass(frozen=True, slots=True)
class _Computation:
    """Computes the nodes of one checked tree from tensors (N,)."""

    values: Mapping[str, Tensor]

    def value(self, node: ast.expr) -> Value:
        """The value of a node: a tensor, or a number where it is made of constants alone."""
        match node:
            case ast.Name(id=name):
                return self.values[name]
            case ast.Constant(value=value):
                return value
            case ast.Attribute():
                return _member(node)
            case ast.BinOp(left=left, op=op, right=right):
                return BINARY[type(op)].of_numbers(self.value(left), self.value(right))
            case ast.UnaryOp(op=op, operand=operand):
                return UNARY[type(op)].of_numbers(self.value(operand))
            case ast.Compare():
                return self.compare(node)
            case ast.Call():
                arguments = {name: self.value(part) for name, part in _arguments(node).items()}
                return self.call(_torch_name(node) or "", **arguments)
        raise AssertionError(f"{ast.unparse(node)} was not checked")

    def compare(self, node: ast.Compare) -> Tensor:
        """A comparison; ``0 < x < 5`` is ``(0 < x) & (x < 5)``."""
        values = [self.value(part) for part in (node.left, *node.comparators)]
        passed = None
        for test, left, right in zip(node.ops, values, values[1:], strict=False):
            one = _as_tensor(COMPARISON[type(test)](left, right))
            passed = one if passed is None else passed & one
        assert passed is not None
        return passed

    def call(self, name: str, **arguments: Value) -> Value:
        """A function of torch; of numbers alone, what it would give for one row."""
        import torch

        if name == "clamp":
            value = _as_tensor(arguments["a"])
            low = arguments.get("a_min")
            high = arguments.get("a_max")
            # as numpy does it: where low is above high, high wins
            if low is not None:
                value = torch.maximum(value, _as_tensor(low))
            return value if high is None else torch.minimum(value, _as_tensor(high))
        given = [_as_tensor(arguments[parameter]) for parameter in PARAMETERS[name]]
        return getattr(torch, name)(*given)


def _as_tensor(value: Value) -> Tensor:
    """A tensor as it is; a number as a tensor of float32, or of bool."""
    import torch

    if isinstance(value, torch.Tensor):
        return value
    dtype = torch.bool if isinstance(value, bool) else torch.float32
    return torch.tensor(value, dtype=dtype)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_condition(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return isinstance(node.op, OF_CONDITIONS)
    return isinstance(node, ast.Compare)


def _member(node: ast.Attribute) -> Any:
    """What ``np.pi`` or ``np.exp`` stands for; None for an attribute of anything but a module."""
    module = module_of(node.value)
    return None if module is None else MODULES[module].get(node.attr)


def _torch_name(node: ast.Call) -> str | None:
    """The function of torch that computes a call; None where there is none."""
    match node.func:
        case ast.Attribute() as member:
            function = _member(member)
        case ast.Name(id=name):
            function = FUNCTIONS.get(name)
        case _:
            return None
    return _TORCH_NAMES.get(function)


def _arguments(node: ast.Call) -> dict[str, ast.expr]:
    """The arguments of a call of a known function, by name."""
    arguments = dict(zip(PARAMETERS[_torch_name(node) or ""], node.args, strict=False))
    return arguments | {str(keyword.arg): keyword.value for keyword in node.keywords}
