"""The memory allocator of the C library, told to keep what is freed."""

from __future__ import annotations

import ctypes
import os

# variables by which users choose for themselves
USER_VARIABLES = (
    "GLIBC_TUNABLES",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
)

# options of mallopt(3)
TRIM_THRESHOLD = -1
TOP_PAD = -2
MMAP_THRESHOLD = -3
SETTINGS = {
    # the most that glibc takes: larger arrays still come from the system and go back to it
    MMAP_THRESHOLD: 32 << 20,
    TRIM_THRESHOLD: 2**31 - 1,
    TOP_PAD: 64 << 20,
}


def keep_freed_memory() -> bool:
    """Let this process, and those it forks, reuse freed memory up to 2 GiB; whether it will.

    By default glibc takes each array of some MB fresh from the system, which clears its pages one
    by one: a third of the time of two worker processes side by side. Batch after batch needs
    memory of the same sizes. With another C library, and where the environment says otherwise,
    nothing is changed.
    """
    if any(name in os.environ for name in USER_VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        # not glibc
        return False
    return all(mallopt(option, value) for option, value in SETTINGS.items())
