"""Features of pairs: numbers worked out by hand, weaver-core's, and gradients that stay finite."""

import math

import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.nn.models.pair_features import (
    check_number,
    given_features,
    pair_features,
    polarization_angle,
)

# massless: pT 5 at y = ln 2 (sinh 0.75, cosh 1.25), phi = atan2(4, 3), and pT 10 at y = 0,
# phi = pi / 2
TWO = torch.tensor([[3.0, 4.0, 3.75, 6.25], [0.0, 10.0, 0.0, 10.0]], dtype=torch.float64)


def pair(vectors, i, j, number=4):
    return pair_features(vectors, torch.tensor([i]), torch.tensor([j]), number)[0].tolist()


def test_a_pair_worked_out_by_hand():
    delta = math.hypot(math.log(2), math.pi / 2 - math.atan2(4, 3))
    mass2 = 16.25**2 - (
        3**2 + 14**2 + 3.75**2
    )  # = 2 pT pT' (cosh dy - cos dphi) = 100 (1.25 - 0.8)
    assert mass2 == pytest.approx(45)
    expected = [math.log(5 * delta), math.log(5 / 15), math.log(delta), math.log(45)]
    assert pair(TWO, 0, 1) == pytest.approx(expected, rel=1e-12)
    assert pair(TWO, 1, 0) == pytest.approx(expected, rel=1e-12)
    assert pair(TWO, 0, 1, 3) == pytest.approx(expected[:3], rel=1e-12)
    assert pair(TWO, 0, 1, 1) == pytest.approx(expected[2:3], rel=1e-12)


def test_azimuths_are_compared_the_short_way_round():
    angles = torch.tensor([math.pi - 0.1, 0.1 - math.pi], dtype=torch.float64)
    vectors = torch.stack((angles.cos(), angles.sin(), torch.zeros(2), torch.ones(2)), dim=1)
    assert pair(vectors, 0, 1, 1) == pytest.approx([math.log(0.2)])


def test_a_particle_with_itself_has_the_smallest_logarithms_and_twice_its_mass():
    vector = torch.tensor([[3.0, 0.0, 4.0, 13.0]], dtype=torch.float64)  # mass 12
    assert pair(vector, 0, 0) == pytest.approx(
        [math.log(1e-8), math.log(0.5), math.log(1e-8), math.log(24**2)]
    )


def test_values_and_gradients_of_odd_vectors_are_finite():
    vectors = torch.tensor(
        [
            [0, 0, 0, 0],
            [0, 0, 5, 5],
            [0, 0, -5, 5],
            [1, 0, 0, 1],
            [1, 0, 0, 1],
            [-1, 0, 0, 1],
            [1, 1, -90, 80],
            [1e-9, 0, 0, 0],
        ]
    )
    vectors = vectors.float().requires_grad_()
    i, j = torch.cartesian_prod(torch.arange(8), torch.arange(8)).unbind(1)
    features = pair_features(vectors, i, j)
    features.sum().backward()
    assert torch.isfinite(features).all()
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", [1, 3, 4])
def test_weaver_core_gives_the_same(number):
    peer = pytest.importorskip("weaver.nn.model.ParticleTransformer")
    random = torch.Generator().manual_seed(1)
    momenta = torch.randn(30, 3, generator=random) * 20
    vectors = torch.cat((momenta, (momenta.square().sum(1, keepdim=True) + 0.02).sqrt()), dim=1)
    i, j = torch.tril_indices(30, 30)
    expected = peer.pairwise_lv_fts_pp(vectors[i].T[None], vectors[j].T[None], number)[0].T
    torch.testing.assert_close(pair_features(vectors, i, j, number), expected, atol=2e-6, rtol=2e-6)


def test_there_is_no_set_of_two_features():
    with pytest.raises(
        ConfigError,
        match="pair_input_dim: 2 pair features; expected 0: none; 1: ln ΔR; "
        "3: ln kT, ln z, ln ΔR; 4:",
    ):
        check_number(2, "pair_input_dim")


def test_the_polarization_angle_of_two_light_like_particles_is_that_of_their_energies():
    """E_b = gamma m / 2 (1 + beta cos), so that cos = (E_b - E_a) / |p_a + p_b|."""
    vectors = torch.tensor([[3.0, 4, 0, 5], [12, 5, 0, 13], [0, 0, -1, 1]], dtype=torch.float64)
    first = torch.tensor([0, 1, 1])
    second = torch.tensor([1, 0, 2])
    expected = [8 / math.hypot(15, 9), -8 / math.hypot(15, 9), -12 / math.hypot(12, 5, 1)]
    assert polarization_angle(vectors, first, second).tolist() == pytest.approx(expected)


def test_the_polarization_angle_is_finite_where_there_is_no_frame():
    vectors = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 1], [-1, 0, 0, 1]])
    first, second = torch.cartesian_prod(torch.arange(3), torch.arange(3)).unbind(1)
    assert torch.isfinite(polarization_angle(vectors, first, second)).all()
    # at rest, there is no direction to compare with
    assert polarization_angle(vectors, torch.tensor([1]), torch.tensor([2])).tolist() == [0]


def test_given_features_are_those_of_the_first_and_the_second_slot():
    given = torch.arange(32.0).view(2, 1, 4, 4)  # [row, 0, i, j] is 16 row + 4 i + j
    # objects in slots 1 and 3 of the first row, 2 of the second
    slots = torch.tensor([1, 3, 6])
    listed = given_features(given, slots, torch.tensor([0, 1, 2]), torch.tensor([1, 1, 2]))
    assert listed.tolist() == [[7.0], [15.0], [26.0]]
