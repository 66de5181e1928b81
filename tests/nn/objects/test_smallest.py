"""The k smallest of each row, and the first of equal ones."""

import io
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from weaver_tt.nn.objects.smallest import smallest_places


def chosen(values, k):
    return smallest_places(values, k).sort(dim=1).values.tolist()


def test_of_equal_values_the_first_are_taken():
    values = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0], [5.0, 5.0, 5.0, 5.0, 5.0]])
    assert chosen(values, 3) == [[0, 1, 4], [0, 1, 2]]


@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(
                st.sampled_from([-2.5, -1.0, 0.0, 1e-30, 1.0, 3.0]), min_size=width, max_size=width
            ),
            min_size=1,
            max_size=4,
        )
    ),
    seed=st.integers(1, 4),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_it_is_a_stable_sort_cut_off(rows, seed, dtype):
    k = min(seed, len(rows[0]))
    expected = [sorted(sorted(range(len(row)), key=row.__getitem__)[:k]) for row in rows]
    assert chosen(torch.tensor(rows, dtype=dtype), k) == expected


def test_infinity_comes_last():
    assert chosen(torch.tensor([[torch.inf, 3.0, torch.inf, -1.0]]), 3) == [[0, 1, 3]]


class Smallest(nn.Module):
    def forward(self, values):
        return smallest_places(values, 4)


def exported(values):
    """The graph that takes the four smallest of any number of rows."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Smallest(),
            (values,),
            file,
            dynamo=False,
            opset_version=17,
            input_names=["values"],
            dynamic_axes={"values": {0: "N"}},
        )
    return onnx.load_from_string(file.getvalue())


def run_graph(model, values):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"values": values.numpy()})


@pytest.mark.parametrize("width", [5, 40])
def test_onnx_runtime_takes_the_same(width):
    random = torch.Generator().manual_seed(1)
    # few different values: many are equal
    values = torch.randint(-2, 3, (300, width), generator=random).float()
    [found] = run_graph(exported(values[:2]), values)
    assert np.sort(found, axis=1).tolist() == chosen(values, 4)


def test_a_graph_never_sorts_no_rows_at_all():
    """ONNX Runtime before 1.31 ends the process there, by a division by zero."""
    model = exported(torch.zeros(2, 5))
    [node] = [node for node in model.graph.node if node.op_type == "TopK"]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.input[0]))
    found, sorted_values = run_graph(model, torch.zeros(0, 5))
    assert (found.shape, sorted_values.shape) == ((0, 4), (1, 5))


@given(
    rows=st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=6, max_size=6)),
)
def test_in_order_they_are_those_of_a_stable_sort(rows):
    values = torch.tensor(rows).view(-1, 6)
    places = smallest_places(values, 4, in_order=True)
    assert torch.equal(places, values.sort(dim=1, stable=True).indices[:, :4])
