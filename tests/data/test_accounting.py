"""Counts add up, and the report says what they mean."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np

from weaver_tt.data.accounting import Accounting, LostRows, list_bad_files, lost_rows


def test_counts_of_two_workers_add_up():
    total = Accounting(read=Counter(a=3))
    total.add(Accounting(read=Counter(a=2, b=1), nonfinite=Counter(pt=4)))
    assert total.read == {"a": 5, "b": 1}
    assert total.nonfinite == {"pt": 4}


def test_the_report_has_a_line_for_each_group_and_for_each_thing_to_know():
    counts = Accounting(
        read=Counter(qcd=1200, top=10),
        selected=Counter(qcd=1000, top=10),
        used=Counter(qcd=990, top=10),
    )
    counts.dropped["qcd", "selection"] = 200
    counts.truncated["jets"] = 3
    counts.nonfinite["jet_pt"] = 0
    assert counts.report().splitlines() == [
        "qcd: 1,200 rows read, 1,000 selected (200 by selection dropped), 990 used",
        "top: 10 rows read, 10 selected, 10 used",
        "objects beyond the input's length: 3 of jets",
    ]


def test_files_without_a_name_have_none_in_the_report():
    counts = Accounting(read=Counter(_=5), selected=Counter(_=4), used=Counter(_=3))
    assert counts.report() == "5 rows read, 4 selected, 3 used"


def test_groups_that_lose_equally_many_objects_share_the_number():
    counts = Accounting(truncated=Counter(pf_mask=1200, sv_mask=7, pf_points=1200, lost=0))
    assert (
        counts.report()
        == "objects beyond the input's length: 1,200 of pf_mask, pf_points; 7 of sv_mask"
    )


def test_what_reweighting_and_bucketing_did_is_reported():
    counts = Accounting()
    counts.read["a"] = counts.selected["a"] = 10
    counts.sampled_out["a"], counts.repeated["a"] = 4, 1
    counts.slots.update({("jets", "objects"): 30, ("jets", "padded"): 40, ("jets", "full"): 120})
    assert counts.report().splitlines() == [
        "a: 10 rows read, 10 selected, 4 sampled out, 1 repeated, 0 used",
        "padding of jets: 25.0% of its slots, 75.0% without bucketing",
    ]


def test_the_first_place_does_not_depend_on_the_order_of_the_chunks():
    parts = []
    for path, rows in (("b.root", [0, 1]), ("a.root", [7]), ("a.root", [9, 5])):
        part = Accounting()
        part.add_rows("nonfinite", "pt", path, np.array(rows))
        part.add_rows("undefined", "mass", path, np.array([], dtype=int))
        parts.append(part)
    for order in ((0, 1, 2), (2, 1, 0)):
        total = Accounting()
        for number in order:
            total.add(parts[number])
        assert total.report() == "NaN or infinite values replaced: pt 5 (first: a.root, row 5)"


def test_the_report_tells_labels_without_a_value():
    counts = Accounting()
    counts.add_rows("undefined", "mass", "a.root", np.arange(3, 1203))
    assert counts.report() == (
        "labels without a value, left out of loss and metrics: mass 1,200 (first: a.root, row 3)"
    )


def test_a_row_is_lost_once_however_often_and_in_whichever_pieces():
    lost = [
        LostRows("b.root", "checksum", 100, 200),
        LostRows("b.root", "checksum", 100, 200),  # in the next epoch
        LostRows("b.root", "checksum", 150, 260),  # in larger pieces, by another pass
        LostRows("b.root", "checksum", 300, 310),
        LostRows("a.root", "no tree"),
        LostRows("c.root", "checksum", 0, 5),
        LostRows("c.root", "gone"),  # cannot even be opened any more
    ]
    listed = list_bad_files(lost)
    assert [(file["path"], file["rows"], file["ranges"]) for file in listed] == [
        ("a.root", None, None),
        ("b.root", 170, [[100, 260], [300, 310]]),
        ("c.root", None, None),
    ]
    assert listed[1]["reason"] == "checksum"
    # what is read back and listed again is the same
    assert list_bad_files(lost_rows(json.loads(json.dumps(listed)))) == listed


def test_the_report_says_how_many_rows_of_which_files_are_missing():
    counts = Accounting(lost=Counter([LostRows("b.root", "x", 0, 1200), LostRows("a.root", "y")]))
    assert counts.report() == "rows of bad files skipped: a.root all, b.root 1,200"
