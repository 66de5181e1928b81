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

SLOTS = 128
FEATURES = 17
CLASSES = 10
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
    counts = torch.full((size,), SLOTS)
    if not full:
        spread = 17 * torch.randn(size, generator=random)
        counts = (45 + spread).round().clamp(2, SLOTS)
    real = (torch.arange(SLOTS) < counts.unsqueeze(1)).unsqueeze(1).float()  # (N, 1, P)
    pt = 1 + 100 * torch.rand(size, SLOTS, generator=random)
    eta, phi = 0.3 * torch.randn(2, size, SLOTS, generator=random)
    # massless
    momentum = (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh())
    vectors = torch.stack((*momentum, pt * eta.cosh()), dim=1)
    features = torch.randn(size, FEATURES, SLOTS, generator=random)
    return features * real, vectors * real, real


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
            # the first turn warms up
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def measure(
    networks: dict[str, nn.Module], size: int, full: bool, repeats: int
) -> list[dict[str, Any]]:
    """Rows of the table for one kind of jets."""
    inputs = jets(size, full)
    labels = torch.arange(size) % CLASSES
    training: dict[str, Callable[[], None]] = {}
    inference: dict[str, Callable[[], None]] = {}
    for name, network in networks.items():
        training[name] = step_of(network, inputs, labels)
        inference[name] = inference_of(network, inputs)
    rows = []
    for kind, actions in (("training step", training), ("inference", inference)):
        times = seconds(actions, repeats)
        rates = {name: size / statistics.median(values) for name, values in times.items()}
        # of steps that ran one after the other, so that both had the same machine
        turns = zip(times["weaver-core"], times["ours"], strict=True)
        row = {
            "jets": "128 particles" if full else "45 on average",
            "what": kind,
            "jets_per_s": rates,
            "ratio": statistics.median(theirs / ours for theirs, ours in turns),
        }
        rows.append(row)
    return rows


def make_networks() -> dict[str, nn.Module]:
    """The network of weaver-core and ours, with the same weights and statistics."""
    torch.manual_seed(0)
    ours = ParticleTransformer(FEATURES, CLASSES, **OPTIONS)
    theirs = WeaverParticleTransformer(FEATURES, CLASSES, **OPTIONS)
    theirs.load_state_dict(ours.state_dict())
    # it trims, in evaluation too, after so many batches only
    for _ in range(theirs.trimmer.warmup_steps):
        theirs(*jets(2, False))
    # these batches have changed the statistics of batch norm
    theirs.load_state_dict(ours.state_dict())
    return {"weaver-core": theirs, "ours": ours}


def difference(networks: dict[str, nn.Module]) -> float:
    """Largest difference of outputs in evaluation."""
    differences = []
    for full in (True, False):
        inputs = jets(4, full)
        with torch.no_grad():
            ours = networks["ours"].eval()(*inputs)
            theirs = networks["weaver-core"].eval()(*inputs)
        differences.append((ours - theirs).abs().max().item())
    return max(differences)


def show(report: dict[str, Any]) -> None:
    """The table, and the JSON on one line."""
    equal = f"outputs equal to {report['difference']:.0e}"
    print(f"{report['threads']} thread(s), batches of {report['batch_size']}; {equal}\n")
    print("| jets | | weaver-core 0.5.3, jets/s | ours, jets/s | ratio |")
    print("|---|---|---|---|---|")
    for row in report["rows"]:
        rates = row["jets_per_s"]
        cells = [
            row["jets"],
            row["what"],
            f"{rates['weaver-core']:.1f}",
            f"{rates['ours']:.1f}",
            f"**{row['ratio']:.2f}**",
        ]
        print(f"| {' | '.join(cells)} |")
    print(f"\nbar for the training step: {BAR}\n{json.dumps(report)}")


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    networks = make_networks()
    found = difference(networks)
    if found > 1e-5:
        raise SystemExit(f"outputs differ by {found:.1e}")
    rows = []
    for full in (True, False):
        rows += measure(networks, options.batch_size, full, options.repeats)
    report = {
        "threads": options.threads,
        "batch_size": options.batch_size,
        "difference": found,
        "bar": BAR,
        "rows": rows,
    }
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
