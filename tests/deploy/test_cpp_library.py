"""The C++ library gives the numbers of torch, and refuses what does not fit by an exception.

The tests build it, which needs cmake, a compiler, and the headers that cpp/get_dependencies.sh
fetches (`make cpp`); where one is missing they are skipped, and say which.
"""

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    jets_config,
    write_export,
    write_mixed_model,
    write_target,
    write_tracks_and_jets,
)

ROOT = Path(__file__).parents[2]
HEADERS = Path(os.environ.get("WEAVER_TT_CPP_HEADERS", ROOT / "build/cpp-dependencies"))


def _missing() -> str:
    """What the library cannot be built without; "" where all is there."""
    for program in ("cmake", "c++"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    for header in ("onnxruntime/onnxruntime_cxx_api.h", "nlohmann/json.hpp"):
        folders = (HEADERS / "usr/include", Path("/usr/include"), Path("/usr/local/include"))
        if not any((folder / header).exists() for folder in folders):
            return f"{header} is not there: `make cpp` fetches it to {HEADERS}"
    return ""


pytestmark = pytest.mark.skipif(bool(_missing()), reason=_missing())


@pytest.fixture(scope="module", params=["release", "sanitized"])
def build(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of the programs, one for use and one that watches memory and arithmetic."""
    folder = tmp_path_factory.mktemp(request.param)
    sanitized = request.param == "sanitized"
    flags = [
        f"-DONNXRUNTIME_ROOT={HEADERS / 'usr'}",
        f"-DCMAKE_PREFIX_PATH={HEADERS / 'usr'}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        f"-DWEAVER_TT_SANITIZE={'ON' if sanitized else 'OFF'}",
        f"-DCMAKE_BUILD_TYPE={'Debug' if sanitized else 'Release'}",
    ]
    run("cmake", "-S", ROOT / "cpp", "-B", folder, *flags)
    run("cmake", "--build", folder, "--parallel", "2")
    return folder


def run(*command: str | Path, code: int = 0) -> str:
    """What a command prints; it must end with ``code``."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_outputs_are_those_of_torch(build: Path, exports: dict[str, Path]) -> None:
    for name, folder in exports.items():
        said = run(build / "golden_check", folder)
        assert said.startswith("40 rows, largest difference"), name


@pytest.mark.parametrize("target", ["generic", "cmssw", "fcc", "raw"])
def test_folders_of_targets_hold_their_proof(build: Path, tmp_path: Path, target: str) -> None:
    """Their rows are computed by the library from the columns that stand in them."""
    golden = write_target(tmp_path / target, target, event_config(), [DeepSet(0, 3, event=2)])
    number = len(golden["rows"])
    assert number >= 30
    assert run(build / "golden_check", tmp_path / target).startswith(f"{number} rows")


def test_a_graph_of_raw_columns_gives_the_outputs_of_objects_in_their_order(
    build: Path, tmp_path: Path
) -> None:
    golden = write_target(tmp_path / "raw", "raw", jets_config(), [DeepSet(0, 1, per_jet=True)])
    assert any(len(row["outputs"]["jet_eff"]) > 1 for row in golden["rows"])
    run(build / "golden_check", tmp_path / "raw")
    write_tracks_and_jets(tmp_path / "tracks")
    run(build / "golden_check", tmp_path / "tracks")
    # of jets that are selected inside, nobody can tell which are left
    config = jets_config(object_selection={"jets": "jet_pt > 40"})
    write_target(tmp_path / "chosen", "raw", config, [DeepSet(0, 1, per_jet=True)])
    said = run(build / "golden_check", tmp_path / "chosen", code=2)
    assert "no input has the objects of output 'jet_eff'" in said
    # the metadata say which columns there are: without them it is no such graph
    model = onnx.load(str(tmp_path / "raw/model.onnx"))
    for item in model.metadata_props:
        if item.key == "raw_columns":
            item.value = item.value.replace("offsets", "offset", 1)
    onnx.save(model, str(tmp_path / "raw/model.onnx"))
    said = run(build / "golden_check", tmp_path / "raw", code=2)
    # as one may call a path in a file of JSON
    assert "model.onnx, metadata 'raw_columns': [json" in said
    assert "(/jet_pt) key 'offsets' not found" in said


def test_spreads_of_objects_are_part_of_the_proof(build: Path, tmp_path: Path) -> None:
    two = [DeepSet(seed, 1, per_jet=True) for seed in (1, 2)]
    golden = write_target(tmp_path / "jets", "generic", jets_config(), two)
    assert set(golden["rows"][0]["outputs"]) == {"jet_eff", "jet_eff_std"}
    assert "largest difference" in run(build / "golden_check", tmp_path / "jets")
    # an output may have a tolerance of its own
    row = next(row for row in golden["rows"] if row["outputs"]["jet_eff_std"])
    row["outputs"]["jet_eff_std"][0] += 0.5
    row["tolerance"]["outputs"] = {"jet_eff_std": {"absolute": 0.6, "relative": 0}}
    (tmp_path / "jets/golden.json").write_text(json.dumps(golden))
    run(build / "golden_check", tmp_path / "jets")
    del row["tolerance"]["outputs"]
    (tmp_path / "jets/golden.json").write_text(json.dumps(golden))
    run(build / "golden_check", tmp_path / "jets", code=1)


@pytest.mark.parametrize("several", [False, True])
def test_classes_and_targets_of_a_published_model_have_their_names(
    build: Path, tmp_path: Path, several: bool
) -> None:
    """Of an input (N, C, P, 1), with the lengths of its input_shape."""
    write_mixed_model(tmp_path / "cms", several)
    assert run(build / "golden_check", tmp_path / "cms").startswith("2 rows")
    # an output that is no tensor is refused, and not looked into
    model = onnx.load(str(tmp_path / "cms/model.onnx"))
    model.graph.node.append(onnx.helper.make_node("SequenceConstruct", ["sums"], ["list"]))
    element = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
    of_list = onnx.helper.make_sequence_type_proto(element)
    model.graph.output.append(onnx.helper.make_value_info("list", of_list))
    onnx.save(model, str(tmp_path / "cms/model.onnx"))
    said = run(build / "golden_check", tmp_path / "cms", code=2)
    assert "model.onnx: 'list' is no tensor" in said


def test_a_wrong_golden_number_is_found(
    build: Path, exports: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(exports["event"], tmp_path / "export")
    golden = json.loads((folder / "golden.json").read_text())
    golden["rows"][7]["outputs"]["is_b"] += 1e-4
    (folder / "golden.json").write_text(json.dumps(golden))
    assert "row 7 (real), output 'is_b'" in run(build / "golden_check", folder, code=1)


def test_infinities_that_are_equal_agree(build: Path, tmp_path: Path) -> None:
    """The logarithm of a probability of 0 is -inf, in torch and here."""
    config = event_config({"of_b": "np.log(0 * is_b)", "met_of_b": "met * is_b"})
    write_export(tmp_path / "event", config, [DeepSet(0, 3, event=2)])
    golden = json.loads((tmp_path / "event" / "golden.json").read_text())
    assert golden["rows"][0]["outputs"]["of_b"] == "-Infinity"
    assert run(build / "golden_check", tmp_path / "event").startswith("40 rows")


def test_times_of_calls_are_told_for_each_number_of_rows(
    build: Path, exports: dict[str, Path], tmp_path: Path
) -> None:
    columns = {
        "jet_pt": [[30.0, 40.0], [], [50.0]],
        "jet_eta": [[0.5, -1.0], [], ["NaN"]],
        "jet_phi": [[0.0, 3.0], [], [1.0]],
        "jet_flavour": [[5, 0], [], [4]],
        "met": [20.0, 30.0, 40.0],
        "npv": [10, 20, 30],
    }
    path = tmp_path / "columns.json"
    path.write_text(json.dumps(columns))
    for folder in exports.values():
        seconds = json.loads(run(build / "time_calls", folder, path, "3", "1", "2"))
        assert {batch: len(of_turns) for batch, of_turns in seconds.items()} == {"1": 3, "2": 3}
        assert all(value > 0 for of_turns in seconds.values() for value in of_turns)
    del columns["jet_eta"]
    path.write_text(json.dumps(columns))
    said = run(build / "time_calls", exports["jets"], path, "3", "1", code=2)
    assert "'jet_eta' is needed" in said


def test_what_does_not_fit_is_refused_by_name(build: Path, exports: dict[str, Path]) -> None:
    """Columns, offsets and files: see cpp/tests/model_test.cpp; 300 changed files beside."""
    folder = exports["jets"]
    original = json.loads((folder / "preprocess.json").read_text())
    dice = random.Random(1)
    names = []
    for number in range(300):
        text = changed_json(original, dice) if number % 3 else changed_text(original, dice)
        names.append(f"changed{number}.json")
        (folder / names[-1]).write_text(text)
    said = run(build / "model_test", folder, *names)
    assert "of 300 refused, 0 failures" in said
    assert int(said.split()[0]) > 100


VALUES = (None, True, -1, 0, 1, 7, 1e300, -1e-300, "", "jet_pt", [], ["jet_pt"], {}, 2**40, 0.5)


def changed_json(original: Any, dice: random.Random) -> str:
    """The file with a value replaced, a key removed or renamed, somewhere in it."""
    document = copy.deepcopy(original)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        entries = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in entries:
            places.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(document)
    node, key = dice.choice(places)
    action = dice.random()
    if action < 0.6:
        node[key] = dice.choice(VALUES)
    elif action < 0.8:
        del node[key]
    else:
        node[key] = [node[key], node[key]]
    return json.dumps(document)


def changed_text(original: Any, dice: random.Random) -> str:
    """The file cut off, or with some characters changed."""
    text = json.dumps(original)
    place = dice.randrange(len(text))
    if dice.random() < 0.3:
        return text[:place]
    return text[:place] + dice.choice('{}[]",:0e-\x00é') + text[place + 1 :]
