"""Expressions and helpers beside weaver-core 0.5.3's own, on random jagged tables."""

import warnings

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.registry import HELPERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    theirs = pytest.importorskip("weaver.utils.data.eval_utils")
    tools = pytest.importorskip("weaver.utils.data.tools")
    pytest.importorskip("vector")

EXPRESSIONS = [
    "_hash(run, event)",
    "_hash(run, weight) % 7",
    "_concat([px, py], axis=1)",
    "_stack([run, event], axis=1)",
    "_stack([px, py], axis=1)",
    "_pad(px, 3)",
    "_pad(px, 3, value=-1)",
    "_pad(weight, 2, 9)",
    "_pad(charge, 4, dtype='int32')",
    "_repeat_pad(px, 5)",
    "_repeat_pad(weight, 2)",
    "_clip(px, -1, 1)",
    "_clip(weight, 0.25, 0.5)",
    "_batch_argsort(px)",
    "_batch_gather(px, _batch_argsort(py))",
    "_batch_permute_and_drop_indices(px, random_permute=False)",
    "_batch_permute_and_drop_indices(px, False, 0.3, 0.3, 1)",
    "_batch_permute_and_drop_indices(px, False, 0, 0.3)",
    "_p4_from_pxpypze(px, py, pz, energy).pt",
    "_p4_from_pxpypze(px, py, pz, energy).eta",
    "_p4_from_pxpypze(px, py, pz, energy).phi",
    "_p4_from_pxpypze(px, py, pz, energy).mass",
    "_p4_from_ptetaphie(pt, eta, phi, energy).px",
    "_p4_from_ptetaphie(pt, eta, phi, energy).rapidity",
    "_p4_from_ptetaphie(pt, eta, phi, energy).mass",
    "_p4_from_ptetaphim(pt, eta, phi, mass).energy",
    "_p4_from_ptetaphim(pt, eta, phi, mass).pz",
    "_p4_from_ptetaphim(pt, eta, phi, mass).p",
    "_p4_from_ptetaphim(pt, eta, phi, mass).deltaR(_p4_from_pxpypze(px, py, pz, energy))",
    "_p4_from_ptetaphim(pt, eta, phi, mass).deltaphi(_p4_from_pxpypze(px, py, pz, energy))",
    "(_p4_from_ptetaphim(pt, eta, phi, mass) + _p4_from_pxpypze(px, py, pz, energy)).mass",
    "ak.ones_like(px)",
    "awkward.zeros_like(px)",
    "np.hypot(px, py)",
    "np.log(pt / weight)",
    "numpy.tanh(px)",
    "ak.num(px)",
    "math.pi * px",
    "(np.abs(charge) == 1) + (np.abs(charge) == 2) * 0.5 + (np.abs(charge) == 3) * 0.2",
    "1 - (run == 1)",
    "(weight > 0.3) & ((event % 2) == 1) | ~(run > 1)",
    "ak.sum(px, axis=1)",
    "ak.fill_none(ak.pad_none(px, 2, clip=True), 0)[:, 0]",
    "px[py > 0]",
    "np.clip(weight, 0.2, 0.5)",
    "np.where(px > 0, px, py)",
    "np.minimum(weight, 0.5)",
    "ak.where(charge == 1, px, weight)",
    "np.stack([run, event], axis=1)",
    "ak.values_astype(px > 0, 'float32')",
    "-px ** 2 // 1",
]


def table(seed, rows=12):
    """Rows of up to five objects, some without any; momenta as massive particles have them."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 6, rows)
    counts[0] = 3
    jagged = {name: random.normal(size=counts.sum()) for name in ("px", "py", "pz")}
    jagged["energy"] = np.sqrt(sum(value**2 for value in jagged.values())) + random.uniform(
        0.1, 1, counts.sum()
    )
    jagged |= {
        "pt": random.uniform(1, 9, counts.sum()),
        "eta": random.normal(size=counts.sum()),
        "phi": random.uniform(-3, 3, counts.sum()),
    }
    jagged |= {
        "mass": random.uniform(0.1, 1, counts.sum()),
        "charge": random.integers(-3, 4, counts.sum()),
    }
    flat = {
        "run": random.integers(0, 3, rows),
        "event": random.integers(0, 100, rows),
        "weight": random.uniform(0.1, 1, rows),
    }
    return ak.Array({name: ak.unflatten(value, counts) for name, value in jagged.items()} | flat)


def lists(value):
    return ak.to_list(value)


def shape(value):
    """Rows, and what is in each."""
    array = ak.Array(value)
    return len(array), lists(ak.num(array)) if array.ndim > 1 else None


def flat(value):
    return np.asarray(ak.to_numpy(ak.flatten(ak.Array(value), axis=None)), float)


@pytest.mark.parametrize("source", EXPRESSIONS)
@pytest.mark.parametrize("seed", [1, 2])
def test_an_expression_has_weavers_value(source, seed):
    rows = table(seed)
    with np.errstate(all="ignore"):
        expected = theirs._eval_expr(source, rows)
    found = evaluate(parse_expression(source, "test"), {name: rows[name] for name in rows.fields})
    assert shape(found) == shape(expected)
    np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-6, atol=1e-6)


@given(st.integers(0, 10_000))
def test_a_random_order_is_one_of_each_rows_objects(seed):
    """Weaver's differs from run to run; both are permutations."""
    px = table(seed).px
    for permute in (HELPERS["_batch_permute_indices"], tools._batch_permute_indices):
        assert lists(ak.sort(permute(px))) == lists(ak.local_index(px))


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_dropping_keeps_the_share_that_weaver_keeps(seed, least):
    """With equal rates at both ends nothing is random but the order."""
    px = table(seed).px
    both = [
        drop(px, True, 0.5, 0.5, least)
        for drop in (
            HELPERS["_batch_permute_and_drop_indices"],
            tools._batch_permute_and_drop_indices,
        )
    ]
    assert lists(ak.num(both[0])) == lists(ak.num(both[1]))
    assert lists(ak.sort(both[0])) == lists(ak.sort(both[1]))


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_neighbours_are_those_of_a_tree(seed, k):
    """Weaver's own call fails with today's scipy (``n_jobs``); this is the tree it asks."""
    tree = pytest.importorskip("scipy.spatial").cKDTree
    random = np.random.default_rng(seed)
    support, query = random.normal(size=(6, 2)), random.normal(size=(4, 2))
    assert np.array_equal(
        HELPERS["_knn"](support, query, k), tree(support).query(query, k)[1].reshape(4, k)
    )


def test_neighbours_row_by_row_are_padded_as_weaver_pads_them(monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setattr(
        tools, "_knn", lambda support, query, k, n_jobs: HELPERS["_knn"](support, query, k)
    )
    random = np.random.default_rng(0)
    supports, queries = (
        [random.normal(size=(n, 2)) for n in sizes] for sizes in ((5, 3, 4), (2, 4, 1))
    )
    for most in (None, 3):
        expected = tools._batch_knn(supports, queries, 2, 4, most)
        assert np.array_equal(HELPERS["_batch_knn"](supports, queries, 2, 4, most), expected)


def test_every_helper_of_weaver_is_here():
    own = {name for name in vars(tools) if name.startswith("_") and not name.startswith("__")}
    internal = {name for name in own if "kernel" in name or "fused" in name} | {
        "_get_content_and_offsets"
    }
    assert own - internal <= HELPERS.keys()
