"""``report.html``: one page that needs nothing else. Tables from what ``metrics.json`` says, figures inlined."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from weaver_tt import __version__
from weaver_tt.metrics.classifier_summary import OPERATING_POINTS
from weaver_tt.metrics.direction import Direction, metric_direction
from weaver_tt.report.figures import Picture

Numbers = Mapping[str, Mapping[str, Any]]  # metric -> value, error, at_least

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #d8dee5; --good: #e8f3ea; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink); background: #fff;
       max-width: 72rem; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.6rem 0 .7rem; } h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p, li { max-width: 52rem; } .soft { color: var(--soft); } .warn { background: #fff4dc; border-left: 4px solid #e0a100; padding: .5rem .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0 1rem; }
th, td { padding: .35rem .9rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; } thead th { border-bottom: 2px solid var(--ink); } th:first-child, td.left { text-align: left; }
td.best { background: var(--good); font-weight: 600; } td .e { color: var(--soft); font-weight: 400; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.6rem; }
figure { margin: 0; break-inside: avoid; } figure.big { grid-column: 1 / -1; } img { width: 100%; height: auto; } figcaption { color: var(--soft); }
"""


def report_page(
    content: Mapping[str, Any],
    numbers: Mapping[str, Numbers],
    pictures: Sequence[Picture],
    empty: Mapping[str, Sequence[str]],
) -> str:
    """The page; ``content`` as in ``metrics.json``, ``numbers`` the headline of each model, ``empty`` its classes without rows."""
    names, classes = list(content["models"]), content["classes"]
    title = "Taggers compared" if len(names) > 1 else f"Tagger {names[0]}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{len(classes)} classes: {escape(", ".join(classes))} · made by weaver_tt {__version__}</p>',
        *_warnings(content["models"], empty),
        "<h2>Performance</h2>",
        _performance(numbers),
        "<p>Value ± one standard deviation (statistical). A rejection is 1 / ε<sub>B</sub> where the stated share of the signal passes; a row's best "
        "is marked. “&gt;” is a lower limit (95 %): not one background row passes.</p>",
    ]
    if content["differences"]:
        parts += [
            f"<h2>Differences to {escape(content['reference'])}</h2>",
            _differences(content["differences"]),
            "<p>Errors are added in quadrature, as for independent rows; models judged on the same rows differ more surely than this says.</p>",
        ]
    parts += [
        "<h2>Pairs of classes</h2>",
        *(_pairs(name, model, classes) for name, model in content["models"].items()),
    ]
    if "sculpting" in content:
        parts += [
            f"<h2>Sculpting of {escape(content['sculpting']['column'])}</h2>",
            _sculpting(content["sculpting"]),
        ]
    parts += [
        "<h2>Calibration</h2>",
        _calibration(content["models"]),
        "<h2>Figures</h2>",
        _gallery(pictures),
    ]
    parts += ["<h2>Rows and files</h2>", _files(content["models"], classes)]
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}<link rel="icon" href="data:,"></head>\n<body>\n{body}\n</body>\n</html>\n'


def plus_minus(number: Mapping[str, Any], sign: bool = False) -> str:
    """``value ± error`` with two digits of the error, ``> limit``, or a dash where nothing is known."""
    value, error = number["value"], number["error"]
    if value is None:
        return f"&gt; {number['at_least']:.3g}" if number.get("at_least") else "–"
    plus = "+" if sign else ""
    if not error:
        return f"{value:{plus}.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f'{value:{plus}.{digits}f} <span class="e">± {error:.{digits}f}</span>'


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; a cell may come with its own ``<td``."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    lines = [
        "".join(
            [
                f"<th>{row[0]}</th>",
                *(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row[1:]),
            ]
        )
        for row in rows
    ]
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{"".join(f"<tr>{line}</tr>" for line in lines)}</tbody></table></div>'


