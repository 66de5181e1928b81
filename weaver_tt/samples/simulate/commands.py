"""The command ``weaver-tt simulate``: its options, and what runs it.

What it needs is imported when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from weaver_tt.log import log
from weaver_tt.options.flags import COUNT, POSITIVE, SEED, Bounds, flag

PROCESSES = Bounds(at_least=1, at_most=1024)


@dataclass(kw_only=True)
class SimulateOptions:
    """Jets from Pythia 8 and FastJet, with the columns of JetClass."""

    process: str = flag(
        "top", "what the jets come from", choices=["top", "qcd", "w", "z", "higgs-bb", "dijet"]
    )
    jets: int = flag(100_000, "number of jets", "-n", bounds=COUNT)
    output: str = flag("jets.root", "file to write, .root or .parquet", "-o")
    seed: int = flag(
        1, "another seed gives other jets; the number of workers changes nothing", bounds=SEED
    )
    workers: int = flag(1, "processes, one Pythia each", bounds=PROCESSES)
    pt_min: float = flag(550.0, "window in jet pT, GeV", bounds=POSITIVE)
    pt_max: float = flag(650.0, "its upper end", bounds=POSITIVE)
    eta_max: float = flag(2.0, "largest |eta| of a jet", bounds=POSITIVE)
    radius: float = flag(0.8, "anti-kT radius, also of matching", bounds=POSITIVE)
    leading: int = flag(2, "how many of an event's leading jets may count", bounds=COUNT)
    energy: float = flag(14_000.0, "center-of-mass energy of the protons, GeV", bounds=POSITIVE)
    mpi: bool = flag(False, "with multiparton interactions (several times slower)")
    pthat_min: float | None = flag(
        None,
        "window in pTHat of the hard process, GeV (default: 0.8 times --pt-min)",
        bounds=POSITIVE,
    )
    pthat_max: float | None = flag(
        None, "its upper end (default: 1.4 times --pt-max)", bounds=POSITIVE
    )
    progress: bool = flag(True, "progress bar", action=argparse.BooleanOptionalAction)


def run_simulate(options: SimulateOptions) -> None:
    """``weaver-tt simulate``."""
    from weaver_tt.samples.simulate.blocks import write_sample
    from weaver_tt.samples.simulate.processes import SampleSettings

    sample = SampleSettings(
        process=options.process,
        seed=options.seed,
        pt_min=options.pt_min,
        pt_max=options.pt_max,
        eta_max=options.eta_max,
        radius=options.radius,
        leading=options.leading,
        energy=options.energy,
        mpi=options.mpi,
        pthat_min=options.pthat_min,
        pthat_max=options.pthat_max,
    )
    start = time.perf_counter()
    events = write_sample(options.output, sample, options.jets, options.workers, options.progress)
    rate = events / (time.perf_counter() - start)
    log.info(
        "%d %s jets in %s, from %d events, %.0f a second",
        options.jets,
        options.process,
        options.output,
        events,
        rate,
    )
