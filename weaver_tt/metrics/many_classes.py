"""Of many classes, which ones have curves, panels, figures and pairs: all have numbers.

The figures of a training, of a prediction, of a report and of the inputs all ask here.
"""

from __future__ import annotations

from collections.abc import Sequence

from weaver_tt.options.figures import MAX_CLASSES


def shown_classes(
    names: Sequence[str], entries: Sequence[float], asked: Sequence[str] = ()
) -> list[str]:
    """The classes that are shown, in their order.

    Those that are ``asked`` for; otherwise all, or the ``MAX_CLASSES`` with most ``entries``.
    """
    shown = set(asked)
    if not shown:
        by_entries = sorted(range(len(names)), key=lambda place: -entries[place])
        shown = {names[place] for place in by_entries[:MAX_CLASSES]}
    return [name for name in names if name in shown]


def choice_in_words(shown: Sequence[str], classes: Sequence[str]) -> str:
    """``12 of 188 classes``; nothing where all are shown."""
    if len(shown) == len(classes):
        return ""
    return f"{len(shown)} of {len(classes)} classes"
