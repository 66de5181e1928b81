"""Network files, building, weights, ensembles, summaries."""

import pickle

import pytest
import torch
from torch import nn

from weaver_tt.errors import TrainingError
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.network.outputs import first_tensor


def test_a_network_is_called_by_input_name(file, config, build):
    network = build(file, config, seed=1)
    tracks = torch.randn(5, 2, 7)
    assert network.input_names == ["tracks"]
    assert network.activated is False
    assert torch.equal(
        network({"event": torch.zeros(5, 1), "tracks": tracks}), network.module(tracks)
    )


def test_without_input_names_the_groups_of_the_yaml_are_given_in_their_order(config, written):
    network_file = written(
        "from torch import nn\ndef get_model(config):\n    return nn.Identity(), {}\n"
    )
    assert network_file.get_model(config, {})[1]["input_names"] == ["event", "tracks"]


def test_a_tuple_is_returned_whole_and_its_first_entry_is_the_output():
    class Two(nn.Module):
        def forward(self, x):
            return x + 1, "attention"

    output = Network(Two(), ["x"])({"x": torch.zeros(1)})
    assert output == (torch.ones(1), "attention")
    assert first_tensor(output).item() == 1


def test_a_seed_makes_the_initial_weights_and_leaves_the_global_state(file, config, build):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, again, other = (
        build(file, config, seed=seed).unwrapped.first.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_users_error_in_forward_passes_through(config, written):
    text = "from torch import nn\nclass Net(nn.Module):\n"
    text += "    def forward(self, x):\n        raise ValueError('of my own')\n"
    module, info = written(
        text + "def get_model(config):\n    return Net(), {'input_names': ['tracks']}\n"
    ).get_model(config, {})
    with pytest.raises(ValueError, match="of my own"):
        Network(module, info["input_names"])({"tracks": torch.zeros(1, 2, 7)})


def test_a_network_pickles_and_its_file_is_imported_once(file, config, build):
    module = build(file, config, seed=1).unwrapped
    copy = pickle.loads(pickle.dumps(module))
    assert type(copy) is type(module) is type(build(file, config).unwrapped)
    assert torch.equal(copy.first.weight, module.first.weight)


def test_bare_is_the_module_without_the_wrappers(file, config, build):
    network = build(file, config)
    module = network.module
    network.module = torch.compile(module, backend="eager")
    assert network.unwrapped is module
    assert network.eval().unwrapped.training is False
    assert network.train().unwrapped.training is True


def test_an_ensemble_gives_mean_and_population_spread_of_activated_outputs():
    class Constant(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = nn.Parameter(torch.tensor(value))

        def forward(self, x):
            return self.value.expand(len(x), 1)

    class Squares:
        derived = None

        def raw_columns(self, inputs):
            return {}

        def activated_output(self, output):
            return output.square()

        def in_units(self, values, columns):
            return values

    members = [Network(Constant(value), ["x"]) for value in (1.0, 2.0, 3.0)]
    inputs = {"x": torch.zeros(2, 1)}
    mean, spread, *_ = Ensemble(members, Squares())(inputs)
    assert Ensemble.activated is True
    assert mean.tolist() == [[pytest.approx(14 / 3)]] * 2
    assert (
        spread.tolist()
        == [[pytest.approx(((1 + 16 + 81) / 3 - (14 / 3) ** 2) ** 0.5, rel=1e-6)]] * 2
    )
    assert Ensemble(members[:1], Squares())(inputs)[1] is None
    with pytest.raises(TrainingError, match="at least one"):
        Ensemble([], Squares())


@pytest.mark.parametrize(
    ("axes", "any_length"),
    [
        (None, True),
        ({}, True),
        ({"event": {0: "N"}}, True),
        ({"tracks": {0: "N", 2: "P"}}, True),
        ({"tracks": {0: "N"}}, False),
    ],
)
def test_inputs_take_any_length_unless_the_network_file_lists_them_without_axis_2(
    config, axes, any_length
):
    network = Network(nn.Identity(), ["event", "tracks"], info={"dynamic_axes": axes})
    assert network.takes_any_length(config) is any_length
