"""Which files are in the docs' site, for MkDocs, which calls what stands here (mkdocs.yml).

They keep their places in the repository: a relative link that holds there holds in the site.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PATTERNS = [
    "*.md",
    "CITATION.cff",
    "docs/*.md",
    "docs/figures/*",
    "data_configs/*.yaml",
    "network_configs/*.py",
]
"""Pages, and files that pages link to or show."""

SPHINX_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):<code>(?:~[\w.]+\.)?")
"""What stands before a name in a docstring; ``~`` hides the module."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Files of the theme as they are, and ours by their paths in the repository."""
    of_docs_dir = [file for file in files if file.src_dir == config.docs_dir]
    for file in of_docs_dir:
        files.remove(file)
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            files.append(File(place, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Names in docstrings without the roles before them, which Markdown does not know."""
    return SPHINX_ROLE.sub("<code>", html)
