"""Events per second of a training step of the paper's graph network.

Ours, with real pairs and a split first layer, against the direct padded formulation.

    python benchmarks/gnn_step.py --threads 1 [--amp] [--float32-matmul medium] [--json step.json]

Both networks have the same weights and sizes; outputs and gradients are compared first. Then steps
(forward, loss, backward, Adam) alternate in this process, so that whatever else the machine does
hits both alike. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from turns import rates, speedup, take_turns

from weaver_tt.network.file import NetworkFile
from weaver_tt.nn.layers.blocks import mlp, unit_length
from weaver_tt.physics.particles import BOTTOM, CHARM, LIGHT

PAPER = NetworkFile(Path(__file__).parents[1] / "network_configs" / "truth_tagging_gnn.py").module


class DirectBlock(nn.Module):
    """A GN block as one writes it down: an MLP on [x_i, x_j] of all P x P slots, a mask, a sum."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        half = d_out // 2
        hidden_pair = (2 * d_in + half) // 2
        hidden_object = (d_in + half) // 2
        self.mlp1 = mlp((2 * d_in, hidden_pair, hidden_pair, half), nn.Tanh())
        self.mlp2 = mlp((d_in, hidden_object, half), nn.Tanh())
        self.mlp3 = mlp((half, half, half), nn.Tanh())

    def forward(self, objects: Tensor, pair_mask: Tensor) -> Tensor:
        """(N, P, d_in), (N, P, P, 1) -> (N, P, d_out)."""
        rows, slots, channels = objects.shape
        first = objects.unsqueeze(2).expand(rows, slots, slots, channels)
        second = objects.unsqueeze(1).expand(rows, slots, slots, channels)
        messages = self.mlp1(torch.cat((first, second), dim=3)) * pair_mask  # (N, P, P, d_out / 2)
        around = self.mlp3(messages.sum(2))
        own = self.mlp2(objects)
        return unit_length(torch.cat((around, own), dim=2))


