"""One-hot inputs: a line of ``vars`` that stands for one 0/1 variable for each category.

    - {one_hot: pdg_id, categories: [22, 130]}
    - {one_hot: pdg_id, categories: {electron: [11, -11], photon: 22}}

It is short for new variables (``pdg_id_is_22: pdg_id == 22``) and for inputs that are taken as they
are (``[pdg_id_is_22, null]``), which take its place before anything else reads the YAML. So they
are known by name wherever names are needed, ``preprocess.json`` among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError

KEYS = ("one_hot", "categories")
MAX_CATEGORIES = 1000  # each is an input
EXPECTED = "expected a list of different whole numbers, or NAME: number or list of numbers"


def expand_one_hot(top: Section) -> Section:
    """The whole YAML with variables in place of its one-hot lines.

    All else is left as it is, for its own reader to judge.

    Raises:
        ConfigError: a line is no one-hot line, or a variable's name is taken.
    """
    groups = top.values.get("inputs")
    if not isinstance(groups, Mapping):
        return top
    made: dict[str, str] = {}  # new variable -> expression
    expanded = dict(groups)
    for name, group in groups.items():
        if not isinstance(group, Mapping) or not isinstance(group.get("vars"), list):
            continue
        where = f"{top.at('inputs')}.{name}.vars"
        variables: list[Any] = []
        for entry in group["vars"]:
            if not isinstance(entry, Mapping):
                variables.append(entry)
                continue
            of_line = _read_line(Section.of(entry, where, KEYS))
            made |= of_line
            variables += [[variable, None] for variable in of_line]
        expanded[name] = {**group, "vars": variables}
    if not made:
        return top
    own = top.section("new_variables")
    for name in made:
        if name in own:
            raise ConfigError(
                f"{own.at(name)}: the categories of one_hot in inputs make a variable of this name "
                "too; rename it"
            )
    values = {**top.values, "inputs": expanded, "new_variables": {**own.values, **made}}
    return replace(top, values=values)


def _read_line(line: Section) -> dict[str, str]:
    """Variable -> expression for each category of a one-hot line."""
    column = line.values.get("one_hot")
    if not isinstance(column, str) or not column.isidentifier():
        raise ConfigError(
            f"{line.at('one_hot')}: expected the name of a column or new variable as expressions "
            f"spell it, found {column!r}"
        )
    expressions = {}
    for name, numbers in _read_categories(line).items():
        tests = [f"({column} == {number})" for number in numbers]
        expressions[f"{column}_is_{name}"] = " | ".join(tests)
    return expressions


def _read_categories(line: Section) -> dict[str, list[int]]:
    """The name of each category -> the numbers that belong to it."""
    where = line.at("categories")
    given = line.values.get("categories")
    categories: dict[Any, list[Any]] = {}
    if isinstance(given, Mapping):
        for name, numbers in given.items():
            categories[name] = numbers if isinstance(numbers, list) else [numbers]
    elif isinstance(given, list):
        for number in given:
            # a name has no sign
            categories.setdefault(f"{number}".replace("-", "minus_"), []).append(number)
    listed = [number for numbers in categories.values() for number in numbers]
    # true and false are whole numbers to Python
    are_numbers = all(type(number) is int for number in listed)
    has_empty = not categories or not all(categories.values())
    if has_empty or not are_numbers or len(set(listed)) < len(listed):
        raise ConfigError(f"{where}: {EXPECTED}; found {given!r}")
    if len(listed) > MAX_CATEGORIES:
        raise ConfigError(f"{where}: at most {MAX_CATEGORIES}, found {len(listed)}")
    for name in categories:
        if not isinstance(name, str) or not f"is_{name}".isidentifier():
            raise ConfigError(f"{where}: a name is made of letters, digits and _, found {name!r}")
    return categories
