"""Counts known on the host, as on a GPU: the same outputs and gradients, to the last bit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from weaver_tt.data.rows.host_counts import with_host_counts
from weaver_tt.network.file import NetworkFile
from weaver_tt.nn.models.edge_network import EdgeNetwork
from weaver_tt.nn.models.joined_collections import (
    DeepSets,
    EdgeConvolutions,
    JoinedCollections,
    Pooling,
)
from weaver_tt.nn.models.particle_flow import ParticleFlowNetwork
from weaver_tt.nn.models.particle_net import ParticleNet, ParticleNetTagger
from weaver_tt.nn.models.particle_next import ParticleNeXt, ParticleNeXtTagger
from weaver_tt.nn.models.particle_transformer import ParticleTransformer, ParticleTransformerTagger
from weaver_tt.nn.models.vec_net import VecNet, VecNetOptions
from weaver_tt.nn.objects import ragged, real_objects, trimming

COUNTS = [12, 3, 0, 1, 7, 7, 12, 2, 9]
FILES = Path(__file__).parents[3] / "network_configs"
CONVOLUTIONS = [(3, (6, 5)), (4, (8,))]
# of one of the layers, the sets of neighbours are listed apart
NEXT = {
    "layer_params": [(5, 16, [(3, 1), (1, 1)], 16), (4, 16, [(4, 1), (2, 1)], 16)],
    "num_classes": 3,
    "fc_params": [(6, 0.1)],
    "init_scale": 1.0,
}
SIZES = {
    "embed_dims": (8, 8),
    "pair_embed_dims": (6,),
    "num_heads": 2,
    "num_layers": 2,
    "num_cls_layers": 1,
}


def truth_tagging_edges():
    module = NetworkFile(FILES / "truth_tagging_edges.py").module
    return module.TruthTaggingEdges(EdgeNetwork(6, 1, 8), 4.0)


def truth_tagging_gnn():
    module = NetworkFile(FILES / "truth_tagging_gnn.py").module
    return module.TruthTaggingNetwork(1, 8, 2, (8,))


def joined_sets():
    branches = {name: DeepSets((5, 8), False, Pooling("sum", 12)) for name in ("ch", "sv")}
    return JoinedCollections(branches, 0, (8,), 3, bias=False)


def joined_clouds():
    pooling = Pooling("mean_slots", 12)
    branches = {name: EdgeConvolutions(5, CONVOLUTIONS, pooling) for name in ("ch", "sv")}
    return JoinedCollections(branches, 0, (8,), 3, bias=True)


# each network, and the inputs that it takes
NETWORKS = {
    "joined_sets": (joined_sets, "features mask features mask"),
    "joined_clouds": (joined_clouds, "points features mask points features mask"),
    "particle_net": (lambda: ParticleNet(5, 3, CONVOLUTIONS), "points features mask"),
    "particle_net_pf_sv": (
        lambda: ParticleNetTagger(5, 5, 3, CONVOLUTIONS),
        "points features mask points features mask",
    ),
    "particle_next": (
        lambda: ParticleNeXt(5, **NEXT),
        "points features vectors mask",
    ),
    "particle_next_pf_sv": (
        lambda: ParticleNeXtTagger(5, 5, **NEXT),
        "points features vectors mask points features vectors mask",
    ),
    "particle_transformer": (
        lambda: ParticleTransformer(5, 3, **SIZES),
        "features vectors mask",
    ),
    "particle_transformer_pf_sv": (
        lambda: ParticleTransformerTagger(5, 5, 3, **SIZES),
        "features vectors mask features vectors mask",
    ),
    "pfn": (lambda: ParticleFlowNetwork(5, 3, (8, 8), (8,), use_bn=True), "features mask"),
    "truth_tagging_edges": (truth_tagging_edges, "jets"),
    "truth_tagging_gnn": (truth_tagging_gnn, "jets"),
    "vec_net": (lambda: VecNet(5, 3), "mask features vectors"),
    "vec_net_keep": (lambda: VecNet(5, 3, VecNetOptions(keep=4)), "mask features vectors"),
    "vec_net_neighbours": (
        lambda: VecNet(5, 3, VecNetOptions(graph="dynamic-knn", k=3)),
        "mask features vectors points",
    ),
}


def inputs(holes, known):
    """Nine rows of up to twelve objects, one of them empty; with their counts where ``known``."""
    random = torch.Generator().manual_seed(4)
    real = torch.arange(12) < torch.tensor(COUNTS).unsqueeze(1)  # (N, P)
    if holes:
        real = real[:, torch.randperm(12, generator=random)]
    mask = real.unsqueeze(1).float()  # (N, 1, P)
    made = {
        "points": torch.randn(9, 2, 12, generator=random) * mask,
        "features": torch.randn(9, 5, 12, generator=random) * mask,
        "vectors": (1 + torch.rand(9, 4, 12, generator=random)) * mask,
        "jets": 20 * (1 + torch.rand(9, 4, 12, generator=random)) * mask,
        "mask": mask,
    }
    if known:
        for name in ("jets", "mask"):
            with_host_counts(made[name], np.array(COUNTS))
    return made


def run(network, names, given, train):
    """Output and gradients after the same random numbers."""
    torch.manual_seed(5)
    network.train(train)
    network.zero_grad()
    output = network(*[given[name] for name in names.split()])
    output.square().sum().backward()
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return torch.cat([output.detach().flatten(), *gradients])


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_known_on_the_host_change_nothing(name, holes, train, monkeypatch):
    make, names = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    expected = run(network, names, inputs(holes, known=False), train)

    def find_known(mask, number):
        assert number is not None
        return real_objects._find_known_number(mask.flatten(), number)

    def nobody_counts(*_):
        raise AssertionError("the device was asked")

    for module in (real_objects, ragged, trimming):
        monkeypatch.setattr(module, "find_real", find_known)
    monkeypatch.setattr(torch.Tensor, "nonzero", nobody_counts)
    monkeypatch.setattr(torch.Tensor, "tolist", nobody_counts)
    monkeypatch.setattr(torch.Tensor, "numpy", nobody_counts)
    torch.manual_seed(0)
    network = make()
    assert torch.equal(run(network, names, inputs(holes, known=True), train), expected)
