"""MLPs and normalization."""

import pytest
import torch
from torch import nn

from weaver_tt.nn.layers.blocks import mlp, unit_length


def test_an_mlp_has_relu_between_its_layers_and_nothing_after_the_last():
    kinds = [type(layer).__name__ for layer in mlp((3, 5, 2))]
    assert kinds == ["Linear", "ReLU", "Linear"]


def test_an_mlp_ends_with_the_activation_it_is_given():
    network = mlp((3, 5, 2), nn.Tanh())
    assert isinstance(network[-1], nn.Tanh)
    assert network(torch.full((4, 3), 100.0)).abs().max() <= 1


def test_an_mlp_has_the_parameters_of_its_sizes():
    assert sum(parameter.numel() for parameter in mlp((3, 5, 2)).parameters()) == (3 * 5 + 5) + (
        5 * 2 + 2
    )


def test_unit_length_of_3_and_4_is_0_6_and_0_8():
    assert unit_length(torch.tensor([[3.0, 4.0]])).tolist()[0] == pytest.approx([0.6, 0.8])


def test_the_zero_vector_stays_zero_and_has_a_finite_gradient():
    zero = torch.zeros(1, 4, requires_grad=True)
    unit = unit_length(zero)
    unit.sum().backward()
    assert unit.tolist() == [[0.0] * 4]
    assert torch.isfinite(zero.grad).all()


def test_unit_length_of_bf16_is_computed_in_float32():
    unit = unit_length(torch.full((1, 256), 0.3, dtype=torch.bfloat16))
    assert unit.dtype == torch.float32
    assert unit.norm().item() == pytest.approx(1, abs=1e-6)
