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


def test_under_autocast_the_statistics_are_those_of_single_precision():
    """1 and 3 on a pedestal of 256, where steps of bf16 are 2."""
    values = torch.tensor([[257.0], [259.0], [0.0]])
    real = torch.tensor([[1.0], [1.0], [0.0]])
    norm = ObjectNorm(1, eps=0, momentum=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        output = norm(values, real)
    assert output[:2, 0].tolist() == [-1, 1]
    assert norm.running_mean.item() == 258


def test_gradients_with_padding_are_right():
    ours, _ = pair()
    real = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).double().unsqueeze(2)
    values = values_of((2, 3, 3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ours(x, real) * real, values)


@pytest.mark.parametrize("training", [True, False])
def test_features_in_parts_are_normalized_as_if_they_were_repeated_for_each_edge(training):
    """Two features of objects, each counted as often as it has edges, beside three of edges."""
    torch.manual_seed(0)
    counts = torch.tensor([2, 0, 3])
    of_objects = torch.randn(3, 2, requires_grad=True)
    of_edges = torch.randn(5, 3, requires_grad=True)
    ends = []
    for in_parts in (True, False):
        norm = ObjectNorm(5).train(training)
        torch.nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
        torch.nn.init.normal_(norm.running_mean, generator=torch.Generator().manual_seed(2))
        if in_parts:
            parts = [(of_objects, counts[:, None].float()), (of_edges, None)]
            first, second = norm.normalize_parts(parts)
            output = torch.cat((first.repeat_interleave(counts, dim=0), second), dim=1)
        else:
            repeated = of_objects.repeat_interleave(counts, dim=0)
            output = norm(torch.cat((repeated, of_edges), dim=1))
        inputs = [of_objects, of_edges, norm.weight, norm.bias]
        gradients = torch.autograd.grad(output.pow(3).sum(), inputs)
        ends.append([output, *gradients, *norm.buffers()])
    for ours, expected in zip(*ends, strict=True):
        torch.testing.assert_close(ours, expected)


def test_parts_without_any_row_leave_the_running_statistics():
    norm = ObjectNorm(3).train()
    norm.normalize_parts([(torch.zeros(4, 1), torch.zeros(4, 1)), (torch.zeros(0, 2), None)])
    assert norm.running_var.tolist() == [1, 1, 1]
    assert int(norm.num_batches_tracked) == 0
