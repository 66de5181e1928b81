"""Formulas of functions that act value by value, in a graph of ONNX.

ONNX Runtime has no float64 form of many functions, and coarse ones of float32. Those are composed
here of arithmetic, roots, exponentials, logarithms, sine and cosine in float64, which it has.
Formulas are written as for arrays: ``x`` and ``y`` are :class:`GraphValue`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from weaver_tt.expressions.graph_values import (
    BOOL,
    DOUBLE,
    FLOAT,
    UNSIGNED,
    WHOLE,
    Graph,
    GraphValue,
    NoFormError,
)

Value = Any  # a GraphValue; what numpy says of its own functions knows arrays alone

LOWEST = np.iinfo(np.int64).min
# pi and pi / 2 are these and the rest that a double cannot hold
PI_REST = 1.2246467991473532e-16
LN2 = math.log(2)
# constant exponents of which numpy takes another function: the root of -infinity is NaN in some
# releases
NUMPYS_POWERS: dict[float, Any] = {2.0: np.square, -1.0: np.reciprocal}
with np.errstate(invalid="ignore"):
    if np.isnan(np.power(np.array([-np.inf]), 0.5))[0]:
        NUMPYS_POWERS[0.5] = np.sqrt
# beyond, exp(x) is the same as 2 sinh(x), and its square still fits
LARGE = 22.0


def choose(condition: Value, yes: Any, no: Any) -> Value:
    """One of two values, of the type of the one that is no number of Python."""
    graph = condition.graph
    kind = next(value.dtype for value in (yes, no, condition) if isinstance(value, GraphValue))
    return choose_typed(graph, kind, condition, yes, no)


def choose_typed(graph: Graph, kind: np.dtype[Any], condition: Any, yes: Any, no: Any) -> Value:
    """``np.where`` with a result of the type ``kind``."""
    test = graph.lift(condition, BOOL)
    left = graph.lift(yes, kind)
    right = graph.lift(no, kind)
    if test.constant is not None:
        chosen, other = (left, right) if test.constant else (right, left)
        return chosen if other.constant is not None else graph.filled(other, chosen)
    if kind == BOOL:
        return (test & left) | (~test & right)
    work = kind
    if kind == np.float16:
        work = FLOAT
    elif kind.kind in "iu":
        # unsigned ones of 64 bits come back as they were
        work = WHOLE
    found = graph.operation("Where", test, left.astype(work), right.astype(work), dtype=work)
    return found.astype(kind)


def node(operator: str) -> Callable[..., Value]:
    """One node."""

    def form(x: Value, *others: Value) -> Value:
        return x.graph.operation(operator, x, *others)

    return form


def test_node(operator: str) -> Callable[..., Value]:
    """One node that gives true or false; of booleans, what it gives for 0 and 1."""

    def form(x: Value, *others: Value) -> Value:
        values = (x, *others)
        if x.dtype == BOOL and operator not in ("And", "Or", "Xor", "Not"):
            values = tuple(value.astype(WHOLE) for value in values)
        return x.graph.operation(operator, *values, dtype=BOOL)

    return form


def rounding(operator: str) -> Callable[..., Value]:
    """One node; whole numbers stay as they are."""

    def form(x: Value) -> Value:
        return x.graph.operation(operator, x) if x.is_float else x

    return form


def of_truth(of_numbers: Callable[..., Value], of_booleans: Callable[..., Value]) -> Any:
    """One form of numbers, another of booleans."""

    def form(x: Value, *others: Value) -> Value:
        return (of_booleans if x.dtype == BOOL else of_numbers)(x, *others)

    return form


def same(x: Value) -> Value:
    """The value itself."""
    return x


# --- signs and comparisons


def is_negative(x: Value) -> Value:
    """Whether the sign is set, that of -0 too; NaN has none."""
    if not x.is_float:
        return x < 0
    return (x < 0) | ((x == 0) & (1 / x < 0))


def with_sign(x: Value, y: Value) -> Value:
    """The size of ``x`` with the sign of ``y``."""
    size = np.abs(x)
    return choose(is_negative(y), -size, size)


def not_equal(x: Value, y: Value) -> Value:
    """Whether values differ; NaN differs from all."""
    return ~(x == y)


def is_nan(x: Value) -> Value:
    """Whether a value is NaN."""
    if not x.is_float:
        return x.graph.filled(x, x.graph.constant(False, BOOL))
    return x.graph.operation("IsNaN", x, dtype=BOOL)


def is_infinite(x: Value, low: bool = True, high: bool = True) -> Value:
    """Whether a value is one of the infinities."""
    if not x.is_float:
        return x.graph.filled(x, x.graph.constant(False, BOOL))
    if x.dtype == np.float16:
        x = x.astype(FLOAT)
    return x.graph.operation(
        "IsInf", x, dtype=BOOL, detect_negative=int(low), detect_positive=int(high)
    )


def is_finite(x: Value) -> Value:
    """Whether a value is neither NaN nor infinite."""
    return ~(np.isnan(x) | np.isinf(x))


def larger(x: Value, y: Value) -> Value:
    """The larger one; NaN where one is NaN."""
    return choose((x >= y) | np.isnan(x), x, y)


def smaller(x: Value, y: Value) -> Value:
    """The smaller one; NaN where one is NaN."""
    return choose((x <= y) | np.isnan(x), x, y)


def larger_number(x: Value, y: Value) -> Value:
    """The larger one, or the one that is no NaN."""
    return choose((x >= y) | np.isnan(y), x, y)


def smaller_number(x: Value, y: Value) -> Value:
    """The smaller one, or the one that is no NaN."""
    return choose((x <= y) | np.isnan(y), x, y)


def sign(x: Value) -> Value:
    """-1, 0 or 1; NaN for NaN."""
    return choose(x > 0, 1, choose(x < 0, -1, x))


def step(x: Value, middle: Value) -> Value:
    """0 below 0, 1 above, ``middle`` at 0."""
    return choose(x > 0, 1, choose(x < 0, 0, choose(x == 0, middle, x)))


# --- arithmetic


def divided(x: Value, y: Value) -> Value:
    """Whole numbers are divided in floating point."""
    return x.graph.operation("Div", x, y)


def safe_divisor(y: Value) -> Value:
    """Whole numbers by which all can be divided: 1 in place of 0 and -1."""
    return choose((y == 0) | (y == -1), 1, y)


def remainder(x: Value, y: Value) -> Value:
    """What is left of a division, with the sign of the divisor."""
    if not x.is_float:
        # of whole numbers 0 is left by 0, as numpy has it, and by -1
        left = x.graph.operation("Mod", x, safe_divisor(y))
        return choose((y == 0) | (y == -1), 0, left)
    left = x.graph.operation("Mod", x, y, fmod=1)
    has_other_sign = (left != 0) & ((y < 0) != (left < 0))
    return choose(has_other_sign, left + y, choose(left == 0, with_sign(left, y), left))


def truncated_remainder(x: Value, y: Value) -> Value:
    """What is left of a division, with the sign of what is divided."""
    if x.is_float:
        return x.graph.operation("Mod", x, y, fmod=1)
    left = np.abs(x) % np.abs(choose(y == 0, 1, y))
    return choose(y == 0, 0, choose(x < 0, -left, left))


def floor_divided(x: Value, y: Value) -> Value:
    """The largest whole number below the ratio, by way of the exact remainder."""
    if not x.is_float:
        whole = x.graph.operation("Div", x - x % y, safe_divisor(y))
        return choose(y == 0, 0, choose(y == -1, -x, whole))
    left = np.fmod(x, y)
    ratio = divided(x - left, y)
    ratio = choose((left != 0) & ((y < 0) != (left < 0)), ratio - 1, ratio)
    below = np.floor(ratio)
    rounded = choose(ratio - below > 0.5, below + 1, below)
    rounded = choose(ratio == 0, with_sign(ratio, divided(x, y)), rounded)
    return choose(y == 0, divided(x, y), rounded)


def inverted(x: Value) -> Value:
    """1 / x; of whole numbers, its whole part."""
    if x.is_float:
        return divided(x.graph.constant(1, x.dtype), x)
    return choose(x == 0, LOWEST, choose(np.abs(x) == 1, x, 0))


def power(graph: Graph, kind: np.dtype[Any], x: Any, y: Any) -> Value:
    """Powers; of whole numbers, constant ones."""
    if kind.kind == "f":
        exponent = y.constant if isinstance(y, GraphValue) else y
        # half precision, which is computed in float32, is left out
        if exponent in NUMPYS_POWERS and kind != np.float16:
            return NUMPYS_POWERS[exponent](graph.lift(x, kind))
        return graph.operation("Pow", graph.lift(x, DOUBLE), graph.lift(y, DOUBLE))
    if isinstance(y, GraphValue) and y.constant is None:
        raise NoFormError(
            "powers of whole numbers have a form for constant exponents; write np.float_power(x, y)"
        )
    if kind == UNSIGNED:
        raise NoFormError("unsigned whole numbers of 64 bits have no powers")
    return whole_power(graph.lift(x, WHOLE), int(graph.lift(y, WHOLE).constant))


def whole_power(x: Value, exponent: int) -> Value:
    """A whole power by squares, modulo 2^64."""
    result = None
    square = x
    while exponent:
        if exponent % 2:
            result = square if result is None else result * square
        exponent //= 2
        if exponent:
            square = square * square
    if result is None:
        return x.graph.filled(x, x.graph.constant(1, x.dtype))
    return result


def split(x: Value) -> tuple[Value, Value]:
    """Fractional and integer part, both with the sign of ``x``."""
    whole = np.trunc(x)
    rest = choose(np.isinf(x), 0, x - whole)
    return with_sign(rest, x), whole


# --- bits of whole numbers


def bits_and(x: Value, y: Value) -> Value:
    """``x & y`` of which one is constant: the sum of the bits that both have."""
    if x.constant is not None:
        x, y = y, x
    if y.constant is None:
        raise NoFormError("bits of two columns have no form; one may be a constant")
    mask = int(y.constant)
    if mask < 0:
        # ~mask has few bits
        return x - bits_and(x, x.graph.constant(~mask, WHOLE))
    found = x.graph.constant(0, WHOLE)
    for place in range(mask.bit_length()):
        if mask >> place & 1:
            found = found + (x // 2**place) % 2 * 2**place
    return found


def bits_or(x: Value, y: Value) -> Value:
    """``x | y`` of which one is constant."""
    return x + y - bits_and(x, y)


def bits_xor(x: Value, y: Value) -> Value:
    """``x ^ y`` of which one is constant."""
    return x + y - 2 * bits_and(x, y)


def shifted_left(x: Value, y: Value) -> Value:
    """``x * 2**y`` modulo 2^64."""
    places = shift_of(y)
    return x * whole_power(x.graph.constant(2, WHOLE), places) if places < 64 else x * 0


def shifted_right(x: Value, y: Value) -> Value:
    """``x // 2**y``."""
    places = shift_of(y)
    return x // 2**places if places < 63 else choose(x < 0, -1, x * 0)


