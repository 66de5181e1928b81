"""What every network on a set of jet constituents promises, for each network file that makes one.

A new network file: add a :class:`Case` to ``CASES``.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from weaver_tt.config.load import from_mapping
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.nn.objects.sharing import sharing
from weaver_tt.tasks.registry import make_task

FOLDER = Path(__file__).parents[2] / "network_configs"
LENGTH = 8


class Case(NamedTuple):
    """A network file and small options."""

    file: str
    options: dict[str, Any] = {}  # noqa: RUF012
    ordered: bool = False  # by construction depends on the order of the constituents
    any_names: bool = False  # takes input groups of any names
    trains_on_real: bool = True  # padding has no influence on batch norm in training either

    def __str__(self) -> str:
        return "-".join([self.file, *(f"{key}={value}" for key, value in self.options.items())])


PART = {
    "embed_dims": (12, 8),
    "pair_embed_dims": (6, 5),
    "num_heads": 2,
    "num_layers": 2,
    "num_cls_layers": 1,
}
SMALL = {"phi_sizes": (8, 6), "f_sizes": (7,)}
SMALL_PARTICLE_NET = {"conv_params": ((3, (6, 5)), (4, (8, 7))), "fc_params": ((6, 0.0),)}
# gamma is about 1, so that the graph matters
PARTICLE_NEXT = {
    "layer_params": ((6, 16, ((3, 1), (1, 1)), 16), (4, 18, ((2, 1), (1, 1)), 16)),
    "fc_params": ((6, 0.0),),
    "edge_aggregation": "attn2",
    "global_aggregation": "attn2",
    "init_scale": 1.0,
}
SMALL_VEC_NET = {
    "hidden": 6,
    "scalar": 3,
    "vectors": 2,
    "message": 4,
    "heads": 2,
    "iterations": 2,
    "node_layers": 1,
}
CASES = [
    Case("pfn", SMALL),
    Case("pfn", SMALL | {"use_bn": True}),
    Case("efn", SMALL),
    Case("p_cnn", {"conv_params": ((5,), (6, 6), (7,)), "fc_params": ((8, 0.1),)}, ordered=True),
    Case("mlp", {"layers": (8, 6), "batch_norm": True, "dropout": 0.1}, any_names=True),
    Case("deep_sets", {"phi": (8, 6), "f": (7,), "dropout": 0.1}, any_names=True),
    Case("particle_net", SMALL_PARTICLE_NET),
    Case("particle_net", SMALL_PARTICLE_NET | {"use_fusion": True, "use_fts_bn": False}),
    Case("particle_net_lite"),
    Case("particle_transformer", PART),
    Case(
        "particle_transformer",
        PART
        | {
            "pair_input_dim": 3,
            "remove_self_pair": True,
            "use_pre_activation_pair": True,
            "num_cls_layers": 0,
        },
    ),
    Case("particle_next", PARTICLE_NEXT),
    Case(
        "particle_next",
        PARTICLE_NEXT | {"edge_aggregation": "max", "global_aggregation": "mean", "edge_dim": 0},
    ),
    Case(
        "particle_next",
        PARTICLE_NEXT
        | {
            "layer_params": ((5, 17, ((3, 1), (2, 2)), 16), (12, 18, ((4, 1), (1, 1)), 32)),
            "use_rel_fts": True,
            "use_polarization_angle": True,
        },
    ),
    Case(
        "particle_transformer_finetune",
        PART | {"fc_params": ((6, 0.1, "gelu"),), "num_cls_layers": 2},
    ),
    Case("vec_net", SMALL_VEC_NET),
    Case("vec_net", SMALL_VEC_NET | {"vectors": 0, "batch_norm": False, "dropout": 0.1}),
    Case("vec_net", SMALL_VEC_NET | {"scalars": "invariant", "scalar": 0, "layer_norm": True}),
    Case("vec_net", SMALL_VEC_NET | {"graph": "static-knn", "k": 3, "shortcut": "concat"}),
    Case(
        "vec_net",
        SMALL_VEC_NET
        | {"graph": "dynamic-knn", "k": 4, "distance": "minkowski", "scalars": "invariant"},
    ),
    Case("vec_net", SMALL_VEC_NET | {"keep": 3, "shortcut": "none"}, ordered=True),
]
SETS = [case for case in CASES if not case.ordered]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def group(*variables, pad_mode="wrap"):
    return {
        "length": LENGTH,
        "pad_mode": pad_mode,
        "vars": [list(variable) for variable in variables],
    }


# as in the public YAML for top tagging
MAPPING = {
    "inputs": {
        "pf_points": group(("part_deta", None), ("part_dphi", None)),
        "pf_features": group(
            ("part_pt_log", 1.7, 0.7),
            ("part_e_log", 2.0, 0.7),
            ("part_logptrel", -4.7, 0.7),
            ("part_logerel", -4.7, 0.7),
            ("part_deltaR", 0.2, 4.0),
            ("part_deta", None),
            ("part_dphi", None),
        ),
        "pf_vectors": group(
            ("part_px", None), ("part_py", None), ("part_pz", None), ("part_energy", None)
        ),
        "pf_mask": group(("part_mask", None), pad_mode="constant"),
    },
    "labels": {"type": "simple", "value": ["jet_isTop", "jet_isQCD"]},
}
CONFIG = from_mapping(MAPPING, source="jets.yaml")


def jets(counts, slots=LENGTH, seed=0):
    """Jets of ``counts`` massless constituents, as the data YAML has them; zero on padding."""
    random = torch.Generator().manual_seed(seed)
    shape = len(counts), slots
    real = (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).float()  # (N, 1, P)
    pt = 1 + 100 * torch.rand(shape, generator=random)
    deta, dphi = (0.3 * torch.randn(shape, generator=random) for _ in range(2))
    jet_eta = torch.randn(len(counts), 1, generator=random)
    vectors = (
        torch.stack(
            (
                pt * dphi.cos(),
                pt * dphi.sin(),
                pt * (jet_eta + deta).sinh(),
                pt * (jet_eta + deta).cosh(),
            ),
            dim=1,
        )
        * real
    )
    sums = vectors.sum(2)
    jet_pt, jet_energy = (
        sums[:, :2].norm(dim=1, keepdim=True).clamp(min=1),
        sums[:, 3:].clamp(min=1),
    )
    energy = pt * (jet_eta + deta).cosh()
    logs = [
        (pt.log() - 1.7) * 0.7,
        (energy.log() - 2) * 0.7,
        ((pt / jet_pt).log() + 4.7) * 0.7,
        ((energy / jet_energy).log() + 4.7) * 0.7,
    ]
    features = torch.stack((*logs, (torch.hypot(deta, dphi) - 0.2) * 4, deta, dphi), dim=1).clamp(
        -5, 5
    )
    return {
        "pf_points": torch.stack((deta, dphi), dim=1) * real,
        "pf_features": features * real,
        "pf_vectors": vectors,
        "pf_mask": real,
    }


def build(case, mode="eval"):
    """The case's network, every parameter and statistic random as after training."""
    torch.manual_seed(0)
    module, info = NetworkFile(FOLDER / f"{case.file}.py").get_model(CONFIG, case.options)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    network = Network(module, info["input_names"], info=info)
    return network.train(mode == "train")


