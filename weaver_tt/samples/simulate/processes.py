"""What can be simulated: hard processes of Pythia 8, which jets of theirs count, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.physics.particles import GLUON, HIGGS, LIGHT_QUARKS, TOP, W_BOSON, Z_BOSON

# one column a class, as in JetClass; a jet has 1 in one of them
LABELS = tuple(
    f"label_{name}"
    for name in ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
)

# of pTHat of the hard process, relative to the window in jet pT; docs/simulate.md says what lies outside
PTHAT_MARGINS = (0.8, 1.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A hard process: Pythia's settings, the class of its jets, and what a jet must be matched to."""

    settings: tuple[str, ...]
    label: str
    resonance: int | None = (
        None  # |PDG number| of the particle whose quarks the jet must hold; None: jets of the two outgoing partons
    )
    partons: tuple[
        int, ...
    ] = ()  # |PDG number| of partons that count; empty: any, and unmatched jets too


_HADRONIC_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
PROCESSES = {
    "top": Process(
        settings=("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_HADRONIC_W),
        label="label_Tbqq",
        resonance=TOP,
    ),
    "qcd": Process(settings=("HardQCD:all = on",), label="label_QCD"),
    "w": Process(
        settings=("WeakDoubleBoson:ffbar2WW = on", *_HADRONIC_W),
        label="label_Wqq",
        resonance=W_BOSON,
    ),
    "z": Process(
        settings=(
            "WeakDoubleBoson:ffbar2gmZgmZ = on",
            "WeakZ0:gmZmode = 2",
            "23:onMode = off",
            "23:onIfAny = 1 2 3 4 5",
        ),
        label="label_Zqq",
        resonance=Z_BOSON,
    ),
    "higgs-bb": Process(  # beside a Z boson that decays to neutrinos, so that no other hard jet is near
        settings=(
            "HiggsSM:ffbar2HZ = on",
            "25:onMode = off",
            "25:onIfAny = 5",
            "23:onMode = off",
            "23:onIfAny = 12 14 16",
        ),
        label="label_Hbb",
        resonance=HIGGS,
    ),
    "dijet": Process(
        settings=("HardQCD:all = on",), label="label_QCD", partons=(*LIGHT_QUARKS, GLUON)
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """What to simulate. GeV; raises ConfigError for what cannot be."""

    process: str
    seed: int = 1
    pt_min: float = 550.0
    pt_max: float = 650.0
    eta_max: float = 2.0
    radius: float = 0.8
    leading: int = 2
    energy: float = 14_000.0
    mpi: bool = False
    pthat_min: float | None = None
    pthat_max: float | None = None
    # how events are made, which is part of the sequence that a seed gives: Pythia starts anew for each block and fills batches of it
    block: int = 2000
    batch: int = 250

    def __post_init__(self) -> None:
        """Check all of it."""
        if self.process not in PROCESSES:
            raise ConfigError(
                f"simulate: no process is called {self.process!r}; {nearest(self.process, PROCESSES)}"
            )
        if not 20 <= self.pt_min < self.pt_max < self.energy / 2:
            raise ConfigError(
                f"simulate: the window in pT must obey 20 <= min < max < beam energy, got {self.pt_min:g} to {self.pt_max:g} GeV"
            )
        if not 0 < self.pthat[0] < self.pthat[1]:
            raise ConfigError(
                f"simulate: the window in pTHat must obey 0 < min < max, got {self.pthat[0]:g} to {self.pthat[1]:g} GeV"
            )
        for name, value in (
            ("--eta-max", self.eta_max),
            ("--radius", self.radius),
            ("--leading", self.leading),
        ):
            if value <= 0:
                raise ConfigError(f"simulate: {name} must be above 0, got {value:g}")
        if self.seed < 0:
            raise ConfigError(f"simulate: --seed must not be negative, got {self.seed}")

    @property
    def kind(self) -> Process:
        """The hard process."""
        return PROCESSES[self.process]

    @property
    def pthat(self) -> tuple[float, float]:
        """The window in pTHat, GeV: as asked for, else that of jet pT with margins."""
        low, high = PTHAT_MARGINS
        return (
            self.pt_min * low if self.pthat_min is None else self.pthat_min,
            self.pt_max * high if self.pthat_max is None else self.pthat_max,
        )
