"""A data YAML and a network file that fit each other, and ways to build networks of files."""

import ast

import pytest

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import build_network
from weaver_tt.options.train import NetworkOptions

LINEAR = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.first = nn.Linear(2, size)
        self.last = nn.Linear(size, 1)

    def forward(self, tracks):
        return self.last(self.first(tracks.mean(2)))

def get_model(data_config, size=3):
    info = {"input_names": ["tracks"], "input_shapes": {}, "output_names": ["out"]}
    info["dynamic_axes"] = {}
    return Net(size), info
"""


@pytest.fixture
def config():
    """Events with one number, and seven tracks with two."""
    groups = (
        InputGroup(name="event", variables=(Variable(name="met"),)),
        InputGroup(name="tracks", variables=(Variable(name="d0"), Variable(name="pt")), length=7),
    )
    target = Expression("x", ast.parse("x", mode="eval").body, frozenset({"x"}))
    return DataConfig(
        source="data.yaml",
        text="",
        inputs={group.name: group for group in groups},
        labels=Labels(targets={"x": target}),
    )


@pytest.fixture
def file(tmp_path):
    """A network file with two linear layers on the mean track."""
    path = tmp_path / "linear.py"
    path.write_text(LINEAR)
    return path


@pytest.fixture
def written(tmp_path):
    """Text -> a network file that holds it."""

    def write(text):
        path = tmp_path / "written.py"
        path.write_text(text)
        return NetworkFile(path)

    return write


@pytest.fixture
def build():
    """Build the network of a file for a configuration, on the CPU."""

    def build_file(file, config, seed=None, options=()):
        pairs = [list(pair) for pair in options]
        network_options = NetworkOptions(network_config=str(file), network_option=pairs)
        return build_network(config, network_options, "cpu", seed=seed)

    return build_file
