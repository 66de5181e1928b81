"""Rectangles of partners: all others are the pairs of ``RealPairs``, neighbours those of loops."""

import io
import warnings

import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from weaver_tt.nn.objects.pairwise import PairLinear, RealPairs
from weaver_tt.nn.objects.partners import (
    PartnerPairs,
    all_others,
    nearest_by_inputs,
    nearest_neighbours,
)
from weaver_tt.nn.objects.point_cloud import PointCloud

masks = st.integers(1, 6).flatmap(
    lambda slots: st.lists(
        st.lists(st.booleans(), min_size=slots, max_size=slots), min_size=1, max_size=4
    )
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_partners_of_rows_with_3_0_and_1_objects():
    cloud = PointCloud(torch.tensor([[1, 1, 1], [0, 0, 0], [0, 1, 0]]).bool())
    pairs = all_others(cloud)
    assert pairs.table_rows.tolist() == [[0, 2, 3], [1, 0, 3], [1, 2, 0], [0, 0, 0]]
    assert pairs.partners.flatten().tolist() == [2, 2, 2, 0]
    # of 1, 10, 100 and 1000, what the others have
    values = torch.tensor([[1.0], [10.0], [100.0], [1000.0]])
    messages = pairs.second(values)
    assert pairs.sum_partners(messages).flatten().tolist() == [110, 101, 11, 0]
    assert pairs.mean_partners(messages).flatten().tolist() == [55, 50.5, 5.5, 0]


@given(mask=masks, seed=st.integers(0, 2**20))
def test_all_others_are_the_pairs_of_the_flat_list(mask, seed):
    mask = torch.tensor(mask)
    flat = RealPairs(mask)
    rectangle = all_others(PointCloud(mask))
    values = random(int(mask.sum()), 3, seed=seed)
    torch.manual_seed(seed)
    layer = PairLinear(3, 5).double()
    for reduce in ("sum_partners", "mean_partners"):
        ours = getattr(rectangle, reduce)(layer(values, rectangle).tanh())
        expected = getattr(flat, reduce)(layer(values, flat).tanh())
        torch.testing.assert_close(ours, expected)


@given(mask=masks, k=st.integers(1, 8), seed=st.integers(0, 2**20))
def test_as_many_neighbours_as_there_are_others_are_all_of_them(mask, k, seed):
    mask = torch.tensor(mask)
    cloud = PointCloud(mask)
    points = random(len(mask), 4, mask.shape[1], seed=seed)
    k = max(k, mask.shape[1])
    everyone = all_others(cloud)
    values = cloud.gather(points)
    for pairs in (
        nearest_by_inputs(cloud, points, k),
        nearest_neighbours(cloud, values, k, True),
    ):
        assert torch.equal(pairs.partners, everyone.partners)
        torch.testing.assert_close(
            pairs.sum_partners(pairs.second(values)),
            everyone.sum_partners(everyone.second(values)),
        )


def test_a_neighbour_that_is_missing_counts_in_no_mean():
    cloud = PointCloud(torch.tensor([[True, True, True]]))
    points = torch.tensor([[[0.0, 1.0, 3.0]]])
    pairs = nearest_by_inputs(cloud, points, 1)
    assert pairs.table_rows.tolist() == [[2], [1], [2]]
    pairs = nearest_by_inputs(cloud, points, 4)
    means = pairs.mean_partners(pairs.second(torch.tensor([[2.0], [4.0], [8.0]])))
    assert means.flatten().tolist() == [6, 5, 3]


class WeightedSums(nn.Module):
    def forward(self, table_rows, weights, messages):
        return PartnerPairs(table_rows).weighted_sums(weights, messages)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_weighted_sums_of_a_graph_are_those_of_loops(kind):
    """ONNX Runtime before 1.26 cannot load a product with a transposed matrix of float64."""
    weights, messages = random(4, 3, 2).to(kind), random(4, 3, 5, seed=1).to(kind)
    inputs = {"table_rows": torch.ones(4, 3, dtype=torch.int64)}
    inputs |= {"weights": weights, "messages": messages}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WeightedSums(),
            tuple(inputs.values()),
            file,
            dynamo=False,
            opset_version=17,
            input_names=list(inputs),
        )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    feed = {taken.name: inputs[taken.name].numpy() for taken in session.get_inputs()}
    [found] = session.run(None, feed)
    expected = [
        [sum(w[h] * m for w, m in zip(of_weights, of_messages, strict=True)) for h in range(2)]
        for of_weights, of_messages in zip(weights, messages, strict=True)
    ]
    expected = torch.stack([torch.stack(heads) for heads in expected])
    torch.testing.assert_close(torch.from_numpy(found), expected)
    operators = {node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node}
    assert ("MatMul" in operators) == (kind == torch.float32)
