"""Further collisions from a pool of soft events."""

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

from tests.samples.simulate.detector.flying import flying
from weaver_tt.samples.simulate.blocks import make_block
from weaver_tt.samples.simulate.pileup import Pool, add_pileup, make_pool, turned
from weaver_tt.samples.simulate.processes import sample_settings


@pytest.fixture(scope="module")
def jets():
    """Matched jets with 15 further collisions, with and without the subtraction, and with none."""
    samples = {}
    for name, pileup, without in (("chs", 15.0, ()), ("all", 15.0, ("chs",)), ("alone", 0.0, ())):
        sample = sample_settings(
            "jets", detector=True, pileup=pileup, pool=60, block=20, batch=20, without=without
        )
        ((columns, _),) = make_block(sample, 0, 1000)
        samples[name] = ak.zip(columns, depth_limit=1)
    return samples


def two_soft_events():
    """A pool of an event of one particle and one of two."""
    particles = flying((211, 1, 1.0, 0.5, 0.0), (22, 0, 2.0, 1.0, 0.0), (22, 0, 3.0, 1.0, 0.5))
    return Pool(particles=particles, first=np.array([0, 1]), counts=np.array([1, 2]))


def test_particles_are_turned_and_mirrored():
    particles = flying((211, 1, 1.0, 0.5, 0.25, (1.0, 0.0, 2.0)))
    moved = turned(particles, np.array([np.pi / 2]), np.array([-1.0]))
    assert np.arctan2(moved.momentum[1], moved.momentum[0]) == pytest.approx(0.25 + np.pi / 2)
    assert moved.momentum[2:] == pytest.approx(particles.momentum[2:] * [[-1], [1]])
    assert moved.vertex[:, 0] == pytest.approx([0, 1, -2])
    # the pool stays as it is
    assert particles.vertex[:, 0].tolist() == [1, 0, 2]


def test_the_number_of_collisions_is_a_poisson_number_and_places_are_spread():
    hard = flying((211, 1, 50.0, 0.0, 0.0))
    particles, collisions = add_pileup(
        hard, 2000, two_soft_events(), 10.0, np.random.default_rng(1)
    )
    number = np.bincount(collisions.event, minlength=2000)
    assert number.mean() == pytest.approx(10, abs=0.3)
    assert number.var() == pytest.approx(10, abs=1.2)
    assert collisions.z.std() == pytest.approx(2**0.5 * 53, rel=0.03)
    # one hard particle, and 1.5 of each collision in the mean
    assert len(particles) - 1 == pytest.approx(1.5 * number.sum(), rel=0.02)
    assert particles.collision[0] == 0
    # all particles of a collision are at its place
    first = particles[(particles.event == 7) & (particles.collision == 1)]
    where = (collisions.event == 7) & (collisions.number == 1)
    assert first.vertex[2] == pytest.approx(collisions.z[where][0])


def test_a_pool_is_the_same_for_a_seed_and_another_for_another():
    one = make_pool(1, 0, 13_000.0, 5)
    make_pool.cache_clear()
    again = make_pool(1, 0, 13_000.0, 5)
    other = make_pool(2, 0, 13_000.0, 5)
    assert (one.particles.momentum == again.particles.momentum).all()
    assert one.counts.sum() == len(one.particles)
    assert one.counts.tolist() != other.counts.tolist()


def test_pileup_brings_vertices_energy_density_and_neutral_energy(jets):
    subtracted = jets["chs"]
    assert ak.mean(subtracted.pileup) == pytest.approx(15, abs=3)
    # most of them are found
    assert (
        0.5 * ak.mean(subtracted.pileup) < ak.mean(subtracted.npv) < ak.mean(subtracted.pileup) + 1
    )
    assert ak.mean(subtracted.rho) > 2

    def mean_response(sample):
        soft = sample[sample.gen_pt < 100]
        return ak.mean(soft.jet_pt / soft.gen_pt)

    assert mean_response(subtracted) > 1.02 * mean_response(jets["alone"])


def test_subtraction_takes_out_most_charged_energy_of_other_collisions(jets):
    kept = jets["all"]
    subtracted = jets["chs"]

    def soft_tracks(sample):
        return ak.mean(ak.sum(sample.ch_pt < 2, axis=1))

    assert soft_tracks(subtracted) < 0.75 * soft_tracks(kept)
    # so that rho is the density of what is left
    assert ak.mean(subtracted.rho) < 0.85 * ak.mean(kept.rho)
    # tracks of the hard collision stay
    hard = [ak.mean(ak.sum(sample.ch_pt > 20, axis=1)) for sample in (subtracted, kept)]
    assert hard[0] == pytest.approx(hard[1], rel=0.1)