def shift_of(y: Value) -> int:
    """By how many bits is shifted.

    Raises:
        NoFormError: it is no constant, or negative.
    """
    if y.constant is None or y.constant < 0:
        raise NoFormError("bits are shifted by constants")
    return int(y.constant)


# --- exponentials and logarithms, of float64


def exp_minus_1(x: Value) -> Value:
    """Without the loss of digits near 0: (u - 1) x / log(u), whose errors cancel.

    Source: W. Kahan, in N. J. Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1.
    """
    grown = np.exp(x)
    near = (grown - 1) * x / np.log(grown)
    return choose(grown == 1, x, choose(np.isinf(grown) | (grown - 1 == -1), grown - 1, near))


def log_1_plus(x: Value) -> Value:
    """Without the loss of digits near 0, in the same way."""
    raised = 1 + x
    near = np.log(raised) * x / (raised - 1)
    return choose(raised == 1, x, choose(np.isinf(raised), np.log(raised), near))


def log_base(base: float, x: Value) -> Value:
    """Logarithms to a base; of its whole powers, exactly whole numbers."""
    found = np.log(x) / math.log(base)
    whole = np.rint(found)
    return choose(np.power(base, whole) == x, whole, found)


def log_of_sum(base: float, x: Value, y: Value) -> Value:
    """The logarithm of ``base**x + base**y``."""
    factor = math.log(base)
    high = np.maximum(x, y)
    below = -np.abs(x - y)
    added = np.log1p(np.exp(below * factor)) / factor
    # the difference of two infinities is NaN
    return high + choose(x == y, math.log(2) / factor, added)


