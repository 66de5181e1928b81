"""The command ``weaver-tt simulate``: its options, and a function that imports what it needs when it runs."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from weaver_tt.log import log
from weaver_tt.options.flags import flag


@dataclass(kw_only=True)
class SimulateOptions:
    """Jets from Pythia 8 and FastJet, with the columns of JetClass."""

    process: str = flag(
        "top", "what the jets come from", choices=["top", "qcd", "w", "z", "higgs-bb", "dijet"]
    )
    jets: int = flag(100_000, "number of jets", "-n")
    output: str = flag("jets.root", "file to write, .root or .parquet", "-o")
    seed: int = flag(1, "another seed gives other jets; the number of workers changes nothing")
    workers: int = flag(1, "processes, one Pythia each")
    pt_min: float = flag(550.0, "window in jet pT, GeV")
    pt_max: float = flag(650.0, "its upper end")
    eta_max: float = flag(2.0, "largest |eta| of a jet")
    radius: float = flag(0.8, "anti-kT radius, also of matching")
    leading: int = flag(2, "how many of an event's leading jets may count")
    energy: float = flag(14_000.0, "center-of-mass energy of the protons, GeV")
    mpi: bool = flag(False, "with multiparton interactions (several times slower)")
    pthat_min: float | None = flag(
        None, "window in pTHat of the hard process, GeV (default: 0.8 times --pt-min)"
    )
    pthat_max: float | None = flag(None, "its upper end (default: 1.4 times --pt-max)")
    progress: bool = flag(True, "progress bar", action=argparse.BooleanOptionalAction)


def run_simulate(options: SimulateOptions) -> None:
    """``weaver-tt simulate``."""
    from weaver_tt.samples.simulate.blocks import write_sample
    from weaver_tt.samples.simulate.processes import SampleSettings

    names = (
        "process",
        "seed",
        "pt_min",
        "pt_max",
        "eta_max",
        "radius",
        "leading",
        "energy",
        "mpi",
        "pthat_min",
        "pthat_max",
    )
    sample = SampleSettings(**{name: getattr(options, name) for name in names})
    begin = time.perf_counter()
    events = write_sample(options.output, sample, options.jets, options.workers, options.progress)
    rate = events / (time.perf_counter() - begin)
    log.info(
        "%d %s jets in %s, from %d events, %.0f a second",
        options.jets,
        options.process,
        options.output,
        events,
        rate,
    )
