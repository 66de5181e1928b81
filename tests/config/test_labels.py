"""The labels of a YAML: one section as Weaver has it, or a list of sections of several kinds."""

from __future__ import annotations

import copy

import pytest

from weaver_tt.config.labels import may_be_class_number, with_class_number
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


def one_group(**changes):
    inputs = {"jets": {"length": 4, "vars": ["jet_pt"]}}
    return from_mapping({"inputs": inputs, **changes}, "x.yaml")


# --- one section


def test_labels_of_each_type():
    custom = one_group(
        labels={
            "type": "custom",
            "value": {"mass": "np.log(gen_mass)", "mass_mask": "gen_mass > 0"},
        }
    )
    assert custom.label_names == ["mass", "mass_mask"]
    assert custom.label_value == {"mass": "np.log(gen_mass)", "mass_mask": "gen_mass > 0"}
    objects = one_group(labels={"type": "per_object", "value": ["jet_istag"]})
    assert list(objects.labels.object_targets) == ["jets"]
    assert objects.label_value == {"jet_istag": "jet_istag"}
    assert one_group().labels is None


def test_a_label_with_its_own_name_can_be_used_like_a_new_variable():
    config = one_group(
        labels={"type": "custom", "value": {"target": "gen_mass * 2", "gen_pt": "gen_pt"}},
        observers=["target"],
    )
    assert config.new_variables["target"].source == "gen_mass * 2"
    assert "gen_pt" not in config.new_variables


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"type": "simple", "values": ["a"]},
            "labels: unknown key 'values'; did you mean 'value'",
        ),
        (
            {"value": ["a"]},
            "labels.type: expected simple or custom or per_object; it is missing",
        ),
        (
            {"type": "simple", "value": ["a", "a"]},
            "labels.value: 'a' is listed 2 times",
        ),
        ({"type": "simple", "value": []}, "labels.value: expected at least one label"),
        (
            {"type": "simple", "value": {"a": "b"}},
            "labels.value: expected a list of names",
        ),
        (
            {"type": "simple", "value": ["a"], "group": "jets"},
            "labels.group: only labels of type per_object",
        ),
        (
            {"type": "per_object", "value": ["a"], "group": "jet"},
            "labels.group: .* found 'jet'; did you mean 'jets'",
        ),
        (
            {"type": "custom", "value": {"a": "np.load('x')"}},
            "x.yaml: labels.value.a: np.load is not allowed",
        ),
    ],
)
def test_what_a_section_cannot_say_is_named_with_its_key(labels, message):
    with pytest.raises(ConfigError, match=message):
        one_group(labels=labels)


def test_several_groups_need_to_be_told_which_one_is_labelled():
    inputs = {
        "jets": {"length": 4, "vars": ["a"]},
        "tracks": {"length": 4, "vars": ["b"]},
        "jets_mask": {"length": 4, "vars": ["c"]},
    }
    message = (
        r"labels.group: expected one of the input groups with a length \(jets, tracks\); "
        "it is missing"
    )
    with pytest.raises(ConfigError, match=message):
        from_mapping({"inputs": inputs, "labels": {"type": "per_object", "value": ["y"]}})


# --- a list of sections


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


# --- the number of a class


@pytest.mark.parametrize(
    ("classes", "names"),
    [(["qcd", "hbb", "hcc"], ["qcd", "hbb", "hcc"]), (3, ["truth_0", "truth_1", "truth_2"])],
)
def test_a_label_may_be_the_number_of_a_class(classes, names):
    labels = {"type": "custom", "value": {"truth": "jet_label - 1"}, "classes": classes}
    config = load(labels)
    assert config.label_type == "simple"
    assert config.label_names == ["_label_"]
    assert config.label_value == names
    assert config.labels.classes[names[2]].source == "(jet_label - 1) == 2"
    assert config.new_variables["truth"].source == "jet_label - 1"
    assert "jet_label" in make_plan(config, "train").columns
    # beside targets, in a list of sections
    assert load([labels, TARGETS]).label_names == ["_label_", "y", "y_mask", "z"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"value": ["truth"], "classes": 1}, "labels.classes: expected two classes at least"),
        ({"value": ["truth"], "classes": ["a"]}, "expected two classes at least"),
        ({"value": ["truth"], "classes": True}, "expected a list of names, found True"),
        ({"value": ["truth"], "classes": ["a", "a"]}, "'a' is listed 2 times"),
        ({"value": ["truth"], "classes": ["a", "truth"]}, "'truth' is the number of the class"),
        ({"value": ["a", "b"], "classes": 2}, "only one label of type custom.*found 2 of type"),
        ({"type": "simple", "value": ["a"], "classes": 2}, "found 1 of type simple"),
        ({"type": "per_object", "value": ["a"], "group": "jets", "classes": 2}, "classes"),
    ],
)
def test_what_can_be_no_number_of_a_class_is_refused(labels, message):
    with pytest.raises(ConfigError, match=message):
        load({"type": "custom", **labels})


def test_weights_may_name_the_values_of_a_label():
    labels = {"type": "custom", "value": {"truth": "jet_label"}, "classes": ["qcd", "top"]}
    weights = {
        "reweight_method": "flat",
        "reweight_vars": {"met": [0, 1, 2]},
        "reweight_classes": ["qcd", "top"],
    }
    config = load(labels, weights=weights)
    assert config.new_variables["top"].source == "(jet_label) == 1"
    plan = make_plan(config, "train")
    assert "jet_label" in plan.columns
    assert "top" not in plan.columns
    # a class that nothing else needs is no variable
    assert "top" not in load(labels).new_variables


def test_a_label_becomes_the_number_of_a_class_where_the_network_says_so():
    config = load({"type": "custom", "value": {"truth": "jet_label"}})
    assert may_be_class_number(config.labels)
    numbered = with_class_number(config, ["a", "b"])
    assert numbered.label_type == "simple"
    assert numbered.label_value == ["a", "b"]
    assert numbered.labels.class_number == config.labels.targets
    assert numbered.labels.classes["b"].source == "(jet_label) == 1"
    for labels in (CLASSES, TARGETS, TAGS, MIXED, None):
        assert not may_be_class_number(load(labels).labels)
