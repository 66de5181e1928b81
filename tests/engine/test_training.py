"""One training step by step: where it begins, what it saves, when it is over."""

import signal
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, ObjectSelection, Variable
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine import checkpoint
from weaver_tt.engine.fit import fit
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.errors import TrainingError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.network import Network
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import signals
from weaver_tt.system.signals import Interrupted
from weaver_tt.system.stage_times import StageTimes
from weaver_tt.tasks.regression import Regression

GROUP = InputGroup(name="event", variables=(Variable(name="x"),))
CONFIG = DataConfig(
    source="c.yaml",
    text="",
    inputs={"event": GROUP},
    labels=Labels(targets={"y": parse_expression("x", "test")}),
)


class Rows:
    """Four batches of two events with y = x."""

    steps = 4
    accounting = Accounting(read=Counter(a=8), used=Counter(a=8))
    times = StageTimes()
    workers = 0
    reads_copies = False

    def epoch(self, number, skip=0):
        """The batches from ``skip`` on."""
        for index in range(skip, 4):
            x = torch.tensor([[index + 1.0], [-index - 1.0]])
            yield Batch(
                {"event": x}, {}, {}, {"y": x[:, 0].clone()}, progress=(index + 1) / 4, size=2
            )


class Halved(Regression):
    """Halves what a network gives once it is trained, and notes what it was called with."""

    completes_networks = True
    seen: tuple = ()

    def complete(self, module, measured, best):
        """Half of the weights."""
        self.seen = [*self.seen, (module.weight.item(), measured["loss"])]
        with torch.no_grad():
            module.weight *= 0.5
        return {**best, "halved": 1.0}


def training(prefix, seed=None, task=Regression, **more):
    """A line to be fitted."""
    torch.manual_seed(0)
    options = TrainOptions(
        **{
            "num_epochs": 3,
            "optimizer": "sgd",
            "start_lr": 0.1,
            "lr_scheduler": "none",
            "save_minutes": 1e9,
        }
        | more
    )
    of_network = Training(
        Network(nn.Linear(1, 1), ["event"]),
        task(CONFIG, loss_function="mse"),
        options,
        str(prefix),
        NullTracker(),
        seed,
    )
    return JointTraining([of_network], options, RunFiles(str(prefix)))


@pytest.fixture(autouse=True)
def _undo():
    yield
    torch.use_deterministic_algorithms(False)


