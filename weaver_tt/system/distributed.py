"""Ranks: which one this is, how many there are, and what they add up together.

On one process everything here does nothing.

Every rank takes every step, with a zero gradient once its own batches are used up, and N ranks take
the very steps that one process would take on the union of their batches
(:mod:`weaver_tt.system.gradients`). ``DistributedDataParallel`` inside ``Join`` does not: there, a
rank that runs out of batches stops stepping, so that the moments of its optimizer fall behind and
the weights of the ranks drift apart in the next epoch.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar
from weakref import WeakValueDictionary

import torch
import torch.distributed as torch_dist
from torch import Tensor, nn

from weaver_tt.errors import ConfigError, TrainingError, WeaverError
from weaver_tt.system.launchers import Place, find_place
from weaver_tt.system.signals import Interrupted, end_early, ending_with_parent, interruption
from weaver_tt.system.user_code import user_errors

T = TypeVar("T")

# how long a rank waits for the others: longer than any pass over data that one of them makes alone.
# A rank that has ended is noticed at once, by its connection
LONGEST_WAIT = timedelta(days=7)

# and how long for all of them to come: one that failed before has no connection to lose
JOINING_WAIT = timedelta(minutes=10)

# for threads of gloo, to be done with what they have exchanged
LAST_EXCHANGE_SECONDS = 0.1

MOST_CHARACTERS = 200  # of what torch says of a lost rank


class Progressing(Protocol):
    """A batch that knows which share of the epoch is done when it ends."""

    progress: float


B = TypeVar("B", bound=Progressing)


class Agreement(NamedTuple):
    """What the ranks agree on before a step: the same on all of them."""

    active: bool  # whether any of them has a batch
    progress: float  # of the epoch, the mean over ranks
    save: bool  # whether any of them asks that the step be saved
    stop: bool  # whether any of them asks that the step be saved, and the last one


# which of the ranks this process has joined as
_place: Place | None = None

# the connections that ranks agree on, and those that sums travel on meanwhile
_words: torch_dist.ProcessGroup | None = None
_sums: torch_dist.ProcessGroup | None = None

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
    return _place.local_rank if _place is not None else 0


def launched_rank() -> int:
    """The number that torchrun has given this process, also before and after it joins the ranks."""
    return int(os.environ.get("RANK", "0"))


def join_ranks(backend: str | None) -> None:
    """Join the ranks that torchrun, mpirun or srun started; do nothing without a backend.

    Raises:
        ConfigError: an unknown backend, one that this torch lacks, or no ranks to join.
    """
    global _place, _words, _sums
    if backend is None:
        return
    if backend not in ("gloo", "nccl", "mpi"):
        raise ConfigError(f"--backend {backend!r}: expected gloo, nccl or mpi")
    if backend == "mpi" and not torch_dist.is_mpi_available():
        raise ConfigError(
            "--backend mpi: this torch is built without MPI; gloo (CPUs) and nccl (GPUs) do "
            "the same, started with torchrun"
        )
    place = find_place(os.environ)
    if place is None and backend != "mpi":
        raise ConfigError(
            "--backend needs ranks: start the command with `torchrun --nproc-per-node N train.py "
            "...`, `srun -n N ...` or `mpirun -n N ...`"
        )
    _place = place
    if place is None or backend == "mpi":
        torch_dist.init_process_group("mpi", timeout=LONGEST_WAIT)
        _words = torch_dist.new_group()
        _sums = torch_dist.new_group()
        return
    # NCCL moves tensors between GPUs; what the ranks agree on in each step goes through gloo
    # beside it, so that no step waits for the device
    where = "cpu:gloo,cuda:nccl" if backend == "nccl" else "gloo"
    try:
        if "TORCHELASTIC_RUN_ID" in os.environ:
            # torchrun listens itself
            torch_dist.init_process_group(where, timeout=JOINING_WAIT)
        else:
            torch_dist.init_process_group(
                where,
                init_method=f"tcp://{place.address}:{place.port}",
                rank=place.rank,
                world_size=place.ranks,
                timeout=JOINING_WAIT,
            )
        _words = torch_dist.new_group(timeout=LONGEST_WAIT)
        _sums = torch_dist.new_group(timeout=LONGEST_WAIT)
    except RuntimeError as error:
        leave_ranks()
        raise ConfigError(
            f"--backend: the {place.ranks} ranks did not come together at "
            f"{place.address}:{place.port} within {JOINING_WAIT} "
            f"({str(error)[:MOST_CHARACTERS]})"
        ) from error


def leave_ranks() -> None:
    """Leave the ranks."""
    global _place, _words, _sums
    _place = None
    _words = None
    _sums = None
    if torch_dist.is_available() and torch_dist.is_initialized():
        if torch.__version__ < "2.8":
            # these hold the lock of the interpreter while they wait for threads of gloo, which may
            # want it to drop the tensors of the last exchange: they get it here
            time.sleep(LAST_EXCHANGE_SECONDS)
        torch_dist.destroy_process_group()


@contextmanager
def joined_ranks(backend: str | None) -> Iterator[None]:
    """Join the ranks, and leave them in the end; an error on one is raised on all of them.

    Raises:
        ConfigError: there are no ranks to join; see :func:`join_ranks`.
        WeaverError: another rank has failed, with its message, or has ended.
    """
    if backend is None:
        yield
        return
    join_ranks(backend)
    try:
        # an error in a user's code is explained by the rank that has it
        with ending_with_parent(), failing_together(), user_errors():
            yield
    finally:
        leave_ranks()


# --- errors: the same on all ranks


@contextmanager
def failing_together() -> Iterator[None]:
    """An error inside, on any rank, is raised on all of them, with one message.

    A rank that fails says so at the next exchange, where the others wait for it or will arrive.
    """
    try:
        yield
    except Exception as error:
        if is_running() and not getattr(error, _IS_SHARED, False):
            _meet(error=error)
        raise


# of an error that all ranks know of
_IS_SHARED = "is_shared_by_ranks"


def _meet(
    active: bool = False,
    progress: float = 0.0,
    save: bool = False,
    stop: bool = False,
    error: Exception | None = None,
    wanted: StepSum | None = None,
) -> Agreement:
    """Wait until every rank is here; what comes together. Every exchange begins with this.

    Ranks may be here because they want the sum ``wanted`` in the middle of a step. Those that are
    not give zeros to it, and wait again.

    Raises:
        WeaverError: a rank is here with an ``error``. All ranks raise that of the first such rank.
        TrainingError: ranks want different sums.
    """
    own = [float(error is not None), float(active), progress, float(save), float(stop)]
    own.append(float(wanted.number if wanted else 0))
    message = torch.tensor(own, dtype=torch.float64)
    known = torch.empty(world_size(), len(own), dtype=torch.float64)
    while True:
        with _noticing_lost_ranks():
            torch_dist.all_gather(list(known.unbind()), message, group=_words)
        failed, actives, progresses, saving, stopping, numbers = known.t().tolist()
        if any(failed):
            _raise_alike(error)
        if not any(numbers):
            return Agreement(any(actives), sum(progresses) / len(known), any(saving), any(stopping))
        common = _common_sum(numbers)
        if wanted is not None:
            return Agreement(True, progress, False, False)
        common.give_nothing()


def _common_sum(numbers: Sequence[float]) -> StepSum:
    """The one sum that ranks want, of the numbers of what they do; 0 is nothing."""
    wanting = {int(number): rank for rank, number in enumerate(numbers) if number}
    if len(wanting) > 1:
        places = [f"rank {rank} at {_step_sums[number].name}" for number, rank in wanting.items()]
        error = TrainingError(
            f"ranks do not add up the same: {', '.join(places)}. With --sync-batchnorm, a network "
            "has to call the same batch norms in the same order, whatever its batch is"
        )
        _mark_shared(error)
        raise error
    return _step_sums[next(iter(wanting))]


def _raise_alike(own: Exception | None) -> NoReturn:
    """Raise the error of the first rank that has one; ``own`` is that of this rank."""
    described = None
    if isinstance(own, WeaverError):
        described = type(own), str(own)
    elif own is not None:
        # that rank shows its traceback
        text = f"rank {rank()}: {type(own).__name__}: {own}"
        described = TrainingError, text
    known: list[Any] = [None] * world_size()
    with _noticing_lost_ranks():
        torch_dist.all_gather_object(known, described, group=_words)
    first = next(number for number, found in enumerate(known) if found is not None)
    if own is not None and (first == rank() or not isinstance(own, WeaverError)):
        error = own
    else:
        kind, text = known[first]
        error = kind(text)
    _mark_shared(error)
    raise error from own if error is not own else None


def _mark_shared(error: Exception) -> None:
    """All ranks raise this error, which rank 0 shows."""
    setattr(error, _IS_SHARED, True)
    if isinstance(error, WeaverError):
        error.is_reported = not is_main()


@contextmanager
def _noticing_lost_ranks() -> Iterator[None]:
    """Turn the error of a connection that is gone into one that says what has happened."""
    try:
        yield
    except RuntimeError as problem:
        error = TrainingError(
            "another rank has ended, which its own messages explain; without them, it was killed, "
            f"such as for lack of memory ({str(problem)[:MOST_CHARACTERS]})"
        )
        setattr(error, _IS_SHARED, True)
        raise error from problem


# --- what ranks say to each other


def barrier() -> None:
    """Wait until every rank is here, such as for a file that rank 0 writes."""
    if is_running():
        _meet()


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of the ``tensor`` of every rank, on the CPU, the same on all of them."""
    total = tensor.detach().cpu()
    if is_running():
        # the caller's tensor must not change
        total = total.clone()
        _meet()
        with _noticing_lost_ranks():
            torch_dist.all_reduce(total, group=_words)
    return total


