"""Optimisers by name."""

import pytest
import torch
from torch import nn

from weaver_tt.engine.optim import literal, make_optimizer
from weaver_tt.errors import ConfigError


class Small(nn.Module):
    """A matrix, a bias and a frozen matrix."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.head = nn.Linear(2, 1, bias=False)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, x):
        """(N, 3) -> (N, 1)."""
        return self.head(torch.tanh(self.layer(x)))


@pytest.mark.parametrize("name", ["ranger", "adam", "Adam", "adamW", "radam", "sgd", "nadam", "Adagrad", "rmsprop", "Muon"])
def test_every_optimiser_makes_the_loss_smaller(name):
    network = Small()
    if name == "Muon":  # takes matrices only
        network.layer.bias.requires_grad_(False)
    optimizer = make_optimizer(network, name, 1e-2)
    x = torch.linspace(-1, 1, 30).view(10, 3)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = ((network(x) - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_ranger_is_radam_that_looks_ahead():
    """Every sixth step lands halfway between the slow weights and where RAdam went."""
    ranger_net, radam_net = Small(), Small()
    ranger = make_optimizer(ranger_net, "ranger", 1e-2)
    radam = torch.optim.RAdam([p for p in radam_net.parameters() if p.requires_grad], lr=1e-2, betas=(0.95, 0.999), eps=1e-5)
    start = radam_net.head.weight.detach().clone()
    for step in range(6):
        for network, optimizer in ((ranger_net, ranger), (radam_net, radam)):
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
            optimizer.step()
    torch.testing.assert_close(ranger_net.head.weight.detach(), (start + radam_net.head.weight.detach()) / 2, atol=2e-5, rtol=0)


def test_options_are_literals():
    optimizer = make_optimizer(Small(), "adam", 1e-3, [["betas", "(0.8, 0.9)"], ["amsgrad", "True"]])
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[0]["amsgrad"] is True
    assert literal("cosine") == "cosine"


def test_weight_decay_acts_on_matrices_only():
    groups = make_optimizer(Small(), "adamW", 1e-3, [["weight_decay", "0.1"]]).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [(0.1, [2, 2]), (0.0, [1])]


def test_learning_rates_of_named_parameters_can_differ():
    groups = make_optimizer(Small(), "adam", 1e-2, [["lr_mult", "('^head', 0.1)"]]).param_groups
    assert [(group["initial_lr"], len(group["params"])) for group in groups] == [(1e-2, 2), (pytest.approx(1e-3), 1)]


def test_the_quick_implementation_is_chosen_and_can_be_declined():
    assert make_optimizer(Small(), "adam", 1e-3).param_groups[0]["fused"] is True
    assert make_optimizer(Small(), "nadam", 1e-3).param_groups[0]["foreach"] is True
    assert make_optimizer(Small(), "adam", 1e-3, [["fused", "False"]]).param_groups[0]["fused"] is False


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adan", [], "did you mean .*'Adam'"),
        ("optimizer", [], "--optimizer 'optimizer'"),
        ("adam", [["beta", "1"]], "no such option; did you mean 'betas'"),
        ("adam", [["betas", "7"]], "--optimizer adam"),
        ("adam", [["lr_mult", "3"]], "expected \\('regex', factor\\)"),
    ],
)
def test_what_cannot_be_is_explained(name, options, message):
    with pytest.raises(ConfigError, match=message):
        make_optimizer(Small(), name, 1e-3, options)


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ConfigError, match="Tanh has no parameter"):
        make_optimizer(nn.Tanh(), "adam", 1e-3)
