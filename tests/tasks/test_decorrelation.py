"""Scores kept independent of a variable: the term of a batch, by hand, and trainings with it."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import Labels
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.fit import fit
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.network import Network
from weaver_tt.network.outputs import Activated
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.stage_times import StageTimes
from weaver_tt.tasks.classification import Classification
from weaver_tt.tasks.decorrelation import FEATURES
from weaver_tt.tasks.decorrelation_terms import (
    mutual_information,
    pass_fail_divergence,
    ranked,
    soft_histogram,
    soft_selection,
    squared_distance_correlation,
)
from weaver_tt.tasks.regression import Regression

CLASSES = ["top", "w", "qcd"]
EDGES = [0.0, 1.0, 2.0, 3.0]


def config(classes=CLASSES, method="disco", **more):
    decorrelate = {"variable": "mass", "strength": 2, "classes": ["qcd"], "edges": EDGES}
    values = {
        "inputs": {"jet": {"length": None, "vars": [["x", None], ["y", None]]}},
        "labels": {"type": "simple", "value": list(classes)},
        "task": {
            "name": "classification",
            "decorrelate": {**decorrelate, "method": method, **more},
        },
    }
    return from_mapping(values, "d.yaml")


def batch(target, mass, weight=None, names=("mass",), **more):
    target = tensor(target)
    monitors = {f"spectator:{name}": tensor(mass, dtype=torch.float32) for name in names}
    return Batch(
        {}, {}, {}, {"_label_": target}, weight=weight, monitors=monitors, size=len(target), **more
    )


def jets(rows=64, seed=0):
    """Logits, classes and masses, which the logits of qcd depend on."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 3, rows)
    mass = random.uniform(0, 3, rows)
    logits = random.normal(size=(rows, 3)) + np.outer(mass, [1.0, 0.0, -1.0])
    return tensor(logits, dtype=torch.float32), target.tolist(), mass.tolist()


def term(task, logits, entries, epochs=0.0):
    task.follow(epochs, 0)
    [(name, value)] = task.batch_loss(task.score(logits, entries), entries).items()
    return name, value


def test_the_term_is_that_of_the_background_alone_times_its_strength():
    logits, target, mass = jets()
    name, value = term(Classification(config()), logits, batch(target, mass))
    assert name == "disco"
    chosen = tensor(target) == 2
    scores = logits.softmax(1)[chosen][:, :2]  # of both signals together
    variable = tensor(mass)[chosen, None]
    expected = 2 * squared_distance_correlation(scores, variable, torch.ones(len(scores)))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    # the masses of signals do not count, known or not
    masked = np.where(chosen, mass, np.nan).tolist()
    _, other = term(Classification(config()), logits, batch(target, masked))
    assert float(other) == float(value)


def test_one_signal_and_its_logit_can_be_chosen():
    logits, target, mass = jets()
    task = Classification(config(signals=["w"], score="logit"))
    _, value = term(task, logits, batch(target, mass))
    chosen = tensor(target) == 2
    probability = logits.softmax(1)[chosen, 1:2].double()
    scores = (probability / (1 - probability)).log()
    variable = tensor(mass).double()[chosen, None]
    expected = 2 * squared_distance_correlation(scores, variable, torch.ones(len(scores)).double())
    assert float(value) == pytest.approx(float(expected), rel=1e-4)


def test_event_weights_count_in_the_term():
    logits, target, mass = jets()
    weight = torch.arange(64) % 3
    _, by_weight = term(Classification(config()), logits, batch(target, mass, weight.float()))
    repeated = [tensor(part).repeat_interleave(weight).tolist() for part in (target, mass)]
    _, by_rows = term(
        Classification(config()), logits.repeat_interleave(weight, 0), batch(*repeated)
    )
    assert float(by_weight) == pytest.approx(float(by_rows), rel=1e-5)


def test_several_variables_count_alike_whatever_their_units():
    logits, target, mass = jets()
    pt = np.random.default_rng(3).uniform(500, 1000, 64)
    values = []
    for unit in (1.0, 1000.0):
        entries = batch(target, mass)
        entries.monitors["spectator:pt"] = tensor(pt * unit, dtype=torch.float32)
        task = Classification(config(variable=["mass", "pt"], edges=3))
        values.append(float(term(task, logits, entries)[1]))
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert values[0] != pytest.approx(
        float(term(Classification(config()), logits, batch(target, mass))[1]), rel=1e-2
    )


