"""The profile of a training step."""

import json

import pytest
import torch
from torch import nn

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.trials import profiler
from weaver_tt.engine.trials.profiler import (
    RECORDED_STEPS,
    SKIPPED_STEPS,
    WARMUP_STEPS,
    profile_steps,
)
from weaver_tt.errors import OutputError
from weaver_tt.network.network import Network
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.stage_times import StageTimes


class Rows:
    """Epochs of four batches; counts them."""

    steps = None
    accounting = Accounting()
    given = 0
    times = StageTimes()
    workers = 0
    reads_copies = False

    def epoch(self, number, skip=0):
        for index in range(4):
            self.given += 1
            x = torch.tensor([[index + 1.0], [-index - 1.0]])
            yield Batch(
                {"event": x}, {}, {}, {"y": x[:, 0].clone()}, progress=(index + 1) / 4, size=2
            )


@pytest.fixture(autouse=True)
def few_steps_all_rows(monkeypatch):
    """Without the profiler, as few steps; every operation has its row, however fast it was."""
    monkeypatch.setattr(profiler, "LIMIT_STEPS", 9)
    monkeypatch.setattr(profiler, "TABLE_ROWS", 1000)


def run(prefix, task, rows):
    network = Network(nn.Linear(1, 1), ["event"])
    return profile_steps(
        network,
        task,
        rows,
        TrainOptions(optimizer="sgd", start_lr=1e-3),
        str(prefix),
    )


def test_a_table_is_logged_and_a_trace_written(tmp_path, task, caplog):
    rows = Rows()
    with caplog.at_level("INFO", "weaver_tt"):
        path = run(tmp_path / "net", task, rows)
    assert rows.given == SKIPPED_STEPS + WARMUP_STEPS + RECORDED_STEPS + profiler.LIMIT_STEPS
    assert path == tmp_path / "net_profile" / "trace.json"
    names = {event.get("name") for event in json.loads(path.read_text())["traceEvents"]}
    assert "aten::linear" in names
    assert "aten::addmm" in caplog.text
    assert f"profile of {RECORDED_STEPS} training steps" in caplog.text
    assert "what limits the training: compute (measured in 0 s, 4 batches)" in caplog.text


def test_a_folder_that_cannot_be_made_is_told(tmp_path, task):
    (tmp_path / "net_profile").touch()
    with pytest.raises(OutputError, match="net_profile"):
        run(tmp_path / "net", task, Rows())
