"""What the detector does, each with a switch."""

from __future__ import annotations

EFFECTS: dict[str, str] = {}
"""Name, for ``--without`` -> what happens without it."""
