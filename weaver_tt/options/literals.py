"""Values of KEY VALUE flags: ``-o``, ``-p`` and ``--compiler-option``, read and checked in one way.

A value is read as Python reads it: ``64``, ``0.1``, ``(32, 64)``, ``'text'``; ``true``, ``false``
and ``none`` in any case are values too, everywhere; everything else is text. It must be of the
kind of the default that the option has in the function it goes to.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from weaver_tt.errors import ConfigError

WORDS = {"true": True, "false": False, "none": None}

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
"""Kinds of defaults that bind, in words."""

ANNOTATED = {
    "bool": (bool,),
    "int": (int,),
    "float": (float,),
    "str": (str,),
    "None": (type(None),),
    "Optional": (type(None),),
    "tuple": (tuple, list),
    "list": (tuple, list),
    "Sequence": (tuple, list),
    "dict": (dict,),
    "Mapping": (dict,),
    "Any": (object,),
    "object": (object,),
}
"""Words of an annotation -> types that it allows beside that of the default."""


def read_options(pairs: Iterable[Sequence[str]]) -> dict[str, Any]:
    """(key, value) pairs of the command line as keyword arguments; the last of a key counts."""
    return {key: read_literal(value) for key, value in pairs}


def read_literal(text: str) -> Any:
    """A value of the command line: a Python literal where it is one, else the text itself."""
    try:
        with warnings.catch_warnings():
            # text such as 'a\d' is a literal that Python warns of
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
            value = ast.literal_eval(_WordsToValues().visit(tree))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text
    # literals of Python that no option means
    if isinstance(value, complex | bytes) or value is Ellipsis:
        return text
    return value


class _WordsToValues(ast.NodeTransformer):
    """Names such as ``true`` become the values that they stand for, inside of tuples too."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """One name."""
        word = node.id.lower()
        return ast.Constant(WORDS[word]) if word in WORDS else node


def check_kinds(options: Mapping[str, Any], function: Callable[..., Any], where: str) -> None:
    """Refuse a value that is of another kind than the default that ``function`` has for it.

    Where the default is true or false, a whole number, a number or text, so must the value be; a
    whole number may stand for a number. An annotation may allow more (``float | None``). Without
    such a default (none at all, None, a tuple, ``**kwargs``) anything is taken.

    Raises:
        ConfigError: naming ``where``, the option, its value, and what is expected.
    """
    parameters = inspect.signature(function).parameters
    for name, value in options.items():
        parameter = parameters.get(name)
        if parameter is None or type(parameter.default) not in KINDS:
            continue
        allowed = _allowed_types(parameter)
        if not is_allowed(value, allowed):
            raise ConfigError(
                f"{where} {name}: expected {describe_types(allowed)}, found {value!r} "
                f"({type(value).__name__})"
            )


def is_allowed(value: Any, allowed: set[type]) -> bool:
    """Whether ``value`` has one of these types; any has where ``object`` is among them."""
    if object in allowed:
        return True
    # a bool is an int for Python, but only an option that is a switch takes one
    if isinstance(value, bool):
        return bool in allowed
    return isinstance(value, tuple(allowed))


def describe_types(allowed: set[type]) -> str:
    """Types in words: "a number or none"."""
    words = [text for kind, text in KINDS.items() if kind in allowed]
    # a whole number is a number
    if {int, float} <= allowed:
        words.remove(KINDS[int])
    if type(None) in allowed:
        words.append("none")
    return " or ".join(words)


def _allowed_types(parameter: inspect.Parameter) -> set[type]:
    """Types that a parameter with a default takes."""
    annotation = parameter.annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        annotation = annotation.__name__
    allowed = {type(parameter.default)}
    if annotation is not parameter.empty:
        for word in re.findall(r"\w+", str(annotation)):
            allowed.update(ANNOTATED.get(word, ()))
    if float in allowed:
        allowed.add(int)
    return allowed
