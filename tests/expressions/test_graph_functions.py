"""Every function that an expression may call, in ONNX Runtime: the table of docs/onnx.md is true.

Exact functions have the bits of numpy, composed ones differ in the last places, all others are
refused.
"""

import warnings

import awkward as ak
import numpy as np
import pytest

from tests.expressions.graph_runs import last_places, run_in_graph
from tests.expressions.test_row_rules import ALLOWED, example, make_table
from tests.old_versions import SINC_NEEDS_MORE_BITS
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.graph_form import how_in_graph
from weaver_tt.expressions.registry import REGISTRY

MOST_LAST_PLACES = 16
"""Of composed functions; those of float32, which are computed in float64, differ by 2 at most."""

# functions whose errors are those of their arguments, or of values up to 1
OF_SIZE_1 = ("np.sin", "np.cos", "np.sinc", "np.angle")
OF_ARGUMENTS = ("np.logaddexp", "np.logaddexp2")

FLOATS = [
    *(-np.inf, -1e30, -1000, -20, -2.5, -1.5, -1, -0.75, -0.5, -1e-3, -1e-9, -0.0, 0, 1e-20),
    *(1e-7, 0.1, 0.3, 0.5, 0.999, 1, 1.5, 2, 2.5, 3, 8, 10, 22.5, 100, 1e8, 1e30, np.inf, np.nan),
]
WHOLE = [-(2**62), -1000, -8, -3, -2, -1, 0, 1, 2, 3, 5, 8, 100, 2**40]
TYPES = [
    *(("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f4", "i8"), ("i8", "f4"), ("f2", "f2")),
    *(("i8", "i8"), ("i4", "i8"), ("u1", "u1"), ("u1", "i4"), ("?", "?"), ("?", "f4")),
]

CLIPPED = "np.clip(np.nan_to_num(x * 1.0), 0, 100)"
CALLS = {
    "np.where": ["np.where(x > 0, x, y)", "np.where(x, 1, y)", "np.where(1 < 2, 3, x)"],
    "ak.where": ["ak.where(x > 0, x, y)"],
    "np.clip": ["np.clip(x, -1, y)", "np.clip(x, 0.5, 2)", "np.clip(x, None, 2)"],
    "_clip": ["_clip(x, -1, 2)"],
    "np.full_like": ["np.full_like(x, 3)", "np.full_like(x, y > 0)"],
    "ak.values_astype": [f"ak.values_astype({CLIPPED}, 'int32')"],
    "x.astype()": ["x.astype('float32')"],
    "np.around": ["np.around(x)", "np.around(x, 2)", "np.around(x * 1.0, -1)"],
    "np.round": ["np.round(x, 1)"],
    "round": ["round(x, 1)"],
    "np.divmod": ["np.divmod(x, y)[0]", "np.divmod(x, y)[1]"],
    "np.modf": ["np.modf(x)[0]", "np.modf(x)[1]"],
    "np.isclose": ["np.isclose(x, y)", "np.isclose(x, y, rtol=0.1, equal_nan=True)"],
    "np.left_shift": ["np.left_shift(x, 3)", "np.left_shift(x, 70)"],
    "np.right_shift": ["np.right_shift(x, 3)", "np.right_shift(x, 63)"],
    "np.bitwise_and": ["np.bitwise_and(x, 13)", "x & -6", "(x > 1) & (y > 1)"],
    "np.bitwise_or": ["13 | x", "(x > 1) | (y > 1)"],
    "np.bitwise_xor": ["x ^ 6", "(x > 1) ^ (y > 1)"],
    "np.power": ["np.power(x * 1.0, y)", "x**2", "x**5", "x**0", "x**0.5", "2.0**x", "x**-1.5"],
    "np.nan_to_num": ["np.nan_to_num(x)", "np.nan_to_num(x, nan=3, posinf=7)"],
    "ak.nan_to_num": ["ak.nan_to_num(x)"],
    "np.angle": ["np.angle(x)", "np.angle(x, deg=True)"],
    "np.sinc": ["np.sinc(x)"],
}


def calls(entry):
    """Expressions of x and y that call a function that acts value by value."""
    name = entry.names[0]
    if name in CALLS:
        return CALLS[name]
    if isinstance(entry.value, type):
        return [f"{name}({CLIPPED})"]
    number = getattr(entry.value, "nin", 1)
    return [f"{name}({', '.join('xy'[:number])})"]


