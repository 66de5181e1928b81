"""Pseudo-data have the scale factors and the flavours that their YAML says."""

import math

import awkward as ak
import numpy as np
import pytest
from scipy import stats

from weaver_tt.applications.truth_tagging import toy
from weaver_tt.applications.truth_tagging.distortion import load_distortion
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.physics.angles import delta_r

TWO_JETS = {
    "pt": np.array([50.0, 300.0]),
    "eta": np.array([-0.5, 1.5]),
    "phi": np.array([0.0, 1.0]),
    "delta_r": np.array([0.5, 1.0]),
    "jets": np.array([2.0, 3.0]),
}


@pytest.fixture
def load(tmp_path):
    """The distortion of a text of YAML."""

    def load_text(text):
        path = tmp_path / "distort.yaml"
        path.write_text(text)
        return load_distortion(str(path))

    return load_text


def test_the_factor_of_all_jets_times_that_of_the_flavour(load):
    distortion = load("scale_factors: {all: 1 - 0.2 * np.exp(-delta_r), b: 0.9, c: pt / 100}")
    factors = distortion.scale_factors(TWO_JETS, np.array([5, 0]))
    assert factors == pytest.approx([0.9 * (1 - 0.2 * math.exp(-0.5)), 1 - 0.2 * math.exp(-1)])
    charm = distortion.scale_factors(TWO_JETS, np.array([4, 4]))
    assert charm == pytest.approx([0.5 * (1 - 0.2 * math.exp(-0.5)), 3 * (1 - 0.2 / math.e)])


def test_bins_of_two_variables_and_jets_outside_of_them(load):
    distortion = load(
        """
        scale_factors:
          light:
            pt: [20, 100, 200]
            eta: [-1, 0, 1]
            values: [[1.1, 1.2], [1.3, 1.4]]
        """
    )
    assert distortion.scale_factors(TWO_JETS, np.array([0, 0])).tolist() == [1.1, 1.4]


def test_tags_follow_the_distorted_efficiency(load):
    distortion = load("scale_factors: {all: 1 - 0.5 * np.exp(-delta_r / 0.8)}")
    simulated = toy.generate_toy(20_000, 7)
    data = toy.generate_toy(20_000, 7, distortion=distortion)
    # the seed's jets themselves are the same
    assert ak.array_equal(simulated.jet_pt, data.jet_pt)
    efficiency = ak.to_numpy(ak.flatten(data.jet_eff_true)).astype(float)
    before = ak.to_numpy(ak.flatten(simulated.jet_eff_true)).astype(float)
    distance = ak.to_numpy(ak.flatten(data.jet_delta_r))
    inside = (efficiency > 1.01e-4) & (before < 0.979)
    expected = 1 - 0.5 * np.exp(-distance / 0.8)
    assert efficiency[inside] / before[inside] == pytest.approx(expected[inside], rel=1e-4)
    factors = ak.to_numpy(ak.flatten(data.jet_sf_true))
    assert factors == pytest.approx(efficiency / before, rel=1e-5)
    excess = ak.sum(data.jet_istag) - efficiency.sum()
    assert abs(excess) < 4 * math.sqrt((efficiency * (1 - efficiency)).sum())


def test_an_efficiency_stays_a_probability_and_the_factor_says_so(load):
    data = toy.generate_toy(2000, 3, distortion=load("scale_factors: {all: 5}"))
    assert ak.max(data.jet_eff_true) == np.float32(0.98)
    bottom = data.jet_flavour == 5
    assert ak.max(data.jet_sf_true[bottom]) <= 5
    assert ak.min(data.jet_sf_true[bottom]) < 2
    light = ak.to_numpy(ak.flatten(data.jet_sf_true[data.jet_flavour == 0]))
    assert np.median(light) == 5


@pytest.mark.parametrize("kind", ["multijet", "boosted"])
def test_another_mix_of_flavours(load, kind):
    distortion = load("flavours: {b: 0.1, c: 0.3, light: 0.6}")
    data = toy.generate_toy(20_000, 4, kind, distortion)
    # jets of a boosted pair have one flavour
    flavour = ak.to_numpy(data.jet_flavour[:, 0])
    observed = [(flavour == code).sum() for code in (5, 4, 0)]
    assert stats.chisquare(observed, np.array([0.1, 0.3, 0.6]) * len(flavour)).pvalue > 1e-3
    # nothing else has changed
    assert ak.all(data.jet_sf_true == 1)


def test_the_nearest_jet_is_found_by_a_slow_loop():
    events = toy.generate_toy(50, 6)
    assert "jet_sf_true" not in events.fields
    for event in events:
        for i, found in enumerate(event.jet_delta_r):
            distances = [
                delta_r(event.jet_eta[i], event.jet_phi[i], event.jet_eta[j], event.jet_phi[j])
                for j in range(len(event.jet_pt))
                if j != i
            ]
            assert found == pytest.approx(min(distances), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale_factor: {b: 1}", r"distort\.yaml: unknown key 'scale_factor'; did you mean"),
        ("scale_factors: {charm: 1}", r"scale_factors: unknown key 'charm'; known: all, b, c"),
        ("scale_factors: {b: 1 - dr}", r"scale_factors\.b: no variable 'dr'; known: delta_r"),
        ("scale_factors: {b: 1 -}", r"scale_factors\.b: not an expression"),
        ("scale_factors: {b: {ptt: [1, 2], values: [1]}}", "unknown key 'ptt'; did you mean 'pt'"),
        ("scale_factors: {b: {pt: [1, 2]}}", r"scale_factors\.b: expected .* 'values', found pt"),
        ("scale_factors: {b: {pt: [2, 1], values: [1]}}", r"b\.pt: expected .* that increase"),
        ("scale_factors: {b: {pt: [1, 2, 3], values: [1]}}", r"expected .* 2 \(pt\), found 1"),
        ("scale_factors: {b: {pt: [1, 2], values: [a]}}", "values: expected a list of numbers"),
        ("scale_factors: {b: {pt: [1, 2, 3], eta: [0, 1], values: [[1], [1, 2]]}}", "of numbers"),
        ("flavours: {b: 0.5, c: 0.5}", "share of each flavour, b, c, light; light is missing"),
        ("flavours: {b: 0.5, c: 0.4, light: 0.2}", r"add up to 1, found 1\.1"),
        (
            "flavours: {b: 1.5, c: -0.5, light: 0}",
            r"flavours\.c: expected a share of at least 0, found -0\.5",
        ),
        ("", "the file says nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(load, text, message):
    with pytest.raises(ConfigError, match=message):
        load(text)


def test_a_factor_that_is_not_above_0_names_the_jet(load):
    distortion = load("scale_factors: {c: 1 - pt / 100}")
    message = r"distort\.yaml: scale_factors\.c: .* found -2 for a jet of pt 300, eta 1\.5"
    with pytest.raises(DataError, match=message):
        distortion.scale_factors(TWO_JETS, np.array([4, 4]))
