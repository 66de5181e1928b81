"""Pages in Chromium, where it is installed."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # as on a phone, where they take no width
    "--hide-scrollbars",
]
# a window of Chromium is at least 500 pixels wide, a frame is as narrow as one likes
FRAME = """<!DOCTYPE html><body style="margin: 0">
<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>addEventListener("load", () => {{
  const shown = document.querySelector("iframe").contentDocument.documentElement;
  const widths = {{window: shown.clientWidth, content: shown.scrollWidth}};
  document.title = "widths " + JSON.stringify(widths);
}})</script></body>"""


def chromium(folder: Path, *arguments: Any) -> str:
    """What Chromium prints for a page, with a profile of its own."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    command += map(str, arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def widths_at(page: str, width: int, folder: Path) -> dict[str, int]:
    """The width of the ``window`` and of the ``content`` of a page on a screen of ``width``."""
    frame = folder / f"frame_{width}.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(page)))
    shown = chromium(folder, "--dump-dom", frame.as_uri())
    (widths,) = re.findall("<title>widths (.*?)</title>", shown)
    return json.loads(widths)
