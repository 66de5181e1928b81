"""Regression, by hand."""

import dataclasses
import math

import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.schema import (
    DataConfig,
    InputGroup,
    Labels,
    Target,
    TargetLoss,
    TargetTransform,
    TaskChoice,
    Variable,
)
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.outputs import Activated
from weaver_tt.nn.layers.widths import LEAST_WIDTH
from weaver_tt.tasks.registry import make_task
from weaver_tt.tasks.regression import Regression


def task(*names, **options):
    """Regression of the labels ``names``."""
    labels = Labels(targets={name: parse_expression(name, "test") for name in names})
    inputs = {"x": InputGroup(name="x", variables=(Variable(name="x"),))}
    return Regression(DataConfig(source="c.yaml", text="", inputs=inputs, labels=labels), **options)


def batch(size, **labels):
    """Rows with per-row labels."""
    return Batch({}, {}, {}, labels, size=size)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("huber", [0.125, 1.5]),
        ("mse", [0.25, 4.0]),
        ("mae", [0.5, 2.0]),
        ("logcosh", [math.log(math.cosh(x)) for x in (0.5, 2.0)]),
    ],
)
def test_losses_of_residuals_a_half_and_two(name, expected):
    regression = task("mass", loss_function=name)
    scored = regression.score(tensor([[0.5], [-2.0]]), batch(2, mass=torch.zeros(2)))
    assert regression.losses(scored).tolist() == pytest.approx(expected)


def test_logcosh_of_a_huge_residual_is_finite():
    regression = task("mass", loss_function="logcosh")
    assert regression.losses(
        regression.score(tensor([[1e6]]), batch(1, mass=torch.zeros(1)))
    ).item() == pytest.approx(1e6)


@pytest.mark.parametrize("shape", [(1, 1), (1,)])
def test_a_last_batch_of_one_event_works(shape):
    scored = task("mass").score(torch.ones(shape), batch(1, mass=torch.ones(1)))
    assert scored.output.shape == scored.target.shape == (1, 1)


def test_masked_labels_give_neither_loss_nor_gradient():
    regression = task("x", "x_mask", "y", loss_function="mae")
    output = torch.zeros(2, 2, requires_grad=True)
    labels = {"x": tensor([1.0, math.nan]), "x_mask": tensor([1.0, 0.0]), "y": tensor([3.0, 3.0])}
    losses = regression.losses(regression.score(output, batch(2, **labels)))
    losses.sum().backward()
    assert losses.tolist() == [2.0, 3.0]  # means over two labels, and over one
    assert output.grad.tolist() == [[-0.5, -0.5], [0.0, -1.0]]
    assert regression.output_names == ["output_x", "output_y"]
    assert regression.value_names == ["x", "y"]


def test_a_row_without_any_label_has_no_weight():
    scored = task("x", "x_mask").score(
        torch.zeros(2, 1), batch(2, x=torch.ones(2), x_mask=tensor([0.0, 1.0]))
    )
    assert scored.weight.tolist() == [0.0, 1.0]


def test_columns_are_predictions_and_truth():
    regression = task("mass")
    columns = regression.columns(
        regression.score(Activated(tensor([[7.0]]), tensor([[0.5]])), batch(1, mass=tensor([6.0])))
    )
    assert {name: values.tolist() for name, values in columns.items()} == {
        "output_mass": [7.0],
        "output_mass_std": [0.5],
        "mass": [6.0],
    }


def test_data_without_labels_can_be_predicted():
    regression = task("mass", "energy")
    scored = regression.score(torch.zeros(1, 2), batch(1, mass=torch.ones(1)))
    assert scored.target is None
    assert list(regression.columns(scored)) == ["output_mass", "output_energy"]


def test_values_are_not_activated():
    assert task("mass").activate(tensor([[3.0]])).item() == 3.0
    assert len(task("mass").meters()) == 2


def test_bad_choices_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'huber'"):
        task("mass", loss_function="hubber")
    with pytest.raises(ConfigError, match="expected \\(3, 1\\)"):
        task("mass").score(torch.zeros(3, 4), batch(3))


