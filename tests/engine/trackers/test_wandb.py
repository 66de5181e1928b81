"""What Weights & Biases keeps of a training, offline."""

import json
import struct
import time
import warnings

import pytest
from matplotlib.figure import Figure

from weaver_tt.engine.trackers.base import RunDescription
from weaver_tt.engine.trackers.experiment import read_tracked_runs
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.options.train import TrainOptions

with warnings.catch_warnings():
    # of what it imports
    warnings.simplefilter("ignore")
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

ABOUT = RunDescription(
    name="models/net_member-0",
    group="models/net",
    settings={"batch_size": 128},
    texts={"data.yaml": "labels:\n"},
)
BLOCK = 1 << 15
WHOLE, FIRST, MIDDLE, LAST = range(1, 5)


def records(path):
    """The records of a run's file, once all of them have been written, which may take a moment."""
    for _ in range(600):
        found = list(records_so_far(path))
        if found and found[-1].HasField("exit"):
            return found
        time.sleep(0.1)
    raise TimeoutError(path)


def records_so_far(path):
    """Records in blocks of 32 kB, as LevelDB's log has them, after 7 bytes."""
    content = path.read_bytes()
    place = 7
    parts = b""
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        part = content[place + 7 : place + 7 + length]
        place += 7 + length
        parts = part if kind in (WHOLE, FIRST) else parts + part
        if kind in (WHOLE, LAST):
            yield Record.FromString(parts)


def key_of(item):
    return item.key or "/".join(item.nested_key)


def train(prefix, epochs, **options):
    with make_tracker(
        TrainOptions(tensorboard="off", tracker="wandb", **options), str(prefix), ABOUT
    ) as tracker:
        for epoch in epochs:
            tracker.interval({"loss": 1.5}, 50 * epoch + 50)
            values = {"val/loss": 1 / (1 + epoch), "rows_val/read": 10.0}
            tracker.epoch(values, epoch, lambda: {"roc": Figure()})
        tracker.finish({"loss": 0.25}, epochs[-1])


@pytest.mark.filterwarnings("ignore")
def test_a_training_is_a_run_that_a_resumed_one_goes_on_with(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    train(tmp_path / "net", [0, 1])
    train(tmp_path / "net", [1, 2], resume=True)
    tracked = read_tracked_runs(tmp_path / "net_trackers.json")["wandb"]
    assert (tracked.epoch, tracked.step) == (2, 150)
    files = sorted((tmp_path / "net_wandb" / "wandb").glob("offline-run-*/*.wandb"))
    # the same run, in two parts
    assert {path.name for path in files} == {f"run-{tracked.run}.wandb"}
    assert len(files) == 2
    every = [record for path in files for record in records(path)]
    begun = [record.run for record in every if record.HasField("run")]
    assert {(run.display_name, run.run_group) for run in begun} == {
        ("models/net_member-0", "models/net")
    }
    rows = []
    for record in every:
        if record.HasField("history"):
            rows.append({key_of(item): json.loads(item.value_json) for item in record.history.item})
    points = [(row["epoch"], row["val/loss"]) for row in rows if "val/loss" in row]
    assert points == [(0, 1), (1, 0.5), (2, 1 / 3)]
    # in the row of its epoch, and as a file
    picture = next(row for row in rows if "plots/roc/path" in row)
    assert (picture["epoch"], picture["val/loss"]) == (0, 1)
    file = files[0].parent / "files" / picture["plots/roc/path"]
    assert file.read_bytes().startswith(b"\x89PNG")
    # no row is taken for an earlier one
    places = [row["_step"] for row in rows]
    assert places == sorted(set(places))
    summaries = {
        key_of(item): json.loads(item.value_json)
        for record in every
        for item in record.summary.update
    }
    assert summaries["best/loss"] == 0.25
    [text, _] = (tmp_path / "net_wandb" / "wandb").glob("offline-run-*/files/data.yaml")
    assert text.read_text() == "labels:\n"


@pytest.mark.filterwarnings("ignore")
def test_members_of_an_ensemble_have_their_runs_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = TrainOptions(tensorboard="off", tracker="wandb")
    with (
        make_tracker(options, str(tmp_path / "net_member-0"), ABOUT) as first,
        make_tracker(options, str(tmp_path / "net_member-1"), ABOUT) as second,
    ):
        first.epoch({"val/loss": 1.0}, 0)
        second.epoch({"val/loss": 2.0}, 0)
    found = {}
    for number in (0, 1):
        [path] = (tmp_path / f"net_member-{number}_wandb").glob("wandb/offline-run-*/*.wandb")
        for record in records(path):
            for item in record.history.item:
                if key_of(item) == "val/loss":
                    found[number] = json.loads(item.value_json)
    assert found == {0: 1, 1: 2}