def values_of(kind):
    if kind == "?":
        return np.array([True, False])
    random = np.random.default_rng(0)
    with np.errstate(over="ignore"):
        if kind.startswith("f"):
            drawn = [random.normal(size=12), random.uniform(-1, 1, 12), random.exponential(50, 5)]
            return np.concatenate([FLOATS, *drawn]).astype(kind)
    limits = np.iinfo(kind)
    return np.array([value for value in WHOLE if limits.min <= value <= limits.max], kind)


def pairs_of(first, second):
    x, y = np.meshgrid(values_of(first), values_of(second))
    return {"x": x.ravel(), "y": y.ravel()}


ELEMENTWISE = [entry for entry in REGISTRY if entry.is_elementwise]


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ELEMENTWISE if entry.graph is not None],
    ids=lambda entry: entry.names[0],
)
def test_a_function_of_each_value_has_the_numbers_and_types_of_numpy(entry):
    tried = 0
    for text in calls(entry):
        expression = parse_expression(text, "test")
        for kinds in TYPES if "y" in expression.names else {(kind, kind) for kind, _ in TYPES}:
            if entry.names[0] == "np.sinc" and kinds[0] == "f2" and SINC_NEEDS_MORE_BITS:
                continue
            table = pairs_of(*kinds)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    expected = evaluate(expression, table)
            except DataError:
                # numpy has none for these types
                continue
            found = run_in_graph(text, table)
            tried += 1
            scale = 0.0
            if entry.names[0] in OF_SIZE_1:
                scale = 1.0
            elif entry.names[0] == "np.tan":
                # sine over cosine: near a pole, as exact as the cosine
                scale = 1 + np.nan_to_num(expected.astype(float)) ** 2
            elif entry.names[0] in OF_ARGUMENTS:
                scale = np.nan_to_num(np.maximum(abs(table["x"]), abs(table["y"])), posinf=0)
            different = last_places(found, expected, scale)
            allowed = 0 if how_in_graph(entry) == "exact" else MOST_LAST_PLACES
            if expected.dtype == np.float32:
                allowed = min(allowed, 2)
            assert different <= allowed, (text, kinds)
    assert tried


def test_every_function_of_each_value_is_there_or_says_why_not():
    missing = {entry.names[0]: how_in_graph(entry) for entry in ELEMENTWISE if not entry.graph}
    assert missing == {
        "np.frexp": "refused: it takes a number apart bit by bit",
        "np.gcd": "refused: it needs a loop",
        "np.lcm": "refused: it needs a loop",
        "np.nextafter": "refused: it counts in bits of a number",
        "np.spacing": "refused: it counts in bits of a number",
    }


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ALLOWED if not (entry.is_elementwise and entry.graph)],
    ids=lambda entry: entry.names[0],
)
def test_each_other_function_has_its_values_or_is_refused_with_a_caret(entry):
    text = example(entry)
    table = make_table(3, [2, 0, 3, 1])
    how = how_in_graph(entry)
    if how.startswith("refused"):
        with pytest.raises(ConfigError, match=r"test.yaml: new_variables.x: [^\n]*\n.*\n +\^"):
            run_in_graph(text, table)
        return
    expected = ak.Array(evaluate(parse_expression(text, "test"), table))
    found = ak.Array(run_in_graph(text, table))
    assert found.type == expected.type, text
    flat = [ak.to_numpy(ak.flatten(values, axis=None)) for values in (found, expected)]
    if how.startswith("exact"):
        assert last_places(*flat) == 0, text
    else:
        # a mass is a small difference of large squares
        np.testing.assert_allclose(*flat, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["pt", "eta", "phi", "p", "mass", "rapidity"])
def test_four_momenta_of_float32_have_the_types_and_values_of_numpy(name):
    random = np.random.default_rng(2)
    columns = [random.normal(size=6).astype(np.float32) for _ in range(3)]
    table = dict(zip("xyz", columns, strict=True)) | {"e": np.full(6, 9, np.float32)}
    text = f"(_p4_from_pxpypze(x, y, z, e) + _p4_from_pxpypze(y, z, x, e)).{name}"
    expected = evaluate(parse_expression(text, "test"), table)
    found = run_in_graph(text, table)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_functions_of_constants_are_numbers_before_the_graph_is_made():
    table = {"x": np.array([1.5, 2.0])}
    assert (
        run_in_graph("x * math.sqrt(16) + max(1, 2) - np.pi + len([1, 2])", table).tolist()
        == (table["x"] * 4 + 2 - np.pi + 2).tolist()
    )
