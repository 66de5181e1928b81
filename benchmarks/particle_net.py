"""Jets per second of ParticleNet, ours and that of weaver-core 0.5.3.

A training step, inference in torch, and inference in ONNX Runtime.

    python benchmarks/particle_net.py --threads 1 [--what train torch onnx] [--repeats 5] [--json
    particle_net.json]

Sizes of the paper (arXiv:1902.08570), 17 features, 10 classes, 128 slots; jets with all slots real,
and with 45 real particles on average as in JetClass. Both networks have the same weights, and their
outputs are compared first. Then they take turns in this process, so that whatever else the machine
does hits both alike. The peer's ONNX file is made by the legacy exporter from weaver-core's class,
ours by the export of this package's network. Needs weaver-core. Prints a table and one line of
JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# as train.py does: threads that wait must sleep
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import onnxruntime
import torch
from torch import Tensor, nn
from turns import Action, inference, rates, speedup, take_turns, training_step

from weaver_tt.nn.models.particle_net import ParticleNet

SLOTS = 128
FEATURES = 17
CLASSES = 10
OPTIONS: dict[str, Any] = {
    "conv_params": [(16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256))],
    "fc_params": [(256, 0.1)],
    "use_fusion": False,
}
INPUTS = ["points", "features", "mask"]
Jets = tuple[Tensor, Tensor, Tensor]
# what is measured: batch size and the least ratio that is good enough
WORK = {"train": {64: 2.0}, "torch": {1: 2.0, 64: 2.0}, "onnx": {1: 1.5, 64: 1.5}}
MULTIPLICITIES = {"all real": None, "mean 45": 45.0}


def jets(size: int, mean: float | None, seed: int = 1) -> Jets:
    """Points (N, 2, P), features (N, C, P) and mask (N, 1, P).

    All slots are real, or as many as jets of JetClass have: mean ``mean``, RMS 16.
    """
    random = torch.Generator().manual_seed(seed)
    counts = torch.full((size,), SLOTS)
    if mean is not None:
        spread = 16 * torch.randn(size, generator=random)
        counts = (mean + spread).round().clamp(5, SLOTS)
    mask = (torch.arange(SLOTS) < counts.unsqueeze(1)).unsqueeze(1).float()
    points = torch.randn(size, 2, SLOTS, generator=random) * 0.3
    features = torch.randn(size, FEATURES, SLOTS, generator=random)
    return points * mask, features * mask, mask


def networks() -> dict[str, nn.Module]:
    """The network of weaver-core and ours, with the same weights and batch norm statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from weaver.nn.model.ParticleNet import ParticleNet as WeaverParticleNet

    logging.getLogger("weaver").setLevel(logging.WARNING)
    torch.manual_seed(0)
    both = {
        "weaver": WeaverParticleNet(FEATURES, CLASSES, **OPTIONS),
        "ours": ParticleNet(FEATURES, CLASSES, **OPTIONS),
    }
    both["ours"].load_state_dict(both["weaver"].state_dict())
    with torch.no_grad():
        # the peer trims its input from the sixth batch on
        for seed in range(6):
            both["ours"](*jets(8, None, seed))
            both["weaver"](*jets(2, None, seed))
    both["weaver"].load_state_dict(both["ours"].state_dict())
    return both


def onnx_session(network: nn.Module, threads: int) -> onnxruntime.InferenceSession:
    """The network in ONNX Runtime, by the legacy exporter, for any number of jets and particles."""
    axes = {name: {0: "N", 2: "P"} for name in INPUTS} | {"output": {0: "N"}}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "network.onnx")
        arguments = {
            "input_names": INPUTS,
            "output_names": ["output"],
            "dynamic_axes": axes,
            "opset_version": 17,
            "dynamo": False,
        }
        torch.onnx.export(network.eval(), jets(3, 45.0), path, **arguments)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx_inference(session: onnxruntime.InferenceSession, inputs: Jets) -> Callable[[], Tensor]:
    """Outputs of ONNX Runtime."""
    arrays = dict(zip(INPUTS, (values.numpy() for values in inputs), strict=True))
    return lambda: torch.from_numpy(session.run(None, arrays)[0])


def make_calls(
    what: str, inputs: Jets, both: dict[str, nn.Module], threads: int
) -> dict[str, Action]:
    """What to time for each of the two.

    Raises:
        SystemExit: they do not give the same numbers.
    """
    if what == "train":
        labels = torch.arange(len(inputs[0])) % CLASSES
        return {name: training_step(network, inputs, labels) for name, network in both.items()}
    if what == "torch":
        calls = {name: inference(network, inputs) for name, network in both.items()}
    else:
        # what the peer's for_inference does
        both["weaver"].trimmer.enabled = False
        sessions = {name: onnx_session(network, threads) for name, network in both.items()}
        both["weaver"].trimmer.enabled = True
        calls = {name: onnx_inference(session, inputs) for name, session in sessions.items()}
    difference = (calls["ours"]() - calls["weaver"]()).abs().max().item()
    # neighbours at equal distances are a matter of rounding
    if not difference <= 1e-4:
        raise SystemExit(f"{what}: outputs differ by {difference:.1e}")
    return calls


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One entry for each kind of work, batch size and multiplicity."""
    entries = []
    for what in options.what:
        for size, bar in WORK[what].items():
            for label, mean in MULTIPLICITIES.items():
                # a single jet takes milliseconds
                repeats = options.repeats * (10 if size == 1 else 1)
                calls = make_calls(what, jets(size, mean), networks(), options.threads)
                times = take_turns(calls, repeats)
                entry = {
                    "what": what,
                    "batch": size,
                    "particles": label,
                    "jets_per_s": rates(times, size),
                    "ratio": speedup(times, "ours", "weaver"),
                    "bar": bar,
                }
                entries.append(entry)
    return entries


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--what", nargs="+", choices=list(WORK), default=list(WORK))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report = {"threads": options.threads, "torch": torch.__version__, "measured": measure(options)}
    print(f"{options.threads} thread(s)\n")
    columns = "weaver-core, jets/s | ours, jets/s"
    print(f"| what | batch | particles of {SLOTS} | {columns} | ratio | bar |")
    print("|---|---|---|---|---|---|---|")
    for entry in report["measured"]:
        jets_per_s = entry["jets_per_s"]
        cells = [
            entry["what"],
            str(entry["batch"]),
            entry["particles"],
            f"{jets_per_s['weaver']:.1f}",
            f"{jets_per_s['ours']:.1f}",
            f"**{entry['ratio']:.2f}**",
            f"{entry['bar']:g}",
        ]
        print(f"| {' | '.join(cells)} |")
    print(json.dumps(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
