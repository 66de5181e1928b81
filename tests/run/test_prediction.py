"""Predictions of many files: file by file, in shares, begun again after any interruption."""

import json
import os
import signal
import subprocess
import sys

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from weaver_tt import api, cli
from weaver_tt.formats import writers
from weaver_tt.output.about import read_about
from weaver_tt.run.run_card import load_card
from weaver_tt.system.signals import RESUME_ME

ROWS = (7, 0, 12, 5)


def write_inputs(folder):
    """Files of so many rows; the second one has none, as skims may have."""
    folder.mkdir()
    random = np.random.default_rng(2)
    for number, rows in enumerate(ROWS):
        columns = {
            "x": random.normal(size=rows),
            "y": random.normal(size=rows),
            "is_a": np.arange(rows) % 2,
            "is_b": 1 - np.arange(rows) % 2,
            "number": 100 * number + np.arange(rows),
        }
        ak.to_parquet(ak.zip(columns), folder / f"skim_{number}.parquet")


@pytest.fixture
def trained(small_run, monkeypatch):
    """A trained network in the working folder, and files to predict."""
    monkeypatch.chdir(small_run.folder)
    assert small_run() == 0
    write_inputs(small_run.folder / "in")
    return small_run


def flags(trained, *more, files="in/*.parquet"):
    usual = ["--predict", "-c", trained.folder / "data.yaml", "-n", trained.folder / "net.py"]
    usual += ["-m", trained.prefix, "-t", files, "--gpus=", "--no-figures", *more]
    return [str(flag) for flag in usual]


def predict(trained, *more, **options):
    return cli.train(flags(trained, *more, **options))


def rows_of(path):
    return uproot.open(f"{path}:tree").arrays().to_list()


def modified(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.root")}


def test_files_one_by_one_and_in_shares_are_all_files_at_once(trained):
    assert predict(trained, "--predict-output", "all.root") == 0
    assert predict(trained, "--predict-output", "one/{file}.root") == 0
    for share in range(3):
        shares = ("--data-test-share", f"{share}/3")
        assert predict(trained, "--predict-output", "shares/{file}.root", *shares) == 0
    together = []
    for number, rows in enumerate(ROWS):
        found = rows_of(f"one/skim_{number}.root")
        assert [row["number"] for row in found] == [100 * number + i for i in range(rows)]
        assert rows_of(f"shares/skim_{number}.root") == found
        together += found
    assert together == rows_of("all.root")
    # the file without rows has the same columns
    empty, full = (uproot.open(f"one/skim_{number}.root:tree") for number in (1, 0))
    assert empty.typenames() == full.typenames()


def test_folds_and_groups_are_predicted_file_by_file_too(trained):
    folds = ("--cross-validation", "number%2")
    trained.prefix = trained.folder / "f" / "net"
    assert trained(*folds) == 0
    files = ["top:in/skim_[01].parquet", "qcd:in/skim_[23].parquet"]
    command = [*flags(trained, *folds), "-t", *files]
    assert cli.train([*command, "--predict-output", "all.root"]) == 0
    assert cli.train([*command, "--predict-output", "one/{group}/{file}.root"]) == 0
    for group, numbers in (("top", (0, 1)), ("qcd", (2, 3))):
        found = []
        for number in numbers:
            found += rows_of(f"one/{group}/skim_{number}.root")
        # each output has its folds one after another
        expected = sorted(rows_of(f"all_{group}.root"), key=lambda row: row["number"])
        assert sorted(found, key=lambda row: row["number"]) == expected


def test_a_share_without_files_is_done(trained):
    shares = ("--data-test-share", "6/7")
    assert predict(trained, "--predict-output", "o/{file}.root", *shares) == 0
    assert not (trained.folder / "o").exists()


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_a_job_that_is_started_again_does_only_what_is_missing(trained, suffix):
    output = ("--predict-output", f"o/{{file}}.{suffix}", "--resume")
    folder = trained.folder / "o"
    assert predict(trained, *output) == 0
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / f"skim_2.{suffix}").unlink()
    assert predict(trained, *output) == 0
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert before.keys() == after.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"skim_2.{suffix}", "skim_2_metrics.json"}


