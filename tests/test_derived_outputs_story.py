"""Derived outputs as a user meets them: a corrected momentum in predictions and in the graph."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import onnx
import pytest
import yaml

from weaver_tt import cli
from weaver_tt.applications.jet_energy.correction import Correction, save_correction
from weaver_tt.deploy import Tagger
from weaver_tt.physics.jet_curves import EtaCurves, PtCurve

ROWS = 24
NETWORK = """
import torch


class Net(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer = torch.nn.Linear(inputs, outputs)

    def forward(self, jet):
        return self.layer(jet)


def get_model(data_config, outputs=1):
    return Net(len(data_config.input_dicts["jet"]), outputs), {"input_names": ["jet"]}
"""
JETS = {
    "new_variables": {"log_pt": "np.log(jet_pt)"},
    "inputs": {"jet": {"length": None, "vars": ["log_pt", "jet_eta"]}},
    "preprocess": {"method": "auto"},
    "labels": {"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)"}},
    "observers": ["jet_pt", "gen_pt?"],
    "derived_outputs": {"corrected_pt": "jet_pt * np.exp(y)"},
}
FLAVOURS = {
    **JETS,
    "labels": {"type": "simple", "value": ["b", "c", "light"]},
    "derived_outputs": {"D_b": "np.log(b / (0.1 * c + 0.9 * light))"},
}


class Jets:
    """``train.py`` on a few jets, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        random = np.random.default_rng(1)
        jet_pt = random.uniform(30, 300, ROWS)
        flavour = np.arange(ROWS) % 3
        columns = {
            "jet_pt": jet_pt,
            "jet_eta": random.normal(size=ROWS),
            "gen_pt": jet_pt * random.normal(1.1, 0.1, ROWS),
        }
        columns |= {name: flavour == number for number, name in enumerate(("b", "c", "light"))}
        ak.to_parquet(ak.zip(columns), folder / "jets.parquet")
        data = ak.zip({name: columns[name] for name in ("jet_pt", "jet_eta")})
        ak.to_parquet(data, folder / "data.parquet")
        (folder / "net.py").write_text(NETWORK)

    def write_yaml(self, values: dict[str, object], name: str = "data.yaml") -> None:
        (self.folder / name).write_text(yaml.safe_dump(values, sort_keys=False))

    def __call__(self, *flags: object) -> int:
        common = ["-c", self.folder / "data.yaml", "--gpus", "", "--no-progress", "--no-figures"]
        return cli.train([str(flag) for flag in [*common, *flags]])

    def train(self, *flags: object) -> int:
        cut = ["--num-epochs", 1, "--batch-size", 8, "--seed", 3, "--tensorboard", "off"]
        network = ["-n", self.folder / "net.py", "-m", self.folder / "net"]
        return self("-i", self.folder / "jets.parquet", *network, *cut, *flags)

    def export(self, *flags: object) -> int:
        network = ["-n", self.folder / "net.py", "-m", self.folder / "net"]
        return self(*network, "--export-onnx", self.folder / "net.onnx", *flags)

    def predict(self, model: str, *flags: object, files: str = "jets.parquet") -> ak.Array:
        network = [] if model.endswith(".onnx") else ["-n", self.folder / "net.py"]
        output = self.folder / "pred.parquet"
        place = ["-t", self.folder / files, "--predict-output", output]
        assert self("--predict", "-m", self.folder / model, *network, *place, *flags) == 0
        return ak.from_parquet(output)


@pytest.fixture
def jets(tmp_path) -> Jets:
    return Jets(tmp_path)


def test_a_corrected_momentum_is_written_by_torch_and_by_onnx_alike(jets):
    jets.write_yaml(JETS)
    assert jets.train("--ensemble", 2) == 0
    in_torch = jets.predict("net")
    assert in_torch.fields == [
        "output_y",
        "output_y_std",
        "y",
        "corrected_pt",
        "corrected_pt_std",
        "jet_pt",
        "gen_pt",
    ]
    expected = in_torch.jet_pt * np.exp(in_torch.output_y)
    np.testing.assert_allclose(in_torch.corrected_pt, expected, rtol=1e-6)
    # of two members a and b: (exp(a) - exp(b)) / 2, with a, b = mean +- spread
    expected = in_torch.corrected_pt * np.sinh(in_torch.output_y_std)
    np.testing.assert_allclose(in_torch.corrected_pt_std, expected, rtol=1e-3)
    assert min(in_torch.corrected_pt_std) > 0
    assert jets.export() == 0
    in_onnx = jets.predict("net.onnx")
    assert in_onnx.fields == in_torch.fields
    for name in in_torch.fields:
        np.testing.assert_allclose(in_onnx[name], in_torch[name], rtol=1e-4, atol=1e-6)


def test_data_without_truth_are_corrected(jets):
    jets.write_yaml(JETS)
    assert jets.train() == 0
    found = jets.predict("net", files="data.parquet")
    assert found.fields == ["output_y", "corrected_pt", "jet_pt"]
    assert np.isfinite(found.corrected_pt.to_numpy()).all()


def test_rows_without_a_value_are_written_and_told(jets, capsys):
    # the logarithm of a negative number for jets above 100 GeV
    derived = {"corrected_pt": "jet_pt * np.exp(y)", "bad": "np.log(100 - jet_pt)"}
    jets.write_yaml({**JETS, "derived_outputs": derived})
    assert jets.train() == 0
    found = jets.predict("net")
    undefined = found.jet_pt > 100
    np.testing.assert_array_equal(np.isnan(found.bad), undefined)
    error = capsys.readouterr().err
    assert f"bad is NaN or infinite for {np.sum(undefined)} rows, which are written" in error
    assert "corrected_pt is NaN" not in error
    # they have an output, and so a part in the metrics
    metrics = json.loads((jets.folder / "pred_metrics.json").read_text())["metrics"]
    mae = np.mean(np.abs(found.output_y - found.y))
    assert metrics["mae"] == pytest.approx(mae, rel=1e-5)


def test_no_selected_row_gives_the_same_columns(jets):
    jets.write_yaml(JETS)
    assert jets.train() == 0
    jets.write_yaml({**JETS, "test_time_selection": "jet_pt < 0"})
    found = jets.predict("net")
    assert len(found) == 0
    assert {"output_y", "corrected_pt"} <= set(found.fields)


def test_a_discriminant_of_a_classifier(jets):
    jets.write_yaml(FLAVOURS)
    assert jets.train("-o", "outputs", 3) == 0
    found = jets.predict("net", "-o", "outputs", 3)
    rest = 0.1 * found.score_c + 0.9 * found.score_light
    np.testing.assert_allclose(found.D_b, np.log(found.score_b / rest), rtol=1e-4, atol=1e-6)
    assert jets.export("-o", "outputs", 3) == 0
    np.testing.assert_allclose(jets.predict("net.onnx").D_b, found.D_b, rtol=1e-4, atol=1e-6)


def test_an_uncertainty_of_quantiles_and_an_analysis_without_torch(jets):
    quantiles = {"pinball": {"quantiles": [0.16, 0.5, 0.84]}}
    task = {"name": "regression", "targets": {"y": {"loss": quantiles}}}
    derived = {
        "corrected_pt": "jet_pt * np.exp(y_q50)",
        "resolution": "corrected_pt * (np.exp(y_q84 - y_q50) - np.exp(y_q16 - y_q50)) / 2",
    }
    jets.write_yaml({**JETS, "task": task, "derived_outputs": derived})
    assert jets.train("-o", "outputs", 3, "--ensemble", 2) == 0
    assert jets.export("-o", "outputs", 3) == 0
    found = jets.predict("net", "-o", "outputs", 3)
    width = np.exp(found.output_y_q84) - np.exp(found.output_y_q16)
    np.testing.assert_allclose(found.resolution, found.jet_pt * width / 2, rtol=1e-4)
    described = json.loads((jets.folder / "preprocess.json").read_text())
    assert described["output_names"] == ["y_q16", "y_q50", "y_q84", "corrected_pt", "resolution"]
    # raw columns and nothing else: log_pt is made by the analysis
    columns = ak.from_parquet(jets.folder / "jets.parquet")
    given = {"jet_pt": columns.jet_pt, "log_pt": np.log(columns.jet_pt), "jet_eta": columns.jet_eta}
    in_analysis = Tagger(jets.folder, model="net.onnx")(given)
    for name, values in in_analysis.items():
        ours = name if name in found.fields else f"output_{name}"
        np.testing.assert_allclose(values, found[ours], rtol=1e-4, atol=1e-6)


def test_classes_and_targets_are_derived_from_together(jets):
    labels = [FLAVOURS["labels"], JETS["labels"]]
    derived = {"pt_of_b": "jet_pt * np.exp(np.where(b > light, y, 0))"}
    jets.write_yaml({**JETS, "labels": labels, "task": "hybrid", "derived_outputs": derived})
    assert jets.train("-o", "outputs", 4) == 0
    found = jets.predict("net", "-o", "outputs", 4)
    is_b = found.score_b > found.score_light
    expected = found.jet_pt * np.where(is_b, np.exp(found.output_y), 1)
    np.testing.assert_allclose(found.pt_of_b, expected, rtol=1e-6)
    assert jets.export("-o", "outputs", 4) == 0
    described = json.loads((jets.folder / "preprocess.json").read_text())
    assert described["output_names"] == ["b", "c", "light", "y", "pt_of_b"]
    np.testing.assert_allclose(jets.predict("net.onnx").pt_of_b, expected, rtol=1e-4)


def test_members_are_averaged_in_the_units_of_the_target(jets):
    # learnt is log(gen_pt / jet_pt), the target is gen_pt itself
    target = {"pt": {"transform": [{"ratio": "jet_pt"}, "log"]}}
    jets.write_yaml(
        {
            **JETS,
            "labels": {"type": "custom", "value": {"pt": "gen_pt"}},
            "task": {"name": "regression", "targets": target},
            "derived_outputs": {"factor": "pt / jet_pt"},
        }
    )
    assert jets.train("--ensemble", 2) == 0
    found = jets.predict("net")
    assert min(found.output_pt) > 0
    # in GeV: the mean of two momenta, and half of their difference
    members = [
        jets.predict(f"net_member-{member}_best_epoch_state.pt").output_pt for member in (0, 1)
    ]
    np.testing.assert_allclose(found.output_pt, (members[0] + members[1]) / 2, rtol=1e-5)
    half = np.abs(members[0] - members[1]) / 2
    np.testing.assert_allclose(found.output_pt_std, half, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.factor, found.output_pt / found.jet_pt, rtol=1e-6)
    assert jets.export() == 0
    described = json.loads((jets.folder / "preprocess.json").read_text())
    assert described["output_names"] == ["pt", "factor"]
    assert described["derived_inputs"]["var_names"] == ["jet_pt"]
    in_onnx = jets.predict("net.onnx")
    for name in ("output_pt", "output_pt_std", "factor"):
        np.testing.assert_allclose(in_onnx[name], found[name], rtol=1e-4, atol=1e-3)


def test_a_file_that_was_exported_without_it_still_predicts(jets, capsys):
    jets.write_yaml({name: value for name, value in JETS.items() if name != "derived_outputs"})
    assert jets.train() == 0
    assert jets.export() == 0
    jets.write_yaml(JETS)
    assert jets.predict("net.onnx").fields == ["output_y", "y", "jet_pt", "gen_pt"]
    assert "exported without derived_outputs, so that corrected_pt is not written" in (
        capsys.readouterr().err
    )
    # the weights are as good as before, and so are the rows that are kept beside them
    assert "corrected_pt" in jets.predict("net").fields
    assert jets.export() == 0
    assert "is compared with random ones" in capsys.readouterr().err
    assert "corrected_pt" in jets.predict("net.onnx").fields


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        ("jet_pt * np.exp(yy)", "no column 'yy' (needed by derived_outputs.x)"),
        ("jet_pt * np.exp(yy)", "Of outputs: did you mean 'y'?"),
        ("jet_ptt * np.exp(y)", "did you mean 'jet_pt' or"),
        ("jet_pt * np.exp(y_q16)", "derived_outputs.x: no output 'y_q16'; known: y"),
        ("gen_pt * np.exp(y)", "derived_outputs.x: 'gen_pt' is read for labels, weights or"),
        ("jet_pt * np.sinh(y)", "np.sinh cannot be computed in a network"),
    ],
)
def test_what_cannot_be_derived_is_said_before_anything_is_trained(jets, capsys, derived, message):
    jets.write_yaml({**JETS, "derived_outputs": {"x": derived}})
    assert jets.train() == 1
    assert message in capsys.readouterr().err
    assert not list(jets.folder.glob("net_*"))
    assert not list(jets.folder.glob("net.*yaml"))


