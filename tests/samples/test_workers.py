"""Results come in the order of the work, whoever does it."""

import itertools
import os

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.samples.workers import results_in_order


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_arguments_without_end(workers):
    arguments = ((number, 2) for number in itertools.count())
    results = results_in_order(pow, arguments, workers, "lund")
    assert list(itertools.islice(results, 7)) == [0, 1, 4, 9, 16, 25, 36]
    results.close()


def test_at_most_twice_as_many_as_workers_are_taken_ahead():
    taken = []

    def arguments():
        for number in range(20):
            taken.append(number)
            yield (number, 2)

    results = results_in_order(pow, arguments(), 2, "lund")
    next(results)
    assert len(taken) == 4
    results.close()


def test_a_worker_that_dies_is_one_clear_message():
    results = results_in_order(os._exit, [(1,)], 2, "lund")
    with pytest.raises(OutputError, match="lund: a worker process died"):
        list(results)
