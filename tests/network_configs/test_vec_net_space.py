"""The space of a search for the best vec_net: the poster's ranges, all of which the network has."""

from dataclasses import fields
from pathlib import Path

import pytest

from weaver_tt.config.load import load_config
from weaver_tt.network.file import NetworkFile
from weaver_tt.nn.models.vec_net import RANGES, VecNetOptions
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import RunOptions
from weaver_tt.run.tune_space import load_space

ROOT = Path(__file__).parents[2]
SPACE = load_space(str(ROOT / "network_configs" / "vec_net_space.yaml"))
FILE = NetworkFile(ROOT / "network_configs" / "vec_net.py")
TOP_TAGGING = load_config(ROOT / "data_configs" / "top_tagging.yaml")


def ends(name):
    dimension = SPACE.dimensions[f"-o {name}"]
    values = [value for value in dimension.extremes() if value is not None]
    return (min(values), max(values))


def test_the_ranges_are_those_of_the_poster():
    expected = {
        "edge_layers": (1, 3),
        "node_layers": (0, 3),
        "iterations": (1, 6),
        "scalar": (1, 256),
        "hidden": (1, 256),
        "heads": (1, 256),
        "k": (3, 32),
    }
    assert {name: ends(name) for name in expected} == expected
    assert SPACE.dimensions["-o shortcut"].choices == (None, "skip", "concat")
    assert SPACE.dimensions["-o activation"].choices == ("ReLU", "SiLU", "Tanh")
    rate = SPACE.dimensions["--start-lr"]
    assert (rate.low, rate.high, rate.log) == (1e-5, 1e-2, True)
    epochs = SPACE.dimensions["--num-epochs"]
    assert (epochs.low, epochs.high) == (10, 50)


def test_every_setting_is_an_option_of_the_network_within_its_range():
    options = {field.name for field in fields(VecNetOptions)}
    for dimension in SPACE.dimensions.values():
        if dimension.section != "network":
            continue
        assert dimension.option in options
        if dimension.option in RANGES:
            least, most = RANGES[dimension.option]
            assert all(least <= value <= most for value in dimension.extremes())


@pytest.mark.parametrize("name", [name for name in SPACE.dimensions if name.startswith("-o ")])
def test_the_network_is_made_with_each_choice_and_end_beside_the_first_of_the_others(name):
    first = SPACE.first_values()
    for value in SPACE.dimensions[name].extremes():
        options = SPACE.apply(RunOptions(), first | {name: value}).network
        module, _ = FILE.get_model(TOP_TAGGING, read_options(options.network_option))
        assert sum(parameter.numel() for parameter in module.parameters()) > 0
