"""Gradients of an adversary, by hand."""

import torch
from torch import tensor

from weaver_tt.nn.layers.adversary import Adversary, reverse_gradient


def test_a_reversed_gradient_has_the_other_sign_and_strength():
    values = tensor([1.0, -2.0], requires_grad=True)
    reversed_values = reverse_gradient(values, 3.0)
    assert reversed_values.tolist() == [1.0, -2.0]
    (reversed_values * tensor([5.0, 7.0])).sum().backward()
    assert values.grad.tolist() == [-15.0, -21.0]


def test_an_adversary_that_does_not_learn_hands_the_gradient_on_to_its_input_alone():
    adversary = Adversary(2, [4], 3)
    gradients = []
    for call in (adversary, adversary.without_learning):
        values = tensor([[0.5, -1.0]], requires_grad=True)
        logits = call(values)
        assert logits.shape == (1, 3)
        adversary.zero_grad()
        logits.logsumexp(1).sum().backward()
        gradients.append(values.grad)
        is_learning = any(part.grad.any() for part in adversary.parameters())
        assert is_learning == (call is adversary)
    assert torch.equal(*gradients)


def test_an_adversary_may_have_no_hidden_layer():
    assert [part.shape for part in Adversary(2, [], 3).parameters()] == [(3, 2), (3,)]