def test_the_strength_rises_over_the_first_epochs():
    logits, target, mass = jets()
    task = Classification(config(warmup=4))
    entries = batch(target, mass)
    values = [float(term(task, logits, entries, epochs)[1]) for epochs in (0, 1, 4, 9)]
    assert values == pytest.approx([0, values[3] / 4, values[3], values[3]])


@pytest.mark.parametrize("target", [[0, 1, 0, 1], [0, 1, 2, 1]])
def test_a_batch_without_two_rows_of_background_has_no_term(target):
    logits = torch.zeros(4, 3, requires_grad=True)
    task = Classification(config())
    assert term(task, logits, batch(target, [1.0] * 4))[1] is None


def test_metrics_of_sculpting_can_be_watched_alone_and_in_sums():
    task = Classification(config(["top", "qcd"]))
    assert not task.watches_sum
    assert "watched" not in task.headline_metrics
    task.choose("auc - 0.5*sculpting@0.5")
    assert task.watches_sum
    # what decides comes first, and then what it is made of
    task.check_watch("--watch")
    assert task.headline_metrics[:3] == ["watched", "auc", "sculpting@0.5"]
    task.check_watch("--watch")
    assert task.watch == ("auc - 0.5*sculpting@0.5", "max")
    assert task.watched_value({"auc": 0.9, "sculpting@0.5": 0.2}) == pytest.approx(0.8)
    task.choose("sculpting@0.3")
    task.check_watch("--watch")
    assert task.watch[1] == "min"
    task.choose("auc + sculpting@0.3")
    with pytest.raises(ConfigError, match="has no best value: of each term"):
        task.check_watch("--watch")


def test_data_without_the_variable_can_be_predicted():
    task = Classification(config())
    scored = task.score(torch.zeros(2, 3), Batch({}, {}, {}, {"_label_": tensor([0, 2])}, size=2))
    assert scored.monitors == {}
    for meter in task.meters():
        meter.update(scored, None)
        assert not any("sculpting" in name for name in meter.values(meter.totals()))


def test_other_tasks_refuse():
    yaml = config()
    targets = Labels(targets={"z": parse_expression("x", "test")})
    task = Regression(replace(yaml, labels=targets))
    with pytest.raises(ConfigError, match=r"d\.yaml: task\.decorrelate: the task regression"):
        task.check_decorrelation()
    Classification(yaml).check_decorrelation()


@pytest.mark.parametrize(
    ("method", "number", "of_histogram", "of_rank"),
    [
        ("kl", 2, pass_fail_divergence, lambda rank: soft_selection(rank, 0.1)),
        ("mi", 10, mutual_information, lambda rank: rank),
    ],
)
def test_soft_histograms_are_of_each_signal_and_the_background(
    method, number, of_histogram, of_rank
):
    logits, target, mass = jets()
    chosen = tensor(target) == 2
    bins = tensor(mass)[chosen].long()  # EDGES are 0, 1, 2, 3
    ones = torch.ones(len(bins))
    by_probability = 0.0
    by_rank = 0.0
    for signal in (0, 1):
        # twice the mean over two signals
        score = logits.softmax(1)[chosen, signal].contiguous()
        by_probability += float(of_histogram(soft_histogram(score, bins, ones, number, 3)))
        score = of_rank(ranked(score.logit(), ones))
        by_rank += float(of_histogram(soft_histogram(score, bins, ones, number, 3)))
    for more, expected in ({"score": "probability"}, by_probability), ({}, by_rank):
        task = Classification(config(method=method, **more))
        name, value = term(task, logits, batch(target, mass))
        assert name == method
        assert float(value) == pytest.approx(expected, rel=1e-3)


def test_half_of_the_background_may_pass_in_the_divergence_of_spectra():
    logits, target, mass = jets()
    entries = batch(target, mass)
    half = Classification(config(method="kl", passing=0.5, signals=["top"]))
    # the ranks themselves, as mutual information has them with two points
    chosen = tensor(target) == 2
    ones = torch.ones(int(chosen.sum()))
    rank = ranked(logits.softmax(1)[chosen, 0].logit(), ones)
    expected = pass_fail_divergence(soft_histogram(rank, tensor(mass)[chosen].long(), ones, 2, 3))
    _, value = term(half, logits, entries)
    assert float(value) == pytest.approx(2 * float(expected), rel=1e-3)


def test_bins_of_several_variables_are_those_of_all_together():
    logits, target, mass = jets()
    entries = batch(target, mass, names=("mass", "pt"))
    # of two equal variables, the 9 bins hold what the 3 of one do
    edges = {"mass": EDGES, "pt": EDGES}
    both = Classification(config(method="mi", variable=["mass", "pt"], edges=edges))
    alone = Classification(config(method="mi"))
    assert float(term(both, logits, entries)[1]) == pytest.approx(
        float(term(alone, logits, entries)[1]), rel=1e-5
    )


