"""``report.html``: one page that needs no other file.

Tables of what ``metrics.json`` says, with all figures inlined.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from weaver_tt import __version__
from weaver_tt.metrics.classifier_summary import OPERATING_POINTS
from weaver_tt.metrics.direction import Direction, metric_direction
from weaver_tt.report.cost import ABOUT_COST, ANT_EFFICIENCY, cost_columns
from weaver_tt.report.figures import Picture
from weaver_tt.system.wording import counted

Numbers = Mapping[str, Mapping[str, Any]]  # metric -> value, error, at_least

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #d8dee5; --good: #e8f3ea; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
       color: var(--ink); background: #fff;
       max-width: 72rem; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .7rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p, li { max-width: 52rem; }
.soft { color: var(--soft); }
.warn { background: #fff4dc; border-left: 4px solid #e0a100; padding: .5rem .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0 1rem; }
th, td { padding: .35rem .9rem; text-align: right; border-bottom: 1px solid var(--line);
         white-space: nowrap; }
th { font-weight: 600; }
thead th { border-bottom: 2px solid var(--ink); }
th:first-child, td.left { text-align: left; }
td.best { background: var(--good); font-weight: 600; }
td .e { color: var(--soft); font-weight: 400; }
.figures { display: grid; gap: 1.6rem;
           grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); }
figure { margin: 0; break-inside: avoid; }
figure.big { grid-column: 1 / -1; }
img { width: 100%; height: auto; }
figcaption { color: var(--soft); }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\
<title>{title}</title><style>{style}</style><link rel="icon" href="data:,"></head>
<body>
{body}
</body>
</html>
"""

ABOUT_NUMBERS = (
    "Value ± one standard deviation (statistical). A rejection is 1 / ε<sub>B</sub> where the "
    "stated share of the signal passes. The best model of a row is marked. “&gt;” is a lower limit "
    "(95 %): not one background row passes. Of several trainings of a network the one of median "
    "accuracy is shown, of an even number the lower of the two in the middle; the second error is "
    "the standard deviation over the trainings."
)
ABOUT_DIFFERENCES = (
    "Errors are added in quadrature, as for independent rows; where models are evaluated on the "
    "same rows, a difference is more significant than this says. Where a network was trained "
    "several times, the standard deviation over its trainings is part of the error."
)
ABOUT_DISCRIMINANTS = (
    "A discriminant is the score of its signal classes over that of signal and background; rows of "
    "other classes are left out here."
)
ABOUT_SCULPTING = (
    "Jensen–Shannon divergence, in bits, of the background's spectrum before and after the "
    "selection: 0 where the shapes are equal. Few rows have another shape by chance: what random "
    "selections of as many background rows have in the mean is given beside it; the excess over "
    "that is what the tagger does."
)
ABOUT_DDT = (
    "A score less a threshold that depends on mass and pT, above which the stated share of the "
    "background lies: the selection is a value above 0, and the share is the same for all masses "
    "there only. The divergence of the background's spectrum is in bits, as for sculpting."
)
ABOUT_ANT = (
    f"The ant factor is the rejection at {100 * ANT_EFFICIENCY:.0f} % signal efficiency divided by "
    "the number of trainable parameters. A file says nothing of its network where there is a dash."
)
ABOUT_RESILIENCE = (
    "ε and ε′ are the shares that pass the same threshold in the first sample and in the shifted "
    "one. Performance is ε<sub>S</sub> / √ε<sub>B</sub>; resilience is one over the relative "
    "changes (ε − ε′) / ½(ε + ε′) of signal and background, added in quadrature. Two samples of "
    "one kind have about the resilience “by chance”, by their statistical errors alone: a value "
    "that is not well below it is a lower limit."
)
REASONS = {
    "rows_with_nan_scores": "rows have a score that is not a number",
    "rows_without_class": "rows are of no class or of several",
}


