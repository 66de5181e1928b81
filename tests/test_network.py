"""Network files, building, weights, ensembles, summaries."""

import ast
import pickle
import warnings

import pytest
import torch
from torch import nn

from weaver_tt.config.expressions import Expression
from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.network import Ensemble, Network, NetworkFile, build_network, network_options, network_summary
from weaver_tt.options import NetworkOptions

LINEAR = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.first = nn.Linear(2, size)
        self.last = nn.Linear(size, 1)

    def forward(self, tracks):
        return self.last(self.first(tracks.mean(2)))

def get_model(data_config, size=3):
    return Net(size), {"input_names": ["tracks"], "input_shapes": {}, "output_names": ["out"], "dynamic_axes": {}}
"""


@pytest.fixture
def config():
    groups = (
        InputGroup(name="event", variables=(Variable(name="met"),)),
        InputGroup(name="tracks", variables=(Variable(name="d0"), Variable(name="pt")), length=7),
    )
    target = Expression("x", ast.parse("x", mode="eval").body, frozenset({"x"}))
    return DataConfig(source="data.yaml", text="", inputs={group.name: group for group in groups}, labels=Labels(kind="custom", value={"x": target}))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "linear.py"
    path.write_text(LINEAR)
    return path


def written(tmp_path, text):
    path = tmp_path / "written.py"
    path.write_text(text)
    return NetworkFile(path)


def build(file, config, seed=None, options=()):
    return build_network(config, NetworkOptions(network_config=str(file), network_option=[list(pair) for pair in options]), "cpu", seed=seed)


def test_options_become_python_literals_where_they_are_such():
    pairs = [("hidden", "64"), ("head", "64,32"), ("rate", "1e-3"), ("name", "relu"), ("deep", "false"), ("norm", "None"), ("path", "a/b.c")]
    assert network_options(pairs) == {"hidden": 64, "head": (64, 32), "rate": 1e-3, "name": "relu", "deep": False, "norm": None, "path": "a/b.c"}


def test_a_network_is_called_by_input_name(file, config):
    network = build(file, config, seed=1)
    tracks = torch.randn(5, 2, 7)
    assert network.input_names == ["tracks"]
    assert network.activated is False
    assert torch.equal(network({"event": torch.zeros(5, 1), "tracks": tracks}), network.module(tracks))


def test_without_input_names_the_groups_of_the_yaml_are_given_in_their_order(tmp_path, config):
    network_file = written(tmp_path, "from torch import nn\ndef get_model(config):\n    return nn.Identity(), {}\n")
    assert network_file.get_model(config, {})[1]["input_names"] == ["event", "tracks"]


def test_of_a_tuple_the_first_entry_is_the_output():
    class Two(nn.Module):
        def forward(self, x):
            return x + 1, "attention"

    assert Network(Two(), ["x"])({"x": torch.zeros(1)}).item() == 1


def test_the_options_reach_get_model(file, config):
    assert build(file, config, options=[("size", "11")]).unwrapped.first.out_features == 11


def test_an_unknown_option_names_the_nearest(file, config):
    with pytest.raises(ConfigError, match=r"options of get_model: unknown key 'sise'; did you mean 'size'"):
        build(file, config, options=[("sise", "11")])


def test_a_seed_makes_the_initial_weights_and_leaves_the_global_state(file, config):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, again, other = (build(file, config, seed=seed).unwrapped.first.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_missing_file_names_the_nearest(file, config):
    with pytest.raises(ConfigError, match=r"liner\.py: no such file; in .*: did you mean 'linear\.py'"):
        NetworkFile(file.with_name("liner.py"))
    with pytest.raises(ConfigError, match="a folder"):
        NetworkFile(file.parent)
    with pytest.raises(ConfigError, match=r"nowhere.*no such file; in"):
        NetworkFile(file.parent / "nowhere" / "linear.py")


def test_a_users_error_passes_through(tmp_path, config):
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        written(tmp_path, "import no_such_library\n")
    with pytest.raises(AttributeError, match="nothing_here"):
        written(tmp_path, "def get_model(config):\n    return config.nothing_here\n").get_model(config, {})
    with pytest.raises(AttributeError, match="'int' object"):
        written(tmp_path, "def get_loss(config):\n    return (1).mean\n").get_loss(config, {})


def test_a_users_error_in_forward_passes_through(tmp_path, config):
    text = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        raise ValueError('of my own')\n"
    module, info = written(tmp_path, text + "def get_model(config):\n    return Net(), {'input_names': ['tracks']}\n").get_model(config, {})
    with pytest.raises(ValueError, match="of my own"):
        network_summary(Network(module, info["input_names"]), config)


def test_without_get_model_the_error_names_the_nearest_function(tmp_path, config):
    with pytest.raises(ConfigError, match=r"no function get_model.*did you mean 'get_modell'"):
        written(tmp_path, "def get_modell(config):\n    pass\n").get_model(config, {})


@pytest.mark.parametrize(
    ("returned", "described"), [("nn.Identity()", "Identity"), ("(nn.Identity(), 3)", r"tuple of \(Identity, int\)"), ("None", "NoneType")]
)
def test_get_model_must_return_a_module_and_its_info(tmp_path, config, returned, described):
    network_file = written(tmp_path, f"from torch import nn\ndef get_model(config):\n    return {returned}\n")
    with pytest.raises(ConfigError, match=rf"must return \(module, model_info\).*not {described}"):
        network_file.get_model(config, {})


def test_input_names_must_be_groups_of_the_yaml(tmp_path, config):
    network_file = written(tmp_path, "from torch import nn\ndef get_model(config):\n    return nn.Identity(), {'input_names': ['track']}\n")
    with pytest.raises(ConfigError, match=r"no input group 'track' in data\.yaml; did you mean 'tracks'"):
        network_file.get_model(config, {})


def test_loss_and_task_are_optional_and_get_the_options_they_know(tmp_path, config):
    network_file = written(tmp_path, "def get_loss(config, mu=1.0):\n    return mu\ndef get_model(config):\n    pass\n")
    assert network_file.get_task(config, {"mu": 2.0}) is None
    assert network_file.get_loss(config, {"mu": 2.0, "hidden": 64}) == 2.0


@pytest.mark.parametrize("library", ["weaver_tt.stand_ins.loops", "weaver.utils.nn.tools"])
def test_weavers_stock_loops_only_say_which_task_it_is(tmp_path, config, library):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(library)
        text = f"from {library} import train_regression, evaluate_regression\n"
        text += "def get_train_fn(config, **options):\n    return train_regression\ndef get_evaluate_fn(config):\n    return evaluate_regression\n"
        network_file = written(tmp_path, text)
    network_file.check_loops(config, {"hidden": 1}, "regression")
    with pytest.raises(ConfigError, match=r"get_train_fn returns train_regression, and the labels of data\.yaml make the task classification"):
        network_file.check_loops(config, {}, "classification")


def test_loops_and_optimisers_of_a_files_own_are_refused(tmp_path, config):
    network_file = written(tmp_path, "def mine():\n    pass\ndef get_train_fn(config):\n    return mine\n")
    with pytest.raises(ConfigError, match=r"get_train_fn returns a loop of its own, mine; .*write get_task"):
        network_file.check_loops(config, {}, "classification")
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match="init_opt is not called here; --optimizer"):
        written(tmp_path / "other", "def init_opt(args, model):\n    pass\n").check_loops(config, {}, "classification")


def test_a_network_pickles_and_its_file_is_imported_once(file, config):
    module = build(file, config, seed=1).unwrapped
    copy = pickle.loads(pickle.dumps(module))
    assert type(copy) is type(module) is type(build(file, config).unwrapped)
    assert torch.equal(copy.first.weight, module.first.weight)


def test_an_edited_file_is_imported_afresh(file, config):
    NetworkFile(file)
    file.write_text(LINEAR.replace("size=3", "size=4"))
    assert build(file, config).unwrapped.first.out_features == 4


def test_bare_is_the_module_without_the_wrappers(file, config):
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
        def activate(self, output):
            return output.square()

    members = [Network(Constant(value), ["x"]) for value in (1.0, 2.0, 3.0)]
    inputs = {"x": torch.zeros(2, 1)}
    mean, spread = Ensemble(members, Squares())(inputs)
    assert Ensemble.activated is True
    assert mean.tolist() == [[pytest.approx(14 / 3)]] * 2
    assert spread.tolist() == [[pytest.approx(((1 + 16 + 81) / 3 - (14 / 3) ** 2) ** 0.5, rel=1e-6)]] * 2
    assert Ensemble(members[:1], Squares())(inputs)[1] is None
    with pytest.raises(TrainingError, match="at least one"):
        Ensemble([], Squares())


def test_a_summary_counts_parameters_and_flops_without_data(file, config):
    network = build(file, config).train()
    text = network_summary(network, config)
    assert "parameters    13 (13 trainable)" in text  # 2*3+3 + 3*1+1
    assert "FLOPs         18 forward, for one row with 7 objects in tracks" in text  # 2 * (2*3 + 3*1)
    assert "input         tracks (N, 2, 7)" in text
    assert "output        (N, 1)" in text
    assert network.unwrapped.training is True


@pytest.mark.parametrize(
    ("axes", "any_length"),
    [(None, True), ({}, True), ({"event": {0: "N"}}, True), ({"tracks": {0: "N", 2: "P"}}, True), ({"tracks": {0: "N"}}, False)],
)
def test_inputs_take_any_length_unless_the_network_file_lists_them_without_axis_2(config, axes, any_length):
    network = Network(nn.Identity(), ["event", "tracks"], info={"dynamic_axes": axes})
    assert network.takes_any_length(config) is any_length


def test_a_part_that_is_called_with_a_parameter_is_summed_up_too(config):
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 2))
            self.last = nn.Linear(2, 1)

        def forward(self, tracks):
            return self.last(self.token) + tracks.sum((1, 2)).unsqueeze(1)

    assert "FLOPs         4 forward" in network_summary(Network(Token(), ["tracks"]), config)  # 2 * 2 * 1
