"""Lack of memory, recognized in whatever a library makes of it, and the flags that help."""

from __future__ import annotations

HINT = (
    "of a network's step, --batch-size decides (--batch-size-val, --batch-size-test); of rows that "
    "are read, --pool-size, shared by the workers of --num-workers"
)


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, is lack of memory, on the host or on a GPU."""
    cause: BaseException | None = error
    while cause is not None:
        # torch's for GPUs, by its name: nothing here is worth an import of torch
        if isinstance(cause, MemoryError) or type(cause).__name__ == "OutOfMemoryError":
            return True
        # what torch makes of it on the CPU is a RuntimeError
        if "DefaultCPUAllocator" in str(cause):
            return True
        cause = cause.__cause__
    return False
