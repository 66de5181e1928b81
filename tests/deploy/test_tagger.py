"""The Tagger gives the numbers of torch from raw columns in any form, and never imports torch."""

import json
import math
import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import pytest

from tests.deploy.conftest import DeepSet, event_config, jets_config, write_target
from weaver_tt.deploy import Tagger
from weaver_tt.errors import ConfigError, DataError

KINDS = ("jets", "ensemble", "event")
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def golden(folder: Path, key: str) -> list[dict[str, Any]]:
    """Columns or outputs of the golden rows."""

    def number(value: Any) -> Any:
        if isinstance(value, list):
            return list(map(number, value))
        return WORDS.get(value, value) if isinstance(value, str) else value

    rows = json.loads((folder / "golden.json").read_text())["rows"]
    return [{name: number(value) for name, value in row[key].items()} for row in rows]


def columns_of(folder: Path) -> dict[str, ak.Array]:
    rows = golden(folder, "columns")
    return {name: ak.Array([row[name] for row in rows]) for name in rows[0]}


def check(folder: Path, outputs: Mapping[str, Any]) -> None:
    """That the outputs of all golden rows are those of torch."""
    expected = golden(folder, "outputs")
    assert list(outputs) == list(expected[0])
    for name, values in outputs.items():
        wanted = ak.Array([row[name] for row in expected])
        assert ak.all(ak.num(values) == ak.num(wanted)) if wanted.ndim == 2 else True
        np.testing.assert_allclose(
            ak.to_numpy(ak.flatten(values, axis=None)),
            ak.to_numpy(ak.flatten(wanted, axis=None)),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_outputs_are_those_of_torch(exports: dict[str, Path], kind: str, batch_size: int) -> None:
    tagger = Tagger(exports[kind], batch_size=batch_size)
    check(exports[kind], tagger(columns_of(exports[kind])))


@pytest.mark.parametrize("batch_size", [1, 7, 256])
@pytest.mark.parametrize("kind", ["event", "jets"])
def test_a_graph_of_raw_columns_takes_those_of_the_files(
    tmp_path: Path, kind: str, batch_size: int
) -> None:
    if kind == "event":
        write_target(tmp_path / "raw", "raw", event_config(), [DeepSet(0, 3, event=2)])
    else:
        write_target(tmp_path / "raw", "raw", jets_config(), [DeepSet(0, 1, per_jet=True)])
    tagger = Tagger(tmp_path / "raw", batch_size=batch_size)
    columns = columns_of(tmp_path / "raw")
    assert set(tagger.column_names) == columns.keys()
    check(tmp_path / "raw", tagger(columns))
    del columns["jet_pt"]
    with pytest.raises(DataError, match="the graph needs the column 'jet_pt'"):
        tagger(columns)


def test_columns_may_be_records_arrays_lists_or_values_with_offsets(
    exports: dict[str, Path],
) -> None:
    columns = columns_of(exports["event"])
    tagger = Tagger(exports["event"])
    check(exports["event"], tagger(ak.zip(columns, depth_limit=1)))
    check(exports["event"], tagger({name: ak.to_list(column) for name, column in columns.items()}))
    flat: dict[str, Any] = {}
    for name, column in columns.items():
        flat[name] = ak.to_numpy(column) if column.ndim == 1 else None
        if column.ndim == 2:
            # as in a slice of a larger file: the first three values belong to rows before
            offsets = np.concatenate([[0], np.cumsum(ak.num(column))]) + 3
            flat[name] = (np.concatenate([np.full(3, 99.0), ak.flatten(column)]), offsets)
    check(exports["event"], tagger(flat))


def test_a_slice_of_an_array_has_the_outputs_of_these_rows(exports: dict[str, Path]) -> None:
    array = ak.zip(columns_of(exports["jets"]), depth_limit=1)
    tagger = Tagger(exports["jets"])
    whole = tagger(array)["jet_eff"]
    part = tagger(array[11:20])["jet_eff"]
    assert ak.num(part).tolist() == ak.num(whole[11:20]).tolist()
    np.testing.assert_allclose(ak.flatten(part), ak.flatten(whole[11:20]), atol=1e-6)


def test_no_rows_have_no_outputs_of_the_same_types(exports: dict[str, Path]) -> None:
    for kind in KINDS:
        array = ak.zip(columns_of(exports[kind]), depth_limit=1)
        for name, values in Tagger(exports[kind])(array[:0]).items():
            assert len(values) == 0, name
            expected = "0 * float32" if kind == "event" else "0 * var * float32"
            assert str(ak.Array(values).type) == expected


def test_a_pickled_tagger_and_several_threads_give_the_same(exports: dict[str, Path]) -> None:
    tagger = pickle.loads(pickle.dumps(Tagger(exports["jets"], batch_size=5)))
    columns = columns_of(exports["jets"])
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(tagger, [columns] * 8):
            check(exports["jets"], outputs)


def test_names_say_what_it_needs_and_gives(exports: dict[str, Path]) -> None:
    tagger = Tagger(exports["ensemble"])
    assert tagger.column_names == ["jet_pt", "jet_eta", "jet_phi", "jet_flavour"]
    assert tagger.output_names == ["jet_eff", "jet_eff_std"]


LISTS = ak.Array([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jet_eta": None}, "'jets' needs the column 'jet_eta'; did you mean"),
        ({"jet_eta": ak.Array([[1.0], [3.0]])}, "has 1 value in row 0, others have 2"),
        (
            {"jet_eta": ak.Array([[1.0, 2.0]])},
            "of input 'jets': has 1 row, others have 2",
        ),
        ({"jet_eta": np.ones(2)}, "'jet_eta' of input 'jets': has one number for each row"),
        ({"jet_eta": (np.ones(3), [0, 3, 2])}, "its offsets decrease"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(
    exports: dict[str, Path], changes: dict[str, Any], words: str
) -> None:
    columns = dict.fromkeys(["jet_pt", "jet_eta", "jet_phi", "jet_flavour"], LISTS) | changes
    columns = {name: column for name, column in columns.items() if column is not None}
    with pytest.raises(DataError) as caught:
        Tagger(exports["jets"])(columns)
    assert words in str(caught.value)


def test_files_that_do_not_fit_together_are_refused(
    exports: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(exports["jets"], tmp_path / "export")
    content = json.loads((folder / "preprocess.json").read_text())
    content["jets"]["var_names"] = content["jets"]["var_names"][:3]
    (folder / "preprocess.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="jets: there are 3 var_names, the network takes 4"):
        Tagger(folder)
    content["jet"] = content.pop("jets")
    (folder / "preprocess.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="not describe the network's input 'jets'; did you mean"):
        Tagger(folder)
    with pytest.raises(ConfigError, match=r"other\.onnx: no such file"):
        Tagger(folder, model="other.onnx")


PROGRAM = """
import sys
from weaver_tt.deploy import Tagger
outputs = Tagger(sys.argv[1])({name: [[1.0, 2.0], []] for name in
                               ("jet_pt", "jet_eta", "jet_phi", "jet_flavour")})
assert len(outputs["jet_eff"][0]) == 2
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"torch", "matplotlib", "yaml", "uproot", "tensorboard"}))
"""


def test_it_runs_without_torch(exports: dict[str, Path]) -> None:
    command = [sys.executable, "-c", PROGRAM, str(exports["jets"])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_processor_of_the_documentation_runs_wherever_it_is_sent(
    exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/onnx.md").read_text()
    [example] = [part for part in page.split("```python\n") if "ProcessorABC" in part]
    # coffea itself is large; of it, the example needs the name of a class
    coffea = ModuleType("coffea")
    coffea.processor = SimpleNamespace(ProcessorABC=object)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coffea", coffea)
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    exec(compile(example.partition("```")[0], "docs/onnx.md", "exec"), module.__dict__)
    module.Efficiencies.__module__ = "example"
    columns = columns_of(exports["jets"])
    jets = {
        "pt": columns["jet_pt"],
        "eta": columns["jet_eta"],
        "phi": columns["jet_phi"],
        "hadronFlavour": columns["jet_flavour"],
    }
    events = ak.zip({"Jet": ak.zip(jets)}, depth_limit=1)
    processor = pickle.loads(pickle.dumps(module.Efficiencies(exports["jets"])))
    counted = processor.postprocess(processor.process(events))
    expected = [value for row in golden(exports["jets"], "outputs") for value in row["jet_eff"]]
    assert counted == {"events": 40, "tagged": pytest.approx(np.nansum(expected), rel=1e-5)}