class DirectNetwork(nn.Module):
    """The paper's network on padded tensors."""

    def __init__(self, d_in: int = 4, hidden: int = 256, blocks: int = 4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        size = d_in
        for _ in range(blocks):
            self.blocks.append(DirectBlock(size, hidden))
            size = hidden + d_in
        self.head = mlp((hidden + d_in, 256, 128, 50, 1))

    def forward(self, jets: Tensor) -> Tensor:
        """(N, 4, P) -> (N, 1, P)."""
        mask = jets[:, 0] > 0  # (N, P)
        both_real = mask.unsqueeze(2) & mask.unsqueeze(1)  # (N, P, P)
        is_same = torch.eye(mask.shape[1], dtype=torch.bool)
        pair_mask = (both_real & ~is_same).unsqueeze(3)
        inputs = PAPER.jet_features(jets).transpose(1, 2)  # (N, P, 4)
        objects = inputs
        for block in self.blocks:
            objects = torch.cat((block(objects, pair_mask), inputs), dim=2)
        return (self.head(objects) * mask.unsqueeze(2)).transpose(1, 2)


def events(size: int, slots: int, mean: float, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Jets (N, 4, P), 2 + floor(Exp) in an event, ``mean`` on average before P; tags (N, P)."""
    random = torch.Generator().manual_seed(seed)
    # floor(Exp(scale)) has mean 1 / (exp(1 / scale) - 1)
    scale = 1 / torch.log1p(torch.tensor(1 / (mean - 2)))
    extra = torch.empty(size).exponential_(1 / scale.item(), generator=random).floor()
    counts = 2 + extra
    mask = torch.arange(slots) < counts.unsqueeze(1)  # (N, P)
    uniform = torch.rand(size, 4, slots, generator=random)
    pt = 20 + 580 * uniform[:, 0]
    eta = 4 * uniform[:, 1] - 2
    phi = 6.2831853 * uniform[:, 2]
    code = torch.randint(3, (size, slots), generator=random)
    flavour = torch.tensor([float(LIGHT), CHARM, BOTTOM])[code]
    jets = torch.stack((pt, eta, phi, flavour), dim=1) * mask.unsqueeze(1)
    tags = (uniform[:, 3] < 0.3).float()
    return jets, tags


def loss_of(network: nn.Module, jets: Tensor, tags: Tensor, amp: bool) -> Tensor:
    """Binary cross entropy, mean over real jets."""
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        logits = network(jets)[:, 0].float()  # (N, P)
    mask = jets[:, 0] > 0
    losses = functional.binary_cross_entropy_with_logits(logits, tags, reduction="none")
    # padding has no loss in either network
    return (losses * mask).sum() / mask.sum()


def step_of(network: nn.Module, jets: Tensor, tags: Tensor, amp: bool) -> Callable[[], None]:
    """A training step with Adam."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss_of(network, jets, tags, amp).backward()
        optimizer.step()

    return step


def difference(
    direct: nn.Module, ours: nn.Module, jets: Tensor, tags: Tensor
) -> tuple[float, float]:
    """Largest difference of outputs, and of gradients, in float32."""
    with torch.no_grad():
        outputs = (direct(jets) - ours(jets)).abs().max().item()
    gradients = []
    for network in (direct, ours):
        loss_of(network, jets, tags, amp=False).backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    pairs = zip(*gradients, strict=True)
    return outputs, max((a - b).abs().max().item() for a, b in pairs)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=10, help="padded jets of an event")
    parser.add_argument("--mean-jets", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--amp", action="store_true", help="bf16 autocast, for both")
    parser.add_argument(
        "--float32-matmul",
        default="highest",
        choices=["highest", "high", "medium"],
        help="for both",
    )
    parser.add_argument("--json", type=Path, help="write the JSON here too")
    return parser.parse_args()


def show(report: dict[str, Any]) -> None:
    """The table, and the JSON on one line."""
    precision = f"float32 (matmul precision {report['float32_matmul']})"
    if report["amp"]:
        precision = "bf16 autocast"
    events = f"{report['batch_size']} events of {report['jets']:.2f} jets"
    print(f"{report['threads']} thread(s), {precision}, {events} in {report['slots']} slots,")
    equal = (
        f"outputs equal to {report['output_difference']:.0e}, "
        f"gradients to {report['gradient_difference']:.0e}"
    )
    print(f"{report['parameters']:,} parameters; {equal}")
    print("\n| formulation | pairs per event | events/s |\n|---|---|---|")
    print(f"| direct, padded | {report['slots'] ** 2} | {report['events_per_s']['direct']:.0f} |")
    print(f"| real pairs, split | {report['pairs']:.1f} | {report['events_per_s']['ours']:.0f} |")
    print(f"\nratio {report['ratio']:.2f} (bar: {report['bar']:g})\n{json.dumps(report)}")


def main() -> None:
    """Compare, time, print."""
    options = parse()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision(options.float32_matmul)
    torch.manual_seed(0)
    ours = PAPER.TruthTaggingNetwork()
    direct = DirectNetwork()
    with torch.no_grad():
        for theirs, mine in zip(direct.parameters(), ours.parameters(), strict=True):
            theirs.copy_(mine)
    outputs, gradients = difference(direct, ours, *events(100, options.slots, options.mean_jets))
    if max(outputs, gradients) > 1e-6:
        raise SystemExit(
            f"the two formulations differ: outputs by {outputs:.1e}, gradients by {gradients:.1e}"
        )
    jets, tags = events(options.batch_size, options.slots, options.mean_jets)
    steps = {
        "direct": step_of(direct, jets, tags, options.amp),
        "ours": step_of(ours, jets, tags, options.amp),
    }
    times = take_turns(steps, options.repeats)
    counts = (jets[:, 0] > 0).sum(1)
    report = {key: value for key, value in vars(options).items() if key != "json"}
    report["bar"] = 5.0
    report["ratio"] = speedup(times, "ours", "direct")
    report["events_per_s"] = rates(times, options.batch_size)
    report["jets"] = counts.float().mean().item()
    report["pairs"] = (counts * (counts - 1)).float().mean().item()
    report["parameters"] = sum(parameter.numel() for parameter in ours.parameters())
    report["output_difference"] = outputs
    report["gradient_difference"] = gradients
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
