"""``report.html`` of classifiers: tables of what ``metrics.json`` says, with all figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from weaver_tt.figures.names import html_text, without_unit
from weaver_tt.metrics.classifier_summary import OPERATING_POINTS
from weaver_tt.metrics.direction import Direction, metric_direction
from weaver_tt.metrics.many_classes import choice_in_words
from weaver_tt.pages.cells import (
    UNKNOWN,
    Cell,
    Row,
    best_numbers,
    mark_best,
    number_cell,
    words_cell,
)
from weaver_tt.pages.page import Alert, Block, Gallery, Note, Page, Section, Table, render_page
from weaver_tt.report.cost import ABOUT_COST, ANT_EFFICIENCY, cost_columns
from weaver_tt.report.figures import ReportPictures
from weaver_tt.system.wording import counted

Numbers = Mapping[str, Mapping[str, Any]]  # metric -> value, error, at_least

EPS_S = Markup("ε<sub>S</sub>")
EPS_B = Markup("ε<sub>B</sub>")
SHIFTED_EPS_S = Markup("ε′<sub>S</sub>")
SHIFTED_EPS_B = Markup("ε′<sub>B</sub>")
REJECTION = "1 / " + EPS_B
DIVERGENCE_HEAD = ("divergence", "random rows", "excess")

ABOUT_NUMBERS = Markup(
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
ABOUT_RESILIENCE = Markup(
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
    pictures: ReportPictures,
    empty: Mapping[str, Sequence[str]],
) -> str:
    """The page.

    ``content`` as in ``metrics.json``; by model ``numbers``, its headline metrics, and ``empty``,
    its classes without rows.
    """
    models = content["models"]
    titles = class_titles(content)
    # of many classes the others are in a table of all, and in metrics.json
    shown = [name for name in content["signals"] if name not in pictures.left_out]
    metrics = _shown_metrics(next(iter(numbers.values())), pictures.left_out)
    sections = [
        Section("Performance", [_performance(numbers, metrics, titles), Note(ABOUT_NUMBERS)]),
        *_differences(content, metrics, titles),
        _signals(content, shown, pictures, titles),
    ]
    if "discriminants" in content:
        sections.append(_discriminants(content["discriminants"], pictures, titles))
    if "sculpting" in content:
        sections.append(_sculpting(content, pictures, titles))
    if "ddt" in content:
        sections.append(_ddt(content["ddt"], titles))
    if "shifted" in content:
        sections.append(_resilience(content["shifted"], shown, pictures, titles))
    calibration: list[Block] = [_calibration(models), Gallery(pictures.calibration)]
    sections.append(Section("Calibration", calibration))
    of_models = [Section(name, [Gallery(found)]) for name, found in pictures.models.items()]
    sections.append(Section("Each model", sections=of_models))
    costs: list[Block] = [
        _costs(models, shown, titles),
        Note(f"{ABOUT_COST} {ABOUT_ANT}"),
    ]
    sections.append(Section("Size and speed", costs))
    if pictures.left_out:
        sections.append(Section("All classes", [_every_class(models, titles)]))
    files = [_files(models), _entries(models, titles, "Rows of each class")]
    if "shifted" in content:
        shifted = content["shifted"]["models"]
        files.append(_files(shifted, "Shifted samples"))
        files.append(_entries(shifted, titles, "Rows of each class of the shifted samples"))
    sections.append(Section("Rows and files", files))
    page = Page(
        title="Taggers compared" if len(models) > 1 else f"Tagger {next(iter(models))}",
        about=_about(titles, pictures.left_out),
        alerts=_alerts(models, empty),
        sections=sections,
    )
    return render_page(page)


def _about(titles: Mapping[str, Markup], left_out: Sequence[str]) -> Markup:
    """How many classes there are, and which ones are shown."""
    number = counted(len(titles), "class", "classes")
    shown = [title for name, title in titles.items() if name not in left_out]
    which = f", {len(shown)} of them shown: " if left_out else ": "
    return escape(number + which) + Markup(", ").join(shown)


def _shown_metrics(metrics: Iterable[str], left_out: Sequence[str]) -> list[str]:
    """The metrics that are of no class that is left out."""
    endings = tuple(f" of {name}" for name in left_out)
    return [metric for metric in metrics if not metric.endswith(endings)]


def about_left_out(classes: Sequence[str], left_out: Sequence[str]) -> str:
    """What a page does not show of some classes, and how to see it."""
    shown = [name for name in classes if name not in left_out]
    return (
        f"figures and pairs are shown of {choice_in_words(shown, classes)} ({', '.join(shown)}); "
        "--classes NAME ... shows others, and metrics.json has each class against the rest"
    )


def class_titles(content: Mapping[str, Any]) -> dict[str, Markup]:
    """What each class is called on the page."""
    names = content["names"]
    return {name: html_text(names.get(name, name)) for name in content["classes"]}


def metric_title(metric: str, titles: Mapping[str, Markup]) -> Markup:
    """``AUC of top`` with what the class is called."""
    for name, title in titles.items():
        if metric.endswith(f" of {name}"):
            return escape(metric.removesuffix(name)) + title
    return escape(metric)


def _alerts(
    models: Mapping[str, Any], empty: Mapping[str, Sequence[str]], sample: str = ""
) -> list[Alert]:
    """Rows that are left out, and classes that have none."""
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
    return [Alert(text) for text in texts]


def _performance(
    numbers: Mapping[str, Numbers], metrics: Sequence[str], titles: Mapping[str, Markup]
) -> Table:
    """The headline ``metrics``, a model a column."""
    rows: list[list[str | Cell]] = []
    for metric in metrics:
        of_models = [one[metric] for one in numbers.values()]
        cells = best_numbers(of_models, of_models[0]["direction"])
        rows.append([metric_title(metric, titles), *cells])
    return Table(head=["", *numbers], rows=rows)


def _every_class(models: Mapping[str, Any], titles: Mapping[str, Markup]) -> Table:
    """AUC and rejections of each class (rows) against the rest, by model."""
    measures = {"AUC": [model["auc"] for model in models.values()]}
    for point in OPERATING_POINTS:
        measures[f"rejection at {100 * point:.0f} %"] = [
            model["rejection"][str(point)] for model in models.values()
        ]
    head = [""]
    for title in measures:
        head += [title if len(models) == 1 else f"{title}, {name}" for name in models]
    rows = []
    for name, title in titles.items():
        row: list[str | Cell] = [title]
        for of_models in measures.values():
            row += best_numbers([one["one_vs_rest"][name] for one in of_models], Direction.MAX)
        rows.append(row)
    return Table(head=head, rows=rows, caption="Each class against the rest")


def _differences(
    content: Mapping[str, Any], metrics: Sequence[str], titles: Mapping[str, Markup]
) -> list[Section]:
    """Differences to the reference, with their significance; nothing of a single model."""
    differences = content["differences"]
    if not differences:
        return []
    rows: list[Row] = []
    for metric in metrics:
        row: list[str | Cell] = [metric_title(metric, titles)]
        for of_model in differences.values():
            row.append(_difference_cell(of_model[metric]))
        rows.append(row)
    table = Table(head=["", *differences], rows=rows)
    title = f"Differences to {content['reference']}"
    return [Section(title, [table, Note(ABOUT_DIFFERENCES)])]


def _difference_cell(number: Mapping[str, Any]) -> Cell:
    cell = number_cell(number, sign=True)
    if number["value"] is None or not number["error"]:
        return cell
    deviations = number["value"] / number["error"]
    return Cell(cell.text, f"{cell.detail} ({deviations:+.1f} σ)")


def _signals(
    content: Mapping[str, Any],
    shown: Sequence[str],
    pictures: ReportPictures,
    titles: Mapping[str, Markup],
) -> Section:
    """A section for each signal that is ``shown``: against each other class, and its figures."""
    sections = []
    for signal in shown:
        blocks: list[Block] = _against_each(content, signal, titles)
        blocks.append(Gallery(pictures.signals.get(signal, [])))
        sections.append(Section(titles[signal], blocks))
    about = []
    if pictures.left_out:
        text = about_left_out(content["classes"], pictures.left_out)
        about.append(Note(text[0].upper() + text[1:] + "."))
    return Section("Each signal", about, sections)


def _against_each(
    content: Mapping[str, Any], signal: str, titles: Mapping[str, Markup]
) -> list[Block]:
    """AUC and rejection of a signal against each other class (columns), a model a row."""
    models = content["models"]
    point = OPERATING_POINTS[1]
    measures = {
        "AUC": [model["auc"] for model in models.values()],
        f"Rejection at {100 * point:.0f} % of " + titles[signal]: [
            model["rejection"][str(point)] for model in models.values()
        ],
    }
    tables: list[Block] = []
    for caption, of_models in measures.items():
        columns = []
        # of many classes not each has pairs
        for background in of_models[0]["one_vs_one"][signal]:
            pairs = [one["one_vs_one"][signal][background] for one in of_models]
            title = "against " + titles[background]
            columns.append((title, best_numbers(pairs, Direction.MAX)))
        tables.append(Table.of_columns(models, columns, caption))
    return tables


def _discriminants(
    discriminants: Mapping[str, Any], pictures: ReportPictures, titles: Mapping[str, Markup]
) -> Section:
    """A section for each discriminant: its table, a model a column, and its figures."""
    sections = []
    for name, found in discriminants.items():
        signal = Markup(", ").join(titles[one] for one in found["signal"])
        background = Markup(", ").join(titles[one] for one in found["background"])
        models = found["models"]
        metrics = {"AUC": [model["auc"] for model in models.values()]}
        for point in OPERATING_POINTS:
            title = f"rejection at {100 * point:.0f} %"
            metrics[title] = [model["rejection"][str(point)] for model in models.values()]
        rows: list[Row] = []
        for title, numbers in metrics.items():
            rows.append([title, *best_numbers(numbers, Direction.MAX)])
        blocks: list[Block] = [
            Note(signal + " against " + background),
            Table(head=["", *models], rows=rows),
            Gallery(pictures.discriminants.get(name, [])),
        ]
        sections.append(Section(name, blocks))
    return Section("Discriminants", [Note(ABOUT_DISCRIMINANTS)], sections)


def _sculpting(
    content: Mapping[str, Any], pictures: ReportPictures, titles: Mapping[str, Markup]
) -> Section:
    """Selections by the score of the signal, and a section for those by each discriminant."""
    sculpting = content["sculpting"]
    signal = sculpting["signal"]
    column = sculpting["column"]
    variable = html_text(without_unit(content["names"].get(column, column)))
    blocks: list[Block] = [
        _divergences(sculpting, titles[signal]),
        Note(ABOUT_SCULPTING),
        Gallery(pictures.sculpting.get(signal, [])),
    ]
    sections = []
    for name, found in sculpting.get("discriminants", {}).items():
        gallery = Gallery(pictures.sculpting.get(name, []))
        sections.append(Section(name, [_divergences(found, Markup("its signal")), gallery]))
    return Section("Sculpting of " + variable, blocks, sections)


def _divergences(sculpting: Mapping[str, Any], signal: Markup) -> Table:
    """Divergences of each model (rows) at each efficiency of a signal (columns)."""
    distances = sculpting["jensen_shannon_bits"]
    head = [""]
    for efficiency in next(iter(distances.values())):
        head += [f"{100 * float(efficiency):.0f} % of " + signal + " pass", *DIVERGENCE_HEAD[1:]]
        head.append(REJECTION)
    rows = []
    for name, of_model in distances.items():
        row: list[str | Cell] = [name]
        for efficiency, numbers in of_model.items():
            row += _divergence_cells(numbers)
            row.append(number_cell(sculpting["rejection"][name][efficiency]))
        rows.append(row)
    return Table(head=head, rows=rows)


def _ddt(ddt: Mapping[str, Any], titles: Mapping[str, Markup]) -> Section:
    """A table for each signal, a column of a model a row."""
    head = ["", "target " + EPS_B, EPS_B, EPS_S, REJECTION, *DIVERGENCE_HEAD]
    blocks: list[Block] = []
    for signal, of_models in ddt.items():
        rows = []
        for name, of_columns in of_models.items():
            for column, point in of_columns.items():
                row: list[str | Cell] = [f"{name}: {column}", f"{point['target']:.4g}"]
                for key in ("background_efficiency", "signal_efficiency", "rejection"):
                    row.append(number_cell(point[key]))
                row += _divergence_cells(point.get("jensen_shannon_bits"))
                rows.append(row)
        blocks.append(Table(head=head, rows=rows, caption="Signal " + titles[signal]))
    return Section("Decorrelated columns, cut at 0", [*blocks, Note(ABOUT_DDT)])


def _divergence_cells(numbers: Mapping[str, float] | None) -> list[str | Cell]:
    """Value, that of random rows, and the excess."""
    if numbers is None:
        return [UNKNOWN] * 3
    value = Cell(f"{numbers['value']:.4f}", f"± {numbers['error']:.4f}")
    return [value, f"{numbers['random']:.4f}", f"{numbers['excess']:.4f}"]


def _resilience(
    shifted: Mapping[str, Any],
    shown: Sequence[str],
    pictures: ReportPictures,
    titles: Mapping[str, Markup],
) -> Section:
    """A section for each signal that is ``shown`` and each discriminant."""
    sections = []
    for signal in shown:
        of_models = shifted["signals"][signal]
        background = Markup("the rest")
        if len(titles) == 2:
            (background,) = (title for name, title in titles.items() if name != signal)
        blocks = _resilience_tables(of_models, titles[signal] + " pass, against " + background)
        blocks.append(Gallery(pictures.resilience.get(signal, [])))
        sections.append(Section(titles[signal], blocks))
    for name, of_models in shifted.get("discriminants", {}).items():
        blocks = _resilience_tables(of_models, Markup("its signal pass, against its background"))
        blocks.append(Gallery(pictures.resilience.get(name, [])))
        sections.append(Section(name, blocks))
    alerts = _alerts(shifted["models"], {}, "shifted sample of ")
    return Section("Resilience", [*alerts, Note(ABOUT_RESILIENCE)], sections)


def _resilience_tables(of_models: Mapping[str, Any], passing: Markup) -> list[Block]:
    """A table for each operating point, a model a row; ``passing``: what passes, in words."""
    head = ["", "threshold", EPS_S, SHIFTED_EPS_S, EPS_B, SHIFTED_EPS_B]
    head += ["performance", "resilience", "by chance"]
    tables: list[Block] = []
    for efficiency in next(iter(of_models.values())):
        rows = []
        for name, points in of_models.items():
            rows.append([name, *_resilience_cells(points[efficiency])])
        caption = f"{100 * float(efficiency):.0f} % of " + passing
        tables.append(Table(head=head, rows=rows, caption=caption))
    return tables


def _resilience_cells(point: Mapping[str, Any]) -> list[str | Cell]:
    """The row of a model at one threshold."""
    cells: list[str | Cell] = [f"{point['threshold']:.4g}"]
    for of_class in ("signal", "background"):
        cells += [number_cell(point[of_class][sample]) for sample in ("first", "shifted")]
    resilience = point["resilience"]
    by_chance = resilience["by_chance"]
    cells.append(number_cell(point["performance"]))
    cells.append("unlimited" if resilience["unlimited"] else number_cell(resilience))
    cells.append(UNKNOWN if by_chance is None else f"{by_chance:.3g}")
    return cells


def _calibration(models: Mapping[str, Any]) -> Table:
    errors = [model["calibration"]["expected_error"] for model in models.values()]
    texts = [Cell(f"{error:.4f}") for error in errors]
    cells = mark_best(errors, texts, metric_direction("calibration_error"))
    return Table.of_columns(models, [("expected calibration error", cells)])


def _costs(
    models: Mapping[str, Any], signals: Sequence[str], titles: Mapping[str, Markup]
) -> Table:
    """What each network (rows) costs, and what it achieves for that."""
    columns = cost_columns(list(models.values()))
    for signal in signals:
        ants = [model["ant"][signal] for model in models.values()]
        columns.append(("ant of " + titles[signal], best_numbers(ants, Direction.MAX)))
    return Table.of_columns(models, columns)


def _files(models: Mapping[str, Any], caption: str = "") -> Table:
    rows: list[Row] = []
    for name, model in models.items():
        lines = list(model["files"])
        if "trainings" in model:
            others = model["trainings"]["files"]
            lines.append(f"the median of {counted(len(others), 'training')}")
        rows.append([name, f"{model['rows']:,}", words_cell(lines)])
    return Table(head=["", "rows", "files"], rows=rows, caption=caption)


def _entries(models: Mapping[str, Any], titles: Mapping[str, Markup], caption: str) -> Table:
    """The sum of weights of each class (rows), a model a column."""
    rows: list[Row] = []
    for name, title in titles.items():
        sums = [model["entries"][name]["sum_of_weights"] for model in models.values()]
        rows.append([title, *(f"{number:,.6g}" for number in sums)])
    return Table(head=["", *models], rows=rows, caption=caption)
