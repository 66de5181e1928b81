"""Regression, by hand."""

import math

import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.outputs import Activated
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
    _, meter = regression.meters()
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
