"""Optimizers by name."""

import argparse
import warnings

import pytest
import torch
from torch import nn

from weaver_tt.engine.device_settings import compiler_options
from weaver_tt.engine.optim import compile_step, make_optimizer, max_gradient_norm
from weaver_tt.errors import ConfigError
from weaver_tt.options.literals import read_literal
from weaver_tt.options.train import TrainOptions


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


@pytest.mark.parametrize(
    "name",
    [
        "ranger",
        "adam",
        "Adam",
        "adamW",
        "radam",
        "sgd",
        "nadam",
        "Adagrad",
        "rmsprop",
        "Muon",
        "lion",
        "LAMB",
    ],
)
def test_every_optimizer_makes_the_loss_smaller(name):
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
    radam = torch.optim.RAdam(
        [p for p in radam_net.parameters() if p.requires_grad],
        lr=1e-2,
        betas=(0.95, 0.999),
        eps=1e-5,
    )
    start = radam_net.head.weight.detach().clone()
    for step in range(6):
        for network, optimizer in ((ranger_net, ranger), (radam_net, radam)):
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
            optimizer.step()
    torch.testing.assert_close(
        ranger_net.head.weight.detach(),
        (start + radam_net.head.weight.detach()) / 2,
        atol=2e-5,
        rtol=0,
    )


def test_options_are_literals():
    optimizer = make_optimizer(
        Small(), "adam", 1e-3, [["betas", "(0.8, 0.9)"], ["amsgrad", "True"]]
    )
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[0]["amsgrad"] is True
    assert read_literal("cosine") == "cosine"


@pytest.mark.parametrize(("text", "value"), [("false", False), ("TRUE", True), ("False", False)])
def test_false_switches_an_option_off(text, value):
    optimizer = make_optimizer(Small(), "ranger", 1e-3, [["use_gc", text]])
    assert optimizer.use_gc is value


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (["use_gc", "0"], "--optimizer-option use_gc: expected true or false, found 0"),
        (["k", "2.5"], "--optimizer-option k: expected a whole number, found 2.5"),
        (["eps", "small"], "--optimizer-option eps: expected a number, found 'small'"),
    ],
)
def test_a_value_of_another_kind_is_told_with_what_was_expected(pair, message):
    with pytest.raises(ConfigError, match=message):
        make_optimizer(Small(), "ranger", 1e-3, [pair])


def test_a_whole_number_may_be_a_weight_decay():
    (group, _) = make_optimizer(Small(), "ranger", 1e-3, [["weight_decay", "1"]]).param_groups
    assert group["weight_decay"] == 1


def test_options_of_the_compiler_are_those_of_torch():
    def options(*pair):
        return compiler_options(TrainOptions(compiler_option=[list(pair)]))

    assert options("dynamic", "false") == {"dynamic": False}
    assert options("backend", "eager") == {"backend": "eager"}
    with pytest.raises(ConfigError, match="--compiler-option fullgraph: expected true or false"):
        options("fullgraph", "1")
    with pytest.raises(
        ConfigError, match=r"--compiler-option: .*'dynamics'; did you mean 'dynamic'"
    ):
        options("dynamics", "true")


def test_weight_decay_acts_on_matrices_only():
    groups = make_optimizer(Small(), "adamW", 1e-3, [["weight_decay", "0.1"]]).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [
        (0.1, [2, 2]),
        (0.0, [1]),
    ]


def test_what_the_network_exempts_does_not_decay():
    class Token(Small):
        def no_weight_decay(self):
            return {"head.weight"}

    groups = make_optimizer(Token(), "adamW", 1e-3, [["weight_decay", "0.1"]]).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [
        (0.1, 1),
        (0.0, 2),
    ]


def test_adamw_begins_with_weavers_settings():
    group = make_optimizer(Small(), "AdamW", 1e-3).param_groups[0]
    assert (group["betas"], group["weight_decay"]) == ((0.95, 0.999), 0.0)


