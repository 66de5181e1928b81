"""Options of a run from Python: keyword arguments named as the flags of the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.options.literals import describe_types, is_allowed, read_literal
from weaver_tt.options.train import RunOptions


def options_from_keywords(keywords: Mapping[str, Any]) -> RunOptions:
    """The options of ``train.py`` with these set, each named as its flag: ``num_epochs=5``.

    A flag that takes several values takes a list, or one value alone; one of KEY VALUE pairs takes
    a mapping (``network_option={"hidden": 64}``). What is not given has the flag's default.

    Raises:
        ConfigError: there is no such flag, or its value is of another kind.
    """
    return with_keywords(RunOptions(), keywords)


def with_keywords(options: RunOptions, keywords: Mapping[str, Any]) -> RunOptions:
    """``options`` of a run with these set; see :func:`options_from_keywords`.

    Raises:
        ConfigError: there is no such flag, or its value is of another kind.
    """
    parts = {}
    for part in dataclasses.fields(RunOptions):
        parts[part.name] = dataclasses.replace(getattr(options, part.name))
    known = option_fields()
    for name, value in keywords.items():
        if name not in known:
            raise unknown_key(name, known, "options")
        option = known[name]
        value = _read_value(name, value, option.hint, option.field.metadata["argparse"])
        setattr(parts[option.part], name, value)
    return RunOptions(**parts)


@dataclass(frozen=True)
class OptionField:
    """An option of a run: the part that it stands in, its field, and the type of its value."""

    part: str
    field: dataclasses.Field[Any]
    hint: Any


def option_fields() -> dict[str, OptionField]:
    """All options of a run, by name: no two parts have one of the same name, as flags have none."""
    found = {}
    options = RunOptions()
    for part in dataclasses.fields(options):
        values = getattr(options, part.name)
        hints = get_type_hints(type(values))
        for field in dataclasses.fields(values):
            found[field.name] = OptionField(part.name, field, hints[field.name])
    return found


def _read_value(name: str, value: Any, hint: Any, settings: Mapping[str, Any]) -> Any:
    """A value as argparse would have made it."""
    if get_origin(hint) is list:
        if settings.get("nargs") == 2:
            return _read_pairs(name, value)
        return _read_list(name, value)
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = next(kind for kind in kinds if kind is not type(None))
    if kind is str and isinstance(value, Path):
        value = str(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not is_allowed(value, {kind}):
        raise ConfigError(f"option {name}: expected {describe_types({kind})}, found {value!r}")
    choices = settings.get("choices")
    if choices is not None and value not in choices:
        raise ConfigError(f"option {name}: {value!r}; {nearest(str(value), choices)}")
    return value


def _read_list(name: str, value: Any) -> list[str]:
    """Values of a flag that takes several; one alone need not be a list."""
    entries = [value] if isinstance(value, str | Path) else value
    problem = f"option {name}: expected a list of text or paths, found {value!r}"
    if not isinstance(entries, list | tuple):
        raise ConfigError(problem)
    if not all(isinstance(entry, str | Path) for entry in entries):
        raise ConfigError(problem)
    return [str(entry) for entry in entries]


def _read_pairs(name: str, value: Any) -> list[list[str]]:
    """KEY VALUE pairs as the command line has them, where values are Python literals."""
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"option {name}: expected a mapping such as {{'key': 1}}, found {value!r}"
        )
    pairs = []
    for key, entry in value.items():
        text = repr(entry)
        # what cannot be written as text, such as an array, would come back as something else;
        # compared as text, because arrays are compared element by element
        if repr(read_literal(text)) != text:
            raise ConfigError(
                f"option {name}: {key}: expected numbers, text, True, False, None, or lists of "
                f"them, found {entry!r}"
            )
        pairs.append([str(key), text])
    return pairs
