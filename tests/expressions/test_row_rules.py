"""The law of expressions: the value of a row does not depend on the other rows.

f(rows of a, then rows of b) is f(a), then f(b), for every function that may be called; what would
break this is refused.
"""

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.registry import REGISTRY, ROW_RULES
from weaver_tt.expressions.row_rules import ConstantsOnly

# x, y, k: floats and whole numbers of the same objects; m, n: one a row; square: three a row;
# points: objects of two numbers; momenta are made where they are needed
MOMENTUM = "_p4_from_ptetaphim(x, y, y, 0)"

EXAMPLES = {
    "np.clip": "np.clip(x, -1, m)",
    "np.where": "np.where(x > 0, y, m)",
    "np.isclose": "np.isclose(x, y)",
    "np.full_like": "np.full_like(x, 7)",
    "np.round": "np.round(x, 1)",
    "np.nan_to_num": "np.nan_to_num(np.log(x), nan=-1)",
    "np.digitize": "np.digitize(m, [-1, 0, 1])",
    "np.searchsorted": "np.searchsorted([-1, 0, 1], m)",
    "np.interp": "np.interp(m, [-1, 1], [0, 5])",
    "np.isin": "np.isin(n, [1, 2])",
    "np.select": "np.select([m > 1, m > 0], [m, 2 * m], -1)",
    "np.unwrap": "np.unwrap(square, axis=1)",
    "np.dot": "np.dot(np.stack([n, n], axis=1), [1, 2])",
    "np.cross": "np.cross(square, [0, 0, 1])",
    "np.average": "np.average(square, axis=1, weights=square ** 2 + 1)",
    "np.percentile": "np.percentile(square, 30, axis=1)",
    "np.quantile": "np.quantile(square, 0.3, axis=1)",
    "np.nanpercentile": "np.nanpercentile(square, 30, axis=1)",
    "np.nanquantile": "np.nanquantile(square, 0.3, axis=1)",
    "np.concatenate": "np.concatenate([square, square], axis=1)",
    "np.hstack": "np.hstack([square, square])",
    "np.stack": "np.stack([m, n], axis=1)",
    "np.column_stack": "np.column_stack([m, n])",
    "np.expand_dims": "np.expand_dims(m, axis=1)",
    "np.squeeze": "np.squeeze(np.expand_dims(m, 1), axis=1)",
    "np.reshape": "np.reshape(np.stack([m, n, m, n], axis=1), (-1, 2, 2))",
    "np.moveaxis": "np.moveaxis(np.stack([square, square], axis=2), 1, 2)",
    "np.swapaxes": "np.swapaxes(np.stack([square, square], axis=2), 1, 2)",
    "np.take": "np.take(square, [0, 2], axis=1)",
    "np.take_along_axis": "np.take_along_axis(square, np.argsort(square, axis=1), axis=1)",
    "ak.where": "ak.where(x > 0, y, m)",
    "ak.nan_to_num": "ak.nan_to_num(np.log(x))",
    "ak.values_astype": "ak.values_astype(x, 'float32')",
    "ak.isclose": "ak.isclose(x, y)",
    "ak.full_like": "ak.full_like(x, 7)",
    "ak.is_none": "ak.is_none(ak.firsts(x))",
    "ak.nan_to_none": "ak.nan_to_none(np.log(x))",
    "ak.fill_none": "ak.fill_none(ak.firsts(x), -1)",
    "ak.mask": "ak.mask(x, x > 0)",
    "ak.zip": "ak.zip([x, y])",
    "ak.concatenate": "ak.concatenate([x, y], axis=1)",
    "ak.JaggedArray.fromcounts": "awkward.JaggedArray.fromcounts(x.counts, ak.flatten(y))",
    "ak.pad_none": "ak.pad_none(x, 2, axis=1, clip=True)",
    "ak.moment": "ak.moment(x, 2, axis=1)",
    "ak.covar": "ak.covar(x, y, axis=1)",
    "ak.corr": "ak.corr(x, y, axis=1)",
    "ak.softmax": "ak.softmax(x, axis=-1)",
    "ak.firsts": "ak.firsts(x, axis=1)",
    "ak.drop_none": "ak.drop_none(ak.mask(x, x > 0))",
    "ak.singletons": "ak.singletons(ak.firsts(x))",
    "ak.cartesian": "ak.cartesian([x, y], axis=1)",
    "ak.argcartesian": "ak.argcartesian([x, y], axis=1)",
    "ak.combinations": "ak.combinations(x, 2, axis=1)",
    "ak.argcombinations": "ak.argcombinations(x, 2, axis=1)",
    "ak.local_index": "ak.local_index(x, axis=1)",
    "ak.run_lengths": "ak.run_lengths(k)",
    "ak.flatten": "ak.flatten(points, axis=2)",
    "ak.unflatten": "ak.unflatten(ak.flatten(x), ak.num(y))",
    "ak.broadcast_arrays": "ak.broadcast_arrays(m, x)[0]",
    "ak.from_regular": "ak.from_regular(square)",
    "ak.to_regular": "ak.to_regular(ak.from_regular(square))",
    "ak.to_numpy": "ak.to_numpy(m)",
    "ak.unzip": "ak.unzip(ak.zip([x, y]))[1]",
    "ak.with_field": "ak.with_field(ak.zip([x, y]), k, where='k')",
    "len": "len([m, n]) + n",
    "sum": "sum([m, n])",
    "_hash": "_hash(n, m)",
    "_concat": "_concat([x, y], axis=1)",
    "_stack": "_stack([m, n])",
    "_tree_mask": "_tree_mask(x * 0 - 1)",
    "_pad": "_pad(x, 2)",
    "_repeat_pad": "_repeat_pad(x, 3)",
    "_reindex": "_reindex(k, ak.local_index(x))",
    "_clip": "_clip(x, -1, 1)",
    "_batch_knn": "_batch_knn(points, points, 1, 3)",
    "_batch_gather": "_batch_gather(x, _batch_argsort(y))",
    "_batch_permute_and_drop_indices": "_batch_permute_and_drop_indices(x, True, 0.3, 0.7)",
    "_p4_from_pxpypze": "_p4_from_pxpypze(x, y, y, 9).pt",
    "_p4_from_ptetaphie": "_p4_from_ptetaphie(x, y, y, 9).mass",
    "_p4_from_ptetaphim": "(_p4_from_ptetaphim(x, y, y, 0) + _p4_from_ptetaphim(x, y, y, 1)).mass",
    "x.pad()": "x.pad(2).fillna(0)",
    "x.fillna()": "ak.firsts(x).fillna(-1)",
    "x.astype()": "x.astype('int32')",
    "x.argmax()": "y[x.argmax()]",
    "x.argmin()": "x.argmin(axis=1)",
}
"""Entry of the registry -> an expression that calls it; of the others, see :func:`example`."""


