"""One training step by step: its steps, its best epoch, when it is over."""

import signal

import pytest
import torch

from tests.engine.toy import Rows, training
from weaver_tt.engine import checkpoint
from weaver_tt.engine.fit import fit
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.log import log
from weaver_tt.network.normalisation import attach_normalisation, find_normalisation
from weaver_tt.run_files import RunFiles
from weaver_tt.system import signals
from weaver_tt.system.signals import Interrupted
from weaver_tt.tasks.regression import Regression


class Halved(Regression):
    """Halves what a network gives once it is trained, and notes what it was called with."""

    completes_networks = True
    seen: tuple = ()

    def complete(self, module, measured, best):
        """Half of the weights."""
        self.seen = [*self.seen, (module.weight.item(), measured["loss"])]
        log.info("halved")
        with torch.no_grad():
            module.weight *= 0.5
        return {**best, "halved": 1.0}


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


def test_what_is_said_while_networks_are_completed_names_the_network_of_several(tmp_path, caplog):
    members = [training(tmp_path / f"net_member-{n}", task=Halved).trainings[0] for n in range(2)]
    files = RunFiles(str(tmp_path / "net"))
    with caplog.at_level("INFO"):
        fit(JointTraining(members, members[0].options, files), Rows(), Rows())
        fit(training(tmp_path / "alone", task=Halved), Rows(), Rows())
    assert [line for line in caplog.messages if "halved" in line and "best" not in line] == [
        *("net_member-0: halved", "net_member-1: halved", "halved"),
    ]


def test_a_run_that_is_ended_while_it_is_completed_begins_with_that(tmp_path, monkeypatch):
    run = training(tmp_path / "net", task=Halved)

    class Ended(Rows):
        epochs = 0

        def epoch(self, number, skip=0):
            if self.epochs == 3:
                monkeypatch.setattr(signals, "_noted", signal.SIGUSR1)
            self.epochs += 1
            yield from super().epoch(number, skip)

    with pytest.raises(Interrupted, match="SIGUSR1: saved after all epochs"):
        fit(run, Ended(), None)
    assert run.trainings[0].task.seen == ()
    monkeypatch.undo()
    again = training(tmp_path / "net", task=Halved, resume=True)
    fit(again, Rows(), None)
    assert len(again.trainings[0].task.seen) == 1


def test_what_goes_on_after_a_completed_epoch_goes_on_without_the_constant_of_a_ratio(tmp_path):
    run = training(tmp_path / "net")
    module = run.trainings[0].network.unwrapped
    attach_normalisation(module)
    find_normalisation(module).shift.fill_(0.5)
    checkpoint.save_checkpoint(module.state_dict(), tmp_path / "net_epoch-1_state.pt")

    again = training(tmp_path / "net", load_epoch=1, ema=0.9)
    begun = again.trainings[0].network.unwrapped
    attach_normalisation(begun)
    again.start()
    assert again.trainings[0].state.epoch == 2
    assert find_normalisation(begun).shift == 0
    assert begun.weight.item() == module.weight.item()
