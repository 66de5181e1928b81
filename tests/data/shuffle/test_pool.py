"""Everything that comes into the pool leaves it once, well mixed and in bounded memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from weaver_tt.data.chunks import Chunk
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.shuffle.decoder import NO_ROWS
from weaver_tt.data.shuffle.lanes import plan_draws
from weaver_tt.data.shuffle.pool import DecodedChunk, Pool, join_small


def decode(chunk: Chunk, every: int = 1, buckets: int = 1) -> DecodedChunk:
    """Each ``every``-th row of a chunk.

    A row's label is its place in the file, 1000 times its group added; its bucket is that modulo
    ``buckets``.
    """
    positions = np.arange(0, chunk.rows, every)
    if chunk.last == chunk.first or not len(positions):
        return NO_ROWS
    y = chunk.first + positions + 1000 * chunk.group
    return DecodedChunk(
        Rows({}, {}, {"y": y}, size=len(positions)), positions, np.arange(len(y)), y % buckets
    )


def pool_of(
    lanes: list[list[Chunk]],
    batch_size: int,
    capacity: int,
    seed: int = 0,
    every: int = 1,
    step: int = 7,
    buckets: int = 1,
    smallest: int = 1,
) -> Pool:
    rows = sum(chunk.rows for lane in lanes for chunk in lane)
    draws = plan_draws(lanes, step, np.random.default_rng(seed))
    random = np.random.default_rng((seed, 1))
    return Pool(
        draws,
        rows,
        lambda chunk: decode(chunk, every, buckets),
        batch_size=batch_size,
        capacity=capacity,
        random=random,
        buckets=buckets,
        smallest=smallest,
    )


def batches(pool: Pool) -> list[list[int]]:
    found = []
    while pool.prepare() or pool.ready:
        rows, used = pool.take_batch()
        assert used.total() == rows.size
        found.append(rows.labels["y"].tolist())
    return found


def lanes_of(*sizes: int, chunk: int = 10) -> list[list[Chunk]]:
    return [
        [Chunk(i, "f", at, min(at + chunk, size)) for at in range(0, size, chunk)]
        for i, size in enumerate(sizes)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(1, 20),
    st.integers(1, 300),
    st.integers(1, 3),
    st.integers(0, 9),
)
def test_every_row_comes_once_in_batches_that_are_whole_but_for_the_last(
    sizes, batch_size, capacity, every, seed
):
    found = batches(pool_of(lanes_of(*sizes), batch_size, capacity, seed, every))
    expected = [
        1000 * i + at + k
        for i, size in enumerate(sizes)
        for at in range(0, size, 10)
        for k in range(0, min(10, size - at), every)
    ]
    assert sorted(row for batch in found for row in batch) == expected
    assert all(len(batch) == batch_size for batch in found[:-1])


def test_the_order_is_a_function_of_the_seed():
    assert batches(pool_of(lanes_of(50, 50), 8, 40, seed=3)) == batches(
        pool_of(lanes_of(50, 50), 8, 40, seed=3)
    )
    assert batches(pool_of(lanes_of(50, 50), 8, 40, seed=3)) != batches(
        pool_of(lanes_of(50, 50), 8, 40, seed=4)
    )


@pytest.mark.parametrize("capacity", [100, 2000])
def test_groups_make_up_batches_as_random_draws_would(capacity):
    # two groups of 600 and 1400 rows: of a batch of 50, hypergeometric(2000, 600, 50) are of the
    # first
    firsts = []
    for seed in range(10):
        firsts += [
            sum(row < 1000 for row in batch)
            for batch in batches(pool_of(lanes_of(600, 1000), 50, capacity, seed))
        ]
    law = stats.hypergeom(1600, 600, 50)
    edges = [0, 15, 17, 18, 19, 20, 21, 23, 51]
    observed = np.histogram(firsts, edges)[0]
    expected = len(firsts) * np.diff(law.cdf(np.array(edges) - 1))
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_rows_far_apart_in_the_file_meet_in_a_batch():
    # one lane of 2000 rows in order, a pool of 1000: a batch spans hundreds of rows
    spans = [
        max(batch) - min(batch) for batch in batches(pool_of(lanes_of(2000), 20, 1000, step=20))
    ]
    assert np.median(spans) > 400


def test_rows_mix_also_where_a_draw_has_fewer_of_them_than_there_are_compartments():
    # about one row comes in a turn: it waits for any number of the 30 turns, each as likely
    order = np.concatenate(batches(pool_of(lanes_of(2000), 1, 40, step=1)))
    delays = np.argsort(order) - np.arange(2000)
    assert np.std(delays[100:-100]) == pytest.approx(30 / np.sqrt(12), rel=0.2)


def test_prepare_says_whether_a_batch_is_ready():
    pool = pool_of(lanes_of(25), 10, 50)
    for _ in range(2):
        assert pool.prepare() is True
        assert pool.take_batch()[0].size == 10
    assert pool.prepare() is False  # the rest is no whole batch
    assert pool.ready == 5
    # of several buckets, what is left of each is a batch
    pool = pool_of(lanes_of(25), 10, 50, buckets=2)
    sizes = []
    while pool.prepare():
        sizes.append(pool.take_batch()[0].size)
    assert sorted(sizes) == [2, 3, 10, 10]
    assert pool.prepare() is False
    assert pool.ready == 0


def test_a_single_row_that_is_left_of_a_bucket_joins_those_of_the_next():
    # 11 rows of each of two buckets: a batch of ten each, and one row
    pool = pool_of(lanes_of(22), 10, 50, buckets=2, smallest=2)
    found = []
    while pool.prepare():
        found.append(sorted(pool.take_batch()[0].labels["y"].tolist()))
    assert sorted(map(len, found)) == [2, 10, 10]
    assert sorted(np.concatenate(found)) == list(range(22))
    # the two that were left are of different buckets
    [two] = [batch for batch in found if len(batch) == 2]
    assert {row % 2 for row in two} == {0, 1}


@pytest.mark.parametrize("buckets", [1, 2])
def test_a_single_row_alone_is_no_batch_where_two_are_the_least(buckets):
    pool = pool_of(lanes_of(1), 10, 50, buckets=buckets, smallest=2)
    assert pool.prepare() is False
    assert pool.has_rest is False
    pool = pool_of(lanes_of(1), 10, 50, buckets=buckets)
    assert pool.prepare() or pool.has_rest


@given(sizes=st.lists(st.integers(0, 7), max_size=8), largest=st.integers(7, 9))
def test_joined_parts_hold_every_row_once_in_order(sizes, largest):
    rows = np.arange(sum(sizes))
    parts = np.split(rows, np.cumsum(sizes)[:-1]) if sizes else []
    joined = join_small(parts, 2, largest)
    found = np.concatenate([*joined, rows[:0]]).tolist()
    # a single row alone is all that may be left out
    assert found == ([] if sum(sizes) == 1 else rows.tolist())
    assert all(2 <= len(part) <= largest + 1 for part in joined)


def test_memory_does_not_grow_with_the_data():
    pool = pool_of(lanes_of(5000, 5000, chunk=25), 10, 400)
    most = 0
    while pool.prepare():
        pool.take_batch()
        most = max(most, sum(part.rows.rows.size for part in pool._parts.values()))
    assert most <= 1.25 * 400


def test_a_skipped_batch_has_no_rows_and_changes_nothing_else():
    pool, other = pool_of(lanes_of(100), 10, 50), pool_of(lanes_of(100), 10, 50)
    pool.prepare(), other.prepare()
    assert pool.take_batch(skip=True) == (None, other.take_batch()[1])
    pool.prepare(), other.prepare()
    assert pool.take_batch()[0].labels["y"].tolist() == other.take_batch()[0].labels["y"].tolist()


def test_what_is_expected_follows_the_share_of_rows_that_pass():
    pool = pool_of(lanes_of(1000), 10, 200, every=2)
    pool.prepare()
    assert pool.expected == pytest.approx(500, rel=0.1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(1, 20),
    st.integers(1, 300),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_batches_are_of_one_bin_each_whole_but_for_its_last_and_nothing_is_lost(
    sizes, batch_size, capacity, buckets, seed
):
    found = batches(pool_of(lanes_of(*sizes), batch_size, capacity, seed, buckets=buckets))
    expected = [1000 * i + row for i, size in enumerate(sizes) for row in range(size)]
    assert sorted(row for batch in found for row in batch) == expected
    for number in range(buckets):
        own = [batch for batch in found if batch[0] % buckets == number]
        assert all(row % buckets == number for batch in own for row in batch)
        assert all(len(batch) == batch_size for batch in own[:-1])
    assert batches(pool_of(lanes_of(*sizes), batch_size, capacity, seed, buckets=buckets)) == found


def test_batches_of_all_bins_come_in_random_order():
    found = [
        batch[0] % 4 for batch in batches(pool_of(lanes_of(4000), 10, 1000, step=20, buckets=4))
    ]
    assert sum(a != b for a, b in pairwise(found)) > 0.7 * len(
        found
    )  # not one bucket after another
    assert {(a, b) for a, b in pairwise(found)} == {
        (a, b) for a in range(4) for b in range(4)
    }  # nor in turn


def test_groups_make_up_batches_of_a_bin_as_random_draws_would():
    found = batches(pool_of(lanes_of(600, 1000), 40, 400, step=20, buckets=2))
    firsts = [sum(row < 1000 for row in batch) for batch in found if len(batch) == 40]
    assert np.mean(firsts) == pytest.approx(15, abs=1.5)
    assert np.std(firsts) == pytest.approx(np.sqrt(40 * 0.375 * 0.625), rel=0.4)


def test_a_row_may_come_several_times():
    def twice(chunk: Chunk) -> DecodedChunk:
        found = decode(chunk)
        return DecodedChunk(
            found.rows, np.repeat(found.positions, 2), np.repeat(found.places, 2), found.buckets
        )

    draws = plan_draws(lanes_of(40), 7, np.random.default_rng(1))
    pool = Pool(draws, 40, twice, batch_size=10, capacity=30, random=np.random.default_rng(2))
    assert sorted(row for batch in batches(pool) for row in batch) == sorted([*range(40)] * 2)
