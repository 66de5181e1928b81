"""What the data YAML says of real targets."""

import dataclasses

import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.config.targets import (
    arguments_of_logarithms,
    count_target_outputs,
    log_bases,
    losses_of_targets,
    output_names_of,
    read_losses,
)
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression

LABELS = {"type": "custom", "value": {"y": "np.log(gen_pt / jet_pt)", "m": "gen_mass"}}


def load(task, labels=LABELS, **more):
    inputs = {"event": {"length": None, "vars": [["x", None]]}}
    return from_mapping({"inputs": inputs, "labels": labels, "task": task, **more}, "d.yaml")


def targets(**of_target):
    return {"name": "regression", "targets": of_target}


def test_what_is_said_of_a_target_is_read():
    config = load(
        targets(
            y={
                "loss": {"pinball": {"quantiles": [0.16, 0.5, 0.84]}},
                "weight": 2,
                "valid": "abs(y) < 1",
                "valid_in_n": True,
            },
            m={"loss": {"huber": {"delta": 2}}},
        )
    )
    y = config.targets["y"]
    assert (y.weight, y.outside_counts, y.window.source) == (2.0, True, "abs(y) < 1")
    assert y.losses[0].quantiles == (0.16, 0.5, 0.84)
    assert config.targets["m"].losses[0].delta == 2.0
    # it is no option of the task's constructor
    assert config.task.options == {}
    assert config.windows == {"y": y.window}
    assert count_target_outputs(config) == 4


def test_targets_that_are_not_named_have_the_losses_of_the_task():
    config = load({"name": "regression", "loss_function": "mae", "targets": {"m": {"loss": "mse"}}})
    found = {name: losses[0].name for name, losses in losses_of_targets(config).items()}
    assert found == {"y": "mae", "m": "mse"}
    assert losses_of_targets(load("regression"))["y"][0].name == "huber"


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        ("mae", {"y": 0.5}),
        ("mse", {"y": None}),
        ("gaussian", {"y": None, "y_sigma": None}),
        (
            ["gaussian", {"pinball": {"quantiles": [0.5]}}],
            {"y": None, "y_sigma": None, "y_q50": 0.5},
        ),
        ({"pinball": {"quantiles": [0.025, 0.5]}}, {"y_q2p5": 0.025, "y_q50": 0.5}),
        ({"pinball": {"quantiles": [0.001, 0.99999]}}, {"y_q0p1": 0.001, "y_q99p999": 0.99999}),
        ([{"pinball": {"quantiles": [0.16]}}, "mae"], {"y": 0.5, "y_q16": 0.16}),
    ],
)
def test_an_output_is_named_for_its_target_and_quantile(losses, names):
    found = output_names_of("y", read_losses(losses, "here"))
    assert found == names
    assert all(name.isidentifier() for name in found)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ("maee", "did you mean 'mae'"),
        ({"huber": {"deltaa": 2}}, r"\.huber: unknown key.*'delta'"),
        ({"huber": {"delta": 0}}, r"huber\.delta: expected a number above 0, found 0"),
        ("pinball", r"pinball\.quantiles: expected a list"),
        ({"pinball": {"quantiles": [0, 0.5]}}, "between 0 and 1, found 0"),
        ({"pinball": {"quantiles": [0.5, 1.5]}}, "between 0 and 1, found 1.5"),
        ({"pinball": {"quantiles": [0.84, 0.16]}}, "0.16 after 0.84; write them in rising order"),
        ({"pinball": {"quantiles": [0.5, 0.5]}}, "0.5 is listed twice"),
        ({"pinball": {"quantiles": ["half"]}}, "expected a number, found 'half'"),
        (["mae", "mse"], "mae and mse together"),
        (["gaussian", "mse"], "gaussian and mse together"),
        ({"gaussian": {"width": 1}}, r"gaussian: unknown key 'width'"),
        (["mae", {"pinball": {"quantiles": [0.5]}}], "both the median"),
        ([], "empty list"),
        ({"mae": None, "mse": None}, "expected the name of a loss"),
    ],
)
def test_losses_without_sense_are_refused_with_their_key(losses, message):
    config = load({"name": "regression", "loss_function": losses})
    with pytest.raises(ConfigError, match=rf"d\.yaml: task\.loss_function.*{message}"):
        losses_of_targets(config)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (targets(yy={}), r"d\.yaml: task\.targets: there is no target 'yy'; did you mean 'y'"),
        (targets(y={"wait": 2}), r"task\.targets\.y: unknown key 'wait'.*'weight'"),
        (targets(y={"weight": 0}), r"y\.weight: expected a number above 0"),
        (targets(y={"valid_in_n": True}), r"y\.valid_in_n: there is no `valid`"),
        (targets(y={"valid": "y < 1", "valid_in_n": "yes"}), "expected true or false, found 'yes'"),
        (targets(y={"valid": "y <"}), r"task\.targets\.y\.valid"),
        (targets(y={"loss": "mea"}), r"task\.targets\.y\.loss: 'mea'; did you mean 'mse' or 'mae'"),
    ],
)
def test_what_makes_no_sense_of_a_target_is_refused_with_its_key(task, message):
    with pytest.raises(ConfigError, match=message):
        load(task)


