"""Ranks: which one this is, how many there are, and what they add up together.

On one process everything here does nothing.

Gradients are averaged by hand and not by ``DistributedDataParallel`` inside ``Join``: under Join a
rank that runs out of batches stops stepping, so that the moments of its optimizer fall behind and
the weights of the ranks drift apart in the next epoch. Here every rank takes every step, with a
zero gradient once its own batches are used up, and N ranks take the very steps that one process
would take on the union of their batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as torch_dist
from torch import Tensor, nn

from weaver_tt.errors import ConfigError

T = TypeVar("T")


class Progressing(Protocol):
    """A batch that knows which share of the epoch is done when it ends."""

    progress: float


B = TypeVar("B", bound=Progressing)


# whether this process is to do something that the other ranks do not
_alone = False


@contextmanager
def on_this_rank_alone() -> Iterator[None]:
    """What is done inside exchanges nothing with other ranks, as if there were none."""
    global _alone
    before = _alone
    _alone = True
    try:
        yield
    finally:
        _alone = before


def is_running() -> bool:
    """Whether this process is one rank of several."""
    return (
        not _alone
        and torch_dist.is_available()
        and torch_dist.is_initialized()
        and torch_dist.get_world_size() > 1
    )


def rank() -> int:
    """The number of this process over all nodes, by which work is shared (never the local rank)."""
    return torch_dist.get_rank() if is_running() else 0


def is_main() -> bool:
    """Whether this is the rank that writes files and logs."""
    return rank() == 0


def world_size() -> int:
    """Number of ranks."""
    return torch_dist.get_world_size() if is_running() else 1


def local_rank() -> int:
    """The number of this process on its machine, which chooses the GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def launched_rank() -> int:
    """The number that torchrun has given this process, also before and after it joins the ranks."""
    return int(os.environ.get("RANK", "0"))


def join_ranks(backend: str | None) -> None:
    """Join the ranks that ``torchrun`` (``mpirun`` for mpi) started; do nothing without a backend.

    Raises:
        ConfigError: an unknown backend, one that this torch lacks, or no ranks to join.
    """
    if backend is None:
        return
    if backend not in ("gloo", "nccl", "mpi"):
        raise ConfigError(f"--backend {backend!r}: expected gloo, nccl or mpi")
    if backend == "mpi":
        if not torch_dist.is_mpi_available():
            raise ConfigError(
                "--backend mpi: this torch is built without MPI; gloo (CPUs) and nccl (GPUs) do "
                "the same, started with torchrun"
            )
        torch_dist.init_process_group("mpi")
        return
    if "RANK" not in os.environ:
        raise ConfigError(
            "--backend needs ranks: start the command with "
            "`torchrun --nproc-per-node N train.py ...`"
        )
    # NCCL moves tensors between GPUs; what the ranks agree on in each step goes through gloo
    # beside it, so that no step waits for the device
    torch_dist.init_process_group("cpu:gloo,cuda:nccl" if backend == "nccl" else "gloo")


def leave_ranks() -> None:
    """Leave the ranks."""
    if torch_dist.is_available() and torch_dist.is_initialized():
        torch_dist.destroy_process_group()


def barrier() -> None:
    """Wait until every rank is here, such as for a file that rank 0 writes."""
    if is_running():
        torch_dist.all_reduce(torch.zeros(1))


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of the ``tensor`` of every rank, on the CPU, the same on all of them."""
    total = tensor.detach().cpu()
    if is_running():
        # the caller's tensor must not change
        total = total.clone()
        torch_dist.all_reduce(total)
    return total


def gather_from_ranks(value: T) -> list[T]:
    """The ``value`` of every rank in the order of the ranks, on all of them."""
    if not is_running():
        return [value]
    values: list[Any] = [None] * world_size()
    torch_dist.all_gather_object(values, value)
    return values


def broadcast_from_main(value: T) -> T:
    """The ``value`` of rank 0, on all ranks."""
    if not is_running():
        return value
    values = [value]
    torch_dist.broadcast_object_list(values, src=0)
    return values[0]


def copy_weights_from_main(module: nn.Module) -> None:
    """Give every rank the parameters and buffers that rank 0 has."""
    if is_running():
        for tensor in module.state_dict().values():
            torch_dist.broadcast(tensor, src=0)


def step_together(batches: Iterable[B], idle: Callable[[float], None]) -> Iterator[B]:
    """The batches of this rank, with the progress of the epoch averaged over ranks.

    After the last one, ``idle(progress)`` is called for each step that other ranks still take.
    """
    if not is_running():
        yield from batches
        return
    for batch in batches:
        batch.progress = _average_over_ranks(1.0, batch.progress)[1]
        yield batch
    while True:
        active, progress = _average_over_ranks(0.0, 1.0)
        if not active:
            return
        idle(progress)


def _average_over_ranks(active: float, progress: float) -> tuple[float, float]:
    total = sum_over_ranks(torch.tensor([active, progress], dtype=torch.float64)) / world_size()
    return total[0].item(), total[1].item()


def average_gradients(parameters: Sequence[nn.Parameter], scale: Tensor) -> None:
    """Replace every gradient by ``sum_ranks(scale * gradient) / sum_ranks(scale)``.

    ``scale`` () is what the batch of this rank counts for: the sum of |weight| that its loss was
    divided by, 0 on a rank without a batch. A missing gradient counts as zero.
    """
    if not is_running():
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    # one message for all of them: latency, not volume, is what small networks pay for
    scaled = [gradient.flatten() * scale for gradient in gradients]
    message = torch.cat([scale.reshape(1).to(gradients[0]), *scaled])  # (1 + parameters,)
    torch_dist.all_reduce(message)
    smallest = torch.finfo(message.dtype).tiny
    mean = message[1:] / message[0].clamp(min=smallest)
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, part in zip(parameters, mean.split(sizes), strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype)
