"""Where a YAML leaves it open whether a label is the number of a class, the network tells."""

from __future__ import annotations

import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError
from weaver_tt.network.outputs import Activated
from weaver_tt.options.train import NetworkOptions, RunOptions, TrainOptions
from weaver_tt.run.class_number import count_outputs, is_open, with_classes_of_network


def config(labels=None, **more):
    labels = labels or {"type": "custom", "value": {"truth": "t"}}
    return from_mapping({"inputs": {"jet": {"vars": ["pt"]}}, "labels": labels, **more}, "d.yaml")


class Outputs:
    """A network with outputs of this shape beyond the rows, which writes into its inputs."""

    def __init__(self, *shape):
        self.shape = shape
        self.rows = 0

    def __call__(self, inputs):
        self.rows = len(inputs["jet"])
        inputs["jet"].zero_()
        return (torch.zeros(self.rows, *self.shape), "attention")


@pytest.mark.parametrize(
    ("labels", "more", "flag", "expected"),
    [
        (None, {}, False, True),
        (None, {"task": "classification"}, False, True),
        (None, {}, True, False),
        (None, {"task": "regression"}, False, False),
        ({"type": "custom", "value": ["a", "b"]}, {}, False, False),
        ({"type": "custom", "value": ["a", "a_mask"]}, {}, False, False),
        ({"type": "custom", "value": ["a"], "classes": 3}, {}, False, False),
        ({"type": "simple", "value": ["a"]}, {}, False, False),
    ],
)
def test_a_single_label_is_open_unless_yaml_or_flag_say_what_it_is(labels, more, flag, expected):
    options = RunOptions(train=TrainOptions(regression_mode=flag))
    assert is_open(config(labels, **more), options) == expected


def test_a_task_of_the_network_file_knows_its_labels(tmp_path):
    path = tmp_path / "net.py"
    options = RunOptions(network=NetworkOptions(network_config=str(path)))
    path.write_text("def get_model(config): ...\n\n\ndef get_task(config): ...\n")
    assert not is_open(config(), options)
    path.write_text("def get_model(config): ...\n\n\ndef get_loss(config): ...\n")
    assert is_open(config(), options)


def test_a_network_with_several_outputs_has_one_for_each_class():
    inputs = {"jet": torch.ones(500, 1)}
    network = Outputs(3)
    found = with_classes_of_network(config(), network, inputs)
    assert found.label_value == ["truth_0", "truth_1", "truth_2"]
    # a few rows are enough, and the batch may be used again
    assert network.rows == 16
    assert inputs["jet"].all()


@pytest.mark.parametrize("shape", [(), (1,), (2, 5)])
def test_with_one_output_the_label_is_a_target(shape):
    inputs = {"jet": torch.ones(2, 1)}
    open_config = config()
    assert with_classes_of_network(open_config, Outputs(*shape), inputs) is open_config
    message = "d.yaml: task classification: label 'truth' .* has one output"
    with pytest.raises(ConfigError, match=message):
        with_classes_of_network(config(task="classification"), Outputs(*shape), inputs)


def test_outputs_of_an_exported_network_count_like_others():
    assert count_outputs(Activated(torch.zeros(4, 7), torch.zeros(4, 7))) == 7
