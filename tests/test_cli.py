"""The entry points: fast help, exit codes, one clear message."""

import subprocess
import sys
from pathlib import Path

import pytest

from weaver_tt import cli
from weaver_tt.errors import DataError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("command", [["train.py", "--help"], ["-m", "weaver_tt.cli", "--help"], ["-m", "weaver_tt.cli", "closure", "--help"]])
def test_help_needs_no_heavy_import(command):
    code = (
        "import runpy, sys\n"
        f"sys.argv = {command if command[0] != '-m' else command[1:]!r}\n"
        "try:\n"
        + (f"    runpy.run_path({command[0]!r}, run_name='__main__')\n" if command[0] != "-m" else f"    runpy.run_module({command[1]!r}, run_name='__main__')\n")
        + "except SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'uproot', 'awkward', 'matplotlib', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout


def test_an_error_of_the_input_is_one_message_and_exit_code_1(capsys):
    def broken(_: object) -> None:
        raise DataError("events.root: no tree 'tree'")

    cli.configure()
    assert cli.guarded(broken, None) == 1
    err = capsys.readouterr().err
    assert "events.root: no tree 'tree'" in err
    assert "Traceback" not in err


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.guarded(lambda _: 1 / 0, None)


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["closre"])
    assert stop.value.code == 2
    assert "closure" in capsys.readouterr().err


def test_version_is_told(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert "0.1.0" in capsys.readouterr().out
