"""What the networks on several collections of objects promise: PFN-r and ParticleNet-r."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import l1_loss

from weaver_tt.config.load import from_mapping
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.network.summary import network_summary
from weaver_tt.nn.objects.sharing import sharing
from weaver_tt.tasks.registry import make_task

FOLDER = Path(__file__).parents[2] / "network_configs"
FILES = ["pfn_r", "particle_net_r"]
# slots and features of charged and neutral candidates and of secondary vertices
LENGTHS = {"ch": 9, "ne": 6, "sv": 4}
FEATURES = {"ch": 5, "ne": 4, "sv": 3}
TARGET = {"type": "custom", "value": {"log_response": "np.log(gen_pt / jet_pt)"}}
CASES = [
    ("pfn_r", {"small_length": 4}),
    ("pfn_r", {"pooling": "mean_slots"}),
    ("particle_net_r", {"small_length": 4, "k": 3}),
    ("particle_net_r", {"pooling": "sum"}),
]
each_case = pytest.mark.parametrize(("file", "options"), CASES, ids=str)


def collection(name, features, length):
    """The three groups of one collection in a data YAML."""

    def group(*names):
        return {"length": length, "vars": [[f"{name}_{variable}", None] for variable in names]}

    return {
        f"{name}_points": group("deta", "dphi"),
        f"{name}_features": group(*(f"x{number}" for number in range(features))),
        f"{name}_mask": group("mask"),
    }


def mapping(features=FEATURES, lengths=LENGTHS, row_values=2, labels=TARGET):
    jet = {"length": None, "vars": [[f"jet_{number}", None] for number in range(row_values)]}
    inputs = {"jet": jet}
    for name, number in features.items():
        inputs |= collection(name, number, lengths[name])
    return {"inputs": inputs, "labels": labels}


def build(file, options, mode="eval", config=None):
    """A lite network, every parameter and statistic random as after training."""
    torch.manual_seed(0)
    config = config or from_mapping(mapping(), source="jets.yaml")
    module, info = NetworkFile(FOLDER / f"{file}.py").get_model(config, {"size": "lite", **options})
    for parameter in module.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.5)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return Network(module, info["input_names"], info=info).train(mode == "train")


def jets(counts, slots=LENGTHS, seed=0):
    """Rows with ``counts`` (charged, neutral, vertices) of objects, zero on padding."""
    random = torch.Generator().manual_seed(seed)
    inputs = {"jet": torch.randn(len(counts), 2, generator=random)}
    for place, name in enumerate(LENGTHS):
        number = torch.tensor([row[place] for row in counts])
        real = (torch.arange(slots[name]) < number[:, None]).unsqueeze(1).float()  # (N, 1, P)
        shape = len(counts), FEATURES[name], slots[name]
        points = torch.randn(len(counts), 2, slots[name], generator=random)
        inputs[f"{name}_points"] = points * real
        inputs[f"{name}_features"] = torch.randn(shape, generator=random) * real
        inputs[f"{name}_mask"] = real
    return inputs


EMPTY = (0, 0, 0)
counts_of_jets = st.lists(
    st.tuples(*(st.integers(0, length) for length in LENGTHS.values())), min_size=1, max_size=5
)


@each_case
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_members_of_an_ensemble_that_share_are_what_they_are_alone(file, options, mode):
    inputs = jets([(3, 2, 1), EMPTY, (9, 6, 4)])

    def results(shares):
        """Output and gradients of two members, whose weights differ."""
        found = []
        with sharing(shares):
            for seed in range(2):
                network = build(file, options, mode)
                torch.manual_seed(seed)
                for parameter in network.unwrapped.parameters():
                    parameter.data += 0.1 * torch.randn_like(parameter)
                output = network(inputs)
                output.square().sum().backward()
                found += [output, *(part.grad for part in network.unwrapped.parameters())]
        return found

    for together, alone in zip(results(True), results(False), strict=True):
        assert torch.equal(together, alone)


def reordered(inputs, seed):
    """The real objects of each collection of each row in another order."""
    random = torch.Generator().manual_seed(seed)
    changed = dict(inputs)
    for name in LENGTHS:
        real = inputs[f"{name}_mask"][:, 0] > 0  # (N, P)
        # padding stays behind
        keys = torch.rand(real.shape, generator=random) + 2 * ~real
        order = keys.argsort(dim=1).unsqueeze(1)
        for part in ("points", "features"):
            values = inputs[f"{name}_{part}"]
            changed[f"{name}_{part}"] = values.gather(2, order.expand_as(values))
    return changed


def padded(inputs, more, fill):
    """``more`` slots behind those of each collection; all that is padding holds ``fill``."""
    changed = {"jet": inputs["jet"]}
    for name in LENGTHS:
        real = inputs[f"{name}_mask"]
        for part in ("points", "features", "mask"):
            values = inputs[f"{name}_{part}"]
            filler = 0.0 if part == "mask" else fill
            values = torch.where(real > 0, values, filler)
            behind = torch.full((*values.shape[:2], more), filler)
            changed[f"{name}_{part}"] = torch.cat((values, behind), dim=2)
    return changed


@pytest.mark.parametrize(
    ("file", "size", "trainable", "with_statistics"),
    [
        ("pfn_r", "full", 1_467_105, 1_473_313),
        ("pfn_r", "lite", 40_249, 41_305),
        ("particle_net_r", "full", 1_188_673, 1_199_553),
        ("particle_net_r", "lite", 36_737, 38_417),
    ],
)
def test_parameters_are_as_many_as_in_table_7_1_of_the_thesis(
    file, size, trainable, with_statistics
):
    """Which counts the running means and variances of batch norm among them."""
    features = {"ch": 25, "ne": 11, "sv": 10}
    lengths = {"ch": 64, "ne": 64, "sv": 16}
    config = from_mapping(mapping(features, lengths, row_values=11), source="thesis.yaml")
    module, info = NetworkFile(FOLDER / f"{file}.py").get_model(config, {"size": size})
    trained = sum(parameter.numel() for parameter in module.parameters())
    statistics = sum(buffer.numel() for name, buffer in module.named_buffers() if "running" in name)
    assert (trained, trained + statistics) == (trainable, with_statistics)
    shown = network_summary(Network(module, info["input_names"], info=info), config)
    assert f"parameters    {trainable:,}, {with_statistics:,} with" in shown


@each_case
@settings(max_examples=10, deadline=None)
@given(counts=counts_of_jets, seed=st.integers(0, 2**20))
def test_the_order_of_objects_does_not_matter(file, options, counts, seed):
    network = build(file, options)
    inputs = jets(counts, seed=seed)
    torch.testing.assert_close(
        network(reordered(inputs, seed)), network(inputs), atol=1e-5, rtol=1e-5
    )


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
    file, options, mode, counts, seed, more, fill
):
    inputs = jets(counts, seed=seed)
    results = []
    for taken in (inputs, padded(inputs, more, fill)):
        network = build(file, options, mode)
        results.append([network(taken), *network.unwrapped.buffers()])
    for ours, with_more in zip(*results, strict=True):
        torch.testing.assert_close(with_more, ours, atol=2e-5, rtol=1e-4)


@each_case
def test_a_jet_does_not_feel_the_others_of_its_batch_in_evaluation(file, options):
    network = build(file, options)
    inputs = jets([(3, 2, 0), EMPTY, (9, 6, 4), (1, 0, 0), (0, 1, 1)])
    together = network(inputs)
    for row in range(5):
        alone = network({name: values[row : row + 1] for name, values in inputs.items()})
        torch.testing.assert_close(alone, together[row : row + 1], atol=1e-5, rtol=1e-5)


FEW = {
    "one jet without objects": [EMPTY],
    "no jet has any": [EMPTY] * 3,
    "no jet has a vertex": [(4, 2, 0), (2, 6, 0), (5, 1, 0)],
    "one object in all": [(1, 0, 0), EMPTY],
    "one of each": [(1, 1, 1)],
    "one jet has vertices": [(3, 2, 0), (5, 3, 2), EMPTY],
    "all slots filled": [(9, 6, 4)] * 2,
}


@each_case
@pytest.mark.parametrize("counts", FEW.values(), ids=FEW)
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_empty_collections_have_finite_outputs_and_gradients(file, options, counts, mode):
    network = build(file, options, mode)
    output = network(jets(counts))
    l1_loss(output, torch.zeros(len(counts), 1)).backward()
    assert output.shape == (len(counts), 1)
    assert torch.isfinite(output).all()
    for parameter in network.unwrapped.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()
    assert all(torch.isfinite(buffer).all() for buffer in network.unwrapped.buffers())


@each_case
def test_every_parameter_is_trained(file, options):
    network = build(file, options, "train")
    l1_loss(
        network(jets([(9, 6, 4), (5, 3, 2), (3, 4, 0), (6, 6, 3)])), torch.ones(4, 1)
    ).backward()
    unused = [
        name
        for name, parameter in network.unwrapped.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    # what batch norm takes away again
    assert all(name.endswith("bias") for name in unused), unused


@each_case
def test_onnx_runtime_gives_the_same_for_empty_collections_and_for_more_objects_than_slots(
    file, options, tmp_path
):
    config = from_mapping(mapping(), source="jets.yaml")
    network = build(file, options)
    random = np.random.default_rng(1)
    counts = random.integers(0, [10, 7, 5], (40, 3)).tolist()
    sample = {name: values.numpy() for name, values in jets([EMPTY, *counts]).items()}
    path = tmp_path / "model.onnx"
    assert export_onnx([network], make_task(config), config, path, sample=sample) <= 1e-5
    session = onnxruntime.InferenceSession(path)
    more = {"ch": 14, "ne": 11, "sv": 9}
    rows = {
        **{name: jets(counts) for name, counts in FEW.items()},
        "more objects than slots": jets([(14, 11, 9), (12, 8, 5), EMPTY], slots=more),
    }
    for name, inputs in rows.items():
        feed = {taken: inputs[taken].numpy() for taken in network.input_names}
        (output,) = session.run(None, feed)
        expected = network(inputs).detach().numpy()
        np.testing.assert_allclose(output, expected, atol=1e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("file", FILES)
def test_classes_and_targets_of_one_network_are_its_outputs(file):
    classes = {"type": "simple", "value": ["is_b", "is_c", "is_light"]}
    config = from_mapping(mapping(labels=[classes, TARGET]), source="jets.yaml")
    network = build(file, {}, config=config)
    assert network(jets([(3, 2, 1), EMPTY])).shape == (2, 4)


@pytest.mark.parametrize("file", FILES)
def test_any_number_of_collections_and_of_groups_of_the_jet(file):
    """Leptons in a collection of their own, and values of the event beside those of the jet."""
    one = mapping(features={"ch": 5})
    assert build(file, {}, config=from_mapping(one))(jets([(3, 2, 1)])).shape == (1, 1)
    several = mapping()
    several["inputs"] |= collection("lep", 2, 3)
    several["inputs"]["event"] = {"length": None, "vars": [["rho", None]]}
    network = build(file, {}, config=from_mapping(several))
    inputs = jets([(3, 2, 1)])
    inputs["lep_points"] = inputs["lep_features"] = torch.ones(1, 2, 3)
    inputs["lep_mask"] = torch.ones(1, 1, 3)
    outputs = []
    for rho in (0.0, 5.0):
        for leptons in (0.0, 1.0):
            inputs |= {"event": torch.full((1, 1), rho), "lep_mask": torch.full((1, 1, 3), leptons)}
            outputs.append(network(inputs).item())
    assert len(set(outputs)) == 4


NO_JET = {name: group for name, group in mapping()["inputs"].items() if name != "jet"}
ALL = mapping()["inputs"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (NO_JET, "inputs: {file} takes values of the jet, which are missing beside ch_points, "),
        (
            {**ALL, "jet": {"length": 4, "vars": [["jet_0", None]]}},
            "values of the jet, which are missing beside jet, .*write jet: {length: null",
        ),
        ({"jet": ALL["jet"]}, "takes collections of objects .* finds values of the jet alone: jet"),
        (
            {**ALL, "sv_mask": {"length": 5, "vars": [["sv_mask", None]]}},
            r"inputs\.sv_mask: length 5, but sv_\w+ has 4",
        ),
        (
            {**ALL, "ne_points": {"length": 7, "vars": [["ne_deta", None]]}},
            r"inputs\.ne_\w+: length \d, but ne_\w+ has \d",
        ),
        (
            {**ALL, "lep": {"length": 4, "vars": [["lep_pt", None]]}},
            r"takes the groups (lep_points, )?lep_features, lep_mask; there is no 'lep_",
        ),
    ],
)
def test_groups_that_cannot_be_joined_are_refused_by_name(file, inputs, message):
    config = from_mapping({"inputs": inputs, "labels": TARGET}, source="jets.yaml")
    with pytest.raises(ConfigError, match=message.replace("{file}", file)):
        NetworkFile(FOLDER / f"{file}.py").get_model(config, {})


@pytest.mark.parametrize("file", FILES)
def test_an_unknown_size_or_pooling_is_refused_with_the_nearest(file):
    config = from_mapping(mapping(), source="jets.yaml")
    with pytest.raises(ConfigError, match="network option size 'light'; did you mean 'lite'"):
        NetworkFile(FOLDER / f"{file}.py").get_model(config, {"size": "light"})
    with pytest.raises(ConfigError, match="network option pooling 'means'; did you mean 'mean'"):
        NetworkFile(FOLDER / f"{file}.py").get_model(config, {"pooling": "means"})
