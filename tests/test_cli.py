"""The entry points: fast help, exit codes, one clear message."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import awkward as ak
import pytest

from weaver_tt import cli
from weaver_tt.errors import DataError
from weaver_tt.log import format_metrics
from weaver_tt.network.file import NetworkFile

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [["train.py"], ["weaver-tt"], ["weaver-tt", "closure"], ["weaver-tt", "tune"]],
    ids=" ".join,
)
def test_help_needs_no_heavy_import(command):
    function = "train()" if command == ["train.py"] else "main()"
    code = f"""
import sys
from weaver_tt.cli import main, train
sys.argv = {[*command, "--help"]}
try:
    {function}
except SystemExit as stop:
    assert stop.code == 0
heavy = {{"torch", "uproot", "awkward", "matplotlib", "numpy", "pyarrow", "optuna"}}
heavy &= set(sys.modules)
assert not heavy, heavy
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout


def test_a_training_imports_what_it_draws_with_and_reads_with_only_where_it_does(tmp_path):
    code = """
import sys
from weaver_tt.cli import main
assert main(sys.argv[1:]) == 0
# pyarrow is not among them: awkward imports it itself
heavy = {"matplotlib", "mplhep", "hist", "h5py", "pandas", "aiohttp", "pytorch_optimizer", "rich"}
heavy &= set(sys.modules)
assert not heavy, heavy
"""
    number = list(range(20))
    table = ak.Array({"x": [float(n) for n in number], "y": [n % 2 for n in number]})
    ak.to_parquet(table, tmp_path / "rows.parquet")
    (tmp_path / "data.yaml").write_text(
        "inputs: {row: {length: null, vars: [x]}}\n"
        "labels: {type: simple, value: [y, not_y]}\nnew_variables: {not_y: 1 - y}\n"
    )
    (tmp_path / "network.py").write_text(
        "import torch\n"
        "def get_model(data_config, **options):\n"
        "    return torch.nn.Linear(1, 2), {}\n"
    )
    arguments = "train -i rows.parquet -c data.yaml -n network.py -m net --num-epochs 1 --gpus="
    arguments += " --batch-size 4 --optimizer adam --no-figures --tensorboard off"
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_compiler_is_imported_by_what_compiles_alone():
    """It takes longer than all else that a prediction imports beside torch; optimizers need it."""
    code = """
import sys
import weaver_tt.run.exporting
import weaver_tt.run.inspecting
import weaver_tt.run.prediction
import weaver_tt.run.training
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_error_of_the_input_is_one_message_and_exit_code_1(capsys):
    def broken(_: object) -> None:
        raise DataError("events.root: no tree 'tree'")

    cli.configure_log()
    assert cli.guarded(broken, None) == 1
    err = capsys.readouterr().err
    assert "events.root: no tree 'tree'" in err
    assert "Traceback" not in err


def test_what_was_left_out_is_an_exit_code_of_its_own(capsys):
    cli.configure_log()
    whole = SimpleNamespace(bad_files=[])
    lossy = SimpleNamespace(bad_files=[{"path": "a.root"}, {"path": "b.root"}])
    # a training, a prediction by test group, an export, a command that returns nothing
    for result, code in [
        (whole, 0),
        (lossy, 3),
        ({"x": whole, "y": lossy}, 3),
        (1e-7, 0),
        (None, 0),
    ]:
        assert cli.guarded(lambda _, result=result: result, None) == code
    assert capsys.readouterr().err.count("done, with losses: rows of 2 bad files") == 2


def test_a_network_that_gives_nan_is_an_exit_code_of_its_own(capsys):
    cli.configure_log()
    lossy = SimpleNamespace(bad_files=[{"path": "a.root"}], without_output=0)
    broken = SimpleNamespace(bad_files=[], without_output=3)
    for result, code in [(lossy, 3), (broken, 4), ({"x": lossy, "y": broken, "z": broken}, 4)]:
        assert cli.guarded(lambda _, result=result: result, None) == code
    shown = capsys.readouterr().err
    assert "the network gives NaN or infinity for 3 entries; the exit code is 4" in shown
    assert "the network gives NaN or infinity for 6 entries" in shown


def test_lack_of_memory_names_the_flags_that_help(capsys, tmp_path):
    class OutOfMemoryError(RuntimeError):
        """As torch raises it for a GPU."""

    path = tmp_path / "net.py"
    path.write_text("raise MemoryError('of a network file')\n")
    cli.configure_log()

    def fail(error):
        raise error

    allocator = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")
    for error in (MemoryError(), OutOfMemoryError("CUDA out of memory"), allocator):
        assert cli.guarded(fail, error) == 1
        shown = capsys.readouterr().err
        assert "--batch-size" in shown
        assert "--pool-size" in shown
        assert "Traceback" not in shown
    assert cli.guarded(NetworkFile, path) == 1
    shown = capsys.readouterr().err
    assert "of a network file" in shown
    assert "--batch-size" in shown
    assert cli.guarded(fail, RuntimeError("another")) == 1
    assert "--batch-size" not in capsys.readouterr().err


def test_an_error_in_a_users_file_is_its_own_lines_and_exit_code_1(tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text("import no_such_library\n")
    cli.configure_log()
    assert cli.guarded(NetworkFile, path) == 1
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].endswith("an error in your code:")
    assert shown[1:] == [
        f'  File "{path}", line 1, in <module>',
        "    import no_such_library",
        "ModuleNotFoundError: No module named 'no_such_library'",
    ]


def test_a_bug_keeps_its_traceback():
    with pytest.raises(AttributeError):
        cli.guarded(format_metrics, None)


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["closre"])
    assert stop.value.code == 2
    assert "closre: no such command; did you mean 'closure'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["jec"], "jec: no such command; write jec derive or jec apply"),
        (["jec", "aply", "x"], "jec aply: no such command; did you mean 'jec apply' or 'apply'?"),
        (["jec", "--test"], "jec: no such command; write jec derive or jec apply"),
    ],
)
def test_the_second_word_of_a_command_is_asked_for(capsys, words, hint):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert hint in capsys.readouterr().err


def test_a_command_of_two_words_has_its_own_help(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["jec", "derive", "--help"])
    assert stop.value.code == 0
    assert "usage: weaver-tt jec derive" in capsys.readouterr().out


def test_the_list_of_commands_is_shown_where_none_is_named(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert shown.endswith("weaver-tt: error: expected a command first\n")
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    # of the commands of two words both words
    assert "  jec derive      derive the standard correction of jets: offset and response" in shown
    assert lines.index("look at data, and begin:") < lines.index("make samples:")


def test_each_command_is_listed_under_one_topic():
    listed = [name for commands in cli.TOPICS.values() for name in commands]
    assert sorted(listed) == sorted([*cli.COMMANDS, *cli.OF_TRAINING])


def test_flags_of_commands_are_met_with_the_nearest_too(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["toy", "--evnts", "3"])
    assert stop.value.code == 2
    assert "weaver-tt toy: error: --evnts: no such flag; did you mean '--events'?" in (
        capsys.readouterr().err
    )


def test_version_is_told(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert "0.1.0" in capsys.readouterr().out


def test_numbers_of_all_commands_are_checked_before_anything_is_read(capsys):
    assert cli.main(["map", "nothing.root", "--eta-bins", "-1"]) == 1
    assert "--eta-bins -1: expected a number of at least 1" in capsys.readouterr().err
