"""The toy has the distributions of the paper's appendix and the efficiencies of our own Fig. 3."""

import math

import awkward as ak
import numpy as np
import pytest
import uproot
from scipy import stats

from weaver_tt.applications.truth_tagging import toy
from weaver_tt.errors import ConfigError
from weaver_tt.physics.angles import delta_r


@pytest.fixture(scope="module")
def multijet():
    return toy.generate_toy(40_000, seed=3)


@pytest.fixture(scope="module")
def boosted():
    return toy.generate_toy(20_000, seed=4, kind="boosted")


def jets(*four):
    """One event of (pt, eta, phi, flavour) jets, with one jet of padding."""
    pt, eta, phi, flavour = (np.array([[*column, 0]]) for column in zip(*four, strict=True))
    return toy.ToyJets(
        pt.astype(np.float32),
        eta.astype(np.float32),
        phi.astype(np.float32),
        flavour,
        np.array([[True] * len(four) + [False]]),
    )


def slow_efficiency(event):
    """The issue's formulas, jet by jet, in plain Python."""
    base = {0: (0.02, 250, 250, 1.8), 4: (0.20, 200, 220, 1.6), 5: (0.75, 180, 260, 1.7)}
    change = {
        0: {0: 0.3, 4: 0.8, 5: 1.5},
        4: {0: -0.15, 4: -0.25, 5: -0.35},
        5: {0: -0.20, 4: -0.30, 5: -0.45},
    }
    result = []
    for i, (pt, eta, phi, flavour) in enumerate(event):
        a, m, s, w = base[flavour]
        value = a * math.exp(-(((pt - m) / s) ** 2) / 2 - (eta / w) ** 2 / 2)
        for j, (_, eta_j, phi_j, flavour_j) in enumerate(event):
            if i != j:
                turn = abs(phi - phi_j)
                distance = math.hypot(eta - eta_j, min(turn, 2 * math.pi - turn))
                value *= 1 + change[flavour][flavour_j] * math.exp(-((distance / 0.5) ** 2) / 2)
        result.append(min(max(value, 1e-4), 0.98))
    return result


def test_efficiency_worked_out_by_hand():
    assert toy.true_efficiency(jets((180, 0, 0, 5)))[0, 0] == pytest.approx(0.75)
    b_near_light = toy.true_efficiency(jets((180, 0, 0, 5), (250, 0.5, 0, 0)))[0]
    assert b_near_light[0] == pytest.approx(0.75 * (1 - 0.20 * 0.6065307))
    assert b_near_light[1] == pytest.approx(
        0.02 * math.exp(-((0.5 / 1.8) ** 2) / 2) * (1 + 1.5 * 0.6065307)
    )
    across_phi = toy.true_efficiency(jets((200, 0, 3.0, 4), (200, 0, -3.0, 4)))[
        0, 0
    ]  # 0.2832 apart
    assert across_phi == pytest.approx(
        0.20 * (1 - 0.25 * math.exp(-0.5 * (0.2831853 / 0.5) ** 2)), rel=1e-6
    )


def test_efficiency_is_kept_within_its_range():
    light_among_b = jets((250, 0, 0, 0), *[(250, 0.01 * n, 0, 5) for n in range(5)])
    assert toy.true_efficiency(light_among_b)[0, 0] == 0.98  # 0.02 * 2.5^5 is above 1
    b_among_b = jets(*[(600, 1.99, 0, 5)] * 15)
    assert toy.true_efficiency(b_among_b)[0, 0] == 1e-4  # 0.75 * 0.136 * 0.55^14 = 2e-5


def test_stored_efficiencies_equal_a_slow_loop(multijet):
    for event in multijet[:300]:
        four = list(
            zip(
                *(event[name].tolist() for name in ("jet_pt", "jet_eta", "jet_phi", "jet_flavour")),
                strict=True,
            )
        )
        assert event.jet_eff_true.tolist() == pytest.approx(slow_efficiency(four), rel=1e-5)


def test_number_of_jets_is_2_plus_the_whole_part_of_an_exponential(multijet):
    counts = ak.to_numpy(ak.num(multijet.jet_pt))
    stay = math.exp(-1 / 1.2)  # P(one jet more)
    expected = [(1 - stay) * stay**extra for extra in range(6)] + [stay**6]  # 8 jets hold the tail
    observed = np.bincount(counts, minlength=9)[2:]
    assert stats.chisquare(observed, np.array(expected) * len(counts)).pvalue > 1e-3


def test_pt_is_a_truncated_gaussian_leading_first(multijet):
    pt = ak.to_numpy(ak.flatten(multijet.jet_pt))
    half_normal = stats.truncnorm(0, 2.9, loc=20, scale=200)
    assert stats.kstest(pt, half_normal.cdf).pvalue > 1e-3
    assert ak.all(multijet.jet_pt[:, :-1] >= multijet.jet_pt[:, 1:])


