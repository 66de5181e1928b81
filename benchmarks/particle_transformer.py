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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from turns import Action, inference, rates, speedup, take_turns, training_step
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


def measure(
    networks: dict[str, nn.Module], size: int, full: bool, repeats: int
) -> list[dict[str, Any]]:
    """Rows of the table for one kind of jets."""
    inputs = jets(size, full)
    labels = torch.arange(size) % CLASSES
    kinds: dict[str, dict[str, Action]] = {"training step": {}, "inference": {}}
    for name, network in networks.items():
        kinds["training step"][name] = training_step(network, inputs, labels)
        kinds["inference"][name] = inference(network, inputs)
    rows = []
    for kind, actions in kinds.items():
        times = take_turns(actions, repeats)
        row = {
            "jets": "128 particles" if full else "45 on average",
            "what": kind,
            "jets_per_s": rates(times, size),
            "ratio": speedup(times, "ours", "weaver-core"),
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
        jets_per_s = row["jets_per_s"]
        cells = [
            row["jets"],
            row["what"],
            f"{jets_per_s['weaver-core']:.1f}",
            f"{jets_per_s['ours']:.1f}",
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
