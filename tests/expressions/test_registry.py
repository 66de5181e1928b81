"""What may be called: exactly these names, nothing dangerous, and true statements about each."""

import types

import awkward as ak
import numpy as np
import pytest

from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.registry import (
    ATTRIBUTES,
    ELEMENTWISE,
    FUNCTIONS,
    HELPERS,
    METHODS,
    MODULES,
    MOMENTUM_CALLS,
    MOMENTUM_COORDINATES,
    REGISTRY,
    ROW_RULES,
)
from weaver_tt.expressions.row_rules import ByValue

# the names of commit dd42f27; a name that is added on purpose is added here too
NUMPY = """
abs absolute add all allclose amax amin angle any arccos arccosh arcsin arcsinh arctan arctan2
arctanh argmax argmin argsort around array_equal average bitwise_and bitwise_not bitwise_or
bitwise_xor bool_ cbrt ceil clip column_stack concatenate copysign corrcoef cos cosh
count_nonzero cross cumprod cumsum deg2rad degrees digitize divide divmod dot e equal
euler_gamma exp exp2 expand_dims expm1 fabs fix float16 float32 float64 float_power floor
floor_divide fmax fmin fmod frexp full_like gcd greater greater_equal heaviside hstack hypot inf
int16 int32 int64 int8 interp invert isclose isfinite isin isinf isnan isneginf isposinf lcm
left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not
logical_or logical_xor max maximum mean median min minimum mod modf moveaxis multiply nan
nan_to_num nanargmax nanargmin nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod
nanquantile nanstd nansum nanvar negative newaxis nextafter not_equal ones_like percentile pi
positive power prod ptp quantile rad2deg radians real reciprocal remainder reshape right_shift
rint round searchsorted select sign signbit sin sinc sinh sort spacing sqrt square squeeze stack
std subtract sum swapaxes take take_along_axis tan tanh transpose true_divide trunc uint16
uint32 uint64 uint8 unwrap var vstack where zeros_like
"""
AWKWARD = """
all almost_equal any argcartesian argcombinations argmax argmin argsort broadcast_arrays
cartesian combinations concatenate corr count count_nonzero covar drop_none fill_none firsts
flatten from_regular full_like is_none isclose local_index mask max mean min moment nan_to_none
nan_to_num nanargmax nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar num ones_like
pad_none prod ptp ravel run_lengths singletons softmax sort std sum to_numpy to_packed
to_regular unflatten unzip values_astype var where with_field zeros_like zip
"""
MATH = """
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees e erf erfc exp exp2
expm1 fabs floor fmod gamma hypot inf isclose isfinite isinf isnan ldexp lgamma log log10 log1p
log2 nan pi pow radians sin sinh sqrt tan tanh tau trunc
"""
OLD_AWKWARD = "concatenate fromcounts ones_like zeros_like zip"
HELPER_NAMES = """
_batch_argsort _batch_gather _batch_knn _batch_permute_and_drop_indices _batch_permute_indices
_clip _concat _hash _knn _p4_from_ptetaphie _p4_from_ptetaphim _p4_from_pxpypze _pad _reindex
_repeat_pad _stack _tree_mask
"""
COORDINATES = "E M e energy et eta m mass mt p phi pt px py pz rapidity rho t theta x y z"
COLUMN_METHODS = "all any argmax argmin astype fillna max mean min pad prod std sum"

# beside ufuncs and types
ELEMENTWISE_FUNCTIONS = {
    np.angle,
    np.around,
    np.full_like,
    np.isclose,
    np.isneginf,
    np.isposinf,
    np.nan_to_num,
    np.ones_like,
    np.real,
    np.round,
    np.sinc,
    np.where,
    np.zeros_like,
    ak.nan_to_num,
    ak.ones_like,
    ak.values_astype,
    ak.where,
    ak.zeros_like,
    HELPERS["_clip"],
    MODULES["np"]["clip"],
}


@pytest.mark.parametrize(
    ("spelled", "names"),
    [
        ("np", NUMPY),
        ("numpy", NUMPY),
        ("ak", AWKWARD),
        ("awkward", AWKWARD),
        ("math", MATH),
        ("ak.JaggedArray", OLD_AWKWARD),
        ("awkward.JaggedArray", OLD_AWKWARD),
    ],
)
def test_these_names_of_a_module_are_allowed_and_no_others(spelled, names):
    module = {"n": np, "a": ak, "m": __import__("math")}[spelled[0]]
    own = {"fromcounts"}
    expected = {name for name in names.split() if name in own or hasattr(module, name)}
    assert MODULES[spelled].keys() == expected
    # in place of what leaves the order of equal values open, and of fix, which is deprecated
    own |= {"argsort", "clip", "fix"} if module is np else {"pad_none"}
    for name in expected - own:
        # `nan` is not equal to itself
        assert MODULES[spelled][name] is getattr(module, name)


