"""The ``labels`` of a data YAML: one section as in Weaver, or a list of them for several kinds."""

from __future__ import annotations

from collections.abc import Mapping

from weaver_tt.config.schema import CLASS_LABEL, InputGroup, Labels
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression

KEYS = ("type", "value", "group")
KINDS = ("simple", "custom", "per_object")


def read_labels(
    top: Section, inputs: Mapping[str, InputGroup], custom_functions: str | None = None
) -> Labels | None:
    """What is to be learnt, from the whole YAML ``top``; None where it has no labels.

    Raises:
        ConfigError: a key or type is unknown, a label is no expression, or sections of a list
            contradict each other.
    """
    sections = _label_sections(top)
    if not sections:
        return None
    classes: dict[str, Expression] = {}
    targets: dict[str, Expression] = {}
    object_targets: dict[str, dict[str, Expression]] = {}
    for section in sections:
        kind = section.choice("type", KINDS)
        value = _label_expressions(section, kind, custom_functions)
        if kind == "per_object":
            group = _labelled_group(section, inputs)
            earlier = object_targets.setdefault(group, {})
            what = f"labels of {group!r}"
        elif "group" in section:
            raise ConfigError(
                f"{section.at('group')}: only labels of type per_object have a group, "
                f"this is {kind}"
            )
        else:
            earlier = classes if kind == "simple" else targets
            what = f"labels of type {kind}"
        # in a single section, the order of the classes is there to see
        if earlier:
            raise ConfigError(f"{section.where}: {what} come twice; write them in one section")
        earlier.update(value)
    labels = Labels(classes=classes, targets=targets, object_targets=object_targets)
    _check_names(labels, top.at("labels"))
    return labels


def _label_sections(top: Section) -> list[Section]:
    """The sections of a list, or the only one; none where there are no labels."""
    given = top.values.get("labels")
    where = top.at("labels")
    if isinstance(given, list):
        return [Section.of(entry, f"{where}[{i}]", KEYS) for i, entry in enumerate(given)]
    section = Section.of(given, where, KEYS)
    return [section] if section.values else []


def _label_expressions(
    section: Section, kind: str, custom_functions: str | None
) -> dict[str, Expression]:
    """The labels of one section by name; those of a list of names are the columns themselves."""
    # a class is a column; new_variables can give it an expression
    if isinstance(section.values.get("value"), Mapping) and kind != "simple":
        given = section.section("value")
        value = {
            name: parse_expression(text, given.at(name), custom_functions)
            for name, text in given.values.items()
        }
    else:
        value = {
            name: parse_expression(name, section.at("value"), custom_functions)
            for name in section.names("value")
        }
    if not value:
        raise ConfigError(f"{section.at('value')}: expected at least one label")
    return value


def _labelled_group(section: Section, inputs: Mapping[str, InputGroup]) -> str:
    """The input group whose objects are labelled."""
    groups = [
        group.name for group in inputs.values() if group.length is not None and not group.is_mask
    ]
    name = section.text("group")
    if name is None and len(groups) == 1:
        return groups[0]
    if name not in groups:
        found = "it is missing" if name is None else f"found {name!r}; {nearest(name, groups)}"
        raise ConfigError(
            f"{section.at('group')}: expected one of the input groups with a length "
            f"({', '.join(groups) or 'none'}); {found}"
        )
    return name


def _check_names(labels: Labels, where: str) -> None:
    """Raise ConfigError where two labels would have the same name in a batch or in a file."""
    names: list[str] = []
    for part in labels.parts.values():
        names += part
    # the number of the class has a name of its own in a batch
    if labels.classes:
        names.append(CLASS_LABEL)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where}: {name!r} names two labels; give each a name of its own")
