"""What would make the host wait for the GPU in each example network, found without a GPU.

    python benchmarks/gpu_dry_run.py

Covers the forward pass, scores, losses and meters. Needs a CUDA build of torch, but no GPU: tensors
are fake, they have a shape and the device ``cuda:0`` but no numbers, so that nothing is computed.
Batches come from the padding that training uses. A first batch fills buffers; of the second,
everything is listed that would wait: reading a number, finding the real entries of a mask, a copy
that the host waits for, and other operations whose shape depends on numbers. The optimizer's step
is not covered. Prints a line for each network, in training and in evaluation, and at last ``N of N
passes without waiting for the device``. Exit code 1 if something waits or fails, 2 where torch has
no CUDA.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.rows import Floats, Integers, JaggedObjects, Rows
from weaver_tt.network.network import Network, build_network
from weaver_tt.network.outputs import to_float32
from weaver_tt.options.train import NetworkOptions
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.registry import make_task

ROOT = Path(__file__).parents[1]
DEVICE = torch.device("cuda", 0)
ROWS = 8
# particles, vertices and values of the jet
PF_SV = """
inputs:
  pf_points: {length: 40, vars: [[pf_deta, null], [pf_dphi, null]]}
  pf_features: {length: 40, vars: [[pf_pt_log, 1.7, 0.7], [pf_e_log, 2.0, 0.7], [pf_deta, null]]}
  pf_vectors: {length: 40, vars: [[pf_px, null], [pf_py, null], [pf_pz, null], [pf_energy, null]]}
  pf_mask: {length: 40, vars: [[pf_mask, null]]}
  sv_points: {length: 5, vars: [[sv_deta, null], [sv_dphi, null]]}
  sv_features: {length: 5, vars: [[sv_pt_log, 4.0, 0.6], [sv_mass, 1.2, 0.3]]}
  sv_vectors: {length: 5, vars: [[sv_px, null], [sv_py, null], [sv_pz, null], [sv_energy, null]]}
  sv_mask: {length: 5, vars: [[sv_mask, null]]}
  jet: {length: null, vars: [[jet_pt_log, 5.0, 1.0], [jet_eta, null]]}
labels:
  type: simple
  value: [label_b, label_c, label_light]
