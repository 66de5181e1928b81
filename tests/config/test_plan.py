"""What is read and computed, in which order, for training and prediction."""

import pytest

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan, with_extra_selection
from weaver_tt.errors import ConfigError

YAML = {
    "selection": "nice & (met > 1)",
    "test_time_selection": "met > 2",
    "object_selection": {"jets": "Jet_id > 0"},
    "new_variables": {
        "nice": "quality > 3",
        "logpt": "np.log(Jet_pt * scale)",
        "scale": "1 + shift",
        "shift": "Jet_shift",
        "target": "Jet_truth > 0",
        "unused": "Jet_unused * 2",
        "seen": "recorded + 1",
    },
    "file_magic": {"sample": {"ttbar": 1, "qcd": 0}},
    "inputs": {
        "jets": {"length": 4, "vars": ["logpt", "Jet_eta"]},
        "event": {"length": None, "vars": ["sample"]},
    },
    "labels": {"type": "per_object", "group": "jets", "value": {"tagged": "target"}},
    "event_weight": "genWeight",
    "observers": ["number", "seen", "truth?"],
    "monitor_variables": ["npv"],
}


def test_training_reads_labels_and_weight_but_no_observers():
    found = make_plan(from_mapping(YAML), "train")
    assert set(found.columns) == {
        "Jet_pt",
        "Jet_shift",
        "Jet_eta",
        "Jet_id",
        "npv",
        "quality",
        "met",
        "Jet_truth",
        "genWeight",
    }
    assert set(found.computed) == {"nice", "logpt", "scale", "shift", "target"}
    assert found.optional == frozenset()
    assert found.selection.source == "nice & (met > 1)"
    assert found.observers == ()


def test_prediction_reads_observers_and_can_do_without_labels_and_weight():
    found = make_plan(from_mapping(YAML), "predict")
    assert set(found.columns) == {
        "Jet_pt",
        "Jet_shift",
        "Jet_eta",
        "Jet_id",
        "npv",
        "met",
        "number",
        "recorded",
        "truth",
        "Jet_truth",
        "genWeight",
    }
    assert found.optional == {"truth", "Jet_truth", "genWeight", "target"}
    assert found.is_optional("target")
    assert not found.is_optional("seen")
    assert found.selection.source == "met > 2"
    assert found.observers == ("number", "seen", "truth")


def test_a_column_that_labels_share_with_inputs_is_not_optional():
    yaml = {
        "inputs": {"jets": {"length": 4, "vars": ["pt"]}},
        "labels": {"type": "custom", "value": {"y": "pt_sum + ak.sum(pt, axis=1)"}},
    }
    found = make_plan(from_mapping(yaml), "predict")
    assert (found.columns, found.optional) == (("pt", "pt_sum"), {"pt_sum"})


def test_without_its_own_selection_prediction_selects_as_training_does():
    yaml = {key: value for key, value in YAML.items() if key != "test_time_selection"}
    assert make_plan(from_mapping(yaml), "predict").selection.source == YAML["selection"]


def test_an_extra_selection_is_joined_with_the_own_one_of_its_purpose():
    config = from_mapping(
        {
            "inputs": {"event": {"length": None, "vars": ["x"]}},
            "selection": "(x > 0) | y",
            "test_time_selection": "y",
        },
        "d.yaml",
    )
    assert (
        with_extra_selection(config, "train", "z < 1").selection.source == "((x > 0) | y) & (z < 1)"
    )
    assert (
        with_extra_selection(config, "predict", "z < 1").test_time_selection.source
        == "(y) & (z < 1)"
    )
    assert make_plan(with_extra_selection(config, "train", "z < 1"), "train").columns == (
        "x",
        "y",
        "z",
    )
    assert with_extra_selection(config, "train", None) is config
    free = from_mapping({"inputs": {"event": {"length": None, "vars": ["x"]}}}, "d.yaml")
    assert with_extra_selection(free, "predict", "z < 1").test_time_selection.source == "z < 1"
    with pytest.raises(ConfigError, match=r"d\.yaml: extra selection"):
        with_extra_selection(config, "train", "z <")


def test_new_variables_come_after_what_they_are_made_of():
    computed = make_plan(from_mapping(YAML), "train").computed
    assert computed.index("shift") < computed.index("scale") < computed.index("logpt")
    assert dependency_order(from_mapping(YAML), ["logpt"]) == [
        "Jet_pt",
        "Jet_shift",
        "shift",
        "scale",
        "logpt",
    ]


@pytest.mark.parametrize(
    ("variables", "circle"),
    [
        ({"a": "b + 1", "b": "c", "c": "np.sqrt(a)"}, "a -> b -> c -> a is a circle"),
        ({"a": "a * 2"}, "a -> a is a circle"),
        ({"x": "a", "a": "b", "b": "a"}, "a -> b -> a is a circle"),
    ],
)
def test_a_circle_is_named_when_the_yaml_is_loaded_also_if_nothing_uses_it(variables, circle):
    with pytest.raises(ConfigError, match=circle):
        from_mapping({**YAML, "new_variables": {**YAML["new_variables"], **variables}})
