"""Training from start to end on a toy: what is written, which epoch is best, how it resumes."""

import logging
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine import throughput
from weaver_tt.engine.fit import fit
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.loop import run_epoch
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.errors import ConfigError, OutputError, TrainingError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import LossMeter
from weaver_tt.network.network import Network
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import signals
from weaver_tt.system.signals import Interrupted
from weaver_tt.system.stage_times import StageTimes
from weaver_tt.tasks.object_efficiency import ObjectEfficiency

GROUP = InputGroup(
    name="jets", variables=(Variable(name="jet_pt"), Variable(name="jet_flavour")), length=3
)
LABELS = Labels(object_targets={"jets": {"tag": parse_expression("tag", "test")}})
TASK = ObjectEfficiency(DataConfig(source="c.yaml", text="", inputs={"jets": GROUP}, labels=LABELS))


class InterruptedRunError(Exception):
    """A queue's time limit, or a power cut."""


class Toy:
    """A loader: ``steps`` batches of 8 events, a pure function of the epoch.

    It may break off after ``stop`` batches, or give a broken one.
    """

    def __init__(self, steps=6, stop=None, spoil=None, fixed=False):
        self.steps, self.stop, self.spoil, self.fixed = steps, stop, spoil, fixed
        self.accounting = Accounting()
        self.delivered = 0
        self.times = StageTimes()
        self.workers = 0
        self.reads_copies = False

    def epoch(self, number, skip=0):
        """The batches."""
        self.accounting = Accounting(
            read=Counter(a=8 * self.steps),
            selected=Counter(a=8 * self.steps),
            nonfinite=Counter(jet_pt=2),
        )
        torch.rand(1)  # as an iterator that draws when it is made
        for index in range(skip, self.steps):
            if self.delivered == self.stop:
                raise InterruptedRunError
            self.delivered += 1
            self.accounting.used["a"] += 8
            yield self.batch(
                np.random.default_rng((0 if self.fixed else number, index)),
                (index + 1) / self.steps,
            )

    def batch(self, generator, progress):
        """8 events of up to 3 jets; jets of flavour 5 are tagged more often."""
        counts = torch.from_numpy(generator.integers(0, 4, 8))
        mask = torch.arange(3) < counts[:, None]
        flavour = torch.from_numpy(generator.integers(0, 2, (8, 3))) * 5.0
        inputs = (
            torch.stack([torch.from_numpy(generator.exponential(50, (8, 3))), flavour], 1).float()
            * mask[:, None]
        )
        if self.spoil is not None and self.delivered == self.spoil:
            inputs[mask.nonzero()[0, 0], 0, 0] = float("inf")
        tag = (torch.from_numpy(generator.random((8, 3))) < 0.1 + 0.1 * flavour).float() * mask
        return Batch(
            {"jets": inputs},
            {"jets": mask},
            {"jets": counts},
            {"tag": tag},
            progress=progress,
            size=8,
        )


class Dropping(nn.Module):
    """A network with dropout, so that random states matter."""

    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Dropout(0.3), nn.Linear(width, 1)
        )

    def forward(self, jets):
        """(N, 2, P) -> (N, 1, P)."""
        return self.layers(jets.transpose(1, 2) * torch.tensor([0.01, 0.2])).transpose(1, 2)


def network(seed=0, width=8):
    """A fresh network."""
    torch.manual_seed(seed)
    return Network(Dropping(width), ["jets"])


def options(**more):
    """Short runs."""
    return TrainOptions(
        **{
            "num_epochs": 3,
            "optimizer": "adam",
            "start_lr": 0.02,
            "lr_scheduler": "one-cycle",
            "log_every": 2,
            "save_minutes": 1e9,
        }
        | more
    )


def fit_alone(network, task, train, val, options, prefix, tracker, seed=None):
    """Train one network; the metrics of its best epoch."""
    training = Training(network, task, options, prefix, tracker, seed, train.steps)
    [best] = fit(JointTraining([training], options, RunFiles(prefix)), train, val)
    return best


