"""The network file of the semi-equivariant network: its size, its inputs, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.tasks.registry import make_task

ROOT = Path(__file__).parents[2]
FILE = NetworkFile(ROOT / "network_configs" / "vec_net.py")
TOP_TAGGING = load_config(ROOT / "data_configs" / "top_tagging.yaml")
VECTORS = (("part_px", None), ("part_py", None), ("part_pz", None), ("part_energy", None))


def config(vectors=VECTORS, without=(), length=24):
    def group(*variables):
        return {"length": length, "vars": [list(variable) for variable in variables]}

    inputs = {
        "pf_points": group(("part_deta", None), ("part_dphi", None)),
        "pf_features": group(("part_pt_log", 1.7, 0.7), ("part_deta", None)),
        "pf_vectors": group(*vectors),
        "pf_mask": group(("part_mask", None)),
    }
    kept = {name: given for name, given in inputs.items() if name not in without}
    labels = {"type": "simple", "value": ["label_top", "label_QCD"]}
    return from_mapping({"inputs": kept, "labels": labels}, source="jets.yaml")


def parameters(options, data=TOP_TAGGING):
    module, _ = FILE.get_model(data, options)
    return sum(parameter.numel() for parameter in module.parameters())


def test_seven_features_and_two_classes_make_5964_parameters():
    """Known: 7 features and 2 invariants of 2 channels, which makes 11.

    Units 2; embedding 11 * 16 + 16 = 192. Each of 3 iterations: scalars 11 * 4 + 4 = 48; phi_e
    (2 * 20 + 4) * 16 + 16 = 720 and 16 * 16 + 16 = 272, two norms 64; attention 16 * 4 + 4 = 68;
    phi_x 32; a and b 4; phi_h 36 * 16 + 16 = 592: 1800. Head (16 + 2) * 16 + 16 = 304, norm 32,
    16 * 2 + 2 = 34.
    """
    assert 2 + 192 + 3 * 1800 + 304 + 32 + 34 == 5964
    assert parameters({}) == 5964


def test_without_vectors_what_is_left_are_features():
    """Known 7; without a and b, phi_x, units, pair invariants and masses of the jet."""
    embedding = 7 * 16 + 16
    iteration = (7 * 4 + 4) + (40 * 16 + 16) + 272 + 64 + 68 + 592
    head = 16 * 16 + 16 + 32 + 34
    assert parameters({"vectors": 0}) == embedding + 3 * iteration + head


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ({}, ["pf_features", "pf_vectors", "pf_mask"]),
        ({"vectors": 0}, ["pf_features", "pf_mask"]),
        ({"scalars": "invariant"}, ["pf_vectors", "pf_mask"]),
        ({"graph": "static-knn"}, ["pf_features", "pf_vectors", "pf_points", "pf_mask"]),
        (
            {"graph": "dynamic-knn", "distance": "minkowski"},
            ["pf_features", "pf_vectors", "pf_mask"],
        ),
    ],
)
def test_only_the_groups_that_the_options_need_must_be_there(options, groups):
    others = {"pf_points", "pf_features", "pf_vectors", "pf_mask"} - set(groups)
    _, info = FILE.get_model(config(without=others), options)
    assert info["input_names"] == groups
    with pytest.raises(ConfigError, match=f"there is no '{groups[0]}'"):
        FILE.get_model(config(without=[groups[0]]), options)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (VECTORS[:3], "expected px, py, pz, energy, found part_px, part_py, part_pz"),
        (
            (*VECTORS, ("part_pt", None)),
            "expected px, py, pz, energy and nothing else, found .*, part_pt",
        ),
        (
            (*VECTORS[:3], ("part_energy", 2.0, 0.7)),
            r"expected px, py, pz, energy as they are, but part_energy is scaled",
        ),
    ],
)
def test_vectors_that_are_not_four_raw_columns_are_refused(vectors, message):
    with pytest.raises(ConfigError, match=rf"jets\.yaml: inputs\.pf_vectors: {message}"):
        FILE.get_model(config(vectors), {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"graph": "static-knn", "k": 24},
            r"k 24: jets of jets\.yaml have at most 24 particles \(length\), so that each has at "
            "most 23 neighbours",
        ),
        (
            {"graph": "dynamic-knn", "k": 8, "keep": 8},
            "k 8: keep leaves 8 particles, so that each has at most 7 neighbours",
        ),
        ({"keep": 25}, r"keep 25: jets of jets\.yaml have at most 24 particles \(length\)"),
    ],
)
def test_more_neighbours_or_particles_than_jets_can_have_are_refused(options, message):
    with pytest.raises(ConfigError, match=f"network option {message}"):
        FILE.get_model(config(), options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hiden": 8}, "unknown key 'hiden'; .*did you mean 'hidden'"),
        ({"hidden": 0.5}, "hidden: expected a whole number, found 0.5"),
        ({"scalars": "invariants"}, "scalars 'invariants'; .*did you mean 'invariant'"),
        ({"heads": 5}, "heads 5: does not divide message 16"),
    ],
)
def test_options_that_are_misspelt_or_of_another_kind_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FILE.get_model(config(), options)


def test_none_of_the_command_line_is_no_shortcut():
    # it is read as no value
    assert parameters({"shortcut": None}) == parameters({"shortcut": "none"})
    assert parameters({"shortcut": None}) != parameters({"shortcut": "concat"})


def test_masses_of_hard_collinear_particles_are_those_of_onnx_runtime(tmp_path):
    """Particles of 200 GeV, 0.01 apart: masses squared of a few GeV^2, products of 1e5 GeV^2."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 24, 40, endpoint=True)
    real = (np.arange(24) < counts[:, None]).astype(np.float32)
    pt = 200 * rng.exponential(size=(40, 24))
    eta, phi = 1.5 + 0.01 * rng.normal(size=(2, 40, 24))
    momenta = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta))
    sample = {
        "pf_vectors": np.stack(momenta, axis=1).astype(np.float32) * real[:, None],
        "pf_mask": real[:, None],
    }
    data = config()
    torch.manual_seed(0)
    module, info = FILE.get_model(data, {"scalars": "invariant", "batch_norm": False})
    network = Network(module, info["input_names"], info=info).eval()
    path = tmp_path / "model.onnx"
    assert export_onnx([network], make_task(data), data, path, sample=sample) <= 1e-5
