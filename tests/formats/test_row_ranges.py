"""Files are read in pieces of whole clusters where that is possible."""

from weaver_tt.formats.row_ranges import row_ranges


def test_pieces_keep_clusters_whole_and_cut_long_ones():
    assert list(row_ranges([0, 3, 6, 9], most=6)) == [(0, 6), (6, 9)]
    assert list(row_ranges([0, 2, 12, 13], most=5)) == [(0, 2), (2, 7), (7, 12), (12, 13)]
    assert list(row_ranges([0], most=5)) == []