def run(folder, train=None, val=None, net=None, tracker=None, seed=1, task=TASK, **more):
    """Train in ``folder``; the network and its best metrics."""
    net = net or network()
    best = fit_alone(
        net,
        task,
        train or Toy(),
        val or Toy(2),
        options(**more),
        str(folder / "net"),
        tracker or NullTracker(),
        seed,
    )
    return net, best


class Scale(nn.Module):
    """One number to learn, and dropout, so that random states matter."""

    def __init__(self, start=0.0):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor([start]))
        self.dropout = nn.Dropout(0.5)


class LearntScale(ObjectEfficiency):
    """The loss divided by a scale that is learnt: least where the scale is the mean loss."""

    def __init__(self, start=0.0):
        super().__init__(TASK.config)
        self.modules = Scale(start)

    def losses(self, scored):
        """(M,); of the scale, twice or nothing."""
        scale = self.modules.dropout(self.modules.log_scale)
        return super().losses(scored) * torch.exp(-scale) + scale


def same(first, second):
    """Whether two networks have the same weights, bit for bit."""
    return all(
        torch.equal(a, b)
        for a, b in zip(
            first.unwrapped.state_dict().values(),
            second.unwrapped.state_dict().values(),
            strict=True,
        )
    )


def test_a_run_leaves_the_files_of_weaver(tmp_path):
    net, best = run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net_best_epoch_state.pt",
        *(f"net_epoch-{n}_state.pt" for n in range(3)),
        "net_resume.pt",
        "net_resume_before.pt",
    ]
    last = torch.load(tmp_path / "net_epoch-2_state.pt", weights_only=True)
    assert all(torch.equal(last[name], value) for name, value in net.unwrapped.state_dict().items())
    assert torch.load(tmp_path / "net_resume.pt", weights_only=True)["state"]["best"] == best
    assert {"loss", "efficiency", "tag_rate", "brier"} <= best.keys()


def test_training_learns(tmp_path):
    _, first = run(tmp_path, num_epochs=1, start_lr=1e-6)
    _, last = run(tmp_path, num_epochs=8)
    assert last["loss"] < first["loss"] - 0.1


def test_the_same_seed_gives_the_same_weights(tmp_path):
    assert same(run(tmp_path)[0], run(tmp_path)[0])
    assert not same(run(tmp_path)[0], run(tmp_path, seed=2)[0])


@pytest.mark.parametrize(("name", "stop"), [("adam", 3), ("adam", 6), ("ranger", 11), ("sgd", 15)])
def test_a_run_killed_inside_an_epoch_ends_with_the_same_weights(tmp_path, name, stop):
    torch.set_num_threads(2)
    whole, best = run(tmp_path / "a", optimizer=name)
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=stop), optimizer=name, save_minutes=0)
    resumed, best_resumed = run(tmp_path / "b", optimizer=name, net=network(seed=9), resume=True)
    assert same(whole, resumed)
    assert best == best_resumed


@pytest.mark.parametrize("stop", [3, 4, 5, 6, 9])
@pytest.mark.parametrize(
    "more",
    [{}, {"use_amp": True, "clip_gradient": 0.1, "lr_scheduler": "flat+cos", "warmup_steps": 2}],
)
def test_a_run_killed_within_a_group_of_batches_ends_with_the_same_weights(tmp_path, stop, more):
    # groups of 3 and 2 batches
    settings = {"accumulate_batches": 3, "num_epochs": 2, **more}
    whole, best = run(tmp_path / "a", Toy(5), **settings)
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(5, stop=stop), save_minutes=0, **settings)
    resumed, best_resumed = run(
        tmp_path / "b", Toy(5), net=network(seed=9), resume=True, **settings
    )
    assert same(whole, resumed)
    assert best == best_resumed


