"""A line that is fitted to four batches of two events."""

from collections import Counter

import torch
from torch import nn

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.training import Training
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.network import Network
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
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
