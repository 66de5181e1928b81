"""What can be simulated: hard processes of Pythia 8, which of their jets count, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.physics.particles import (
    BOTTOM,
    CHARM,
    GLUON,
    HIGGS,
    LIGHT_QUARKS,
    TOP,
    W_BOSON,
    Z_BOSON,
)
from weaver_tt.samples.simulate.detector.effects import EFFECTS

# one column a class, as in JetClass; a jet has 1 in one of them
CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
LABELS = tuple(f"label_{name}" for name in CLASSES)
# and those of a particle X of any mass, as in ParticleNet-MD (CMS DP-2020/002)
X_LABELS = ("label_Xbb", "label_Xcc", "label_Xqq")

PTHAT_MARGINS = (0.8, 1.4)
"""Of pTHat of the hard process, relative to the window in jet pT; docs/simulate.md says what lies
outside."""

MASS_WINDOW = (15.0, 250.0)
"""GeV, of a particle X, as for ParticleNet-MD (CMS DP-2020/002)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A hard process: Pythia's settings, the class of its jets, and what a jet must be matched to.

    ``resonance``: PDG number of the particle whose quarks a jet must hold; None: jets are matched
    to the two outgoing partons. ``partons``: PDG numbers of the partons that count; empty: any, and
    unmatched jets too. Antiparticles count as particles.

    ``in_turn``: further settings, a tuple for each block of events in turn. ``pthat_power``: events
    are drawn with a weight of pTHat to this power, so that hard ones are not rare. ``defaults``: of
    :class:`SampleSettings`, where they are others than those of large-radius jets.
    ``lightest``: the mass in GeV from which the resonance can decay to its hadrons, of one whose
    masses are drawn flat; None: the mass is that of the particle.
    ``is_calibration``: its jets are pairs of a reconstructed and a generated jet, of no class.
    """

    settings: tuple[str, ...] = ()
    label: str = ""
    resonance: int | None = None
    partons: tuple[int, ...] = ()
    in_turn: tuple[tuple[str, ...], ...] = ((),)
    pthat_power: float | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    lightest: float | None = None
    is_calibration: bool = False

    def settings_of_block(self, block: int) -> tuple[str, ...]:
        """Pythia's settings for a block of events."""
        return self.settings + self.in_turn[block % len(self.in_turn)]


# W bosons decay to quarks only
_HADRONIC_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
_HADRONIC_Z = ("23:onMode = off", "23:onIfAny = 1 2 3 4 5")

