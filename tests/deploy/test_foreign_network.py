"""Networks that others exported predict with the inputs and names of their ``preprocess.json``."""

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import pytest
import uproot
from onnx import TensorProto, helper

from tests.deploy.conftest import write_mixed_model
from weaver_tt import cli
from weaver_tt.config.load import from_mapping
from weaver_tt.deploy import Tagger
from weaver_tt.deploy.foreign_network import ForeignNetwork, open_foreign
from weaver_tt.errors import ConfigError
from weaver_tt.output.about import read_about

UNBOUNDED = {"lower_bound": -1e32, "upper_bound": 1e32, "pad": 0}
PLAIN = {"median": 0, "norm_factor": 1, "replace_inf_value": 0, **UNBOUNDED}
PT = {"median": 10, "norm_factor": 0.5, "replace_inf_value": 2, "pad": -1}


def sidecar_of(**changes: Any) -> dict[str, Any]:
    """As CMS publishes them: a dictionary of outputs, var_infos in any order, bounds of lengths."""
    content = {
        "output_names": {"top": {}, "QCD": {}},
        "input_names": ["pf_features", "pf_mask", "event"],
        "pf_features": {
            "var_names": ["pf_pt", "pf_eta"],
            "var_infos": {"pf_eta": PLAIN, "pf_pt": {**PT, "lower_bound": -5, "upper_bound": 5}},
            "min_length": 2,
            "max_length": 3,
        },
        "pf_mask": {
            "var_names": ["pf_mask"],
            "var_infos": {"pf_mask": PLAIN},
            "min_length": 2,
            "max_length": 3,
        },
        "event": {"var_names": ["met"], "var_infos": {"met": PLAIN}, "var_length": 1},
    }
    return content | changes


def write_model(folder: Path, sidecar: dict[str, Any], objects: Any = "P") -> Path:
    """The sums over objects of both features, with the number of objects and met added to one.

    Outputs: [sum of pt + number + met, sum of eta].
    """

    def tensor(name: str, *shape: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])

    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [2])
    parts = helper.make_tensor("parts", TensorProto.INT64, [2], [1, 1])
    nodes = [
        helper.make_node("ReduceSum", ["pf_features", "axis"], ["sums"], keepdims=0),
        helper.make_node("ReduceSum", ["pf_mask", "axis"], ["number"], keepdims=0),
        helper.make_node("ReduceSum", ["event", "axis"], ["of_event"], keepdims=0),
        helper.make_node("Split", ["sums", "parts"], ["pt", "eta"], axis=1),
        helper.make_node("Sum", ["pt", "number", "of_event"], ["first"]),
        helper.make_node("Concat", ["first", "eta"], ["softmax"], axis=1),
    ]
    inputs = [
        tensor("pf_features", 2, objects),
        tensor("pf_mask", 1, objects),
        tensor("event", 1, 1),
    ]
    graph = helper.make_graph(nodes, "graph", inputs, [tensor("softmax", 2)], [axis, parts])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(exist_ok=True)
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "preprocess.json").write_text(json.dumps(sidecar))
    return folder / "model.onnx"


def config_of(**changes: Any) -> Any:
    values = {
        "inputs": {
            "pf_features": {"length": 2, "vars": ["pf_eta", ["pf_pt", 1, 2]]},
            "pf_mask": {"length": 2, "vars": ["pf_mask"]},
            "event": {"vars": ["met"]},
        },
        "new_variables": {"pf_mask": "ak.ones_like(pf_pt)"},
        "observers": ["number"],
    }
    return values | changes


COLUMNS = {
    # of the last one, three are given to the network; NaN counts as a pt of 2
    "pf_pt": ak.Array([[12.0], [], [14.0, np.nan, 1000.0, 50.0]]),
    "pf_eta": ak.Array([[0.5], [], [1.0, 2.0, 3.0, 4.0]]),
    "pf_mask": ak.Array([[1.0], [], [1.0, 1.0, 1.0, 1.0]]),
    "met": np.array([30.0, 40.0, 50.0]),
    "number": np.array([7, 8, 9]),
    "is_top": np.array([1, 0, 1]),
}
EVENT_COLUMNS = ("jet_pt", "jet_eta", "jet_phi", "jet_flavour", "met", "npv")
# (12 - 10) / 2 and two or three times -1 where there is no object: 1 - 2, -3, and 2 - 4 + 5
TOP = [1 - 2 + 1 + 30, -3 + 0 + 40, 2 - 4 + 5 + 3 + 50]
QCD = [0.5, 0.0, 6.0]


