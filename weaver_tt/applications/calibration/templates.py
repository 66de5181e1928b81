"""Templates of the categories in one kinematic bin, around a point of scale and resolution.

2 regions (pass, fail), B bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.calibration.spectra import Grid, Spectra
from weaver_tt.applications.calibration.systematics import RESOLUTION, SCALE
from weaver_tt.expressions.row_values import Floats

STEP = 0.1  # standard deviations to both sides, of which the slope of a template is made


@dataclass(frozen=True, kw_only=True)
class Distortions:
    """What one standard deviation of scale and resolution is; an error of 0 turns one off.

    ``resolution``: of the variable in the simulation, relative to it; a resolution that is r times
    as large is that of values smeared further by ``resolution`` sqrt(r^2 - 1).
    """

    scale_error: float
    resolution_error: float
    resolution: float

    @property
    def names(self) -> tuple[str, ...]:
        """The nuisance parameters that there are."""
        errors = {SCALE: self.scale_error, RESOLUTION: self.resolution_error}
        return tuple(name for name, error in errors.items() if error > 0)

    def factors(self, point: Mapping[str, float]) -> dict[str, float]:
        """Scale and resolution relative to the simulation at a point of the parameters."""
        return {
            SCALE: 1 + self.scale_error * point.get(SCALE, 0.0),
            RESOLUTION: 1 + self.resolution_error * point.get(RESOLUTION, 0.0),
        }

    def response(self, grid: Grid, point: Mapping[str, float]) -> Floats:
        """The share (B, F) of each fine bin in each bin at a point of the parameters."""
        factors = self.factors(point)
        variance = (factors[RESOLUTION] ** 2 - 1) * self.resolution**2
        return grid.response(factors[SCALE], variance)


@dataclass(frozen=True, kw_only=True)
class CategorySpectra:
    """The spectra of a category: nominal, and by nuisance parameter those of up and down.

    ``rates``: nuisance parameter -> factor; a category that has any is not free.
    """

    name: str
    nominal: Spectra
    varied: Mapping[str, tuple[Spectra, Spectra]] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_free(self) -> bool:
        """Whether pass and fail have a free normalisation each."""
        return not self.rates


@dataclass(frozen=True, kw_only=True)
class Template:
    """A category in one kinematic bin: contents and their variances (2, B).

    ``shifts``: nuisance parameter -> contents at +1 and at -1.
    """

    name: str
    contents: Floats
    variances: Floats
    shifts: Mapping[str, tuple[Floats, Floats]]
    rates: Mapping[str, float]

    @property
    def is_free(self) -> bool:
        """Whether pass and fail have a free normalisation each."""
        return not self.rates

    def scaled(self, factors: Floats) -> Template:
        """The template times factors (2,) of pass and fail."""
        by_region = factors[:, None]
        shifts = {}
        for name, (up, down) in self.shifts.items():
            shifts[name] = (up * by_region, down * by_region)
        return Template(
            name=self.name,
            contents=self.contents * by_region,
            variances=self.variances * by_region**2,
            shifts=shifts,
            rates=self.rates,
        )


def make_template(
    spectra: CategorySpectra, number: int, distortions: Distortions, point: Mapping[str, float]
) -> Template:
    """The template of kinematic bin ``number`` at a point of scale and resolution.

    Around it the template is linear in both, with the slope of a small step. The variations of a
    free category differ in shape alone: they have the content of the nominal template in each
    region, as its normalisations are measured.
    """
    grid = spectra.nominal.grid
    response = distortions.response(grid, point)
    # a better resolution takes away what may not be there
    contents = np.maximum(spectra.nominal.template(number, response), 0)
    shifts = {}
    for name in distortions.names:
        sides = []
        for step in (STEP, -STEP):
            there = {**point, name: point.get(name, 0.0) + step}
            sides.append(spectra.nominal.template(number, distortions.response(grid, there)))
        slope = (sides[0] - sides[1]) / (2 * STEP)
        # far from the point the line may fall below 0, where no content is
        shifts[name] = (np.maximum(contents + slope, 0), np.maximum(contents - slope, 0))
    for name, varied in spectra.varied.items():
        up, down = (np.maximum(one.template(number, response), 0) for one in varied)
        if spectra.is_free:
            total = contents.sum(1, keepdims=True)
            up, down = (one * total / one.sum(1, keepdims=True) for one in (up, down))
        shifts[name] = (up, down)
    return Template(
        name=spectra.name,
        contents=contents,
        variances=spectra.nominal.variances(number, response),
        shifts=shifts,
        rates=spectra.rates,
    )