def test_a_row_counts_as_long_as_one_of_its_labels_does():
    labels = {"x": torch.ones(2), "x_mask": torch.zeros(2), "y": torch.ones(2)}
    weight = tensor([2.0, -1.0])
    rows = Batch({}, {}, {}, labels, weight=weight, size=2)
    scored = task("x", "x_mask", "y").score(torch.zeros(2, 2), rows)
    assert scored.weight.tolist() == [2.0, -1.0]


def test_the_loss_of_a_row_without_any_label_is_zero_and_not_nan():
    regression = task("x", "x_mask", loss_function="mae")
    labels = {"x": torch.ones(2), "x_mask": tensor([0.0, 2.0])}
    scored = regression.score(torch.zeros(2, 1), batch(2, **labels))
    # a mask that is not 0 lets its label count
    assert regression.losses(scored).tolist() == [0.0, 1.0]


def test_data_without_the_mask_of_a_label_can_be_predicted():
    scored = task("x", "x_mask").score(torch.zeros(1, 1), batch(1, x=torch.ones(1)))
    assert scored.target is None


def test_one_value_a_row_may_come_with_its_spread():
    regression = task("mass")
    scored = regression.score(Activated(tensor([7.0]), tensor([0.5])), batch(1))
    columns = {name: values.tolist() for name, values in regression.columns(scored).items()}
    assert columns == {"output_mass": [7.0], "output_mass_std": [0.5]}


class WithWidth(Regression):
    """A value, and an output that no label goes with."""

    @property
    def output_names(self):
        return [*super().output_names, "width"]


def test_the_loss_of_the_labels_does_not_see_outputs_that_a_task_appended():
    regression = WithWidth(task("mass").config, loss_function="mae")
    scored = regression.score(tensor([[1.0, 50.0]]), batch(1, mass=tensor([3.0])))
    assert regression.losses(scored).tolist() == [2.0]


def test_the_network_files_own_loss_is_used():
    regression = task("mass", loss=lambda output, target: 3 * target)
    scored = regression.score(torch.zeros(2, 1), batch(2, mass=tensor([1.0, 2.0])))
    assert regression.losses(scored).tolist() == [3.0, 6.0]


def test_the_default_loss_is_hubers():
    # quadratic below 1, straight above
    regression = task("mass")
    scored = regression.score(tensor([[0.5], [3.0]]), batch(2, mass=torch.zeros(2)))
    assert regression.losses(scored).tolist() == [0.125, 2.5]


@pytest.mark.parametrize("rows", [1, 3])
def test_an_own_loss_of_one_label_gets_a_vector_of_outputs_and_one_of_labels(rows):
    shapes = []

    def loss(output, target):
        shapes.append((tuple(output.shape), tuple(target.shape)))
        return ((output - target) ** 2).mean()

    regression = task("mass", loss=loss)
    output = torch.arange(rows, dtype=torch.float32)[:, None]
    scored = regression.score(output, batch(rows, mass=torch.zeros(rows)))
    # 0, 1, 4: with (N, 1) beside (N,) it would be a mean over all pairs
    mean = sum(number**2 for number in range(rows)) / rows
    assert regression.losses(scored).tolist() == pytest.approx([mean] * rows)
    assert shapes == [((rows,), (rows,))]


def test_an_own_loss_of_several_labels_or_outputs_gets_all_of_them():
    shapes = []

    def loss(output, target):
        shapes.append((tuple(output.shape), tuple(target.shape)))
        return output.sum()

    several = task("mass", "energy", loss=loss)
    labels = {"mass": torch.zeros(3), "energy": torch.zeros(3)}
    several.losses(several.score(torch.zeros(3, 2), batch(3, **labels)))
    wide = WithWidth(task("mass").config, loss=loss)
    wide.losses(wide.score(torch.zeros(3, 2), batch(3, mass=torch.zeros(3))))
    assert shapes == [((3, 2), (3, 2)), ((3, 2), (3,))]


def test_an_own_loss_sees_only_rows_with_a_label_and_is_a_mean_over_these():
    regression = task("x", "x_mask", loss=nn.MSELoss())
    output = tensor([[1.0], [2.0], [5.0]], requires_grad=True)
    labels = {"x": tensor([math.nan, 0.0, 9.0]), "x_mask": tensor([1.0, 1.0, 0.0])}
    scored = regression.score(output, batch(3, **labels))
    losses = regression.losses(scored)
    assert losses.tolist() == [0.0, 4.0, 0.0]
    assert scored.weight.tolist() == [0.0, 1.0, 0.0]
    (losses * scored.weight).sum().backward()
    assert output.grad.tolist() == [[0.0], [4.0], [0.0]]