def test_an_epoch_of_groups_takes_a_step_for_each_and_logs_it(tmp_path):
    logged = Logged()
    run(tmp_path, Toy(5), tracker=logged, accumulate_batches=3, num_epochs=2, log_every=1)
    saved = torch.load(tmp_path / "net_resume.pt", weights_only=True)
    assert saved["steps"] == 2 * 2
    assert len(logged.intervals) == 4
    with pytest.raises(TrainingError, match="accumulate_batches was 3, now 1"):
        run(tmp_path, Toy(5), num_epochs=3, resume=True)


def test_a_run_of_before_batches_were_accumulated_is_resumed(tmp_path):
    run(tmp_path, num_epochs=1)
    saved = torch.load(tmp_path / "net_resume.pt", weights_only=True)
    del saved["settings"]["accumulate_batches"]
    torch.save(saved, tmp_path / "net_resume.pt")
    run(tmp_path, num_epochs=2, resume=True)
    assert (tmp_path / "net_epoch-1_state.pt").exists()


def test_a_run_killed_between_saves_repeats_the_lost_steps(tmp_path):
    whole, _ = run(tmp_path / "a")
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=10))  # last saved after epoch 0
    assert same(whole, run(tmp_path / "b", net=network(seed=9), resume=True)[0])


def test_metrics_of_an_interrupted_epoch_are_those_of_all_of_it(tmp_path):
    class Epochs(NullTracker):
        """Keeps the metrics of epochs."""

        def __init__(self):
            self.values = []

        def epoch(self, values, number, figures=None):
            self.values.append(
                {
                    name: value
                    for name, value in values.items()
                    if name.startswith(("train/", "val/"))
                }
            )

    whole, resumed = Epochs(), Epochs()
    run(tmp_path / "a", tracker=whole)
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=9), save_minutes=0)
    run(tmp_path / "b", tracker=resumed, resume=True)
    assert resumed.values == whole.values[1:]


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_save_costs_time_and_nothing_else(tmp_path, content):
    whole, best = run(tmp_path / "a")
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=9), save_minutes=0)
    (tmp_path / "b" / "net_resume.pt").write_bytes(content)
    resumed, best_resumed = run(tmp_path / "b", net=network(seed=9), resume=True)
    assert same(whole, resumed)
    assert best == best_resumed


def test_resume_without_a_file_starts_afresh_and_says_so(tmp_path, caplog):
    logging.getLogger("weaver_tt").propagate = True
    with caplog.at_level(logging.INFO, "weaver_tt"):
        net, _ = run(tmp_path, resume=True)
    assert "starting afresh" in caplog.text
    assert same(net, run(tmp_path)[0])


def test_a_finished_run_has_nothing_left_to_train(tmp_path):
    net, best = run(tmp_path)
    train = Toy()
    again, best_again = run(tmp_path, train, resume=True)
    assert train.delivered == 0
    assert same(net, again)
    assert best == best_again


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"net": network(width=5)},
            r"another network\n  of another shape \(3\): "
            r"layers.0.weight is \(5, 2\) in the network, \(8, 2\) in the file",
        ),
        (
            {"optimizer": "sgd", "start_lr": 0.1},
            "optimizer was 'adam', now 'sgd'; start_lr was 0.02, now 0.1",
        ),
        ({"seed": 5}, "seed was 1, now 5"),
        ({"train": Toy(7)}, "steps_per_epoch was 6, now 7"),
    ],
)
def test_a_changed_configuration_is_not_resumed(tmp_path, changed, message):
    run(tmp_path, num_epochs=1)
    with pytest.raises(TrainingError, match=message):
        run(tmp_path, **{"num_epochs": 2, "resume": True} | changed)


