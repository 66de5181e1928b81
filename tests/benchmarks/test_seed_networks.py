"""What the comparison of networks says of areas, of their differences, and of bars."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seed_networks():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("seed_networks")


SCORE = np.array([0.9, 0.4, 0.4, 0.1, 0.7])
IS_SIGNAL = np.array([True, True, False, False, False])


def test_an_area_is_the_share_of_pairs_in_order_and_equal_scores_count_half(seed_networks):
    once = np.ones((1, 5), np.int64)
    # 0.9 beats three, 0.4 beats one and ties with one: (3 + 1.5) / 6
    assert seed_networks.areas(SCORE, IS_SIGNAL, once).tolist() == [0.75]
    # the signal at 0.4 twice, the background at 0.7 not at all: (2 + 2 * 1.5) / 6
    sample = np.array([[1, 2, 1, 1, 0]])
    assert seed_networks.areas(SCORE, IS_SIGNAL, sample).tolist() == [5 / 6]


def test_a_bootstrap_keeps_the_numbers_of_signal_and_background(seed_networks):
    counts = seed_networks.bootstrap_counts(IS_SIGNAL, samples=50)
    assert counts.shape == (51, 5)
    assert counts[0].tolist() == [1] * 5
    assert (counts[:, IS_SIGNAL].sum(1) == 2).all()
    assert (counts[:, ~IS_SIGNAL].sum(1) == 3).all()
    assert len(np.unique(counts, axis=0)) > 10


def test_the_error_of_a_bootstrap_is_that_of_independent_samples(seed_networks):
    random = np.random.default_rng(3)

    def sample():
        is_signal = np.arange(400) < 200
        return random.normal(size=400) + is_signal, is_signal

    once = np.ones((1, 400), np.int64)
    expected = np.std([seed_networks.areas(*sample(), once)[0] for _ in range(400)])
    score, is_signal = sample()
    counts = seed_networks.bootstrap_counts(is_signal, samples=400)
    found = seed_networks.areas(score, is_signal, counts)[1:].std()
    # each is known to 1 / sqrt(2 * 400), 3.5 %; seeds are fixed
    assert found == pytest.approx(expected, rel=0.15)


def test_a_difference_on_the_same_jets_has_the_error_of_what_differs(seed_networks):
    one = np.array([0.9, 0.92, 0.88])
    # the same fluctuations, 0.1 below
    assert seed_networks.difference([one], [one - 0.1]) == seed_networks.Difference(
        pytest.approx(0.1), pytest.approx(0, abs=1e-12), None, pytest.approx(0, abs=1e-12)
    )
    # of two trainings: differences 0.1 and 0.3, which scatter by 0.2 / sqrt(2)
    found = seed_networks.difference([one, one], [one - 0.1, one - 0.3])
    assert found.value == pytest.approx(0.2)
    assert found.spread == pytest.approx(0.2 / np.sqrt(2))
    assert found.total_error == pytest.approx(0.1)


def test_bars_are_met_missed_or_not_measured(seed_networks):
    def network(auc, **minus):
        differences = {
            name.replace("_", "-"): {"value": value, "total_error": 0.002}
            for name, value in minus.items()
        }
        return {"auc": {"value": auc}, "auc_minus": differences}

    lund = {"LundNet-5": network(0.98, ParticleNet_Lite=-0.003, PFN=0.0081)}
    lines = {line.name: line for line in seed_networks.bar_lines({"lund": lund})}
    assert lines["LundNet-5: AUC"].text().endswith("| 0.98 | >= 0.977 | met |")
    # 1.5 errors below
    missed = lines["LundNet-5 - ParticleNet-Lite, AUC in errors"]
    assert missed.text().endswith("| -1.5 | >= -1 | MISSED |")
    assert lines["LundNet-5 - PFN, AUC"].text().endswith("| 0.0081 | >= 0.008 | met |")
    assert "| not measured |" in lines["vec_net: AUC"].text()


def test_weaver_core_reads_the_example_without_what_is_ours_alone(seed_networks):
    config = yaml.safe_load(seed_networks.peer_yaml("top_tagging"))
    assert config["treename"] == "tree"
    assert "observers" not in config
    assert list(config["inputs"]) == ["pf_points", "pf_features", "pf_vectors", "pf_mask"]


def test_a_row_has_its_own_trainings_with_seeds_from_1_and_those_of_the_peer_last(seed_networks):
    row = seed_networks.Row(taggers=["pfn"], jets=10, epochs=2, trainings=2, peers=["pfn"])
    names = [training.name for training in seed_networks.trainings_of(row, 2)]
    assert names == ["pfn_10x2_1", "pfn_10x2_2", "weaver-core_pfn_10x2_1", "weaver-core_pfn_10x2_2"]
