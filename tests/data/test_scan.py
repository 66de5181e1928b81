"""The first look at the files: what they have, and what they must agree on."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data import scan as scanning
from weaver_tt.data.scan import scan_files
from weaver_tt.errors import BadFileError, DataError, MissingTreeError
from weaver_tt.formats.file_groups import FileGroup
from weaver_tt.formats.ttree_reader import TTreeReader

CONFIG = from_mapping(
    {"inputs": {"event": {"length": None, "vars": ["met"]}}, "observers": ["run", "truth?"]}
)
PREDICT = make_plan(CONFIG, "predict")
TRAIN = make_plan(CONFIG, "train")


@pytest.fixture
def write(tmp_path: Path):
    def file(name: str, rows: int = 2, **more: list) -> str:
        path = str(tmp_path / f"{name}.parquet")
        ak.to_parquet(ak.Array({"met": [1.0] * rows, "run": [1] * rows, **more}), path)
        return path

    return file


def test_optional_columns_are_read_where_a_group_has_them(write):
    groups = [
        FileGroup("mc", (write("a", truth=[1, 2]),)),
        FileGroup("data", (write("b"), write("c", rows=5))),
    ]
    scan = scan_files(groups, CONFIG, PREDICT)
    assert scan.groups == ("mc", "data")
    assert scan.columns == (("met", "run", "truth"), ("met", "run"))
    assert [(source.group, source.rows) for source in scan.sources] == [(0, 2), (1, 2), (1, 5)]


def test_files_of_a_group_must_agree_in_optional_columns(write):
    groups = [FileGroup("mc", (write("a", truth=[1, 2]), write("b")))]
    with pytest.raises(
        DataError,
        match=r"b.parquet: no column 'truth', which .*a.parquet of the same group 'mc' has",
    ):
        scan_files(groups, CONFIG, PREDICT)


def test_a_missing_column_is_named_before_anything_is_read(tmp_path):
    ak.to_parquet(ak.Array({"mett": [1.0], "run": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column 'met' .*a.parquet; did you mean 'mett'"):
        scan_files([FileGroup("_", (str(tmp_path / "a.parquet"),))], CONFIG, PREDICT)


def test_a_bad_file_stops_or_is_counted(write, tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and then nothing")
    groups = [FileGroup("mc", (write("a"), str(bad)))]
    with pytest.raises(BadFileError, match=r"bad.parquet.*--on-bad-file skip"):
        scan_files(groups, CONFIG, PREDICT)
    scan = scan_files(groups, CONFIG, PREDICT, "skip")
    ((lost, times),) = scan.accounting.lost.items()
    assert (lost.path, lost.first, lost.last, times) == (str(bad), None, None, 1)
    assert "bad.parquet: the file cannot be read" in lost.reason
    assert len(scan.sources) == 1


def test_files_without_rows_are_an_error_only_if_all_are(write):
    empty = FileGroup("empty", (write("a", rows=0),))
    assert len(scan_files([empty, FileGroup("full", (write("b"),))], CONFIG, PREDICT).sources) == 1
    with pytest.raises(DataError, match=r"no rows to read: 0 entries in 1 file \(.*a.parquet"):
        scan_files([empty], CONFIG, PREDICT)


def test_an_earlier_scan_is_used_for_the_same_files_and_columns_only(write, monkeypatch):
    groups = [FileGroup("a", (write("a"),)), FileGroup("b", (write("b", rows=5),))]
    known = scan_files(groups, CONFIG, TRAIN)
    monkeypatch.setattr("weaver_tt.data.scan.open_reader", lambda *_: pytest.fail("opened"))
    again = scan_files(groups, CONFIG, TRAIN, known=known)
    assert again == known
    # a pass that needs fewer columns reads no more than these
    more = replace(known, columns=(("met", "x"), ("met", "x")), in_file=frozenset({"met", "x"}))
    assert scan_files(groups, CONFIG, TRAIN, known=more).columns == (("met",), ("met",))
    assert known.covers(groups, CONFIG, TRAIN)
    assert not known.covers(groups[:1], CONFIG, TRAIN)
    assert not known.covers(groups[::-1], CONFIG, TRAIN)
    assert not known.covers(groups, replace(CONFIG, treename="other"), TRAIN)
    # names are those in the file
    assert not known.covers(groups, replace(CONFIG, branch_magic={"met": "MET"}), TRAIN)
    # optional columns would have to be looked for
    assert not replace(known, in_file=frozenset({"met", "run", "truth"})).covers(
        groups, CONFIG, PREDICT
    )


def test_types_fit_the_files_of_all_groups(tmp_path, write):
    paths = []
    for number, kind in enumerate(["uint32", "int16", "int32"]):
        paths.append(str(tmp_path / f"{number}.parquet"))
        run = np.array([1, 2], kind)
        ak.to_parquet(ak.Array({"met": np.ones(2, "float32"), "run": run}), paths[-1])
    groups = [FileGroup("a", tuple(paths[:2])), FileGroup("b", (paths[2],))]
    scan = scan_files(groups, CONFIG, PREDICT)
    assert {name: str(kind) for name, kind in scan.types.items()} == {
        "met": "float32",
        "run": "int64",
    }
    assert scan.of_group(1).types == scan.types
    assert scan.of_group(1).groups == ("b",)
    assert [(source.group, source.path) for source in scan.of_group(1).sources] == [(0, paths[2])]


def test_a_file_without_rows_says_nothing_of_types(tmp_path, write):
    empty = str(tmp_path / "empty.parquet")
    # as pandas writes a frame of no rows
    pq.write_table(pa.table({"met": pa.array([], pa.string()), "run": pa.nulls(0)}), empty)
    scan = scan_files([FileGroup("a", (empty, write("b")))], CONFIG, PREDICT)
    assert str(scan.types["met"]) == "float64"


def test_one_value_a_row_in_one_file_and_lists_in_another_is_an_error_that_names_both(
    tmp_path, write
):
    other = str(tmp_path / "lists.parquet")
    ak.to_parquet(ak.Array({"met": [[1.0], [2.0]], "run": [1, 2]}), other)
    with pytest.raises(
        DataError,
        match=r"lists\.parquet: column 'met' is var \* float64 .* in .*a\.parquet it is float64",
    ):
        scan_files([FileGroup("x", (write("a"), other))], CONFIG, PREDICT)


TREE = from_mapping(
    {"treename": "tree", "inputs": {"event": {"length": None, "vars": ["met"]}}}, "x.yaml"
)


@pytest.fixture
def skims(tmp_path):
    """ROOT files of a production: with events, without the tree, with a tree of nothing at all."""
    paths = {name: str(tmp_path / f"{name}.root") for name in ("full", "treeless", "keyless")}
    with uproot.recreate(paths["full"]) as file:
        file.mktree("tree", {"met": "float32"}).extend({"met": np.ones(3, "float32")})
    with uproot.recreate(paths["treeless"]) as file:
        file["histogram"] = np.histogram([1.0])
    with uproot.recreate(paths["keyless"]):
        pass
    return paths


@pytest.mark.parametrize("name", ["treeless", "keyless"])
def test_files_without_the_tree_are_skipped_where_another_has_it(skims, name):
    plan = make_plan(TREE, "train")
    groups = [FileGroup("a", (skims[name],)), FileGroup("b", (skims["full"],))]
    with pytest.raises(MissingTreeError, match=rf"{name}\.root.* --on-bad-file skip"):
        scan_files(groups, TREE, plan)
    scan = scan_files(groups, TREE, plan, "skip")
    assert [lost.path for lost in scan.accounting.lost] == [skims[name]]
    assert [source.rows for source in scan.sources] == [3]
    # the group that lost it is there, and knows
    assert [lost.path for lost in scan.of_group(0).accounting.lost] == [skims[name]]
    assert not scan.of_group(1).accounting.lost


def test_a_tree_with_neither_rows_nor_columns_counts_as_none(skims, monkeypatch):
    # uproot writes no tree without branches
    columns = TTreeReader.columns
    full = skims["full"]
    monkeypatch.setattr(TTreeReader, "rows", lambda self: 3 * (self.path == full))
    monkeypatch.setattr(
        TTreeReader, "columns", lambda self: columns(self) if self.path == full else []
    )
    with uproot.recreate(skims["keyless"]) as file:
        file.mktree("tree", {"x": "float32"})
    groups = [FileGroup("a", (skims["full"], skims["keyless"]))]
    scan = scan_files(groups, TREE, make_plan(TREE, "train"), "skip")
    assert [lost.path for lost in scan.accounting.lost] == [skims["keyless"]]
    with pytest.raises(MissingTreeError, match=r"keyless\.root, tree 'tree': it has neither rows"):
        scan_files(groups, TREE, make_plan(TREE, "train"))


def test_a_tree_that_no_file_has_is_an_error_whatever_is_to_be_skipped(skims):
    config = replace(TREE, treename="tre")
    groups = [FileGroup("a", (skims["treeless"], skims["full"]))]
    for on_bad_file in ("stop", "skip"):
        with pytest.raises(MissingTreeError, match=r"treeless\.root") as caught:
            scan_files(groups, config, make_plan(config, "train"), on_bad_file)
        # which would not help
        assert "--on-bad-file" not in str(caught.value)


# --- many files

# from Python 3.12 on, which fears for threads of this process; those of a file live in it alone
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def two_processes(monkeypatch):
    """Two files are enough for two processes."""
    monkeypatch.setattr(scanning, "available_cores", lambda: 2)
    monkeypatch.setattr(scanning, "FILES_PER_PROCESS", 2)


def process_of(path: str) -> int:
    time.sleep(0.001)
    return os.getpid()


def die(path: str) -> None:
    os._exit(9)


@FORKS
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads do it")
def test_many_local_files_are_looked_at_by_processes_remote_ones_by_threads(two_processes):
    files = [f"{number}.root" for number in range(20)]
    processes = set(scanning._map_over_files(process_of, files))
    assert os.getpid() not in processes
    assert len(processes) <= 2
    own = {os.getpid()}
    assert set(scanning._map_over_files(process_of, files[:3])) == own
    assert set(scanning._map_over_files(process_of, [*files, "root://eos//a.root"])) == own


@FORKS
def test_processes_find_what_threads_find(write, tmp_path, two_processes, monkeypatch):
    paths = [write(f"f{number}", rows=number) for number in range(7)]
    paths.insert(2, str(tmp_path / "bad.parquet"))
    Path(paths[2]).write_bytes(b"PAR1 no more")
    groups = [FileGroup("a", tuple(paths[:5])), FileGroup("b", tuple(paths[5:]))]
    found = scan_files(groups, CONFIG, PREDICT, "skip")
    assert [(source.group, source.rows) for source in found.sources] == [
        *[(0, 1), (0, 2), (0, 3)],
        *[(1, 4), (1, 5), (1, 6)],
    ]
    assert [lost.path for lost in found.accounting.lost] == [paths[2]]
    monkeypatch.setattr(scanning, "available_cores", lambda: 1)
    assert scan_files(groups, CONFIG, PREDICT, "skip") == found
    with pytest.raises(BadFileError, match=r"bad\.parquet: .* --on-bad-file skip leaves"):
        scan_files(groups, CONFIG, PREDICT)


@FORKS
def test_an_error_in_a_process_is_the_readers_own(write, two_processes):
    paths = [write(f"f{number}") for number in range(8)]
    missing = paths[5].replace("f5", "g5")
    with pytest.raises(DataError, match=f"^{missing}: no such file; did you mean 'f5.parquet'"):
        scan_files([FileGroup("a", (*paths, missing))], CONFIG, TRAIN)


@FORKS
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads do it")
def test_a_process_that_is_killed_is_an_error(two_processes):
    with pytest.raises(DataError, match=r"a process that looked at files has ended.*a\.root"):
        list(scanning._map_over_files(die, ["a.root"] * 20))


def test_a_scan_of_events_is_none_of_their_jets(write):
    """Three jets in two events; no optional column is asked for, so that a scan could be reused."""
    groups = [FileGroup("mc", (write("a", Jet_pt=[[1.0, 2.0], [3.0]]),))]
    values = {"inputs": {"event": {"length": None, "vars": ["met"]}}}
    events, jets = (from_mapping(values | more) for more in ({}, {"rows": {"objects": "Jet"}}))
    known = None
    for config, rows in ((events, 2), (jets, 3), (events, 2)):
        known = scan_files(groups, config, make_plan(config, "train"), known=known)
        assert known.sources[0].rows == rows
