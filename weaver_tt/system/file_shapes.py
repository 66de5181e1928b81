"""What a file of ours holds, as one description, and what is wrong with a file that differs.

A file that was cut short, edited or made by somebody else is met with one message that names the
place, not with whatever the code runs into later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Value:
    """A value of one of ``types``; numbers from ``least`` to ``most``; text of ``choices``."""

    types: tuple[type[Any], ...]
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of entries of one shape, of ``length`` entries where that is known."""

    entry: Shape
    length: int | None = None


@dataclass(frozen=True, slots=True)
class NamesTo:
    """A mapping of any names to values of one shape."""

    entry: Shape


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A value of one of several shapes."""

    shapes: tuple[Shape, ...]


# a mapping has these keys, those that end in ? not always, and maybe further ones
Shape = Value | ListOf | NamesTo | AnyOf | Mapping[str, Any]

TEXT = Value((str,))
WHOLE = Value((int,))
COUNT = Value((int,), least=0)
NUMBER = Value((int, float))
ANYTHING = Value((object,))


def shape_problem(value: Any, shape: Shape, place: str = "") -> str | None:
    """What is wrong with ``value``, with its place; None where it has the ``shape``."""
    match shape:
        case Value():
            return _value_problem(value, shape, place)
        case AnyOf(shapes=shapes):
            problems = [shape_problem(value, possible, place) for possible in shapes]
            return None if None in problems else problems[0]
        case ListOf(entry=entry, length=length):
            if not isinstance(value, Sequence) or isinstance(value, str):
                return _expected("a list", value, place)
            if length is not None and len(value) != length:
                return _expected(f"a list of {length}", value, place)
            parts = [(f"{place}[{number}]", part, entry) for number, part in enumerate(value)]
        case NamesTo(entry=entry):
            if not isinstance(value, Mapping):
                return _expected("names with values", value, place)
            parts = [(_inside(place, key), part, entry) for key, part in value.items()]
        case _:
            if not isinstance(value, Mapping):
                return _expected("keys with values", value, place)
            parts = []
            for key, inner in shape.items():
                name = key.removesuffix("?")
                if name in value:
                    parts.append((_inside(place, name), value[name], inner))
                elif not key.endswith("?"):
                    return f"there is no {_inside(place, name)}"
    for where, part, inner in parts:
        problem = shape_problem(part, inner, where)
        if problem is not None:
            return problem
    return None


def _value_problem(value: Any, shape: Value, place: str) -> str | None:
    # true and false are whole numbers to Python
    is_mistaken = isinstance(value, bool) and not {bool, object} & set(shape.types)
    if is_mistaken or not isinstance(value, shape.types):
        return _expected(" or ".join(kind.__name__ for kind in shape.types), value, place)
    if shape.choices and value not in shape.choices:
        return _expected(" or ".join(shape.choices), value, place)
    # NaN is neither
    if shape.least is not None and not value >= shape.least:
        return _expected(f"at least {shape.least:g}", value, place)
    if shape.most is not None and not value <= shape.most:
        return _expected(f"at most {shape.most:g}", value, place)
    return None


def _expected(what: str, value: Any, place: str) -> str:
    shown = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[:MAX_SHOWN]}…"
    return f"{place or 'the content'}: expected {what}, found {shown}"


def _inside(place: str, key: Any) -> str:
    name = str(key)[:MAX_SHOWN]
    return f"{place}.{name}" if place else name