def power_of_2(x: Value) -> Value:
    """``2**x``."""
    return np.power(2.0, x)


def cube_root(x: Value) -> Value:
    """By a power, and one step of Newton that mends its last digits."""
    size = np.abs(x)
    root = np.power(size, 1 / 3)
    mended = root - (root * root * root - size) / (3 * root * root)
    root = choose((size == 0) | np.isinf(size), size, mended)
    return with_sign(root, x)


def distance(x: Value, y: Value) -> Value:
    """The root of the sum of squares, that neither overflows nor underflows."""
    high = np.maximum(np.abs(x), np.abs(y))
    low = np.minimum(np.abs(x), np.abs(y))
    ratio = low / high
    found = high * np.sqrt(1 + ratio * ratio)
    found = choose(high == 0, high, found)
    return choose(np.isinf(x) | np.isinf(y), np.inf, found)


# --- angles and hyperbolic functions, of float64


def cosine(x: Value) -> Value:
    """By the sine of half of the angle, as ONNX Runtime has no cosine of float64 before 1.17."""
    half = np.sin(x / 2)
    return 1 - 2 * half * half


def tangent(x: Value) -> Value:
    """Sine over cosine."""
    return np.sin(x) / np.cos(x)


def angle_of_slope(slope: Value) -> Value:
    """The arctangent of 0 <= slope <= 1: ONNX's of float32, mended to float64.

    With the angle a of float32, tan(b - a) = (slope cos a - sin a) / (cos a + slope sin a), which
    is the difference itself to 1e-21.
    """
    coarse = slope.graph.operation("Atan", slope.astype(FLOAT)).astype(DOUBLE)
    sine = np.sin(coarse)
    cosine = np.cos(coarse)
    return coarse + (slope * cosine - sine) / (cosine + slope * sine)


