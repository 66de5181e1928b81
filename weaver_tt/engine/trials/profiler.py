"""Where the time of a training step goes: torch's profiler over some steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.device_settings import autocast_type, compile_network
from weaver_tt.engine.loop import TimedBatches, run_epoch
from weaver_tt.engine.progress import BatchLoader, first_batches
from weaver_tt.engine.throughput import Doctor, make_setup
from weaver_tt.engine.training_parts import Trainable
from weaver_tt.engine.update import make_update
from weaver_tt.errors import OutputError
from weaver_tt.log import log
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.tasks.base import Task

# the first steps allocate memory, and the profiler's own first ones cost extra
SKIPPED_STEPS = 5
WARMUP_STEPS = 2
RECORDED_STEPS = 10

# operations in the log
TABLE_ROWS = 25

# training without the profiler, to see what limits it: as long, and at most as many steps
LIMIT_SECONDS = 20.0
LIMIT_STEPS = 500


def profile_steps(
    network: Trainable, task: Task, train: BatchLoader, options: TrainOptions, prefix: str
) -> Path:
    """Train for some steps, log the operations that took longest, and write a trace.

    Then train for some seconds more, without the profiler, and log what limits the training.

    Returns the trace's path, ``PREFIX_profile/trace.json``, for chrome://tracing or
    ui.perfetto.dev.

    Raises:
        OutputError: the trace cannot be written.
    """
    amp = autocast_type(options.use_amp, options.amp_dtype, network.device)
    update = make_update(network.unwrapped, task, options, amp, train.steps)
    activities = [ProfilerActivity.CPU]
    sort_by = "self_cpu_time_total"
    if network.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
        sort_by = "self_cuda_time_total"
    steps = SKIPPED_STEPS + WARMUP_STEPS + RECORDED_STEPS
    batches = TimedBatches(first_batches(train, steps))
    plan = torch.profiler.schedule(wait=SKIPPED_STEPS, warmup=WARMUP_STEPS, active=RECORDED_STEPS)
    compile_network(network, options)
    network.train()
    # without acc_events, the events of the recorded steps would be gone when the table is made
    with torch.profiler.profile(activities=activities, schedule=plan, acc_events=True) as profiler:
        run_epoch(
            network,
            task,
            _mark_steps(batches, profiler),
            update=update,
            device=network.device,
            amp=amp,
        )
    table = profiler.key_averages().table(
        sort_by=sort_by, row_limit=TABLE_ROWS, max_name_column_width=60
    )
    log.info(
        "profile of %d training steps; %.3f s were spent waiting for data in all\n%s",
        RECORDED_STEPS,
        batches.waited,
        table,
    )
    path = RunFiles(prefix).trace
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(path))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    log.info("trace for chrome://tracing or ui.perfetto.dev: %s", path)
    doctor = Doctor(make_setup(network.device, options), LIMIT_SECONDS)
    update.times = train.times
    run_epoch(
        network,
        task,
        doctor.watch_until_said(first_batches(train, LIMIT_STEPS), train),
        update=update,
        device=network.device,
        amp=amp,
    )
    return path


def _mark_steps(batches: TimedBatches[Batch], profiler: torch.profiler.profile) -> Iterator[Batch]:
    """The batches; the profiler counts a step after each."""
    for batch in batches:
        yield batch
        profiler.step()