def test_an_epoch_counts_its_batches_and_steps(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    [metrics] = run.train(Rows())
    assert (
        run.trainings[0].state.epoch,
        run.trainings[0].state.batches,
        run.trainings[0].update.steps,
    ) == (0, 4, 4)
    assert metrics["loss"] > 0


def test_what_is_kept_after_an_epoch_points_to_the_next(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    run.save_epoch(run.train(Rows()))
    saved = checkpoint.load_checkpoint(tmp_path / "net_resume.pt")
    assert (saved["state"]["epoch"], saved["state"]["batches"], saved["steps"]) == (1, 0, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net_best_epoch_state.pt",
        "net_epoch-0_state.pt",
        "net_resume.pt",
    ]


def test_a_save_inside_an_epoch_remembers_the_position(tmp_path):
    run = training(tmp_path / "net", save_minutes=0)  # after every batch
    run.start()
    run.train(Rows())
    assert checkpoint.load_checkpoint(tmp_path / "net_resume.pt")["state"]["batches"] == 4


def test_a_worse_epoch_leaves_the_best_one(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    first = run.train(Rows())
    run.save_epoch(first)
    best = (tmp_path / "net_best_epoch_state.pt").read_bytes()
    with torch.no_grad():
        run.trainings[0].network.unwrapped.weight.fill_(50)
    run.save_epoch(run.validate(Rows()))
    assert run.trainings[0].state.best_epoch == 0
    assert (tmp_path / "net_best_epoch_state.pt").read_bytes() == best


@pytest.mark.parametrize(
    ("metric", "best_epoch"), [("loss", 0), ("accuracy", 2), ("bias", 1), ("bias_y", 1)]
)
def test_the_best_epoch_is_where_its_metric_is_best(tmp_path, metric, best_epoch):
    run = training(tmp_path / "net")
    run.trainings[0].task.choose(metric)
    run.start()
    for value in (-3.0, 1.0, 2.0):
        metrics = EpochMetrics([], [])
        metrics[metric] = value
        run.save_epoch([metrics])
    assert run.trainings[0].state.best_epoch == best_epoch


def after_losses(run, *losses):
    """The training after epochs of these losses."""
    run.start()
    for loss in losses:
        metrics = EpochMetrics([], [])
        metrics["loss"] = loss
        run.save_epoch([metrics])
    return run.trainings[0]


def test_it_is_over_after_all_epochs_or_without_improvement(tmp_path):
    run = training(tmp_path / "net", early_stopping=2)
    assert not after_losses(run).is_over()
    assert not after_losses(run, 1.0, 1.0).is_over()  # one epoch without improvement
    assert after_losses(training(tmp_path / "b", early_stopping=2), 1.0, 1.0, 1.0).is_over()
    assert after_losses(training(tmp_path / "c", num_epochs=2), 1.0, 0.5).is_over()


@pytest.mark.parametrize(
    ("threshold", "is_over"),
    [
        ("0", False),  # each epoch is better than the one before
        ("0.03", False),  # 0.96 is better than 1 by 0.04
        ("0.05", True),
        ("3%", False),
        ("5%", True),
    ],
)
def test_less_than_the_threshold_is_no_improvement_but_may_be_the_best_epoch(
    tmp_path, threshold, is_over
):
    run = training(
        tmp_path / "net", num_epochs=9, early_stopping=2, early_stopping_threshold=threshold
    )
    found = after_losses(run, 1.0, 0.98, 0.96)
    assert found.is_over() == is_over
    assert found.state.best_epoch == 2


def test_a_nan_weight_is_noticed_with_learning_rate_and_advice(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    with torch.no_grad():
        run.trainings[0].network.unwrapped.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"learning rate 0\.1.*smaller --start-lr"):
        run.train(Rows())


def test_a_pass_in_which_nothing_counts_says_why(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    run.train(Rows())
    with pytest.raises(
        TrainingError, match="nothing to learn from in training, epoch 0: of 8 rows"
    ):
        run.save_epoch([EpochMetrics([], [])])
    selection = ObjectSelection(
        group="jets", expression=parse_expression("pt > 20", "test"), columns=("pt",)
    )
    run.trainings[0].task.config = replace(CONFIG, objects={"jets": selection})
    loader = Rows()
    loader.accounting = Accounting(
        read=Counter(a=8), objects=Counter(jets=5), objects_dropped=Counter(jets=5)
    )
    run.trainings[0].state.batches = 0
    with pytest.raises(TrainingError, match="in training: no object of 'jets' passes"):
        run.train(loader)
    run.validate(loader)
    message = "in validation, epoch 0: no object of 'jets' passes its selection 'pt > 20': all 5"
    with pytest.raises(TrainingError, match=message):
        run.save_epoch([EpochMetrics([], [])])


def trained(folder):
    """A run after its first epoch, and what it can be continued from."""
    run = training(folder / "net")
    run.start()
    run.save_epoch(run.train(Rows()))
    return checkpoint.load_checkpoint(folder / "net_resume.pt")


DAMAGE = [
    ({"steps": "4"}, "steps: expected int, found '4'"),
    ({"done": float("nan")}, "done: expected at least 0, found nan"),
    ({"state": {"epoch": -1}}, "state.epoch: expected at least 0, found -1"),
    ({"state": {}}, "there is no state.epoch"),
    ({"weights": {"weight": 3}}, "weights.weight: expected Tensor, found 3"),
    ({"optimizer": []}, "optimizer: expected keys with values"),
    ({"random": {}}, "there is no random.torch"),
    ({"settings": None}, "settings: expected keys with values"),
    ({"settings": {"ranks": 0}}, "settings.ranks: expected "),
    ({"other_ranks": [{"meters": []}]}, r"other_ranks\[0\]"),
    ({"format": 99}, "format 99, expected 1: written by another version"),
]


@pytest.mark.parametrize(("change", "problem"), DAMAGE)
def test_a_file_to_resume_from_of_another_shape_is_named(tmp_path, change, problem):
    saved = trained(tmp_path)
    if change.get("state"):
        change = {"state": saved["state"] | change["state"]}
    torch.save(saved | change, tmp_path / "net_resume.pt")
    with pytest.raises(TrainingError, match=f"net_resume.pt: .*{problem}"):
        training(tmp_path / "net", resume=True).start()
    # the weights of the epoch are whole, and are not held up
    run = training(tmp_path / "net", load_epoch=0)
    run.start()
    assert run.trainings[0].state.epoch == 1
    assert torch.equal(run.trainings[0].network.unwrapped.weight, saved["weights"]["weight"])


@pytest.mark.parametrize(
    "change",
    [
        {"random": {"torch": torch.zeros(3), "numpy": [1, 2, 3, 4], "python": []}},
        {"schedule": {"bogus": 1, "rates": None}, "optimizer": {"state": {}, "param_groups": []}},
        {"scaler": {"scale": "x"}, "state": {"unknown": 1}},
    ],
)
def test_content_that_torch_runs_into_is_damage_and_no_traceback(tmp_path, change):
    saved = trained(tmp_path)
    if "state" in change:
        change = change | {"state": saved["state"] | change["state"]}
    torch.save(saved | change, tmp_path / "net_resume.pt")
    with pytest.raises(TrainingError, match=r"net_resume\.pt"):
        training(tmp_path / "net", resume=True).start()


def test_a_run_whose_card_is_lost_has_the_seed_of_its_checkpoint(tmp_path):
    run = training(tmp_path / "net", seed=17)
    run.start()
    run.save_epoch(run.train(Rows()))
    assert checkpoint.saved_seed(tmp_path / "net_resume.pt") == 17
    assert checkpoint.saved_seed(tmp_path / "other_resume.pt") is None


def test_the_best_network_is_completed_once_by_what_is_measured_of_it(tmp_path):
    run = training(tmp_path / "net", task=Halved)
    [best] = fit(run, Rows(), Rows())
    [of_network] = run.trainings
    epochs = [checkpoint.load_checkpoint(tmp_path / f"net_epoch-{n}_state.pt") for n in range(3)]
    trained = run.trainings[0].network.unwrapped
    # the last epoch is the best, and goes on as it was trained
    [(weight, loss)] = of_network.task.seen
    assert of_network.state.best_epoch == 2
    assert trained.weight.item() == weight
    assert epochs[2]["weight"].item() == weight / 2
    assert epochs[1]["weight"].item() != weight / 2
    kept = checkpoint.load_checkpoint(tmp_path / "net_best_epoch_state.pt")
    assert kept["weight"].item() == weight / 2
    # of 1 to 4 and -1 to -4, twice: the mean of x^2 is 7.5
    assert loss == pytest.approx(7.5 * (1 - weight) ** 2 + trained.bias.item() ** 2, rel=1e-4)
    assert best["halved"] == 1

    again = training(tmp_path / "net", task=Halved, resume=True)
    [best] = fit(again, Rows(), Rows())
    assert best["halved"] == 1
    assert again.trainings[0].task.seen == ()
    longer = training(tmp_path / "net", task=Halved, resume=True, num_epochs=4)
    fit(longer, Rows(), Rows())
    [(later, _)] = longer.trainings[0].task.seen
    assert later != weight


def test_a_run_that_is_ended_while_it_is_completed_begins_with_that(tmp_path, monkeypatch):
    run = training(tmp_path / "net", task=Halved)

    class Ended(Rows):
        def epoch(self, number, skip=0):
            if number == 3:
                monkeypatch.setattr(signals, "_noted", signal.SIGUSR1)
            yield from super().epoch(number, skip)

    with pytest.raises(Interrupted, match="SIGUSR1: saved after all epochs"):
        fit(run, Ended(), None)
    assert run.trainings[0].task.seen == ()
    monkeypatch.undo()
    again = training(tmp_path / "net", task=Halved, resume=True)
    fit(again, Rows(), None)
    assert len(again.trainings[0].task.seen) == 1
