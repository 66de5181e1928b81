"""Jets per second of the Particle Transformer, here and in weaver-core 0.5.3.

A training step, and inference.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/particle_transformer.py --threads 1 [--batch-size 32]
    [--repeats 5] [--json part.json]

The public network (17 features, 10 classes, 2.14 million parameters) with the same weights in both,
on full jets of 128 particles and on jets of 45 on average as in JetClass. Outputs are compared
first; then steps (forward, cross entropy, backward, Adam, with dropout and trimming) alternate in
this process, so that whatever else the machine does hits both alike. Needs weaver-core 0.5.3.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from weaver.nn.model.ParticleTransformer import ParticleTransformer as WeaverParticleTransformer

from weaver_tt.nn.models.particle_transformer import ParticleTransformer

SLOTS, FEATURES, CLASSES = 128, 17, 10
OPTIONS: dict[str, Any] = {
    "use_pre_activation_pair": False,
    "cls_block_params": {"dropout": 0, "attn_dropout": 0, "activation_dropout": 0},
}
BAR = 1.2


def jets(size: int, full: bool, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, 17, P), four-vectors (N, 4, P) and mask (N, 1, P).

    128 particles in each jet, or 45 on average with a spread of 17.
    """
    random = torch.Generator().manual_seed(seed)
    counts = (
        torch.full((size,), SLOTS)
        if full
        else (45 + 17 * torch.randn(size, generator=random)).round().clamp(2, SLOTS)
    )
    real = (torch.arange(SLOTS) < counts.unsqueeze(1)).unsqueeze(1).float()
    pt = 1 + 100 * torch.rand(size, SLOTS, generator=random)
    eta, phi = 0.3 * torch.randn(2, size, SLOTS, generator=random)
    vectors = torch.stack((pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()), dim=1)
    return torch.randn(size, FEATURES, SLOTS, generator=random) * real, vectors * real, real


def step_of(network: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor) -> Callable[[], None]:
    """A training step with Adam."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        functional.cross_entropy(network(*inputs), labels).backward()
        optimizer.step()

    return step


def inference_of(network: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    """A forward pass in evaluation."""

    def infer() -> None:
        network.eval()
        with torch.no_grad():
            network(*inputs)

    return infer


def seconds(actions: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Wall times of each action, taken in turns after one unmeasured turn."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def measure(
    networks: dict[str, nn.Module], size: int, full: bool, repeats: int
) -> list[dict[str, Any]]:
    """Rows of the table for one kind of jets."""
    inputs, labels = jets(size, full), torch.arange(size) % CLASSES
    kinds: dict[str, dict[str, Callable[[], None]]] = {
        "training step": {
            name: step_of(network, inputs, labels) for name, network in networks.items()
        },
        "inference": {name: inference_of(network, inputs) for name, network in networks.items()},
    }
    rows = []
    for kind, actions in kinds.items():
        times = seconds(actions, repeats)
        rate = {name: size / statistics.median(values) for name, values in times.items()}
        ratio = statistics.median(
            theirs / ours for theirs, ours in zip(times["weaver-core"], times["ours"], strict=True)
        )
        rows.append(
            {
                "jets": "128 particles" if full else "45 on average",
                "what": kind,
                "jets_per_s": rate,
                "ratio": ratio,
            }
        )
    return rows


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    ours, theirs = (
        ParticleTransformer(FEATURES, CLASSES, **OPTIONS),
        WeaverParticleTransformer(FEATURES, CLASSES, **OPTIONS),
    )
    theirs.load_state_dict(ours.state_dict())
    for _ in range(
        theirs.trimmer.warmup_steps
    ):  # it trims, in evaluation too, after so many batches only
        theirs(*jets(2, False))
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        difference = max(
            (ours.eval()(*inputs) - theirs.eval()(*inputs)).abs().max().item()
            for inputs in (jets(4, True), jets(4, False))
        )
    if difference > 1e-5:
        raise SystemExit(f"outputs differ by {difference:.1e}")
    rows = [
        row
        for full in (True, False)
        for row in measure(
            {"weaver-core": theirs, "ours": ours}, options.batch_size, full, options.repeats
        )
    ]
    print(
        f"{options.threads} thread(s), batches of {options.batch_size}; "
        f"outputs equal to {difference:.0e}\n"
    )
    print("| jets | | weaver-core 0.5.3, jets/s | ours, jets/s | ratio |\n|---|---|---|---|---|")
    for row in rows:
        rate = row["jets_per_s"]
        print(
            f"| {row['jets']} | {row['what']} | {rate['weaver-core']:.1f} "
            f"| {rate['ours']:.1f} | **{row['ratio']:.2f}** |"
        )
    report = {
        "threads": options.threads,
        "batch_size": options.batch_size,
        "difference": difference,
        "bar": BAR,
        "rows": rows,
    }
    print(f"\nbar for the training step: {BAR}\n{json.dumps(report)}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
