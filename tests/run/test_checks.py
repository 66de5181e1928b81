"""What a run is asked for, before any data is read."""

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError
from weaver_tt.options.train import parse_options
from weaver_tt.run import checks

TRAINING = ["-i", "a.root", "-c", "d.yaml", "-n", "n.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data-config and --network-config and --data-train must be given"),
        (["--predict", "-c", "d.yaml", "-m", "model.onnx"], "^--data-test must be given"),
        ([*TRAINING, "--predict", "-t", "b.root"], "--model-prefix must name a trained network"),
        (
            [*TRAINING, "--cross-validation", "event%2", "-m", "x", "--export-onnx", "m.onnx"],
            "needs a prefix",
        ),
        ([*TRAINING, "--ensemble", "0"], "--ensemble 0: expected a number of at least 1"),
        ([*TRAINING, "--seed", "-1"], "--seed -1: expected a number of at least 0"),
        ([*TRAINING, "--samples-per-epoch", "9", "--steps-per-epoch", "1"], "give one of them"),
        ([*TRAINING, "--steps-per-epoch", "0"], "--steps-per-epoch 0: expected at least 1, or -1"),
        ([*TRAINING, "--steps-per-epoch-val", "0"], "--steps-per-epoch-val 0: expected at least"),
        (
            [*TRAINING, "--samples-per-epoch-val", "9", "--steps-per-epoch-val", "1"],
            "-val say the same",
        ),
        (
            [*TRAINING, "--file-fraction", "1.5"],
            "--file-fraction 1.5: expected a number above 0 and at most 1",
        ),
        ([*TRAINING, "--data-fraction", "0"], "--data-fraction 0: expected a number above 0"),
        ([*TRAINING, "--batch-size", "0"], "--batch-size 0: expected a number of at least 1"),
        ([*TRAINING, "--num-workers", "-1"], "--num-workers -1: expected a number of at least 0"),
        ([*TRAINING, "--start-lr", "0"], "--start-lr 0: expected a number above 0"),
        ([*TRAINING, "--clip-gradient", "inf"], "expected a finite number above 0"),
        ([*TRAINING, "--plateau-factor", "1"], "--plateau-factor 1: expected a number above 0 and"),
        ([*TRAINING, "--plateau-threshold", "x"], "--plateau-threshold x: expected a number of at"),
        (
            [*TRAINING, "--early-stopping-threshold", "-1"],
            "--early-stopping-threshold -1: expected a number of at",
        ),
        ([*TRAINING, "--onnx-opset", "3"], "of at least 7 and at most 18"),
        ([*TRAINING, "--onnx-opset", "19"], "of at least 7 and at most 18"),
        ([*TRAINING, "--num-threads", "100000"], "--num-threads 100000: expected"),
        ([*TRAINING, "--steps-per-epoch", "-5"], "-5: expected at least 1, or -1 for one pass"),
        ([*TRAINING, "--seed", str(2**64)], f"--seed {2**64}: expected"),
        ([*TRAINING, "--run-mode", "tset"], "'tset'; did you mean 'test'"),
        (
            [*TRAINING, "-t", "b.root", "-m", "x", "--predict", "--export-onnx", "m.onnx"],
            "two runs",
        ),
        ([*TRAINING, "-p", "use_gc", "0"], "use_gc: expected true or false, found 0"),
        ([*TRAINING, "--optimizer", "adm"], "--optimizer 'adm'; did you mean"),
        ([*TRAINING, "-p", "clip_grad_norm", "big"], "clip_grad_norm: expected a number"),
        (
            [*TRAINING, "--compile", "--compiler-option", "dynamic_", "true"],
            "unknown key 'dynamic_'; did you mean 'dynamic'",
        ),
    ],
)
def test_flags_that_are_missing_or_contradict_each_other_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        checks.check_options(parse_options(arguments))


def test_what_is_complete_passes():
    checks.check_options(parse_options(TRAINING))
    checks.check_options(parse_options(["--print", "-c", "d.yaml", "-n", "n.py"]))
    checks.check_options(
        parse_options(["--run-mode", "test", "-t", "b.root", "-c", "d.yaml", "-m", "model.onnx"])
    )


