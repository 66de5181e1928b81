"""FCCAnalyses (``WeaverInterface``) and key4hep (``k4MLJetTagger``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weaver_tt.deploy.export import Export, GraphForm
from weaver_tt.deploy.golden import RowReader
from weaver_tt.deploy.targets.base import Target, object_refusals, pad_refusals
from weaver_tt.deploy.targets.reader import FrameworkReader

# both always look into these two groups for the variables that they compute
LOOKED_INTO = ("pf_features", "pf_vectors")


class Fcc(Target):
    """A fixed number of objects, one output (N, K), scalars as (N, C, 1), no spread."""

    name = "fcc"
    title = "the reader of FCCAnalyses and key4hep"
    # it reads output 0 alone
    form = GraphForm(any_length=False, scalars_have_axis=True, lengths="var_length", spread=False)
    replaces_masks = True

    def refusals(self, export: Export) -> list[str]:
        """Outputs of objects, and padding outside of the bounds."""
        return [*object_refusals(self, export), *pad_refusals(self, export)]

    def describe(self, export: Export) -> dict[str, Any]:
        """``preprocess.json``, with the groups that the readers always look into."""
        content = dict(export.sidecar)
        for name in LOOKED_INTO:
            content.setdefault(name, {"var_names": [], "var_length": 1, "var_infos": {}})
        return content

    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """Its arithmetic, with masks replaced by ones."""
        return FrameworkReader(folder, masks_are_ones=True)

    def usage(self) -> str:
        """In FCCAnalyses and key4hep."""
        return (
            "FCCAnalyses: `model.onnx` and `preprocess.json` are what `JetFlavourHelper` and "
            "`WeaverInterface` take; key4hep: the same for `JetTagger` of k4MLJetTagger. These "
            f"compute the variables of {' and '.join(LOOKED_INTO)}; others are to be given to "
            "`WeaverInterface` by the analysis, after those of objects: masks have as many ones as "
            "the first variable has values."
        )