def test_an_own_loss_of_several_labels_needs_them_all_but_metrics_do_not():
    regression = task("x", "y", loss=lambda output, target: (output - target).abs())
    output = tensor([[1.0, 1.0], [2.0, 2.0]], requires_grad=True)
    labels = {"x": tensor([0.0, 0.0]), "y": tensor([math.nan, 0.0])}
    scored = regression.score(output, batch(2, **labels))
    losses = regression.losses(scored)
    assert losses.tolist() == [0.0, 2.0]
    assert scored.weight.tolist() == [0.0, 1.0]
    _, meter, _ = regression.meters()
    meter.update(scored.detach(), losses)
    # x is known in both rows
    values = meter.values(meter.totals())
    assert (values["mae_x"], values["mae_y"]) == (1.5, 2.0)


def test_an_own_loss_is_not_called_where_no_row_is_complete():
    def loss(output, target):
        raise AssertionError("called")

    regression = task("x", "y", loss=loss)
    output = torch.zeros(2, 2, requires_grad=True)
    labels = {"x": torch.zeros(2), "y": torch.full((2,), math.nan)}
    losses = regression.losses(regression.score(output, batch(2, **labels)))
    losses.sum().backward()
    assert losses.tolist() == [0.0, 0.0]
    assert output.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def quantile_task(losses, *names, **targets):
    """Regression of the labels ``names`` with what ``task.targets`` says."""
    config = task(*names).config
    return Regression(dataclasses.replace(config, targets=targets), loss_function=losses)


PINBALL = {"pinball": {"quantiles": [0.16, 0.5, 0.84]}}


def test_quantiles_are_outputs_that_never_cross():
    regression = quantile_task(PINBALL, "y")
    assert regression.output_names == ["output_y_q16", "output_y_q50", "output_y_q84"]
    scored = regression.score(tensor([[0.0, 5.0, 0.0]]), batch(1, y=tensor([6.0])))
    step = math.log(2)
    values = regression.activate(scored.output)
    assert values[0].tolist() == pytest.approx([5 - step, 5, 5 + step])
    # pinball losses of 1 + step, 1 and 1 - step below the truth, and their mean
    expected = (0.16 * (1 + step) + 0.5 + 0.84 * (1 - step)) / 3
    assert regression.losses(scored).item() == pytest.approx(expected)


def test_the_median_of_mae_stands_between_its_quantiles():
    regression = quantile_task(["mae", {"pinball": {"quantiles": [0.16, 0.84]}}], "y")
    assert regression.value_names == ["y", "y_q16", "y_q84"]
    step = math.log(2)
    assert regression.activate(tensor([[5.0, 0.0, 0.0]]))[0].tolist() == pytest.approx(
        [5.0, 5 - step, 5 + step]
    )
    # a mean is no quantile: it may lie anywhere
    mean = quantile_task(["mse", {"pinball": {"quantiles": [0.16, 0.84]}}], "y")
    assert mean.activate(tensor([[9.0, 1.0, 0.0]]))[0].tolist() == pytest.approx([9, 1, 1 + step])


def test_each_target_has_its_loss_and_its_weight():
    regression = quantile_task(
        "mae",
        "x",
        "y",
        y=Target(losses=(TargetLoss(name="mse"),), weight=3.0),
    )
    scored = regression.score(tensor([[1.0, 2.0]]), batch(1, x=torch.zeros(1), y=torch.zeros(1)))
    # the mean of 1 and three times 4
    assert regression.losses(scored).item() == 6.5
    meters = regression.meters()
    losses = regression.losses(scored)
    values = {}
    for meter in meters:
        meter.update(scored, losses)
        values |= meter.values(meter.totals())
    # of a target its own loss, as it is without its weight
    assert (values["loss_x"], values["loss_y"], values["loss"]) == (1.0, 4.0, 6.5)
    assert (values["mae_x"], values["mae_y"]) == (1.0, 2.0)


WINDOW = parse_expression("abs(y) < 1", "test")


