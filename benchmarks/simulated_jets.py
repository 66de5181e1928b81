"""Speed of the simulated detector, and the resolution and the response of its jets.

    python benchmarks/simulated_jets.py                    # and --pileup 20 --jets 10000
    python benchmarks/simulated_jets.py --file jets.root   # of a sample that is there

Events a second are those of one process, in CPU time, so that other work on the machine counts
little. The resolution is (q75 - q25) / median of the response pT / pT_gen of central jets (|eta| <
2.5) after a standard correction: with pile-up rho times area is subtracted, then the median
response in (pT_gen, |eta|), a polynomial in log pT, is inverted. Medians by flavour are those of
the uncorrected response for |eta| < 1.3, less rho times area.
"""

from __future__ import annotations

import argparse
import time
import warnings
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from weaver_tt.formats.open_reader import open_reader
from weaver_tt.samples.simulate.blocks import make_block
from weaver_tt.samples.simulate.pileup import pool_of_block
from weaver_tt.samples.simulate.processes import SampleSettings, sample_settings

Floats = npt.NDArray[np.float64]
Jets = dict[str, Floats]

COLUMNS = ("jet_pt", "gen_pt", "gen_eta", "jet_flavour", "rho", "jet_area")
PT_EDGES = (20, 30, 50, 100, 300, 1000, 3000)
ETA_EDGES = (0, 0.8, 1.3, 1.7, 2.1, 2.5, 3.0, 5.0)
FLAVOURS = {"uds": (1, 2, 3), "c": (4,), "b": (5,), "g": (21,)}
CENTRAL = 2.5
BARREL = 1.3
FEWEST_JETS = 50
# bars: (q75 - q25) / median in bins of pT, difference of the medians, events a second
RESOLUTIONS = {(30, 50): (0.08, 0.22), (100, 300): (0.052, 0.12), (1000, 3000): (0.042, 0.07)}
DIFFERENCE = 0.008
RATES = {False: 200, True: 50}  # without and with pile-up


def simulated(sample: SampleSettings, jets: int) -> Jets:
    """Columns of at least ``jets`` jets; prints the rate."""
    if sample.pileup:
        # made once for many blocks
        pool_of_block(sample, 0)
    parts: list[Jets] = []
    events = found = block = 0
    start = time.process_time()
    while found < jets:
        for columns, counts in make_block(sample, block, jets):
            parts.append({name: np.asarray(columns[name], np.float64) for name in COLUMNS})
            events += counts.events
            found += len(columns["jet_pt"])
        block += 1
    rate = events / (time.process_time() - start)
    bar = RATES[sample.pileup > 0]
    print(f"{rate:.0f} events/s of CPU, {found / events:.2f} jets an event (bar: >= {bar})")
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def read(path: str) -> Jets:
    """Columns of the jets of a file."""
    with open_reader(path) as reader:
        table = reader.read(COLUMNS, 0, reader.rows())
    return {name: np.asarray(values, np.float64) for name, values in table.items()}


def corrected(pt: Floats, jets: Jets) -> Floats:
    """``pt`` (N,) after the standard correction; NaN in regions with too few jets."""
    response = np.log(pt / jets["gen_pt"])
    log_pt = np.log(jets["gen_pt"])
    eta = np.abs(jets["gen_eta"])
    result = np.full(len(pt), np.nan)
    for low, high in pairwise(ETA_EDGES):
        inside = (eta >= low) & (eta < high)
        if inside.sum() < 5 * FEWEST_JETS:
            continue
        bins = int(np.clip(inside.sum() // 250, 6, 25))
        edges = np.quantile(log_pt[inside], np.linspace(0, 1, bins + 1))
        number = np.clip(np.searchsorted(edges, log_pt[inside], "right") - 1, 0, bins - 1)
        centers = np.array([np.median(log_pt[inside][number == one]) for one in range(bins)])
        medians = np.array([np.median(response[inside][number == one]) for one in range(bins)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            curve = np.polynomial.Polynomial.fit(centers, medians, 5)
        measured = np.log(pt[inside])
        true = measured.copy()
        for _ in range(30):
            true = measured - curve(np.clip(true, centers[0], centers[-1]))
        result[inside] = np.exp(true)
    return result


def median_error(values: Floats) -> float:
    """Statistical error of the median, from the width between its quartiles."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(1.253 * (high - low) / 1.349 / np.sqrt(len(values)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jets", type=int, default=20_000)
    parser.add_argument("--pileup", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file")
    options = parser.parse_args()
    if options.file is not None:
        jets = read(options.file)
    else:
        sample = sample_settings("jets", detector=True, pileup=options.pileup, seed=options.seed)
        jets = simulated(sample, options.jets)

    # without pile-up the median density is 0
    pt = np.maximum(jets["jet_pt"] - jets["rho"] * jets["jet_area"], 1.0)
    after = corrected(pt, jets) / jets["gen_pt"]
    before = pt / jets["gen_pt"]
    eta = np.abs(jets["gen_eta"])
    print("pT_gen [GeV]     jets  (q75-q25)/median   uds     c       b       g       uds - g")
    for low, high in pairwise(PT_EDGES):
        inside = (jets["gen_pt"] >= low) & (jets["gen_pt"] < high)
        central = after[inside & (eta < CENTRAL)]
        central = central[np.isfinite(central)]
        if len(central) < FEWEST_JETS:
            continue
        lower, median, upper = np.quantile(central, (0.25, 0.5, 0.75))
        barrel = inside & (eta < BARREL)
        of_flavour = {
            name: before[barrel & np.isin(jets["jet_flavour"], numbers)]
            for name, numbers in FLAVOURS.items()
        }
        shown = "   ".join(
            f"{np.median(values):.3f}" if len(values) else "  -  " for values in of_flavour.values()
        )
        width = (upper - lower) / median
        line = f"{low:5d}-{high:<5d} {len(central):9d}  {width:9.3f}          {shown}"
        quarks, gluons = of_flavour["uds"], of_flavour["g"]
        if len(quarks) and len(gluons):
            error = np.hypot(median_error(quarks), median_error(gluons))
            line += f"   {np.median(quarks) - np.median(gluons):+.4f} +- {error:.4f}"
        if (low, high) in RESOLUTIONS:
            least, most = RESOLUTIONS[low, high]
            line += f"   (bar: {least} to {most})"
        print(line)
    print(f"bar of uds - g: >= {DIFFERENCE}")


if __name__ == "__main__":
    main()
