"""For Python and C++: all outputs, any number of rows and objects."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    jets_config,
    lengths_of,
    shapes_of,
    write_target,
)
from weaver_tt.deploy.targets.generic import TaggerReader

JETS = ("jet_pt", "jet_eta", "jet_phi", "jet_flavour")


def test_rows_and_objects_are_free_and_all_outputs_are_there(tmp_path: Path) -> None:
    two: list[Any] = [DeepSet(seed, 3, event=2) for seed in (1, 2)]
    write_target(tmp_path / "out", "generic", event_config(), two)
    assert shapes_of(tmp_path / "out") == {
        "pf_features": ["N", 4, "P_pf_features"],
        "event": ["N", 2],
        "derived_inputs": ["N", 1],
        "output": ["N", 5],
        "output_std": ["N", 5],
    }
    free = {"var_length": 6, "min_length": 1, "max_length": 6}
    assert lengths_of(tmp_path / "out")["pf_features"] == free
    page = (tmp_path / "out" / "README.md").read_text()
    assert "`weaver-tt-apply FOLDER -t FILES -o scores.root`" in page


def test_a_row_is_read_with_its_tensors_and_nothing_beyond_the_length(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "generic", jets_config(), [DeepSet(0, 1, per_jet=True)])
    read = TaggerReader(tmp_path / "out")
    result = read({name: np.full(8, 30.0) for name in JETS})
    # (30 - 50) * 0.02
    np.testing.assert_allclose(result.inputs["jets"][0, 0], np.full(6, -0.4), rtol=1e-6)
    assert np.isnan(result.outputs["jet_eff"]).tolist() == [False] * 6 + [True] * 2
