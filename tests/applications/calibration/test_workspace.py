"""The model of a kinematic bin, as pyhf reads it."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.templates import Template
from weaver_tt.applications.calibration.workspace import make_workspace

CONTENTS = np.array([[10.0, 20.0], [30.0, 40.0]])
DATA = np.array([[50.0, 40.0], [30.0, 45.0]])


def make(name, rates, shifts=None):
    return Template(
        name=name, contents=CONTENTS, variances=CONTENTS**2, shifts=shifts or {}, rates=rates
    )


@pytest.fixture
def workspace():
    shifts = {"scale": (CONTENTS + 1, CONTENTS - 2)}
    templates = [make("top", {}, shifts), make("qcd", {"norm_qcd": 1.25})]
    return make_workspace(templates, DATA, {"scale": 0.5})


def modifiers(workspace, channel, sample):
    """Name -> (type, data) of a sample in a channel."""
    found = workspace["channels"][channel]["samples"][sample]["modifiers"]
    return {each["name"]: (each["type"], each["data"]) for each in found}


def test_regions_are_channels_with_their_data(workspace):
    assert [channel["name"] for channel in workspace["channels"]] == ["pass", "fail"]
    assert workspace["observations"] == [
        {"name": "pass", "data": [50.0, 40.0]},
        {"name": "fail", "data": [30.0, 45.0]},
    ]
    first, second = workspace["channels"][1]["samples"]
    assert (first["name"], second["name"]) == ("top", "qcd")
    assert first["data"] == [30.0, 40.0]


def test_a_free_category_has_a_normalisation_in_each_region(workspace):
    found = modifiers(workspace, 0, 0)
    assert found["top_pass"] == ("normfactor", None)
    assert found["scale"] == ("histosys", {"hi_data": [11.0, 21.0], "lo_data": [8.0, 18.0]})
    assert found["staterror_pass"] == ("staterror", [10.0, 20.0])
    assert "top_fail" in modifiers(workspace, 1, 0)


def test_a_category_with_a_rate_has_its_factor_and_one_over_it(workspace):
    found = modifiers(workspace, 1, 1)
    assert found["norm_qcd"] == ("normsys", {"hi": 1.25, "lo": 0.8})
    assert set(found) == {"norm_qcd", "staterror_fail"}


def test_a_parameter_counts_from_the_point_and_is_measured_where_the_simulation_is(workspace):
    config = workspace["measurements"][0]["config"]
    parameters = {each.pop("name"): each for each in config["parameters"]}
    # five standard deviations to both sides of the simulation
    assert parameters["scale"] == {"inits": [0.0], "auxdata": [-0.5], "bounds": [[-5.5, 4.5]]}
    # 90 jets of the data over 30 of the template, ten times; 75 over 70 are less than ten
    assert parameters["top_pass"] == {"inits": [1.0], "bounds": [[0.0, 30.0]]}
    assert parameters["top_fail"]["bounds"] == [[0.0, pytest.approx(10 * 75 / 70)]]
    assert config["poi"] == "top_pass"
