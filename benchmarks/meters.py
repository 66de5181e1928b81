"""What the meter of classification costs a training step.

    python benchmarks/meters.py

Batches of probabilities are added as in training, and read every 50 steps as the log does. The
result is in milliseconds of CPU time a step, of the best round.
"""

from __future__ import annotations

import argparse
import time

import torch

from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter


def measure_meter(classes: int, rows: int, steps: int, rounds: int) -> float:
    """Milliseconds of CPU time a step, in one thread."""
    target = torch.randint(classes, (rows,))  # (N,)
    # the true class gets a larger output, as from a trained network
    logits = torch.randn(rows, classes) + torch.nn.functional.one_hot(target, classes)  # (N, K)
    output = logits.softmax(1)  # (N, K)
    batch = Scored(output, target, torch.ones(rows), counts=torch.ones(rows, dtype=torch.int64))
    best = float("inf")
    for _ in range(rounds):
        meter = ClassificationMeter([str(k) for k in range(classes)])
        start = time.process_time()
        for step in range(1, steps + 1):
            meter.update(batch, None)
            if step % 50 == 0:
                meter.values(meter.totals())
        best = min(best, (time.process_time() - start) / steps)
    return 1e3 * best


def main() -> None:
    """Print a line for each number of classes and batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for classes in (2, 5, 10):
        for rows in (64, 512, 1024):
            cost = measure_meter(classes, rows, options.steps, options.rounds)
            print(f"{classes:3d} classes, batch {rows:5d}: {cost:.3f} ms")


if __name__ == "__main__":
    main()
