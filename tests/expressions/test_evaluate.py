"""Expressions: the columns they read, their values, and what is said of columns that do not fit."""

import ast
import math
import operator
import pickle
from collections.abc import Callable

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.evaluate import Expression, evaluate, parse_expression

TABLE = {
    "pt": ak.Array([[30.0, 20.0], [], [50.0]]),
    "eta": ak.Array([[1.0, -2.0], [], [0.5]]),
    "phi": ak.Array([[0.0, 1.0], [], [2.0]]),
    "mu": ak.Array([[1.0], [2.0], [3.0]]),
    "met": ak.Array([10.0, 20.0, 30.0]),
    "run": np.array([1, 2, 3]),
    "isb": ak.Array([True, False, True]),
    "flavour": ak.values_astype(ak.Array([[5, 4], [], [0]]), "uint8"),
    "array": ak.Array(np.arange(6.0).reshape(3, 2)),
}


def value(source: str, table=TABLE):
    result = evaluate(parse_expression(source, "test"), table)
    return result.tolist()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("pt", [[30, 20], [], [50]]),
        ("pt * 2 + 1", [[61, 41], [], [101]]),
        ("pt / met", [[3, 2], [], [50 / 30]]),
        ("met * array", [[0, 10], [40, 60], [120, 150]]),
        ("-pt // 20 % 2", [[0, 1], [], [1]]),
        ("(pt > 25) & (abs(eta) < 1.5) | (pt > 45)", [[True, False], [], [True]]),
        ("~(pt > 25) ^ (eta > 0)", [[True, True], [], [True]]),
        ("20 < pt <= 30", [[True, False], [], [False]]),
        ("ak.num(pt) >= 1", [True, False, True]),
        ("ak.sum(pt[pt > 25], axis=1)", [30, 0, 50]),
        ("ak.max(pt, axis=1, mask_identity=False, initial=0)", [30, 0, 50]),
        ("ak.fill_none(ak.firsts(pt), -1) * 2", [60, -2, 100]),
        ("pt[:, ::-1]", [[20, 30], [], [50]]),
        ("np.where(pt > 25, met, 0)", [[10, 0], [], [30]]),
        ("ak.fill_none(ak.mask(pt, mask=pt > 25), 0)", [[30, 0], [], [50]]),
        ("round(pt / 7, 1)", [[4.3, 2.9], [], [7.1]]),
        ("ak.nan_to_num(0 * pt / (pt - 30), nan=7)", [[7, 0], [], [0]]),
        ("_clip(pt, 25, 40)", [[30, 25], [], [40]]),
        ("np.clip(met, 15, 25)", [15, 20, 25]),
        ("np.clip(met, None, 25)", [10, 20, 25]),
        ("np.ones_like(pt)", [[1, 1], [], [1]]),
        ("_pad(pt, 2)", [[30, 20], [0, 0], [50, 0]]),
        ("np.stack([met, run], axis=1)[:, 1]", [1, 2, 3]),
        ("isb * 2.5", [2.5, 0, 2.5]),
        ("~isb", [False, True, False]),
        ("pt != 20", [[True, False], [], [True]]),
        ("(run == 2) | (run == 3)", [False, True, True]),
        ("+run - -run", [2, 4, 6]),
        ("~run", [-2, -3, -4]),
        ("run & 2", [0, 2, 2]),
        ("run ** 2", [1, 4, 9]),
        ("np.add(2, 3)", [5, 5, 5]),
        ("~True", [False] * 3),  # and not -2, as of Python's integers
        ("2**40", [1099511627776] * 3),
        ("np.stack([met, run], axis=1) * array", [[0, 1], [40, 6], [120, 15]]),
        ("ak.nan_to_num(0 / (pt - pt), nan=eta)", [[1, -2], [], [0.5]]),
        ("flavour - 5", [[0, -1], [], [-5]]),  # not 255: whole numbers have 64 bits
        ("np.sqrt(flavour) > 2.2360679", [[True, False], [], [False]]),  # float16 would give 2.236
        (
            "2**3 + math.sqrt(16) - round(2.6) + len([1, 2]) + max(1, 4) - min(2, 3) + sum([1, 2])",
            [16, 16, 16],
        ),
        ("np.pi", [math.pi] * 3),
        ("True", [True] * 3),
        ("_hash(run) % 2", [hash((number,)) % 2 for number in (1, 2, 3)]),
        (
            "_p4_from_ptetaphim(pt, eta, phi, 0).px",
            [[30, 20 * math.cos(1)], [], [50 * math.cos(2)]],
        ),
        (
            "_p4_from_ptetaphim(pt, eta, phi, 0).deltaR(_p4_from_ptetaphim(pt, 0, phi, 0))",
            [[1, 2], [], [0.5]],
        ),
        (
            "_p4_from_ptetaphim(pt, eta, phi, 0).deltaR(other=_p4_from_ptetaphim(pt, 0, phi, 0))",
            [[1, 2], [], [0.5]],
        ),
        (
            "(_p4_from_ptetaphim(pt, eta, phi, 3) + _p4_from_ptetaphim(pt, eta, phi, 3)).pt",
            [[60, 40], [], [100]],
        ),
    ],
)
def test_expressions_give_what_they_say(source, expected):
    assert ak.to_list(value(source)) == [pytest.approx(row) for row in expected]