def test_what_was_made_of_something_else_is_not_kept(trained):
    output = ("--predict-output", "o/{file}.root", "--resume")
    folder = trained.folder / "o"
    assert predict(trained, *output) == 0
    # another selection, another network, another input
    before = modified(folder)
    assert predict(trained, *output, "--extra-selection-test", "x > 0") == 0
    selected = modified(folder)
    assert not set(before.items()) & set(selected.items())
    assert trained("--overwrite", "--num-epochs", "2", "--seed", "5") == 0
    assert predict(trained, *output, "--extra-selection-test", "x > 0") == 0
    retrained = modified(folder)
    assert not set(selected.items()) & set(retrained.items())
    os.utime("in/skim_3.parquet")
    (folder / "skim_0.root").write_bytes(b"something else")
    assert predict(trained, *output, "--extra-selection-test", "x > 0") == 0
    again = modified(folder)
    assert {name for name in again if again[name] != retrained[name]} == {
        "skim_0.root",
        "skim_3.root",
    }


def test_without_resume_all_is_predicted_anew(trained):
    output = ("--predict-output", "o/{file}.root")
    assert predict(trained, *output) == 0
    before = modified(trained.folder / "o")
    assert predict(trained, *output) == 0
    assert not set(before.items()) & set(modified(trained.folder / "o").items())


def test_a_bad_file_is_left_out_alone_and_said_each_time(trained):
    (trained.folder / "in" / "skim_2.parquet").write_bytes(b"PAR1 cut short")
    output = ("--predict-output", "o/{file}.root", "--resume")
    assert predict(trained, *output) == 1
    assert predict(trained, *output, "--on-bad-file", "skip") == cli.DONE_WITH_LOSSES
    assert sorted(modified(trained.folder / "o")) == ["skim_0.root", "skim_1.root", "skim_3.root"]
    assert predict(trained, *output, "--on-bad-file", "skip") == cli.DONE_WITH_LOSSES


def test_an_output_without_numbers_is_said_again_where_it_is_kept(trained):
    network = trained.folder / "net.py"
    source = network.read_text()
    broken = source.replace("self.layers(jet)", "self.layers(jet) + (jet[:, :1] * 1e300).log()")
    assert broken != source
    network.write_text(broken)
    output = ("--predict-output", "o/{file}.root", "--resume")
    assert predict(trained, *output) == cli.DONE_WITHOUT_NUMBERS
    before = modified(trained.folder / "o")
    assert predict(trained, *output) == cli.DONE_WITHOUT_NUMBERS
    assert modified(trained.folder / "o") == before


def test_what_a_user_calls_an_output_is_checked_first(trained):
    assert predict(trained, "--predict-output", "in/{file}.parquet") == 1
    assert predict(trained, "--predict-output", "in/skim_0.parquet", files="in/skim_0.parquet") == 1
    assert pq.read_metadata("in/skim_0.parquet").num_rows == 7


# --- interruption

