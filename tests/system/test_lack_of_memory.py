"""Lack of memory is recognized in what libraries make of it."""

import pytest

from weaver_tt.errors import DataError
from weaver_tt.system.lack_of_memory import is_lack_of_memory


class OutOfMemoryError(RuntimeError):
    """As torch calls that of a GPU."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("size mismatch"), False),
        (DataError("no column 'memory'"), False),
    ],
)
def test_it_is_known_by_type_or_words(error: Exception, expected: bool) -> None:
    assert is_lack_of_memory(error) is expected


def test_what_caused_an_error_counts() -> None:
    error = DataError("jets.root: cannot be read")
    error.__cause__ = ValueError("a basket")
    error.__cause__.__cause__ = MemoryError()
    assert is_lack_of_memory(error)