def padded(inputs, more, fill=0.0):
    """``more`` slots behind each row's, holding ``fill`` (0 in the mask)."""
    extra = {
        name: torch.full((*values.shape[:2], more), 0.0 if name.endswith("_mask") else fill)
        for name, values in inputs.items()
    }
    return {name: torch.cat((values, extra[name]), dim=2) for name, values in inputs.items()}


def reordered(inputs, seed):
    """Each row's real constituents in another order."""
    real = inputs["pf_mask"][:, 0] > 0
    keys = (
        torch.rand(real.shape, generator=torch.Generator().manual_seed(seed)) + 2 * ~real
    )  # padding stays behind
    order = keys.argsort(dim=1)
    return {
        name: values.gather(2, order.unsqueeze(1).expand_as(values))
        for name, values in inputs.items()
    }


counts_of_jets = st.lists(st.integers(0, LENGTH), min_size=1, max_size=5)


@pytest.mark.parametrize("case", SETS, ids=str)
@settings(max_examples=10, deadline=None)
@given(counts=counts_of_jets, seed=st.integers(0, 2**20))
def test_the_order_of_constituents_does_not_matter(case, counts, seed):
    network, inputs = build(case), jets(counts, seed=seed)
    torch.testing.assert_close(
        network(reordered(inputs, seed)), network(inputs), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.ordered], ids=str)
def test_a_network_on_sequences_sees_the_order(case):
    network, inputs = build(case), jets([LENGTH, 5])
    assert (network(reordered(inputs, 1)) - network(inputs)).abs().min() > 1e-5


