"""Derived outputs read outputs and what real data have, and have names of their own."""

import pytest

from weaver_tt.config.labels import with_class_number
from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.errors import ConfigError

JETS = {
    "new_variables": {"log_pt": "np.log(jet_pt)", "response": "jet_pt / gen_pt"},
    "inputs": {"jet": {"length": None, "vars": ["log_pt", "jet_abs_eta"]}},
    "labels": {
        "type": "custom",
        "value": {"y": "np.log(gen_pt / jet_pt)", "y_mask": "abs(y) < 1"},
    },
    "observers": ["run", "gen_eta?"],
    "event_weight": "gen_weight",
}
FLAVOURS = {
    "inputs": {"jet": {"length": None, "vars": ["jet_pt"]}},
    "labels": {"type": "simple", "value": ["b", "c", "l"]},
}


def config(values, **derived):
    return from_mapping({**values, "derived_outputs": derived}, "jets.yaml")


def test_what_is_no_output_is_a_raw_column_of_a_further_group():
    found = config(JETS, corrected_pt="jet_pt * np.exp(y)", run_and_pt="run + log_pt + jet_pt")
    assert found.derived_columns == {
        "corrected_pt": ("jet_pt",),
        "run_and_pt": ("jet_pt", "log_pt", "run"),
    }
    group = found.derived_inputs
    assert (group.name, group.length, group.names) == (
        "derived_inputs",
        None,
        ["jet_pt", "log_pt", "run"],
    )
    assert {variable.center for variable in group.variables} == {None}
    # a network file sees the inputs that it has always seen
    assert found.input_names == ["jet"]
    assert list(found.batch_groups) == ["jet", "derived_inputs"]


def test_an_expression_of_outputs_alone_needs_no_group():
    found = config(FLAVOURS, D_b="np.log(b / (0.1 * c + 0.9 * l))")
    assert found.derived_inputs is None
    assert list(found.batch_groups) == ["jet"]


def test_quantiles_are_outputs_and_derived_outputs_above_can_be_used():
    found = config(JETS, low="jet_pt * np.exp(y_q2p5)", half="low / 2", width="y_q84 - y_q16")
    assert found.derived_columns == {"low": ("jet_pt",), "half": (), "width": ()}


def test_its_columns_are_read_in_training_and_in_prediction():
    more = {**JETS, "observers": ["run", "area"]}
    found = config(more, corrected="(jet_pt - area) * np.exp(y)")
    for purpose in ("train", "predict"):
        plan = make_plan(found, purpose)
        assert {"jet_pt", "area"} <= set(plan.columns)
        assert not plan.is_optional("area")


@pytest.mark.parametrize(
    ("text", "read", "why"),
    [
        # the truth itself, in a label, in the weight of events
        ("gen_pt * np.exp(y)", "gen_pt", "is read for labels, weights or optional observers alone"),
        ("gen_weight * y", "gen_weight", "is read for labels"),
        # through a new variable, and through the mask of a target
        ("y * response", "response", "is made of 'gen_pt', which is read for labels"),
        ("y * y_mask", "y_mask", "is made of 'gen_pt'"),
        # what is copied where it is there
        ("gen_eta * y", "gen_eta", "is read for labels, weights or optional observers alone"),
    ],
)
def test_a_column_that_real_data_lack_is_refused(text, read, why):
    with pytest.raises(ConfigError) as error:
        config(JETS, corrected=text)
    assert str(error.value).startswith(f"jets.yaml: derived_outputs.corrected: {read!r} {why}")
    assert "stands in `observers`" in str(error.value)


def test_the_nearest_that_real_data_have_is_named():
    with pytest.raises(ConfigError, match="did you mean 'log_pt' or 'jet_pt'"):
        config(JETS, corrected="gen_pt * np.exp(y)")


def test_a_column_of_labels_that_all_data_have_is_an_observer():
    labels = {"type": "custom", "value": {"m": "gen_mass / raw_mass"}}
    more = {**JETS, "labels": labels}
    with pytest.raises(ConfigError, match="'raw_mass' is read for labels"):
        config(more, mass="raw_mass * m")
    found = config({**more, "observers": ["raw_mass"]}, mass="raw_mass * m")
    assert found.derived_inputs.names == ["raw_mass"]


