"""What limits a pass over data, told by who waits for whom, and which flags help.

Threads or worker processes make batches while the loop computes on earlier ones. Where the loop
waits for them, making them is too slow: the busiest stage of the busiest thread limits the pass.
Where it does not, the loop's own largest part does.

A GPU computes while the loop goes on, and is not waited for here. A loop that is ahead of it is
held up where it copies the next batch: a copy that takes longer than its bytes need is waiting for
the network, and counts as that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch

from weaver_tt.log import log
from weaver_tt.options.train import TrainOptions
from weaver_tt.system import distributed
from weaver_tt.system.cores import available_cores, machine_load
from weaver_tt.system.stage_times import Stage, StageTimes
from weaver_tt.system.wording import counted

T = TypeVar("T")

SECONDS = 60.0  # of a pass, after which its limit is said
SKIPPED_BATCHES = 5  # the first ones fill the pool, allocate memory, compile
DATA_BOUND = 0.1  # share of the time spent waiting for data, from which on data are the limit
CROWDED = 1.5  # processes for each core of the machine, from which on they wait for each other
NEARLY = 0.75  # of the time of the slowest stage: another one that is as good as the slowest
COPY_SPEED = 3e9  # bytes a second that a copy to a GPU reaches at least
EXPRESSION_WIDTH = 60  # characters of an expression in the message

COMPUTE = "compute"

# what a thread that reads does, and what one that makes batches does
READ_STAGES = (Stage.READING, Stage.DECOMPRESSING, Stage.READING_AND_DECOMPRESSING)
MAKE_STAGES = (Stage.EXPRESSIONS, Stage.SCALING, Stage.BATCHING, Stage.HANDING_OVER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a pass runs on, and which of the flags that may help it has already."""

    workers: int = 0  # processes that read
    cores: int = 1  # of this rank
    load: float = 0.0  # processes that want a core of this machine, for each of its cores
    threads: int = 1  # of torch
    device: str = "cpu"  # its type
    gpus: int = 0  # on this machine
    ranks: int = 1
    trains: bool = True
    reads_copies: bool = False
    has_amp: bool = False
    is_compiled: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured in ``seconds`` of a pass, with so many ``batches``.

    Of the time spent waiting for data, ``first_waits`` were for the first batches of passes.
    """

    seconds: float
    batches: int
    times: StageTimes
    first_waits: float = 0.0

    def loop_shares(self) -> dict[str, float]:
        """Shares of the loop's time, which add up to 1: :data:`COMPUTE` is what is left."""
        taken = self.times.seconds
        transfer = taken.get(Stage.TRANSFER, 0.0)
        copying = min(transfer, self.times.bytes_moved / COPY_SPEED)
        seconds = {
            Stage.WAITING.value: taken.get(Stage.WAITING, 0.0),
            Stage.PADDING.value: taken.get(Stage.PADDING, 0.0),
            Stage.TRANSFER.value: copying,
            Stage.WRITING.value: taken.get(Stage.WRITING, 0.0),
            Stage.OTHER_RANKS.value: taken.get(Stage.OTHER_RANKS, 0.0),
        }
        seconds[COMPUTE] = max(0.0, self.seconds - sum(seconds.values()))
        total = sum(seconds.values()) or 1.0
        return {name: value / total for name, value in seconds.items()}

    def data_shares(self) -> dict[str, float]:
        """Shares of the time to make the data, of all threads or processes: they add up to 1."""
        seconds = self._seconds_of_data()
        total = sum(seconds.values()) or 1.0
        return {stage.value: value / total for stage, value in seconds.items()}

    def _seconds_of_data(self) -> dict[Stage, float]:
        taken = self.times.seconds
        return {stage: taken[stage] for stage in (*READ_STAGES, *MAKE_STAGES) if stage in taken}

    def busy_cores(self) -> float:
        """How many cores are at work to make the data, on average."""
        return sum(self._seconds_of_data().values()) / self.seconds

    def limiting_stages(self, workers: int) -> list[str]:
        """The stage that limits the pass, of making the data or of the loop.

        Others of the same thread that are nearly as slow follow.
        """
        shares = self.loop_shares()
        seconds = self._seconds_of_data()
        if shares[Stage.WAITING.value] < DATA_BOUND or not seconds:
            del shares[Stage.WAITING.value]
            return _largest(shares)
        if not workers:
            # a thread reads, another one does the rest: the busier one holds up the loop
            of_reading = {stage: seconds[stage] for stage in READ_STAGES if stage in seconds}
            of_making = {stage: seconds[stage] for stage in MAKE_STAGES if stage in seconds}
            seconds = max(of_reading, of_making, key=lambda part: sum(part.values()))
        return _largest({stage.value: taken for stage, taken in seconds.items()})


