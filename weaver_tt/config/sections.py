"""A YAML file and its sections: mappings that know where they stand.

So every message names file and key.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from weaver_tt.config.yaml_loader import MAX_CHARACTERS, BoundedLoader
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.missing_files import no_such_file


def read_yaml(path: str) -> tuple[Any, str]:
    """The content of a YAML file and its text.

    Raises:
        ConfigError: no such file (names the nearest), not readable, or not YAML (names the line).
    """
    try:
        with open(path, encoding="utf-8") as file:
            # of a larger file no more than shows that it is one
            text = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError:
        raise ConfigError(no_such_file(path, ".yaml", ".yml")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse_yaml(text, path), text


def parse_yaml(text: str, source: str) -> Any:
    """YAML text -> its content; ``source`` stands for the file in messages.

    Raises:
        ConfigError: it is not YAML, or larger than any configuration (see
            :mod:`weaver_tt.config.yaml_loader`); names line and column.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{source}: a configuration has at most {MAX_CHARACTERS} characters")
    try:
        return yaml.load(text, BoundedLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        # counted from 0 by PyYAML, from 1 by editors
        place = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigError(f"{source}{place}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        # not its own errors: of escapes such as "\\UFFFFFFFF", which are no characters
        raise ConfigError(f"{source}: not YAML: {error}") from None


def write_yaml(values: Mapping[str, Any], path: str, comment: str) -> None:
    """Write a mapping as YAML, whole or not at all, below a line of comment.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(path, f"# {comment}\n{dump_yaml(values)}")


def dump_yaml(values: Mapping[str, Any]) -> str:
    """A mapping as YAML text, in its order."""
    # default_flow_style=None: only the innermost lists and mappings on one line
    return yaml.safe_dump(
        dict(values), sort_keys=False, default_flow_style=None, width=150, allow_unicode=True
    )


@dataclass(frozen=True)
class Section:
    """A mapping of the YAML.

    ``values`` are those that are not null; ``where`` is the file and key where it stands.
    """

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, values: Any, where: str, known: Iterable[str] | None = None) -> Section:
        """A mapping, or null for an empty one, with keys among ``known`` (None: any names).

        Raises:
            ConfigError: it is no mapping, or a key is unknown (names the nearest).
        """
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
        # a key without a value says nothing
        given = {key: value for key, value in values.items() if value is not None}
        return cls(given, where)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: str) -> str:
        """Where the value of ``key`` stands: ``data.yaml: inputs``, ``data.yaml: inputs.jets``."""
        separator = "." if ": " in self.where else ": "
        return f"{self.where}{separator}{key}"

    def section(self, key: str, known: Iterable[str] | None = None) -> Section:
        """The mapping at ``key``, with keys among ``known``; empty where it is absent."""
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
        found = "it is missing"
        if value is not None:
            found = f"found {value!r}; {nearest(str(value), choices)}"
        raise ConfigError(f"{self.at(key)}: expected {' or '.join(choices)}; {found}")

    def number(self, key: str, default: float) -> float:
        """The number at ``key``."""
        return read_number(self.values.get(key, default), self.at(key))

    def names(self, key: str) -> tuple[str, ...]:
        """The list of names at ``key``, each once; empty where it is absent."""
        value = self.values.get(key, [])
        # one name need not be in a list
        listed = [value] if isinstance(value, str) else value
        is_list = isinstance(listed, list)
        if not is_list or not all(isinstance(name, str) and name.strip() for name in listed):
            raise ConfigError(f"{self.at(key)}: expected a list of names, found {value!r}")
        refuse_repeated(listed, self.at(key))
        return tuple(listed)

    def whole_number(self, key: str, least: int, most: int, instead: str = "") -> int:
        """The whole number at ``key``; ``instead`` says what else may be written there.

        Raises:
            ConfigError: it is something else, or not from ``least`` to ``most``.
        """
        value = self.values.get(key)
        # true and false are whole numbers to Python
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ConfigError(
            f"{self.at(key)}: expected a whole number from {least} to {most}{instead}, "
            f"found {value!r}"
        )


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Raise ConfigError for a name that is listed more than once."""
    for name, times in Counter(names).items():
        if times > 1:
            raise ConfigError(f"{where}: {name!r} is listed {times} times")


def read_number(value: Any, where: str) -> float:
    """A finite number.

    Raises:
        ConfigError: it is something else.
    """
    # true and false are numbers to Python; YAML 1.1 takes 1e-3 for text
    if isinstance(value, bool):
        found = math.nan
    else:
        try:
            found = float(value)
        except (TypeError, ValueError, OverflowError):
            # OverflowError: a whole number that no float can hold
            found = math.nan
    if not math.isfinite(found):
        raise ConfigError(f"{where}: expected a number, found {value!r}")
    return found
