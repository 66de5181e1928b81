"""What a calibration has found, as it is written: ``calibration.json``, workspaces, factors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from weaver_tt.applications.calibration.fit import is_statistical
from weaver_tt.applications.calibration.kinematic_bins import KinematicBins
from weaver_tt.applications.calibration.measurement import Measurement
from weaver_tt.applications.calibration.scale_factors import ScaleFactor
from weaver_tt.applications.calibration.scale_factors_json import BinnedFactor
from weaver_tt.applications.calibration.toys import SCALE_FACTOR, Toys, summarise_pulls
from weaver_tt.log import log
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import write_json
from weaver_tt.system.wording import counted, decimals_of, value_with_error

SCALE_FACTORS = "scale_factors.json"
CALIBRATION = "calibration.json"
PAGE = "calibration.html"


def workspace_path(folder: Path, measurement: Measurement) -> Path:
    """The file of a kinematic bin's workspace."""
    return folder / f"workspace_{measurement.name}.json"


def write_workspaces(measurements: Sequence[Measurement], folder: Path) -> None:
    """The HistFactory workspace of each bin, that of its last fit.

    Raises:
        OutputError: a file cannot be written.
    """
    for measurement in measurements:
        write_json(workspace_path(folder, measurement), measurement.workspace)


def binned_factors(bins: Iterable[Iterable[ScaleFactor]]) -> dict[str, list[BinnedFactor]]:
    """Category -> its scale factor in each bin."""
    factors: dict[str, list[BinnedFactor]] = {}
    for of_bin in bins:
        for one in of_bin:
            binned = BinnedFactor(one.value, one.total, one.mc)
            factors.setdefault(one.category, []).append(binned)
    return factors


def measurement_results(measurement: Measurement) -> Iterator[tuple[str, str]]:
    """What a kinematic bin has given: its goodness of fit, and below that all else."""
    goodness = measurement.fit.goodness
    fit = f"saturated goodness of fit {goodness.statistic:.1f}, ndf {goodness.ndf}"
    yield measurement.label, f"{fit}, p = {goodness.p_value:.3g}"
    for name, (value, error) in measurement.factors.items():
        yield f"  {name}", value_with_error(value, error)
    for one in measurement.scale_factors.factors:
        yield from factor_results(one)


def factor_results(one: ScaleFactor) -> Iterator[tuple[str, str]]:
    """The scale factor of a category and its efficiencies, as texts with names."""
    errors = {"stat": one.statistical, "sim": one.simulation, "syst": one.systematic}
    # all to the second digit of the total, as that is what the value is known to
    is_known = 0 < one.total < math.inf
    decimals = decimals_of(one.total) if is_known else 3
    shown = " ".join(f"± {error:.{decimals}f} ({source})" for source, error in errors.items())
    yield f"  {SCALE_FACTOR.format(one.category)}", f"{one.value:.{decimals}f} {shown}"
    of_data = value_with_error(one.data, one.data_error)
    yield (
        f"  efficiency of {one.category}",
        f"{of_data} in data, {value_with_error(one.mc, one.mc_error)} simulated",
    )


def measurement_content(measurement: Measurement) -> dict[str, Any]:
    """A kinematic bin as ``calibration.json`` has it."""
    fit = measurement.fit
    parameters = {}
    for name in fit.names:
        parameters[name] = {"value": fit.value(name), "error": fit.error(name)}
    shown = [name for name in fit.names if not is_statistical(name)]
    places = [fit.place(name) for name in shown]
    correlations = {}
    for name, place in zip(shown, places, strict=True):
        row = {}
        for other, other_place in zip(shown, places, strict=True):
            sigmas = fit.error(name) * fit.error(other)
            row[other] = fit.covariance[place, other_place] / sigmas
        correlations[name] = row
    return {
        "bin": measurement.label,
        "scale_factors": [factor_content(one) for one in measurement.scale_factors.factors],
        "scale_factor_correlations": measurement.scale_factors.correlations,
        "distortions": {
            name: {"value": value, "error": error}
            for name, (value, error) in measurement.factors.items()
        },
        "goodness_of_fit": {
            "statistic": fit.goodness.statistic,
            "ndf": fit.goodness.ndf,
            "p_value": fit.goodness.p_value,
        },
        "problems": list(measurement.problems),
        "fits": measurement.fits,
        "parameters": parameters,
        "correlations": correlations,
        "pulls": {
            name: {"pull": pull, "error": error} for name, (pull, error) in fit.pulls.items()
        },
    }


def toys_content(toys: Toys) -> dict[str, Any]:
    """Toys of a kinematic bin as ``calibration.json`` has them."""
    pulls = {}
    for name, values in toys.pulls.items():
        found = summarise_pulls(values)
        pulls[name] = {
            "mean": {"value": found.mean, "error": found.mean_error},
            "width": {"value": found.width, "error": found.width_error},
        }
    return {"number": toys.number, "pulls": pulls, "bad": dict(toys.bad), "worse": toys.worse}


def toys_results(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The pulls of toys in a kinematic bin, as texts with names."""
    toys = counted(content["number"], "toy")
    for name, found in content["pulls"].items():
        mean, width = found["mean"], found["width"]
        shown = f"mean {mean['value']:+.2f} ± {mean['error']:.2f}"
        shown += f", width {width['value']:.2f} ± {width['error']:.2f}"
        yield f"  pulls of {name}", f"{shown}, of {toys}"


def warn_of_toys(label: str, content: Mapping[str, Any]) -> None:
    """Say which toys are left out."""
    for reason, number in content["bad"].items():
        log.warning("%s: %d toys are left out: %s", label, number, reason)


def factor_content(one: ScaleFactor) -> dict[str, Any]:
    """A scale factor as ``calibration.json`` has it."""
    return {
        "category": one.category,
        "efficiency_data": {"value": one.data, "error": one.data_error},
        "efficiency_simulation": {"value": one.mc, "error": one.mc_error},
        "scale_factor": {"value": one.value, "error": one.total},
        "statistical": one.statistical,
        "simulation_statistical": one.simulation,
        "systematic": one.systematic,
    }


def write_calibration(content: Mapping[str, Any], page: str, folder: Path) -> None:
    """``calibration.json`` and the page.

    Raises:
        OutputError: a file cannot be written.
    """
    write_json(folder / CALIBRATION, content)
    write_text(folder / PAGE, page)


def description(bins: KinematicBins, tag: str) -> str:
    """What a file of scale factors says of itself."""
    axes = ", ".join(axis.source for axis in bins.axes) or "all jets together"
    return f"scale factors of the tag {tag}, in bins of {axes}; by weaver_tt"
