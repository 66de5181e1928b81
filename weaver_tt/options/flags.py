"""Dataclass fields that are flags of the command line."""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.log import is_terminal, terminal_width, wrap_lines
from weaver_tt.system.terminal import command_text, fill_lines

T = TypeVar("T")


class HelpFormatter(argparse.HelpFormatter):
    """Wraps all text but lists of lines, such as that of all commands.

    A usage is broken between flags, each of which stays with its value, and so are commands, which
    are there to be copied.
    """

    def _format_usage(self, usage: str | None, *arguments: Any) -> str:
        text = super()._format_usage(usage, *arguments)
        # argparse breaks those of its own making, and not those that are given
        if usage is None:
            return text
        parts = re.split(r" (?=[-\[])", text.strip())
        return "\n".join(fill_lines(parts, self._width, 4)) + "\n\n"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n  " in text:
            return "\n".join(self._fill_command(line) for line in text.split("\n"))
        return super()._fill_text(text, width, indent)

    def _fill_command(self, line: str) -> str:
        """A command in lines that a shell reads as one; any other line as it is."""
        if len(line) <= self._width or not line.startswith("  weaver-tt "):
            return line
        return command_text(shlex.split(line), self._width)


class FlagParser(argparse.ArgumentParser):
    """Takes flags by their full names alone, and says which one was probably meant.

    An abbreviation would mean another flag, or none, as soon as a flag is added.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        """Exit with the usage and ``message``, whose words stay whole on a terminal."""
        text = f"{self.prog}: error: {message}\n"
        if is_terminal():
            text = wrap_lines(text, terminal_width(), "  ")
        self.print_usage(sys.stderr)
        self.exit(2, text)

    def parse_flags(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """The values in ``arguments`` (default: ``sys.argv``); exits where there is no such flag.

        argparse itself would not name the nearest.
        """
        namespace, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(self._explain_unknown(unknown))
        return namespace

    def _explain_unknown(self, unknown: Sequence[str]) -> str:
        """What is wrong with arguments that no flag takes: the first flag among them."""
        flags = [argument for argument in unknown if argument.startswith("-")]
        if not flags:
            return f"{' '.join(unknown)}: no flag takes this value"
        name = flags[0].split("=")[0]
        if not name.startswith("--"):
            return f"{name}: no such flag (see --help)"
        known = self._long_flags()
        longer = [flag for flag in known if flag.startswith(name)]
        if longer:
            return f"{name}: flags are not abbreviated; write {' or '.join(longer)}"
        return f"{name}: no such flag; {nearest(name, known)}"

    def _long_flags(self) -> list[str]:
        """All spellings that begin with two dashes."""
        names: list[str] = []
        for action in self._actions:
            names += [name for name in action.option_strings if name.startswith("--")]
        return names


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


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of a flag's number, or of each of its numbers; None is no bound.

    Numbers are finite, whatever the bounds.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """In words, to follow "a number"; empty without bounds."""
        bounds = {
            "of at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        words = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
        return " and ".join(words)


# ranges that several flags have
SHARE = Bounds(above=0, at_most=1)
COUNT = Bounds(at_least=1)
POSITIVE = Bounds(above=0)
NOT_NEGATIVE = Bounds(at_least=0)
FINITE = Bounds()
# what all generators of random numbers take, with the offsets of ranks and members
SEED = Bounds(at_least=0, at_most=2**62)


def flag(
    default: Any,
    text: str,
    *names: str,
    bounds: Bounds | None = None,
    daily: bool | None = None,
    needed: bool = False,
    **more: Any,
) -> Any:
    """A dataclass field that is also a flag, with its default and its help text.

    ``names`` are further spellings (``-i``), ``bounds`` is the range of a number, ``more`` is for
    argparse; ``positional=True`` makes it an argument instead. ``daily`` flags come first in the
    help: unless it is said, those with a short spelling, arguments and flags that are ``needed``.
    A command refuses in its own words that such a one is missing.
    """
    if daily is None:
        has_short = any(not name.startswith("--") for name in names)
        daily = has_short or needed or bool(more.get("positional"))
    metadata = {
        "help": text,
        "names": names,
        "bounds": bounds,
        "daily": daily,
        "needed": needed or bool(more.get("required")),
        "argparse": more,
    }
    settings: dict[str, Any] = {"metadata": metadata}
    if isinstance(default, list | tuple):
        # each object gets a list of its own
        return field(default_factory=lambda: type(default)(default), **settings)
    return field(default=default, **settings)


def add_flags(parser: argparse.ArgumentParser, *parts: type[Any]) -> None:
    """Give ``parser`` a flag for each field of dataclasses: the daily ones, then part by part.

    Each part is a group titled by its docstring.
    """
    daily = parser.add_argument_group("Daily flags")
    for options in parts:
        summary = (options.__doc__ or options.__name__).splitlines()[0]
        # what a command is for stands above all of its flags
        title = "More flags" if options.__doc__ == parser.description else summary.rstrip(".")
        _add_part(parser.add_argument_group(title), daily, options)


def usage_of(*parts: type[Any]) -> str:
    """What a command cannot do without, in a line: all of its flags would fill the screen."""
    words = ["%(prog)s"]
    arguments = []
    for options in parts:
        for item in dataclasses.fields(options):
            settings = item.metadata["argparse"]
            value = str(settings.get("metavar", item.name.upper()))
            if "choices" in settings:
                value = f"{{{','.join(settings['choices'])}}}"
            if settings.get("nargs") in ("+", "*"):
                value += " ..."
            if settings.get("positional"):
                optional = settings.get("nargs") in ("?", "*")
                arguments.append(f"[{value}]" if optional else value)
            elif item.metadata["needed"]:
                words.append(f"{spellings(item)[0]} {value}")
    return " ".join([*words, *arguments, "[more flags]"])


def _add_part(
    rest: argparse._ArgumentGroup, daily: argparse._ArgumentGroup, options: type[Any]
) -> None:
    """Add the fields of ``options``: to the ``daily`` flags those that are, others to ``rest``."""
    hints = get_type_hints(options)
    for item in dataclasses.fields(options):
        group = daily if item.metadata["daily"] else rest
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
    if item.metadata["needed"]:
        text = f"{text} (required)"
    default = default_of(item)
    if default in (None, "", False, []):
        return text
    if default is True:
        default = "on"
    # argparse formats what it shows with %, hence %%
    shown = str(default).replace("%", "%%")
    return f"{text} (default: {shown})"


def spellings(item: dataclasses.Field[Any]) -> tuple[str, ...]:
    """All spellings of a field's flag, without those that switch it off."""
    return (*item.metadata["names"], "--" + item.name.replace("_", "-"))


