"""Prediction writes all rows of all groups in order, with the task's columns and the observers."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from torch import Tensor

from weaver_tt.applications.truth_tagging import toy
from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.loaders import test_loaders as loaders_of  # pytest would take it for a test
from weaver_tt.data.rows.batch import Batch
from weaver_tt.deploy.export import export_onnx
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.engine import throughput
from weaver_tt.errors import ConfigError, DataError, OutputError
from weaver_tt.formats import writers
from weaver_tt.network.network import Ensemble, build_network
from weaver_tt.network.outputs import Activated
from weaver_tt.options.train import DataOptions, NetworkOptions
from weaver_tt.output.about import read_about
from weaver_tt.output.predict import output_path, predict, predict_parts, tree_name
from weaver_tt.system.stage_times import StageTimes
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.registry import make_task

CPU = torch.device("cpu")
LENGTH = 4


def config_of(**changes) -> DataConfig:
    values = {
        "inputs": {
            "jets": {"length": LENGTH, "vars": [["jet_pt", None], ["jet_eta", None, 1, -5, 5, -9]]},
            "event": {"vars": [["met", None]]},
        },
        "labels": {"type": "per_object", "group": "jets", "value": ["jet_istag"]},
        "observers": ["event_number", "jet_mass"],
    }
    return from_mapping(values | changes, source="test.yaml")


class Percent:
    """A network that is already activated: efficiency = pt / 100, spread = efficiency / 10."""

    activated = True
    input_names = ("jets", "event")

    def __init__(self, spread: bool = False) -> None:
        self.spread = spread

    @property
    def has_spread(self) -> bool:
        return self.spread

    def __call__(self, inputs: dict[str, Tensor]) -> Activated:
        efficiency = inputs["jets"][:, :1] / 100  # (N, 1, P)
        return Activated(efficiency, efficiency / 10 if self.spread else None)

    def eval(self) -> "Percent":
        return self

    def single_row_seconds(self, inputs: dict[str, Tensor]) -> float | None:
        return None


class Rows:
    """A loader of rows with these numbers of jets; the k-th jet of all has pt k."""

    def __init__(
        self, counts: list[int], batch: int = 3, labels: bool = False, lost: int = 0
    ) -> None:
        self.counts, self.batch, self.labels = np.array(counts, dtype=np.int64), batch, labels
        self.pt = ak.unflatten(np.arange(self.counts.sum(), dtype=np.float32), self.counts)
        beyond = int(np.maximum(self.counts - LENGTH, 0).sum())
        self.accounting = Accounting()
        self.times = StageTimes()
        self.workers = 0
        self.reads_copies = False
        self.accounting.read["_"] += len(counts) + 5
        self.accounting.selected["_"] += len(counts) + lost
        if beyond:
            self.accounting.truncated["jets"] += beyond

    def empty_observers(self) -> dict[str, ak.Array]:
        return {"event_number": ak.Array(np.zeros(0, np.int64)), "jet_mass": self.pt[:0]}

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        for first in range(0, len(self.counts), self.batch):
            part = slice(first, first + self.batch)
            pt, counts = self.pt[part], torch.tensor(self.counts[part])
            padded = torch.tensor(
                ak.to_numpy(ak.fill_none(ak.pad_none(pt, LENGTH, clip=True), 0))
            )  # (N, P)
            mask = torch.arange(LENGTH) < counts[:, None]
            yield Batch(
                inputs={"jets": torch.stack([padded, padded], 1), "event": torch.zeros(len(pt), 1)},
                masks={"jets": mask},
                counts={"jets": counts},
                labels={"jet_istag": mask.float()} if self.labels else {},
                observers={"event_number": np.arange(first, first + len(pt)), "jet_mass": pt * 2},
                size=len(pt),
            )


def read(path: Path, tree: str = "tree") -> ak.Array:
    with uproot.open(path) as file:
        return file[tree].arrays()


@pytest.fixture
def task() -> Task:
    return make_task(config_of())


def test_every_row_is_written_in_order_with_its_jets(tmp_path, task):
    counts = [2, 0, 1, 0, 3, 4, 0]  # 7 rows in batches of 3: the last has one
    result = predict(Percent(), task, {"_": Rows(counts)}, tmp_path / "pred.root", CPU)
    found = read(tmp_path / "pred.root")
    assert result["_"].rows == 7
    assert result["_"].path == tmp_path / "pred.root"
    assert found["event_number"].tolist() == list(range(7))
    assert ak.num(found["jet_eff"]).tolist() == counts
    assert ak.flatten(found["jet_eff"]).tolist() == pytest.approx([k / 100 for k in range(10)])
    assert ak.flatten(found["jet_mass"]).tolist() == [2 * k for k in range(10)]
    assert str(found["jet_eff"].type) == "7 * var * float32"


def test_a_batch_without_jets_may_be_the_first(tmp_path, task):
    predict(Percent(), task, {"_": Rows([0, 0, 0, 1])}, tmp_path / "pred.root", CPU)
    assert read(tmp_path / "pred.root")["jet_eff"].tolist() == [[], [], [], [0]]


def test_jets_beyond_the_length_are_nan_and_warned_about(tmp_path, task, caplog):
    with caplog.at_level(logging.INFO, logger="weaver_tt"):
        predict(Percent(), task, {"_": Rows([LENGTH + 2, 1])}, tmp_path / "pred.root", CPU)
    efficiency = read(tmp_path / "pred.root")["jet_eff"]
    assert np.isnan(efficiency[0]).tolist() == [False] * LENGTH + [True] * 2
    assert "2 objects are beyond the length of jets" in caplog.text
    assert "7 rows read, 2 selected" in caplog.text


def test_an_ensembles_spread_is_a_column(tmp_path, task):
    predict(Percent(spread=True), task, {"_": Rows([2, 1])}, tmp_path / "pred.root", CPU)
    found = read(tmp_path / "pred.root")
    assert ak.flatten(found["jet_eff_std"]).tolist() == pytest.approx([0, 0.001, 0.002])


def test_parquet_holds_the_same(tmp_path, task):
    for suffix in ("root", "parquet"):
        predict(Percent(), task, {"_": Rows([2, 0, 1])}, tmp_path / f"pred.{suffix}", CPU)
    table, tree = ak.from_parquet(tmp_path / "pred.parquet"), read(tmp_path / "pred.root")
    assert {name: tree[name].tolist() for name in table.fields} == {
        name: table[name].tolist() for name in table.fields
    }


def test_each_of_several_groups_has_its_file(tmp_path, task):
    result = predict(
        Percent(),
        task,
        {"ttbar": Rows([1]), "dy": Rows([2, 2]), "_": Rows([1, 1, 1])},
        tmp_path / "pred.root",
        CPU,
    )
    assert {name: (part.path.name, part.rows) for name, part in result.items()} == {
        "ttbar": ("pred_ttbar.root", 1),
        "dy": ("pred_dy.root", 2),
        "_": ("pred.root", 3),
    }
    assert len(read(tmp_path / "pred_dy.root")) == 2


def test_a_group_adds_its_name_if_it_has_one():
    assert output_path("out/pred.root", "_") == Path("out/pred.root")
    assert output_path("out/pred.v2.parquet", "ttbar") == Path("out/pred.v2_ttbar.parquet")


def test_no_selected_row_gives_a_file_without_entries(tmp_path, task, caplog):
    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        result = predict(Percent(spread=True), task, {"_": Rows([])}, tmp_path / "pred.root", CPU)
    assert result["_"].rows == 0
    found = read(tmp_path / "pred.root")
    assert len(found) == 0
    assert str(found["jet_eff"].type) == "0 * var * float32"
    assert str(found["jet_eff_std"].type) == "0 * var * float32"
    assert "no row of the test group is selected" in caplog.text


def test_data_with_labels_are_measured(tmp_path, task):
    with_labels = predict(
        Percent(), task, {"_": Rows([2, 1], labels=True)}, tmp_path / "pred.root", CPU
    )["_"]
    assert any(np.isfinite(value) for value in with_labels.metrics.values())
    assert read(tmp_path / "pred.root")["jet_istag"].tolist() == [[1, 1], [1]]


def test_onnx_writes_the_same_file_as_torch(tmp_path):
    """From toy events in a ROOT file, with the real loader, network and task."""
    repository = Path(__file__).parents[2]
    config = load_config(str(repository / "data_configs" / "truth_tagging.yaml"))
    options = NetworkOptions(
        network_config=str(repository / "network_configs" / "truth_tagging_gnn.py"),
        network_option=[["hidden", "8"]],
    )
    toy.write_toy(str(tmp_path / "toy.root"), 300, seed=1)
    task = make_task(config)
    members = [build_network(config, options, seed=seed) for seed in range(2)]
    export_onnx(members, task, config, tmp_path / "model.onnx")
    files = {}
    for name, network in {
        "torch": Ensemble(members, task),
        "onnx": OnnxNetwork(tmp_path / "model.onnx", config, threads=1),
    }.items():
        loaders = loaders_of(
            config, DataOptions(data_test=[str(tmp_path / "toy.root")], batch_size=77)
        )
        predict(network, task, loaders, tmp_path / f"{name}.root", CPU)
        files[name] = read(tmp_path / f"{name}.root")
    assert len(files["torch"]) == 300
    assert {"jet_eff", "jet_eff_std", "jet_pt", "jet_istag", "jet_eff_true", "event_number"} <= set(
        files["torch"].fields
    )
    assert files["torch"].type == files["onnx"].type
    costs = {name: read_about(str(tmp_path / f"{name}.root")).network for name in files}
    assert costs["torch"].single_row_seconds is None
    assert costs["onnx"].single_row_seconds > 0
    for name in files["torch"].fields:
        expected, found = (
            ak.to_numpy(ak.flatten(files[kind][name], axis=None)) for kind in ("torch", "onnx")
        )
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=1e-6 if name.startswith("jet_eff") else 0
        )


@pytest.mark.parametrize("name", ["jet_eff", "jet_eff?"])
def test_an_observer_named_like_a_result_is_refused_before_anything_is_written(tmp_path, name):
    task = make_task(config_of(observers=[name]))
    clash = r"test\.yaml: observer 'jet_eff' has the name of a column that object_efficiency writes"
    with pytest.raises(ConfigError, match=clash):
        predict(Percent(), task, {"_": Rows([1])}, tmp_path / "pred.root", CPU)
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_was_lost_is_an_error_and_leaves_no_file(tmp_path, task):
    with pytest.raises(DataError, match="4 rows selected but 3 predicted"):
        predict(Percent(), task, {"_": Rows([1, 1, 1], lost=1)}, tmp_path / "pred.root", CPU)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_leaves_no_file(tmp_path, task):
    class Broken(Rows):
        def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
            yield from super().epoch(number)
            raise DataError("the next file is damaged")

    with pytest.raises(DataError, match="the next file is damaged"):
        predict(Percent(), task, {"_": Broken([1] * 10)}, tmp_path / "pred.root", CPU)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_stops_before_reading(tmp_path, task):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        predict(Percent(), task, {"_": Rows([1])}, tmp_path / "file" / "pred.root", CPU)


def test_the_tree_is_named_as_in_the_input():
    assert tree_name(config_of()) == "tree"
    assert tree_name(config_of(treename="nominal/Events;3")) == "Events"


class NeedsJets(Percent):
    """Fails on a row without jets, as attention over nothing may."""

    def __call__(self, inputs: dict[str, Tensor]) -> Activated:
        assert (inputs["jets"][:, 0] != 0).any(1).all()
        return super().__call__(inputs)


def test_no_row_is_predicted_that_the_data_do_not_hold(tmp_path, task):
    # the first jet of all has pt 0: it shares its row with one of pt 1
    predict(NeedsJets(), task, {"_": Rows([2, 1, 3])}, tmp_path / "pred.root", CPU)
    assert ak.num(read(tmp_path / "pred.root")["jet_eff"]).tolist() == [2, 1, 3]


def test_results_that_are_nan_are_written_and_told(tmp_path, task, caplog):
    class Nan(Percent):
        """NaN for the jet of pt 2 and for all behind it."""

        def __call__(self, inputs: dict[str, Tensor]) -> Activated:
            value = super().__call__(inputs).value
            return Activated(value.masked_fill(value > 0.015, np.nan))

    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        predict(Percent(), task, {"_": Rows([2, 1, 1, 1])}, tmp_path / "pred.root", CPU)
        assert "NaN" not in caplog.text
        predictions = predict(
            Nan(), task, {"_": Rows([2, 1, 1, 1])}, tmp_path / "pred.root", CPU, figures=True
        )
    found = ak.flatten(read(tmp_path / "pred.root")["jet_eff"])
    assert np.isnan(found).tolist() == [False, False, True, True, True]
    assert "pred.root: the network gives NaN or infinity for 3 entries" in caplog.text
    assert predictions["_"].without_output == 3
    # no labels: nothing is measured or drawn, but their number stands in the file of metrics
    metrics = json.loads((tmp_path / "pred_metrics.json").read_text())["metrics"]
    assert metrics == {"without_output": 3.0}
    assert not (tmp_path / "pred_figures").exists()


@pytest.mark.parametrize("spread", [False, True])
def test_a_file_without_rows_has_its_columns_though_no_network_was_called(tmp_path, task, spread):
    class Never(Percent):
        def __call__(self, inputs: dict[str, Tensor]) -> Activated:
            raise AssertionError("there is no row to predict")

    predict(Never(spread), task, {"_": Rows([])}, tmp_path / "pred.root", CPU)
    found = read(tmp_path / "pred.root")
    columns = {"jet_eff": "0 * var * float32"}
    if spread:
        columns["jet_eff_std"] = "0 * var * float32"
    columns |= {"event_number": "0 * int64", "jet_mass": "0 * var * float32"}
    counters = {f"n{name}" for name in columns}
    assert {name: str(found[name].type) for name in found.fields if name not in counters} == columns


def test_an_observer_named_like_a_column_beyond_the_outputs_is_refused_too(tmp_path):
    class More(type(make_task(config_of()))):
        def columns(self, scored):
            return super().columns(scored) | {"jet_mass": np.zeros(len(scored.counts))}

    with pytest.raises(ConfigError, match="observer 'jet_mass' has the name of a column"):
        predict(Percent(), More(config_of()), {"_": Rows([1])}, tmp_path / "pred.root", CPU)
    assert list(tmp_path.iterdir()) == []


def test_an_observer_may_be_a_label(tmp_path):
    task = make_task(config_of(observers=["jet_istag"]))

    class WithLabel(Rows):
        def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
            for batch in super().epoch(number, skip):
                batch.observers = {"jet_istag": ak.ones_like(batch.observers["jet_mass"])}
                yield batch

    predict(Percent(), task, {"_": WithLabel([2, 1], labels=True)}, tmp_path / "pred.root", CPU)
    assert read(tmp_path / "pred.root")["jet_istag"].tolist() == [[1, 1], [1]]


def test_a_selection_that_drops_all_rows_gives_an_empty_file_and_a_warning(tmp_path, caplog):
    """With the real loader: one file of many may well hold nothing of interest."""
    toy.write_toy(str(tmp_path / "toy.root"), 20, seed=1)
    config = load_config(
        str(Path(__file__).parents[2] / "data_configs" / "truth_tagging.yaml"),
    )
    task = make_task(config)
    options = DataOptions(
        data_test=[str(tmp_path / "toy.root")], extra_selection_test="event_number < 0"
    )
    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        predict(Percent(), task, loaders_of(config, options), tmp_path / "pred.root", CPU)
    assert len(read(tmp_path / "pred.root")["jet_eff"]) == 0
    assert "no row of the test group is selected" in caplog.text


NANO_CONFIG = {
    "inputs": {"event": {"length": None, "vars": [["met", None], ["few", None]]}},
    "selection": "met > 0",
    "new_variables": {"few": "nJet - 4", "top": "ak.max(flavour, axis=1)", "back": "-charge"},
    "labels": {"type": "custom", "value": {"y": "truth"}},
    "observers": ["event_number", "nJet", "flavour", "few", "back"],
}


def nano_file(path: Path, first: int, types: dict, met: float = 1.0) -> str:
    """Two events as one release of a format writes them: ``types`` of its columns differ."""
    columns = {
        "event_number": np.arange(first, first + 2).astype(types["event_number"]),
        "nJet": np.array([2, 0], types["nJet"]),
        "flavour": ak.values_astype(ak.Array([[5, 4], []]), types["flavour"]),
        "charge": ak.values_astype(ak.Array([[1, -1], []]), types["charge"]),
        "met": np.full(2, met, "float32"),
    }
    with uproot.recreate(path) as file:
        kinds = {name: ak.Array(values).type.content for name, values in columns.items()}
        file.mktree("Events", kinds).extend(columns)
    return str(path)


OLD = {"event_number": "uint64", "nJet": "uint32", "flavour": "int32", "charge": "int32"}
NEW = {"event_number": "int64", "nJet": "int32", "flavour": "uint8", "charge": "int16"}

# more digits than a double has, which numpy takes for uint64 and int64 together
LARGE = 2**60 + 1


@pytest.mark.parametrize("suffix", [".root", ".parquet"])
@pytest.mark.parametrize("order", ["old new", "new old"])
def test_files_of_two_releases_are_predicted_in_one_go_in_both_orders(tmp_path, suffix, order):
    files = {
        "old": nano_file(tmp_path / "old.root", 0, OLD),
        "new": nano_file(tmp_path / "new.root", LARGE, NEW),
    }
    config = from_mapping(NANO_CONFIG, source="nano.yaml")
    options = DataOptions(data_test=[files[name] for name in order.split()])
    output = tmp_path / f"pred{suffix}"
    predict(Sum(), make_task(config), loaders_of(config, options), output, CPU)
    found = read(output, "tree") if suffix == ".root" else ak.from_parquet(output)
    row = found.event_number.tolist().index(LARGE)
    # met 1, and 2 or 0 jets less 4: below zero also where the file's numbers have no sign
    assert found.output_y.tolist() == [-1.0, -3.0] * 2
    assert found.few.tolist() == [-2, -4] * 2
    assert found.flavour[row].tolist() == [5, 4]
    assert found.back.tolist() == [[-1, 1], []] * 2
    assert {name: str(found[name].type.content) for name in NANO_CONFIG["observers"]} == {
        "event_number": "int64",
        "nJet": "int64",
        "flavour": "var * int32",
        "few": "int64",
        "back": "var * int64",
    }


class Sum(Percent):
    """The sum of the inputs."""

    activated = False
    has_spread = False

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["event"].sum(1, keepdim=True)  # (N, 1)


def test_all_groups_have_the_same_types_also_one_without_rows(tmp_path):
    # nothing is selected in the second, the third has no entries
    nano_file(tmp_path / "empty.root", 0, OLD)
    with uproot.recreate(tmp_path / "empty.root") as file:
        columns = {name: NEW[name] for name in ("nJet",)}
        columns |= {"event_number": "uint64", "met": "float32"}
        columns |= {"flavour": "var * uint8", "charge": "var * int16"}
        file.mktree("Events", columns)
    options = DataOptions(
        data_test=[
            f"old:{nano_file(tmp_path / 'old.root', 0, OLD)}",
            f"new:{nano_file(tmp_path / 'new.root', 10, NEW, met=-1)}",
            f"none:{tmp_path / 'empty.root'}",
        ]
    )
    config = from_mapping(NANO_CONFIG, source="nano.yaml")
    loaders = loaders_of(config, options)
    predict(Sum(), make_task(config), loaders, tmp_path / "pred.root", CPU)
    types = []
    for name, rows in (("old", 2), ("new", 0), ("none", 0)):
        found = read(tmp_path / f"pred_{name}.root")
        assert len(found) == rows
        types.append({column: str(found[column].type.content) for column in found.fields})
    assert types[0] == types[1] == types[2]
    assert types[0]["nJet"] == "int64"


def test_rows_without_a_target_are_counted_over_all_parts(tmp_path):
    class Unknown(Rows):
        """Rows whose first jet's tag is not known."""

        def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
            for batch in super().epoch(number, skip):
                batch.labels["jet_istag"][:, 0] = float("nan")
                yield batch

    task = make_task(config_of())
    parts = []
    for counts in ([2, 0, 1], [3]):
        parts.append((Percent(), {"_": Unknown(counts, labels=True)}))
    result = predict_parts(parts, task, tmp_path / "pred.root", CPU)
    # of six jets three are the first of their row
    assert result["_"].metrics["without_target"] == 3
    tags = read(tmp_path / "pred.root")["jet_istag"]
    assert np.isnan(ak.flatten(tags)).tolist() == [True, False, True, True, False, False]


def test_what_limits_a_prediction_is_said_once_with_the_time_of_writing(
    tmp_path, task, caplog, monkeypatch, counted_time
):
    monkeypatch.setattr(throughput, "SECONDS", 0.0)
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=counted_time))
    write = counted_time.slowed(writers.Writer.write, 3)
    monkeypatch.setattr(writers.Writer, "write", write)
    with caplog.at_level("INFO", "weaver_tt"):
        loaders = {"a": Rows([1] * 21), "b": Rows([1] * 21)}
        predict(Percent(), task, loaders, tmp_path / "pred.root", CPU)
    (said,) = [text for text in caplog.messages if text.startswith("what limits the prediction")]
    assert said.startswith("what limits the prediction: writing (measured in 3 s, 1 batch)")
    assert "the loop: writing 100 %" in said