def test_the_adversary_learns_the_bins_and_the_network_the_opposite():
    logits, target, mass = jets()
    task = Classification(config(method="adversary", strength=2, layers=[8]))
    found = []
    for strength in (2.0, 4.0):
        task = Classification(config(method="adversary", strength=strength, layers=[8]))
        torch.manual_seed(3)
        for part in task.modules.parameters():
            nn.init.normal_(part)
        own = logits.clone().requires_grad_()
        name, value = term(task, own, batch(target, mass))
        assert name == "adversary"
        value.backward()
        of_adversary = [part.grad for part in task.modules.parameters()]
        found.append((float(value.detach()), own.grad, of_adversary))
    chosen = tensor(target) == 2
    # cross entropy of the bins, whatever the strength
    bins = tensor(mass)[chosen].long()
    centred = logits[chosen] - logits[chosen].mean(1, keepdim=True)
    with torch.no_grad():
        predicted = task.modules["adversary"](centred)
    expected = float(nn.functional.cross_entropy(predicted, bins))
    assert [value for value, _, _ in found] == pytest.approx([expected] * 2)
    torch.testing.assert_close(found[1][1], 2 * found[0][1])
    torch.testing.assert_close(found[1][2], found[0][2])
    assert not found[0][1][~chosen].any()
    # against the slope of the cross entropy: a step of the network makes it larger
    step = (logits - 0.1 * found[0][1])[chosen]
    with torch.no_grad():
        after = task.modules["adversary"](step - step.mean(1, keepdim=True))
    assert float(nn.functional.cross_entropy(after, bins)) > expected


def test_alternating_steps_train_the_adversary_or_the_network():
    logits, target, mass = jets()
    task = Classification(
        config(method="adversary", updates="alternating", adversary_steps=2, layers=[8])
    )
    names = []
    for step in range(6):
        own = logits.clone().requires_grad_()
        entries = batch(target, mass)
        task.follow(0.0, step)
        task.modules.zero_grad()
        [(name, value)] = task.batch_loss(task.score(own, entries), entries).items()
        value.backward()
        learns = any(part.grad.any() for part in task.modules.parameters())
        names.append(name)
        assert learns == (name == "adversary")
        assert (own.grad is None) == learns
    assert names == ["adversary", "adversary", "against_adversary"] * 2


def test_the_adversary_may_be_given_features_of_the_network():
    logits, target, mass = jets()
    features = torch.randn(64, 5).requires_grad_()
    task = Classification(config(method="adversary", features="hidden", width=5))
    assert task.modules["adversary"].layers[0].in_features == 5
    entries = batch(target, mass)
    scored = task.score({"logits": logits, "hidden": features}, entries)
    task.batch_loss(scored, entries)["adversary"].backward()
    assert features.grad[tensor(target) == 2].any()
    with pytest.raises(ConfigError, match=r"returns no 'hidden'; .*did you mean 'hiden'"):
        task.score({"logits": logits, "hiden": features}, entries)
    with pytest.raises(ConfigError, match=r"'hidden' has shape \(64, 3\); expected \(64, 5\)"):
        task.score({"logits": logits, "hidden": logits}, entries)
    # an ensemble gives what the task has activated, and needs none
    assert FEATURES not in task.score(Activated(logits.softmax(1)), entries).monitors


def test_a_loss_with_parameters_is_trained_beside_the_adversary():
    loss = nn.Linear(1, 1)
    task = Classification(config(method="adversary", learning_rate=0.01), loss=loss)
    assert set(task.modules) == {"adversary", "loss"}
    assert task.learning_rate == 0.01

    class Replacing(Classification):
        def __init__(self, config):
            super().__init__(config)
            self.modules = nn.Linear(1, 1)

    with pytest.raises(ConfigError, match="Replacing has put its own modules in the place of"):
        Replacing(config(method="adversary")).check_decorrelation()


# --- trainings


class InterruptedRunError(Exception):
    """A power cut."""


