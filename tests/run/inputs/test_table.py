"""The numbers of ``weaver-tt inputs`` as a table."""

import csv
import io

from weaver_tt.run.inputs.table import COLUMNS, as_csv


def test_a_class_whose_name_has_a_comma_is_one_cell_and_what_is_unknown_is_empty():
    row = dict.fromkeys(COLUMNS) | {"class": 'b, or "c"', "entries": 3, "mean": 0.1}
    (found,) = csv.DictReader(io.StringIO(as_csv([row])))
    assert found == dict.fromkeys(COLUMNS, "") | {
        "class": 'b, or "c"',
        "entries": "3",
        "mean": "0.1",
    }