def test_an_expression_knows_its_columns_and_has_a_tree_that_can_be_sent_to_workers():
    expression = parse_expression(" np.log(pt / met)\n + _pad(eta,\n 3) ", "test")
    assert expression.names == {"pt", "met", "eta"}
    assert isinstance(expression.tree, ast.BinOp)
    again = pickle.loads(pickle.dumps(expression))
    assert (again.source, ast.dump(again.tree)) == (expression.source, ast.dump(expression.tree))


def test_numbers_are_expressions_and_other_things_are_not():
    assert value_of_number(1.5) == [1.5, 1.5, 1.5]
    for wrong in (None, [1], {"a": 1}, ""):
        with pytest.raises(
            ConfigError, match=r"data.yaml: new_variables.x: expected an expression"
        ):
            parse_expression(wrong, "data.yaml: new_variables.x")


def value_of_number(number):
    expression = parse_expression(number, "test")
    assert isinstance(expression, Expression)
    return evaluate(expression, TABLE).tolist()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("jet_pt + 1", "no column 'jet_pt'; known: array, eta"),
        ("np.log(ptt)", "no column 'ptt'; did you mean 'pt'"),
        ("pt + mu", "pt and mu differ in their objects: 2 and 1 in row 0"),
        ("pt & eta", "in pt & eta: "),
        ("pt[:, 5]", r"in pt\[:, 5\]: "),
        ("met.pt", "met is not made by a _p4_from_"),
        ("ak.sum(met, axis=1)", r"in ak.sum\(met, axis=1\): "),
        (
            "_p4_from_pxpypze(pt, pt, pt, pt) - _p4_from_pxpypze(pt, pt, pt, pt)",
            "no numpy.subtract",
        ),
        ("len([pt, eta]) ** 99", "more than 64 bits"),
        ("pt[:, met:]", r"in \[met:\]: the bounds of a slice are whole numbers"),
        ("pt[:, 0.5:]", r"in \[0.5:\]: the bounds of a slice are whole numbers"),
        ("math.exp(1000) * met", r"in math.exp\(1000\): "),
    ],
)
def test_what_goes_wrong_on_data_is_told_with_the_expression_and_the_part(source, message):
    with pytest.raises(DataError, match=message) as caught:
        value(source)
    assert source in str(caught.value)


def test_dividing_by_zero_gives_infinity_without_a_warning():
    assert value("met / (run - 1)")[0] == math.inf


def test_columns_are_not_changed_by_expressions():
    before = {name: column.tolist() for name, column in TABLE.items()}
    for source in (
        "-pt",
        "np.sqrt(met)",
        "np.nan_to_num(pt)",
        "np.sort(array, axis=1)",
        "pt + pt",
        "np.clip(run, 2, 2)",
    ):
        value(source)
    assert {name: column.tolist() for name, column in TABLE.items()} == before


def test_own_functions_get_arrays_and_their_errors_are_shown_as_they_are(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "import awkward as ak\n"
        "def leading(x):\n    return ak.fill_none(ak.firsts(x), 0)\n"
        "def broken(x):\n    return {}['mine']\n"
        "def faulty(x):\n    raise ValueError('mine too')\n"
    )
    assert evaluate(parse_expression("leading(pt) + 1", "test", str(file)), TABLE).tolist() == [
        31,
        1,
        51,
    ]
    with pytest.raises(KeyError, match="mine"):
        evaluate(parse_expression("broken(pt)", "test", str(file)), TABLE)
    with pytest.raises(ValueError, match=r"^mine too$"):
        evaluate(parse_expression("faulty(pt)", "test", str(file)), TABLE)
    with pytest.raises(ConfigError, match="no function 'leading'"):
        parse_expression("leading(pt)", "test")