def report_page(
    content: Mapping[str, Any],
    numbers: Mapping[str, Numbers],
    pictures: Sequence[Picture],
    empty: Mapping[str, Sequence[str]],
) -> str:
    """The page.

    ``content`` as in ``metrics.json``; by model ``numbers``, its headline metrics, and ``empty``,
    its classes without rows.
    """
    models = content["models"]
    classes = content["classes"]
    title = "Taggers compared" if len(models) > 1 else f"Tagger {next(iter(models))}"
    about = (
        f"{len(classes)} classes: {escape(', '.join(classes))} · made by weaver_tt {__version__}"
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{about}</p>',
        *_warnings(models, empty),
        "<h2>Performance</h2>",
        _performance(numbers),
        f"<p>{ABOUT_NUMBERS}</p>",
    ]
    if content["differences"]:
        parts.append(f"<h2>Differences to {escape(content['reference'])}</h2>")
        parts.append(_differences(content["differences"]))
        parts.append(f"<p>{ABOUT_DIFFERENCES}</p>")
    parts.append("<h2>Size and speed</h2>")
    parts.append(_costs(models, content["signals"]))
    parts.append(f"<p>{ABOUT_COST} {ABOUT_ANT}</p>")
    parts.append("<h2>Pairs of classes</h2>")
    for name, model in models.items():
        parts.append(_pairs(name, model, classes))
    if "discriminants" in content:
        parts.append("<h2>Discriminants</h2>")
        parts += _discriminants(content["discriminants"])
        parts.append(f"<p>{ABOUT_DISCRIMINANTS}</p>")
    if "sculpting" in content:
        sculpting = content["sculpting"]
        parts.append(f"<h2>Sculpting of {escape(sculpting['column'])}</h2>")
        parts.append(_sculpting(sculpting))
        parts.append(f"<p>{ABOUT_SCULPTING}</p>")
    if "ddt" in content:
        parts.append("<h2>Decorrelated columns, cut at 0</h2>")
        parts += _ddt(content["ddt"])
        parts.append(f"<p>{ABOUT_DDT}</p>")
    if "shifted" in content:
        parts.append("<h2>Resilience</h2>")
        parts += _warnings(content["shifted"]["models"], {}, "shifted sample of ")
        parts += _resilience(content["shifted"]["signals"], classes)
        parts.append(f"<p>{ABOUT_RESILIENCE}</p>")
    parts.append("<h2>Calibration</h2>")
    parts.append(_calibration(models))
    parts.append("<h2>Figures</h2>")
    parts.append(gallery(pictures))
    parts.append("<h2>Rows and files</h2>")
    parts.append(_files(models, classes))
    if "shifted" in content:
        parts.append("<h3>Shifted samples</h3>")
        parts.append(_files(content["shifted"]["models"], classes))
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def plus_minus(number: Mapping[str, Any], sign: bool = False) -> str:
    """``value ± error`` with two digits of the error, or ``> limit``; a dash for the unknown.

    Of several trainings their spread follows.
    """
    value = number["value"]
    error = number["error"]
    if value is None:
        return f"&gt; {number['at_least']:.3g}" if number.get("at_least") else "–"
    plus = "+" if sign else ""
    # nothing fluctuates where all entries agree, and an unknown error is None
    if not error:
        return f"{value:{plus}.4g}"
    digits = _decimals(error)
    text = f"± {error:.{digits}f}"
    spread = number.get("spread")
    if spread:
        trainings = counted(number["trainings"], "training")
        text += f" ± {spread:.{_decimals(spread)}f} ({trainings})"
    return f"{value:{plus}.{digits}f} {_small(text)}"


def _decimals(error: float) -> int:
    """Decimals of the second digit of an error; of a large one none."""
    return max(0, 1 - math.floor(math.log10(error)))


def _small(text: str) -> str:
    """Text that is not as important as the number before it."""
    return f'<span class="e">{text}</span>'


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; a cell may come with its own ``<td``."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    lines = []
    for title, *cells in rows:
        line = f"<th>{title}</th>"
        for cell in cells:
            line += cell if cell.startswith("<td") else f"<td>{cell}</td>"
        lines.append(f"<tr>{line}</tr>")
    body = "".join(lines)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _warnings(
    models: Mapping[str, Any], empty: Mapping[str, Sequence[str]], sample: str = ""
) -> list[str]:
    texts = []
    for title, model in models.items():
        name = sample + title
        for key, reason in REASONS.items():
            number = model[key]
            if number:
                counts = f"{number:,} of {model['rows']:,}"
                texts.append(f"{name}: {counts} {reason}; they are left out.")
        if empty.get(title):
            classes = ", ".join(empty[title])
            texts.append(f"{name}: no row is of class {classes}; what depends on it is unknown.")
    return [f'<p class="warn">{escape(text)}</p>' for text in texts]


def _performance(numbers: Mapping[str, Numbers]) -> str:
    rows = []
    # every model has the same metrics
    for metric in next(iter(numbers.values())):
        of_models = [one[metric] for one in numbers.values()]
        values = [number["value"] for number in of_models]
        texts = [plus_minus(number) for number in of_models]
        rows.append([escape(metric), *mark_best(values, texts, of_models[0]["direction"])])
    return html_table(["", *map(escape, numbers)], rows)


