"""Of many classes, those that are asked for or have most entries are shown."""

from weaver_tt.metrics.many_classes import choice_in_words, shown_classes

NAMES = [f"c{number}" for number in range(20)]


def test_the_twelve_classes_with_most_entries_are_shown_in_their_order():
    # class k has k + 1 entries
    assert shown_classes(NAMES, range(1, 21)) == NAMES[8:]


def test_of_classes_with_as_many_entries_the_first_are_shown():
    assert shown_classes(NAMES, [1.0] * 20) == NAMES[:12]


def test_what_is_asked_for_is_shown_instead():
    assert shown_classes(NAMES, [1.0] * 20, ["c19", "c3"]) == ["c3", "c19"]


def test_the_choice_is_said_where_there_is_one():
    assert choice_in_words(["a"], ["a", "b", "c"]) == "1 of 3 classes"
    assert choice_in_words(["a", "b"], ["a", "b"]) == ""