def test_a_label_with_the_name_of_a_window_is_refused():
    labels = {"type": "custom", "value": {"y": "a", "y_valid": "b"}}
    with pytest.raises(ConfigError, match="'y_valid' is a label of its own"):
        load(targets(y={"valid": "y < 1"}), labels)


def test_a_target_that_is_a_logarithm_is_known_by_its_expression():
    value = {"a": "np.log(x)", "b": "np.log10(x / y)", "c": "2 * np.log(x)", "d": "x"}
    bases = log_bases(load("regression", {"type": "custom", "value": value}))
    assert bases == {"a": pytest.approx(2.718281828), "b": 10.0}


@pytest.mark.parametrize(
    ("transform", "kinds"),
    [
        ("log", ["log"]),
        ({"ratio": "pt"}, ["ratio"]),
        ([{"ratio": "pt"}, "log", "standardised"], ["ratio", "log", "standardised"]),
        ({"standardised": {"mean": 1, "deviation": 2}}, ["standardised"]),
    ],
)
def test_transforms_are_a_chain(transform, kinds):
    config = load(targets(m={"transform": transform}), LABELS, observers=["pt"])
    assert [step.kind for step in config.targets["m"].transform] == kinds
    assert config.transform_columns == (("pt",) if "ratio" in kinds else ())
    assert config.needs_target_statistics == ("standardised" in kinds and len(kinds) > 1)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ("logg", r"m\.transform: 'logg'; did you mean 'log'"),
        (["standardised", "log"], "order ratio, log, standardised: of what is standardised half"),
        (["log", {"ratio": "pt"}], "expected each once and in the order"),
        (["log", "log"], "expected each once"),
        ({"ratio": "a / b"}, "expected a column or new variable, found 'a / b'"),
        ({"log": 2}, "it takes no options"),
        ({"standardised": {"mean": 1, "deviation": 0}}, "a deviation above 0, or neither"),
        ({"standardised": {"deviation": 1}}, "expected a mean"),
        ({"log": None, "ratio": "pt"}, "expected log, standardised or"),
        # truth is not there in data
        ({"ratio": "gen_pt"}, r"task\.targets: 'gen_pt' is read for labels"),
    ],
)
def test_transforms_without_sense_are_refused(transform, message):
    with pytest.raises(ConfigError, match=message):
        load(targets(m={"transform": transform}))


def test_what_was_computed_is_written_and_read_back(tmp_path):
    config = load(targets(m={"transform": ["log", "standardised"]}, y={"weight": 2}))
    [log, scaled] = config.targets["m"].transform
    scaled = dataclasses.replace(scaled, mean=1.5, deviation=0.25, fingerprint="abc")
    of_m = dataclasses.replace(config.targets["m"], transform=(log, scaled))
    fitted = dataclasses.replace(config, targets={**config.targets, "m": of_m})
    save_config(fitted, str(tmp_path / "net.auto.yaml"), {})
    again = load_config(str(tmp_path / "net.auto.yaml"))
    assert again.targets["m"] == of_m
    assert again.targets["y"].weight == 2


def test_logarithms_are_found_wherever_they_stand():
    expression = parse_expression("2 * np.log(x / y) + np.log10(z)", "test")
    arguments = arguments_of_logarithms(expression)
    found = {part.source: sorted(part.names) for part in arguments}
    assert found == {"x / y": ["x", "y"], "z": ["z"]}


def test_a_mask_without_its_target_is_refused():
    labels = {"type": "custom", "value": {"y": "a", "yy_mask": "b"}}
    with pytest.raises(ConfigError, match="'yy_mask' is the mask of a target 'yy', which is not"):
        load("regression", labels)


def of_objects(**targets):
    inputs = {"jets": {"length": 3, "vars": ["pt"]}}
    labels = {"type": "per_object", "value": {"y": "gen_pt / pt", "y_mask": "gen_pt > 0"}}
    task = {"name": "regression", "targets": targets}
    return from_mapping({"inputs": inputs, "labels": labels, "task": task}, "d.yaml")


def test_targets_of_objects_are_those_of_their_only_group():
    config = of_objects(y={"loss": "gaussian", "valid": "pt > 5"})
    assert config.regressed_group == "jets"
    assert config.target_masks == {"y": "y_mask"}
    assert config.object_label_names == {"jets": ["y", "y_mask", "y_valid"]}
    assert count_target_outputs(config) == 2
    with pytest.raises(ConfigError, match=r"no target 'z'.*known: y"):
        of_objects(z={"loss": "mae"})
    with pytest.raises(ConfigError, match=r"task\.targets\.y\.transform: a ratio.*quotient"):
        of_objects(y={"transform": {"ratio": "pt"}})


def test_a_mask_of_objects_without_its_target_is_refused():
    values = {
        "inputs": {"jets": {"length": 3, "vars": ["pt"]}},
        "labels": {"type": "per_object", "value": {"y": "pt", "z_mask": "pt"}},
        "task": "regression",
    }
    with pytest.raises(ConfigError, match=r"'z_mask' is the mask of a target 'z', which is not"):
        from_mapping(values, "d.yaml")
