"""What can be asked for."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.samples.simulate.processes import LABELS, PROCESSES, SampleSettings


def test_every_process_has_a_class_of_jetclass():
    assert {name: kind.label for name, kind in PROCESSES.items()} == {
        "top": "label_Tbqq",
        "qcd": "label_QCD",
        "w": "label_Wqq",
        "z": "label_Zqq",
        "higgs-bb": "label_Hbb",
        "dijet": "label_QCD",
    }
    assert {kind.label for kind in PROCESSES.values()} <= set(LABELS)


def test_the_window_in_pthat_follows_that_in_pt_unless_it_is_given():
    assert SampleSettings(process="top").pthat == pytest.approx((440, 910))
    assert SampleSettings(
        process="top", pt_min=100, pt_max=200, pthat_min=70
    ).pthat == pytest.approx((70, 280))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"process": "Top"}, "no process is called 'Top'; did you mean 'top'"),
        ({"pt_min": 700}, "20 <= min < max < beam energy, got 700 to 650"),
        ({"pt_max": 8000}, "got 550 to 8000"),
        ({"pthat_min": 1000}, "pTHat must obey 0 < min < max, got 1000 to 910"),
        ({"eta_max": 0}, "--eta-max must be above 0"),
        ({"radius": -1}, "--radius must be above 0"),
        ({"leading": 0}, "--leading must be above 0"),
        ({"seed": -1}, "--seed must not be negative"),
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        SampleSettings(**({"process": "top"} | wrong))
