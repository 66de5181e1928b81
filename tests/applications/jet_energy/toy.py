"""Jets with a response that is known, as a file."""

import numpy as np

from weaver_tt.formats.writers import open_writer


def true_response(pt, eta):
    """0.90 at 20 GeV to 0.98 at 2 TeV for small |eta|; 5 % more beyond 1.3."""
    return 0.90 + 0.04 * np.log10(pt / 20) + 0.05 * (np.abs(eta) > 1.3)


def toy_jets(number=6000, seed=1, pileup=0.0, most_eta=2.5, width=0.08):
    """Columns as those of ``simulate --process jets``, as many jets in each e-fold of pT."""
    rng = np.random.default_rng(seed)
    gen_pt = np.exp(rng.uniform(np.log(20), np.log(2000), number))
    eta = rng.uniform(-most_eta, most_eta, number)
    area = rng.normal(0.5, 0.02, number)
    rho = rng.poisson(pileup, number) * 0.8 if pileup else np.zeros(number)
    measured = gen_pt * true_response(gen_pt, eta) * rng.normal(1, width, number) + rho * area
    return {
        "jet_pt": measured,
        "jet_eta": eta,
        "jet_area": area,
        "rho": rho,
        "pileup": np.full(number, int(pileup)),
        "gen_pt": gen_pt,
        "ch_pt": np.array([]),
    } | {"ch_pt": np.ones((number, 2))}


def write_jets(path, columns):
    with open_writer(path) as writer:
        writer.write(columns)
    return str(path)