@pytest.mark.parametrize(("counts", "mean"), [(False, 2.0), (True, 1.0)])
def test_rows_outside_of_the_window_have_loss_zero_and_count_only_where_asked(counts, mean):
    regression = quantile_task("mae", "y", y=Target(window=WINDOW, outside_counts=counts))
    output = tensor([[2.0], [9.0], [5.0]], requires_grad=True)
    labels = {"y": tensor([0.0, 4.0, math.nan]), "y_valid": tensor([1.0, 0.0, 0.0])}
    scored = regression.score(output, batch(3, **labels))
    # a row of which the target is not known does not count in any case
    kept = scored.with_target()
    assert len(kept.output) == (2 if counts else 1)
    losses = regression.losses(kept)
    assert ((losses * kept.weight).sum() / kept.weight.sum()).item() == mean
    losses.sum().backward()
    assert output.grad.flatten().tolist() == [1.0, 0.0, 0.0]
    # metrics are those inside, and the file has the truth as it is
    _, meter = regression.meters()
    meter.update(kept.detach(), losses)
    assert meter.values(meter.totals())["mae"] == 2.0
    written = regression.columns(scored.detach())["y"]
    assert written[:2].tolist() == [0.0, 4.0]


def test_an_own_loss_is_not_given_rows_outside_of_the_window():
    regression = Regression(
        dataclasses.replace(
            task("y").config, targets={"y": Target(window=WINDOW, outside_counts=True)}
        ),
        loss=lambda output, target: (output - target).abs(),
    )
    labels = {"y": tensor([0.0, 4.0]), "y_valid": tensor([1.0, 0.0])}
    scored = regression.score(tensor([[2.0], [9.0]]), batch(2, **labels)).with_target()
    assert regression.losses(scored).tolist() == [2.0, 0.0]
    assert scored.weight.tolist() == [1.0, 1.0]


def test_an_own_loss_of_quantiles_gets_each_output_with_its_target():
    seen = []

    def loss(output, target):
        seen.append((output.tolist(), target.tolist()))
        return output.sum()

    regression = Regression(task("y").config, loss_function=PINBALL, loss=loss)
    regression.losses(regression.score(tensor([[0.0, 5.0, 0.0]]), batch(1, y=tensor([6.0]))))
    [(output, target)] = seen
    assert output[0] == pytest.approx([5 - math.log(2), 5, 5 + math.log(2)])
    assert target == [[6.0, 6.0, 6.0]]


def test_more_or_fewer_outputs_than_targets_and_quantiles_are_refused_by_name():
    regression = quantile_task(PINBALL, "y")
    with pytest.raises(ConfigError, match=r"expected \(2, 3\).*: y_q16, y_q50, y_q84"):
        regression.score(torch.zeros(2, 1), batch(2))


def test_an_output_must_not_have_the_name_of_a_label():
    with pytest.raises(ConfigError, match="'y_q16' is also the name of an output"):
        quantile_task(PINBALL, "y", "y_q16")


def test_coverage_of_quantiles_is_measured():
    regression = quantile_task(PINBALL, "y")
    scored = regression.score(tensor([[0.0, 5.0, 0.0]] * 2), batch(2, y=tensor([5.5, 4.0])))
    activated = dataclasses.replace(scored, output=regression.activate(scored.output))
    values = {}
    for meter in regression.meters():
        meter.update(activated, regression.losses(scored))
        values |= meter.values(meter.totals())
    # 5.5 lies below the 84 % quantile alone, 4 below all of them
    assert values["coverage@0.16"] == values["coverage@0.5"] == 0.5
    assert values["coverage@0.84"] == 1.0
    assert values["coverage@0.16-0.84"] == 0.5
    assert values["mae"] == 0.75
    regression.choose("coverage_error")
    regression.check_watch("--watch")


LOG = TargetTransform(kind="log")
SCALED = TargetTransform(kind="standardised", mean=1.0, deviation=2.0)
RATIO = TargetTransform(kind="ratio", column="pt")


