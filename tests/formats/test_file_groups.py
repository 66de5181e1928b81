"""Groups, wildcards and URLs of the command line."""

from __future__ import annotations

import logging
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import (
    READABLE,
    FileGroup,
    common_pattern,
    first_files,
    is_remote,
    is_same_file,
    parse_groups,
)
from weaver_tt.formats.open_reader import READERS


@pytest.fixture
def folder(tmp_path):
    """b.root a.root c.h5 sub/d.root"""
    (tmp_path / "sub").mkdir()
    for name in ("b.root", "a.root", "c.h5", "sub/d.root"):
        (tmp_path / name).write_bytes(b"x")
    return str(tmp_path)


def test_a_pattern_without_a_name_is_sorted_and_belongs_to_the_unnamed_group(folder):
    assert parse_groups([f"{folder}/*.root"]) == [
        FileGroup("_", (f"{folder}/a.root", f"{folder}/b.root"))
    ]


def test_names_make_groups_and_the_same_name_twice_merges(folder):
    groups = parse_groups([f"x:{folder}/b.root", f"y:{folder}/c.h5", f"x:{folder}/a.root"])
    assert groups == [
        FileGroup("x", (f"{folder}/b.root", f"{folder}/a.root")),
        FileGroup("y", (f"{folder}/c.h5",)),
    ]


def test_two_stars_go_into_folders_and_a_file_counts_once(folder, caplog):
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        (group,) = parse_groups([f"{folder}/**/*.root", f"{folder}/a.root"])
    assert group.paths == (f"{folder}/a.root", f"{folder}/b.root", f"{folder}/sub/d.root")
    assert "1 file is in group '_' already, which counts once" in caplog.text


def test_a_group_of_test_files_can_be_divided_into_groups_of_so_many(folder):
    groups = parse_groups([f"tt%2:{folder}/**/*", f"{folder}/c.h5"], divide=True)
    assert [(group.name, len(group.paths)) for group in groups] == [
        ("tt_0", 2),
        ("tt_1", 2),
        ("_", 1),
    ]
    assert groups[1].paths == (f"{folder}/c.h5", f"{folder}/sub/d.root")


def test_files_that_were_converted_are_read_in_place_of_those_of_awkward_0(folder, caplog):
    with caplog.at_level(logging.INFO, "weaver_tt"):
        assert parse_groups([f"x:{folder}/a.awkd"]) == [FileGroup("x", (f"{folder}/a.root",))]
        assert parse_groups([f"{folder}/*.awkd"])[0].paths == (
            f"{folder}/a.root",
            f"{folder}/b.root",
        )
    assert f"reading {folder}/a.root instead" in caplog.text
    with pytest.raises(DataError, match=r"none\.awkd: no such file, .* `weaver-tt convert`"):
        parse_groups([f"{folder}/none.awkd"])


def test_the_first_files_of_each_group_are_patterns_again(folder):
    few = first_files([f"x:{folder}/**/*", f"{folder}/c.h5"], 2)
    assert few == [f"x:{folder}/a.root", f"x:{folder}/b.root", f"_:{folder}/c.h5"]
    assert [group.name for group in parse_groups(few)] == ["x", "_"]


def test_the_split_number_of_weaver_is_dropped_with_a_word(folder, caplog):
    with caplog.at_level(logging.INFO, "weaver_tt"):
        assert [group.name for group in parse_groups([f"ttbar%10:{folder}/*.root"])] == ["ttbar"]
    assert "'%10'" in caplog.text


@pytest.mark.parametrize(
    "scheme",
    [
        "root://eos.example//store/f.root",
        "https://example.org:80/f.root?token=a*b",
        "s3://bucket/f.parquet",
    ],
)
def test_a_url_is_a_path_with_or_without_a_name(scheme):
    assert is_remote(scheme)
    assert parse_groups([scheme, f"sig:{scheme}"]) == [
        FileGroup("_", (scheme,)),
        FileGroup("sig", (scheme,)),
    ]


