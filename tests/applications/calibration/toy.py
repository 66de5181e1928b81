"""Jets of three categories with masses that tell them apart, and a tag of known efficiency."""

import numpy as np

from weaver_tt.formats.writers import open_writer

EFFICIENCY = {"top": 0.7, "w": 0.3, "other": 0.05}


def draw_masses(name, number, rng):
    """Masses (number,) in GeV: two peaks of 10 % resolution, and a falling spectrum."""
    if name == "top":
        return 172 * (1 + 0.1 * rng.normal(size=number))
    if name == "w":
        return 82 * (1 + 0.1 * rng.normal(size=number))
    return 20 + rng.exponential(70, number)


def draw_jets(name, number, seed, *, scale_factor=1.0, scale=1.0, resolution=1.0):
    """Columns of jets of a category; a resolution above 1 smears masses further."""
    rng = np.random.default_rng([seed, list(EFFICIENCY).index(name)])
    mass = draw_masses(name, number, rng)
    mass = scale * mass * (1 + 0.1 * np.sqrt(resolution**2 - 1) * rng.normal(size=number))
    tagged = rng.random(number) < scale_factor * EFFICIENCY[name]
    return {
        "jet_sdmass": mass,
        "jet_pt": rng.uniform(300, 500, number),
        "score": tagged * 0.8 + 0.1,
        "kind": np.full(number, list(EFFICIENCY).index(name), np.int32),
    }


def write_jets(path, *samples, **more):
    """A file of the jets of some samples together; ``more`` columns are added."""
    columns = {}
    for name in samples[0]:
        columns[name] = np.concatenate([sample[name] for sample in samples])
    with open_writer(path) as writer:
        writer.write(columns | more)
    return str(path)
