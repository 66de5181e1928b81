"""Trimming: only the longest rows lose objects, the same ones for the same seed.

Dropping: all rows lose them alike. Keeping the first: all that have more.
"""

import math

import numpy as np
import pytest
import torch

from weaver_tt.data.rows.host_counts import host_counts, with_host_counts
from weaver_tt.errors import ConfigError
from weaver_tt.nn.objects.trimming import (
    drop_known_numbers,
    drop_objects,
    dropped_share,
    keep_first,
    trim_longest,
)


def mask_of(counts, slots):
    return torch.arange(slots) < torch.tensor(counts).unsqueeze(1)


def drawn(mask, seed):
    torch.manual_seed(seed)
    return trim_longest(mask)


def test_only_the_longest_rows_lose_objects():
    mask = mask_of([*range(1, 21)], 24)
    lost = set()
    for seed in range(20):
        left = drawn(mask, seed)
        assert not (left & ~mask).any()
        longest = int(left.sum(1).max())
        assert longest >= 18  # the 0.9 quantile of 1 … 20 is 18.1
        assert left.sum(1).tolist() == mask.sum(1).clamp(max=longest).tolist()
        lost |= set((mask & ~left)[19].nonzero().flatten().tolist())
    assert len(lost) > 10  # any of its objects


def test_the_same_seed_trims_the_same_whatever_the_padding():
    counts = [3, 9, 12, 20, 0]
    for seed in range(5):
        assert torch.equal(
            drawn(mask_of(counts, 20), seed), drawn(mask_of(counts, 31), seed)[:, :20]
        )


def test_rows_without_objects_are_left_alone():
    mask = mask_of([0, 0], 3)
    assert torch.equal(drawn(mask, 0), mask)


def test_the_host_knows_how_many_objects_are_left_and_they_are_the_same():
    counts = [3, 9, 12, 20, 0]
    for seed in range(5):
        mask = with_host_counts(mask_of(counts, 20), np.array(counts))
        left = drawn(mask, seed)
        assert torch.equal(left, drawn(mask_of(counts, 20), seed))
        assert host_counts(left).tolist() == left.sum(1).tolist()


def dropped_on_a_gpu(mask, share):
    return drop_known_numbers(mask, mask.sum(1).numpy(), share)


@pytest.mark.parametrize("drop", [drop_objects, dropped_on_a_gpu])
def test_each_object_is_dropped_for_itself_holes_or_not(drop):
    torch.manual_seed(1)
    mask = torch.rand(3000, 8) < 0.6
    left = drop(mask, 0.25)
    assert not (left & ~mask).any()
    # the share that is left, of all objects and of those in each slot: 5 standard deviations
    assert (left.sum() / mask.sum()).item() == pytest.approx(0.75, abs=0.02)
    assert left.sum(0).div(mask.sum(0)).tolist() == pytest.approx([0.75] * 8, abs=0.055)
    # independent of each other: how often all of four objects are left, and both of two slots
    four = left.sum(1)[mask.sum(1) == 4]
    assert (four == 4).float().mean().item() == pytest.approx(0.75**4, abs=0.1)
    both = left[:, 0] & left[:, 5]
    assert both[mask[:, 0] & mask[:, 5]].float().mean().item() == pytest.approx(0.75**2, abs=0.08)


def test_the_host_knows_how_many_objects_are_left_of_those_that_were_dropped_on_a_gpu():
    torch.manual_seed(2)
    mask = torch.rand(50, 8) < 0.6
    left = dropped_on_a_gpu(mask, 0.25)
    assert host_counts(left).tolist() == left.sum(1).tolist()
    torch.manual_seed(3)
    one = dropped_on_a_gpu(mask, 0.25)
    torch.manual_seed(3)
    assert torch.equal(dropped_on_a_gpu(mask, 0.25), one)
    assert not torch.equal(left, one)


def test_the_first_two_objects_of_each_row_are_kept_wherever_they_stand():
    mask = torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    kept = keep_first(mask, 2)
    assert kept.long().tolist() == [[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert host_counts(kept).tolist() == [2, 1, 0]


def test_counts_that_are_known_are_those_of_what_is_kept():
    mask = with_host_counts(mask_of([3, 1, 0, 7], 8), np.array([3, 1, 0, 7]))
    assert host_counts(keep_first(mask, 3)).tolist() == [3, 1, 0, 3]


@pytest.mark.parametrize("share", [1, -0.1, 1.5, "abc", True, math.nan])
def test_a_share_to_leave_out_that_is_none_is_refused_with_the_option_that_has_it(share):
    with pytest.raises(ConfigError, match=r"sv_input_dropout .*: expected the share of objects"):
        dropped_share("sv_input_dropout", share)


def test_shares_to_leave_out_are_0_without_the_option():
    assert [dropped_share("input_dropout", share) for share in (None, 0, 0.25)] == [0, 0, 0.25]
