"""Collections of entries as dataclasses of arrays, the last axis of which counts the entries."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

C = TypeVar("C", bound="Columnar")


class Columnar:
    """What such a dataclass can do: its entries are chosen, counted and joined."""

    __slots__ = ()

    def __getitem__(self: C, chosen: Any) -> C:
        """Some of the entries, by a mask or by places."""
        values = {name: getattr(self, name)[..., chosen] for name in field_names(type(self))}
        return type(self)(**values)

    def __len__(self) -> int:
        """How many entries there are."""
        first = getattr(self, field_names(type(self))[0])
        return int(first.shape[-1])


def field_names(kind: Any) -> list[str]:
    """Names of the fields of a dataclass."""
    return [item.name for item in dataclasses.fields(kind)]


def joined(*parts: C) -> C:
    """The entries of several collections of one kind, one after another."""
    kind = type(parts[0])
    values = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in field_names(kind)
    }
    return kind(**values)
