"""Commands of a benchmark are run once, and a number is compared with its bar."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def commands():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("steps")


def test_steps_that_are_done_are_not_done_again_and_those_of_others_stay(commands, tmp_path):
    def steps():
        return commands.Steps(folder=tmp_path, resumes=True)

    command = ["sh", "-c", "echo once >> lines; echo said"]
    one, other = steps(), steps()
    usage = one.run_program("a step", *command)
    # of another call in the same folder, which had begun before
    other.run_program("another", "true")
    third = steps()
    assert third.run_program("a step", *command) == usage
    assert set(third.done) == {"a step", "another"}
    assert (tmp_path / "lines").read_text() == "once\n"
    assert third.log("a step").read_text() == "said\n"
    third.run_program("a step", *command, again=True)
    assert (tmp_path / "lines").read_text() == "once\nonce\n"


def test_a_step_that_fails_ends_with_what_it_printed_and_is_not_done(commands, tmp_path):
    steps = commands.Steps(folder=tmp_path, resumes=True)
    with pytest.raises(SystemExit, match=r"(?s)bad\.log: exit code 3\nwhat is wrong"):
        steps.run_program("bad", "sh", "-c", "echo what is wrong; exit 3")
    assert not steps.done
    assert not steps.record.exists()


def test_a_bar_has_one_end_or_two_and_the_mean_must_be_inside(commands):
    least = commands.Bar(least=0.9)
    assert least.text() == ">= 0.9"
    assert least.verdict([0.8, 1.0]) == "met"
    assert least.verdict([0.8, 0.9]) == "MISSED"
    assert commands.Bar(most=2).text() == "<= 2"
    both = commands.Bar(least=1, most=2)
    assert both.text() == "1 to 2"
    assert both.verdict([2]) == "met"
    assert both.verdict([2.1]) == "MISSED"


def test_a_number_has_two_digits_of_its_error_and_the_spread_of_trainings(commands):
    small = {"value": 0.00023456, "error": 0.0000412}
    assert commands.with_error(small) == "0.000235 +- 0.000041"
    large = {"value": 411.3, "error": 92.1, "spread": 13.2}
    assert commands.with_error(large) == "411 +- 92 (13)"
    assert commands.with_error({"value": None, "error": None}) == ""
    # rounding leaves no sign
    assert commands.with_error({"value": -0.0001, "error": 0.02}) == "0.000 +- 0.020"
