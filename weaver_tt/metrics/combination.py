"""Sums of metrics, such as ``auc - 0.5*sculpting@0.5``, by which the best epoch is chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.metrics.direction import Direction

# what the value of a sum is called, beside the metrics that it is made of
WATCHED_SUM = "watched"
# a sign between two terms stands between spaces: names of classes may have signs in them
SIGN = re.compile(r"\s+([+-])\s+")
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
TERM = re.compile(rf"(?:(?P<factor>{NUMBER})\s*\*\s*)?(?P<name>\S+)")


@dataclass(frozen=True)
class Combination:
    """A sum of metrics, each with its factor."""

    terms: tuple[tuple[float, str], ...]  # factor, metric

    @property
    def names(self) -> list[str]:
        """The metrics that it is made of."""
        return [name for _, name in self.terms]

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """The sum; None where one of the metrics is missing."""
        total = 0.0
        for factor, name in self.terms:
            if name not in metrics:
                return None
            total += factor * metrics[name]
        return total

    def direction(self, of_metric: Callable[[str], Direction | None]) -> Direction | None:
        """Where the sum is best: where all of its terms are; None where they disagree.

        A metric that is best close to 0, or nowhere, has no part in a sum.
        """
        if len(self.terms) == 1 and self.terms[0][0] == 1:
            return of_metric(self.terms[0][1])
        found = set()
        for factor, name in self.terms:
            direction = of_metric(name)
            if direction not in (Direction.MIN, Direction.MAX) or factor == 0:
                return None
            if factor < 0:
                direction = Direction.MIN if direction is Direction.MAX else Direction.MAX
            found.add(direction)
        return found.pop() if len(found) == 1 else None


def is_sum(text: str) -> bool:
    """Whether a text means a sum of metrics, and not one of them."""
    return SIGN.search(text) is not None or "*" in text


def parse_combination(text: str, known: Collection[str], where: str) -> Combination:
    """``auc - 0.5*sculpting@0.5``, or the name of one metric, of those that are ``known``.

    Raises:
        ConfigError: it is neither, with the nearest metric.
    """
    if text in known:
        return Combination(((1.0, text),))
    first, *others = SIGN.split(text.strip())
    parts = [("+", first), *zip(others[::2], others[1::2], strict=True)]
    terms = []
    for sign, part in parts:
        found = TERM.fullmatch(part.strip())
        if found is None:
            raise ConfigError(
                f"{where}: {text!r} is no sum of metrics; expected such as auc - 0.5*loss, with "
                "spaces around + and -"
            )
        name = found["name"]
        if name not in known:
            raise ConfigError(f"{where}: there is no metric {name!r}; {nearest(name, known)}")
        factor = float(found["factor"] or 1)
        terms.append((-factor if sign == "-" else factor, name))
    return Combination(tuple(terms))
