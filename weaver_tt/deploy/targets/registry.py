"""The export targets by name."""

from __future__ import annotations

from weaver_tt.deploy.targets.athena import Athena
from weaver_tt.deploy.targets.base import Target
from weaver_tt.deploy.targets.cmssw import Cmssw
from weaver_tt.deploy.targets.fcc import Fcc
from weaver_tt.deploy.targets.generic import Generic
from weaver_tt.deploy.targets.raw import Raw
from weaver_tt.deploy.targets.triton import Triton

TARGETS: dict[str, type[Target]] = {
    target.name: target for target in (Generic, Fcc, Cmssw, Triton, Athena, Raw)
}
