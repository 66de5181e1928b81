"""Event accounting: what became of every row, object and value, over chunks, workers and ranks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.formats.file_groups import UNNAMED_GROUP, without_copies_folder
from weaver_tt.system.wording import counted


@dataclass(frozen=True, slots=True)
class LostRows:
    """Rows [first, last) of a file that were left out because it is damaged.

    Without numbers all rows of a file that could not be opened: how many is unknown.
    """

    path: str
    reason: str
    first: int | None = None
    last: int | None = None


# a bad file as JSON: path, reason, rows, ranges of rows
BadFile = dict[str, Any]


def list_bad_files(lost: Iterable[LostRows]) -> list[BadFile]:
    """What was lost in each file, ready for JSON.

    ``path`` and ``reason``; ``ranges`` of rows, [first, last) each, and how many ``rows`` they hold
    (both None where the file could not be opened). A row counts once, in however many epochs and
    passes it was lost. Files in the order of their paths, which are those of the input, not of
    temporary copies.
    """
    parts_of: dict[str, list[LostRows]] = defaultdict(list)
    for part in lost:
        parts_of[without_copies_folder(part.path)].append(part)
    files = []
    for path, parts in sorted(parts_of.items()):
        ranges = _united_ranges(parts)
        rows = None if ranges is None else sum(last - first for first, last in ranges)
        reason = without_copies_folder(min(part.reason for part in parts))
        files.append({"path": path, "rows": rows, "ranges": ranges, "reason": reason})
    return files


def lost_rows(files: Iterable[BadFile]) -> set[LostRows]:
    """What :func:`list_bad_files` has listed."""
    lost = set()
    for file in files:
        for first, last in file["ranges"] or [(None, None)]:
            lost.add(LostRows(file["path"], file["reason"], first, last))
    return lost


def _united_ranges(parts: Iterable[LostRows]) -> list[list[int]] | None:
    """The rows of ``parts`` of one file, as ranges in order; None where they are unknown."""
    ranges: list[list[int]] = []
    for part in sorted(parts, key=lambda part: (part.first or 0, part.last or 0)):
        if part.first is None or part.last is None:
            return None
        if ranges and part.first <= ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], part.last)
        else:
            ranges.append([part.first, part.last])
    return ranges


Place = tuple[str, int]  # path of a file, number of a row in it


@dataclass(slots=True)
class Accounting:
    """Counts keyed by file group (rows) or by input group or column (objects, values).

    ``read[g] == selected[g] + sum(dropped[g, reason])`` and
    ``used[g] <= selected[g] - sampled_out[g] + repeated[g]``: the rest waits, or would be an
    incomplete batch of the rank.
    """

    # file group -> rows decoded
    read: Counter[str] = field(default_factory=Counter)
    # file group -> rows that passed the selection
    selected: Counter[str] = field(default_factory=Counter)
    # (file group, reason) -> rows
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    # file group -> selected rows that reweighting did not draw
    sampled_out: Counter[str] = field(default_factory=Counter)
    # file group -> rows that it drew again
    repeated: Counter[str] = field(default_factory=Counter)
    # file group -> rows delivered in batches
    used: Counter[str] = field(default_factory=Counter)
    # input group -> objects beyond its length
    truncated: Counter[str] = field(default_factory=Counter)
    # input group -> objects before the object selection, where there is one
    objects: Counter[str] = field(default_factory=Counter)
    # input group -> objects that failed the object selection
    objects_dropped: Counter[str] = field(default_factory=Counter)
    # column -> NaN or infinite values replaced
    nonfinite: Counter[str] = field(default_factory=Counter)
    # label -> rows or objects without a value: NaN, infinite, of no class or of several
    undefined: Counter[str] = field(default_factory=Counter)
    # (nonfinite | undefined, column or label) -> the first of them, by path and row
    first: dict[tuple[str, str], Place] = field(default_factory=dict)
    # what --on-bad-file skip left out -> how often
    lost: Counter[LostRows] = field(default_factory=Counter)
    # class -> selected rows, or "LABEL = 0|1" -> selected objects
    targets: Counter[str] = field(default_factory=Counter)
    # reweighting (variable, class, before | after | square, bin) -> sum
    spectra: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    # (input group, objects | padded | full) -> slots in batches of similar size
    slots: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: Accounting) -> None:
        """Add the counts of ``other`` to these."""
        for name in self.__slots__:
            if name != "first":
                getattr(self, name).update(getattr(other, name))
        for key, place in other.first.items():
            # chunks come in any order, and from several processes
            self.first[key] = min(place, self.first.get(key, place))

    def add_rows(self, count: str, column: str, path: str, rows: npt.NDArray[np.int64]) -> None:
        """Count the values of ``column`` in ``rows`` of the file at ``path``, one each.

        Under ``count``, ``nonfinite`` or ``undefined``; a row may come several times.
        """
        if not len(rows):
            return
        getattr(self, count)[column] += len(rows)
        place = path, int(rows.min())
        key = count, column
        self.first[key] = min(place, self.first.get(key, place))

    def describe_places(self, count: str) -> list[str]:
        """``COLUMN NUMBER (first: FILE, row ROW)`` for what is counted under ``count``."""
        described = []
        for column, number in sorted(getattr(self, count).items()):
            if not number:
                continue
            text = f"{column} {number:,}"
            if (count, column) in self.first:
                path, row = self.first[count, column]
                text += f" (first: {path}, row {row})"
            described.append(text)
        return described

    def report(self) -> str:
        """The lines that a log shows at the end of an epoch.

        One for each file group, then what was truncated, replaced or skipped.
        """
        groups = set(self.read) | set(self.used)
        lines = [self._group_line(group) for group in sorted(groups)]
        remarks = {
            "objects beyond the input's length": self.truncated,
            "objects that failed the object selection": self.objects_dropped,
        }
        for what, counts in remarks.items():
            found = _numbers_with_names(counts)
            if found:
                lines.append(f"{what}: {found}")
        places = {
            "NaN or infinite values replaced": "nonfinite",
            "labels without a value, left out of loss and metrics": "undefined",
        }
        for what, count in places.items():
            described = self.describe_places(count)
            if described:
                lines.append(f"{what}: {', '.join(described)}")
        if self.lost:
            lines.append(f"rows of bad files skipped: {', '.join(self._losses())}")
        for group, (padded, full) in self.padding().items():
            line = f"padding of {group}: {padded:.1%} of its slots"
            lines.append(f"{line}, {full:.1%} without bucketing")
        return "\n".join(lines)

    def _losses(self) -> list[str]:
        """Each bad file, with the rows that it lacks."""
        shown = []
        for file in list_bad_files(self.lost):
            rows = "all" if file["rows"] is None else f"{file['rows']:,}"
            shown.append(f"{file['path']} {rows}")
        return shown

    def padding(self) -> dict[str, tuple[float, float]]:
        """Input group -> shares of slots without an object, in batches of similar size.

        As they were padded, and as they would be at full length.
        """
        shares = {}
        for group in sorted({group for group, _ in self.slots}):
            objects = self.slots[group, "objects"]
            padded_slots = max(1, self.slots[group, "padded"])
            full_slots = max(1, self.slots[group, "full"])
            shares[group] = 1 - objects / padded_slots, 1 - objects / full_slots
        return shares

    def _group_line(self, group: str) -> str:
        reasons = []
        for (owner, reason), number in sorted(self.dropped.items()):
            if owner == group and number:
                reasons.append(f"{number:,} by {reason}")
        line = "" if group == UNNAMED_GROUP else f"{group}: "
        line += f"{counted(self.read[group], 'row')} read"
        line += f", {self.selected[group]:,} selected"
        if reasons:
            line += f" ({', '.join(reasons)} dropped)"
        if self.sampled_out[group] or self.repeated[group]:
            line += f", {self.sampled_out[group]:,} sampled out"
            line += f", {self.repeated[group]:,} repeated"
        return f"{line}, {self.used[group]:,} used"


def _numbers_with_names(counts: Counter[str]) -> str:
    """``23 of pf_features, pf_mask; 5 of sv_features``: groups of one collection share a number."""
    names_of: dict[int, list[str]] = defaultdict(list)
    for name, number in sorted(counts.items()):
        if number:
            names_of[number].append(name)
    return "; ".join(f"{number:,} of {', '.join(names)}" for number, names in names_of.items())
