"""The learning-rate range test: the rate rises from step to step, and the loss suggests one.

Source: L. N. Smith, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186,
section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.device_settings import autocast_type, compile_network
from weaver_tt.engine.loop import run_epoch
from weaver_tt.engine.progress import BatchLoader, first_batches
from weaver_tt.engine.schedule import Schedule
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.engine.training_parts import Trainable
from weaver_tt.engine.update import make_update
from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.log import log
from weaver_tt.metrics.base import Meter, Scored, ratio
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import writing
from weaver_tt.system.json_files import write_json
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted
from weaver_tt.tasks.base import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# of the moving average of the loss: the weight of each step, relative to the one after it
SMOOTHING = 0.8

# steps before the average means something
SETTLING_STEPS = 5

# the test is over when the average is this many times its lowest value
DIVERGENCE_FACTOR = 4.0

# steps between checks of the loss, which wait for the device
CHECK_EVERY = 10

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rates from ``first`` to ``last``, by the same factor each of ``steps`` steps."""

    first: float
    last: float
    steps: int

    @classmethod
    def parse(cls, text: str) -> Sweep:
        """Read the value of ``--lr-finder "5e-6, 5, 200"``.

        Raises:
            ConfigError: it is not of this form, or the range is empty or the steps too few.
        """
        try:
            first, last, steps = text.split(",")
            sweep = cls(float(first), float(last), int(steps))
        except ValueError:
            raise ConfigError(
                f"--lr-finder {text!r}: expected lowest rate, highest rate, number of steps, "
                "such as 5e-6,5,200"
            ) from None
        is_range = 0 < sweep.first < sweep.last < math.inf
        if not is_range or sweep.steps <= 2 * SETTLING_STEPS:
            raise ConfigError(
                f"--lr-finder {text!r}: expected 0 < lowest rate < highest rate, "
                f"and more than {2 * SETTLING_STEPS} steps"
            )
        return sweep

    def rates(self) -> Array:
        """The rate of each step, (steps,)."""
        return np.geomspace(self.first, self.last, self.steps)


class BatchLosses(Meter):
    """The loss of each batch, kept on the device."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Keep the weighted mean of the batch; NaN where no entry has a weight."""
        if losses is None:
            return
        weight = scored.weight.double()  # (M,)
        total = (weight * losses.detach().double()).sum()
        # a tensor on the device: reading it would wait for every step
        self._losses.append(total / weight.abs().sum())

    def totals(self) -> Tensor:
        """(steps,) losses."""
        if not self._losses:
            return torch.zeros(0, dtype=torch.float64)
        return torch.stack(self._losses).cpu()

    def restore(self, totals: Tensor) -> None:
        """Continue from these."""
        self._losses = list(totals)

    def values(self, totals: Tensor) -> dict[str, float]:
        """``loss``: the mean over batches."""
        if not len(totals):
            return {}
        return {"loss": ratio(totals.sum(), torch.tensor(len(totals)))}


def find_rate(
    network: Trainable,
    task: Task,
    train: BatchLoader,
    options: TrainOptions,
    prefix: str,
    tracker: Tracker,
) -> float | None:
    """Train with a rising rate, and suggest the rate of the steepest descent of the loss.

    The suggestion is None where the loss never falls. Writes ``PREFIX_lr_finder.png`` and
    ``.json``, and reports to ``tracker``. The network is trained at all these rates, and of no
    further use afterwards.

    Raises:
        ConfigError: the range of ``--lr-finder`` cannot be used.
        TrainingError: the loss is finite for too few steps.
    """
    sweep = Sweep.parse(str(options.lr_finder))
    losses = BatchLosses()
    amp = autocast_type(options.use_amp, options.amp_dtype, network.device)
    # a step, and a rate, for each batch
    start = replace(
        options, start_lr=sweep.first, lr_scheduler="none", accumulate_batches=1, ema=None
    )
    update = make_update(network.unwrapped, task, start, amp)
    # the same factor from one step to the next
    update.schedule = Schedule(lambda done, _: (sweep.last / sweep.first) ** done, 1)
    compile_network(network, options)
    network.train()
    tracker.begin("learning-rate test", 0)
    run_epoch(
        network,
        task,
        sweep_batches(train, sweep, losses, tracker),
        update=update,
        meters=[losses],
        device=network.device,
        amp=amp,
    )
    tracker.end()
    found = losses.totals().numpy()
    if len(found) <= 2 * SETTLING_STEPS:
        raise TrainingError(
            f"--lr-finder: the loss was finite for {counted(len(found), 'step')} only; "
            "a lower first rate may help"
        )
    rates = sweep.rates()[: len(found)]
    smooth = smooth_losses(found)
    suggested = steepest_rate(rates, smooth)
    write_sweep(prefix, rates, found, smooth, suggested, tracker)
    return suggested


