"""Everything that an expression may call or name, each with all that is known of it, in one place.

To add a function, add one entry below, then run
``python -m weaver_tt.expressions.docs_table docs/data-yaml.md`` to renew the table in the docs.

Left out on purpose are functions that touch files or memory (``load``, ``memmap``,
``from_parquet``), that call back (``vectorize``, ``apply_along_axis``, ``piecewise``), and that
make large arrays out of small arguments (``arange``, ``tile``, ``factorial``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.expressions import helpers, methods, momentum


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, a constant or a type, and all that is known of it.

    ``names``: as expressions write it: ``np.exp`` and ``numpy.exp``, ``_pad``, ``x.sum()`` for a
    method of columns, ``x.counts`` for an attribute, ``p4.deltaR()`` and ``p4.pt`` for
    four-momenta.
    ``value``: what runs; or the constant or type itself.
    ``doc``: its line in the docs; neighbours with the same line share a row of the table.
    ``flat``: where each value of the result depends only on the values at the same place, what
    computes it on flat arrays, as fast as numpy; None for all others.
    ``onnx``: the operator of ONNX that computes the same of float tensors, where there is one.
    """

    names: tuple[str, ...]
    value: Any
    doc: str
    flat: Callable[..., Any] | None = None
    onnx: str | None = None

    @property
    def is_elementwise(self) -> bool:
        """Whether it acts value by value, and so costs on jagged columns what numpy costs."""
        return self.flat is not None


_entries: list[Function] = []


def _add(
    *names: str,
    value: Any,
    doc: str,
    flat: Callable[..., Any] | None = None,
    onnx: str | None = None,
) -> None:
    """Add one entry; see ``Function`` for what it consists of."""
    _entries.append(Function(names=names, value=value, doc=doc, flat=flat, onnx=onnx))


def _add_members(
    module: Any, prefixes: tuple[str, ...], doc: str, members: str, is_elementwise: bool = False
) -> None:
    """Add members of a module as they are; names that an older release lacks are left out.

    ``prefixes`` are the module's names in expressions. ``members`` are names, or ``name:Operator``
    with the operator of ONNX. Ufuncs act value by value in any case, other functions where
    ``is_elementwise`` says so.
    """
    for text in members.split():
        name, _, operator = text.partition(":")
        if not hasattr(module, name):
            continue
        value = getattr(module, name)
        acts_by_value = is_elementwise or isinstance(value, np.ufunc)
        _add(
            *(f"{prefix}.{name}" for prefix in prefixes),
            value=value,
            doc=doc,
            flat=value if acts_by_value else None,
            onnx=operator or None,
        )


_numpy = partial(_add_members, np, ("np", "numpy"))
_awkward = partial(_add_members, ak, ("ak", "awkward"))
_math = partial(_add_members, math, ("math",))


def _astype(content: Any, to: Any) -> Any:
    return content.astype(to)


# Functions of numpy: value by value

_numpy(
    "arithmetic, as with the operators",
    """add:Add subtract:Sub multiply:Mul divide:Div true_divide:Div floor_divide power:Pow
    float_power positive:Identity negative:Neg reciprocal:Reciprocal square""",
)
_numpy("remainders, integer and fractional parts", "remainder mod fmod divmod modf frexp gcd lcm")
_numpy(
    "exponentials, logarithms, roots",
    "exp:Exp exp2 expm1 log:Log log2 log10 log1p logaddexp logaddexp2 sqrt:Sqrt cbrt hypot",
)
_numpy(
    "trigonometric functions; radians and degrees",
    """sin:Sin cos:Cos tan:Tan arcsin:Asin arccos:Acos arctan:Atan arctan2
    deg2rad radians rad2deg degrees""",
)
_numpy(
    "hyperbolic functions",
    "sinh:Sinh cosh:Cosh tanh:Tanh arcsinh:Asinh arccosh:Acosh arctanh:Atanh",
)
_numpy(
    "absolute value and sign", "abs:Abs absolute:Abs fabs:Abs sign:Sign signbit copysign heaviside"
)
_numpy("rounding", "ceil:Ceil floor:Floor rint:Round trunc")
_numpy("rounding to a number of decimals", "around round", is_elementwise=True)
_numpy("the larger or smaller of two values", "maximum:Max minimum:Min fmax fmin")
_numpy(
    "comparisons",
    """equal:Equal not_equal less:Less less_equal:LessOrEqual greater:Greater
    greater_equal:GreaterOrEqual""",
)
_numpy("whether values are close", "isclose", is_elementwise=True)
_numpy("whether values are finite", "isfinite isinf:IsInf isnan:IsNaN")
_numpy(
    "logical and bitwise operations",
    """logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
    bitwise_not invert left_shift right_shift""",
)
_numpy("spacing of floating-point numbers", "nextafter spacing")
_numpy("values limited to a range", "clip", is_elementwise=True)
_numpy("one of two values: `np.where(condition, yes, no)`", "where:Where", is_elementwise=True)
_numpy("numbers in place of non-finite values", "nan_to_num", is_elementwise=True)
_numpy("constants in the shape of a column", "ones_like zeros_like full_like", is_elementwise=True)

