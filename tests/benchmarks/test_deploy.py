"""What the figures of exported networks say of a bar, of a difference, and of what is missing."""

import importlib
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def deploy():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("deploy")


def test_a_ratio_must_reach_its_bar_and_a_difference_must_not_exceed_it(deploy):
    def verdict(value, bar, is_ratio):
        return deploy.Line("what", "case", value, bar, is_ratio).verdict

    assert verdict(2.5, 2.5, True) == "met"
    assert verdict(2.49, 2.5, True) == "missed"
    assert verdict(2e-6, 2e-6, False) == "met"
    assert verdict(2.1e-6, 2e-6, False) == "missed"
    assert verdict(math.inf, 2e-6, False) == "missed"
    assert verdict(1.0, None, True) == "stated"


def test_what_is_not_measured_has_its_reason_and_no_number(deploy):
    line = deploy.Line("what", "case", bar=2.5, is_ratio=True, note="there is no cmake")
    assert line.cells() == ["what", "case", "", "≥ 2.5", "not measured", "there is no cmake"]


def test_a_number_that_only_one_side_has_is_a_difference_without_bound(deploy):
    nan, inf = math.nan, math.inf
    same = {"a": np.float32(0.5), "b": np.array([nan, inf, 1.0])}
    assert deploy.difference(same, same) == 0
    assert deploy.difference(same, {**same, "a": np.float32(0.75)}) == 0.25
    assert deploy.difference(same, {**same, "b": np.array([nan, inf, nan])}) == inf
    assert deploy.difference(same, {**same, "b": np.array([nan, -inf, 1.0])}) == inf


def test_without_a_compiler_the_c_plus_plus_lines_say_so(deploy, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "c++" else name)
    programs = sys.modules["cpp_programs"]
    with pytest.raises(programs.MissingError, match=r"there is no c\+\+"):
        programs.build_programs(tmp_path)


def test_calls_take_turns_and_the_first_turn_does_not_count(deploy, monkeypatch):
    # no end is looked at in the first turn; then the slow call takes 6 s, the fast one 2
    order = []
    clock = iter([0, 10, 15, 21, 21, 23, 23, 29, 29, 31])
    # its own, as others look at that of the process
    monkeypatch.setattr(deploy, "time", SimpleNamespace(process_time=lambda: next(clock)))
    found = deploy.cpu_ratios(lambda: order.append("slow"), lambda: order.append("fast"), 2)
    assert found == (3, 6, 2)
    assert order == ["slow", "fast"] * 3
