"""Systematic uncertainties besides scale and resolution: a YAML of templates and of rates.

::

    templates:                       # up and down variation of the shapes, by nuisance parameter
      parton_shower:
        top: {up: top_up_*.root, down: top_down_*.root}
    rates:                           # log-normal, by nuisance parameter
      diboson_rate: {diboson: 1.3}   # 30 %; such a category is not free

A category with a rate is normalised as its weights say, within that uncertainty, in place of free
normalisations; no scale factor of it is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from weaver_tt.config.yaml_loader import BoundedLoader
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.formats.file_groups import list_paths

SECTIONS = ("templates", "rates")
SIDES = ("up", "down")
SCALE = "scale"
RESOLUTION = "resolution"
RESERVED = (SCALE, RESOLUTION)


@dataclass(frozen=True)
class VariedFiles:
    """Files of a category with a nuisance parameter at +1 and -1."""

    up: tuple[str, ...]
    down: tuple[str, ...]


@dataclass(frozen=True)
class Systematics:
    """Nuisance parameter -> category -> its varied files, or the factor of its rate."""

    templates: Mapping[str, Mapping[str, VariedFiles]] = field(default_factory=dict)
    rates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def rated(self) -> set[str]:
        """Categories with a rate."""
        return {category for of_category in self.rates.values() for category in of_category}

    def rates_of(self, category: str) -> dict[str, float]:
        """Nuisance parameter -> factor of a category's rate."""
        return {name: of[category] for name, of in self.rates.items() if category in of}

    def templates_of(self, category: str) -> dict[str, VariedFiles]:
        """Nuisance parameter -> varied files of a category."""
        return {name: of[category] for name, of in self.templates.items() if category in of}


def read_systematics(path: str | None, categories: Iterable[str]) -> Systematics:
    """The content of the YAML; nothing where there is none.

    Raises:
        ConfigError: it cannot be read, or a key or value is none of those expected.
        DataError: no file matches a pattern.
    """
    if path is None:
        return Systematics()
    known = list(categories)
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), BoundedLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    document = _mapping(content, path, SECTIONS)
    templates: dict[str, dict[str, VariedFiles]] = {}
    for name, of_category in _nuisances(document, "templates", path):
        where = f"{path}: templates.{name}"
        templates[name] = {}
        for category, sides in _of_categories(of_category, known, where):
            templates[name][category] = _varied_files(sides, f"{where}.{category}")
    rates: dict[str, dict[str, float]] = {}
    for name, of_category in _nuisances(document, "rates", path):
        where = f"{path}: rates.{name}"
        rates[name] = {}
        for category, factor in _of_categories(of_category, known, where):
            rates[name][category] = _factor(factor, f"{where}.{category}")
    both = set(templates) & set(rates)
    if both:
        raise ConfigError(f"{path}: {min(both)} is in templates and in rates; it needs two names")
    return Systematics(templates, rates)


def _mapping(content: Any, where: str, known: Iterable[str] = ()) -> dict[str, Any]:
    """``content`` as a mapping, whose keys are ``known`` where these are given."""
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{where}: expected names with values, found {content!r}")
    for key in content:
        if known and key not in known:
            raise unknown_key(key, known, where)
    return content


def _nuisances(document: dict[str, Any], section: str, path: str) -> Iterable[tuple[str, Any]]:
    for name, of_category in _mapping(document.get(section, {}), f"{path}: {section}").items():
        if not name.isidentifier() or name in RESERVED:
            raise ConfigError(
                f"{path}: {section}.{name}: expected a name of letters, digits and _ other than "
                f"{' and '.join(RESERVED)}"
            )
        yield name, of_category


def _of_categories(content: Any, known: list[str], where: str) -> Iterable[tuple[str, Any]]:
    for category, value in _mapping(content, where).items():
        if category not in known:
            raise ConfigError(f"{where}: no category {category!r}; {nearest(category, known)}")
        yield category, value


def _varied_files(sides: Any, where: str) -> VariedFiles:
    paths = {}
    for side in SIDES:
        patterns = _mapping(sides, where, SIDES).get(side)
        if isinstance(patterns, str):
            patterns = [patterns]
        if not isinstance(patterns, list) or not all(isinstance(item, str) for item in patterns):
            raise ConfigError(f"{where}.{side}: expected files, found {patterns!r}")
        paths[side] = tuple(list_paths(patterns))
    return VariedFiles(paths["up"], paths["down"])


def _factor(value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 1 < value < 10:
        raise ConfigError(
            f"{where}: expected a factor above 1 and below 10, such as 1.3 for 30 %, found "
            f"{value!r}"
        )
    return float(value)
