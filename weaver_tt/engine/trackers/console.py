"""What the log has of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.log import SHOWN_OTHERWISE, format_metrics, log
from weaver_tt.metrics.headline import LOSS


class Console(Tracker):
    """A log line for each epoch; where there is a terminal, it shows more.

    The line has losses, what is measured in training alone, ``headline`` metrics (of the
    validation, where there is one) and what is no metric, such as the learning rate; without a
    headline it has all. The table of the history has everything.
    """

    def __init__(self, headline: Sequence[str] = ()) -> None:
        """``headline``: the few metrics that say most, without ``train/`` or ``val/``."""
        self._headline = headline

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Log one line."""
        line = format_metrics(self.values_of_line(values))
        log.info("epoch %d: %s", number, line, extra=SHOWN_OTHERWISE)

    def values_of_line(self, values: Mapping[str, float]) -> dict[str, float]:
        """What a line shows of the values of an epoch, losses first."""
        # what became of the rows has been logged in words
        values = {name: value for name, value in values.items() if not name.startswith("rows_")}
        if not self._headline:
            return values
        of_which = "val/" if any(name.startswith("val/") for name in values) else "train/"
        # and the terms of it, which begin so
        names = [name for name in values if name.partition("/")[2].startswith(LOSS)]
        if of_which == "val/":
            # terms of the loss of whole batches, which validation leaves out
            of_training = [name for name in values if name.startswith("train/")]
            names += [
                name for name in of_training if name.replace("train/", "val/", 1) not in values
            ]
        shown = {f"{of_which}{name}" for name in self._headline}
        names += [name for name in values if name in shown]
        names += [name for name in values if not name.startswith(("train/", "val/"))]
        return {name: values[name] for name in dict.fromkeys(names)}
