"""Files that import what README, docs and shipped network files showed before go on working."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from weaver_tt import cli
from weaver_tt.applications.truth_tagging import toy
from weaver_tt.config.load import load_config
from weaver_tt.network.network import build_network
from weaver_tt.options.train import NetworkOptions
from weaver_tt.weaver_compat.old_paths import OLD_PATHS

ROOT = Path(__file__).parents[2]
OLD_FILES = Path(__file__).parent / "old_network_files"

# module -> names that were imported from it, in a network file, in the docs, or by a task
SHOWN = {
    "weaver_tt.cli": ["main", "train"],
    "weaver_tt.config.schema": ["DataConfig", "InputGroup"],
    "weaver_tt.errors": ["ConfigError", "nearest"],
    "weaver_tt.metrics.base": ["LossMeter", "Meter", "Scored", "SumMeter"],
    "weaver_tt.nn.blocks": ["mlp"],
    "weaver_tt.nn.edges": ["EdgeNetwork", "logit_of_product", "pair_geometry"],
    "weaver_tt.nn.focal": ["FocalLoss"],
    "weaver_tt.nn.graph_network": ["GraphNetwork"],
    "weaver_tt.nn.inputs": [
        "accepted",
        "channels",
        "constituent_groups",
        "hidden_layers",
        "model_info",
        "outputs",
        "raw",
        "sizes",
    ],
    "weaver_tt.nn.norm": ["ObjectNorm"],
    "weaver_tt.nn.p_cnn": ["ParticleCNN"],
    "weaver_tt.nn.pairwise": ["PairLinear", "layout"],
    "weaver_tt.nn.particle_flow": ["EnergyFlowNetwork", "ParticleFlowNetwork", "PointwiseLinear"],
    "weaver_tt.nn.particle_net": [
        "Convolutions",
        "Layers",
        "ParticleNet",
        "ParticleNetTagger",
        "convolutions",
    ],
    "weaver_tt.nn.particle_transformer": [
        "ParticleTransformer",
        "ParticleTransformerTagger",
        "head",
    ],
    "weaver_tt.tasks.base": ["Batch", "Output", "Scored", "Task", "row_weight", "split"],
    "weaver_tt.tasks.classification": ["Classification"],
    "weaver_tt.truth_tagging.raw_jets": ["model_info"],
}

IMPORT_EACH = """
import importlib, json, sys
lacking = []
for module, names in json.loads(sys.argv[1]).items():
    found = importlib.import_module(module)
    assert sys.modules[module] is found
    lacking += [f"{module}: {name}" for name in names if not hasattr(found, name)]
print(json.dumps(lacking))
"""


def in_a_fresh_interpreter(code, *arguments):
    """What ``code`` prints as JSON."""
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_path_and_name_that_was_shown_is_imported_in_a_fresh_interpreter():
    every = {module: [] for module in OLD_PATHS} | SHOWN
    assert in_a_fresh_interpreter(IMPORT_EACH, json.dumps(every)) == []


def test_a_name_is_that_of_the_new_module():
    code = """
import json
from weaver_tt.nn.particle_transformer import ParticleTransformer, head
from weaver_tt.nn.models import particle_transformer as new
from weaver_tt.truth_tagging.raw_jets import model_info
from weaver_tt.network.inputs import jet_model_info
same = ParticleTransformer is new.ParticleTransformer, head is new.class_head
print(json.dumps([*same, model_info is jet_model_info]))
"""
    assert in_a_fresh_interpreter(code) == [True, True, True]


def test_a_path_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"weaver_tt\.nn\.quarks"):
        __import__("weaver_tt.nn.quarks")


def test_importing_the_package_loads_no_more_than_the_table():
    code = "import json, sys, weaver_tt; print(json.dumps(sorted(sys.modules)))"
    ours = [name for name in in_a_fresh_interpreter(code) if name.startswith("weaver_tt")]
    table = ["weaver_tt", "weaver_tt.weaver_compat", "weaver_tt.weaver_compat.old_paths"]
    assert ours == table


def old_file(name, folder):
    """A network file as it was shipped before modules moved."""
    path = folder / f"{name}.py"
    path.write_text((OLD_FILES / f"{name}.txt").read_text())
    return path


def test_a_run_with_an_old_network_file_trains_predicts_and_exports(tmp_path):
    network = old_file("truth_tagging_edges", tmp_path)
    data = tmp_path / "toy.root"
    toy.write_toy(data, 500, seed=5)
    common = ["-c", str(ROOT / "data_configs" / "truth_tagging.yaml"), "-n", str(network)]
    common += ["-m", str(tmp_path / "net"), "-o", "hidden", "8", "--gpus", "", "--no-figures"]
    training = ["--num-epochs", "1", "--optimizer", "adam", "--tensorboard", "off"]
    prediction = ["-t", str(data), "--predict-output", str(tmp_path / "pred.root")]
    assert cli.train(["-i", str(data), *training, "--no-progress", *common]) == 0
    assert cli.train(["--predict", *prediction, *common]) == 0
    assert cli.train(["--export-onnx", str(tmp_path / "model.onnx"), *common]) == 0


def test_an_old_network_file_makes_the_network_that_its_successor_makes(tmp_path):
    config = load_config(str(ROOT / "data_configs" / "jetclass.yaml"))
    name = "particle_transformer_finetune"
    small = [["embed_dims", "(8, 8)"], ["num_layers", "1"], ["num_cls_layers", "1"]]
    small += [["num_heads", "2"], ["pair_embed_dims", "(4, 4)"], ["fc_params", "((8, 0),)"]]
    networks = []
    for path in (old_file(name, tmp_path), ROOT / "network_configs" / f"{name}.py"):
        options = NetworkOptions(network_config=str(path), network_option=small)
        networks.append(build_network(config, options, seed=1).eval())
    old, new = networks
    inputs = {}
    for group in config.inputs.values():
        inputs[group.name] = torch.rand(3, len(group.variables), 7)
    with torch.no_grad():
        assert torch.equal(old(inputs), new(inputs))
