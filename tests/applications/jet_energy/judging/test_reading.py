"""Jets of several models are read side by side, from files of jets and of events."""

import awkward as ak
import numpy as np
import pytest

from tests.applications.jet_energy.judging.conftest import (
    REPORT,
    make_jets,
    model_of,
    write_prediction,
)
from weaver_tt.applications.jet_energy.judging import reading
from weaver_tt.applications.jet_energy.judging.reading import (
    COLUMN,
    JetModel,
    file_columns,
    side_by_side,
)
from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import AboutPrediction, NetworkCost, about_prediction
from weaver_tt.tasks.registry import make_task


def written(path, columns):
    with open_writer(path) as writer:
        writer.write(columns)
    return str(path)


def test_expressions_of_columns_are_read_whatever_the_chunks(tmp_path, jets, monkeypatch):
    path = write_prediction(tmp_path / "pred.root", jets)
    monkeypatch.setattr(reading, "CHUNK_ROWS", 333)
    chunks = list(model_of(path).chunks())
    assert len(chunks) == 7
    corrected = np.concatenate([chunk["corrected_pt"] for chunk in chunks])
    assert corrected == pytest.approx(jets["jet_pt"] * np.exp(jets["output_y"]))


def test_a_column_with_the_name_of_something_measured_stays_what_it_is(tmp_path, jets):
    path = write_prediction(tmp_path / "pred.parquet", jets)
    model = model_of(path, columns={"rho": "2 * rho"}, more=("rho",))
    (chunk,) = model.chunks()
    assert chunk["rho"] == pytest.approx(2 * jets["rho"])
    assert file_columns(chunk, ["rho"])["rho"] == pytest.approx(jets["rho"])
    assert COLUMN + "rho" in chunk


def test_jets_of_events_follow_each_other_with_what_their_event_has(tmp_path):
    events = {
        "Jet_pt": ak.Array([[50.0, 40.0], [], [30.0]]),
        "Jet_factor": ak.Array([[1.1, 0.9], [], [1.0]]),
        "Jet_flavour": ak.Array(np.array([[5, 21], [], [1]], dtype=object).tolist()),
        "gen_pt": ak.Array([[55.0, 35.0], [], [33.0]]),
        "gen_eta": ak.Array([[0.1, -3.0], [], [1.0]]),
        "rho": np.array([7.0, 8.0, 9.0]),
    }
    events["Jet_flavour"] = ak.values_astype(events["Jet_flavour"], np.int32)
    columns = {
        "corrected_pt": "Jet_pt * Jet_factor",
        "true_pt": "gen_pt",
        "true_eta": "gen_eta",
        "flavour": "Jet_flavour",
        "rho": "rho",
    }
    path = written(tmp_path / "nano.root", events)
    (chunk,) = JetModel(name="nano", paths=(path,), columns=columns).chunks()
    assert chunk["corrected_pt"] == pytest.approx([55, 36, 30])
    assert chunk["flavour"].tolist() == [5, 21, 1]
    assert chunk["rho"].tolist() == [7, 7, 9]


def test_lists_of_other_objects_are_not_taken_for_jets(tmp_path):
    events = {"Jet_pt": ak.Array([[50.0], [40.0]]), "GenJet_pt": ak.Array([[50.0], [40.0, 30.0]])}
    columns = dict.fromkeys(("corrected_pt", "true_eta", "flavour"), "Jet_pt")
    path = written(tmp_path / "nano.parquet", events)
    model = JetModel(name="nano", paths=(path,), columns=columns | {"true_pt": "GenJet_pt"})
    with pytest.raises(DataError, match=r"there are 2 of true_pt and 1 of corrected_pt: they are"):
        list(model.chunks())


def test_models_divided_into_other_files_are_read_side_by_side(tmp_path, jets, monkeypatch):
    whole = write_prediction(tmp_path / "whole.root", jets)
    cut = 700
    first = {name: values[:cut] for name, values in jets.items()}
    last = {name: values[cut:] for name, values in jets.items()}
    parts = [
        write_prediction(tmp_path / "first.parquet", first),
        write_prediction(tmp_path / "last.parquet", last),
    ]
    monkeypatch.setattr(reading, "CHUNK_ROWS", 300)
    pairs = list(side_by_side([model_of(whole), model_of(*parts, name="other")]))
    assert sum(len(one["true_pt"]) for one, _ in pairs) == len(jets["gen_pt"])
    for one, other in pairs:
        assert one["corrected_pt"] == pytest.approx(other["corrected_pt"])


