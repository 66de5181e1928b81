"""Ranks: two processes with different numbers of batches train like one."""

import json
import socket
from datetime import timedelta

import pytest
import torch
from torch import nn
from torch.torch_version import TorchVersion

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.system import distributed

# What each rank runs: steps[epoch][rank] batches, GROUP of them to a step. A single process trains
# on the batches that both ranks have in a step together.
SCRIPT = """
import json, os, sys
import torch
from torch import nn
from weaver_tt.system import distributed, gradients
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.fit import fit
from weaver_tt.engine.joint_training import JointTraining
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.trackers.make import make_console
from weaver_tt.engine.training import Training
from weaver_tt.network.network import Network
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.stage_times import StageTimes
from weaver_tt.tasks.regression import Regression

gradients.BUCKET_BYTES = 40  # several buckets, of which the first is not full with every batch
STEPS = [[3, 5], [0, 2], [4, 1]]
GROUP = int(sys.argv[1])
UNION = os.environ["WORLD_SIZE"] == "1"

def rows(epoch, rank, index, steps):
    random = torch.Generator().manual_seed(1000 * epoch + 100 * rank + index)
    size = 4 + rank
    x = torch.randn(size, 2, generator=random)
    y = x[:, 0] - 2 * x[:, 1] + 1
    weight = torch.rand(size, generator=random) + 0.5
    if (epoch, rank, index) == (0, 1, 1):
        # rows that count for nothing, but in the statistics of batch norm
        weight = torch.zeros(size)
    return x, y, weight

def merge(parts):
    x, y, weight = (torch.cat([part[i] for part in parts]) for i in range(3))
    return Batch({"x": x}, {}, {}, {"y": y}, weight=weight, size=len(x))

class Rank:
    steps = None
    def __init__(self, ranks, together):
        self.ranks, self.together, self.accounting = ranks, together, Accounting()
        self.times, self.workers, self.reads_copies = StageTimes(), 0, False
    def check_rows(self, total):
        pass
    def epoch(self, number, skip=0):
        self.accounting = Accounting()
        steps = STEPS[number]
        for first in range(skip, max(steps[rank] for rank in self.ranks), self.together):
            parts, progress = [], []
            for rank in self.ranks:
                places = range(first, min(first + self.together, steps[rank]))
                parts += [rows(number, rank, index, steps[rank]) for index in places]
                progress.append(places.stop / steps[rank] if places else 1)
            batch = merge(parts)
            batch.progress = sum(progress) / len(progress)
            self.accounting.used["a"] += batch.size
            yield batch

class LearntScale(Regression):
    # a loss with a parameter; ranks begin with different ones
    def __init__(self, config, start):
        super().__init__(config)
        self.modules = nn.Linear(1, 1)
        nn.init.constant_(self.modules.bias, start)
    completes_networks = True
    def complete(self, module, measured, best):
        return best | {"measured": measured["mae"]}
    def losses(self, scored):
        log_scale = self.modules.bias
        return super().losses(scored) * torch.exp(-log_scale) + log_scale
    def batch_loss(self, scored, batch):
        # a weighted mean: over ranks it is that of all their batches together
        divisor = scored.weight.sum().clamp(min=1e-30)
        return {"size": (scored.weight * scored.output[:, 0].square()).sum() / divisor}

class Terms(NullTracker):
    values = []
    def epoch(self, values, number, figures=None):
        self.values.append(values["train/size"])

distributed.join_ranks(None if UNION else "gloo")
rank, world = distributed.rank(), distributed.world_size()
ranks = [0, 1] if world == 1 else [rank]
folder = f"rank{rank}of{world}"
os.makedirs(folder)
labels = Labels(targets={"y": parse_expression("y", "test")})
group = InputGroup(name="x", variables=(Variable(name="u"), Variable(name="v")))
config = DataConfig(source="c", text="", inputs={"x": group}, labels=labels)

def train(name, network, together, **more):
    # a batch of this process is that of `together` steps of its ranks
    Terms.values = []
    options = TrainOptions(num_epochs=3, optimizer="adam", start_lr=0.05, **more)
    options.lr_scheduler = "one-cycle"
    options.log_every = 2
    options.accumulate_batches = GROUP // together
    options.tensorboard = "off"
    options.progress = False
    task = LearntScale(config, float(rank))
    data = Rank(ranks, together)
    prefix = os.path.join(folder, name)
    training = Training(network, task, options, prefix, Terms(), 1)
    joint = JointTraining([training], options, RunFiles(prefix), make_console(options))
    [best] = fit(joint, data, data)
    module = network.unwrapped
    return {
        "best": best,
        "weights": torch.cat([p.detach().flatten() for p in module.parameters()]).tolist(),
        "buffers": [p.double().tolist() for p in module.buffers()],
        "terms": Terms.values,
        "task": task.modules.bias.item(),
    }

torch.manual_seed(rank)  # ranks begin with different weights: those of rank 0 count
layers = [nn.Linear(2, 8), nn.BatchNorm1d(8, momentum=0.0), nn.Tanh(), nn.Linear(8, 1)]
network = Network(nn.Sequential(*layers).eval(), ["x"])
# batch statistics would differ between a union and its parts
network.train = lambda mode=True: network
result = train("net", network, GROUP if UNION else 1)

# ... unless they are those of all ranks; a bias before batch norm would follow rounding errors
layers = [nn.Linear(2, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1, bias=False)]
layers += [ObjectNorm(1)]
network = Network(nn.Sequential(*layers), ["x"])
result["normed"] = train("normed", network, 1, sync_batchnorm=True)

result |= {
    "sum": distributed.sum_over_ranks(torch.tensor([1.0, rank])).tolist(),
    "gather": distributed.gather_from_ranks({"rank": rank}),
    "from_main": distributed.broadcast_from_main(f"rank {rank}"),
    "is_main": distributed.is_main(),
    "files": sorted(os.listdir(folder)),
}
distributed.barrier()
distributed.leave_ranks()
with open(f"result{rank}of{world}.json", "w") as file:
    json.dump(result, file)
"""


