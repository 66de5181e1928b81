"""Discriminants are shares of classes and groups of them."""

import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.config.schema import Discriminant
from weaver_tt.errors import ConfigError

FLAVOURS = {
    "inputs": {"jet": {"length": None, "vars": ["jet_pt"]}},
    "labels": {"type": "simple", "value": ["bcq", "bqq", "bb", "light"]},
}
GROUPS = {"top": ["bcq", "bqq"], "QCD": ["bb", "light"]}


def config(**discriminants):
    return from_mapping({**FLAVOURS, "discriminants": discriminants}, "jets.yaml")


def test_groups_stand_for_the_sum_of_their_classes():
    found = config(**GROUPS, TvsQCD="top / (top + QCD)", TvsB="(bcq + bqq) / (top + bb)")
    assert found.discriminants == {
        "TvsQCD": Discriminant(signal=("bcq", "bqq"), background=("bb", "light")),
        "TvsB": Discriminant(signal=("bcq", "bqq"), background=("bb",)),
    }
    # they leave as derived outputs do; a group is none
    assert {name: one.source for name, one in found.derived_outputs.items()} == {
        "TvsQCD": "(bcq + bqq) / (bcq + bqq + bb + light)",
        "TvsB": "(bcq + bqq) / (bcq + bqq + bb)",
    }
    assert found.derived_inputs is None


def test_a_group_may_stand_below_what_names_it_and_derived_outputs_come_first():
    values = {
        **FLAVOURS,
        "derived_outputs": {"b": "bcq + bb"},
        "discriminants": {"TvsQCD": "top / (top + QCD)", **GROUPS},
    }
    found = from_mapping(values, "jets.yaml")
    assert list(found.derived_outputs) == ["b", "TvsQCD"]


def test_the_yaml_that_a_training_writes_has_them(tmp_path):
    found = config(**GROUPS, TvsQCD="top / (top + QCD)")
    save_config(found, str(tmp_path / "auto.yaml"), {})
    again = load_config(str(tmp_path / "auto.yaml"))
    assert again.discriminants == found.discriminants
    assert list(again.derived_outputs) == ["TvsQCD"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"TvsQCD": "tip / (top + QCD)"},
            r"discriminants.TvsQCD: no class or group 'tip'; .*'top'",
        ),
        ({"top": ["bcq", "bqx"]}, r"discriminants.top: no class 'bqx'; did you mean 'bqq'"),
        ({"T": "top / 0"}, "'0' is no sum; expected SUM / SUM of classes and groups"),
        ({"T": "top / (top - top)"}, "'top - top' is no sum"),
        ({"T": "top / (2 * top + QCD)"}, r"'2 \* top' is no sum"),
        ({"T": "top / QCD"}, "'bcq' is above the line and not below it"),
        ({"T": "top / top"}, "is 1 for all rows: no class is below the line alone"),
        ({"T": "top + QCD"}, "expected SUM / SUM"),
        ({"T": "top / (top + QCD + bb)"}, "'bb' is counted twice"),
        ({"top": ["bcq", "bcq"]}, "'bcq' is counted twice"),
        ({"top": []}, "a group has one class at least"),
        ({"bb": ["bb", "light"]}, "'bb' is a class; choose another name"),
        ({"T/QCD": "top / (top + QCD)"}, "cannot be the name of a column"),
        ({"jet_pt": "top / (top + QCD)"}, "'jet_pt' is a column already"),
    ],
)
def test_what_is_no_share_of_classes_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=rf"jets\.yaml: .*{message}"):
        config(**{**GROUPS, **wrong})


def test_they_need_classes_and_a_name_that_no_derived_output_has():
    regression = {**FLAVOURS, "labels": {"type": "custom", "value": {"y": "jet_pt"}}}
    with pytest.raises(ConfigError, match="discriminants: they are made of scores of classes"):
        from_mapping({**regression, "discriminants": {"T": "y / y"}}, "jets.yaml")
    twice = {"derived_outputs": {"T": "bb"}, "discriminants": {"T": "bb / (bb + light)"}}
    with pytest.raises(ConfigError, match="'T' is a derived output already"):
        from_mapping({**FLAVOURS, **twice}, "jets.yaml")
