"""``discriminants`` of a data YAML: the share of signal classes among signal and background.

A list is a group of classes, and stands for their sum; a text is a discriminant. They are derived
outputs, so that predictions and exported graphs have them, of which a report also knows what they
tell apart.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from weaver_tt.config.schema import DerivedOutput, Discriminant
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression

FORM = "expected SUM / SUM of classes and groups, such as top / (top + QCD)"


def read_discriminants(section: Section, classes: Sequence[str]) -> dict[str, Discriminant]:
    """Name -> discriminant of the scores of ``classes``, in the order of the YAML.

    Raises:
        ConfigError: there are no classes, a name is no class and no group, or a discriminant is not
            a share of classes: one above the line is not below it, or none is background.
    """
    if not section.values:
        return {}
    if not classes:
        raise ConfigError(f"{section.where}: they are made of scores of classes; there are none")
    groups = _read_groups(section, classes)
    discriminants = {}
    for name, text in section.values.items():
        if name in groups:
            continue
        where = section.at(name)
        if not str(name).isidentifier():
            raise ConfigError(
                f"{where}: {name!r} cannot be the name of a column; use letters, digits and _"
            )
        discriminants[name] = _read_share(parse_expression(text, where), where, groups)
    return discriminants


def share_expressions(
    discriminants: Mapping[str, Discriminant],
    derived: Mapping[str, DerivedOutput],
    section: Section,
) -> dict[str, Expression]:
    """The same as expressions of classes, which join the ``derived`` outputs.

    Raises:
        ConfigError: a derived output has the name of one.
    """
    expressions = {}
    for name, discriminant in discriminants.items():
        if name in derived:
            raise ConfigError(f"{section.at(name)}: {name!r} is a derived output already")
        signal = " + ".join(discriminant.signal)
        every = " + ".join((*discriminant.signal, *discriminant.background))
        expressions[name] = parse_expression(f"({signal}) / ({every})", section.at(name))
    return expressions


def _read_groups(section: Section, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Name -> classes: each class alone, and the lists of the section."""
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in classes}
    for name, members in section.values.items():
        if name in classes:
            raise ConfigError(f"{section.at(name)}: {name!r} is a class; choose another name")
        if not isinstance(members, list):
            continue
        if not members:
            raise ConfigError(f"{section.at(name)}: a group has one class at least")
        for member in members:
            if member not in classes:
                raise ConfigError(
                    f"{section.at(name)}: no class {member!r}; {nearest(str(member), classes)}"
                )
        _refuse_twice(members, section.at(name))
        groups[name] = tuple(members)
    return groups


def _read_share(
    expression: Expression, where: str, groups: Mapping[str, tuple[str, ...]]
) -> Discriminant:
    """The classes above the line, which are signal, and those that are below it alone."""
    tree = expression.tree
    if not isinstance(tree, ast.BinOp) or not isinstance(tree.op, ast.Div):
        raise ConfigError(f"{where}: {expression.source}: {FORM}")
    signal = _summed(tree.left, expression, where, groups)
    every = _summed(tree.right, expression, where, groups)
    for name in signal:
        if name not in every:
            raise ConfigError(
                f"{where}: {expression.source}: {name!r} is above the line and not below it, so "
                "that the discriminant would be no share, and its denominator may be zero"
            )
    background = tuple(name for name in every if name not in signal)
    if not background:
        raise ConfigError(
            f"{where}: {expression.source}: is 1 for all rows: no class is below the line alone"
        )
    return Discriminant(signal=signal, background=background)


def _summed(
    node: ast.expr, expression: Expression, where: str, groups: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The classes that are added up in a part of an expression."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left = _summed(node.left, expression, where, groups)
        found = (*left, *_summed(node.right, expression, where, groups))
        _refuse_twice(found, where)
        return found
    if not isinstance(node, ast.Name):
        # a zero, and everything else that may be zero
        shown = ast.unparse(node)
        raise ConfigError(f"{where}: {expression.source}: {shown!r} is no sum; {FORM}")
    if node.id not in groups:
        raise ConfigError(
            f"{where}: no class or group {node.id!r}; {nearest(node.id, list(groups))}"
        )
    return groups[node.id]


def _refuse_twice(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where}: {name!r} is counted twice")