def test_a_column_of_predictions_is_no_name_for_a_derived_output(jets, capsys):
    for name in ("output_y", "output_y_std"):
        jets.write_yaml({**JETS, "derived_outputs": {name: "2 * y"}})
        assert jets.train() == 1
        error = capsys.readouterr().err
        assert f"derived_outputs.{name}: {name!r} is a column of predictions already" in error


def test_a_correction_after_the_network_is_applied_in_predictions_and_in_the_graph(jets, capsys):
    curve = PtCurve(
        edges=np.array([20.0, 60, 250]),
        coefficients=np.array([[0.1, -0.1, 0, 0], [0.1 - 0.1 * np.log(3), 0.02, 0.01, 0]]),
        errors=np.zeros((2, 2)),
    )
    curves = EtaCurves(eta_edges=np.array([0.0, 2.5]), curves=(curve,))
    sources = {"pt": "jet_pt * np.exp(output_y)", "eta": "jet_eta"}
    correction = Correction(curves=curves, sources=sources)
    save_correction(correction, jets.folder / "after.json", "")
    # the correction is derived from predictions: the network is trained without it
    jets.write_yaml(JETS | {"observers": ["jet_pt", "jet_eta", "gen_pt?"]})
    assert jets.train("--ensemble", 2) == 0
    last = {"correction": "after.json", "pt": "corrected_pt"}
    derived = JETS["derived_outputs"] | {"calibrated_pt": last}
    jets.write_yaml(JETS | {"observers": ["jet_pt", "jet_eta"], "derived_outputs": derived})
    in_torch = jets.predict("net")
    assert in_torch.fields[-6:-2] == [
        "corrected_pt",
        "calibrated_pt",
        "corrected_pt_std",
        "calibrated_pt_std",
    ]
    values = {name: in_torch[name].to_numpy() for name in in_torch.fields}
    is_outside = correction.is_outside(correction.values(values))
    # a jet beyond the range has no value, and is told
    assert 0 < is_outside.sum() < ROWS
    assert (np.isnan(values["calibrated_pt"]) == is_outside).all()
    assert "calibrated_pt" in capsys.readouterr().err
    expected = correction.extrapolating().corrected(values)
    np.testing.assert_allclose(
        values["calibrated_pt"][~is_outside], expected[~is_outside], rtol=1e-5
    )
    # the graph has it inside; eta is one more column of the rows that it is compared with
    assert jets.export("-t", jets.folder / "jets.parquet") == 0
    sidecar = json.loads((jets.folder / "preprocess.json").read_text())
    assert sidecar["output_names"][:3] == ["y", "corrected_pt", "calibrated_pt"]
    in_onnx = jets.predict("net.onnx")
    for name in in_torch.fields:
        np.testing.assert_allclose(in_onnx[name], in_torch[name], rtol=1e-4, atol=1e-6)
    jets.predict("net")
    # and not the one that has replaced the file since
    save_correction(correction.extrapolating(), jets.folder / "after.json", "")
    # a prediction that goes on is another one with another correction
    again = jets.predict("net", "--resume")
    assert np.isfinite(again["calibrated_pt"]).to_numpy().all()
    capsys.readouterr()
    place = ["-t", jets.folder / "jets.parquet", "--predict-output", jets.folder / "p.parquet"]
    assert jets("--predict", "-m", jets.folder / "net.onnx", *place) == 1
    assert "was exported with derived_outputs" in capsys.readouterr().err