def _warnings(models: Mapping[str, Any], empty: Mapping[str, Sequence[str]]) -> list[str]:
    told = []
    for name, model in models.items():
        for key, what in (
            ("rows_with_nan_scores", "rows have a score that is no number"),
            ("rows_without_class", "rows are of no class or several"),
        ):
            if model[key]:
                told.append(
                    f"{name}: {model[key]:,} of {model['rows']:,} {what}; they are left out."
                )
        if empty[name]:
            told.append(
                f"{name}: no row is of class {', '.join(empty[name])}; what depends on it is unknown."
            )
    return [f'<p class="warn">{escape(text)}</p>' for text in told]


def _performance(numbers: Mapping[str, Numbers]) -> str:
    rows = []
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
    best = None
    if direction is not None and len(values) > 1 and len(known) == len(values):
        best = direction.best(known)
    cells = []
    for value, text in zip(values, texts, strict=True):
        mark = " class=best" if best is not None and value == best else ""
        cells.append(f"<td{mark}>{text}</td>")
    return cells


def _differences(differences: Mapping[str, Numbers]) -> str:
    rows = []
    for metric in next(iter(differences.values())):
        row = [escape(metric)]
        for one in differences.values():
            number = one[metric]
            pull = (
                f' <span class="e">({number["value"] / number["error"]:+.1f} σ)</span>'
                if number["value"] is not None and number["error"]
                else ""
            )
            row.append(plus_minus(number, sign=True) + pull)
        rows.append(row)
    return html_table(["", *map(escape, differences)], rows)


def _pairs(name: str, model: Mapping[str, Any], classes: Sequence[str]) -> str:
    """AUC and rejections of each signal (rows) against each background (columns)."""
    parts = [
        f"<h3>{escape(name)}: AUC, and rejection at {100 * OPERATING_POINTS[1]:.0f} % signal efficiency</h3>"
    ]
    for what in (
        model["auc"]["one_vs_one"],
        model["rejection"][str(OPERATING_POINTS[1])]["one_vs_one"],
    ):
        rows = [
            [escape(a), *("" if a == b else plus_minus(what[a][b]) for b in classes)]
            for a in classes
        ]
        parts.append(html_table(["signal ↓, background →", *map(escape, classes)], rows))
    return "\n".join(parts)


def _sculpting(sculpting: Mapping[str, Any]) -> str:
    """Divergences of each model (rows) at each signal efficiency (columns)."""
    distances = sculpting["jensen_shannon_bits"]
    head = [
        f"{100 * float(efficiency):.0f} % of {escape(sculpting['signal'])} pass"
        for efficiency in next(iter(distances.values()))
    ]
    rows = [
        [escape(name), *("–" if value is None else f"{value:.4f}" for value in one.values())]
        for name, one in distances.items()
    ]
    told = "Jensen–Shannon divergence, in bits, of the background's spectrum before and after the selection: 0 where the shapes are equal."
    return f"{html_table(['', *head], rows)}\n<p>{told}</p>"


def _calibration(models: Mapping[str, Any]) -> str:
    errors = [model["calibration"]["expected_error"] for model in models.values()]
    texts = [f"{error:.4f}" for error in errors]
    cells = mark_best(errors, texts, metric_direction("calibration_error"))
    rows = [[escape(name), cell] for name, cell in zip(models, cells, strict=True)]
    return html_table(["", "expected calibration error"], rows)


def _gallery(pictures: Sequence[Picture]) -> str:
    parts = []
    for picture in pictures:
        data = base64.b64encode(picture.path.read_bytes()).decode()
        big = ' class="big"' if picture.is_wide else ""
        caption = escape(picture.caption)
        parts.append(
            f'<figure{big}><img src="data:image/png;base64,{data}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
        )
    return f'<div class="figures">{"".join(parts)}</div>'


def _files(models: Mapping[str, Any], classes: Sequence[str]) -> str:
    rows = []
    for name, model in models.items():
        entries = [f"{model['entries'][k]['sum_of_weights']:,.6g}" for k in classes]
        files = f'<td class="left">{"<br>".join(map(escape, model["files"]))}</td>'
        rows.append([escape(name), f"{model['rows']:,}", *entries, files])
    return html_table(["", "rows", *(f"of {escape(k)}" for k in classes), "files"], rows)
