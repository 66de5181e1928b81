"""Freed memory is reused."""

import subprocess
import sys

import pytest

from weaver_tt.system import allocator

FAULTS = """
import resource, sys
import numpy as np
from weaver_tt.system.allocator import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
np.ones(1 << 21)  # 16 MiB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(1 << 21)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str) -> int:
    """How often a fresh process took pages from the system for 20 arrays of 16 MiB in turn."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_arrays_of_the_same_size_take_the_same_memory():
    assert faults("keep") < 20  # not even one an array


def test_the_environments_choice_stands(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1")
    assert not allocator.keep_freed_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    assert not allocator.keep_freed_memory()
