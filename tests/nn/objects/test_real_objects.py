"""The list of real objects, worked out by hand, and the same with counts that the host knows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from weaver_tt.data.rows.host_counts import host_counts, with_host_counts
from weaver_tt.nn.objects import real_objects
from weaver_tt.nn.objects.real_objects import (
    RealObjects,
    counts_on_host,
    find_real,
    join_masks,
    real_slots,
    sum_by_index,
)

MASK = tensor([[True, True, False], [False, False, False], [False, True, False]])
VALUES = tensor([[[1.0, 2.0, 9.0]], [[9.0, 9.0, 9.0]], [[9.0, 4.0, 9.0]]])
masks = st.integers(1, 5).flatmap(
    lambda slots: st.lists(
        st.lists(st.booleans(), min_size=slots, max_size=slots), min_size=1, max_size=5
    )
)


def test_three_rows_with_2_0_and_1_objects():
    objects = RealObjects(MASK)
    assert objects.slots.tolist() == [0, 1, 7]
    assert objects.rows.tolist() == [0, 0, 2]
    assert objects.counts.tolist() == objects.host_counts.tolist() == [2, 0, 1]
    assert objects.starts.tolist() == [0, 2, 2]
    values = objects.gather(VALUES)
    assert values.tolist() == [[1], [2], [4]]
    assert objects.gather_values(VALUES[:, 0]).tolist() == [1, 2, 4]
    assert objects.scatter(values)[:, 0].tolist() == [[1, 2, 0], [0, 0, 0], [0, 4, 0]]
    assert objects.sum_row(values).tolist() == [[3], [0], [4]]
    assert objects.mean_row(values).tolist() == [[1.5], [0], [4]]
    assert objects.spread_row(tensor([10, 20, 30])).tolist() == [10, 10, 30]


def test_the_same_rows_shortest_first():
    objects = RealObjects(MASK, shortest_first=True)
    assert objects.order.tolist() == [1, 2, 0]
    assert objects.slots.tolist() == [7, 0, 1]
    assert objects.rows.tolist() == [1, 2, 2]
    assert objects.counts.tolist() == objects.host_counts.tolist() == [0, 1, 2]
    assert objects.starts.tolist() == [0, 0, 1]
    values = objects.gather(VALUES)
    assert objects.scatter(values)[:, 0].tolist() == [[1, 2, 0], [0, 0, 0], [0, 4, 0]]
    assert objects.sum_row(values).tolist() == [[0], [4], [3]]


def test_the_real_entries_are_the_same_with_their_number_known():
    mask = tensor([[True, False, False], [True, True, False]])
    assert find_real(mask, None).tolist() == find_real(mask, 3).tolist() == [0, 3, 4]


@given(masks)
def test_a_known_number_finds_the_same_entries_as_nonzero(rows):
    flat = tensor(rows).flatten()
    expected = flat.nonzero().squeeze(1)
    assert torch.equal(real_objects._find_known_number(flat, len(expected)), expected)


def test_counts_are_those_that_the_mask_carries_or_its_sums():
    assert counts_on_host(MASK.clone()).tolist() == [2, 0, 1]
    carried = np.array([7, 7, 7])
    assert counts_on_host(with_host_counts(MASK.clone(), carried)) is carried


def test_sums_of_bf16_values_are_made_in_float32():
    values = torch.full(
        (9, 1), 1.0078125, dtype=torch.bfloat16
    )  # nine of them need more than 8 bits
    sums = sum_by_index(values, torch.zeros(9, dtype=torch.int64), 2)
    assert sums.tolist() == [[9 * 1.0078125], [0]]


def test_a_networks_mask_keeps_its_counts_as_a_mask_of_slots():
    counts = np.array([2, 0, 1])
    given_mask = with_host_counts(MASK.unsqueeze(1) * 0.5, counts)
    mask = real_slots(given_mask)
    assert torch.equal(mask, MASK)
    assert host_counts(mask) is counts
    assert host_counts(real_slots(given_mask.clone())) is None


def test_joined_masks_add_their_counts_where_both_know_them():
    one = with_host_counts(MASK.clone(), np.array([2, 0, 1]))
    two = with_host_counts(tensor([[True], [True], [False]]), np.array([1, 1, 0]))
    joined = join_masks([one, two])
    assert joined.shape == (3, 1, 4)
    assert host_counts(joined).tolist() == joined.sum((1, 2)).tolist() == [3, 1, 1]
    assert host_counts(join_masks([one, two.clone()])) is None


@pytest.mark.parametrize("shortest_first", [False, True])
def test_an_export_takes_no_counts_from_the_host(shortest_first, monkeypatch):
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    objects = RealObjects(MASK, shortest_first)
    assert objects.host_counts is None
    assert len(objects.slots) == 3
