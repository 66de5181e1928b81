"""FCCAnalyses and key4hep: fixed lengths, one output, masks that become ones."""

from pathlib import Path

import awkward as ak
import pytest

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    events,
    lengths_of,
    sample_of,
    shapes_of,
    write_target,
)
from weaver_tt.errors import ConfigError

NETWORK = DeepSet(0, 3, event=2)


def test_fcc_has_fixed_lengths_and_scalars_with_an_axis(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "fcc", event_config(), [NETWORK])
    assert shapes_of(tmp_path / "out") == {
        "pf_features": ["N", 4, 6],
        "event": ["N", 2, 1],
        "derived_inputs": ["N", 1, 1],
        "output": ["N", 5],
    }
    # groups that FCC and key4hep look into are described, whether the YAML has them or not
    assert lengths_of(tmp_path / "out") == {
        "pf_features": {"var_length": 6},
        "pf_mask": {"var_length": 6},
        "event": {"var_length": 1},
        "derived_inputs": {"var_length": 1},
        "pf_vectors": {"var_length": 1},
    }


def test_a_mask_that_is_not_one_is_refused_where_the_reader_replaces_it(tmp_path: Path) -> None:
    config = event_config()
    sample = sample_of(config, events(40, seed=1))
    sample.raw["pf_mask"] = ak.where(sample.raw["jet_pt"] > 60, 1.0, 0.5)
    with pytest.raises(ConfigError, match=r"variable 'pf_mask' of 'pf_mask': is 0\.5 for some"):
        write_target(tmp_path / "out", "fcc", config, [NETWORK], sample=sample)
    write_target(tmp_path / "out", "cmssw", config, [NETWORK], sample=sample)
