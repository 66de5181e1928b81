"""What a user of Weaver has on disk runs here, with weaver-core out of reach.

That is the YAML that it wrote, the network file and the weights.
"""

import logging
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
import uproot
import yaml

from weaver_tt.config.load import load_config
from weaver_tt.options.train import parse_options
from weaver_tt.run.run import run

ROWS = 60
WEIGHTS = """
weights:
  use_precomputed_weights: false
  reweight_method: flat
  reweight_vars: {jet_pt: [0, 50, 100], jet_eta: [-5, 0, 5]}
  reweight_classes: [is_b, is_light]
  class_weights: [1, 0.5]
"""
TEXT = """
treename: tree
new_variables:
  mask: ak.ones_like(px)
  log_pt: np.log(np.hypot(px, py))
  is_b: label == 1
  is_light: label != 1
preprocess: {method: auto, data_fraction: 0.5}
inputs:
  pf_points: {length: 6, pad_mode: wrap, vars: [[px, null], [py, null]]}
  pf_features: {length: 6, pad_mode: wrap, vars: [log_pt, [charge, null], [px, null]]}
  pf_mask: {length: 6, pad_mode: constant, vars: [[mask, null]]}
labels: {type: simple, value: [is_b, is_light]}
observers: [jet_pt]
"""
NETWORK = """
import torch
from weaver.nn.model.ParticleNet import ParticleNet
from weaver.utils.logger import _logger

class Wrapper(torch.nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.mod = ParticleNet(**kwargs)

    def forward(self, points, features, mask):
        return self.mod(points, features, mask)

def get_model(data_config, **kwargs):
    cfg = dict(
        input_dims=len(data_config.input_dicts['pf_features']),
        num_classes=len(data_config.label_value),
        conv_params=[(3, (8, 8)), (3, (8, 8))], fc_params=[(8, 0.1)],
        use_fusion=False, use_fts_bn=True, use_counts=True, for_inference=False)
    cfg.update(**kwargs)
    _logger.info('Model config: %s' % str(cfg))
    axes = {k: {0: 'N', 2: 'n_' + k.split('_')[0]} for k in data_config.input_names}
    return Wrapper(**cfg), {
        'input_names': list(data_config.input_names),
        'input_shapes': {k: ((1,) + s[1:]) for k, s in data_config.input_shapes.items()},
        'output_names': ['softmax'],
        'dynamic_axes': {**axes, **{'softmax': {0: 'N'}}},
    }

def get_loss(data_config, **kwargs):
    return torch.nn.CrossEntropyLoss()
"""