def example(entry):
    """An expression that calls a function as it is meant."""
    name = entry.names[0]
    if name in EXAMPLES:
        return EXAMPLES[name]
    prefix, _, last = name.rpartition(".")
    if isinstance(entry.value, np.ufunc):
        return f"{name}({', '.join(['k', 'k + 1'][: entry.value.nin])})" + "[0]" * (
            entry.value.nout > 1
        )
    if prefix == "p4":
        momenta = "(_p4_from_pxpypze(x, y, m, 9) + _p4_from_pxpypze(y, x, m, 9))"
        return f"{momenta}.{last.replace('()', f'({MOMENTUM})')}"
    if prefix == "x":
        return f"x.{last}"
    # of numpy, reductions act on lists of fixed size, and other functions on each value
    column = "square" if prefix == "np" else "x"
    axis = ", axis=1" if "axis" in str(ROW_RULES[entry.value].looks_at) else ""
    return f"{name}({column}{axis})"


FUNCTIONS = [entry for entry in REGISTRY if entry.rows is not None]
ALLOWED = [entry for entry in FUNCTIONS if not isinstance(entry.rows, ConstantsOnly)]


def make_table(seed, counts):
    random = np.random.default_rng(seed)
    size, rows = sum(counts), len(counts)
    flat = {
        "x": random.normal(size=size).round(2),
        "y": random.normal(size=size).round(2),
        "k": random.integers(0, 3, size),
    }
    table = {name: ak.unflatten(values, counts) for name, values in flat.items()}
    table["points"] = ak.unflatten(random.normal(size=(size, 2)), counts)
    table["square"] = random.normal(size=(rows, 3)).round(2)
    table["m"] = random.normal(size=rows).round(2)
    table["n"] = random.integers(0, 4, rows)
    return table


