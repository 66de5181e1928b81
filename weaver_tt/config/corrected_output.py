"""A derived output that is a pT times the factor of a correction: the last step of a calibration.

Its file is what ``weaver-tt jec derive`` writes; the graph that is exported has it inside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import Expression, parse_expression
from weaver_tt.expressions.tensor_form import check_tensor_form
from weaver_tt.physics.jet_correction_json import ROLES, ROLES_OF_OFFSET, read_document
from weaver_tt.physics.jet_curves import EtaCurves

CORRECTION = "correction"  # the key of the file
KEYS = (CORRECTION, *ROLES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrectedOutput:
    """A pT times its correction, where ``roles`` says what pt and eta are, and area and rho.

    Beyond the range of the correction there is no value, unless it ``extrapolates``. ``digest``
    is that of the ``file``, an absolute path.
    """

    file: str
    digest: str
    curves: EtaCurves
    extrapolates: bool
    roles: Mapping[str, Expression]

    @property
    def has_offset(self) -> bool:
        """Whether pile-up is subtracted first."""
        return "rho" in self.roles

    @property
    def names(self) -> frozenset[str]:
        """The outputs and columns that it is made of."""
        return frozenset().union(*(expression.names for expression in self.roles.values()))

    @property
    def source(self) -> str:
        """What it is, for messages and to compare: the roles, and which file."""
        roles = ", ".join(f"{role}={each.source}" for role, each in self.roles.items())
        return f"correction({Path(self.file).name} {self.digest}, {roles})"


def read_corrected_output(section: Section, folder: Path) -> CorrectedOutput:
    """``{correction: FILE, pt: EXPRESSION, ...}``; the file is looked for in ``folder`` first.

    What is not said of eta, area and rho is what the file was derived with.

    Raises:
        ConfigError: the file cannot be read or is something else, pt is missing, or an expression
            cannot be computed in a network.
    """
    given = section.text(CORRECTION)
    if not given:
        raise ConfigError(f"{section.at(CORRECTION)}: expected a file of `weaver-tt jec derive`")
    beside = folder / given
    path = beside if beside.is_file() else Path(given)
    curves, sources, extrapolates = read_document(path)
    if "pt" not in section:
        raise ConfigError(
            f"{section.at('pt')}: expected the pT to correct, such as an output above"
        )
    roles = {}
    for role, source in sources.items():
        where = section.at(role)
        text = section.values.get(role, source)
        roles[role] = parse_expression(text, where)
        check_tensor_form(roles[role], where)
    for role in ROLES_OF_OFFSET:
        if role in section and role not in roles:
            raise ConfigError(f"{section.at(role)}: {path} has no offset that it would be for")
    return CorrectedOutput(
        file=str(path.resolve()),
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:12],
        curves=curves,
        extrapolates=extrapolates,
        roles=roles,
    )
