"""The average Lund plane of each class of jets, summed up file by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.figures.lund_plane import LN_ANGLE_EDGES, LN_KT_EDGES
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.samples.lund.trees import PREFIX

LABEL_PREFIX = "label_"
ALL_JETS = "all jets"


class LundPlanes:
    """Sums over jets: ``splittings[class]`` (X, Y) in bins of ln 1/Delta and ln kt, and jets."""

    def __init__(self) -> None:
        self.splittings: dict[str, npt.NDArray[np.float64]] = {}
        self.jets: dict[str, int] = {}
        # pairs of classes with a jet that is of both
        self._sharing: set[tuple[str, str]] = set()

    def add(
        self, classes: Mapping[str, npt.NDArray[np.bool_]], table: Mapping[str, ak.Array]
    ) -> None:
        """Add jets with their columns of Lund trees; ``classes``: name -> whose jets (J,)."""
        for name, is_member in classes.items():
            ln_delta = ak.to_numpy(ak.flatten(table[f"{PREFIX}lndelta"][is_member]))
            ln_kt = ak.to_numpy(ak.flatten(table[f"{PREFIX}lnkt"][is_member]))
            counts, _, _ = np.histogram2d(-ln_delta, ln_kt, bins=(LN_ANGLE_EDGES, LN_KT_EDGES))
            self.splittings[name] = self.splittings.get(name, 0) + counts
            self.jets[name] = self.jets.get(name, 0) + int(is_member.sum())
        names = list(classes)
        members = np.array(list(classes.values()), dtype=np.float32)  # (K, J)
        for first, second in np.argwhere(members @ members.T > 0):
            self._sharing.add((names[first], names[second]))

    @property
    def drawn(self) -> list[str]:
        """Classes that have jets, and none in common with a class before them.

        Of jets of QCD and of its kinds QCD_bb and QCD_cc it is QCD.
        """
        drawn: list[str] = []
        for name, jets in self.jets.items():
            if jets and not any((name, other) in self._sharing for other in drawn):
                drawn.append(name)
        return drawn

    @property
    def left_out(self) -> list[str]:
        """The other classes that have jets."""
        return [name for name, jets in self.jets.items() if jets and name not in self.drawn]

    def densities(self) -> dict[str, npt.NDArray[np.float64]]:
        """Splittings a jet and unit area (X, Y), of each class that is drawn."""
        area = np.outer(np.diff(LN_ANGLE_EDGES), np.diff(LN_KT_EDGES))
        return {name: self.splittings[name] / area / self.jets[name] for name in self.drawn}


def label_columns(columns: Sequence[str], types: Mapping[str, Any]) -> list[str]:
    """The columns that say of which class a jet is: ``label_NAME``, a number or truth value."""
    names = [name for name in columns if name.startswith(LABEL_PREFIX)]
    return [name for name in names if isinstance(types[name], ak.types.NumpyType)]


def classes_of(
    table: Mapping[str, ak.Array], labels: Sequence[str], group: str, jets: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """Class -> whose of the ``jets`` jets: by the columns ``labels``, or all of a group of files.

    A file group without a name, and without columns of classes, is ``all jets``.
    """
    if labels:
        return {name.removeprefix(LABEL_PREFIX): ak.to_numpy(table[name]) > 0 for name in labels}
    name = ALL_JETS if group == UNNAMED_GROUP else group
    return {name: np.ones(jets, bool)}