@pytest.fixture(scope="module", params=[1, 2])
def results(request, tmp_path_factory, run_on_ranks):
    """What rank 0, rank 1 and the single process on the union of batches say.

    The parameter is how many batches of a rank make a step.
    """
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "script.py").write_text(SCRIPT)
    command = ["script.py", str(request.param)]
    for ended in run_on_ranks(folder, (2, command), (1, command)):
        assert set(ended.codes) == {0}, ended.said
    return [
        json.loads((folder / f"result{name}.json").read_text()) for name in ("0of2", "1of2", "0of1")
    ]


def test_unequal_batch_counts_neither_hang_nor_drift_apart(results):
    first, second, _ = results
    assert first["weights"] == second["weights"]
    assert first["task"] == second["task"]
    assert first["terms"] == second["terms"]
    assert first["best"] == second["best"]


def test_two_ranks_train_like_one_process_on_both_their_batches(results):
    first, _, union = results
    assert first["weights"] == pytest.approx(union["weights"], abs=2e-5)
    assert first["task"] == pytest.approx(union["task"], abs=2e-5)
    assert abs(first["task"]) > 0.01
    assert first["terms"] == pytest.approx(union["terms"], rel=1e-4)
    assert len(first["terms"]) == 3
    assert first["best"] == pytest.approx(union["best"], rel=1e-3)


def test_with_batch_norm_over_ranks_they_train_like_one_process_too(results):
    first, second, union = (result["normed"] for result in results)
    assert first["weights"] == second["weights"]
    assert first["buffers"] == second["buffers"]
    assert first["weights"] == pytest.approx(union["weights"], abs=2e-6)
    for found, expected in zip(first["buffers"], union["buffers"], strict=True):
        assert found == pytest.approx(expected, abs=2e-6)
    assert first["terms"] == pytest.approx(union["terms"], rel=1e-6)
    assert first["best"] == pytest.approx(union["best"], rel=1e-5)


