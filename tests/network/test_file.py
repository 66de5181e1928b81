"""A user's network file: imported, called with the options it names, its mistakes told."""

import sys
import warnings

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.options.literals import read_options


def test_options_become_python_literals_where_they_are_such():
    pairs = [
        ("hidden", "64"),
        ("head", "64,32"),
        ("rate", "1e-3"),
        ("name", "relu"),
        ("deep", "false"),
        ("norm", "None"),
        ("path", "a/b.c"),
    ]
    assert read_options(pairs) == {
        "hidden": 64,
        "head": (64, 32),
        "rate": 1e-3,
        "name": "relu",
        "deep": False,
        "norm": None,
        "path": "a/b.c",
    }


def test_the_options_reach_get_model(file, config, build):
    assert build(file, config, options=[("size", "11")]).unwrapped.first.out_features == 11


def test_an_unknown_option_names_the_nearest(file, config, build):
    with pytest.raises(
        ConfigError, match=r"options of get_model: unknown key 'sise'; did you mean 'size'"
    ):
        build(file, config, options=[("sise", "11")])


def test_an_option_of_another_kind_is_told_with_what_was_expected(file, config, build):
    with pytest.raises(
        ConfigError, match=r"linear\.py: network option size: expected a whole number, found 2\.5"
    ):
        build(file, config, options=[("size", "2.5")])


def test_a_missing_file_names_the_nearest(file, config):
    with pytest.raises(
        ConfigError, match=r"liner\.py: no such file; in .*: did you mean 'linear\.py'"
    ):
        NetworkFile(file.with_name("liner.py"))
    with pytest.raises(ConfigError, match="a folder"):
        NetworkFile(file.parent)
    with pytest.raises(ConfigError, match=r"nowhere.*no such file; in"):
        NetworkFile(file.parent / "nowhere" / "linear.py")


def test_a_users_error_passes_through(config, written):
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        written("import no_such_library\n")
    with pytest.raises(AttributeError, match="nothing_here"):
        written("def get_model(config):\n    return config.nothing_here\n").get_model(config, {})
    with pytest.raises(AttributeError, match="'int' object"):
        written("def get_loss(config):\n    return (1).mean\n").get_loss(config, {})


def test_without_get_model_the_error_names_the_nearest_function(config, written):
    with pytest.raises(ConfigError, match=r"no function get_model.*did you mean 'get_modell'"):
        written("def get_modell(config):\n    pass\n").get_model(config, {})


@pytest.mark.parametrize(
    ("returned", "described"),
    [
        ("nn.Identity()", "Identity"),
        ("(nn.Identity(), 3)", r"tuple of \(Identity, int\)"),
        ("None", "NoneType"),
    ],
)
def test_get_model_must_return_a_module_and_its_info(config, returned, described, written):
    network_file = written(f"from torch import nn\ndef get_model(config):\n    return {returned}\n")
    with pytest.raises(ConfigError, match=rf"must return \(module, model_info\).*not {described}"):
        network_file.get_model(config, {})


def test_input_names_must_be_groups_of_the_yaml(config, written):
    network_file = written(
        "from torch import nn\n"
        "def get_model(config):\n    return nn.Identity(), {'input_names': ['track']}\n",
    )
    with pytest.raises(
        ConfigError, match=r"no input group 'track' in data\.yaml; did you mean 'tracks'"
    ):
        network_file.get_model(config, {})


def test_loss_and_task_are_optional_and_get_the_options_they_know(config, written):
    network_file = written(
        "def get_loss(config, mu=1.0):\n    return mu\ndef get_model(config):\n    pass\n"
    )
    assert network_file.get_task(config, {"mu": 2.0}) is None
    assert network_file.get_loss(config, {"mu": 2.0, "hidden": 64}) == 2.0


@pytest.mark.parametrize("library", ["weaver_tt.weaver_compat.loops", "weaver.utils.nn.tools"])
def test_weavers_stock_loops_only_say_which_task_it_is(config, library, written):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(library)
        text = f"from {library} import train_regression, evaluate_regression\n"
        text += "def get_train_fn(config, **options):\n    return train_regression\n"
        text += "def get_evaluate_fn(config):\n    return evaluate_regression\n"
        network_file = written(text)
    network_file.check_loops(config, {"hidden": 1}, "regression")
    with pytest.raises(
        ConfigError,
        match=r"get_train_fn returns train_regression, "
        r"and the labels of data\.yaml make the task classification",
    ):
        network_file.check_loops(config, {}, "classification")


def test_loops_and_optimizers_of_a_files_own_are_refused(config, written):
    network_file = written("def mine():\n    pass\ndef get_train_fn(config):\n    return mine\n")
    with pytest.raises(
        ConfigError, match=r"get_train_fn returns a loop of its own, mine; .*write get_task"
    ):
        network_file.check_loops(config, {}, "classification")
    with pytest.raises(ConfigError, match="init_opt is not called here; --optimizer"):
        written("def init_opt(args, model):\n    pass\n").check_loops(config, {}, "classification")


def test_an_edited_file_is_imported_afresh(file, config, build, monkeypatch):
    # also in the second in which its bytecode was cached
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    NetworkFile(file)
    file.write_text(file.read_text().replace("size=3", "size=4"))
    assert build(file, config).unwrapped.first.out_features == 4
