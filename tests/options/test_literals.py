"""KEY VALUE flags: one parser, and values of the kind that the option's default has."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import ConfigError
from weaver_tt.options.literals import check_kinds, read_literal, read_options

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_every_literal_is_read_as_python_writes_it(value):
    found = read_literal(repr(value))
    assert found == value
    assert type(found) is type(value)


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    read_literal(text)


def with_case(word):
    """``word`` in any mixture of cases."""
    upper = st.lists(st.booleans(), min_size=len(word), max_size=len(word))
    return upper.map(
        lambda flags: "".join(
            letter.upper() if flag else letter for letter, flag in zip(word, flags, strict=True)
        )
    )


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("false", False), ("none", None)], ids=str
)
def test_true_false_and_none_are_values_in_any_case_and_inside_of_tuples(word, value):
    @given(with_case(word))
    def check(text):
        assert read_literal(text) is value
        assert read_literal(f" ('a', [{text}])") == ("a", [value])
        assert read_literal(f"'{text}'") == text

    check()


@pytest.mark.parametrize(
    "text", ["relu", "mod.fc.*", "1 2", "f(1)", "", " ", "nan", "1+2j", "...", "b'1'", "{[]: 1}"]
)
def test_everything_else_is_text(text):
    assert read_literal(text) == text


def test_the_last_of_a_key_counts():
    pairs = [("hidden", "64"), ("name", "x"), ("hidden", "32,32")]
    assert read_options(pairs) == {"hidden": (32, 32), "name": "x"}


def function(
    first,
    flag=False,
    number=0.5,
    whole=3,
    text="mean",
    nothing=None,
    several=(1, 2),
    *,
    either: float | None = 0.1,
    torch_like: float = 0,
    choice: "str | tuple[float, ...]" = "a",
    whatever: Any = 1,
    **more,
):
    """Something with options of each kind."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first", "anything"),
        ("flag", True),
        ("number", 0.1),
        ("number", 1),  # a whole number stands for a number
        ("whole", -4),
        ("text", "sum"),
        ("nothing", "anything"),
        ("nothing", 3),
        ("several", 64),
        ("several", "anything"),
        ("either", None),
        ("either", 1),
        ("torch_like", 1e-4),  # annotated as a number
        ("choice", (1.0, 2.0)),
        ("whatever", "anything"),
        ("unknown", "anything"),  # **kwargs
    ],
)
def test_values_of_the_default_s_kind_are_taken(name, value):
    check_kinds({name: value}, function, "-o")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("flag", 1, "true or false, found 1 "),
        ("flag", "yes", "true or false, found 'yes'"),
        ("flag", None, "true or false, found None"),
        ("number", True, "a number, found True"),
        ("number", "1e-4x", "a number, found '1e-4x'"),
        ("number", None, "a number, found None"),
        ("whole", 2.5, "a whole number, found 2.5"),
        ("whole", True, "a whole number, found True"),
        ("text", 3, "text, found 3"),
        ("either", "a", "a number or none, found 'a'"),
        ("torch_like", False, "a number, found False"),
    ],
)
def test_another_kind_is_told_with_option_value_and_what_was_expected(name, value, expected):
    with pytest.raises(ConfigError, match=rf"^-o {name}: expected {expected}"):
        check_kinds({name: value}, function, "-o")


@given(SCALARS | st.text() | st.tuples(st.integers()))
def test_where_the_default_is_a_bool_only_a_bool_is_taken(value):
    if isinstance(value, bool):
        check_kinds({"flag": value}, function, "-o")
    else:
        with pytest.raises(ConfigError, match="expected true or false"):
            check_kinds({"flag": value}, function, "-o")
