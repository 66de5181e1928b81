"""``names``: what classes and variables are called in figures and tables."""

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError

CONFIG = {
    "selection": "n_muons > 0",
    "new_variables": {"logpt": "np.log(jet_pt)"},
    "inputs": {"jet": {"length": None, "vars": ["logpt"]}},
    "labels": {"type": "simple", "value": ["top", "qcd"]},
    "observers": ["run", "jet_sdmass?"],
}


def named(**names):
    return from_mapping({**CONFIG, "names": names}, "jets.yaml").names


def test_classes_inputs_observers_and_what_they_are_made_of_have_names():
    names = {
        "top": r"$t \to bqq$",
        "logpt": "log $p_T$",
        "jet_pt": "jet $p_T$ [GeV]",
        "n_muons": "number of muons",
        "jet_sdmass": "$m_{SD}$ [GeV]",
        "jet": "the jet",
    }
    assert named(**names) == names


def test_without_the_key_everything_is_called_what_it_is():
    assert from_mapping(CONFIG).names == {}


def test_a_text_of_several_lines_is_one():
    assert named(top="top\n  quark") == {"top": "top quark"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"topp": "top"}, r"jets.yaml: names: nothing is called 'topp' here; did you mean 'top'"),
        ({"jet_sdmass?": "m"}, "did you mean 'jet_sdmass'"),
        ({"top": 3}, r"names.top: expected text, found 3"),
        ({"top": "$p_T"}, r"names.top: '\$p_T': a formula stands between two dollars"),
    ],
)
def test_what_cannot_be_a_name_is_refused(names, message):
    with pytest.raises(ConfigError, match=message):
        named(**names)
