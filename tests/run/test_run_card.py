"""The run card says what made the weights."""

import json
import logging

import pytest

from weaver_tt.errors import DataError, OutputError
from weaver_tt.options.train import RunOptions
from weaver_tt.run.run_card import load_card, make_card, read_card, save_card, written_files


def test_a_card_comes_back_as_it_was_saved(tmp_path):
    card = make_card(
        RunOptions(),
        seed=7,
        data_files={"training": {"_": {"a.root": 3}}, "validation": {}},
        texts={"data": "inputs: {}"},
    )
    save_card(tmp_path / "new" / "net", card)
    assert load_card(tmp_path / "new" / "net") == json.loads(json.dumps(card))
    assert card["seed"] == 7
    assert card["configs"] == {"data": "inputs: {}"}
    assert card["versions"]["torch"]
    assert card["options"]["train"]["num_epochs"] == 20
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net_run.json"]


def test_the_command_of_a_card_can_be_typed_again(monkeypatch):
    """An empty value and a pattern are one argument each for the shell, too."""
    typed = ["weaver-tt", "train", "--gpus", "", "-i", "top:data/*.root"]
    monkeypatch.setattr("sys.argv", typed)
    files = {"training": {}, "validation": {}}
    card = make_card(RunOptions(), seed=7, data_files=files, texts={})
    assert card["command"] == "weaver-tt train --gpus '' -i 'top:data/*.root'"


def test_a_card_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "net_run.json").mkdir()
    with pytest.raises(OutputError, match=r"net_run\.json: cannot be written"):
        save_card(tmp_path / "net", {})
    assert [path.name for path in tmp_path.iterdir()] == ["net_run.json"]


def test_a_run_without_a_card_has_none(tmp_path):
    assert load_card(tmp_path / "net") is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"options": 5}, "options: expected keys with values, found 5"),
        ({"options": {}}, "there is no options.data"),
        ({"seed": "seven"}, "seed: expected int, found 'seven'"),
        ({"seed": -1}, "seed: expected at least 0, found -1"),
        ({"versions": []}, "versions: expected names with values"),
        ({"data_files": {"training": [], "validation": {}}}, "data_files.training: expected names"),
        ({"files": [1]}, r"files.0.: expected str, found 1"),
        ({"bad_files": [{"path": "a"}]}, r"there is no bad_files.0..reason"),
        ({"configs": {"data": None}}, "configs.data: expected str, found None"),
        ({"ranks": 0}, "ranks: expected at least 1, found 0"),
    ],
)
def test_a_card_of_another_shape_is_said_and_the_run_goes_on_without(
    tmp_path, caplog, card, change, problem
):
    save_card(tmp_path / "net", card | change)
    with pytest.raises(DataError, match=f"net_run.json: a damaged run card: {problem}"):
        read_card(tmp_path / "net_run.json")
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        assert load_card(tmp_path / "net") is None
    assert "the run goes on without the card" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 10**5, b"3", b"null"])
def test_any_bytes_in_place_of_a_card_are_said(tmp_path, content):
    (tmp_path / "net_run.json").write_bytes(content)
    assert load_card(tmp_path / "net") is None
    with pytest.raises(DataError, match=r"net_run.json: "):
        read_card(tmp_path / "net_run.json")


def test_the_name_that_a_run_has_taken_before_it_begins_is_no_damage(tmp_path):
    (tmp_path / "net_run.json").write_text("{}\n")
    assert load_card(tmp_path / "net") == {}


def test_a_card_cannot_have_files_removed_that_are_none_of_a_run(tmp_path, caplog):
    run = tmp_path / "run"
    names = ["run/net_best_state.pt", "run/boards/events.out.tfevents.1", "thesis.tex"]
    names += ["boards/events.out.tfevents.2"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")
    listed = [f"../{name}" for name in names] + [str(tmp_path / "thesis.tex")]
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        found = written_files(str(run / "net"), {"files": listed})
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        name for name in names if name != "thesis.tex"
    ]
    assert caplog.text.count("thesis.tex, which is no file of a run, and is left") == 2
