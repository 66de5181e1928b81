"""Everything that an expression may call or name, each with all that is known of it, in one place.

To add a function, add one entry to a list below, then run ``python -m weaver_tt.expressions.docs_table``
to renew the table in ``docs/data-yaml.md``.

Left out on purpose are functions that touch files or memory (``load``, ``memmap``, ``from_parquet``),
that call back (``vectorize``, ``apply_along_axis``, ``piecewise``), and that make large arrays out of
small arguments (``arange``, ``tile``, ``factorial``).
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

    ``names``: as expressions write it: ``np.exp`` and ``numpy.exp``, ``_pad``, ``x.sum()`` for a method
    of columns, ``x.counts`` for an attribute, and ``p4.deltaR()``, ``p4.pt`` for four-momenta.
    ``value``: what runs; or the constant or type itself.
    ``doc``: its line in the docs; neighbours with the same line share a row of the table.
    ``flat``: where each value of the result depends on the values at the same place only, what computes
    it on flat arrays, as fast as numpy; None for what needs whole rows, and for anything else.
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


def list_members(
    module: Any, prefixes: tuple[str, ...], doc: str, names: str, is_elementwise: bool = False
) -> list[Function]:
    """Entries for members of a module; names that an older release lacks are left out.

    ``prefixes`` are the module's names in expressions. An entry of ``names`` is a name, or ``name:Operator``
    with the operator of ONNX. Ufuncs act value by value in any case, other functions where
    ``is_elementwise`` says so.
    """
    entries = []
    for text in names.split():
        name, _, operator = text.partition(":")
        if not hasattr(module, name):
            continue
        value = getattr(module, name)
        entries.append(
            Function(
                names=tuple(f"{prefix}.{name}" for prefix in prefixes),
                value=value,
                doc=doc,
                flat=value if is_elementwise or isinstance(value, np.ufunc) else None,
                onnx=operator or None,
            )
        )
    return entries


NUMPY = partial(list_members, np, ("np", "numpy"))
AWKWARD = partial(list_members, ak, ("ak", "awkward"))
MATH = partial(list_members, math, ("math",))


def _astype(content: Any, to: Any) -> Any:
    return content.astype(to)


def _also_in_jagged_array(name: str) -> tuple[str, ...]:
    """The names of an awkward function that old data YAMLs know as ``awkward.JaggedArray.NAME`` too."""
    prefixes = ("ak", "awkward", "ak.JaggedArray", "awkward.JaggedArray")
    return tuple(f"{prefix}.{name}" for prefix in prefixes)


NUMPY_FUNCTIONS: tuple[Function, ...] = (
    *NUMPY(
        "sums, products, quotients, powers, as by the operators",
        """add:Add subtract:Sub multiply:Mul divide:Div true_divide:Div floor_divide power:Pow
        float_power positive:Identity negative:Neg reciprocal:Reciprocal square""",
    ),
    *NUMPY("remainders and whole parts", "remainder mod fmod divmod modf frexp gcd lcm"),
    *NUMPY(
        "exponentials, logarithms, roots",
        """exp:Exp exp2 expm1 log:Log log2 log10 log1p logaddexp logaddexp2 sqrt:Sqrt cbrt hypot""",
    ),
    *NUMPY(
        "trigonometric functions, radians and degrees",
        """sin:Sin cos:Cos tan:Tan arcsin:Asin arccos:Acos arctan:Atan arctan2
        deg2rad radians rad2deg degrees""",
    ),
    *NUMPY(
        "hyperbolic functions",
        "sinh:Sinh cosh:Cosh tanh:Tanh arcsinh:Asinh arccosh:Acosh arctanh:Atanh",
    ),
    *NUMPY("size and sign", "abs:Abs absolute:Abs fabs:Abs sign:Sign signbit copysign heaviside"),
    *NUMPY("rounding", "ceil:Ceil floor:Floor rint:Round trunc"),
    *NUMPY("rounding to decimals", "around round", is_elementwise=True),
    *NUMPY("the larger or smaller of two values", "maximum:Max minimum:Min fmax fmin"),
    *NUMPY(
        "comparisons",
        """equal:Equal not_equal less:Less less_equal:LessOrEqual greater:Greater
        greater_equal:GreaterOrEqual""",
    ),
    *NUMPY("whether values are close", "isclose", is_elementwise=True),
    *NUMPY("whether values are finite", "isfinite isinf:IsInf isnan:IsNaN"),
    *NUMPY(
        "logic of true and false, and of bits",
        """logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
        bitwise_not invert left_shift right_shift""",
    ),
    *NUMPY("neighbouring floating-point numbers", "nextafter spacing"),
    *NUMPY("values limited to a range", "clip", is_elementwise=True),
    *NUMPY("a choice: `np.where(condition, yes, no)`", "where:Where", is_elementwise=True),
    *NUMPY("numbers in place of values that are not finite", "nan_to_num", is_elementwise=True),
    *NUMPY("constants of a column's shape", "ones_like zeros_like full_like", is_elementwise=True),
    *NUMPY("further functions of each value", "angle fix isneginf isposinf real sinc"),
    *NUMPY("bins, interpolation", "digitize searchsorted interp"),
    *NUMPY("membership in a list; a choice among several", "isin select"),
    *NUMPY("angles without jumps of 2 pi along an axis", "unwrap"),
    *NUMPY("sums and products", "sum prod cumsum cumprod nansum nanprod nancumsum dot cross"),
    *NUMPY(
        "means, spreads, quantiles",
        """mean average median std var percentile quantile nanmean nanmedian nanstd nanvar
        nanpercentile nanquantile corrcoef""",
    ),
    *NUMPY(
        "extrema, where they are, and order",
        """max min amax amin ptp argmax argmin nanmax nanmin nanargmax nanargmin sort argsort""",
    ),
    *NUMPY("tests of many values", "all any allclose array_equal count_nonzero"),
    *NUMPY(
        "shapes",
        """concatenate stack hstack vstack column_stack expand_dims squeeze reshape transpose
        moveaxis swapaxes take take_along_axis""",
    ),
    *NUMPY(
        "types",
        "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_",
    ),
    *NUMPY("constants", "pi e inf nan euler_gamma newaxis"),
)
"""Functions of numpy."""

AWKWARD_FUNCTIONS: tuple[Function, ...] = (
    Function(
        names=("ak.where", "awkward.where"),
        value=ak.where,
        doc="a choice: `ak.where(condition, yes, no)`",
        flat=np.where,
        onnx="Where",
    ),
    Function(
        names=("ak.nan_to_num", "awkward.nan_to_num"),
        value=ak.nan_to_num,
        doc="numbers in place of values that are not finite",
        flat=np.nan_to_num,
    ),
    Function(
        names=_also_in_jagged_array("ones_like"),
        value=ak.ones_like,
        doc="constants of a column's shape",
        flat=np.ones_like,
    ),
    Function(
        names=_also_in_jagged_array("zeros_like"),
        value=ak.zeros_like,
        doc="constants of a column's shape",
        flat=np.zeros_like,
    ),
    Function(
        names=("ak.values_astype", "awkward.values_astype"),
        value=ak.values_astype,
        doc="values of another type: `ak.values_astype(x, 'float32')`",
        flat=_astype,
    ),
    Function(
        names=_also_in_jagged_array("zip"),
        value=ak.zip,
        doc="columns together as the fields of a record",
    ),
    Function(
        names=_also_in_jagged_array("concatenate"),
        value=ak.concatenate,
        doc="arrays one after another, or the objects of each row",
    ),
    Function(
        names=("ak.JaggedArray.fromcounts", "awkward.JaggedArray.fromcounts"),
        value=methods.fromcounts,
        doc="`fromcounts(counts, content)`: content divided into rows",
    ),
    Function(
        names=("ak.pad_none", "awkward.pad_none"),
        value=methods.pad_none,
        doc="rows filled up with missing values",
    ),
    *AWKWARD("objects of each row", "num count count_nonzero"),
    *AWKWARD("sums and products", "sum prod nansum nanprod"),
    *AWKWARD(
        "means and spreads",
        "mean std var moment covar corr nanmean nanstd nanvar softmax",
    ),
    *AWKWARD(
        "extrema, where they are, and order",
        "max min ptp argmax argmin nanmax nanmin nanargmax nanargmin sort argsort",
    ),
    *AWKWARD("tests of many values", "all any almost_equal"),
    *AWKWARD("further functions of each value", "isclose full_like is_none nan_to_none"),
    *AWKWARD("missing values", "fill_none drop_none mask singletons firsts"),
    *AWKWARD("combinations of objects", "cartesian argcartesian combinations argcombinations"),
    *AWKWARD(
        "shapes",
        """broadcast_arrays flatten ravel unflatten local_index run_lengths from_regular to_regular
        to_packed to_numpy""",
    ),
    *AWKWARD("records", "unzip with_field"),
)
"""Functions of awkward."""

MATH_FUNCTIONS: tuple[Function, ...] = (
    *MATH(
        "functions of one number, not of columns",
        """acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees erf erfc exp
        exp2 expm1 fabs floor fmod gamma hypot isclose isfinite isinf isnan ldexp lgamma log log10
        log1p log2 pow radians sin sinh sqrt tan tanh trunc""",
    ),
    *MATH("constants", "pi e inf nan tau"),
)
"""Functions of Python's math."""

