"""Weaver's loops as names."""

import pytest
import torch
from torch import nn

from weaver_tt.errors import ConfigError
from weaver_tt.weaver_compat import loops


@pytest.mark.parametrize(
    "name",
    ["train_classification", "evaluate_classification", "train_regression", "evaluate_regression"],
)
def test_a_loop_is_never_called(name):
    with pytest.raises(ConfigError, match=rf"{name} cannot be called here.*write get_task"):
        getattr(loops, name)(1, 2, loss_func=None)


def test_wrappers_come_off():
    inner = nn.Linear(1, 1)
    assert loops.unwrap_model(torch.compile(nn.DataParallel(inner), backend="eager")) is inner