def test_weavers_gradient_clipping_is_no_option_of_the_optimizer():
    assert (
        make_optimizer(Small(), "adam", 1e-3, [["clip_grad_norm", "2"]]).param_groups[0]["lr"]
        == 1e-3
    )
    assert max_gradient_norm(None, [["clip_grad_norm", "2"]]) == 2
    assert max_gradient_norm(0.5, []) == 0.5
    with pytest.raises(ConfigError, match="clip_grad_norm: expected a number"):
        max_gradient_norm(None, [["clip_grad_norm", "much"]])


def test_a_compiled_step_does_what_the_plain_one_does():
    networks = [Small(), Small()]
    optimizers = [make_optimizer(network, "adam", 1e-2) for network in networks]
    compile_step(optimizers[1], {"backend": "eager"})
    for step in range(3):
        for network, optimizer in zip(networks, optimizers, strict=True):
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
            optimizer.step()
    torch.testing.assert_close(networks[0].head.weight, networks[1].head.weight)


def test_learning_rates_of_named_parameters_can_differ():
    groups = make_optimizer(Small(), "adam", 1e-2, [["lr_mult", "('^head', 0.1)"]]).param_groups
    assert [(group["initial_lr"], len(group["params"])) for group in groups] == [
        (1e-2, 2),
        (pytest.approx(1e-3), 1),
    ]


