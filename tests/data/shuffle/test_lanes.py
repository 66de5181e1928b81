"""What is drawn when: exactly as in a full shuffle between lanes, every row once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from weaver_tt.data.chunks import Chunk, Source, split_into_chunks
from weaver_tt.data.shuffle.lanes import (
    ENOUGH_LANES,
    MAX_LANES,
    MIN_LANES,
    lane_count,
    plan_draws,
    plan_lanes,
    split_lanes,
)


def chunks_of(sizes: list[tuple[int, str, int]], most: int) -> list[Chunk]:
    return [
        chunk
        for group, path, rows in sizes
        for chunk in split_into_chunks(Source(group, path, (0, rows)), most)
    ]


lane_sizes = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=4)


@given(lane_sizes, st.integers(1, 20), st.integers(0, 99))
def test_draws_use_every_row_once_in_the_order_of_its_lane(sizes, step, seed):
    lanes = [
        [Chunk(i, f"{i}-{k}", 0, rows) for k, rows in enumerate(lane)]
        for i, lane in enumerate(sizes)
    ]
    draws = list(plan_draws(lanes, step, np.random.default_rng(seed)))
    for lane, chunks in enumerate(lanes):
        drawn = [
            (row_range.chunk, row)
            for draw in draws
            for row_range in draw
            if row_range.chunk.group == lane
            for row in range(row_range.first, row_range.last)
        ]
        assert drawn == [(chunk, row) for chunk in chunks for row in range(chunk.rows)]
    sizes_drawn = [sum(row_range.last - row_range.first for row_range in draw) for draw in draws]
    assert sizes_drawn[:-1] == [step] * (len(draws) - 1)


def test_draws_are_made_up_as_random_ones():
    # 4 draws of 50 from lanes of 60 and 140 rows: the first lane's part of the first draw is
    # hypergeometric
    lanes = [[Chunk(0, "a", 0, 60)], [Chunk(1, "b", 0, 140)]]
    found = Counter()
    for seed in range(400):
        draw = next(plan_draws(lanes, 50, np.random.default_rng(seed)))
        found[
            sum(
                row_range.last - row_range.first for row_range in draw if row_range.chunk.group == 0
            )
        ] += 1
    edges = [0, 12, 14, 15, 16, 18, 51]
    observed = [
        sum(number for value, number in found.items() if low <= value < high)
        for low, high in pairwise(edges)
    ]
    law = stats.hypergeom(200, 60, 50)
    expected = [400 * (law.cdf(high - 1) - law.cdf(low - 1)) for low, high in pairwise(edges)]
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_more_than_a_thousand_million_rows_can_be_drawn_from():
    lanes = [[Chunk(0, "a", 0, 3_000_000_000)], [Chunk(1, "b", 0, 1_000_000_000)]]
    draw = next(plan_draws(lanes, 1000, np.random.default_rng(0)))
    rows = {row_range.chunk.group: row_range.last for row_range in draw}
    assert sum(rows.values()) == 1000
    assert abs(rows[0] - 750) < 60


def test_a_lane_holds_chunks_of_one_group_and_all_chunks_are_in_one_lane():
    chunks = chunks_of([(0, "a", 100), (0, "b", 50), (1, "c", 10)], 10)
    lanes = plan_lanes(chunks, 6)
    assert sorted(chunk for lane in lanes for chunk in [(c.path, c.first) for c in lane]) == sorted(
        (c.path, c.first) for c in chunks
    )
    assert all(len({chunk.group for chunk in lane}) == 1 for lane in lanes)


def test_few_files_get_lanes_of_their_own_even_in_one_group():
    lanes = plan_lanes(chunks_of([(0, f"class{i}", 100) for i in range(10)], 10), 20)
    assert len(lanes) == 20
    assert all(len({chunk.path for chunk in lane}) == 1 for lane in lanes)


def test_many_files_share_lanes():
    lanes = plan_lanes(chunks_of([(0, f"f{i}", 10) for i in range(100)], 10), 8)
    assert [len(lane) for lane in lanes] == [12, 13, 12, 13, 12, 13, 12, 13]


def test_lanes_are_as_many_as_clusters_fit_into_half_of_the_pool():
    def sources(cluster):
        return [Source(0, "a", tuple(range(0, 200_001, cluster)))]

    assert lane_count(sources(4_000), 100_000) == 12
    assert lane_count(sources(100), 1_000_000) == MAX_LANES
    assert lane_count(sources(100_000), 100_000) == MIN_LANES
    assert lane_count(sources(100), 100_000) == 16  # reads of 3000 rows
    assert lane_count(sources(1), 100) == ENOUGH_LANES
    assert (
        lane_count([Source(i, "a", (0, 10)) for i in range(40)], 10) == 40
    )  # never fewer than groups


@given(lane_sizes, st.integers(1, 5))
def test_every_row_is_in_one_share_and_shares_are_equal_to_a_row(sizes, of):
    lanes = [
        [Chunk(i, str(k), 0, rows) for k, rows in enumerate(lane)] for i, lane in enumerate(sizes)
    ]
    shares = [split_lanes(lanes, index, of) for index in range(of)]
    rows = [
        [(c.group, c.path, row) for lane in share for c in lane for row in range(c.first, c.last)]
        for share in shares
    ]
    assert sorted(row for share in rows for row in share) == sorted(
        (c.group, c.path, row) for lane in lanes for c in lane for row in range(c.rows)
    )
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
