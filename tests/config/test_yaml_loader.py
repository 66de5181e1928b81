"""YAML is data, and what it stands for is counted before it is made."""

import pytest

from tests.cpu_time import cpu_seconds_below
from weaver_tt.config import yaml_loader
from weaver_tt.config.sections import parse_yaml, read_yaml
from weaver_tt.errors import ConfigError


def repeated(first: str, pattern: str, times: int, levels: int = 12) -> str:
    """Level i repeats level i - 1 ``times`` times: times**levels of the first."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * times)
        lines.append(f"a{level}: &a{level} {pattern.format(inner)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (repeated("[x, x]", "[{}]", 10), "aliases repeat more than 100000 keys and values"),
        (repeated("{k: 1}", "{{<<: [{}]}}", 10), "aliases repeat more than 100000"),
        (repeated("[x]", "[{}]", 1, levels=200), "nested more than 100 deep"),
        ("a: " + "[" * 800 + "]" * 800, "line 1, column 103: not YAML: nested more than 100 deep"),
        ("a: &a [*a]", r"\*a stands inside of what it repeats"),
        ("a: &a {<<: *a}", r"\*a stands inside of what it repeats"),
        ("a: " + "9" * 400, "a number of more than 100 characters"),
        ("a: " + ":".join(["59"] * 400), "a number of more than 100 characters"),
        ("a: !!int 'x'", "'x' is no int"),
        ("a: !!bool x", "'x' is no bool"),
        ("a: !!timestamp x", "'x' is no timestamp"),
        ("a: 2020-13-45", "'2020-13-45' is no timestamp .month must be in 1..12."),
        ("2020-13-45: a", "'2020-13-45' is no timestamp"),
        ('a: "\\ud800"', "text that is not Unicode"),
        ('a: "\\UFFFFFFFF"', "not YAML"),
        ("%YAML " + "9" * 5000 + ".1\n--- 1", "not YAML"),
    ],
)
def test_what_would_grow_or_has_no_value_is_an_error_at_once(text, problem):
    with cpu_seconds_below(1), pytest.raises(ConfigError, match=problem) as caught:
        parse_yaml(text, "x.yaml")
    assert len(str(caught.value)) < 1000


def test_an_alias_counts_as_what_it_repeats_and_not_what_is_written(monkeypatch):
    # [a, b] are 3 nodes; two aliases of it repeat 6
    text = "x: &x [a, b]\ny: [*x, *x]\n"
    monkeypatch.setattr(yaml_loader, "MAX_ALIASED_NODES", 6)
    assert parse_yaml(text, "x")["y"] == [["a", "b"], ["a", "b"]]
    monkeypatch.setattr(yaml_loader, "MAX_ALIASED_NODES", 5)
    with pytest.raises(ConfigError, match="aliases repeat more than 5"):
        parse_yaml(text, "x")
    # the mapping, two keys, two lists with two entries in all: 7 nodes are written
    monkeypatch.setattr(yaml_loader, "MAX_ALIASED_NODES", 6)
    monkeypatch.setattr(yaml_loader, "MAX_NODES", 7)
    parse_yaml(text, "x")
    monkeypatch.setattr(yaml_loader, "MAX_NODES", 6)
    with pytest.raises(ConfigError, match="more than 6 keys and values"):
        parse_yaml(text, "x")


def test_depth_includes_what_aliases_bring(monkeypatch):
    text = "x: &x [[a]]\ny: [[*x]]\n"  # mapping, [, [, [, [, a
    monkeypatch.setattr(yaml_loader, "MAX_DEPTH", 6)
    assert parse_yaml(text, "x")["y"] == [[[["a"]]]]
    monkeypatch.setattr(yaml_loader, "MAX_DEPTH", 5)
    with pytest.raises(ConfigError, match="line 2, column 6: not YAML: nested more than 5 deep"):
        parse_yaml(text, "x")


def test_of_a_file_that_is_too_long_only_the_beginning_is_read(tmp_path):
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(20_000_000_000)  # sparse: takes no room on the disk
    with pytest.raises(ConfigError, match=r"long.yaml: a configuration has at most 50000000"):
        read_yaml(str(path))


def test_weight_tables_of_many_classes_and_shared_settings_are_no_bombs():
    cells = ", ".join(["0.12345"] * 50)
    tables = "\n".join(f"  class_{number}: [{cells}]" for number in range(188))
    shared = "\n".join(f"g{number}: {{<<: *base, length: 5}}" for number in range(188))
    text = f"tables:\n{tables}\nbase: &base {{length: 3, pad_mode: wrap}}\n{shared}\n"
    values = parse_yaml(text, "x.yaml")
    assert values["tables"]["class_187"] == [0.12345] * 50
    assert values["g187"] == {"length": 5, "pad_mode": "wrap"}
