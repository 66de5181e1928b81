"""Tables that line up."""

from weaver_tt.run.check.findings import Findings, GroupFindings
from weaver_tt.run.check.page import page, table


def test_text_goes_to_the_left_and_numbers_to_the_right():
    rows = [["training", "1,000", "a 1%"], ["test", "7", "b"]]
    assert table(["", "rows", "labels"], rows, range(1, 2)) == [
        "             rows  labels",
        "  training  1,000  a 1%",
        "  test          7  b",
    ]


def test_of_many_classes_ten_stand_in_the_table():
    targets = {f"class_{number}": 5 for number in range(20)}
    group = GroupFindings("training", "_", 1, 100, 1.0, 100, 100, targets)
    text = page(Findings("data.yaml", 100, groups=[group]))
    assert "class_0 5%, class_1 5%, " in text
    assert "class_9 5% and 10 more" in text
    assert "class_10" not in text


def test_a_rare_class_is_neither_missing_nor_are_all_others_everything():
    targets = {"jet_istag = 0": 399, "jet_istag = 1": 1, "none": 0}
    group = GroupFindings("training", "_", 1, 100, 1.0, 100, 100, targets)
    text = page(Findings("data.yaml", 100, groups=[group]))
    assert text.splitlines()[4].endswith("jet_istag = 0 > 99%, jet_istag = 1 < 1%")
