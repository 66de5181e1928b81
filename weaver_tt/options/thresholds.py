"""Thresholds of improvement as flags have them: in units of the metric, or a share of its value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from weaver_tt.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Threshold:
    """By how much a metric must be better than its best value before, to count as improved.

    ``size`` is in units of the metric (absolute) or, with ``is_relative``, a share of that value.
    """

    size: float = 0.0
    is_relative: bool = False

    def of(self, value: float) -> float:
        """What must be exceeded beside ``value``, in units of the metric."""
        if self.is_relative:
            return self.size * abs(value)
        return self.size

    def __str__(self) -> str:
        """As a flag has it."""
        if self.is_relative:
            return f"{100 * self.size:.12g}%"
        return f"{self.size:.12g}"


def read_threshold(text: str, flag: str) -> Threshold:
    """``1e-4`` is absolute, ``1%`` relative.

    Raises:
        ConfigError: it is no number, negative, or 100 % and more; names the ``flag``.
    """
    number = text.strip()
    is_relative = number.endswith("%")
    try:
        size = float(number.removesuffix("%"))
    except ValueError:
        size = math.nan
    # a loss cannot become better by all that it is
    is_possible = size < 100 if is_relative else math.isfinite(size)
    if not is_possible or size < 0:
        raise ConfigError(
            f"{flag} {text}: expected a number of at least 0 in units of the metric, such as 1e-4, "
            "or a percentage of its best value below 100, such as 1%"
        )
    return Threshold(size / 100 if is_relative else size, is_relative)
