"""Regression, by hand."""

import math

import pytest
import torch
from torch import tensor

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
