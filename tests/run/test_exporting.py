"""``weaver-tt export``: from a training to a folder that says what it is."""

import io
import json
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from weaver_tt import cli
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.options.export import ExportOptions
from weaver_tt.run import exporting
from weaver_tt.run_files import RunFiles
from weaver_tt.system import terminal


def export(run, *flags: object) -> int:
    usual = ["-m", run.prefix, "-c", run.folder / "data.yaml", "-n", run.folder / "net.py"]
    return cli.main(["export", *map(str, [*usual, "-o", run.folder / "out", *flags])])


def golden(run) -> dict:
    return json.loads((run.folder / "out" / "golden.json").read_text())


@pytest.fixture
def trained(small_run):
    """A network of 3 hidden nodes by default, trained with 4."""
    assert small_run("-o", "hidden", 4) == 0
    return small_run


def test_the_rows_that_the_training_kept_are_the_proof(trained):
    assert export(trained, "--target", "fcc") == 0
    content = golden(trained)
    assert content["target"] == "fcc"
    assert content["source"] == "columns of the files"
    # 20 rows of two columns; what has no objects has no kinds of them
    assert len(content["rows"]) >= 30
    assert content["missing"] == {
        "over-long": "no column of the inputs has objects",
        "a particle twice": "no column of the inputs has objects",
        "empty": "no input has objects",
    }
    page = (trained.folder / "out" / "README.md").read_text()
    assert page.startswith("# out: an export for the reader of FCCAnalyses and key4hep")
    assert "metrics of the best epoch" in page
    # a prediction with the folder takes the statistics from it
    files = RunFiles.of(trained.folder / "out" / "model.onnx")
    assert files.auto_yaml.is_file()
    flags = ["-m", trained.folder / "out" / "model.onnx", "--predict", "-t"]
    flags += [trained.folder / "jets.parquet", "--predict-output", trained.folder / "p.parquet"]
    assert trained(*flags) == 0


def test_other_files_are_the_proof_where_they_are_named(trained):
    RunFiles(str(trained.prefix)).raw_sample.unlink()
    assert export(trained, "-t", trained.folder / "jets.parquet") == 0
    assert golden(trained)["source"] == "columns of the files"
    assert export(trained) == 0
    assert golden(trained)["source"].startswith("variables computed back")


def test_a_terminal_shows_commands_that_try_the_export(trained, monkeypatch):
    drawn = Console(file=io.StringIO(), width=500, force_terminal=True, color_system=None)
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    monkeypatch.setattr(terminal, "console", lambda: drawn)
    monkeypatch.chdir(trained.folder)
    assert export(trained, "-t", trained.folder / "jets.parquet") == 0
    *_, title, golden, predict = drawn.file.getvalue().splitlines()
    assert title == "next"
    assert shlex.split(golden)[0] == "weaver-tt-apply"
    assert cli.apply(shlex.split(golden)[1:]) == 0
    # as it is, but for terminals
    assert cli.main([*shlex.split(predict)[1:], "--no-progress", "--no-figures"]) == 0
    assert (trained.folder / "scores.root").is_file()


def test_an_onnx_file_alone_is_shown_with_commands_that_try_it(trained, monkeypatch):
    drawn = Console(file=io.StringIO(), width=500, force_terminal=True, color_system=None)
    monkeypatch.chdir(trained.folder)
    usual = ["-m", trained.prefix, "-c", "data.yaml", "-n", "net.py", "-t", "jets.parquet"]
    with monkeypatch.context() as patched:
        patched.setattr(terminal, "is_terminal", lambda: True)
        patched.setattr(terminal, "console", lambda: drawn)
        assert cli.train([*map(str, usual), "--export-onnx", "out/net.onnx"]) == 0
    frame, commands = drawn.file.getvalue().split("next\n")
    assert "network     out/net.onnx" in frame
    assert "its inputs  out/preprocess.json" in frame
    inspect, predict = (shlex.split(line)[1:] for line in commands.splitlines())
    assert cli.main(inspect) == 0
    # as it is, but for terminals: a graph needs no network file
    assert cli.main([*predict, "--no-figures"]) == 0
    assert (trained.folder / "scores.root").is_file()
    assert "-n" not in predict


@pytest.mark.parametrize(
    ("target", "tried"),
    [("generic", 2), ("fcc", 2), ("cmssw", 2), ("raw", 1), ("triton", 0), ("athena", 0)],
)
def test_only_what_can_be_tried_here_is_shown(target, tried):
    chosen = ExportOptions(target=target, output="out", data_config="data.yaml")
    commands = exporting.commands_after_export(chosen, TARGETS[target]("net"))
    assert len(commands) == tried


def test_a_folder_that_cannot_be_written_to_is_said_before_the_network_is_looked_for(
    small_run, capsys
):
    (small_run.folder / "out").write_text("")
    assert export(small_run) == 1
    assert "is a file; expected a folder" in capsys.readouterr().err


def test_names_of_targets_are_checked(small_run, capsys):
    with pytest.raises(SystemExit):
        export(small_run, "--target", "fccc")
    assert "invalid choice: 'fccc'" in capsys.readouterr().err
    assert not Path(small_run.folder / "out").exists()


def test_what_flags_alone_tell_comes_before_anything_is_loaded(small_run, capsys):
    """There is no network yet."""
    assert export(small_run, "--onnx-opset", 18) == 1
    assert "operator set 18: Tagger reads 17 and older" in capsys.readouterr().err
    assert export(small_run, "--target", "athena", "--name", "my net") == 1
    assert "name 'my net'" in capsys.readouterr().err
    assert export(small_run, "-m", small_run.folder / "model.onnx") == 1
    assert "model.onnx: is exported already" in capsys.readouterr().err
    assert export(small_run) == 1
    assert "--model-prefix: no folder" in capsys.readouterr().err
