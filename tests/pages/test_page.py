"""Pages of sections and blocks, as text and as a browser shows them."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

from tests.pages.browser import CHROMIUM, widths_at
from weaver_tt.pages.cells import Cell, words_cell
from weaver_tt.pages.page import Alert, Gallery, Note, Page, Section, Table, render_page
from weaver_tt.pages.pictures import write_picture

TABLE = Table.of_columns(
    ["one <b>", "two"],
    [("AUC", [Cell("0.9", "± 0.1", is_best=True), Cell("0.8")]), (Markup("ε<sub>B</sub>"), "12")],
    "Numbers",
)


def page_of(*sections: Section) -> str:
    return render_page(Page(title="A & B", about="two models", sections=sections))


def test_a_table_of_columns_has_a_row_for_each_title():
    text = page_of(Section("Numbers", [TABLE]))
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    assert [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows] == [
        ["", "AUC", "ε<sub>B</sub>"],
        ["one &lt;b&gt;", '0.9 <span class="detail">± 0.1</span>', "1"],
        ["two", "0.8", "2"],
    ]
    assert text.count('<td class="best">') == 1
    assert "<caption>Numbers</caption>" in text


def test_the_title_of_words_stands_above_them():
    rows = [["one", "1", words_cell(["a.root"])], ["two", "2", Cell("")]]
    text = page_of(Section("Files", [Table(head=["", "rows", "files"], rows=rows)]))
    titles = re.findall(r'<th scope="col"(.*?)>(.*?)</th>', text)
    assert titles == [("", ""), ("", "rows"), (' class="words"', "files")]


def test_text_is_escaped_and_markup_is_not():
    text = page_of(Section("<i>", [Note("a < b"), Note(Markup("x<sub>1</sub>")), Alert("<u>")]))
    assert "<p>a &lt; b</p>" in text
    assert "<p>x<sub>1</sub></p>" in text
    assert '<p class="alert">&lt;u&gt;</p>' in text
    assert "<i>" not in text
    assert "<title>A &amp; B</title>" in text


def test_each_section_has_its_line_in_the_table_of_contents():
    text = page_of(
        Section("First", [TABLE]),
        Section("Second", sections=[Section("b jets"), Section("c jets")]),
    )
    links = dict(re.findall(r'<a href="#(section[^"]*)">(.*?)</a>', text))
    titles = dict(re.findall(r'<section id="(section[^"]*)">\n<h[23]>(.*?)</h[23]>', text))
    assert links == titles
    assert list(links.values()) == ["First", "Second", "b jets", "c jets"]


def test_a_figure_is_inlined_and_has_a_link_to_its_pdf(tmp_path):
    picture = write_picture("ROC 1%", "A caption.", Figure(figsize=(3, 2)), tmp_path)
    text = page_of(Section("Figures", [Gallery([picture])]))
    assert f'<img src="{picture.data}" alt="A caption.">' in text
    (address,) = re.findall(r'<a href="([^#"][^"]*)">PDF</a>', text)
    assert (tmp_path / address).exists()


def test_figures_have_links_by_name_where_there_is_an_index(tmp_path):
    pictures = [
        write_picture(name, name, Figure(figsize=(3, 2)), tmp_path) for name in ("a.é", "b")
    ]
    text = page_of(Section("Figures", [Gallery(pictures, index=["first", "<second>"])]))
    links = re.findall(r'<a href="#([^"]*)">(first|&lt;second&gt;)</a>', text)
    assert [title for _, title in links] == ["first", "&lt;second&gt;"]
    places = re.findall(r'<figure id="([^"]*)"', text)
    assert [unquote(address) for address, _ in links] == places == ["a.é", "b"]


def test_templates_and_style_lie_in_the_package():
    folder = Path(__file__).parents[2] / "weaver_tt" / "pages"
    assert {path.suffix for path in folder.iterdir()} >= {".html", ".css"}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_screen(tmp_path, width):
    columns = [(f"rejection at {share} %", ["123.4 ± 5.6", "–"]) for share in range(30)]
    wide = Table.of_columns(["a_model_with_a_long_name" * 3, "two"], columns, "cap" * 60)
    picture = write_picture("wide", "caption" * 20, Figure(figsize=(9, 2)), tmp_path)
    text = page_of(
        Section("a_signal_with_a_long_name" * 4, [wide, Gallery([picture, picture])]),
        Section("Files", [Note("path/" * 60), Alert("path/" * 60)]),
    )
    shown = widths_at(text, width, tmp_path)
    assert shown["window"] == width
    assert shown["content"] <= width
