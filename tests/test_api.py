"""The door for users: names that stay, imported late; the page that shows them runs as it is."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt import api
from weaver_tt.errors import ConfigError

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()


def in_a_fresh_interpreter(code, folder=ROOT):
    """What ``code`` prints."""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def modules_after(code):
    """Modules that are loaded after ``code``."""
    return json.loads(
        in_a_fresh_interpreter(f"{code}\nimport json, sys; print(json.dumps([*sys.modules]))")
    )


def test_every_name_is_there_and_listed_on_the_page():
    names = PAGE[PAGE.index("All names of `weaver_tt.api`") :]
    for name in api.__all__:
        assert callable(getattr(api, name)) or name == "Output"
        assert f"`{name}`" in names or f"`{name}(" in names
    assert set(api.__all__) <= set(dir(api))


def test_type_checkers_see_the_names_where_they_are():
    tree = ast.parse(Path(api.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            seen |= {alias.name: node.module for alias in node.names}
    assert seen == api.PLACES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tran'"):
        api.tran  # noqa: B018


def test_importing_the_door_loads_nothing_behind_it():
    assert not {"torch", "numpy", "awkward"} & set(modules_after("import weaver_tt.api"))


def test_a_network_file_with_a_task_loads_neither_output_nor_figures():
    names = set(api.PLACES) - {"TrainedNetwork", "TrainingResult", "Prediction", "make_axes"}
    names -= {"load_correction", "Correction"}
    loaded = modules_after(f"from weaver_tt.api import {', '.join(sorted(names))}")
    rooms = {name.split(".")[1] for name in loaded if name.startswith("weaver_tt.")}
    assert {"tasks", "network", "nn"} <= rooms
    assert not rooms & {"output", "figures", "report", "deploy", "run", "engine", "applications"}
    assert "matplotlib" not in loaded


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: api.train(num_epoch=3), "unknown key 'num_epoch'; did you mean 'num_epochs'"),
        (lambda: api.train(num_epochs="3"), "num_epochs: expected a whole number, found '3'"),
        (lambda: api.train(predict=True), "option predict: call train, predict or export"),
        (lambda: api.train(data_config="a.yaml"), "--network-config and --data-train must be"),
        (lambda: api.predict(model_prefix="net"), "--data-config and --network-config and --data-"),
        (
            lambda: api.train(
                data_config="a.yaml", network_config="n.py", data_train="a.root", gpus="0,1"
            ),
            "gpus='0,1': one process trains on one GPU",
        ),
    ],
)
def test_options_are_checked_as_those_of_the_command_line(call, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        call()


def test_an_error_in_a_network_file_is_short_and_stays_as_the_cause(tmp_path):
    (tmp_path / "net.py").write_text("def get_model(config):\n    return {}['hidden']\n")
    (tmp_path / "data.yaml").write_text(
        "inputs: {jet: {vars: [jet_pt]}}\nlabels: {type: simple, value: [label_QCD, label_Tbqq]}\n"
    )
    write_jets(tmp_path / "jets.root", "QCD", rows=4)
    options = {"data_config": tmp_path / "data.yaml", "network_config": tmp_path / "net.py"}
    with pytest.raises(api.WeaverError, match="get_model\\(data_config\\) failed:") as raised:
        api.train(**options, data_train=tmp_path / "jets.root", model_prefix=tmp_path / "net")
    assert isinstance(raised.value.__cause__, KeyError)


def write_jets(path, name, rows=400):
    """Jets with the columns of ``weaver-tt simulate``; those of QCD are narrower."""
    random = np.random.default_rng(len(name))
    counts = random.integers(0, 10, rows)
    total = counts.sum()
    pt = random.exponential(20, total) + 0.5
    deta, dphi = random.normal(0, 0.1 if name == "QCD" else 0.4, (2, total))
    columns = {
        "px": pt * np.cos(dphi),
        "py": pt * np.sin(dphi),
        "pz": pt * np.sinh(deta),
        "energy": pt * np.cosh(deta),
        "deta": deta,
        "dphi": dphi,
    }
    part = {
        f"part_{column}": ak.unflatten(values.astype(np.float32), counts)
        for column, values in columns.items()
    }
    jet = {}
    for column in ("pt", "energy", "eta", "phi", "mass", "sdmass"):
        jet[f"jet_{column}"] = random.uniform(1, 2, rows).astype(np.float32)
    jet["jet_nparticles"] = counts.astype(np.int32)
    for label in ("Tbqq", "QCD"):
        jet[f"label_{label}"] = np.full(rows, label == name, dtype=np.int32)
    with uproot.recreate(path) as file:
        file.mktree(
            "tree",
            {key: ak.type(ak.Array(value)).content for key, value in (part | jet).items()},
            counter_name=lambda key: "n" + key,
        ).extend(part | jet)


def test_the_page_runs_from_top_to_bottom(tmp_path):
    write_jets(tmp_path / "top.root", "Tbqq")
    write_jets(tmp_path / "qcd.root", "QCD")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    printed = in_a_fresh_interpreter("\n".join(blocks), tmp_path)
    assert "constituents of a top jet: 4." in printed
    assert "unknown key 'num_epoch'; did you mean 'num_epochs'" in printed
    assert "_ pred.root 800 " in printed
    for name in ("models/net_best_epoch_state.pt", "pred.root", "onnx/model.onnx"):
        assert (tmp_path / name).exists()
    assert (tmp_path / "models" / "mean_best_epoch_state.pt").exists()