def sweep_batches(
    train: BatchLoader, sweep: Sweep, losses: BatchLosses, tracker: Tracker
) -> Iterator[Batch]:
    """The batches of the test, whose progress drives the rate; they end when the loss diverges."""
    for step, batch in enumerate(first_batches(train, sweep.steps)):
        # the schedule takes it for the next step's rate
        batch.progress = (step + 1) / (sweep.steps - 1)
        yield batch
        tracker.advance(min(batch.progress, 1.0), batch.size)
        if (step + 1) % CHECK_EVERY:
            continue
        if has_diverged(losses.totals().numpy()):
            log.info(
                "learning-rate test: the loss diverges after %d steps, at the rate %.3g",
                step + 1,
                sweep.rates()[step],
            )
            return


def has_diverged(losses: Array) -> bool:
    """Whether the loss is NaN or infinite, or its average far above its lowest value."""
    if not np.isfinite(losses).all():
        return True
    average = smooth_losses(losses)[SETTLING_STEPS:]
    if not len(average):
        return False
    # of a loss that may be negative, a multiple means nothing
    threshold = DIVERGENCE_FACTOR * average.min()
    return bool(average[-1] > threshold > 0)


def smooth_losses(losses: Array) -> Array:
    """The exponential moving average (steps,), without the usual bias of the first steps."""
    weights = SMOOTHING ** np.arange(len(losses))  # of this step, the one before, …
    sums = np.empty(len(losses))
    for step in range(len(losses)):
        backwards = losses[step::-1]  # (step + 1,)
        sums[step] = (backwards * weights[: step + 1]).sum()
    # divided by the weights that there are, not by those of endless steps
    return sums / np.cumsum(weights)


def steepest_rate(rates: Array, smooth: Array) -> float | None:
    """The rate at which the loss falls most steeply over log(rate); None where it never falls."""
    known = np.isfinite(smooth)
    smooth = smooth[known]
    rates = rates[known]
    # up to the lowest point: what comes after it may fall steeply too, from a higher level
    lowest = SETTLING_STEPS + int(np.argmin(smooth[SETTLING_STEPS:]))
    slopes = np.gradient(smooth, np.log(rates))[SETTLING_STEPS : lowest + 1]
    steepest = int(np.argmin(slopes))
    if slopes[steepest] < 0:
        return float(rates[SETTLING_STEPS + steepest])
    return None


def write_sweep(
    prefix: str,
    rates: Array,
    losses: Array,
    smooth: Array,
    suggested: float | None,
    tracker: Tracker,
) -> None:
    """Write the figure and the numbers, log the result and report it to ``tracker``."""
    # takes a second to import: only where something is drawn
    from weaver_tt.figures.base import DOTS_PER_INCH, style
    from weaver_tt.figures.label import add_label
    from weaver_tt.figures.learning_rates import sweep_figure

    files = RunFiles(prefix)
    numbers = {"suggested": suggested, "rate": rates, "loss": losses}
    write_json(files.lr_finder_numbers, numbers)

    def draw() -> Figure:
        return sweep_figure(rates, losses, smooth[SETTLING_STEPS:], suggested)

    with writing(files.lr_finder_figure) as file, style():
        figure = draw()
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches=add_label(figure))
    if suggested is None:
        result = "the loss never falls: try other rates"
        metrics = {}
    else:
        result = f"suggested --start-lr {suggested:.2g} (steepest descent)"
        metrics = {"lr_finder/suggested": suggested}
    results = [("learning-rate test", result)]
    results.append(("figure", str(files.lr_finder_figure)))
    results.append(("numbers", str(files.lr_finder_numbers)))
    report_results("learning-rate test", results)
    for step, (rate, loss) in enumerate(zip(rates.tolist(), losses.tolist(), strict=True)):
        tracker.interval({"lr_finder/loss": loss, "lr_finder/learning_rate": rate}, step)
    tracker.epoch(metrics, 0, lambda: {"lr_finder": draw()})