def arctangent(x: Value) -> Value:
    """In [-pi / 2, pi / 2]."""
    size = np.abs(x)
    is_steep = size > 1
    angle = angle_of_slope(choose(is_steep, 1 / size, size))
    angle = choose(is_steep, math.pi / 2 - angle + PI_REST / 2, angle)
    return choose(x == 0, x, with_sign(angle, x))


def azimuth(y: Value, x: Value) -> Value:
    """The angle of (x, y), in [-pi, pi], with the signs of zeros."""
    high = np.maximum(np.abs(x), np.abs(y))
    low = np.minimum(np.abs(x), np.abs(y))
    # 0 / 0 is 0, and two infinities have an angle of 45 degrees
    slope = choose(high == 0, 0, choose(np.isinf(low), 1, low / high))
    angle = angle_of_slope(slope)
    angle = choose(np.abs(y) > np.abs(x), math.pi / 2 - angle + PI_REST / 2, angle)
    angle = choose(is_negative(x), math.pi - angle + PI_REST, angle)
    return with_sign(angle, y)


def arcsine(x: Value) -> Value:
    """NaN beyond 1."""
    return azimuth(x, np.sqrt((1 - x) * (1 + x)))


def arccosine(x: Value) -> Value:
    """NaN beyond 1."""
    return azimuth(np.sqrt((1 - x) * (1 + x)), x)


def hyperbolic_sine(x: Value) -> Value:
    """By exp(x) - 1 near 0, by half of an exponential far from it."""
    size = np.abs(x)
    grown = np.expm1(size)
    near = (grown + grown / (grown + 1)) / 2
    return with_sign(choose(size < LARGE, near, half_of_exp(size)), x)


def hyperbolic_cosine(x: Value) -> Value:
    """Near 0 the mean of both exponentials, far from it half of one."""
    size = np.abs(x)
    grown = np.exp(size)
    return choose(size < LARGE, (grown + 1 / grown) / 2, half_of_exp(size))


def half_of_exp(x: Value) -> Value:
    """``exp(x) / 2`` that is finite where ``exp(x)`` is not."""
    root = np.exp(x / 2)
    return root / 2 * root


def inverse_hyperbolic_sine(x: Value) -> Value:
    """log(x + sqrt(x^2 + 1)), without the loss of digits near 0 and the overflow far from it."""
    size = np.abs(x)
    near = np.log1p(size + size * size / (1 + np.sqrt(size * size + 1)))
    far = np.log(size) + LN2
    return with_sign(choose(size < 1e8, near, far), x)


def inverse_hyperbolic_cosine(x: Value) -> Value:
    """log(x + sqrt(x^2 - 1)), in the same way; NaN below 1."""
    above = x - 1
    near = np.log1p(above + np.sqrt(above * (above + 2)))
    found = choose(x < 1e8, near, np.log(x) + LN2)
    return choose(x < 1, np.nan, found)


def inverse_hyperbolic_tangent(x: Value) -> Value:
    """log((1 + x) / (1 - x)) / 2; NaN beyond 1."""
    size = np.abs(x)
    return with_sign(np.log1p(2 * size / (1 - size)) / 2, x)


def in_proportion(factor: float, x: Value) -> Value:
    """``x`` times a number of its type."""
    return x * factor


# --- functions whose arguments are of several types


