"""Expressions of a data YAML: parsed to a tree, checked against an allow-list, evaluated on a table."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Expression:
    """A checked expression. ``tree`` says what it means; how to compute it is another matter."""

    source: str
    tree: ast.expr
    names: frozenset[str]  # the columns it reads
