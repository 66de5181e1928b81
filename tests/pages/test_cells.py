"""Cells of the page, by hand."""

import pytest

from weaver_tt.metrics.direction import Direction
from weaver_tt.pages.cells import Cell, best_numbers, mark_best, number_cell, words_cell


@pytest.mark.parametrize(
    ("number", "text", "detail"),
    [
        ({"value": 0.98765, "error": 0.00123}, "0.9877", "± 0.0012"),
        ({"value": 1234.5, "error": 56.0}, "1234", "± 56"),
        ({"value": -0.3, "error": 28.0}, "0", "± 28"),
        ({"value": 1.5, "error": 0.0}, "1.5", ""),
        ({"value": 1.5, "error": None}, "1.5", ""),
        ({"value": None, "error": None}, "–", ""),
        ({"value": None, "error": None, "at_least": 33.4}, "> 33.4", ""),
        ({"value": None, "error": None, "at_least": 1344.6}, "> 1,340", ""),
    ],
)
def test_numbers_have_two_digits_of_their_error(number, text, detail):
    assert number_cell(number) == Cell(text, detail)


def test_a_difference_has_its_sign():
    assert number_cell({"value": 0.5, "error": 0.1}, sign=True) == Cell("+0.50", "± 0.10")


def test_several_trainings_have_their_spread():
    number = {"value": 0.9, "error": 0.01, "spread": 0.02, "trainings": 3}
    assert number_cell(number) == Cell("0.900", "± 0.010 ± 0.020 (3 trainings)")


@pytest.mark.parametrize(("direction", "best"), [("max", 2), ("min", 0), ("zero", 1)])
def test_the_best_is_marked_whatever_is_better(direction, best):
    cells = mark_best([-3.0, 1.0, 2.0], [Cell("a"), Cell("b"), Cell("c")], Direction(direction))
    assert [cell.text for cell in cells] == ["a", "b", "c"]
    assert [cell.is_best for cell in cells] == [place == best for place in range(3)]


def test_nothing_is_best_alone_nor_where_a_value_is_unknown():
    a, b = Cell("a"), Cell("b")
    assert mark_best([1.0], [a], Direction.MAX) == [a]
    assert mark_best([1.0, None], [a, b], Direction.MAX) == [a, b]
    assert mark_best([1.0, 2.0], [a, b], None) == [a, b]


def test_the_best_number_is_found_by_its_value_and_not_by_its_text():
    one = {"value": 0.9001, "error": 0.1}
    other = {"value": 0.9002, "error": 0.1}
    first, second = best_numbers([one, other], Direction.MAX)
    assert first.text == second.text == "0.90"
    assert (first.is_best, second.is_best) == (False, True)


def test_words_stand_to_the_left_a_line_each_and_are_escaped():
    cell = words_cell(["a <b>.root", "c.root"])
    assert cell.text == "a &lt;b&gt;.root<br>c.root"
    assert cell.style == "words"
    assert Cell("1", is_best=True, is_words=True).style == "best words"
