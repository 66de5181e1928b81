"""YAML files and their sections: errors with file, line and key."""

import pytest

from weaver_tt.config.sections import (
    Section,
    dump_yaml,
    parse_yaml,
    read_number,
    read_yaml,
    write_yaml,
)
from weaver_tt.errors import ConfigError


def test_a_missing_file_is_told_with_those_beside_it(tmp_path):
    (tmp_path / "tagging.yaml").write_text("a: 1\n")
    with pytest.raises(
        ConfigError, match=r"taging.yaml: no such file; did you mean .*tagging.yaml"
    ):
        read_yaml(str(tmp_path / "taging.yaml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "x.yaml, line 3, column 2: not YAML"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml, line 3, column 1: not YAML: key 'a' is written twice"),
        (
            "a: !!python/object/apply:os.system ['true']\n",
            "x.yaml, line 1, column 4: not YAML: could not determine a constructor",
        ),
        ("a: \x00\n", "x.yaml: not YAML"),
    ],
)
def test_what_is_not_yaml_is_told_with_file_and_line(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, "x.yaml")


def test_merged_mappings_are_no_double_keys():
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", "x")["b"] == {"x": 3, "y": 2}


def test_what_is_written_reads_back_and_leaves_no_other_file(tmp_path):
    values = {"z": 1, "a": [1.5, None, "b?"], "m": {"low": -1e-5, "text": "pt > 2 & x"}}
    path = tmp_path / "new" / "x.yaml"
    write_yaml(values, str(path), "made by a test")
    assert path.read_text() == "# made by a test\n" + dump_yaml(values)
    assert read_yaml(str(path))[0] == values
    assert list(read_yaml(str(path))[0]) == ["z", "a", "m"]
    assert [file.name for file in path.parent.iterdir()] == ["x.yaml"]


def test_sections_know_their_place_and_their_keys():
    top = Section.of(
        {"inputs": {"jets": {"length": 3}}, "nothing": None}, "x.yaml", ("inputs", "nothing")
    )
    jets = top.section("inputs").section("jets", ("length", "vars"))
    assert jets.at("length") == "x.yaml: inputs.jets.length"
    assert "nothing" not in top
    with pytest.raises(
        ConfigError, match=r"x.yaml: inputs.jets: unknown key 'length'; did you mean 'lengths'"
    ):
        top.section("inputs").section("jets", ("lengths",))
    for wrong in ([1], "text", 3):
        with pytest.raises(ConfigError, match="expected keys with values"):
            Section.of(wrong, "x.yaml")
    with pytest.raises(ConfigError, match="expected names as keys, found 5"):
        Section.of({5: 1}, "x.yaml")


def test_values_of_the_wrong_kind_are_named_with_their_key():
    section = Section.of(
        {"text": 5, "names": ["a", "b", "a"], "list": [1], "mode": "wrpa", "number": "many"},
        "x.yaml",
    )
    for call, message in (
        (lambda: section.text("text"), "x.yaml: text: expected text, found 5"),
        (lambda: section.names("names"), "x.yaml: names: 'a' is listed 2 times"),
        (lambda: section.names("list"), "x.yaml: list: expected a list of names"),
        (
            lambda: section.choice("mode", ("constant", "wrap")),
            "expected constant or wrap; found 'wrpa'; did you mean 'wrap'",
        ),
        (
            lambda: section.choice("none", ("constant", "wrap")),
            "expected constant or wrap; it is missing",
        ),
        (lambda: section.number("number", 0), "x.yaml: number: expected a number, found 'many'"),
    ):
        with pytest.raises(ConfigError, match=message):
            call()
    assert section.text("absent") is None
    assert section.names("absent") == ()
    assert section.choice("absent", ("a", "b"), "b") == "b"


def test_numbers_are_numbers_also_where_yaml_sees_text():
    assert read_number(parse_yaml("1e-3", "x"), "x") == 0.001
    for wrong in (True, None, [], float("nan"), ".inf", 10**400, "9" * 400):
        with pytest.raises(ConfigError, match="expected a number"):
            read_number(wrong, "x")
