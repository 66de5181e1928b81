"""The findings of ``weaver-tt check`` as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.log import wrap_lines
from weaver_tt.run.check.findings import EpochFindings, Findings
from weaver_tt.system.terminal import show_panel, wrap_items
from weaver_tt.system.wording import counted, listed, size_text

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """Lines with a title. ``style``: how a terminal shows the lines, in the words of rich."""

    title: str
    lines: Sequence[str]
    style: str = ""
    has_header: bool = False  # whether the first line names columns


def page(findings: Findings) -> str:
    """Everything that was found, at most as wide as names are long."""
    parts = [f"data YAML  {findings.config}"]
    for section in sections(findings):
        title = [section.title] if section.title else []
        parts += ["", *title, *section.lines]
    return "\n".join(parts)


def sections(findings: Findings) -> list[Section]:
    """What was found, part by part, without those of which there is nothing to say."""
    of = f"of at most {findings.rows_of_group:,} rows of each group"
    tables = {
        "files": _groups(findings),
        f"inputs, {of}": _columns(findings),
        f"objects, {of}": _objects(findings),
    }
    found = []
    for title, lines in tables.items():
        # the first line names the columns
        if len(lines) > 1:
            found.append(Section(title, lines, has_header=True))
    if findings.epoch is not None:
        found.append(Section("an epoch of the training, about", _epoch(findings.epoch)))
    if findings.remarks:
        found.append(Section("remarks", [f"  {line}" for line in findings.remarks], "yellow"))
    if findings.problems:
        found.append(Section("problems", [f"  {line}" for line in findings.problems], "bold red"))
    else:
        found.append(Section("", ["no problem found"], "bold green"))
    return found


def show_page(screen: Console, findings: Findings, facts: Sequence[tuple[str, str]]) -> None:
    """Show everything on a terminal, below a frame with ``facts``: what was looked at."""
    # only where there is a terminal
    from rich.text import Text

    show_panel(screen, "check", facts)
    for section in sections(findings):
        screen.print()
        if section.title:
            screen.print(Text(section.title, "bold cyan"))
        for number, line in enumerate(section.lines):
            style = "dim" if section.has_header and not number else section.style
            if section.has_header:
                # tables are as wide as names are long; what the last column lists goes on below
                last_column = section.lines[0].rindex("  ") + 2
                text = wrap_items(line, screen.width, last_column)
            else:
                text = wrap_lines(line, screen.width)
            screen.print(Text(text, style), soft_wrap=True)


def table(header: Row, rows: Sequence[Row], numbers: range) -> list[str]:
    """Columns as wide as their widest entry; ``numbers`` to the right, text to the left."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = []
    for line in lines:
        cells = []
        for i, (cell, width) in enumerate(zip(line, widths, strict=True)):
            cells.append(cell.rjust(width) if i in numbers else cell.ljust(width))
        text.append("  " + "  ".join(cells).rstrip())
    return text


def _groups(findings: Findings) -> list[str]:
    rows = []
    for group in findings.groups:
        selected = targets = ""
        if group.looked_at:
            selected = f"{group.share:.1%}"
            # all may be 0: no object passed its selection
            total = max(1, sum(group.targets.values()))
            shares = []
            for name, number in group.targets.items():
                if number:
                    shares.append(f"{name} {_percent(number, total)}")
            targets = listed(shares)
        name = "(no name)" if group.name == UNNAMED_GROUP else group.name
        expected = f"{group.expected:,}"
        numbers = [f"{group.files:,}", f"{group.rows:,}", selected, expected]
        rows.append([group.kind, name, *numbers, targets])
    return table(["", "group", "files", "rows", "selected", "used", "labels"], rows, range(2, 6))


def _percent(number: int, total: int) -> str:
    """The share ``number / total`` in whole per cent; what is rare is neither none nor all."""
    share = number / total
    if 0 < share < 0.005:
        return "< 1%"
    if 0.995 <= share < 1:
        return "> 99%"
    return f"{share:.0%}"


def _columns(findings: Findings) -> list[str]:
    rows = []
    for column in findings.columns:
        sentinel = ""
        if column.sentinel is not None:
            sentinel = f"{column.sentinel:g} ({column.sentinel_share:.1%})"
        rows.append(
            [
                column.group,
                column.name,
                _number(column.low),
                _number(column.median),
                _number(column.high),
                _share(column.nonfinite),
                _share(column.clipped),
                sentinel,
            ]
        )
    header = ["group", "variable", "least", "median", "greatest", "NaN, inf", "clipped", "missing?"]
    return table(header, rows, range(2, 8))


def _objects(findings: Findings) -> list[str]:
    rows = []
    for objects in findings.objects:
        rows.append(
            [
                objects.group,
                "",
                f"{objects.length}",
                f"{objects.mean:.1f}",
                f"{objects.most}",
                _share(objects.padded),
                _share(objects.beyond),
            ]
        )
    return table(["group", "", "length", "mean", "most", "padded", "beyond"], rows, range(2, 7))


def _epoch(epoch: EpochFindings) -> list[str]:
    """Rows, memory and time."""
    lines = [
        f"  rows       {epoch.rows:,} in {counted(epoch.batches, 'batch', 'batches')}",
        f"  memory     {size_text(epoch.pool_bytes)} of rows to shuffle",
        f"  reading    {_time(epoch.seconds_of_reading)}, {epoch.rows_per_second:,.0f} rows/s",
    ]
    if epoch.seconds_of_steps is not None:
        lines.append(
            f"  computing  {_time(epoch.seconds_of_steps)}, "
            f"{epoch.rows / epoch.seconds_of_steps:,.0f} rows/s; "
            f"the network has {epoch.parameters:,} parameters"
        )
    lines.append(f"  time       {_time(epoch.seconds)}, as rows are read while others are used")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _share(share: float) -> str:
    """A share in per cent; nothing for none."""
    if share == 0:
        return ""
    return "< 0.1%" if share < 0.001 else f"{share:.1%}"


def _time(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.2g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
