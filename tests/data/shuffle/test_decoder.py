"""Chunks become rows: selected, drawn, counted; few files are open at a time."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.chunks import Chunk
from weaver_tt.data.scan import scan_files
from weaver_tt.data.shuffle import decoder as decoder_module
from weaver_tt.data.shuffle.decoder import Decoder
from weaver_tt.data.statistics.sampling import DrawnRows
from weaver_tt.errors import BadFileError
from weaver_tt.formats.file_groups import FileGroup

CONFIG = from_mapping(
    {
        "selection": "number % 3 != 0",
        "inputs": {"event": {"length": None, "vars": ["number"]}},
        "labels": {"type": "custom", "value": {"y": "number"}},
    }
)


class FixedDraw:
    """In place of a sampler: the same copies and weights for every chunk."""

    def __init__(self, copies, weight=None):
        self.drawn = DrawnRows(np.array(copies), weight)

    def draw(self, table, chunk, positions, group):
        return self.drawn


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Three files of 10 rows, numbered 0 to 9, 10 to 19 and 20 to 29."""
    paths = [str(tmp_path / f"{i}.parquet") for i in range(3)]
    for i, path in enumerate(paths):
        ak.to_parquet(ak.Array({"number": np.arange(10 * i, 10 * i + 10)}), path)
    return paths


def make_decoder(paths, on_bad_file="raise"):
    train = make_plan(CONFIG, "train")
    scan = scan_files([FileGroup("toy", tuple(paths))], CONFIG, train)
    return Decoder(CONFIG, train, scan, on_bad_file)


def decode(decoder, chunk, sampler=None):
    return decoder.finish(chunk, decoder.read(chunk), sampler)


def test_rows_that_pass_the_selection_keep_their_places_in_the_chunk(paths):
    decoder = make_decoder(paths)
    decoded = decode(decoder, Chunk(0, paths[0], 2, 9))
    # rows 2 to 8 of the file without 3 and 6
    assert decoded.rows.labels["y"].tolist() == [2, 4, 5, 7, 8]
    assert decoded.positions.tolist() == [0, 2, 3, 5, 6]
    assert decoded.places.tolist() == [0, 1, 2, 3, 4]
    assert (decoder.accounting.read["toy"], decoder.accounting.selected["toy"]) == (7, 5)


def test_a_row_that_is_drawn_twice_is_decoded_once(paths):
    weight = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    # of rows 2, 4, 5, 7, 8: the second twice, the third never
    sampler = FixedDraw([1, 2, 0, 1, 1], weight)
    decoded = decode(make_decoder(paths), Chunk(0, paths[0], 2, 9), sampler)
    assert decoded.rows.labels["y"].tolist() == [2, 4, 7, 8]
    assert decoded.positions.tolist() == [0, 2, 2, 5, 6]
    assert decoded.places.tolist() == [0, 1, 1, 2, 3]
    assert decoded.rows.weight.tolist() == [0.5, 1.0, 3.0, 4.0]


def test_where_nothing_is_drawn_or_selected_no_row_is_left(paths):
    decoder = make_decoder(paths)
    assert decode(decoder, Chunk(0, paths[0], 1, 3), FixedDraw([0, 0])).rows is None
    # row 3 alone fails the selection
    assert decode(decoder, Chunk(0, paths[0], 3, 4)).rows is None
    assert (decoder.accounting.read["toy"], decoder.accounting.selected["toy"]) == (3, 2)


def test_a_bad_file_is_skipped_and_counted_only_where_that_is_asked(paths):
    skipping, strict = make_decoder(paths, "skip"), make_decoder(paths)
    Path(paths[0]).write_bytes(b"no parquet")
    chunk = Chunk(0, paths[0], 0, 10)
    assert decode(skipping, chunk).rows is None
    ((lost, times),) = skipping.accounting.lost.items()
    assert (lost.path, lost.first, lost.last, times) == (paths[0], 0, 10, 1)
    with pytest.raises(BadFileError, match=r"0\.parquet"):
        strict.read(chunk)


def test_the_file_read_longest_ago_is_closed_and_at_the_end_all_are(paths, monkeypatch):
    decoder = make_decoder(paths)
    events = []

    def open_and_note(path, *how):
        number = paths.index(path)
        reader = open_reader(path, *how)
        close = reader.close

        def note_and_close():
            events.append(f"close {number}")
            close()

        monkeypatch.setattr(reader, "close", note_and_close)
        events.append(f"open {number}")
        return reader

    open_reader = decoder_module.open_reader
    monkeypatch.setattr(decoder_module, "open_reader", open_and_note)
    for i in (0, 1, 0, 2, 0):
        decoder.read(Chunk(0, paths[i], 0, 10))
    assert events == ["open 0", "open 1", "close 1", "open 2"]
    decoder.close()
    assert sorted(events[4:]) == ["close 0", "close 2"]


def test_places_are_rows_of_the_file_whatever_was_selected_and_drawn(tmp_path):
    path = str(tmp_path / "gaps.parquet")
    number = np.arange(10.0)
    number[[3, 5, 8]] = np.nan
    ak.to_parquet(ak.Array({"number": number, "keep": np.arange(10) != 3}), path)
    conf = from_mapping(
        {
            "selection": "keep",
            "inputs": {"event": {"length": None, "vars": ["number"]}},
            "labels": {"type": "custom", "value": {"y": "number"}},
        }
    )
    plan = make_plan(conf, "train")
    decoder = Decoder(conf, plan, scan_files([FileGroup("toy", (path,))], conf, plan), "raise")
    # rows 2, 4, 5, 6, 7, 8, 9 are selected, and row 5 is not drawn
    decode(decoder, Chunk(0, path, 2, 10), FixedDraw([1, 1, 0, 1, 1, 1, 1]))
    assert decoder.accounting.describe_places("nonfinite") == [f"number 1 (first: {path}, row 8)"]
    assert decoder.accounting.describe_places("undefined") == [f"y 1 (first: {path}, row 8)"]
