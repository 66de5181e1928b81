"""Numbers and lists in messages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def counted(number: int, one: str, several: str | None = None) -> str:
    """``1 file``, ``2 files``, ``12,345 rows``; ``several`` where it is not ``one`` with an s."""
    word = one if number == 1 else several or f"{one}s"
    return f"{number:,} {word}"


def listed(names: Sequence[str], most: int = 10) -> str:
    """``b, c, light``; beyond ``most`` of them ``b, c and 186 more``."""
    text = ", ".join(names[:most])
    left = len(names) - most
    return f"{text} and {left:,} more" if left > 0 else text


def decimals_of(error: float) -> int:
    """Decimals of the second digit of an ``error`` above 0; of a large one none."""
    return max(0, 1 - math.floor(math.log10(error)))


def value_with_error(value: float, error: float) -> str:
    """``0.4143 ± 0.0032``: both to the second digit of the error; without one the value alone."""
    # nothing fluctuates where all entries agree, and an unknown error is NaN
    if not 0 < error < math.inf:
        return f"{value:.4g}"
    decimals = decimals_of(error)
    # z: no -0, which a small number is rounded to
    return f"{value:z,.{decimals}f} ± {error:,.{decimals}f}"


def size_text(number: float) -> str:
    """``307 kB``: a number of bytes, in kB, MB or GB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:.3g} kB"


def short_settings(values: Mapping[str, Any]) -> str:
    """``--start-lr 0.003162 --ema 0.99``, in few digits: those of a range have up to seventeen."""
    parts = []
    for name, value in values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        parts.append(f"{name} {shown}")
    return " ".join(parts)