def predict(
    folder: Path, config: dict[str, Any], model: Path, columns: dict[str, Any] = COLUMNS
) -> ak.Array:
    names = [name for name in columns if name != "pf_mask"]
    table = ak.zip({name: columns[name] for name in names}, depth_limit=1)
    ak.to_parquet(table, folder / "in.parquet")
    (folder / "data.yaml").write_text(json.dumps(config))
    output = folder / "out.root"
    flags = ["--predict", "-c", folder / "data.yaml", "-m", model, "-t", folder / "in.parquet"]
    flags += ["--predict-output", output, "--gpus=", "--no-figures"]
    assert cli.train([str(flag) for flag in flags]) == 0
    return uproot.open(f"{output}:tree").arrays()


def test_inputs_names_and_scaling_are_those_of_the_sidecar(tmp_path, caplog):
    """Whatever the data YAML says of order, scaling and lengths; as the Tagger does it."""
    model = write_model(tmp_path / "cms", sidecar_of())
    found = predict(tmp_path, config_of(), model)
    assert found["score_top"].tolist() == TOP
    assert found["score_QCD"].tolist() == QCD
    assert found["number"].tolist() == [7, 8, 9]
    assert set(found.fields) == {"score_top", "score_QCD", "number"}
    # of the Tagger, which fills up no more than the fullest row needs: one by one, two for one
    alone = Tagger(tmp_path / "cms", batch_size=3)(COLUMNS)
    assert alone["top"].tolist() == TOP
    assert alone["QCD"].tolist() == QCD
    about = read_about(str(tmp_path / "out.root"))
    assert (about.task, about.outputs) == ("scores", ("score_top", "score_QCD"))


def test_the_log_says_what_the_sidecar_says(tmp_path, caplog):
    model = write_model(tmp_path / "cms", sidecar_of())
    config = from_mapping(config_of(labels={"type": "simple", "value": ["is_top"]}))
    with caplog.at_level("INFO"):
        network = open_foreign(model, config, threads=1)
    assert isinstance(network, ForeignNetwork)
    text = caplog.text
    assert "outputs are those of" in text
    assert "top, QCD" in text
    assert "input pf_features: pf_pt, pf_eta; 3 objects" in text
    assert "input event: met; one number each" in text
    assert "inputs.pf_features lists pf_eta, pf_pt" in text
    assert "labels (is_top) are not the outputs of the network (top, QCD)" in text


def test_classes_of_the_yaml_with_the_names_of_outputs_are_compared(tmp_path):
    """In the order of the outputs, whatever that of the YAML is."""
    labels = {"type": "simple", "value": ["QCD", "top"]}
    new = {"pf_mask": "ak.ones_like(pf_pt)", "top": "is_top", "QCD": "1 - is_top"}
    config = from_mapping(config_of(labels=labels, new_variables=new))
    model = write_model(tmp_path / "cms", sidecar_of())
    network = open_foreign(model, config, threads=1)
    assert list(network.config.labels.classes) == ["top", "QCD"]
    found = predict(tmp_path, config_of(labels=labels, new_variables=new), model)
    assert found["score_top"].tolist() == TOP
    assert found["top"].tolist() == [1, 0, 1]
    metrics = json.loads((tmp_path / "out_metrics.json").read_text())["metrics"]
    # the second row, a QCD one with scores (37, 0), is called a top
    assert metrics["accuracy"] == pytest.approx(2 / 3)


def test_a_fixed_length_is_that_of_the_graph(tmp_path):
    lengths = {"var_length": 3}
    sidecar = sidecar_of()
    for name in ("pf_features", "pf_mask"):
        of_input = {k: v for k, v in sidecar[name].items() if not k.endswith("_length")}
        sidecar[name] = of_input | lengths
    model = write_model(tmp_path / "weaver", sidecar, objects=3)
    found = predict(tmp_path, config_of(), model)
    assert found["score_top"].tolist() == TOP


