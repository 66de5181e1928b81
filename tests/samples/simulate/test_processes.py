"""What can be asked for."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.samples.simulate.processes import (
    LABELS,
    PROCESSES,
    X_LABELS,
    SampleSettings,
    sample_settings,
)


def test_every_process_has_a_class():
    classes = {name: kind.label for name, kind in PROCESSES.items() if not kind.is_calibration}
    assert classes == {
        "top": "label_Tbqq",
        "qcd": "label_QCD",
        "w": "label_Wqq",
        "z": "label_Zqq",
        "higgs-bb": "label_Hbb",
        "higgs-cc": "label_Hcc",
        "higgs-4q": "label_H4q",
        "x-bb": "label_Xbb",
        "x-cc": "label_Xcc",
        "x-qq": "label_Xqq",
        "dijet": "label_QCD",
    }
    # X is of none of the ten classes, and has its own
    assert set(classes.values()) <= {*LABELS, *X_LABELS}
    # pairs of jets to calibrate with are of no class
    assert PROCESSES["jets"].label == ""


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
        ({"process": "jets", "detector": True, "pileup": -1.0}, "--pileup must not be negative"),
        ({"process": "jets", "pileup": 20.0}, "add --detector"),
        ({"process": "jets", "without": ("field",)}, "switches off what --detector does"),
        ({"detector": True}, "--detector is for --process jets, got --process top"),
        ({"process": "jets", "parton_level": True}, "--parton-level is for large-radius jets"),
        ({"process": "w", "partial": True}, "--partial is for --process top, got --process w"),
        ({"mass_min": 20.0}, "are for --process x-bb or x-cc or x-qq, got --process top"),
        ({"process": "x-bb", "mass_min": 10.0}, "10.56 <= min < max <= 520, got 10 to 250 GeV"),
        ({"process": "x-cc", "mass_max": 3.0}, "3.74 <= min < max <= 520, got 15 to 3 GeV"),
        ({"process": "x-qq", "mass_min": 60.0, "mass_max": 60.0}, "got 60 to 60 GeV"),
        ({"process": "x-qq", "mass_max": 521.0}, "no jet of radius 0.8 below 650 GeV holds both"),
        ({"neutrinos": True}, "--neutrinos is for --process jets, got --process top"),
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        SampleSettings(**({"process": "top"} | wrong))


def test_each_process_has_its_defaults_and_what_is_given_wins():
    large = sample_settings("top", pt_min=None, radius=1.0)
    assert large == SampleSettings(process="top", radius=1.0)
    jets = sample_settings("jets", pt_max=None, pt_min=30.0)
    assert (jets.pt_min, jets.pt_max, jets.eta_max) == (30, 3000, 5)
    assert (jets.radius, jets.energy) == (0.4, 13_000)
    assert jets.pthat == pytest.approx((24, 4200))
    with pytest.raises(ConfigError, match="no process is called 'jet'; did you mean 'jets'"):
        sample_settings("jet")


def test_a_particle_x_has_masses_from_15_to_250_gev_unless_they_are_given():
    assert sample_settings("x-bb").masses == (15, 250)
    assert sample_settings("x-bb", mass_min=40.0, mass_max=None).masses == (40, 250)
    # few events for each mass
    assert sample_settings("x-bb").batch == 25


def test_jets_come_from_all_partons_light_and_heavy_quarks_in_turn():
    settings = [" ".join(PROCESSES["jets"].settings_of_block(block)) for block in range(4)]
    assert "HardQCD:all" in settings[0]
    assert "HardQCD:qq2qq" in settings[1]
    assert "HardQCD:hardbbbar" in settings[2]
    assert settings[3] == settings[0]
    # other processes have the same settings in each block
    top = PROCESSES["top"]
    assert top.settings_of_block(0) == top.settings_of_block(1) == top.settings
