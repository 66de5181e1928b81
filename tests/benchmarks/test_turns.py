"""Times that are taken in turns, by a clock that is moved by hand."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def turns():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("turns")


def test_actions_alternate_and_the_first_turn_is_not_measured(turns):
    now = 0.0
    done = []

    def taking(name, *durations):
        left = list(durations)

        def action():
            nonlocal now
            done.append(name)
            now += left.pop(0)

        return action

    actions = {"theirs": taking("theirs", 100, 3, 5), "ours": taking("ours", 50, 1, 2)}
    times = turns.take_turns(actions, 2, clock=lambda: now)
    assert done == ["theirs", "ours"] * 3
    assert times == {"theirs": [3, 5], "ours": [1, 2]}


def test_the_speedup_is_the_median_of_ratios_of_the_same_turn(turns):
    # 2, 4 and 30 times: the machine was slow for both in the second turn
    times = {"theirs": [2.0, 40.0, 30.0], "ours": [1.0, 10.0, 1.0]}
    assert turns.speedup(times, "ours", "theirs") == 4
    assert turns.rates(times, 60) == {"theirs": 2, "ours": 60}
