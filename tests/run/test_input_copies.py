"""Copies of inputs, and that they go away."""

import os
import tempfile
from pathlib import Path

import fsspec
import pytest

from weaver_tt.errors import DataError, OutputError
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.options.train import DataOptions
from weaver_tt.run.input_copies import local_copies


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """$TMPDIR."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def options(tmp_path):
    for name in ("one/a.root", "two/a.root", "two/b.root"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return DataOptions(
        data_train=[f"x:{tmp_path}/one/*", f"y:{tmp_path}/two/*"],
        data_test=[f"z%1:{tmp_path}/two/*"],
        copy_inputs=True,
    )


def test_files_are_read_from_copies_that_keep_group_order_and_path(options, scratch, tmp_path):
    with local_copies(options, "data_train", "data_test") as copied:
        groups = parse_groups(copied.data_train)
        assert [
            (group.name, [Path(path).read_text() for path in group.paths]) for group in groups
        ] == [
            ("x", ["one/a.root"]),
            ("y", ["two/a.root", "two/b.root"]),
        ]
        assert all(
            path.startswith(str(scratch)) and path.endswith(f"{tmp_path}/two/{Path(path).name}")
            for path in groups[1].paths
        )
        assert [group.name for group in parse_groups(copied.data_test)] == ["z_0", "z_1"]
        assert copied.data_val == options.data_val
    assert list(scratch.iterdir()) == []


def test_nothing_is_copied_unasked(options, scratch):
    options.copy_inputs = False
    with local_copies(options, "data_train") as same:
        assert same is options
        assert list(scratch.iterdir()) == []


def test_copies_go_away_after_an_error_too(options, scratch):
    with pytest.raises(KeyError), local_copies(options, "data_train"):
        raise KeyError
    assert list(scratch.iterdir()) == []


def test_files_behind_urls_are_fetched(scratch):
    with fsspec.open("memory://host/folder/f.root", "wb") as file:
        file.write(b"far away")
    with local_copies(
        DataOptions(data_val=["v:memory://host/folder/f.root"], copy_inputs=True), "data_val"
    ) as copied:
        (group,) = parse_groups(copied.data_val)
        assert (group.name, Path(group.paths[0]).read_bytes()) == ("v", b"far away")
        assert group.paths[0].endswith("host/folder/f.root")


def test_a_file_that_cannot_be_copied_is_named(options, scratch):
    options.data_train = [f"memory://nowhere/{os.getpid()}.root"]
    with (
        pytest.raises(DataError, match=r"nowhere.* cannot be copied"),
        local_copies(options, "data_train"),
    ):
        pass
    assert list(scratch.iterdir()) == []


def test_a_disk_that_is_too_small_is_told_before(options, monkeypatch):
    monkeypatch.setattr(
        "weaver_tt.run.input_copies.shutil.disk_usage", lambda _: type("Usage", (), {"free": 5})()
    )
    with pytest.raises(OutputError, match="do not fit into"), local_copies(options, "data_train"):
        pass
