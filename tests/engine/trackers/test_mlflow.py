"""What MLflow keeps of a training, in a store of files."""

import logging
import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from weaver_tt.engine.trackers.base import RunDescription
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.engine.trackers.mlflow import allowed_name, without_password
from weaver_tt.errors import OutputError
from weaver_tt.options.train import TrainOptions

with warnings.catch_warnings():
    # of what it imports
    warnings.simplefilter("ignore")
    mlflow = pytest.importorskip("mlflow")

ABOUT = RunDescription(
    name="models/net_member-0",
    group="models/net",
    settings={"batch_size": 128, "network.hidden": 64},
    texts={"data.yaml": "labels:\n"},
)
PNG = b"\x89PNG"
OFFLINE = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_EXPERIMENT_NAME": "tagging",
}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A client of a store of files, in which trainings are kept."""
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


def train(prefix, epochs, settings=ABOUT.settings, **options):
    about = RunDescription(name=ABOUT.name, group=ABOUT.group, settings=settings, texts=ABOUT.texts)
    with make_tracker(
        TrainOptions(tensorboard="off", tracker="mlflow", **options), str(prefix), about
    ) as tracker:
        for epoch in epochs:
            tracker.interval({"loss": 1.5}, 50 * epoch + 50)
            values = {"val/loss": 1 / (1 + epoch), "val/rejection@0.5": 8.0}
            tracker.epoch(values, epoch, lambda: {"roc@0.5": Figure()})
        tracker.finish({"loss": 0.25}, epochs[-1])


def runs(store):
    experiment = store.get_experiment_by_name("tagging")
    return store.search_runs([experiment.experiment_id])


@pytest.mark.filterwarnings("ignore")
def test_a_training_is_a_run_that_a_resumed_one_goes_on_with(store, tmp_path):
    train(tmp_path / "net", [0, 1])
    [run] = runs(store)
    assert (run.info.run_name, run.info.status) == ("models/net_member-0", "FINISHED")
    assert run.data.tags["group"] == "models/net"
    assert run.data.params == {"batch_size": "128", "network.hidden": "64"}
    assert run.data.metrics["val/rejection_0.5"] == 8
    assert run.data.metrics["best/loss"] == 0.25
    text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/data.yaml")
    assert text == "labels:\n"
    [figure] = store.list_artifacts(run.info.run_id, "plots/roc_0.5")
    assert figure.path == "plots/roc_0.5/epoch_0000.png"
    file = store.download_artifacts(run.info.run_id, figure.path, str(tmp_path))
    assert Path(file).read_bytes().startswith(PNG)
    # another number of epochs, and one of them again
    train(tmp_path / "net", [1, 2], {**ABOUT.settings, "num_epochs": 3}, resume=True)
    [run] = runs(store)
    assert run.data.params["num_epochs"] == "3"
    history = store.get_metric_history(run.info.run_id, "val/loss")
    assert [(point.step, point.value) for point in history] == [(0, 1), (1, 0.5), (2, 1 / 3)]
    assert [point.step for point in store.get_metric_history(run.info.run_id, "step/loss")] == [
        *(50, 100, 150)
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_gone_is_an_error_that_names_it(store, tmp_path):
    (tmp_path / "net_trackers.json").write_text(
        '{"mlflow": {"run": "0123456789abcdef0123456789abcdef", "epoch": 0, "step": 0}}'
    )
    with pytest.raises(OutputError, match=r"the run 0123456789abcdef.* of .*net_trackers\.json"):
        train(tmp_path / "net", [1], resume=True)


def test_names_have_the_characters_that_mlflow_takes():
    assert allowed_name("val/rejection@0.5_top") == "val/rejection_0.5_top"


@pytest.mark.filterwarnings("ignore")
def test_the_log_says_where_the_run_is_without_the_password_of_the_store(store, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "weaver_tt"):
        train(tmp_path / "net", [0])
    said = [message for message in caplog.messages if message.startswith("mlflow: ")]
    assert said == [f"mlflow: run {ABOUT.name} in {(tmp_path / 'mlruns').as_uri()}"]
    assert without_password("postgresql://me:a@b@host/db") == "postgresql://host/db"
    assert without_password("sqlite:///mlflow.db") == "sqlite:///mlflow.db"