@pytest.fixture
def weaver():
    """weaver-core's modules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("weaver.nn.model.ParticleNet")
        return pytest.importorskip("weaver.utils.dataset")


@pytest.fixture
def hidden(monkeypatch):
    """Hides weaver-core, from the moment it is called."""

    class Hide:
        def find_spec(self, name, path=None, target=None):
            if name == "weaver":
                return next(
                    finder for finder in sys.meta_path if type(finder).__name__ == "_Finder"
                ).find_spec(name)
            return None

    def hide():
        for name in [name for name in sys.modules if name.partition(".")[0] == "weaver"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Hide(), *sys.meta_path])

    return hide


@pytest.fixture
def files(tmp_path):
    """Data, YAML and network file."""
    import awkward as ak

    random = np.random.default_rng(3)
    counts = random.integers(1, 9, ROWS)
    columns = {
        name: ak.unflatten(random.normal(size=counts.sum()).astype(np.float32), counts)
        for name in ("px", "py")
    }
    columns["charge"] = ak.unflatten(random.integers(-1, 2, counts.sum()).astype(np.int32), counts)
    with uproot.recreate(tmp_path / "data.root") as file:
        jets = {
            "label": random.integers(0, 2, ROWS),
            "jet_pt": random.uniform(1, 99, ROWS),
            "jet_eta": random.normal(size=ROWS),
        }
        file.mktree("tree", columns | jets)
    (tmp_path / "net.py").write_text(textwrap.dedent(NETWORK))
    return tmp_path


def written_by_weaver(dataset, folder, text):
    """The ``.auto.yaml`` that weaver-core writes for the data, and its dataset."""
    (folder / "data.yaml").write_text(text)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        dataset.SimpleIterDataset(
            {"_": [str(folder / "data.root")]},
            str(folder / "data.yaml"),
            for_training=True,
            load_range_and_fraction=((0, 1), 1, 1),
        )
    return next(folder.glob("data.*.auto.yaml"))


@pytest.mark.parametrize("weights", ["", WEIGHTS], ids=["plain", "reweighted"])
def test_a_yaml_that_weaver_wrote_is_read(weaver, files, weights):
    path = written_by_weaver(weaver, files, TEXT + weights)
    config, values = load_config(str(path)), yaml.safe_load(path.read_text())
    assert not config.needs_statistics
    assert values["preprocess"]["params"]["log_pt"]["center"] != "auto"
    assert config.preprocess_params == values["preprocess"]["params"]
    assert (config.weights is None) == (not weights)
    assert bool(weights) == ("reweight_hists" in (values["weights"] or {}))


def test_a_network_that_weaver_trained_predicts_the_same_here(weaver, files, hidden):
    """weaver-core's ParticleNet on its inputs; ours, from its YAML, network file and weights."""
    path = written_by_weaver(weaver, files, TEXT)
    from weaver.utils.import_tools import import_module

    torch.manual_seed(0)
    network, _ = import_module(str(files / "net.py")).get_model(weaver.DataConfig.load(str(path)))
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), files / "net_best_epoch_state.pt")
    rows = weaver.SimpleIterDataset(
        {"_": [str(files / "data.root")]},
        str(path),
        for_training=False,
        fetch_by_files=True,
        fetch_step=1,
    )
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        inputs = [
            {name: torch.as_tensor(np.asarray(value)) for name, value in x.items()}
            for x, _, _ in rows
        ]
        batch = [
            torch.stack([row[name] for row in inputs]).float()
            for name in ("pf_points", "pf_features", "pf_mask")
        ]
        expected = network.eval()(*batch).softmax(1).numpy()
    hidden()
    command = f"--predict -c {path} -n {files}/net.py -m {files}/net_best_epoch_state.pt"
    command += f" -t {files}/data.root --gpus= --predict-output {files}/pred.root"
    run(parse_options(command.split()))
    assert not any(name.partition(".")[0] == "weaver" for name in sys.modules)
    found = uproot.open(files / "pred.root")["tree"].arrays(library="np")
    np.testing.assert_allclose(
        np.stack([found["score_is_b"], found["score_is_light"]], 1), expected, atol=1e-5
    )
    np.testing.assert_allclose(
        found["jet_pt"], uproot.open(files / "data.root")["tree"]["jet_pt"].array(library="np")
    )


def test_fine_tuning_of_a_published_network_moves_what_is_not_frozen_alone(
    weaver, files, hidden, caplog, monkeypatch
):
    """Weights of a network with five classes start one with two.

    Its body and the statistics of its norms stay as they were published.
    """
    path = written_by_weaver(weaver, files, TEXT)
    from weaver.utils.import_tools import import_module

    published, _ = import_module(str(files / "net.py")).get_model(
        weaver.DataConfig.load(str(path)), num_classes=5
    )
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in published.state_dict().items()}},
        files / "published.pt",
    )
    hidden()
    command = f"-c {path} -n {files}/net.py -m {files}/run/net -i {files}/data.root --gpus="
    command += " --num-epochs 1 --batch-size 16 --no-progress --seed 1"
    command += f" --load-model-weights {files}/published.pt"
    command += " --freeze-model-weights mod.bn_fts,mod.edge_convs"
    command += " --tensorboard off --lr-scheduler none"
    monkeypatch.setattr(logging.getLogger("weaver_tt"), "propagate", True)
    with caplog.at_level(logging.INFO, "weaver_tt"):
        run(
            parse_options(
                [
                    *command.split(),
                    "-p",
                    "lr_mult",
                    '("mod.fc.*",50)',
                    "-p",
                    "weight_decay",
                    "0.01",
                    "--optimizer",
                    "adamW",
                ]
            )
        )
    before, after = (
        published.state_dict(),
        torch.load(files / "run" / "net_best_epoch_state.pt", weights_only=True),
    )
    moved = {
        name
        for name in before
        if before[name].shape != after[name].shape or not torch.equal(before[name], after[name])
    }
    assert moved == {"mod.fc.0.0.weight", "mod.fc.0.0.bias", "mod.fc.1.weight", "mod.fc.1.bias"}
