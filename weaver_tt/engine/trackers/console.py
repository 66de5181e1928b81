"""What the log has of a training."""

from __future__ import annotations

from collections.abc import Mapping

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.log import SHOWN_OTHERWISE, format_metrics, log


class Console(Tracker):
    """A log line for each epoch; where there is a terminal, it shows more."""

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Log one line."""
        # what became of the rows has been logged in words
        metrics = {name: value for name, value in values.items() if not name.startswith("rows_")}
        log.info("epoch %d: %s", number, format_metrics(metrics), extra=SHOWN_OTHERWISE)
