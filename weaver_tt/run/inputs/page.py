"""The page and the figures of ``weaver-tt inputs``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.statistics.input_sums import InputSpectra, InputSums, VariableSums
from weaver_tt.figures.inputs import Histograms, InputFigures
from weaver_tt.figures.names import plain_text
from weaver_tt.metrics.many_classes import shown_classes
from weaver_tt.options.inputs import InputsOptions
from weaver_tt.pages.cells import UNKNOWN, Row
from weaver_tt.pages.page import Block, Gallery, Note, Page, Section, Table, render_page
from weaver_tt.pages.pictures import Picture, write_picture
from weaver_tt.run.inputs.table import variable_rows
from weaver_tt.system.progress_bar import progress_bar
from weaver_tt.system.wording import counted

OTHERS = "others"
HEAD = ("variable", "mean", "deviation", "min", "max", "NaN", "clipped")
ABOUT_TABLE = (
    "Mean and deviation are of finite values before scaling, with the event weight where there is "
    "one. NaN: share of values that are not finite, which the network is given as 0 before "
    "scaling. Clipped: share of finite values that scaling moves to the end of its range."
)
ABOUT_FIGURES = (
    "Each class is normalised to one, with its statistical errors; what lies beyond the bins is "
    "not drawn and counts. Before scaling all objects are there, after it those that fit into the "
    "length of the group; padding is in neither."
)


def inputs_page(
    sums: InputSums, config: DataConfig, share: float, in_files: int, options: InputsOptions
) -> str:
    """The page, whose figures are written into the folder of the output."""
    drawn = _drawn_classes(sums, options.classes)
    sections = [Section("Rows", _rows_blocks(sums, drawn, config))]
    pictures_of: dict[str, list[Picture]] = {name: [] for name in config.inputs}
    figures = InputFigures(_class_labels(sums, drawn, config))
    with progress_bar("drawing", len(sums.variables), "variable") as advance:
        for variable in sums.variables:
            picture = _picture(variable, sums, drawn, config, figures, Path(options.output))
            pictures_of[variable.group.name].append(picture)
            advance(1)
    for name, pictures in pictures_of.items():
        variables = [one.variable.name for one in sums.variables if one.group.name == name]
        gallery = Gallery(pictures, index=[readable(one, config) for one in variables])
        blocks: list[Block] = [*_group_notes(sums, name), gallery, Note(ABOUT_FIGURES)]
        blocks += [*_group_tables(sums, name, drawn, config), Note(ABOUT_TABLE)]
        sections.append(Section(f"Inputs: {name}", blocks))
    looked_at = counted(int(sums.rows.sum()), "selected row")
    part = "all" if share == 1 else f"{share:.2%}, spread evenly over the files,"
    about = f"{config.source} · {looked_at}, from {part} of {counted(in_files, 'row')} in the files"
    return render_page(Page(title="Inputs of the network", about=about, sections=sections))


def _rows_blocks(sums: InputSums, drawn: Sequence[int], config: DataConfig) -> list[Block]:
    """How many rows there are of each class that is drawn, and of all others."""
    rows: list[Row] = []
    for place in drawn:
        number, weight = sums.rows[place], sums.weights[place]
        rows.append([readable(sums.classes[place], config), f"{number:,}", f"{weight:.6g}"])
    table = Table(head=["class", "rows", "sum of weights"], rows=rows)
    others = [place for place in range(len(sums.classes)) if place not in drawn]
    if not others:
        return [table]
    number, weight = sums.rows[others].sum(), sums.weights[others].sum()
    rows.append([OTHERS, f"{number:,}", f"{weight:.6g}"])
    what = counted(len(others), "class", "classes")
    without = int((sums.rows[others] == 0).sum())
    return [
        table,
        Note(
            f"The others are {what}, {without} of them without a row; --classes NAME ... draws "
            "those that it names, and inputs.csv has the numbers of all."
        ),
    ]


def _group_notes(sums: InputSums, group: str) -> Iterable[Note]:
    """How full the slots of a group of objects are."""
    objects = sums.objects.get(group)
    if objects is None:
        return
    kept, slots = int(objects.kept.sum()), int(sums.rows.sum()) * objects.length
    found = int(objects.objects.sum())
    yield Note(
        f"Length {objects.length}: {1 - kept / max(1, slots):.1%} of the slots are padding, "
        f"{(found - kept) / max(1, found):.2%} of {counted(found, 'object')} lie beyond it."
    )


def _group_tables(
    sums: InputSums, group: str, drawn: Sequence[int], config: DataConfig
) -> Iterable[Table]:
    """A table of each class that is drawn."""
    rows = [row for row in variable_rows(sums) if row["group"] == group]
    for name in (sums.classes[place] for place in drawn):
        lines: list[Row] = []
        for row in rows:
            if row["class"] == name and row["entries"]:
                numbers = [_number(row[key]) for key in ("mean", "deviation", "min", "max")]
                shares = [_percent(row[key]) for key in ("nonfinite", "clipped")]
                lines.append([readable(row["variable"], config), *numbers, *shares])
        if lines:
            yield Table(head=HEAD, rows=lines, caption=readable(name, config))


def readable(name: str, config: DataConfig) -> str:
    """What the data YAML says that a class or variable is called, and its name there."""
    if name not in config.names:
        return name
    return f"{plain_text(config.names[name])} ({name})"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2%}"


def _drawn_classes(sums: InputSums, asked: Sequence[str]) -> list[int]:
    """Places of the classes that are drawn and have rows, in their order."""
    shown = shown_classes(sums.classes, sums.rows.tolist(), asked)
    return [place for place, name in enumerate(sums.classes) if name in shown and sums.rows[place]]


def _picture(
    variable: VariableSums,
    sums: InputSums,
    drawn: Sequence[int],
    config: DataConfig,
    figures: InputFigures,
    folder: Path,
) -> Picture:
    """The figure of a variable, as files."""
    name = variable.variable.name
    scaled = variable.scaled
    figure = figures.draw(
        config.names.get(name, name),
        variable.raw.edges,
        _histograms(variable.raw, sums, drawn),
        None if scaled is None else scaled.edges,
        None if scaled is None else _histograms(scaled, sums, drawn),
    )
    what = "before and after scaling" if scaled is not None else "as it is"
    caption = f"{readable(name, config)}, {what}"
    # a point: pt of jets_hard and hard_pt of jets are two figures
    file_name = f"{variable.group.name}.{name}"
    return write_picture(file_name, caption, figure, folder, few_colors=True)


def _others(sums: InputSums, drawn: Sequence[int]) -> list[int]:
    """Places of the classes with rows that are drawn together."""
    return [place for place in np.flatnonzero(sums.rows).tolist() if place not in drawn]


def _class_labels(sums: InputSums, drawn: Sequence[int], config: DataConfig) -> list[str]:
    """What the legend says: the classes that are drawn, and all others."""
    names = [sums.classes[place] for place in drawn]
    labels = [config.names.get(name, name) for name in names]
    return [*labels, OTHERS] if _others(sums, drawn) else labels


def _histograms(spectra: InputSpectra, sums: InputSums, drawn: Sequence[int]) -> Histograms:
    """The classes that are drawn, and the sum of all others that have rows."""
    found = [(spectra.sums[place], spectra.squares[place]) for place in drawn]
    others = _others(sums, drawn)
    if others:
        found.append((spectra.sums[others].sum(0), spectra.squares[others].sum(0)))
    return found
