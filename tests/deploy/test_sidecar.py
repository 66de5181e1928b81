"""Side-cars of weaver_tt, weaver-core and CMS are read alike; malformed ones are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaver_tt.deploy.sidecar import Channel, make_sidecar, read_sidecar
from weaver_tt.errors import DataError

INFO = {"median": 2.0, "norm_factor": 3.0, "lower_bound": -5, "upper_bound": 5, "pad": 0}


def content_of(**changes: Any) -> dict[str, Any]:
    group = {"var_names": ["a", "b"], "var_infos": {"b": INFO, "a": INFO | {"median": 1}}}
    content: dict[str, Any] = {
        "output_names": ["x", "y"],
        "input_names": ["jets"],
        "jets": {**group, "var_length": 7},
    }
    content["jets"].update(changes)
    return content


def test_values_are_centred_scaled_and_clipped_and_nan_is_replaced_before() -> None:
    channel = Channel("a", center=2, scale=3, replacement=1.5, low=-5, high=5, pad=0)
    # (1 - 2) 3 = -3; (4 - 2) 3 = 6 -> 5; (-4 - 2) 3 -> -5; NaN, inf: (1.5 - 2) 3 = -1.5
    raw = np.array([1, 4, -4, np.nan, np.inf, -np.inf, 1e300])
    assert channel.prepare(raw).tolist() == [-3, 5, -5, -1.5, -1.5, -1.5, -1.5]


def test_channels_are_in_the_order_of_var_names() -> None:
    group = make_sidecar(content_of(), "p.json").groups["jets"]
    assert [(channel.name, channel.center) for channel in group.channels] == [("a", 1), ("b", 2)]
    assert (group.shortest, group.longest) == (7, 7)


def test_min_and_max_length_leave_the_number_of_objects_open() -> None:
    group = make_sidecar(content_of(min_length=0, max_length=9), "p.json").groups["jets"]
    # a tensor of no objects cannot be made
    assert (group.shortest, group.longest) == (1, 9)


@pytest.mark.parametrize(
    "names",
    [
        {"output_names": ["x", "y"]},
        {"output_names": {"x": 1, "y": 0}},
        {"flav_names": ["x", "y"]},
    ],
)
def test_output_names_may_be_a_list_or_an_object_and_have_either_key(names: dict[str, Any]) -> None:
    content = content_of()
    del content["output_names"]
    assert make_sidecar({**names, **content}, "p.json").output_names == ("x", "y")


def test_an_input_shape_says_how_many_objects_there_are_where_no_length_does() -> None:
    """(1, C, P, 1), as older files of CMS have it."""
    content = content_of(input_shape=[1, 2, 7, 1])
    assert make_sidecar(content, "p.json").groups["jets"].longest == content["jets"]["var_length"]
    del content["jets"]["var_length"]
    group = make_sidecar(content, "p.json").groups["jets"]
    assert (group.shortest, group.longest) == (7, 7)
    for shape, words in (([1, 2], "nor an input_shape"), ([1, 2, -1], r"input_shape\[2\]: exp")):
        content["jets"]["input_shape"] = shape
        with pytest.raises(DataError, match=rf"p\.json: jets.*{words}"):
            make_sidecar(content, "p.json")


def test_outputs_that_are_real_numbers_are_some_of_the_outputs() -> None:
    content = content_of() | {"output_names": ["is_b", "mass"], "target_names": ["mass"]}
    assert make_sidecar(content, "p.json").target_names == ("mass",)
    content["target_names"] = ["masss"]
    with pytest.raises(DataError, match="'masss' is none of output_names; did you mean 'mass'"):
        make_sidecar(content, "p.json")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"var_names": ["a", "c"]}, "jets: var_infos do not describe 'c'"),
        ({"var_names": "a"}, "jets.var_names: expected a list"),
        ({"var_length": -1}, "jets.var_length: expected at least 0"),
        ({"min_length": 9, "max_length": 2}, "jets: min_length is above max_length"),
        ({"var_infos": {"a": INFO, "b": INFO | {"median": None}}}, "jets.var_infos.b.median"),
        (
            {"var_infos": {"a": INFO, "b": INFO | {"lower_bound": 6}}},
            "jets: b: lower_bound is above upper_bound",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=r"p\.json") as caught:
        make_sidecar(content_of(**changes), "p.json")
    assert words in str(caught.value)


def test_a_missing_file_and_one_that_is_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"preprocess\.json: no such file"):
        read_sidecar(tmp_path / "preprocess.json")
    (tmp_path / "preprocess.json").write_text(json.dumps(content_of())[:-3])
    with pytest.raises(DataError, match="not JSON"):
        read_sidecar(tmp_path / "preprocess.json")
