"""Jets whose score peaks at the mass of the signal, as that of a tagger does."""

import numpy as np

from weaver_tt.applications.decorrelation.jets import Jets
from weaver_tt.formats.writers import open_writer


def toy_columns(number, seed=1, **more):
    """3 of 10 jets are of the signal; ``more`` columns replace these, or are added to them."""
    generator = np.random.default_rng(seed)
    signal = generator.random(number) < 0.3
    pt = np.clip(500 * (1 - generator.random(number)) ** -0.2, 500, 1500)
    mass = np.where(
        signal, generator.normal(173, 15, number), 20 + generator.exponential(60, number)
    )
    logit = generator.normal(size=number) + 2 * signal - 0.5 * ((mass - 173) / 60) ** 2
    score = 1 / (1 + np.exp(-logit))
    columns = {
        "score_top": score.astype(np.float32),
        "score_qcd": (1 - score).astype(np.float32),
        "top": signal.astype(np.int8),
        "qcd": (~signal).astype(np.int8),
        "jet_pt": pt.astype(np.float32),
        "jet_sdmass": mass.astype(np.float32),
    }
    return columns | more


def write_toy(path, number, seed=1, **more):
    with open_writer(path) as writer:
        writer.write(toy_columns(number, seed, **more))
    return str(path)


def background(number, seed=1, weight=None):
    """The background of the toy as jets of a map."""
    columns = toy_columns(number, seed)
    chosen = columns["qcd"] == 1
    mass, pt, score = (
        columns[name][chosen].astype(np.float64) for name in ("jet_sdmass", "jet_pt", "score_top")
    )
    weight = np.ones(len(pt)) if weight is None else weight(len(pt))
    return Jets(rho=2 * np.log(mass / pt), pt=pt, mass=mass, score=score, weight=weight)