def _largest(taken: Mapping[str, float]) -> list[str]:
    """The stage that has taken longest, and those that have taken nearly as long after it."""
    slowest = max(taken.values())
    near = [name for name, value in taken.items() if value >= NEARLY * slowest]
    return sorted(near, key=lambda name: -taken[name])


class ReadingLoader(Protocol):
    """What is asked of a loader here."""

    times: StageTimes
    workers: int

    @property
    def reads_copies(self) -> bool:
        """Whether its files are temporary copies."""


def make_setup(device: torch.device, options: TrainOptions | None = None) -> Setup:
    """What a training with ``options`` runs on, or a prediction, without what its loader knows."""
    return Setup(
        cores=available_cores(),
        threads=torch.get_num_threads(),
        device=device.type,
        gpus=torch.cuda.device_count() if device.type == "cuda" else 0,
        ranks=distributed.world_size(),
        trains=options is not None,
        has_amp=options is not None and options.use_amp,
        is_compiled=options is not None and options.compile,
    )


class Doctor:
    """Says once, after the first minute of a pass, or of several together, what limits it."""

    def __init__(self, setup: Setup, seconds: float | None = None) -> None:
        """``seconds``: how long it measures, instead of ``SECONDS``."""
        self._setup = setup
        self._limit = SECONDS if seconds is None else seconds
        self._to_skip = SKIPPED_BATCHES
        self._seconds = 0.0
        self._batches = 0
        self._first_waits = 0.0
        self._times = StageTimes()
        self._is_done = False

    @property
    def measurement(self) -> Measurement:
        """What has been measured so far, of passes that have ended."""
        return Measurement(self._seconds, self._batches, self._times, self._first_waits)

    def watch(self, batches: Iterable[T], loader: ReadingLoader) -> Generator[T, None, None]:
        """The ``batches`` of a pass of ``loader``."""
        if self._is_done:
            yield from batches
            return
        before = loader.times.copy()
        start = time.perf_counter()
        number = 0
        for place, batch in enumerate(batches):
            if place == 0 and not self._to_skip:
                self._first_waits += time.perf_counter() - start
            yield batch
            # the step on it is done
            if self._is_done:
                continue
            if self._to_skip:
                self._to_skip -= 1
                before = loader.times.copy()
                start = time.perf_counter()
                continue
            number += 1
            if self._seconds + time.perf_counter() - start >= self._limit:
                self._add(time.perf_counter() - start, number, loader.times.since(before))
                self.say(loader)
        if not (self._is_done or self._to_skip):
            self._add(time.perf_counter() - start, number, loader.times.since(before))

    def watch_until_said(self, batches: Iterable[T], loader: ReadingLoader) -> Iterator[T]:
        """The first of the ``batches``, until it has been said what limits their pass."""
        with closing(self.watch(batches, loader)) as watched:
            for batch in watched:
                if self._is_done:
                    return
                yield batch
        self.say(loader)

    def _add(self, seconds: float, batches: int, times: StageTimes) -> None:
        self._seconds += seconds
        self._batches += batches
        self._times.add(times)

    def say(self, loader: ReadingLoader) -> None:
        """Log what limits the passes so far, and measure no more."""
        self._is_done = True
        if not self._batches:
            return
        setup = replace(
            self._setup,
            # by now it is that of the pass
            load=machine_load(),
            workers=loader.workers,
            reads_copies=loader.reads_copies,
        )
        log.info("%s", describe_limit(self.measurement, setup))


