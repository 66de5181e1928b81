"""Explain what goes wrong with operations in an export: which one it is, and where it is called."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# of equal values ONNX takes the first, torch any
ORDER_OPERATIONS = ("TopK", "ArgMax", "ArgMin")

TORCH_FOLDER = str(Path(torch.__file__).parent)


class _OperationWatch(TorchFunctionMode):
    """Record where the operation ``name`` is first called."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.place: traceback.FrameSummary | None = None

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self.place is None and self._is_watched(func):
            # the last frame is this line
            frames = traceback.extract_stack()[:-1]
            # the innermost line that is not torch's own is the user's
            for frame in reversed(frames):
                if not frame.filename.startswith(TORCH_FOLDER):
                    self.place = frame
                    break
        return func(*args, **(kwargs or {}))

    def _is_watched(self, func: Any) -> bool:
        """Whether ``func`` is the operation; in-place forms (``add_``) count as it."""
        name = getattr(func, "__name__", "")
        return name.strip("_") == self.name.strip("_")


def explain_export_error(
    error: Exception, module: nn.Module, inputs: Sequence[Tensor], opset: int
) -> str:
    """The exporter's error as a message: the operation, where it is called, and what can be done.

    The exporter names only the operation, so the network is run once more to find its call.
    """
    lines = str(error).splitlines()
    first_line = lines[0] if lines else type(error).__name__
    # such as "Exporting the operator 'aten::histc' to ONNX opset version 17 is not supported"
    match = re.search(r"'?\b\w+::(\w+)", first_line)
    if match is None:
        return first_line
    operation = match[1]
    watch = _OperationWatch(operation)
    with torch.no_grad(), watch:
        module(*inputs)
    where = ""
    if watch.place is not None:
        place = watch.place
        where = f" ({place.filename}, line {place.lineno}: {place.line})"
    return (
        f"ONNX operator set {opset} has nothing for torch's {operation!r}{where}. "
        "Write it with other operations, for the export alone where "
        f"torch.onnx.is_in_onnx_export() is true; the exporter said: {first_line}"
    )


def explain_runtime_error(message: str) -> str:
    """What ONNX Runtime says of a node that fails: the operation, the module, and the reason.

    A message of another form is returned as it is.
    """
    match = re.search(
        r"running (\w+) node\. Name:'([^']*)' Status Message: (.*)", message, re.DOTALL
    )
    if match is None:
        return message
    operation, node, reason = match.groups()
    # such as "...reshape_helper.h:91 ...(const TensorShape&) the sizes do not fit"
    reason = " ".join(reason.split()).rpartition(") ")[2]
    return f"{operation} in {_module_of(node)}: {reason}"


def find_order_operations(path: str | Path) -> list[str]:
    """Operations of an ONNX file that sort or choose among values, with their modules."""
    found: dict[str, None] = {}
    for node in onnx.load(str(path), load_external_data=False).graph.node:
        if node.op_type in ORDER_OPERATIONS:
            found[f"{node.op_type} in {_module_of(node.name)}"] = None
    return list(found)


def _module_of(node: str) -> str:
    """``/members.0/enc/layers.0/Reshape_4`` -> ``the module enc.layers.0``."""
    parts: list[str] = []
    for part in node.split("/")[:-1]:
        # entries of a sequence come with its own name: part, then part.0
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        # a network is a member of what is exported
        if part and not part.startswith("members."):
            parts.append(part)
    return f"the module {'.'.join(parts)}" if parts else "the network"