def test_these_bare_names_methods_and_attributes_are_allowed_and_no_others():
    assert set(MODULES) == {
        "np",
        "numpy",
        "ak",
        "awkward",
        "math",
        "ak.JaggedArray",
        "awkward.JaggedArray",
    }
    assert HELPERS.keys() == set(HELPER_NAMES.split())
    builtins = {"len", "abs", "min", "max", "sum", "round"}
    assert FUNCTIONS.keys() == builtins | HELPERS.keys()
    assert METHODS.keys() == set(COLUMN_METHODS.split())
    assert ATTRIBUTES.keys() == {"counts"}
    assert MOMENTUM_COORDINATES.keys() == set(COORDINATES.split())
    assert MOMENTUM_CALLS.keys() == {"deltaR", "deltaphi", "deltaeta"}


def test_no_name_stands_twice_and_each_has_its_line_of_docs():
    names = [name for entry in REGISTRY for name in entry.names]
    assert len(names) == len(set(names))
    assert all(entry.doc for entry in REGISTRY)


def test_ufuncs_and_these_functions_act_value_by_value_and_no_others():
    ufuncs = {value for value in MODULES["np"].values() if isinstance(value, np.ufunc)}
    assert len(ufuncs) > 80
    types_of_numbers = {value for value in MODULES["np"].values() if isinstance(value, type)}
    assert ELEMENTWISE.keys() == ufuncs | types_of_numbers | ELEMENTWISE_FUNCTIONS


def test_every_function_says_how_it_keeps_rows_apart_and_constants_say_nothing():
    for entry in REGISTRY:
        assert (entry.rows is not None) == callable(entry.value), entry.names
        # what acts value by value says so in both ways
        if entry.is_elementwise:
            assert isinstance(entry.rows, ByValue), entry.names


def test_a_function_under_several_names_keeps_rows_apart_in_one_way():
    for entry in REGISTRY:
        assert entry.rows is None or ROW_RULES[entry.value] == entry.rows, entry.names


VALUES = np.array([-1.5, 0.25, 2.5])
GAPS = np.array([-1.5, np.nan, np.inf])

# entry -> arguments to try; of those whose function and flat function are not the same object, all
FLAT_ARGUMENTS = {
    "np.clip": (VALUES, 0, 1),
    "_clip": (VALUES, 0, 1),
    "ak.where": (VALUES > 0, VALUES, 7.0),
    "np.round": (VALUES, 1),
    "round": (VALUES, 1),
    "abs": (VALUES,),
    "ak.nan_to_num": (GAPS, True, 3.0, 5.0),
    "ak.ones_like": (VALUES,),
    "ak.zeros_like": (VALUES,),
    "ak.values_astype": (VALUES, "int32"),
    "x.astype()": (VALUES, "int32"),
}


@pytest.mark.parametrize(
    "entry",
    [entry for entry in REGISTRY if entry.is_elementwise and entry.names[0] in FLAT_ARGUMENTS],
    ids=lambda entry: entry.names[0],
)
def test_what_acts_on_flat_arrays_gives_the_values_of_the_function_itself(entry):
    arguments = FLAT_ARGUMENTS[entry.names[0]]
    assert ak.to_list(entry.flat(*arguments)) == ak.to_list(entry.value(*arguments))


def test_every_function_with_another_flat_function_is_tried_above():
    others = [entry for entry in REGISTRY if entry.flat not in (None, entry.value)]
    assert {entry.names[0] for entry in others} <= FLAT_ARGUMENTS.keys()


@pytest.mark.parametrize("alias", ["mass", "m", "M"])
def test_a_coordinate_has_its_other_names(alias):
    table = {"e": ak.Array([5.0]), "p": ak.Array([3.0])}
    expression = parse_expression(f"_p4_from_pxpypze(p, 0, 0, e).{alias}", "test")
    assert evaluate(expression, table).tolist() == [4]


@pytest.mark.parametrize(
    "name",
    """
    load loadtxt genfromtxt fromfile fromstring frombuffer fromregex save savez savez_compressed
    savetxt memmap open_memmap DataSource lib ctypeslib testing f2py frompyfunc vectorize
    apply_along_axis apply_over_axes piecewise fromfunction fromiter nditer source info show_config
    random rec char core exceptions einsum arange zeros ones full empty tile repeat eye linspace
    logspace pad put place copyto putmask fill_diagonal seterr errstate from_parquet to_parquet
    from_json to_json from_buffers from_numpy from_iter from_raw_library from_cling to_feather
    from_feather to_dataframe to_torch behavior numba jax cling transform to_layout typetracer
    contents with_name factorial comb perm diff
    """.split(),  # noqa: SIM905
)
def test_functions_that_read_write_call_back_or_grow_are_not_listed(name):
    assert all(name not in listed for listed in MODULES.values())


def test_no_listed_member_begins_with_an_underscore_or_is_a_module():
    for listed in MODULES.values():
        assert not any(
            name.startswith("_") or isinstance(value, types.ModuleType)
            for name, value in listed.items()
        )
