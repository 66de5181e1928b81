"""The ratio of two groups of files, from the data YAML to C++'s graph, as a user makes one."""

import json

import awkward as ak
import numpy as np
import pytest
import yaml

from weaver_tt import cli
from weaver_tt.config.load import load_config

ROWS = 400


@pytest.fixture
def story(tmp_path):
    """Writes a YAML and jets of data and simulation, and runs commands on them."""
    random = np.random.default_rng(1)

    class Story:
        folder = tmp_path

        def __init__(self):
            self.columns = {}

        def write(self, *groups, drop=(), derived=None, **task):
            for number, name in enumerate(groups):
                columns = {
                    "pt": random.exponential(60 + 20 * number, ROWS).astype(np.float32),
                    "eta": random.normal(0, 1, ROWS).astype(np.float32),
                    "genweight": random.choice([-0.5, 1.0], ROWS, p=[0.2, 0.8]),
                    # of the rows of data, one of four is in fold 1; of simulation, three of four
                    "event": (random.random(ROWS) < 0.25 + 0.5 * number).astype(np.int64),
                }
                for column in drop if name == "mc" else ():
                    del columns[column]
                self.columns[name] = columns
                ak.to_parquet(ak.Array(columns), tmp_path / f"jets_{name}.parquet")
            values = {
                # which sample a row is of is said by the name of its file
                "file_magic": {name: {f"jets_{name}": 1} for name in ("data", "mc")},
                "inputs": {"jet": {"length": None, "vars": [["pt", 60, 0.02], ["eta", 0, 1]]}},
                "labels": {"type": "simple", "value": ["data", "mc"]},
                "event_weight": "genweight",
                "task": {"name": "density_ratio", "numerator": "data", **task},
            }
            if derived:
                values["derived_outputs"] = derived
            (tmp_path / "data.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
            return [f"{name}:{tmp_path / f'jets_{name}.parquet'}" for name in groups]

        def run(self, *flags):
            common = ["-c", tmp_path / "data.yaml", "-m", tmp_path / "net", "--no-figures"]
            common += ["-n", "weaver_tt:mlp", "-o", "layers", "8"]
            return cli.train([str(flag) for flag in [*common, *flags]])

        def train(self, files, *flags):
            return self.run(
                # 320 of 400 rows are trained on: no batch is smaller, and left out
                *("-i", *files, "--num-epochs", 1, "--batch-size", 80, "--tensorboard", "off"),
                *flags,
            )

        def predict(self, model, files, *more):
            flags = ["-c", tmp_path / "data.yaml", "-m", model, "-t", *files, "--no-figures"]
            if model.suffix != ".onnx":
                flags += ["-n", "weaver_tt:mlp", "-o", "layers", "8"]
            flags += ["--predict", "--predict-output", tmp_path / "pred.parquet", *more]
            assert cli.train([str(flag) for flag in flags]) == 0
            metrics = json.loads((tmp_path / "pred_metrics.json").read_text())["metrics"]
            return ak.from_parquet(tmp_path / "pred.parquet"), metrics

    return Story()


def test_a_ratio_is_learnt_predicted_and_exported_in_its_normalisation(story, capsys):
    derived = {"log_ratio": "np.log(ratio)", "scaled_pt": "pt * ratio"}
    files = story.write("data", "mc", derived=derived, loss="lsif", normalise="yield")
    assert story.train(files, "--ensemble", 2) == 0
    fitted = load_config(str(story.folder / "net.auto.yaml")).density_ratio
    unnamed = [path.partition(":")[2] for path in files]
    predicted, metrics = story.predict(story.folder / "net", unnamed)
    ratio, spread, of_mc = (ak.to_numpy(predicted[name]) for name in ("ratio", "ratio_std", "mc"))
    assert (ratio > 0).all()
    assert (spread > 0).any()
    np.testing.assert_allclose(predicted["log_ratio"], np.log(ratio), rtol=1e-5, atol=1e-6)
    pt = np.concatenate([story.columns[name]["pt"] for name in ("data", "mc")])
    np.testing.assert_allclose(predicted["scaled_pt"], pt * ratio, rtol=1e-5)
    assert fitted.mean == fitted.sums["data"] / fitted.sums["mc"]
    under_mc = np.average(ratio[of_mc == 1], weights=story.columns["mc"]["genweight"])
    assert metrics["mean_ratio"] == pytest.approx(under_mc, rel=1e-6)
    # on the rows of training and validation each member has the mean that it is to have
    assert under_mc == pytest.approx(fitted.mean, rel=1e-5)

    # a folder of its own has all that a prediction needs
    onnx = story.folder / "exported" / "model.onnx"
    assert story.run("--export-onnx", onnx) == 0
    by_graph, of_graph = story.predict(onnx, unnamed)
    np.testing.assert_allclose(by_graph["ratio"], predicted["ratio"], rtol=1e-5)
    np.testing.assert_allclose(by_graph["scaled_pt"], predicted["scaled_pt"], rtol=1e-5)
    spread = predicted["scaled_pt_std"]
    np.testing.assert_allclose(by_graph["scaled_pt_std"], spread, rtol=1e-3, atol=1e-3)
    assert of_graph["mean_ratio"] == pytest.approx(metrics["mean_ratio"], rel=1e-5)

    assert cli.main(["report", str(story.folder / "pred.parquet")]) == 1
    assert "a prediction of the ratio of two samples" in capsys.readouterr().err


@pytest.mark.parametrize("normalise", ["unit", "yield"])
def test_the_best_epoch_is_normalised_when_the_training_ends(story, capsys, normalise):
    files = story.write("data", "mc", normalise=normalise)
    flags = ["--train-val-split", 0.5, "--start-lr", 0.1, "--lr-scheduler", "none", "--seed", 2]
    assert story.train(files, *flags, "--num-epochs", 2) == 0
    expected = load_config(str(story.folder / "net.auto.yaml")).density_ratio.mean
    assert "on the rows of training and validation; times" in capsys.readouterr().err
    unnamed = [path.partition(":")[2] for path in files]
    _, metrics = story.predict(story.folder / "net", unnamed)
    assert metrics["mean_ratio"] == pytest.approx(expected, rel=1e-5)
    weights = (story.folder / "net_best_epoch_state.pt").read_bytes()
    # there is nothing left to train or to measure
    capsys.readouterr()
    assert story.train(files, *flags, "--num-epochs", 2, "--resume") == 0
    assert "on the rows of training" not in capsys.readouterr().err
    assert (story.folder / "net_best_epoch_state.pt").read_bytes() == weights
    # of the epochs that are added, the training's own weights are the beginning
    assert story.train(files, *flags, "--num-epochs", 4, "--resume") == 0
    resumed, metrics = story.predict(story.folder / "net", unnamed)
    assert metrics["mean_ratio"] == pytest.approx(expected, rel=1e-5)
    assert story.train(files, *flags, "--num-epochs", 4, "--overwrite") == 0
    at_once, _ = story.predict(story.folder / "net", unnamed)
    np.testing.assert_allclose(resumed["ratio"], at_once["ratio"], rtol=1e-5)


def test_two_groups_of_files_are_the_samples_whatever_their_folder_is_called(story, capsys):
    story.write("data", "mc", denominator="mc")
    written = yaml.safe_load((story.folder / "data.yaml").read_text())
    del written["labels"], written["file_magic"]
    (story.folder / "data.yaml").write_text(yaml.safe_dump(written))
    folder = story.folder / "data"
    folder.mkdir()
    groups = []
    for number, name in enumerate(("data", "mc")):
        # nothing in a path says what it is
        path = folder / f"{number}.parquet"
        (story.folder / f"jets_{name}.parquet").rename(path)
        groups.append(f"{name}:{path}")
    unnamed = [group.partition(":")[2] for group in groups]
    assert story.train(unnamed) == 1
    said = capsys.readouterr().err
    assert "-i has no group of files 'data' or 'mc', but files without a name alone; write" in said
    assert story.train(groups) == 0
    said = capsys.readouterr().err
    for name in ("data", "mc"):
        weight = story.columns[name]["genweight"][:320].sum()
        assert f"{name}: 320 rows, sum of weights {weight:.6g}" in said
    flags = ["--predict", "-t", *groups, "--predict-output", story.folder / "pred.parquet"]
    assert story.run(*flags) == 0
    predicted = ak.from_parquet(story.folder / "pred_mc.parquet")
    assert ak.all(predicted["mc"] == 1)
    assert ak.all(predicted["data"] == 0)
    # nothing says what files without a name are, and they have a ratio, as data have
    capsys.readouterr()
    flags = ["--predict", "-t", unnamed[1], "--predict-output", story.folder / "pred.parquet"]
    assert story.run(*flags) == 0
    predicted = ak.from_parquet(story.folder / "pred.parquet")
    assert predicted.fields == ["ratio"]
    assert len(predicted["ratio"]) == ROWS
    assert "WARNING" not in capsys.readouterr().err


def test_folds_are_judged_together_by_the_yields_of_all_of_them(story, capsys):
    files = story.write("data", "mc", normalise="yield")
    folds = ["--cross-validation", "event%2"]
    assert story.train(files, *folds) == 0
    capsys.readouterr()
    unnamed = [path.partition(":")[2] for path in files]
    predicted, metrics = story.predict(story.folder / "net", unnamed, *folds)
    assert len(predicted) == 2 * ROWS
    fitted = [
        load_config(str(story.folder / f"net_fold-{fold}.auto.yaml")).density_ratio
        for fold in (0, 1)
    ]
    expected = sum(one.sums["data"] for one in fitted) / sum(one.sums["mc"] for one in fitted)
    assert min(one.mean for one in fitted) < expected / 1.5
    assert max(one.mean for one in fitted) > expected * 1.5
    # the rows of a fold have other yields than those that its network has seen
    assert abs(metrics["mean_ratio"] - expected) > 3 * metrics["mean_ratio_error"]
    assert f"from the {expected:.5g} of `normalise: yield`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("groups", "drop", "message"),
    [
        (["data"], [], "no row of the training data is of 'mc', and 320 of 'data'"),
        (["data", "mc"], ["eta"], "jets_mc.parquet"),
    ],
)
def test_what_has_no_ratio_is_refused_before_the_training(story, capsys, groups, drop, message):
    files = story.write(*groups, drop=drop)
    assert story.train(files) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "epoch 0" not in said
