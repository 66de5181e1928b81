"""Groups of inputs: every spelling of a variable, and numbers that make no sense."""

import logging

import pytest

from tests.cpu_time import cpu_seconds_below
from weaver_tt.config.inputs import read_inputs, read_params
from weaver_tt.config.schema import Variable
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError


def read(inputs, auto=False):
    return read_inputs(Section.of({"inputs": inputs}, "x.yaml").section("inputs"), auto)


def group(*variables, **more):
    return {"pf": {"length": 8, "vars": list(variables), **more}}


@pytest.mark.parametrize(
    ("spec", "auto", "expected"),
    [
        ("pt", False, Variable(name="pt")),
        ("pt", True, Variable(name="pt", center="auto")),
        (["pt"], True, Variable(name="pt", center="auto")),
        (["pt", None], True, Variable(name="pt")),
        (["pt", 1.5], False, Variable(name="pt", center=1.5)),
        (["pt", "auto"], False, Variable(name="pt", center="auto")),
        (
            ["pt", 1, 2, -3, 4, -1],
            True,
            Variable(name="pt", center=1, scale=2, low=-3, high=4, pad=-1),
        ),
        (["pt", "1e-3", None, None, 9], False, Variable(name="pt", center=0.001, high=9)),
    ],
)
def test_every_spelling_of_a_variable(spec, auto, expected):
    assert read(group(spec), auto)["pf"].variables == (expected,)


def test_groups_keep_the_order_of_the_yaml_and_have_weavers_shapes():
    groups = read(
        {
            "pf": {"length": 8, "pad_mode": "Wrap", "vars": ["b", "a"]},
            "event": {"length": None, "vars": ["met"]},
        }
    )
    assert list(groups) == ["pf", "event"]
    assert (groups["pf"].names, groups["pf"].shape, groups["pf"].pad_mode) == (
        ["b", "a"],
        (-1, 2, 8),
        "wrap",
    )
    assert groups["event"].shape == (-1, 1)


def test_masks_are_never_scaled(caplog):
    caplog.set_level(logging.WARNING, "weaver_tt")
    groups = read(
        {
            "pf_mask": {"length": 8, "vars": ["one", ["two", 5, 2]]},
            "pf": {"length": 8, "vars": ["jet_mask"]},
        },
        auto=True,
    )
    assert [variable.center for variable in groups["pf_mask"].variables] == [None, None]
    assert groups["pf"].variables[0].center is None
    assert "two: masks are never scaled" in caplog.text


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "x.yaml: inputs: no input group"),
        (group(), r"inputs.pf.vars: expected a list of variables, found \[\]"),
        ({"pf": {"length": 8}}, "inputs.pf.vars: expected a list of variables, found None"),
        (
            {"pf": {"lenght": 8, "vars": ["a"]}},
            "inputs.pf: unknown key 'lenght'; did you mean 'length'",
        ),
        (
            group("a", length=0),
            "inputs.pf.length: expected a whole number from 1 to 100000, "
            "or null for one value a row, found 0",
        ),
        (group("a", length=2.5), "inputs.pf.length: .* found 2.5"),
        (group("a", length=100_001), "inputs.pf.length: .* found 100001"),
        (
            group("a", pad_mode="edge"),
            "inputs.pf.pad_mode: expected constant or wrap; found 'edge'",
        ),
        (
            {"pf_mask": {"length": 8, "pad_mode": "wrap", "vars": ["a"]}},
            "inputs.pf_mask.pad_mode: a mask must be padded with a constant",
        ),
        (group("a", ["a", 1]), "inputs.pf.vars: 'a' is listed 2 times"),
        (group(["a", 0, 1, 5, -5]), "inputs.pf.vars: a: min 5 is above max -5"),
        (group(["a", 0, 0]), "a scale of 0"),
        (group(["a", "mean"]), "inputs.pf.vars.a.center: expected a number, found 'mean'"),
        (
            group(["a", 1, 2, 3, 4, 5, 6]),
            r"expected NAME or \[NAME, center, scale, min, max, pad\], found",
        ),
        (group({"a": 1}), "expected NAME or"),
        (
            {**group(["a", 1]), "sv": {"length": 2, "vars": [["a", 2]]}},
            "'a' is scaled in one way in 'pf' and in another in 'sv'",
        ),
    ],
)
def test_inputs_that_make_no_sense_are_named_with_their_place(inputs, message):
    with pytest.raises(ConfigError, match=message):
        read(inputs)


def test_names_that_are_listed_twice_are_found_among_very_many():
    names = [f"v{number}" for number in range(50_000)]
    # a comparison of all pairs takes minutes
    with cpu_seconds_below(5), pytest.raises(ConfigError, match="'v0' is listed 2 times"):
        read(group(*names, "v0"))


def test_a_pad_outside_the_range_is_warned_about(caplog):
    caplog.set_level(logging.WARNING, "weaver_tt")
    read(group(["a", 0, 1, -5, 5, -9]))
    assert "a: pad -9 is outside [-5, 5]" in caplog.text


def test_params_in_weavers_spelling_and_ours():
    groups = read(group("a", "b"), auto=True)
    entry = {"length": 8, "pad_mode": "constant", "center": 1.0, "scale": 2.0, "min": -3, "max": 3}
    found = read_params(
        Section.of(
            {"a": {**entry, "pad_value": -1}, "b": {**entry, "pad": -2}},
            "x.yaml: preprocess.params",
        ),
        groups,
    )
    assert found["a"] == Variable(name="a", center=1, scale=2, low=-3, high=3, pad=-1)
    assert found["b"].pad == -2
    for wrong, message in (
        ({"c": entry}, "no input variable 'c'"),
        (
            {"a": {**entry, "centre": 1}},
            "preprocess.params.a: unknown key 'centre'; did you mean 'center'",
        ),
        ({"a": {**entry, "length": 9}}, "params.a.length: 9 contradicts inputs, which have 8"),
        ({"a": {**entry, "min": 4}}, "params: a: min 4 is above max 3"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_params(Section.of(wrong, "x.yaml: preprocess.params"), groups)
