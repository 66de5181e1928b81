"""All places of a data YAML that name columns are known in one list."""

from weaver_tt.config.load import from_mapping
from weaver_tt.config.places import expressions_of_rows, names_alone, row_selections

CONFIG = {
    "selection": "met > 1",
    "test_time_selection": "met > 2",
    "new_variables": {"half": "met / 2"},
    "inputs": {
        "jets": {"length": 2, "vars": [["jet_pt", None]]},
        "event": {"length": None, "vars": [["met", None], ["half", None]]},
    },
    "labels": [
        {"type": "simple", "value": ["is_b", "is_c"]},
        {"type": "per_object", "group": "jets", "value": {"tag": "jet_flavour == 5"}},
    ],
    "observers": ["run", "lumi?"],
    "monitor_variables": ["mass"],
    "event_weight": "gen_weight",
    "weights": {
        "reweight_method": "flat",
        "reweight_vars": {"mass": [0, 1]},
        "reweight_classes": ["is_b", "is_c"],
        "reweight_basewgt": "base",
    },
    "bucketing": {"var": "size", "bins": 3},
    "derived_outputs": {"ratio": "is_b / is_c", "scaled": "met * ratio"},
}


def test_every_section_that_names_columns_is_listed():
    config = from_mapping(CONFIG)
    names = {key: sorted(expression.names) for key, expression in row_selections(config).items()}
    for key, expression in expressions_of_rows(config).items():
        names[key] = sorted(expression.names)
    assert names == {
        "selection": ["met"],
        "test_time_selection": ["met"],
        "event_weight": ["gen_weight"],
        "labels.is_b": ["is_b"],
        "labels.is_c": ["is_c"],
        "labels.tag": ["jet_flavour"],
        "weights.reweight_basewgt": ["base"],
    }
    assert names_alone(config) == {
        "inputs.jets": ("jet_pt",),
        "inputs.event": ("met", "half"),
        "monitor_variables": ("mass",),
        "derived_outputs.scaled": ("met",),
        "weights.reweight_vars": ("mass",),
        "weights.reweight_classes": ("is_b", "is_c"),
        "bucketing.var": ("size",),
        "observers": ("run", "lumi"),
    }


def test_weights_of_all_rows_name_no_class_and_a_density_no_columns():
    weights = {"target": "np.exp(-mass)", "reweight_vars": {"mass": [0, 1]}}
    inputs = {"event": {"length": None, "vars": [["met", None]]}}
    config = from_mapping({"inputs": inputs, "weights": weights})
    assert expressions_of_rows(config) == {}
    assert names_alone(config) == {"inputs.event": ("met",), "weights.reweight_vars": ("mass",)}


def test_weights_of_branches_are_expressions():
    weights = {"use_precomputed_weights": True, "weight_branches": ["a * 2", "b"]}
    config = from_mapping(
        {"inputs": CONFIG["inputs"], "weights": weights}
        | {"new_variables": CONFIG["new_variables"]}
    )
    assert list(expressions_of_rows(config)) == [
        "weights.weight_branches: 'a * 2'",
        "weights.weight_branches: 'b'",
    ]
