"""The worked example of reweighting and bucketing as a user runs it.

Flat spectra, less padding, every jet predicted.
"""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt import cli
from weaver_tt.config.load import load_config

ROOT = Path(__file__).parents[1]
ROWS = 2000


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    """Top jets that are hard, heavy and full, QCD jets that are soft, light and sparse."""
    random = np.random.default_rng(5)
    top = np.arange(ROWS) % 2
    pt = 500 + 499 * np.where(top, random.beta(2, 1, ROWS), random.beta(1, 2, ROWS))
    mass = np.where(
        top, random.uniform(40, 250, ROWS) ** 0.5 * 250**0.5, 40 + random.exponential(50, ROWS)
    )
    counts = (
        np.where(top, random.normal(60, 15, ROWS), random.normal(35, 15, ROWS))
        .clip(1, 128)
        .astype(int)
    )
    total = counts.sum()
    part = {name: random.normal(0, 0.2, total) for name in ("deta", "dphi")} | {
        name: random.exponential(5, total) + 0.1 for name in ("px", "py", "pz")
    }
    part["energy"] = np.sqrt(part["px"] ** 2 + part["py"] ** 2 + part["pz"] ** 2)
    table = {
        "jet_pt": pt,
        "jet_sdmass": mass,
        "jet_energy": 1.5 * pt,
        "jet_nparticles": counts,
        "label_Tbqq": top,
        "label_QCD": 1 - top,
    }
    table |= {
        f"part_{name}": ak.unflatten(values.astype(np.float32), counts)
        for name, values in part.items()
    }
    path = tmp_path_factory.mktemp("jets") / "jets.parquet"
    ak.to_parquet(ak.zip(table, depth_limit=1), str(path), extensionarray=False, row_group_size=500)
    return path


def test_the_example_trains_on_flat_spectra_and_predicts_every_jet(jets, tmp_path):
    common = [
        "-c",
        ROOT / "data_configs" / "top_tagging_flat_mass.yaml",
        "-n",
        ROOT / "network_configs" / "pfn.py",
        "-m",
        tmp_path / "net",
    ]
    common += ["-o", "phi_sizes", "8,8", "-o", "f_sizes", "8", "--gpus", "", "--seed", "1"]
    common += ["--no-progress", "--no-figures", "--tensorboard", "off"]
    training = ["-i", jets, "--num-epochs", 1, "--batch-size", 50, "--optimizer", "adam"]
    assert cli.train([str(argument) for argument in [*training, *common]]) == 0
    log = (tmp_path / "net.log").read_text()
    assert "rows drawn from" in log
    assert "sampled out" in log
    assert "padding of pf_points" in log
    assert (tmp_path / "net_reweighting.png").stat().st_size > 10_000
    weights = load_config(str(tmp_path / "net.auto.yaml")).weights
    assert {name: table.shape for name, table in weights.tables.items()} == {
        "label_Tbqq": (4, 18),
        "label_QCD": (4, 18),
    }
    prediction = ["--predict", "-t", jets, "--predict-output", tmp_path / "pred.root"]
    assert cli.train([str(argument) for argument in [*prediction, *common]]) == 0
    with uproot.open(tmp_path / "pred.root") as file:
        assert (
            file["tree"].num_entries == (ak.from_parquet(jets)["jet_sdmass"] > 40).to_numpy().sum()
        )
