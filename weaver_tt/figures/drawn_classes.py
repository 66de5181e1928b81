"""Which classes get curves, panels and figures of their own: of many classes, some.

The figures of a training, of a prediction and of a report all ask here.
"""

from __future__ import annotations

from collections.abc import Sequence

from weaver_tt.metrics.classifier_summary import ClassifierSummary

MAX_CLASSES = 12  # of more classes not each is drawn


def drawn_classes(summary: ClassifierSummary, asked: Sequence[str] = ()) -> list[str]:
    """The classes that are drawn, in their order.

    Those that are ``asked`` for; otherwise all, or the ``MAX_CLASSES`` with most entries.
    """
    drawn = set(asked)
    if not drawn:
        order = summary.effective_entries.argsort(descending=True, stable=True)
        drawn = {summary.names[k] for k in order[:MAX_CLASSES].tolist()}
    return [name for name in summary.names if name in drawn]


def choice_in_words(drawn: Sequence[str], classes: Sequence[str]) -> str:
    """``12 of 188 classes``; nothing where all are drawn."""
    if len(drawn) == len(classes):
        return ""
    return f"{len(drawn)} of {len(classes)} classes"
