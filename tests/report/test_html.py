"""The page as a browser shows it: tables there, every image decoded, nothing fetched.

Skipped where there is no Chromium.
"""

import re

import matplotlib.image
import pytest

from tests.pages.browser import CHROMIUM, chromium, widths_at
from weaver_tt.report.commands import ReportOptions
from weaver_tt.reports import run_report

COUNT = """<script>addEventListener("load", () => {
  const isShown = image => image.complete && image.naturalWidth > 0;
  const isFetched = entry => !entry.name.startsWith("data:");
  const shown = [...document.images].filter(isShown).length;
  const fetched = performance.getEntriesByType("resource").filter(isFetched).length;
  document.title = `images ${shown} of ${document.images.length}, fetched ${fetched}`;
})</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory, write):
    folder = tmp_path_factory.mktemp("page")
    old = write(folder / "old.root", ["top", "qcd"])
    new = write(folder / "new <b>.root", ["top", "qcd"], strength=1.2, seed=2)
    run_report(
        ReportOptions(predictions=[str(old), str(new)], output=str(folder / "out"), pt_bins=2)
    )
    return folder / "out" / "report.html"


def test_the_page_needs_nothing_from_outside(page):
    text = page.read_text()
    # but a PDF of each figure may lie beside it
    addresses = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']*)""", text)
    assert addresses
    for address in addresses:
        assert (page.parent / address).suffix == ".pdf"
        assert (page.parent / address).exists()
    assert "@import" not in text
    assert "url(" not in text
    assert "new &lt;b&gt;" in text  # names are escaped


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_shows_tables_and_all_figures_and_fetches_nothing(tmp_path, page):
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text().replace("</body>", f"{COUNT}</body>"))
    shown = chromium(tmp_path, "--dump-dom", probe.as_uri())
    images = page.read_text().count("<img")
    assert images >= 7
    assert f"<title>images {images} of {images}, fetched 0</title>" in shown
    assert shown.count("<table>") >= 5
    assert "rejection at 50 % of top" in shown


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_phone_shows_it_without_scrolling_aside(tmp_path, page):
    shown = widths_at(page.read_text(), 375, tmp_path)
    assert shown == {"window": 375, "content": 375}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_screenshot_is_not_blank(tmp_path, page):
    shot = tmp_path / "shot.png"
    chromium(tmp_path, "--window-size=1200,1600", f"--screenshot={shot}", page.as_uri())
    pixels = matplotlib.image.imread(shot)[..., :3]
    assert pixels.shape[:2] == (1600, 1200)
    assert 0.02 < (pixels.min(2) < 0.9).mean() < 0.9  # ink, and paper
