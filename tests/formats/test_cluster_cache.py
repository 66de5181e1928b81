"""Large clusters that are read in pieces are decoded once while there is room."""

from __future__ import annotations

import awkward as ak
import numpy as np

from weaver_tt.formats.cluster_cache import ClusterCache

CLUSTER = (100, 200)


def decoder(asked):
    """A reader of the column x = row number (8 bytes), that notes what it was asked for."""

    def read(first, last):
        asked.append((first, last))
        return {"x": ak.Array(np.arange(first, last))}

    return read


def pieces(cache, asked, cluster=CLUSTER, step=25):
    """The cluster, piece by piece."""
    rows = []
    for first in range(*cluster, step):
        row_range = (first, first + step)
        table = cache.read_rows("file", ("x",), cluster, row_range, decoder(asked))
        rows += table["x"].to_list()
    return rows


def test_the_first_piece_tells_the_size_and_the_second_brings_the_cluster():
    asked = []
    assert pieces(ClusterCache(800), asked) == list(range(100, 200))
    assert asked == [(100, 125), (100, 200)]  # 100 rows of 8 bytes fit into 800


def test_without_room_every_piece_is_decoded_alone():
    asked = []
    assert pieces(ClusterCache(799), asked) == list(range(100, 200))
    assert asked == [(100, 125), (125, 150), (150, 175), (175, 200)]


def test_a_cluster_goes_when_all_its_rows_were_handed_out():
    cache = ClusterCache(800)
    asked = []
    pieces(cache, asked)
    # these were missing from the count: the first piece was read alone
    cache.read_rows("file", ("x",), CLUSTER, (100, 125), decoder(asked))
    asked.clear()
    pieces(cache, asked, (200, 300))
    assert asked == [(200, 300)]  # there is room for the next


def test_a_forgotten_owner_leaves_nothing_behind():
    cache = ClusterCache(800)
    asked = []
    pieces(cache, asked)
    cache.forget("file")
    asked.clear()
    pieces(cache, asked)
    assert asked == [(100, 125), (100, 200)]
