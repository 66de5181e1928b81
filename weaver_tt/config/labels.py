"""The ``labels`` of a data YAML: one section as in Weaver, or a list of them for several kinds.

A label may be the number of each row's class. ``classes`` of its section, or else the number of the
network's outputs, says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from weaver_tt.config.derived import check_derived_outputs
from weaver_tt.config.schema import CLASS_LABEL, DataConfig, InputGroup, Labels
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression

KEYS = ("type", "value", "group", "classes")
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
    class_number: dict[str, Expression] = {}
    for section in sections:
        kind = section.choice("type", KINDS)
        value = _label_expressions(section, kind, custom_functions)
        if "classes" in section:
            class_number = _check_class_number(section, kind, value)
            value = number_classes(class_number, _class_names(section, class_number))
            earlier = classes
            what = "classes"
        elif kind == "per_object":
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
    labels = Labels(
        classes=classes,
        targets=targets,
        object_targets=object_targets,
        class_number=class_number,
    )
    _check_names(labels, top.at("labels"))
    return labels


def _check_class_number(
    section: Section, kind: str, value: dict[str, Expression]
) -> dict[str, Expression]:
    """The labels ``value`` of a section with ``classes``: one, the number of the class."""
    if kind != "custom" or len(value) != 1:
        raise ConfigError(
            f"{section.at('classes')}: only one label of type custom, the number of each row's "
            f"class, has classes; found {len(value)} of type {kind}"
        )
    return value


def _class_names(section: Section, class_number: Mapping[str, Expression]) -> list[str]:
    """The names of the classes 0, 1, ...: listed, or ``LABEL_0``, ``LABEL_1`` of their number."""
    where = section.at("classes")
    [label] = class_number
    given = section.values["classes"]
    if isinstance(given, int) and not isinstance(given, bool):
        names = default_class_names(label, given)
    else:
        names = list(section.names("classes"))
    if len(names) < 2:
        raise ConfigError(f"{where}: expected two classes at least, names or their number")
    if label in names:
        raise ConfigError(
            f"{where}: {label!r} is the number of the class; name its values otherwise"
        )
    return names


def default_class_names(label: str, number: int) -> list[str]:
    """Names of the ``number`` values of a label that is the number of a class."""
    return [f"{label}_{value}" for value in range(number)]


def number_classes(
    class_number: Mapping[str, Expression], names: Sequence[str]
) -> dict[str, Expression]:
    """The classes ``names``: the values 0, 1, ... of a label."""
    [expression] = class_number.values()
    where = f"label {expression.source!r}"
    classes = {}
    for value, name in enumerate(names):
        text = f"({expression.source}) == {value}"
        classes[name] = parse_expression(text, where, expression.functions_file)
    return classes


def with_class_number(config: DataConfig, names: Sequence[str]) -> DataConfig:
    """``config``, whose only label is a target, with that as the number of its class."""
    assert config.labels is not None
    label = config.labels.targets
    labels = Labels(classes=number_classes(label, names), class_number=label)
    found = replace(config, labels=labels)
    # the label itself is no output any more
    check_derived_outputs(found)
    return found


def may_be_class_number(labels: Labels | None) -> bool:
    """Whether the labels may be the number of a class: a single target for each row."""
    return labels is not None and len(labels.targets) == 1 and labels.kind == "custom"


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
    check_masks(labels.targets, where)


def check_masks(targets: Iterable[str], where: str) -> None:
    """Raise ConfigError where one of the real ``targets`` is the mask of none of them."""
    targets = list(targets)
    for name in targets:
        target = name.removesuffix("_mask")
        if target != name and target not in targets:
            known = [other for other in targets if not other.endswith("_mask")]
            raise ConfigError(
                f"{where}: {name!r} is the mask of a target {target!r}, which is not there; "
                f"{nearest(target, known)}"
            )
