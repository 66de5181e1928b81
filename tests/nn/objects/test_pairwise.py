"""Real pairs and dense pairs mean the same; real pairs are worked out by hand and by loops."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from weaver_tt.nn.objects.pairwise import DensePairs, PairLinear, RealPairs, make_layout

masks = st.integers(1, 5).flatmap(
    lambda slots: st.lists(
        st.lists(st.booleans(), min_size=slots, max_size=slots), min_size=1, max_size=5
    )
)


def features(mask, channels=3):
    random = torch.Generator().manual_seed(7)
    return torch.randn(
        mask.shape[0], channels, mask.shape[1], generator=random, dtype=torch.float64
    )


def test_pairs_of_rows_with_3_0_1_and_2_objects():
    pairs = RealPairs(torch.tensor([[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 0]]).bool())
    assert pairs.rows.tolist() == [0, 0, 0, 2, 3, 3]
    assert list(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
        (4, 5),
        (5, 4),
    ]


@given(masks)
def test_pairs_are_all_ordered_pairs_of_different_objects_of_one_row_sorted_by_the_first(rows):
    places = [
        (row, slot) for row, slots in enumerate(rows) for slot, real in enumerate(slots) if real
    ]
    expected = [
        (i, j)
        for i, a in enumerate(places)
        for j, b in enumerate(places)
        if i != j and a[0] == b[0]
    ]
    pairs = RealPairs(torch.tensor(rows))
    assert list(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == expected


def test_sums_and_means_over_partners_and_rows_by_hand():
    mask = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    for pairs in (RealPairs(mask), DensePairs(mask)):
        values = pairs.gather(
            torch.tensor([[[1.0, 2.0, 4.0]], [[8.0, 99.0, 99.0]], [[99.0, 99.0, 99.0]]])
        )
        partners = pairs.add(
            torch.zeros_like(values), values
        )  # each pair's message is its partner's value
        assert pairs.scatter(pairs.sum_partners(partners))[:, 0].tolist() == [
            [6, 5, 3],
            [0, 0, 0],
            [0, 0, 0],
        ]
        assert pairs.scatter(pairs.mean_partners(partners))[:, 0].tolist() == [
            [3, 2.5, 1.5],
            [0, 0, 0],
            [0, 0, 0],
        ]
        assert pairs.sum_row(values)[:, 0].tolist() == [7, 8, 0]
        assert pairs.mean_row(values)[:, 0].tolist() == pytest.approx([7 / 3, 8, 0])


@settings(deadline=None)
@given(masks)
def test_real_and_dense_pairs_give_the_same_sums_for_any_mask(rows):
    mask = torch.tensor(rows)
    results = []
    for pairs in (RealPairs(mask), DensePairs(mask)):
        values = pairs.gather(features(mask))
        messages = torch.tanh(pairs.first(values) - 2 * pairs.second(values)) + pairs.add(
            values, values.square()
        )
        mixed = values * pairs.spread_row(pairs.mean_row(values))
        objects = (pairs.sum_partners(messages), pairs.mean_partners(messages), mixed)
        results.append([pairs.scatter(item) for item in objects] + [pairs.sum_row(mixed)])
    for real, dense in zip(*results, strict=True):
        torch.testing.assert_close(real, dense)


@given(masks)
def test_scatter_undoes_gather_and_leaves_padding_zero(rows):
    mask = torch.tensor(rows)
    values = features(mask)
    pairs = RealPairs(mask)
    assert torch.equal(
        pairs.scatter(pairs.gather(values)), torch.where(mask.unsqueeze(1), values, 0.0)
    )


def test_pairs_are_not_made_for_those_who_sum_over_rows_alone():
    mask = torch.ones(1, 3, dtype=torch.bool)
    for pairs, name in ((RealPairs(mask), "_pairs"), (DensePairs(mask), "pair")):
        assert pairs.sum_row(pairs.gather(torch.ones(1, 2, 3))).tolist() == [[3, 3]]
        assert name not in vars(pairs)


def test_a_batch_without_objects_has_no_pairs_and_a_gradient():
    pairs = RealPairs(torch.zeros(2, 3, dtype=torch.bool))
    values = torch.ones(2, 4, 3, requires_grad=True)
    objects = pairs.gather(values)
    output = pairs.scatter(objects + pairs.sum_partners(pairs.add(objects, objects)))
    output.sum().backward()
    assert objects.shape == (0, 4)
    assert output.shape == (2, 4, 3)
    assert values.grad.abs().sum() == 0


def test_sums_of_bf16_messages_are_kept_in_float32():
    pairs = RealPairs(torch.ones(1, 10, dtype=torch.bool))
    messages = torch.full(
        (90, 1), 1.0078125, dtype=torch.bfloat16
    )  # nine of them need more than 8 bits
    assert pairs.sum_partners(messages)[0].item() == 9 * 1.0078125


@pytest.mark.parametrize("dense", [False, True])
def test_a_pair_layer_is_a_linear_layer_on_concatenated_pairs(dense):
    torch.manual_seed(1)
    layer = PairLinear(3, 5, d_edge=2).double()
    plain = nn.Linear(8, 5).double()
    plain.load_state_dict(layer.state_dict())
    mask = torch.tensor([[True, True, True], [True, False, True]])
    pairs = make_layout(mask, dense)
    objects = pairs.gather(features(mask))
    first, second = torch.broadcast_tensors(pairs.first(objects), pairs.second(objects))
    edges = torch.stack((first[..., 0] - second[..., 0], first[..., 1] * second[..., 1]), dim=-1)
    torch.testing.assert_close(
        layer(objects, pairs, edges), plain(torch.cat((first, second, edges), dim=-1))
    )


def test_gradients_of_gathers_and_sums_are_right():
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    pairs = RealPairs(mask)

    def function(values):
        objects = pairs.gather(values)
        return pairs.scatter(
            pairs.mean_partners(torch.tanh(pairs.add(objects, objects * 2)))
            + pairs.spread_row(pairs.sum_row(objects)).square()
        )

    assert torch.autograd.gradcheck(function, features(mask, 2).requires_grad_())


def test_three_backward_passes_on_two_threads_are_equal_bit_for_bit(two_threads):
    random = torch.Generator().manual_seed(3)
    counts = torch.randint(0, 9, (400, 1), generator=random)
    mask = torch.arange(8) < counts
    values = torch.randn(400, 32, 8, generator=random)
    torch.manual_seed(0)
    layer, gradients = PairLinear(32, 64), []
    for _ in range(3):
        layer.zero_grad()
        copy = values.clone().requires_grad_()
        pairs = RealPairs(mask)
        pairs.sum_row(
            pairs.sum_partners(torch.tanh(layer(pairs.gather(copy), pairs)))
        ).square().sum().backward()
        gradients.append(
            torch.cat([copy.grad.flatten(), layer.weight.grad.flatten(), layer.bias.grad])
        )
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])