def test_leading_direction(multijet):
    eta, phi = ak.to_numpy(multijet.jet_eta[:, 0]), ak.to_numpy(multijet.jet_phi[:, 0])
    assert stats.kstest(eta, stats.truncnorm(-4, 4, scale=0.5).cdf).pvalue > 1e-3
    assert stats.kstest(phi, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_square_root_of_the_distance_to_the_leading_jet_is_uniform(multijet):
    distance = delta_r(
        *(
            ak.to_numpy(ak.flatten(values))
            for values in (multijet.jet_eta[:, 1:], multijet.jet_phi[:, 1:])
        ),
        *(
            ak.to_numpy(ak.flatten(ak.broadcast_arrays(values[:, 0], values[:, 1:])[0]))
            for values in (multijet.jet_eta, multijet.jet_phi)
        ),
    )
    low, high = math.sqrt(0.4), math.sqrt(3.5)
    assert stats.kstest(np.sqrt(distance), stats.uniform(low, high - low).cdf).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["multijet", "boosted"])
def test_all_jets_are_inside_the_detector(kind, request):
    events = request.getfixturevalue(kind)
    assert ak.all(np.abs(events.jet_eta) < 2)
    assert ak.all((events.jet_phi >= -np.pi) & (events.jet_phi < np.pi))
    assert ak.all((events.jet_pt >= 20) & (events.jet_pt <= 600))
    assert ak.all(events.jet_mass == 2)


def test_flavour_shares(multijet):
    flavour = ak.to_numpy(ak.flatten(multijet.jet_flavour))
    observed = [(flavour == code).sum() for code in (0, 4, 5)]
    assert stats.chisquare(observed, np.array([0.5, 0.2, 0.3]) * len(flavour)).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["multijet", "boosted"])
def test_tags_follow_the_efficiencies(kind, request):
    events = request.getfixturevalue(kind)
    for code in (0, 4, 5):
        of_flavour = events.jet_flavour == code
        efficiency = ak.to_numpy(ak.flatten(events.jet_eff_true[of_flavour]))
        difference = ak.sum(events.jet_istag[of_flavour]) - efficiency.sum()
        assert abs(difference) < 4 * math.sqrt((efficiency * (1 - efficiency)).sum())


def test_boosted_pairs_come_from_a_scalar_of_90_gev(boosted):
    pt, eta, phi = (
        ak.to_numpy(boosted[name]).astype(float) for name in ("jet_pt", "jet_eta", "jet_phi")
    )
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + 4).sum(axis=1)
    mass = np.sqrt(
        energy**2
        - (pt * np.cos(phi)).sum(1) ** 2
        - (pt * np.sin(phi)).sum(1) ** 2
        - (pt * np.sinh(eta)).sum(1) ** 2
    )
    # wide pairs of heavy scalars leave the acceptance a little more often
    assert mass.mean() == pytest.approx(90, abs=1.0)
    assert mass.std() == pytest.approx(10, abs=0.3)


def test_boosted_pairs_are_of_one_flavour_one_third_each(boosted):
    flavour = ak.to_numpy(boosted.jet_flavour)
    assert (flavour[:, 0] == flavour[:, 1]).all()
    assert stats.chisquare([(flavour[:, 0] == code).sum() for code in (0, 4, 5)]).pvalue > 1e-3


def test_a_seed_repeats_its_events_and_another_does_not():
    first, again, other = toy.generate_toy(50, 1), toy.generate_toy(50, 1), toy.generate_toy(50, 2)
    assert ak.almost_equal(first, again)
    assert not ak.array_equal(ak.num(first.jet_pt), ak.num(other.jet_pt))


def test_chunks_number_their_events_on(monkeypatch):
    monkeypatch.setattr(toy, "CHUNK", 40)
    events = toy.generate_toy(100, 1)
    assert events.event_number.tolist() == list(range(100))


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_a_written_file_holds_the_events_in_their_types(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(toy, "CLUSTER", 30)
    path = str(tmp_path / f"toy.{suffix}")
    toy.write_toy(path, 100, 5)
    expected = toy.generate_toy(100, 5)
    found = (
        uproot.open(path)["tree"].arrays(expected.fields)
        if suffix == "root"
        else ak.from_parquet(path)
    )
    for name in expected.fields:
        assert found[name].tolist() == expected[name].tolist()
    kinds = {
        name: str(found[name].type.content).split("* ")[-1].strip("?")
        for name in ("jet_pt", "jet_flavour", "jet_istag", "event_number")
    }
    assert kinds == {
        "jet_pt": "float32",
        "jet_flavour": "int32",
        "jet_istag": "bool",
        "event_number": "int64",
    }


def test_unknown_kinds_and_no_events_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'boosted'"):
        toy.generate_toy(10, 1, "boosted_")
    with pytest.raises(ConfigError, match="at least 1"):
        toy.generate_toy(0, 1)
