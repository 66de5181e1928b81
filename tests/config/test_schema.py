"""What a network file may ask of a configuration."""

import dataclasses

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import InputGroup, Variable


def test_shapes_and_names_of_groups():
    group = InputGroup(name="pf_mask", variables=(Variable(name="a"), Variable(name="b")), length=7)
    assert (group.is_mask, group.names, group.shape) == (True, ["a", "b"], (-1, 2, 7))
    assert InputGroup(name="event", variables=(Variable(name="met"),)).shape == (-1, 1)


def test_a_configuration_has_weavers_properties_and_cannot_be_changed():
    config = from_mapping({"inputs": {"jets": {"length": 4, "vars": ["pt", ["eta", "auto"]]}}})
    assert (config.input_names, config.input_dicts, config.input_shapes) == (["jets"], {"jets": ["pt", "eta"]}, {"jets": (-1, 2, 4)})
    assert (config.label_names, config.label_value, config.needs_statistics) == ([], [], True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.treename = "other"
