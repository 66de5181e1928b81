"""What the data YAML says of variables that scores are to be independent of."""

import pytest

from weaver_tt.config.decorrelation import decorrelated_inputs
from weaver_tt.config.load import from_mapping
from weaver_tt.config.places import names_alone
from weaver_tt.config.plan import make_plan
from weaver_tt.errors import ConfigError

CLASSES = ["top", "w", "qcd"]
DISCO = {"variable": "mass", "method": "disco", "strength": 2, "classes": ["qcd"]}

ADVERSARY = {"method": "adversary"}


def load(decorrelate, variables=("x",), **more):
    values = {
        "inputs": {"jet": {"length": None, "vars": [[name, None] for name in variables]}},
        "labels": {"type": "simple", "value": CLASSES},
        "task": {"name": "classification", "decorrelate": decorrelate},
        "new_variables": {"log_mass": "np.log(mass)"},
    }
    return from_mapping(values | more, "d.yaml")


def test_signals_are_all_classes_that_are_not_decorrelated_unless_named():
    found = load(DISCO).decorrelation
    assert (found.variables, found.classes, found.signals) == (("mass",), ("qcd",), ("top", "w"))
    assert (found.strength, found.warmup, found.score) == (2.0, 0.0, "probability")
    named = load({**DISCO, "signals": ["top"], "score": "logit", "warmup": 1.5}).decorrelation
    assert (named.signals, named.score, named.warmup) == (("top",), "logit", 1.5)
    assert load(None).decorrelation is None


def test_the_variable_is_read_in_training_and_optional_in_prediction():
    config = load({**DISCO, "variable": ["log_mass", "pt"]})
    plan = make_plan(config, "train")
    assert {"mass", "pt"} <= set(plan.columns)
    assert "log_mass" in plan.computed
    assert not plan.is_optional("mass")
    plan = make_plan(config, "predict")
    assert plan.is_optional("mass")
    assert plan.is_optional("pt")
    assert names_alone(config)["task.decorrelate.variable"] == ("log_mass", "pt")


def test_an_adversary_has_options_of_its_own():
    assert load(DISCO).decorrelation.adversary is None
    found = load({**DISCO, "method": "adversary", "layers": 32, "learning_rate": 1e-3})
    chosen = found.decorrelation.adversary
    assert (chosen.layers, chosen.learning_rate, chosen.updates) == ((32,), 1e-3, "reversal")
    assert load({**DISCO, "method": "mi", "score_bins": 5}).decorrelation.score_bins == 5
    assert load({**DISCO, "method": "kl"}).decorrelation.passing == 0.1
    assert load({**DISCO, "method": "kl", "passing": 0.02}).decorrelation.passing == 0.02


def test_bins_are_edges_or_a_number_of_them():
    assert load(DISCO).decorrelation.bins == 20
    assert load({**DISCO, "edges": 7}).decorrelation.bins == 7
    assert load({**DISCO, "edges": [0, 50, 100]}).decorrelation.edges == {"mass": (0, 50, 100)}
    several = {**DISCO, "variable": ["mass", "pt"], "edges": {"pt": [400, 500, 600]}}
    found = load(several)
    assert found.decorrelation.edges == {"pt": (400, 500, 600)}
    assert found.needs_bins
    assert not load({**DISCO, "edges": [0, 50, 100]}).needs_bins


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "disko"}, r"decorrelate\.method: expected disco.*'disko'; did you mean"),
        ({"method": None}, r"decorrelate\.method: expected disco.*it is missing"),
        ({"strenght": 2}, "unknown key 'strenght'; did you mean 'strength'"),
        ({"strength": -1}, r"decorrelate\.strength: expected a number of at least 0, found -1"),
        ({"strength": None}, r"decorrelate\.strength: expected a number of at least 0"),
        ({"warmup": -1}, r"decorrelate\.warmup: expected a number of at least 0"),
        ({"variable": None}, r"decorrelate\.variable: expected a column"),
        (
            {"classes": ["QCD"]},
            r"decorrelate\.classes: there is no class 'QCD'; did you mean 'qcd'",
        ),
        ({"classes": None}, r"decorrelate\.classes: expected the classes"),
        ({"classes": CLASSES}, r"decorrelate\.classes: all classes are listed"),
        ({"signals": ["qcd"]}, r"decorrelate\.signals: 'qcd' is among the `classes`"),
        ({"score": "sigmoid"}, r"decorrelate\.score: expected probability or logit"),
        ({"edges": [1, 1, 2]}, r"decorrelate\.edges: bin edges must increase"),
        ({"edges": 1}, r"decorrelate\.edges: expected a whole number from 2 to 1000, or a list"),
        ({"edges": {"pt": [1, 2, 3]}}, r"decorrelate\.edges: unknown key 'pt'; known: mass"),
        ({"variable": ["mass", "pt"], "edges": [0, 1, 2]}, "edges: expected VARIABLE: "),
        (
            {"score_bins": 5},
            r"decorrelate \(method disco\): unknown key 'score_bins'",
        ),
        ({**ADVERSARY, "layers": [0]}, r"decorrelate\.layers: expected sizes of hidden layers"),
        ({**ADVERSARY, "updates": "reverse"}, r"decorrelate\.updates: .*did you mean 'reversal'"),
        ({**ADVERSARY, "adversary_steps": 2}, "they are those of `updates: alternating`"),
        ({**ADVERSARY, "learning_rate": 0}, "learning_rate: expected a number above 0, found 0"),
        ({**ADVERSARY, "features": "hidden"}, "width: expected a whole number from 1 to 10000"),
        ({**ADVERSARY, "width": 3}, "it is that of `features`, which are missing"),
        ({"method": "mi", "score_bins": 1}, "score_bins: expected a whole number from 2 to 100"),
        ({"method": "kl", "passing": 0}, r"passing: expected a share above 0 and up to 0\.5"),
        ({"method": "kl", "passing": 0.6}, "passing: expected a share .* found 0.6"),
        ({"method": "kl", "passing": 0.1, "score": "probability"}, "it is that of `score: rank`"),
        ({"method": "mi", "passing": 0.1}, r"decorrelate \(method mi\): unknown key 'passing'"),
        ({"variable": ["mass", "pt"], "edges": 40}, "40 x 40 bins; all variables together"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        load({**DISCO, **change})


def test_real_targets_have_no_scores_to_decorrelate():
    labels = {"type": "custom", "value": {"y": "x"}}
    with pytest.raises(ConfigError, match="scores of classes are decorrelated"):
        load(DISCO, labels=labels)


def test_a_variable_that_is_an_input_is_found_by_what_it_is_made_of():
    assert decorrelated_inputs(load(DISCO)) == {}
    assert decorrelated_inputs(load(DISCO, ["x", "mass"])) == {"mass": "mass"}
    assert decorrelated_inputs(load(DISCO, ["log_mass"])) == {"mass": "log_mass"}
    of_new = load({**DISCO, "variable": "log_mass"}, ["mass"])
    assert decorrelated_inputs(of_new) == {"log_mass": "mass"}
