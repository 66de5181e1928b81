"""The functions of expressions in a graph of ONNX: some are nodes, all others formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.expressions import graph_formulas as formulas
from weaver_tt.expressions import graph_objects as objects
from weaver_tt.expressions import helpers, methods
from weaver_tt.expressions.graph_formulas import Value, node, of_truth, rounding, test_node
from weaver_tt.expressions.graph_values import BOOL, FunctionForm


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


_AND = of_truth(formulas.bits_and, test_node("And"))
_OR = of_truth(formulas.bits_or, test_node("Or"))
_XOR = of_truth(formulas.bits_xor, test_node("Xor"))
_INVERT = of_truth(_minus, test_node("Not"))
_ROUNDED_TYPES = (np.float16, np.float32, np.float64)
_WHOLE_TYPES = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)

FORMS: Mapping[Any, FunctionForm] = {
    np.add: _exact(of_truth(node("Add"), test_node("Or")), unsigned=True),
    np.subtract: _exact(formulas.difference, unsigned=True),
    np.multiply: _exact(of_truth(node("Mul"), test_node("And")), unsigned=True),
    np.true_divide: _exact(formulas.divided),
    np.floor_divide: _exact(formulas.floor_divided),
    np.remainder: _exact(formulas.remainder),
    np.fmod: _exact(formulas.truncated_remainder),
    np.divmod: _exact(formulas.quotient_and_rest),
    np.modf: _exact(formulas.split),
    np.power: _of_types(formulas.power, exact=False),
    np.float_power: _of_types(formulas.power, exact=False),
    np.positive: _exact(formulas.same, unsigned=True),
    np.negative: _exact(node("Neg"), unsigned=True),
    np.reciprocal: _exact(formulas.inverted),
    np.square: _exact(lambda x: x * x, unsigned=True),
    # of float32 rounded from float64, which is exact; older releases give NaN for infinity
    np.sqrt: _exact(node("Sqrt"), in_double=True),
    np.exp: _in_double(node("Exp")),
    np.exp2: _in_double(formulas.power_of_2),
    np.expm1: _in_double(formulas.exp_minus_1),
    np.log: _in_double(node("Log")),
    np.log2: _in_double(partial(formulas.log_base, 2.0)),
    np.log10: _in_double(partial(formulas.log_base, 10.0)),
    np.log1p: _in_double(formulas.log_1_plus),
    np.logaddexp: _in_double(partial(formulas.log_of_sum, math.e)),
    np.logaddexp2: _in_double(partial(formulas.log_of_sum, 2.0)),
    np.cbrt: _in_double(formulas.cube_root),
    np.hypot: _in_double(formulas.distance),
    np.sin: _in_double(node("Sin")),
    np.cos: _in_double(formulas.cosine),
    np.tan: _in_double(formulas.tangent),
    np.arcsin: _in_double(formulas.arcsine),
    np.arccos: _in_double(formulas.arccosine),
    np.arctan: _in_double(formulas.arctangent),
    np.arctan2: _in_double(formulas.azimuth),
    np.deg2rad: _composed(partial(formulas.in_proportion, math.pi / 180)),
    np.radians: _composed(partial(formulas.in_proportion, math.pi / 180)),
    np.rad2deg: _composed(partial(formulas.in_proportion, 180 / math.pi)),
    np.degrees: _composed(partial(formulas.in_proportion, 180 / math.pi)),
    np.sinh: _in_double(formulas.hyperbolic_sine),
    np.cosh: _in_double(formulas.hyperbolic_cosine),
    np.tanh: _in_double(node("Tanh")),
    np.arcsinh: _in_double(formulas.inverse_hyperbolic_sine),
    np.arccosh: _in_double(formulas.inverse_hyperbolic_cosine),
    np.arctanh: _in_double(formulas.inverse_hyperbolic_tangent),
    np.absolute: _exact(of_truth(node("Abs"), formulas.same)),
    np.fabs: _exact(node("Abs")),
    np.sign: _exact(formulas.sign),
    np.signbit: _exact(formulas.is_negative),
    np.copysign: _exact(formulas.with_sign),
    np.heaviside: _exact(formulas.step),
    np.ceil: _exact(rounding("Ceil")),
    np.floor: _exact(rounding("Floor")),
    np.rint: _exact(node("Round")),
    np.trunc: _exact(lambda x: formulas.choose(x < 0, np.ceil(x), np.floor(x))),
    np.around: _of_types(formulas.rounded),
    np.round: _of_types(formulas.rounded),
    np.maximum: _exact(of_truth(formulas.larger, test_node("Or"))),
    np.minimum: _exact(of_truth(formulas.smaller, test_node("And"))),
    np.fmax: _exact(of_truth(formulas.larger_number, test_node("Or"))),
    np.fmin: _exact(of_truth(formulas.smaller_number, test_node("And"))),
    np.equal: _exact(test_node("Equal"), unsigned=True),
    np.not_equal: _exact(formulas.not_equal, unsigned=True),
    np.less: _exact(test_node("Less")),
    np.less_equal: _exact(test_node("LessOrEqual")),
    np.greater: _exact(test_node("Greater")),
    np.greater_equal: _exact(test_node("GreaterOrEqual")),
    np.isclose: _of_types(formulas.are_close),
    ak.isclose: _of_types(formulas.are_close),
    np.isfinite: _exact(formulas.is_finite),
    np.isinf: _exact(formulas.is_infinite),
    np.isnan: _exact(formulas.is_nan),
    np.isneginf: _of_types(lambda graph, kind, x: formulas.is_infinite(x, high=False)),
    np.isposinf: _of_types(lambda graph, kind, x: formulas.is_infinite(x, low=False)),
    np.logical_and: _exact(_truth("And")),
    np.logical_or: _exact(_truth("Or")),
    np.logical_xor: _exact(_truth("Xor")),
    np.logical_not: _exact(_not),
    np.bitwise_and: _exact(_AND),
    np.bitwise_or: _exact(_OR),
    np.bitwise_xor: _exact(_XOR),
    np.invert: _exact(_INVERT),
    np.left_shift: _exact(formulas.shifted_left),
    np.right_shift: _exact(formulas.shifted_right),
    helpers.clip: _of_types(formulas.limited),
    helpers._clip: _of_types(formulas.limited),
    np.where: _of_types(formulas.choose_typed),
    ak.where: _of_types(formulas.choose_typed),
    np.nan_to_num: _of_types(formulas.with_numbers),
    ak.nan_to_num: _of_types(formulas.numbers_of_array),
    np.ones_like: _of_types(partial(formulas.filled_like, 1)),
    ak.ones_like: _of_types(partial(formulas.filled_like, 1)),
    np.zeros_like: _of_types(partial(formulas.filled_like, 0)),
    ak.zeros_like: _of_types(partial(formulas.filled_like, 0)),
    np.full_like: _of_types(formulas.filled_with),
    ak.full_like: _of_types(formulas.filled_with),
    ak.values_astype: _of_types(formulas.converted),
    **{kind: _of_types(formulas.converted) for kind in (*_ROUNDED_TYPES, *_WHOLE_TYPES, np.bool_)},
    np.angle: _of_types(formulas.phase, exact=False),
    np.real: _of_types(formulas.real_part),
    np.sinc: _of_types(formulas.sine_over_angle, exact=False),
    methods.counts: _of_types(objects.counted),
    ak.num: _of_types(objects.counted),
    ak.count: _of_types(objects.counted),
    ak.sum: _of_types(objects.summed),
    ak.mean: _of_types(objects.mean_of),
    ak.concatenate: _of_types(objects.joined),
    helpers._concat: _of_types(objects.joined),
    ak.local_index: _of_types(objects.local_index),
    helpers._tree_mask: _of_types(objects.tree_mask),
    ak.argsort: _of_types(objects.order_of),
    helpers._batch_argsort: _of_types(objects.order_of),
    sum: _of_types(objects.sum_of_list),
    len: _of_types(objects.length_of_list),
    ak.any: _of_types(objects.any_of),
    ak.all: _of_types(objects.all_of),
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
