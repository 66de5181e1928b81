"""Batch norm of real objects: torch's own on the objects alone, whatever the layout."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from weaver_tt.nn.layers.norm import ObjectNorm

masks = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4)


def pair(channels=3, **options):
    """Ours and torch's with the same random parameters."""
    torch.manual_seed(0)
    plain = nn.BatchNorm1d(channels, **options).double()
    for tensor in (*plain.parameters(), plain.running_mean, plain.running_var):
        nn.init.uniform_(tensor, 0.5, 1.5)
    ours = ObjectNorm(channels, **options).double()
    ours.load_state_dict(plain.state_dict())
    return ours, plain


def values_of(shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def check_equal(ours, plain, found, expected):
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours.state_dict(), plain.state_dict())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_without_padding_it_is_torchs_batch_norm(training, affine):
    ours, plain = pair(affine=affine)
    ours.train(training), plain.train(training)
    values = values_of((2, 5, 3))
    check_equal(ours, plain, ours(values), plain(values.transpose(1, 2)).transpose(1, 2))


@settings(max_examples=30)
@given(masks)
def test_padding_takes_no_part_in_the_statistics(rows):
    real = torch.tensor(rows)
    ours, plain = pair()
    values = torch.where(real.unsqueeze(2), values_of((*real.shape, 3)), 1e3)
    found = ours(values, real.unsqueeze(2).float())[real]
    if real.sum() < 2:  # torch refuses that
        plain.eval()
    check_equal(ours, plain, found, plain(values[real]))


@pytest.mark.parametrize("rows", [0, 1])
def test_training_on_fewer_than_two_rows_uses_the_running_statistics_and_leaves_them(rows):
    ours, plain = pair()
    values = values_of((rows, 3))
    check_equal(ours, plain, ours(values), plain.eval()(values))
    assert int(ours.num_batches_tracked) == 0


def test_statistics_and_running_statistics_by_hand():
    norm = ObjectNorm(1, eps=0, momentum=0.5)
    output = norm(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[[1.0], [1.0], [0.0]]]))
    assert output[0, :2, 0].tolist() == [-1, 1]  # mean 2, variance 1
    assert norm.running_mean.item() == 1  # halfway from 0 to 2
    assert norm.running_var.item() == 1.5  # halfway from 1 to 2, the variance of a sample of two


def test_gradients_with_padding_are_right():
    ours, _ = pair()
    real = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).double().unsqueeze(2)
    values = values_of((2, 3, 3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ours(x, real) * real, values)
