"""The job scripts of docs/cluster.md ask for another turn exactly where the training does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt import cli
from weaver_tt.options.train import parse_options
from weaver_tt.run.checks import check_options
from weaver_tt.run.unused_flags import flags_without_effect
from weaver_tt.run_files import RunFiles
from weaver_tt.system.signals import RESUME_ME

PAGE = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text()
SCRIPTS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
SUBMIT_FILES = re.findall(r"^arguments += \"weaver-tt train (.*)\"$", PAGE, re.MULTILINE)
[DASK] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run_job(script, folder, code):
    """Run a job script with stand-ins for Slurm; its exit code, and whether it was requeued."""
    for name, content in {
        "srun": f"printf '%s\\n' \"$@\" > command; exit {code}",
        "scontrol": 'echo "$@" > requeued',
    }.items():
        (folder / name).write_text(f"#!/bin/bash\n{content}\n")
        (folder / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "17",
        "SLURM_ARRAY_TASK_ID": "3",
    }
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False)
    requeued = folder / "requeued"
    return done.returncode, requeued.read_text() if requeued.exists() else None


@pytest.mark.parametrize("script", SCRIPTS, ids=["one process", "ranks", "array"])
@pytest.mark.parametrize("code", [0, 1, 3, RESUME_ME])
def test_a_job_is_requeued_where_the_training_asks_for_it(tmp_path, script, code):
    ended, requeued = run_job(script, tmp_path, code)
    assert ended == code
    assert requeued == ("requeue 17\n" if code == RESUME_ME else None)


def test_a_launcher_that_hides_the_code_does_not_end_the_job(tmp_path):
    requeue = tmp_path / RunFiles("models/net").requeue
    requeue.parent.mkdir()
    requeue.touch()
    assert run_job(SCRIPTS[1], tmp_path, 1) == (1, "requeue 17\n")


def options_of_scripts(folder):
    """What ``weaver-tt train`` is given by each job, as Slurm and HTCondor hand it over."""
    found = []
    for script in SCRIPTS:
        run_job(script, folder, 0)
        program, command, *flags = (folder / "command").read_text().splitlines()
        assert (program, command) == ("weaver-tt", "train")
        found.append(parse_options(flags))
    for line in SUBMIT_FILES:
        found.append(parse_options(line.replace("$(Process)", "3").split()))
    return found


def test_the_commands_of_the_page_have_flags_that_are_there(tmp_path):
    commands = options_of_scripts(tmp_path)
    assert len(commands) == 5
    for options in commands:
        check_options(options)
        assert options.train.resume
        assert options.network.model_prefix == "models/net"


def test_jobs_of_an_array_take_shares_of_the_files(tmp_path):
    arrays = [options for options in options_of_scripts(tmp_path) if options.output.predict]
    assert len(arrays) == 2
    for options in arrays:
        assert options.data.data_test == ["top:/data/top/*.root", "qcd:/data/qcd/*.root"]
        assert options.data.data_test_share == "3/100"
        assert options.output.predict_output == "scores/{group}/{file}.root"
        assert flags_without_effect(options) == []


# --- Dask

# kills its process in the middle of the first file, and fails once in the second one
NETWORK = """
import os
from pathlib import Path
from torch import nn


def once(name):
    try:
        Path(name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Linear(2, 2)

    def forward(self, jet):
        if os.environ.get("IS_HARSH"):
            if jet[-1, 0] == 6 and once("killed"):
                os._exit(9)
            if jet[-1, 0] == 16 and once("failed"):
                raise RuntimeError("the magnet is off")
        return self.layers(jet)


def get_model(data_config):
    return Net(), {}
"""


def test_the_example_for_dask_predicts_each_file_once_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK)
    Path("data.yaml").write_text(
        "inputs: {jet: {vars: [[x, null], [y, null]]}}\nobservers: [x]\n"
        "labels: {type: simple, value: [is_a, is_b]}\n"
    )
    paths = []
    for number in range(4):
        x = 10 * number + np.arange(8)
        columns = {"x": x, "y": x % 3, "is_a": x % 2, "is_b": 1 - x % 2}
        paths.append(f"data/jets_{number}.parquet")
        Path("data").mkdir(exist_ok=True)
        ak.to_parquet(ak.zip(columns), paths[-1])
    quiet = ["--gpus=", "--no-figures", "--no-progress", "--tensorboard", "off"]
    common = ["-c", "data.yaml", "-n", "net.py", "-m", "models/net", *quiet]
    assert cli.train([*common, "-i", *paths, "--num-epochs", "1", "--batch-size", "8"]) == 0
    # the last row of a batch of 7 of the first file, and of the second one, tells the network
    example = DASK.replace('"resume": True', '"resume": True, "batch_size": 7')
    Path("predict_dask.py").write_text(example)
    path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"IS_HARSH": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "predict_dask.py", *paths],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path("killed").exists()
    assert Path("failed").exists()
    assert sorted(done.stdout.splitlines()) == [f"{path}: 8 rows" for path in paths]
    # no part of a file is left
    outputs = sorted(str(path) for path in Path("scores").iterdir() if path.suffix != ".json")
    assert outputs == [f"scores/jets_{number}.root" for number in range(4)]
    predict = ["--predict", "-t", *paths, "--predict-output", "all.root"]
    assert cli.train([*common, *predict]) == 0
    together = uproot.concatenate([f"{name}:tree" for name in outputs]).to_list()
    assert together == uproot.open("all.root:tree").arrays().to_list()
