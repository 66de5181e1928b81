"""`weaver-tt inspect` of what a run leaves."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from weaver_tt import cli
from weaver_tt.run import inspecting


def inspect(capsys: pytest.CaptureFixture[str], *flags: object) -> list[str]:
    capsys.readouterr()
    assert cli.main(["inspect", *map(str, flags)]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_run_says_command_data_best_epoch_and_weights(small_run, capsys):
    assert small_run("--seed", 7, "-o", "hidden", 5) == 0
    # the prefix, and any file of the run
    lines = inspect(capsys, small_run.prefix)
    assert lines == inspect(capsys, f"{small_run.prefix}_run.json")
    assert lines[0] == f"{small_run.prefix}: a training, done"
    assert "  seed: 7" in lines
    assert f"  network: {small_run.folder / 'net.py'} -o hidden 5" in lines
    assert any(re.fullmatch(r"    training: \d+ rows of 1 file", line) for line in lines)
    assert any(line.startswith("  best: loss 0.") for line in lines)
    assert "  weights: net_best_epoch_state.pt, net_epoch-0_state.pt" in lines
    yaml = inspect(capsys, small_run.prefix, "--data-config")
    assert "  jet: {length: null, vars: [x, y]}" in yaml


def test_weights_are_listed_and_a_checkpoint_says_where_it_goes_on(small_run, capsys):
    assert small_run() == 0
    lines = inspect(capsys, f"{small_run.prefix}_epoch-0_state.pt")
    # 2 * 3 + 3 and 3 * 2 + 2
    assert lines[0].endswith(": 17 numbers in 4 tensors")
    assert "  layers.0.weight  float32 (3, 2)" in lines
    lines = inspect(capsys, f"{small_run.prefix}_resume.pt")
    assert lines[0].endswith("where a training of 1 network goes on")
    assert lines[1] == "  epoch 1, 0 batches into it"
    assert "  optimizer: adam" in lines


def test_weights_of_others_beside_more_are_named(tmp_path, capsys):
    path = tmp_path / "theirs.pt"
    torch.save({"epoch": 3, "model": {"w": torch.ones(2), "b": torch.ones(1)}}, path)
    lines = inspect(capsys, path)
    assert lines == [f"{path}: a checkpoint with epoch, model", "model: 2 entries"]


def test_a_prediction_says_of_what_it_is(small_run, capsys):
    assert small_run() == 0
    output = small_run.folder / "pred.root"
    jets = small_run.folder / "jets.parquet"
    assert small_run("--predict", "-t", jets, "--predict-output", output) == 0
    lines = inspect(capsys, output)
    place = lines.index("a prediction: classification")
    assert "  score_is_a  float32" in lines[:place]
    assert lines[place + 1 :] == [
        "  outputs: score_is_a, score_is_b",
        "  classes: is_a, is_b",
        "  network: 17 parameters",
    ]


def test_an_onnx_file_says_what_it_holds(small_run, capsys):
    assert small_run() == 0
    model = small_run.folder / "model.onnx"
    assert small_run("--export-onnx", model) == 0
    assert inspect(capsys, model)[0].startswith(f"{model}: ")
    (text,) = inspect(capsys, model, "--preprocess")
    assert json.loads(text)["jet"]["var_names"] == ["x", "y"]


def test_who_reads_the_first_lines_alone_gets_no_error(tmp_path):
    path = tmp_path / "many.parquet"
    # more than a pipe holds, which is 64 KiB
    pq.write_table(pa.table({f"column_{i:0200d}": [1.0] for i in range(500)}), path)
    command = [sys.executable, "-m", "weaver_tt.cli", "inspect", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(str(path).encode())
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_lines_are_broken_between_words_on_a_terminal_and_many_weights_are_counted(
    small_run, capsys, monkeypatch
):
    assert small_run("--num-epochs", 7) == 0
    weights = next(line for line in inspect(capsys, small_run.prefix) if "weights" in line)
    assert weights.endswith("net_epoch-4_state.pt and 2 more")
    monkeypatch.setattr(inspecting, "prints_to_terminal", lambda: True)
    monkeypatch.setattr(inspecting, "terminal_width", lambda: 60)
    lines = inspect(capsys, small_run.prefix)
    place = next(number for number, line in enumerate(lines) if "weights" in line)
    assert len(lines[place]) <= 60
    assert " ".join(line.strip() for line in lines[place:]).startswith(weights.strip())


def test_what_is_nothing_of_these_is_refused_with_the_nearest_run(small_run, capsys):
    assert small_run() == 0
    capsys.readouterr()
    for file, text in (
        (small_run.folder / "m" / "nte", "no such file .* or run; did you mean '.*/m/net'"),
        (small_run.folder / "net.py", "not a data file"),
        (small_run.folder / "m" / "net_epoch-1_state.pt", "did you mean 'net_epoch-0_state.pt'"),
    ):
        assert cli.main(["inspect", str(file)]) == 1
        assert re.search(text, capsys.readouterr().err)
    assert cli.main(["inspect", str(small_run.prefix), "--preprocess"]) == 1
    assert "holds no preprocess; known: data_config" in capsys.readouterr().err
