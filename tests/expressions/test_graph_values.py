"""Nodes of a graph have the types of numpy, and nothing is written twice."""

import numpy as np
import pytest

from weaver_tt.expressions.graph_functions import form_of
from weaver_tt.expressions.graph_values import Graph, GraphValue, NoFormError


def value(kind, name="x", graph=None, objects=None):
    return GraphValue(graph or Graph(form_of), name, np.dtype(kind), objects)


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "i4", "u1", "?"])
@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x * 2.5,
        lambda x: x * np.float64(2.5),
        lambda x: x + 1,
        lambda x: x + x,
        lambda x: x / x,
        lambda x: x > 3,
        np.isnan,
    ],
)
def test_results_have_the_type_that_numpy_gives(kind, compute):
    assert compute(value(kind)).dtype == compute(np.ones(1, kind)).dtype


def test_a_node_that_is_there_is_not_written_again():
    x = value("f4")
    np.hypot(x, 1.0)
    written = len(x.graph.nodes)
    np.hypot(x, 1.0)
    assert len(x.graph.nodes) == written


def test_constants_are_computed_before():
    graph = Graph(form_of)
    found = graph.constant(4, "f8") + 1
    assert (found.constant, graph.nodes) == (5, [])


def test_collections_that_meet_are_noted():
    graph = Graph(form_of)
    value("f4", "x", graph, "jets") + value("f4", "y", graph, "tracks")
    assert graph.met == [("jets", "tracks")]


def test_unsigned_numbers_of_64_bits_are_added_but_not_compared():
    x = value("u8")
    assert (x + x).dtype == np.uint64
    with pytest.raises(NoFormError, match=r"unsigned whole numbers of 64 bits"):
        x < x  # noqa: B015


def test_what_has_no_form_says_so():
    with pytest.raises(NoFormError, match=r"no form"):
        np.spacing(value("f4"))
