"""A data YAML becomes a DataConfig, or an error that names file, key and what was meant."""

import pickle
from pathlib import Path

import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.config.schema import Variable
from weaver_tt.errors import ConfigError

TEXT = """
treename: tree
selection: (met > 20) & is_good
new_variables:
   jet_logpt: np.log(Jet_pt)
   Jet_same: Jet_same
preprocess:
  method: auto
  data_fraction: 0.5
inputs:
   pf_points:
      length: 16
      pad_mode: wrap
      vars:
         - [Jet_eta, null]
         - [Jet_phi, null]
   pf_features:
      length: 16
      vars:
         - jet_logpt
         - [Jet_mass, 10, 0.1, -1, 1, 0]
   pf_mask:
      length: 16
      pad_mode: constant
      vars: [[jet_one, null]]
labels:
   type: simple
   value: [is_b, is_c]
observers:
   - event_no
   - truth?
weights:
   use_precomputed_weights: false
   reweight_method: flat
   reweight_vars: {Jet_pt: [0, 1, 2], Jet_mass: [0, 1]}
   reweight_classes: [is_b, is_c]
"""
MINIMAL = {"inputs": {"jets": {"length": 4, "vars": ["jet_pt"]}}}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "data.yaml").write_text(TEXT)
    return load_config(str(tmp_path / "data.yaml"))


def load(**changes):
    return from_mapping({**MINIMAL, **changes}, "x.yaml")


def test_a_weaver_yaml_is_understood(config):
    assert config.treename == "tree"
    assert config.input_names == ["pf_points", "pf_features", "pf_mask"]
    assert config.input_dicts["pf_points"] == ["Jet_eta", "Jet_phi"]
    assert config.input_shapes["pf_features"] == (-1, 2, 16)
    assert config.inputs["pf_points"].pad_mode == "wrap"
    assert config.inputs["pf_features"].variables == (
        Variable(name="jet_logpt", center="auto"),
        Variable(name="Jet_mass", center=10, scale=0.1, low=-1, high=1),
    )
    assert (config.label_names, config.label_value) == (["_label_"], ["is_b", "is_c"])
    assert (config.observers, config.optional_observers) == (("event_no",), ("truth",))
    assert list(config.new_variables) == ["jet_logpt"]  # Jet_same is the column itself
    assert config.needs_statistics
    assert config.text == TEXT
    assert config.weights.classes == {"is_b": 1.0, "is_c": 1.0}


def test_a_config_can_be_sent_to_worker_processes(config):
    again = pickle.loads(pickle.dumps(config))
    assert again.inputs == config.inputs
    assert again.selection.source == config.selection.source


def test_params_are_written_into_the_users_yaml_and_read_back_as_numbers(config, tmp_path):
    path = str(tmp_path / "models" / "net.auto.yaml")
    save_config(
        config,
        path,
        {"jet_logpt": Variable(name="jet_logpt", center=1.25, scale=0.3, low=-4)},
        "abc-def",
    )
    again = load_config(path)
    assert not again.needs_statistics
    assert again.inputs["pf_features"].variables[0] == Variable(
        name="jet_logpt", center=1.25, scale=0.3, low=-4
    )
    assert again.inputs["pf_points"] == config.inputs["pf_points"]
    assert again.inputs["pf_features"].variables[1] == config.inputs["pf_features"].variables[1]
    assert (
        again.preprocess.method,
        again.preprocess.data_fraction,
        again.preprocess.fingerprint,
    ) == ("auto", 0.5, "abc-def")
    assert (again.selection.source, again.observers, again.weights) == (
        config.selection.source,
        config.observers,
        config.weights,
    )


def test_an_auto_yaml_that_weaver_wrote_is_read():
    entry = {
        "length": 4,
        "pad_mode": "constant",
        "center": 3.5,
        "scale": 0.25,
        "min": -5,
        "max": 5,
        "pad_value": 0,
    }
    config = load(
        preprocess={"method": "auto", "data_fraction": 0.1, "params": {"jet_pt": entry}},
        weights=None,
        observers=[],
        bucketing=None,
    )
    assert config.inputs["jets"].variables == (Variable(name="jet_pt", center=3.5, scale=0.25),)
    assert not config.needs_statistics


def test_object_selection_filters_the_collections_of_the_groups_variables():
    inputs = {"jets": {"length": 4, "vars": ["x", "jet_eta"]}}
    short = load(
        new_variables={"x": "np.log(Jet_pt) * area"},
        inputs=inputs,
        object_selection={"jets": "x > 2"},
    )
    assert set(short.objects["jets"].columns) == {"Jet_*", "Jet_pt", "area", "jet_*", "jet_eta"}
    long = load(object_selection={"jets": {"selection": "jet_pt > 20", "columns": ["jet_*"]}})
    assert (long.objects["jets"].expression.source, long.objects["jets"].columns) == (
        "jet_pt > 20",
        ("jet_*",),
    )


