"""``weights`` and ``bucketing`` of a data YAML: Weaver's spelling is read.

Everything else is an error that names key and class.
"""

import numpy as np
import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.config.plan import make_plan, without_reweighting
from weaver_tt.config.schema import Bucketing, Weights, WeightSummary
from weaver_tt.errors import ConfigError

FLAT = {
    "use_precomputed_weights": False,
    "reweight_method": "flat",
    "reweight_vars": {"jet_pt": [200, 400, "1e3"], "mass": [0, 1, 2, 3]},
    "reweight_classes": ["is_a", "is_b"],
}
HISTS = {"is_a": [[1, 0.5, 0], [0, 0, 1]], "is_b": [[1, 1, 1], [0.25, 1, 1]]}


def load(weights=None, bucketing=None):
    values = {
        "inputs": {"jets": {"length": 4, "vars": ["x"]}},
        "weights": weights,
        "bucketing": bucketing,
    }
    return from_mapping(values, "x.yaml")


def test_defaults_are_weavers():
    weights = load(FLAT).weights
    assert (weights.mode, weights.method, weights.threshold, weights.discard_outside) == (
        "sampling",
        "flat",
        10,
        True,
    )
    assert weights.variables == {"jet_pt": (200, 400, 1000), "mass": (0, 1, 2, 3)}
    assert weights.classes == {"is_a": 1, "is_b": 1}
    assert (weights.base, weights.branches, weights.tables, weights.summary) == (
        None,
        (),
        None,
        None,
    )


def test_all_that_a_section_can_say():
    more = {
        "mode": "loss",
        "signed": True,
        "reweight_method": "ref",
        "class_weights": [1, 2.5],
        "reweight_threshold": 5,
        "reweight_basewgt": "gen * 2",
    }
    weights = load(
        {**FLAT, **more, "reweight_discard_under_overflow": False, "reweight_hists": HISTS}
    ).weights
    assert (weights.mode, weights.method, weights.threshold, weights.discard_outside) == (
        "loss",
        "ref",
        5,
        False,
    )
    assert weights.signed
    assert weights.classes == {"is_a": 1, "is_b": 2.5}
    assert weights.tables["is_b"][1].tolist() == [0.25, 1, 1]
    assert weights.names == ["jet_pt", "mass", "is_a", "is_b", "gen"]


def test_precomputed_weights_need_nothing_else():
    weights = load(
        {
            "use_precomputed_weights": True,
            "weight_branches": ["w", "a * b"],
            "reweight_method": "flat",
        }
    ).weights
    assert [branch.source for branch in weights.branches] == ["w", "a * b"]
    assert weights.names == ["w", "a", "b"]


def test_columns_of_weights_and_buckets_are_read_in_training_only():
    config = load(FLAT, {"var": "n", "bins": 4})
    assert set(make_plan(config, "train").columns) == {"x", "jet_pt", "mass", "is_a", "is_b", "n"}
    assert set(make_plan(config, "predict").columns) == {"x"}
    assert set(make_plan(without_reweighting(config), "train").columns) == {"x"}


def test_bins_of_buckets_are_edges_whose_outer_ones_are_open_or_a_number():
    assert load(bucketing={"var": "n", "bins": [0, 20, 40, 1000]}).bucketing == Bucketing(
        variable="n", number=3, inner_edges=(20, 40)
    )
    assert load(bucketing={"var": "n", "bins": 8}).bucketing == Bucketing(variable="n", number=8)
    assert load().bucketing is None


