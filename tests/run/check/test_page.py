"""Tables that line up."""

from weaver_tt.run.check.page import table


def test_text_goes_to_the_left_and_numbers_to_the_right():
    rows = [["training", "1,000", "a 1%"], ["test", "7", "b"]]
    assert table(["", "rows", "labels"], rows, range(1, 2)) == [
        "             rows  labels",
        "  training  1,000  a 1%",
        "  test          7  b",
    ]
