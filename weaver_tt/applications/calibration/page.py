"""``calibration.html``: one page that needs no other file, of what ``calibration.json`` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weaver_tt.pages.cells import Cell, Row, number_cell, words_cell
from weaver_tt.pages.page import Alert, Block, Gallery, Note, Page, Section, Table, render_page
from weaver_tt.pages.pictures import Picture

Content = Mapping[str, Any]

ABOUT_FACTORS = (
    "A scale factor is the efficiency in data over that in the simulation. Its errors: statistical "
    "(what is left where all nuisance parameters are known), of the number of simulated jets, and "
    "systematic (of the other nuisance parameters, scale and resolution included)."
)
ABOUT_FITS = (
    "Goodness of fit: -2 ln of the likelihood ratio to the saturated model, which is about a χ² of "
    "the degrees of freedom. Scale and resolution are those of the data over those of the "
    "simulation."
)
ABOUT_MISTAG = (
    "Jets of the data in a region that is rich in the category, without the other categories, "
    "which are subtracted as the simulation has them. A scale factor is the efficiency in data "
    "over that in the simulation. Its errors: statistical (of the jets of the data), of the number "
    "of simulated jets (subtracted ones, and those of the category), and systematic (of the rates "
    "of the other categories)."
)
ABOUT_TOYS = (
    "Data sets drawn from the fitted model, statistical errors of the simulation included, and "
    "fitted again: (toy - truth) / error of the toy has mean 0 and width 1 where errors are right."
)
ABOUT_CORRELATIONS = "Of normalisations and nuisance parameters, after the fit."


def calibration_page(content: Content, pictures: Sequence[Picture]) -> str:
    """The page; ``content`` is that of ``calibration.json``."""
    bins = content["bins"]
    sections = [
        Section("Scale factors", [_scale_factors(bins), Note(ABOUT_FACTORS)]),
        Section("Fits", [_fits(bins), Note(ABOUT_FITS)]),
    ]
    if "toys" in bins[0]:
        sections.append(Section("Toys", [_toys(bins), *_toy_notes(bins), Note(ABOUT_TOYS)]))
    sections.append(Section("Figures", [Gallery(pictures)]))
    correlations: list[Block] = [_correlations(one) for one in bins]
    sections.append(Section("Correlations", [*correlations, Note(ABOUT_CORRELATIONS)]))
    sections.append(Section("Files", [_files(content)]))
    alerts = []
    for one in bins:
        alerts += [Alert(f"{one['bin']}: {problem}") for problem in one["problems"]]
    page = Page(
        title=f"Calibration of {content['tag']}",
        about=f"a fit of {content['variable']} to jets that pass and that fail",
        alerts=alerts,
        sections=sections,
    )
    return render_page(page)


def mistag_page(content: Content, pictures: Sequence[Picture]) -> str:
    """The page of a mistag rate; ``content`` is that of ``calibration.json``."""
    sections = [
        Section("Mistag rates", [_scale_factors(content["bins"]), Note(ABOUT_MISTAG)]),
        Section("Figures", [Gallery(pictures)]),
        Section("Files", [_files(content)]),
    ]
    page = Page(
        title=f"Mistag rate of {content['tag']}",
        about=f"jets of {content['mistag']} in a control region",
        sections=sections,
    )
    return render_page(page)


def _scale_factors(bins: Sequence[Content]) -> Table:
    head = ["", "category", "efficiency in data", "simulated", "SF"]
    head += ["statistical", "simulation", "systematic"]
    rows: list[Row] = []
    for one in bins:
        for factor in one["scale_factors"]:
            row: list[str | Cell] = [one["bin"], Cell(factor["category"], is_words=True)]
            for name in ("efficiency_data", "efficiency_simulation", "scale_factor"):
                row.append(number_cell(factor[name]))
            for name in ("statistical", "simulation_statistical", "systematic"):
                row.append(f"{factor[name]:.2g}")
            rows.append(row)
    return Table(head=head, rows=rows)


def _fits(bins: Sequence[Content]) -> Table:
    names = list(bins[0]["distortions"])
    rows: list[Row] = []
    for one in bins:
        goodness = one["goodness_of_fit"]
        row: list[str | Cell] = [
            one["bin"],
            f"{goodness['statistic']:.1f} / {goodness['ndf']}",
            f"{goodness['p_value']:.3g}",
        ]
        row += [number_cell(one["distortions"][name]) for name in names]
        rows.append(row)
    return Table(head=["", "goodness of fit / ndf", "p", *names], rows=rows)


def _toys(bins: Sequence[Content]) -> Table:
    rows: list[Row] = []
    for one in bins:
        for name, found in one["toys"]["pulls"].items():
            cells = [number_cell(found[key]) for key in ("mean", "width")]
            rows.append([one["bin"], Cell(name, is_words=True), *cells])
    return Table(head=["", "parameter", "mean of pulls", "width"], rows=rows)


def _toy_notes(bins: Sequence[Content]) -> list[Block]:
    blocks: list[Block] = []
    for one in bins:
        toys = one["toys"]
        for reason, number in toys["bad"].items():
            text = f"{one['bin']}: {number} of {toys['number']} toys are left out: {reason}"
            blocks.append(Alert(text))
        blocks.append(
            Note(
                f"{one['bin']}: {toys['worse']} of {toys['number']} toys have a worse goodness of "
                "fit than the data."
            )
        )
    return blocks


def _correlations(one: Content) -> Table:
    correlations = one["correlations"]
    rows: list[Row] = []
    for name, row in correlations.items():
        # z: no -0.00
        rows.append([name, *(f"{value:z.2f}" for value in row.values())])
    return Table(head=["", *correlations], rows=rows, caption=one["bin"])


def _files(content: Content) -> Table:
    files = {"data": content["data"], **content["categories"]}
    return Table(
        head=["", "files"], rows=[[name, words_cell(paths)] for name, paths in files.items()]
    )