def test_an_index_of_other_objects_into_a_group_is_not_filtered_with_it():
    variables = {"lepton": "ak.num(_reindex(Electron_jetIdx, jets_original_index)) + 0 * Jet_pt"}
    config = load(
        new_variables=variables,
        inputs={"jets": {"length": 4, "vars": ["lepton", "jets_original_index"]}},
        object_selection={"jets": "Jet_pt > 20"},
    )
    assert config.objects["jets"].columns == ("Jet_*", "Jet_pt")


def test_task_event_weight_and_monitors():
    config = load(
        task={"name": "object_efficiency", "mu": 2},
        event_weight="genWeight / 2",
        monitor_variables=["npv"],
    )
    assert (config.task.name, config.task.options) == ("object_efficiency", {"mu": 2})
    assert config.event_weight.source == "genWeight / 2"
    assert load(task="regression").task.name == "regression"
    assert config.monitor_variables == ("npv",)


def test_own_functions_may_be_called(tmp_path):
    (tmp_path / "own.py").write_text("def double(x):\n    return 2 * x\n")
    config = from_mapping(
        {**MINIMAL, "selection": "double(met) > 3"},
        "x.yaml",
        custom_functions=str(tmp_path / "own.py"),
    )
    assert config.selection.names == {"met"}
    assert config.custom_functions == str(tmp_path / "own.py")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selections": "pt > 1"}, "x.yaml: unknown key 'selections'; did you mean 'selection'"),
        (
            {"preprocess": {"methods": "auto"}},
            "x.yaml: preprocess: unknown key 'methods'; did you mean 'method'",
        ),
        (
            {"preprocess": {"method": "automatic"}},
            "preprocess.method: expected manual or auto; found 'automatic'",
        ),
        (
            {"preprocess": {"data_fraction": 0}},
            "preprocess.data_fraction: expected a share above 0",
        ),
        (
            {"new_variables": {"unused": "open('x')"}},
            "x.yaml: new_variables.unused: no function 'open'",
        ),
        (
            {"object_selection": {"jet": "pt > 1"}},
            "object_selection: no input group 'jet' with a length; did you mean 'jets'",
        ),
        (
            {"object_selection": {"jets": {"columns": ["jet_*"]}}},
            "object_selection.jets: expected an expression",
        ),
        (
            {"object_selection": {"jets": {"selection": "pt > 1", "column": []}}},
            "object_selection.jets: unknown key 'column'",
        ),
        ({"branch_magic": {"a": 1}}, "branch_magic.a: expected text, found 1"),
        ({"file_magic": {"a": {"(": 1}}}, "file_magic.a: '\\(' is not a regular expression"),
        ({"file_magic": {"a": {"x": "one"}}}, "file_magic.a.x: expected a number, found 'one'"),
        (
            {"weights": {"reweight_methods": "flat"}},
            "weights: unknown key 'reweight_methods'; did you mean 'reweight_method'",
        ),
        (
            {"weights": {"reweight_basewgt": "exec('1')"}},
            "weights.reweight_basewgt: no function 'exec'",
        ),
        ({"bucketing": {"vars": "n"}}, "bucketing: unknown key 'vars'; did you mean 'var'"),
        ({"report": {"truept": "gen_pt"}}, "report: unknown key 'truept'; did you mean 'true_pt'"),
        ({"report": {"rho": "exec('1')"}}, "report.rho: no function 'exec'"),
        ({"task": {"mu": 1}}, "task.name: expected the name of a task"),
        ({"treename": 5}, "treename: expected text, found 5"),
        ({"observers": ["a", "a"]}, "observers: 'a' is listed 2 times"),
        ({"inputs": None}, "inputs: no input group"),
    ],
)
def test_what_cannot_be_done_is_named_with_its_key(changes, message):
    with pytest.raises(ConfigError, match=message):
        load(**changes)


def test_a_file_that_is_not_there_or_not_yaml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: no such file"):
        load_config(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("inputs:\n  - [1\n")
    with pytest.raises(ConfigError, match=r"bad.yaml, line 3"):
        load_config(str(tmp_path / "bad.yaml"))
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(ConfigError, match="no input group"):
        load_config(str(tmp_path / "empty.yaml"))


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parents[2] / "data_configs").glob("*.yaml")),
    ids=lambda path: path.stem,
)
def test_every_worked_example_loads(path):
    assert load_config(str(path)).inputs
