"""Jets for tests, and FastJet's own walk through their trees."""

import awkward as ak
import numpy as np


def random_jets(seed, number, most=90):
    """(4, M) momenta of jets with 0 to ``most`` particles along two prongs, and the counts."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, most + 1, number)
    particles = counts.sum()
    jet = np.repeat(np.arange(number), counts)
    # jets lie across phi = pi too
    axis = rng.uniform(-np.pi, np.pi, number)[jet]
    prong = rng.integers(0, 2, particles) * 0.4
    pt = rng.exponential(10, particles) + 0.1
    eta = rng.normal(0.3, 0.15, particles) + prong
    phi = axis + rng.normal(0, 0.15, particles)
    mass = rng.choice([0, 0.14], particles)
    pz = pt * np.sinh(eta)
    energy = np.sqrt(pt**2 + pz**2 + mass**2)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pz, energy]), counts


def jagged(momentum, counts):
    """The columns of a file."""
    names = ("part_px", "part_py", "part_pz", "part_energy")
    return {
        name: ak.unflatten(values.astype(np.float32), counts)
        for name, values in zip(names, momentum, strict=True)
    }


def has_parents_walk(fastjet, momenta, ln_kt_min=-np.inf, ln_delta_min=-np.inf):
    """[(values, values of the mother or None, Delta)] of a jet's splittings, by FastJet's methods.

    Values are ln kt, ln Delta, ln z, ln m, psi.
    """
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    vectors = [fastjet.PseudoJet(*momentum) for momentum in momenta.T.tolist()]
    if len(vectors) < 2:
        return []
    sequence = fastjet.ClusterSequence(vectors, definition)
    found = []
    waiting = [(sequence.exclusive_jets(1)[0], None)]
    while waiting:
        jet, mother = waiting.pop()
        harder, softer = fastjet.PseudoJet(), fastjet.PseudoJet()
        if not jet.has_parents(harder, softer):
            continue
        delta = harder.delta_R(softer)
        values = (
            np.log(softer.pt() * delta),
            np.log(delta),
            np.log(softer.pt() / (harder.pt() + softer.pt())),
            np.log(jet.m()) if jet.m() > 0 else np.nan,
            np.arctan((softer.rap() - harder.rap()) / harder.delta_phi_to(softer)),
        )
        if values[0] >= ln_kt_min and values[1] >= ln_delta_min:
            found.append((values, mother))
            waiting += [(harder, values), (softer, values)]
        else:
            waiting.append((harder, mother))
    return found
