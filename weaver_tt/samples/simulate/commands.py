"""The command ``weaver-tt simulate``: its options, and what runs it.

What it needs is imported when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from weaver_tt.options.flags import COUNT, NOT_NEGATIVE, POSITIVE, SEED, Bounds, flag
from weaver_tt.samples.simulate.detector.effects import EFFECTS
from weaver_tt.system.terminal import report_results

PROCESSES = Bounds(at_least=1, at_most=1024)


@dataclass(kw_only=True)
class SimulateOptions:
    """Jets from Pythia 8 and FastJet: large-radius ones, or pairs to calibrate with."""

    process: str = flag(
        "top",
        "what the jets come from; x-bb, x-cc, x-qq: a particle with a flat spectrum of masses; "
        "jets: pairs of a reconstructed and a generated jet",
        choices=[
            "top",
            "qcd",
            "w",
            "z",
            "higgs-bb",
            "higgs-cc",
            "higgs-4q",
            "x-bb",
            "x-cc",
            "x-qq",
            "dijet",
            "jets",
        ],
        daily=True,
    )
    jets: int = flag(100_000, "number of jets; of jets: of matched pairs", "-n", bounds=COUNT)
    output: str = flag("jets.root", "file to write, .root or .parquet", "-o")
    seed: int = flag(
        1,
        "another seed gives other jets; the number of workers changes nothing",
        bounds=SEED,
        daily=True,
    )
    workers: int = flag(1, "processes, one Pythia each", bounds=PROCESSES, daily=True)
    partial: bool = flag(
        False, "of top: also jets that hold the b quark and only one quark of the W boson"
    )
    mass_min: float | None = flag(
        None,
        "window in the mass of the particle of x-bb, x-cc, x-qq, GeV (default: 15)",
        bounds=POSITIVE,
    )
    mass_max: float | None = flag(None, "its upper end (default: 250)", bounds=POSITIVE)
    pt_min: float | None = flag(
        None,
        "window in pT of the jets (of jets: of the generated ones), GeV "
        "(default: 550; of jets: 20)",
        bounds=POSITIVE,
    )
    pt_max: float | None = flag(
        None, "its upper end (default: 650; of jets: 3000)", bounds=POSITIVE
    )
    eta_max: float | None = flag(
        None, "largest |eta| of a jet (default: 2; of jets: 5)", bounds=POSITIVE
    )
    radius: float | None = flag(
        None,
        "anti-kT radius, also of matching to partons (default: 0.8; of jets: 0.4)",
        bounds=POSITIVE,
    )
    leading: int = flag(2, "how many of an event's leading jets may count", bounds=COUNT)
    energy: float | None = flag(
        None,
        "center-of-mass energy of the protons, GeV (default: 14000; of jets: 13000)",
        bounds=POSITIVE,
    )
    detector: bool = flag(
        False, "reconstruct the jets of --process jets in a detector like CMS", daily=True
    )
    without: list[str] = flag(
        [], "effects of the detector to leave out", nargs="+", choices=list(EFFECTS)
    )
    pileup: float = flag(
        0.0, "mean number of further collisions in an event, with --detector", bounds=NOT_NEGATIVE
    )
    neutrinos: bool = flag(
        False, "generated jets of --process jets with their neutrinos, which are in none otherwise"
    )
    mpi: bool = flag(False, "with multiparton interactions (several times slower)")
    parton_level: bool = flag(
        False, "jets of the partons after the shower: without hadronisation and decays of hadrons"
    )
    lund: bool = flag(
        False, "add the columns of weaver-tt lund: the Lund tree of each jet, without cuts"
    )
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
    from weaver_tt.samples.simulate.processes import sample_settings

    sample = sample_settings(
        options.process,
        seed=options.seed,
        partial=options.partial,
        mass_min=options.mass_min,
        mass_max=options.mass_max,
        pt_min=options.pt_min,
        pt_max=options.pt_max,
        eta_max=options.eta_max,
        radius=options.radius,
        leading=options.leading,
        energy=options.energy,
        neutrinos=options.neutrinos,
        detector=options.detector,
        without=tuple(options.without),
        pileup=options.pileup,
        mpi=options.mpi,
        parton_level=options.parton_level,
        lund=options.lund,
        pthat_min=options.pthat_min,
        pthat_max=options.pthat_max,
    )
    start = time.perf_counter()
    counts = write_sample(options.output, sample, options.jets, options.workers, options.progress)
    rate = counts.events / (time.perf_counter() - start)
    kind = "pairs of" if sample.kind.is_calibration else options.process
    results = [
        ("file", f"{options.output}, {options.jets:,} {kind} jets"),
        ("events", f"{counts.events:,}, {rate:,.0f} a second"),
    ]
    if sample.kind.lightest is not None:
        held = counts.acceptance.text(sample)
        text = f"drawn flat; of the particles in the window in pT and eta, jets hold {held}"
        results.append(("masses", text))
    if sample.kind.is_calibration:
        generated, reconstructed = counts.unmatched.generated, counts.unmatched.reconstructed
        text = f"{generated:,} generated and {reconstructed:,} reconstructed jets in the window"
        results.append(("not matched", f"{text}, which are left out"))
    look = ["report", "--sample"] if sample.kind.is_calibration else ["inspect"]
    report_results("simulation", results, [["weaver-tt", *look, options.output]])
