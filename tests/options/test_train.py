"""Flags are the fields of dataclasses."""

from dataclasses import fields
from pathlib import Path

import pytest

from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.weaver_compat.retired_flags import RETIRED


def test_defaults_of_the_command_line_are_those_of_the_dataclasses():
    assert parse_options([]) == RunOptions()


def test_weavers_short_spellings_mean_the_long_flags():
    data = ["-i", "a:x.root", "b:y.root", "-t", "t.root", "-c", "d.yaml"]
    options = parse_options(
        [*data, "-n", "n.py", "-o", "depth", "3", "-o", "wide", "True", "-m", "p/x"]
    )
    assert options.data.data_train == ["a:x.root", "b:y.root"]
    assert options.data.data_config == "d.yaml"
    assert options.data.data_test == ["t.root"]
    assert options.network.network_option == [["depth", "3"], ["wide", "True"]]
    assert options.network.model_prefix == "p/x"


def test_an_empty_gpus_flag_is_kept_apart_from_an_absent_one():
    assert parse_options(["--gpus", ""]).train.gpus == ""
    assert parse_options([]).train.gpus is None


def test_lists_are_not_shared_between_options():
    first = parse_options([])
    first.data.data_train.append("x.root")
    assert parse_options([]).data.data_train == []


def test_numbers_are_converted_and_wrong_ones_refused(capsys):
    assert parse_options(["--batch-size", "7"]).data.batch_size == 7
    with pytest.raises(SystemExit) as stop:
        parse_options(["--batch-size", "many"])
    assert stop.value.code == 2
    assert "--batch-size" in capsys.readouterr().err


def test_every_flag_is_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    flags = [
        "--" + item.name.replace("_", "-")
        for part in fields(RunOptions)
        for item in fields(part.default_factory)
        if item.name != "log"
    ]
    assert [name for name in flags if f"`{name}`" not in page] == []


# Weaver's flags, each with the values of a public script or of its help
SWITCHES = (
    *(
        "--regression-mode",
        "--fetch-by-files",
        "--in-memory",
        "--in-memory-val",
        "--demo",
        "--use-amp",
        "--compile",
        "--compile-optimizer",
    ),
    *("--predict", "--io-test", "--copy-inputs", "--print", "--profile", "--auto-clean"),
)
VALUES = {
    "--run-mode": "train,val",
    "-c": "d.yaml",
    "--data-config": "d.yaml",
    "--data-config-val": "d.yaml",
    "--data-config-test": "d.yaml",
    "--extra-selection-train": "x > 0",
    "--extra-selection-val": "x > 0",
    "--extra-selection-test": "x > 0",
    "-i": "a:x.root b:y.root",
    "--data-train": "a:x.root b:y.root",
    "-l": "x.root",
    "--data-val": "x.root",
    "-t": "a%10:x.root",
    "--data-test": "a%10:x.root",
    "--data-fraction": "0.5",
    "--data-fraction-val": "0.5",
    "--file-fraction": "0.5",
    "--fetch-step": "0.01",
    "--fetch-step-val": "1",
    "--data-split-num": "2",
    "--data-split-val": "2",
    "--train-val-split": "0.8",
    "--lr-finder": "5e-6,5e0,200",
    "--tensorboard": "_particle_net",
    "--tensorboard-custom-fn": "f.py",
    "--custom-functions": "f.py",
    "-n": "n.py",
    "--network-config": "n.py",
    "-o": "use_counts False",
    "--network-option": "use_counts False",
    "-m": "outputs/{auto}/net",
    "--model-prefix": "outputs/{auto}/net",
    "--load-model-weights": "w.pt",
    "--exclude-model-weights": "a.fc..+,b.fc..+",
    "--freeze-model-weights": "a.fc..+,b.fc..+",
    "--num-epochs": "20",
    "--steps-per-epoch": "10",
    "--steps-per-epoch-val": "10",
    "--samples-per-epoch": "10",
    "--samples-per-epoch-val": "10",
    "--optimizer": "ranger",
    "-p": "weight_decay 1e-4",
    "--optimizer-option": "weight_decay 1e-4",
    "--lr-scheduler": "flat+decay",
    "--warmup-steps": "0.25",
    "--load-epoch": "3",
    "--start-lr": "5e-3",
    "--batch-size": "128",
    "--batch-size-val": "128",
    "--batch-size-test": "128",
    "--amp-dtype": "fp16",
    "--compiler-option": "dynamic False",
    "--gpus": "0,1",
    "--predict-gpus": "0",
    "--num-workers": "1",
    "--prefetch-factor": "4",
    "--predict-output": "pred.root",
    "--export-onnx": "m.onnx",
    "--onnx-opset": "15",
    "--log-file": "logs/{auto}.log",
    "--log": "logs/{auto}.log",
    "--backend": "nccl",
    "--cross-validation": "event%5",
}
WEAVER = (
    [[switch] for switch in SWITCHES]
    + [["--no-" + switch[2:]] for switch in SWITCHES]
    + [["--no-remake-weights"]]
)
WEAVER += [
    [name, values] if name.startswith("--extra") else [name, *values.split()]
    for name, values in VALUES.items()
]


@pytest.mark.parametrize("arguments", WEAVER, ids=" ".join)
def test_every_flag_of_weaver_is_accepted_or_says_what_replaces_it(arguments, caplog):
    name = arguments[0]
    with caplog.at_level("WARNING"):
        options = parse_options(arguments)
    if name.replace("--no-", "--") in RETIRED:
        assert f"{name} is not needed: " in caplog.text
    else:
        assert caplog.text == ""
        assert isinstance(options, RunOptions)


def test_no_flag_of_the_installed_weaver_is_forgotten():
    train = pytest.importorskip("weaver.train")
    theirs = {name for action in train.parser._actions for name in action.option_strings} - {
        "-h",
        "--help",
    }
    assert theirs - {arguments[0] for arguments in WEAVER} == set()


def test_a_misspelt_flag_is_met_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_options(["--batch-sze", "32"])
    assert stop.value.code == 2
    assert "--batch-sze: no such flag; did you mean '--batch-size'" in capsys.readouterr().err


def test_an_abbreviated_flag_is_refused_with_the_full_one(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_options(["--num-ep=3"])
    assert stop.value.code == 2
    assert "--num-ep: flags are not abbreviated; write --num-epochs" in capsys.readouterr().err


def test_a_value_that_belongs_to_no_flag_is_named(capsys):
    with pytest.raises(SystemExit):
        parse_options(["--batch-size", "3", "4"])
    assert "4: no flag takes this value" in capsys.readouterr().err
