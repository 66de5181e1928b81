"""``report.html`` of jets judged: tables of what ``metrics.json`` says, and all figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from weaver_tt import __version__
from weaver_tt.applications.jet_energy.judging.content import (
    ABOUT,
    CLOSURE_ERRORS,
    CLOSURE_JETS,
    CLOSURE_SIZE,
    interval_name,
)
from weaver_tt.applications.jet_energy.judging.responses import (
    FOUR_GROUPS,
    LEAST_PT,
    PT_INTERVALS,
    QUARKS_AND_GLUON,
    REGIONS,
    SAMPLES,
)
from weaver_tt.metrics.direction import Direction
from weaver_tt.report.cost import ABOUT_COST, cost_columns
from weaver_tt.report.figures import Picture
from weaver_tt.report.page import PAGE, STYLE, gallery, html_table, mark_best, plus_minus

Content = Mapping[str, Any]
JUDGED_FLAVOURS = ("all", *FOUR_GROUPS)

ABOUT_NUMBERS = (
    "R is the corrected pT over that of the generated jet. Errors are those of "
    f"{SAMPLES} samples of the bootstrap, the same for all models: two models on the same jets "
    "differ more significantly than their errors say, and the tables of differences have the "
    "errors of these. A quantile of R is known to 0.00005. The best model of a column is marked."
)
ABOUT_IMPROVEMENTS = (
    "α = 1 − SAE / SAE<sub>standard</sub> (Eq. 7.2), with SAE the sum of |median − mean of the "
    "medians| over u, d, s, c, b and g (Eq. 7.1); over the four groups uds, c, b and g it is "
    "another number, not to be compared with the thesis. β = 1 − s / s<sub>standard</sub> "
    "(Eq. 7.4), with s = IQR / median of R (Eq. 7.3); &ldquo;all&rdquo; includes jets of unknown "
    "flavour."
)
WITHOUT_STANDARD = (
    "Without a standard correction (--standard jec.json) there is neither α nor β, which are "
    "relative to it: an improvement over the measured pT would be another number."
)
ABOUT_LOSS = (
    "Test loss: Eq. 6.8 over all jets of the files, the mean of |y − prediction| where |y| &lt; 1 "
    "and 0 elsewhere, y = log(true pT / measured pT); for the standard correction and the measured "
    f"pT alike. {ABOUT_COST}"
)
ABOUT_CLOSURE = (
    f"Bins of measured pT and abs(eta) with more than {CLOSURE_JETS} jets in which the median "
    f"response is 1 within {100 * CLOSURE_SIZE:g} % or within {CLOSURE_ERRORS:g} of its errors."
)


def judgement_page(content: Content, pictures: Sequence[Picture]) -> str:
    """The page; ``content`` is that of ``metrics.json``."""
    about = content[ABOUT]
    models = {name: numbers for name, numbers in content.items() if name != ABOUT}
    title = "Jet energies compared" if len(about["models"]) > 1 else f"Jets of {about['models'][0]}"
    subtitle = f"{about['jets']:,} jets · made by weaver_tt {__version__}"
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{subtitle}</p>']
    for reason, number in about["left_out"].items():
        text = f"{number:,} of {about['jets']:,} jets {reason}: left out of all numbers."
        parts.append(f'<p class="warn">{escape(text)}</p>')
    if about["standard"] is None:
        parts.append(f'<p class="warn">{WITHOUT_STANDARD}</p>')
    parts.append("<h2>Models</h2>")
    parts += _models(models)
    parts.append(f"<p>{ABOUT_NUMBERS}</p>")
    for region in about["regions"]:
        parts.append(f"<h2>{_region_title(region)}</h2>")
        parts += _region(models, region)
    if about["standard"] is not None:
        parts.append(f"<p>{ABOUT_IMPROVEMENTS}</p>")
    parts += _closure(models)
    parts += _coverage(models)
    parts.append("<h2>Figures</h2>")
    parts.append(gallery(pictures))
    parts.append("<h2>Files</h2>")
    parts.append(_files(models))
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def _region_title(region: str) -> str:
    low, high = REGIONS[region]
    return (
        f"{region.capitalize()}: {low:g} ≤ |η<sub>gen</sub>| &lt; {high:g}, "
        f"p<sub>T</sub><sup>gen</sup> > {LEAST_PT:g} GeV"
    )


def _number(content: Content, name: str, scale: float = 1.0) -> str:
    """``value ± error`` of a number and its error; a dash where it is not known."""
    value = content.get(name)
    error = content.get(f"{name}_error")
    if value is None or value != value:
        return "–"
    # an error that is not known is NaN here and null in the file
    known = None if error is None or error != error else scale * error
    return plus_minus({"value": scale * value, "error": known})


def _column(
    contents: Sequence[Content], name: str, direction: Direction | None, scale: float = 1.0
) -> list[str]:
    """Cells of one number of several models, the best of those that are known marked."""
    texts = [_number(content, name, scale) for content in contents]
    values = [content.get(name) for content in contents]
    known = [None if value is None or value != value else value for value in values]
    return mark_best(known, texts, direction)


def _table(models: Content, columns: Sequence[tuple[str, list[str]]]) -> str:
    """A row for each model; columns are titles and cells."""
    head = ["", *(title for title, _ in columns)]
    cells = [cells for _, cells in columns]
    rows = [
        [escape(name), *(column[number] for column in cells)] for number, name in enumerate(models)
    ]
    return html_table(head, rows)


def _models(models: Content) -> list[str]:
    """Table 7.1."""
    contents = list(models.values())
    columns = cost_columns(contents)
    columns.append(("test loss", _column(contents, "test_loss", Direction.MIN)))
    first, differences = _differences_to_first(models)
    if differences:
        cells = [_number(differences.get(name, {}), "test_loss") for name in models]
        columns.append((f"less that of {escape(first)}", cells))
    return [_table(models, columns), f"<p>{ABOUT_LOSS}</p>"]


def _region(models: Content, region: str) -> list[str]:
    """Tables 7.2 or 7.3, medians and resolutions of the flavours, and Tables A.1 or A.2."""
    judged = {
        name: content for name, content in models.items() if _has_improvement(content, region)
    }
    parts = []
    if judged:
        parts.append("<h3>Improvement over the standard correction [%]</h3>")
        parts.append(_table(judged, _improvements([one[region] for one in judged.values()])))
    parts += _differences(models, region)
    for title, name in (("Median of R", "median"), ("IQR / median of R", "resolution")):
        # of medians the best one is the closest to 1, which is no largest or smallest number
        direction = Direction.MIN if name == "resolution" else None
        columns = []
        for flavour in ("all", *QUARKS_AND_GLUON, "uds"):
            contents = [one[region][flavour] for one in models.values()]
            columns.append((flavour, _column(contents, name, direction)))
        parts.append(f"<h3>{title}</h3>")
        parts.append(_table(models, columns))
    for interval in PT_INTERVALS:
        name = interval_name(interval)
        in_interval = {key: one[region]["pt"][name] for key, one in judged.items()}
        # no jets of that pT in this region
        if not in_interval or not any(one["all"]["jets"] for one in in_interval.values()):
            continue
        low, high = interval
        bounds = f"{low:g} &lt; p<sub>T</sub><sup>gen</sup>"
        if high < float("inf"):
            bounds += f" &lt; {high:g}"
        parts.append(f"<h3>Improvement [%], {bounds} GeV</h3>")
        parts.append(_table(in_interval, _improvements(list(in_interval.values()))))
    return parts


def _has_improvement(content: Content, region: str) -> bool:
    """Whether a model has alpha and beta that may differ from 0."""
    return "alpha" in content[region] and "files" in content


def _improvements(contents: Sequence[Content]) -> list[tuple[str, list[str]]]:
    columns = [
        ("α", _column(contents, "alpha", Direction.MAX, 100)),
        ("α, four groups", _column(contents, "alpha_four_groups", Direction.MAX, 100)),
    ]
    for flavour in JUDGED_FLAVOURS:
        of_flavour = [content[flavour] for content in contents]
        title = f"β<sub>{flavour}</sub>"
        columns.append((title, _column(of_flavour, "beta", Direction.MAX, 100)))
    return columns


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


def _differences(models: Content, region: str) -> list[str]:
    """What a model improves more than the first one, with the errors of the differences."""
    first, differences = _differences_to_first(models)
    rows = {name: content[region] for name, content in differences.items() if region in content}
    if not rows:
        return []
    columns = [
        ("α", [_number(row, "alpha", 100) for row in rows.values()]),
        ("α, four groups", [_number(row, "alpha_four_groups", 100) for row in rows.values()]),
    ]
    for flavour in JUDGED_FLAVOURS:
        cells = [_number(row[flavour], "beta", 100) for row in rows.values()]
        columns.append((f"β<sub>{flavour}</sub>", cells))
    return [f"<h3>Differences to {escape(first)} [%]</h3>", _table(rows, columns)]


def _closure(models: Content) -> Iterator[str]:
    if not any("closure" in content for content in models.values()):
        return
    yield "<h2>Closure</h2>"
    yield f"<p>{ABOUT_CLOSURE}</p>"
    cells = []
    for content in models.values():
        closure = content["closure"]
        cells.append(f"{closure['large_cells_closed']} of {closure['large_cells']}")
    yield _table(models, [("closed", cells)])


def _coverage(models: Content) -> Iterator[str]:
    for name, content in models.items():
        for target, regions in content.get("coverage", {}).items():
            yield f"<h2>Coverage of the quantiles of {escape(target)} by {escape(name)} [%]</h2>"
            head = [""]
            rows = []
            for region, numbers in regions.items():
                intervals = {f"{region}, all": numbers}
                intervals |= {f"{region}, {key} GeV": one for key, one in numbers["pt"].items()}
                shares = [key for key in numbers if key != "pt"]
                head = ["", *(escape(share.replace("_", " ")) for share in shares)]
                for title, one in intervals.items():
                    cells = [_number(one[share], "value", 100) for share in shares]
                    rows.append([title, *cells])
            yield html_table(head, rows)


def _files(models: Content) -> str:
    rows = []
    for name, content in models.items():
        if "files" in content:
            files = "<br>".join(map(escape, content["files"]))
            rows.append([escape(name), f'<td class="left">{files}</td>'])
    return html_table(["", "files"], rows)
