"""The functions of expressions in a graph of ONNX: some are nodes, all others formulas.

ONNX Runtime has no float64 form of many functions, and coarse ones of float32. Those are composed
here of arithmetic, roots, exponentials, logarithms, sine and cosine in float64, which it has.
Formulas are written as for arrays: ``x`` and ``y`` are :class:`GraphValue`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.expressions import helpers, methods
from weaver_tt.expressions.graph_values import (
    BOOL,
    DOUBLE,
    FLOAT,
    UNSIGNED,
    WHOLE,
    FunctionForm,
    Graph,
    GraphValue,
    NoFormError,
)

Value = Any  # a GraphValue; what numpy says of its own functions knows arrays alone

LOWEST = np.iinfo(np.int64).min
NOWHERE = np.iinfo(np.int64).max  # a place that no column has
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


# --- over the objects of each row


def counted(graph: Graph, kind: np.dtype[Any], array: Any, axis: Any = 1) -> Value:
    """The number of objects of each row."""
    check_axis(array, axis)
    return graph.cast(GraphValue(graph, graph.counts(array.objects), WHOLE), kind)


def summed(graph: Graph, kind: np.dtype[Any], array: Any, axis: Any = -1) -> Value:
    """The sum over the objects of each row, added up in their order."""
    check_axis(array, axis)
    work = kind if kind in (FLOAT, DOUBLE) else WHOLE
    if kind.kind == "f" and kind != work:
        raise NoFormError("sums of half precision have no form")
    values = array.astype(work)
    rows = graph.write("Shape", graph.counts(array.objects))
    zeros = graph.write("Expand", graph.array(0, work), rows)
    places = graph.rows_of(array.objects)
    name = graph.write("ScatterElements", zeros, places, values.name, axis=0, reduction="add")
    return graph.cast(GraphValue(graph, name, work), kind)


def mean_of(graph: Graph, kind: np.dtype[Any], array: Any, axis: Any = -1) -> Value:
    """Sum over number; NaN without objects."""
    exact = array.dtype if array.is_float else WHOLE
    return graph.lift(summed(graph, exact, array, axis) / counted(graph, WHOLE, array, axis), kind)


def any_of(graph: Graph, kind: np.dtype[Any], array: Any, axis: Any = -1) -> Value:
    """Whether one of the objects is true."""
    return graph.lift(summed(graph, WHOLE, array.astype(BOOL), axis) > 0, kind)


def all_of(graph: Graph, kind: np.dtype[Any], array: Any, axis: Any = -1) -> Value:
    """Whether all objects are true."""
    return graph.lift(summed(graph, WHOLE, ~array.astype(BOOL), axis) == 0, kind)


# --- objects chosen, by a mask or by their places


def chosen(graph: Graph, values: Value, mask: Value) -> Value:
    """``x[mask]``: the objects that pass, which are a collection of their own."""
    graph.common_objects([values, mask])
    left = graph.write("Compress", values.name, mask.name, axis=0)
    return GraphValue(graph, left, values.dtype, objects_that_pass(graph, mask, mask.name))


def objects_that_pass(graph: Graph, mask: Value, name: str) -> str:
    """The collection ``OBJECTS|NAME`` of the objects for which a mask (M,) is true."""
    collection = f"{mask.objects}|{name}"
    graph.chosen[collection] = mask.objects, name
    if collection not in graph.offsets:
        whole = graph.write("Cast", mask.name, to=WHOLE.name)
        passed = graph.write("CumSum", whole, graph.array(0, WHOLE))
        before = graph.write("Concat", graph.whole(0), passed, axis=0)  # (M + 1,)
        graph.offsets[collection] = graph.write("Gather", before, graph.offsets[mask.objects])
    return collection


def at_places(graph: Graph, values: Value, places: Value) -> Value:
    """``x[places]``: the objects at these places of each row; negative ones count from its end.

    Beyond the end of a row, ONNX Runtime fails, as awkward does.
    """
    wanted = places.astype(WHOLE)
    counts = graph.for_objects(_of_rows(graph, graph.counts(values.objects)), places.objects)
    starts = graph.for_objects(_of_rows(graph, graph.starts(values.objects)), places.objects)
    place = choose(wanted < 0, wanted + counts, wanted)
    # a place that is not there is none of the whole column
    place = choose((place >= 0) & (place < counts), starts + place, NOWHERE)
    found = graph.write("Gather", values.name, place.name)
    return GraphValue(graph, found, values.dtype, places.objects)


def _of_rows(graph: Graph, name: str) -> Value:
    return GraphValue(graph, name, WHOLE)


def local_index(graph: Graph, kind: np.dtype[Any], array: Any, axis: Any = -1) -> Value:
    """The place of each object in its row."""
    check_axis(array, axis)
    return graph.cast(GraphValue(graph, graph.places_of(array.objects), WHOLE, array.objects), kind)


def tree_mask(graph: Graph, kind: np.dtype[Any], parent: Any) -> Value:
    """1 for each node of a tree.

    As numpy's form raises an error, a graph fails to run where a mother is no node before it.
    """
    check_axis(parent, axis=-1)
    places = local_index(graph, WHOLE, parent)
    is_good = (parent >= -1) & (parent < places)
    if parent.is_float:
        is_good = is_good & (parent == np.floor(parent))
    ones = filled_like(1, graph, kind, parent)
    kept = graph.write("Compress", ones.name, is_good.name, axis=0)
    # only where all are kept, there are as many as nodes
    label = "a mother is none of the nodes before it, nor -1 for none"
    mask = graph.write("Reshape", kept, graph.total(parent.objects), label=label, allowzero=1)
    return GraphValue(graph, mask, kind, parent.objects)


def order_of(
    graph: Graph,
    kind: np.dtype[Any],
    array: Any,
    axis: Any = -1,
    *,
    ascending: Any = True,
    stable: Any = True,
) -> Value:
    """The places that sort the objects of each row, equal ones as they come.

    As awkward has it, NaN come first.
    """
    check_axis(array, axis)
    if not isinstance(ascending, bool):
        raise NoFormError("'ascending' must be True or False")
    work = array.dtype if array.dtype in (FLOAT, DOUBLE) else WHOLE
    values = array.astype(work)
    first, last = _limits(work) if ascending else _limits(work)[::-1]
    if values.is_float:
        values = choose(np.isnan(values), first, values)
    objects = array.objects
    # a grid (N, L), in whose empty places is what is sorted to the end
    padded = graph.write("Concat", values.name, graph.array([last], work), axis=0)
    starts = graph.write("Unsqueeze", graph.starts(objects), graph.whole(1))
    index = graph.write("Add", starts, graph.all_places(objects))
    real = graph.is_object(objects, graph.all_places(objects))
    grid = graph.write("Gather", padded, graph.write("Where", real, index, graph.total(objects)))
    longest = graph.write("Reshape", graph.longest(objects), graph.whole(1))
    _, order = graph.write_two("TopK", grid, longest, axis=1, largest=int(not ascending))
    # of the grid, what lies in the places of objects
    flat = graph.write("Reshape", order, graph.whole(-1))
    rows = GraphValue(graph, graph.rows_of(objects), WHOLE, objects)
    width = GraphValue(graph, graph.longest(objects), WHOLE, objects)
    place = rows * width + GraphValue(graph, graph.places_of(objects), WHOLE, objects)
    found = graph.write("Gather", flat, place.name)
    return graph.cast(GraphValue(graph, found, WHOLE, objects), kind)


def _limits(kind: np.dtype[Any]) -> tuple[Any, Any]:
    if kind == WHOLE:
        return np.iinfo(kind).min, np.iinfo(kind).max
    return -np.inf, np.inf


def first_or(graph: Graph, kind: np.dtype[Any], array: Value, number: Any) -> Value:
    """The first object of each row; a number for rows without."""
    check_axis(array, 1)
    values = array.astype(kind)
    padded = graph.write("Concat", values.name, graph.array([0], kind), axis=0)
    first = GraphValue(graph, graph.write("Gather", padded, graph.starts(array.objects)), kind)
    has_one = _of_rows(graph, graph.counts(array.objects)) > 0
    return choose_typed(graph, kind, has_one, first, number)


def joined(graph: Graph, kind: np.dtype[Any], arrays: Any, axis: Any = 0) -> Value:
    """The objects of several collections, one after another in each row."""
    values = [array for array in arrays if isinstance(array, GraphValue)]
    if len(values) != len(arrays):
        raise NoFormError("it joins columns alone")
    for value in values:
        check_axis(value, axis)
    parts = tuple(str(value.objects) for value in values)
    name = f"({', '.join(parts)})"
    if name not in graph.offsets:
        ends = graph.offsets[parts[0]]
        for part in parts[1:]:
            ends = graph.write("Add", ends, graph.offsets[part])
        graph.offsets[name] = ends
        graph.joined[name] = parts
    content = graph.write("Concat", *(value.astype(kind).name for value in values), axis=0)
    rows = graph.rows_of(name)
    place = graph.places_of(name)  # among those of all parts, then of the parts that are left
    before = graph.whole(0)
    found: list[tuple[str, str]] = []
    for part in parts:
        counts = graph.write("Gather", graph.counts(part), rows)
        starts = graph.write("Add", graph.write("Gather", graph.starts(part), rows), before)
        found.append((graph.write("Less", place, counts), graph.write("Add", starts, place)))
        place = graph.write("Sub", place, counts)
        before = graph.write("Add", before, graph.total(part))
    index = found[-1][1]
    for is_here, own in reversed(found[:-1]):
        index = graph.write("Where", is_here, own, index)
    return GraphValue(graph, graph.write("Gather", content, index), kind, name)


def sum_of_list(graph: Graph, kind: np.dtype[Any], values: Any, start: Any = 0) -> Value:
    """Columns added up one after another."""
    for value in values:
        start = start + value
    return graph.lift(start, kind)


def length_of_list(graph: Graph, kind: np.dtype[Any], values: Any) -> Value:
    """The number of columns in a list."""
    return graph.constant(len(values), kind)


def check_axis(array: Any, axis: Any) -> None:
    """Check that something goes over the objects of rows.

    Raises:
        NoFormError: it does not.
    """
    if not isinstance(array, GraphValue) or array.objects is None or axis not in (1, -1):
        raise NoFormError("it goes over the objects of each row, axis=1")


def quotient_and_rest(x: Value, y: Value) -> tuple[Value, Value]:
    """The whole part of a ratio, and what is left."""
    return x // y, x % y


def difference(x: Value, y: Value) -> Value:
    """Of whole numbers modulo 2^64."""
    return x.graph.operation("Sub", x, y)


def _exact(compute: Any, **how: Any) -> FunctionForm:
    return FunctionForm(compute=compute, exact=True, **how)


def _composed(compute: Any, **how: Any) -> FunctionForm:
    return FunctionForm(compute=compute, exact=False, **how)


def _in_double(compute: Any) -> FunctionForm:
    return FunctionForm(compute=compute, exact=False, in_double=True)


def _of_types(compute: Any, exact: bool = True) -> FunctionForm:
    return FunctionForm(compute=compute, exact=exact, typed=True)


def _not(x: Value) -> Value:
    return test_node("Not")(x.astype(BOOL))


def _truth(operator: str) -> Callable[..., Value]:
    def form(x: Value, y: Value) -> Value:
        return test_node(operator)(x.astype(BOOL), y.astype(BOOL))

    return form


def _minus(x: Value) -> Value:
    return -x - 1


_AND = of_truth(bits_and, test_node("And"))
_OR = of_truth(bits_or, test_node("Or"))
_XOR = of_truth(bits_xor, test_node("Xor"))
_INVERT = of_truth(_minus, test_node("Not"))
_ROUNDED_TYPES = (np.float16, np.float32, np.float64)
_WHOLE_TYPES = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)

FORMS: Mapping[Any, FunctionForm] = {
    np.add: _exact(of_truth(node("Add"), test_node("Or")), unsigned=True),
    np.subtract: _exact(difference, unsigned=True),
    np.multiply: _exact(of_truth(node("Mul"), test_node("And")), unsigned=True),
    np.true_divide: _exact(divided),
    np.floor_divide: _exact(floor_divided),
    np.remainder: _exact(remainder),
    np.fmod: _exact(truncated_remainder),
    np.divmod: _exact(quotient_and_rest),
    np.modf: _exact(split),
    np.power: _of_types(power, exact=False),
    np.float_power: _of_types(power, exact=False),
    np.positive: _exact(same, unsigned=True),
    np.negative: _exact(node("Neg"), unsigned=True),
    np.reciprocal: _exact(inverted),
    np.square: _exact(lambda x: x * x, unsigned=True),
    # of float32 rounded from float64, which is exact; older releases give NaN for infinity
    np.sqrt: _exact(node("Sqrt"), in_double=True),
    np.exp: _in_double(node("Exp")),
    np.exp2: _in_double(power_of_2),
    np.expm1: _in_double(exp_minus_1),
    np.log: _in_double(node("Log")),
    np.log2: _in_double(partial(log_base, 2.0)),
    np.log10: _in_double(partial(log_base, 10.0)),
    np.log1p: _in_double(log_1_plus),
    np.logaddexp: _in_double(partial(log_of_sum, math.e)),
    np.logaddexp2: _in_double(partial(log_of_sum, 2.0)),
    np.cbrt: _in_double(cube_root),
    np.hypot: _in_double(distance),
    np.sin: _in_double(node("Sin")),
    np.cos: _in_double(cosine),
    np.tan: _in_double(tangent),
    np.arcsin: _in_double(arcsine),
    np.arccos: _in_double(arccosine),
    np.arctan: _in_double(arctangent),
    np.arctan2: _in_double(azimuth),
    np.deg2rad: _composed(partial(in_proportion, math.pi / 180)),
    np.radians: _composed(partial(in_proportion, math.pi / 180)),
    np.rad2deg: _composed(partial(in_proportion, 180 / math.pi)),
    np.degrees: _composed(partial(in_proportion, 180 / math.pi)),
    np.sinh: _in_double(hyperbolic_sine),
    np.cosh: _in_double(hyperbolic_cosine),
    np.tanh: _in_double(node("Tanh")),
    np.arcsinh: _in_double(inverse_hyperbolic_sine),
    np.arccosh: _in_double(inverse_hyperbolic_cosine),
    np.arctanh: _in_double(inverse_hyperbolic_tangent),
    np.absolute: _exact(of_truth(node("Abs"), same)),
    np.fabs: _exact(node("Abs")),
    np.sign: _exact(sign),
    np.signbit: _exact(is_negative),
    np.copysign: _exact(with_sign),
    np.heaviside: _exact(step),
    np.ceil: _exact(rounding("Ceil")),
    np.floor: _exact(rounding("Floor")),
    np.rint: _exact(node("Round")),
    np.trunc: _exact(lambda x: choose(x < 0, np.ceil(x), np.floor(x))),
    np.fix: _of_types(lambda graph, kind, x: np.trunc(graph.lift(x, kind))),
    np.around: _of_types(rounded),
    np.round: _of_types(rounded),
    np.maximum: _exact(of_truth(larger, test_node("Or"))),
    np.minimum: _exact(of_truth(smaller, test_node("And"))),
    np.fmax: _exact(of_truth(larger_number, test_node("Or"))),
    np.fmin: _exact(of_truth(smaller_number, test_node("And"))),
    np.equal: _exact(test_node("Equal"), unsigned=True),
    np.not_equal: _exact(not_equal, unsigned=True),
    np.less: _exact(test_node("Less")),
    np.less_equal: _exact(test_node("LessOrEqual")),
    np.greater: _exact(test_node("Greater")),
    np.greater_equal: _exact(test_node("GreaterOrEqual")),
    np.isclose: _of_types(are_close),
    ak.isclose: _of_types(are_close),
    np.isfinite: _exact(is_finite),
    np.isinf: _exact(is_infinite),
    np.isnan: _exact(is_nan),
    np.isneginf: _of_types(lambda graph, kind, x: is_infinite(x, high=False)),
    np.isposinf: _of_types(lambda graph, kind, x: is_infinite(x, low=False)),
    np.logical_and: _exact(_truth("And")),
    np.logical_or: _exact(_truth("Or")),
    np.logical_xor: _exact(_truth("Xor")),
    np.logical_not: _exact(_not),
    np.bitwise_and: _exact(_AND),
    np.bitwise_or: _exact(_OR),
    np.bitwise_xor: _exact(_XOR),
    np.invert: _exact(_INVERT),
    np.left_shift: _exact(shifted_left),
    np.right_shift: _exact(shifted_right),
    helpers.clip: _of_types(limited),
    helpers._clip: _of_types(limited),
    np.where: _of_types(choose_typed),
    ak.where: _of_types(choose_typed),
    np.nan_to_num: _of_types(with_numbers),
    ak.nan_to_num: _of_types(numbers_of_array),
    np.ones_like: _of_types(partial(filled_like, 1)),
    ak.ones_like: _of_types(partial(filled_like, 1)),
    np.zeros_like: _of_types(partial(filled_like, 0)),
    ak.zeros_like: _of_types(partial(filled_like, 0)),
    np.full_like: _of_types(filled_with),
    ak.full_like: _of_types(filled_with),
    ak.values_astype: _of_types(converted),
    **{kind: _of_types(converted) for kind in (*_ROUNDED_TYPES, *_WHOLE_TYPES, np.bool_)},
    np.angle: _of_types(phase, exact=False),
    np.real: _of_types(real_part),
    np.sinc: _of_types(sine_over_angle, exact=False),
    methods.counts: _of_types(counted),
    ak.num: _of_types(counted),
    ak.count: _of_types(counted),
    ak.sum: _of_types(summed),
    ak.mean: _of_types(mean_of),
    ak.concatenate: _of_types(joined),
    helpers._concat: _of_types(joined),
    ak.local_index: _of_types(local_index),
    helpers._tree_mask: _of_types(tree_mask),
    ak.argsort: _of_types(order_of),
    helpers._batch_argsort: _of_types(order_of),
    sum: _of_types(sum_of_list),
    len: _of_types(length_of_list),
    ak.any: _of_types(any_of),
    ak.all: _of_types(all_of),
}
"""Function of an expression -> how a graph computes it."""

REASONS: Mapping[Any, str] = {
    ak.firsts: "a value may be missing; write ak.fill_none(ak.firsts(x), 0)",
    np.frexp: "it takes a number apart bit by bit",
    np.nextafter: "it counts in bits of a number",
    np.spacing: "it counts in bits of a number",
    np.gcd: "it needs a loop",
    np.lcm: "it needs a loop",
}
"""Function -> why a graph has no form of it, where that needs saying."""


def form_of(value: Any) -> FunctionForm | None:
    """How a graph computes what an expression may name; None where it does not."""
    if isinstance(value, partial) and value.func is methods.reduce_objects:
        # x.sum() is ak.sum(x, axis=-1)
        value = value.args[0]
    try:
        return FORMS.get(value)
    except TypeError:
        # what cannot be looked up is none of them
        return None
