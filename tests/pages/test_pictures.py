"""Figures that are written for a page."""

import base64

from matplotlib.figure import Figure

from weaver_tt.pages.pictures import write_picture, write_pictures


def test_a_figure_is_a_png_and_a_pdf_under_a_name_that_a_file_may_have(tmp_path):
    picture = write_picture("roc of a/b <c>", "Curves.", Figure(figsize=(3, 2)), tmp_path)
    assert picture.path == tmp_path / "roc_of_a_b_c_.png"
    assert (tmp_path / picture.pdf).read_bytes().startswith(b"%PDF")
    assert picture.caption == "Curves."
    start, image = picture.data.split(",")
    assert start == "data:image/png;base64"
    assert base64.b64decode(image) == picture.path.read_bytes()


def test_a_point_in_a_name_is_kept(tmp_path):
    picture = write_picture("auc_1.5", "", Figure(figsize=(3, 2)), tmp_path)
    assert picture.pdf == "auc_1.5.pdf"
    assert (tmp_path / "auc_1.5.pdf").exists()


def test_many_panels_are_wide(tmp_path):
    sizes = [(12.6, 3.8), (6.4, 5.2)]
    figures = [(f"f{width}", "", Figure(figsize=(width, height))) for width, height in sizes]
    assert [picture.is_wide for picture in write_pictures(figures, tmp_path)] == [True, False]
