"""Event accounting: what became of every row, object and value; adds up over chunks, workers and ranks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Accounting:
    """Counts keyed by file group (rows) or by input group / column (objects, values).

    Law: ``read[g] == selected[g] + sum(dropped[g, reason])`` and ``used[g] <= selected[g] - sampled_out[g] + repeated[g]`` (the rest waits or was an
    incomplete batch).
    """

    read: Counter[str] = field(default_factory=Counter)  # file group -> rows decoded
    selected: Counter[str] = field(default_factory=Counter)  # file group -> rows that passed
    dropped: Counter[tuple[str, str]] = field(
        default_factory=Counter
    )  # (file group, reason) -> rows
    sampled_out: Counter[str] = field(
        default_factory=Counter
    )  # file group -> selected rows that reweighting did not draw
    repeated: Counter[str] = field(default_factory=Counter)  # file group -> rows that it drew again
    used: Counter[str] = field(default_factory=Counter)  # file group -> rows delivered in batches
    truncated: Counter[str] = field(
        default_factory=Counter
    )  # input group -> objects beyond its length
    objects_dropped: Counter[str] = field(
        default_factory=Counter
    )  # input group -> objects that failed the object selection
    nonfinite: Counter[str] = field(
        default_factory=Counter
    )  # column -> NaN or infinite values replaced
    bad_files: Counter[str] = field(
        default_factory=Counter
    )  # path -> chunks given up with --on-bad-file skip, 1 for a file that does not open
    targets: Counter[str] = field(
        default_factory=Counter
    )  # class -> selected rows, or "LABEL = 0|1" -> selected objects
    spectra: Counter[tuple[str, str, str, int]] = field(
        default_factory=Counter
    )  # reweighting (variable, class, before | after | square, bin) -> sum
    slots: Counter[tuple[str, str]] = field(
        default_factory=Counter
    )  # (input group, objects | padded | full) -> slots in batches of similar size

    def add(self, other: Accounting) -> None:
        """Add the counts of ``other`` to these."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def report(self) -> str:
        """What a log shows at the end of an epoch: a line for each file group, then what was cut, replaced or given up."""
        lines = [self._group_line(group) for group in sorted(set(self.read) | set(self.used))]
        remarks = {
            "objects beyond the input's length": self.truncated,
            "objects that failed the object selection": self.objects_dropped,
            "NaN or infinite values taken as 0": self.nonfinite,
            "parts of damaged files skipped": self.bad_files,
        }
        for what, counts in remarks.items():
            found = [f"{name} {number:,}" for name, number in sorted(counts.items()) if number]
            if found:
                lines.append(f"{what}: {', '.join(found)}")
        lines += [
            f"padding of {group}: {now:.1%} of its slots, {full:.1%} without bucketing"
            for group, (now, full) in self.padding().items()
        ]
        return "\n".join(lines)

    def padding(self) -> dict[str, tuple[float, float]]:
        """Of inputs in batches of similar size, the share of slots without an object: as they were padded, and at full length."""
        shares = {}
        for group in sorted({group for group, _ in self.slots}):
            objects, padded, full = (
                self.slots[group, what] for what in ("objects", "padded", "full")
            )
            shares[group] = 1 - objects / max(1, padded), 1 - objects / max(1, full)
        return shares

    def _group_line(self, group: str) -> str:
        reasons = [
            f"{number:,} by {reason}"
            for (owner, reason), number in sorted(self.dropped.items())
            if owner == group and number
        ]
        dropped = f" ({', '.join(reasons)} dropped)" if reasons else ""
        drawn = ""
        if self.sampled_out[group] or self.repeated[group]:
            drawn = f", {self.sampled_out[group]:,} sampled out, {self.repeated[group]:,} repeated"
        return f"{group}: {self.read[group]:,} rows read, {self.selected[group]:,} selected{dropped}{drawn}, {self.used[group]:,} used"
