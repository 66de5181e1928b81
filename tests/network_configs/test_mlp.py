"""The perceptron's one vector a row, by hand, and what it says to data that do not fit."""

from pathlib import Path

import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.tasks.registry import make_task

FILE = NetworkFile(Path(__file__).parents[2] / "network_configs" / "mlp.py")
JET = {"length": None, "vars": [["mass", None], ["pt", None]]}
PARTICLES = {"length": 3, "vars": [["x", None], ["y", None]]}
MASK = {"length": 3, "vars": [["one", None]]}
LABELS = {"type": "simple", "value": ["top", "qcd", "w"]}


def config(labels=LABELS, **inputs):
    return from_mapping({"inputs": inputs, "labels": labels}, source="data.yaml")


ALL = {"sv_features": PARTICLES, "jet": JET, "sv_mask": MASK}


def first_vector(data_config, *inputs, **options):
    """What enters the first layer."""
    module, _ = FILE.get_model(data_config, options)
    seen = []
    module.layers.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    module(*inputs)
    return seen[0].tolist()


OBJECTS = torch.tensor(
    [[[1.0, 3.0, 99.0], [2.0, 6.0, 99.0]], [[99.0] * 3] * 2]
)  # two real objects, none
SCALARS, REAL = (
    torch.tensor([[80.0, 500.0], [1.0, 2.0]]),
    torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]]),
)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ("mean", [[2, 4, 80, 500], [0, 0, 1, 2]]),
        ("sum", [[4, 8, 80, 500], [0, 0, 1, 2]]),
        ("flatten", [[1, 3, 0, 2, 6, 0, 80, 500], [0, 0, 0, 0, 0, 0, 1, 2]]),
    ],
)
def test_the_vector_of_a_row_by_hand(objects, expected):
    assert first_vector(config(**ALL), OBJECTS, SCALARS, REAL, objects=objects) == expected


def test_per_row_values_alone_are_taken_as_they_are_for_as_many_targets_as_there_are():
    data = config({"type": "custom", "value": {"energy": "pt * 2"}}, jet=JET)
    assert first_vector(data, SCALARS) == SCALARS.tolist()
    assert FILE.get_model(data, {"layers": 7})[0](SCALARS).shape == (2, 1)


def test_of_objects_that_are_ignored_neither_they_nor_their_masks_are_inputs():
    """A network on values of the jet alone, to compare with: what do its particles add?"""
    module, info = FILE.get_model(config(**ALL), {"objects": "ignore"})
    assert info["input_names"] == ["jet"]
    assert first_vector(config(**ALL), SCALARS, objects="ignore") == SCALARS.tolist()
    assert module(SCALARS).shape == (2, 3)


@pytest.mark.parametrize("rows", [0, 1])
def test_training_with_batch_norm_on_one_row_or_none_is_finite_and_leaves_the_statistics(rows):
    module, _ = FILE.get_model(config(jet=JET), {"batch_norm": True, "dropout": 0.5})
    before = [buffer.clone() for buffer in module.buffers()]
    output = module(SCALARS[:rows])
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.equal(*pair) for pair in zip(before, module.buffers(), strict=True))


@pytest.mark.parametrize("objects", ["mean", "flatten"])
def test_it_is_exported_and_flattened_slots_are_of_fixed_number(tmp_path, objects):
    data = config(**ALL)
    module, info = FILE.get_model(data, {"objects": objects, "batch_norm": True, "layers": (6, 5)})
    assert (
        export_onnx(
            [Network(module, info["input_names"], info=info)],
            make_task(data),
            data,
            tmp_path / "model.onnx",
        )
        <= 1e-5
    )
    assert (2 in info["dynamic_axes"]["sv_features"]) == (objects == "mean")


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            {"sv_features": PARTICLES, "pf_mask": MASK},
            {},
            "data.yaml: inputs: mlp needs a mask 'sv_mask' .* did you mean 'pf_mask'",
        ),
        ({"jets": PARTICLES}, {}, "needs a mask 'jets_mask' for the objects of jets"),
        ({"pf_mask": MASK}, {}, "mlp finds nothing but masks: pf_mask"),
        (ALL, {"objects": "max"}, "network option objects 'max'; known: flatten, ignore, "),
        (
            {"sv_features": PARTICLES, "sv_mask": MASK},
            {"objects": "ignore"},
            "mlp takes values of the jet, which are missing beside sv_features, sv_mask",
        ),
        (ALL, {"layers": "wide"}, "expected sizes of layers"),
        (ALL, {"layer": 64}, "unknown key 'layer'; did you mean 'layers'"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, options, message):
    with pytest.raises(ConfigError, match=message):
        FILE.get_model(config(**inputs), options)
