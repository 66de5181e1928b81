"""What tests of several modules that read data ask for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest


@pytest.fixture
def no_thread_reads() -> Callable[[], bool]:
    """Whether threads that read ahead end, which nobody waits for longer than it takes."""

    def ask() -> bool:
        for _ in range(500):
            names = [thread.name for thread in threading.enumerate()]
            if not any(name.startswith("weaver_tt-ahead") for name in names):
                return True
            time.sleep(0.01)
        return False

    return ask
