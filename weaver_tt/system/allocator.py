"""The C library's memory allocator, told to keep what is freed: one batch after another takes memory of the same sizes."""

from __future__ import annotations

import ctypes
import os

OWN = (
    "GLIBC_TUNABLES",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
)  # a user's choice in the environment stands
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
SETTINGS = {
    MMAP_THRESHOLD: 32
    << 20,  # larger arrays still come from the system and go back; the most that glibc takes
    TRIM_THRESHOLD: 2**31 - 1,
    TOP_PAD: 64 << 20,
}


def keep_freed_memory() -> bool:
    """Let this process, and those it forks, reuse freed memory up to 2 GiB instead of giving it back and asking for it again; whether it will.

    By default glibc takes each array of some MB fresh from the system, which clears its pages one by one: a third of the time of two worker processes
    side by side. Elsewhere, and where the environment says otherwise, nothing is changed.
    """
    if any(name in os.environ for name in OWN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return all(mallopt(option, value) for option, value in SETTINGS.items())
