"""The measurement of one kinematic bin: templates, checks of them, and fits until they settle.

2 regions (pass, fail), B bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weaver_tt.applications.calibration.fit import Fit, Model
from weaver_tt.applications.calibration.scale_factors import (
    ScaleFactors,
    SimulatedYields,
    measure_scale_factors,
)
from weaver_tt.applications.calibration.spectra import REGIONS
from weaver_tt.applications.calibration.systematics import RESOLUTION, SCALE, SIDES
from weaver_tt.applications.calibration.templates import (
    STEP,
    CategorySpectra,
    Distortions,
    Template,
    make_template,
)
from weaver_tt.applications.calibration.workspace import make_workspace, normalisation
from weaver_tt.errors import DataError
from weaver_tt.expressions.row_values import Floats
from weaver_tt.system.wording import counted

MOST_FITS = 8
CHANGE = 10.0  # the most that a normalisation changes its template by, from one fit to the next


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A kinematic bin: its last fit, what it says, and the workspace of it.

    ``point``: scale and resolution parameters that the templates were made at; ``factors``: scale
    and resolution of the data relative to the simulation, with errors.
    """

    label: str
    name: str
    data: Floats  # (2, B)
    workspace: dict[str, Any]
    model: Model
    fit: Fit
    simulated: tuple[SimulatedYields, ...]
    scale_factors: ScaleFactors
    factors: dict[str, tuple[float, float]]
    fits: int

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not to be trusted."""
        return self.fit.problems


@dataclass(frozen=True, kw_only=True)
class BinInput:
    """What a kinematic bin is measured with: ``data`` (2, B) and the spectra of all categories."""

    number: int
    label: str
    name: str
    data: Floats
    spectra: Sequence[CategorySpectra]
    distortions: Distortions

    def templates(self, point: dict[str, float]) -> list[Template]:
        """Those of all categories at a point of scale and resolution."""
        return [make_template(one, self.number, self.distortions, point) for one in self.spectra]

    def with_asimov_data(self) -> BinInput:
        """The same with the sum of the templates in place of data, as many jets as those have.

        Categories with a rate keep theirs.
        """
        common = _common_scale(self)
        data = np.zeros_like(self.data)
        for template in self.templates({}):
            data += template.contents * (common if template.is_free else 1.0)
        return replace(self, data=data)

    @property
    def edges(self) -> Floats:
        """Edges (B + 1,) of the bins of the fit."""
        return self.spectra[0].nominal.grid.edges


def check_templates(task: BinInput) -> None:
    """Raise unless each template can be fitted.

    Raises:
        DataError: a category is empty in a region, a content is negative, or the data lie where
            nothing is simulated; names category, region and bin.
    """
    undistorted = task.spectra[0].nominal.grid.response(1.0, 0.0)
    simulated = np.zeros_like(task.data)
    for one in task.spectra:
        samples = {"": one.nominal}
        for nuisance, sides in one.varied.items():
            samples |= {f", {nuisance} {side}": of for side, of in zip(SIDES, sides, strict=True)}
        for what, spectra in samples.items():
            contents = spectra.template(task.number, undistorted)
            for place, region in enumerate(REGIONS):
                where = f"{task.label}: {one.name}, {region}{what}"
                _check_contents(contents[place], task.edges, where)
        simulated += one.nominal.template(task.number, undistorted)
    for place, region in enumerate(REGIONS):
        if not task.data[place].sum() > 0:
            raise DataError(
                f"{task.label}: no jet of the data between the edges is in the region {region!r}"
            )
        missing = (simulated[place] <= 0) & (task.data[place] > 0)
        if missing.any():
            first = int(np.argmax(missing))
            raise DataError(
                f"{task.label}, {region}: {task.data[place, first]:g} jets of the data from "
                f"{_range(task.edges, first)}, where no category has any "
                f"({counted(int(missing.sum()), 'such bin')}); wider --edges have"
            )


def _check_contents(contents: Floats, edges: Floats, where: str) -> None:
    if (contents < 0).any():
        first = int(np.argmax(contents < 0))
        raise DataError(
            f"{where}: the weights from {_range(edges, first)} add up to {contents[first]:.4g}; a "
            "template needs contents of at least 0, which wider --edges may have"
        )
    if not contents.sum() > 0:
        raise DataError(
            f"{where}: the template is empty between {edges[0]:g} and {edges[-1]:g}: no efficiency "
            "can be measured; --tag, --edges or the files are to be changed"
        )


def _range(edges: Floats, place: int) -> str:
    return f"{edges[place]:g} to {edges[place + 1]:g}"


def measure(task: BinInput) -> Measurement:
    """Fit the templates, make them anew where the fit says, and so on until they settle.

    A fit says how scale, resolution and normalisations differ from the templates; they settle when
    scale and resolution move by less than a tenth of their prior standard deviations. So it matters
    little that templates depend linearly on them around a point, and the statistical errors of the
    simulation are those of the composition that the data have.

    Raises:
        DataError: the fit is singular; names the bin.
    """
    free = [one for one in task.spectra if one.is_free]
    point = dict.fromkeys(task.distortions.names, 0.0)
    scales = dict.fromkeys((one.name for one in task.spectra), np.ones(len(REGIONS)))
    common = _common_scale(task)
    for one in free:
        scales[one.name] = scales[one.name] * common
    for number in range(1, MOST_FITS + 1):
        made = [template.scaled(scales[template.name]) for template in task.templates(point)]
        workspace = make_workspace(made, task.data, point)
        model = Model.of(workspace)
        try:
            fit = model.fit()
        except DataError as error:
            raise DataError(f"{task.label}: {error}") from error
        moves = {name: fit.value(name) for name in point}
        if all(abs(move) < STEP for move in moves.values()) or number == MOST_FITS:
            break
        point = {name: value + moves[name] for name, value in point.items()}
        for one in free:
            mu = [fit.value(normalisation(one.name, region)) for region in REGIONS]
            scales[one.name] = scales[one.name] * np.clip(mu, 1 / CHANGE, CHANGE)
    if any(abs(move) >= STEP for move in moves.values()):
        unsettled = f"scale and resolution did not settle in {counted(MOST_FITS, 'fit')}"
        fit = replace(fit, problems=(*fit.problems, unsettled))
    nominal = {template.name: template for template in task.templates({})}
    simulated = []
    for one in free:
        template = nominal[one.name]
        sums = template.contents.sum(1), template.variances.sum(1)
        simulated.append(SimulatedYields(one.name, *sums, scales[one.name]))
    there = {name: value + moves[name] for name, value in point.items()}
    return Measurement(
        label=task.label,
        name=task.name,
        data=task.data,
        workspace=workspace,
        model=model,
        fit=fit,
        simulated=tuple(simulated),
        scale_factors=measure_scale_factors(fit, simulated),
        factors=_factors(task.distortions, there, fit),
        fits=number,
    )


def _common_scale(task: BinInput) -> float:
    """What all free categories are scaled by, so that the sum is that of the data."""
    templates = task.templates({})
    free = sum(template.contents.sum() for template in templates if template.is_free)
    rated = sum(template.contents.sum() for template in templates if not template.is_free)
    left = float(task.data.sum() - rated)
    if not left > 0:
        raise DataError(
            f"{task.label}: categories with a rate have {rated:.6g} jets, the data "
            f"{task.data.sum():.6g}: nothing is left for the others; --weight-column is to "
            "normalise the simulation to the data"
        )
    return left / free


def _factors(
    distortions: Distortions, point: dict[str, float], fit: Fit
) -> dict[str, tuple[float, float]]:
    """Scale and resolution relative to the simulation, with their errors."""
    values = distortions.factors(point)
    sizes = {SCALE: distortions.scale_error, RESOLUTION: distortions.resolution_error}
    return {name: (values[name], sizes[name] * fit.error(name)) for name in point}
