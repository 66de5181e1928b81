"""Weights from files: all of them, what fits of a published network, and those that are frozen."""

import argparse
import logging
import os
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from torch import nn

from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.network.network import Network
from weaver_tt.network.normalisation import attach_normalisation, find_normalisation
from weaver_tt.network.weights import (
    freeze_weights,
    load_partial_weights,
    load_weights,
    prepare_network,
    set_weights,
)
from weaver_tt.nn.layers.attention import Block, BlockOptions
from weaver_tt.options.train import NetworkOptions


class Net(nn.Module):
    """A body with a batch norm, and a head."""

    def __init__(self, size=3, classes=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, size), nn.BatchNorm1d(size))
        self.head = nn.Linear(size, classes)

    def forward(self, x):
        """(N, 2) -> (N, classes)."""
        return self.head(self.body(x))


def network(seed=0, **options):
    torch.manual_seed(seed)
    return Network(Net(**options), ["x"], "net.py")


@pytest.fixture
def log(caplog, monkeypatch):
    """What was logged, as one text."""
    monkeypatch.setattr(logging.getLogger("weaver_tt"), "propagate", True)
    caplog.set_level(logging.INFO, "weaver_tt")
    return caplog


def saved(tmp_path, value, name="a.pt"):
    torch.save(value, tmp_path / name)
    return str(tmp_path / name)


def test_weights_saved_from_one_network_make_another_equal(tmp_path):
    path, loaded = saved(tmp_path, network(1).unwrapped.state_dict()), network(2)
    load_weights(loaded, path)
    assert torch.equal(loaded.unwrapped.head.weight, network(1).unwrapped.head.weight)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda module: {f"module.{name}": value for name, value in module.state_dict().items()},
        lambda module: nn.DataParallel(module).state_dict(),
        lambda module: torch.compile(module, backend="eager").state_dict(),
        lambda module: {
            f"_orig_mod.module.{name}": value for name, value in module.state_dict().items()
        },
        lambda module: {"state_dict": module.state_dict(), "epoch": 3},
        lambda module: {"model": module.state_dict(), "optimizer": {}},
        lambda module: {"weights": module.state_dict(), "steps": 7},
    ],
    ids=["DDP", "DataParallel", "compiled", "both", "state_dict", "model", "resume"],
)
def test_what_others_wrap_around_the_weights_is_taken_off(tmp_path, wrapped):
    path, loaded = saved(tmp_path, wrapped(network(1).unwrapped)), network(2)
    load_weights(loaded, path)
    assert torch.equal(loaded.unwrapped.head.weight, network(1).unwrapped.head.weight)


def test_a_networks_own_part_called_module_is_no_wrapper(tmp_path):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(1, 1)

    outer = Network(Outer(), ["x"])
    load_weights(
        outer,
        saved(
            tmp_path, {"module.weight": torch.tensor([[5.0]]), "module.bias": torch.tensor([6.0])}
        ),
    )
    assert outer.unwrapped.module.weight.item() == 5


def test_weights_of_another_network_are_listed_key_by_key(tmp_path):
    state = network().unwrapped.state_dict()
    state["hed.bias"] = state.pop("head.bias")
    state["body.0.bias"] = torch.zeros(5)
    with pytest.raises(TrainingError) as error:
        load_weights(network(), saved(tmp_path, state))
    message = str(error.value)
    assert "a.pt: weights of another network than net.py" in message
    assert "missing (1): head.bias" in message
    assert "unexpected (1): hed.bias (did you mean 'head.bias'?)" in message
    assert "of another shape (1): body.0.bias is (3,) in the network, (5,) in the file" in message


def test_weights_with_nan_are_named_when_they_are_loaded(tmp_path, log):
    state = network().unwrapped.state_dict()
    name = next(iter(state))
    load_weights(network(seed=1), saved(tmp_path, state))
    assert log.text == ""
    state[name].view(-1)[0] = torch.nan
    load_weights(network(seed=1), saved(tmp_path, state))
    assert f"weights with NaN, of which the network can only make NaN: {name} (1 of" in log.text


def test_a_long_list_is_cut():
    with pytest.raises(TrainingError, match=r"missing \(9\): body.0.weight, (.*, ){7}…"):
        set_weights(network().unwrapped, {}, "problem")


