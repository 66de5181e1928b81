"""What to say of an operation that ONNX does not have: which one it is, and on which line of whose file."""

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
    """Notes where the operation ``name`` is first called."""

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
        if self.place is None and getattr(func, "__name__", "").strip("_") == self.name.strip("_"):
            # the innermost line that is neither torch's nor this one
            self.place = next(
                (
                    frame
                    for frame in reversed(traceback.extract_stack()[:-1])
                    if not frame.filename.startswith(TORCH_FOLDER)
                ),
                None,
            )
        return func(*args, **(kwargs or {}))


def explain_export_error(
    error: Exception, module: nn.Module, inputs: Sequence[Tensor], opset: int
) -> str:
    """An exporter's complaint as a message: the operation, file and line of its call, and what can be done."""
    first, *_ = str(error).splitlines() or [type(error).__name__]
    named = re.search(r"'?\b\w+::(\w+)", first)
    if named is None:
        return first
    watch = _OperationWatch(named[1])
    with torch.no_grad(), watch:
        module(*inputs)
    place = watch.place
    where = f" ({place.filename}, line {place.lineno}: {place.line})" if place else ""
    return (
        f"ONNX operator set {opset} has nothing for torch's {named[1]!r}{where}. Write it with other operations, for the export alone where "
        f"torch.onnx.is_in_onnx_export() is true; the exporter said: {first}"
    )
