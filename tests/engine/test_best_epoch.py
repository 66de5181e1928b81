"""The watched metric decides on the best epoch, on patience and on learning rates: also resumed."""

from collections import Counter

import pytest
import torch
from torch import nn

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.errors import TrainingError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.network import Network
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.stage_times import StageTimes
from weaver_tt.tasks.regression import Regression

CONFIG = DataConfig(
    source="c.yaml",
    text="",
    inputs={"event": InputGroup(name="event", variables=(Variable(name="x"),))},
    labels=Labels(targets={"y": parse_expression("x", "test")}),
)

# the loss of each epoch: the best at epoch 1; three that are no better, and the rate falls with
# epoch 5, which is the best again; another three, and it falls with epoch 9, the last: it is the
# fourth without improvement
LOSSES = [1.0, 0.5, 0.6, 0.7, 0.55, 0.45, 0.46, 0.46, 0.46, 0.46, 0.1]
RATES = [0.1] * 5 + [0.01] * 4 + [0.001]


# Thesis: the rate is divided by 5 after 5 epochs that were not better by 1e-4, and after 7 such
# epochs all ends. Epochs 2 to 5 lower the loss, each by less, but epoch 5 by 1.2e-4 in all: an
# improvement. From it on there are five without (6 to 10), so that epoch 11 has a fifth of the
# rate; it is better by 2e-4. Five more (12 to 16), and epoch 17 has a 25th; with it there are six,
# and epoch 18 is the seventh. The lowest loss is that of epoch 13.
OF_THESIS = {
    "plateau_factor": 0.2,
    "plateau_patience": 5,
    "plateau_threshold": "1e-4",
    "early_stopping": 7,
    "early_stopping_threshold": "1e-4",
}
THESIS_LOSSES = [
    *(0.2, 0.1, 0.09997, 0.09994, 0.09991, 0.09988),
    *(0.09988, 0.0999, 0.1, 0.0998, 0.0999),
    *(0.09968, 0.09968, 0.0996, 0.09965, 0.0997, 0.0997),
    *(0.0997, 0.0997, 0.01),
]
THESIS_RATES = [0.1] * 11 + [0.02] * 6 + [0.004] * 2


class KilledError(Exception):
    """A power cut."""


class Rows:
    """Two batches of two events, the second of which may not come."""

    steps = 2
    accounting = Accounting(read=Counter(a=4), used=Counter(a=4))
    times = StageTimes()
    workers = 0
    reads_copies = False

    def __init__(self, is_cut=False):
        self.is_cut = is_cut

    def epoch(self, number, skip=0):
        """The batches from ``skip`` on."""
        for index in range(skip, 2):
            if self.is_cut and index == 1:
                raise KilledError
            x = torch.tensor([[index + 1.0], [-1.0]])
            progress = (index + 1) / 2
            yield Batch({"event": x}, {}, {}, {"y": x[:, 0].clone()}, progress=progress, size=2)


def start(prefix, watch="loss", **more):
    """A training that all three are on in, begun or continued."""
    torch.manual_seed(0)
    options = TrainOptions(
        **{
            "num_epochs": 20,
            "optimizer": "sgd",
            "start_lr": 0.1,
            "lr_scheduler": "reduce-on-plateau",
            "early_stopping": 4,
            "save_minutes": 0,
        }
        | more
    )
    task = Regression(CONFIG, loss_function="mse")
    task.choose(watch)
    network = Network(nn.Linear(1, 1), ["event"])
    of_network = Training(network, task, options, str(prefix), NullTracker(), seed=1)
    run = JointTraining([of_network], options, RunFiles(str(prefix)))
    run.start()
    return run


def metrics_of(number, losses=LOSSES):
    """What the validation of an epoch gives; the bias is closest to zero in epoch 3."""
    metrics = EpochMetrics([], [])
    metrics.update({"loss": losses[number], "bias": 3.5 - number})
    return metrics


def go_on(run, until=99, losses=LOSSES):
    """Train until epoch ``until`` or the end; the learning rate of each epoch."""
    rates = []
    while run.trainings[0].state.epoch < until and not run.trainings[0].is_over():
        run.train(Rows())
        rates.append(round(run.trainings[0].update.rate, 9))
        run.save_epoch([metrics_of(run.trainings[0].state.epoch, losses)])
    return rates


