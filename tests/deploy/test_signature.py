"""Inputs and outputs of a graph are what it and its preprocess.json say together."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from weaver_tt.deploy.sidecar import Channel, Group, Sidecar
from weaver_tt.deploy.signature import (
    TensorInput,
    outputs_of_objects,
    outputs_of_rows,
    tensor_inputs,
)
from weaver_tt.errors import ConfigError, DataError

PT = Channel("pt", center=10, scale=0.5, replacement=2, low=-5, high=5, pad=-1)
MASK = Channel("pf_mask", center=0, scale=1, replacement=0, low=-9, high=9, pad=0)
PATH = Path("dir/model.onnx")


def item(name: str, *shape: Any, kind: str = "tensor(float)") -> SimpleNamespace:
    return SimpleNamespace(name=name, shape=list(shape), type=kind)


def session(inputs: list[Any], outputs: list[Any]) -> Any:
    return SimpleNamespace(get_inputs=lambda: inputs, get_outputs=lambda: outputs)


def sidecar(shortest: int = 1, longest: int = 4) -> Sidecar:
    group = Group("pf", (PT, MASK), shortest, longest)
    return Sidecar("preprocess.json", {"pf": group}, ("b", "c"))


def test_lengths_are_those_of_the_graph_or_else_of_the_sidecar() -> None:
    for size, expected in (("P", (2, 4)), (3, (3, 3)), (None, (2, 4))):
        (found,) = tensor_inputs(session([item("pf", "N", 2, size)], []), sidecar(2), PATH)
        assert (found.shortest, found.longest) == expected
    (scalars,) = tensor_inputs(session([item("pf", "N", 2)], []), sidecar(2), PATH)
    assert (scalars.shortest, scalars.longest, scalars.has_objects) == (1, 1, False)


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (
            item("pff", "N", 2, "P"),
            "not describe the network's input 'pff'; did you mean 'pf'",
        ),
        (item("pf", "N", 3, "P"), "pf: there are 2 var_names, the network takes 3"),
        (item("pf", "N", 2, 5), "pf: the network takes 5 objects; the file says 1 to 4"),
        (item("pf", "N", 2, 4, 2), r"input 'pf' is tensor\(float\) of shape .*\(N, C, P, 1\)"),
        (item("pf", "N"), r"input 'pf' is tensor\(float\) of shape \['N'\]; expected float32"),
        (item("pf", "N", 2, 4, kind="tensor(int64)"), r"input 'pf' is tensor\(int64\) of shape"),
    ],
)
def test_inputs_that_do_not_fit_to_the_sidecar_are_refused(taken: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tensor_inputs(session([taken], []), sidecar(), PATH)


def test_a_tensor_has_the_slots_of_its_fullest_row_within_the_bounds() -> None:
    taken = TensorInput("pf", (PT, MASK), 3, shortest=2, longest=3, axis="P")
    collection = taken.collect({"pt": [[12.0], [], [14.0, np.nan, 99.0, 50.0]]}, "preprocess.json")
    assert collection.missing == ["pf_mask"]
    assert taken.slots(collection, 3).tolist() == [2, 2, 3]
    prepared = taken.prepare(collection)
    whole = taken.feeds(prepared, 0, 3)["pf"]
    assert whole[:, 0].tolist() == [[1, -1, -1], [-1, -1, -1], [2, -4, 5]]
    assert whole[:, 1].tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert taken.feeds(prepared, 0, 1)["pf"].shape == (1, 2, 2)


def test_a_list_of_one_may_be_numbers_of_rows() -> None:
    taken = TensorInput("event", (PT,), 3, shortest=1, longest=1, axis=1)
    numbers = taken.collect({"pt": [12.0, 14.0]}, "preprocess.json")
    lists = taken.collect({"pt": [[12.0], []]}, "preprocess.json")
    assert taken.slots(numbers, 2).tolist() == [1, 1]
    assert taken.feeds(taken.prepare(numbers), 0, 2)["event"].tolist() == [[[1]], [[2]]]
    assert taken.feeds(taken.prepare(lists), 0, 2)["event"].tolist() == [[[1]], [[-1]]]


def test_numbers_of_rows_have_no_masks() -> None:
    taken = TensorInput("pf", (MASK,), 2, shortest=1, longest=1, axis=2)
    with pytest.raises(DataError, match="input 'pf' needs the column 'pf_mask'"):
        taken.collect({"pt": [1.0]}, "preprocess.json")


def test_all_columns_of_all_outputs_have_names() -> None:
    outputs = [item("p", "N", 2), item("p_std", "N", 2), item("mass", "N"), item("q", "N", 2)]
    found = outputs_of_rows(session([], outputs), sidecar(), PATH)
    names = [output.columns for output in found]
    assert names == [("b", "c"), ("b_std", "c_std"), ("mass",), ("q_0", "q_1")]


def test_the_sidecar_may_name_the_columns_of_all_outputs_one_after_another() -> None:
    """Classes, then real targets, as models that learn both are published."""
    outputs = [item("softmax", "N", 1), item("mass", "N")]
    found = outputs_of_rows(session([], outputs), sidecar(), PATH)
    assert [(output.name, output.columns) for output in found] == [
        ("softmax", ("b",)),
        ("mass", ("c",)),
    ]


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([item("p", "N", 3)], "names 2 outputs, b, c; the network gives 3 in 'p'"),
        ([item("p", "N", 2, "P")], r"output 'p' has the shape .*; expected \(N, K\)"),
        ([item("p", "N", 2), item("q", "N", "K")], "output 'q' has any number of columns"),
    ],
)
def test_outputs_without_a_name_for_each_column_are_refused(outputs: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        outputs_of_rows(session([], outputs), sidecar(), PATH)


def test_outputs_of_objects_belong_to_the_input_with_the_same_axis() -> None:
    inputs = [
        TensorInput("event", (PT,), 2, 1, 1, axis=1),
        TensorInput("tracks", (PT,), 3, 1, 9, axis="T"),
        TensorInput("jets", (PT,), 3, 1, 9, axis="J"),
    ]
    outputs = [item("of_jet", "N", "J"), item("of_any", "N", "X")]
    found = outputs_of_objects(session([], outputs), inputs, PATH)
    assert [output.objects_of for output in found] == [2, 1]
    with pytest.raises(ConfigError, match="no input has the objects of 'of_jet'"):
        outputs_of_objects(session([], outputs), inputs[:1], PATH)