def test_a_selection_of_training_alone_reads_the_truth():
    selected = {**JETS, "selection": "gen_pt + shift > 30"}
    assert config(selected, x="y + shift").derived_inputs.names == ["shift"]
    apart = {**selected, "test_time_selection": "jet_pt > 20"}
    with pytest.raises(ConfigError, match="'shift' is read for labels"):
        config(apart, x="y + shift")


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("y", "a label"),
        ("y_mask", "a label"),
        ("y_q16", "an output"),
        ("run", "an observer"),
        ("gen_eta", "an observer"),
        ("log_pt", "a new variable"),
        ("jet_abs_eta", "a column"),
        ("gen_pt", "a column"),
        ("jet", "an input group"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name, meaning):
    with pytest.raises(ConfigError, match=f"derived_outputs.{name}: '{name}' is {meaning} already"):
        config(JETS, **{name: "2 * y"})


def test_the_spread_of_an_ensemble_has_a_column_too():
    with pytest.raises(ConfigError, match="'x_std' is the spread of 'x' already"):
        config(JETS, x="y", x_std="y")
    with pytest.raises(ConfigError, match="'x' is the observer 'x_std' already"):
        config({**JETS, "observers": ["x_std"]}, x="y")


def test_a_derived_output_below_is_not_there_yet():
    with pytest.raises(
        ConfigError, match=r"derived_outputs.a: 'b' is a derived output; only those"
    ):
        config(JETS, a="2 * b", b="2 * y")
    with pytest.raises(ConfigError, match=r"derived_outputs.a: 'a' is a derived output"):
        config(JETS, a="2 * a")


def test_outputs_of_objects_have_no_value_for_a_row():
    of_objects = {
        "inputs": {"jets": {"length": 4, "vars": ["jet_pt"]}},
        "labels": {"type": "per_object", "group": "jets", "value": ["tag"]},
    }
    with pytest.raises(ConfigError, match=r"derived_outputs: they are made of outputs with one va"):
        config(of_objects, x="2 * tag")


def test_names_are_those_of_columns_and_expressions_those_of_networks():
    with pytest.raises(ConfigError, match="'corrected pt' cannot be the name of a column"):
        config(JETS, **{"corrected pt": "y"})
    with pytest.raises(ConfigError, match=r"derived_outputs.x: np.sqrt cannot be computed"):
        config(JETS, x="np.sqrt(y)")


def test_a_group_of_that_name_is_refused():
    inputs = {"derived_inputs": {"length": None, "vars": ["jet_pt"]}}
    with pytest.raises(ConfigError, match=r"inputs.derived_inputs: this group is made of"):
        config({**JETS, "inputs": inputs}, x="jet_pt * y")
    # of Weaver's YAMLs, which derive nothing, any name will do
    assert from_mapping({**JETS, "inputs": inputs}).input_names == ["derived_inputs"]


def test_a_label_that_turns_out_to_be_the_number_of_a_class_is_no_output():
    values = {**FLAVOURS, "labels": {"type": "custom", "value": {"flav": "gen_flav"}}}
    classes = ["flav_0", "flav_1"]
    found = with_class_number(config(values, ratio="flav_1 / flav_0"), classes)
    assert found.derived_inputs is None
    with pytest.raises(ConfigError, match=r"derived_outputs.x: 'flav' is made of 'gen_flav'"):
        with_class_number(config(values, x="2 * flav"), classes)


def test_a_target_is_a_ratio_to_what_real_data_have():
    def ratio_to(column):
        targets = {"y": {"transform": {"ratio": column}}}
        return from_mapping({**JETS, "task": {"name": "regression", "targets": targets}}, "j.yaml")

    assert ratio_to("jet_pt").derived_inputs.names == ["jet_pt"]
    with pytest.raises(ConfigError, match=r"j.yaml: task.targets: 'gen_pt' is read for labels"):
        ratio_to("gen_pt")
