"""What a calibration has found, as it is written: ``calibration.json``, workspaces, factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weaver_tt.applications.calibration.fit import is_statistical
from weaver_tt.applications.calibration.kinematic_bins import KinematicBins
from weaver_tt.applications.calibration.measurement import Measurement
from weaver_tt.applications.calibration.scale_factors import ScaleFactor
from weaver_tt.applications.calibration.scale_factors_json import BinnedFactor
from weaver_tt.log import log
from weaver_tt.system.json_files import write_json

SCALE_FACTORS = "scale_factors.json"
CALIBRATION = "calibration.json"


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


def binned_factors(measurements: Sequence[Measurement]) -> dict[str, list[BinnedFactor]]:
    """Category -> its scale factor in each bin."""
    factors: dict[str, list[BinnedFactor]] = {}
    for measurement in measurements:
        for one in measurement.scale_factors.factors:
            binned = BinnedFactor(one.value, one.total, one.mc)
            factors.setdefault(one.category, []).append(binned)
    return factors


def log_measurements(measurements: Sequence[Measurement]) -> None:
    """The table, line by line."""
    for measurement in measurements:
        fit = measurement.fit
        log.info(
            "%s: saturated goodness of fit %.1f for %d degrees of freedom, p = %.3g",
            measurement.label,
            fit.goodness.statistic,
            fit.goodness.ndf,
            fit.goodness.p_value,
        )
        for name, (value, error) in measurement.factors.items():
            log.info("  %-12s %.4f +- %.4f", name, value, error)
        for one in measurement.scale_factors.factors:
            log.info(
                "  %-12s efficiency %.4f +- %.4f in data, %.4f +- %.4f simulated; "
                "SF = %.4f +- %.4f (stat.) +- %.4f (sim. stat.) +- %.4f (syst.)",
                one.category,
                one.data,
                one.data_error,
                one.mc,
                one.mc_error,
                one.value,
                one.statistical,
                one.simulation,
                one.systematic,
            )
        for problem in measurement.problems:
            log.error("%s: %s", measurement.label, problem)


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


def write_calibration(content: Mapping[str, Any], folder: Path) -> None:
    """``calibration.json``.

    Raises:
        OutputError: the file cannot be written.
    """
    write_json(folder / CALIBRATION, content)


def description(bins: KinematicBins, tag: str) -> str:
    """What a file of scale factors says of itself."""
    axes = ", ".join(axis.source for axis in bins.axes) or "all jets together"
    return f"scale factors of the tag {tag}, in bins of {axes}; by weaver_tt"
