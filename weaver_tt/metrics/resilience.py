"""How little the efficiencies of a tagger change between two samples: its resilience.

Each efficiency is a value with its error, those of the two samples independent: other entries, at
the same thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValueWithError:
    """A value and its standard deviation; NaN where they are not known."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Resilience:
    """One over the relative change of the efficiencies of signal and background.

    The two changes are added in quadrature. ``value`` is infinite, and its ``error`` NaN, where
    nothing changes. Statistical errors alone change something: two samples of one kind have a
    resilience of about ``by_chance``, and a value that is not well below it is a lower limit.
    """

    value: float
    error: float
    by_chance: float

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing changes."""
        return math.isinf(self.value)


def relative_change(first: ValueWithError, second: ValueWithError) -> ValueWithError:
    """Their difference divided by their mean, within -2 and 2; NaN where both are 0."""
    total = first.value + second.value
    if not total:
        return ValueWithError(math.nan, math.nan)
    change = 2 * (first.value - second.value) / total
    # the slopes of the change in the two values are 4 second / total^2 and -4 first / total^2
    by_first = second.value * first.error
    by_second = first.value * second.error
    return ValueWithError(change, 4 * math.hypot(by_first, by_second) / total**2)


def measure_resilience(
    signal: tuple[ValueWithError, ValueWithError], background: tuple[ValueWithError, ValueWithError]
) -> Resilience:
    """The resilience of efficiencies of ``signal`` and ``background``, in two samples each.

    NaN where one of the four is 0 or not known: the error of an efficiency that no entry has is
    not known either.

    Source: Dreyer, Qu, arXiv:2012.08526 (zeta_NP of hadron and parton level).
    """
    if not all(efficiency.value > 0 for efficiency in (*signal, *background)):
        return Resilience(math.nan, math.nan, math.nan)
    of_signal = relative_change(*signal)
    of_background = relative_change(*background)
    change = math.hypot(of_signal.value, of_background.value)
    by_statistics = math.hypot(of_signal.error, of_background.error)
    by_chance = 1 / by_statistics if by_statistics else math.inf
    if not change:
        return Resilience(math.inf, math.nan, by_chance)
    # the slope of 1 / sqrt(x^2 + y^2) in x is -x / sqrt(x^2 + y^2)^3
    slopes = math.hypot(
        of_signal.value * of_signal.error, of_background.value * of_background.error
    )
    return Resilience(1 / change, slopes / change**3, by_chance)


def measure_performance(signal: ValueWithError, background: ValueWithError) -> ValueWithError:
    """Efficiency of the signal over the square root of that of the background.

    Proportional to the significance of a small signal. NaN where no background passes.
    """
    if not (signal.value > 0 and background.value > 0):
        return ValueWithError(math.nan, math.nan)
    value = signal.value / math.sqrt(background.value)
    relative_error = math.hypot(
        signal.error / signal.value, background.error / background.value / 2
    )
    return ValueWithError(value, value * relative_error)