# Functions of numpy: on whole arrays

_numpy("further functions of each value", "angle fix isneginf isposinf real sinc")
_numpy("bins, interpolation", "digitize searchsorted interp")
_numpy("membership in a list; one of several values", "isin select")
_numpy("angles without jumps of 2 pi along an axis", "unwrap")
_numpy("sums and products", "sum prod cumsum cumprod nansum nanprod nancumsum dot cross")
_numpy(
    "means, spreads, quantiles",
    """mean average median std var percentile quantile nanmean nanmedian nanstd nanvar
    nanpercentile nanquantile corrcoef""",
)
_numpy(
    "minima and maxima, their positions, sorting",
    "max min amax amin ptp argmax argmin nanmax nanmin nanargmax nanargmin sort argsort",
)
_numpy("tests over many values", "all any allclose array_equal count_nonzero")
_numpy(
    "joining, reshaping, selecting",
    """concatenate stack hstack vstack column_stack expand_dims squeeze reshape transpose
    moveaxis swapaxes take take_along_axis""",
)
_numpy(
    "types",
    "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_",
)
_numpy("constants", "pi e inf nan euler_gamma newaxis")

# Functions of awkward


def _in_jagged_array(name: str) -> tuple[str, ...]:
    """Names of a function that old data YAMLs know as ``awkward.JaggedArray.NAME`` too."""
    prefixes = ("ak", "awkward", "ak.JaggedArray", "awkward.JaggedArray")
    return tuple(f"{prefix}.{name}" for prefix in prefixes)


_add(
    *("ak.where", "awkward.where"),
    value=ak.where,
    doc="one of two values: `ak.where(condition, yes, no)`",
    flat=np.where,
    onnx="Where",
)
_add(
    *("ak.nan_to_num", "awkward.nan_to_num"),
    value=ak.nan_to_num,
    doc="numbers in place of non-finite values",
    flat=np.nan_to_num,
)
_add(
    *_in_jagged_array("ones_like"),
    value=ak.ones_like,
    doc="constants in the shape of a column",
    flat=np.ones_like,
)
_add(
    *_in_jagged_array("zeros_like"),
    value=ak.zeros_like,
    doc="constants in the shape of a column",
    flat=np.zeros_like,
)
_add(
    *("ak.values_astype", "awkward.values_astype"),
    value=ak.values_astype,
    doc="values of another type: `ak.values_astype(x, 'float32')`",
    flat=_astype,
)
_add(
    *_in_jagged_array("zip"),
    value=ak.zip,
    doc="columns combined as the fields of a record",
)
_add(
    *_in_jagged_array("concatenate"),
    value=ak.concatenate,
    doc="arrays one after another, or the objects of each row",
)
_add(
    *("ak.JaggedArray.fromcounts", "awkward.JaggedArray.fromcounts"),
    value=methods.fromcounts,
    doc="`fromcounts(counts, content)`: content divided into rows",
)
_add(
    *("ak.pad_none", "awkward.pad_none"),
    value=methods.pad_none,
    doc="rows padded with missing values",
)
_awkward("number of objects in each row", "num count count_nonzero")
_awkward("sums and products", "sum prod nansum nanprod")
_awkward("means and spreads", "mean std var moment covar corr nanmean nanstd nanvar softmax")
_awkward(
    "minima and maxima, their positions, sorting",
    "max min ptp argmax argmin nanmax nanmin nanargmax nanargmin sort argsort",
)
_awkward("tests over many values", "all any almost_equal")
_awkward("further functions of each value", "isclose full_like is_none nan_to_none")
_awkward("missing values", "fill_none drop_none mask singletons firsts")
_awkward(
    "combinations of objects within each row", "cartesian argcartesian combinations argcombinations"
)
_awkward(
    "joining, reshaping, selecting",
    """broadcast_arrays flatten ravel unflatten local_index run_lengths from_regular to_regular
    to_packed to_numpy""",
)
_awkward("records", "unzip with_field")

