"""What the jets of the simulation are: the categories, each with its files and its rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.expressions.row_values import columns_of, parse_sources, values_by_role
from weaver_tt.formats.file_groups import UNNAMED_GROUP, parse_groups
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.system.wording import counted


@dataclass(frozen=True)
class Category:
    """Jets of one kind: the rows of ``paths`` for which ``condition`` is not 0 (None: all)."""

    name: str
    paths: tuple[str, ...]
    condition: str | None = None


def parse_categories(
    patterns: Sequence[str], conditions: Sequence[Sequence[str]]
) -> tuple[Category, ...]:
    """Categories of ``CATEGORY:FILES``, with the conditions ``(CATEGORY, EXPRESSION)`` of some.

    Raises:
        ConfigError: a name is missing or unknown, or two categories have all rows of a file.
        DataError: no file matches a pattern.
    """
    groups = {group.name: group.paths for group in parse_groups(patterns)}
    if UNNAMED_GROUP in groups:
        path = groups[UNNAMED_GROUP][0]
        raise ConfigError(f"calibrate: --mc {path}: expected CATEGORY:FILES, such as top:{path}")
    for name in groups:
        if not name.isidentifier():
            raise ConfigError(f"calibrate: --mc {name}: expected letters, digits and _ as a name")
    of_name: dict[str, str] = {}
    for name, expression in conditions:
        if name not in groups:
            raise ConfigError(
                f"calibrate: --category {name}: no --mc {name}:FILES; {nearest(name, groups)}"
            )
        if name in of_name:
            raise ConfigError(f"calibrate: --category {name} is there twice; join both with &")
        of_name[name] = expression
    categories = []
    for name, paths in groups.items():
        categories.append(Category(name, paths, of_name.get(name)))
    for one, other in combinations(categories, 2):
        shared = set(one.paths) & set(other.paths)
        if shared and (one.condition is None or other.condition is None):
            raise ConfigError(
                f"calibrate: {min(shared)} is of {one.name} and of {other.name}: a jet would count "
                f"in both; --category {one.name} EXPRESSION says which rows are of {one.name}"
            )
    return tuple(categories)


def check_separate(categories: Sequence[Category], treename: str | None) -> None:
    """Raise where a row of a file is of two categories.

    Raises:
        DataError: one is; names the file, both categories and the number of such rows.
    """
    for path in dict.fromkeys(path for category in categories for path in category.paths):
        mine = [category for category in categories if path in category.paths]
        if len(mine) > 1:
            _check_file(path, mine, treename)


def _check_file(path: str, categories: Iterable[Category], treename: str | None) -> None:
    conditions = {category.name: str(category.condition) for category in categories}
    expressions = parse_sources(conditions)
    shared = dict.fromkeys(combinations(conditions, 2), 0)
    with open_reader(path, treename) as reader:
        needed = columns_of(expressions)
        for first, last in row_ranges(reader.clusters(reader.resolve(needed))):
            values = values_by_role(expressions, reader.read(needed, first, last))
            for one, other in shared:
                both = (values[one] != 0) & (values[other] != 0)
                shared[one, other] += int(np.count_nonzero(both))
    for (one, other), rows in shared.items():
        if rows:
            raise DataError(
                f"{path}: {counted(rows, 'row is', 'rows are')} of {one} "
                f"({conditions[one]}) and of {other} ({conditions[other]}); a jet has one category"
            )
