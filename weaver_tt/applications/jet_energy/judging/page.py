"""``report.html`` of jets judged: tables of what ``metrics.json`` says, and all figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from weaver_tt.applications.jet_energy.judging.content import (
    ABOUT,
    CLOSURE_ERRORS,
    CLOSURE_JETS,
    CLOSURE_SIZE,
    interval_name,
)
from weaver_tt.applications.jet_energy.judging.evaluation import Interval
from weaver_tt.applications.jet_energy.judging.figures import JudgementPictures
from weaver_tt.applications.jet_energy.judging.responses import (
    FOUR_GROUPS,
    LEAST_PT,
    PT_INTERVALS,
    QUARKS_AND_GLUON,
    REGIONS,
    SAMPLES,
)
from weaver_tt.figures.names import html_text, without_unit
from weaver_tt.metrics.direction import Direction
from weaver_tt.pages.cells import UNKNOWN, Cell, Column, Row, mark_best, number_cell, words_cell
from weaver_tt.pages.page import Alert, Block, Gallery, Note, Page, Section, Table, render_page
from weaver_tt.pages.pictures import Picture
from weaver_tt.report.cost import ABOUT_COST, cost_columns

Content = Mapping[str, Any]
JUDGED_FLAVOURS = ("all", *FOUR_GROUPS)

ABOUT_NUMBERS = (
    "R is the corrected pT over that of the generated jet. Errors are those of "
    f"{SAMPLES} samples of the bootstrap, the same for all models: two models on the same jets "
    "differ more significantly than their errors say, and the tables of differences have the "
    "errors of these. A quantile of R is known to 0.00005. The best model of a column is marked."
)
ABOUT_IMPROVEMENTS = Markup(
    "α = 1 − SAE / SAE<sub>standard</sub> (Eq. 7.2), with SAE the sum of |median − mean of the "
    "medians| over u, d, s, c, b and g (Eq. 7.1); over the four groups uds, c, b and g it is "
    "another number, not to be compared with the thesis. β = 1 − s / s<sub>standard</sub> "
    "(Eq. 7.4), with s = IQR / median of R (Eq. 7.3); “all” includes jets of unknown "
    "flavour."
)
WITHOUT_STANDARD = (
    "Without a standard correction (--standard jec.json) there is neither α nor β, which are "
    "relative to it: an improvement over the measured pT would be another number."
)
ABOUT_LOSS = (
    "Test loss: Eq. 6.8 over all jets of the files, the mean of |y − prediction| where |y| < 1 "
    "and 0 elsewhere, y = log(true pT / measured pT); for the standard correction and the measured "
    f"pT alike. {ABOUT_COST}"
)
ABOUT_CLOSURE = (
    f"Bins of measured pT and abs(eta) with more than {CLOSURE_JETS} jets in which the median "
    f"response is 1 within {100 * CLOSURE_SIZE:g} % or within {CLOSURE_ERRORS:g} of its errors."
)


def judgement_page(content: Content, pictures: JudgementPictures) -> str:
    """The page; ``content`` is that of ``metrics.json``."""
    about = content[ABOUT]
    models = {name: numbers for name, numbers in content.items() if name != ABOUT}
    sections = [Section("Models", _models(models))]
    for region in about["regions"]:
        sections.append(_region(models, region, pictures.regions.get(region, ())))
    sections.append(Section("Flavours", [Gallery(pictures.medians)]))
    sections += _closure(models, pictures.closure)
    sections += _coverage(models, about["names"], pictures.coverage)
    sections.append(Section("Files", [_files(models)]))
    several = len(about["models"]) > 1
    page = Page(
        title="Jet energies compared" if several else f"Jets of {about['models'][0]}",
        about=f"{about['jets']:,} jets",
        alerts=_alerts(about),
        sections=sections,
    )
    return render_page(page)


def _alerts(about: Content) -> list[Alert]:
    """Jets that are left out, and what is unknown without a standard."""
    alerts = []
    for reason, number in about["left_out"].items():
        text = f"{number:,} of {about['jets']:,} jets {reason}: left out of all numbers."
        alerts.append(Alert(text))
    if about["standard"] is None:
        alerts.append(Alert(WITHOUT_STANDARD))
    return alerts


def _number(content: Content, name: str, scale: float = 1.0) -> Cell:
    """``value ± error`` of a number and its error; a dash where it is not known."""
    value = content.get(name)
    error = content.get(f"{name}_error")
    if value is None or math.isnan(value):
        return Cell(UNKNOWN)
    # an error that is not known is NaN here and null in the file
    known = None if error is None or math.isnan(error) else scale * error
    return number_cell({"value": scale * value, "error": known})


def _cells(
    contents: Sequence[Content], name: str, direction: Direction | None, scale: float = 1.0
) -> list[Cell]:
    """Cells of one number of several models, the best one marked."""
    cells = [_number(content, name, scale) for content in contents]
    values = [content.get(name) for content in contents]
    known = [None if value is None or math.isnan(value) else value for value in values]
    return mark_best(known, cells, direction)


def _models(models: Content) -> list[Block]:
    """Table 7.1."""
    contents = list(models.values())
    columns: list[Column] = [*cost_columns(contents)]
    columns.append(("test loss", _cells(contents, "test_loss", Direction.MIN)))
    first, differences = _differences_to_first(models)
    if differences:
        cells = [_number(differences.get(name, {}), "test_loss") for name in models]
        columns.append((f"less that of {first}", cells))
    return [Table.of_columns(models, columns), Note(ABOUT_LOSS), Note(ABOUT_NUMBERS)]


def _region(models: Content, region: str, pictures: Sequence[Picture]) -> Section:
    """Tables 7.2 or 7.3 and A.1 or A.2, medians and resolutions of the flavours, and figures."""
    low, high = REGIONS[region]
    bounds = Markup("{} ≤ |η<sub>gen</sub>| < {}").format(f"{low:g}", f"{high:g}")
    selection = Markup("{}, p<sub>T</sub><sup>gen</sup> > {} GeV").format(bounds, f"{LEAST_PT:g}")
    parts = _improvement_sections(models, region)
    medians: list[Block] = []
    for caption, name in (("Median of R", "median"), ("IQR / median of R", "resolution")):
        # of medians the best one is the closest to 1, which is no largest or smallest number
        direction = Direction.MIN if name == "resolution" else None
        columns: list[Column] = []
        for flavour in ("all", *QUARKS_AND_GLUON, "uds"):
            contents = [one[region][flavour] for one in models.values()]
            columns.append((flavour, _cells(contents, name, direction)))
        medians.append(Table.of_columns(models, columns, caption))
    parts.append(Section("Medians and resolutions", medians))
    parts.append(Section("Figures", [Gallery(pictures)]))
    return Section(f"{region.capitalize()} jets", [Note(selection)], parts)


def _improvement_sections(models: Content, region: str) -> list[Section]:
    """What models improve over the standard correction, and more than the first one.

    Nothing without a standard.
    """
    judged = {
        name: content for name, content in models.items() if _has_improvement(content, region)
    }
    if not judged:
        return []
    blocks: list[Block] = [
        Table.of_columns(judged, _improvements([one[region] for one in judged.values()]))
    ]
    blocks += _differences(models, region)
    blocks.append(Note(ABOUT_IMPROVEMENTS))
    in_intervals: list[Block] = []
    for interval in PT_INTERVALS:
        name = interval_name(interval)
        in_interval = {key: one[region]["pt"][name] for key, one in judged.items()}
        # no jets of that pT in this region
        if not any(one["all"]["jets"] for one in in_interval.values()):
            continue
        columns = _improvements(list(in_interval.values()))
        in_intervals.append(Table.of_columns(judged, columns, _interval_title(interval)))
    return [
        Section("Improvement over the standard correction [%]", blocks),
        Section("Improvement in bins of pT [%]", in_intervals),
    ]


def _interval_title(interval: Interval) -> Markup:
    low, high = interval
    pt = Markup("p<sub>T</sub><sup>gen</sup>")
    if math.isinf(high):
        return pt + f" > {low:g} GeV"
    return f"{low:g} < " + pt + f" < {high:g} GeV"


def _has_improvement(content: Content, region: str) -> bool:
    """Whether a model has alpha and beta that may differ from 0."""
    return "alpha" in content[region] and "files" in content


def _improvements(contents: Sequence[Content]) -> list[Column]:
    columns: list[Column] = [
        ("α", _cells(contents, "alpha", Direction.MAX, 100)),
        ("α, four groups", _cells(contents, "alpha_four_groups", Direction.MAX, 100)),
    ]
    for flavour in JUDGED_FLAVOURS:
        of_flavour = [content[flavour] for content in contents]
        columns.append((_beta(flavour), _cells(of_flavour, "beta", Direction.MAX, 100)))
    return columns


def _beta(flavour: str) -> Markup:
    return Markup("β<sub>{}</sub>").format(flavour)


def _differences_to_first(models: Content) -> tuple[str, dict[str, Content]]:
    """The name of the first model, and by model the differences to it; none of a single model."""
    first = ""
    differences = {}
    for name, content in models.items():
        for key in content:
            if key.startswith("minus_"):
                first = key.removeprefix("minus_")
                differences[name] = content[key]
    return first, differences


def _differences(models: Content, region: str) -> list[Block]:
    """What a model improves more than the first one, with the errors of the differences."""
    first, differences = _differences_to_first(models)
    rows = {name: content[region] for name, content in differences.items() if region in content}
    if not rows:
        return []
    columns: list[Column] = [
        ("α", [_number(row, "alpha", 100) for row in rows.values()]),
        ("α, four groups", [_number(row, "alpha_four_groups", 100) for row in rows.values()]),
    ]
    for flavour in JUDGED_FLAVOURS:
        cells = [_number(row[flavour], "beta", 100) for row in rows.values()]
        columns.append((_beta(flavour), cells))
    return [Table.of_columns(rows, columns, f"Differences to {first} [%]")]


def _closure(models: Content, pictures: Sequence[Picture]) -> Iterator[Section]:
    if not any("closure" in content for content in models.values()):
        return
    cells = []
    for content in models.values():
        closure = content["closure"]
        cells.append(f"{closure['large_cells_closed']} of {closure['large_cells']}")
    table = Table.of_columns(models, [("closed", cells)])
    yield Section("Closure", [Note(ABOUT_CLOSURE), table, Gallery(pictures)])


def _coverage(
    models: Content, names: Mapping[str, str], pictures: Sequence[Picture]
) -> Iterator[Section]:
    tables = []
    for name, content in models.items():
        for target, regions in content.get("coverage", {}).items():
            title = html_text(without_unit(names.get(target, target)))
            caption = Markup("Coverage of the quantiles of {} by {} [%]").format(title, name)
            tables.append(_coverage_table(regions, caption))
    if tables:
        yield Section("Coverage", [*tables, Gallery(pictures)])


def _coverage_table(regions: Content, caption: str) -> Table:
    """Shares of jets below quantiles and inside of intervals, a region or a bin of pT a row."""
    head = [""]
    rows: list[Row] = []
    for region, numbers in regions.items():
        intervals = {f"{region}, all": numbers}
        intervals |= {f"{region}, {key} GeV": one for key, one in numbers["pt"].items()}
        shares = [key for key in numbers if key != "pt"]
        head = ["", *(share.replace("_", " ") for share in shares)]
        for title, one in intervals.items():
            rows.append([title, *(_number(one[share], "value", 100) for share in shares)])
    return Table(head=head, rows=rows, caption=caption)


def _files(models: Content) -> Table:
    rows: list[Row] = []
    for name, content in models.items():
        if "files" in content:
            rows.append([name, words_cell(content["files"])])
    return Table(head=["", "files"], rows=rows)
