"""Readable names, such as ``jet $p_T$ [GeV]``, on axes, in plain text and on a page.

A formula stands between dollars, as matplotlib draws it, and a unit in brackets at the end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from markupsafe import Markup, escape

NO_NAMES: Mapping[str, str] = MappingProxyType({})  # everything is called what it is

_UNIT = re.compile(r"\s*\[([^\]]*)\]$")
_FORMULA = re.compile(r"\$(.*?)\$")
_COMMAND = re.compile(r"\\([A-Za-z]+)\s*")
# commands that are neither letters nor fonts
_SIGNS = {"to": "→", "rightarrow": "→", "pm": "±", "times": "×", "infty": "∞", "ell": "ℓ"}
_ARROW = re.compile(r" *→ *")
_GROUP = re.compile(r"(?<![_^])\{([^{}]*)\}")  # braces of a font or an accent
_INDEX = re.compile(r"([_^])(?:\{([^{}]*)\}|(.))")
_TAGS = {"_": "sub", "^": "sup"}


def unit_of(text: str) -> str:
    """The unit at the end of a readable name: ``GeV`` of ``jet $p_T$ [GeV]``; perhaps none."""
    found = _UNIT.search(text)
    return found[1] if found else ""


def without_unit(text: str) -> str:
    """A readable name without the unit at its end."""
    return _UNIT.sub("", text)


def in_words(name: str, names: Mapping[str, str]) -> str:
    """What ``names`` calls it, in a sentence: without its unit and formulas."""
    return plain_text(without_unit(names.get(name, name)))


def plain_text(text: str) -> str:
    """A readable name without formulas: ``jet pT [GeV]``."""
    return _FORMULA.sub(lambda found: _INDEX.sub(_index_alone, _letters(found[1])), text)


def html_text(text: str) -> Markup:
    """A readable name for a page: ``jet p<sub>T</sub> [GeV]``; all else is escaped."""

    def in_tags(found: re.Match[str]) -> str:
        return _INDEX.sub(_index_in_tags, _letters(found[1]))

    # dollars and indices are no signs that are escaped
    return Markup(_FORMULA.sub(in_tags, str(escape(text))))


def _letters(formula: str) -> str:
    r"""A formula with Greek letters and signs for its commands; others are left out."""
    text = _GROUP.sub(r"\1", _COMMAND.sub(_letter, formula)).replace(r"\,", " ")
    # a formula has its own spaces around an arrow
    return _ARROW.sub(" → ", text)


def _letter(command: re.Match[str]) -> str:
    name = command[1]
    if name in _SIGNS:
        return _SIGNS[name]
    size = "SMALL" if name.islower() else "CAPITAL"
    # as Unicode spells it
    letter = name.upper().replace("LAMBDA", "LAMDA")
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {letter}")
    except KeyError:
        return ""


def _index_alone(found: re.Match[str]) -> str:
    return found[2] or found[3]


def _index_in_tags(found: re.Match[str]) -> str:
    tag = _TAGS[found[1]]
    return f"<{tag}>{found[2] or found[3]}</{tag}>"
