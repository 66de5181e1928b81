"""Batch norm over ranks: what one process computes on the union of their rows."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.layers.norm_over_ranks import check_norms, synchronize_norms

# Each rank gives every network of NETWORKS the rows of ROWS[step][rank], None where it has no
# batch, and adds up gradients; one process gives it all rows of a step. In double precision.
SCRIPT = """
import os, sys
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.layers.norm_over_ranks import synchronize_norms
from weaver_tt.nn.models.p_cnn import ParticleCNN
from weaver_tt.nn.models.particle_net import ParticleNet
from weaver_tt.system import distributed

P = 6
ROWS = {"whole": [(3, 2, 4), (2, None, 1), (None, 3, None)], "few": [(1, 0, 2), (1, None, 0)]}

def rows(step, rank, size):
    random = torch.Generator().manual_seed(10 * step + rank)
    features = torch.randn(size, 3, P, generator=random, dtype=torch.float64) * 2 + 5 * rank
    # from none to all of the slots are real
    number = torch.randint(0, P + 1, (size, 1, 1), generator=random)
    return features, (torch.arange(P) < number).double()

class OfTorch(nn.Module):
    def __init__(self):
        super().__init__()
        self.of_slots = nn.BatchNorm1d(3, momentum=0.25)
        self.of_rows = nn.BatchNorm1d(3 * P, momentum=None)
        self.of_images = nn.BatchNorm2d(3, affine=False)
        self.of_gpus = nn.SyncBatchNorm(3)
        self.of_batch = nn.BatchNorm1d(3, track_running_stats=False)
        self.frozen = nn.BatchNorm1d(3).eval()
    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()
        return self
    def forward(self, features, real):
        # in place, as many networks have it
        values = nn.functional.leaky_relu(self.of_slots(features), 0.2, inplace=True).tanh()
        values = self.of_rows(values.flatten(1)).view_as(features).tanh()
        # once more in the backward pass
        values = checkpoint(self.of_images, values.unsqueeze(3), use_reentrant=False).squeeze(3)
        return self.frozen(self.of_batch(self.of_gpus(values).sin()))

class OfObjects(nn.Module):
    def __init__(self):
        super().__init__()
        self.padded = ObjectNorm(3, momentum=0.25)
        self.listed = ObjectNorm(3, affine=False)
    def forward(self, features, real):
        real = real.transpose(1, 2)
        values = self.padded(features.transpose(1, 2), real).tanh() * real
        objects = values[real[..., 0] > 0]
        return nn.functional.leaky_relu(self.listed(objects), 0.2, inplace=True)

class Edges(ParticleNet):
    def __init__(self):
        super().__init__(3, 2, [(2, (4, 4)), (2, (4, 6))], [(4, 0.0)])
    def forward(self, features, real):
        return super().forward(features[:, :2], features, real)

class Slots(ParticleCNN):
    def __init__(self):
        super().__init__(3, 2, [(4,), (4, 4), (6,)], [(4, 0.0)])
    def forward(self, features, real):
        return super().forward(features, real)

# network -> which rows it takes
NETWORKS = {OfTorch: "whole", OfObjects: "few", Edges: "few", Slots: "whole"}

def batches(steps, ranks):
    for step, sizes in enumerate(steps):
        parts = [rows(step, rank, sizes[rank]) for rank in ranks if sizes[rank] is not None]
        if parts:
            yield [torch.cat(tensors) for tensors in zip(*parts)]

def run(kind, steps, ranks):
    torch.manual_seed(0)
    network = kind().double().train()
    names = [*network.state_dict()]
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    if distributed.is_running():
        synchronize_norms(network, torch.device("cpu"))
    assert [*network.state_dict()] == names
    for own in split_by_step(steps, ranks):
        for batch in distributed.step_together(own, lambda agreed: None):
            output = network(*batch)
            # another gradient for each value of a row
            factors = torch.linspace(1, 2, output.shape[1:].numel()).view(output.shape[1:])
            (output * factors).square().sum().backward()
            distributed.agree_on_step(1.0)
    gradients = {}
    for name, parameter in network.named_parameters():
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        gradients[name] = distributed.sum_over_ranks(own)
    return {"gradients": gradients, "buffers": dict(network.named_buffers())}

def split_by_step(steps, ranks):
    for step in range(len(steps)):
        nobody = [(None,) * 3] * len(steps)
        nobody[step] = steps[step]
        yield batches(nobody, ranks)

