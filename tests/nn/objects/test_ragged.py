"""Rows as a list and as rectangles: what goes there comes back, and gradients with it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.nn.objects.ragged import Dense, Ragged, group_edges, make_object_rows

masks = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=7)
cells = st.sampled_from([1, 20, 60, 1000])


def features(mask, channels=3):
    random = torch.Generator().manual_seed(1)
    return torch.randn(
        mask.shape[0], channels, mask.shape[1], generator=random, dtype=torch.float64
    )


def test_groups_are_cut_where_their_squares_are_full():
    assert group_edges([0, 1, 2, 2, 3, 3], 18) == [(0, 4), (4, 6)]  # 2 x 9 cells, then 4 x 4
    assert group_edges([4, 4, 4], 1) == [(0, 1), (1, 2), (2, 3)]
    assert group_edges([0, 0], 4) == [(0, 2)]


@given(masks, cells)
def test_rectangles_hold_each_rows_objects_and_the_list_comes_back(given_mask, size):
    mask = torch.tensor(given_mask)
    rows, values = Ragged(mask, size), features(mask)
    listed = rows.gather(values)
    assert listed.shape == (int(mask.sum()), 3)
    parts = rows.split(listed)
    assert torch.equal(rows.join(parts), listed)
    found = []
    for part, group in zip(parts, rows.groups, strict=True):
        real = torch.ones(part.shape[:2], dtype=torch.bool) if group.mask is None else group.mask
        assert group.counts.tolist() == real.sum(1).tolist()
        found += [row[kept] for row, kept in zip(part, real, strict=True)]
    for row, place in enumerate(rows.restore.tolist()):
        assert torch.equal(found[place], values[row].T[mask[row]])


@given(masks, cells)
def test_means_of_rows_are_those_of_real_objects_in_both_forms(given_mask, size):
    mask = torch.tensor(given_mask)
    values = features(mask)
    expected = (values * mask.unsqueeze(1)).sum(2) / mask.sum(1, keepdim=True).clamp(min=1)
    for rows in (Ragged(mask, size), Dense(mask)):
        torch.testing.assert_close(rows.restore_order(rows.mean_row(rows.gather(values))), expected)


@pytest.mark.parametrize("size", [1, 30, 1000])
def test_gradients_come_back_to_the_objects_they_belong_to(size):
    mask = torch.tensor(
        [[True, False, True, True], [False] * 4, [True, True, False, False], [True] * 4]
    )
    rows = Ragged(mask, size)

    def function(values):
        weights = [
            torch.sin(torch.arange(part.numel(), dtype=part.dtype)).view_as(part)
            for part in rows.split(values)
        ]
        return rows.join(
            [
                part.square() * weight
                for part, weight in zip(rows.split(values), weights, strict=True)
            ]
        )

    assert torch.autograd.gradcheck(function, features(mask).transpose(1, 2)[mask].requires_grad_())


def test_the_dense_form_is_taken_when_asked():
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert isinstance(make_object_rows(mask), Ragged)
    assert isinstance(make_object_rows(mask, dense=True), Dense)
