"""What the trials of a training have in common: one number to be learnt from another."""

import pytest

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.tasks.regression import Regression


@pytest.fixture
def task():
    """The regression of y from x."""
    group = InputGroup(name="event", variables=(Variable(name="x"),))
    labels = Labels(targets={"y": parse_expression("x", "test")})
    config = DataConfig(source="c.yaml", text="", inputs={"event": group}, labels=labels)
    return Regression(config, loss_function="mse")