Scalar = Callable[[float, float, float], float]  # of one object's pt and eta and its row's met


def leaf(number: float) -> tuple[str, Scalar]:
    return f"({number})", lambda pt, eta, met: number


def grown(inner):
    """Expressions made of smaller ones, each with what it means for a single object."""
    signs = {"+": operator.add, "-": operator.sub, "*": operator.mul}
    return st.one_of(
        st.tuples(inner, st.sampled_from(sorted(signs)), inner).map(
            lambda parts: (
                f"({parts[0][0]} {parts[1]} {parts[2][0]})",
                lambda *o: signs[parts[1]](parts[0][1](*o), parts[2][1](*o)),
            )
        ),
        inner.map(lambda part: (f"np.sin({part[0]})", lambda *o: math.sin(part[1](*o)))),
        inner.map(lambda part: (f"abs(-{part[0]})", lambda *o: abs(part[1](*o)))),
        st.tuples(inner, inner).map(
            lambda parts: (
                f"np.where({parts[0][0]} > 0, {parts[0][0]}, {parts[1][0]})",
                lambda *o: parts[0][1](*o) if parts[0][1](*o) > 0 else parts[1][1](*o),
            )
        ),
    )


columns = {
    "pt": lambda pt, eta, met: pt,
    "eta": lambda pt, eta, met: eta,
    "met": lambda pt, eta, met: met,
}
leaves = st.one_of(
    st.integers(-20, 20).map(lambda number: leaf(number / 4)),
    st.sampled_from(list(columns.items())),
)


@given(st.recursive(leaves, grown, max_leaves=8))
def test_a_jagged_expression_is_the_expression_of_each_object(pair):
    source, scalar = pair
    found = ak.to_list(evaluate(parse_expression(f"{source} + 0 * pt", "test"), TABLE))
    rows = zip(TABLE["pt"].tolist(), TABLE["eta"].tolist(), TABLE["met"].tolist(), strict=True)
    expected = [
        [scalar(pt, eta, met) for pt, eta in zip(pts, etas, strict=True)] for pts, etas, met in rows
    ]
    assert found == [pytest.approx(row, rel=1e-6, abs=1e-6) for row in expected]


def test_an_expression_of_one_collection_is_computed_on_its_flat_content():
    table = {name: ak.unflatten(np.arange(1.0, 6), [2, 0, 3]) for name in ("pt", "eta")}
    result = evaluate(
        parse_expression("np.where(np.log(pt) * eta > 1, pt, met) + 1", "test"),
        {**table, "met": np.array([7.0, 8.0, 9.0])},
    )
    assert result.tolist() == [
        [8, 3],
        [],
        [4, 5, 6],
    ]  # log(1) * 1 = 0 takes met = 7, log(2) * 2 = 1.39 takes pt
    assert np.shares_memory(result.layout.offsets.data, table["pt"].layout.offsets.data)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("6 & 3", 2),
        ("6 | 1", 7),
        ("6 ^ 3", 5),
        ("~6", -7),
        ("~True", False),
        ("+2 - -3", 5),
        ("2**62", 4_611_686_018_427_387_904),
        ("2**63", 9_223_372_036_854_775_808),
        ("10**18", 1_000_000_000_000_000_000),
    ],
)
def test_constants_are_exact_and_stand_in_every_row(source, expected):
    assert value(source) == [expected] * 3


def test_powers_of_columns_of_whole_numbers_are_exact():
    # a floating-point number would end in 256
    assert value("run ** 39") == [1, 549_755_813_888, 4_052_555_153_018_976_267]


def test_a_column_alone_is_handed_on_as_it_is():
    assert evaluate(parse_expression("flavour", "test"), TABLE) is TABLE["flavour"]


def test_a_function_of_ones_own_with_a_listed_name_is_still_ones_own(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def round(x):\n    return 7 * x\ndef abs(x):\n    return {}['mine']\n")
    assert evaluate(parse_expression("round(run)", "test", str(file)), TABLE).tolist() == [
        7,
        14,
        21,
    ]
    with pytest.raises(KeyError, match="mine"):
        evaluate(parse_expression("abs(run)", "test", str(file)), TABLE)