def test_regression_mode_makes_sure_of_the_labels(tmp_path):
    inputs = {"inputs": {"event": {"length": None, "vars": ["x"]}}}
    classes = from_mapping(
        inputs | {"labels": {"type": "simple", "value": ["isa", "isb"]}}, "d.yaml"
    )
    target = from_mapping(
        inputs | {"labels": {"type": "custom", "value": {"y": "2 * x"}}}, "d.yaml"
    )
    checks.check_config(target, parse_options([*TRAINING, "--regression-mode"]))
    checks.check_config(classes, parse_options([*TRAINING, "--no-regression-mode"]))
    with pytest.raises(ConfigError, match=r"--regression-mode: the labels of d\.yaml are classes"):
        checks.check_config(classes, parse_options([*TRAINING, "--regression-mode"]))
    sections = [
        {"type": "simple", "value": ["isa", "isb"]},
        {"type": "custom", "value": {"y": "2 * x"}},
    ]
    both = from_mapping(inputs | {"labels": sections}, "d.yaml")
    with pytest.raises(ConfigError, match=r"--regression-mode: the labels of d\.yaml are classes"):
        checks.check_config(both, parse_options([*TRAINING, "--regression-mode"]))
    (tmp_path / "other.yaml").write_text("inputs: {event: {length: null, vars: [z]}}")
    with pytest.raises(ConfigError, match=r"inputs\.event: z"):
        checks.check_config(
            classes, parse_options([*TRAINING, "--data-config-test", str(tmp_path / "other.yaml")])
        )


def test_an_io_test_needs_data_only():
    checks.check_options(parse_options(["--io-test", "-c", "d.yaml", "-t", "a.root"]))
    with pytest.raises(ConfigError, match=r"^--data-train must be given"):
        checks.check_options(parse_options(["--io-test", "-c", "d.yaml"]))


CONFIG = from_mapping({"inputs": {"event": {"length": None, "vars": ["x"]}}}, "d.yaml")


def leaks(*flags, config=CONFIG):
    return checks.describe_leaks(config, parse_options(list(flags)).data)


def test_a_file_that_is_trained_on_and_validated_on_is_named_as_it_was_given(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.root").touch()
    (tmp_path / "link.root").symlink_to(tmp_path / "b.root")
    files = ["-i", f"{tmp_path}/a.root", f"x:{tmp_path}/b.root"]
    assert leaks(*files, "-l", f"{tmp_path}/c.root") == []
    (found,) = leaks(*files, "-l", f"y:{tmp_path}/link.root")
    assert found.startswith(
        f"1 file is both in --data-train and in --data-val ({tmp_path}/link.root): "
    )


def test_rows_of_the_same_files_that_are_divided_by_a_column_are_no_leak(tmp_path):
    (tmp_path / "a.root").touch()
    files = ["-i", f"{tmp_path}/a.root", "-l", f"{tmp_path}/a.root"]
    selections = ["--extra-selection-train", "n%5 != 0", "--extra-selection-val", "n%5 == 0"]
    assert leaks(*files, *selections) == []
    assert len(leaks(*files)) == 1


def test_rows_that_the_selections_of_two_yamls_divide_are_no_leak(tmp_path):
    (tmp_path / "a.root").touch()
    yaml = tmp_path / "val.yaml"
    inputs = "inputs: {event: {length: null, vars: [x]}}"
    files = ["-i", f"{tmp_path}/a.root", "-l", f"{tmp_path}/a.root", "--data-config-val", str(yaml)]
    yaml.write_text(f"selection: n % 5 == 0\n{inputs}")
    assert leaks(*files) == []
    yaml.write_text(inputs)
    assert len(leaks(*files)) == 1


def test_training_files_alone_are_no_leak(tmp_path):
    (tmp_path / "a.root").touch()
    assert leaks("-i", f"{tmp_path}/a.root") == []
