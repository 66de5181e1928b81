"""Of many classes, those that are asked for or have most entries are drawn."""

import torch

from weaver_tt.figures.drawn_classes import choice_in_words, drawn_classes
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter

NAMES = [f"c{number}" for number in range(20)]


def summarize(target):
    """The summary of unweighted entries of these classes."""
    meter = ClassificationMeter(NAMES)
    ones = torch.ones(len(target))
    meter.update(Scored(torch.full((len(target), 20), 0.05), target, ones, ones), None)
    return meter.summarize(meter.totals())


def test_the_twelve_classes_with_most_entries_are_drawn_in_their_order():
    # class k has k + 1 entries
    numbers = torch.arange(20)
    summary = summarize(numbers.repeat_interleave(numbers + 1))
    assert drawn_classes(summary) == NAMES[8:]


def test_of_classes_with_as_many_entries_the_first_are_drawn():
    assert drawn_classes(summarize(torch.arange(20))) == NAMES[:12]


def test_what_is_asked_for_is_drawn_instead():
    assert drawn_classes(summarize(torch.arange(20)), ["c19", "c3"]) == ["c3", "c19"]


def test_the_choice_is_said_where_there_is_one():
    assert choice_in_words(["a"], ["a", "b", "c"]) == "1 of 3 classes"
    assert choice_in_words(["a", "b"], ["a", "b"]) == ""
