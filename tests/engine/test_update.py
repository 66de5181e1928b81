"""One update, by hand."""

import math

import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.load import from_mapping
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.optim import compile_step
from weaver_tt.engine.schedule import Schedule, make_schedule
from weaver_tt.engine.update import Update, make_update
from weaver_tt.errors import ConfigError, UserCodeError
from weaver_tt.metrics.base import Scored
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.distributed import Agreement
from weaver_tt.system.user_code import user_errors
from weaver_tt.tasks.regression import Regression


class Line(nn.Module):
    """y = a x."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(tensor([1.0]))


def make(clip=None, schedule=None, accumulate=1):
    """A line and its update, by plain gradient descent with rate 0.1."""
    line = Line()
    optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    schedule = schedule or make_schedule("none", 1, 0.0, "min")
    return line, Update(line, optimizer, schedule, clip, accumulate=accumulate)


def step(update, losses, weight, progress=0.5):
    """One call."""
    weight = torch.as_tensor(weight)
    scored = Scored(losses.detach()[:, None], None, weight, counts=torch.ones(len(weight)))
    update(losses, scored, Batch({}, {}, {}, {}, progress=progress, size=len(weight)))


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_the_scale_of_the_weights_does_not_matter(scale):
    line, update = make()
    step(update, line.a * tensor([1.0, 3.0]), tensor([3.0, -1.0]) * scale)
    assert line.a.item() == pytest.approx(1 - 0.1 * (3 * 1 - 1 * 3) / 4)


@pytest.mark.parametrize("entries", [0, 2])
def test_a_batch_that_does_not_count_changes_nothing(entries):
    line, update = make()
    step(update, line.a * torch.ones(entries), torch.zeros(entries))
    assert line.a.item() == 1.0
    assert line.a.grad.tolist() == [0.0]
    assert update.find_nonfinite() is None


def test_an_error_of_the_backward_pass_says_that_it_is_one():
    line, update = make()
    losses = line.a * torch.ones(2)
    exponential = losses.exp()
    losses = exponential * 1
    exponential.detach().add_(1)  # exp needs its result for the gradient
    with pytest.raises(UserCodeError, match=r"^the backward pass .*\n.*inplace"), user_errors():
        step(update, losses, torch.ones(2))


def test_gradients_are_clipped():
    line, update = make(clip=0.5)
    step(update, line.a * tensor([100.0]), [1.0])
    assert line.a.item() == pytest.approx(1 - 0.1 * 0.5)


def test_a_scaled_loss_gives_the_same_step_and_clipping_sees_the_gradient_itself():
    for clip in (None, 0.5):
        plain, scaled = make(clip=clip), make(clip=clip)
        scaled[1].scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
        for line, update in (plain, scaled):
            step(update, line.a * tensor([1.0, 3.0]), [3.0, 1.0])
        gradient = min(1.5, math.inf if clip is None else clip)
        assert plain[0].a.item() == pytest.approx(1 - 0.1 * gradient)
        assert plain[0].a.item() == pytest.approx(scaled[0].a.item())


def test_a_step_that_overflows_is_skipped_and_the_scale_lowered():
    line, update = make()
    update.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    step(update, line.a * tensor([8.0]), [1.0])
    assert line.a.item() == 1.0
    assert update.scaler.get_scale() == 2.0**126


def test_the_learning_rate_is_that_of_the_progress_before_the_step():
    rates = []
    line, update = make(schedule=Schedule(lambda done, epochs: rates.append(done) or 1.0, 1))
    for epoch, progress in ((0, 0.5), (0, 1.0), (1, 0.25)):
        update.epoch = epoch
        step(update, line.a * tensor([1.0]), [1.0], progress)
    assert rates == [0.0, 0.5, 1.0]
    assert (update.done, update.steps) == (1.25, 3)


def test_the_schedule_scales_the_rate():
    line, update = make(schedule=Schedule(lambda done, epochs: 0.5, 1))
    step(update, line.a * tensor([1.0]), [1.0])
    assert update.rate == pytest.approx(0.05)
    assert line.a.item() == pytest.approx(0.95)


def test_the_schedule_scales_the_rate_of_a_compiled_step_too():
    line, update = make(schedule=Schedule(lambda done, epochs: 1 - done, 1))
    compile_step(update.optimizer, {"backend": "eager"})
    rate = update.optimizer.param_groups[0]["lr"]
    for progress in (0.5, 1.0):
        step(update, line.a * tensor([1.0]), [1.0], progress)
    assert update.rate == pytest.approx(0.05)
    assert line.a.item() == pytest.approx(1 - 0.1 - 0.05)
    # the same tensor: for each new number the step would be compiled anew
    assert update.optimizer.param_groups[0]["lr"] is rate


def test_the_first_loss_that_is_not_finite_is_remembered():
    line, update = make()
    for factor in (1.0, math.nan, 1.0):
        step(update, line.a * tensor([factor]), [1.0])
    assert update.find_nonfinite().step == 1


def test_weights_that_are_not_finite_are_noticed_before_the_next_loss():
    line, update = make()
    step(update, line.a * tensor([1.0]), [1.0])
    assert update.find_nonfinite() is None
    step(
        update,
        (line.a - 0.9).sqrt() * tensor([0.0]) + (line.a - line.a.detach()).abs().sqrt(),
        [1.0],
    )  # finite, its gradient is not
    assert update.find_nonfinite().step == 1


def test_an_idle_rank_steps_too():
    line, update = make()
    step(update, line.a * tensor([1.0]), [1.0])
    update.idle(Agreement(active=True, progress=1.0, save=False, stop=False))
    assert (update.steps, update.done) == (2, 1.0)


def test_a_process_alone_waits_for_no_other_rank():
    line, update = make()
    step(update, line.a * tensor([1.0]), tensor([1.0]))
    assert update.steps == 1
    assert update.times.seconds == {}


def test_the_terms_of_a_batch_are_added_to_the_mean_loss():
    line, update = make()
    update.batch_loss = lambda scored, batch: {"square": line.a.square(), "small": None}
    step(update, line.a * tensor([1.0, 3.0]), [1.0, 1.0])
    # the gradient is the mean 2 of the entries and 2 a = 2 of the term
    assert line.a.item() == pytest.approx(1 - 0.1 * (2 + 2))
    assert {name: sums.tolist() for name, sums in update.terms.sums().items()} == {
        "square": [2.0, 2.0]
    }


def test_a_term_that_is_no_number_is_explained():
    line, update = make()
    update.batch_loss = lambda scored, batch: {"square": line.a.expand(2)}
    with pytest.raises(ConfigError, match=r"batch_loss: 'square' has shape \(2,\)"):
        step(update, line.a * tensor([1.0, 3.0]), [1.0, 1.0])


@pytest.mark.parametrize(
    ("entry", "term", "terms"),
    [
        (math.nan, 1.0, ["the loss of entries"]),
        (1.0, math.inf, ["the batch term 'norm'"]),
        (math.inf, math.nan, ["the loss of entries", "the batch term 'norm'"]),
    ],
)
def test_what_was_not_finite_first_is_named(entry, term, terms):
    line, update = make()
    values = iter([1.0, term, math.nan])
    update.batch_loss = lambda scored, batch: {"norm": line.a.sum() * next(values)}
    for factor in (1.0, entry, math.nan):
        step(update, line.a * tensor([factor]), [1.0])
    assert update.find_nonfinite() == (1, terms)


def test_the_very_first_loss_may_be_the_one_that_is_not_finite():
    line, update = make()
    for factor in (math.nan, 1.0, 1.0):
        step(update, line.a * tensor([factor]), [1.0])
    assert update.find_nonfinite() == (0, ["the loss of entries"])


def test_weights_that_are_not_finite_are_told_apart():
    line, adversary = Line(), nn.Linear(1, 1)
    parameters = [*line.parameters(), *adversary.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    schedule = make_schedule("none", 1, 0.0, "min")
    update = Update(line, optimizer, schedule, task_modules=adversary)
    step(update, line.a * tensor([1.0]), [1.0])
    assert update.find_nonfinite() is None
    with torch.no_grad():
        adversary.bias.fill_(math.nan)
    assert update.find_nonfinite() == (0, ["the weights of the task's modules"])
    with torch.no_grad():
        line.a.fill_(math.inf)
        adversary.bias.fill_(0)
    assert update.find_nonfinite() == (0, ["the weights of the network"])


def test_an_update_moves_the_task_to_the_network_first():
    class Moved(Regression):
        def to(self, device):
            super().to(device)
            self.moved = device
            # an optimizer chooses its implementation by where the parameters are
            self.modules = nn.Linear(1, 1)

    labels = {"type": "custom", "value": {"y": "y"}}
    inputs = {"x": {"length": None, "vars": [["x", None]]}}
    task = Moved(from_mapping({"inputs": inputs, "labels": labels}, source="c.yaml"))
    update = make_update(Line(), task, TrainOptions(optimizer="sgd"))
    assert task.moved == torch.device("cpu")
    assert len(update.parameters) == 3


def test_an_output_that_is_not_finite_is_known_and_no_error_of_its_own():
    line, update = make()
    for factor in (1.0, math.inf, 1.0):
        scored = Scored(tensor([[factor]]), None, torch.ones(1), torch.ones(1))
        update(line.a * tensor([0.5]), scored, Batch({}, {}, {}, {}, progress=0.5))
    # a class may be ruled out by a logit of minus infinity
    assert update.find_nonfinite() is None
    assert [update.has_nonfinite_output(step) for step in (0, 1, 2)] == [False, True, True]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("clip", "expected"), [(None, 3.0), (0.5, 2.0)])
def test_norms_of_gradients_are_those_before_clipping(scaled, clip, expected):
    line, update = make(clip=clip)
    update.norm_every = 2
    if scaled:
        update.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    for factor in (1.0, 3.0):
        step(update, line.a * tensor([factor]), [1.0])
    # clipping takes the norm of each step; without it, that of every second one is looked at
    assert update.gradient_norms.read()["gradient_norm"] == pytest.approx(expected)


def test_each_interval_of_the_log_has_a_norm():
    labels = {"type": "custom", "value": {"y": "y"}}
    inputs = {"x": {"length": None, "vars": [["x", None]]}}
    task = Regression(from_mapping({"inputs": inputs, "labels": labels}, source="c.yaml"))
    for log_every, norm_every in ((1, 1), (7, 7), (50, 10)):
        options = TrainOptions(optimizer="sgd", log_every=log_every)
        assert make_update(Line(), task, options).norm_every == norm_every


# --- several batches to a step

# losses and weights of three batches of different sizes
BATCHES = [([1.0, 3.0], [3.0, -1.0]), ([2.0], [2.0]), ([5.0, 1.0, 4.0], [1.0, 1.0, -0.5])]
# their union: 3 - 3 + 4 + 5 + 1 - 2 over 3 + 1 + 2 + 1 + 1 + 0.5
MEAN_GRADIENT = 8.0 / 8.5


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_accumulated_batches_take_the_step_of_one_batch_with_all_their_entries(scale):
    line, update = make(accumulate=3)
    for factors, weight in BATCHES:
        assert line.a.item() == 1.0
        step(update, line.a * tensor(factors), tensor(weight) * scale)
    assert line.a.item() == pytest.approx(1 - 0.1 * MEAN_GRADIENT)
    assert (update.steps, update.group_size) == (1, 0)
    # and so does the next group, from nothing
    for factors, weight in BATCHES:
        step(update, line.a * tensor(factors), tensor(weight) * scale)
    assert line.a.item() == pytest.approx(1 - 0.2 * MEAN_GRADIENT)


def test_a_group_of_one_batch_is_that_batch_to_the_last_bit():
    plain, closed = make(), make(accumulate=5)
    for line, update in (plain, closed):
        step(update, line.a * tensor([0.1, 0.7]), [0.3, 0.9])
        update.close_group()
    assert torch.equal(plain[0].a, closed[0].a)


def test_a_group_that_the_epoch_leaves_unfinished_takes_its_step():
    line, update = make(accumulate=3)
    assert not update.close_group()
    for factors, weight in BATCHES[:2]:
        step(update, line.a * tensor(factors), weight, progress=1.0)
    assert update.close_group()
    assert line.a.item() == pytest.approx(1 - 0.1 * 4 / 6)
    assert (update.steps, update.done) == (1, 1.0)
    assert not update.close_group()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_batches_that_do_not_count_leave_the_others_of_their_group_as_they_are(place):
    line, update = make(accumulate=3)
    batches = [BATCHES[0], BATCHES[1]]
    batches.insert(place, ([7.0], [0.0]))
    for factors, weight in batches:
        step(update, line.a * tensor(factors), weight)
    assert line.a.item() == pytest.approx(1 - 0.1 * 4 / 6)
    nothing, idle = make(accumulate=2)
    for _ in range(2):
        step(idle, nothing.a * torch.ones(0), torch.zeros(0))
    assert nothing.a.item() == 1.0


def test_a_term_of_accumulated_batches_is_their_mean_with_what_each_counts_for():
    line, update = make(accumulate=2)
    slopes = iter([1.0, 4.0])
    update.batch_loss = lambda scored, batch: {"slope": line.a.sum() * next(slopes)}
    step(update, line.a * tensor([0.0, 0.0]), [3.0, -1.0])
    step(update, line.a * tensor([0.0]), [2.0])
    assert line.a.item() == pytest.approx(1 - 0.1 * (4 * 1 + 2 * 4) / (4 + 2))


@pytest.mark.parametrize("scaled", [False, True])
def test_the_gradient_of_a_group_is_clipped_and_not_those_of_its_batches(scaled):
    line, update = make(clip=1.5, accumulate=2)
    if scaled:
        update.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    step(update, line.a * tensor([10.0]), [1.0])
    step(update, line.a * tensor([-8.0]), [1.0])
    assert line.a.item() == pytest.approx(1 - 0.1 * 1.0)


def test_a_parameter_that_only_an_earlier_batch_has_reached_keeps_its_share():
    a, b = nn.Parameter(tensor([1.0])), nn.Parameter(tensor([1.0]))
    optimizer = torch.optim.SGD([a, b], lr=0.1)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    schedule = make_schedule("none", 1, 0.0, "min")
    update = Update(nn.ParameterList([a, b]), optimizer, schedule, accumulate=2)
    step(update, a * tensor([3.0]), [1.0])
    step(update, b * tensor([4.0]), [3.0])
    assert [a.item(), b.item()] == pytest.approx([1 - 0.1 * 3 / 4, 1 - 0.1 * 4 * 3 / 4])


def test_the_schedule_moves_once_a_group():
    rates = []
    schedule = Schedule(lambda done, epochs: rates.append(done) or 1.0, 1)
    line, update = make(schedule=schedule, accumulate=2)
    for progress in (0.2, 0.4, 0.6, 0.8):
        step(update, line.a * tensor([1.0]), [1.0], progress)
    assert rates == [0.0, 0.4]
    assert update.done == 0.8


def test_nothing_is_agreed_on_within_a_group():
    line, update = make(accumulate=2)
    asked = []
    update.wants_save = lambda: asked.append(1) or True
    for expected in (False, True, False, True):
        step(update, line.a * tensor([1.0]), [1.0])
        assert update.agreed.save is expected
    assert len(asked) == 2


def test_a_warm_up_in_steps_counts_groups():
    options = TrainOptions(
        optimizer="sgd", num_epochs=2, lr_scheduler="flat+cos", warmup_steps=3, accumulate_batches=4
    )
    labels = {"type": "custom", "value": {"y": "y"}}
    inputs = {"x": {"length": None, "vars": [["x", None]]}}
    task = Regression(from_mapping({"inputs": inputs, "labels": labels}, source="c.yaml"))
    # 10 batches of an epoch are groups of 4, 4 and 2: three of six steps are half of the training
    update = make_update(Line(), task, options, steps=10)
    assert update.schedule.factor(0.5) == pytest.approx(0.5)
