"""What an expression may call: safe functions of numpy, awkward and math, a few builtins, and the helpers of public configurations.

Everything is listed by name. Left out are functions that touch files or memory (``load``, ``memmap``, ``from_parquet``), that call back
(``vectorize``, ``apply_along_axis``, ``piecewise``), and that make big things out of small ones (``arange``, ``tile``, ``factorial``).
"""

from __future__ import annotations

import importlib.util
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.methods import JAGGED_ARRAY, pad_none, validate_length
from weaver_tt.expressions.momentum import make_momentum
from weaver_tt.weaver_compat.import_names import weaver_names

_NUMPY = """
abs absolute add all allclose amax amin angle any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort around array_equal
average bitwise_and bitwise_not bitwise_or bitwise_xor cbrt ceil clip column_stack concatenate copysign corrcoef cos cosh count_nonzero cross cumprod
cumsum deg2rad degrees digitize divide divmod dot equal exp exp2 expand_dims expm1 fabs fix float_power floor floor_divide fmax fmin fmod frexp
full_like gcd greater greater_equal heaviside hstack hypot interp invert isclose isfinite isin isinf isnan isneginf isposinf lcm left_shift less
less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor max maximum mean median min minimum mod modf
moveaxis multiply nan_to_num nanargmax nanargmin nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar
negative nextafter not_equal ones_like percentile positive power prod ptp quantile rad2deg radians real reciprocal remainder reshape right_shift rint
round searchsorted select sign signbit sin sinc sinh sort spacing sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh
transpose true_divide trunc unwrap var vstack where zeros_like
float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_ pi e inf nan euler_gamma newaxis
"""
_AWKWARD = """
all almost_equal any argcartesian argcombinations argmax argmin argsort broadcast_arrays cartesian combinations concatenate corr count count_nonzero
covar drop_none fill_none firsts flatten from_regular full_like is_none isclose local_index mask max mean min moment nan_to_num nan_to_none
nanargmax nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar num ones_like prod ptp ravel run_lengths singletons softmax sort
std sum to_numpy to_packed to_regular unflatten unzip values_astype var where with_field zeros_like zip
"""
_MATH = """
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees erf erfc exp exp2 expm1 fabs floor fmod gamma hypot isclose isfinite isinf
isnan ldexp lgamma log log10 log1p log2 pow radians sin sinh sqrt tan tanh trunc pi e inf nan tau
"""


def _members(module: Any, names: str) -> dict[str, Any]:
    """The listed members of a module; names that an older release lacks are left out."""
    return {name: getattr(module, name) for name in names.split() if hasattr(module, name)}


_np, _ak = _members(np, _NUMPY), _members(ak, _AWKWARD) | {"pad_none": pad_none}
MODULES: dict[str, Mapping[str, Any]] = {
    "np": _np,
    "numpy": _np,
    "ak": _ak,
    "awkward": _ak,
    "math": _members(math, _MATH),
    "ak.JaggedArray": JAGGED_ARRAY,
    "awkward.JaggedArray": JAGGED_ARRAY,
}
"""Module as written in an expression -> what may be used of it."""


def _hash(*columns: Any) -> npt.NDArray[np.int64]:
    """A whole number for each row, the same for equal rows in every run: (R,) columns of numbers -> (R,), ``_hash(run, event) % 10``."""
    if any(ak.Array(column).ndim != 1 for column in columns):
        raise DataError("_hash takes columns with one number per row")
    lists = [np.asarray(ak.to_numpy(column)) for column in columns]
    return np.fromiter(
        map(hash, zip(*(values.tolist() for values in lists), strict=True)), dtype=np.int64
    )