def result(run):
    """What must be the same."""
    weights = [part.tolist() for part in run.trainings[0].network.unwrapped.parameters()]
    return (
        run.trainings[0].state.epoch,
        run.trainings[0].state.best_epoch,
        run.trainings[0].state.best,
        weights,
    )


def test_the_three_by_hand(tmp_path):
    run = start(tmp_path / "net")
    assert go_on(run) == pytest.approx(RATES)
    assert (run.trainings[0].state.best_epoch, run.trainings[0].state.epoch) == (5, 10)


def test_rate_and_end_in_the_setting_of_the_thesis_by_hand(tmp_path):
    run = start(tmp_path / "net", **OF_THESIS)
    assert go_on(run, losses=THESIS_LOSSES) == pytest.approx(THESIS_RATES)
    state = run.trainings[0].state
    assert (state.best_epoch, state.epoch) == (13, 19)
    best = torch.load(tmp_path / "net_best_epoch_state.pt", weights_only=True)
    of_epoch = torch.load(tmp_path / "net_epoch-13_state.pt", weights_only=True)
    assert all(torch.equal(best[name], of_epoch[name]) for name in best)


@pytest.mark.parametrize("again", ["resume", "load_epoch"])
def test_the_setting_of_the_thesis_goes_on_after_a_break_in_any_epoch(tmp_path, again):
    whole = start(tmp_path / "a", **OF_THESIS)
    go_on(whole, losses=THESIS_LOSSES)
    rates = []
    run = start(tmp_path / "b", **OF_THESIS)
    while not run.trainings[0].is_over():
        number = run.trainings[0].state.epoch
        rates += go_on(run, until=number + 1, losses=THESIS_LOSSES)
        where = {"resume": True} if again == "resume" else {"load_epoch": number}
        run = start(tmp_path / "b", **OF_THESIS, **where)
    assert rates == pytest.approx(THESIS_RATES)
    assert result(run) == result(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plateau_factor": 0.5}, "plateau_factor was 0.2, now 0.5"),
        ({"plateau_patience": 4}, "plateau_patience was 5, now 4"),
        ({"plateau_threshold": "1%"}, "plateau_threshold was '0.0001', now '1%'"),
    ],
)
def test_a_schedule_does_not_go_on_with_other_options(tmp_path, change, message):
    go_on(start(tmp_path / "net", **OF_THESIS), until=1)
    # the same in other words
    start(tmp_path / "net", **OF_THESIS | {"plateau_threshold": "0.0001"}, resume=True)
    with pytest.raises(TrainingError, match=message):
        start(tmp_path / "net", **OF_THESIS | change, resume=True)


def test_plateaus_of_earlier_versions_had_todays_defaults(tmp_path):
    go_on(start(tmp_path / "net"), until=2)
    path = tmp_path / "net_resume.pt"
    saved = torch.load(path, weights_only=True)
    for name in ("plateau_factor", "plateau_patience", "plateau_threshold"):
        del saved["settings"][name]
    torch.save(saved, path)
    with pytest.raises(TrainingError, match=r"plateau_factor was 0\.1, now 0\.2"):
        start(tmp_path / "net", resume=True, plateau_factor=0.2)
    assert go_on(start(tmp_path / "net", resume=True)) == pytest.approx(RATES[2:])


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_run_that_is_killed_in_every_epoch_ends_the_same(tmp_path, is_cut):
    whole = start(tmp_path / "a")
    go_on(whole)
    rates = []
    run = start(tmp_path / "b")
    for number in range(10):
        assert not run.trainings[0].is_over()
        if is_cut:
            with pytest.raises(KilledError):
                run.train(Rows(is_cut=True))
            run = start(tmp_path / "b", resume=True)
            assert run.trainings[0].state.batches == 1
        rates += go_on(run, until=number + 1)
        run = start(tmp_path / "b", resume=True)
    assert run.trainings[0].is_over()
    assert rates == pytest.approx(RATES)
    assert result(run) == result(whole)


@pytest.mark.parametrize("epoch", [1, 3, 4, 6, 8])
def test_load_epoch_goes_on_with_the_patience_and_the_rates_of_that_epoch(tmp_path, epoch):
    run = start(tmp_path / "net")
    go_on(run)
    expected = result(run)
    again = start(tmp_path / "net", load_epoch=epoch)
    assert again.trainings[0].state.best_epoch == (5 if epoch >= 5 else 1)
    assert go_on(again) == pytest.approx(RATES[epoch + 1 :])
    assert result(again) == expected