KILLED = """
import os, signal, sys
from weaver_tt import cli
from weaver_tt.formats import writers
from weaver_tt.output.about import read_about
from weaver_tt.run.run_card import load_card

number, at = map(int, sys.argv[1].split(","))
write = writers.Writer.write
calls = 0

def write_and_send(self, columns):
    global calls
    write(self, columns)
    calls += 1
    if calls == at:
        os.kill(os.getpid(), number)

writers.Writer.write = write_and_send
sys.exit(cli.train(sys.argv[2:]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_a_job_that_is_killed_goes_on_with_the_file_it_was_in(trained, number):
    output = ("--predict-output", "o/{file}.root", "--resume", "--batch-size", "4")
    assert predict(trained, *output[2:], "--predict-output", "whole/{file}.root") == 0
    # in the second batch of the third file
    command = [sys.executable, "-c", KILLED, f"{int(number)},5", *flags(trained, *output)]
    path = os.pathsep.join(filter(None, sys.path))
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert ended.returncode == (-number if number == signal.SIGKILL else RESUME_ME)
    before = modified(trained.folder / "o")
    assert sorted(before) == ["skim_0.root", "skim_1.root"]
    request = trained.folder / "o" / "all_requeue"
    assert request.exists() == (number != signal.SIGKILL)
    assert predict(trained, *output) == 0
    after = modified(trained.folder / "o")
    assert before.items() <= after.items()
    for number in range(4):
        assert rows_of(f"o/skim_{number}.root") == rows_of(f"whole/skim_{number}.root")
    # neither a request nor a part of a file
    assert sorted(path.name for path in (trained.folder / "o").iterdir()) == sorted(
        path.name for path in (trained.folder / "whole").iterdir()
    )


def test_max_time_ends_a_prediction_where_it_can_be_begun_again(trained, monkeypatch):
    monkeypatch.setattr("weaver_tt.cli.seconds_of", lambda *arguments: 0)
    assert predict(trained, "--max-time", "00:01", "--predict-output", "p.root") == RESUME_ME
    assert not (trained.folder / "p.root").exists()
    request = trained.folder / "p_requeue"
    assert "--max-time 00:01: the running prediction begins anew" in request.read_text()
    monkeypatch.undo()
    os.chdir(trained.folder)
    assert predict(trained, "--predict-output", "p.root") == 0
    assert not request.exists()


# --- from Python


@pytest.fixture
def network(trained):
    return api.load_trained(
        data_config=trained.folder / "data.yaml",
        network_config=trained.folder / "net.py",
        model_prefix=trained.prefix,
        gpus="",
        figures=False,
        resume=True,
    )


def test_a_loaded_network_writes_what_the_command_line_writes(trained, network):
    assert predict(trained, "--predict-output", "line/{file}.root") == 0
    written = network.predict_file("in/skim_2.parquet", "mine/a.root")
    assert (str(written.path), written.rows) == ("mine/a.root", 12)
    assert rows_of("mine/a.root") == rows_of("line/skim_2.root")
    # what the command line has written is known, too
    before = modified(trained.folder / "line")
    assert network.predict_file("in/skim_0.parquet", "line/skim_0.root").rows == 7
    assert modified(trained.folder / "line") == before


def test_a_loaded_network_predicts_into_memory(trained, network):
    assert predict(trained, "--predict-output", "all.root") == 0
    assert network.predict_table("in/*.parquet").to_list() == rows_of("all.root")
    empty = network.predict_table("in/skim_1.parquet")
    assert len(empty) == 0
    assert set(empty.fields) == set(uproot.open("all.root:tree").keys())


def test_two_processes_never_write_one_output(trained, network, monkeypatch):
    monkeypatch.setattr("weaver_tt.system.locks.PATIENCE", 0)
    with writers.open_writer("o/a.root") as other:
        with pytest.raises(api.WeaverError, match=r"o/a.root: in use by another process"):
            network.predict_file("in/skim_0.parquet", "o/a.root")
        other.write({"a": np.zeros(3)})
    assert len(rows_of("o/a.root")) == 3
    # what lies there is not of this network
    assert network.predict_file("in/skim_0.parquet", "o/a.root").rows == 7


def test_the_metrics_of_each_file_lie_beside_it(trained, network):
    network.predict_file("in/skim_2.parquet", "o/a.root")
    metrics = json.loads((trained.folder / "o" / "a_metrics.json").read_text())["metrics"]
    assert 0 <= metrics["accuracy"] <= 1


@pytest.mark.parametrize("output", ["pred.root", "pred.parquet", "of_{file}.root"])
def test_predictions_say_what_their_network_costs(trained, output):
    assert predict(trained, "--predict-output", output, files="in/skim_2.parquet") == 0
    about = read_about(output.format(file="skim_2"))
    assert (about.task, about.classes) == ("classification", ("is_a", "is_b"))
    # layers of 2 to 3 and of 3 to 2 values, with biases; a weight multiplies and adds
    assert about.network.parameters == 9 + 8
    assert about.network.flops_per_row == 2 * (6 + 6)
    assert about.network.seconds_per_row > 0
    of_batch = load_card(trained.prefix)["time_of_batch"]
    assert about.network.training_step_seconds == of_batch["seconds"] > 0
    assert about.network.training_step_rows == of_batch["rows"] <= 20
