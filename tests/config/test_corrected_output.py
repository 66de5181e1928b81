"""A correction among the derived outputs of a data YAML."""

import numpy as np
import pytest
import yaml

from weaver_tt.applications.jet_energy.correction import Correction, save_correction
from weaver_tt.config.load import load_config, save_config
from weaver_tt.errors import ConfigError
from weaver_tt.physics.jet_curves import EtaCurves, PtCurve

PT = PtCurve(
    edges=np.array([20.0, 200.0]),
    coefficients=np.array([[np.log(1.25), 0, 0, 0]]),
    errors=np.zeros((1, 2)),
)
CURVES = EtaCurves(eta_edges=np.array([0.0, 2.5]), curves=(PT,))
OFFSET = {"area": "jet_area", "rho": "rho"}


@pytest.fixture
def load(tmp_path):
    """Loads a YAML with derived outputs, beside a correction with and one without an offset."""
    for name, offset in (("jec.json", {}), ("with_offset.json", OFFSET)):
        sources = {"pt": "jet_pt", "eta": "jet_eta"} | offset
        save_correction(Correction(curves=CURVES, sources=sources), tmp_path / name, "")

    def load(**derived):
        values = {
            "inputs": {"jet": {"length": None, "vars": ["jet_pt", "jet_eta"]}},
            "labels": {"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)"}},
            "observers": ["jet_area", "rho"],
            "derived_outputs": {"corrected_pt": "jet_pt * np.exp(y)", **derived},
        }
        path = tmp_path / "data.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_config(str(path))

    return load


def test_roles_are_what_is_said_or_what_the_correction_was_derived_with(load):
    config = load(last={"correction": "jec.json", "pt": "corrected_pt"})
    assert config.derived_columns == {"corrected_pt": ("jet_pt",), "last": ("jet_eta",)}
    assert config.derived_inputs.names == ["jet_pt", "jet_eta"]
    found = config.derived_outputs["last"]
    assert not found.has_offset
    assert found.source.startswith("correction(jec.json ")
    assert found.source.endswith(", pt=corrected_pt, eta=jet_eta)")
    config = load(last={"correction": "with_offset.json", "pt": "corrected_pt", "rho": "rho * 0.9"})
    assert config.derived_columns["last"] == ("jet_area", "jet_eta", "rho")
    assert config.derived_outputs["last"].roles["rho"].source == "rho * 0.9"


def test_a_yaml_that_is_saved_elsewhere_finds_the_correction(load, tmp_path):
    config = load(last={"correction": "jec.json", "pt": "corrected_pt"})
    folder = tmp_path / "run"
    folder.mkdir()
    save_config(config, str(folder / "net.auto.yaml"), {})
    again = load_config(str(folder / "net.auto.yaml"))
    assert again.derived_outputs["last"].source == config.derived_outputs["last"].source
    # other numbers in a file of the same name are another output
    curves = EtaCurves(eta_edges=np.array([0.0, 3]), curves=(PT,))
    sources = {"pt": "jet_pt", "eta": "jet_eta"}
    save_correction(Correction(curves=curves, sources=sources), tmp_path / "jec.json", "")
    other = load_config(str(folder / "net.auto.yaml"))
    assert other.derived_outputs["last"].source != config.derived_outputs["last"].source


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pt": "corrected_pt"}, r"derived_outputs\.last\.correction: expected a file of"),
        ({"correction": "jec.jsn", "pt": "y"}, r"jec\.jsn: no such file"),
        ({"correction": "data.yaml", "pt": "y"}, r"data\.yaml: not a correction as"),
        ({"correction": "jec.json"}, r"derived_outputs\.last\.pt: expected the pT to correct"),
        ({"correction": "jec.json", "pt": "y", "etaa": "x"}, r"unknown key 'etaa'.*'eta'"),
        ({"correction": "jec.json", "pt": "np.sort(y)"}, r"last\.pt: np\.sort cannot be computed"),
        ({"correction": "jec.json", "pt": "y", "rho": "rho"}, r"last\.rho: .* has no offset"),
        (
            {"correction": "jec.json", "pt": "y", "eta": "gen_pt"},
            r"derived_outputs\.last: 'gen_pt' is read for labels",
        ),
    ],
)
def test_what_makes_no_sense_of_a_correction_is_refused_with_its_key(load, given, message):
    with pytest.raises(ConfigError, match=message):
        load(last=given)
