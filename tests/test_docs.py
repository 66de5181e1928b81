"""The pages: their links hold, all are on the site, and the site builds from them alone."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from weaver_tt import api

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^( *)(```+).*?^\1\2$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`|^ {4}.*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def links(page):
    """Where the links of a page lead, those to other hosts aside."""
    prose = CODE.sub("", FENCE.sub("", page.read_text()))
    return [link for link in LINK.findall(prose) if not link.startswith("https://")]


def anchors(page):
    """The anchors that GitHub gives to the headings of a page."""
    seen = Counter()
    found = []
    for heading in HEADING.findall(FENCE.sub("", page.read_text())):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_links_and_anchors_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# The detector: `--detector`\n[a](b.md#c) ![d](e.png) [f](https://g)\n"
        "## Same\n```\n# no heading\n[h](i)\n```\n`[j](k)`\n    [l](m)\n## Same\n"
    )
    assert links(page) == ["b.md#c", "e.png"]
    assert anchors(page) == ["the-detector---detector", "same", "same-1"]


# as wide as they are: headings, rows of tables, and lines that are a link or a figure
NOT_WRAPPED = re.compile(r"^ *(#|\||!?\[.*\]\(\S+\)[.,;:]?$)")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_lines_of_prose_are_at_most_100_columns(page):
    prose = FENCE.sub("", page.read_text())
    long = [line for line in prose.splitlines() if len(line) > 100]
    assert [line for line in long if not NOT_WRAPPED.match(line)] == []


# a page of signatures, and pages that are lists
WITHOUT_AN_END = {"docs/api.md", "docs/architecture.md", "CHANGELOG.md"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_of_the_docs_says_first_what_it_is_for_and_last_where_to_go_on(page):
    name = page.relative_to(ROOT).as_posix()
    if page.parent.name != "docs":
        return
    title, _, rest = page.read_text().partition("\n\n")
    assert title.startswith("# ")
    # a sentence, neither a heading nor a block
    assert re.match(r"[A-Z`*]", rest), rest[:40]
    if name not in WITHOUT_AN_END:
        assert HEADING.findall(FENCE.sub("", page.read_text()))[-1] == "Where to go on"


SOURCE = re.compile(r"`([\w./]+\.(?:py|html|css|toml|yaml))`")
# pages for who changes the code
OF_THE_CODE = ["CONTRIBUTING.md", "docs/architecture.md", "docs/robustness.md"]


@pytest.mark.parametrize("name", OF_THE_CODE)
def test_files_of_the_code_that_a_page_names_exist(name):
    files = [*ROOT.glob("*.toml"), *ROOT.glob("*.py")]
    for folder in ("weaver_tt", "tests", "benchmarks", "docs", "distributions", "data_configs"):
        files += [path for path in (ROOT / folder).rglob("*.*") if path.is_file()]
    there = [path.as_posix() for path in files]
    for path in SOURCE.findall(FENCE.sub("", (ROOT / name).read_text())):
        if "NAME" in path or "PREFIX" in path:
            continue
        assert any(one.endswith("/" + path) for one in there), path


def pages_of_the_navigation(entry):
    """Paths in ``nav`` of mkdocs.yml, from all of its levels."""
    if isinstance(entry, str):
        return [entry]
    children = entry.values() if isinstance(entry, dict) else entry
    return [path for child in children for path in pages_of_the_navigation(child)]


def test_every_page_is_once_in_the_navigation():
    class Loader(yaml.SafeLoader):
        """Reads what names a Python function, of which the navigation has none."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    site = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    assert sorted(pages_of_the_navigation(site["nav"])) == sorted(NAMES)


def test_the_reference_has_every_name_of_the_api_from_where_it_is():
    shown = re.findall(r"^::: (.*)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    homes = dict.fromkeys(api.__all__, "weaver_tt.api") | api.PLACES
    assert sorted(shown) == sorted(f"{home}.{name}" for name, home in homes.items())


class Loaded(HTMLParser):
    """Addresses of what a browser loads for a page: scripts, styles and images, not links."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("script", "img", "iframe") and "src" in attributes:
            self.addresses.append(attributes["src"])
        if tag == "link":
            self.addresses.append(attributes["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built where every connection is refused."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(["http_proxy", "https_proxy"], "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_of_the_site_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) == len(PAGES) + 1  # one says that there is no such page
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text())
        assert loaded.addresses
        for address in loaded.addresses:
            assert not re.match(r"(\w+:)?//", address), f"{page}: {address}"


def test_lists_and_tables_are_those_that_github_shows(site):
    """The site's Markdown needs a blank line before a list, and four spaces inside of one."""
    commonmark = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    for page, name in zip(PAGES, NAMES, strict=True):
        if name == "docs/api.md":
            continue  # what stands there in one line is long on the site
        folder = "" if name == "README.md" else name.removesuffix(".md")
        on_github = commonmark.render(page.read_text())
        _, on_site = (site / folder / "index.html").read_text().split("<article")
        for tag in ("<li>", "<tr>", "<pre>", "<h2"):
            assert on_site.count(tag) == on_github.count(tag), (name, tag)


def test_search_finds_pages_and_names_of_the_api(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"]: entry["text"] for entry in index["docs"]}
    assert "deltaR" in found["docs/data-yaml/#functions"]
    assert "needs_target_statistics" in " ".join(found)
    for name, home in api.PLACES.items():
        assert f"docs/api/#{home}.{name}" in found


def test_files_that_pages_link_to_are_on_the_site(site):
    for name in ("data_configs/top_tagging.yaml", "network_configs/particle_net.py"):
        assert (site / name).read_text() == (ROOT / name).read_text()
    assert (
        'href="../../data_configs/pfnano.yaml"' in (site / "docs/data-yaml/index.html").read_text()
    )
