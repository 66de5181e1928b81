"""What modules return, and what ensembles and exported networks give; float32 for all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from weaver_tt.errors import ConfigError

Output = Tensor | Sequence[Any] | Mapping[str, Any]
"""A tensor, or a tuple, list or dict of them: what a user's module returns."""


def shape_text(shape: Sequence[int]) -> str:
    """A shape whose first axis are the rows of a batch, such as ``(N, 4, 10)``."""
    sizes = ["N", *(str(size) for size in shape[1:])]
    return f"({', '.join(sizes)})"


class Activated(NamedTuple):
    """What an ensemble or an exported network gives: values that the task has activated already.

    A type of its own, because a module may return a tuple of two tensors as well.
    """

    value: Tensor  # (N, K) or (N, K, P)
    spread: Tensor | None = None  # the same shape: standard deviation over members
    derived: Tensor | None = None  # (N, D), derived_outputs of the data YAML
    derived_spread: Tensor | None = None  # (N, D)

    def joined(self) -> tuple[Tensor, Tensor | None]:
        """Outputs and derived ones side by side, (N, K + D), and their spread.

        Outputs of objects stay (N, K, P).
        """
        spread = self.spread
        if spread is not None:
            spread = _side_by_side(spread, self.derived_spread)
        return _side_by_side(self.value, self.derived), spread


def _side_by_side(values: Tensor, derived: Tensor | None) -> Tensor:
    """(N, K) or (N,) of one output, and (N, D) -> (N, K + D)."""
    if values.dim() == 1:
        values = values.unsqueeze(1)
    return values if derived is None else torch.cat([values, derived], 1)


def first_tensor(output: Output) -> Tensor:
    """The tensor itself, or the first entry of a tuple, list or dict.

    Raises:
        ConfigError: that is no tensor.
    """
    first: Any = output
    if isinstance(output, tuple | list):
        first = output[0] if output else None
    elif isinstance(output, Mapping):
        first = next(iter(output.values()), None)
    if isinstance(first, Tensor):
        return first
    kind = type(output).__name__
    if first is not output:
        kind = f"{kind} that begins with a {type(first).__name__}"
    raise ConfigError(
        f"the network returns a {kind}; expected a tensor, (N, K) or per object (N, K, P), or a "
        "tuple, list or dict whose first entry is one"
    )


def with_first_tensor(output: Output, tensor: Tensor) -> Output:
    """``output`` with ``tensor`` in the place of :func:`first_tensor`."""
    if isinstance(output, Tensor):
        return tensor
    if isinstance(output, Mapping):
        first = next(iter(output))
        return {**output, first: tensor}
    if isinstance(output, tuple) and hasattr(output, "_make"):
        # a namedtuple takes its entries one by one, a tuple takes them all at once
        return output._make([tensor, *output[1:]])
    return type(output)([tensor, *output[1:]])  # type: ignore[call-arg]


def to_float32(output: Any) -> Any:
    """``output`` with each of its floating-point tensors in float32, wherever it is nested.

    A network under autocast returns half-precision tensors; losses need more digits. Tuples, lists
    and dicts stay such.
    """
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    # what is an integer, a mask or no tensor at all stays as it is
    if isinstance(output, tuple) and hasattr(output, "_make"):
        # a namedtuple takes its entries one by one, a tuple takes them all at once
        return output._make(to_float32(entry) for entry in output)
    if isinstance(output, tuple | list):
        return type(output)(to_float32(entry) for entry in output)
    if isinstance(output, Mapping):
        return {name: to_float32(entry) for name, entry in output.items()}
    return output
