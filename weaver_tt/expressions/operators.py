"""The operators of expressions: which are allowed, and what they compute."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Operator(NamedTuple):
    """What an operator computes of columns, and of two constants (exactly, in whole numbers)."""

    of_columns: Callable[..., Any]
    of_numbers: Callable[..., Any]


BINARY: Mapping[type[ast.operator], Operator] = {
    ast.Add: Operator(np.add, operator.add),
    ast.Sub: Operator(np.subtract, operator.sub),
    ast.Mult: Operator(np.multiply, operator.mul),
    ast.Div: Operator(np.true_divide, operator.truediv),
    ast.FloorDiv: Operator(np.floor_divide, operator.floordiv),
    ast.Mod: Operator(np.remainder, operator.mod),
    ast.Pow: Operator(np.power, operator.pow),
    ast.BitAnd: Operator(np.bitwise_and, operator.and_),
    ast.BitOr: Operator(np.bitwise_or, operator.or_),
    ast.BitXor: Operator(np.bitwise_xor, operator.xor),
}

UNARY: Mapping[type[ast.unaryop], Operator] = {
    ast.USub: Operator(np.negative, operator.neg),
    ast.UAdd: Operator(np.positive, operator.pos),
    ast.Invert: Operator(np.invert, operator.invert),
}

COMPARISON: Mapping[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
