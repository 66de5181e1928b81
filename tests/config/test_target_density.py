"""The share of a density in each bin, by hand and by brute force, and densities that are none."""

import numpy as np
import pytest

from weaver_tt.config import target_density
from weaver_tt.config.target_density import target_shares
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression

# Eq. 6.1 of the thesis in docs/jet-energy.md
EQUATION = "1 / np.cosh(pt * np.cosh(eta) / 500) / np.cosh(eta)"
BINS = {"pt": (20.0, 50.0, 200.0, 1000.0), "eta": (-2.5, 0.0, 1.5, 2.5)}


def shares(density, **variables):
    return target_shares(parse_expression(density, "test"), variables, "x.yaml: weights.target")


def test_shares_by_hand():
    # a density is per unit of the variable
    assert shares("1", x=(0, 1, 3)).tolist() == pytest.approx([1 / 3, 2 / 3])
    assert shares("7", x=(0, 1, 3)).tolist() == pytest.approx([1 / 3, 2 / 3])
    # 0 at an edge alone is no harm: x^2 / 2 is 0, 1/2, 2
    assert shares("x", x=(0, 1, 2)).tolist() == pytest.approx([1 / 4, 3 / 4])
    # log 2, log 4 - log 2
    assert shares("1 / x", x=(1, 2, 4)).tolist() == pytest.approx([1 / 2, 1 / 2])
    # x times 2 y: 1/2 and 3/2, 1 and 3
    assert shares("2 * x * y", x=(0, 1, 2), y=(0, 1, 2)).ravel().tolist() == pytest.approx(
        [1 / 16, 3 / 16, 3 / 16, 9 / 16]
    )


def test_the_density_of_the_thesis_is_that_of_a_fine_grid():
    found = shares(EQUATION, **BINS)
    expected = np.zeros((3, 3))
    for i in range(3):
        pt = np.linspace(BINS["pt"][i], BINS["pt"][i + 1], 801)
        for j in range(3):
            eta = np.linspace(BINS["eta"][j], BINS["eta"][j + 1], 801)
            x, y = np.meshgrid((pt[1:] + pt[:-1]) / 2, (eta[1:] + eta[:-1]) / 2, indexing="ij")
            values = 1 / np.cosh(x * np.cosh(y) / 500) / np.cosh(y)
            expected[i, j] = values.mean() * (pt[-1] - pt[0]) * (eta[-1] - eta[0])
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=2e-4)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("most", [1, 200])
def test_of_many_bins_fewer_points_are_taken(monkeypatch, most):
    monkeypatch.setattr(target_density, "MAX_POINTS", most)
    # with one point, the middle of the bin
    found = shares("x + y", x=(0, 1, 2), y=(0, 2))
    assert found.ravel().tolist() == pytest.approx([1.5 / 4, 2.5 / 4])


@pytest.mark.parametrize(
    ("density", "found"),
    [
        ("pt - 40", "pt from 20 to 50, eta from -2.5 to 0 it is -20"),
        ("np.where(pt > 200, 0, 1)", "pt from 200 to 1000, eta from -2.5 to 0 it is 0"),
        ("pt > 100", "pt from 20 to 50, eta from -2.5 to 0 it is 0"),
        ("np.log(eta)", "pt from 20 to 50, eta from -2.5 to 0 it is nan"),
        # on an edge alone
        ("1 / abs(eta)", "pt from 20 to 50, eta from 0 to 1.5 it is inf"),
        ("1 / (1000 - pt)", "pt from 200 to 1000, eta from -2.5 to 0 it is inf"),
        # cosh is beyond all numbers
        ("1 / np.cosh(pt)", "pt from 200 to 1000, eta from -2.5 to 0 it is 0"),
    ],
)
def test_a_density_that_is_none_somewhere_is_named_with_its_bin(density, found):
    with pytest.raises(ConfigError, match=r"x\.yaml: weights\.target: a density is") as error:
        shares(density, **BINS)
    assert f"in that of {found} (somewhere)" in str(error.value)


def test_a_density_is_given_in_the_reweighting_variables():
    with pytest.raises(ConfigError, match=r"'etaa' is none of reweight_vars.*did you mean 'eta'"):
        shares("1 / np.cosh(etaa)", **BINS)
    with pytest.raises(ConfigError, match=r"x\.yaml: weights\.target: "):
        shares("ak.num(pt)", **BINS)