def test_weavers_file_of_the_optimizer_is_not_read_and_that_is_said(tmp_path, caplog):
    run(tmp_path, num_epochs=1)
    torch.save({}, tmp_path / "net_epoch-0_optimizer.pt")
    (tmp_path / "net_resume.pt").unlink()
    with caplog.at_level(logging.INFO, "weaver_tt"):
        run(tmp_path, num_epochs=2, load_epoch=0)
    assert (
        "net_epoch-0_optimizer.pt: Weaver's file of the optimizer's moments is not read"
        in caplog.text
    )


def test_load_epoch_goes_on_after_that_epoch(tmp_path):
    run(tmp_path, lr_scheduler="none", num_epochs=2)
    whole, _ = run(tmp_path / "whole", lr_scheduler="none")
    assert same(
        run(tmp_path, lr_scheduler="none", load_epoch=1, net=network(seed=9))[0], whole
    )  # saved just then: bit for bit
    train = Toy()
    run(tmp_path, train, lr_scheduler="none", load_epoch=0)
    assert train.delivered == 12
    with pytest.raises(TrainingError, match=r"load-epoch 7: .*net_epoch-7_state.pt does not exist"):
        run(tmp_path, load_epoch=7)


def test_a_nan_loss_stops_with_an_explanation(tmp_path):
    with pytest.raises(TrainingError) as raised:
        run(tmp_path, Toy(spoil=9), save_minutes=0)
    message = str(raised.value)
    for part in (
        "since step 8",
        "epoch 1",
        "learning rate",
        "The network's output was finite until then",
        "values taken as 0: jet_pt 2",
        "--clip-gradient",
        "net_*.pt",
    ):
        assert part in message
    weights = torch.load(tmp_path / "net_resume.pt", weights_only=True)["weights"]
    assert all(value.isfinite().all() for value in weights.values())


def test_the_best_epoch_is_that_of_the_watched_metric(tmp_path):
    task = ObjectEfficiency(TASK.config, watch="brier")
    best = fit_alone(
        network(), task, Toy(), Toy(2), options(), str(tmp_path / "net"), NullTracker(), 1
    )
    kept = torch.load(tmp_path / "net_resume.pt", weights_only=True)["state"]
    assert kept["best"] == best
    weights = torch.load(tmp_path / "net_best_epoch_state.pt", weights_only=True)
    at_best = torch.load(tmp_path / f"net_epoch-{kept['best_epoch']}_state.pt", weights_only=True)
    assert all(torch.equal(weights[name], at_best[name]) for name in weights)


def test_a_metric_that_does_not_exist_is_explained(tmp_path):
    task = ObjectEfficiency(TASK.config, watch="brie")
    with pytest.raises(TrainingError, match="no metric 'brie'; did you mean 'brier'"):
        fit_alone(network(), task, Toy(), None, options(), str(tmp_path / "net"), NullTracker(), 1)


def test_weights_of_earlier_epochs_can_be_cleaned_away(tmp_path):
    run(tmp_path, auto_clean=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        "net_best_epoch_state.pt",
        "net_epoch-2_state.pt",
        "net_resume.pt",
        "net_resume_before.pt",
    }


def test_compiled_network_and_optimizer_train_alike_and_resume(tmp_path):
    pairs = [["backend", "eager"]]
    plain, _ = run(tmp_path / "a", lr_scheduler="none")
    compiled, _ = run(
        tmp_path / "b",
        lr_scheduler="none",
        compile=True,
        compile_optimizer=True,
        compiler_option=pairs,
    )
    for one, two in zip(
        plain.unwrapped.state_dict().values(), compiled.unwrapped.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)
    run(
        tmp_path / "b",
        lr_scheduler="none",
        num_epochs=4,
        compile=True,
        compile_optimizer=True,
        compiler_option=pairs,
        resume=True,
    )
    assert (tmp_path / "b" / "net_epoch-3_state.pt").exists()


