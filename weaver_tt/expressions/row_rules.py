"""How functions treat rows: value by value, inside of each row, or not at all.

The result for one row must not depend on the other rows of the table: which rows are read together
is a matter of chance, and the same event would get another number in another file. Each function of
the registry declares one of the rules below. A rule is asked twice: when the YAML is loaded, where
the numbers of axes are not known yet, and again when the function runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

CHANCE = "which rows are read together is a matter of chance"
ANY_AXIS = object()
"""An axis that is computed, and so is not known before the function runs."""

UNDOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "concatenate": ("arrays", "axis"),
    "dot": ("a", "b"),
    "where": ("condition", "x", "y"),
}
"""Parameters of functions of numpy that older releases give no signature."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What a function is given at one place, as far as rows are concerned.

    ``has_rows``: it is made of columns. ``axes``: 1 for one value a row, 2 for lists; None where
    that is not known yet. ``parts``: the elements of a list or tuple, None of anything else.
    ``may_be_list``: it is computed, and so may turn out to be one. ``value``: that of a constant.
    ``is_content``: the objects of all rows one after another, to be divided into rows again.
    """

    has_rows: bool
    axes: int | None = None
    parts: tuple[Operand, ...] | None = None
    may_be_list: bool = False
    value: Any = ANY_AXIS
    is_content: bool = False

    def with_rows(self) -> list[Operand]:
        """Those of its parts that have rows; of anything but a list, itself if it has."""
        if self.parts is None:
            return [self] if self.has_rows else []
        found = []
        for part in self.parts:
            found += part.with_rows()
        return found


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a call by parameter; ``defaults`` are those of the parameters not given."""

    operands: Mapping[str, Operand]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def with_rows(self) -> list[Operand]:
        """All operands that have rows, those inside of lists too."""
        found = []
        for operand in self.operands.values():
            found += operand.with_rows()
        return found

    def first(self) -> Operand | None:
        """What the first parameter is given."""
        return next(iter(self.operands.values()), None)

    def constant(self, name: str, default: Any) -> Any:
        """The constant that a parameter has; ``default`` where the function knows none."""
        if name in self.operands:
            return self.operands[name].value
        return self.defaults.get(name, default)


def bind(
    function: Callable[..., Any],
    positional: Sequence[Operand],
    named: Mapping[str, Operand],
) -> Given:
    """The operands of a call by the names of the function's parameters.

    Raises:
        TypeError: the function takes no such arguments.
    """
    signature = _signature(function)
    if signature is None:
        known = UNDOCUMENTED.get(getattr(function, "__name__", ""), ())
        names = [*known, *(f"argument {i}" for i in range(len(known), len(positional)))]
        return Given(dict(zip(names, positional, strict=False)) | dict(named))
    bound = signature.bind(*positional, **named)
    operands: dict[str, Operand] = {}
    for name, argument in bound.arguments.items():
        if isinstance(argument, tuple):
            operands |= {f"{name} {i}": operand for i, operand in enumerate(argument)}
        elif isinstance(argument, dict):
            operands |= argument
        else:
            operands[name] = argument
    defaults = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in bound.arguments and parameter.default is not parameter.empty
    }
    return Given(operands, defaults)