def test_a_transform_is_learnt_and_undone():
    regression = quantile_task("mae", "m", m=Target(transform=(LOG, SCALED)))
    # log(m) is 5: two deviations above the mean
    scored = regression.score(tensor([[3.0]]), batch(1, m=tensor([math.exp(5.0)])))
    assert regression.losses(scored).item() == pytest.approx(1.0)
    activated = regression.activate(scored.output)
    assert activated.item() == pytest.approx(math.exp(7.0))
    values = {}
    for meter in regression.meters():
        meter.update(dataclasses.replace(scored, output=activated), regression.losses(scored))
        values |= meter.values(meter.totals())
    # a metric is in the units of the data
    assert values["mae"] == pytest.approx(math.exp(7) - math.exp(5), rel=1e-5)
    # what a network gives for one target may have one axis
    assert regression.activate(tensor([3.0])).shape == (1, 1)


def ratio_task(**options):
    config = task("m").config
    config = dataclasses.replace(
        config, targets={"m": Target(transform=(RATIO, LOG))}, transform_columns=("pt",)
    )
    return Regression(config, loss_function="mae", **options)


def test_a_ratio_takes_its_column_from_the_batch():
    regression = ratio_task()
    inputs = {"derived_inputs": tensor([[10.0], [20.0]])}
    rows = Batch(inputs, {}, {}, {"m": tensor([10.0, 20.0 * math.e])}, size=2)
    scored = regression.score(tensor([[1.0], [1.0]]), rows)
    assert regression.losses(scored).tolist() == pytest.approx([1.0, 0.0])
    expected = [10 * math.e, 20 * math.e]
    assert regression.activated_entries(scored)[:, 0].tolist() == pytest.approx(expected)
    # as ensembles and exported graphs do it
    columns = regression.raw_columns(inputs)
    values = regression.in_units(regression.activated_output(tensor([[1.0], [1.0]])), columns)
    assert values[:, 0].tolist() == pytest.approx(expected)


def test_an_own_loss_gets_what_is_learnt():
    seen = []
    regression = ratio_task(loss=lambda output, label: seen.append(label.tolist()) or output)
    rows = Batch(
        {"derived_inputs": tensor([[10.0]])}, {}, {}, {"m": tensor([10.0 * math.e])}, size=1
    )
    regression.losses(regression.score(tensor([[1.0]]), rows))
    assert seen == [[pytest.approx(1.0)]]


def test_truth_without_an_image_in_a_prediction_has_no_loss_and_keeps_its_metrics():
    regression = quantile_task("mae", "m", m=Target(transform=(LOG,)))
    scored = regression.score(tensor([[0.0], [0.0]]), batch(2, m=tensor([-1.0, math.e])))
    assert regression.losses(scored).tolist() == pytest.approx([0.0, 1.0])


def test_a_task_of_ones_own_has_the_losses_of_the_data_yaml():
    choice = TaskChoice(name="regression", options={"loss_function": "mse"})
    config = dataclasses.replace(task("y").config, task=choice)
    scored = Regression(config).score(tensor([[3.0]]), batch(1, y=tensor([0.0])))
    assert Regression(config).losses(scored).item() == 9.0
    assert Regression(config, loss_function="mae").losses(scored).item() == 3.0
    # what an option means to a task of another name, that task knows
    config = dataclasses.replace(config, task=dataclasses.replace(choice, name="mine"))
    assert Regression(config).losses(scored).item() == 2.5


def test_quantiles_stay_in_order_in_the_units_of_the_data():
    target = Target(transform=(LOG, SCALED))
    regression = quantile_task({"pinball": {"quantiles": [0.05, 0.3, 0.5, 0.9]}}, "m", m=target)
    raw = torch.randn(500, 4, generator=torch.Generator().manual_seed(1)) * 5
    assert (regression.activate(raw).diff(dim=1) >= 0).all()


def measured(regression, scored):
    """All metrics of entries with raw outputs."""
    activated = dataclasses.replace(scored, output=regression.activated_entries(scored))
    values = {}
    for meter in regression.meters():
        meter.update(activated, regression.losses(scored))
        values |= meter.values(meter.totals())
    return values


def raw_width(width):
    """The raw output whose width is ``width``."""
    return math.log(math.expm1(width - LEAST_WIDTH))


