"""Patterns of file paths: the same answers as Python's, in a time that does not explode."""

import re

import pytest

from tests.cpu_time import cpu_seconds_below
from weaver_tt.config.load import from_mapping
from weaver_tt.config.path_patterns import group_of, is_for_file, is_found, pattern_problem
from weaver_tt.errors import ConfigError

PATHS = ["/data/ttbar_2022/part1.root", "zjets.root", "/eos/user/x/Train/a+b(1).root", ""]


@pytest.mark.parametrize(
    "pattern",
    [
        "ttbar",
        r"ttbar_\d+/",
        ".*/ttbar.*/.*root$",
        r"(\w+/)+part",
        "(ttbar|zjets).*",
        "(?i)train",
        r"a\+b\(1\)",
        "^(?!.*zjets).*root",
        r"(a).*\1",
        r"[*+{]",
        "",
    ],
)
def test_the_answer_is_that_of_python(pattern):
    assert pattern_problem(pattern) is None
    assert [is_found(pattern, path) for path in PATHS] == [
        re.search(pattern, path) is not None for path in PATHS
    ]


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(a*)*b", "(a|aa)+$", "a*a*a*a*a*a*a*a*b", "((a?){20})a{20}"]
)
def test_patterns_that_backtrack_are_as_fast_as_any(pattern):
    with cpu_seconds_below(1):
        assert pattern_problem(pattern) is None
        is_found(pattern, "a" * 200 + "c")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("[", "is not a regular expression"),
        ("a{99999999999}", "is not a regular expression"),
        ("(" * 5000, "has more than 1000 characters"),
        (r"(a+)+(?!b)$", "may take for ever"),
        (r"(?=.*.*.*.*.*.*x)", "may take for ever"),
        (r"(a*)*\1$", "may take for ever"),
    ],
)
def test_what_could_take_for_ever_is_refused_when_the_yaml_is_read(pattern, problem):
    values = {"inputs": {"g": {"vars": ["x"]}}, "file_magic": {"sample": {pattern: 1}}}
    with pytest.raises(ConfigError, match=f"x.yaml: file_magic.sample: .*{problem}"):
        from_mapping(values, "x.yaml")


def test_a_pattern_with_a_colon_at_its_end_is_a_group_and_no_part_of_a_path():
    assert group_of("data:") == "data"
    assert group_of("root://data") is None
    assert is_for_file("data:", "/x/mc.root", "data")
    # not in the folder, not in the file's name, not in the group's
    assert not is_for_file("data:", "/data/data:1.root", "mc")
    assert not is_for_file("data:", "/data/data.root", "mydata")
    assert is_for_file("data", "/data/mc.root", "mc")
