"""The HistFactory model of one kinematic bin, as a workspace of pyhf.

Channels are the regions, samples the categories. A free category has a normalisation in each
region, ``CATEGORY_pass`` and ``CATEGORY_fail``; nuisance parameters are shared by both regions and
by all categories; ``staterror_REGION`` are the statistical errors of the simulation.

Source: Cranmer et al., CERN-OPEN-2012-016 (HistFactory); Barlow and Beeston, Comput. Phys. Commun.
77 (1993) 219, and Conway, arXiv:1103.0354, for one parameter a bin; Heinrich et al., JOSS 6 (2021)
2823 (pyhf).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weaver_tt.applications.calibration.spectra import REGIONS
from weaver_tt.applications.calibration.templates import Template
from weaver_tt.expressions.row_values import Floats

MEASUREMENT = "scale_factors"
STATISTICAL = "staterror"
MOST = 10.0  # of a normalisation, or the content of the data over its template if that is more
REACH = 5.0  # standard deviations of scale and resolution


def normalisation(category: str, region: str) -> str:
    """The name of a free normalisation."""
    return f"{category}_{region}"


def make_workspace(
    templates: Sequence[Template], data: Floats, point: Mapping[str, float]
) -> dict[str, Any]:
    """The workspace of ``templates`` around a ``point`` of scale and resolution, with data (2, B).

    A parameter of the point is counted from there: its auxiliary datum is that of the simulation.
    """
    channels = []
    observations = []
    for place, region in enumerate(REGIONS):
        samples = [_sample(template, place) for template in templates]
        channels.append({"name": region, "samples": samples})
        observations.append({"name": region, "data": data[place].tolist()})
    parameters: list[dict[str, Any]] = []
    for name, value in point.items():
        bounds = [[-REACH - value, REACH - value]]
        parameters.append({"name": name, "inits": [0.0], "auxdata": [-value], "bounds": bounds})
    free = [template for template in templates if template.is_free]
    for template in free:
        for place, region in enumerate(REGIONS):
            most = max(MOST, MOST * float(data[place].sum() / template.contents[place].sum()))
            name = normalisation(template.name, region)
            parameters.append({"name": name, "inits": [1.0], "bounds": [[0.0, most]]})
    config = {"poi": normalisation(free[0].name, REGIONS[0]), "parameters": parameters}
    return {
        "version": "1.0.0",
        "channels": channels,
        "observations": observations,
        "measurements": [{"name": MEASUREMENT, "config": config}],
    }


def _sample(template: Template, place: int) -> dict[str, Any]:
    """A category in one region."""
    region = REGIONS[place]
    modifiers: list[dict[str, Any]] = []
    if template.is_free:
        name = normalisation(template.name, region)
        modifiers.append({"name": name, "type": "normfactor", "data": None})
    for name, factor in template.rates.items():
        rate = {"hi": factor, "lo": 1 / factor}
        modifiers.append({"name": name, "type": "normsys", "data": rate})
    for name, (up, down) in template.shifts.items():
        contents = {"hi_data": up[place].tolist(), "lo_data": down[place].tolist()}
        modifiers.append({"name": name, "type": "histosys", "data": contents})
    errors = (template.variances[place] ** 0.5).tolist()
    statistical = {"name": f"{STATISTICAL}_{region}", "type": "staterror", "data": errors}
    return {
        "name": template.name,
        "data": template.contents[place].tolist(),
        "modifiers": [*modifiers, statistical],
    }