@lru_cache
def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a function, None of those that have none, such as ufuncs."""
    if isinstance(function, np.ufunc):
        return None
    try:
        return inspect.signature(function)
    except ValueError:
        return None


class RowRule(Protocol):
    """Whether a call keeps rows apart."""

    @property
    def looks_at(self) -> str:
        """What a result depends on, for the docs."""

    def problem(self, given: Given) -> str | None:
        """Why a call would look across rows; None where it does not.

        The end of a sentence that begins with the call.
        """


def _across(advice: str = "write axis=1, which goes over the objects of each row") -> str:
    return f"looks across rows, and {CHANCE}; {advice}"


@dataclass(frozen=True, slots=True)
class ByValue:
    """Each value of the result depends only on the values at the same place.

    ``columns``: the parameters that may be columns, None for all. ``least``: arguments needed;
    with fewer, ``np.where`` gives places instead of values.
    """

    columns: tuple[str, ...] | None = None
    least: int = 0

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "value"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        if not given.with_rows:
            return None
        if len(given.operands) < self.least:
            return _across(f"it needs {self.least} arguments")
        if "where" in given.operands:
            return "cannot have `where=`, which leaves values undefined; use np.where"
        for name, operand in given.operands.items():
            if self.columns is not None and name not in self.columns:
                if operand.with_rows():
                    return f"acts on each value of {' or '.join(self.columns)}; {_constant(name)}"
            elif operand.parts is not None or (not operand.has_rows and operand.axes):
                return "acts on each value, and a list has no rows"
        return None


@dataclass(frozen=True, slots=True)
class EachRow:
    """The result for a row depends on that row alone.

    ``axes``: axes that the arguments with rows need at least. ``lists``: parameters that are lists
    of columns; no others may be. ``refused``: parameters that would bring rows together.
    ``matching``: its arguments must have as many axes, as numpy aligns the last ones.
    """

    axes: int = 1
    lists: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    matching: bool = False

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "row"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        for name in self.refused:
            if name in given.operands:
                return _across(f"argument {name!r} is not allowed")
        for name, operand in given.operands.items():
            if name in self.lists and _is_no_list(operand):
                return _across(f"{name!r} must be a list of columns")
            if name not in self.lists and operand.parts is not None and operand.with_rows():
                return f"acts on each row, and the list given for {name!r} has no rows"
        for operand in given.with_rows:
            if operand.axes is not None and operand.axes < self.axes:
                return _too_few_axes(operand.axes)
        return _mismatch(given) if self.matching else None


@dataclass(frozen=True, slots=True)
class AlongAxis:
    """It goes along an axis, which must lie inside of the row.

    ``axis``: the parameters that name it; none where it is always ``fixed``. ``least``: the first
    axis that leaves the rows as they are. ``joins``: the first argument is a list of arrays.
    ``adds_axis``: the axis is one of the result, which has one more. ``none_means``: the axis that
    None stands for, if it does not stand for all of them. ``constants``: parameters that must not
    be columns. ``refused``: parameters that must not be given. ``matching``: its arguments must
    have as many axes, as numpy aligns the last ones.
    """

    axis: tuple[str, ...] = ("axis",)
    fixed: int | None = None
    least: int = 1
    joins: bool = False
    adds_axis: bool = False
    none_means: int | None = None
    constants: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    matching: bool = False

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "axis" if self.axis else "row"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        if not given.with_rows:
            return None
        for name in ("where", *self.refused):
            if name in given.operands:
                return f"cannot have the argument {name!r}"
        for name in self.constants:
            if name in given.operands and given.operands[name].with_rows():
                return _across(_constant(name))
        first = given.first()
        if first is None or not first.with_rows():
            return _across("its first argument must be made of columns")
        if self.joins and _is_no_list(first):
            return _across("its first argument must be a list of columns")
        for axis in self._axes(given):
            problem = self._problem_of_axis(axis, first)
            if problem is not None:
                return problem
        return _mismatch(given) if self.matching else None

    def _axes(self, given: Given) -> list[Any]:
        """The axes that it goes along, as they are given."""
        if not self.axis:
            return [self.fixed]
        axes: list[Any] = []
        for name in self.axis:
            axis = given.constant(name, self.fixed)
            axes += axis if isinstance(axis, tuple) else [axis]
        return axes

    def _problem_of_axis(self, axis: Any, first: Operand) -> str | None:
        if axis is None:
            axis = self.none_means
        if axis is None:
            return _across()
        if not isinstance(axis, int) or isinstance(axis, bool):
            return "needs a whole number as axis, written out"
        if first.parts is not None and not self.joins:
            # a list of columns has one entry for each column along axis 0, and rows along axis 1
            advice = "of a list of columns, axis=0 goes over the columns"
            return None if axis == 0 else _across(advice)
        ranks = [operand.axes for operand in first.with_rows() if operand.axes is not None]
        if not ranks:
            return None if axis < 0 or axis >= self.least else self._advise()
        rank = max(ranks)
        inside = axis + rank + self.adds_axis if axis < 0 else axis
        if inside >= self.least:
            return None
        if rank == 1 and not self.adds_axis:
            return _too_few_axes(rank)
        return self._advise()

    def _advise(self) -> str:
        return _across() if self.least == 1 else _across(f"only axes from {self.least} on do not")


@dataclass(frozen=True, slots=True)
class Lookup:
    """``np.take``: entries of a row by constant places, or of a constant list by column."""

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "axis"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        if given.operands["a"].with_rows():
            return AlongAxis(constants=("indices",)).problem(given)
        return None


@dataclass(frozen=True, slots=True)
class IntoRows:
    """Objects of all rows one after another are divided into rows again.

    ``content`` must then be ``ak.flatten(x)``, and ``counts`` a column, as in
    ``ak.unflatten(ak.flatten(x), ak.num(y))``.
    """

    content: str
    counts: str = "counts"

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "row"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        content = given.operands.get(self.content)
        counts = given.operands.get(self.counts)
        if content is None or counts is None or not given.with_rows:
            return None
        axis = given.constant("axis", 0)
        if axis == 0:
            is_sound = content.is_content and counts.has_rows and not counts.is_content
            return None if is_sound else _across("divide ak.flatten(x) by counts of the rows")
        if not isinstance(axis, int) or axis < 0:
            return "needs a whole number from 0 on as axis, written out"
        # inside of rows, in equal parts or in those of another flattened column
        is_sound = not counts.has_rows or counts.is_content
        is_sound &= content.axes is None or content.axes > axis
        return None if is_sound else _across("counts must be a number or ak.flatten(x)")


@dataclass(frozen=True, slots=True)
class ListsOnly:
    """It goes over a list of columns, or a list of numbers, but not over a column."""

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "list"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        for operand in given.operands.values():
            if operand.has_rows and _is_no_list(operand):
                advice = "x.counts or ak.num(x) is the number of objects of each row, x.sum() a sum"
                return _across(advice)
        return None


@dataclass(frozen=True, slots=True)
class ConstantsOnly:
    """It has no form that keeps rows apart; ``instead`` says what to write for columns."""

    instead: str

    @property
    def looks_at(self) -> str:
        """What a result depends on."""
        return "constants"

    def problem(self, given: Given) -> str | None:
        """See :class:`RowRule`."""
        return f"takes no columns; {self.instead}" if given.with_rows else None


def _mismatch(given: Given) -> str | None:
    """Why arguments do not match, where they have different numbers of axes."""
    axes = {operand.axes for operand in given.with_rows if operand.axes is not None}
    if len(axes) < 2:
        return None
    return "matches its arguments by their last axes; give them as many axes"


def _is_no_list(operand: Operand) -> bool:
    return operand.parts is None and not operand.may_be_list


def _constant(name: str) -> str:
    return f"{name!r} must be a constant"


def _too_few_axes(axes: int) -> str:
    if axes == 1:
        what = "one value a row, and no objects to go over"
    else:
        what = f"{axes} axes, which are too few"
    return f"looks across rows: its argument has {what}; {CHANCE}"
