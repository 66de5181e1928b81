"""A prediction file says what was predicted, by which network, at what cost."""

import json

import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import DataError
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import (
    ABOUT,
    AboutPrediction,
    NetworkCost,
    about_prediction,
    read_about,
)
from weaver_tt.tasks.registry import make_task

CONFIG = {
    "inputs": {"jet": {"vars": [["jet_pt", None]]}},
    "labels": {"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)", "y_mask": "abs(y) < 1"}},
    "report": {"corrected_pt": "jet_pt * np.exp(output_y)", "true_pt": "gen_pt"},
}


def written(path, text=None):
    """A prediction of two rows that says ``text`` of itself."""
    with open_writer(path) as writer:
        writer.write({"output_y": np.zeros(2)})
        if text is not None:
            writer.annotate(ABOUT, text)
    return str(path)


def test_of_a_regression_it_has_targets_and_what_a_report_measures():
    about = about_prediction(make_task(from_mapping(CONFIG)), NetworkCost(parameters=3))
    assert about.task == "regression"
    assert about.outputs == ("output_y",)
    # a mask is no target
    assert about.targets == ("y",)
    assert about.classes == ()
    assert about.report == {"corrected_pt": "jet_pt * np.exp(output_y)", "true_pt": "gen_pt"}
    assert about.network.parameters == 3


def test_of_a_hybrid_it_has_classes_and_targets():
    labels = [{"type": "simple", "value": ["b", "l"]}, CONFIG["labels"]]
    about = about_prediction(make_task(from_mapping(CONFIG | {"labels": labels})), NetworkCost())
    assert about.classes == ("b", "l")
    assert about.targets == ("y",)
    assert about.outputs == ("score_b", "score_l", "output_y")


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_it_is_read_as_it_was_written(tmp_path, suffix):
    about = AboutPrediction(
        task="regression",
        outputs=("output_y",),
        targets=("y",),
        report={"flavour": "jet_flavour"},
        network=NetworkCost(parameters=41_305, flops_per_row=2.5e6, seconds_per_row=1e-4),
    )
    assert read_about(written(tmp_path / f"pred.{suffix}", about.as_text())) == about
    assert read_about(written(tmp_path / f"other.{suffix}")) is None


def test_what_is_damaged_is_named(tmp_path):
    path = written(tmp_path / "pred.parquet", json.dumps({"task": 3}))
    with pytest.raises(
        DataError, match=r"pred\.parquet: damaged metadata 'weaver_tt_about': there is no outputs"
    ):
        read_about(path)
