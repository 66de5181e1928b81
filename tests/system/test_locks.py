"""Two processes do not write under one name, and a lock dies with its process."""

import os
import signal
import subprocess
import sys

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.system import locks
from weaver_tt.system.locks import locked

HOLDER = """
import sys, time
from pathlib import Path
from weaver_tt.system.locks import locked
with locked(Path(sys.argv[1]), "-m net"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock ``tmp_path / "net.lock"``."""
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "net.lock")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_with_the_name_of_the_first(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    with pytest.raises(OutputError) as refused, locked(tmp_path / "net.lock", "-m net"):
        pass
    message = str(refused.value)
    for part in (f"process {holder.pid} on", "since 20", "-c", str(tmp_path / "net.lock")):
        assert part in message


def test_the_lock_of_a_killed_process_is_free(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    path = tmp_path / "net.lock"
    assert path.exists()
    with locked(path, "-m net"):
        assert f'"pid": {os.getpid()}' in path.read_text()
    assert not path.exists()


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locked(tmp_path / "net.lock", "-m net"):
        assert list(tmp_path.iterdir()) == []
    assert "knows no locks (Function not implemented)" in caplog.text