BUILTIN_FUNCTIONS: tuple[Function, ...] = (
    Function(
        names=("abs",), value=np.absolute, doc="size of each value", flat=np.absolute, onnx="Abs"
    ),
    Function(
        # numpy's, not Python's: `round(1, -10**9)` cannot hang
        names=("round",),
        value=np.round,
        doc="each value rounded",
        flat=np.round,
    ),
    Function(names=("len",), value=len, doc="length of a list"),
    Function(names=("min",), value=min, doc="of a list, or of several numbers"),
    Function(names=("max",), value=max, doc="of a list, or of several numbers"),
    Function(names=("sum",), value=sum, doc="of a list"),
)
"""Python's own."""

HELPER_FUNCTIONS: tuple[Function, ...] = (
    Function(
        names=("_hash",),
        value=helpers._hash,
        doc="a whole number for each row, the same for equal rows: `_hash(run, event) % 10 < 8`",
    ),
    Function(names=("_concat",), value=helpers._concat, doc="arrays one after another"),
    Function(names=("_stack",), value=helpers._stack, doc="arrays side by side along a new axis"),
    Function(
        names=("_pad",),
        value=helpers._pad,
        doc="the first `maxlen` objects of each row, filled up with `value`",
    ),
    Function(
        names=("_repeat_pad",),
        value=helpers._repeat_pad,
        doc="each row's objects over and over up to `maxlen`; zeros without objects",
    ),
    Function(names=("_clip",), value=helpers._clip, doc="values limited to a range", flat=np.clip),
    Function(
        names=("_knn",),
        value=helpers._knn,
        doc="indices of the `k` points of `support` nearest to each of `query`",
    ),
    Function(names=("_batch_knn",), value=helpers._batch_knn, doc="the same row by row, padded"),
    Function(
        names=("_batch_permute_indices",),
        value=helpers._batch_permute_indices,
        doc="a shuffled order of each row, the same every time for rows of the same sizes",
    ),
    Function(
        names=("_batch_argsort",),
        value=helpers._batch_argsort,
        doc="the order that sorts each row, smallest first",
    ),
    Function(
        names=("_batch_gather",), value=helpers._batch_gather, doc="each row in a given order"
    ),
    Function(
        names=("_batch_permute_and_drop_indices",),
        value=helpers._batch_permute_and_drop_indices,
        doc="a shuffled order of each row that leaves out a random share",
    ),
    Function(
        names=("_p4_from_pxpypze",),
        value=helpers._p4_from_pxpypze,
        doc="four-momenta; they add up with `+`",
    ),
    Function(
        names=("_p4_from_ptetaphie",),
        value=helpers._p4_from_ptetaphie,
        doc="four-momenta; they add up with `+`",
    ),
    Function(
        names=("_p4_from_ptetaphim",),
        value=helpers._p4_from_ptetaphim,
        doc="four-momenta; they add up with `+`",
    ),
)
"""Helpers that public configurations for Weaver call, under their names there."""


