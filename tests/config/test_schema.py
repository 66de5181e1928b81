"""What a network file may ask of a configuration."""

import copy
import dataclasses
import pickle

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import InputGroup, Variable


def test_shapes_and_names_of_groups():
    group = InputGroup(name="pf_mask", variables=(Variable(name="a"), Variable(name="b")), length=7)
    assert (group.is_mask, group.names, group.shape) == (True, ["a", "b"], (-1, 2, 7))
    assert InputGroup(name="event", variables=(Variable(name="met"),)).shape == (-1, 1)


def test_a_configuration_has_weavers_properties_and_cannot_be_changed():
    config = from_mapping({"inputs": {"jets": {"length": 4, "vars": ["pt", ["eta", "auto"]]}}})
    assert (config.input_names, config.input_dicts, config.input_shapes) == (
        ["jets"],
        {"jets": ["pt", "eta"]},
        {"jets": (-1, 2, 4)},
    )
    assert (config.label_names, config.label_value, config.needs_statistics) == ([], [], True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.treename = "other"


def test_attributes_of_weavers_configuration_that_network_files_use():
    config = from_mapping(
        {
            "inputs": {
                "jets": {"length": 4, "pad_mode": "wrap", "vars": [["pt", 1, 2, -3, 4, -1]]},
                "event": {"length": None, "vars": ["met"]},
            },
            "labels": {"type": "simple", "value": ["a", "b"]},
            "observers": ["run", "truth?"],
        }
    )
    assert (config.label_type, config.observer_names) == ("simple", ("run", "truth"))
    pt = {
        "length": 4,
        "pad_mode": "wrap",
        "center": 1,
        "scale": 2,
        "min": -3,
        "max": 4,
        "pad_value": -1,
    }
    met = {
        "length": None,
        "pad_mode": "constant",
        "center": None,
        "scale": 1,
        "min": -5,
        "max": 5,
        "pad_value": 0,
    }
    assert config.preprocess_params == {"pt": pt, "met": met}


def test_params_that_are_written_read_back_the_same():
    values = {"inputs": {"jets": {"length": 4, "vars": [["pt", 1, 2, -3, 4, -1], ["eta", None]]}}}
    config = from_mapping(values)
    again = from_mapping(
        {
            "inputs": {"jets": {"length": 4, "vars": ["pt", "eta"]}},
            "preprocess": {"params": config.preprocess_params},
        }
    )
    assert again.inputs == config.inputs


def test_an_attribute_that_there_is_not_names_the_nearest():
    config = from_mapping({"inputs": {"jets": {"length": 4, "vars": ["pt"]}}})
    with pytest.raises(
        AttributeError,
        match=r"the data config has no attribute 'input_shape'; did you mean 'input_shapes'",
    ):
        _ = config.input_shape
    assert not hasattr(config, "train_load_branches")
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
