"""Trimming: only the longest rows lose objects, the same ones for the same seed."""

import torch

from weaver_tt.nn.objects.trimming import trim_longest


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
