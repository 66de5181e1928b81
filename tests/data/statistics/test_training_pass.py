"""The pass over the training rows: what it reads, and what each accumulator gets of it."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.scan import scan_files
from weaver_tt.data.statistics import training_pass
from weaver_tt.data.statistics.training_pass import (
    accumulate,
    restrict_to_inputs,
    training_sources,
)
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.file_groups import FileGroup
from weaver_tt.formats.reader import Reader
from weaver_tt.options.train import DataOptions

CONFIG = from_mapping(
    {
        "selection": "x % 2 == 0",
        "inputs": {"e": {"length": None, "vars": ["x"]}},
        "observers": ["y"],
        "event_weight": "w",
    },
    "x.yaml",
)


@pytest.fixture
def file(tmp_path):
    ak.to_parquet(ak.Array({"x": np.arange(100)}), str(tmp_path / "a.parquet"), row_group_size=10)
    return str(tmp_path / "a.parquet")


class Collector:
    """Keeps the tables that it is given."""

    def __init__(self, needed, fraction=1.0):
        self.needed = needed
        self.fraction = fraction
        self.tables = []

    def add(self, table, rows, path):
        self.tables.append((table, rows, path))

    def column(self, name):
        return [np.asarray(table[name]) for table, _, _ in self.tables]


@pytest.fixture
def reads(monkeypatch):
    """(column, first row, last row) of all that is read."""
    found = []
    read = Reader.read

    def spy(self, columns, first, last):
        found.extend((name, first, last) for name in columns)
        return read(self, columns, first, last)

    monkeypatch.setattr(Reader, "read", spy)
    return found


def sources_of(file, config, **options):
    scan = scan_files([FileGroup("_", (file,))], config, make_plan(config, "train"))
    return training_sources(scan, DataOptions(data_train=[file], **options))


def test_selected_rows_of_the_training_share_come_in_bounded_tables(file, monkeypatch):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 30)
    # neither observers nor weights, which the file lacks
    needed = restrict_to_inputs(CONFIG, CONFIG.inputs)
    sources = sources_of(file, needed, train_val_split=0.8)
    every, half = Collector(needed), Collector(needed, fraction=0.5)
    accumulate([every, half], sources, skip_bad=False)
    assert np.concatenate(every.column("x")).tolist() == list(range(0, 80, 2))
    assert all(len(table["x"]) == rows <= 15 and path == file for table, rows, path in every.tables)
    assert sum(map(len, half.column("x"))) == pytest.approx(20, abs=2)
    assert max(map(max, half.column("x"))) > 60


def test_columns_are_read_only_for_the_rows_that_someone_uses(tmp_path, monkeypatch, reads):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 20)
    counts = np.arange(40) % 5
    columns = {
        name: ak.unflatten(np.arange(counts.sum()) + add, counts)
        for name, add in (("a", 0), ("b", 1000))
    }
    table = ak.zip({**columns, "row": np.arange(40)}, depth_limit=1)
    ak.to_parquet(table, str(tmp_path / "a.parquet"), row_group_size=20)
    config = from_mapping(
        {
            "selection": "row != 2",
            "new_variables": {"sum": "a + b", "first": "ak.fill_none(ak.firsts(a), -1)"},
            "inputs": {
                "all": {"length": None, "vars": ["first"]},
                "some": {"length": 5, "vars": ["sum"]},
            },
        },
        "x.yaml",
    )
    sources = sources_of(str(tmp_path / "a.parquet"), config, train_val_split=1.0)
    every = Collector(restrict_to_inputs(config, {"all": config.inputs["all"]}))
    some = Collector(restrict_to_inputs(config, {"some": config.inputs["some"]}), fraction=0.2)
    accumulate([every, some], sources, skip_bad=False)
    assert sorted(reads) == [
        ("a", 0, 20),
        ("a", 20, 40),
        ("b", 0, 4),
        ("b", 20, 24),
        ("row", 0, 20),
        ("row", 20, 40),
    ]
    assert sum(map(len, every.column("first"))) == 39
    # rows 0, 1, 3 and 20 to 23 with 0, 1, 3, 0, 1, 2 and 3 objects; a of row 3 is 3, 4, 5
    assert [ak.num(table["sum"]).tolist() for table, _, _ in some.tables] == [
        [0, 1, 3],
        [0, 1, 2, 3],
    ]
    assert some.tables[0][0]["sum"].tolist() == [[], [1000], [1006, 1008, 1010]]


def test_each_accumulator_gets_what_a_pass_of_its_own_would_give_it(file, monkeypatch):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 30)
    needed = restrict_to_inputs(CONFIG, CONFIG.inputs)
    sources = sources_of(file, needed, train_val_split=1.0)
    together = [Collector(needed, fraction) for fraction in (0.1, 1.0, 0.55)]
    accumulate(together, sources, skip_bad=False)
    for collector in together:
        alone = Collector(needed, collector.fraction)
        accumulate([alone], sources, skip_bad=False)
        for one, other in zip(alone.column("x"), collector.column("x"), strict=True):
            assert one.tolist() == other.tolist()


def test_a_stretch_of_which_no_row_passes_is_left_out(file, monkeypatch):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 10)
    config = from_mapping(
        {
            "selection": "x > 44",
            "new_variables": {"y": "x + 1"},
            "inputs": {"e": {"length": None, "vars": ["y"]}},
        },
        "x.yaml",
    )
    found = Collector(config)
    accumulate([found], sources_of(file, config, train_val_split=1.0), skip_bad=False)
    assert [rows for _, rows, _ in found.tables] == [5, 10, 10, 10, 10, 10]
    assert np.concatenate(found.column("y")).tolist() == list(range(46, 101))


def test_damaged_rows_of_a_file_are_skipped_or_an_error(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 10)
    paths = []
    for name in "ab":
        paths.append(str(tmp_path / f"{name}.parquet"))
        ak.to_parquet(ak.Array({"x": np.arange(30)}), paths[-1], row_group_size=10)
    needed = restrict_to_inputs(CONFIG, CONFIG.inputs)
    scan = scan_files([FileGroup("_", tuple(paths))], needed, make_plan(needed, "train"))
    read = Reader.read

    def fail_late(self, columns, first, last):
        if self.path == paths[0] and first == 10:
            raise BadFileError(f"{paths[0]}: damaged")
        return read(self, columns, first, last)

    monkeypatch.setattr(Reader, "read", fail_late)
    found = Collector(needed)
    (lost,) = accumulate([found], scan.sources, skip_bad=True)
    assert (lost.path, lost.first, lost.last) == (paths[0], 10, 20)
    assert [path for _, _, path in found.tables] == [paths[0]] * 2 + [paths[1]] * 3
    # what follows in the file is used, as in training
    first_file = np.concatenate(found.column("x")[:2]).tolist()
    assert (min(first_file), max(first_file)) == (0, 28)
    assert not set(first_file) & set(range(10, 20))
    assert "skipped rows 10 to 20 of a bad file" in caplog.text
    with pytest.raises(BadFileError, match=r"a.parquet: damaged"):
        accumulate([found], scan.sources, skip_bad=False)


def test_a_share_of_few_rows_is_at_least_one(file):
    needed = restrict_to_inputs(CONFIG, CONFIG.inputs)
    sources = sources_of(file, needed, train_val_split=0.03)
    few = Collector(needed, fraction=0.1)
    accumulate([few], sources, skip_bad=False)
    assert np.concatenate(few.column("x")).tolist() == [0]


def test_with_validation_files_all_rows_are_trained_on(file):
    needed = restrict_to_inputs(CONFIG, CONFIG.inputs)
    [source] = sources_of(file, needed, train_val_split=0.8, data_val=[file])
    assert (source.borders[0], source.borders[-1]) == (0, 100)
    [source] = sources_of(file, needed, train_val_split=0.8, data_fraction=0.5)
    assert (source.borders[0], source.borders[-1]) == (0, 40)


def test_columns_that_are_only_watched_are_not_read():
    values = {"inputs": {"e": {"length": None, "vars": ["x"]}}, "monitor_variables": ["m"]}
    config = from_mapping(values, "x.yaml")
    assert make_plan(restrict_to_inputs(config, config.inputs), "train").columns == ("x",)


def test_columns_that_are_read_apart_are_seen_to_have_the_same_objects(tmp_path, monkeypatch):
    counts = np.arange(40) % 5
    columns = {name: ak.unflatten(np.arange(counts.sum()), counts) for name in "ab"}
    path = str(tmp_path / "a.parquet")
    ak.to_parquet(ak.zip(columns, depth_limit=1), path)
    inputs = {name: {"length": 5, "vars": [name]} for name in "ab"}
    config = from_mapping({"inputs": inputs}, "x.yaml")
    sources = sources_of(path, config, train_val_split=1.0)
    # a is read for all rows, b for some of them, and both for those
    every = Collector(restrict_to_inputs(config, {"a": config.inputs["a"]}))
    some = Collector(config, fraction=0.2)
    accumulate([every, some], sources, skip_bad=False)
    [(table, rows, _)] = some.tables
    first, second = (table[name].layout.offsets.data for name in "ab")
    assert rows == 8
    assert np.shares_memory(first, second)


def test_a_pass_in_which_no_object_is_selected_says_so(tmp_path):
    path = str(tmp_path / "a.parquet")
    ak.to_parquet(ak.Array({"pt": [[1.0, 2.0], [3.0]] * 5, "a": [[1.0, 2.0], [3.0]] * 5}), path)
    values = {
        "inputs": {"jets": {"length": 5, "vars": ["pt", "a"]}},
        "object_selection": {"jets": "pt > 9"},
    }
    config = from_mapping(values, "x.yaml")
    message = r"x.yaml: object_selection: no object of 'jets' passes .* all 15 objects in 10 rows"
    with pytest.raises(DataError, match=message):
        accumulate(
            [Collector(config)], sources_of(path, config, train_val_split=1.0), skip_bad=False
        )


def test_tables_of_all_files_have_the_types_of_the_scan(tmp_path):
    paths = [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]
    for path, kind in zip(paths, ("uint32", "int16"), strict=True):
        ak.to_parquet(ak.Array({"x": np.arange(4, dtype=kind)}), path)
    needed = restrict_to_inputs(CONFIG, CONFIG.inputs)
    scan = scan_files([FileGroup("_", tuple(paths))], needed, make_plan(needed, "train"))
    found = Collector(needed)
    accumulate([found], scan.sources, False, scan.types)
    assert [np.asarray(values).dtype for values in found.column("x")] == [np.int64] * 2
