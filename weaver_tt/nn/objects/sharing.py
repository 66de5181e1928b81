"""What several networks make of one batch, made once.

The members of an ensemble are called on the same tensors. Which objects are real, which pairs they
form and what the geometry of these is has no weights: the first member makes it, and the others
take it from there, inside of :func:`sharing`. Outside, and in a compiled or exported graph, nothing
is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from weaver_tt.data.rows.host_counts import is_traced, tensor_version

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Made:
    """A result, and what it was made of."""

    arguments: tuple[Any, ...]
    result: Any
    # of the tensors among them: what was written into since then is something else
    versions: list[int] = field(default_factory=list)


# results of the running batch by function; None where nothing is shared
_made: dict[Callable[..., Any], list[_Made]] | None = None


@contextmanager
def sharing(several: bool = True) -> Iterator[None]:
    """What is made inside by functions that are :func:`made_once` serves all networks.

    Nothing changes where there are not ``several`` of them.
    """
    global _made
    before = _made
    _made = {} if several else None
    try:
        yield
    finally:
        _made = before


def made_once(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of tensors without weights: inside of :func:`sharing` it is called once.

    That is, once for equal arguments, lists and tuples of tensors among them. It must be a function
    of these alone: nothing in it is drawn at random. What it returns is shared, and should not be
    written into. On a GPU, where comparing values would wait for the device, only the same tensors
    are equal.
    """

    @wraps(function)
    def once(*arguments: P.args, **options: P.kwargs) -> R:
        if _made is None or options or is_traced() or _has_gradient(arguments):
            return function(*arguments, **options)
        known = _made.setdefault(function, [])
        for made in known:
            if _is_made_of(made, arguments):
                return made.result
        result = function(*arguments, **options)
        known.append(_Made(arguments, result, _versions((*arguments, result))))
        return result

    return once


def _has_gradient(arguments: tuple[Any, ...]) -> bool:
    """Whether a result would hold the graph of one of the networks."""
    return any(value.requires_grad for value in _tensors(arguments))


def _versions(values: tuple[Any, ...]) -> list[int]:
    return [tensor_version(value) for value in _tensors(values)]


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors among ``values``, in tuples and lists too."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _is_made_of(made: _Made, arguments: tuple[Any, ...]) -> bool:
    """Whether a result is that of these ``arguments``, and as it was."""
    if _versions((*made.arguments, made.result)) != made.versions:
        return False
    return _are_equal(made.arguments, arguments)


def _are_equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, tuple | list):
        is_alike = type(one) is type(other) and len(one) == len(other)
        return is_alike and all(map(_are_equal, one, other))
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return isinstance(one, int | float | str) and type(one) is type(other) and one == other
    if one.device.type != "cpu" or one.device != other.device or one.dtype != other.dtype:
        return False
    return torch.equal(one, other)
