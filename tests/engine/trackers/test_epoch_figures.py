"""Figures of epochs, which trackers draw in a small part of the time of a run."""

import pytest

from weaver_tt.engine.trackers import epoch_figures
from weaver_tt.engine.trackers.epoch_figures import EpochFigures


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets."""
    seconds = [0.0]
    monkeypatch.setattr(epoch_figures.time, "perf_counter", lambda: seconds[0])
    return seconds


def test_figures_take_a_twentieth_of_the_time(clock):
    drawn = []

    def figures():
        clock[0] += 1.0
        return {"roc": None}

    epochs = EpochFigures("TensorBoard")
    for number, start in enumerate((0.0, 2.0, 20.9, 21.0, 22.0)):
        clock[0] = start
        epochs.draw(figures, lambda name, _, number=number: drawn.append((number, name)))
    # drawn until second 1, and 20 seconds later again
    assert drawn == [(0, "roc"), (3, "roc")]


def test_where_there_are_none_the_next_ones_are_not_late(clock):
    written = []
    epochs = EpochFigures("TensorBoard")
    epochs.draw(None, lambda name, _: written.append(name))
    epochs.draw(lambda: {"roc": None}, lambda name, _: written.append(name))
    assert written == ["roc"]
