"""Cells of the page, by hand."""

import pytest

from weaver_tt.report.page import html_table, plus_minus


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"value": 0.98765, "error": 0.00123}, "0.9877 ± 0.0012"),
        ({"value": 1234.5, "error": 56.0}, "1234 ± 56"),
        ({"value": 1.5, "error": 0.0}, "1.5"),
        ({"value": None, "error": None}, "–"),
        ({"value": None, "error": None, "at_least": 33.4}, "&gt; 33.4"),
    ],
)
def test_numbers_have_two_digits_of_their_error(number, text):
    assert plus_minus(number).replace('<span class="e">', "").replace("</span>", "") == text


def test_cells_may_bring_their_own_tag():
    html = html_table(["", "x"], [["row", "<td class=best>1</td>"], ["other", "2"]])
    assert html.count("<td") == 2
    assert "<th>row</th><td class=best>1</td>" in html
