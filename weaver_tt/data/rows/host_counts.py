"""How many real objects each row of a tensor has, known without asking the device.

Padding knows these counts. They are kept beside a tensor, so that a network finds them without an
argument of its own. No operation and no copy hands them on, nor is anything of them saved with the
tensor, and writing into it makes them invalid: counts are either right or not there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from weaver_tt.data.rows.rows import Integers

# tensor -> counts, and its version then; an entry goes with its tensor. An attribute would be
# copied by deepcopy, into a tensor whose version starts anew, and saved by torch.save.
_KNOWN = WeakIdKeyDictionary()


def with_host_counts(values: Tensor, counts: Integers | None) -> Tensor:
    """The same tensor, which now carries ``counts``; nothing changes where they are None.

    Of ``values`` (N, C, P), or a mask (N, P), ``counts`` (N,) are the slots of each row whose first
    channel is not zero. They may be in any place of the row.
    """
    if counts is not None and not is_traced():
        _KNOWN[values] = (counts, tensor_version(values))
    return values


def host_counts(values: Tensor) -> Integers | None:
    """The counts (N,) that ``values`` carry; None without, and once they were written into."""
    # a compiled or exported graph must not depend on the numbers of one batch
    if is_traced():
        return None
    counts, version = _KNOWN.get(values, (None, None))
    return counts if version == tensor_version(values) else None


def is_traced() -> bool:
    """Whether a graph is made for other batches too, by the compiler or for ONNX."""
    return torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()


def tensor_version(values: Tensor) -> int:
    """A number that grows when the tensor, or another one on the same memory, is written into."""
    # tensors of inference mode do not count
    return 0 if values.is_inference() else values._version