def test_training_stops_early(tmp_path):
    train = Toy(4)
    run(
        tmp_path,
        train,
        Toy(2, fixed=True),
        num_epochs=50,
        start_lr=1e-30,
        early_stopping=3,
        lr_scheduler="none",
    )
    assert train.delivered == 4 * (1 + 3)  # the first epoch is the best, to the last bit


def test_plateau_bf16_clipping_and_no_validation_work_together(tmp_path):
    best = fit_alone(
        network(),
        TASK,
        Toy(),
        None,
        options(lr_scheduler="reduce-on-plateau", use_amp=True, clip_gradient=0.1),
        str(tmp_path / "net"),
        NullTracker(),
    )
    assert 0 < best["loss"] < 1


def test_no_batch_at_all_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="gave no batch"):
        run(tmp_path, Toy(0))


def test_a_prefix_that_cannot_be_written_fails_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    train = Toy()
    with pytest.raises(OutputError, match="cannot write"):
        run(tmp_path / "file", train)
    assert train.delivered == 0


def test_a_tasks_own_modules_are_trained_and_kept_apart_from_the_network(tmp_path):
    task = LearntScale()
    net, _ = run(tmp_path, task=task)
    learnt = task.modules.log_scale.item()
    assert learnt != 0
    assert not task.modules.training  # validation came last
    state = torch.load(tmp_path / "net_epoch-2_state.pt", weights_only=True)
    assert state.keys() == net.unwrapped.state_dict().keys()
    kept = torch.load(tmp_path / "net_epoch-2_task.pt", weights_only=True)
    assert {name: value.item() for name, value in kept.items()} == {"log_scale": learnt}


@pytest.mark.parametrize("stop", [3, 6, 11])
def test_a_tasks_own_modules_are_resumed_bit_for_bit(tmp_path, stop):
    whole = LearntScale()
    whole_net, best = run(tmp_path / "a", task=whole)
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=stop), task=LearntScale(), save_minutes=0)
    resumed = LearntScale(start=3.0)
    net, best_resumed = run(tmp_path / "b", task=resumed, net=network(seed=9), resume=True)
    assert same(net, whole_net)
    assert torch.equal(whole.modules.log_scale, resumed.modules.log_scale)
    assert best == best_resumed


def test_load_epoch_takes_the_tasks_modules_of_that_epoch(tmp_path):
    run(tmp_path, task=LearntScale(), num_epochs=2)
    before = torch.load(tmp_path / "net_epoch-0_task.pt", weights_only=True)
    task = LearntScale(start=3.0)
    run(tmp_path, task=task, num_epochs=1, load_epoch=0)  # nothing is left to train
    assert torch.equal(task.modules.log_scale, before["log_scale"])
    (tmp_path / "net_epoch-0_task.pt").unlink()
    with pytest.raises(TrainingError, match=r"net_epoch-0_task.pt does not exist; it holds what"):
        run(tmp_path, task=LearntScale(), load_epoch=0)


def test_a_checkpoint_without_the_tasks_modules_is_not_resumed(tmp_path):
    run(tmp_path, num_epochs=1)
    with pytest.raises(TrainingError, match=r"another task's modules\n  missing \(1\): log_scale"):
        run(tmp_path, task=LearntScale(), resume=True)


def test_a_checkpoint_from_before_tasks_had_modules_is_resumed(tmp_path):
    whole, _ = run(tmp_path / "a")
    run(tmp_path / "b", num_epochs=3)
    saved = torch.load(tmp_path / "b" / "net_resume.pt", weights_only=True)
    assert saved.pop("task_weights") == {}
    torch.save(saved, tmp_path / "b" / "net_resume.pt")
    assert same(run(tmp_path / "b", resume=True)[0], whole)


def test_weights_of_earlier_epochs_are_cleaned_away_for_the_task_too(tmp_path):
    run(tmp_path, task=LearntScale(), auto_clean=True)
    assert [path.name for path in tmp_path.glob("*_task.pt")] == ["net_epoch-2_task.pt"]


