"""Signals are noted and asked for; worker processes end with their parent and not before."""

import os
import signal
import subprocess
import sys
import time

import pytest

from weaver_tt.system import signals
from weaver_tt.system.signals import (
    Interrupted,
    deferring_signals,
    end_after,
    ending_with_parent,
    handling_signals,
    interruption,
)


@pytest.mark.parametrize("number", signals.INTERRUPTING)
def test_a_signal_is_noted_where_something_is_to_be_finished(number):
    asked = []

    def finish_something():
        with handling_signals(), deferring_signals():
            asked.append(interruption())
            signal.raise_signal(number)
            asked.append(interruption())
            # a second one changes nothing
            signal.raise_signal(signal.SIGTERM)
            asked.append(interruption())

    with pytest.raises(Interrupted, match=number.name):
        finish_something()
    assert asked == [None, number.name, number.name]
    assert interruption() is None


def test_a_signal_ends_at_once_what_can_be_begun_again():
    with handling_signals(), pytest.raises(Interrupted, match="SIGUSR1"):
        signal.raise_signal(signal.SIGUSR1)


def test_a_second_press_of_ctrl_c_ends_at_once(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: now[0])

    def press(*times):
        with handling_signals(), deferring_signals():
            for now[0] in times:
                signal.raise_signal(signal.SIGINT)

    # a launcher passes on what the terminal has sent already
    with pytest.raises(Interrupted):
        press(100.0, 100.9)
    with pytest.raises(KeyboardInterrupt) as ended:
        press(100.0, 100.9, 101.1)
    assert not isinstance(ended.value, Interrupted)


def test_what_is_ignored_stays_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    others = [signal.getsignal(number) for number in signals.INTERRUPTING]
    try:
        with handling_signals():
            signal.raise_signal(signal.SIGHUP)  # as under nohup
            assert interruption() is None
        assert [signal.getsignal(number) for number in signals.INTERRUPTING] == others
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_deadline_is_asked_for_and_never_raised(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: now[0])
    with handling_signals(), deferring_signals():
        end_after(60, "--max-time 00:01")
        now[0] = 64.9
        assert interruption() is None
        now[0] = 65.0
        assert interruption() == "--max-time 00:01"
    assert interruption() is None


# a parent that reads with two worker processes for ever
PARENT = """
import os, time
from torch.utils.data import DataLoader, IterableDataset
from weaver_tt.data.shuffle.workers import _begin_worker

class Numbers(IterableDataset):
    def __iter__(self):
        while True:
            time.sleep(0.01)
            yield os.getpid()

loader = DataLoader(
    Numbers(),
    batch_size=None,
    num_workers=2,
    worker_init_fn=_begin_worker,
    multiprocessing_context="fork",
)
numbers = iter(loader)
print(next(numbers), next(numbers), flush=True)
for number in numbers:
    pass
"""

# one that has work done by two processes of their own interpreters
POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from weaver_tt.system.signals import end_with_parent

context = multiprocessing.get_context("spawn")
pool = ProcessPoolExecutor(2, context, initializer=end_with_parent)
for done in [pool.submit(time.sleep, 0.2) for _ in range(2)]:
    done.result()
print(*pool._processes, flush=True)
while True:
    pool.submit(time.sleep, 0.1).result()
"""


def is_alive(pid):
    try:
        # a process that has ended and that nobody has waited for is a zombie
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(params=[PARENT, POOL], ids=["reading", "pool"])
def parent(request):
    process = subprocess.Popen(
        [sys.executable, "-c", request.param],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes in /proc")
def test_workers_ignore_signals_of_others_and_end_with_their_parent(parent):
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(set(workers)) == 2
    for pid in workers:
        for number in signals.INTERRUPTING:
            os.kill(pid, number)
    time.sleep(0.5)
    assert all(map(is_alive, workers))
    assert parent.poll() is None
    parent.kill()
    parent.wait()
    end = time.monotonic() + 5
    while any(map(is_alive, workers)):
        assert time.monotonic() < end, "a worker has outlived its parent"
        time.sleep(0.05)


RANK = """
import os, sys, time
from weaver_tt.system.signals import *

with handling_signals(), deferring_signals(), ending_with_parent():
    while interruption() is None:
        time.sleep(0.05)
        print("waiting", flush=True)
    with open(sys.argv[1], "w") as file:
        file.write(interruption())
    end_early("asked")
"""
LAUNCHER = """
import subprocess, sys

subprocess.run([sys.executable, "-c", *sys.argv[1:]])
"""


def test_a_rank_asks_itself_to_end_when_its_launcher_is_gone(tmp_path):
    asked = tmp_path / "asked"
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, RANK, str(asked)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with launcher:
        assert launcher.stdout.readline() == b"waiting\n"
        assert not asked.exists()
        launcher.kill()
        # the rank holds the other end of the pipe
        launcher.stdout.read()
    assert asked.read_text() == "SIGTERM"


def test_a_process_that_is_no_rank_any_more_asks_for_nothing(monkeypatch):
    with handling_signals(), deferring_signals():
        with ending_with_parent():
            pass
        monkeypatch.setattr(signals.os, "getppid", lambda: 1)
        time.sleep(2 * signals.LOOK_EVERY)
        assert interruption() is None
