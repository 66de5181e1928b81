"""Rows that a run leaves out stand in all that it writes, and in its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from weaver_tt import cli
from weaver_tt.data.accounting import LostRows
from weaver_tt.run import bad_files, launch
from weaver_tt.run.bad_files import record_bad_files, recorded_bad_files
from weaver_tt.run.run_card import load_card, save_card
from weaver_tt.system import distributed

YAML = """
inputs:
  event: {length: null, vars: [[x, auto]]}
labels: {type: simple, value: [is_a, is_b]}
observers: [number]
"""
NETWORK = """
from torch import nn

def get_model(data_config, **options):
    return nn.Linear(1, 2), {"input_names": ["event"]}
"""
ROWS = 40


def write(path: Path, first: int) -> Path:
    number = np.arange(first, first + ROWS)
    is_a = number % 2 == 0
    rows = {"number": number, "x": number / 10, "is_a": is_a, "is_b": ~is_a}
    ak.to_parquet(ak.Array(rows), path, row_group_size=ROWS // 2)
    return path


def damage(path: Path) -> Path:
    """Overwrite the second half of the rows; the footer, with names and types, stays whole."""
    content = bytearray(path.read_bytes())
    metadata = pq.ParquetFile(path).metadata.row_group(1)
    for column in range(metadata.num_columns):
        start = metadata.column(column).data_page_offset
        content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs a command on a whole, a damaged and a truncated file of 40 rows."""
    monkeypatch.chdir(tmp_path)
    Path("data.yaml").write_text(YAML)
    Path("net.py").write_text(NETWORK)
    write(Path("whole.parquet"), 0)
    damage(write(Path("half.parquet"), 100))
    Path("short.parquet").write_bytes(write(Path("short.parquet"), 200).read_bytes()[:300])

    def run(*arguments: str, skip: bool = True, files: str = "whole half short") -> int:
        paths = [f"{name}.parquet" for name in files.split()]
        common = ["-c", "data.yaml", "-n", "net.py", "--gpus", "", "--batch-size", "8"]
        common += ["--no-progress", "--no-figures", "--tensorboard", "off", "-m", "net"]
        common += ["--seed", "1", "--on-bad-file", "skip" if skip else "stop"]
        kind = "-t" if "--predict" in arguments else "-i"
        return cli.train([*arguments, *common, kind, *paths])

    return run


def rows_lost(listed):
    return {file["path"]: (file["rows"], file["ranges"]) for file in listed}


# of the damaged file all rows are lost: they are read together, in training and in validation
LOST = {"half.parquet": (ROWS, [[0, ROWS]]), "short.parquet": (None, None)}


def test_what_a_training_lost_is_in_its_card_its_metrics_and_its_exit_code(run):
    assert run("--num-epochs", "2") == cli.DONE_WITH_LOSSES == 3
    assert rows_lost(load_card("net")["bad_files"]) == LOST
    assert rows_lost(json.loads(Path("net_metrics.json").read_text())["bad_files"]) == LOST
    reasons = {file["path"]: file["reason"] for file in load_card("net")["bad_files"]}
    assert "cannot be read" in reasons["half.parquet"]
    # a run that is continued is still one that has lost rows, also if the files are whole by then
    write(Path("half.parquet"), 100)
    assert run("--num-epochs", "3", "--resume", files="whole half short") == 3
    assert rows_lost(load_card("net")["bad_files"]) == LOST


def test_what_a_prediction_lost_is_in_its_output_its_metrics_and_its_exit_code(run):
    assert run("--num-epochs", "1", files="whole") == 0
    assert load_card("net")["bad_files"] == []
    assert "bad_files" not in json.loads(Path("net_metrics.json").read_text())
    for suffix in ("root", "parquet"):
        output = f"pred.{suffix}"
        assert run("--predict", "--predict-output", output, files="whole") == 0
        assert b"weaver_tt_bad_files" not in Path(output).read_bytes()
        assert run("--predict", "--predict-output", output) == 3
        assert rows_lost(json.loads(Path("pred_metrics.json").read_text())["bad_files"]) == LOST
    with uproot.open("pred.root") as file:
        assert file["tree"]["number"].array().tolist() == list(range(ROWS))
        assert rows_lost(json.loads(str(file["weaver_tt_bad_files"]))) == LOST
    text = pq.read_metadata("pred.parquet").metadata[b"weaver_tt_bad_files"]
    assert rows_lost(json.loads(text)) == LOST


def test_a_training_whose_prediction_lost_rows_says_so(run):
    training = ("--num-epochs", "1", "--predict-output", "pred.root")
    assert run(*training, "-t", "whole.parquet", "half.parquet", files="whole") == 3
    assert load_card("net")["bad_files"] == []


def test_files_are_named_as_they_were_given_where_copies_are_read(run, tmp_path):
    assert run("--num-epochs", "1", "--copy-inputs", files="whole half") == 3
    (file,) = load_card("net")["bad_files"]
    assert file["path"] == str(tmp_path / "half.parquet")
    assert file["reason"].startswith(f"{tmp_path}/half.parquet: rows 0 to")


def test_reading_alone_says_so_too(run):
    assert run("--io-test") == 3
    assert run("--io-test", files="whole") == 0


def test_files_that_are_not_skipped_are_an_error_as_ever(run):
    assert run("--num-epochs", "1", skip=False) == 1
    assert not Path("net_run.json").exists()


def test_the_card_lists_what_any_rank_lost_in_any_epoch_once(tmp_path, monkeypatch, card):
    prefix = str(tmp_path / "net")
    save_card(prefix, card)
    of_ranks = [{LostRows("b", "x", 0, 10)}, {LostRows("b", "x", 5, 20), LostRows("a", "y", 0, 3)}]
    monkeypatch.setattr(distributed, "gather_from_ranks", lambda mine: of_ranks)
    for _ in range(2):
        record_bad_files(prefix, of_ranks[0])
    assert rows_lost(recorded_bad_files(prefix)) == {"a": (3, [[0, 3]]), "b": (20, [[0, 20]])}
    assert load_card(prefix)["seed"] == 7
    # other ranks write nothing
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    monkeypatch.setattr(bad_files, "save_card", None)
    record_bad_files(prefix, {LostRows("c", "z", 0, 1)})


def test_ranks_hand_their_result_to_the_command_that_started_them(run, tmp_path, monkeypatch):
    """torchrun calls any exit code but 0 a failure: the command itself ends with 3."""
    handed = tmp_path / "result.json"
    monkeypatch.setenv(launch.RESULT_FILE, str(handed))
    monkeypatch.setenv("RANK", "1")
    assert run("--num-epochs", "1") == 0
    assert not handed.exists()
    monkeypatch.setenv("RANK", "0")
    assert run("--num-epochs", "1", "--overwrite") == 0
    result = json.loads(handed.read_text())
    assert (result["prefix"], rows_lost(result["bad_files"])) == ("net", LOST)
    monkeypatch.delenv(launch.RESULT_FILE)
    monkeypatch.setattr("weaver_tt.run.run.needs_ranks", lambda options: True)
    monkeypatch.setattr("weaver_tt.run.run.launch_ranks", lambda options: result)
    assert run("--num-epochs", "1") == 3