def value(source, table):
    return ak.to_list(evaluate(parse_expression(source, "test"), table))


def same(left, right):
    """Equal lists, NaN equal to NaN."""
    return repr(left) == repr(right)


@pytest.mark.parametrize("entry", ALLOWED, ids=lambda entry: entry.names[0])
@given(
    seed=st.integers(0, 10_000),
    counts=st.lists(st.integers(0, 3), min_size=2, max_size=6),
    cut=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=5)
def test_the_value_of_a_row_does_not_depend_on_the_other_rows(entry, seed, counts, cut):
    table = make_table(seed, counts)
    place = 1 + int(cut * (len(counts) - 1))
    source = example(entry)
    whole = value(source, table)
    first = value(source, {name: values[:place] for name, values in table.items()})
    second = value(source, {name: values[place:] for name, values in table.items()})
    assert len(whole) == len(counts)
    assert same(whole, first + second), source


@pytest.mark.parametrize("entry", FUNCTIONS, ids=lambda entry: entry.names[0])
def test_a_function_without_a_form_that_keeps_rows_apart_takes_constants_only(entry):
    if not isinstance(entry.rows, ConstantsOnly):
        return
    prefix = entry.names[0].partition(".")[0]
    assert prefix in ("math", "np", "ak", "min", "max", "_knn")
    for source in (f"{entry.names[0]}(m)", f"{entry.names[0]}(m, m)", f"{entry.names[0]}(m, m, 2)"):
        with pytest.raises(ConfigError):
            parse_expression(source, "test")


WITH_AXIS = [entry for entry in ALLOWED if "axis=1" in example(entry)]


@pytest.mark.parametrize("axis", ["axis=0", "axis=None"])
@pytest.mark.parametrize("entry", WITH_AXIS, ids=lambda entry: entry.names[0])
def test_an_axis_across_rows_is_refused_when_the_yaml_is_loaded(entry, axis):
    if (entry.names[0], axis) == ("x.argmin()", "axis=None"):
        # as in awkward 0, it then goes over each row
        return
    source = example(entry).replace("axis=1", axis)
    with pytest.raises(ConfigError, match=r"looks across rows|whole number as axis"):
        parse_expression(source, "test")


def test_most_functions_have_an_axis_and_so_are_tried_above():
    assert len(WITH_AXIS) > 75