def rounded(graph: Graph, kind: np.dtype[Any], a: Any, decimals: Any = 0) -> Value:
    """To a constant number of decimals, as numpy does it: scaled, rounded, scaled back."""
    value = graph.lift(a, kind)
    places = constant_of(decimals, "decimals")
    if not value.is_float:
        if places < 0:
            raise NoFormError("whole numbers are not rounded to tens in a graph")
        return value
    if places == 0:
        return np.rint(value)
    if places > 0:
        return np.rint(value * 10.0**places) / 10.0**places
    return np.rint(value / 10.0**-places) * 10.0**-places


def limited(
    graph: Graph, kind: np.dtype[Any], a: Any, a_min: Any = None, a_max: Any = None
) -> Value:
    """Not below ``a_min``, then not above ``a_max``."""
    value: Value = graph.lift(a, kind)
    if a_min is not None:
        low: Value = graph.lift(a_min, kind)
        value = np.maximum(value, low)
    if a_max is not None:
        high: Value = graph.lift(a_max, kind)
        value = np.minimum(value, high)
    return value


def with_numbers(
    graph: Graph,
    kind: np.dtype[Any],
    x: Any,
    copy: Any = True,
    nan: Any = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Value:
    """Numbers in place of NaN and infinities; those are the largest of the type by default."""
    value = graph.lift(x, kind)
    if not value.is_float:
        return value
    limits = np.finfo(kind)
    high = limits.max if posinf is None else constant_of(posinf, "posinf")
    low = limits.min if neginf is None else constant_of(neginf, "neginf")
    found = choose(is_infinite(value, low=False), high, value)
    found = choose(is_infinite(value, high=False), low, found)
    return choose(np.isnan(value), constant_of(nan, "nan"), found)


def numbers_of_array(
    graph: Graph,
    kind: np.dtype[Any],
    array: Any,
    copy: Any = True,
    nan: Any = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Value:
    """The same under the names of awkward."""
    return with_numbers(graph, kind, array, copy, nan, posinf, neginf)


def constant_of(value: Any, name: str) -> Any:
    """An argument that must be a number.

    Raises:
        NoFormError: it is a column.
    """
    if isinstance(value, GraphValue):
        raise NoFormError(f"{name!r} must be a constant in a graph")
    return value


def filled_like(number: Any, graph: Graph, kind: np.dtype[Any], a: Any, *_: Any, **__: Any) -> Any:
    """One number in the shape of a column."""
    return graph.filled(graph.lift(a, a.dtype), graph.constant(number, kind))


def filled_with(
    graph: Graph, kind: np.dtype[Any], a: Any, fill_value: Any, *_: Any, **__: Any
) -> Value:
    """A number, or the values of another column, in the shape of a column."""
    return graph.filled(a, graph.lift(fill_value, kind))


def converted(graph: Graph, kind: np.dtype[Any], a: Any, *_: Any, **__: Any) -> Value:
    """Values of another type."""
    return graph.lift(a, kind)


def are_close(
    graph: Graph,
    kind: np.dtype[Any],
    a: Any,
    b: Any,
    rtol: Any = 1e-5,
    atol: Any = 1e-8,
    equal_nan: Any = False,
) -> Value:
    """``|a - b| <= atol + rtol |b|``, or equal."""
    # numpy makes floating-point numbers of b
    b = b * 1.0
    found = ((np.abs(a - b) <= atol + rtol * np.abs(b)) & np.isfinite(b)) | (np.equal(a, b))
    if equal_nan:
        found = found | (np.isnan(a) & np.isnan(b))
    return graph.lift(found, kind)


def phase(graph: Graph, kind: np.dtype[Any], z: Any, deg: Any = False) -> Value:
    """0 for positive numbers, pi or 180 degrees for negative ones."""
    angle = np.arctan2(0, z)
    return graph.lift(angle * (180 / math.pi) if deg else angle, kind)


def sine_over_angle(graph: Graph, kind: np.dtype[Any], x: Any) -> Value:
    """sin(pi x) / (pi x), 1 at 0."""
    angle = graph.lift(x, kind) * math.pi
    return choose(angle == 0, 1, np.sin(angle) / angle)


def real_part(graph: Graph, kind: np.dtype[Any], val: Any) -> Value:
    """All of it."""
    return graph.lift(val, kind)


def quotient_and_rest(x: Value, y: Value) -> tuple[Value, Value]:
    """The whole part of a ratio, and what is left."""
    return x // y, x % y


def difference(x: Value, y: Value) -> Value:
    """Of whole numbers modulo 2^64."""
    return x.graph.operation("Sub", x, y)
