"""CMSSW: as many objects as there are, where the network takes that."""

from pathlib import Path

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    lengths_of,
    shapes_of,
    write_target,
)

NETWORK = DeepSet(0, 3, event=2)


def test_cmssw_takes_as_many_objects_as_there_are(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "cmssw", event_config(), [NETWORK])
    found = shapes_of(tmp_path / "out")
    assert found["pf_features"][2] == "P_pf_features"
    assert found["event"] == ["N", 2, 1]
    assert found["output"] == ["N", 5]
    assert lengths_of(tmp_path / "out") == {
        "pf_features": {"min_length": 1, "max_length": 6},
        "pf_mask": {"min_length": 1, "max_length": 6},
        "event": {"min_length": 1, "max_length": 1},
        "derived_inputs": {"min_length": 1, "max_length": 1},
    }


def test_cmssw_has_var_length_where_no_length_is_free(tmp_path: Path) -> None:
    fixed = {"dynamic_axes": {"pf_features": {0: "N"}, "pf_mask": {0: "N"}}}
    write_target(tmp_path / "out", "cmssw", event_config(), [NETWORK], info=fixed)
    assert shapes_of(tmp_path / "out")["pf_features"] == ["N", 4, 6]
    assert lengths_of(tmp_path / "out")["event"] == {"var_length": 1}