def test_other_jets_are_refused_with_their_place(tmp_path, jets):
    path = write_prediction(tmp_path / "one.root", jets)
    other = make_jets()
    other["gen_pt"] = other["gen_pt"].copy()
    other["gen_pt"][1234] = 77.0
    changed = write_prediction(tmp_path / "other.root", other)
    with pytest.raises(DataError, match=r"other\.root: true_pt of jet 1234 is 77, in .*one\.root"):
        list(side_by_side([model_of(path), model_of(changed, name="other")]))


def test_more_jets_are_refused(tmp_path, jets):
    path = write_prediction(tmp_path / "one.root", jets)
    fewer = {name: values[:1500] for name, values in jets.items()}
    short = write_prediction(tmp_path / "short.root", fewer)
    message = r"short\.root ends after 1,500 jets, .*one\.root has more"
    with pytest.raises(DataError, match=message):
        list(side_by_side([model_of(path), model_of(short, name="short")]))


def test_numbers_that_went_through_float32_are_the_same(tmp_path, jets):
    path = write_prediction(tmp_path / "one.root", jets)
    rounded = dict(jets)
    for name in ("gen_pt", "gen_eta", "jet_pt"):
        rounded[name] = jets[name].astype(np.float32)
    other = write_prediction(tmp_path / "float.root", rounded)
    assert list(side_by_side([model_of(path), model_of(other, name="float")]))


def test_a_file_without_truth_is_named_with_what_lacks(tmp_path, jets):
    del jets["gen_pt"]
    path = write_prediction(tmp_path / "data.root", jets)
    message = r"data\.root.*no column 'gen_pt', of which true_pt is made .*--true-pt EXPRESSION"
    with pytest.raises(DataError, match=message):
        list(model_of(path).chunks())


def test_flavours_that_are_not_whole_are_refused(tmp_path, jets):
    jets["jet_flavour"] = jets["jet_flavour"].astype(np.float32)
    path = write_prediction(tmp_path / "pred.root", jets)
    with pytest.raises(DataError, match=r"'jet_flavour' \(flavour\) is of float32; expected whole"):
        list(model_of(path).chunks())


def test_a_weight_that_is_not_finite_is_refused(tmp_path, jets):
    path = write_prediction(tmp_path / "pred.root", jets)
    with pytest.raises(DataError, match=r"rows from 0: 'jet_pt/0' \(weight\) is not finite in 2,"):
        list(model_of(path, weight="jet_pt/0").chunks())


@pytest.mark.parametrize("name", ["corrected_pt", "true_pt", "true_eta", "flavour"])
def test_what_nobody_names_is_asked_for(name):
    columns = {key: text for key, text in REPORT.items() if key != name}
    model = JetModel(name="net", paths=("pred.root",), columns=columns)
    flag = f"--{name.replace('_', '-')} EXPRESSION"
    with pytest.raises(ConfigError, match=rf"pred\.root: nothing says which .* {name} .*{flag}"):
        model.check()


def test_quantiles_of_a_trained_network_are_known():
    config = {
        "inputs": {"jet": {"vars": [["jet_pt", None]]}},
        "labels": {"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)", "m": "gen_mass"}},
        "task": {
            "name": "regression",
            "targets": {"y": {"loss": {"pinball": {"quantiles": [0.025, 0.5, 0.975]}}}},
        },
    }
    about = about_prediction(make_task(from_mapping(config)), NetworkCost())
    model = model_of("pred.root", about=about)
    assert [(one.target, one.level) for one in model.quantiles] == [
        ("y", 0.025),
        ("y", 0.5),
        ("y", 0.975),
    ]


def test_quantiles_are_known_by_their_names_and_ordered():
    outputs = ("output_y_q84", "output_y_q2p5", "output_y_q50", "output_m", "output_z_q50")
    about = AboutPrediction(task="regression", outputs=outputs, targets=("y", "m"))
    model = model_of("pred.root", about=about)
    assert [(one.column, one.level) for one in model.quantiles] == [
        ("output_y_q2p5", 0.025),
        ("output_y_q50", 0.5),
        ("output_y_q84", 0.84),
    ]