@each_case
@pytest.mark.parametrize("mode", ["eval", "train"])
@settings(max_examples=10, deadline=None)
@given(
    counts=counts_of_jets,
    seed=st.integers(0, 2**20),
    more=st.integers(1, 5),
    fill=st.sampled_from([0.0, 1.0, -7.5]),
)
def test_neither_the_amount_of_padding_nor_what_stands_there_matters(
    case, mode, counts, seed, more, fill
):
    if mode == "train" and not case.trains_on_real:
        return
    inputs = jets(counts, seed=seed)
    real = inputs["pf_mask"]
    other = {
        name: values if name == "pf_mask" else torch.where(real > 0, values, fill)
        for name, values in inputs.items()
    }
    results = []
    for given_inputs in (inputs, padded(other, more, fill)):
        network = build(case, mode)
        torch.manual_seed(1)
        results.append([network(given_inputs), *network.unwrapped.buffers()])
    for ours, with_more in zip(*results, strict=True):
        torch.testing.assert_close(with_more, ours, atol=2e-5, rtol=1e-4)


@each_case
def test_a_jet_does_not_feel_the_others_of_its_batch_in_evaluation(case):
    network, inputs = build(case), jets([3, 0, LENGTH, 1, 5])
    together = network(inputs)
    for row in range(5):
        alone = network({name: values[row : row + 1] for name, values in inputs.items()})
        torch.testing.assert_close(alone, together[row : row + 1], atol=1e-5, rtol=1e-5)


@each_case
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_members_of_an_ensemble_that_share_are_what_they_are_alone(case, mode):
    inputs = jets([3, 0, LENGTH, 1, 5])

    def results(shares):
        """Output, gradients and buffers of two members, whose weights differ."""
        found = []
        with sharing(shares):
            for seed in range(2):
                network = build(case, mode)
                torch.manual_seed(seed)
                for parameter in network.unwrapped.parameters():
                    parameter.data += 0.1 * torch.randn_like(parameter)
                output = network(inputs)
                output.square().sum().backward()
                parameters = network.unwrapped.parameters()
                grads = [part.grad for part in parameters if part.grad is not None]
                found += [output, *grads, *network.unwrapped.buffers()]
        return found

    for together, alone in zip(results(True), results(False), strict=True):
        assert torch.equal(together, alone)


@each_case
@pytest.mark.parametrize("counts", [[0], [0, 0, 0], [1], [3, 0, 5, 1], [LENGTH, LENGTH]])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_jets_with_few_constituents_or_none_have_finite_outputs_and_gradients(case, counts, mode):
    network = build(case, mode)
    output = network(jets(counts))
    cross_entropy(output, torch.zeros(len(counts), dtype=torch.long)).backward()
    assert output.shape == (len(counts), 2)
    assert torch.isfinite(output).all()
    assert all(
        torch.isfinite(parameter.grad).all()
        for parameter in network.unwrapped.parameters()
        if parameter.grad is not None
    )
    assert all(torch.isfinite(buffer).all() for buffer in network.unwrapped.buffers())


@each_case
def test_every_parameter_is_trained(case):
    network = build(case, "train")
    cross_entropy(network(jets([LENGTH, 5, 3, 6])), torch.tensor([0, 1, 1, 0])).backward()
    unused = [
        name for name, parameter in network.unwrapped.named_parameters() if parameter.grad is None
    ]
    assert not unused


@each_case
def test_onnx_runtime_gives_the_same_numbers_for_any_number_of_jets_and_constituents(
    case, tmp_path
):
    network, rows = build(case), jets([index % (LENGTH + 1) for index in range(40)], seed=2)
    sample = {name: values.numpy() for name, values in rows.items()}
    assert (
        export_onnx([network], make_task(CONFIG), CONFIG, tmp_path / "model.onnx", sample=sample)
        <= 1e-5
    )


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.file.startswith(("particle_net", "particle_next"))],
    ids=str,
)
def test_onnx_runtime_sees_the_same_neighbours_where_constituents_share_a_place(case, tmp_path):
    """Coarse towers: which of those in the same place are neighbours must not be left open."""
    rows = jets([index % (LENGTH + 1) for index in range(40)], seed=2)
    rows["pf_points"] = (rows["pf_points"] * 4).round() / 4
    sample = {name: values.numpy() for name, values in rows.items()}
    path = tmp_path / "model.onnx"
    assert export_onnx([build(case)], make_task(CONFIG), CONFIG, path, sample=sample) <= 1e-5


@pytest.mark.parametrize("case", [case for case in CASES if not case.any_names], ids=str)
def test_a_data_yaml_with_other_names_is_refused_with_the_nearest(case):
    renamed = {name.replace("pf_", "pfs_"): values for name, values in MAPPING["inputs"].items()}
    config = from_mapping(MAPPING | {"inputs": renamed}, source="other.yaml")
    with pytest.raises(
        ConfigError, match=r"other\.yaml: inputs: .* there is no 'pf_\w+'; did you mean 'pfs_"
    ):
        NetworkFile(FOLDER / f"{case.file}.py").get_model(config, case.options)
