"""Weaver's ``utils.logger`` for network files: the same calls, which write to the one log here."""

from __future__ import annotations

from collections import Counter
from typing import Any

from weaver_tt.log import log


class ColoredLogger:
    """Takes a ``color`` with each message, and leaves it out: log files stay readable."""

    def debug(self, message: object, *values: Any, color: str | None = None, **more: Any) -> None:
        """What only its author wants to know."""
        log.debug(message, *values, **more)

    def info(self, message: object, *values: Any, color: str | None = None, **more: Any) -> None:
        """What went on."""
        log.info(message, *values, **more)

    def warning(self, message: object, *values: Any, color: str | None = None, **more: Any) -> None:
        """What may be wrong."""
        log.warning(message, *values, **more)

    def error(self, message: object, *values: Any, color: str | None = None, **more: Any) -> None:
        """What is wrong."""
        log.error(message, *values, **more)


_logger = ColoredLogger()
_warned: Counter[str] = Counter()


def warn_n_times(message: str, n: int = 10, logger: Any = _logger) -> None:
    """Warn, the first ``n`` times that this message comes."""
    if _warned[message] < n:
        logger.warning(message)
    _warned[message] += 1


def warn_once(message: str, logger: Any = _logger) -> None:
    """Warn, the first time."""
    warn_n_times(message, 1, logger)


def _configLogger(*settings: Any, **more: Any) -> None:  # noqa: N802
    """Nothing: the entry point has set up the log."""
