"""Time of a step on two ranks with and without ``--sync-batchnorm``: CPU, gloo, one thread each.

    python benchmarks/sync_batchnorm.py

Forward, backward and what the ranks exchange, on rows that are made up; both networks take turns in
the same processes, and ratios are those of the medians. The time of the processors leaves out the
waiting for the other rank, and does not depend on what else the machine does.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor, nn
from torch.multiprocessing import spawn

from weaver_tt.nn.layers.norm_over_ranks import synchronize_norms
from weaver_tt.nn.models.particle_net import ParticleNet
from weaver_tt.system import distributed
from weaver_tt.system.gradients import GradientExchange

STEPS = 23
OBJECTS = 40


def particle_net(batch: int) -> tuple[nn.Module, list[Tensor]]:
    """The network, whose norms are those of the fused edge MLP as a rule, and its inputs."""
    features = torch.randn(batch, 10, OBJECTS)
    number = torch.randint(10, OBJECTS + 1, (batch, 1, 1))
    mask = (torch.arange(OBJECTS) < number).float()
    return ParticleNet(10, 2), [features[:, :2] * mask, features * mask, mask]


def dense_network(batch: int) -> tuple[nn.Module, list[Tensor]]:
    """Batch norm of torch after each of three layers."""
    layers: list[nn.Module] = []
    for size in (20, 128, 128):
        layers += [nn.Linear(size, 128), nn.BatchNorm1d(128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 2)), [torch.randn(batch, 20)]


def convolutions(batch: int) -> tuple[nn.Module, list[Tensor]]:
    """The same with 1x1 convolutions over slots: (N, C, P)."""
    layers: list[nn.Module] = []
    for size in (20, 64, 64):
        layers += [nn.Conv1d(size, 64, 1), nn.BatchNorm1d(64), nn.ReLU()]
    pooled = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 2)]
    return nn.Sequential(*layers, *pooled), [torch.randn(batch, 20, OBJECTS)]


CASES: dict[str, tuple[Callable[[int], tuple[nn.Module, list[Tensor]]], int]] = {
    "ParticleNet, batch 64": (particle_net, 64),
    "ParticleNet, batch 256": (particle_net, 256),
    "dense 3 x 128, batch 1000": (dense_network, 1000),
    "1x1 convolutions 3 x 64 on 40 slots, batch 256": (convolutions, 256),
}


class Steps:
    """Takes steps of one network, and their times in seconds."""

    def __init__(self, network: nn.Module, inputs: list[Tensor], over_ranks: bool) -> None:
        self.network = network.train()
        self.inputs = inputs
        if over_ranks:
            synchronize_norms(network, torch.device("cpu"))
        self.exchange = GradientExchange(list(network.parameters()), over_ranks)
        self.times: list[float] = []
        self.cpu_times: list[float] = []

    def __call__(self) -> None:
        """One step."""
        distributed.barrier()
        start = time.perf_counter()
        cpu_start = time.process_time()
        self.network.zero_grad()
        loss = self.network(*self.inputs).square().mean()
        self.exchange.begin(torch.ones(()))
        loss.backward()
        distributed.agree_on_step(1.0)
        self.exchange.finish()
        self.times.append(time.perf_counter() - start)
        self.cpu_times.append(time.process_time() - cpu_start)


def be_rank(rank: int, port: int) -> None:
    """All cases on one of the two ranks."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()}, MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    with distributed.joined_ranks("gloo"):
        for name, (make, batch) in CASES.items():
            both = []
            for over_ranks in (False, True):
                torch.manual_seed(rank)
                both.append(Steps(*make(batch), over_ranks))
            for _ in range(STEPS):
                for steps in both:
                    steps()
            # the first steps allocate
            alone, joint = (1000 * median(steps.times[3:]) for steps in both)
            cpu_alone, cpu_joint = (1000 * median(steps.cpu_times[3:]) for steps in both)
            if distributed.is_main():
                wall = f"{alone:.1f} -> {joint:.1f} ms, {joint / alone:.2f}"
                cpu = f"{cpu_alone:.1f} -> {cpu_joint:.1f} ms, {cpu_joint / cpu_alone:.2f}"
                print(f"{name}: {wall} (processor: {cpu})", flush=True)


def main() -> None:
    """Start both ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    spawn(be_rank, (port,), nprocs=2)


if __name__ == "__main__":
    main()