def gather_from_ranks(value: T) -> list[T]:
    """The ``value`` of every rank in the order of the ranks, on all of them."""
    if not is_running():
        return [value]
    values: list[Any] = [None] * world_size()
    _meet()
    with _noticing_lost_ranks():
        torch_dist.all_gather_object(values, value, group=_words)
    return values


def gather_on_main(value: T) -> list[T]:
    """The ``value`` of every rank in the order of the ranks, on rank 0; nothing on the others."""
    if not is_running():
        return [value]
    values: list[Any] | None = [None] * world_size() if is_main() else None
    _meet()
    with _noticing_lost_ranks():
        torch_dist.gather_object(value, values, dst=0, group=_words)
    return values or []


def broadcast_from_main(value: T) -> T:
    """The ``value`` of rank 0, on all ranks."""
    if not is_running():
        return value
    values = [value]
    _meet()
    with _noticing_lost_ranks():
        torch_dist.broadcast_object_list(values, src=0, group=_words)
    return values[0]


def run_on_main(work: Callable[[], T]) -> T:
    """What ``work`` returns on rank 0, which exchanges nothing meanwhile; on all ranks.

    Its WeaverError is raised on all of them, and so is an interruption.
    """
    result: Any = None
    if is_main():
        try:
            with on_this_rank_alone():
                result = work()
        except (WeaverError, Interrupted) as error:
            result = error
    result = broadcast_from_main(result)
    if isinstance(result, WeaverError | Interrupted):
        raise result
    return result


