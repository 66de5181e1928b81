"""CMSSW: ``ParticleNetConstructor`` and ``ONNXRuntime``."""

from __future__ import annotations

from pathlib import Path

from weaver_tt.deploy.export import Export, GraphForm
from weaver_tt.deploy.golden import RowReader
from weaver_tt.deploy.targets.base import Target, object_refusals, pad_refusals
from weaver_tt.deploy.targets.reader import FrameworkReader


class Cmssw(Target):
    """As many objects as the jet has, where the network takes that; one output (N, K)."""

    name = "cmssw"
    title = "CMSSW"
    # it reads output 0 alone
    form = GraphForm(scalars_have_axis=True, lengths="min_and_max", spread=False)
    empty_outputs = 0.0

    def refusals(self, export: Export) -> list[str]:
        """Outputs of objects, and padding outside of the bounds."""
        return [*object_refusals(self, export), *pad_refusals(self, export)]

    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """Its arithmetic, one jet a call."""
        return FrameworkReader(folder, largest=1e32)

    def usage(self) -> str:
        """In CMSSW."""
        return (
            "CMSSW: `preprocess.json` is read by `btagbtvdeep::ParticleNetConstructor`, "
            "`model.onnx` by `cms::Ort::ONNXRuntime`. For a jet without constituents CMSSW writes "
            "zeros and does not call the network."
        )
