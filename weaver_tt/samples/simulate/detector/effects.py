"""What the detector does, each with a switch: the values of ``--without``."""

from __future__ import annotations

EFFECTS = {
    "decays": "K0S and Lambda reach the calorimeter",
    "conversions": "photons do not convert in the tracker",
    "field": "charged particles fly straight on, and all of them reach the calorimeter",
    "acceptance": "there are tracks and fine cells at all angles",
    "track-efficiency": "every charged particle in the acceptance has a track",
    "track-density": "tracks are not lost because others are near",
    "track-resolution": "momenta of tracks are exact",
    "impact-parameters": "impact parameters are exact",
    "response": "the mean response to hadrons is 1",
    "energy-resolution": "showers do not fluctuate",
    "thresholds": "no energy is too small to be seen",
    "granularity": "each particle has a cell of its own",
    "confusion": "the energy of charged particles is known and taken out of the calorimeter",
    "lepton-id": "all electrons and muons with a track are identified",
    "fake-vertices": "no tracks cross by chance, and vertices are found and measured exactly",
    "chs": "tracks from other collisions stay (with --pileup)",
}
"""Name -> what happens without it."""