def check_bounds(options: Any) -> None:
    """Check the numbers of a dataclass of flags.

    Raises:
        ConfigError: one is out of its range.
    """
    for item in dataclasses.fields(options):
        bounds = item.metadata["bounds"]
        value = getattr(options, item.name)
        if bounds is None or value is None:
            continue
        name = spellings(item)[-1]
        for number in value if isinstance(value, list) else [value]:
            if number not in bounds:
                kind = "a number" if math.isfinite(number) else "a finite number"
                # whole numbers in full, others as they were written
                shown = f"{number:g}" if isinstance(number, float) else str(number)
                raise ConfigError(f"{name} {shown}: expected {kind} {bounds}".rstrip())


def refuse_flags(options: Any, names: Collection[str], command: str, what: str) -> None:
    """Refuse flags that say nothing of ``what`` a command is to do.

    Raises:
        ConfigError: one of the fields ``names`` of ``options`` is given.
    """
    for item in dataclasses.fields(options):
        if item.name in names and getattr(options, item.name) != default_of(item):
            flag_name = spellings(item)[-1]
            raise ConfigError(f"{command}: {flag_name}: {what}, of which this flag says nothing")


def read_flags(namespace: argparse.Namespace, options: type[T]) -> T:
    """The dataclass ``options`` filled from parsed arguments."""
    names = [item.name for item in dataclasses.fields(options)]  # type: ignore[arg-type]
    return options(**{name: getattr(namespace, name) for name in names})


def words_of(options: Any) -> list[str]:
    """A dataclass of flags as a command line says it: what differs from the defaults.

    Arguments without a flag are left out.
    """
    words = []
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        settings = item.metadata["argparse"]
        if value == default_of(item) or settings.get("positional"):
            continue
        name = spellings(item)[0]
        if isinstance(value, bool):
            long_name = spellings(item)[-1]
            words.append(name if value else long_name.replace("--", "--no-", 1))
        elif settings.get("action") == "append":
            for entry in value:
                words += [name, *map(str, entry if isinstance(entry, list) else [entry])]
        elif isinstance(value, list):
            words += [name, *map(str, value)]
        else:
            words += [name, str(value)]
    return words