def test_the_best_network_is_measured_on_the_rows_of_all_ranks(results):
    rank_0, rank_1, together = results
    assert rank_0["best"]["measured"] == rank_1["best"]["measured"]
    assert rank_0["best"]["measured"] == pytest.approx(together["best"]["measured"], rel=1e-5)
    # the rows of its validation twice
    assert rank_0["best"]["measured"] == pytest.approx(rank_0["best"]["mae"], rel=1e-5)


def test_only_rank_0_writes(results):
    first, second, _ = results
    assert "net_resume.pt" in first["files"]
    assert second["files"] == []
    assert (first["is_main"], second["is_main"]) == (True, False)


def test_what_ranks_tell_each_other(results):
    for result in results[:2]:
        assert result["sum"] == [2.0, 1.0]
        assert result["gather"] == [{"rank": 0}, {"rank": 1}]
        assert result["from_main"] == "rank 0"


def test_one_process_is_left_alone():
    distributed.join_ranks(None)
    distributed.copy_weights_from_main(nn.Linear(1, 1))
    distributed.barrier()
    distributed.leave_ranks()
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
    assert distributed.gather_from_ranks(3) == [3]
    assert distributed.broadcast_from_main(3) == 3


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.7.1", ["waited", "left"]), ("2.8.0+cpu", ["left"]), ("2.13.0", ["left"])],
)
def test_ranks_of_an_older_torch_leave_once_the_threads_of_gloo_are_done(
    monkeypatch, version, expected
):
    # which would hang otherwise, one time in ten
    done = []
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: done.append("left"))
    monkeypatch.setattr(distributed.time, "sleep", lambda seconds: done.append("waited"))
    distributed.leave_ranks()
    assert done == expected


def test_a_backend_needs_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="torchrun"):
        distributed.join_ranks("gloo")
    with pytest.raises(ConfigError, match="expected gloo, nccl or mpi"):
        distributed.join_ranks("smoke signals")


@pytest.mark.skipif(torch.distributed.is_mpi_available(), reason="this torch has MPI")
def test_a_torch_without_mpi_says_what_does_the_same():
    with pytest.raises(ConfigError, match=r"built without MPI; gloo \(CPUs\) and nccl \(GPUs\)"):
        distributed.join_ranks("mpi")


def test_what_a_rank_does_alone_exchanges_nothing(monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError("the other ranks would wait for ever")

    monkeypatch.setattr(distributed.torch_dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.torch_dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed.torch_dist, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.torch_dist, "all_reduce", refuse)
    monkeypatch.setattr(distributed.torch_dist, "all_gather", refuse)
    with distributed.on_this_rank_alone():
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert distributed.sum_over_ranks(torch.ones(1)).tolist() == [1.0]
    assert (distributed.rank(), distributed.world_size()) == (1, 2)
    with pytest.raises(AssertionError, match="wait for ever"):
        distributed.sum_over_ranks(torch.ones(1))


def test_what_the_first_rank_finds_or_fails_at_is_told_to_all(monkeypatch):
    assert distributed.run_on_main(lambda: 3) == 3

    def fail():
        raise DataError("no such row")

    with pytest.raises(DataError, match="no such row"):
        distributed.run_on_main(fail)
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    monkeypatch.setattr(distributed, "broadcast_from_main", lambda _: 4)
    assert distributed.run_on_main(fail) == 4


def test_ranks_that_do_not_come_are_waited_for_some_minutes_alone(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(distributed, "JOINING_WAIT", timedelta(seconds=1))
    for name, value in (("RANK", 0), ("WORLD_SIZE", 2), ("MASTER_PORT", port)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(ConfigError, match="the 2 ranks did not come together at "):
        distributed.join_ranks("gloo")
    assert not distributed.is_running()