class Attends(Small):
    """Class token, a bias of several dimensions, and a matrix that is exempt from decay."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 2))
        self.pair = nn.ParameterDict({"bias": nn.Parameter(torch.zeros(2, 2))})
        self.table = nn.Parameter(torch.zeros(3, 3))
        self.fc_out = nn.Linear(2, 2)

    @torch.jit.ignore
    def no_weight_decay(self):
        """Names of parameters."""
        return {"table"}


def settings_by_name(network, optimizer):
    """Parameter -> (learning rate, weight decay)."""
    groups = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    return {name: groups[id(p)] for name, p in network.named_parameters() if p.requires_grad}


def test_biases_norms_class_tokens_and_what_the_network_names_have_no_weight_decay():
    network = Attends()
    settings = settings_by_name(
        network, make_optimizer(network, "adamW", 1e-3, [["weight_decay", "0.1"]])
    )
    decayed = {name for name, (_, decay) in settings.items() if decay}
    assert decayed == {"layer.weight", "head.weight", "fc_out.weight"}


@pytest.mark.parametrize("name", ["adamW", "ranger", "adam", "radam", "SGD"])
@pytest.mark.parametrize(
    "options",
    [
        [],
        [["weight_decay", "0.01"]],
        [["lr_mult", '("fc.*",50)']],
        [["weight_decay", "0.01"], ["lr_mult", '("fc.*|layer.weight",50)']],
    ],
)
def test_rates_and_weight_decays_are_those_of_weaver(name, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("weaver.train")
    args = argparse.Namespace(
        optimizer=name,
        start_lr=1e-3,
        load_epoch=None,
        lr_finder=None,
        lr_scheduler="none",
        num_epochs=1,
    )
    network = Attends()
    expected, _ = theirs.init_opt(
        args, network, **{key: read_literal(value) for key, value in options}
    )
    ours = make_optimizer(network, name, 1e-3, options)
    assert settings_by_name(network, ours) == settings_by_name(network, expected)
    for key in {"betas", "eps"} & expected.param_groups[0].keys():
        assert ours.param_groups[0][key] == expected.param_groups[0][key]


def test_lr_mult_matches_names_from_their_beginning():
    """``fc.*`` is the head ``fc_out``; what is deeper, as ``fc1`` of a block, keeps its rate."""
    network = nn.ModuleDict(
        {"fc_out": nn.Linear(1, 1), "block": nn.ModuleDict({"fc1": nn.Linear(1, 1)})}
    )
    settings = settings_by_name(
        network, make_optimizer(network, "adam", 1e-4, [["lr_mult", '("fc.*",50)']])
    )
    assert {name for name, (rate, _) in settings.items() if rate == pytest.approx(5e-3)} == {
        "fc_out.weight",
        "fc_out.bias",
    }


def test_the_quick_implementation_is_chosen_and_can_be_declined():
    assert make_optimizer(Small(), "adam", 1e-3).param_groups[0]["fused"] is True
    assert make_optimizer(Small(), "nadam", 1e-3).param_groups[0]["foreach"] is True
    assert (
        make_optimizer(Small(), "adam", 1e-3, [["fused", "False"]]).param_groups[0]["fused"]
        is False
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("addam", [], "did you mean 'adam'"),
        ("optimizer", [], "--optimizer 'optimizer'"),
        ("adam", [["beta", "1"]], "no such option; did you mean 'betas'"),
        ("adam", [["betas", "7"]], "--optimizer adam"),
        ("adam", [["lr_mult", "3"]], "expected \\('regex', factor\\)"),
        (
            "adam",
            [["lr_mult", "('haed.weight', 3)"]],
            "'haed.weight' matches no name from its beginning; did you mean 'head.weight'",
        ),
        ("adam", [["lr_mult", "('he(ad', 3)"]], "is not a regular expression"),
    ],
)
def test_what_cannot_be_is_explained(name, options, message):
    with pytest.raises(ConfigError, match=message):
        make_optimizer(Small(), name, 1e-3, options)


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ConfigError, match="Tanh has no parameter"):
        make_optimizer(nn.Tanh(), "adam", 1e-3)


def test_a_task_may_have_a_learning_rate_of_its_own():
    own = nn.ModuleDict({"adversary": nn.Linear(2, 1)})
    options = [["lr_mult", "('task.adversary.bias', 0.1)"]]
    groups = make_optimizer(Small(), "sgd", 1e-2, options, own, task_rate=0.5).param_groups
    rates = {}
    for group in groups:
        for parameter in group["params"]:
            rates[id(parameter)] = group["initial_lr"]
    adversary = own["adversary"]
    assert rates.pop(id(adversary.weight)) == 0.5
    assert rates.pop(id(adversary.bias)) == 0.05
    assert set(rates.values()) == {1e-2}


def test_parameters_of_a_task_follow_the_same_rules():
    class Adversary(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)
            self.token = nn.Parameter(torch.zeros(2, 2))

        def no_weight_decay(self):
            return {"token"}

    adversary = Adversary()
    options = [["weight_decay", "0.1"], ["lr_mult", "('task.layer', 0.5)"]]
    groups = make_optimizer(Small(), "sgd", 1e-2, options, adversary).param_groups
    found = {
        name: (group["lr"], group["weight_decay"])
        for name, parameter in adversary.named_parameters()
        for group in groups
        if any(parameter is other for other in group["params"])
    }
    assert found == {
        "layer.weight": (5e-3, 0.1),
        "layer.bias": (5e-3, 0.0),
        "token": (1e-2, 0.0),
    }


def test_a_tasks_parameters_may_be_all_that_is_trained():
    frozen = Small().requires_grad_(False)
    groups = make_optimizer(frozen, "sgd", 1e-2, task_modules=nn.Linear(2, 1)).param_groups
    assert sum(len(group["params"]) for group in groups) == 2


def test_no_parameter_is_lost_to_one_of_the_same_name_in_the_task():
    network = nn.ModuleDict({"task": nn.Linear(2, 1)})
    with pytest.raises(ConfigError, match=r"both have a parameter task\.weight; rename 'task'"):
        make_optimizer(network, "sgd", 1e-2, task_modules=nn.Linear(2, 1))
    # names of parts of both may be equal as long as no parameter's is
    make_optimizer(network, "sgd", 1e-2, task_modules=nn.ModuleDict({"other": nn.Linear(2, 1)}))
