"""Flags that were given in vain are said, each with the reason."""

from collections import Counter
from dataclasses import fields

import pytest

from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.run import unused_flags
from weaver_tt.run.unused_flags import flags_without_effect, kind_of_run

TRAINING = ["-i", "a.root", "-c", "d.yaml", "-n", "n.py"]
PREDICTION = ["--predict", "-t", "a.root", "-c", "d.yaml", "-n", "n.py", "-m", "m/net"]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (TRAINING, []),
        ([*TRAINING, "--num-epochs", "3", "-t", "b.root", "--predict-output", "p.root"], []),
        (
            [*TRAINING, "--predict-output", "p.root", "--batch-size-test", "9"],
            [
                "no effect (nothing is predicted without --data-test): "
                "--batch-size-test, --predict-output"
            ],
        ),
        (
            [*TRAINING, "-t", "b.root", "--run-mode", "train,val"],
            ["no effect (--run-mode train,val predicts nothing): --data-test"],
        ),
        (
            [*TRAINING, "-l", "b.root", "--train-val-split", "0.5"],
            ["no effect (--data-val gives the validation files): --train-val-split"],
        ),
        (
            [*TRAINING, "--train-val-split", "1", "--batch-size-val", "4"],
            ["no effect (--train-val-split 1 leaves nothing to validate on): --batch-size-val"],
        ),
        (
            [*TRAINING, "--amp-dtype", "fp16", "--compiler-option", "dynamic", "true"],
            [
                "no effect (without --use-amp): --amp-dtype",
                "no effect (without --compile and --compile-optimizer): --compiler-option",
            ],
        ),
        ([*TRAINING, "--use-amp", "--amp-dtype", "fp16"], []),
        # its bar is left out
        ([*PREDICTION, "--no-progress"], []),
        ([*TRAINING, "--sync-batchnorm"], ["no effect (on one process): --sync-batchnorm"]),
        ([*TRAINING, "--sync-batchnorm", "--backend", "gloo"], []),
        (
            [*TRAINING, "--lr-scheduler", "none", "--warmup-steps", "0.1"],
            ["no effect (--lr-scheduler none has no warm-up): --warmup-steps"],
        ),
        ([*TRAINING, "--lr-scheduler", "flat+cos", "--warmup-steps", "0.1"], []),
        (
            [*TRAINING, "--plateau-factor", "0.2", "--early-stopping-threshold", "1e-4"],
            [
                "no effect (--lr-scheduler flat+decay follows no metric): --plateau-factor",
                "no effect (without --early-stopping): --early-stopping-threshold",
            ],
        ),
        (
            [
                *(*TRAINING, "--lr-scheduler", "reduce-on-plateau", "--plateau-patience", "5"),
                *("--early-stopping", "7", "--early-stopping-threshold", "1e-4"),
            ],
            [],
        ),
        (
            [*TRAINING, "--onnx-opset", "15", "--overwrite"],
            [
                "no effect (in a training): --onnx-opset",
                "no effect (models/{auto}/network is a new prefix): --overwrite",
            ],
        ),
        (
            [*TRAINING, "-m", "m/net", "--load-epoch", "1", "--load-model-weights", "w.pt"],
            [
                "no effect (the weights of the run that is continued take their place): "
                "--load-model-weights"
            ],
        ),
        (PREDICTION, []),
        (
            [*PREDICTION, "--num-epochs", "3", "--onnx-opset", "15", "--data-train", "a.root"],
            ["no effect (in --predict): --data-train, --num-epochs, --onnx-opset"],
        ),
        (
            [*PREDICTION, "-m", "m/net_epoch-3_state.pt", "--load-epoch", "2"],
            ["no effect (-m m/net_epoch-3_state.pt is one epoch): --load-epoch"],
        ),
        (["--run-mode", "test", *PREDICTION[1:]], []),
        (
            [*TRAINING, "--lr-finder", "1e-5,1,50", "--start-lr", "1", "--overwrite"],
            ["no effect (in --lr-finder): --overwrite, --start-lr"],
        ),
        (
            [*TRAINING, "--io-test", "--seed", "3"],
            ["no effect (in --io-test): --network-config, --seed"],
        ),
        (
            ["--export-onnx", "m.onnx", "-c", "d.yaml", "-n", "n.py", "-m", "m/net", "--gpus", ""],
            ["no effect (in --export-onnx): --gpus"],
        ),
    ],
)
def test_each_flag_in_vain_is_said_with_the_reason(arguments, lines):
    assert flags_without_effect(parse_options(arguments)) == lines


def test_every_option_is_one_of_a_kind():
    groups = [
        value
        for name, value in vars(unused_flags).items()
        if name.isupper() and isinstance(value, tuple)
    ]
    counts = Counter(name for group in groups for name in group)
    options = RunOptions()
    known = [item.name for part in fields(options) for item in fields(getattr(options, part.name))]
    # a new flag belongs to one of the lists
    assert counts == Counter(known)
    for names in unused_flags.WITHOUT_EFFECT.values():
        assert set(names) <= set(known)


def test_the_kind_of_a_run_is_the_first_that_a_run_looks_at():
    assert kind_of_run(parse_options([*TRAINING, "--print", "--io-test"])) == "--print"
    assert kind_of_run(parse_options(TRAINING)) == "a training"


def test_a_run_says_it(small_run, capsys):
    assert small_run("--predict-output", "p.root") == 0
    assert "--predict-output" in capsys.readouterr().err
