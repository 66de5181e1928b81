"""Whatever a file holds, it is read, or it is one error: no traceback, no bomb, no code.

Hundreds of inputs that somebody could send: each is done with in a second and in little memory.
The promise is written down in SECURITY.md.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import itertools
import json
import random
import re
import resource
import warnings
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cpu_time import cpu_seconds_below
from tests.old_versions import may_close_late
from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.config.plan import make_plan
from weaver_tt.config.sections import parse_yaml
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.sample import load_raw_sample, load_sample, save_raw_sample
from weaver_tt.engine.checkpoint import batches_into_epoch, load_resume
from weaver_tt.errors import WeaverError
from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.network.weights import read_state_dict
from weaver_tt.run.run_card import read_card

MOST_SECONDS = 1.0
MOST_CHARACTERS = 5000  # of a message
MOST_MEMORY = 2_000_000  # kB, of all of them

CONFIG = {
    "treename": "tree",
    "inputs": {
        "jets": {"length": 3, "pad_mode": "constant", "vars": [["pt", 1, 2, -5, 5, 0], "eta"]},
        "event": {"vars": ["met"]},
    },
    "selection": "met > 3",
    "test_time_selection": "met > 1",
    "object_selection": {"jets": "pt > 3"},
    "new_variables": {"x": "pt * 2"},
    "preprocess": {
        "method": "manual",
        "data_fraction": 0.5,
        "params": {"pt": {"length": 3, "center": 1, "scale": 2, "min": -5, "max": 5, "pad": 0}},
    },
    "labels": {"type": "simple", "value": ["a", "b"]},
    "observers": ["run", "z?"],
    "event_weight": "w",
    "file_magic": {"sample": {"ttbar": 1}},
    "branch_magic": {"old": "new"},
    "weights": {
        "reweight_method": "flat",
        "reweight_vars": {"met": [1, 2, 3]},
        "reweight_classes": ["a", "b"],
        "class_weights": [1, 1],
        "reweight_hists": {"a": [1, 1], "b": [1, 1]},
    },
    "bucketing": {"var": "met", "bins": 3},
    "task": {"name": "classification"},
}


def done_with(function, *arguments) -> WeaverError | None:
    """The error of a call, None where it has none; checks what is promised of both."""
    error = None
    with cpu_seconds_below(MOST_SECONDS):
        try:
            function(*arguments)
        except WeaverError as found:
            error = found
    assert error is None or 0 < len(str(error)) < MOST_CHARACTERS
    return error


@pytest.fixture(scope="module", autouse=True)
def _memory():
    """All inputs of this file together take little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


# --- text of a data YAML


