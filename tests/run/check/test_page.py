"""Tables that line up."""

import io

from rich.console import Console

from weaver_tt.run.check.findings import Findings, GroupFindings
from weaver_tt.run.check.page import page, show_page, table


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


def test_on_a_terminal_what_the_last_column_lists_goes_on_below_it():
    targets = {f"jet_istag = {number}": 5 for number in range(10)}
    group = GroupFindings("training", "_", 1, 100, 1.0, 100, 100, targets)
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    show_page(screen, Findings("data.yaml", 100, groups=[group]), [("data", "data.yaml")])
    lines = screen.file.getvalue().splitlines()
    header = next(line for line in lines if line.endswith("labels"))
    shares = [line for line in lines if "jet_istag" in line]
    assert len(shares) > 1
    assert max(map(len, lines)) <= 80
    # an equation stays whole
    assert {line.rindex("jet_istag = ") >= header.index("labels") for line in shares} == {True}
    assert shares[1].startswith(" " * header.index("labels") + "jet_istag")
    assert all(line.endswith((",", "%")) for line in shares)