ranks_are_running = "RANK" in os.environ and os.environ["WORLD_SIZE"] != "1"
with distributed.joined_ranks("gloo" if ranks_are_running else None):
    ranks = [distributed.rank()] if ranks_are_running else [0, 1, 2]
    found = {kind.__name__: run(kind, ROWS[which], ranks) for kind, which in NETWORKS.items()}
    torch.save(found, f"found{distributed.rank()}of{distributed.world_size()}.pt")
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory, run_on_ranks):
    """What each of three ranks finds, and one process on the union of their rows, by network."""
    folder = tmp_path_factory.mktemp("norms")
    (folder / "script.py").write_text(SCRIPT)
    for ended in run_on_ranks(folder, (3, ["script.py"]), (1, ["script.py"])):
        assert set(ended.codes) == {0}, ended.said
    names = ("0of3", "1of3", "2of3", "0of1")
    *ranks, union = (torch.load(folder / f"found{name}.pt", weights_only=True) for name in names)
    return ranks, union


@pytest.mark.parametrize("network", ["OfTorch", "OfObjects", "Edges", "Slots"])
def test_gradients_over_ranks_are_those_of_the_union_of_their_rows(results, network):
    ranks, union = results
    expected = union[network]["gradients"]
    largest = max(gradient.abs().max() for gradient in expected.values())
    assert largest > 1e-3
    for found in ranks:
        for name, gradient in found[network]["gradients"].items():
            torch.testing.assert_close(
                gradient, expected[name], rtol=1e-11, atol=1e-12 * float(largest)
            )


@pytest.mark.parametrize("network", ["OfTorch", "OfObjects", "Edges", "Slots"])
def test_running_statistics_are_the_same_on_all_ranks(results, network):
    ranks, union = results
    for name, expected in union[network]["buffers"].items():
        first = ranks[0][network]["buffers"][name]
        torch.testing.assert_close(first, expected, rtol=1e-12, atol=1e-12)
        for other in ranks[1:]:
            # a rank without a batch follows, to the last bit
            assert torch.equal(other[network]["buffers"][name], first), name


def test_without_other_ranks_a_synchronized_norm_is_what_it_was():
    plain = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3, momentum=None), ObjectNorm(3))
    ours = copy.deepcopy(plain)
    synchronize_norms(ours, torch.device("cpu"))
    # such as the weights that are averaged in the course of a training
    ours = copy.deepcopy(ours)
    values = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for training in (True, False):
        assert torch.equal(ours.train(training)(values), plain.train(training)(values))
    assert all(isinstance(norm, nn.BatchNorm1d) for norm in ours)
    assert repr(ours) == repr(plain)
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_a_batch_norm_of_an_unknown_kind_is_named():
    class Robust(nn.BatchNorm1d):
        def forward(self, values):
            return super().forward(values.clamp(-5, 5))

    network = nn.ModuleDict({"first": nn.BatchNorm2d(3), "second": Robust(3)})
    with pytest.raises(ConfigError, match="--sync-batchnorm: second is a Robust"):
        check_norms(network)


# the second rank leaves the first batch norm out
OTHER_NORMS = """
import torch
from torch import nn
from weaver_tt.nn.layers.norm_over_ranks import synchronize_norms
from weaver_tt.system import distributed

network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
with distributed.joined_ranks("gloo"):
    synchronize_norms(network, torch.device("cpu"))
    network[distributed.rank():](torch.ones(3, 2))
"""


def test_ranks_that_call_other_norms_are_told_so(tmp_path, run_on_ranks):
    (tmp_path / "script.py").write_text(OTHER_NORMS)
    [ended] = run_on_ranks(tmp_path, (2, ["script.py"]))
    assert ended.codes == [99, 99]
    for text in ended.texts:
        assert "TrainingError: ranks do not add up the same: rank 0 at batch norm '0', " in text


# the second rank fails between the gradients of the two batch norms
FAILS_BACKWARD = """
import torch
from torch import nn
from weaver_tt.nn.layers.norm_over_ranks import synchronize_norms
from weaver_tt.system import distributed

def fail(grad):
    raise RuntimeError("the magnet is off")

first, second = network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
with distributed.joined_ranks("gloo"):
    synchronize_norms(network, torch.device("cpu"))
    between = first(torch.randn(3, 2))
    if distributed.rank() == 1:
        between.register_hook(fail)
    second(between).sum().backward()
"""


def test_an_error_in_the_backward_pass_of_one_rank_ends_the_others(tmp_path, run_on_ranks):
    (tmp_path / "script.py").write_text(FAILS_BACKWARD)
    [ended] = run_on_ranks(tmp_path, (3, ["script.py"]))
    assert ended.codes == [99, 99, 99]
    for text in ended.texts:
        assert "the magnet is off" in text