def test_what_was_computed_is_written_and_read_back(tmp_path):
    from dataclasses import replace

    config = load(FLAT, {"var": "n", "bins": 3})
    tables = {name: np.array(table) / 3 for name, table in HISTS.items()}
    measured = WeightSummary(rows=10, mean=0.1 + 0.2, kept=0.25, fingerprint="a-b")
    config = replace(config, weights=replace(config.weights, tables=tables, summary=measured))
    config = replace(
        config, bucketing=replace(config.bucketing, inner_edges=(2.5, 1 / 0.3), fingerprint="c-d")
    )
    path = str(tmp_path / "net.auto.yaml")
    save_config(config, path, {})
    again = load_config(path)
    assert (again.weights.summary, again.bucketing) == (measured, config.bucketing)
    assert all(np.array_equal(again.weights.tables[name], tables[name]) for name in HISTS)
    assert again.weights == config.weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"mode": "sample"},
            r"weights.mode: expected sampling or loss; found 'sample'; did you mean 'sampling'",
        ),
        (
            {"reweight_method": "flt"},
            r"weights.reweight_method: expected flat or ref or target; found 'flt'; "
            r"did you mean 'flat'",
        ),
        (
            {"reweight_method": None},
            r"weights.reweight_method: expected flat or ref or target; it is missing",
        ),
        (
            {"reweight_vars": {"jet_pt": [200, 400, 400]}},
            r"weights.reweight_vars.jet_pt: bin edges must increase, but 400 is followed by 400",
        ),
        (
            {"reweight_vars": {"jet_pt": [200]}},
            r"weights.reweight_vars.jet_pt: expected a list of at least 2 bin edges, found \[200\]",
        ),
        (
            {"reweight_vars": {"jet_pt": ["a", 2]}},
            r"weights.reweight_vars.jet_pt: expected a number, found 'a'",
        ),
        ({"reweight_vars": None}, r"weights.reweight_vars: expected at least one VARIABLE"),
        (
            {"reweight_classes": []},
            r"weights.reweight_classes: expected the 0/1 column of at least one class",
        ),
        (
            {"reweight_classes": ["is_a", "is_a"]},
            r"weights.reweight_classes: 'is_a' is listed 2 times",
        ),
        (
            {"class_weights": [1]},
            r"weights.class_weights: expected a number for each of the 2 reweight_classes "
            r"\(is_a, is_b\), found 1 numbers",
        ),
        (
            {"reweight_method": "target"},
            r"weights.target: reweight_method: target needs a density in the reweight_vars",
        ),
        (
            {"target": "1 / jet_pt"},
            r"weights.target: a density is for reweight_method: target, found flat",
        ),
        (
            {"reweight_method": "target", "target": "1 / jet_ptt"},
            r"weights.target: 'jet_ptt' is none of reweight_vars, .* did you mean 'jet_pt'",
        ),
        (
            {"reweight_method": "target", "target": "jet_pt - 400"},
            r"weights.target: .* in that of jet_pt from 200 to 400, mass from 0 to 1 it is -200",
        ),
        (
            {"reweight_method": "target", "target": "1 /"},
            r"weights.target: not an expression",
        ),
        (
            {"reweight_vars": {f"v{i}": [0, 1] for i in range(17)}},
            r"weights.reweight_vars: at most 16 variables, found 17",
        ),
        ({"class_weights": [1, -2]}, r"weights.class_weights: 'is_b' has the negative weight -2"),
        (
            {"class_weights": [1, "x"]},
            r"weights.class_weights: 'is_b': expected a number, found 'x'",
        ),
        ({"class_weights": [0, 0]}, r"weights.class_weights: the weights of all classes are 0"),
        (
            {"reweight_threshold": 101},
            r"weights.reweight_threshold: expected a percentage from 0 to 100, found 101",
        ),
        (
            {"reweight_discard_under_overflow": "no"},
            r"weights.reweight_discard_under_overflow: expected true or false, found 'no'",
        ),
        (
            {"use_precomputed_weights": True},
            r"weights.weight_branches: use_precomputed_weights needs at least one column",
        ),
        (
            {"reweight_hists": {"is_c": [[1]]}},
            r"weights.reweight_hists: 'is_c' is none of the reweight_classes; did you mean",
        ),
        (
            {"reweight_hists": {"is_a": HISTS["is_a"]}},
            r"weights.reweight_hists: there is no table for class 'is_b'",
        ),
        (
            {"reweight_hists": {**HISTS, "is_b": [[1, 1], [1, 1]]}},
            r"weights.reweight_hists.is_b: the table has the shape \(2, 2\), the bins .* \(2, 3\)",
        ),
        (
            {"reweight_hists": {**HISTS, "is_b": [[1], [1, 1]]}},
            r"weights.reweight_hists.is_b: expected nested lists of numbers",
        ),
        (
            {"reweight_hists": {**HISTS, "is_b": [[1, 1, 1], [1, -1, 1]]}},
            r"weights.reweight_hists.is_b: .* finite and not negative",
        ),
    ],
)
def test_what_makes_no_sense_is_told_by_key_and_class(change, message):
    with pytest.raises(ConfigError, match=r"x.yaml: " + message):
        load({**FLAT, **change})