TABLE = {
    "pt": ak.Array([[30.0, 20.0], [], [50.0]]),
    "met": np.array([10.0, 20.0, 30.0]),
    "run": np.array([2, 0, 1]),
    "two": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("pt / ak.max(pt)", r"ak.max\(pt\) looks across rows.*axis=1.*, or pt.max\(\)"),
        ("ak.sum(pt * 2)", r"axis=1.*, or \(pt \* 2\).sum\(\)"),
        ("met / ak.sum(met, axis=0)", "looks across rows"),
        ("met - np.mean(met)", "looks across rows"),
        ("np.percentile(two, met, axis=1)", "'q' must be a constant"),
        ("np.cumsum(met)", "looks across rows"),
        ("met / len(met)", "x.counts or ak.num"),
        ("met / sum(met)", "looks across rows"),
        ("met / max(met)", r"takes no columns; write np.minimum\(x, y\) or np.maximum"),
        ("min(met, run)", r"takes no columns; write np.minimum\(x, y\)"),
        ("math.sqrt(met)", "the function of np with that name"),
        ("ak.max(pt, axis=run)", "whole number as axis"),
        ("ak.sum([met, run], axis=1)", "axis=0 goes over the columns"),
        ("ak.flatten(pt)", "only axes from 2 on"),
        ("ak.unflatten(ak.flatten(pt), 2)", "divide ak.flatten"),
        ("ak.unflatten(met, run)", "divide ak.flatten"),
        ("np.concatenate([met, met])", "looks across rows"),
        ("np.concatenate(pt, axis=1)", "must be a list of columns"),
        ("np.squeeze(two)", "looks across rows"),
        ("np.reshape(two, (-1, 2), order='F')", "'order' is not allowed"),
        ("np.add(met, run, where=met > 15)", "cannot have `where=`"),
        ("np.sum(two, axis=1, where=two > 2)", "cannot have the argument 'where'"),
        ("np.where(met > 15)", "needs 3 arguments"),
        ("np.add(met, [1, 2, 3])", "a list has no rows"),
        ("np.digitize(met, run)", "'bins' must be a constant"),
        ("_knn(two, two, 1)", "_batch_knn"),
        ("met[0]", r"met\[0\] takes rows of the table"),
        ("met[::-1]", "takes rows"),
        ("met[:2]", "takes rows"),
        ("(2 * met)[-1]", "takes rows"),
        ("met[[0, 1, 2]]", "takes rows"),
        ("met[np.newaxis]", "takes rows"),
        ("pt[1:, 0]", "takes rows"),
    ],
)
def test_what_looks_across_rows_is_refused_when_the_yaml_is_loaded(source, message):
    if source == "met[np.newaxis]":
        # what a module's name stands for is looked up when it is evaluated
        with pytest.raises(DataError, match=message):
            value(source, TABLE)
        return
    with pytest.raises(ConfigError, match=message):
        parse_expression(source, "data.yaml: new_variables.x")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("np.sort(met)", "one value a row, and no objects to go over"),
        ("ak.argsort(met)", "one value a row, and no objects to go over"),
        ("ak.max(pt, axis=-2)", "looks across rows"),
        ("met.max()", "one value a row, and no objects to go over"),
        ("ak.local_index(met)", "one value a row"),
        ("ak.run_lengths(run)", "one value a row"),
        ("_batch_argsort(met)", "one value a row"),
        ("_batch_gather(pt, run)", "one value a row"),
        ("np.cross(met, [0, 0, 1])", "one value a row"),
        ("np.dot(met, [0, 0, 1])", "one value a row"),
        ("np.hstack([met, met])", "one value a row"),
        ("np.average(two, axis=1, weights=met)", "give them as many axes"),
        ("np.select([met > 15], [two])", "give them as many axes"),
        ("ak.to_packed(np.modf(met))", "the list given for 'array' has no rows"),
        ("_batch_argsort(ak.zip([pt, pt]))", "NotImplementedError"),
        ("met[run]", "takes rows"),
        ("met[run > 0]", "takes rows"),
        ("pt[run > 0]", "takes rows"),
        ("two[:, run]", "takes rows"),
        ("two[:, run > 0]", "takes rows"),
        ("met[..., 0]", "takes rows"),
        ("np.stack([met, run], axis=1)[0]", "takes rows"),
        ("np.cumsum([1, 2, 3]) * met", "a list has no rows"),
        ("met > np.cumsum([1, 2, 3])", "a list has no rows"),
        ("ak.drop_none(ak.firsts(pt))", "has 2 entries for 3 rows"),
        ("np.reshape(two, (2, 3))", "has 2 entries for 3 rows"),
        ("np.quantile(two, [0.2, 0.8], axis=1)", "has 2 entries for 3 rows"),
    ],
)
def test_what_looks_across_rows_by_the_number_of_its_axes_is_refused_on_the_data(source, message):
    with pytest.raises(DataError, match=message):
        value(source, TABLE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # by hand; a row without objects has no largest object, and no object to divide
        ("pt / ak.max(pt, axis=1)", [[1, 2 / 3], [], [1]]),
        ("pt / ak.max(pt, axis=-1)", [[1, 2 / 3], [], [1]]),
        ("pt / pt.max()", [[1, 2 / 3], [], [1]]),
        ("pt / ak.max(pt, axis=1, keepdims=True)", [[1, 2 / 3], [], [1]]),
        ("ak.max(pt, axis=1)", [30, None, 50]),
        ("two / np.sum(two, axis=1)", [[1 / 3, 2 / 3], [3 / 7, 4 / 7], [5 / 11, 6 / 11]]),
        ("np.max([met, 10 * run], axis=0)", [20, 20, 30]),
        ("max([1, 5]) + len([met, run]) + np.sum([1, 2])", [10, 10, 10]),
        ("sum([met, run])", [12, 20, 31]),
        ("np.take([7, 8, 9], run)", [9, 7, 8]),
        ("pt[:]", [[30, 20], [], [50]]),
        ("two[..., 0]", [1, 3, 5]),
        ("two[:, [1, 0]]", [[2, 1], [4, 3], [6, 5]]),
        ("two[np.argsort(-two, axis=1)]", [[2, 1], [4, 3], [6, 5]]),
        ("two[two > 2]", [[], [3, 4], [5, 6]]),
        ("np.modf(met / 4)[1]", [2, 5, 7]),
        ("np.clip(ak.mask(pt, pt > 25), met, 40)", [[30, None], [], [40]]),
        ("np.fix(-pt / 7)", [[-4, -2], [], [-7]]),
    ],
)
def test_what_stays_inside_of_rows_has_its_value(source, expected):
    assert value(source, TABLE) == [pytest.approx(row) for row in expected]


