"""Seconds by stage: each second counts once, for the innermost stage of its thread."""

import threading

from weaver_tt.system.stage_times import (
    Stage,
    StageTimes,
    count_bytes_moved,
    stage,
)


def test_a_second_counts_for_the_innermost_stage_alone(counted_time):
    times = StageTimes()
    with times.stage(Stage.BATCHING):
        counted_time.spend(1)
        with times.stage(Stage.SCALING):
            counted_time.spend(10)
            with stage(Stage.EXPRESSIONS, "np.log(pt)"):
                counted_time.spend(100)
            counted_time.spend(20)
        counted_time.spend(3)
    counted_time.spend(1000)
    assert times.seconds == {Stage.BATCHING: 4, Stage.SCALING: 30, Stage.EXPRESSIONS: 100}
    assert times.expressions == {"np.log(pt)": 100}


def test_a_stage_counts_where_the_stage_around_it_counts(counted_time):
    outer = StageTimes()
    inner = StageTimes()
    with outer.stage(Stage.BATCHING):
        with inner.stage(Stage.DECOMPRESSING), stage(Stage.READING):
            counted_time.spend(5)
        with stage(Stage.TRANSFER):
            count_bytes_moved(7)
            counted_time.spend(2)
    assert inner.seconds == {Stage.DECOMPRESSING: 0, Stage.READING: 5}
    assert outer.seconds == {Stage.BATCHING: 0, Stage.TRANSFER: 2}
    assert (outer.bytes_moved, inner.bytes_moved) == (7, 0)


def test_without_a_stage_around_it_a_stage_counts_nowhere(counted_time):
    with stage(Stage.READING):
        counted_time.spend(5)
        count_bytes_moved(7)
    times = StageTimes()
    with times.stage(Stage.PADDING):
        counted_time.spend(1)
    assert times.seconds == {Stage.PADDING: 1}
    assert times.bytes_moved == 0


def test_threads_do_not_see_each_others_stages(counted_time):
    times = StageTimes()

    def elsewhere() -> None:
        with stage(Stage.READING):
            counted_time.spend(50)

    with times.stage(Stage.WAITING):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        counted_time.spend(1)
    assert times.seconds == {Stage.WAITING: 1}


def test_a_stage_ends_with_an_error(counted_time):
    times = StageTimes()
    try:
        with times.stage(Stage.READING):
            counted_time.spend(2)
            raise OSError
    except OSError:
        counted_time.spend(30)
    with times.stage(Stage.PADDING):
        counted_time.spend(4)
    assert times.seconds == {Stage.READING: 2, Stage.PADDING: 4}


def test_the_time_of_the_one_who_uses_items_is_not_that_of_making_them(counted_time):
    times = StageTimes()

    def items():
        for number in range(3):
            counted_time.spend(10)
            yield number
        counted_time.spend(5)

    seen = []
    for number in times.over(Stage.WAITING, items()):
        counted_time.spend(100)
        seen.append(number)
    assert seen == [0, 1, 2]
    assert times.seconds == {Stage.WAITING: 35}


def test_times_are_taken_added_and_subtracted(counted_time):
    times = StageTimes()
    with times.stage(Stage.READING), stage(Stage.EXPRESSIONS, "a"):
        counted_time.spend(2)
        count_bytes_moved(3)
    total = StageTimes()
    total.add(times)
    before = total.copy()
    total.add(times.take())
    assert (times.seconds, times.expressions, times.bytes_moved) == ({}, {}, 0)
    assert total.seconds == {Stage.READING: 0, Stage.EXPRESSIONS: 4}
    assert (total.expressions, total.bytes_moved) == ({"a": 4}, 6)
    later = total.since(before)
    assert later.seconds == {Stage.READING: 0, Stage.EXPRESSIONS: 2}
    assert (later.expressions, later.bytes_moved) == ({"a": 2}, 3)