def _reduction(name: str, doc: str) -> Function:
    return Function(
        names=(f"x.{name}()",),
        value=partial(methods.reduce_objects, getattr(ak, name)),
        doc=doc,
    )


def _extremum(name: str) -> Function:
    return Function(
        names=(f"x.{name}()",),
        value=partial(methods.find_extremum, getattr(ak, name)),
        doc="where the smallest or largest object of each row is, to index with",
    )


COLUMN_METHODS: tuple[Function, ...] = (
    _reduction("sum", "sum or product of each row's objects"),
    _reduction("prod", "sum or product of each row's objects"),
    _reduction("min", "smallest or largest of each row's objects"),
    _reduction("max", "smallest or largest of each row's objects"),
    _reduction("mean", "mean or standard deviation of each row's objects"),
    _reduction("std", "mean or standard deviation of each row's objects"),
    _reduction("any", "whether any or all of each row's objects are true"),
    _reduction("all", "whether any or all of each row's objects are true"),
    _extremum("argmin"),
    _extremum("argmax"),
    Function(
        names=("x.pad()",),
        value=methods.pad,
        doc="rows filled up to `length` with missing values; with `clip=True` cut there too",
    ),
    Function(
        names=("x.fillna()",),
        value=ak.fill_none,
        doc="`x.fillna(value)`: a value in place of missing ones",
    ),
    Function(
        names=("x.astype()",),
        value=ak.values_astype,
        doc="values of another type: `x.astype('float32')`",
        flat=_astype,
    ),
    Function(names=("x.counts",), value=methods.counts, doc="number of objects of each row"),
)
"""What may follow the dot of a column."""