def repeated(first: str, pattern: str, times: int, levels: int) -> str:
    """Level i repeats level i - 1 ``times`` times."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * times)
        lines.append(f"a{level}: &a{level} {pattern.format(inner)}")
    return "\n".join(lines)


TEXTS = [
    *(repeated("[x]", "[{}]", times, 12) for times in (1, 2, 10, 50)),
    *(repeated("{k: 1}", "{{<<: [{}]}}", times, 12) for times in (1, 2, 10, 50)),
    repeated("[x]", "[{}]", 1, 3000),
    *("a: &a [*a]", "a: &a {<<: *a}", "a: *b", "a: &b 1\nb: &b 2", "<<: 1", "<<: [1]"),
    *(f"a: {opening * 800}" for opening in ("[", "{a: ", "- ", "? ", "\n")),
    "\n".join(" " * depth + "a:" for depth in range(800)),
    *(f"a: {'9' * digits}" for digits in (101, 400, 5000)),
    *(f"inputs: {{g: {{length: {value}, vars: [x]}}}}" for value in ("1e400", "-0", "0x1", "1_0")),
    *(
        f"a: !!{kind} {value}"
        for kind in ("int", "float", "bool", "timestamp", "binary", "set")
        for value in ("x", "''", "[1]", "{a: 1}")
    ),
    *("a: 2020-13-45", "a: 0000-00-00", "a: 2020-01-01 25:61:61", "2020-13-45: 1"),
    *(
        f"a: !!python/{what}"
        for what in (
            "object/apply:os.system ['true']",
            "name:os.system ''",
            "module:os ''",
            "object/new:os.system [x]",
        )
    ),
    *('a: "\\ud800"', 'a: "\\UFFFFFFFF"', "a: \x00", "a: \x1b[31m", "\ta: 1", "%YAML 9.9\n--- 1"),
    *("", "---\n---\n", "a: 1\n---\nb: 2", "a: 'x", "a: |99\n x", "? [a]\n: 1", "a: {=: 3}", "- 1"),
    "a: " + ":".join(["59"] * 20_000),
    "x" * 5000 + ": 1",
    "\n".join(f"k{number}: 1" for number in range(2000)),
    "inputs: {g: {length: 10000000, vars: [x]}}",
    "inputs: {g: {vars: [x]}}\nbucketing: {var: x, bins: 1000000000}",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_text_of_a_data_yaml(text):
    done_with(lambda: from_mapping(parse_yaml(text, "x.yaml"), "x.yaml", text))


# --- values of a data YAML

JUNK = [
    *("", "\n", -1, 1e308, 10**90, True, None, [], {}, float("nan"), float("inf"), b"bytes"),
    *([["a", "a"]], [None], [[[[1]]]], {None: 1}, {"a": {"b": {"c": 1}}}, "9" * 6000, "(" * 300),
    *("__import__('os').system('true')", "%s{0}\x1b[31m", datetime.date(2020, 1, 1), "~", 10**8),
]


def places(value, place=()):
    """The keys that lead to each part of a configuration."""
    yield place
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from places(value[key], (*place, key))


def with_value(place, value):
    """``CONFIG`` with another value at one place."""
    changed = copy.deepcopy(CONFIG)
    if not place:
        return value
    part = changed
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return changed


@pytest.mark.parametrize("place", list(places(CONFIG)), ids=str)
def test_any_value_at_each_key_of_a_data_yaml(place):
    def read(junk):
        config = from_mapping(with_value(place, junk), "x.yaml", "inputs: {}")
        make_plan(config, "train")
        make_plan(config, "predict")

    for junk in JUNK:
        done_with(read, junk)


# --- expressions

COUNTS = [60, 0, 3, 1]
TABLE = {
    "x": ak.unflatten(np.arange(64.0), COUNTS),
    "y": ak.unflatten(np.arange(64.0), COUNTS),
    "n": np.array([1, 2, 3, 4]),
    "s": np.array([0.5, np.nan, np.inf, -1]),
    "points": ak.Array([[[1.0, 2.0], [3.0, 4.0]], [], [[5.0, 6.0]], []]),
}
EXPRESSIONS = """
x.pad(1000000) | _pad(x, 10**9) | _pad(x, -1) | _pad(x, 2.5) | _pad(x, 'a') | _pad(x, None)
_pad(x, 10, dtype='S1000000') | _repeat_pad(x, 10**9) | ak.pad_none(points, 10**8, axis=2)
ak.combinations(x, 2, axis=0) | ak.combinations(x, 30) | ak.argcombinations(x, 6) | ak.combinations(x, -1)
ak.cartesian([x, y, x, y, x]) | ak.cartesian([x, y], nested=5) | x.astype('S1000000') | n.astype('O')
np.full_like(x, 1, dtype='V100000000') | n.astype('1000000f8') | np.zeros_like(n, shape=10**10)
_batch_knn(points, points, 10**9, 2) | _batch_knn(points, points, 2, 10**9) | _batch_knn(x, x, 2, 2)
_knn([[1]], [[1]], 10**9) | x[:, :, None] * _pad(x, 60000)[:, None, :] | x[:, ::0] | x[::-1] | x[:, 10**9]
x[...] | x[..., None, None, None] | x[s] | x[[0]] | x['a'] | x[:, 'a'] | x[x] | points[:, :, 10**18]
np.reshape(x, (-1, 10**9)) | np.expand_dims(s, 64) | np.expand_dims(s, axis=(1, 2, 3)) | np.squeeze(s, axis=9)
round(n, 10**18) | np.around(x, decimals=-10**18) | s**10**9 | n**n | 9**9**9 | 1/0 | 0**-1 | (-1)**0.5 | 5 % 0
math.gamma(1e308) | math.ldexp(1, 10**18) | math.sqrt(-1) | math.sin(x) | math.pow(0, -1) | math.log(0)
np.percentile(x, [1, 2], axis=1) | np.quantile(_pad(x, 2), 7, axis=1) | np.take(s, 10**9) | np.take(n, [0])
s + 'a' | np.sin('a') | np.where(s > 0, 'a', 'b') | ak.where(x > 0, x, 'a') | _hash(x) | _hash(s, 'a') | _hash()
_p4_from_pxpypze(x, x, x, x).pt | _p4_from_pxpypze(x, s, 'a', x).pt | _p4_from_ptetaphim(x).m | x.pt | x.p4
np.interp(s, [1, 2], [1]) | np.digitize(s, [3, 1, 2]) | np.digitize(s, 5) | np.isin(s, s) | np.isin(s, ['a'])
ak.unflatten(ak.flatten(x), n + 1) | ak.unflatten(ak.flatten(x), [10**12]) | ak.unflatten(x, -1) | ak.flatten(x)
ak.moment(x, 10**9, axis=1) | np.sum(x, axis='a') | np.sum(x, axis=99) | x.sum(axis=10**20) | x.sum(axis=None)
np.concatenate([x, x], axis=5) | np.stack([s, n], axis=10**30) | _stack([s, n], axis=10**9) | _concat([], 1)
np.select([s > 0], [s]) | np.select([], []) | np.float64('1e999') | np.int8(s) | np.gcd(s, s) | np.left_shift(n, 10**9)
np.cross(s, s) | np.dot(x, [1]) | np.dot(s, s) | ak.zip([x, y]) | ak.with_field(x, y, 'z') | ak.with_field(x, y, 'V9')
ak.mask(x, x > 0) | ak.singletons(s) | ak.run_lengths(s) | ak.softmax(s, axis=1) | ak.full_like(x, 'a') | ak.fill_none(x, 'a')
ak.local_index(x, axis=5) | ak.flatten(x, axis=10) | ak.drop_none(x, axis=7) | ak.isclose(x, x, 'a') | ak.to_regular(x)
ak.broadcast_arrays(x, s) | ak.unzip(x) | np.modf(s) | np.frexp(x) | np.divmod(s, 0) | ak.corr(x, s, axis=1)
sum([s, s]) | len([1]) | len(x) | min(1, 'a') | max([]) | sum([]) | sum('a') | abs('a') | round(s, 'a') | min(s)
np.e.x | s.counts | ~s | -'a' | not s | s and n | s if n else x | lambda: 1 | [i for i in x] | {1: 2} | (yield) | f'{x}'
__import__('os').system('true') | ().__class__.__bases__ | x.__class__ | np.load('/etc/passwd') | np.lib.format | open('x')
np.fromfile('/dev/zero') | ak.from_parquet('x') | eval('1') | exec('1') | globals() | x.layout | np.ctypeslib | np.random.rand(9)
np.sqrt(x, dtype='S5') | np.add(s, s, out=n) | np.add(s, s, where=False) | np.add(s, s, casting='no') | np.add(s) | np.add()
np.swapaxes(_pad(x, 3), 1, 9) | np.moveaxis(_pad(x, 3), 1, 5) | np.take_along_axis(_pad(x, 3), n, axis=1) | np.unwrap(x, axis=1)
np.searchsorted([1, 2], s, side='x') | ak.sort(x, ascending='a') | ak.nan_to_num(x, nan='a') | ak.argmax(x, axis=1, keepdims=3)
_batch_gather(x, 10**20) | _batch_gather(x, x) | _batch_permute_and_drop_indices(x, True, 2, 3) | _reindex(x, x) | _reindex(s, x)
_clip(x, 1, 'b') | _clip(x, y, None) | x.fillna('a') | x.argmax(axis=7) | x.pad(n) | x.pad(x) | x.pad() | x.pad(1, 2, 3)
x + points | x + [1, 2] | [x] * 9 | (x, x) | [x] | x == None | x < 1 < 2 < 'a' | 1 if | x +* y | x # y | "a" "b" | ... | 1j | b'a'
""".replace("\n", " | ").split(" | ")  # noqa: E501
EXPRESSIONS = [text for text in EXPRESSIONS if text]
EXPRESSIONS += ["(" * 5000, "-" * 15_000 + "1", "+".join(["x"] * 5000), "x" * 30_000, "9" * 5000]
EXPRESSIONS += ["\x00"]


@pytest.mark.parametrize("text", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_expressions(text):
    with warnings.catch_warnings():
        # what numpy says of texts and of types
        warnings.simplefilter("ignore")
        done_with(lambda: evaluate(parse_expression(text, "x.yaml"), TABLE))


LEAVES = st.sampled_from(
    ["x", "y", "n", "s", "points", "1", "0", "-1", "2.5", "10**9", "'a'", "None"]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "&", "|", "<", "=="])
INDICES = st.sampled_from([":, 0", ":, :1", "0", "...", ":, None", ":, ::-1"])
METHODS = st.sampled_from(["sum", "max", "argmax", "pad", "astype"])
NAMES = ["_pad", "_concat", "_stack", "ak.sum", "ak.num", "ak.max", "np.where", "np.sqrt", "np.sum"]
NAMES += ["ak.combinations", "ak.cartesian", "np.stack", "np.clip", "ak.pad_none", "ak.firsts"]
NAMES += ["_batch_argsort", "_batch_gather", "ak.argsort", "np.take", "ak.flatten", "ak.unflatten"]


def larger(inner):
    """Operations of smaller expressions."""
    some = st.lists(inner, min_size=1, max_size=3).map(", ".join)
    return st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("{}({})".format, st.sampled_from(NAMES), some),
        st.builds("{}({}, axis={})".format, st.sampled_from(NAMES), some, st.integers(-2, 3)),
        st.builds("[{}]".format, some),
        st.builds("{}[{}]".format, inner, INDICES),
        st.builds("{}.{}()".format, inner, METHODS),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(LEAVES, larger, max_leaves=6))
def test_random_expressions(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done_with(lambda: evaluate(parse_expression(text, "x.yaml"), TABLE))


YAML_PIECES = [
    "a: ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&x ",
    "*x",
    "<<: ",
    "!!int ",
    "!!binary ",
    "'",
    '"',
]
YAML_PIECES += ["\n", "\n  ", ", ", "?", "#", "%YAML 1.1\n", "---\n", "...", "1", "2020-01-01", "~"]
YAML_PIECES += ["|\n", ": ", "\\u0", "é", '"']


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(YAML_PIECES) | st.text(max_size=4), max_size=20).map("".join))
def test_random_yaml(text):
    done_with(lambda: from_mapping(parse_yaml(text, "x.yaml"), "x.yaml", text))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(CONFIG)), VALUES))
def test_random_configurations(values):
    done_with(lambda: from_mapping({**CONFIG, **values}, "x.yaml", "inputs: {}"))


# --- files


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, tuple[bytes, object]]:
    """A whole file of each kind, and what reads it."""
    folder = tmp_path_factory.mktemp("whole")
    jets = ak.Array([[1.0, 2.0], [], [3.0]] * 40)
    number = np.arange(120)
    with uproot.recreate(folder / "tree.root") as file:
        file.mktree("tree", {"jet_pt": jets, "n": number})
    with uproot.recreate(folder / "ntuple.root") as file:
        file.mkrntuple("tree", {"jet_pt": jets, "n": number})
    arrow = pa.table({"jet_pt": ak.to_arrow(jets, extensionarray=False), "n": number})
    pq.write_table(arrow, folder / "table.parquet")
    with h5py.File(folder / "table.h5", "w") as file:
        file.create_dataset("pt", data=np.ones((120, 5), "f4"), chunks=(30, 5), compression="gzip")
        file.create_dataset("n", data=number)
    state = {"layer.weight": torch.ones(4, 3), "layer.bias": torch.zeros(4)}
    torch.save(state, folder / "net_state.pt")
    torch.save({"format": 1, "state": {"batches": 3}, "weights": state}, folder / "net_resume.pt")
    np.savez_compressed(folder / "net_sample.npz", jets=np.ones((9, 2, 3), np.float32))
    save_raw_sample(folder / "net", {"pt": np.ones(30), "eta": ak.Array([[1.0, 2.0], []] * 15)})
    (folder / "net_run.json").write_text(json.dumps({"seed": 1, "options": {}, "files": ["a"]}))
    (folder / "net.auto.yaml").write_text(json.dumps(CONFIG))
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["N", 2]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph), folder / "m.onnx")

    def read_table(path):
        with open_reader(str(path)) as reader:
            columns = reader.columns()[:6]
            reader.types(columns)
            reader.read(columns, 0, min(reader.rows(), 1000))

    config = from_mapping(CONFIG, "x.yaml", "inputs: {}")
    readers = {
        "tree.root": read_table,
        "ntuple.root": read_table,
        "table.parquet": read_table,
        "table.h5": read_table,
        "net_state.pt": lambda path: read_state_dict(path, state),
        "net_resume.pt": lambda path: (load_resume(path), batches_into_epoch(path)),
        "net_sample.npz": lambda path: load_sample(str(path).removesuffix("_sample.npz")),
        "net_sample.parquet": lambda path: load_raw_sample(str(path).removesuffix(".parquet")[:-7]),
        "net_run.json": read_card,
        "net.auto.yaml": lambda path: load_config(str(path)),
        "m.onnx": lambda path: OnnxNetwork(path, config),
    }
    for name, read in readers.items():
        # what is whole is read, or of another kind; libraries are imported now, not in a test
        with contextlib.suppress(WeaverError):
            read(folder / name)
    return {name: ((folder / name).read_bytes(), read) for name, read in readers.items()}


def damaged(content: bytes, random_numbers: random.Random, kind: str) -> bytes:
    """The content cut short, with other bytes, with a huge number, or other bytes altogether."""
    place = random_numbers.randrange(len(content))
    if kind == "cut":
        return content[:place]
    if kind == "noise":
        return random_numbers.randbytes(place % 400 + 1)
    changed = bytearray(content)
    if kind == "bytes":
        for _ in range(random_numbers.choice([1, 3, 20])):
            changed[random_numbers.randrange(len(content))] = random_numbers.randrange(256)
    elif kind == "huge":
        changed[place : place + 8] = b"\x7f" + b"\xff" * 7
    elif kind == "hole":
        del changed[place : place + 50]
    return bytes(changed)


FILES = ["tree.root", "ntuple.root", "table.parquet", "table.h5", "net_state.pt", "net_resume.pt"]
FILES += ["net_sample.npz", "net_sample.parquet", "net_run.json", "net.auto.yaml", "m.onnx"]
KINDS = ["cut", "bytes", "huge", "hole", "noise"]


@may_close_late
@pytest.mark.parametrize(("name", "kind"), list(itertools.product(FILES, KINDS)))
def test_damaged_files(tmp_path, files, name, kind):
    content, read = files[name]
    random_numbers = random.Random(f"{name} {kind}")
    path = Path(tmp_path / name)
    for _ in range(4):
        path.write_bytes(damaged(content, random_numbers, kind))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done_with(read, path)


@may_close_late
@pytest.mark.parametrize("name", FILES)
def test_any_bytes_in_place_of_a_file(tmp_path, files, name):
    _, read = files[name]
    path = Path(tmp_path / name)

    @settings(max_examples=15, deadline=None)
    @given(st.binary(max_size=300))
    def check(content):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done_with(read, path)

    check()


def test_the_tests_that_the_docs_name_are_there():
    root = Path(__file__).parents[1]
    text = (root / "docs" / "robustness.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert len(named) > 10
    assert [name for name in named if not (root / name).exists()] == []
