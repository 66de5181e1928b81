"""A bounded sample of a stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.data.statistics.reservoir import Reservoir


@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 30))
def test_everything_is_kept_as_long_as_it_fits_and_never_more(sizes, capacity):
    stream = np.arange(sum(sizes), dtype=float)
    reservoir = Reservoir(capacity, seed=1)
    for part in np.split(stream, np.cumsum(sizes)[:-1]) if sizes else []:
        reservoir.add(part)
    kept = reservoir.values()
    assert reservoir.seen == len(stream)
    assert len(kept) == min(capacity, len(stream))
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(stream)
    if len(stream) <= capacity:
        assert kept.tolist() == stream.tolist()


def test_early_middle_and_late_values_are_equally_likely_to_stay():
    kept = np.zeros(3)
    for seed in range(200):
        reservoir = Reservoir(30, seed)
        for part in np.split(np.arange(300.0), 7 * np.arange(1, 40)):
            reservoir.add(part)
        kept += np.histogram(reservoir.values(), [0, 100, 200, 300])[0]
    assert kept.sum() == 6000
    assert abs(kept - 2000).max() < 4 * np.sqrt(6000 * 2 / 9)  # four standard deviations


def test_the_same_seed_keeps_the_same_values():
    def kept(seed):
        reservoir = Reservoir(10, seed)
        reservoir.add(np.arange(1000.0))
        return reservoir.values().tolist()

    assert kept(3) == kept(3) != kept(4)


def test_values_given_are_not_changed_later():
    stream = np.arange(5.0)
    reservoir = Reservoir(5, 1)
    reservoir.add(stream)
    reservoir.add(np.full(100, -1.0))
    assert stream.tolist() == [0, 1, 2, 3, 4]


def test_of_few_values_each_is_as_likely_as_the_others_to_be_the_one_that_stays():
    # 900 seeds: 300 +- 14 for each of three values, offered together or one by one
    for parts in ([[0, 1, 2]], [[0], [1], [2]]):
        kept = np.zeros(3)
        for seed in range(900):
            reservoir = Reservoir(1, seed)
            for part in parts:
                reservoir.add(np.array(part))
            kept[int(reservoir.values()[0])] += 1
        assert abs(kept - 300).max() < 4 * np.sqrt(900 * 2 / 9)
