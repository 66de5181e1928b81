"""The job scripts of docs/cluster.md ask for another turn exactly where the training does."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from weaver_tt.options.train import parse_options
from weaver_tt.run_files import RunFiles
from weaver_tt.system.signals import RESUME_ME

PAGE = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text()
SCRIPTS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def run_job(script, folder, code):
    """Run a job script with stand-ins for Slurm; its exit code, and whether it was requeued."""
    for name, content in {
        "srun": f"exit {code}",
        "scontrol": 'echo "$@" > requeued',
    }.items():
        (folder / name).write_text(f"#!/bin/bash\n{content}\n")
        (folder / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "17",
    }
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False)
    requeued = folder / "requeued"
    return done.returncode, requeued.read_text() if requeued.exists() else None


@pytest.mark.parametrize("script", SCRIPTS, ids=["one process", "ranks"])
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


def test_the_commands_of_the_page_have_flags_that_are_there():
    commands = re.findall(r"weaver-tt train ([^\n\"]*)", PAGE)
    assert len(commands) == 3
    for command in commands:
        options = parse_options(command.replace("'", "").split())
        assert options.train.resume
        assert options.network.model_prefix == "models/net"