class Penalised(ObjectEfficiency):
    """A term that keeps the mean logit of each batch at 0."""

    def __init__(self, spoil=None):
        super().__init__(TASK.config)
        self.spoil, self.calls = spoil, 0

    def batch_loss(self, scored, batch):
        """The square of the mean; of small batches nothing."""
        self.calls += 1
        if len(scored.output) < 8:
            return {"mean_logit": None}
        term = scored.output.mean().square()
        return {"mean_logit": term / (0 if self.calls == self.spoil else 1)}


class Spoilt(ObjectEfficiency):
    """The loss is NaN in a batch of training or validation, counted from 1."""

    def __init__(self, training=None, validation=None):
        super().__init__(TASK.config)
        self.spoilt = {True: training, False: validation}
        self.calls = Counter()

    def losses(self, scored):
        """(M,)."""
        training = torch.is_grad_enabled()
        self.calls[training] += 1
        is_spoilt = self.calls[training] == self.spoilt[training]
        return super().losses(scored) * (float("nan") if is_spoilt else 1)


class Logged(NullTracker):
    """Keeps what it is told."""

    def __init__(self):
        self.epochs, self.intervals, self.tensors = [], [], []

    def epoch(self, values, number, figures=None):
        self.epochs.append(values)

    def interval(self, values, step):
        self.intervals.append(values)

    def histograms(self, tensors, number):
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors().items()}
        self.tensors.append((number, shapes))


def test_a_term_of_the_batch_is_trained_on_and_logged_in_training_alone(tmp_path):
    plain, _ = run(tmp_path / "plain")
    logged, task = Logged(), Penalised()
    penalised, best = run(tmp_path / "penalised", task=task, tracker=logged)
    assert not same(plain, penalised)
    assert task.calls == 3 * 6
    for values in logged.epochs:
        assert values["train/mean_logit"] > 0
        assert "val/mean_logit" not in values
    assert {"loss", "mean_logit"} <= logged.intervals[0].keys()
    assert "mean_logit" not in best


def test_the_terms_of_an_interrupted_epoch_are_those_of_all_of_it(tmp_path):
    whole, resumed = Logged(), Logged()
    net, _ = run(tmp_path / "a", task=Penalised(), tracker=whole)
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=9), task=Penalised(), save_minutes=0)
    again, _ = run(tmp_path / "b", task=Penalised(), tracker=resumed, resume=True)
    assert same(net, again)
    assert [values["train/mean_logit"] for values in resumed.epochs] == [
        values["train/mean_logit"] for values in whole.epochs[1:]
    ]


def test_a_nan_in_a_term_is_told_from_one_in_the_loss_of_entries(tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"NaN or infinite in training: the batch term 'mean_logit', since step 8 \(epoch 1",
    ):
        run(tmp_path, task=Penalised(spoil=9))
    with pytest.raises(TrainingError, match="in training: the loss of entries, since step 8"):
        run(tmp_path, task=Spoilt(training=9))
    # an infinite input leaves the loss finite, behind a tanh, but not its gradient
    with pytest.raises(TrainingError, match="in training: the weights of the network, since step"):
        run(tmp_path, Toy(spoil=9), save_minutes=0)


def test_a_nan_in_validation_says_so(tmp_path):
    message = r"NaN in validation: the loss of entries, after epoch 1.*taken as 0: jet_pt 2\."
    with pytest.raises(TrainingError, match=message):
        run(tmp_path, task=Spoilt(validation=3))
    assert not (tmp_path / "net_epoch-1_state.pt").exists()


def test_without_validation_data_the_nan_is_one_of_training(tmp_path):
    class NeverMeasured(LossMeter):
        def values(self, totals):
            return {"loss": float("nan")}

    task = Spoilt()
    task.meters = lambda: [NeverMeasured()]
    with pytest.raises(TrainingError, match="NaN in training: the loss of entries, after epoch 0"):
        fit_alone(network(), task, Toy(), None, options(), str(tmp_path / "net"), NullTracker(), 1)


