"""Import paths of earlier versions: files that import them go on working.

One table says where each module is now and which of its names have changed; a finder, installed by
``weaver_tt/__init__.py``, asks it for modules that are not there any more. Only the standard
library is imported here, so that ``--help`` stays fast.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MODELS = "weaver_tt.nn.models"
LAYERS = "weaver_tt.nn.layers"
OBJECTS = "weaver_tt.nn.objects"

OLD_PATHS: dict[str, tuple[str, dict[str, str]]] = {
    "weaver_tt.nn.inputs": (
        "weaver_tt.network.inputs",
        {
            "accepted": "constructor_options",
            "outputs": "num_outputs",
            "raw": "raw_channels",
            "sizes": "layer_sizes",
        },
    ),
    "weaver_tt.nn.attention": (f"{LAYERS}.attention", {}),
    "weaver_tt.nn.blocks": (f"{LAYERS}.blocks", {}),
    "weaver_tt.nn.dropout": (f"{LAYERS}.dropout", {}),
    "weaver_tt.nn.edge_conv": (f"{LAYERS}.edge_conv", {}),
    "weaver_tt.nn.edge_mlp": (f"{LAYERS}.edge_mlp", {}),
    "weaver_tt.nn.focal": (f"{LAYERS}.focal", {}),
    "weaver_tt.nn.norm": (f"{LAYERS}.norm", {}),
    "weaver_tt.nn.edges": (f"{MODELS}.edge_network", {}),
    "weaver_tt.nn.graph_network": (f"{MODELS}.graph_network", {}),
    "weaver_tt.nn.p_cnn": (f"{MODELS}.p_cnn", {}),
    "weaver_tt.nn.pair_embedding": (f"{MODELS}.pair_embedding", {}),
    "weaver_tt.nn.pair_features": (f"{MODELS}.pair_features", {}),
    "weaver_tt.nn.particle_flow": (f"{MODELS}.particle_flow", {"head": "dense_head"}),
    "weaver_tt.nn.particle_net": (
        f"{MODELS}.particle_net",
        {"convolutions": "read_convolutions", "dense_layers": "read_dense_layers"},
    ),
    "weaver_tt.nn.particle_transformer": (f"{MODELS}.particle_transformer", {"head": "class_head"}),
    "weaver_tt.nn.pairwise": (f"{OBJECTS}.pairwise", {"layout": "make_layout"}),
    "weaver_tt.nn.point_cloud": (f"{OBJECTS}.point_cloud", {}),
    "weaver_tt.nn.trimming": (f"{OBJECTS}.trimming", {}),
    "weaver_tt.truth_tagging": ("weaver_tt.applications.truth_tagging", {}),
    "weaver_tt.truth_tagging.raw_jets": (
        "weaver_tt.network.inputs",
        {"model_info": "jet_model_info", "raw_jets": "raw_jet_group"},
    ),
}
"""Old module -> the module that it is now, and what its names have become: old -> new."""


class OldPathFinder:
    """Finds modules of the table and fills them with the names of those that they have become."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module ``fullname`` if the table has it; whatever is really there is found before."""
        if fullname not in OLD_PATHS:
            return None
        # truth_tagging.raw_jets needs a truth_tagging to be in
        is_package = any(name.startswith(f"{fullname}.") for name in OLD_PATHS)
        return ModuleSpec(fullname, self, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Python's own kind of module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill ``module`` with the names that it had, and those that have come since."""
        new_path, renamed = OLD_PATHS[module.__name__]
        new = importlib.import_module(new_path)
        module.__doc__ = new.__doc__
        for name, value in vars(new).items():
            if not name.startswith("__"):
                setattr(module, name, value)
        # last: where two modules are one now, a name may have meant something else
        for old_name, name in renamed.items():
            setattr(module, old_name, getattr(new, name))


FINDER = OldPathFinder()


def install() -> None:
    """Let old paths be imported from now on."""
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)