def time_shares(measurement: Measurement) -> dict[str, float]:
    """Shares of the time as metrics, ``time/compute`` and so on, those of making data as well.

    The latter are seconds of all threads or worker processes in a second of the loop.
    """
    values = dict(measurement.loop_shares())
    busy = measurement.busy_cores()
    values |= {name: busy * share for name, share in measurement.data_shares().items()}
    return {f"time/{name.replace(' ', '_')}": value for name, value in values.items()}


def describe_limit(measurement: Measurement, setup: Setup) -> str:
    """The message: what limits the pass, with which shares, and what helps."""
    limits = measurement.limiting_stages(setup.workers)
    name = "the training" if setup.trains else "the prediction"
    of_rank = f", rank 0 of {setup.ranks}" if setup.ranks > 1 else ""
    lines = [
        f"what limits {name}: {' and '.join(limits)} (measured in {measurement.seconds:.0f} s, "
        f"{counted(measurement.batches, 'batch', 'batches')}{of_rank})",
        f"the loop: {format_shares(measurement.loop_shares())}",
        f"making its data, {_makers(measurement, setup)}: "
        f"{format_shares(measurement.data_shares())}",
    ]
    waiting = measurement.loop_shares()[Stage.WAITING.value]
    if waiting >= DATA_BOUND:
        gain = "more than 10"
        if waiting < 0.9:
            gain = f"at most {1 / (1 - waiting):.1f}"
        lines.append(f"without waiting for data: {gain} times as fast")
    if setup.load > CROWDED:
        lines.append(
            f"beware: {setup.load:.1f} processes for each core of this machine; "
            "the times include waiting for cores"
        )
    # of what stages have in common, such as more workers, the first one counts
    advice: dict[str, str] = {}
    for limit in limits:
        for line in ADVICE[limit](measurement, setup):
            flags = [word for word in line.split() if word.startswith("--")]
            advice.setdefault(flags[0] if flags else line, line)
    lines += [f"what helps: {line}" for line in advice.values()]
    return "\n  ".join(lines)


def format_shares(shares: Mapping[str, float]) -> str:
    """``compute 71 %, padding 29 %``, the largest first; less than half a percent is left out."""
    named = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in named if share >= 0.005)


def _makers(measurement: Measurement, setup: Setup) -> str:
    makers = "in two threads"
    if setup.workers:
        makers = f"in {counted(setup.workers, 'worker process', 'worker processes')}"
    busy = measurement.busy_cores()
    return f"{makers} ({busy:.1f} of {counted(setup.cores, 'core', 'cores')} busy with it)"


# --- what helps


def _with_workers(measurement: Measurement, setup: Setup) -> list[str]:
    """Whether more worker processes help, and how many."""
    if not setup.trains:
        # validation and prediction read in the order of the input
        return []
    shares = measurement.loop_shares()
    advice = []
    if measurement.first_waits > 0.5 * measurement.times.seconds.get(Stage.WAITING, 0.0):
        advice.append("a smaller --pool-size: each epoch begins with waiting until it is full")
    # so many make data as fast as the loop would take them if it did not wait
    wanted = math.ceil(measurement.busy_cores() / max(0.05, 1 - shares[Stage.WAITING.value]) - 1e-6)
    # without workers, two threads make them: a single process is no help
    now = max(setup.workers, 1)
    # one core is the loop's
    number = min(max(wanted, now + 1), setup.cores - 1)
    if number > now:
        return [f"--num-workers {number} (now {setup.workers})", *advice]
    cores = counted(setup.cores, "core is", "cores are")
    return [f"more cores for --num-workers ({cores} there, now {setup.workers})", *advice]


def _help_reading(measurement: Measurement, setup: Setup) -> list[str]:
    advice = []
    if not setup.reads_copies:
        advice.append("--copy-inputs, where the files are not on a disk of this machine")
    if setup.trains:
        # they wait rather than work: as many as there are cores is not too many
        number = min(max(4, 2 * setup.workers), max(2, setup.cores))
        if number > setup.workers:
            advice.append(f"--num-workers {number} (now {setup.workers}): as many files at a time")
    advice.append("fewer and larger files: opening them is part of reading")
    return advice