"""
# (network file, options, data YAML of data_configs/ or PF_SV)
PASSES: list[tuple[str, dict[str, Any], str]] = [
    ("deep_sets", {}, "top_tagging"),
    ("efn", {}, "top_tagging"),
    ("lund_net", {}, "lund"),
    ("mlp", {"batch_norm": True}, "top_tagging"),
    ("p_cnn", {}, "top_tagging"),
    ("particle_net", {"use_fusion": True}, "top_tagging"),
    ("particle_net_lite", {}, "top_tagging"),
    ("particle_net_pf_sv", {}, PF_SV),
    ("particle_net_pf_sv", {"pf_input_dropout": 0.1, "sv_input_dropout": 0.1}, PF_SV),
    ("particle_net_r", {"size": "lite"}, PF_SV),
    ("particle_next", {}, "top_tagging"),
    ("particle_next_pf_sv", {"pf_input_dropout": 0.1}, PF_SV),
    ("particle_transformer", {}, "jetclass"),
    ("particle_transformer_finetune", {}, "jetclass"),
    ("particle_transformer_pf_sv", {}, PF_SV),
    ("pfn", {"use_bn": True}, "top_tagging"),
    ("pfn_r", {"size": "lite"}, PF_SV),
    ("truth_tagging_edges", {"rounds": 2}, "truth_tagging"),
    ("truth_tagging_gnn", {}, "truth_tagging"),
    ("vec_net", {"keep": 24}, "top_tagging"),
    ("vec_net", {"graph": "dynamic-knn", "distance": "minkowski"}, "top_tagging"),
]
# what a number that is read from a fake tensor is taken to be
STAND_IN = 5


class Waits(TorchDispatchMode):
    """Counts the operations that would wait for the device, by name and line of the project."""

    def __init__(self, fake: FakeTensorMode) -> None:
        super().__init__()
        self.fake = fake
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = str(function)
        reason = waiting_reason(name, args, kwargs)
        if reason is not None:
            self.found[f"{reason} at {project_line()}"] += 1
        # operations whose result needs numbers: made up, so that the pass goes on
        if name == "aten._local_scalar_dense.default":
            return made_up_number(args[0].dtype)
        if name == "aten.nonzero.default":
            return fake_tensor(self.fake, (STAND_IN, args[0].dim()), torch.int64)
        if name == "aten.repeat_interleave.Tensor" and kwargs.get("output_size") is None:
            return fake_tensor(self.fake, (STAND_IN,), torch.int64)
        return function(*args, **kwargs)


def waiting_reason(name: str, args: Any, kwargs: Mapping[str, Any]) -> str | None:
    """Why an operation would make the host wait; None if it would not."""
    operation = name.removeprefix("aten.").split(".")[0]
    tensors = [value for value in args if isinstance(value, Tensor)]
    if operation in ("_to_copy", "copy_"):
        return copy_reason(operation, tensors, kwargs)
    if not any(tensor.is_cuda for tensor in tensors):
        return None
    if operation == "_local_scalar_dense":
        return "a number is read"
    if operation == "repeat_interleave" and kwargs.get("output_size") is None:
        return "repeat_interleave without output_size"
    if operation in ("nonzero", "masked_select", "equal", "bincount"):
        return operation
    if "unique" in operation:
        return operation
    if operation in ("index", "index_put", "index_put_"):
        kinds = [index.dtype for index in args[1] if index is not None]
        # its real entries have to be found first
        if torch.bool in kinds or torch.uint8 in kinds:
            return f"{operation} by a mask"
    return None


def copy_reason(operation: str, tensors: list[Tensor], kwargs: Mapping[str, Any]) -> str | None:
    """Why a copy between host and device is waited for; None if it is not."""
    if operation == "copy_":
        target = tensors[0].device
        source = tensors[1].device
    else:
        source = tensors[0].device
        target = torch.device(kwargs.get("device") or source)
    if source.type == target.type:
        return None
    if target.type == "cpu":
        return "a copy to the host"
    return None if kwargs.get("non_blocking") else "a copy to the device that is waited for"


def project_line() -> str:
    """The innermost line of the package or of a network file that is being executed."""
    for frame in reversed(traceback.extract_stack()):
        for folder in ("weaver_tt", "network_configs"):
            if f"/{folder}/" in frame.filename:
                inside = frame.filename.rpartition(f"/{folder}/")[2]
                return f"{folder}/{inside}:{frame.lineno}"
    return "?"


def fake_tensor(
    mode: FakeTensorMode, shape: Sequence[int], dtype: torch.dtype = torch.float32
) -> Tensor:
    """A tensor on the GPU without numbers."""
    shape_only = torch.empty(tuple(shape), dtype=dtype, device="meta")
    return FakeTensor(mode, shape_only, DEVICE)


def made_up_number(dtype: torch.dtype) -> bool | int | float:
    """Stands for a number that is read from a fake tensor."""
    if dtype is torch.bool:
        return True
    return float(STAND_IN) if dtype.is_floating_point else STAND_IN


def move_to_device(module: nn.Module, mode: FakeTensorMode) -> None:
    """Replace all parameters and buffers by fake ones on the GPU."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                moved = fake_tensor(mode, parameter.shape, parameter.dtype)
                part._parameters[name] = nn.Parameter(moved, parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = fake_tensor(mode, buffer.shape, buffer.dtype)


def random_rows(config: DataConfig, seed: int) -> Rows:
    """Rows as training reads them, of random numbers above 0.

    Groups of one kind, such as ``pf_points`` and ``pf_mask``, have the same objects.
    """
    random = np.random.default_rng(seed)

    def positive(*shape: int) -> Floats:
        return random.uniform(1, 2, shape).astype(np.float32)

    rows = Rows({}, {}, {}, size=ROWS)
    counts_of_kind: dict[str, Integers] = {}
    for name, group in config.batch_groups.items():
        columns = len(group.variables)
        if group.length is None:
            rows.scalars[name] = positive(ROWS, columns)
            continue
        kind = name.rpartition("_")[0] or name
        if kind not in counts_of_kind:
            counts_of_kind[kind] = random.integers(0, group.length, ROWS, endpoint=True)
        counts = counts_of_kind[kind]
        content = positive(counts.sum(), columns)
        rows.objects[name] = JaggedObjects(content, counts, counts, slice(0, columns))
    assert config.labels is not None
    for (label_kind, owner), labels in config.labels.parts.items():
        if label_kind == "simple":
            rows.labels["_label_"] = random.integers(0, len(labels), ROWS)
        elif owner is None:
            rows.labels |= {label: positive(ROWS) for label in labels}
        else:
            rows.object_labels[owner] = positive(len(rows.objects[owner].content), len(labels))
    return rows


def run_batch(network: Network, task: Task, meters: list[Any], batch: Batch) -> None:
    """What the engine does with a batch, but for the update."""
    scored = task.score(to_float32(network(batch.inputs)), batch)
    losses = task.losses(scored)
    for meter in meters:
        meter.update(scored.detach(), losses.detach())


def find_waits(file: str, options: Mapping[str, Any], data: str, train: bool) -> Counter[str]:
    """What a batch would wait for, and how often."""
    if data is PF_SV:
        config = from_mapping(yaml.safe_load(PF_SV), source="particles and vertices")
    else:
        config = load_config(str(ROOT / "data_configs" / f"{data}.yaml"))
    path = str(ROOT / "network_configs" / f"{file}.py")
    pairs = [[key, str(value)] for key, value in options.items()]
    chosen = NetworkOptions(network_config=path, network_option=pairs)
    network = build_network(config, chosen, torch.device("cpu")).train(train)
    task = make_task(config)
    meters = task.meters()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.set_grad_enabled(train):
        move_to_device(network.unwrapped, mode)
        padder = Padder(config, DEVICE)
        with Waits(mode) as waits:
            try:
                # buffers are made and sums are moved with the first batch
                run_batch(network, task, meters, padder(random_rows(config, seed=1)))
                waits.found.clear()
                run_batch(network, task, meters, padder(random_rows(config, seed=2)))
            except Exception as error:
                # most often the numbers that a wait was for
                waits.found[f"{type(error).__name__}: {str(error)[:200]}"] += 1
    return waits.found


def main() -> int:
    """Try all networks; the exit code."""
    if torch.version.cuda is None:
        print("needs a CUDA build of torch, but no GPU: pip install torch in a venv of its own")
        return 2
    examples = {path.stem for path in (ROOT / "network_configs").glob("*.py")}
    missing = sorted(examples - {file for file, _, _ in PASSES})
    for file in missing:
        print(f"{file}: not covered: add a line to PASSES")
    free = 0
    for file, options, data in PASSES:
        for train in (True, False):
            waits = find_waits(file, options, data, train)
            summary = "; ".join(f"{number} x {what}" for what, number in waits.items())
            free += not summary
            mode = "training" if train else "evaluation"
            print(f"{file:30s} {mode:10s} {summary or 'nothing waits'}")
    total = 2 * len(PASSES)
    print(f"{free} of {total} passes without waiting for the device")
    return int(free < total or bool(missing))


if __name__ == "__main__":
    sys.exit(main())