def test_a_target_density_alone_says_the_method():
    density = {"target": "np.exp(-jet_pt / 500)", "reweight_method": None}
    weights = load({**FLAT, **density}).weights
    assert (weights.method, weights.target.source) == ("target", "np.exp(-jet_pt / 500)")
    # its names are those of the bins: no further column is read
    assert weights.names == ["jet_pt", "mass", "is_a", "is_b"]


def test_where_no_classes_are_learnt_none_need_be_named():
    weights = load({**FLAT, "reweight_classes": None}).weights
    assert (weights.classes, weights.class_columns) == ({"all rows": 1.0}, ())
    assert weights.names == ["jet_pt", "mass"]
    assert weights_with_labels("custom", {"y": "x"}).class_columns == ()
    with pytest.raises(ConfigError, match="reweight_classes: expected the 0/1 column of at least"):
        weights_with_labels("simple", ["is_a", "is_b"])
    with pytest.raises(ConfigError, match="one class; the first one is the reference"):
        load({**FLAT, "reweight_classes": None, "reweight_method": "ref"})
    with pytest.raises(ConfigError, match=r"each of the 1 reweight_classes \(all rows\)"):
        load({**FLAT, "reweight_classes": None, "class_weights": [1, 2]})


def weights_with_labels(kind, value):
    """Weights without classes beside these labels."""
    values = {
        "inputs": {"jets": {"length": 4, "vars": ["x"]}},
        "labels": {"type": kind, "value": value},
        "weights": {**FLAT, "reweight_classes": None},
    }
    return from_mapping(values, "x.yaml").weights


def test_tables_of_more_bins_than_can_be_kept_are_refused_before_the_data_are_read():
    # 1000 x 751 bins for 2 classes are 1502000
    many = {"jet_pt": list(range(1001)), "mass": list(range(752))}
    with pytest.raises(ConfigError, match=r"reweight_vars: 1000 x 751 bins for each of 2 classes"):
        load({**FLAT, "reweight_vars": many})
    assert load({**FLAT, "reweight_vars": {**many, "mass": list(range(751))}})


@pytest.mark.parametrize(
    ("bucketing", "message"),
    [
        ({"bins": 3}, "bucketing.var: expected the name of a column"),
        ({"var": "n"}, "bucketing.bins: expected a list of at least 3 bin edges, found None"),
        ({"var": "n", "bins": 1}, "bins: expected a whole number from 2 to 10000, found 1"),
        ({"var": "n", "bins": 10**9}, "bins: expected a whole number from 2 to 10000"),
        (
            {"var": "n", "bins": [1, 3, 2]},
            "bucketing.bins: bin edges must increase, but 3 is followed by 2",
        ),
    ],
)
def test_buckets_that_make_no_sense(bucketing, message):
    with pytest.raises(ConfigError, match=message):
        load(bucketing=bucketing)


def test_a_weights_object_is_compared_by_what_the_user_wrote():
    assert Weights(tables={"a": np.ones(2)}) == Weights()