def mark_best(
    values: Sequence[float | None], texts: Sequence[str], direction: Direction | None
) -> list[str]:
    """Cells of one metric's ``texts``, a model each, with the best of ``values`` marked.

    None is marked where there is one model, or where one of the values is not known.
    """
    known = [value for value in values if value is not None]
    # an unknown value may be the best of all: a rejection with no background left has none
    best = None
    if direction is not None and len(values) > 1 and len(known) == len(values):
        best = direction.best(known)
    cells = []
    for value, text in zip(values, texts, strict=True):
        mark = " class=best" if best is not None and value == best else ""
        cells.append(f"<td{mark}>{text}</td>")
    return cells


def _differences(differences: Mapping[str, Numbers]) -> str:
    """Differences to the reference, with their significance."""
    rows = []
    for metric in next(iter(differences.values())):
        row = [escape(metric)]
        for of_model in differences.values():
            number = of_model[metric]
            cell = plus_minus(number, sign=True)
            if number["value"] is not None and number["error"]:
                deviations = number["value"] / number["error"]
                cell += " " + _small(f"({deviations:+.1f} σ)")
            row.append(cell)
        rows.append(row)
    return html_table(["", *map(escape, differences)], rows)


def _costs(models: Mapping[str, Any], signals: Sequence[str]) -> str:
    """What each network (rows) costs, and what it achieves for that."""
    columns = cost_columns(list(models.values()))
    for signal in signals:
        numbers = [model["ant"][signal] for model in models.values()]
        values = [number["value"] for number in numbers]
        texts = [plus_minus(number) for number in numbers]
        columns.append((f"ant of {escape(signal)}", mark_best(values, texts, Direction.MAX)))
    rows = []
    for place, name in enumerate(models):
        rows.append([escape(name), *(cells[place] for _, cells in columns)])
    return html_table(["", *(title for title, _ in columns)], rows)


def _pairs(name: str, model: Mapping[str, Any], classes: Sequence[str]) -> str:
    """AUC and rejections of each signal (rows) against each background (columns)."""
    point = OPERATING_POINTS[1]
    title = f"{escape(name)}: AUC, and rejection at {100 * point:.0f} % signal efficiency"
    areas = model["auc"]["one_vs_one"]
    rejections = model["rejection"][str(point)]["one_vs_one"]
    head = ["signal ↓, background →", *map(escape, classes)]
    parts = [f"<h3>{title}</h3>"]
    for numbers in (areas, rejections):
        rows = []
        for signal in classes:
            row = [escape(signal)]
            for background in classes:
                known = background != signal
                row.append(plus_minus(numbers[signal][background]) if known else "")
            rows.append(row)
        parts.append(html_table(head, rows))
    return "\n".join(parts)


def _discriminants(discriminants: Mapping[str, Any]) -> list[str]:
    """A table for each discriminant, a model a column."""
    parts = []
    for name, found in discriminants.items():
        signal = ", ".join(found["signal"])
        background = ", ".join(found["background"])
        parts.append(f"<h3>{escape(name)}</h3>")
        parts.append(f"<p>{escape(signal)} against {escape(background)}</p>")
        models = found["models"]
        metrics = {"AUC": [model["auc"] for model in models.values()]}
        for point in OPERATING_POINTS:
            title = f"rejection at {100 * point:.0f} %"
            metrics[title] = [model["rejection"][str(point)] for model in models.values()]
        rows = []
        for title, numbers in metrics.items():
            values = [number["value"] for number in numbers]
            texts = [plus_minus(number) for number in numbers]
            rows.append([title, *mark_best(values, texts, Direction.MAX)])
        parts.append(html_table(["", *map(escape, models)], rows))
    return parts


def _sculpting(sculpting: Mapping[str, Any]) -> str:
    """Divergences of each model (rows) at each signal efficiency (columns)."""
    distances = sculpting["jensen_shannon_bits"]
    signal = escape(sculpting["signal"])
    head = [""]
    for efficiency in next(iter(distances.values())):
        head += [f"{100 * float(efficiency):.0f} % of {signal} pass", "random rows", "excess"]
        head.append("1 / ε<sub>B</sub>")
    rows = []
    for name, of_model in distances.items():
        row = [escape(name)]
        for efficiency, numbers in of_model.items():
            row += _divergence_cells(numbers)
            row.append(plus_minus(sculpting["rejection"][name][efficiency]))
        rows.append(row)
    return html_table(head, rows)


