"""Explain an operation that ONNX does not have: which one it is, and where it is called."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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
