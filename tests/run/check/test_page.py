"""Tables that line up."""

from weaver_tt.run.check.page import table


def test_text_goes_to_the_left_and_numbers_to_the_right():
    lines = table(["", "name", "rows"], [["training", "a", "1,000"], ["test", "long", "7"]])
    assert lines == [
        "            name   rows",
        "  training  a     1,000",
        "  test      long      7",
    ]
