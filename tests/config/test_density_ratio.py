"""What a data YAML says of the ratio of two samples, and what is refused."""

import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.errors import ConfigError
from weaver_tt.tasks.registry import make_task

TASK = {"name": "density_ratio", "numerator": "data"}
LABELS = {"type": "simple", "value": ["data", "mc"]}


def values(task=TASK, labels=LABELS, **more):
    return {
        "inputs": {"jets": {"length": 3, "vars": [["pt", None]]}},
        "labels": labels,
        "task": task,
        **more,
    }


def test_the_other_class_is_the_denominator():
    options = from_mapping(values(), "r.yaml").density_ratio
    assert options.classes == ("data", "mc")
    assert (options.loss, options.normalise) == ("bce", "unit")
    of_mc = from_mapping(values({**TASK, "numerator": "mc"}), "r.yaml").density_ratio
    assert of_mc.classes == ("mc", "data")


def test_without_labels_the_two_samples_are_groups_of_files(tmp_path):
    config = from_mapping(values({**TASK, "denominator": "mc"}, None), "r.yaml")
    assert list(config.labels.classes) == ["data", "mc"]
    assert config.density_ratio.classes == ("data", "mc")
    assert config.file_magic == {"data": {"data:": 1}, "mc": {"mc:": 1}}
    path = tmp_path / "net.auto.yaml"
    save_config(config, str(path), {})
    assert load_config(str(path)).file_magic == config.file_magic


def test_a_column_that_the_yaml_makes_of_files_itself_is_the_class():
    own = {"mc": {"herwig": 1, "pythia": 1}}
    config = from_mapping(values({**TASK, "denominator": "mc"}, None, file_magic=own), "r.yaml")
    assert config.file_magic == {"data": {"data:": 1}, **own}


def test_the_sums_of_the_training_are_written_and_read_back(tmp_path):
    found = {"sums": {"data": 30, "mc": 120}, "sizes": {"data": 20, "mc": 90}}
    fitted = {**TASK, "normalise": "yield", **found, "fingerprint": "a-b"}
    config = from_mapping(values(fitted), "r.yaml")
    path = tmp_path / "net.auto.yaml"
    save_config(config, str(path), {})
    options = load_config(str(path)).density_ratio
    assert options == config.density_ratio
    assert options.mean == 0.25
    assert options.sizes == found["sizes"]


def test_before_the_training_the_mean_is_not_known_and_counts_as_1():
    task = {**TASK, "normalise": "yield"}
    config = from_mapping(values(task), "r.yaml")
    assert config.needs_class_sums
    assert config.density_ratio.mean == 1


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("density_ratio", LABELS, "task.numerator: expected data or mc.*it is missing"),
        ({**TASK, "numerator": "dta"}, LABELS, "no class 'dta'; did you mean 'data'"),
        ({**TASK, "loss": "klic"}, LABELS, "task.loss: expected bce or kl or lsif.*mean 'kl'"),
        ({**TASK, "normalise": "units"}, LABELS, "task.normalise: .*did you mean 'unit'"),
        ({**TASK, "numerater": "mc"}, LABELS, "unknown key 'numerater'; did you mean 'numerator'"),
        ({**TASK, "targets": {}}, LABELS, "unknown key 'targets'"),
        (TASK, None, "needs two samples: `numerator: NAME` and `denominator: NAME` for the gr"),
        ({**TASK, "denominator": "data"}, None, "task: numerator and denominator are both 'data'"),
        ({**TASK, "denominator": "m-c"}, None, "task.denominator: 'm-c' becomes a column"),
        ({**TASK, "denominator": "qcd"}, LABELS, "task.denominator: expected mc, .* found 'qcd'"),
        (TASK, {**LABELS, "value": ["data", "mc", "qcd"]}, "two samples; found 3: data, mc, qcd"),
        (TASK, {**LABELS, "value": ["data"]}, "two samples; found 1: data"),
        (TASK, {"type": "custom", "value": {"data": "x"}}, "two classes.*found custom"),
    ],
)
def test_what_makes_no_sense_is_refused(task, labels, message):
    with pytest.raises(ConfigError, match=message):
        make_task(from_mapping(values(task, labels), "r.yaml"))


def test_reweighted_samples_are_refused():
    weights = {"reweight_method": "flat", "reweight_vars": {"pt": [0, 1]}, "reweight_classes": []}
    with pytest.raises(ConfigError, match="`weights` would change them"):
        from_mapping(values(weights={**weights, "reweight_classes": ["data", "mc"]}), "r.yaml")


def test_only_objects_have_a_name():
    task = {**TASK, "object": "jet"}
    with pytest.raises(ConfigError, match=r"task\.object: only objects have a name"):
        make_task(from_mapping(values(task), "r.yaml"))
    of_objects = {"type": "per_object", "group": "jets", "value": {"data": "a", "mc": "b"}}
    assert make_task(from_mapping(values(task, of_objects), "r.yaml")).output_names == ["jet_ratio"]
