"""``nn.MultiheadAttention`` in an export, for any number of objects.

Its projection of queries, keys and values goes through a reshaping whose result the exporter takes
for a constant: a network with ``nn.TransformerEncoder`` would run for one number of objects alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor
from torch.nn import functional

PROJECTION = "_in_projection_packed"  # of torch.nn.functional, which calls it by this name


@contextmanager
def attention_of_any_length() -> Iterator[None]:
    """While a graph is traced, project by other operations with the same numbers.

    Nothing happens with a version of torch that has no such function.
    """
    original = getattr(functional, PROJECTION, None)
    if original is None:
        yield
        return
    setattr(functional, PROJECTION, project_packed)
    try:
        yield
    finally:
        setattr(functional, PROJECTION, original)


def project_packed(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None = None
) -> list[Tensor]:
    """Projections of (..., C) each, with the packed weight (3 C, C) and bias (3 C,)."""
    if query is key and key is value:
        projected = functional.linear(query, weight, bias)  # (..., 3 C)
        return [part.contiguous() for part in projected.chunk(3, dim=-1)]
    weights = weight.chunk(3)
    biases: Sequence[Tensor | None] = (None, None, None) if bias is None else bias.chunk(3)
    inputs = (query, key, value)
    return [functional.linear(*parts) for parts in zip(inputs, weights, biases, strict=True)]
