"""Jets per second of ParticleNeXt, here and in weaver-core 0.5.3.

A training step, and inference.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/particle_next.py --threads 1 [--batch-size 32]
    [--repeats 9] [--json part.json]

The default network (7 features, 2 classes, 551,496 parameters) with the same weights in both, on
jets of 63 particles on average in 128 slots and on full jets. Outputs are compared first, with the
factors gamma at 1, so that the graph matters; then steps (forward, cross entropy, backward, Adam)
alternate in this process, so that whatever else the machine does hits both alike. weaver-core trims
padding, and some particles of long jets, as it does by default. The bar is for the training step on
the shorter jets. Needs weaver-core 0.5.3.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from turns import Action, inference, rates, speedup, take_turns, training_step
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


def jets(size: int, full: bool = False, seed: int = 1) -> Inputs:
    """Points (N, 2, P), features (N, 7, P), four-vectors (N, 4, P) and mask (N, 1, P)."""
    random = torch.Generator().manual_seed(seed)
    counts = torch.full((size,), SLOTS)
    if not full:
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


class CopiedInputs(nn.Module):
    """A network on copies of its inputs: weaver-core writes into them, so both get copies."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Outputs of the network."""
        return self.network(*[values.clone() for values in inputs])


def make_networks() -> dict[str, nn.Module]:
    """The network of weaver-core and ours, with the same weights and statistics."""
    torch.manual_seed(0)
    ours = ParticleNeXt(FEATURES, num_classes=CLASSES)
    theirs = WeaverParticleNeXt(FEATURES, num_classes=CLASSES)
    for _ in range(WARM_UP):
        theirs(*jets(2))
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
    outputs = [CopiedInputs(network)(*inputs) for network in networks.values()]
    for network in networks.values():
        for name, parameter in network.named_parameters():
            parameter.copy_(fresh[name])
    return (outputs[0] - outputs[1]).abs().max().item()


def measure(
    networks: dict[str, nn.Module], size: int, full: bool, repeats: int
) -> list[dict[str, Any]]:
    """Rows of the table for one kind of jets: rates of actions taken in turns, and their ratio."""
    inputs = jets(size, full)
    labels = torch.arange(size) % CLASSES
    kinds: dict[str, dict[str, Action]] = {"training step": {}, "inference": {}}
    for name, network in networks.items():
        unchanged = CopiedInputs(network)
        kinds["training step"][name] = training_step(unchanged, inputs, labels)
        kinds["inference"][name] = inference(unchanged, inputs)
    rows = []
    for kind, actions in kinds.items():
        times = take_turns(actions, repeats)
        row = {
            "jets": f"{SLOTS} particles" if full else f"{PARTICLES} on average",
            "what": kind,
            "jets_per_s": rates(times, size),
            "ratio": speedup(times, "ours", "weaver-core"),
        }
        rows.append(row)
    return rows


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
    rows = []
    for full in (False, True):
        rows += measure(networks, options.batch_size, full, options.repeats)
    report = {
        "threads": options.threads,
        "batch_size": options.batch_size,
        "difference": found,
        "bar": BAR,
        "aim": AIM,
        "rows": rows,
    }
    print(
        f"{options.threads} thread(s), batches of {options.batch_size}; outputs equal to "
        f"{found:.0e}\n"
    )
    print("| jets | | weaver-core 0.5.3, jets/s | ours, jets/s | ratio |\n|---|---|---|---|---|")
    for row in rows:
        theirs, ours = (f"{row['jets_per_s'][name]:.1f}" for name in ("weaver-core", "ours"))
        print(f"| {row['jets']} | {row['what']} | {theirs} | {ours} | **{row['ratio']:.2f}** |")
    print(f"\nbar for the training step: {BAR}, aim {AIM}\n{json.dumps(report)}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
