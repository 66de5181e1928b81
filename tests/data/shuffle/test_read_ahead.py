"""A thread that works ahead: in order, no further than told, and gone when its consumer is."""

from __future__ import annotations

import threading
import time

import pytest

from weaver_tt.data.shuffle.read_ahead import read_ahead


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_items_come_in_order(no_thread_reads, depth):
    assert list(read_ahead(iter(range(10)), depth)) == list(range(10))
    assert no_thread_reads()


def test_an_error_is_raised_where_the_item_is_wanted(no_thread_reads):
    def items():
        yield 1
        raise ValueError("the second item cannot be made")

    stream = read_ahead(items(), 2)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="second item"):
        next(stream)
    assert no_thread_reads()


def test_it_is_no_further_ahead_than_told():
    made = []
    stream = read_ahead((made.append(i) or i for i in range(100)), 3)
    next(stream)
    time.sleep(0.1)
    assert len(made) <= 4
    stream.close()


def test_stopping_early_ends_the_thread_and_closes_the_source(no_thread_reads):
    closed = []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    stream = read_ahead(items(), 2)
    next(stream)
    stream.close()
    assert closed == [True]
    assert no_thread_reads()


def test_stopping_early_waits_for_the_item_at_work_and_joins_no_thread(monkeypatch):
    # a garbage collection may stop it in a thread that holds the lock which a join waits for
    monkeypatch.setattr(threading.Thread, "join", None)
    made = []

    def items():
        for number in range(100):
            time.sleep(0.05)
            made.append(number)
            yield number

    stream = read_ahead(items(), 3)
    next(stream)
    stream.close()
    at_the_end = len(made)
    time.sleep(0.2)
    assert 1 <= len(made) == at_the_end < 100
