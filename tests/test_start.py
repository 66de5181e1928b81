"""What a run is asked for, before any data is read."""

import pytest
import torch

from weaver_tt import start
from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError
from weaver_tt.options import parse_options

TRAINING = ["-i", "a.root", "-c", "d.yaml", "-n", "n.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data-config and --network-config and --data-train must be given"),
        (["--predict", "-c", "d.yaml", "-m", "model.onnx"], "^--data-test must be given"),
        ([*TRAINING, "--predict", "-t", "b.root"], "--model-prefix must name a trained network"),
        ([*TRAINING, "--cross-validation", "event%2", "-m", "x", "--export-onnx", "m.onnx"], "needs a prefix"),
        ([*TRAINING, "--ensemble", "0"], "at least one member"),
        ([*TRAINING, "--seed", "-1"], "not negative"),
        ([*TRAINING, "--samples-per-epoch", "9", "--steps-per-epoch", "1"], "give one of them"),
        ([*TRAINING, "--samples-per-epoch-val", "9", "--steps-per-epoch-val", "1"], "-val say the same"),
        ([*TRAINING, "--file-fraction", "1.5"], "--file-fraction 1.5: expected a share"),
        ([*TRAINING, "--run-mode", "tset"], "'tset'; did you mean 'test'"),
        ([*TRAINING, "-t", "b.root", "-m", "x", "--predict", "--export-onnx", "m.onnx"], "two runs"),
    ],
)
def test_flags_that_are_missing_or_contradict_each_other_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        start.check_options(parse_options(arguments))


def test_what_is_complete_passes():
    start.check_options(parse_options(TRAINING))
    start.check_options(parse_options(["--print", "-c", "d.yaml", "-n", "n.py"]))
    start.check_options(parse_options(["--run-mode", "test", "-t", "b.root", "-c", "d.yaml", "-m", "model.onnx"]))


def test_regression_mode_makes_sure_of_the_labels(tmp_path):
    inputs = {"inputs": {"event": {"length": None, "vars": ["x"]}}}
    classes = from_mapping(inputs | {"labels": {"type": "simple", "value": ["isa", "isb"]}}, "d.yaml")
    target = from_mapping(inputs | {"labels": {"type": "custom", "value": {"y": "2 * x"}}}, "d.yaml")
    start.check_config(target, parse_options([*TRAINING, "--regression-mode"]))
    start.check_config(classes, parse_options([*TRAINING, "--no-regression-mode"]))
    with pytest.raises(ConfigError, match=r"--regression-mode: the labels of d\.yaml are classes"):
        start.check_config(classes, parse_options([*TRAINING, "--regression-mode"]))
    (tmp_path / "other.yaml").write_text("inputs: {event: {length: null, vars: [z]}}")
    with pytest.raises(ConfigError, match=r"inputs\.event: z"):
        start.check_config(classes, parse_options([*TRAINING, "--data-config-test", str(tmp_path / "other.yaml")]))


def test_a_demo_is_short(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.root").touch()
    small = start.demo_options(
        parse_options(["-i", f"x:{tmp_path}/*", f"{tmp_path}/c.root", "--samples-per-epoch", "100000", "--steps-per-epoch-val", "3", "--demo"])
    )
    assert small.data.data_train == [f"x:{tmp_path}/a.root", f"x:{tmp_path}/b.root", f"_:{tmp_path}/c.root"]
    assert (small.data.steps_per_epoch, small.data.samples_per_epoch, small.data.steps_per_epoch_val, small.train.num_epochs) == (20, None, 3, 2)
    assert start.demo_options(parse_options(["--num-epochs", "1"])).train.num_epochs == 1


def test_an_io_test_needs_data_only():
    start.check_options(parse_options(["--io-test", "-c", "d.yaml", "-t", "a.root"]))
    with pytest.raises(ConfigError, match=r"^--data-train must be given"):
        start.check_options(parse_options(["--io-test", "-c", "d.yaml"]))


def test_no_gpus_is_the_cpu():
    assert start.choose_device("") == torch.device("cpu")


def test_gpus_are_indices_that_this_machine_has():
    with pytest.raises(ConfigError, match="expected indices such as 0 or 0,1"):
        start.choose_device("gpu0")
    with pytest.raises(ConfigError, match=f"this machine has {torch.cuda.device_count()} GPU"):
        start.choose_device("99")


def test_one_device_starts_no_ranks():
    assert not start.launches_ranks(parse_options([*TRAINING, "--gpus", "0"]))
    assert not start.launches_ranks(parse_options([*TRAINING, "--gpus", ""]))
    assert not start.launches_ranks(parse_options([*TRAINING, "--gpus", "0,1", "--profile"]))
    assert not start.launches_ranks(parse_options([*TRAINING, "--gpus", "0,1", "--backend", "nccl"]))


def test_several_gpus_start_one_rank_each(monkeypatch):
    commands = []

    def begin(command, check):
        commands.append(command)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(start.subprocess, "run", begin)
    monkeypatch.setattr(start.sys, "argv", ["train.py", *TRAINING, "--gpus", "0,2"])
    assert start.launches_ranks(parse_options([*TRAINING, "--gpus", "0,2"]))
    assert "--nproc-per-node=2" in commands[0]
    assert commands[0][-2:] == ["--backend", "nccl"]
