"""A replay of golden.json agrees with torch, and says where a file does not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import DeepSet, event_config, jets_config, write_target
from weaver_tt.deploy.proof import replay_golden
from weaver_tt.errors import DataError, OutputError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports for readers that keep files a Tagger reads, with all kinds of rows."""
    folder = tmp_path_factory.mktemp("targets")
    modules: list[Any] = [DeepSet(0, 3, event=2)]
    for name in ("generic", "raw", "cmssw", "fcc"):
        write_target(folder / name, name, event_config(), modules)
    two: list[Any] = [DeepSet(seed, 1, per_jet=True) for seed in (1, 2)]
    write_target(folder / "jets", "generic", jets_config(), two)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["generic", "raw", "cmssw", "fcc", "jets"])
def test_all_rows_have_the_outputs_of_torch(folders: dict[str, Path], name: str) -> None:
    rows = json.loads((folders[name] / "golden.json").read_text())["rows"]
    found = replay_golden(folders[name])
    assert sum(found.kinds.values()) == len(rows) >= 30
    assert {"real", "NaN", "infinity", "a particle twice", "over-long"} <= found.kinds.keys()
    assert 0 < found.largest < 2e-6


def changed(folder: Path, to: Path, change: Any) -> Path:
    """A copy of an export, with another golden.json."""
    shutil.copytree(folder, to)
    content = json.loads((to / "golden.json").read_text())
    change(content)
    (to / "golden.json").write_text(json.dumps(content))
    return to


def test_another_output_is_found_and_named(folders: dict[str, Path], tmp_path: Path) -> None:
    def change(content: Any) -> None:
        # 1e-5 + 1e-5 |value| is allowed
        content["rows"][4]["outputs"]["is_b"] += 5e-5

    folder = changed(folders["generic"], tmp_path / "out", change)
    with pytest.raises(OutputError, match=r"row 4 \(real\), in calls of 1: output 'is_b' is "):
        replay_golden(folder)


def test_a_nan_in_one_of_both_is_a_difference(folders: dict[str, Path], tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["rows"][0]["outputs"]["is_b"] = "NaN"

    with pytest.raises(OutputError, match="the network gave nan in torch"):
        replay_golden(changed(folders["generic"], tmp_path / "out", change))


def test_the_tolerance_of_a_spread_is_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    def change(content: Any) -> None:
        row = content["rows"][1]
        assert len(row["outputs"]["jet_eff_std"]) > 0
        row["outputs"]["jet_eff_std"][0] += 0.5
        row["tolerance"]["outputs"] = {"jet_eff_std": {"absolute": 1, "relative": 0}}

    found = replay_golden(changed(folders["jets"], tmp_path / "out", change))
    assert 0.3 < found.largest < 0.5


def no_rows(content: Any) -> None:
    content["rows"] = []


def no_column(content: Any) -> None:
    content["rows"][3]["columns"]["jet_pT"] = content["rows"][3]["columns"].pop("jet_pt")


def text(content: Any) -> None:
    content["rows"][3]["columns"]["met"] = "much"


def mixed(content: Any) -> None:
    content["rows"][3]["columns"]["met"] = [1.0]


def ragged(content: Any) -> None:
    content["rows"][3]["columns"]["jet_eta"].append(0.5)


def no_type(content: Any) -> None:
    content["column_types"]["met"] = "float31"


def other_outputs(content: Any) -> None:
    content["rows"][3]["outputs"]["is_d"] = 0.5


def short(content: Any) -> None:
    content["rows"][3]["outputs"]["is_b"] = [0.5]


def no_kind(content: Any) -> None:
    del content["rows"][3]["kind"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_rows, "rows: there are none"),
        (no_column, r"rows\[3\]\.columns: there is no 'jet_pt'; did you mean 'jet_pT'"),
        (text, r"rows\[3\]\.columns\.met: expected numbers, NaN or Infinity, found 'much'"),
        (mixed, "column 'met': lists in some rows, single numbers in others"),
        (ragged, r"golden\.json: column 'jet_eta' of input 'pf_features': has 7 values in row 3"),
        (no_type, r"column_types\.met: "),
        (other_outputs, r"row 3 \(real\).*: the outputs are .*; expected .*, is_d"),
        (short, r"output 'is_b' has the shape \(\); expected \(1,\)"),
        (no_kind, r"there is no rows\[3\]\.kind"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_place(
    folders: dict[str, Path], tmp_path: Path, change: Any, words: str
) -> None:
    folder = changed(folders["generic"], tmp_path / "out", change)
    with pytest.raises((DataError, OutputError), match=words):
        replay_golden(folder)


def test_a_folder_without_proof_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["generic"], tmp_path / "out")
    (tmp_path / "out" / "golden.json").unlink()
    with pytest.raises(DataError, match=r"golden\.json: no such file"):
        replay_golden(tmp_path / "out")