def _coordinate(doc: str, name: str, *aliases: str) -> Function:
    return Function(
        names=tuple(f"p4.{spelling}" for spelling in (name, *aliases)),
        value=partial(momentum.coordinate, name=name),
        doc=doc,
    )


MOMENTUM_METHODS: tuple[Function, ...] = (
    _coordinate("Cartesian momentum", "px", "x"),
    _coordinate("Cartesian momentum", "py", "y"),
    _coordinate("Cartesian momentum", "pz", "z"),
    _coordinate("transverse momentum", "pt", "rho"),
    _coordinate("pseudorapidity, azimuth, polar angle", "eta"),
    _coordinate("pseudorapidity, azimuth, polar angle", "phi"),
    _coordinate("pseudorapidity, azimuth, polar angle", "theta"),
    _coordinate("size of the momentum", "p"),
    _coordinate("energy", "energy", "E", "e", "t"),
    _coordinate("mass; negative where the square of the mass is", "mass", "m", "M"),
    _coordinate("transverse mass and energy", "mt"),
    _coordinate("transverse mass and energy", "et"),
    _coordinate("rapidity", "rapidity"),
    Function(
        names=("p4.deltaR()",),
        value=momentum.momentum_delta_r,
        doc="distance in (eta, phi)",
    ),
    Function(
        names=("p4.deltaphi()",),
        value=momentum.momentum_delta_phi,
        doc="difference of azimuths, within [-pi, pi)",
    ),
    Function(
        names=("p4.deltaeta()",),
        value=momentum.momentum_delta_eta,
        doc="difference of pseudorapidities",
    ),
)
"""What may follow the dot of four-momenta."""

REGISTRY: tuple[Function, ...] = (
    *NUMPY_FUNCTIONS,
    *AWKWARD_FUNCTIONS,
    *MATH_FUNCTIONS,
    *BUILTIN_FUNCTIONS,
    *HELPER_FUNCTIONS,
    *COLUMN_METHODS,
    *MOMENTUM_METHODS,
)


def _by_prefix(entries: tuple[Function, ...]) -> dict[str, dict[str, Any]]:
    """What stands before the last dot of a name -> what stands behind it -> value."""
    tables: dict[str, dict[str, Any]] = {}
    for entry in entries:
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


_TABLES = _by_prefix(REGISTRY)

MODULES: Mapping[str, Mapping[str, Any]] = {
    prefix: _TABLES[prefix]
    for prefix in ("np", "numpy", "ak", "awkward", "math", "ak.JaggedArray", "awkward.JaggedArray")
}
"""Module as written in an expression -> what may be used of it."""

BUILTINS: Mapping[str, Callable[..., Any]] = _by_prefix(BUILTIN_FUNCTIONS)[""]
"""Python's own functions, by name."""

HELPERS: Mapping[str, Callable[..., Any]] = _by_prefix(HELPER_FUNCTIONS)[""]
"""Helpers of public configurations, by name."""

FUNCTIONS: Mapping[str, Callable[..., Any]] = _TABLES[""]
"""All functions that are called by their bare name."""

METHODS: Mapping[str, Callable[..., Any]] = _methods(_TABLES["x"])
"""What may be called on a column."""

ATTRIBUTES: Mapping[str, Callable[[Any], Any]] = _attributes(_TABLES["x"])
"""What a column has."""

MOMENTUM_CALLS: Mapping[str, Callable[..., Any]] = _methods(_TABLES["p4"])
"""What may be called on four-momenta."""

MOMENTUM_COORDINATES: Mapping[str, Callable[[Any], Any]] = _attributes(_TABLES["p4"])
"""What four-momenta have."""

ELEMENTWISE: Mapping[Any, Callable[..., Any]] = {
    entry.value: entry.flat for entry in REGISTRY if entry.flat is not None
}
"""Function that acts value by value -> what computes it on flat arrays."""
