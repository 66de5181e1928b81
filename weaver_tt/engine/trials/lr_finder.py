"""A learning-rate range test: the rate rises from step to step, and the loss tells where a training should begin (Smith, arXiv:1506.01186)."""

from __future__ import annotations

import json
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
from weaver_tt.engine.training import Trainable
from weaver_tt.engine.update import make_update
from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.log import log
from weaver_tt.metrics.base import Meter, Scored, ratio
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import write_text, writing
from weaver_tt.tasks.base import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTHING = 0.8  # of the moving average of the loss
SETTLING_STEPS = 5  # steps before which the average says nothing yet
DIVERGENCE_FACTOR = 4.0  # times the lowest loss: the test is over
CHECK_EVERY = 10  # steps between looks at the losses, which wait for the device

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rates from ``first`` to ``last``, by the same factor each of ``steps`` steps."""

    first: float
    last: float
    steps: int

    @classmethod
    def parse(cls, text: str) -> Sweep:
        """``--lr-finder "5e-6, 5, 200"``; ConfigError where it is not such."""
        try:
            first, last, steps = text.split(",")
            sweep = cls(float(first), float(last), int(steps))
        except ValueError:
            raise ConfigError(
                f"--lr-finder {text!r}: expected lowest rate, highest rate, number of steps, such as 5e-6,5,200"
            ) from None
        if not (0 < sweep.first < sweep.last < math.inf and sweep.steps > 2 * SETTLING_STEPS):
            raise ConfigError(
                f"--lr-finder {text!r}: expected 0 < lowest rate < highest rate, and more than {2 * SETTLING_STEPS} steps"
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
        """Keep the batch's mean; NaN where nothing counts in it."""
        if losses is not None:
            weight = scored.weight.double()
            self._losses.append((weight * losses.detach().double()).sum() / weight.abs().sum())

    def totals(self) -> Tensor:
        """(steps,) losses."""
        return (
            torch.stack(self._losses).cpu() if self._losses else torch.zeros(0, dtype=torch.float64)
        )

    def restore(self, totals: Tensor) -> None:
        """Continue from these."""
        self._losses = list(totals)

    def values(self, totals: Tensor) -> dict[str, float]:
        """``loss``: the mean over batches."""
        return {"loss": ratio(totals.sum(), torch.tensor(len(totals)))} if len(totals) else {}


def find_rate(
    network: Trainable,
    task: Task,
    train: BatchLoader,
    options: TrainOptions,
    prefix: str,
    tracker: Tracker,
) -> float | None:
    """Train with a rising rate and suggest that of the steepest descent; None where the loss never falls.

    Writes ``PREFIX_lr_finder.png`` and ``.json`` and tells ``tracker``. The network has been trained on, at all those rates: it is of no further use.
    Raises ConfigError for a range that is none, TrainingError when the data gives too few batches.
    """
    sweep, losses = Sweep.parse(str(options.lr_finder)), BatchLosses()
    amp = autocast_type(options.use_amp, options.amp_dtype, network.device)
    start = replace(options, start_lr=sweep.first, lr_scheduler="none")
    update = make_update(network.unwrapped, task, start, amp)
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
            f"--lr-finder: the loss was finite for {len(found)} steps only; a lower first rate may help"
        )
    rates, smooth = sweep.rates()[: len(found)], smooth_losses(found)
    suggested = steepest_rate(rates, smooth)
    write_sweep(prefix, rates, found, smooth, suggested, tracker)
    return suggested


def sweep_batches(
    train: BatchLoader, sweep: Sweep, losses: BatchLosses, tracker: Tracker
) -> Iterator[Batch]:
    """The batches of the test, whose progress drives the rate; they end early when the loss has left the ground."""
    for step, batch in enumerate(first_batches(train, sweep.steps)):
        batch.progress = (step + 1) / (sweep.steps - 1)  # the next step's rate
        yield batch
        tracker.advance(min(batch.progress, 1.0), batch.size)
        if step % CHECK_EVERY == CHECK_EVERY - 1 and has_diverged(losses.totals().numpy()):
            log.info(
                "learning-rate test: the loss diverges after %d steps, at the rate %.3g",
                step + 1,
                sweep.rates()[step],
            )
            return