@pytest.mark.parametrize(
    ("sidecar", "changes", "message"),
    [
        (sidecar_of(output_names=["a", "b", "c"]), {}, "names 3 outputs, a, b, c; .* gives 2"),
        ({k: v for k, v in sidecar_of().items() if k != "event"}, {}, "input 'event'; known: pf_"),
        (
            sidecar_of(event={"var_names": ["met", "x"], "var_length": 1, "var_infos": {}}),
            {},
            "var_infos do not describe 'met'",
        ),
        (
            sidecar_of(pf_mask=sidecar_of()["pf_mask"] | {"max_length": 200_000}),
            {},
            "pf_mask: up to 200000 objects a row; expected at most 100000",
        ),
        (
            sidecar_of(event=sidecar_of()["pf_features"]),
            {},
            "event: there are 2 var_names, the network takes 1",
        ),
        (
            sidecar_of(),
            {
                "inputs": {"jets": {"length": 2, "vars": ["pf_pt"]}},
                "object_selection": {"jets": "pf_pt > 3"},
            },
            r"object_selection\.jets: no input of .*model\.onnx",
        ),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused_by_name(tmp_path, sidecar, changes, message):
    model = write_model(tmp_path / "cms", sidecar)
    with pytest.raises(Exception, match=message) as caught:
        open_foreign(model, from_mapping(config_of(**changes)), threads=1)
    assert type(caught.value).__name__ in ("ConfigError", "DataError")


def test_without_a_sidecar_it_is_refused(tmp_path):
    model = write_model(tmp_path / "cms", sidecar_of())
    (tmp_path / "cms" / "preprocess.json").unlink()
    with pytest.raises(ConfigError, match=r"not written by weaver_tt .*no .*preprocess\.json"):
        open_foreign(model, from_mapping(config_of()), threads=1)


def test_further_outputs_have_their_own_names(tmp_path):
    """None of what a network gives is dropped."""
    path = write_model(tmp_path / "cms", sidecar_of())
    model = onnx.load(str(path))
    model.graph.output.append(
        helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["N", 2]),
    )
    onnx.save(model, str(path))
    found = predict(tmp_path, config_of(), path)
    assert found["score_sums_1"].tolist() == QCD
    assert found["score_top"].tolist() == TOP


def test_jets_of_events_are_judged_one_by_one(tmp_path):
    """The three rows above as two jets of one event and one of the next."""
    events = {name: ak.unflatten(values, [2, 1]) for name, values in COLUMNS.items()}
    events["number"] = np.array([7, 8])
    rows = {"objects": "jet", "columns": ["pf_*", "met"]}
    model = write_model(tmp_path / "cms", sidecar_of())
    found = predict(tmp_path, config_of(rows=rows), model, events)
    assert found["score_top"].tolist() == TOP
    assert found["score_QCD"].tolist() == QCD
    assert found["number"].tolist() == [7, 7, 8]
    assert found["event_entry"].tolist() == [0, 0, 1]
    assert found["object_place"].tolist() == [0, 1, 0]


def test_masks_that_the_yaml_does_not_mention_are_1_for_each_object(tmp_path):
    """As the readers in C++ and the Tagger take them."""
    model = write_model(tmp_path / "cms", sidecar_of())
    config = config_of(inputs={"pf_features": {"length": 2, "vars": ["pf_pt"]}}, new_variables={})
    # the number of each row need not be an input of length 1 there
    config["inputs"]["event"] = {"vars": ["met"]}
    assert predict(tmp_path, config, model)["score_top"].tolist() == TOP
    # one that it mentions is what it says
    own = {"pf_mask": "2 * ak.ones_like(pf_pt)"}
    found = predict(tmp_path, config_of(new_variables=own), model)
    assert found["score_top"].tolist() == [
        top + number for top, number in zip(TOP, [1, 0, 3], strict=True)
    ]


def test_an_export_without_its_metadata_gives_the_numbers_of_torch(tmp_path, exports):
    """An input of objects, one of masks, numbers of the row scaled and raw."""
    rows = json.loads((exports["event"] / "golden.json").read_text())["rows"]

    def number(value):
        # NaN and infinities are texts there
        return [float(one) for one in value] if isinstance(value, list) else float(value)

    for name in ("model.onnx", "preprocess.json"):
        (tmp_path / name).write_bytes((exports["event"] / name).read_bytes())
    model = onnx.load(str(tmp_path / "model.onnx"))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "model.onnx"))
    columns = {
        name: ak.Array([number(row["columns"][name]) for row in rows]) for name in EVENT_COLUMNS
    }
    config = {"inputs": {"pf_features": {"length": 2, "vars": ["jet_pt"]}}}
    found = predict(tmp_path, config, tmp_path / "model.onnx", columns)
    for name in rows[0]["outputs"]:
        expected = [float(row["outputs"][name]) for row in rows]
        assert found[f"score_{name}"].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("classes", "is_kept"), [(["top", "QCD"], True), (["QCD", "top"], False)])
