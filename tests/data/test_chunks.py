"""The laws of the chunk plan: every row once, exact shares, an order that mixes sorted files."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.data.chunks import (
    Chunk,
    Source,
    entry_ranges,
    epoch_order,
    sample_files,
    select_window,
    sequential_chunks,
    split_into_chunks,
    split_into_strata,
    total_rows,
)


def rows_of(chunks):
    """Every row as (group, path, row)."""
    return [
        (chunk.group, chunk.path, row) for chunk in chunks for row in range(chunk.first, chunk.last)
    ]


@st.composite
def sources(draw, groups=3, files=3):
    """Some files of some groups, with clusters of 0 to 30 rows."""
    made = []
    for group in range(draw(st.integers(1, groups))):
        for number in range(draw(st.integers(1, files))):
            borders = [0]
            for rows in draw(st.lists(st.integers(0, 30), max_size=6)):
                borders.append(borders[-1] + rows)
            made.append(Source(group, f"{group}-{number}", tuple(sorted(set(borders)))))
    return made


def test_a_window_is_cut_at_its_rounded_edges_and_keeps_the_inner_borders():
    assert select_window(Source(0, "a", (0, 40, 80, 101)), 0.0, 0.8) == Source(
        0, "a", (0, 40, 80, 81)
    )
    assert select_window(Source(0, "a", (0, 40, 80, 101)), 0.8, 1.0) == Source(0, "a", (81, 101))


@given(sources(), st.lists(st.floats(0, 1), max_size=4))
def test_neighbouring_windows_meet_exactly(files, edges):
    edges = [0.0, *sorted(edges), 1.0]
    for source in files:
        parts = [select_window(source, low, high) for low, high in itertools.pairwise(edges)]
        assert parts[0].borders[0] == source.borders[0]
        assert parts[-1].borders[-1] == source.borders[-1]
        assert all(
            left.borders[-1] == right.borders[0] for left, right in itertools.pairwise(parts)
        )


def test_some_files_are_the_same_share_of_each_group_and_differ_from_epoch_to_epoch():
    files = [
        Source(group, f"{group}/{n}", (0, 10))
        for group, number in ((0, 8), (1, 4))
        for n in range(number)
    ]
    chosen = [sample_files(files, 0.5, 3, epoch) for epoch in range(30)]
    for some in chosen:
        assert [sum(source.group == group for source in some) for group in (0, 1)] == [4, 2]
        assert [source for source in files if source in some] == some  # in their order
    assert len({source.path for some in chosen for source in some}) == 12
    assert sample_files(files, 0.5, 3, 7) == chosen[7]
    assert [source.group for source in sample_files(files, 0.01, 1)] == [0, 1]  # one at least
    assert sample_files(files, 1.0, 1) == files


def test_tiny_clusters_are_merged_and_large_ones_cut_into_equal_pieces():
    edges = [
        (chunk.first, chunk.last)
        for chunk in split_into_chunks(Source(0, "a", (0, 100, 200, 300, 400, 1400, 1450)), 300)
    ]
    assert edges == [
        (0, 300),
        (300, 400),
        (400, 650),
        (650, 900),
        (900, 1150),
        (1150, 1400),
        (1400, 1450),
    ]


def test_clusters_that_fit_stay_whole():
    assert [
        (chunk.first, chunk.last)
        for chunk in split_into_chunks(Source(0, "a", (0, 60, 120, 180)), 100)
    ] == [(0, 60), (60, 120), (120, 180)]


def test_a_file_without_rows_has_no_chunks():
    assert split_into_chunks(Source(0, "a", (0,)), 10) == []
    assert sequential_chunks([Source(0, "a", (0,))], 10) == []
    assert epoch_order([], 1, 0, 100) == []


@given(sources(), st.integers(1, 50))
def test_cutting_covers_every_row_once_in_order_with_no_chunk_too_large(files, most):
    for source in files:
        chunks = split_into_chunks(source, most)
        assert [row for _, _, row in rows_of(chunks)] == list(
            range(source.borders[0], source.borders[-1])
        )
        assert all(0 < chunk.rows <= most for chunk in chunks)


@given(sources(), st.integers(1, 50), st.integers(0, 2**32), st.integers(0, 5), st.integers(1, 200))
def test_the_order_is_a_permutation_and_a_function_of_seed_and_epoch(
    files, most, seed, epoch, pool
):
    chunks = [chunk for source in files for chunk in split_into_chunks(source, most)]
    order = epoch_order(chunks, seed, epoch, pool)
    assert Counter(order) == Counter(chunks)
    assert order == epoch_order(chunks, seed, epoch, pool)


def test_epochs_and_seeds_differ():
    chunks = [Chunk(0, "a", 10 * i, 10 * i + 10) for i in range(50)]
    orders = [tuple(epoch_order(chunks, seed, epoch, 100)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


@given(
    st.integers(1, 120),
    st.integers(1, 40),
    st.integers(0, 1000),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_a_file_sorted_by_class_fills_each_pool_with_all_classes_in_proportion(
    number, fits, seed, low, high
):
    chunks = [Chunk(0, "a", i, i + 1) for i in range(number)]
    first, last = sorted(
        (low * number // 100, high * number // 100)
    )  # the class lies in these chunks
    pool = min(fits, number)
    order = epoch_order(chunks, seed, 0, pool)
    assert len(split_into_strata(chunks, pool)) == pool
    for start in range(0, number - number % pool, pool):  # every pool of full rounds
        inside = sum(first <= chunk.first < last for chunk in order[start : start + pool])
        assert abs(inside / pool - (last - first) / number) <= 3 / pool


@given(sources(), st.integers(1, 50), st.integers(1, 5))
def test_sequential_shares_are_contiguous_and_in_input_order(files, most, of):
    shares = [sequential_chunks(files, most, index, of) for index in range(of)]
    rows = [row for part in shares for row in rows_of(part)]
    assert rows == [
        (source.group, source.path, row)
        for source in files
        for row in range(source.borders[0], source.borders[-1])
    ]
    sizes = [total_rows(part) for part in shares]
    assert max(sizes) - min(sizes) <= 1


@given(sources(), st.integers(1, 60), st.integers(1, 5))
def test_ranges_that_ranks_take_in_turn_are_the_input_in_order(files, most, of):
    ranges = entry_ranges(files, most, of)
    assert rows_of(chunk for members in ranges for chunk in members) == rows_of(
        sequential_chunks(files, 1000)
    )
    total = sum(source.rows for source in files)
    if of == 1:
        assert len(ranges) == 1
    else:
        assert all(0 < total_rows(members) <= most for members in ranges)
        # of less than each could read at once, nobody has more than a share
        assert all(total_rows(members) <= -(-total // of) for members in ranges)
