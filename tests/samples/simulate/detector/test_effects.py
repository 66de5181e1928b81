"""Every effect has a switch that does something, and a row in the docs."""

import re
from pathlib import Path

from weaver_tt.samples.simulate.detector.effects import EFFECTS

ROOT = Path(__file__).parents[4]


def test_every_switch_is_asked_for_and_no_other():
    sources = (ROOT / "weaver_tt/samples/simulate").rglob("*.py")
    asked = {
        name for path in sources for name in re.findall(r'simulates\("([^"]*)"\)', path.read_text())
    }
    assert asked == set(EFFECTS)


def test_every_switch_is_explained():
    page = (ROOT / "docs/simulate.md").read_text()
    assert [name for name in EFFECTS if f"`{name}`" not in page] == []