def test_numbers_of_classes_are_places_among_the_outputs(tmp_path, classes, is_kept):
    """They cannot be put into another order, as columns of classes can."""
    labels = {"type": "custom", "value": {"number": "1 - is_top"}, "classes": classes}
    network = open_foreign(
        write_model(tmp_path / "cms", sidecar_of()), from_mapping(config_of(labels=labels)), 1
    )
    assert (network.config.labels is not None) == is_kept


def test_a_prediction_with_another_sidecar_is_not_there_already(tmp_path):
    """Two names are changed for each other: nothing else tells it from the one before."""
    model = write_model(tmp_path / "cms", sidecar_of())
    predict(tmp_path, config_of(), model)
    flags = ["--predict", "--resume", "-c", tmp_path / "data.yaml", "-m", model, "--gpus="]
    flags += ["-t", tmp_path / "in.parquet", "--predict-output", tmp_path / "of_{file}.root"]
    columns = []
    for names in (["top", "QCD"], ["top", "QCD"], ["QCD", "top"]):
        (tmp_path / "cms" / "preprocess.json").write_text(
            json.dumps(sidecar_of(output_names=names))
        )
        assert cli.train([*map(str, flags), "--no-figures"]) == 0
        columns.append(uproot.open(f"{tmp_path}/of_in.root:tree")["score_top"].array().to_list())
    assert columns == [TOP, TOP, QCD]


@pytest.mark.parametrize("several", [False, True])
def test_classes_and_targets_of_one_model_are_told_apart(tmp_path, several):
    """In one output or in two, of an input (N, C, P, 1) whose length is in its input_shape."""
    rows = write_mixed_model(tmp_path / "cms", several)
    columns = {
        name: ak.Array([row["columns"][name] for row in rows]) for name in ("pf_pt", "pf_eta")
    }
    expected = {name: [row["outputs"][name] for row in rows] for name in rows[0]["outputs"]}
    tagger = Tagger(tmp_path / "cms")
    assert tagger.output_names == ["probX", "probQCD", "massCorr"]
    found = tagger(columns)
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, abs=1e-6)
    config = {"inputs": {"pfcand": {"length": 2, "vars": ["pf_eta", "pf_pt"]}}}
    written = predict(tmp_path, config, tmp_path / "cms/model.onnx", columns)
    assert written.fields == ["score_probX", "score_probQCD", "output_massCorr"]
    for name, values in zip(written.fields, expected.values(), strict=True):
        assert written[name].tolist() == pytest.approx(values, abs=1e-6)
    about = read_about(str(tmp_path / "out.root"))
    assert about.outputs == ("score_probX", "score_probQCD", "output_massCorr")


def test_targets_of_the_yaml_are_none_of_the_scores(tmp_path):
    """Where the file does not say which outputs are real numbers."""
    write_mixed_model(tmp_path / "cms", several=False)
    path = tmp_path / "cms/preprocess.json"
    sidecar = json.loads(path.read_text())
    del sidecar["target_names"]
    path.write_text(json.dumps(sidecar))
    labels = [
        {"type": "simple", "value": ["probX", "probQCD"]},
        {"type": "custom", "value": {"massCorr": "met"}},
    ]
    config = {"inputs": {"pfcand": {"length": 2, "vars": ["pf_pt"]}}, "labels": labels}
    network = open_foreign(tmp_path / "cms/model.onnx", from_mapping(config), threads=1)
    assert network.targets == {"massCorr"}
    assert network.config.labels is None
