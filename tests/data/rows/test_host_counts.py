"""Counts that a tensor carries: right, or not there."""

import copy
import io

import numpy as np
import torch

from weaver_tt.data.rows.host_counts import _KNOWN, host_counts, with_host_counts

COUNTS = np.array([2, 0])


def counted():
    return with_host_counts(torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]]]), COUNTS)


def test_a_tensor_carries_its_counts_and_is_the_same_tensor():
    values = torch.ones(2, 1, 2)
    assert host_counts(values) is None
    assert with_host_counts(values, COUNTS) is values
    assert host_counts(values) is COUNTS
    assert host_counts(with_host_counts(torch.ones(2), None)) is None


def test_no_operation_hands_the_counts_on():
    values = counted()
    for other in (
        values[:, 0],
        values * 1,
        values.transpose(1, 2),
        values.clone(),
        values.detach(),
    ):
        assert host_counts(other) is None


def test_counts_are_gone_once_the_tensor_or_another_one_on_its_memory_is_written_into():
    values = counted()
    values.mul_(0)
    assert host_counts(values) is None
    values = counted()
    values.view(-1)[0] = 0
    assert host_counts(values) is None


def test_a_copy_of_what_was_written_into_does_not_bring_the_counts_back():
    # the version of a copy starts anew, and may be that of the original before it was written into
    for writes in range(4):
        values = torch.ones(2, 3)
        for _ in range(writes):
            values.fill_(1)
        with_host_counts(values, np.array([3, 3]))
        values[:, 1:] = 0
        assert host_counts(copy.deepcopy(values)) is None


def test_what_is_saved_is_the_tensor_alone():
    file = io.BytesIO()
    torch.save(counted(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert torch.equal(loaded, counted())
    assert host_counts(loaded) is None


def test_counts_go_with_their_tensor():
    before = len(_KNOWN)
    values = counted()
    assert len(_KNOWN) == before + 1
    del values
    assert len(_KNOWN) == before


def test_tensors_of_inference_mode_carry_counts_too():
    with torch.inference_mode():
        assert host_counts(counted()) is COUNTS


def test_an_onnx_export_sees_no_counts(monkeypatch):
    values = counted()
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert host_counts(values) is None


def test_a_compiled_network_does_not_depend_on_the_counts_of_one_batch():
    def function(values):
        return values * (2 if host_counts(values) is None else 3)

    compiled = torch.compile(function, backend="eager")
    assert torch.equal(compiled(counted()), counted() * 2)
    assert torch.equal(function(counted()), counted() * 3)
