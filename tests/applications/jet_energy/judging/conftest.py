"""Predictions of jet energies, made by hand, that say what they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.judging.reading import JetModel
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction, NetworkCost

REPORT = {
    "corrected_pt": "jet_pt * np.exp(output_y)",
    "raw_pt": "jet_pt",
    "true_pt": "gen_pt",
    "true_eta": "gen_eta",
    "flavour": "jet_flavour",
    "eta": "jet_eta",
    "rho": "rho",
}
COST = NetworkCost(
    parameters=41_305,
    flops_per_row=216_398.0,
    training_step_seconds=0.0315,
    training_step_rows=256.0,
    seconds_per_row=3.6e-5,
)


def make_jets(jets: int = 2000, smear: float = 0.05, seed: int = 1) -> dict[str, Any]:
    """Jets of both regions and all flavours, whose raw pT is 5 % low and smeared by 10 %."""
    random = np.random.default_rng(seed)
    true_pt = np.exp(random.uniform(np.log(25), np.log(1800), jets))
    true_eta = random.uniform(-5.2, 5.2, jets)
    flavour = random.choice([1, 2, 3, 4, 5, 21, 0, -2], jets).astype(np.int32)
    raw_pt = true_pt * 0.95 * np.exp(random.normal(0, 0.1, jets))
    # gluons have less than they should
    response = np.exp(random.normal(np.where(flavour == 21, -0.02, 0.01), smear))
    return {
        "jet_pt": raw_pt,
        "jet_eta": true_eta,
        "rho": random.uniform(0, 20, jets),
        "gen_pt": true_pt,
        "gen_eta": true_eta,
        "jet_flavour": flavour,
        "output_y": np.log(response * true_pt / raw_pt),
        "y": np.log(true_pt / raw_pt),
    }


def write_prediction(
    path: Path, columns: dict[str, Any], about: AboutPrediction | None = None, **named: Any
) -> str:
    """Write ``columns`` as a prediction that says ``about``, or what ``named`` changes of it."""
    if about is None:
        usual = {"task": "regression", "outputs": ("output_y",), "targets": ("y",)}
        about = AboutPrediction(**{**usual, "report": REPORT, "network": COST, **named})
    with open_writer(path) as writer:
        writer.write(columns)
        writer.annotate(ABOUT, about.as_text())
    return str(path)


def model_of(*paths: Any, name: str = "net", **named: Any) -> JetModel:
    """A model whose columns are those of ``REPORT``."""
    columns = REPORT | named.pop("columns", {})
    return JetModel(name=name, paths=tuple(map(str, paths)), columns=columns, **named)


@pytest.fixture
def jets() -> dict[str, Any]:
    """2000 jets."""
    return make_jets()