# Functions of Python's math

_math(
    "functions of one number, not of columns",
    """acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees erf erfc exp
    exp2 expm1 fabs floor fmod gamma hypot isclose isfinite isinf isnan ldexp lgamma log log10
    log1p log2 pow radians sin sinh sqrt tan tanh trunc""",
)
_math("constants", "pi e inf nan tau")

# Python's own functions; numpy's for some, so that they act on every value,
# and so that `round(1, -10**9)` cannot hang

_add("abs", value=np.absolute, doc="absolute value of each value", flat=np.absolute, onnx="Abs")
_add("round", value=np.round, doc="each value rounded", flat=np.round)
_add("len", value=len, doc="length of a list")
_add("min", value=min, doc="of a list, or of several numbers")
_add("max", value=max, doc="of a list, or of several numbers")
_add("sum", value=sum, doc="of a list")

# Helpers that public configurations for Weaver call, under their names there

_add(
    "_hash",
    value=helpers._hash,
    doc="an integer for each row, the same for equal rows: `_hash(run, event) % 10 < 8`",
)
_add("_concat", value=helpers._concat, doc="arrays one after another")
_add("_stack", value=helpers._stack, doc="arrays side by side along a new axis")
_add(
    "_pad",
    value=helpers._pad,
    doc="the first `maxlen` objects of each row, padded with `value`",
)
_add(
    "_repeat_pad",
    value=helpers._repeat_pad,
    doc="the objects of each row repeated up to `maxlen`; zeros for rows without objects",
)
_add(
    "_reindex",
    value=helpers._reindex,
    doc="places in the file -> places among the objects that are left, -1 where there is none: "
    "`_reindex(JetPFCands_jetIdx, jets_original_index)`",
)
_add("_clip", value=helpers._clip, doc="values limited to a range", flat=np.clip)
_add(
    "_knn",
    value=helpers._knn,
    doc="indices of the `k` points of `support` nearest to each of `query`",
)
_add("_batch_knn", value=helpers._batch_knn, doc="the same row by row, padded")
_add(
    "_batch_permute_indices",
    value=helpers._batch_permute_indices,
    doc="a random order of each row, the same every time for rows of the same sizes",
)
_add(
    "_batch_argsort",
    value=helpers._batch_argsort,
    doc="the order that sorts each row, smallest first",
)
_add("_batch_gather", value=helpers._batch_gather, doc="each row in a given order")
_add(
    "_batch_permute_and_drop_indices",
    value=helpers._batch_permute_and_drop_indices,
    doc="such an order that leaves out a random share",
)
FOUR_MOMENTA = "four-momenta; they add up with `+`"
_add("_p4_from_pxpypze", value=helpers._p4_from_pxpypze, doc=FOUR_MOMENTA)
_add("_p4_from_ptetaphie", value=helpers._p4_from_ptetaphie, doc=FOUR_MOMENTA)
_add("_p4_from_ptetaphim", value=helpers._p4_from_ptetaphim, doc=FOUR_MOMENTA)

# What may follow the dot of a column


def _reduction(name: str, doc: str) -> None:
    _add(f"x.{name}()", value=partial(methods.reduce_objects, getattr(ak, name)), doc=doc)


def _extremum(name: str) -> None:
    _add(
        f"x.{name}()",
        value=partial(methods.find_extremum, getattr(ak, name)),
        doc="index of the smallest or largest object of each row",
    )


