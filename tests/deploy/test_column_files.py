"""Files of columns are opened by their suffix; libraries that are missing are named."""

import importlib
import json
from pathlib import Path
from typing import Any

import awkward as ak
import pytest

from weaver_tt.deploy.column_files import opening_columns, opening_output
from weaver_tt.errors import ConfigError, DataError


def test_json_has_a_list_for_each_column(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('{"pt": [[1.5, 2], [], [NaN]], "met": [3, 4, 5]}')
    with opening_columns(str(path), None, lists=()) as file:
        assert file.rows() == 3
        assert "pt" in file
        assert "eta" not in file
        found = file.read(["met", "pt"], 0, 2)
    assert ak.to_list(found["pt"]) == [[1.5, 2], []]
    assert found["met"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pt": [1, 2], "met": [1]}, "different numbers of rows: pt: 2, met: 1"),
        ({"pt": 1}, "pt: expected a list, found 1"),
        ([1, 2], "the content: expected names with values, found list"),
    ],
)
def test_json_of_another_form_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words), opening_columns(str(path), None, lists=()):
        pass


def test_a_missing_column_is_met_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("jet_pt,met\n1;2,3\n")
    with opening_columns(str(tmp_path / "in.csv"), None, lists=["jet_pt"]) as file:
        assert file.resolve(["met"]) == ["met"]
        with pytest.raises(DataError, match=r"in\.csv: no column 'jet_pT'; did you mean 'jet_pt'"):
            file.resolve(["met", "jet_pT"])


@pytest.mark.parametrize("name", ["in.root", "in.parquet"])
def test_a_library_that_is_not_installed_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(module: str) -> Any:
        raise ModuleNotFoundError("No module named 'uproot'", name="uproot")

    monkeypatch.setattr(importlib, "import_module", fail)
    message = rf"{name}: uproot is not installed.*pip install 'weaver-tt-deploy\[files\]'"
    with pytest.raises(ConfigError, match=message), opening_columns(name, None, lists=()):
        pass
    with pytest.raises(ConfigError, match=message):
        opening_output(name)


def test_what_cannot_be_written_is_refused_by_its_suffix() -> None:
    with pytest.raises(
        ConfigError, match=r"-o out\.json: cannot write '\.json' files; known: \.csv"
    ):
        opening_output("out.json")
