"""preprocess.json makes C++ compute what training computed, and is never "auto" or null."""

import json
import logging

import numpy as np
import pytest

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.deploy.preprocess import LengthKeys, make_preprocess, warn_of_readers
from weaver_tt.errors import ConfigError


def config_of(*groups: InputGroup) -> DataConfig:
    return DataConfig(source="test.yaml", text="", inputs={group.name: group for group in groups})


def group(name: str, *variables: Variable, length: int | None = 5, **more) -> InputGroup:
    return InputGroup(name=name, variables=variables, length=length, **more)


def numbers(variable: Variable) -> dict[str, float]:
    content = make_preprocess(config_of(group("pf", variable)), ["pf"], ["out"], ["pf"])
    return content["pf"]["var_infos"][variable.name]


def test_a_scaled_variable_gives_its_numbers():
    assert numbers(Variable(name="x", center=1.5, scale=2.0, low=-3, high=4, pad=0.5)) == {
        "median": 1.5,
        "norm_factor": 2.0,
        "replace_inf_value": 0.0,
        "lower_bound": -3.0,
        "upper_bound": 4.0,
        "pad": 0.5,
    }


def test_a_raw_variable_is_neither_shifted_nor_clipped():
    assert numbers(Variable(name="x", low=-5, high=5)) == {
        "median": 0.0,
        "norm_factor": 1.0,
        "replace_inf_value": 0.0,
        "lower_bound": -1e32,
        "upper_bound": 1e32,
        "pad": 0.0,
    }


@pytest.mark.parametrize("raw", [3.0, -100.0, np.inf, np.nan])
def test_a_reader_computes_the_scale_step(raw):
    """clip((finite? - 1.5) * 2, -3, 4), non-finite as raw 0: (0 - 1.5) * 2 = -3."""
    info = numbers(Variable(name="x", center=1.5, scale=2.0, low=-4, high=4))
    finite = raw if np.isfinite(raw) else info["replace_inf_value"]
    value = np.clip(
        (finite - info["median"]) * info["norm_factor"], info["lower_bound"], info["upper_bound"]
    )
    assert value == {3.0: 3.0, -100.0: -4.0}.get(raw, -3.0)


def test_statistics_that_are_missing_are_an_error():
    with pytest.raises(ConfigError, match=r"test\.yaml: the center of 'x' is auto"):
        numbers(Variable(name="x", center="auto"))


def test_groups_and_names_are_in_order_and_lengths_by_their_kind():
    config = config_of(
        group("pf", Variable(name="b"), Variable(name="a")),
        group("sv", Variable(name="c"), length=3),
        group("e", Variable(name="d"), length=None),
    )
    content = make_preprocess(config, ["pf", "sv", "e"], ["b", "c"], ["pf"])
    assert content["output_names"] == ["b", "c"]
    assert content["input_names"] == ["pf", "sv", "e"]
    assert content["pf"]["var_names"] == ["b", "a"]
    lengths = {
        name: {key: value for key, value in content[name].items() if key.endswith("length")}
        for name in content["input_names"]
    }
    assert lengths == {
        "pf": {"var_length": 5, "min_length": 1, "max_length": 5},
        "sv": {"var_length": 3},
        "e": {"var_length": 1},
    }
    json.dumps(content, allow_nan=False)


def lengths_of(dynamic: list[str], keys: LengthKeys) -> dict[str, dict[str, int]]:
    config = config_of(
        group("pf", Variable(name="a")),
        group("sv", Variable(name="c"), length=3),
        group("e", Variable(name="d"), length=None),
    )
    content = make_preprocess(config, ["pf"], ["out"], dynamic, keys)
    return {
        name: {key: value for key, value in content[name].items() if key.endswith("length")}
        for name in config.inputs
    }


def test_groups_that_the_network_does_not_take_are_described_too():
    assert lengths_of(["pf"], "var_length") == {
        "pf": {"var_length": 5},
        "sv": {"var_length": 3},
        "e": {"var_length": 1},
    }


def test_lengths_of_all_groups_are_ranges_where_one_is():
    """A reader in which var_length wins would otherwise pad to the full length."""
    assert lengths_of(["pf"], "min_and_max") == {
        "pf": {"min_length": 1, "max_length": 5},
        "sv": {"min_length": 3, "max_length": 3},
        "e": {"min_length": 1, "max_length": 1},
    }
    assert lengths_of([], "min_and_max")["pf"] == {"var_length": 5}


def test_masks_are_variables_like_others():
    content = make_preprocess(
        config_of(group("pf_mask", Variable(name="one"))), ["pf_mask"], ["out"], []
    )
    assert content["pf_mask"]["var_infos"]["one"]["pad"] == 0.0


@pytest.mark.parametrize(
    ("suspect", "message"),
    [
        (
            group("pf", Variable(name="x", center=0.0), pad_mode="wrap"),
            "pf was trained with pad_mode wrap",
        ),
        (
            group("pf", Variable(name="x", center=0.0, pad=-9)),
            "'x' pads with -9, outside of its range",
        ),
    ],
)
def test_what_readers_cannot_do_is_warned_about(caplog, suspect, message):
    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        warn_of_readers(config_of(suspect))
    assert message in caplog.text


@pytest.mark.parametrize("pad", [-5, 0, 5])
def test_padding_up_to_the_bounds_is_what_readers_can_do(caplog, pad):
    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        warn_of_readers(config_of(group("pf", Variable(name="x", center=0.0, pad=pad))))
    assert caplog.text == ""
