"""Figures become files, or a clear error."""

from pathlib import Path

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.figures.base import make_axes, make_folder, save_figure


def test_a_figure_is_saved_as_png_and_pdf(tmp_path):
    figure, axes = make_axes("x", "y", size=(1, 1))
    assert axes.get_xlabel() == "x"
    paths = save_figure(figure, tmp_path / "one.two")
    assert [Path(path).read_bytes()[:4] for path in paths] == [b"\x89PNG", b"%PDF"]


def test_what_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(OutputError, match="cannot be written"):
        save_figure(make_axes("x", "y", size=(1, 1))[0], tmp_path / "none" / "figure")
