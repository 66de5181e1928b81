"""Pairs and their bias against loops over rows; batch norm in the weights against plain one."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from weaver_tt.errors import ConfigError
from weaver_tt.nn.models import pair_embedding
from weaver_tt.nn.models.pair_embedding import (
    MASK_BIAS,
    PairEmbed,
    PairMLP,
    Pairs,
    dense_pairs,
    padding_bias,
)
from weaver_tt.nn.models.pair_features import pair_features
from weaver_tt.nn.objects.ragged import Dense, Ragged, make_object_rows
from weaver_tt.nn.objects.sharing import sharing

SLOTS = 4
masks = st.lists(st.lists(st.booleans(), min_size=SLOTS, max_size=SLOTS), min_size=1, max_size=5)
cells = st.sampled_from([1, 20, 1000])
kinds = st.sampled_from([{}, {"own": False}, {"ordered": True}])


def label(first, second):
    """A number for each pair of slots, the same for either order, and one that is not."""
    return [first * second + 1, first + second + 1]


def read(biases, rows):
    """The bias of each pair of slots that the groups hold."""
    found = {}
    for bias, group in zip(biases, rows.groups, strict=True):
        for row, (start, count) in enumerate(
            zip(group.starts.tolist(), group.counts.tolist(), strict=True)
        ):
            own = rows.slots[start : start + count].tolist()
            found |= {
                (a, b): bias[row, :, i, j].tolist()
                for i, a in enumerate(own)
                for j, b in enumerate(own)
            }
    return found


@given(masks, cells, kinds, st.booleans())
def test_each_pair_of_a_row_finds_its_place(given_mask, size, kind, dense):
    mask = torch.tensor(given_mask)
    rows = Dense(mask) if dense else Ragged(mask, size)
    pairs = Pairs(rows, **kind)
    slots = [rows.slots[index].tolist() for index in (pairs.first, pairs.second)]
    values = torch.tensor(
        [label(a, b) for a, b in zip(*slots, strict=True)], dtype=torch.float64
    ).view(-1, 2)
    found = read(pairs.bias(values), rows)
    real = mask.flatten().nonzero().flatten().tolist()
    of_a_row = [(a, b) for a in real for b in real if a // SLOTS == b // SLOTS]
    expected = {
        (a, b): [0, 0] if a == b and not kind.get("own", True) else label(a, b) for a, b in of_a_row
    }
    assert {key: found[key] for key in expected} == expected
    if not dense:
        count = mask.sum(1)
        assert (
            len(values)
            == {"own": count * (count - 1) // 2, "ordered": count**2}.get(
                next(iter(kind), ""), count * (count + 1) // 2
            ).sum()
        )


@given(masks, cells)
def test_no_attention_goes_to_padding(given_mask, size):
    mask = torch.tensor(given_mask)
    rows = Ragged(mask, size)
    pairs = Pairs(rows)
    for bias, alone, group in zip(
        pairs.bias(torch.ones(len(pairs.first), 1)), padding_bias(rows), rows.groups, strict=True
    ):
        if group.mask is None:
            assert alone is None
            continue
        for given_bias in (bias, alone.expand_as(bias)):
            share = given_bias.softmax(3)[:, 0]  # (n, L, L)
            padding = ~group.mask.unsqueeze(1) & group.mask.any(1)[:, None, None]
            assert share[padding.expand_as(share)].sum() == 0
    assert MASK_BIAS < -1e6


@pytest.mark.parametrize("kind", [{}, {"own": False}, {"ordered": True}])
def test_gradients_add_up_over_both_places_of_a_pair(kind):
    rows = Ragged(
        torch.tensor(
            [
                [True] * 4,
                [True, False, True, False],
                [False] * 4,
                [True] * 4,
                [False, False, True, False],
            ]
        ),
        20,
    )
    pairs = Pairs(rows, **kind)

    def function(values):
        return torch.cat(
            [
                (bias.clamp(min=-1e3) * torch.arange(bias.numel()).view_as(bias).cos()).flatten()
                for bias in pairs.bias(values)
            ]
        )

    values = torch.randn(
        len(pairs.first), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    assert torch.autograd.gradcheck(function, values.requires_grad_())


@pytest.mark.parametrize("last", [True, False])
def test_in_evaluation_batch_norm_is_part_of_the_weights(last):
    torch.manual_seed(0)
    network = PairMLP(3, (5, 4), nn.GELU, last).double()
    for norm in (module for module in network if isinstance(module, nn.BatchNorm1d)):
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(tensor, 0.5, 1.5)
    network.eval()
    values = torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(network(values), nn.Sequential(*network)(values))


def test_in_training_it_is_torchs_own_convolutions_and_batch_norms():
    torch.manual_seed(0)
    ours = PairMLP(3, (5, 4), nn.GELU, True).double()
    plain = nn.Sequential(
        nn.BatchNorm1d(3),
        nn.Conv1d(3, 5, 1),
        nn.BatchNorm1d(5),
        nn.GELU(),
        nn.Conv1d(5, 4, 1),
        nn.BatchNorm1d(4),
        nn.GELU(),
    ).double()
    plain.load_state_dict(ours.state_dict())
    values = torch.randn(50, 3, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor(
        [0.0, -8.0, 3.0]
    )
    results = []
    for network, given_values in ((ours, values), (plain, values.T[None])):
        output = network(given_values)
        output = output if output.ndim == 2 else output[0].T
        (output * torch.arange(200.0).view(50, 4).sin()).sum().backward()
        results.append(
            [output, *network.buffers(), *(parameter.grad for parameter in network.parameters())]
        )
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_listed_pairs_are_put_into_a_square_and_padding_is_dropped():
    values = torch.tensor([[[5.0, 6.0, 7.0]]])
    index = torch.tensor([[[0, 1, 9], [1, 1, 9]]])
    assert dense_pairs(values, index, 2).tolist() == [[[[0, 5], [0, 6]]]]


def test_given_features_of_pairs_may_differ_with_their_order():
    torch.manual_seed(0)
    embed = PairEmbed(0, 1, (3, 2), nn.GELU, True).eval()
    rows = Ragged(torch.ones(1, 2, dtype=torch.bool))
    given_features = torch.tensor([[[[0.0, 1.0], [2.0, 0.0]]]])
    (bias,) = embed(rows, None, given_features)
    expected = copy.deepcopy(embed.fts_embed)(torch.tensor([[1.0], [2.0]]))
    torch.testing.assert_close(bias[0, :, [0, 1], [1, 0]].T, expected)


def test_leaving_out_a_particle_with_itself_is_for_symmetric_features_only():
    with pytest.raises(ConfigError, match="remove_self_pair does not go with pair_extra_dim"):
        PairEmbed(4, 1, (3, 2), nn.GELU, True, own=False)


def test_pairs_and_their_features_are_made_once_for_all_members(monkeypatch):
    torch.manual_seed(0)
    mask = torch.arange(5) < torch.tensor([[5], [0], [3]])
    vectors = torch.rand(3, 4, 5)
    made = []

    def counting(*arguments):
        made.append(len(arguments[1]))
        return pair_features(*arguments)

    monkeypatch.setattr(pair_embedding, "pair_features", counting)
    members = [PairEmbed(4, 0, (3, 2), nn.GELU, True).eval() for _ in range(3)]

    def biases():
        return [embed(make_object_rows(mask), vectors, None) for embed in members]

    alone = biases()
    with sharing():
        together = biases()
    # 15 pairs of the five objects, 6 of the three
    assert made == [21] * 4
    for ours, theirs in zip(together, alone, strict=True):
        assert all(map(torch.equal, ours, theirs))