def test_a_term_must_not_have_the_name_of_a_metric(tmp_path):
    task = Penalised()
    task.batch_loss = lambda scored, batch: {"loss": scored.output.mean()}
    train = Toy()
    with pytest.raises(ConfigError, match="batch_loss: 'loss' is the name of a metric"):
        run(tmp_path, train, task=task)
    assert train.delivered == 1


def test_weights_and_gradients_are_shown_after_each_epoch_where_that_is_asked_for(tmp_path):
    logged = Logged()
    run(tmp_path / "a", tracker=logged, num_epochs=1)
    assert logged.tensors == []
    assert all(values["gradient_norm"] > 0 for values in logged.intervals)
    run(tmp_path / "b", task=LearntScale(), tracker=logged, num_epochs=2, histograms=True)
    shapes = {
        "layers.0.weight": (8, 2),
        "layers.0.bias": (8,),
        "layers.3.weight": (1, 8),
        "layers.3.bias": (1,),
        "task.log_scale": (1,),
    }
    expected = {}
    for kind in ("weights", "gradients"):
        expected |= {f"{kind}/{name}": shape for name, shape in shapes.items()}
    assert logged.tensors == [(0, expected), (1, expected)]


# --- averaged weights


def interrupt_after(calls, patch):
    """Ask for the end in so many calls of a step or a batch of a validation, and one."""
    asked = iter([False] * calls + [True])
    patch.setattr("weaver_tt.engine.joint_training.is_interrupted", lambda: next(asked))
    # with which it is noted that a training ends
    patch.setattr(signals, "_noted", None)


def states(folder, name):
    """The tensors of a file."""
    return torch.load(folder / name, weights_only=True)


def test_the_average_is_validated_and_saved_with_the_weights_beside_it(tmp_path):
    plain, _ = run(tmp_path / "plain", lr_scheduler="none")
    net, best = run(tmp_path / "ema", lr_scheduler="none", ema=0.9)
    # averaging does not disturb the training
    assert same(plain, net)
    names = sorted(path.name for path in (tmp_path / "ema").iterdir())
    assert names == [
        "net_best_epoch_plain.pt",
        "net_best_epoch_state.pt",
        *(f"net_epoch-{n}_{kind}.pt" for n in range(3) for kind in ("plain", "state")),
        "net_resume.pt",
        "net_resume_before.pt",
    ]
    last = states(tmp_path / "ema", "net_epoch-2_plain.pt")
    assert all(torch.equal(last[name], value) for name, value in net.unwrapped.state_dict().items())
    # the metrics are those of the weights that are saved as the best
    net.unwrapped.load_state_dict(states(tmp_path / "ema", "net_best_epoch_state.pt"))
    epoch = states(tmp_path / "ema", "net_resume.pt")["state"]["best_epoch"]
    measured = run_epoch(net.eval(), TASK, Toy(2).epoch(epoch))
    assert measured["loss"] == pytest.approx(best["loss"], abs=1e-12)
    net.unwrapped.load_state_dict(states(tmp_path / "ema", "net_best_epoch_plain.pt"))
    assert abs(run_epoch(net.eval(), TASK, Toy(2).epoch(epoch))["loss"] - best["loss"]) > 1e-4


def test_the_saved_average_is_that_of_all_steps(tmp_path):
    class Remembering(Toy):
        """Notes the weights before each batch, and after the last one."""

        def epoch(self, number, skip=0):
            for batch in super().epoch(number, skip):
                seen.append(net.unwrapped.layers[0].bias.detach().clone())
                yield batch
            seen.append(net.unwrapped.layers[0].bias.detach().clone())

    seen = []
    net = network()
    run(tmp_path, Remembering(), net=net, num_epochs=1, ema=0.25)
    expected = seen[0]
    for step, weights in enumerate(seen[1:]):
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights
    saved = states(tmp_path, "net_epoch-0_state.pt")["layers.0.bias"]
    torch.testing.assert_close(saved, expected)


