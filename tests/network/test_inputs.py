"""What is taken from a data YAML, and what is said when it does not fit."""

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.network.inputs import (
    Collection,
    channels,
    check_choice,
    constituent_groups,
    hidden_layers,
    jet_model_info,
    layer_sizes,
    model_info,
    num_outputs,
    object_collections,
    raw_channels,
    raw_jet_group,
    row_groups,
)


def group(*variables, length=5):
    return {"length": length, "vars": list(variables)}


def config(labels=None, **groups):
    usual = {
        "pf_features": group("log_pt", ["eta", 0.0, 2.0]),
        "pf_mask": group("ones"),
        "jet": group("mass", length=None),
    }
    return from_mapping(
        {
            "inputs": usual | groups,
            "labels": labels or {"type": "simple", "value": ["top", "qcd", "w"]},
        },
        source="data.yaml",
    )


def test_groups_come_in_the_order_asked_for():
    assert [
        found.name for found in constituent_groups(config(), ["pf_mask", "pf_features"], "pfn")
    ] == ["pf_mask", "pf_features"]


@pytest.mark.parametrize(
    ("groups", "names", "message"),
    [
        (
            {},
            ["pf_points", "pf_mask"],
            "data.yaml: inputs: pfn takes the groups pf_points, pf_mask; "
            "there is no 'pf_points'; known: jet, pf_f",
        ),
        (
            {},
            ["jet"],
            "data.yaml: inputs.jet: pfn takes constituents here; "
            "length: null makes one value a jet",
        ),
        (
            {"pf_mask": group("ones", length=7)},
            ["pf_features", "pf_mask"],
            "inputs.pf_mask: length 7, but pf_features has 5",
        ),
        (
            {"pf_mask": group("ones", "twos")},
            ["pf_mask"],
            "inputs.pf_mask: a mask is one variable .* found ones, twos",
        ),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, names, message):
    with pytest.raises(ConfigError, match=message):
        constituent_groups(config(**groups), names, "pfn")


SEVERAL = {
    "pf_ch_features": group("ch_pt", "ch_eta", "ch_dxy", length=9),
    "pf_ch_mask": group("ch_ones", length=9),
    "event": group("rho", length=None),
}


def test_collections_come_in_the_order_of_the_yaml_with_what_a_network_takes_of_them():
    several = config(**SEVERAL, pf_vectors=group("px"))
    assert object_collections(several, ["mask", "features"], "net") == [
        Collection("pf", ("pf_mask", "pf_features"), length=5, features=2),
        Collection("pf_ch", ("pf_ch_mask", "pf_ch_features"), length=9, features=3),
    ]
    assert row_groups(several, "net") == ["jet", "event"]


def test_what_a_network_leaves_aside_must_be_of_the_same_objects():
    with pytest.raises(ConfigError, match=r"inputs\.pf_vectors: length 7, but pf_features has 5"):
        object_collections(config(pf_vectors=group("px", length=7)), ["features", "mask"], "net")


def test_collections_of_similar_names_have_free_axes_of_their_own():
    info = model_info(config(**SEVERAL), ["pf_features", "pf_ch_features", "pf_ch_mask"])
    axes = [info["dynamic_axes"][name][2] for name in info["input_names"]]
    assert axes == ["n_pf", "n_pf_ch", "n_pf_ch"]


def test_an_option_that_is_one_of_a_few_words():
    check_choice("size", "lite", ["full", "lite"])
    with pytest.raises(ConfigError, match="network option size 'Lite'; did you mean 'lite'"):
        check_choice("size", "Lite", ["full", "lite"])


def test_scaled_momenta_are_refused_and_so_are_too_few_variables():
    assert channels(config(), "pf_features", 2, "two features") == 2
    with pytest.raises(
        ConfigError,
        match=r"inputs\.pf_features: expected momenta as they are, "
        r"but eta is scaled; write \[NAME, null\]",
    ):
        raw_channels(config(), "pf_features", 2, "momenta")
    with pytest.raises(ConfigError, match=r"inputs\.pf_mask: expected px and py, found ones"):
        raw_channels(config(), "pf_mask", 2, "px and py")


def test_outputs_are_one_for_each_class_or_target():
    assert num_outputs(config()) == 3
    assert num_outputs(config({"type": "custom", "value": {"energy": "mass"}})) == 1
    values = {
        "inputs": {"jets": group("pt")},
        "labels": {"type": "per_object", "value": {"a": "x", "a_mask": "y"}},
    }
    assert num_outputs(from_mapping(values)) == 2
    # a mask is no output of a regression, a width is one
    assert num_outputs(from_mapping(values | {"task": "regression"})) == 1
    task = {"name": "regression", "loss_function": "gaussian"}
    assert num_outputs(from_mapping(values | {"task": task})) == 2


def test_free_axes_are_those_of_jets_and_of_constituents():
    info = model_info(config(), ["pf_features", "jet"])
    assert info["dynamic_axes"] == {
        "pf_features": {0: "N", 2: "n_pf"},
        "jet": {0: "N"},
        "softmax": {0: "N"},
    }
    assert info["input_shapes"] == {"pf_features": (-1, 2, 5), "jet": (-1, 1)}


def test_only_what_may_be_probabilities_is_called_softmax():
    def output(labels, **more):
        values = {"inputs": {"jet": {"length": None, "vars": ["x"]}}, "labels": labels, **more}
        return model_info(from_mapping(values), ["jet"])["output_names"]

    energy = {"type": "custom", "value": {"energy": "mass"}}
    classes = {"type": "simple", "value": ["b", "c"]}
    assert output(classes) == ["softmax"]
    # for a network with several outputs it is the number of a class
    assert output(energy) == ["softmax"]
    assert output(energy, task="regression") == ["output"]
    assert output([classes, energy]) == ["output"]


def test_sizes_are_one_or_several_positive_whole_numbers():
    assert layer_sizes(64) == [64]
    assert layer_sizes((64, 32)) == [64, 32]
    for wrong in ("64,x", (64, 0), (1.5,), -1):
        with pytest.raises(ConfigError, match="expected sizes of layers such as 64,32"):
            layer_sizes(wrong)


def test_hidden_layers_are_pairs_of_size_and_dropout():
    assert hidden_layers(((512, 0.2), (64, 0))) == [(512, 0.2), (64, 0.0)]
    for wrong in ((512, 0.2), (("wide", 0.2),), ((64, 0.1, 3),)):
        with pytest.raises(ConfigError, match="expected"):
            hidden_layers(wrong)
    with pytest.raises(ConfigError, match="a dropout is at least 0 and below 1"):
        hidden_layers(((64, 1.0),))


# --- jets for truth tagging, as they are

RAW = tuple(Variable(name=name) for name in ("jet_pt", "jet_eta", "jet_phi", "jet_flavour"))


def raw_config(*groups):
    return DataConfig(source="truth.yaml", text="", inputs={group.name: group for group in groups})


def test_input_and_output_of_a_per_jet_network_have_free_rows_and_objects():
    info = jet_model_info(raw_config(InputGroup(name="jets", variables=RAW, length=10)))
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
def test_inputs_that_per_jet_networks_cannot_read_are_refused(groups, message):
    with pytest.raises(ConfigError, match=message):
        raw_jet_group(raw_config(*groups))
