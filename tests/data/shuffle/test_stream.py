"""Streams: every selected row exactly once, whoever shares the work.

The same again for the same seed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.accounting import Accounting, list_bad_files
from weaver_tt.data.scan import scan_files
from weaver_tt.data.shuffle.stream import Stream, UnpaddedBatch
from weaver_tt.errors import BadFileError
from weaver_tt.formats.file_groups import FileGroup

CONFIG = from_mapping(
    {
        "selection": "number % 3 != 0",
        "inputs": {
            "jets": {"length": 3, "vars": ["jet_pt"]},
            "event": {"length": None, "vars": ["number"]},
        },
        "labels": {"type": "custom", "value": {"y": "number"}},
    }
)
SIZES = {"a": (40, 1), "b": (100,)}


@pytest.fixture(scope="module")
def stream(tmp_path_factory) -> Stream:
    """141 rows in three files of two groups; row numbers go on from file to file."""
    folder, first, groups = tmp_path_factory.mktemp("data"), 0, []
    for name, sizes in SIZES.items():
        paths = []
        for i, size in enumerate(sizes):
            numbers = np.arange(first, first + size)
            first += size
            paths.append(str(folder / f"{name}{i}.parquet"))
            ak.to_parquet(
                ak.Array({"number": numbers, "jet_pt": [[float(n)] * (n % 5) for n in numbers]}),
                paths[-1],
                row_group_size=30,
            )
        groups.append(FileGroup(name, tuple(paths)))
    train = make_plan(CONFIG, "train")
    scan = scan_files(groups, CONFIG, train)
    return Stream(
        config=CONFIG,
        plan=train,
        scan=scan,
        sources=list(scan.sources),
        batch_size=16,
        pool_size=60,
        read_ahead=0,
    )


SELECTED = [n for n in range(141) if n % 3]


def numbers(batches: list[UnpaddedBatch]) -> list[list[int]]:
    return [
        unpadded.rows.labels["y"].astype(int).tolist()
        for unpadded in batches
        if unpadded.rows is not None
    ]


def total(batches: list[UnpaddedBatch]) -> Accounting:
    accounting = Accounting()
    for unpadded in batches:
        accounting.add(unpadded.accounting)
    return accounting


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 200), st.integers(0, 3))
def test_every_row_is_in_one_share_of_an_epoch(stream, world, workers, pool, epoch):
    own = replace(stream, pool_size=pool, batch_size=1, seed=5)
    shares = [
        list(own.shuffled_batches(epoch, r, world, w, workers))
        for r in range(world)
        for w in range(workers)
    ]
    assert sorted(n for batches in shares for batch in numbers(batches) for n in batch) == SELECTED
    read = [total(batches).read.total() for batches in shares]
    assert sum(read) == 141
    assert max(read) - min(read) <= 1


def test_rows_keep_their_objects(stream):
    for unpadded in stream.shuffled_batches(0):
        if unpadded.rows is not None:
            counts = unpadded.rows.objects["jets"].full_counts
            assert counts.tolist() == [
                n % 5 for n in unpadded.rows.labels["y"].astype(int).tolist()
            ]
            np.testing.assert_array_equal(
                unpadded.rows.objects["jets"].own.ravel(),
                np.repeat(unpadded.rows.labels["y"], np.minimum(counts, 3)),
            )


def test_the_order_is_a_function_of_seed_epoch_rank_and_worker(stream):
    def order(seed=0, epoch=0, rank=0, worker=0):
        return numbers(list(replace(stream, seed=seed).shuffled_batches(epoch, rank, 2, worker, 2)))

    assert order() == order()
    others = [order(seed=1), order(epoch=1), order(rank=1), order(worker=1)]
    assert order() not in others


def test_training_batches_are_whole_and_what_is_left_over_is_not_used(stream):
    batches = list(stream.shuffled_batches(0))
    assert [len(batch) for batch in numbers(batches)] == [16] * 5  # 94 rows pass
    counts = total(batches)
    assert counts.read == {"a": 41, "b": 100}
    assert counts.selected.total() == 94
    assert counts.used.total() == 80
    assert counts.dropped.total() == 47
    assert batches[-2].delivered == batches[-2].expected == 80


def test_an_epoch_without_a_whole_batch_delivers_what_there_is(stream):
    assert [
        len(batch) for batch in numbers(list(replace(stream, batch_size=1000).shuffled_batches(0)))
    ] == [94]


def test_an_endless_stream_begins_again_in_another_order(stream):
    endless = replace(stream, endless=True, batch_size=47).shuffled_batches(0)
    passes = [numbers([next(endless), next(endless)]) for _ in range(2)]
    assert all(sorted(n for batch in found for n in batch) == SELECTED for found in passes)
    assert passes[0] != passes[1]
    endless.close()


@pytest.mark.parametrize("skip", [0, 2, 5])
def test_skipping_leaves_the_rest_as_it_was(stream, skip):
    assert (
        numbers(list(stream.shuffled_batches(0, skip=skip)))
        == numbers(list(stream.shuffled_batches(0)))[skip:]
    )
    assert total(list(stream.shuffled_batches(0, skip=skip))) == total(
        list(stream.shuffled_batches(0))
    )


def test_reading_ahead_changes_nothing(stream):
    assert numbers(list(replace(stream, read_ahead=2).shuffled_batches(1))) == numbers(
        list(stream.shuffled_batches(1))
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 4), st.integers(1, 150))
def test_ordered_batches_are_the_input_in_order(stream, world, batch_size):
    shares = [
        list(replace(stream, batch_size=batch_size).ordered_batches(rank, world))
        for rank in range(world)
    ]
    assert [n for batches in shares for batch in numbers(batches) for n in batch] == SELECTED
    for batches in shares:
        assert all(len(batch) == batch_size for batch in numbers(batches)[:-1])
        assert batches[-2].delivered == batches[-2].expected


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 4), st.integers(1, 150))
def test_batches_in_turns_are_the_input_turn_after_turn_and_rank_after_rank(
    stream, world, batch_size
):
    found = []
    for rank in range(world):
        for batch in replace(stream, batch_size=batch_size).batches_in_turns(rank, world):
            if batch.rows is not None:
                found.append((batch.turn, rank, batch))
    in_order = sorted(found, key=lambda item: item[:2])
    rows = [n for batch in numbers([batch for *_, batch in in_order]) for n in batch]
    assert rows == SELECTED
    assert {turn for turn, *_ in found} == set(range(stream.turns(world)))


def test_a_file_damaged_inside_stops_the_stream_or_is_counted(stream, tmp_path: Path):
    path = tmp_path / "b.parquet"
    original = Path(stream.sources[-1].path).read_bytes()
    damaged = bytearray(original)
    damaged[4:400] = b"\xff" * 396  # the footer is whole: it shows only when rows are read
    path.write_bytes(bytes(damaged))
    broken = replace(
        stream, sources=[*stream.sources[:-1], replace(stream.sources[-1], path=str(path))]
    )
    with pytest.raises(BadFileError, match=r"b.parquet"):
        list(broken.shuffled_batches(0))
    counts = total(list(replace(broken, on_bad_file="skip").shuffled_batches(0)))
    assert counts.read["a"] == 41
    assert counts.read["b"] < 100
    (bad,) = list_bad_files(counts.lost)
    assert bad["path"] == str(path)
    # every row is either read or counted as lost
    rows = sum(source.rows for source in broken.sources)
    assert counts.read.total() + bad["rows"] == rows