@pytest.mark.parametrize("keep", [0, 10, 600])
def test_a_damaged_weight_file_says_so(tmp_path, keep):
    path = tmp_path / "a.pt"
    saved(tmp_path, network().unwrapped.state_dict())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=r"a\.pt: no readable weights \(damaged"):
        load_weights(network(), path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    with pytest.raises(
        TrainingError, match=r"holding more than tensors \(.*Net\).*torch\.save\(model\.state_dict"
    ):
        load_weights(network(), saved(tmp_path, network().unwrapped))


def test_a_file_that_is_no_state_dict_and_one_that_is_not_there(tmp_path):
    path = saved(tmp_path, {"epoch": 3, "counts": {}}, "net_state.pt")
    with pytest.raises(
        TrainingError, match=r"expected a state_dict.*not dict with 'epoch', 'counts'"
    ):
        load_weights(network(), path)
    with pytest.raises(TrainingError, match=r"no such file.*did you mean 'net_state\.pt'"):
        load_weights(network(), tmp_path / "net_stat.pt")


def test_the_state_of_an_optimizer_is_not_taken_for_weights(tmp_path):
    optimizer = torch.optim.Adam(network().unwrapped.parameters())
    with pytest.raises(
        TrainingError,
        match=r"the state of an optimizer; the weights are in .*net_epoch-3_state\.pt",
    ):
        load_weights(network(), saved(tmp_path, optimizer.state_dict(), "net_epoch-3_optimizer.pt"))


def test_weights_under_a_prefix(tmp_path):
    path = saved(
        tmp_path,
        {f"mod.part.{name}": value for name, value in network(1).unwrapped.state_dict().items()}
        | {"mod.fc": torch.zeros(1)},
    )
    loaded = network(2)
    load_weights(loaded, f"{path}:mod.part")
    assert torch.equal(loaded.unwrapped.head.weight, network(1).unwrapped.head.weight)
    with pytest.raises(
        TrainingError, match=r"a\.pt: no weights under 'mod\.pat'; did you mean 'mod\.part'"
    ):
        load_weights(loaded, f"{path}:mod.pat")


# --- fine-tuning


def test_fine_tuning_takes_what_fits_and_lists_the_rest(tmp_path, log):
    """A published network of ten classes starts one of two: the body is loaded, the head is not."""
    published = network(1, classes=10).unwrapped.state_dict() | {"fc.weight": torch.zeros(1)}
    mine, head = network(2), network(2).unwrapped.head.weight
    load_partial_weights(mine, saved(tmp_path, published))
    assert torch.equal(mine.unwrapped.body[0].weight, published["body.0.weight"])
    assert torch.equal(mine.unwrapped.head.weight, head)
    assert "a.pt: 7 of 10 weights loaded into the network's 9" in log.text
    assert "unexpected (1): fc.weight" in log.text
    assert (
        "of another shape (2): head.weight is (2, 3) in the network, (10, 3) in the file, head.bias"
        in log.text
    )


def test_the_constant_of_a_ratio_is_no_weight_to_begin_with(tmp_path, log):
    published = network(1).unwrapped
    attach_normalisation(published)
    find_normalisation(published).shift.fill_(0.5)
    mine = network(2)
    attach_normalisation(mine.unwrapped)
    load_partial_weights(mine, saved(tmp_path, published.state_dict()))
    assert torch.equal(mine.unwrapped.head.weight, published.head.weight)
    assert find_normalisation(mine.unwrapped).shift == 0
    # all weights are there, and nothing is warned of
    assert [record.levelname for record in log.records] == ["INFO"]
    assert "9 of 9 weights loaded into the network's 9" in log.text

    # it makes no network fit
    other = {"fc.weight": torch.zeros(1), "ratio_normalisation.shift": torch.tensor(0.5)}
    with pytest.raises(TrainingError, match=r"none of its weights fits net\.py"):
        load_partial_weights(mine, saved(tmp_path, other))


def test_weights_can_be_left_out_by_name(tmp_path, log):
    mine, before = network(2), network(2).unwrapped.head.weight
    prepare_network(
        mine,
        NetworkOptions(
            load_model_weights=saved(tmp_path, network(1).unwrapped.state_dict()),
            exclude_model_weights="hea.*,body.1",
        ),
    )
    assert torch.equal(mine.unwrapped.head.weight, before)
    assert torch.equal(mine.unwrapped.body[0].weight, network(1).unwrapped.body[0].weight)
    assert "left out by --exclude-model-weights (7): body.1.bias" in log.text
    assert "missing (7): body.1.weight" in log.text


def test_nothing_that_fits_is_another_network_with_the_nearest_names_and_the_prefix_that_helps(
    tmp_path,
):
    names = ["head.weight", "head.bias", "body.0.bias"]
    state = {f"mod.{name}": network(1).unwrapped.state_dict()[name] for name in names}
    # so few of all that they may fit by accident
    state |= {f"other.{number}": torch.zeros(1) for number in range(9)}
    with pytest.raises(TrainingError) as error:
        load_partial_weights(network(), saved(tmp_path, state))
    message = str(error.value)
    assert "none of its weights fits net.py" in message
    assert "mod.head.weight (did you mean 'head.weight'" in message
    assert "3 of 12 would fit without the prefix 'mod'" in message


# --- checkpoints of any kind


def weights_equal(loaded, state):
    """Whether a network has these weights."""
    own = loaded.unwrapped.state_dict()
    return all(torch.equal(own[name], value) for name, value in state.items())


class Settings:
    """What a library keeps beside the weights."""

    def __init__(self):
        self.rate = 0.1


def lightning(state, **more):
    """A checkpoint as Lightning writes them: settings are objects, moments lie beside."""
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"model.{name}": value for name, value in state.items()}
        | {"loss.weight": torch.ones(2)},
        "hyper_parameters": argparse.Namespace(rate=0.1, settings=Settings()),
        "callbacks": {
            "ModelCheckpoint": {"best": Path("m.ckpt"), "more": defaultdict(list, a=[1])}
        },
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}],
    } | more


