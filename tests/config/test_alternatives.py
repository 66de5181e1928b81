"""Another data YAML for validation or prediction."""

import pytest
import yaml

from weaver_tt.config.alternatives import check_same_inputs, load_alternative
from weaver_tt.config.inputs import with_params
from weaver_tt.config.labels import with_class_number
from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import Variable
from weaver_tt.errors import ConfigError

YAML = {
    "inputs": {
        "jets": {"length": 4, "vars": [["pt", "auto"], ["eta", None]]},
        "event": {"length": None, "vars": [["met", 3, 2]]},
    },
    "labels": {"type": "simple", "value": ["isa", "isb"]},
}
TRAINED = with_params(
    from_mapping(YAML, "train.yaml"), {"pt": Variable(name="pt", center=50.0, scale=0.1)}, "print"
)


def other(tmp_path, **changes):
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump({**YAML, **changes}, sort_keys=False))
    return load_alternative(TRAINED, str(path))


def test_without_another_yaml_it_is_the_same():
    assert load_alternative(TRAINED, None) is TRAINED


def test_selection_and_observers_are_its_own_and_statistics_those_of_the_training(tmp_path):
    config = other(tmp_path, selection="met > 1", observers=["run"])
    assert config.selection.source == "met > 1"
    assert config.observers == ("run",)
    assert [(v.name, v.center, v.scale) for v in config.inputs["jets"].variables] == [
        ("pt", 50.0, 0.1),
        ("eta", None, 1.0),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {"jets": YAML["inputs"]["jets"]}}, "no group 'event', which train.yaml has"),
        (
            {"inputs": {**YAML["inputs"], "jets": {"length": 5, "vars": ["pt", "eta"]}}},
            r"pt, eta \(length 5\); train.yaml has pt, eta \(length 4\)",
        ),
        (
            {"inputs": {**YAML["inputs"], "jets": {"length": 4, "vars": ["eta", "pt"]}}},
            "inputs.jets: eta, pt",
        ),
        (
            {"inputs": dict(reversed(YAML["inputs"].items()))},
            "event, jets; train.yaml has jets, event, in this order",
        ),
        (
            {"labels": {"type": "simple", "value": ["isb", "isa"]}},
            "labels: isb, isa; train.yaml has isa, isb",
        ),
    ],
)
def test_a_network_must_fit_both(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        other(tmp_path, **changes)


def test_labels_of_several_kinds_must_agree_kind_by_kind():
    def config(*labels, source="train.yaml"):
        return from_mapping({**YAML, "labels": list(labels)}, source)

    classes = YAML["labels"]
    target = {"type": "custom", "value": {"y": "truth"}}
    tag = {"type": "per_object", "group": "jets", "value": ["tag"]}
    trained = config(classes, target, tag)
    check_same_inputs(trained, config(tag, classes, target))
    check_same_inputs(trained, from_mapping({**YAML, "labels": None}))
    for labels, message in [
        ([classes, tag], r"labels: none; train.yaml has y \(type custom\)"),
        (
            [classes, target, {**tag, "value": ["hit"]}],
            r"labels: hit; train.yaml has tag \(type per_object of group jets\)",
        ),
        (
            [classes, {"type": "custom", "value": {"y": "truth", "tag": "hit"}}],
            r"labels: y, tag; train.yaml has y \(type custom\)",
        ),
    ]:
        with pytest.raises(ConfigError, match=f"other.yaml: {message}"):
            check_same_inputs(trained, config(*labels, source="other.yaml"))


def test_what_the_network_said_about_a_label_holds_in_the_other_yaml_too(tmp_path):
    labels = {"type": "custom", "value": {"truth": "jet_label"}}
    trained = with_params(
        from_mapping({**YAML, "labels": labels}, "train.yaml"),
        {"pt": Variable(name="pt", center=50.0, scale=0.1)},
        "print",
    )
    trained = with_class_number(trained, ["a", "b", "c"])
    path = tmp_path / "other.yaml"
    for value in ("jet_label", "test_label - 1"):
        other_labels = {"type": "custom", "value": {"truth": value}}
        path.write_text(yaml.safe_dump({**YAML, "labels": other_labels}, sort_keys=False))
        found = load_alternative(trained, str(path)).labels
        assert list(found.classes) == ["a", "b", "c"]
        assert found.class_number["truth"].source == value


def test_derived_outputs_are_those_of_the_training(tmp_path):
    path = tmp_path / "other.yaml"
    derived = {"derived_outputs": {"ratio": "isa / (isb + met)"}}
    trained = from_mapping({**YAML, **derived}, "train.yaml")
    trained = with_params(trained, {"pt": Variable(name="pt", center=50.0, scale=0.1)}, "print")
    for values in (YAML, {**YAML, **derived}):
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        found = load_alternative(trained, str(path))
        assert found.derived_columns == {"ratio": ("met",)}
    path.write_text(yaml.safe_dump({**YAML, "derived_outputs": {"ratio": "isa"}}, sort_keys=False))
    with pytest.raises(ConfigError, match=r"derived_outputs: .*which belong to the network"):
        load_alternative(trained, str(path))
    # a name that is free in the one YAML may mean something in the other
    path.write_text(yaml.safe_dump({**YAML, "observers": ["ratio"]}, sort_keys=False))
    with pytest.raises(ConfigError, match=r"derived_outputs.ratio: 'ratio' is an observer already"):
        load_alternative(trained, str(path))


def test_how_targets_are_learnt_is_that_of_the_training(tmp_path):
    values = {
        "inputs": {"event": {"length": None, "vars": [["x", None]]}},
        "labels": {"type": "custom", "value": {"y": "a"}},
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(values))
    target = {"valid": "abs(y) < 1", "transform": {"standardised": {"mean": 2, "deviation": 3}}}
    values["task"] = {"name": "regression", "targets": {"y": target}}
    training = from_mapping(values, "train.yaml")
    other = load_alternative(training, str(tmp_path / "test.yaml"))
    assert other.targets == training.targets
    assert list(other.windows) == ["y"]
