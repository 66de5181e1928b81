"""What goes over the objects of each row in a graph of ONNX: sums, order, choice, joined lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaver_tt.expressions.graph_formulas import Value, choose, choose_typed, filled_like
from weaver_tt.expressions.graph_values import (
    BOOL,
    DOUBLE,
    FLOAT,
    WHOLE,
    Graph,
    GraphValue,
    NoFormError,
)

NOWHERE = np.iinfo(np.int64).max  # a place that no column has


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