def test_a_gaussian_target_has_its_value_and_its_width():
    regression = quantile_task("gaussian", "y")
    assert regression.output_names == ["output_y", "output_y_sigma"]
    scored = regression.score(tensor([[5.0, raw_width(0.5)]]), batch(1, y=tensor([4.0])))
    assert regression.activate(scored.output)[0].tolist() == pytest.approx([5.0, 0.5])
    # a pull of 2
    assert regression.losses(scored).item() == pytest.approx(math.log(0.5) + 2)
    values = measured(regression, scored)
    assert values["pull_mean"] == pytest.approx(2.0)
    assert values["mae"] == pytest.approx(1.0)
    assert "coverage_error" not in values
    regression.choose("pull_mean")
    regression.check_watch("--watch")


def test_masked_gaussian_targets_give_neither_loss_nor_gradient():
    regression = quantile_task("gaussian", "x", "y", "y_mask")
    output = tensor([[0.0, 0.3, 1.0, 0.2]], requires_grad=True)
    rows = batch(1, x=tensor([1.0]), y=tensor([2.0]), y_mask=tensor([0.0]))
    losses = regression.losses(regression.score(output, rows))
    width = math.log1p(math.exp(0.3)) + LEAST_WIDTH
    assert losses.item() == pytest.approx(math.log(width) + 1 / width**2 / 2)
    losses.sum().backward()
    assert output.grad[0, 2:].tolist() == [0.0, 0.0]
    assert (output.grad[0, :2] != 0).all()


def test_the_loss_of_a_gaussian_is_smallest_at_the_mean_and_the_width_of_the_rows():
    regression = quantile_task("gaussian", "y")
    true = tensor([1.0, 2.0, 6.0])
    raw = tensor([3.0, raw_width(math.sqrt(14 / 3))], requires_grad=True)
    losses = regression.losses(regression.score(raw.expand(3, 2), batch(3, y=true)))
    losses.mean().backward()
    assert raw.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_quantiles_beside_a_gaussian_keep_their_places():
    regression = quantile_task(["gaussian", {"pinball": {"quantiles": [0.16, 0.84]}}], "y")
    assert regression.value_names == ["y", "y_sigma", "y_q16", "y_q84"]
    raw = tensor([[3.0, raw_width(2.0), 1.0, 0.0]])
    step = math.log(2)
    assert regression.activate(raw)[0].tolist() == pytest.approx([3, 2, 1, 1 + step])
    scored = regression.score(raw, batch(1, y=tensor([3.0])))
    # log(2) at the mean, and the pinball losses of quantiles that lie below the truth
    expected = math.log(2) + (0.16 * 2 + 0.84 * (2 - step)) / 2
    assert regression.losses(scored).item() == pytest.approx(expected)


def test_the_width_of_a_transformed_target_is_in_the_units_of_the_data():
    # learnt is (log(m / pt) - 1) / 2
    target = Target(transform=(RATIO, LOG, SCALED))
    config = dataclasses.replace(task("m").config, targets={"m": target}, transform_columns=("pt",))
    regression = Regression(config, loss_function="gaussian")
    rows = Batch({"derived_inputs": tensor([[10.0]])}, {}, {}, {"m": tensor([10.0])}, size=1)
    scored = regression.score(tensor([[0.5, raw_width(0.25)]]), rows)
    value, width = regression.activated_entries(scored)[0].tolist()
    # the logarithm is 2 +- 0.5, which is a relative width
    assert value == pytest.approx(10 * math.exp(2))
    assert width == pytest.approx(0.5 * value)
    # m / pt = 1 is learnt as -0.5: a pull of 4
    assert regression.losses(scored).item() == pytest.approx(math.log(0.25) + 8)
    assert measured(regression, scored)["pull_mean"] == pytest.approx(4.0, rel=1e-5)


def test_an_own_loss_of_a_gaussian_gets_the_target_beside_value_and_width():
    seen = []
    config = task("y").config
    config = dataclasses.replace(
        config, targets={"y": Target(losses=(TargetLoss(name="gaussian"),))}
    )
    regression = Regression(
        config, loss=lambda output, label: seen.append((output, label)) or output.sum(1)
    )
    regression.losses(regression.score(tensor([[5.0, 0.0]]), batch(1, y=tensor([4.0]))))
    [(output, label)] = seen
    assert output[0].tolist() == pytest.approx([5.0, math.log(2) + LEAST_WIDTH])
    assert label.tolist() == [[4.0, 4.0]]


