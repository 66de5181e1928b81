"""The second evaluation follows the tree and the types of the first, and refuses with a caret."""

import awkward as ak
import numpy as np
import pytest

from tests.expressions.graph_runs import run_in_graph
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.evaluate import evaluate, parse_expression

TABLE = {
    "x": ak.Array([[1.5, -2.0, 0.25], [], [4.0]]),
    "k": ak.Array([[1, 2, 3], [], [-7]]),
    "m": np.array([2.0, 3.0, -1.0], np.float32),
    "event": np.array([2**63 + 1, 5, 9], np.uint64),
}


@pytest.mark.parametrize(
    "text",
    [
        "x + m",
        "x * 2 - k / 3",
        "-x // 2 + k % 4",
        "0 < x < m",
        "(x > 0) & ~(k == 2)",
        "np.where(x > m, x, k)",
        "ak.sum(x * k, axis=1) + m",
        "x / ak.sum(x, axis=1)",
        "(x > 0).sum() / x.counts",
        "np.divmod(k, 2)[1] * x",
        "sum([x, k, 1.5])",
        "x - np.log(10)",
        "np.float32(2) * m",
        "event - 3",
        "event + 1",
        "event * 1.0",
    ],
)
def test_numbers_types_and_lists_are_those_of_the_first_evaluation(text):
    expected = evaluate(parse_expression(text, "test"), TABLE)
    found = run_in_graph(text, TABLE)
    assert ak.Array(found).type == ak.Array(expected).type
    # NaN is NaN
    assert repr(ak.to_list(found)) == repr(ak.to_list(expected))


CHOSEN = {
    "x": ak.Array([[1.5, np.nan, -2.0, 1.5], [], [4.0, np.inf]]),
    "k": ak.Array([[1, -1, 3, 0], [], [1, 0]]),
    "m": np.array([2, 5, -7]),
}


@pytest.mark.parametrize(
    "text",
    [
        "x[x > 0]",
        "2 * x[(x > 0) & (k >= 0)] + m",
        "x / m[:, np.newaxis]",
        "np.where(k > 0, x, 1) - abs(m[:, None])",
        "ak.sum(k[k > 0], axis=1)",
        "x[k]",
        "x[k[k > 0]]",
        "ak.local_index(x)",
        "ak.local_index(x)[x > 1]",
        "_batch_argsort(x)",
        "_batch_argsort(-k)",
        "ak.argsort(x, axis=1, ascending=False, stable=True)",
        "x[_batch_argsort(-x)]",
        "k[ak.local_index(k)[x > 0]]",
        "ak.fill_none(ak.firsts(x), 0)",
        "ak.fill_none(ak.firsts(k[k > 1]), -1) + m",
        "ak.firsts(x).fillna(-5)",
        "_concat([x, 0 * k, x[x > 0]], axis=1)",
        "ak.concatenate([k, k[k > 0]], axis=1)[ak.concatenate([x, x[k > 0]], axis=1) > 1]",
    ],
)
def test_objects_are_chosen_and_ordered_as_in_the_first_evaluation(text):
    expected = evaluate(parse_expression(text, "test"), CHOSEN)
    found = run_in_graph(text, CHOSEN)
    assert ak.Array(found).type == ak.Array(expected).type
    assert repr(ak.to_list(found)) == repr(ak.to_list(expected))


def test_a_place_that_no_row_has_fails_as_in_the_first_evaluation():
    table = {"x": CHOSEN["x"], "k": ak.Array([[4, 0, 0, 0], [], [0, 0]])}
    with pytest.raises(DataError, match="index"):
        evaluate(parse_expression("x[k]", "test"), table)
    graph_table = {"x": table["x"], "k": CHOSEN["k"]}
    assert ak.to_list(run_in_graph("x[k]", graph_table))[2] == [np.inf, 4.0]
    with pytest.raises(Exception, match="indices element out of data bounds"):
        run_in_graph("x[k + 4 * (k == 3)]", graph_table, examples={"k": CHOSEN["k"] * 0})


def test_the_caret_stands_under_the_part_at_fault():
    with pytest.raises(ConfigError) as caught:
        run_in_graph("x + np.sort(x, axis=1) * 2", TABLE)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("test.yaml: new_variables.x: np.sort cannot be computed in a graph")
    assert lines[1] == "  x + np.sort(x, axis=1) * 2"
    assert lines[2] == "      ^^^^^^^^^^^^^^^^^^"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x[:, :1]", "takes objects in a way"),
        ("ak.firsts(x) + 1", r"write ak.fill_none\(ak.firsts\(x\), 0\)"),
        ("ak.max(x, axis=1)", "cannot be computed in a graph"),
        ("2 ** abs(k)", "constant exponents"),
        ("k & k", "may be a constant"),
        ("event % 10", "x.astype"),
        ("event < k", "64 bits meet"),
        ("np.gcd(k, 2)", "it needs a loop"),
        ("np.add(x, 1, dtype='float32')", "'dtype' cannot be given"),
        ("ak.sum(x, axis=-2)", "axis"),
    ],
)
def test_what_has_no_form_is_refused_with_its_reason(text, reason):
    with pytest.raises(ConfigError, match=reason):
        run_in_graph(text, TABLE)


def test_functions_of_the_users_own_are_refused(tmp_path):
    from weaver_tt.expressions.graph_form import compute_in_graph
    from weaver_tt.expressions.graph_functions import form_of
    from weaver_tt.expressions.graph_values import Graph, GraphValue

    own = tmp_path / "own.py"
    own.write_text("def double(x):\n    return 2 * x\n")
    expression = parse_expression("double(m)", "test", str(own))
    graph = Graph(form_of)
    columns = {"m": GraphValue(graph, "m", TABLE["m"].dtype)}
    with pytest.raises(ConfigError, match=r"double is a function of your own"):
        compute_in_graph(expression, graph, columns, TABLE, "test")


TREES = {"k": ak.Array([[-1, 0, 0, 2], [], [-1]]), "m": np.array([2.0, 3.0, -1.0], np.float32)}


@pytest.mark.parametrize("kind", ["float32", "float64", "int32"])
def test_a_mask_of_trees_is_that_of_the_first_evaluation(kind):
    trees = {**TREES, "k": ak.values_astype(TREES["k"], kind)}
    # types are tried on columns that are no tree
    examples = {"k": ak.values_astype(ak.Array([[0, 0, 0], [0]]), kind)}
    expected = evaluate(parse_expression("2 * _tree_mask(k)", "test"), trees)
    found = run_in_graph("2 * _tree_mask(k)", trees, examples)
    assert ak.Array(found).type == ak.Array(expected).type
    assert found.tolist() == expected.tolist() == [[2, 2, 2, 2], [], [2]]


@pytest.mark.parametrize("mothers", [[-1, 1], [0], [-1, -2], [-1, 0, 0.5], [-1, np.nan]])
def test_a_graph_fails_where_the_first_evaluation_finds_that_a_mother_comes_late(mothers):
    no_trees = {"k": ak.Array([[-1.0, 0.0], mothers, []])}
    with pytest.raises(DataError, match="the mother of node"):
        evaluate(parse_expression("_tree_mask(k)", "test"), no_trees)
    with pytest.raises(Exception, match="a mother is none of the nodes before it"):
        run_in_graph("_tree_mask(k)", no_trees)


def test_a_graph_has_trees_of_lists_alone():
    with pytest.raises(ConfigError, match=r"_tree_mask cannot .*\n.*\n +\^"):
        run_in_graph("1 * _tree_mask(m)", TREES)
