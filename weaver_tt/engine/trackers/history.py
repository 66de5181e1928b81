"""Every metric of every epoch, as a table beside the weights."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.errors import DataError
from weaver_tt.system.atomic_files import writing

EPOCH = "epoch"
Epochs = dict[int, dict[str, float]]
"""Number of an epoch -> its metrics by name."""


class History(Tracker):
    """Keeps ``PREFIX_history.csv``: a row for each epoch, a column for each metric.

    A training that is continued keeps the rows of the epochs before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Write the row of the epoch, in the place of it and of all that came after it."""
        epochs = read_history(self._path) if number > 0 else {}
        epochs = {other: row for other, row in epochs.items() if other < number}
        epochs[number] = dict(values)
        write_history(self._path, epochs)


def write_history(path: Path, epochs: Epochs) -> None:
    """Write the table; metrics that an epoch has not are left empty.

    Raises:
        OutputError: it cannot be written.
    """
    names = list(dict.fromkeys(name for row in epochs.values() for name in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, [EPOCH, *names])
    table.writeheader()
    for number, row in epochs.items():
        table.writerow({EPOCH: number, **row})
    with writing(path) as file:
        file.write(text.getvalue().encode())


def read_history(path: Path) -> Epochs:
    """The epochs of the table in a file, in order; none where there is no file.

    Raises:
        DataError: it is no such table.
    """
    epochs: Epochs = {}
    if not path.is_file():
        return epochs
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                number = int(row.pop(EPOCH))
                epochs[number] = {name: float(text) for name, text in row.items() if text}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as a history of epochs: {error}") from error
    return epochs