def copy_weights_from_main(module: nn.Module) -> None:
    """Give every rank the parameters and buffers that rank 0 has."""
    copy_tensors_from_main(module.state_dict().values())


def copy_buffers_from_main(module: nn.Module) -> None:
    """Give every rank the buffers that rank 0 has, such as the running means of batch norm."""
    copy_tensors_from_main(saved_buffers(module).values())


def saved_buffers(module: nn.Module) -> dict[str, Tensor]:
    """What a module saves beside its parameters, by name."""
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    return {name: part for name, part in module.state_dict().items() if name not in parameters}


def copy_tensors_from_main(tensors: Iterable[Tensor]) -> None:
    """Give every rank the values that ``tensors`` have on rank 0."""
    if not is_running():
        return
    _meet()
    with _noticing_lost_ranks():
        for tensor in tensors:
            torch_dist.broadcast(tensor, src=0, group=_words)


# --- steps


def agree_on_step(progress: float, save: bool = False, stop: bool = False) -> Agreement:
    """Before the step of a rank that has a batch: what all of them agree on.

    ``progress``: share of the epoch that is done on this rank; ``save``: whether it asks that the
    step be saved; ``stop``: whether it asks that it be the last one, too.
    """
    if not is_running():
        return Agreement(True, progress, save, stop)
    return _meet(active=True, progress=progress, save=save, stop=stop)


