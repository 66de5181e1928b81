"""Forward and backward by hand beside the same thing in ordinary operations.

In double precision, with several pieces.
"""

import pytest
import torch
from torch.nn.functional import batch_norm

from weaver_tt.nn.layers import edge_mlp
from weaver_tt.nn.layers.edge_mlp import EdgeMLP, PieceMoments

K = 3
EPS = 1e-5


def parameters_of(sizes, seed=0):
    """gamma_0, beta_0, W_1, gamma_1, beta_1, …"""
    random = torch.Generator().manual_seed(seed)
    made = []
    for below, size in zip([None, *sizes], sizes, strict=False):
        if below is not None:
            made.append(torch.randn(size, below, generator=random, dtype=torch.float64))
        made += [torch.randn(size, generator=random, dtype=torch.float64) for _ in range(2)]
    return made


def inputs_of(objects, size, seed=0):
    random = torch.Generator().manual_seed(seed)
    own, other = (
        torch.randn(rows, size, generator=random, dtype=torch.float64) * 2 + 1
        for rows in (objects, objects + 1)
    )
    return own, other, torch.randint(0, objects + 1, (objects * K,), generator=random)


def by_hand(own, other, nearest, k, eps, *parameters):
    alone = [None] * len(parameters[0::3])
    return EdgeMLP.apply(own, other, nearest, k, eps, alone, *parameters)


def plain(own, other, nearest, k, eps, *parameters):
    values = other[nearest].view(-1, k, other.shape[1]) + own.unsqueeze(1)
    values = batch_norm(values.flatten(0, 1), None, None, *parameters[:2], True, 0.0, eps).relu()
    for weight, gamma, beta in zip(
        parameters[2::3], parameters[3::3], parameters[4::3], strict=True
    ):
        values = batch_norm(values @ weight.T, None, None, gamma, beta, True, 0.0, eps).relu()
    return values.view(-1, k, values.shape[1]).mean(1)


@pytest.mark.parametrize("objects", [1, 7, 12])
@pytest.mark.parametrize("sizes", [(4,), (4, 4), (4, 6, 6), (5, 3, 4)])
def test_output_and_gradients_are_those_of_ordinary_operations(monkeypatch, objects, sizes):
    # two objects a piece, seven of them being four pieces
    monkeypatch.setattr(edge_mlp, "PIECE_EDGES", 8)
    parameters = parameters_of(sizes)
    (own, other, nearest) = inputs_of(objects, sizes[0])
    towards = torch.randn(
        objects, sizes[-1], dtype=torch.float64, generator=torch.Generator().manual_seed(9)
    )
    results = []
    for function in (lambda *args: by_hand(*args)[0], plain):
        leaves = [tensor.clone().requires_grad_() for tensor in (own, other, *parameters)]
        output = function(*leaves[:2], nearest, K, EPS, *leaves[2:])
        results.append([output, *torch.autograd.grad((output * towards).sum(), leaves)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-8, rtol=1e-8)


def test_the_backward_pass_can_be_run_again():
    parameters = parameters_of((4, 4, 4))
    (own, other, nearest) = inputs_of(5, 4)
    own.requires_grad_()
    output, *_ = by_hand(own, other, nearest, K, EPS, *parameters)
    first, second = (torch.autograd.grad(output.sum(), own, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_statistics_are_those_of_each_layers_sums():
    parameters = parameters_of((4,))
    (own, other, nearest) = inputs_of(6, 4)
    _, _, mean, variance = by_hand(own, other, nearest, K, EPS, *parameters)
    sums = other[nearest] + own.repeat_interleave(K, 0)
    torch.testing.assert_close(mean, sums.mean(0))
    torch.testing.assert_close(variance, sums.var(0, correction=0))


def test_a_channel_that_batch_norm_switches_off_has_finite_gradients():
    parameters = parameters_of((4, 4))
    (own, other, nearest) = inputs_of(6, 4)
    parameters[0][1] = 0  # gamma
    for tensor in parameters:
        tensor.requires_grad_()
    by_hand(own, other, nearest, K, EPS, *parameters)[0].sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in parameters)


def test_moments_of_pieces_far_from_zero_do_not_cancel():
    values = 1000 + torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
    moments = PieceMoments()
    for piece in values.split([100, 350, 150]):
        moments.add(piece)
    number, mean, variance = moments.total()
    assert number == 600
    torch.testing.assert_close(mean.double(), values.double().mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        variance.double(), values.double().var(0, correction=0), rtol=1e-3, atol=0
    )
