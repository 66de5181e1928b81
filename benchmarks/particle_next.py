"""Time of a training step of ParticleNeXt, here and in weaver-core 0.5.3.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/particle_next.py --threads 1 [--batch-size 32]
    [--repeats 9] [--json part.json]

The default network (7 features, 2 classes, 551,496 parameters) with the same weights in both, on
jets of 63 particles on average in 128 slots. Outputs are compared first, with the factors gamma at
1, so that the graph matters; then steps (forward, cross entropy, backward, Adam) alternate in this
process, so that whatever else the machine does hits both alike. weaver-core trims padding, and some
particles of long jets, as it does by default. Needs weaver-core 0.5.3.
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
from weaver.nn.model.ParticleNeXt import ParticleNeXt as WeaverParticleNeXt

from weaver_tt.nn.models.particle_next import ParticleNeXt

SLOTS = 128
PARTICLES = 63  # of a jet on average
SPREAD = 22
FEATURES = 7
CLASSES = 2
WARM_UP = 5  # batches after which weaver-core begins to trim
BAR = 1.2
AIM = 2.0

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def jets(size: int, seed: int = 1) -> Inputs:
    """Points (N, 2, P), features (N, 7, P), four-vectors (N, 4, P) and mask (N, 1, P)."""
    random = torch.Generator().manual_seed(seed)
    spread = SPREAD * torch.randn(size, generator=random)
    counts = (PARTICLES + spread).round().clamp(2, SLOTS)
    real = (torch.arange(SLOTS) < counts.unsqueeze(1)).unsqueeze(1).float()  # (N, 1, P)
    pt = 1 + 100 * torch.rand(size, SLOTS, generator=random)
    eta, phi = 0.3 * torch.randn(2, size, SLOTS, generator=random)
    # massless
    momentum = (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh())
    vectors = torch.stack((*momentum, pt * eta.cosh()), dim=1)
    features = torch.randn(size, FEATURES, SLOTS, generator=random)
    points = torch.stack((eta, phi), dim=1)
    return points * real, features * real, vectors * real, real


def call(network: nn.Module, inputs: Inputs) -> Tensor:
    """Outputs; weaver-core writes into its inputs, which are copied for both."""
    return network(*[values.clone() for values in inputs])


def make_networks() -> dict[str, nn.Module]:
    """The network of weaver-core and ours, with the same weights and statistics."""
    torch.manual_seed(0)
    ours = ParticleNeXt(FEATURES, num_classes=CLASSES)
    theirs = WeaverParticleNeXt(FEATURES, num_classes=CLASSES)
    for _ in range(WARM_UP):
        call(theirs, jets(2))
    # these batches have changed the statistics of batch norm
    theirs.load_state_dict(ours.state_dict())
    return {"weaver-core": theirs, "ours": ours}


@torch.no_grad()
def difference(networks: dict[str, nn.Module]) -> float:
    """Largest difference of outputs in evaluation, with gamma at 1."""
    fresh = {name: parameter.clone() for name, parameter in networks["ours"].named_parameters()}
    for network in networks.values():
        network.eval()
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(1)
    inputs = jets(4)
    outputs = [call(network, inputs) for network in networks.values()]
    for network in networks.values():
        for name, parameter in network.named_parameters():
            parameter.copy_(fresh[name])
    return (outputs[0] - outputs[1]).abs().max().item()


def step_of(network: nn.Module, inputs: Inputs, labels: Tensor) -> Callable[[], None]:
    """A training step with Adam."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        functional.cross_entropy(call(network, inputs), labels).backward()
        optimizer.step()

    return step


def measure(networks: dict[str, nn.Module], size: int, repeats: int) -> dict[str, Any]:
    """Medians of wall times of a step taken in turns, and of their ratio."""
    inputs = jets(size)
    labels = torch.arange(size) % CLASSES
    steps = {name: step_of(network, inputs, labels) for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            # the first turn warms up
            if turn:
                times[name].append(time.perf_counter() - start)
    # of steps that ran one after the other, so that both had the same machine
    turns = zip(times["weaver-core"], times["ours"], strict=True)
    return {
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "ratio": statistics.median(theirs / ours for theirs, ours in turns),
    }


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    networks = make_networks()
    found = difference(networks)
    if found > 1e-5:
        raise SystemExit(f"outputs differ by {found:.1e}")
    report = {
        "threads": options.threads,
        "batch_size": options.batch_size,
        "difference": found,
        "bar": BAR,
        "aim": AIM,
        **measure(networks, options.batch_size, options.repeats),
    }
    seconds = report["seconds"]
    print(
        f"{options.threads} thread(s), batches of {options.batch_size} jets of {PARTICLES} "
        f"particles on average in {SLOTS} slots; outputs equal to {found:.0e}\n"
    )
    print("| | weaver-core 0.5.3 | ours | ratio |\n|---|---|---|---|")
    theirs, ours = (f"{seconds[name]:.2f} s" for name in ("weaver-core", "ours"))
    print(f"| training step | {theirs} | {ours} | **{report['ratio']:.2f}** |")
    print(f"\nbar {BAR}, aim {AIM}\n{json.dumps(report)}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