def has_diverged(losses: Array) -> bool:
    """Whether the loss is no number any more, or its average has risen far above its lowest."""
    average = smooth_losses(losses)[SETTLING_STEPS:]
    return not np.isfinite(losses).all() or bool(
        len(average) and average[-1] > DIVERGENCE_FACTOR * average.min() > 0
    )


def smooth_losses(losses: Array) -> Array:
    """The exponential moving average, as if the losses before the first were not there, (steps,)."""
    weights = SMOOTHING ** np.arange(len(losses))
    sums = np.array([(losses[step::-1] * weights[: step + 1]).sum() for step in range(len(losses))])
    return sums / np.cumsum(weights)


def steepest_rate(rates: Array, smooth: Array) -> float | None:
    """The rate at which the loss falls most per factor in the rate, before the average is at its lowest; None where it never falls."""
    known = np.isfinite(smooth)
    lowest = SETTLING_STEPS + int(
        np.argmin(smooth[known][SETTLING_STEPS:])
    )  # what comes after it may fall too, from a higher level
    slopes = np.gradient(smooth[known], np.log(rates[known]))[SETTLING_STEPS : lowest + 1]
    step = int(np.argmin(slopes))
    return float(rates[known][SETTLING_STEPS + step]) if slopes[step] < 0 else None


def write_sweep(
    prefix: str,
    rates: Array,
    losses: Array,
    smooth: Array,
    suggested: float | None,
    tracker: Tracker,
) -> None:
    """Write the figure and the numbers, and tell them."""
    words = (
        "the loss never falls: try other rates"
        if suggested is None
        else f"suggested --start-lr {suggested:.2g} (steepest descent)"
    )
    numbers = {
        "suggested": suggested,
        "rate": rates.tolist(),
        "loss": [value if math.isfinite(value) else None for value in losses.tolist()],
    }
    files = RunFiles(prefix)
    write_text(files.lr_finder_numbers, json.dumps(numbers, indent=2))
    with writing(files.lr_finder_figure) as file:
        draw_sweep(rates, losses, smooth, suggested).savefig(file, format="png", dpi=150)
    log.info("learning-rate test: %s; %s and .json", words, files.lr_finder_figure)
    for step, (rate, loss) in enumerate(zip(rates.tolist(), losses.tolist(), strict=True)):
        tracker.interval({"lr_finder/loss": loss, "lr_finder/learning_rate": rate}, step)
    told = {} if suggested is None else {"lr_finder/suggested": suggested}
    tracker.epoch(told, 0, lambda: {"lr_finder": draw_sweep(rates, losses, smooth, suggested)})


def draw_sweep(rates: Array, losses: Array, smooth: Array, suggested: float | None) -> Figure:
    """Loss against rate, its average, and the suggestion."""
    from matplotlib.figure import Figure  # takes a second: only where something is drawn

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="learning rate", ylabel="loss", xscale="log")
    axes.plot(rates, losses, color="lightgrey", label="each step")
    axes.plot(rates, smooth, color="C0", label="average")
    if suggested is not None:
        axes.axvline(
            suggested, color="C3", linestyle="--", label=f"steepest descent: {suggested:.2g}"
        )
    shown = smooth[SETTLING_STEPS:][np.isfinite(smooth[SETTLING_STEPS:])]
    if len(shown):
        highest = min(shown.max(), shown[0] + 0.2 * abs(shown[0]))  # not the cliff at the end
        margin = 0.1 * (highest - shown.min()) + 1e-12
        axes.set_ylim(shown.min() - margin, highest + margin)
    axes.legend(frameon=False)
    return figure
