"""What ``--on-bad-file skip`` left out of a training, kept in its run card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weaver_tt.data.accounting import BadFile, LostRows, list_bad_files, lost_rows
from weaver_tt.run.run_card import load_card, save_card
from weaver_tt.system import distributed

KEY = "bad_files"


def record_bad_files(prefix: str, lost: Iterable[LostRows]) -> None:
    """Add what the ranks have ``lost`` to the card of the run ``prefix``; all of them call this.

    The card lists the union of all passes, epochs, ranks and members of the run, and of the run
    that it continues.

    Raises:
        OutputError: the card cannot be written.
    """
    of_all_ranks: set[LostRows] = set()
    for of_rank in distributed.gather_from_ranks(set(lost)):
        of_all_ranks |= of_rank
    if not of_all_ranks or not distributed.is_main():
        return
    card = load_card(prefix)
    if card is None:
        return
    recorded = card.get(KEY, [])
    listed = unite_bad_files([recorded, list_bad_files(of_all_ranks)])
    if listed != recorded:
        save_card(prefix, card | {KEY: listed})


def recorded_bad_files(prefix: str) -> list[BadFile]:
    """What the card of the run ``prefix`` lists."""
    card = load_card(prefix)
    return card.get(KEY, []) if card else []


def unite_bad_files(lists: Iterable[Sequence[BadFile]]) -> list[BadFile]:
    """One list of what several ones hold."""
    lost: set[LostRows] = set()
    for files in lists:
        lost |= lost_rows(files)
    return list_bad_files(lost)
