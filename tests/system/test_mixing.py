"""Mixed numbers look random: known values of splitmix64, and no bit that follows another."""

import numpy as np

from weaver_tt.system.mixing import STEP, mix_bits


def test_the_sequence_of_seed_0_is_that_of_splitmix64() -> None:
    steps = np.arange(1, 4, dtype=np.uint64) * STEP
    # computed with Python's whole numbers
    expected = []
    for step in (1, 2, 3):
        z = step * 0x9E3779B97F4A7C15 % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        expected.append(z ^ (z >> 31))
    assert mix_bits(steps).tolist() == expected
    assert expected[0] == 0xE220A8397B1DCDAF  # as published with java.util.SplittableRandom


def test_a_changed_bit_changes_half_of_all_bits() -> None:
    numbers = np.arange(1000, dtype=np.uint64) * STEP
    for bit in (0, 17, 63):
        changed = mix_bits(numbers) ^ mix_bits(numbers ^ np.uint64(1 << bit))
        shares = np.unpackbits(changed.view(np.uint8)).mean()
        # 64,000 bits: the error of the share is 0.002
        assert abs(shares - 0.5) < 0.01
