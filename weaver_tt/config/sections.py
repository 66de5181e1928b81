"""A YAML file and its sections: mappings that know where they stand, so that every complaint names file and key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.system.atomic_files import write_text


class _Loader(yaml.SafeLoader):
    """YAML without tags that run code; a key written twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag != "tag:yaml.org,2002:merge" and isinstance(key_node, yaml.ScalarNode):
                key = self.construct_object(key_node)
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} is written twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: str) -> tuple[Any, str]:
    """The content of a YAML file and its text.

    :raises ConfigError: no such file (nearest names are told), not readable, or not YAML (file and line are told).
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        folder = Path(path).parent
        beside = (
            [
                str(folder / other.name)
                for other in folder.iterdir()
                if other.suffix in (".yaml", ".yml")
            ]
            if folder.is_dir()
            else []
        )
        raise ConfigError(f"{path}: no such file; {nearest(path, beside)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse_yaml(text, path), text


def parse_yaml(text: str, source: str) -> Any:
    """YAML text -> its content."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"{source}{line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {error}") from None


def write_yaml(values: Mapping[str, Any], path: str, comment: str) -> None:
    """Write a mapping as YAML, whole or not at all, below a line of comment; OutputError when it cannot be written."""
    write_text(path, f"# {comment}\n{dump_yaml(values)}")


def dump_yaml(values: Mapping[str, Any]) -> str:
    """A mapping as YAML text, in its order, innermost lists and mappings on one line."""
    return yaml.safe_dump(
        dict(values), sort_keys=False, default_flow_style=None, width=150, allow_unicode=True
    )


@dataclass(frozen=True)
class Section:
    """A mapping of the YAML: its ``values``, without those that are null, and where it stands (``where``: file and key)."""

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, values: Any, where: str, known: Iterable[str] | None = None) -> Section:
        """Check that it is a mapping with keys among ``known`` (None: any names)."""
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where}: expected keys with values, found {values!r}")
        names = None if known is None else tuple(known)
        for key in values:
            if not isinstance(key, str):
                raise ConfigError(
                    f"{where}: expected names as keys, found {key!r} ({type(key).__name__})"
                )
            if names is not None and key not in names:
                raise unknown_key(key, names, where)
        return cls({key: value for key, value in values.items() if value is not None}, where)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: str) -> str:
        """Where the value of ``key`` stands."""
        return f"{self.where}: {key}" if ": " not in self.where else f"{self.where}.{key}"

    def section(self, key: str, known: Iterable[str] | None = None) -> Section:
        """The mapping at ``key``; empty where it is absent."""
        return Section.of(self.values.get(key), self.at(key), known)

    def text(self, key: str) -> str | None:
        """The text at ``key``, or None."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ConfigError(f"{self.at(key)}: expected text, found {value!r}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of ``choices``; ``default`` where it is absent."""
        value = self.values.get(key, default)
        if isinstance(value, str) and value.lower() in choices:
            return value.lower()
        found = (
            "it is missing" if value is None else f"found {value!r}; {nearest(str(value), choices)}"
        )
        raise ConfigError(f"{self.at(key)}: expected {' or '.join(choices)}; {found}")

    def number(self, key: str, default: float) -> float:
        """The number at ``key``."""
        return read_number(self.values.get(key, default), self.at(key))

    def names(self, key: str) -> tuple[str, ...]:
        """The list of names at ``key``, each once; empty where it is absent."""
        value = self.values.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(
            isinstance(name, str) and name.strip() for name in listed
        ):
            raise ConfigError(f"{self.at(key)}: expected a list of names, found {value!r}")
        for name in listed:
            if listed.count(name) > 1:
                raise ConfigError(f"{self.at(key)}: {name!r} is listed {listed.count(name)} times")
        return tuple(listed)


def read_number(value: Any, where: str) -> float:
    """A finite number, also where YAML takes it for text (``1e-3``).

    :raises ConfigError: it is something else.
    """
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ConfigError(f"{where}: expected a number, found {value!r}")
    return found
