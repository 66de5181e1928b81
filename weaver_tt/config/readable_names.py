"""``names`` of a data YAML: what classes and variables are called in figures and tables."""

from __future__ import annotations

from collections.abc import Mapping

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.places import expressions_of_rows, names_alone, row_selections
from weaver_tt.config.schema import DataConfig
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError, nearest


def read_names(section: Section, config: DataConfig) -> Mapping[str, str]:
    """Name -> readable text, such as ``jet $p_T$ [GeV]``: a formula between dollars, then a unit.

    Raises:
        ConfigError: the ``config`` has nothing of that name, or a text is none.
    """
    if not section.values:
        return {}
    known = known_names(config)
    texts = {}
    for name in section.values:
        if name not in known:
            raise ConfigError(
                f"{section.where}: nothing is called {name!r} here; {nearest(name, known)}"
            )
        text = section.text(name)
        assert text is not None  # keys without a value are none
        if text.count("$") % 2:
            raise ConfigError(
                f"{section.at(name)}: {text!r}: a formula stands between two dollars, as in "
                "'jet $p_T$ [GeV]'"
            )
        texts[name] = " ".join(text.split())
    return texts


def known_names(config: DataConfig) -> set[str]:
    """Everything that has a name in a data YAML: classes, targets, columns, variables, groups."""
    known = set(config.inputs) | set(config.derived_outputs) | set(config.new_variables)
    if config.labels is not None:
        known |= set(config.labels.classes) | set(config.labels.expressions)
    used = [name for names in names_alone(config).values() for name in names]
    for expression in [*expressions_of_rows(config).values(), *row_selections(config).values()]:
        used += expression.names
    # and what these are made of
    return known | set(dependency_order(config, used))
