"""Dropout: the right share of zeros, the same mean, the same numbers for the same seed."""

import pytest
import torch

from weaver_tt.nn.layers.dropout import Dropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_and_the_mean_are_right(share, dtype):
    torch.manual_seed(0)
    values = torch.ones(333, 301, dtype=dtype, requires_grad=True)
    output = dropout(values, share, True)
    error = 5 * (share * (1 - share) / values.numel()) ** 0.5  # five standard deviations
    assert (output == 0).double().mean().item() == pytest.approx(share, abs=error)
    assert output.dtype == dtype
    kept = output[output != 0].detach()
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert kept[0].item() == pytest.approx(
        1 / (1 - share), rel=0.01 if dtype is torch.bfloat16 else 1e-3
    )
    output.sum().backward()
    assert torch.equal(values.grad, output)  # what is scaled and dropped is the gradient too


def test_neighbours_are_dropped_independently():
    torch.manual_seed(1)
    lost = (dropout(torch.ones(100_000), 0.5, True) == 0).double() - 0.5
    for lag in (1, 2, 3, 4, 8):
        assert (
            lost[lag:] * lost[:-lag]
        ).mean().abs().item() < 0.005  # six standard deviations of 0.25 / sqrt(1e5)


def test_a_seed_fixes_what_is_dropped():
    values = torch.ones(7, 3)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(Dropout(0.5)(values))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_nothing_happens_in_evaluation_or_with_share_0_and_1_drops_everything():
    values = torch.randn(5)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(dropout(values, 0.0, True), values)
    assert dropout(values, 1.0, True).abs().sum() == 0
    assert dropout(values[:0], 0.5, True).shape == (0,)