class Toy:
    """A loader of ``steps`` batches of 96 jets, a function of the epoch; some breaks it off.

    Jets of class top have the mass 2, those of qcd any mass; x is close to 1 for masses near 2 and
    y tells the class a little.
    """

    def __init__(self, steps=5, stop=None):
        self.steps = steps
        self.stop = stop
        self.accounting = Accounting()
        self.delivered = 0
        self.times = StageTimes()
        self.workers = 0
        self.reads_copies = False

    def epoch(self, number, skip=0):
        rows = 96 * self.steps
        self.accounting = Accounting(read=Counter(a=rows), selected=Counter(a=rows))
        for index in range(skip, self.steps):
            if self.delivered == self.stop:
                raise InterruptedRunError
            self.delivered += 1
            self.accounting.used["a"] += 96
            yield self.batch(np.random.default_rng((number, index)), (index + 1) / self.steps)

    def batch(self, random, progress, rows=96):
        target = random.integers(0, 2, rows)
        mass = np.where(target == 0, random.normal(2, 0.2, rows), random.uniform(0, 3, rows))
        x = np.exp(-((mass - 2) ** 2) / 0.1)
        y = random.normal(1 - target, 1)
        inputs = {"jet": tensor(np.stack([x, y], 1), dtype=torch.float32)}
        entries = batch(target.tolist(), mass.tolist(), progress=progress)
        return Batch(
            inputs, {}, {}, entries.labels, monitors=entries.monitors, size=rows, progress=progress
        )


def network(seed=0):
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
    return Network(layers, ["jet"])


def train(folder, loader=None, net=None, seed=1, options=(), **more):
    """A network that is trained, and the metrics of its best epoch."""
    net = net or network()
    torch.manual_seed(5)
    fine = [number / 4 for number in range(13)]
    task = Classification(config(["top", "qcd"], **{"edges": fine, **dict(options)}))
    loader = loader or Toy()
    settings = {"num_epochs": 2, "optimizer": "adam", "start_lr": 0.03, "log_every": 2}
    chosen = TrainOptions(**{**settings, "save_minutes": 1e9, **more})
    prefix = str(folder / "net")
    training = Training(net, task, chosen, prefix, NullTracker(), seed, loader.steps)
    [best] = fit(JointTraining([training], chosen, RunFiles(prefix)), loader, Toy(4))
    return net, task, best


ADVERSARY = {"method": "adversary", "learning_rate": 0.05, "layers": 16, "warmup": 5}
METHODS = {
    "disco": {"method": "disco", "strength": 10, "warmup": 1},
    "reversal": {**ADVERSARY, "strength": 10},
    "alternating": {
        **ADVERSARY,
        "strength": 20,
        "updates": "alternating",
        "adversary_steps": 2,
    },
    "kl": {"method": "kl", "strength": 30},
    "mi": {"method": "mi", "strength": 20, "score_bins": 5},
}


def correlation_after(folder, options, seed=1):
    """The squared distance correlation of score and mass in other background, after a training."""
    net, _, _ = train(folder, options=options, num_epochs=10, seed=seed)
    net.eval()
    other = Toy().batch(np.random.default_rng(77), 1.0, rows=1000)
    with torch.no_grad():
        score = net(other.inputs).softmax(1)[:, :1]
    is_background = other.labels["_label_"] == 1
    mass = other.monitors["spectator:mass"][is_background, None]
    ones = torch.ones(len(mass))
    return float(squared_distance_correlation(score[is_background], mass, ones))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Of a network that is not decorrelated."""
    return correlation_after(tmp_path_factory.mktemp("plain"), {"strength": 0})


@pytest.mark.parametrize("name", METHODS)
def test_every_method_reduces_the_correlation(tmp_path, name, plain):
    assert correlation_after(tmp_path, METHODS[name]) < 0.6 * plain


@pytest.mark.parametrize("stop", [3, 5, 8])
@pytest.mark.parametrize("name", METHODS)
def test_a_run_killed_inside_an_epoch_ends_with_the_same_weights(tmp_path, name, stop):
    settings = {"options": METHODS[name], "ema": 0.9}
    whole, of_whole, best = train(tmp_path / "a", **settings)
    with pytest.raises(InterruptedRunError):
        train(tmp_path / "b", Toy(stop=stop), save_minutes=0, **settings)
    resumed, of_resumed, best_resumed = train(
        tmp_path / "b", net=network(seed=9), resume=True, **settings
    )
    assert_same(whole.unwrapped, resumed.unwrapped)
    if of_whole.modules is not None:
        assert_same(of_whole.modules, of_resumed.modules)
    assert best == best_resumed


def assert_same(first, second):
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@pytest.mark.parametrize("name", METHODS)
def test_half_precision_leaves_the_term_in_single_precision(tmp_path, name):
    _, _, best = train(tmp_path, options=METHODS[name], use_amp=True)
    assert math.isfinite(best["loss"])