_reduction("sum", "sum or product over the objects of each row")
_reduction("prod", "sum or product over the objects of each row")
_reduction("min", "minimum or maximum over the objects of each row")
_reduction("max", "minimum or maximum over the objects of each row")
_reduction("mean", "mean or standard deviation over the objects of each row")
_reduction("std", "mean or standard deviation over the objects of each row")
_reduction("any", "whether any or all objects of each row are true")
_reduction("all", "whether any or all objects of each row are true")
_extremum("argmin")
_extremum("argmax")
_add(
    "x.pad()",
    value=methods.pad,
    doc="rows padded to `length` with missing values; with `clip=True` also truncated",
)
_add("x.fillna()", value=ak.fill_none, doc="`x.fillna(value)`: a value in place of missing ones")
_add(
    "x.astype()",
    value=ak.values_astype,
    doc="values of another type: `x.astype('float32')`",
    flat=_astype,
)
_add("x.counts", value=methods.counts, doc="number of objects in each row")

# What may follow the dot of four-momenta


def _coordinate(doc: str, name: str, *aliases: str) -> None:
    names = (f"p4.{spelling}" for spelling in (name, *aliases))
    _add(*names, value=partial(momentum.coordinate, name=name), doc=doc)


_coordinate("Cartesian momentum", "px", "x")
_coordinate("Cartesian momentum", "py", "y")
_coordinate("Cartesian momentum", "pz", "z")
_coordinate("transverse momentum", "pt", "rho")
_coordinate("pseudorapidity, azimuth, polar angle", "eta")
_coordinate("pseudorapidity, azimuth, polar angle", "phi")
_coordinate("pseudorapidity, azimuth, polar angle", "theta")
_coordinate("magnitude of the momentum", "p")
_coordinate("energy", "energy", "E", "e", "t")
_coordinate("mass; negative where the square of the mass is", "mass", "m", "M")
_coordinate("transverse mass and energy", "mt")
_coordinate("transverse mass and energy", "et")
_coordinate("rapidity", "rapidity")
_add("p4.deltaR()", value=momentum.momentum_delta_r, doc="distance in (eta, phi)")
_add(
    "p4.deltaphi()",
    value=momentum.momentum_delta_phi,
    doc="difference of azimuths, within [-pi, pi)",
)
_add("p4.deltaeta()", value=momentum.momentum_delta_eta, doc="difference of pseudorapidities")

REGISTRY: tuple[Function, ...] = tuple(_entries)
"""All entries, in the order of the docs."""


def _by_prefix() -> dict[str, dict[str, Any]]:
    """What stands before the last dot of a name -> what stands behind it -> value."""
    tables: dict[str, dict[str, Any]] = {}
    for entry in REGISTRY:
        for name in entry.names:
            prefix, _, last = name.rpartition(".")
            tables.setdefault(prefix, {})[last] = entry.value
    return tables


def _attributes(members: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    return {name: value for name, value in members.items() if not name.endswith("()")}


def _methods(members: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    return {
        name.removesuffix("()"): value for name, value in members.items() if name.endswith("()")
    }


_tables = _by_prefix()

MODULES: Mapping[str, Mapping[str, Any]] = {
    prefix: members for prefix, members in _tables.items() if prefix not in ("", "x", "p4")
}
"""Module as written in an expression -> what may be used of it."""

FUNCTIONS: Mapping[str, Callable[..., Any]] = _tables[""]
"""All functions that are called by their bare name."""

HELPERS: Mapping[str, Callable[..., Any]] = {
    name: value for name, value in FUNCTIONS.items() if name.startswith("_")
}
"""Those of them that are helpers of public configurations."""

METHODS: Mapping[str, Callable[..., Any]] = _methods(_tables["x"])
"""What may be called on a column."""

ATTRIBUTES: Mapping[str, Callable[[Any], Any]] = _attributes(_tables["x"])
"""What a column has."""

MOMENTUM_CALLS: Mapping[str, Callable[..., Any]] = _methods(_tables["p4"])
"""What may be called on four-momenta."""

MOMENTUM_COORDINATES: Mapping[str, Callable[[Any], Any]] = _attributes(_tables["p4"])
"""What four-momenta have."""

ELEMENTWISE: Mapping[Any, Callable[..., Any]] = {
    entry.value: entry.flat for entry in REGISTRY if entry.flat is not None
}
"""Function that acts value by value -> what computes it on flat arrays."""
