"""Numbers of particles (Particle Data Group), and the flavours of jets."""

from __future__ import annotations

from typing import Any

LIGHT_QUARKS = (1, 2, 3)  # d, u, s
CHARM = 4
BOTTOM = 5
TOP = 6
ELECTRON = 11
MUON = 13
NEUTRINOS = (12, 14, 16)
GLUON = 21
PHOTON = 22
Z_BOSON = 23
W_BOSON = 24
HIGGS = 25
CHARGED_PION = 211
K_LONG = 130
CHARGED_HADRONS = (211, 321, 2212)  # long-lived: charged pion and kaon, proton
NEUTRAL_HADRONS = (130, 2112)  # long-lived: K0L, neutron

LIGHT = 0
"""Flavour that light jets are given where we make them; read, any but 4 and 5 counts as light."""

DIQUARKS = (1000, 10_000)
"""Numbers of diquarks and baryons, from the first to before the second."""

FLAVOUR_CODES = {"b": BOTTOM, "c": CHARM}
"""Flavours with a code of their own, of either sign; jets with any other are light."""

FLAVOURS = (*FLAVOUR_CODES, "light")
"""Names in the order of :func:`flavour_index`."""


def is_parton(pid: Any) -> Any:
    """Whether PDG numbers (...) are those of a quark, a gluon or a diquark.

    A diquark is numbered as a baryon without its third quark: its last digit but one is 0.
    Operators alone, so that numpy, awkward and torch share it.
    """
    kind = abs(pid)
    is_quark = (kind >= 1) & (kind <= TOP)
    is_diquark = (kind >= DIQUARKS[0]) & (kind < DIQUARKS[1]) & (kind // 10 % 10 == 0)
    return is_quark | (kind == GLUON) | is_diquark


def flavour_index(flavour: Any) -> Any:
    """Flavours such as 5, 4, 0 or -5 -> 0 for b, 1 for c, 2 for all others.

    Operators alone, so that numpy, awkward and torch share it; whole numbers of any type.
    """
    size = abs(flavour)
    return 2 - 2 * (size == BOTTOM) - 1 * (size == CHARM)
