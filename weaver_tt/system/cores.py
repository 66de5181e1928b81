"""How many cores there are to work on."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores for this process: those that its job may use, shared with other ranks of torchrun.

    srun and mpirun give each rank cores of its own.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        # where processes cannot be bound to cores
        cores = os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return max(1, cores // ranks)


def machine_load() -> float:
    """Processes that want a core of this machine, for each of its cores; of the last minute."""
    try:
        waiting, _, _ = os.getloadavg()
    except (OSError, AttributeError):
        # where the system does not tell
        return 0.0
    return waiting / (os.cpu_count() or 1)
