"""A prediction file says what was predicted, by which network, at what cost."""

import json

import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import Discriminant
from weaver_tt.errors import DataError
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import (
    ABOUT,
    AboutPrediction,
    NetworkCost,
    about_prediction,
    read_about,
    read_abouts,
)
from weaver_tt.tasks.registry import make_task

CONFIG = {
    "inputs": {"jet": {"vars": [["jet_pt", None]]}},
    "labels": {"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)", "y_mask": "abs(y) < 1"}},
    "report": {"corrected_pt": "jet_pt * np.exp(output_y)", "true_pt": "gen_pt"},
    "names": {"jet_pt": "jet $p_T$ [GeV]"},
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
    assert about.names == {"jet_pt": "jet $p_T$ [GeV]"}
    assert about.network.parameters == 3


def test_of_a_hybrid_it_has_classes_and_targets():
    labels = [{"type": "simple", "value": ["b", "l"]}, CONFIG["labels"]]
    about = about_prediction(make_task(from_mapping(CONFIG | {"labels": labels})), NetworkCost())
    assert about.classes == ("b", "l")
    assert about.targets == ("y",)
    assert about.outputs == ("score_b", "score_l", "output_y")


def test_of_a_ratio_it_says_what_is_divided_by_what(tmp_path):
    config = CONFIG | {
        "labels": {"type": "simple", "value": ["mc", "data"]},
        "task": {"name": "density_ratio", "numerator": "data", "normalise": "yield"},
    }
    del config["report"]
    about = about_prediction(make_task(from_mapping(config)), NetworkCost())
    assert about.ratio == {"numerator": "data", "denominator": "mc", "normalise": "yield"}
    assert read_about(written(tmp_path / "pred.root", about.as_text())).ratio == about.ratio


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_it_is_read_as_it_was_written(tmp_path, suffix):
    about = AboutPrediction(
        task="regression",
        outputs=("output_y",),
        targets=("y",),
        report={"flavour": "jet_flavour"},
        discriminants={"D": Discriminant(signal=("b", "c"), background=("l",))},
        names={"y": "log(true / measured $p_T$)"},
        network=NetworkCost(parameters=41_305, flops_per_row=2.5e6, seconds_per_row=1e-4),
    )
    assert read_about(written(tmp_path / f"pred.{suffix}", about.as_text())) == about
    assert read_about(written(tmp_path / f"other.{suffix}")) is None


def cost_text(**cost):
    return AboutPrediction(task="regression", network=NetworkCost(**cost)).as_text()


def test_the_files_of_a_model_tell_together_what_each_knows(tmp_path):
    paths = [
        written(tmp_path / "silent.parquet"),
        written(tmp_path / "a.parquet", cost_text(parameters=5449, seconds_per_row=0.25)),
        written(tmp_path / "b.parquet", cost_text(flops_per_row=7.0, seconds_per_row=0.75)),
    ]
    cost = NetworkCost(parameters=5449, flops_per_row=7.0, seconds_per_row=0.5)
    assert read_abouts(paths) == AboutPrediction(task="regression", network=cost)
    assert read_abouts(paths[:1]) is None


def test_files_of_two_networks_are_no_model(tmp_path):
    one = written(tmp_path / "one.parquet", cost_text(parameters=5449))
    two = written(tmp_path / "two.parquet", cost_text(parameters=83842))
    message = r"two\.parquet: its parameters: 83,842; .*one\.parquet: 5,449: the files of one model"
    with pytest.raises(DataError, match=message):
        read_abouts([one, two])
    tagger = AboutPrediction(task="regression", classes=("b", "c")).as_text()
    three = written(tmp_path / "three.parquet", tagger)
    with pytest.raises(DataError, match=r"three\.parquet: its classes: b, c; .*one.*: none"):
        read_abouts([one, three])


def test_a_file_from_before_a_time_was_measured_is_read(tmp_path):
    text = json.loads(cost_text(parameters=3, single_row_seconds=1e-5))
    del text["network"]["single_row_seconds"]
    about = read_about(written(tmp_path / "old.parquet", json.dumps(text)))
    assert about.network == NetworkCost(parameters=3)


def test_what_is_damaged_is_named(tmp_path):
    path = written(tmp_path / "pred.parquet", json.dumps({"task": 3}))
    with pytest.raises(
        DataError, match=r"pred\.parquet: damaged metadata 'weaver_tt_about': there is no outputs"
    ):
        read_about(path)