@pytest.mark.parametrize("stop", [3, 6, 11])
@pytest.mark.parametrize(
    "more", [{}, {"accumulate_batches": 2, "use_amp": True, "clip_gradient": 0.1}]
)
def test_averages_are_resumed_bit_for_bit_those_of_the_task_too(tmp_path, stop, more):
    run(tmp_path / "a", task=LearntScale(), ema=0.9, **more)
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", Toy(stop=stop), task=LearntScale(), save_minutes=0, ema=0.9, **more)
    run(tmp_path / "b", task=LearntScale(3.0), net=network(9), resume=True, ema=0.9, **more)
    for path in (tmp_path / "a").glob("*.pt"):
        if "resume" not in path.name:
            found = states(tmp_path / "b", path.name)
            for name, value in states(tmp_path / "a", path.name).items():
                assert torch.equal(value, found[name]), (path.name, name)
    scale = [states(tmp_path / "a", f"net_epoch-2_{kind}.pt") for kind in ("task", "plain_task")]
    assert scale[0]["log_scale"] != scale[1]["log_scale"]


def test_a_run_interrupted_in_validation_goes_on_with_the_weights_and_not_their_average(
    tmp_path, monkeypatch
):
    run(tmp_path / "a", ema=0.9)
    with monkeypatch.context() as patch:
        interrupt_after(7, patch)  # 6 steps, and the first of two batches of the validation
        with pytest.raises(Interrupted):
            run(tmp_path / "b", ema=0.9)
    run(tmp_path / "b", net=network(9), resume=True, ema=0.9)
    for name in ("net_epoch-2_state.pt", "net_epoch-2_plain.pt"):
        found = states(tmp_path / "b", name)
        for key, value in states(tmp_path / "a", name).items():
            assert torch.equal(value, found[key]), (name, key)


def test_load_epoch_goes_on_from_the_weights_and_their_average(tmp_path):
    settings = {"lr_scheduler": "none", "optimizer": "sgd"}
    run(tmp_path, ema=0.9, **settings)
    before = states(tmp_path, "net_epoch-1_plain.pt"), states(tmp_path, "net_epoch-1_state.pt")
    (tmp_path / "net_resume.pt").unlink()
    (tmp_path / "net_resume_before.pt").unlink()
    net, _ = run(tmp_path, net=network(9), load_epoch=1, num_epochs=2, ema=0.9, **settings)
    assert all(torch.equal(before[0][k], v) for k, v in net.unwrapped.state_dict().items())
    # another course without an average begins with that of the epoch, and leaves none
    run(tmp_path, load_epoch=1, num_epochs=3, **settings)
    plain = sorted(path.name for path in tmp_path.glob("*_epoch-*_plain.pt"))
    assert plain == ["net_epoch-0_plain.pt", "net_epoch-1_plain.pt"]
    with pytest.raises(TrainingError, match=r"ema was None, now 0\.9"):
        run(tmp_path, resume=True, num_epochs=4, ema=0.9, **settings)


def test_plain_weights_of_earlier_epochs_are_cleaned_away_too(tmp_path):
    run(tmp_path, task=LearntScale(), ema=0.9, auto_clean=True)
    assert [path.name for path in sorted(tmp_path.glob("*_plain*"))] == [
        "net_best_epoch_plain.pt",
        "net_epoch-2_plain.pt",
        "net_epoch-2_plain_task.pt",
    ]


def test_what_limits_a_training_is_said_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(throughput, "SECONDS", 0.0)
    with caplog.at_level("INFO", "weaver_tt"):
        run(tmp_path, num_epochs=3)
    # the first five batches of an epoch of six are not measured
    (said,) = [text for text in caplog.messages if text.startswith("what limits the training")]
    assert "1 batch)" in said
