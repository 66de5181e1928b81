"""Ways to do the same, timed in turns: whatever else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Action = Callable[[], Any]


def training_step(network: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor) -> Action:
    """A training step: forward, cross entropy, backward, Adam."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        functional.cross_entropy(network(*inputs), labels).backward()
        optimizer.step()

    return step


def inference(network: nn.Module, inputs: tuple[Tensor, ...]) -> Action:
    """A forward pass in evaluation, which returns the outputs."""

    def infer() -> Tensor:
        network.eval()
        with torch.no_grad():
            return network(*inputs)

    return infer


def take_turns(
    actions: Mapping[str, Action],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each action by ``clock``, taken in turns after one unmeasured turn."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 1):
        for name, action in actions.items():
            start = clock()
            action()
            # the first turn warms up
            if turn:
                times[name].append(clock() - start)
    return times


def rates(times: Mapping[str, list[float]], rows: int) -> dict[str, float]:
    """Rows a second of each action, from its median time."""
    return {name: rows / statistics.median(values) for name, values in times.items()}


def speedup(times: Mapping[str, list[float]], ours: str, theirs: str) -> float:
    """How many times faster ``ours`` is: the median over turns.

    Each turn compares actions that ran one after the other, so that both had the same machine.
    """
    turns = zip(times[theirs], times[ours], strict=True)
    return statistics.median(slower / faster for slower, faster in turns)
