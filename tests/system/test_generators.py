"""A generator ends with what is done with it, and other iterables are left as they are."""

import pytest

from weaver_tt.system.generators import closed_after


def test_a_generator_is_closed_after_an_error():
    ends = []

    def numbers():
        try:
            yield from range(3)
        finally:
            ends.append(True)

    items = numbers()
    assert next(items) == 0
    with pytest.raises(ZeroDivisionError), closed_after(items):
        1 / (next(items) - 1)
    assert ends == [True]
    assert list(items) == []


def test_other_iterators_go_on():
    items = iter([1, 2])
    with closed_after(items):
        assert next(items) == 1
    assert next(items) == 2