def _ddt(ddt: Mapping[str, Any]) -> list[str]:
    """A table for each signal, a column of a model a row."""
    head = ["", "target ε<sub>B</sub>", "ε<sub>B</sub>", "ε<sub>S</sub>", "1 / ε<sub>B</sub>"]
    head += ["divergence", "random rows", "excess"]
    parts = []
    for signal, of_models in ddt.items():
        rows = []
        for name, of_columns in of_models.items():
            for column, point in of_columns.items():
                row = [escape(f"{name}: {column}"), f"{point['target']:.4g}"]
                for key in ("background_efficiency", "signal_efficiency", "rejection"):
                    row.append(plus_minus(point[key]))
                row += _divergence_cells(point.get("jensen_shannon_bits"))
                rows.append(row)
        parts.append(f"<h3>Signal {escape(signal)}</h3>")
        parts.append(html_table(head, rows))
    return parts


def _divergence_cells(numbers: Mapping[str, float] | None) -> list[str]:
    """Value, that of random rows, and the excess."""
    if numbers is None:
        return ["–", "–", "–"]
    value = f"{numbers['value']:.4f} ± {numbers['error']:.4f}"
    return [value, f"{numbers['random']:.4f}", f"{numbers['excess']:.4f}"]


def _resilience(signals: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """A table for each signal and operating point, a model a row."""
    head = ["", "threshold", "ε<sub>S</sub>", "ε′<sub>S</sub>", "ε<sub>B</sub>", "ε′<sub>B</sub>"]
    head += ["performance", "resilience", "by chance"]
    parts = []
    for signal, of_models in signals.items():
        background = "the rest"
        if len(classes) == 2:
            (background,) = (name for name in classes if name != signal)
        for efficiency in next(iter(of_models.values())):
            share = f"{100 * float(efficiency):.0f} %"
            parts.append(f"<h3>{share} of {escape(signal)} pass, against {escape(background)}</h3>")
            rows = []
            for name, points in of_models.items():
                rows.append([escape(name), *_resilience_cells(points[efficiency])])
            parts.append(html_table(head, rows))
    return parts


def _resilience_cells(point: Mapping[str, Any]) -> list[str]:
    """The row of a model at one threshold."""
    cells = [f"{point['threshold']:.4g}"]
    for of_class in ("signal", "background"):
        cells += [plus_minus(point[of_class][sample]) for sample in ("first", "shifted")]
    resilience = point["resilience"]
    by_chance = resilience["by_chance"]
    cells.append(plus_minus(point["performance"]))
    cells.append("unlimited" if resilience["unlimited"] else plus_minus(resilience))
    cells.append("–" if by_chance is None else f"{by_chance:.3g}")
    return cells


def _calibration(models: Mapping[str, Any]) -> str:
    errors = [model["calibration"]["expected_error"] for model in models.values()]
    texts = [f"{error:.4f}" for error in errors]
    cells = mark_best(errors, texts, metric_direction("calibration_error"))
    rows = [[escape(name), cell] for name, cell in zip(models, cells, strict=True)]
    return html_table(["", "expected calibration error"], rows)


def gallery(pictures: Sequence[Picture]) -> str:
    """All figures with their captions, inlined."""
    parts = []
    for picture in pictures:
        data = base64.b64encode(picture.path.read_bytes()).decode()
        # a row of panels would not be legible in half the width of the page
        big = ' class="big"' if picture.is_wide else ""
        caption = escape(picture.caption)
        # inlined, so that the page can be sent around as one file
        image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
        parts.append(f"<figure{big}>{image}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="figures">{"".join(parts)}</div>'


def _files(models: Mapping[str, Any], classes: Sequence[str]) -> str:
    head = ["", "rows", *(f"of {escape(name)}" for name in classes), "files"]
    rows = []
    for name, model in models.items():
        row = [escape(name), f"{model['rows']:,}"]
        for class_name in classes:
            row.append(f"{model['entries'][class_name]['sum_of_weights']:,.6g}")
        files = "<br>".join(map(escape, model["files"]))
        if "trainings" in model:
            others = model["trainings"]["files"]
            files += f"<br>the median of {counted(len(others), 'training')}"
        row.append(f'<td class="left">{files}</td>')
        rows.append(row)
    return html_table(head, rows)
