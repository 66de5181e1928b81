"""What the truth-tagging networks accept as input."""

import pytest

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.network.inputs import jet_model_info, raw_jet_group

RAW = tuple(Variable(name=name) for name in ("jet_pt", "jet_eta", "jet_phi", "jet_flavour"))


def config(*groups):
    return DataConfig(source="truth.yaml", text="", inputs={group.name: group for group in groups})


def test_input_and_output_have_free_rows_and_objects():
    info = jet_model_info(config(InputGroup(name="jets", variables=RAW, length=10)))
    assert info["input_names"] == ["jets"]
    assert info["input_shapes"] == {"jets": (-1, 4, 10)}
    assert info["dynamic_axes"] == {"jets": {0: "N", 2: "P"}, "output": {0: "N", 2: "P"}}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "takes one group .* not none"),
        (
            (
                InputGroup(name="a", variables=RAW, length=3),
                InputGroup(name="b", variables=RAW, length=3),
            ),
            "not a, b",
        ),
        ((InputGroup(name="jets", variables=RAW[:3], length=3),), "not jet_pt, jet_eta, jet_phi"),
        ((InputGroup(name="jets", variables=RAW),), "of each jet"),
        (
            (
                InputGroup(
                    name="jets",
                    variables=(Variable(name="jet_pt", center="auto"), *RAW[1:]),
                    length=3,
                ),
            ),
            "jet_pt is not",
        ),
        (
            (
                InputGroup(
                    name="jets",
                    variables=(*RAW[:3], Variable(name="jet_flavour", pad=-1)),
                    length=3,
                ),
            ),
            "jet_flavour is not",
        ),
        (
            (InputGroup(name="jets", variables=RAW, length=3, pad_mode="wrap"),),
            "pad_mode: wrap is not",
        ),
    ],
)
def test_inputs_the_networks_cannot_read_are_refused(groups, message):
    with pytest.raises(ConfigError, match=message):
        raw_jet_group(config(*groups))
