"""Shared memory that batches of worker processes travel in."""

import numpy as np

from weaver_tt.data.rows.rows import JaggedObjects, Rows
from weaver_tt.data.shuffle.workers import SharedSlot


def test_a_slot_holds_a_batch_in_the_same_shared_memory_until_it_is_filled_again():
    def rows(numbers: list[int]) -> Rows:
        counts = np.array(numbers, dtype=np.int64)
        content = np.arange(counts.sum() * 2, dtype=np.float32).reshape(-1, 2)
        return Rows(
            {"jets": JaggedObjects(content, counts, counts, slice(0, 2))},
            {"event": np.ones((len(counts), 1), np.float32)},
            {"y": counts % 2},
            size=len(counts),
        )

    slot = SharedSlot()
    first, second = rows([3, 0, 2]), rows([1, 1])
    filled = slot.fill(first)
    assert filled.objects["jets"].content.is_shared()
    assert filled.objects["jets"].content.tolist() == first.objects["jets"].content.tolist()
    assert filled.objects["jets"].counts is filled.objects["jets"].full_counts
    assert (filled.labels["y"].tolist(), filled.size) == ([1, 0, 0], 3)
    again = slot.fill(second)
    assert (
        again.objects["jets"].content.untyped_storage().data_ptr()
        == filled.objects["jets"].content.untyped_storage().data_ptr()
    )
    assert (again.objects["jets"].content.tolist(), again.scalars["event"].tolist()) == (
        [[0, 1], [2, 3]],
        [[1], [1]],
    )