def object_task(*names, losses="mae", length=3, **targets):
    """Regression of labels of jets, of which a row has up to ``length``."""
    value = {name: parse_expression(name, "test") for name in names}
    jets = InputGroup(name="jets", variables=(Variable(name="pt"),), length=length)
    config = DataConfig(
        source="c.yaml",
        text="",
        inputs={"jets": jets},
        labels=Labels(object_targets={"jets": value}),
        task=TaskChoice(name="regression", options={"loss_function": losses}),
        targets=targets,
    )
    return make_task(config)


def jets_of(mask, counts=None, weight=None, **labels):
    mask = tensor(mask)
    counts = mask.sum(1) if counts is None else tensor(counts)
    known = {name: tensor(values) for name, values in labels.items()}
    return Batch({}, {"jets": mask}, {"jets": counts}, known, weight=weight, size=len(mask))


ONE_AND_TWO = [[True, False, False], [True, True, False], [False, False, False]]


def test_each_real_object_is_an_entry_with_the_weight_of_its_row():
    regression = object_task("y")
    assert regression.output_names == ["output_y"]
    rows = jets_of(
        ONE_AND_TWO,
        weight=tensor([2.0, -1.0, 5.0]),
        y=[[1.0, 0.0, 0.0], [2.0, math.nan, 0.0], [0.0, 0.0, 0.0]],
    )
    output = tensor([[[1.5, 9.0, 9.0]], [[4.0, 7.0, 9.0]], [[9.0, 9.0, 9.0]]])
    scored = regression.score(output, rows)
    assert scored.output.tolist() == [[1.5], [4.0], [7.0]]
    # padding is nowhere, and what has no truth has no weight
    assert scored.weight.tolist() == [2.0, -1.0, 0.0]
    assert regression.losses(scored).tolist() == [0.5, 2.0, 0.0]
    columns = regression.columns(scored)
    assert columns["output_y"].to_list() == [[1.5], [4.0, 7.0], []]
    assert columns["y"].to_list()[:2] == [[1.0], [2.0, pytest.approx(math.nan, nan_ok=True)]]
    assert not columns["y"].to_list()[2]


def test_objects_beyond_the_length_of_the_input_have_no_value():
    regression = object_task("y", length=2)
    mask = [[True, True], [True, False]]
    scored = regression.score(tensor([[[1.0, 2.0]], [[3.0, 9.0]]]), jets_of(mask, counts=[3, 1]))
    found = regression.columns(scored)["output_y"].to_list()
    assert found == [[1.0, 2.0, pytest.approx(math.nan, nan_ok=True)], [3.0]]
    # of no row at all there are columns too
    assert list(regression.empty_columns()) == ["output_y"]


def test_masks_windows_transforms_and_widths_of_objects_are_those_of_rows():
    target = Target(
        window=parse_expression("y < 50", "test"),
        outside_counts=True,
        transform=(LOG,),
    )
    regression = object_task("y", "y_mask", losses="gaussian", y=target)
    assert regression.output_names == ["output_y", "output_y_sigma"]
    rows = jets_of(
        [[True] * 3],
        y=[[math.e, 99.0, 3.0]],
        y_mask=[[1.0, 1.0, 0.0]],
        y_valid=[[1.0, 0.0, 1.0]],
    )
    output = tensor([[[2.0, 0.0, 0.0], [raw_width(0.5)] * 3]])  # (1, 2, 3)
    scored = regression.score(output, rows)
    # a pull of 2; outside of the window; masked
    assert regression.losses(scored).tolist() == pytest.approx([math.log(0.5) + 2, 0.0, 0.0])
    assert scored.weight.tolist() == [1.0, 1.0, 0.0]
    value, width = math.exp(2), math.exp(2) / 2
    assert regression.activated_entries(scored)[0].tolist() == pytest.approx([value, width])
    # an exported graph and an ensemble activate before padding is dropped
    whole = regression.activated_output(output)  # (1, 2, 3)
    assert whole[0, :, 0].tolist() == pytest.approx([value, width])
    assert measured(regression, scored)["pull_mean"] == pytest.approx(2.0)


def test_an_output_that_is_not_one_for_each_object_is_refused():
    with pytest.raises(ConfigError, match=r"has shape \(3, 1\); expected \(3, 1, 3\)"):
        object_task("y").score(torch.zeros(3, 1), jets_of(ONE_AND_TWO))
