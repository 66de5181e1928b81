"""Blocks of events on several processes -> one file.

What is in it does not depend on the number of processes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.errors import ConfigError
from weaver_tt.formats.writers import open_writer
from weaver_tt.samples.simulate.acceptance import Acceptance, acceptance_of
from weaver_tt.samples.simulate.calibration_jets import Unmatched, calibration_jets
from weaver_tt.samples.simulate.candidates import ReconstructedEvents
from weaver_tt.samples.simulate.columns import Columns, jet_columns
from weaver_tt.samples.simulate.detector.particles import flying_particles
from weaver_tt.samples.simulate.detector.primary_vertices import no_collisions
from weaver_tt.samples.simulate.detector.reconstruction import reconstruct
from weaver_tt.samples.simulate.generator import Particles, generate_events
from weaver_tt.samples.simulate.pileup import add_pileup, pool_of_block
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.samples.workers import results_in_order
from weaver_tt.system.progress_bar import progress_bar

MAX_EMPTY_BLOCKS = 25  # blocks without a single jet after which nothing more is expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What some jets took: events, jets that have no match, particles X that no jet holds."""

    events: int = 0
    unmatched: Unmatched = field(default_factory=Unmatched)
    acceptance: Acceptance = field(default_factory=Acceptance)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            events=self.events + other.events,
            unmatched=self.unmatched + other.unmatched,
            acceptance=self.acceptance + other.acceptance,
        )


Batch = tuple[Columns, Counts]


def write_sample(
    path: str, sample: SampleSettings, jets: int, workers: int = 1, progress: bool = True
) -> Counts:
    """Write exactly ``jets`` jets to ``path`` (.root or .parquet); return what they took.

    Raises:
        ConfigError: fewer than one jet or worker, a library that is missing, a window that no jet
            falls into.
        OutputError: the file cannot be written.
    """
    if jets < 1 or workers < 1:
        raise ConfigError(
            f"simulate: at least one jet and one worker are needed, got {jets} and {workers}"
        )
    total = Counts()
    with (
        open_writer(path) as writer,
        progress_bar(sample.process, jets, "jet", progress) as advance,
    ):
        for columns, counts in jet_batches(sample, jets, workers):
            # the last batch may hold more jets than are still wanted
            kept = min(len(columns["jet_pt"]), jets - writer.rows)
            wanted = {name: values[:kept] for name, values in columns.items()}
            writer.write(wanted)
            advance(kept)
            total += counts
            if writer.rows == jets:
                break
    return total


def jet_batches(sample: SampleSettings, most: int, workers: int) -> Iterator[Batch]:
    """Columns of jets and what they took, batch by batch, without end.

    In the order of the blocks, whatever the number of workers.
    """
    empty_blocks = 0
    unmatched = 0  # generated jets of the empty blocks
    for block in _blocks_in_order(sample, most, workers):
        jets = 0
        for columns, counts in block:
            jets += len(columns["jet_pt"])
            unmatched += counts.unmatched.generated
            yield columns, counts
        if jets:
            empty_blocks = 0
            unmatched = 0
        else:
            empty_blocks += 1
        if empty_blocks == MAX_EMPTY_BLOCKS:
            raise ConfigError(_nothing_found(sample, unmatched))


def _nothing_found(sample: SampleSettings, unmatched: int) -> str:
    """Why there are no jets: ``unmatched`` generated ones are in the window."""
    low, high = sample.pthat
    events = sample.block * MAX_EMPTY_BLOCKS
    kind = "matched jet" if unmatched else "jet"
    message = (
        f"simulate: no {kind} of {sample.process} in {events} events with pTHat in "
        f"{low:g} to {high:g} GeV; the window is pT in {sample.pt_min:g} to "
        f"{sample.pt_max:g} GeV, |eta| < {sample.eta_max:g}"
    )
    if unmatched:
        message += f"; {unmatched} generated jets are in it, none with a reconstructed jet near it"
    return message


def make_block(sample: SampleSettings, block: int, most: int) -> Iterator[Batch]:
    """The batches of one block; it ends early once it has ``most`` jets, all that are wanted."""
    rng = np.random.default_rng([sample.seed, block])
    jets = 0
    for particles in generate_events(sample, block):
        columns, counts = _jets_of(particles, sample, block, rng)
        jets += len(columns["jet_pt"])
        yield columns, counts
        if jets >= most:
            return


def _jets_of(
    particles: Particles, sample: SampleSettings, block: int, rng: np.random.Generator
) -> Batch:
    """The jets of some events, as the process wants them."""
    made = len(particles.counts)
    if sample.kind.is_calibration:
        events = reconstructed_events(particles, sample, block, rng) if sample.detector else None
        columns, unmatched = calibration_jets(particles, events, sample)
        return columns, Counts(events=made, unmatched=unmatched)
    columns = jet_columns(particles, sample, rng)
    if sample.kind.lightest is None:
        return columns, Counts(events=made)
    return columns, Counts(events=made, acceptance=acceptance_of(particles, columns, sample))


def reconstructed_events(
    particles: Particles, sample: SampleSettings, block: int, rng: np.random.Generator
) -> ReconstructedEvents:
    """What the detector sees of some events of a block, with their pile-up."""
    flying = flying_particles(particles)
    collisions = no_collisions()
    events = len(particles.counts)
    if sample.pileup:
        pool = pool_of_block(sample, block)
        flying, collisions = add_pileup(flying, events, pool, sample.pileup, rng)
    return reconstruct(flying, collisions, events, sample, rng)


def whole_block(sample: SampleSettings, block: int, most: int) -> list[Batch]:
    """The same as a list, which a worker process can return."""
    return list(make_block(sample, block, most))


def _blocks_in_order(sample: SampleSettings, most: int, workers: int) -> Iterator[Iterator[Batch]]:
    """Block after block; with several workers, they are made ahead, a bounded number at a time."""
    numbers = itertools.count()
    if workers == 1:
        yield from (make_block(sample, block, most) for block in numbers)
        return
    arguments = ((sample, block, most) for block in numbers)
    for batches in results_in_order(whole_block, arguments, workers, "simulate"):
        yield iter(batches)
