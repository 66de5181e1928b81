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
        self.help = help


def flag(default: Any, text: str, *names: str, **more: Any) -> Any:
    """A dataclass field that is also a flag: default, help text, further spellings (``-i``), argparse settings.

    ``positional=True`` makes it an argument instead.
    """
    settings: dict[str, Any] = {"metadata": {"help": text, "names": names, "argparse": more}}
    if isinstance(default, list | tuple):
        return field(default_factory=lambda: type(default)(default), **settings)
    return field(default=default, **settings)


def add_flags(parser: argparse.ArgumentParser, options: type[Any]) -> None:
    """Give ``parser`` a flag for each field of the dataclass ``options``, in a group titled by its docstring."""
    group = parser.add_argument_group(
        (options.__doc__ or options.__name__).splitlines()[0].rstrip(".")
    )
    hints = get_type_hints(options)
    for item in dataclasses.fields(options):
        settings = dict(item.metadata["argparse"])
        default = item.default_factory() if item.default is dataclasses.MISSING else item.default  # type: ignore[operator]
        kind = next(
            (k for k in get_args(hints[item.name]) if k is not type(None)), hints[item.name]
        )
        if kind is bool:
            settings.setdefault("action", Switch)
        elif get_origin(hints[item.name]) is not list:
            settings.setdefault("type", kind)
        text = item.metadata["help"] + (
            f" (default: {default})" if default not in (None, "", False, []) else ""
        )
        if settings.pop("positional", False):
            group.add_argument(item.name, help=text, **settings)
            continue
        names = (*item.metadata["names"], "--" + item.name.replace("_", "-"))
        group.add_argument(*names, dest=item.name, default=default, help=text, **settings)


def read_flags(namespace: argparse.Namespace, options: type[T]) -> T:
    """The dataclass ``options`` filled from parsed arguments."""
    names = [item.name for item in dataclasses.fields(options)]  # type: ignore[arg-type]
    return options(**{name: getattr(namespace, name) for name in names})