KINDS = [
    "m",
    "x",
    "pair",
    "regular",
    "ak.firsts(x)",
    "np.expand_dims(m, axis=1)",
    "ak.max(x, axis=1, keepdims=True)",
    "np.stack([pair, pair], axis=2)",
]


@pytest.mark.parametrize(
    "meet",
    ["{} * {}", "ak.where({} > 0, {}, 7)", "ak.isclose({}, {})", "np.clip({}, {}, 20)"],
)
@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_columns_of_any_two_kinds_meet_row_by_row_or_not_at_all(meet, left, right):
    """With two rows of two objects, numpy would match the rows of one with the objects of another.

    Row by row there is no such choice.
    """
    table = {
        "m": np.array([2.0, 3.0]),
        "x": ak.Array([[5.0, 7.0], [11.0, 13.0]]),
        "pair": np.array([[17.0, 19.0], [23.0, 29.0]]),
        "regular": ak.Array(np.array([[31.0, 37.0], [41.0, 43.0]])),
    }
    source = meet.format(left, right)
    rows = [{name: values[i : i + 1] for name, values in table.items()} for i in range(2)]
    try:
        both = value(source, table)
    except DataError:
        return
    assert both == [*value(source, rows[0]), *value(source, rows[1])]


def test_a_value_of_each_row_meets_the_objects_of_its_row():
    """numpy would align the two values of the rows with the two objects of each row."""
    table = {"met": np.array([10.0, 20.0]), "two": np.array([[1.0, 2.0], [3.0, 4.0]])}
    assert value("met * two", table) == value("two * met", table) == [[10, 20], [60, 80]]
    assert value("np.expand_dims(met, axis=1) + met", table) == [[20], [40]]
    # means with weights of 10 and 20 are those without: all objects of a row have the same
    assert value("ak.mean(two, weight=met, axis=1)", table) == [1.5, 3.5]
    assert value("ak.softmax(np.expand_dims(met, axis=1), axis=1)", table) == [[1], [1]]


def test_the_random_order_of_a_row_is_a_matter_of_its_content_alone():
    rows = [[4.0, 2.0, 7.0, 1.0, 9.0], [1.0, 2.0, 3.0, 4.0, 5.0]]
    source = "_batch_permute_indices(x)"
    both = value(source, {"x": ak.Array(rows)})
    assert value(source, {"x": ak.Array([[3.0], rows[1], rows[0]])})[1:] == both[::-1]
    # rows of the same size come in different orders
    many = ak.unflatten(np.arange(1000.0), 10)
    assert len({tuple(order) for order in value(source, {"x": many})}) > 90
