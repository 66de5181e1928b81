"""What the converters share."""

import numpy as np
import pytest

from weaver_tt.errors import DataError
from weaver_tt.samples.convert.tables import drop_padding, labelled_jet_columns, matching_files


def test_padding_is_left_out_wherever_it_stands():
    values = np.array([[1, 0, 2], [0, 0, 0]])
    assert drop_padding(values, values > 0).tolist() == [[1, 2], []]


def test_jets_carry_their_label():
    momenta = [np.array([[value]]) for value in (3.0, 4.0, 0.0, 13.0)]
    columns = labelled_jet_columns(momenta, np.array([[True]]), np.array([1.0]))
    assert (
        columns["label"].tolist(),
        columns["jet_pt"].tolist(),
        columns["jet_mass"].tolist(),
    ) == ([1], [5], [12])


def test_a_folder_without_the_files_says_what_is_there(tmp_path):
    with pytest.raises(DataError, match="no such folder, or nothing in it"):
        matching_files(str(tmp_path / "none"), "*.h5")
    (tmp_path / "train.hdf").touch()
    with pytest.raises(DataError, match=r"no file '\*\.h5' there; .*train\.hdf"):
        matching_files(str(tmp_path), "*.h5")
