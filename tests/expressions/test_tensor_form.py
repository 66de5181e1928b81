"""What a network computes of its outputs has the numbers of the same expression on a table."""

import numpy as np
import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.tensor_form import check_tensor_form, compute_on_tensors

TABLE = {
    "y": np.array([-1.5, -0.0, 0.25, 2.0], np.float32),
    "pt": np.array([30.0, 1.0, 250.5, 3000.0], np.float32),
}


def computed(text):
    expression = parse_expression(text, "test.yaml: derived_outputs.x")
    check_tensor_form(expression, "test.yaml: derived_outputs.x")
    values = {name: torch.from_numpy(column) for name, column in TABLE.items()}
    return compute_on_tensors(expression, values)


@pytest.mark.parametrize(
    "text",
    [
        "pt * np.exp(y)",
        "y",
        "-y + +pt - 2 * y / 3",
        "3 - y",
        "1 / pt",
        "y ** 2 + 2 ** y + pt ** -0.5",
        "np.log(pt / 10) * numpy.exp(-y)",
        "np.log(pt) / np.log(10)",
        "np.clip(y, -1, 1)",
        "np.clip(pt, 10, y * 100)",
        "np.clip(y, a_min=None, a_max=1)",
        "_clip(y, 0, 1)",
        "np.where(y > 0, pt, 1)",
        "ak.where((pt >= 30) & ~(y == 0) | (y < -1), y, -pt)",
        "np.where((y > 0) ^ (pt != 1), 1, 0) + y",
        "np.where(0 <= y < 1, 1, 0) + 0 * pt",
        "np.where(1 < 2, y, pt)",
        "2 * np.pi * y",
    ],
)
def test_the_numbers_are_those_of_the_same_expression_on_a_table(text):
    found = computed(text)
    assert found.dtype == torch.float32
    expected = evaluate(parse_expression(text, "test"), TABLE)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_corrected_momentum_by_hand():
    # 30 exp(-1.5) = 6.694; a jet that is right stays; 250.5 exp(0.25) = 321.65
    assert computed("pt * np.exp(y)")[:3].tolist() == pytest.approx([6.6939, 1.0, 321.648], 1e-4)


def test_a_constant_is_a_number():
    assert computed("2 * 3 + 1") == 7
    assert computed("np.log(np.e)") == pytest.approx(1)


def test_where_the_logarithm_has_no_value_it_is_what_numpy_gives():
    assert computed("np.log(y)")[:2].isnan().tolist() == [True, False]
    assert computed("np.log(y)")[1] == -torch.inf


@pytest.mark.parametrize(
    ("text", "part", "why"),
    [
        ("pt * np.sqrt(y)", "np.sqrt(y)", "np.sqrt cannot be computed in a network"),
        ("pt + abs(y)", "abs(y)", "abs cannot be computed in a network"),
        ("1 + y // 2", "y // 2", "y // 2 cannot be computed"),
        ("1 + y % 2", "y % 2", "y % 2 cannot be computed"),
        ("2 * (y > 1)", "y > 1", "true or false; write np.where"),
        ("y > 1", "y > 1", "true or false; write np.where"),
        ("np.where(y, 1, 2)", "y", "y is not a condition; write a comparison"),
        ("np.where((y > 1) & pt, 1, 2)", "pt", "pt is not a condition"),
        ("pt + y.sum(axis=1)", "y.sum(axis=1)", "y.sum cannot be computed"),
        ("pt + np.exp(y, dtype='float64')", "np.exp(y, dtype='float64')", "dtype cannot be given"),
        ("np.exp(y[:, 0])", "y[:, 0]", "cannot be computed in a network"),
        ("pt * np.newaxis", "np.newaxis", "np.newaxis cannot be computed"),
        ("pt * x.counts", "x.counts", "x.counts cannot be computed"),
    ],
)
def test_anything_else_is_refused_with_a_caret_under_it(text, part, why):
    with pytest.raises(ConfigError) as error:
        computed(text)
    first, shown, carets, allowed = str(error.value).splitlines()
    assert first.startswith("test.yaml: derived_outputs.x: ")
    assert why in first
    assert shown == f"  {text}"
    under = slice(carets.index("^"), len(carets))
    assert shown[under] == part
    assert allowed.startswith("allowed in a network: ")


def test_a_function_that_is_nearly_allowed_is_named():
    with pytest.raises(ConfigError, match=r"did you mean 'np.exp'"):
        computed("np.expm1(y)")