def _concat(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays one after another along ``axis``."""
    if len(arrays) == 0:
        return np.array([])
    return np.concatenate(arrays, axis) if _all_numpy(arrays) else ak.concatenate(arrays, axis)


def _stack(arrays: Sequence[Any], axis: int = 1) -> Any:
    """Arrays side by side along a new ``axis``: K columns (R,) -> (R, K)."""
    if len(arrays) == 0:
        return np.array([])
    if _all_numpy(arrays):
        return np.stack(arrays, axis)
    where = (slice(None),) * axis + (np.newaxis,)
    return ak.concatenate([ak.Array(array)[where] for array in arrays], axis)


def _all_numpy(arrays: Sequence[Any]) -> bool:
    return all(isinstance(array, np.ndarray) for array in arrays)


def _pad(array: Any, maxlen: int, value: float = 0, dtype: str = "float32") -> npt.NDArray[Any]:
    """The first ``maxlen`` objects of each row, filled up with ``value``: (R, var) -> (R, maxlen); (R,) counts as one object a row."""
    if isinstance(array, np.ndarray) and array.ndim >= 2 and array.shape[1] == maxlen:
        return array
    content, counts = _content_and_counts(array)
    padded = np.full((len(counts), validate_length(maxlen)), value, dtype)
    place = np.arange(maxlen) < counts[:, None]
    padded[place] = content[_position_in_row(counts) < maxlen]
    return padded


def _repeat_pad(array: Any, maxlen: int, dtype: str = "float32") -> npt.NDArray[Any]:
    """Each row's objects over and over up to ``maxlen``: (R, var) -> (R, maxlen); rows without objects are zero."""
    content, counts = _content_and_counts(array)
    padded = np.zeros((len(counts), validate_length(maxlen)), dtype)
    filled = counts > 0
    first = np.cumsum(counts) - counts
    padded[filled] = content[first[filled, None] + np.arange(maxlen) % counts[filled, None]]
    return padded


def _content_and_counts(array: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Content (M,) and counts (R,) of a jagged array, or of one value a row."""
    array = ak.Array(array)
    if array.ndim == 1:
        return ak.to_numpy(array), np.ones(len(array), np.int64)
    return ak.to_numpy(ak.flatten(array)), ak.to_numpy(ak.num(array))


def _position_in_row(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The place of each object inside its row: counts (R,) -> (M,)."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _clip(array: Any, a_min: Any, a_max: Any) -> Any:
    """Values below ``a_min`` become ``a_min``, above ``a_max`` become ``a_max``."""
    return np.minimum(np.maximum(array, a_min), a_max)


def _knn(support: Any, query: Any, k: int, n_jobs: int = 1) -> npt.NDArray[np.int64]:
    """Indices of the ``k`` points of ``support`` (S, D) nearest to each of ``query`` (Q, D): (Q, k), nearest first, S where there are fewer."""
    support, query = np.asarray(support, float), np.asarray(query, float)
    distance = ((query[:, None, :] - support[None, :, :]) ** 2).sum(-1)  # (Q, S)
    index = np.full((len(query), k), len(support))
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
    index[:, : nearest.shape[1]] = nearest
    return index


def _batch_knn(
    supports: Sequence[Any],
    queries: Sequence[Any],
    k: int,
    maxlen_s: int,
    maxlen_q: int | None = None,
    n_jobs: int = 1,
) -> npt.NDArray[np.int32]:
    """``_knn`` row by row, among the first ``maxlen_s`` and for the first ``maxlen_q`` points: (R, maxlen_q, k), padded with maxlen_s - 1."""
    most = maxlen_s if maxlen_q is None else maxlen_q
    index = np.full((len(supports), validate_length(most), k), maxlen_s - 1, np.int32)
    for row, (support, query) in enumerate(zip(supports, queries, strict=True)):
        index[row, : len(query[:most])] = _knn(support[:maxlen_s], query[:most], k)
    return index


def _batch_permute_indices(array: ak.Array) -> ak.Array:
    """A random order of each row's objects, a pure function of the rows' sizes, so that runs can be repeated: (R, var) -> (R, var)."""
    counts = ak.to_numpy(ak.num(array))
    return ak.argsort(ak.unflatten(_seeded_generator(counts).random(counts.sum()), counts))


def _batch_argsort(array: ak.Array) -> ak.Array:
    """The order that sorts each row's objects, smallest first."""
    return ak.argsort(array)


def _batch_gather(array: ak.Array, indices: ak.Array) -> ak.Array:
    """Each row's objects in the given order."""
    return array[indices]


def _batch_permute_and_drop_indices(
    array: ak.Array,
    random_permute: bool = True,
    drop_rate_min: float = 0,
    drop_rate_max: float = 0,
    min_elements: int = 1,
) -> ak.Array:
    """Random (or sorting) indices of each row's objects; at a random rate of a row's last objects are left out, ``min_elements`` stay."""
    indices = _batch_permute_indices(array) if random_permute else _batch_argsort(array)
    if not drop_rate_min:
        return indices
    if not 0 < drop_rate_min <= drop_rate_max < 1:
        raise DataError(
            f"drop rates {drop_rate_min} and {drop_rate_max}: expected 0 < drop_rate_min <= drop_rate_max < 1"
        )
    counts = ak.to_numpy(ak.num(array))
    rate = _seeded_generator(counts + 1).uniform(drop_rate_min, drop_rate_max, len(counts))
    return indices[
        indices < np.maximum(min_elements, np.round(counts * (1 - rate))).astype(np.int64)
    ]


def _seeded_generator(counts: npt.NDArray[Any]) -> np.random.Generator:
    return np.random.default_rng(np.asarray(counts, np.uint32))


def _p4_from_pxpypze(px: Any, py: Any, pz: Any, energy: Any) -> ak.Array:
    """Four-momenta from Cartesian components."""
    return make_momentum(px=px, py=py, pz=pz, energy=energy)


def _p4_from_ptetaphie(pt: Any, eta: Any, phi: Any, energy: Any) -> ak.Array:
    """Four-momenta from transverse momentum, pseudorapidity, azimuth and energy."""
    return make_momentum(pt=pt, eta=eta, phi=phi, energy=energy)


def _p4_from_ptetaphim(pt: Any, eta: Any, phi: Any, mass: Any) -> ak.Array:
    """Four-momenta from transverse momentum, pseudorapidity, azimuth and mass."""
    return make_momentum(pt=pt, eta=eta, phi=phi, mass=mass)


BUILTINS: dict[str, Callable[..., Any]] = {
    "len": len,
    "abs": np.absolute,
    "min": min,
    "max": max,
    "sum": sum,
    "round": np.round,
}
"""Builtins by name; ``abs`` and ``round`` act on every value (and ``round(1, -10**9)`` cannot hang)."""

HELPERS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(
            _hash,
            _concat,
            _stack,
            _pad,
            _repeat_pad,
            _clip,
            _knn,
            _batch_knn,
            _batch_permute_indices,
            _batch_argsort,
            _batch_gather,
        ),
        *(
            _batch_permute_and_drop_indices,
            _p4_from_pxpypze,
            _p4_from_ptetaphie,
            _p4_from_ptetaphim,
        ),
    )
}
"""Helpers that public configurations call, under their names there."""

FUNCTIONS: Mapping[str, Callable[..., Any]] = BUILTINS | HELPERS
"""All functions that are called by their bare name."""


@lru_cache
def load_custom_functions(path: str) -> dict[str, Callable[..., Any]]:
    """The functions of a user's python file, by name. Errors inside that file pass through as they are.

    :raises ConfigError: there is no such file, or it holds no function.
    """
    if not Path(path).is_file():
        raise ConfigError(f"--custom-functions {path}: no such file")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--custom-functions {path}: not a python file")
    module = importlib.util.module_from_spec(spec)
    with weaver_names(path):
        spec.loader.exec_module(module)
    members = vars(module).items()
    found: dict[str, Callable[..., Any]] = {
        name: value
        for name, value in members
        if inspect.isfunction(value) and not name.startswith("__")
    }
    if not found:
        raise ConfigError(f"--custom-functions {path}: holds no function")
    return found


def known_functions(custom: str | None) -> Mapping[str, Callable[..., Any]]:
    """What can be called by its bare name, with the functions of the file ``custom`` where one is given."""
    return FUNCTIONS if custom is None else {**FUNCTIONS, **load_custom_functions(custom)}
