"""Rows of proof: what a model without kept columns is proved on, and how numbers are written."""

import json

import awkward as ak
import numpy as np

from weaver_tt.config.load import from_mapping
from weaver_tt.deploy.golden import (
    GoldenRow,
    columns_from_tensors,
    golden_text,
    numbers_for_json,
    row_for_json,
)

GROUPS = {
    "ch_features": {"length": 4, "vars": [["ch_pt", 10, 0.5, -5, 5, 0], ["ch_q", None]]},
    "ch_mask": {"length": 4, "vars": ["ch_mask"]},
    "ne_features": {"length": 4, "vars": [["ne_pt", None]]},
    "ne_mask": {"length": 4, "vars": ["ne_mask"]},
    "event": {"length": None, "vars": [["rho", 2, 4]]},
}


def test_collections_of_one_length_keep_their_own_numbers_of_objects() -> None:
    config = from_mapping({"inputs": GROUPS, "labels": {"type": "simple", "value": ["a", "b"]}})
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], np.float32)
    other = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], np.float32)
    # the first charged candidate has scaled pT 0: its mask tells that it is there
    charged = np.stack([[[0, 3, 0, 0], [0] * 4], [[-1, 0, 0, 0], [0] * 4]], 1).astype(np.float32)
    sample = {
        "ch_features": charged,
        "ch_mask": mask[:, None],
        "ne_features": other[:, None] * 7,
        "ne_mask": other[:, None],
        "event": np.array([[4], [-8]], np.float32),
    }
    columns, _ = columns_from_tensors(sample, config)
    # x / scale + center
    assert ak.to_list(columns["ch_pt"]) == [[10, 16], []]
    assert ak.to_list(columns["ch_mask"]) == [[1, 1], []]
    assert ak.to_list(columns["ne_pt"]) == [[7, 7, 7], [7]]
    assert ak.to_list(columns["rho"]) == [3, 0]


def test_numbers_that_json_does_not_know_are_texts() -> None:
    values = np.array([1.5, np.nan, np.inf, -np.inf])
    assert numbers_for_json(values) == [1.5, "NaN", "Infinity", "-Infinity"]


def test_each_row_has_a_line_and_the_whole_is_json() -> None:
    text = golden_text({"format": 1, "target": "generic"}, [{"kind": "real"}, {"kind": "NaN"}])
    assert json.loads(text) == {
        "format": 1,
        "target": "generic",
        "rows": [{"kind": "real"}, {"kind": "NaN"}],
    }
    assert [line for line in text.splitlines() if '"kind"' in line] == [
        '{"kind": "real"},',
        '{"kind": "NaN"}',
    ]


def of_outputs(scales, **outputs):
    """A row with these outputs, and what their tolerances are relative to."""
    return GoldenRow("a row", "", {}, {}, {}, outputs, scales, 1e-5)


def test_a_spread_has_the_tolerance_of_its_value():
    outputs = {"y": np.float32(40.0), "y_std": np.float32(0.5)}
    scales = {"y": np.float32(40.0), "y_std": np.float32(40.0)}
    tolerance = row_for_json(of_outputs(scales, **outputs), {})["tolerance"]
    assert tolerance["absolute"] == tolerance["relative"] == 1e-5
    assert tolerance["outputs"] == {"y_std": {"absolute": 41 * 1e-5, "relative": 0.0}}


def test_an_output_without_a_value_is_written_as_such():
    """A corrected pT beyond the range of its correction; a warning would fail this test."""
    nothing = np.float32(np.nan)
    row = row_for_json(of_outputs({"pt": nothing}, pt=np.asarray(nothing)), {})
    assert row["outputs"] == {"pt": "NaN"}
    assert "outputs" not in row["tolerance"]