def _help_decompressing(measurement: Measurement, setup: Setup) -> list[str]:
    return [
        *_with_workers(measurement, setup),
        "files written with LZ4 or Zstandard instead of zlib or LZMA "
        "(ROOT: hadd -f404 NEW.root OLD.root), and in clusters of some thousand rows",
    ]


def _help_reading_and_decompressing(measurement: Measurement, setup: Setup) -> list[str]:
    advice = _with_workers(measurement, setup)
    if not setup.reads_copies:
        advice.append("--copy-inputs, where the files are not on a disk of this machine")
    advice.append("files without gzip: LZ4 or Zstandard in parquet, LZF or nothing in HDF5")
    return advice


def _help_expressions(measurement: Measurement, setup: Setup) -> list[str]:
    advice = []
    taken = measurement.times.expressions
    if taken:
        source = max(taken, key=lambda name: taken[name])
        share = taken[source] / (measurement.times.seconds[Stage.EXPRESSIONS] or 1.0)
        shown = source if len(source) <= EXPRESSION_WIDTH else f"{source[:EXPRESSION_WIDTH]}…"
        advice.append(f"a column in the files instead of {shown!r} ({100 * share:.0f} % of them)")
    return [*_with_workers(measurement, setup), *advice]


def _help_making(measurement: Measurement, setup: Setup) -> list[str]:
    return [
        *_with_workers(measurement, setup),
        "fewer input variables, and lengths that few rows exceed",
    ]


def _help_handing_over(measurement: Measurement, setup: Setup) -> list[str]:
    return ["fewer input variables, and lengths that few rows exceed", "--num-workers 0"]


def _help_padding(measurement: Measurement, setup: Setup) -> list[str]:
    return ["lengths that few rows exceed, and bucketing (both in the data YAML)"]


def _help_transfer(measurement: Measurement, setup: Setup) -> list[str]:
    return ["fewer input variables, and lengths that few rows exceed"]


def _help_writing(measurement: Measurement, setup: Setup) -> list[str]:
    return ["fewer observers"]


def _help_other_ranks(measurement: Measurement, setup: Setup) -> list[str]:
    return [
        "another rank is slower than rank 0: machines and GPUs of one kind, and no other jobs there"
    ]


def _help_compute(measurement: Measurement, setup: Setup) -> list[str]:
    advice = []
    if setup.device == "cpu":
        if setup.threads < setup.cores and setup.load <= CROWDED:
            advice.append(f"--num-threads {setup.cores} (now {setup.threads})")
        if setup.workers and setup.workers + setup.threads > setup.cores:
            advice.append(
                f"fewer --num-workers (now {setup.workers}): they and "
                f"{counted(setup.threads, 'thread', 'threads')} of torch share "
                f"{counted(setup.cores, 'core', 'cores')}"
            )
    elif not setup.has_amp:
        advice.append("--use-amp")
    if setup.gpus > setup.ranks:
        indices = ",".join(map(str, range(setup.gpus)))
        advice.append(f"--gpus {indices} (now {counted(setup.ranks, 'of them', 'of them')})")
    if setup.trains:
        if not setup.is_compiled:
            advice.append("--compile")
        advice.append("a larger --batch-size")
    advice.append("a smaller network" if setup.device != "cpu" else "a GPU, or a smaller network")
    return advice


ADVICE: Mapping[str, Callable[[Measurement, Setup], Sequence[str]]] = {
    Stage.READING.value: _help_reading,
    Stage.DECOMPRESSING.value: _help_decompressing,
    Stage.READING_AND_DECOMPRESSING.value: _help_reading_and_decompressing,
    Stage.EXPRESSIONS.value: _help_expressions,
    Stage.SCALING.value: _help_making,
    Stage.BATCHING.value: _help_making,
    Stage.HANDING_OVER.value: _help_handing_over,
    Stage.PADDING.value: _help_padding,
    Stage.TRANSFER.value: _help_transfer,
    Stage.WRITING.value: _help_writing,
    Stage.OTHER_RANKS.value: _help_other_ranks,
    COMPUTE: _help_compute,
}
