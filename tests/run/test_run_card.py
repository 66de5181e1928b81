"""The run card says what made the weights."""

import json

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.options.train import RunOptions
from weaver_tt.run.run_card import load_card, make_card, save_card


def test_a_card_comes_back_as_it_was_saved(tmp_path):
    card = make_card(
        RunOptions(),
        seed=7,
        data_files={"training": {"_": {"a.root": 3}}},
        texts={"data": "inputs: {}"},
    )
    save_card(tmp_path / "new" / "net", card)
    assert load_card(tmp_path / "new" / "net") == json.loads(json.dumps(card))
    assert card["seed"] == 7
    assert card["configs"] == {"data": "inputs: {}"}
    assert card["versions"]["torch"]
    assert card["options"]["train"]["num_epochs"] == 20
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net_run.json"]


def test_a_card_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "net_run.json").mkdir()
    with pytest.raises(OutputError, match=r"net_run\.json: cannot be written"):
        save_card(tmp_path / "net", {})
    assert [path.name for path in tmp_path.iterdir()] == ["net_run.json"]


def test_a_run_without_a_card_has_none(tmp_path):
    assert load_card(tmp_path / "net") is None