def test_a_discriminant_is_in_predictions_in_the_graph_and_in_a_report(jets):
    discriminants = {"heavy": ["b", "c"], "HvsL": "heavy / (heavy + light)"}
    jets.write_yaml({**FLAVOURS, "derived_outputs": {}, "discriminants": discriminants})
    assert jets.train("-o", "outputs", 3) == 0
    in_torch = jets.predict("net", "-o", "outputs", 3)
    expected = (in_torch.score_b + in_torch.score_c) / (
        in_torch.score_b + in_torch.score_c + in_torch.score_light
    )
    np.testing.assert_allclose(in_torch.HvsL, expected, rtol=1e-6)
    assert "heavy" not in in_torch.fields
    assert jets.export("-o", "outputs", 3) == 0
    graph = onnx.load(str(jets.folder / "net.onnx"))
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(metadata["derived"]) == {"HvsL": "(b + c) / (b + c + light)"}
    in_onnx = jets.predict("net.onnx")
    np.testing.assert_allclose(in_onnx.HvsL, in_torch.HvsL, rtol=1e-5)
    report = jets.folder / "report"
    assert cli.main(["report", str(jets.folder / "pred.parquet"), "-o", str(report)]) == 0
    content = json.loads((report / "metrics.json").read_text())["discriminants"]
    assert content["HvsL"]["signal"] == ["b", "c"]
    # the share of the pairs that are ordered rightly
    is_light = in_onnx.light.to_numpy() == 1
    heavy = in_onnx.HvsL.to_numpy()[~is_light]
    light = in_onnx.HvsL.to_numpy()[is_light]
    area = np.mean(heavy[:, None] > light)
    assert content["HvsL"]["models"]["pred"]["auc"]["value"] == pytest.approx(area, abs=0.02)
