"""The standard correction of jets: offset of pile-up, then response in (pT, |eta|).

``load_correction`` reads what ``weaver-tt jec derive`` wrote; ``Correction.factor`` evaluates it.

Source: D. Holmberg, thesis, University of Helsinki (2022), section 4.3 and Eq. 4.2; the method is
that of CMS, arXiv:1607.03663.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.applications.jet_energy.jets import check_values
from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.expressions.row_values import columns_of, parse_sources, values_by_role
from weaver_tt.physics.jet_correction_json import (
    LEAST_SHARE,
    correction_document,
    read_document,
)
from weaver_tt.physics.jet_curves import EtaCurves, Floats
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import strict_json_text


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Factors to multiply pT by; R jets.

    ``sources``: role -> column, or expression of columns: pt and eta, with an offset also area and
    rho. ``extrapolates``: beyond the range of the data the factor of its border holds; otherwise
    jets there are an error.
    """

    curves: EtaCurves
    sources: Mapping[str, str]
    extrapolates: bool = False

    @property
    def has_offset(self) -> bool:
        """Whether pile-up is subtracted first."""
        return "rho" in self.sources

    @property
    def parameters(self) -> int:
        """Numbers that the factors are made of."""
        return self.curves.parameters

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """The expression of each role."""
        return parse_sources(self.sources)

    @property
    def needed_columns(self) -> tuple[str, ...]:
        """The columns that :meth:`factor` needs."""
        return columns_of(self.expressions)

    def extrapolating(self) -> Correction:
        """The same, but beyond the range of the data the factor of its border holds."""
        return replace(self, extrapolates=True)

    def factor(self, columns: Mapping[str, Any]) -> Floats:
        """Factors (R,), from the ``needed_columns`` (R,) each.

        Raises:
            DataError: a column is missing, a pT is not above 0, another value not finite, or a jet
                is beyond the range of the data (unless the correction extrapolates).
        """
        return self.factor_of(self.values(columns))

    def factor_of(self, values: Mapping[str, Floats]) -> Floats:
        """:meth:`factor`, from values (R,) by role."""
        values = {role: values[role] for role in self.sources}
        check_values(values, self.sources)
        share = self._own_share(values)
        pt = values["pt"] * share
        if not self.extrapolates:
            self._check_range(pt, values["eta"])
        return share * self.curves.factor(pt, values["eta"])

    def is_outside(self, values: Mapping[str, Floats]) -> npt.NDArray[np.bool_]:
        """(R,) whether a jet is beyond the range of the data, from values (R,) by role."""
        pt = values["pt"] * self._own_share(values)
        eta = values["eta"]
        return self.curves.is_outside_eta(eta) | self.curves.is_outside_pt(pt, eta)

    def corrected(self, columns: Mapping[str, Any]) -> Floats:
        """Corrected pT (R,); ``columns`` and errors as for :meth:`factor`."""
        values = self.values(columns)
        return self.factor_of(values) * values["pt"]

    def values(self, columns: Mapping[str, Any]) -> dict[str, Floats]:
        """Values (R,) by role, of the ``needed_columns``.

        Raises:
            DataError: a column is missing, or holds more than one number a row.
        """
        return values_by_role(self.expressions, columns)

    def _own_share(self, values: Mapping[str, Floats]) -> Floats:
        """Share of its pT (R,) that is the jet's own, where there is an offset."""
        return own_share(values) if self.has_offset else np.ones(len(values["pt"]))

    def _check_range(self, pt: Floats, eta: Floats) -> None:
        """Raise DataError where the data say nothing about a jet."""
        beyond = self.curves.is_outside_eta(eta)
        if beyond.any():
            edges = self.curves.eta_edges
            raise self._outside(beyond, eta, "eta", f"abs(eta) from {edges[0]:g} to {edges[-1]:g}")
        beyond = self.curves.is_outside_pt(pt, eta)
        if beyond.any():
            first = int(np.argmax(beyond))
            size = abs(eta[first])
            number = np.searchsorted(self.curves.eta_edges, size, "right") - 1
            curve = self.curves.curves[number]
            low, high = self.curves.eta_edges[number : number + 2]
            within = f"{curve.low:.4g} to {curve.high:.4g} GeV at abs(eta) from {low:g} to {high:g}"
            raise self._outside(beyond, pt, "pt", within)

    def _outside(
        self, beyond: npt.NDArray[np.bool_], values: Floats, role: str, within: str
    ) -> DataError:
        first = float(values[np.argmax(beyond)])
        less = " less its offset" if role == "pt" and self.has_offset else ""
        return DataError(
            f"{self.sources[role]!r}{less}: {int(beyond.sum())} of {len(beyond)} jets are beyond "
            f"the range of the data that the correction was derived from (first: {first:.4g}; "
            f"known: {within}); with --extrapolate the factor of the border holds there"
        )


def own_share(values: Mapping[str, Floats]) -> Floats:
    """1 - rho area / pT (R,), not below ``LEAST_SHARE``.

    Source: D. Holmberg, thesis, Eq. 4.2.
    """
    return np.maximum(1 - values["rho"] * values["area"] / values["pt"], LEAST_SHARE)


def save_correction(correction: Correction, path: str | Path, description: str) -> None:
    """Write a correction for correctionlib.

    Raises:
        OutputError: the file cannot be written.
    """
    document = correction_document(
        correction.curves, correction.sources, correction.extrapolates, description
    )
    write_text(path, strict_json_text(document, str(path)) + "\n")


def load_correction(path: str | Path) -> Correction:
    """Read a correction that :func:`save_correction` wrote.

    Raises:
        ConfigError: the file is missing or holds anything else.
    """
    curves, sources, extrapolates = read_document(path)
    return Correction(curves=curves, sources=sources, extrapolates=extrapolates)