def test_a_checkpoint_of_lightning_is_read_without_its_objects(tmp_path, log):
    state = network(1).unwrapped.state_dict()
    path = saved(tmp_path, lightning(state), "last.ckpt")
    mine = network(2)
    load_partial_weights(mine, path)
    assert weights_equal(mine, state)
    left_aside = next(line for line in log.messages if "left aside" in line)
    for name in ("argparse.Namespace", "test_weights.Settings", "collections.defaultdict"):
        assert name in left_aside
    assert "9 of 10 names fit without the prefix 'model'" in log.text
    assert "of each part: body 7 of 7, head 2 of 2" in log.text
    # and by its prefix
    other = network(3)
    load_weights(other, f"{path}:model")
    assert weights_equal(other, state)


def test_damage_is_noticed_beside_objects_too(tmp_path):
    path = tmp_path / "last.ckpt"
    saved(tmp_path, lightning({"w": torch.arange(10_000.0)}), path.name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="its checksum differs"):
        load_partial_weights(network(), str(path))


class Call:
    """Runs code where a checkpoint with it is loaded carelessly."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_nothing_that_a_checkpoint_names_is_called(tmp_path):
    canary = tmp_path / "canary"
    state = network(1).unwrapped.state_dict()
    code = f"open({str(canary)!r}, 'w')"
    mine = network(2)
    load_partial_weights(
        mine, saved(tmp_path, lightning(state, hyper_parameters=Call(exec, code)), "a.ckpt")
    )
    assert weights_equal(mine, state)
    system = Call(os.system, f"touch {canary}")
    with pytest.raises(TrainingError, match="no readable weights"):
        load_partial_weights(
            network(2), saved(tmp_path, lightning(state, hyper_parameters=system), "b.ckpt")
        )
    assert not canary.exists()


def test_names_of_a_part_are_found_in_the_network_that_has_it(tmp_path, log):
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.mod = Net()
            self.more = nn.Linear(1, 1)

    state = network(1).unwrapped.state_dict()
    mine = Network(Wrapper(), ["x"], "net.py")
    load_partial_weights(mine, saved(tmp_path, state))
    assert weights_equal(mine, {f"mod.{name}": value for name, value in state.items()})
    assert "9 of 9 names fit with the prefix 'mod'" in log.text
    assert "of each part: mod 9 of 9, more 0 of 2" in log.text


def test_where_two_networks_of_a_file_fit_it_is_asked_which(tmp_path):
    state = network(1).unwrapped.state_dict()
    both = {
        f"{name}.{key}": value for name in ("student", "teacher") for key, value in state.items()
    }
    path = saved(tmp_path, both)
    with pytest.raises(
        TrainingError, match=r"9 of its weights fit without the prefix 'student' or"
    ):
        load_partial_weights(network(2), path)
    mine = network(2)
    load_partial_weights(mine, f"{path}:teacher")
    assert weights_equal(mine, state)


def test_members_of_an_ensemble_that_are_resumed_together_are_told_apart(tmp_path):
    states = [network(seed).unwrapped.state_dict() for seed in (1, 2)]
    members = [{"weights": state, "steps": 7} for state in states]
    path = saved(tmp_path, {"format": 1, "settings": {"seed": 3}, "members": members})
    with pytest.raises(TrainingError, match=r"9 of its weights fit without the prefix 'member-0'"):
        load_partial_weights(network(3), path)
    mine = network(3)
    load_partial_weights(mine, f"{path}:member-1")
    assert weights_equal(mine, states[1])


def test_an_average_of_torch_is_taken_off_its_wrapper(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(network(1).unwrapped)
    mine = network(2)
    load_partial_weights(mine, saved(tmp_path, averaged.state_dict()))
    assert weights_equal(mine, network(1).unwrapped.state_dict())


def test_a_run_is_named_by_its_prefix(tmp_path):
    state = network(1).unwrapped.state_dict()
    saved(tmp_path, state, "net_best_epoch_state.pt")
    mine = network(2)
    load_partial_weights(mine, str(tmp_path / "net"))
    assert weights_equal(mine, state)


def test_of_several_networks_under_a_prefix_one_is_to_be_named(tmp_path):
    state = network(1).unwrapped.state_dict()
    for number in (0, 1):
        saved(tmp_path, state, f"net_member-{number}_best_epoch_state.pt")
    with pytest.raises(ConfigError, match=r"there are 2 networks; say which: .*net_member-0, .*1$"):
        load_partial_weights(network(2), str(tmp_path / "net"))
    mine = network(2)
    load_partial_weights(mine, str(tmp_path / "net_member-1"))
    assert weights_equal(mine, state)


def test_leaving_out_without_loading_is_a_mistake():
    with pytest.raises(ConfigError, match="there is no --load-model-weights"):
        prepare_network(network(), NetworkOptions(exclude_model_weights="head"))


# --- frozen


def stepped(mine):
    """The state before and after a step on random rows."""
    before = {name: value.clone() for name, value in mine.unwrapped.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in mine.unwrapped.parameters() if p.requires_grad], lr=1.0)
    mine.train().module(torch.randn(20, 2) + 3).square().mean().backward()
    optimizer.step()
    return before, mine.unwrapped.state_dict()


def changed(mine):
    before, after = stepped(mine)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_frozen_weights_do_not_change_and_neither_do_statistics():
    mine = network()
    freeze_weights(mine, "body,nothing.*|head.bias")
    assert changed(mine) == {"head.weight"}
    assert mine.unwrapped.training
    assert not mine.unwrapped.body[1].training


def test_without_freezing_statistics_move():
    assert changed(network()) >= {
        "body.1.running_mean",
        "body.1.running_var",
        "body.1.weight",
        "head.weight",
    }


def test_frozen_statistics_alone_leave_the_norms_weights_free():
    mine = network()
    freeze_weights(mine, r"body\.1\.running")
    assert changed(mine) == {
        "body.0.weight",
        "body.0.bias",
        "body.1.weight",
        "body.1.bias",
        "head.weight",
        "head.bias",
    }


def test_the_older_names_of_attention_are_the_layers_of_today(tmp_path, log):
    network = Network(Block(BlockOptions(embed_dim=8, num_heads=2)), ["x"], "net.py")
    before = {
        name: torch.randn_like(value) for name, value in network.unwrapped.state_dict().items()
    }
    older = {name.replace("in_proj.", "in_proj_"): value for name, value in before.items()}
    assert older.keys() != before.keys()
    load_partial_weights(
        network,
        saved(tmp_path, {f"mod.{name}": value for name, value in older.items()}, "published.pt")
        + ":mod",
    )
    assert all(
        torch.equal(value, before[name]) for name, value in network.unwrapped.state_dict().items()
    )
    assert "left out" not in log.text
    load_weights(network, saved(tmp_path, older, "all.pt"))
