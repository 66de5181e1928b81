"""A batch's optional parts are its own."""

import torch

from weaver_tt.data.rows.batch import Batch


def test_optional_parts_are_empty_and_not_shared():
    first, second = (Batch({"x": torch.zeros(2, 1)}, {}, {}, {}) for _ in range(2))
    first.observers["run"] = [1, 2]
    first.real["jets"] = 3
    assert second.observers == {}
    assert second.real == {}
    assert (second.weight, second.progress, second.size) == (None, 0.0, 0)
