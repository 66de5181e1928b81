"""Pulls of the calibration fit on pseudo-experiments whose truth is known.

    python benchmarks/calibration.py --quick     # 20 toys of each kind: some 2 minutes of CPU
    python benchmarks/calibration.py             # 100 toys of each kind

A sample like that of one lepton: 20,000 top jets, 8,000 W jets and 30,000 others, of which 70, 30
and 5 % pass in the simulation; in the data the tagger is 0.90, 1.00 and 1.10 times as efficient,
masses are larger by 1 % and their resolution is 1.09 times as large. Templates are those of 20
times as many simulated jets.

- *model*: data sets are drawn from the fitted model, the statistical errors of the simulation
  included, and fitted once.
- *jets*: for each toy, jets of data and of simulation are drawn anew, and those of the data
  distorted one by one; the whole measurement is done, templates made anew until they settle.

A pull is (measured - true) / error; means and widths have their statistical errors beside them.
Times are CPU time of one thread, of a fit (model) or of a measurement, which is some fits (jets).
``--first`` gives further toys, other ones than those of an earlier call, and ``--kind`` one kind.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from weaver_tt.applications.calibration.measurement import BinInput, Measurement, measure
from weaver_tt.applications.calibration.spectra import Grid, Spectra
from weaver_tt.applications.calibration.templates import CategorySpectra, Distortions
from weaver_tt.applications.calibration.toys import run_toys, summarise_pulls

Floats = npt.NDArray[np.float64]

JETS = {"top": 20_000, "w": 8_000, "other": 30_000}
EFFICIENCY = {"top": 0.70, "w": 0.30, "other": 0.05}
FACTORS = {"top": 0.90, "w": 1.00, "other": 1.10}
SCALE = 1.01
RESOLUTION = 1.09
SIMULATED = 20  # times the data
GRID = Grid(np.arange(30.0, 261.0, 10.0))
PRIOR = Distortions(scale_error=0.01, resolution_error=0.1, resolution=0.1)
BARS = {"mean": 0.3, "low": 0.8, "high": 1.25, "jets": 0.6, "seconds": 3.0}


def draw_masses(name: str, passes: bool, number: int, rng: np.random.Generator) -> Floats:
    """Masses in GeV; those of tops that fail have lost particles to the left of the peak."""
    if name == "other":
        return 20 + rng.exponential(60 if passes else 75, number)
    peak = 172.0 if name == "top" else 82.0
    mass = peak * (1 + 0.09 * rng.normal(size=number))
    is_lost = rng.random(number) < (0.1 if passes else 0.35)
    return np.where(is_lost, mass * rng.uniform(0.5, 1, number), mass)


def draw_spectra(
    name: str, jets: int, factor: float, scale: float, resolution: float, rng: np.random.Generator
) -> Spectra:
    """Spectra of about so many jets of a category, some of which pass, distorted."""
    spectra = Spectra(GRID, 1)
    passing = EFFICIENCY[name] * factor
    for place, share in enumerate((passing, 1 - passing)):
        number = rng.poisson(jets * share)
        mass = draw_masses(name, place == 0, number, rng)
        smearing = PRIOR.resolution * np.sqrt(resolution**2 - 1)
        mass = scale * mass * (1 + smearing * rng.normal(size=number))
        spectra.sums[0, place] = np.histogram(mass, GRID.fine_edges)[0]
    spectra.squares = spectra.sums.copy()
    return spectra


def draw_experiment(seed: int) -> BinInput:
    """Data and simulation of one experiment."""
    rng = np.random.default_rng(seed)
    undistorted = GRID.response(1.0, 0.0)
    data = np.zeros((2, len(GRID.edges) - 1))
    spectra = []
    for name, jets in JETS.items():
        simulated = draw_spectra(name, SIMULATED * jets, 1.0, 1.0, 1.0, rng)
        spectra.append(CategorySpectra(name=name, nominal=simulated))
        in_data = draw_spectra(name, jets, FACTORS[name], SCALE, RESOLUTION, rng)
        data += in_data.template(0, undistorted)
    return BinInput(
        number=0, label="toy", name="toy", data=data, spectra=spectra, distortions=PRIOR
    )


def pulls_of(measurement: Measurement) -> dict[str, float]:
    """(measured - true) / error of scale factors, scale and resolution."""
    pulls = {}
    for one in measurement.scale_factors.factors:
        pulls[f"SF {one.category}"] = (one.value - FACTORS[one.category]) / one.total
    for name, true in (("scale", SCALE), ("resolution", RESOLUTION)):
        value, error = measurement.factors[name]
        pulls[name] = (value - true) / error
    return pulls


def show(kind: str, pulls: Mapping[str, Floats], mean: float, width: bool) -> None:
    """A line for each parameter, and what falls short of its bar."""
    for name, values in pulls.items():
        found = summarise_pulls(values)
        short = abs(found.mean) >= mean
        if width:
            short |= not BARS["low"] < found.width < BARS["high"]
        print(
            f"| {kind} | {name} | {found.mean:+.2f} ± {found.mean_error:.2f} "
            f"| {found.width:.2f} ± {found.width_error:.2f} | {len(values)} "
            f"| {'falls short' if short else 'ok'} |"
        )


def run_model(toys: int, first: int) -> None:
    """Toys of a fitted model."""
    measurement = measure(draw_experiment(0))
    start = time.process_time()
    found = run_toys(measurement, toys, first)
    seconds = (time.process_time() - start) / toys
    show("model", found.pulls, BARS["mean"], width=True)
    print(f"model: {seconds:.2f} s of CPU a fit (bar {BARS['seconds']:g})")
    for reason, number in found.bad.items():
        print(f"model: {number} of {toys} fits had problems: {reason}")


def run_jets(toys: int, first: int) -> None:
    """Toys of jets that are distorted one by one."""
    pulls: dict[str, list[float]] = {}
    fits = 0
    bad = []
    top = []
    seconds = 0.0
    for seed in range(first, first + toys):
        experiment = draw_experiment(seed)
        start = time.process_time()
        measurement = measure(experiment)
        seconds += time.process_time() - start
        fits += measurement.fits
        if measurement.problems:
            bad.append(f"toy {seed}: {measurement.problems[0]}")
        for name, pull in pulls_of(measurement).items():
            pulls.setdefault(name, []).append(pull)
        factor = measurement.scale_factors.factors[0]
        top.append((factor.value, factor.total))
    arrays = {name: np.array(values) for name, values in pulls.items()}
    scale_factors = {name: values for name, values in arrays.items() if name.startswith("SF")}
    others = {name: values for name, values in arrays.items() if name not in scale_factors}
    show("jets", scale_factors, BARS["jets"], width=False)
    show("jets", others, np.inf, width=False)
    value, error = np.mean(top, axis=0)
    print(f"jets: SF of top {value:.4f} +- {error:.4f} in the mean, {FACTORS['top']:g} is true")
    print(f"jets: {seconds / toys:.2f} s of CPU a measurement of {fits / toys:.1f} fits")
    for reason in bad:
        print(f"jets: {reason}")


def main() -> None:
    """Run the toys and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 toys of each kind")
    parser.add_argument("--kind", choices=["model", "jets"], help="one kind alone")
    parser.add_argument("--first", type=int, default=1, help="seed of the first toy")
    options = parser.parse_args()
    toys = 20 if options.quick else 100
    print("| toys | parameter | mean of pulls | width | number | bar |")
    print("|---|---|---|---|---|---|")
    if options.kind != "jets":
        run_model(toys, options.first)
    if options.kind != "model":
        run_jets(toys, options.first)


if __name__ == "__main__":
    main()
