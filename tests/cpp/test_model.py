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

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import DataConfig
from weaver_tt.deploy.export import export_onnx
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.tasks.registry import make_task

ROOT = Path(__file__).parents[2]
HEADERS = Path(os.environ.get("WEAVER_TT_CPP_HEADERS", ROOT / "build/cpp-dependencies"))
LENGTH = 6
NAMES = ("jet_pt", "jet_eta", "jet_phi", "jet_flavour")


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


# --- networks


class DeepSet(nn.Module):
    """Jets (N, 4, P) and, if any, numbers of the event (N, C): each jet, or all of them."""

    def __init__(self, seed: int, outputs: int, event: int = 0, per_jet: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.inner = nn.Conv1d(4, 8, 1)
            self.outer = nn.Linear(8 + event, outputs)
        self.per_jet = per_jet

    def forward(self, jets: Tensor, *others: Tensor) -> Tensor:
        real = (jets[:, :1] != 0).float()  # (N, 1, P)
        hidden = torch.tanh(self.inner(jets)) * real  # (N, 8, P)
        if self.per_jet:
            mean = hidden.sum(2, keepdim=True) / real.sum(2, keepdim=True).clamp(min=1)
            return self.outer((hidden + mean).transpose(1, 2)).transpose(1, 2)
        event = [other for other in others if other.dim() == 2]
        return self.outer(torch.cat([hidden.sum(2), *event], 1))


def jets_config(**changes: Any) -> DataConfig:
    """Jets with one label each."""
    scaled = [["jet_pt", 50, 0.02], ["jet_eta", 0, 1], ["jet_phi", None], ["jet_flavour", None]]
    values = {
        "inputs": {"jets": {"length": LENGTH, "vars": scaled}},
        "labels": {"type": "per_object", "group": "jets", "value": ["istag"]},
    }
    return from_mapping(values | changes, source="test.yaml")


def event_config() -> DataConfig:
    """Classes of events with jets, their mask, and numbers of the event."""
    config = jets_config().inputs["jets"]
    return jets_config(
        inputs={
            "pf_features": {
                "length": LENGTH,
                "vars": [["jet_pt", 50, 0.02, -5, 5, 0], *([name, None] for name in NAMES[1:])],
            },
            "pf_mask": {"length": config.length, "vars": [["pf_mask", None]]},
            "event": {"length": None, "vars": [["met", 30, 0.1, -2, 2], ["npv", None]]},
        },
        labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]},
    )


def events(rows: int, seed: int) -> list[dict[str, Any]]:
    """Columns of each row: up to two jets more than fit, NaN and infinity among them."""
    numbers = np.random.default_rng(seed)
    found = []
    for row in range(rows):
        count = row % (LENGTH + 3)
        columns: dict[str, Any] = {
            "jet_pt": numbers.exponential(50, count) + 20,
            "jet_eta": numbers.normal(size=count),
            "jet_phi": numbers.uniform(-3, 3, count),
            "jet_flavour": numbers.choice([0.0, 4.0, 5.0], count),
            "met": numbers.exponential(40),
            "npv": float(numbers.integers(60)),
        }
        if count > 2:
            columns["jet_pt"][1] = (np.nan, np.inf, -np.inf)[row % 3]
        found.append(columns)
    return found


def tensors_of(config: DataConfig, row: dict[str, Any]) -> dict[str, Tensor]:
    """What the network is given of one row, made value by value."""
    tensors = {}
    for name, group in config.inputs.items():
        channels = []
        for variable in group.variables:
            if variable.name.endswith("_mask"):
                values = np.ones_like(row["jet_pt"])
            else:
                values = np.atleast_1d(row[variable.name])
            values = np.where(np.isfinite(values), values, 0).astype(np.float32)
            if variable.center is not None:
                values = np.clip(
                    (values - np.float32(variable.center)) * np.float32(variable.scale),
                    np.float32(variable.low),
                    np.float32(variable.high),
                )
            if group.length is not None:
                kept = values[: group.length]
                values = np.full(group.length, variable.pad, np.float32)
                values[: len(kept)] = kept
            channels.append(values)
        tensor = torch.tensor(np.stack(channels), dtype=torch.float32)[None]
        tensors[name] = tensor if group.length is not None else tensor[:, :, 0]
    return tensors


def write_export(folder: Path, config: DataConfig, modules: list[nn.Module]) -> None:
    """An export to ``folder``, with golden rows computed here by torch."""
    task = make_task(config)
    members = [Network(module, list(config.inputs)) for module in modules]
    export_onnx(members, task, config, folder / "model.onnx")
    names = json.loads((folder / "preprocess.json").read_text())["output_names"]
    rows = []
    for row in events(40, seed=1):
        count = len(row["jet_pt"])
        with torch.no_grad():
            value, spread = Ensemble(members, task)(tensors_of(config, row))
        both = [value[0]] if spread is None else [value[0], spread[0]]
        expected: list[Any] = torch.cat(both).tolist()
        if value.dim() == 3:
            # jets beyond the length are not given to the network
            beyond = ["NaN"] * max(0, count - LENGTH)
            expected = [values[:count] + beyond for values in expected]
        columns = {name: as_json(values) for name, values in row.items()}
        rows.append(
            {
                "kind": "real",
                "columns": columns,
                "outputs": dict(zip(names, expected, strict=True)),
                "tolerance": {"absolute": 1e-5, "relative": 1e-5},
            }
        )
    (folder / "golden.json").write_text(json.dumps({"rows": rows}))


def as_json(values: Any) -> Any:
    if np.ndim(values):
        return [as_json(value) for value in values]
    words = {np.inf: "Infinity", -np.inf: "-Infinity"}
    return "NaN" if np.isnan(values) else words.get(values, float(values))


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports of several kinds, by name."""
    folder = tmp_path_factory.mktemp("exports")
    made = {name: folder / name for name in ("jets", "ensemble", "event")}
    write_export(made["jets"], jets_config(), [DeepSet(0, 1, per_jet=True)])
    two = [DeepSet(seed, 1, per_jet=True) for seed in (1, 2)]
    write_export(made["ensemble"], jets_config(), two)  # type: ignore[arg-type]
    write_export(made["event"], event_config(), [DeepSet(0, 3, event=2)])
    return made


# --- tests


def test_outputs_are_those_of_torch(build: Path, exports: dict[str, Path]) -> None:
    for name, folder in exports.items():
        said = run(build / "golden_check", folder)
        assert said.startswith("40 rows, largest difference"), name


def test_a_wrong_golden_number_is_found(
    build: Path, exports: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(exports["event"], tmp_path / "export")
    golden = json.loads((folder / "golden.json").read_text())
    golden["rows"][7]["outputs"]["score_is_b"] += 1e-4
    (folder / "golden.json").write_text(json.dumps(golden))
    assert "row 7 (real), output 'score_is_b'" in run(build / "golden_check", folder, code=1)


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