TOP_PAIRS = Process(
    settings=("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_HADRONIC_W),
    label="label_Tbqq",
    resonance=TOP,
)
QCD = Process(settings=("HardQCD:all = on",), label="label_QCD")
W_PAIRS = Process(
    settings=("WeakDoubleBoson:ffbar2WW = on", *_HADRONIC_W),
    label="label_Wqq",
    resonance=W_BOSON,
)
Z_PAIRS = Process(
    settings=(
        "WeakDoubleBoson:ffbar2gmZgmZ = on",
        "WeakZ0:gmZmode = 2",
        *_HADRONIC_Z,
    ),
    label="label_Zqq",
    resonance=Z_BOSON,
)
# beside a Z boson that decays to neutrinos, so that no other hard jet is near
_HIGGS_AND_NEUTRINOS = (
    "HiggsSM:ffbar2HZ = on",
    "23:onMode = off",
    "23:onIfAny = 12 14 16",
)
HIGGS_BB = Process(
    settings=(*_HIGGS_AND_NEUTRINOS, "25:onMode = off", "25:onIfAny = 5"),
    label="label_Hbb",
    resonance=HIGGS,
)
HIGGS_CC = Process(
    settings=(*_HIGGS_AND_NEUTRINOS, "25:onMode = off", "25:onIfAny = 4"),
    label="label_Hcc",
    resonance=HIGGS,
)
# beside a quark or a gluon, as both kinds of bosons have to decay to quarks
HIGGS_4Q = Process(
    settings=(
        "HiggsSM:gg2Hg(l:t) = on",
        "HiggsSM:qg2Hq(l:t) = on",
        "HiggsSM:qqbar2Hg(l:t) = on",
        "25:onMode = off",
        "25:onIfMatch = 24 24",
        "25:onIfMatch = 23 23",
        *_HADRONIC_W,
        *_HADRONIC_Z,
    ),
    label="label_H4q",
    resonance=HIGGS,
)


def _flat_in_mass(quarks: tuple[int, ...], label: str, lightest: float) -> Process:
    """A particle X without spin that decays to ``quarks``, each as often; made as a Higgs boson.

    It is narrow at any mass, so that its mass is the one that is drawn.
    """
    # a first channel takes the place of Pythia's, and 100 keeps the branching ratio as it is given
    share = 1 / len(quarks)
    decays = tuple(
        f"25:{'addChannel' if place else 'oneChannel'} = 1 {share} 100 {quark} -{quark}"
        for place, quark in enumerate(quarks)
    )
    return Process(
        settings=(
            *_HIGGS_AND_NEUTRINOS,
            *decays,
            "25:doForceWidth = on",
            "25:mWidth = 0.001",
        ),
        label=label,
        resonance=HIGGS,
        # events of one mass at a time, as Pythia has to start for each
        defaults={"batch": 25},
        lightest=lightest,
    )


# two of the lightest hadrons with the quark, B, D and (with strange quarks) K mesons
X_BB = _flat_in_mass((BOTTOM,), "label_Xbb", lightest=2 * 5.28)
X_CC = _flat_in_mass((CHARM,), "label_Xcc", lightest=2 * 1.87)
X_QQ = _flat_in_mass(LIGHT_QUARKS, "label_Xqq", lightest=2 * 0.50)
DIJET = Process(
    settings=("HardQCD:all = on",),
    label="label_QCD",
    partons=(*LIGHT_QUARKS, GLUON),
)

# the flavours of jets that are calibrated: gluons and quarks as they come, light quarks, and charm
# and bottom quarks, as many events of each
JETS = Process(
    in_turn=(
        ("HardQCD:all = on",),
        ("HardQCD:gg2qqbar = on", "HardQCD:qq2qq = on", "HardQCD:qqbar2qqbarNew = on"),
        ("HardQCD:hardccbar = on", "HardQCD:hardbbbar = on"),
    ),
    pthat_power=4.5,
    defaults={
        "pt_min": 20.0,
        "pt_max": 3000.0,
        "eta_max": 5.0,
        "radius": 0.4,
        "energy": 13_000.0,
        # short, so that few jets already are of all flavours
        "block": 300,
        "batch": 300,
    },
    is_calibration=True,
)

PROCESSES = {
    "top": TOP_PAIRS,
    "qcd": QCD,
    "w": W_PAIRS,
    "z": Z_PAIRS,
    "higgs-bb": HIGGS_BB,
    "higgs-cc": HIGGS_CC,
    "higgs-4q": HIGGS_4Q,
    "x-bb": X_BB,
    "x-cc": X_CC,
    "x-qq": X_QQ,
    "dijet": DIJET,
    "jets": JETS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """What to simulate, in GeV.

    ``block`` and ``batch`` say how events are made, which is part of the sequence that a seed
    gives: Pythia starts anew for each block and fills batches of it. ``mass_min`` and ``mass_max``
    are for a particle X, whose mass is drawn once for each batch. With ``partial``, top jets count
    that hold one quark of the W boson only. ``lund`` adds the columns of Lund trees to those of
    large-radius jets, and ``parton_level`` makes these of the partons after the shower.
    ``detector``, ``without`` (names of effects that are left out) and ``pileup`` (mean number of
    further collisions, drawn from ``pool`` soft events) are for the process ``jets``, as are
    generated jets with ``neutrinos``.

    The defaults are those of large-radius jets; :func:`sample_settings` knows those of a process.

    Raises:
        ConfigError: a setting makes no sense.
    """

    process: str
    seed: int = 1
    pt_min: float = 550.0
    pt_max: float = 650.0
    eta_max: float = 2.0
    radius: float = 0.8
    leading: int = 2
    energy: float = 14_000.0
    mpi: bool = False
    parton_level: bool = False
    lund: bool = False
    pthat_min: float | None = None
    pthat_max: float | None = None
    mass_min: float | None = None
    mass_max: float | None = None
    partial: bool = False
    neutrinos: bool = False
    detector: bool = False
    without: tuple[str, ...] = ()
    pileup: float = 0.0
    pool: int = 1000
    block: int = 2000
    batch: int = 250

    def __post_init__(self) -> None:
        """Check all of it."""
        if self.process not in PROCESSES:
            raise ConfigError(
                f"simulate: no process is called {self.process!r}; "
                f"{nearest(self.process, PROCESSES)}"
            )
        if not 20 <= self.pt_min < self.pt_max < self.energy / 2:
            raise ConfigError(
                f"simulate: the window in pT must obey 20 <= min < max < beam energy, "
                f"got {self.pt_min:g} to {self.pt_max:g} GeV"
            )
        low, high = self.pthat
        if not 0 < low < high:
            raise ConfigError(
                f"simulate: the window in pTHat must obey 0 < min < max, "
                f"got {low:g} to {high:g} GeV"
            )
        positive = {
            "--eta-max": self.eta_max,
            "--radius": self.radius,
            "--leading": self.leading,
        }
        for name, value in positive.items():
            if value <= 0:
                raise ConfigError(f"simulate: {name} must be above 0, got {value:g}")
        if self.seed < 0:
            raise ConfigError(f"simulate: --seed must not be negative, got {self.seed}")
        self._check_masses()
        if self.partial and self.kind.resonance != TOP:
            raise ConfigError(
                f"simulate: --partial is for --process top, got --process {self.process}"
            )
        self._check_detector()

    def _check_masses(self) -> None:
        """Check the window in the mass of a particle X."""
        if self.kind.lightest is None:
            if self.mass_min is not None or self.mass_max is not None:
                flat = [name for name, kind in PROCESSES.items() if kind.lightest is not None]
                raise ConfigError(
                    f"simulate: --mass-min and --mass-max are for --process {' or '.join(flat)}, "
                    f"got --process {self.process}"
                )
            return
        low, high = self.masses
        # the quarks of a mass m are at least 2 m / pT apart
        heaviest = self.radius * self.pt_max
        if not self.kind.lightest <= low < high <= heaviest:
            raise ConfigError(
                f"simulate: the window in mass of {self.process} must obey "
                f"{self.kind.lightest:g} <= min < max <= {heaviest:g}, got {low:g} to {high:g} "
                f"GeV; below, it cannot decay to two hadrons with its quarks, above, no jet of "
                f"radius {self.radius:g} below {self.pt_max:g} GeV holds both quarks"
            )

    def _check_detector(self) -> None:
        """Check what is simulated behind the generator."""
        if self.pileup < 0:
            raise ConfigError(f"simulate: --pileup must not be negative, got {self.pileup:g}")
        if self.pileup and not self.detector:
            raise ConfigError("simulate: --pileup is what a detector sees: add --detector")
        for name in ("detector", "neutrinos"):
            if getattr(self, name) and not self.kind.is_calibration:
                calibrated = [process for process, kind in PROCESSES.items() if kind.is_calibration]
                raise ConfigError(
                    f"simulate: --{name} is for --process {' or '.join(calibrated)}, "
                    f"got --process {self.process}"
                )
        for flag in ("lund", "parton_level"):
            if getattr(self, flag) and self.kind.is_calibration:
                raise ConfigError(
                    f"simulate: --{flag.replace('_', '-')} is for large-radius jets, "
                    f"got --process {self.process}"
                )
        if self.without and not self.detector:
            raise ConfigError("simulate: --without switches off what --detector does: add it")
        for name in self.without:
            if name not in EFFECTS:
                raise ConfigError(f"simulate: --without {name}: {nearest(name, EFFECTS)}")

    def simulates(self, effect: str) -> bool:
        """Whether the detector has an effect, a key of ``EFFECTS``."""
        return self.detector and effect not in self.without

    @property
    def kind(self) -> Process:
        """The hard process."""
        return PROCESSES[self.process]

    @property
    def masses(self) -> tuple[float, float]:
        """The window in the mass of a particle X, GeV."""
        low, high = MASS_WINDOW
        low = low if self.mass_min is None else self.mass_min
        high = high if self.mass_max is None else self.mass_max
        return low, high

    @property
    def pthat(self) -> tuple[float, float]:
        """The window in pTHat, GeV: the one given, else that of jet pT with margins."""
        low_margin, high_margin = PTHAT_MARGINS
        low = self.pthat_min
        if low is None:
            low = self.pt_min * low_margin
        high = self.pthat_max
        if high is None:
            high = self.pt_max * high_margin
        return low, high


def sample_settings(process: str, **given: Any) -> SampleSettings:
    """Settings with the defaults of a process; what is ``given`` as None has its default.

    Raises:
        ConfigError: there is no such process, or a setting makes no sense.
    """
    defaults = PROCESSES[process].defaults if process in PROCESSES else {}
    chosen = {name: value for name, value in given.items() if value is not None}
    return SampleSettings(process=process, **{**defaults, **chosen})
