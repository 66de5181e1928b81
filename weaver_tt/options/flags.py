"""Dataclass fields that are flags of the command line."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import field
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Switch(argparse.BooleanOptionalAction):
    """``--name`` and ``--no-name``; the help text stays as it was given."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        default: bool = False,
        help: str | None = None,
    ) -> None:
        super().__init__(option_strings, dest, default)
        # argparse adds the default to the text, in its own words
        self.help = help


def flag(default: Any, text: str, *names: str, **more: Any) -> Any:
    """A dataclass field that is also a flag, with its default and its help text.

    ``names`` are further spellings (``-i``), ``more`` is for argparse; ``positional=True`` makes it
    an argument instead.
    """
    settings: dict[str, Any] = {"metadata": {"help": text, "names": names, "argparse": more}}
    if isinstance(default, list | tuple):
        # each object gets a list of its own
        return field(default_factory=lambda: type(default)(default), **settings)
    return field(default=default, **settings)


def add_flags(parser: argparse.ArgumentParser, options: type[Any]) -> None:
    """Give ``parser`` a flag for each field of ``options``, in a group titled by its docstring."""
    summary = (options.__doc__ or options.__name__).splitlines()[0]
    group = parser.add_argument_group(summary.rstrip("."))
    hints = get_type_hints(options)
    for item in dataclasses.fields(options):
        settings = dict(item.metadata["argparse"])
        hint = hints[item.name]
        kind = value_type(hint)
        if kind is bool:
            settings.setdefault("action", Switch)
        elif get_origin(hint) is not list:
            settings.setdefault("type", kind)
        text = help_text(item)
        if settings.pop("positional", False):
            group.add_argument(item.name, help=text, **settings)
        else:
            default = default_of(item)
            names = spellings(item)
            group.add_argument(*names, dest=item.name, default=default, help=text, **settings)


def value_type(hint: Any) -> Any:
    """The type of a flag's value: ``int`` of ``int | None``, the hint itself where it is plain."""
    for kind in get_args(hint):
        if kind is not type(None):
            return kind
    return hint


def default_of(item: dataclasses.Field[Any]) -> Any:
    """The default of a field."""
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return item.default


def help_text(item: dataclasses.Field[Any]) -> str:
    """The help of a field's flag, with the default where it says something."""
    text = item.metadata["help"]
    default = default_of(item)
    if default in (None, "", False, []):
        return text
    if default is True:
        default = "on"
    return f"{text} (default: {default})"


def spellings(item: dataclasses.Field[Any]) -> tuple[str, ...]:
    """All spellings of a field's flag, without those that switch it off."""
    return (*item.metadata["names"], "--" + item.name.replace("_", "-"))


def read_flags(namespace: argparse.Namespace, options: type[T]) -> T:
    """The dataclass ``options`` filled from parsed arguments."""
    names = [item.name for item in dataclasses.fields(options)]  # type: ignore[arg-type]
    return options(**{name: getattr(namespace, name) for name in names})
