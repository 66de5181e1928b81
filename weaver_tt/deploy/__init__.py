"""What leaves for other programs; ``Tagger`` runs it in Python, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weaver_tt.deploy.tagger import Tagger as Tagger


def __getattr__(name: str) -> Any:
    # the other modules of this folder do without awkward
    if name == "Tagger":
        from weaver_tt.deploy.tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
