"""Labels of several kinds in one YAML: a list of sections, each as Weaver has it."""

from __future__ import annotations

import copy

import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.config.plan import make_plan
from weaver_tt.errors import ConfigError

INPUTS = {
    "jets": {"length": 2, "vars": ["pt"]},
    "tracks": {"length": 4, "vars": ["d0"]},
    "event": {"length": None, "vars": ["met"]},
}
CLASSES = {"type": "simple", "value": ["isb", "isl"]}
TARGETS = {"type": "custom", "value": {"y": "truth / met", "y_mask": "truth > 0", "z": "z"}}
TAGS = {"type": "per_object", "group": "jets", "value": {"tag": "score > 0.5"}}
FAKES = {"type": "per_object", "group": "tracks", "value": ["fake"]}
MIXED = [CLASSES, TARGETS, TAGS, FAKES]


def load(labels, **more):
    return from_mapping({"inputs": INPUTS, "labels": labels, **more}, "x.yaml")


def test_a_list_holds_sections_of_each_kind():
    labels = load(MIXED).labels
    assert list(labels.classes) == ["isb", "isl"]
    assert {name: value.source for name, value in labels.targets.items()} == TARGETS["value"]
    assert (labels.target_names, labels.masks) == (["y", "z"], {"y": "y_mask"})
    assert {group: list(value) for group, value in labels.object_targets.items()} == {
        "jets": ["tag"],
        "tracks": ["fake"],
    }
    assert labels.kind == "mixed"


def test_what_network_files_see_of_mixed_labels():
    # classes come first in whatever order the sections stand
    config = load(list(reversed(MIXED)))
    assert config.label_type == "mixed"
    assert config.label_names == ["_label_", "y", "y_mask", "z", "fake", "tag"]
    assert config.label_value == {
        "isb": "isb",
        "isl": "isl",
        "y": "truth / met",
        "y_mask": "truth > 0",
        "z": "z",
        "fake": "fake",
        "tag": "score > 0.5",
    }


@pytest.mark.parametrize(
    ("section", "kind", "names"),
    [
        (CLASSES, "simple", ["_label_"]),
        (TARGETS, "custom", ["y", "y_mask", "z"]),
        (TAGS, "per_object", ["tag"]),
    ],
)
def test_a_list_of_one_section_is_that_section(section, kind, names):
    for labels in (section, [section]):
        config = load(labels)
        assert (config.label_type, config.label_names) == (kind, names)
        assert list(config.label_value) == list(section["value"])


def test_two_groups_of_objects_are_mixed_labels_too():
    assert load([TAGS, FAKES]).label_type == "mixed"
    assert load([]).labels is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([CLASSES, {"typ": "custom"}], r"x.yaml: labels\[1\]: unknown key 'typ'.*'type'"),
        ([CLASSES, {"type": "costum"}], r"labels\[1\].type: expected simple.*'custom'"),
        ([CLASSES, ["y"]], r"labels\[1\]: expected keys with values, found \['y'\]"),
        ([CLASSES, None], r"labels\[1\].type: .*it is missing"),
        (
            [CLASSES, {"type": "custom", "value": {"y": "x +"}}],
            r"labels\[1\].value.y: not an expression",
        ),
        (
            [CLASSES, TARGETS, {"type": "simple", "value": ["isc"]}],
            r"labels\[2\]: labels of type simple come twice; write them in one section",
        ),
        ([TAGS, TAGS], r"labels\[1\]: labels of 'jets' come twice"),
        (
            [CLASSES, {"type": "custom", "value": {"isb": "truth"}}],
            "x.yaml: labels: 'isb' names two labels",
        ),
        ([TAGS, {**FAKES, "value": {"tag": "fake"}}], "labels: 'tag' names two labels"),
        (
            [CLASSES, {"type": "custom", "value": {"_label_": "truth"}}],
            "labels: '_label_' names two labels",
        ),
        ([CLASSES, {**TAGS, "group": None}], r"labels\[1\].group: expected one of .*jets, tracks"),
        ([{**TARGETS, "group": "jets"}], r"labels\[0\].group: only labels of type per_object"),
    ],
)
def test_what_contradicts_itself_is_named_with_its_section(labels, message):
    with pytest.raises(ConfigError, match=message):
        load(labels)


def test_a_pass_reads_the_columns_of_all_labels():
    config = load(MIXED)
    training = make_plan(config, "train")
    labels = {"isb", "isl", "truth", "z", "score", "fake"}
    assert set(training.columns) == labels | {"pt", "d0", "met"}
    assert training.optional == frozenset()
    assert make_plan(config, "predict").optional == labels


def test_targets_can_be_used_like_new_variables_and_classes_are_columns():
    config = load(MIXED, observers=["y", "tag"])
    assert set(config.new_variables) == {"y", "y_mask", "tag"}


def test_mixed_labels_come_back_from_the_saved_configuration(tmp_path):
    values = {"inputs": INPUTS, "labels": MIXED}
    config = from_mapping(copy.deepcopy(values), "x.yaml")
    path = str(tmp_path / "net.auto.yaml")
    save_config(config, path, {}, "abc-def")
    again = load_config(path)
    assert {part: list(labels) for part, labels in again.labels.parts.items()} == {
        ("simple", None): ["isb", "isl"],
        ("custom", None): ["y", "y_mask", "z"],
        ("per_object", "jets"): ["tag"],
        ("per_object", "tracks"): ["fake"],
    }
    assert again.label_value == config.label_value