def test_another_course_after_load_epoch_is_judged_with_the_epochs_before_it(tmp_path):
    go_on(start(tmp_path / "net"))
    run = start(tmp_path / "net", load_epoch=3)
    best = tmp_path / "net_best_epoch_state.pt"
    before = best.read_bytes()
    # nothing is undone before the next epoch has ended
    assert run.trainings[0].state.best_epoch == 1
    go_on(run, until=5, losses=[*LOSSES[:4], 0.52])
    assert run.trainings[0].state.best_epoch == 1
    assert best.read_bytes() != before
    kept = torch.load(best, weights_only=True)
    first = torch.load(tmp_path / "net_epoch-1_state.pt", weights_only=True)
    assert all(torch.equal(kept[name], first[name]) for name in kept)
    # three epochs since the best one, and one more is the end
    assert not run.trainings[0].is_over()
    go_on(run, losses=[*LOSSES[:4], 0.52, 0.51])
    assert (run.trainings[0].state.epoch, run.trainings[0].state.best_epoch) == (6, 1)


def test_where_the_weights_of_the_best_epoch_before_are_gone_the_next_one_is_the_best(tmp_path):
    go_on(start(tmp_path / "net"))
    (tmp_path / "net_epoch-1_state.pt").unlink()
    run = start(tmp_path / "net", load_epoch=3)
    go_on(run, until=5, losses=[*LOSSES[:4], 0.52])
    assert run.trainings[0].state.best_epoch == 4


def test_a_resumed_run_that_watches_another_metric_judges_its_epochs_again(tmp_path):
    settings = {"lr_scheduler": "none", "early_stopping": None, "num_epochs": 6}
    run = start(tmp_path / "net", **settings)
    go_on(run)
    assert run.trainings[0].state.best_epoch == 5
    # 0.5 away from zero in epochs 3 and 4
    again = start(tmp_path / "net", watch="bias", resume=True, **settings)
    assert again.trainings[0].state.best_epoch == 3
    assert again.finish(Rows(), None)[0]["bias"] == 0.5
    kept = torch.load(tmp_path / "net_best_epoch_state.pt", weights_only=True)
    third = torch.load(tmp_path / "net_epoch-3_state.pt", weights_only=True)
    assert all(torch.equal(kept[name], third[name]) for name in kept)
    # and that is what is resumed from then on
    assert (
        start(tmp_path / "net", watch="bias", resume=True, **settings).trainings[0].state.best_epoch
        == 3
    )
    assert (
        not start(tmp_path / "net", watch="bias", resume=True, **settings)
        .trainings[0]
        .parts.is_best_stale
    )


def test_a_schedule_that_follows_a_metric_goes_on_with_no_other(tmp_path):
    go_on(start(tmp_path / "net"), until=2)
    with pytest.raises(TrainingError, match="watch was 'loss', now 'bias'"):
        start(tmp_path / "net", watch="bias", resume=True)


def test_a_nan_is_no_epoch_without_improvement(tmp_path):
    run = start(tmp_path / "net")
    go_on(run, until=4)
    run.train(Rows())
    run.validate(Rows())
    with pytest.raises(TrainingError, match="NaN in validation"):
        run.save_epoch([metrics_of(4, [float("nan")] * 9)])
    run = start(tmp_path / "net", resume=True)
    assert go_on(run) == pytest.approx(RATES[4:])
    assert run.trainings[0].state.best_epoch == 5


def test_checkpoints_from_before_there_was_a_history_know_their_best_epoch(tmp_path):
    go_on(start(tmp_path / "net"), until=3)
    path = tmp_path / "net_resume.pt"
    saved = torch.load(path, weights_only=True)
    del saved["state"]["history"], saved["settings"]["watch"]
    torch.save(saved, path)
    run = start(tmp_path / "net", resume=True)
    assert go_on(run, until=4) == [0.1]
    # epoch 3 is the first of the history, and no better than epoch 1
    run = start(tmp_path / "net", resume=True)
    assert (run.trainings[0].state.best_epoch, run.trainings[0].parts.is_best_stale) == (1, False)