def test_a_file_whose_name_holds_a_colon_or_brackets_is_found(tmp_path):
    for name in ("a:b.root", "c[1].root"):
        (tmp_path / name).touch()
        assert parse_groups([f"{tmp_path}/{name}"])[0].paths == (f"{tmp_path}/{name}",)


def test_a_home_folder_is_expanded_behind_a_name_too(folder, monkeypatch):
    monkeypatch.setenv("HOME", folder)
    assert parse_groups(["x:~/a.root"]) == [FileGroup("x", (f"{folder}/a.root",))]


def test_a_pattern_that_matches_nothing_names_what_is_near(folder):
    with pytest.raises(DataError, match=r"aa\.root: no such file; did you mean 'a\.root' or"):
        parse_groups([f"x:{folder}/aa.root"])
    with pytest.raises(DataError, match=r"no folder 'subb' in .*; did you mean 'sub'"):
        parse_groups([f"{folder}/subb/*.root"])


def test_a_missing_folder_is_none_of_a_file_of_the_same_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(DataError, match=r"no folder 'subb' in this folder; did you mean 'sub'"):
        parse_groups(["subb/subb"])


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (["out/a.root"], "out/a.root"),
        (["out/a.root", "out/a.root"], "out/a.root"),
        (["out/pred_a.root", "out/pred_bc.root"], "out/pred_*.root"),
        (["pred.root", "pred_b.root"], "pred*.root"),
        (["x/pred.root", "y/pred.root"], "*/pred.root"),
        (["a[1]/b.root", "a[1]/c.root"], "a[[]1]/*.root"),
    ],
)
def test_files_have_a_pattern_in_common(paths, pattern):
    assert common_pattern(paths) == pattern


def test_a_folder_is_not_a_file(folder):
    with pytest.raises(DataError, match=r"is a folder; write .*sub/\*\.root"):
        parse_groups([f"{folder}/sub"])


def test_the_hint_for_a_folder_is_of_files_that_it_has(tmp_path):
    with pytest.raises(DataError, match=r"is a folder without files that end in \.parquet"):
        parse_groups([str(tmp_path)])
    (tmp_path / "x.H5").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"is a folder; write .*/\*\.H5' for the files in it"):
        parse_groups([str(tmp_path)])


def test_every_ending_that_is_named_has_a_reader():
    assert tuple(READERS) == READABLE


def test_no_patterns_make_no_groups():
    assert parse_groups([]) == []


def test_wildcards_in_a_url_are_looked_up_on_the_server(folder):
    pytest.importorskip("aiohttp")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        assert parse_groups([f"x:{base}/*.root"]) == [
            FileGroup("x", (f"{base}/a.root", f"{base}/b.root"))
        ]
        with pytest.raises(DataError, match=r"\*\.parquet: no such file"):
            parse_groups([f"{base}/*.parquet"])
    finally:
        server.shutdown()
        server.server_close()


def test_wildcards_of_a_protocol_that_needs_a_package_name_the_extra(monkeypatch):
    def without_aiohttp(url: str) -> None:
        raise ImportError("requires aiohttp")

    monkeypatch.setattr(fsspec.core, "url_to_fs", without_aiohttp)
    named = r"be reached \(requires aiohttp\); pip .*weaver_tt\[remote\]"
    with pytest.raises(DataError, match=named):
        parse_groups(["https://host/*.root"])


def test_a_url_of_an_unknown_protocol_cannot_be_listed():
    with pytest.raises(DataError, match="files cannot be listed there"):
        parse_groups(["nonsense://host/*.root"])


def test_one_file_is_the_same_however_it_is_written_and_a_url_if_it_is_equal(tmp_path):
    (tmp_path / "a.root").touch()
    (tmp_path / "link.root").symlink_to(tmp_path / "a.root")
    (tmp_path / "b.root").touch()
    path = str(tmp_path / "a.root")
    assert is_same_file(path, f"{tmp_path}/../{tmp_path.name}/a.root")
    assert is_same_file(path, str(tmp_path / "link.root"))
    assert not is_same_file(path, str(tmp_path / "b.root"))
    assert is_same_file("root://host//a.root", "root://host//a.root")
    assert not is_same_file("root://host//a.root", path)
