"""A file that takes raw columns gives the tensors, and the scores, that a prediction would.

What is compared with are the steps of a prediction: selected objects, new variables, scaling and
padding in numpy, then the network.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import uproot

from tests.deploy.conftest import DeepSet, events
from tests.deploy.conftest import jets_config as tagging_config
from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.inputs import with_params
from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.table import make_table
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.deploy.export import export_onnx
from weaver_tt.deploy.raw_columns import raw_inputs, read_raw_columns
from weaver_tt.deploy.raw_graph import NetworkInput, gives_the_same_for_fewer_slots, write_raw
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.tasks.registry import make_task

EXAMPLES = Path(__file__).parents[2] / "data_configs"
ROWS = 50

# new variables of public configurations for Weaver: Particle Transformer (JetClass, quark-gluon and
# top-tagging benchmarks), AK4 and AK8 jets of CMS, jets of FCC, and others as they are written
PUBLIC_VARIABLES = {
    "part_mask": "ak.ones_like(part_energy)",
    "part_pt": "np.hypot(part_px, part_py)",
    "part_pt_log": "np.log(part_pt)",
    "part_e_log": "np.log(part_energy)",
    "part_logptrel": "np.log(part_pt/jet_pt)",
    "part_logerel": "np.log(part_energy/jet_energy)",
    "part_deltaR": "np.hypot(part_deta, part_dphi)",
    "part_d0": "np.tanh(part_d0val)",
    "part_dz": "np.tanh(part_dzval)",
    "part_isCHad": (
        "(np.abs(part_pid)==211) + (np.abs(part_pid)==321)*0.5 + (np.abs(part_pid)==2212)*0.2"
    ),
    "part_isNHad": "(np.abs(part_pid)==130) + (np.abs(part_pid)==2112)*0.2",
    "part_isChargedHadron": "np.abs(part_pid) == 211",
    "part_logptrel_of_axis": "np.log(part_pt/jet_pt[:,np.newaxis])",
    "part_px_of_theta": "part_energy * np.sin(part_theta) * np.cos(part_phi)",
    "part_p4": (
        "_p4_from_ptetaphie(part_pt, ak.where(jet_eta >= 0, 1, -1) * part_deta + jet_eta, "
        "part_dphi, np.exp(part_e_log))"
    ),
    "part_p4_px": "part_p4.px",
    "part_p4_py": "part_p4.py",
    "part_p4_pz": "part_p4.pz",
    "part_p4_energy": "part_p4.energy",
    "part_isElectron": "(part_pid == 11) | (part_pid == -11)",
    "part_isPhoton": "part_pid == 22",
    "part_etarel": "(part_eta - jet_eta) * np.where(jet_eta > 0, 1, -1)",
    "part_phirel": "np.remainder(part_phi - jet_phi + np.pi, 2 * np.pi) - np.pi",
    "part_px_of_eta": "part_pt * np.cos(part_phi)",
    "part_pz_of_eta": "part_pt * np.sinh(part_eta)",
    "part_p": "part_pt * np.cosh(part_eta)",
    "part_erel_log": "np.log10(part_energy / jet_energy)",
    "part_thetarel": "np.arctan2(np.hypot(part_px, part_py), part_pz)",
    "part_d0_sig": "np.clip(part_d0val / part_d0err, -10, 10)",
    "part_charge2": "part_charge ** 2",
    "part_e": "np.sqrt(part_px**2 + part_py**2 + part_pz**2 + 0.13957**2)",
    "part_is_high": "(part_pt > 10) & ~(part_charge == 0)",
    "old_mask": "awkward.JaggedArray.ones_like(part_energy)",
    "jet_abseta": "abs(jet_eta)",
    "jet_logpt": "np.log(jet_pt)",
    "n_charged": "ak.sum(part_charge != 0, axis=1)",
}


def public_config(**changes: Any) -> DataConfig:
    """All of these as inputs."""
    of_jets = ["jet_abseta", "jet_logpt", "n_charged"]
    no_input = (*of_jets, "part_mask", "part_p4")
    of_parts = [name for name in PUBLIC_VARIABLES if name not in no_input]
    scaled = [[name, 0.3, 0.7, -5, 5, -1] if i % 2 else name for i, name in enumerate(of_parts)]
    values = {
        "new_variables": PUBLIC_VARIABLES,
        "preprocess": {"method": "manual"},
        "inputs": {
            "pf_points": {"length": 12, "vars": ["part_deta", "part_dphi"]},
            "pf_features": {"length": 12, "vars": scaled},
            "pf_vectors": {"length": 12, "vars": ["part_px", "part_py", "part_pz", "part_energy"]},
            "pf_mask": {"length": 12, "vars": ["part_mask"]},
            "jet": {"length": None, "vars": [["jet_abseta", 1, 2], "jet_logpt", "n_charged"]},
        },
        "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    }
    return from_mapping(values | changes, source="test.yaml")


INTEGERS = {"pid": "i4", "charge": "i1", "nhits": "u1", "id": "i4", "type": "i4"}


def random_columns(names: list[str], of_rows: tuple[str, ...], seed: int) -> dict[str, ak.Array]:
    """Rows with 0 to 19 objects in each collection, one object twice, some values not finite."""
    random = np.random.default_rng(seed)
    # columns of one prefix have the same objects
    prefixes = sorted({name.partition("_")[0] for name in names})
    counts = {prefix: random.integers(0, 20, ROWS) for prefix in prefixes}
    columns = {}
    for name in sorted(names):
        is_row = name.startswith(of_rows)
        count = np.ones(ROWS, int) if is_row else counts[name.partition("_")[0]]
        kind = next((INTEGERS[end] for end in INTEGERS if name.endswith(end)), "f4")
        if kind != "f4":
            values = random.choice([0, 1, 11, 22, 100], count.sum()).astype(kind)
        else:
            values = (random.normal(size=count.sum()) * 3).astype(np.float32)
            if name.endswith(("energy", "pt", "err", "mass")):
                values = np.abs(values) * 20 + np.float32(0.1)
            # NaN and infinities, and values that stand for "none"
            values[::17] = [np.nan, np.inf, -np.inf, -999][seed % 4]
        values[1:2] = values[:1]
        columns[name] = ak.Array(values) if is_row else ak.unflatten(values, count)
    return columns


def types_of(columns: dict[str, ak.Array]) -> dict[str, str]:
    return {name: str(values.type.content) for name, values in columns.items()}


def batch_of(config: DataConfig, columns: dict[str, ak.Array]) -> dict[str, torch.Tensor]:
    """What a prediction gives to the network."""
    plan = make_plan(config, "predict")
    table, _ = make_table(dict(columns), plan, config, "file.root", "")
    rows, _ = to_rows(table, config, plan)
    return Padder(config)(rows).inputs


def write_identity(path: Path, config: DataConfig, dynamic: bool = True) -> None:
    """A network that gives its inputs, ``prepared_GROUP``."""
    helper = onnx.helper
    inputs, outputs, nodes = [], [], []
    for name, group in config.batch_groups.items():
        shape: list[Any] = ["N", len(group.variables)]
        if group.length is not None:
            shape.append("P" if dynamic else group.length)
        inputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
        outputs.append(
            helper.make_tensor_value_info(f"prepared_{name}", onnx.TensorProto.FLOAT, shape)
        )
        nodes.append(helper.make_node("Identity", [name], [f"prepared_{name}"]))
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def open_raw(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write_and_open(
    folder: Path, config: DataConfig, columns: dict[str, ak.Array]
) -> onnxruntime.InferenceSession:
    """``raw.onnx`` of the ``model.onnx`` in a folder, for columns of these types."""
    assert write_raw(folder / "model.onnx", config, types_of(columns), folder / "raw.onnx") == []
    return open_raw(folder / "raw.onnx")


def run_raw(session: onnxruntime.InferenceSession, columns: dict[str, ak.Array]) -> dict[str, Any]:
    """The outputs by name."""
    taken = read_raw_columns(session.get_modelmeta().custom_metadata_map, "test")
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(None, raw_inputs(taken, columns, "raw.onnx")), strict=True))


def leaves(config: DataConfig) -> list[str]:
    """The columns of files that the inputs are made of."""
    names = [name for group in config.batch_groups.values() for name in group.names]
    for chosen in config.objects.values():
        names += chosen.expression.names
    return [name for name in dependency_order(config, names) if config.is_in_file(name)]


def check_tensors(
    config: DataConfig, columns: dict[str, ak.Array], folder: Path, rtol: float = 3e-7
) -> None:
    """The prepared tensors of all rows, of one row and of seven are those of a prediction."""
    write_identity(folder / "model.onnx", config)
    session = write_and_open(folder, config, columns)
    for first, last in ((0, ROWS), (0, 1), (3, 4), (10, 17)):
        part = {name: values[first:last] for name, values in columns.items()}
        expected = batch_of(config, part)
        found = run_raw(session, part)
        for name, tensor in expected.items():
            prepared = found[f"prepared_{name}"]
            slots = prepared.shape[2] if prepared.ndim == 3 else None
            wanted = tensor.numpy() if slots is None else tensor.numpy()[:, :, :slots]
            np.testing.assert_allclose(prepared, wanted, rtol=rtol, atol=3e-7, err_msg=name)
            if slots is not None:
                # what is left out is padding
                pad = [variable.pad for variable in config.batch_groups[name].variables]
                rest = tensor.numpy()[:, :, slots:]
                assert (rest == np.array(pad, np.float32)[:, None]).all()


@pytest.mark.parametrize("seed", range(4))
def test_new_variables_of_public_configurations_have_the_values_of_a_prediction(tmp_path, seed):
    config = public_config()
    columns = random_columns(leaves(config), ("jet_",), seed)
    # sine and cosine of float32 may differ in the last place, twice in a product
    check_tensors(config, columns, tmp_path, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "of_rows"),
    [
        ("jetclass", ("jet_",)),
        ("top_tagging", ("jet_",)),
        ("top_tagging_flat_mass", ("jet_",)),
        ("truth_tagging", ()),
        ("jet_energy", ("jet_", "rho", "npv", "gen_")),
        ("nanoaod_btag_efficiency", ()),
        ("edm4hep", ()),
        ("atlas_physlite", ()),
        ("delphes", ()),
    ],
)
def test_the_worked_examples_have_the_tensors_of_a_prediction(tmp_path, name, of_rows):
    config = load_config(str(EXAMPLES / f"{name}.yaml"))
    # which rows are asked for is the caller's choice
    config = replace(config, selection=None, test_time_selection=None, observers=())
    fitted = {v.name: replace(v, center=0.5, scale=0.8) for _, v in config.input_variables()}
    automatic = [v.name for _, v in config.input_variables() if v.center == "auto"]
    config = with_params(config, {name: fitted[name] for name in automatic})
    columns = random_columns(leaves(config), of_rows, seed=1)
    check_tensors(config, columns, tmp_path)


def test_candidates_of_the_first_jet_are_found_by_their_places_and_ordered(tmp_path):
    """PFNano: a row of JetPFCands is a pair, the place of a jet and that of a candidate."""
    config = load_config(str(EXAMPLES / "pfnano.yaml"))
    config = replace(config, selection=None, test_time_selection=None, observers=())
    columns = random_columns(leaves(config), (), seed=3)
    random = np.random.default_rng(5)
    candidates = random.integers(1, 30, ROWS)
    pairs = random.integers(0, 40, ROWS)
    for name in columns:
        if name.startswith("PFCands_"):
            values = random.choice([11, 13, 22, 211], candidates.sum())
            if not name.endswith("pdgId"):
                values = (random.normal(size=candidates.sum()) * 2).astype(np.float32)
            columns[name] = ak.unflatten(values, candidates)
    place = random.integers(-1, np.repeat(candidates, pairs))
    columns["JetPFCands_pFCandsIdx"] = ak.unflatten(place.astype(np.int16), pairs)
    jet = random.integers(0, 2, pairs.sum())
    columns["JetPFCands_jetIdx"] = ak.unflatten(jet.astype(np.int16), pairs)
    check_tensors(config, columns, tmp_path)


def test_lund_trees_are_checked_inside_as_they_are_where_files_are_read(tmp_path):
    config = replace(load_config(str(EXAMPLES / "lund.yaml")), observers=())
    columns = random_columns(leaves(config), (), seed=2)
    random = np.random.default_rng(7)
    places = ak.local_index(columns["lund_parent"])
    shares = random.uniform(size=ak.sum(ak.num(places)))
    # any node before it, and none for the first
    before = np.floor(shares * ak.to_numpy(ak.flatten(places)))
    mothers = np.where(ak.to_numpy(ak.flatten(places)) == 0, -1, before)
    columns["lund_parent"] = ak.unflatten(mothers.astype(np.int32), ak.num(places))
    check_tensors(config, columns, tmp_path)


class Scores(torch.nn.Module):
    """Means over all slots, and the jet, to classes: padding counts, so that their number does."""

    def __init__(self, config: DataConfig, outputs: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.scalar = [group.length is None for group in config.inputs.values()]
        sizes = [len(group.variables) for group in config.inputs.values()]
        self.layers = torch.nn.ModuleList([torch.nn.Linear(size, 8) for size in sizes])
        self.last = torch.nn.Linear(8, outputs)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        hidden = 0.0
        for layer, values, is_scalar in zip(self.layers, inputs, self.scalar, strict=True):
            flat = values if is_scalar else values.transpose(1, 2)
            made = torch.tanh(layer(flat))
            hidden = hidden + (made if is_scalar else made.mean(1))
        return self.last(hidden)


def exported(folder: Path, config: DataConfig, outputs: int) -> Ensemble:
    """Export a network with ``model.onnx`` in ``folder``, and give it as predictions use it."""
    task = make_task(config)
    module = Scores(config, outputs).eval()
    members = [Network(module, list(config.inputs))]
    export_onnx(members, task, config, folder / "model.onnx")
    return Ensemble(members, task)


def predict(network: Ensemble, config: DataConfig, columns: dict[str, ak.Array]) -> Any:
    with torch.no_grad():
        value, _ = network(batch_of(config, columns)).joined()
    return value.numpy()


def test_a_network_to_which_padding_is_nothing_is_given_as_many_slots_as_it_needs(tmp_path):
    config = tagging_config()
    members = [Network(DeepSet(0, 1, per_jet=True), ["jets"])]
    export_onnx(members, make_task(config), config, tmp_path / "model.onnx")
    columns = {name: ak.Array([[1.0, 2.0], [3.0]]) for name in config.inputs["jets"].names}
    (found,) = run_raw(write_and_open(tmp_path, config, columns), columns).values()
    assert found.shape == (2, 2)


def test_a_mean_over_all_slots_is_given_all_of_them(tmp_path):
    config = public_config()
    exported(tmp_path, config, outputs=2)
    inputs = onnx.load(str(tmp_path / "model.onnx")).graph.input
    taken = [NetworkInput.of(item) for item in inputs]
    assert not gives_the_same_for_fewer_slots(tmp_path / "model.onnx", taken, config)


def test_a_network_of_other_inputs_is_refused(tmp_path):
    write_identity(tmp_path / "model.onnx", jets_config())
    other = tagging_config()
    reasons = write_raw(tmp_path / "model.onnx", other, types_of(JETS), tmp_path / "raw.onnx")
    assert "takes the input 'tracks', which test.yaml does not define" in reasons[0]


def test_a_network_of_another_length_is_refused(tmp_path):
    write_identity(tmp_path / "model.onnx", jets_config(), dynamic=False)
    inputs = jets_config().inputs
    longer = replace(jets_config(), inputs=inputs | {"jets": replace(inputs["jets"], length=9)})
    reasons = write_raw(tmp_path / "model.onnx", longer, types_of(JETS), tmp_path / "raw.onnx")
    assert reasons == [f"{tmp_path / 'model.onnx'}: takes 4 objects in 'jets', test.yaml says 9"]


def test_groups_of_one_prefix_have_the_same_objects(tmp_path):
    """Nothing else says that these columns belong together; a mask is a column of its own."""
    config = jets_config(
        inputs={
            "pf_features": {"length": 2, "vars": ["pt"]},
            "pf_mask": {"length": 2, "vars": ["pf_mask"]},
            "sv_features": {"length": 2, "vars": ["mass"]},
        }
    )
    lists = ak.Array([[1.0, 2.0], [3.0]])
    columns = {"pt": lists, "pf_mask": lists * 0 + 1, "mass": lists}
    write_identity(tmp_path / "model.onnx", config)
    session = write_and_open(tmp_path, config, columns)
    # the column pf_mask has the name of a tensor of the network, which becomes another one
    assert [item.name for item in session.get_inputs()] == [
        *("offsets_pf_features", "offsets_sv_features", "pt", "pf_mask", "mass")
    ]
    assert run_raw(session, columns)["prepared_pf_mask"].tolist() == [[[1, 1]], [[1, 0]]]


def test_tensors_inside_of_the_network_may_have_the_names_of_columns(tmp_path):
    write_identity(tmp_path / "model.onnx", jets_config(), dynamic=False)
    model = onnx.load(str(tmp_path / "model.onnx"))
    last = next(node for node in model.graph.node if node.input[0] == "event")
    first = onnx.helper.make_node("Neg", ["event"], ["met"])
    last.input[:] = ["met"]
    model.graph.node.insert(0, first)
    onnx.save(model, str(tmp_path / "model.onnx"))
    found = run_raw(write_and_open(tmp_path, jets_config(), JETS), JETS)
    assert found["prepared_event"].tolist() == [[-7], [-8], [-9]]


@pytest.mark.parametrize("pad_mode", ["constant", "wrap"])
def test_scores_are_those_of_a_prediction_for_one_seven_and_fifty_rows(tmp_path, pad_mode):
    config = public_config()
    groups = {
        name: group if group.length is None or group.is_mask else replace(group, pad_mode=pad_mode)
        for name, group in config.inputs.items()
    }
    config = replace(config, inputs=groups)
    network = exported(tmp_path, config, outputs=2)
    before = (tmp_path / "model.onnx").read_bytes()
    columns = random_columns(leaves(config), ("jet_",), seed=1)
    session = write_and_open(tmp_path, config, columns)
    assert (tmp_path / "model.onnx").read_bytes() == before
    for rows in (1, 7, ROWS):
        for first in range(0, ROWS, rows):
            part = {name: values[first : first + rows] for name, values in columns.items()}
            (scores,) = run_raw(session, part).values()
            assert scores.shape == (len(part["jet_pt"]), 2)
            np.testing.assert_allclose(scores, predict(network, config, part), rtol=0, atol=2e-6)


def test_derived_outputs_leave_with_the_targets(tmp_path):
    config = public_config(
        labels={"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)"}},
        derived_outputs={"corrected": "jet_pt * np.exp(y)", "boost": "n_charged * y"},
        observers=["jet_pt"],
    )
    assert config.derived_inputs is not None
    network = exported(tmp_path, config, outputs=1)
    columns = random_columns(leaves(config), ("jet_",), seed=2)
    session = write_and_open(tmp_path, config, columns)
    (found,) = run_raw(session, columns).values()
    expected = predict(network, config, columns)
    assert found.shape == (ROWS, 3)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


def jets_config(**changes: Any) -> DataConfig:
    values = {
        "new_variables": {"pt_log": "np.log(jet_pt)"},
        "inputs": {
            "jets": {"length": 4, "vars": ["jet_pt", ["pt_log", 1, 2]]},
            "tracks": {"length": 3, "vars": [["track_d0", 0, 1]]},
            "event": {"length": None, "vars": ["met"]},
        },
        "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    }
    return from_mapping(values | changes, source="test.yaml")


JETS = {
    "jet_pt": ak.Array([[10.0, 20.0], [], [30.0]]),
    "track_d0": ak.values_astype(ak.Array([[], [1, 2, 3, 4], [5]]), "int16"),
    "met": ak.values_astype(ak.Array([7, 8, 9]), "uint8"),
}


def write_jets(folder: Path, config: DataConfig | None = None) -> onnxruntime.InferenceSession:
    config = config or jets_config()
    write_identity(folder / "model.onnx", config, dynamic=False)
    return write_and_open(folder, config, JETS)


def test_inputs_are_the_columns_in_the_types_of_the_file_and_offsets_of_each_collection(tmp_path):
    session = write_jets(tmp_path)
    assert {item.name: item.type for item in session.get_inputs()} == {
        "offsets_jets": "tensor(int64)",
        "offsets_tracks": "tensor(int64)",
        "jet_pt": "tensor(double)",
        "track_d0": "tensor(int16)",
        "met": "tensor(uint8)",
    }


def test_rows_are_cut_and_padded_by_hand(tmp_path):
    found = run_raw(write_jets(tmp_path), JETS)
    assert found["prepared_tracks"][:, 0].tolist() == [[0, 0, 0], [1, 2, 3], [5, 0, 0]]
    assert found["prepared_jets"][0, 0].tolist() == [10, 20, 0, 0]
    # 2 (log(30) - 1) = 4.8024
    assert found["prepared_jets"][2, 1].tolist() == pytest.approx([4.8024, 0, 0, 0], abs=1e-4)
    assert found["prepared_event"].tolist() == [[7], [8], [9]]


def test_offsets_may_begin_anywhere_in_a_larger_buffer(tmp_path):
    session = write_jets(tmp_path)
    given = {
        "offsets_jets": np.array([1, 3, 3]),
        "jet_pt": np.array([99.0, 10.0, 20.0, 98.0]),
        "offsets_tracks": np.array([0, 1, 1]),
        "track_d0": np.array([5, 6, 7], np.int16),
        "met": np.array([1, 2], np.uint8),
    }
    names = [item.name for item in session.get_outputs()]
    found = dict(zip(names, session.run(None, given), strict=True))
    assert found["prepared_jets"][:, 0].tolist() == [[10, 20, 0, 0], [0, 0, 0, 0]]
    assert found["prepared_tracks"][:, 0].tolist() == [[5, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("changed", "values", "named"),
    [
        ("jet_pt", np.ones(2), "jet_pt has other objects than its offsets"),
        ("offsets_tracks", np.array([0, 4, 5]), "track_d0 have other rows"),
        ("met", np.ones(1, np.uint8), "met has other rows than the offsets"),
        ("met", np.ones(4, np.uint8), "met has other rows than the offsets"),
    ],
)
def test_columns_that_do_not_fit_together_are_named(tmp_path, changed, values, named):
    session = write_jets(tmp_path)
    taken = read_raw_columns(session.get_modelmeta().custom_metadata_map, "test")
    given = raw_inputs(taken, JETS, "raw.onnx") | {changed: values}
    with pytest.raises(Exception, match=named):
        session.run(None, given)


def test_no_rows_and_no_objects_are_fine(tmp_path):
    session = write_jets(tmp_path)
    nothing = {name: values[:0] for name, values in JETS.items()}
    assert run_raw(session, nothing)["prepared_jets"].shape == (0, 2, 4)
    one = {name: values[1:2] for name, values in JETS.items()}
    assert run_raw(session, one)["prepared_jets"].tolist() == [[[0] * 4] * 2]


@pytest.mark.parametrize(
    ("changes", "types", "reason"),
    [
        (
            {"new_variables": {"pt_log": "jet_pt + ak.max(jet_pt, axis=1)"}},
            {},
            r"new_variables.pt_log: ak.max .*cannot be .*\n.*\n +\^+",
        ),
        (
            {"new_variables": {"pt_log": "jet_pt[jet_pt > 5]"}},
            {},
            "chosen or joined meet others",
        ),
        ({"new_variables": {"pt_log": "jet_pt[:, :2]"}}, {}, r"takes objects in a way.*\n.*\n +\^"),
        (
            {"new_variables": {"pt_log": "_p4_from_ptetaphim(jet_pt, jet_pt, jet_pt, jet_pt)"}},
            {},
            r"'pt_log' has four-momenta; .* such as pt_log.px",
        ),
        ({"file_magic": {"met": {"a": 1}}}, {"met": None}, "name of a file"),
        ({}, {"met": "string"}, "its type is string"),
        ({}, {"jet_pt": "var * ?float32"}, "none of them missing"),
        ({}, {"jet_pt": "float32"}, "'jet_pt' has one value a row"),
        ({}, {"met": "var * float32"}, "'met' has lists"),
    ],
)
def test_what_no_graph_can_hold_is_refused_and_nothing_is_written(tmp_path, changes, types, reason):
    config = jets_config(**changes)
    write_identity(tmp_path / "model.onnx", config)
    types = {name: kind for name, kind in (types_of(JETS) | types).items() if kind is not None}
    reasons = write_raw(tmp_path / "model.onnx", config, types, tmp_path / "raw.onnx")
    assert any(re.search(reason, text) for text in reasons), reasons
    assert not (tmp_path / "raw.onnx").exists()


def test_all_reasons_are_said_together(tmp_path):
    write_identity(tmp_path / "model.onnx", jets_config())
    reasons = write_raw(tmp_path / "model.onnx", jets_config(), {}, tmp_path / "raw.onnx")
    named = " ".join(reasons)
    assert all(name in named for name in ("'jet_pt'", "'track_d0'", "'met'"))


def test_outputs_of_each_object_have_the_place_of_their_object(tmp_path):
    config = tagging_config()
    module = DeepSet(0, 1, per_jet=True)
    members = [Network(module, ["jets"])]
    task = make_task(config)
    export_onnx(members, task, config, tmp_path / "model.onnx")
    rows = events(20, seed=3)
    names = list(config.inputs["jets"].names)
    columns = {name: ak.Array([row[name] for row in rows]) for name in names}
    session = write_and_open(tmp_path, config, columns)
    (found,) = run_raw(session, columns).values()
    expected = predict(Ensemble(members, task), config, columns)[:, 0]
    for row, counts in enumerate(ak.num(columns["jet_pt"]).tolist()):
        kept = min(counts, 6)
        np.testing.assert_allclose(found[row, :kept], expected[row, :kept], atol=2e-6)


FILE = Path(__file__).parents[3] / "shared" / "data" / "jetclass2_100jets.root"


@pytest.mark.skipif(not FILE.is_file(), reason="no shared data here")
def test_jets_of_a_real_file_have_the_scores_of_a_prediction(tmp_path):
    config = load_config(str(EXAMPLES / "jetclass.yaml"))
    config = replace(config, selection=None, test_time_selection=None, observers=())
    with uproot.open(FILE) as file:
        tree = next(iter(file.values(filter_classname="TTree")))
        columns = {name: tree[name].array() for name in leaves(config)}
    network = exported(tmp_path, config, outputs=len(config.labels.classes))
    session = write_and_open(tmp_path, config, columns)
    (scores,) = run_raw(session, columns).values()
    np.testing.assert_allclose(scores, predict(network, config, columns), rtol=0, atol=2e-6)