def end_together_if_asked(kept: str) -> None:
    """End here on all ranks if one of them was asked to; ``kept`` says what of the work is.

    Raises:
        Interrupted: one was.
    """
    asked_by = interruption()
    if agree_on_step(0.0, stop=asked_by is not None).stop:
        end_early(f"{asked_by or 'another rank was'}: {kept}")


def agree_on_idle_step() -> Agreement:
    """As :func:`agree_on_step`, of a rank whose batches are used up."""
    return _meet(progress=1.0)


def step_together(batches: Iterable[B], idle: Callable[[Agreement], None]) -> Iterator[B]:
    """The batches of this rank, on each of which it calls :func:`agree_on_step`.

    After the last one, ``idle`` is called for each step that other ranks still take.
    """
    yield from batches
    while is_running():
        agreed = agree_on_idle_step()
        if not agreed.active:
            return
        idle(agreed)


def start_sum(tensor: Tensor) -> torch_dist.Work:
    """Begin to replace the ``tensor`` by its sum over ranks, on connections of its own.

    All ranks begin the same sums in the same order.
    """
    with _noticing_lost_ranks():
        work = torch_dist.all_reduce(tensor, group=_sums, async_op=True)
    assert work is not None
    return work


def wait_for_sum(work: torch_dist.Work | None) -> None:
    """Wait until a sum that has been begun has come; on a GPU, its next computations wait."""
    assert work is not None
    with _noticing_lost_ranks():
        work.wait()


# --- in the middle of a step

# by number; those that are not in use any more leave by themselves
_step_sums: WeakValueDictionary[int, StepSum] = WeakValueDictionary()
_numbers = itertools.count(1)


class StepSum:
    """A sum over ranks that those with a batch make in the middle of a step.

    The others give zeros from where they wait for the end of the step
    (:func:`step_together`, :func:`agree_on_step`): a rank need not know which sums will come. All
    ranks make the same ``StepSum`` objects in the same order.

    ``name``: where in the network, for messages; ``size`` numbers on ``device``. ``follow`` is
    called with each sum, on all ranks.
    """

    def __init__(
        self,
        name: str,
        size: int,
        device: torch.device,
        follow: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.name = name
        self.number = next(_numbers)
        self._size = size
        self._device = device
        self._follow = follow
        _step_sums[self.number] = self

    def __call__(self, values: Tensor) -> Tensor:
        """The sum of the ``values`` (size,) of all ranks, float64."""
        # the caller's tensor must not change
        total = values.detach().to(torch.float64, copy=True)
        _meet(wanted=self)
        return self._add(total)

    def give_nothing(self) -> None:
        """Take part in a sum of the others."""
        self._add(torch.zeros(self._size, dtype=torch.float64, device=self._device))

    def _add(self, total: Tensor) -> Tensor:
        with _noticing_lost_ranks():
            torch_dist.all_reduce(total, group=_words)
        if self._follow is not None:
            self._follow(total)
        return total
