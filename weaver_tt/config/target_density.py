"""The density that ``weights`` is to reach, as its share of each bin of the weight tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.expressions.evaluate import Expression, evaluate

MAX_POINTS = 2_000_000  # of all bins, at which a density is evaluated
MAX_POINTS_OF_AXIS = 8  # in a bin: exact for polynomials up to degree 15

Edges = Mapping[str, tuple[float, ...]]  # variable -> increasing bin edges
Numbers = npt.NDArray[np.float64]


def target_shares(target: Expression, variables: Edges, where: str) -> Numbers:
    """The integral of ``target`` over each bin, an axis for each variable; all add up to 1.

    A density is per unit of each variable, so that a bin of twice the width gets twice as much.
    ``where``: file and key, for messages.

    Raises:
        ConfigError: it uses a name that is no variable of these (names the nearest), or is not
            finite and positive somewhere (names the bin).
    """
    for name in sorted(target.names):
        if name not in variables:
            raise ConfigError(
                f"{where}: {name!r} is none of reweight_vars, in which the density is given; "
                f"{nearest(name, variables)}"
            )
    # the points inside of the bins miss the edges, where 1 / x may be infinite
    if math.prod(map(len, variables.values())) <= MAX_POINTS:
        corners = _evaluate(target, list(map(np.asarray, variables.values())), variables, where)
        _check(corners, (corners >= 0) & np.isfinite(corners), variables, where)

    # Gauss-Legendre quadrature in each variable
    cells = math.prod(len(edges) - 1 for edges in variables.values())
    points = int((MAX_POINTS / cells) ** (1 / len(variables)))
    points = min(max(points, 1), MAX_POINTS_OF_AXIS)
    nodes, weights = np.polynomial.legendre.leggauss(points)  # in (-1, 1), (points,)
    positions = []
    for edges in variables.values():
        middle = np.add(edges[1:], edges[:-1]) / 2  # (B,)
        half = np.diff(edges) / 2  # (B,)
        positions.append((middle[:, None] + half[:, None] * nodes).ravel())  # (B points,)
    density = _evaluate(target, positions, variables, where)
    _check(density, (density > 0) & np.isfinite(density), variables, where, points)

    shares = density
    for axis, edges in enumerate(variables.values()):
        split = (*shares.shape[:axis], len(edges) - 1, points, *shares.shape[axis + 1 :])
        # the points of a bin become an axis of their own, which is summed over
        shares = np.moveaxis(shares.reshape(split), axis + 1, -1) @ weights
        widths = np.diff(edges) / 2
        others = len(shares.shape) - axis - 1
        shares = shares * widths.reshape(-1, *[1] * others)
    total = shares.sum()
    result: Numbers = shares / total
    return result


def _evaluate(target: Expression, positions: list[Any], variables: Edges, where: str) -> Numbers:
    """The density on the grid of these positions, an axis for each variable."""
    grid = np.meshgrid(*positions, indexing="ij")
    table = dict(zip(variables, (axis.ravel() for axis in grid), strict=True))
    try:
        values = np.asarray(evaluate(target, table))
    except DataError as error:
        raise ConfigError(f"{where}: {error}") from error
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise ConfigError(f"{where}: {target.source!r} is not a number")
    return values.astype(np.float64).reshape(grid[0].shape)


def _check(
    density: Numbers,
    is_right: npt.NDArray[np.bool_],
    variables: Edges,
    where: str,
    points: int = 1,
) -> None:
    """Raise ConfigError for the first value that is not right; a bin has ``points`` an axis."""
    if is_right.all():
        return
    place = np.unravel_index(int(np.argmin(is_right)), is_right.shape)
    ranges = []
    for index, (name, edges) in zip(place, variables.items(), strict=True):
        # the last edge belongs to the last bin
        number = min(int(index) // points, len(edges) - 2)
        ranges.append(f"{name} from {edges[number]:g} to {edges[number + 1]:g}")
    raise ConfigError(
        f"{where}: a density is finite and above 0 in every bin, but in that of "
        f"{', '.join(ranges)} it is {density[place]:g} (somewhere)"
    )
