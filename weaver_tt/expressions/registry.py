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

from weaver_tt.expressions import helpers, methods, momentum, signed
from weaver_tt.expressions.graph_functions import form_of
from weaver_tt.expressions.graph_values import FunctionForm
from weaver_tt.expressions.row_rules import (
    AlongAxis,
    ByValue,
    ConstantsOnly,
    EachRow,
    IntoRows,
    ListsOnly,
    Lookup,
    RowRule,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, a constant or a type, and all that is known of it.

    ``names``: as expressions write it: ``np.exp`` and ``numpy.exp``, ``_pad``, ``x.sum()`` for a
    method of columns, ``x.counts`` for an attribute, ``p4.deltaR()`` and ``p4.pt`` for
    four-momenta.
    ``value``: what runs; or the constant or type itself.
    ``doc``: its line in the docs; neighbours with the same line share a row of the table.
    ``rows``: how it keeps the rows of the table apart; None for constants, which have none.
    ``flat``: where each value of the result depends only on the values at the same place, what
    computes it on flat arrays, as fast as numpy; None for all others.
    ``graph``: how a graph of ONNX computes it of raw columns; None where it does not (see
    :mod:`weaver_tt.expressions.graph_form`).
    ``tensor``: the function of torch that computes the same of float tensors, where expressions
    that are computed inside a network may call it (see :mod:`weaver_tt.expressions.tensor_form`).
    """

    names: tuple[str, ...]
    value: Any
    doc: str
    rows: RowRule | None
    flat: Callable[..., Any] | None = None
    graph: FunctionForm | None = None
    tensor: str | None = None

    @property
    def is_elementwise(self) -> bool:
        """Whether it acts value by value, and so costs on jagged columns what numpy costs."""
        return self.flat is not None


_entries: list[Function] = []


def _add(
    *names: str,
    value: Any,
    doc: str,
    rows: RowRule | None,
    flat: Callable[..., Any] | None = None,
    tensor: str | None = None,
) -> None:
    """Add one entry; see ``Function`` for what it consists of."""
    entry = Function(
        names=names,
        value=value,
        doc=doc,
        rows=rows,
        flat=flat,
        graph=form_of(value),
        tensor=tensor,
    )
    _entries.append(entry)


def _add_members(
    module: Any,
    prefixes: tuple[str, ...],
    doc: str,
    rows: RowRule | None,
    members: str,
    is_flat: bool = False,
) -> None:
    """Add members of a module as they are; names that an older release lacks are left out.

    ``prefixes`` are the module's names in expressions. ``members`` are names, or ``name:function``
    with the function of torch. With ``is_flat`` they compute flat arrays too, value by value.
    """
    for text in members.split():
        name, _, tensor = text.partition(":")
        if not hasattr(module, name):
            continue
        value = getattr(module, name)
        _add(
            *(f"{prefix}.{name}" for prefix in prefixes),
            value=value,
            doc=doc,
            rows=rows,
            flat=value if is_flat else None,
            tensor=tensor or None,
        )


_numpy = partial(_add_members, np, ("np", "numpy"))
_awkward = partial(_add_members, ak, ("ak", "awkward"))
_math = partial(_add_members, math, ("math",))


def _by_value(doc: str, members: str) -> None:
    """Functions of numpy that act value by value in all of their arguments."""
    _numpy(doc, ByValue(), members, is_flat=True)


def _astype(content: Any, to: Any) -> Any:
    return content.astype(to)


# Functions of numpy: value by value

_by_value(
    "arithmetic, as with the operators",
    """add subtract multiply divide true_divide floor_divide power
    float_power positive negative reciprocal square""",
)
_by_value(
    "remainders, integer and fractional parts", "remainder mod fmod divmod modf frexp gcd lcm"
)
_by_value(
    "exponentials, logarithms, roots",
    """exp:exp exp2 expm1 log:log log2 log10 log1p logaddexp logaddexp2 sqrt cbrt
    hypot""",
)
_by_value(
    "trigonometric functions; radians and degrees",
    """sin cos tan arcsin arccos arctan arctan2
    deg2rad radians rad2deg degrees""",
)
_by_value(
    "hyperbolic functions",
    "sinh cosh tanh arcsinh arccosh arctanh",
)
_by_value("absolute value and sign", "abs absolute fabs sign signbit copysign heaviside")
_by_value("rounding", "ceil floor rint trunc")
# numpy deprecates it for trunc, which does the same
_add("np.fix", "numpy.fix", value=np.trunc, doc="rounding", rows=ByValue(), flat=np.trunc)
_by_value("rounding to a number of decimals", "around round")
_by_value("the larger or smaller of two values", "maximum minimum fmax fmin")
_by_value(
    "comparisons",
    """equal not_equal less less_equal greater
    greater_equal""",
)
_by_value("whether values are close", "isclose")
_by_value("whether values are finite", "isfinite isinf isnan isneginf isposinf")
_by_value(
    "logical and bitwise operations",
    """logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
    bitwise_not invert left_shift right_shift""",
)
_by_value("spacing of floating-point numbers", "nextafter spacing")
_add(
    "np.clip",
    "numpy.clip",
    value=helpers.clip,
    doc="values limited to a range",
    rows=ByValue(),
    flat=np.clip,
    tensor="clamp",
)
_numpy(
    "one of two values: `np.where(condition, yes, no)`",
    ByValue(least=3),
    "where:where",
    is_flat=True,
)
_numpy(
    "numbers in place of non-finite values",
    ByValue(("x", "nan", "posinf", "neginf")),
    "nan_to_num",
    is_flat=True,
)
_by_value("constants in the shape of a column", "ones_like zeros_like full_like")
_by_value("further functions of each value", "angle real sinc")
_by_value(
    "types",
    "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_",
)
_numpy("the bin of each value", ByValue(("x",)), "digitize")
_numpy("the place of each value in a sorted list", ByValue(("v",)), "searchsorted")
_numpy("interpolation between the points of two lists", ByValue(("x",)), "interp")
_numpy("membership in a list", ByValue(("element",)), "isin")

# Functions of numpy: on whole arrays

_numpy("one of several values", EachRow(lists=("condlist", "choicelist"), matching=True), "select")
_numpy("angles without jumps of 2 pi along an axis", AlongAxis(), "unwrap")
_numpy("sums and products", AlongAxis(), "sum prod cumsum cumprod nansum nanprod nancumsum")
_numpy("the last axis with a list of numbers", AlongAxis((), -1, constants=("b",)), "dot")
_numpy(
    "products of vectors along the last axis",
    EachRow(axes=2, refused=("axisa", "axisb", "axisc", "axis"), matching=True),
    "cross",
)
_numpy(
    "means, spreads, quantiles",
    AlongAxis(matching=True),
    "mean average median std var nanmean nanmedian nanstd nanvar",
)
_numpy(
    "means, spreads, quantiles",
    AlongAxis(constants=("q",)),
    "percentile quantile nanpercentile nanquantile",
)
_numpy(
    "minima and maxima, their positions, sorting",
    AlongAxis(),
    "max min amax amin ptp argmax argmin nanmax nanmin nanargmax nanargmin sort",
)
_add(
    "np.argsort",
    "numpy.argsort",
    value=helpers.stable_argsort,
    doc="minima and maxima, their positions, sorting",
    rows=AlongAxis(),
)
_numpy("tests over many values", AlongAxis(), "all any count_nonzero")
_numpy("joining columns", AlongAxis(joins=True), "concatenate")
_numpy("joining columns", EachRow(axes=2, lists=("tup",)), "hstack")
_numpy(
    "columns side by side: `np.stack([x, y], axis=1)`",
    AlongAxis(joins=True, adds_axis=True),
    "stack",
)
_numpy("columns side by side: `np.stack([x, y], axis=1)`", EachRow(lists=("tup",)), "column_stack")
_numpy("reshaping", AlongAxis(adds_axis=True), "expand_dims")
_numpy("reshaping", AlongAxis(), "squeeze")
_numpy("reshaping", EachRow(refused=("order",)), "reshape")
_numpy("reshaping", AlongAxis(("source", "destination")), "moveaxis")
_numpy("reshaping", AlongAxis(("axis1", "axis2")), "swapaxes")
_numpy("entries of each row, or of a list of numbers", Lookup(), "take")
_numpy("entries of each row, or of a list of numbers", AlongAxis(matching=True), "take_along_axis")
_numpy(
    "what would compare rows",
    ConstantsOnly("what it gives depends on all rows"),
    "corrcoef allclose array_equal",
)
_numpy(
    "what would mix axes and rows",
    ConstantsOnly("write np.stack([x, y], axis=1) or np.swapaxes(x, 1, 2)"),
    "vstack transpose",
)
_numpy("constants", None, "pi e inf nan euler_gamma newaxis")

# Functions of awkward


def _in_jagged_array(name: str) -> tuple[str, ...]:
    """Names of a function that old data YAMLs know as ``awkward.JaggedArray.NAME`` too."""
    prefixes = ("ak", "awkward", "ak.JaggedArray", "awkward.JaggedArray")
    return tuple(f"{prefix}.{name}" for prefix in prefixes)


_add(
    *("ak.where", "awkward.where"),
    value=ak.where,
    doc="one of two values: `ak.where(condition, yes, no)`",
    rows=ByValue(least=3),
    flat=np.where,
    tensor="where",
)
_add(
    *("ak.nan_to_num", "awkward.nan_to_num"),
    value=ak.nan_to_num,
    doc="numbers in place of non-finite values",
    rows=ByValue(("array", "nan", "posinf", "neginf")),
    flat=np.nan_to_num,
)
_add(
    *_in_jagged_array("ones_like"),
    value=ak.ones_like,
    doc="constants in the shape of a column",
    rows=ByValue(),
    flat=np.ones_like,
)
_add(
    *_in_jagged_array("zeros_like"),
    value=ak.zeros_like,
    doc="constants in the shape of a column",
    rows=ByValue(),
    flat=np.zeros_like,
)
_add(
    *("ak.values_astype", "awkward.values_astype"),
    value=ak.values_astype,
    doc="values of another type: `ak.values_astype(x, 'float32')`",
    rows=ByValue(),
    flat=_astype,
)
_awkward("further functions of each value", ByValue(("a", "b")), "isclose")
_awkward("further functions of each value", ByValue(), "full_like is_none nan_to_none")
_awkward("missing values", ByValue(("array",)), "fill_none")
_awkward("missing values", ByValue(), "mask")
_add(
    *_in_jagged_array("zip"),
    value=ak.zip,
    doc="columns combined as the fields of a record",
    rows=EachRow(lists=("arrays",)),
)
_add(
    *_in_jagged_array("concatenate"),
    value=ak.concatenate,
    doc="the objects of each row one after another: `ak.concatenate([x, y], axis=1)`",
    rows=AlongAxis(joins=True),
)
_add(
    *("ak.JaggedArray.fromcounts", "awkward.JaggedArray.fromcounts"),
    value=methods.fromcounts,
    doc="`fromcounts(x.counts, ak.flatten(y))`: content divided into rows",
    rows=IntoRows("content"),
)
_add(
    *("ak.pad_none", "awkward.pad_none"),
    value=methods.pad_none,
    doc="rows padded with missing values",
    rows=AlongAxis(),
)
_awkward("number of objects in each row", AlongAxis(), "num count count_nonzero")
_awkward("sums and products", AlongAxis(), "sum prod nansum nanprod")
_awkward(
    "means and spreads",
    AlongAxis(),
    "mean std var moment covar corr nanmean nanstd nanvar softmax",
)
_awkward(
    "minima and maxima, their positions, sorting",
    AlongAxis(),
    "max min ptp argmax argmin nanmax nanmin nanargmax nanargmin sort argsort",
)
_awkward("tests over many values", AlongAxis(), "all any")
_awkward("the first object of each row, or a missing value", AlongAxis(), "firsts")
_awkward(
    "each row without its missing values, or as a list of one", EachRow(), "drop_none singletons"
)
_awkward(
    "combinations of objects within each row",
    AlongAxis(joins=True),
    "cartesian argcartesian",
)
_awkward("combinations of objects within each row", AlongAxis(), "combinations argcombinations")
_awkward("places of objects in their row", AlongAxis(), "local_index")
_awkward("lengths of runs of equal objects in each row", EachRow(axes=2), "run_lengths")
_awkward("lists inside of rows joined", AlongAxis(least=2), "flatten")
_awkward(
    "lists divided: `ak.unflatten(ak.flatten(x), ak.num(x))`, or inside of rows with `axis=1`",
    IntoRows("array"),
    "unflatten",
)
_awkward(
    "the same in another layout",
    EachRow(),
    "broadcast_arrays from_regular to_regular to_packed to_numpy",
)
_awkward("records", EachRow(), "unzip with_field")
_awkward(
    "what would compare or join rows",
    ConstantsOnly("what it gives depends on all rows"),
    "almost_equal ravel",
)

# Functions of Python's math

_math(
    "functions of one number, not of columns",
    ConstantsOnly("the function of np with that name acts on columns"),
    """acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees erf erfc exp
    exp2 expm1 fabs floor fmod gamma hypot isclose isfinite isinf isnan ldexp lgamma log log10
    log1p log2 pow radians sin sinh sqrt tan tanh trunc""",
)
_math("constants", None, "pi e inf nan tau")

# Python's own functions; numpy's for some, so that they act on every value,
# and so that `round(1, -10**9)` cannot hang

_add(
    "abs",
    value=np.absolute,
    doc="absolute value of each value",
    rows=ByValue(),
    flat=np.absolute,
)
_add("round", value=np.round, doc="each value rounded", rows=ByValue(), flat=np.round)
_add("len", value=len, doc="length of a list", rows=ListsOnly())
_add("sum", value=sum, doc="of a list of numbers or columns", rows=ListsOnly())
_EXTREMA = ConstantsOnly(
    "write np.minimum(x, y) or np.maximum(x, y) for the smaller or larger of two values, "
    "x.min() or x.max() for that of the objects of each row"
)
_add("min", value=min, doc="of a list of numbers, or of several numbers", rows=_EXTREMA)
_add("max", value=max, doc="of a list of numbers, or of several numbers", rows=_EXTREMA)

# Helpers that public configurations for Weaver call, under their names there

_add(
    "_hash",
    value=helpers._hash,
    doc="an integer for each row, the same for equal rows: `_hash(run, event) % 10 < 8`",
    rows=EachRow(),
)
_add(
    "_concat",
    value=helpers._concat,
    doc="the objects of each row one after another: `_concat([x, y], axis=1)`",
    rows=AlongAxis(joins=True),
)
_add(
    "_stack",
    value=helpers._stack,
    doc="columns side by side along a new axis",
    rows=AlongAxis(joins=True, adds_axis=True),
)
_add(
    "_tree_mask",
    value=helpers._tree_mask,
    doc="1 for each node of a tree, given the places of mothers, which come before their daughters",
    rows=EachRow(axes=2),
)
_add(
    "_pad",
    value=helpers._pad,
    doc="the first `maxlen` objects of each row, padded with `value`",
    rows=EachRow(),
)
_add(
    "_repeat_pad",
    value=helpers._repeat_pad,
    doc="the objects of each row repeated up to `maxlen`; zeros for rows without objects",
    rows=EachRow(),
)
_add(
    "_reindex",
    value=helpers._reindex,
    doc="places in the file -> places among the objects that are left, -1 where there is none: "
    "`_reindex(JetPFCands_jetIdx, jets_original_index)`",
    rows=EachRow(),
)
_add(
    "_clip",
    value=helpers._clip,
    doc="values limited to a range",
    rows=ByValue(),
    flat=np.clip,
    tensor="clamp",
)
_add(
    "_knn",
    value=helpers._knn,
    doc="indices of the `k` points of `support` nearest to each of `query`; for own functions",
    rows=ConstantsOnly("it would look for neighbours among the rows; write _batch_knn"),
)
_add(
    "_batch_knn",
    value=helpers._batch_knn,
    doc="the same row by row, padded",
    rows=EachRow(axes=3),
)
_add(
    "_batch_permute_indices",
    value=helpers._batch_permute_indices,
    doc="a random order of each row, the same every time for rows of the same content",
    rows=EachRow(axes=2),
)
_add(
    "_batch_argsort",
    value=helpers._batch_argsort,
    doc="the order that sorts each row, smallest first",
    rows=EachRow(axes=2),
)
_add(
    "_batch_gather",
    value=helpers._batch_gather,
    doc="each row in a given order",
    rows=EachRow(axes=2),
)
_add(
    "_batch_permute_and_drop_indices",
    value=helpers._batch_permute_and_drop_indices,
    doc="such an order that leaves out a random share",
    rows=EachRow(axes=2),
)
FOUR_MOMENTA = "four-momenta; they add up with `+`"
_add("_p4_from_pxpypze", value=helpers._p4_from_pxpypze, doc=FOUR_MOMENTA, rows=ByValue())
_add("_p4_from_ptetaphie", value=helpers._p4_from_ptetaphie, doc=FOUR_MOMENTA, rows=ByValue())
_add("_p4_from_ptetaphim", value=helpers._p4_from_ptetaphim, doc=FOUR_MOMENTA, rows=ByValue())

# What may follow the dot of a column


def _reduction(name: str, doc: str) -> None:
    function = partial(methods.reduce_objects, getattr(ak, name))
    _add(f"x.{name}()", value=function, doc=doc, rows=AlongAxis())


def _extremum(name: str) -> None:
    function = partial(methods.find_extremum, getattr(ak, name))
    doc = "index of the smallest or largest object of each row"
    _add(f"x.{name}()", value=function, doc=doc, rows=AlongAxis(none_means=-1))


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
    rows=EachRow(axes=2),
)
_add(
    "x.fillna()",
    value=ak.fill_none,
    doc="`x.fillna(value)`: a value in place of missing ones",
    rows=ByValue(("array",)),
)
_add(
    "x.astype()",
    value=ak.values_astype,
    doc="values of another type: `x.astype('float32')`",
    rows=ByValue(),
    flat=_astype,
)
_add(
    "x.counts",
    value=methods.counts,
    doc="number of objects in each row",
    rows=EachRow(axes=2),
)

# What may follow the dot of four-momenta


def _coordinate(doc: str, name: str, *aliases: str) -> None:
    names = (f"p4.{spelling}" for spelling in (name, *aliases))
    _add(*names, value=partial(momentum.coordinate, name=name), doc=doc, rows=ByValue())


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
_add("p4.deltaR()", value=momentum.momentum_delta_r, doc="distance in (eta, phi)", rows=ByValue())
_add(
    "p4.deltaphi()",
    value=momentum.momentum_delta_phi,
    doc="difference of azimuths, within [-pi, pi)",
    rows=ByValue(),
)
_add(
    "p4.deltaeta()",
    value=momentum.momentum_delta_eta,
    doc="difference of pseudorapidities",
    rows=ByValue(),
)

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
    **{entry.value: entry.flat for entry in REGISTRY if entry.flat is not None},
    np.subtract: signed.subtract,
    np.negative: signed.negative,
}
"""Function that acts value by value -> what computes it on flat arrays."""

ROW_RULES: Mapping[Callable[..., Any], RowRule] = {
    entry.value: entry.rows for entry in REGISTRY if entry.rows is not None
}
"""Function -> how it keeps rows apart. The user's own functions have no rule."""
