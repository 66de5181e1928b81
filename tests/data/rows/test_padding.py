"""Padded tensors against awkward's own padding."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import NO_CLASS
from weaver_tt.data.rows.host_counts import host_counts
from weaver_tt.data.rows.padding import Padder, shortened_length
from weaver_tt.data.rows.rows import JaggedObjects, Rows

LENGTH = 3


def config(pad_mode: str = "constant"):
    variables = [["x", None, 1, -5, 5, 7], ["y", None, 1, -5, 5, -2]]
    inputs = {
        "a": {"length": LENGTH, "pad_mode": pad_mode, "vars": variables},
        "b": {"length": LENGTH, "pad_mode": pad_mode, "vars": [["z", None]]},
        "s": {"length": None, "vars": [["w", None]]},
    }
    return from_mapping(
        {"inputs": inputs, "labels": {"type": "per_object", "group": "a", "value": {"hit": "z"}}}
    )


def rows_of(lists: list[list[float]]) -> Rows:
    """Objects with x = value, y = 10 value, z = 100 value, hit = value + 0.5."""
    flat = np.array([value for row in lists for value in row], dtype=np.float32)
    content = (
        np.stack([flat, 10 * flat, 100 * flat], axis=1)
        if len(flat)
        else np.zeros((0, 3), np.float32)
    )
    counts = np.array([len(row) for row in lists], dtype=np.int64)
    a, b = (
        JaggedObjects(content, counts, counts + 1, slice(0, 2)),
        JaggedObjects(content, counts, counts + 1, slice(2, 3)),
    )
    size = len(lists)
    hit = flat.reshape(-1, 1) + 0.5
    return Rows(
        {"a": a, "b": b},
        {"s": np.ones((size, 1), np.float32)},
        {},
        object_labels={"a": hit},
        weight=np.ones(size, np.float32),
        size=size,
    )


some_rows = st.lists(
    st.lists(st.integers(1, 9).map(float), max_size=LENGTH), min_size=1, max_size=6
)


@settings(max_examples=50)
@given(st.lists(some_rows, min_size=1, max_size=4))
def test_constant_padding_is_that_of_awkward_batch_after_batch(batches):
    padder = Padder(config())
    for lists in batches:
        batch = padder(rows_of(lists))
        jagged = ak.values_astype(ak.Array([*lists, [0.0]]), np.float32)[:-1]
        for channel, (factor, pad) in enumerate([(1, 7), (10, -2)]):
            expected = ak.to_numpy(
                ak.fill_none(ak.pad_none(factor * jagged, LENGTH, clip=True), pad)
            )
            np.testing.assert_array_equal(batch.inputs["a"][:, channel].numpy(), expected)
        np.testing.assert_array_equal(
            batch.inputs["b"][:, 0].numpy(),
            ak.to_numpy(ak.fill_none(ak.pad_none(100 * jagged, LENGTH, clip=True), 0)),
        )
        np.testing.assert_array_equal(
            batch.labels["hit"].numpy(),
            ak.to_numpy(ak.fill_none(ak.pad_none(jagged + 0.5, LENGTH, clip=True), 0)),
        )
        np.testing.assert_array_equal(batch.masks["a"].sum(1).numpy(), [len(row) for row in lists])


@given(st.lists(some_rows, min_size=1, max_size=3))
def test_wrap_padding_repeats_a_rows_objects_and_pads_rows_without_any(batches):
    padder = Padder(config("wrap"))
    for lists in batches:
        batch = padder(rows_of(lists))
        expected = [[row[k % len(row)] if row else 7 for k in range(LENGTH)] for row in lists]
        assert batch.inputs["a"][:, 0].tolist() == expected
        assert batch.masks["a"].tolist() == [[k < len(row) for k in range(LENGTH)] for row in lists]


def test_a_batch_tells_shapes_counts_and_size():
    batch = Padder(config())(rows_of([[1.0, 2.0], []]))
    assert batch.inputs["a"].shape == (2, 2, LENGTH)
    assert batch.inputs["s"].shape == (2, 1)
    assert batch.counts["a"].tolist() == [3, 1]  # before the cut at the length
    assert batch.size == 2
    assert batch.weight is not None


def test_buffers_are_used_again():
    padder = Padder(config())
    first = padder(rows_of([[1.0], [2.0]])).inputs["a"].data_ptr()
    assert padder(rows_of([[3.0]])).inputs["a"].data_ptr() == first


def test_a_network_that_writes_into_its_input_does_not_spoil_the_next_batch():
    padder = Padder(config())
    padder(rows_of([[1.0]])).inputs["a"].mul_(0)
    assert padder(rows_of([[2.0]])).inputs["a"][0, 0].tolist() == [2, 7, 7]


def test_buffers_made_in_inference_mode_serve_training():
    padder = Padder(config())
    with torch.inference_mode():
        padder(rows_of([[1.0]]))
    inputs = padder(rows_of([[2.0, 3.0]])).inputs["a"]
    weight = torch.ones(1, requires_grad=True)
    (weight * inputs).sum().backward()
    assert weight.grad.item() == pytest.approx(2 + 3 + 7 + 20 + 30 - 2)


def test_monitored_columns_of_objects_are_padded_too():
    rows = rows_of([[4.0], [5.0, 6.0]])
    rows.object_monitors["a", "pt"] = np.array([[40], [50], [60]], np.float32)
    assert Padder(config())(rows).monitors["pt"].tolist() == [[40, 0, 0], [50, 60, 0]]


@pytest.mark.parametrize("pad_mode", ["constant", "wrap"])
@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=4), min_size=1, max_size=4))
def test_shortened_batches_are_the_beginning_of_full_ones(pad_mode, batches):
    own = config(pad_mode)
    own = replace(
        own,
        inputs={
            name: replace(group, length=group.length and 100) for name, group in own.inputs.items()
        },
    )
    short, full = Padder(own, shorten=True), Padder(own)
    for sizes in batches:
        rows = rows_of([[float(1 + i % 9) for i in range(size)] for size in sizes])
        shortened, whole = short(rows), full(rows)
        length = min(100, max(32, 16 * -(-max(sizes) // 16)))
        for tensors, others in (
            (shortened.inputs, whole.inputs),
            (shortened.masks, whole.masks),
            (shortened.labels, whole.labels),
        ):
            for name, tensor in tensors.items():
                assert tensor.shape[-1] == (length if name != "s" else 1)
                assert torch.equal(tensor, others[name][..., : tensor.shape[-1]])
        assert torch.equal(shortened.counts["a"], whole.counts["a"])


@pytest.mark.parametrize(
    ("counts", "length", "slots"),
    [
        ([0], 128, 32),
        ([33], 128, 48),
        ([48], 128, 48),
        ([128], 128, 128),
        ([100], 100, 100),
        ([3], 5, 5),
    ],
)
def test_slots_are_rounded_up(counts, length, slots):
    assert shortened_length(np.array(counts), length) == slots


def marking_config(pad_mode="constant", pad=0, **groups):
    """Input groups of one variable each, named as given."""
    inputs = {
        name: {"length": LENGTH, "pad_mode": pad_mode, "vars": [[variable, *scaling, pad]]}
        for name, (variable, scaling) in groups.items()
    }
    return from_mapping({"inputs": inputs})


def marking_rows(lists, *names):
    """The same objects for all groups, side by side in one content."""
    flat = np.array([value for row in lists for value in row], dtype=np.float32)
    content = np.stack([flat] * len(names), axis=1)  # (M, groups)
    counts = np.array([len(row) for row in lists], dtype=np.int64)
    objects = {}
    for column, name in enumerate(names):
        objects[name] = JaggedObjects(content, counts, counts, slice(column, column + 1))
    return Rows(objects, {}, {}, size=len(lists))


RAW = [None, 1, -5, 5]
SCALED = [0.5, 1, -5, 5]
GPU = "meta"  # a device whose tensors have no numbers, so that none can be read from them
marks = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.5]), max_size=LENGTH), min_size=1, max_size=6
)


@settings(max_examples=50)
@given(st.lists(marks, min_size=1, max_size=3))
def test_masks_carry_the_number_of_slots_that_are_not_zero_holes_included(batches):
    padder = Padder(marking_config(pf_mask=("m", RAW)))
    on_gpu = Padder(marking_config(pf_mask=("m", RAW)), GPU)
    for lists in batches:
        rows = marking_rows(lists, "pf_mask")
        mask = padder(rows).inputs["pf_mask"]
        counts = host_counts(on_gpu(rows).inputs["pf_mask"])
        assert counts.dtype == np.int64
        assert counts.tolist() == (mask[:, 0] != 0).sum(1).tolist()


def test_counts_of_a_shortened_batch_are_those_of_its_slots():
    own = marking_config(pf_mask=("m", RAW))
    longer = {name: replace(group, length=100) for name, group in own.inputs.items()}
    padder = Padder(replace(own, inputs=longer), GPU, shorten=True)
    mask = padder(marking_rows([[1.0, 0.0, 2.0], [], [1.0]], "pf_mask")).inputs["pf_mask"]
    assert mask.shape == (3, 1, 32)
    assert host_counts(mask).tolist() == [2, 0, 1]


def test_without_masks_raw_first_variables_carry_the_number_of_slots_above_zero():
    lists = [[3.0, 0.0], [], [1.0]]
    groups = {"jets": ("pt", RAW), "scaled": ("x", SCALED)}
    inputs = Padder(marking_config(**groups), GPU)(marking_rows(lists, *groups)).inputs
    assert host_counts(inputs["jets"]).tolist() == [1, 0, 1]
    assert host_counts(inputs["scaled"]) is None
    groups["pf_mask"] = ("m", RAW)
    inputs = Padder(marking_config(**groups), GPU)(marking_rows(lists, *groups)).inputs
    carrying = [name for name, values in inputs.items() if host_counts(values) is not None]
    assert carrying == ["pf_mask"]


def test_counts_are_left_out_where_the_slots_that_count_are_a_matter_of_opinion():
    padder = Padder(marking_config(pf_mask=("m", RAW)), GPU)
    inputs = padder(marking_rows([[-1.0, 2.0]], "pf_mask")).inputs
    assert host_counts(inputs["pf_mask"]) is None
    for options in ({"pad": 1}, {"pad_mode": "wrap"}):
        padder = Padder(marking_config(jets=("pt", RAW), **options), GPU)
        inputs = padder(marking_rows([[1.0]], "jets")).inputs
        assert host_counts(inputs["jets"]) is None


@pytest.mark.parametrize("pad_mode", ["constant", "wrap"])
def test_the_host_knows_the_real_objects_of_each_row_and_of_all(pad_mode):
    padder = Padder(config(pad_mode))
    for lists in ([[1.0, 2.0], [], [3.0]], [[4.0]]):
        rows = rows_of(lists)
        batch = padder(rows)
        for name in ("a", "b"):
            assert batch.host_counts[name].dtype == np.int64
            assert batch.host_counts[name].tolist() == batch.masks[name].sum(1).tolist()
            assert host_counts(batch.masks[name]) is batch.host_counts[name]
            assert batch.real[name] == int(batch.masks[name].sum())
            # a worker process writes the next batch into the same memory
            assert not np.shares_memory(batch.host_counts[name], rows.objects[name].counts)
        assert "s" not in batch.host_counts
        assert "s" not in batch.real


def test_a_batch_says_how_many_rows_and_objects_have_no_label():
    inputs = {"a": {"length": LENGTH, "vars": ["x"]}}
    labels = [
        {"type": "simple", "value": ["sig", "bkg"]},
        {"type": "custom", "value": {"m": "m", "m_mask": "known", "e": "e", "t": "t"}},
        {"type": "per_object", "group": "a", "value": {"hit": "h", "hot": "h"}},
    ]
    counts = np.array([2, 0, 1])
    jagged = JaggedObjects(np.zeros((3, 1), np.float32), counts, counts, slice(0, 1))
    nan = np.nan
    rows = Rows(
        {"a": jagged},
        {},
        {
            "_label_": np.array([0, NO_CLASS, 1]),
            # one is not known, another does not count
            "m": np.float32([1, nan, 3]),
            "m_mask": np.float32([1, 1, 0]),
            "e": np.float32([nan, nan, nan]),
            "t": np.float32([1, 2, 3]),
            "w": np.float32([1, 2, nan]),
            # the first is outside of its window
            "w_valid": np.float32([0, 1, 0]),
        },
        object_labels={"a": np.float32([[nan, 1], [1, 1], [nan, 0]])},
        size=3,
    )
    batch = Padder(from_mapping({"inputs": inputs, "labels": labels}))(rows)
    assert batch.undefined == {"_label_": 1, "m": 2, "e": 3, "w": 2, "hit": 2}
    # of rows without labels nothing is missing
    assert Padder(config())(rows_of([[1.0], []])).undefined == {}
