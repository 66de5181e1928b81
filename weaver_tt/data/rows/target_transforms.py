"""How a real target is brought to the numbers that are learnt, and back to the units of the data.

A chain is applied in its order, and undone from its end. A ratio comes first, so that it is undone
last: what is before it needs no columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from weaver_tt.config.schema import TargetTransform
from weaver_tt.errors import ConfigError


def to_learnt(
    values: Tensor, chain: Sequence[TargetTransform], columns: Mapping[str, Tensor]
) -> Tensor:
    """Values of a target, in the units of the data, -> what is learnt; of any shape (M, ...).

    ``columns`` (M,) by name are those of ratios. What has no image, such as the logarithm of a
    negative number, is not finite.
    """
    for transform in chain:
        if transform.kind == "ratio":
            values = values / _column_beside(values, transform, columns)
        elif transform.kind == "log":
            values = values.log()
        else:
            mean, deviation = fitted_numbers(transform)
            values = (values - mean) / deviation
    return values


def to_quotient(values: Tensor, chain: Sequence[TargetTransform]) -> Tensor:
    """What is learnt -> values in the units of the data, divided by the column of a ratio."""
    for transform in reversed(chain):
        if transform.kind == "log":
            values = values.exp()
        elif transform.kind == "standardised":
            mean, deviation = fitted_numbers(transform)
            values = values * deviation + mean
    return values


def times_column(
    values: Tensor, chain: Sequence[TargetTransform], columns: Mapping[str, Tensor]
) -> Tensor:
    """The last step back: values times the column of a ratio, where the chain has one."""
    for transform in chain:
        if transform.kind == "ratio":
            values = values * _column_beside(values, transform, columns)
    return values


def width_to_quotient(width: Tensor, values: Tensor, chain: Sequence[TargetTransform]) -> Tensor:
    """The width of what is learnt -> that of ``values``, which :func:`to_quotient` gave; (M,) each.

    To first order: the width of a logarithm is a relative one.
    """
    for transform in reversed(chain):
        if transform.kind == "log":
            width = width * values
        elif transform.kind == "standardised":
            width = width * fitted_numbers(transform)[1]
    return width


def width_to_learnt(
    width: Tensor,
    values: Tensor,
    chain: Sequence[TargetTransform],
    columns: Mapping[str, Tensor],
) -> Tensor:
    """The width of ``values`` in the units of the data -> that of what is learnt; (M,) each.

    The exact inverse of :func:`width_to_quotient` and :func:`times_column`.
    """
    for transform in chain:
        if transform.kind == "ratio":
            column = _column_beside(values, transform, columns)
            values = values / column
            width = width / column
        elif transform.kind == "log":
            width = width / values
        else:
            width = width / fitted_numbers(transform)[1]
    return width


def fitted_numbers(transform: TargetTransform) -> tuple[float, float]:
    """Mean and standard deviation of a target that is standardised.

    Raises:
        ConfigError: they have not been computed yet.
    """
    if transform.mean is None or transform.deviation is None:
        raise ConfigError(
            "transform standardised: its mean and deviation are those of the training rows, and "
            "no PREFIX.auto.yaml with them is at hand"
        )
    return transform.mean, transform.deviation


def _column_beside(
    values: Tensor, transform: TargetTransform, columns: Mapping[str, Tensor]
) -> Tensor:
    """The column (M,) of a ratio, shaped to stand beside values (M, ...)."""
    assert transform.column is not None
    column = columns[transform.column].to(values.dtype)
    while column.dim() < values.dim():
        column = column.unsqueeze(-1)
    return column


def domain_problem(
    values: Tensor,
    chain: Sequence[TargetTransform],
    columns: Mapping[str, Tensor],
    is_learnt: Tensor,
) -> tuple[str, Tensor] | None:
    """Why some values (M,) that are learnt have no image under the chain, and which: bool (M,).

    ``is_learnt`` (M,): the others may be anything. None where all have an image.
    """
    for transform in chain:
        if transform.kind == "ratio":
            assert transform.column is not None
            column = columns[transform.column]
            why = f"ratio needs {transform.column!r} above 0"
            is_bad = ~(column > 0) | ~column.isfinite()
            values = values / column
        elif transform.kind == "log":
            why = "log needs numbers above 0"
            is_bad = values <= 0
        else:
            # of numbers that are standardised, any will do
            continue
        is_bad = is_bad & is_learnt
        if is_bad.any():
            return why, is_bad
    return None
