"""Networks that take turns draw what each would draw if it were alone."""

import random

import numpy as np
import torch

from weaver_tt.engine.device_settings import seed_everything
from weaver_tt.engine.own_random import OwnRandom


def draw():
    """One number of each generator; numpy and python keep half a pair of normal numbers back."""
    return torch.randn(1).item(), np.random.normal(), random.gauss(0, 1), np.random.rand()


def begin(seed):
    seed_everything(seed, deterministic=False)
    return OwnRandom()


def test_turns_of_several_draw_what_each_draws_alone():
    alone = {}
    for seed in (1, 2):
        seed_everything(seed, deterministic=False)
        alone[seed] = [draw() for _ in range(3)]
    members = {seed: begin(seed) for seed in (1, 2)}
    in_turns = {seed: [] for seed in members}
    for _ in range(3):
        for seed, member in members.items():
            with member.in_turn():
                in_turns[seed].append(draw())
        # what is drawn between the turns is nobody's
        draw()
    assert in_turns == alone


def test_a_turn_that_ends_in_an_error_leaves_the_state_of_before():
    member = begin(1)
    expected = None
    with member.in_turn():
        draw()
    with member.in_turn():
        expected = draw()
    member = begin(1)
    with member.in_turn():
        draw()
    try:
        with member.in_turn():
            draw()
            raise RuntimeError
    except RuntimeError:
        pass
    with member.in_turn():
        assert draw() == expected
