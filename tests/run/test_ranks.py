"""Every path of a run on several ranks: the same results, one writer, one message for an error."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
import yaml

from weaver_tt import cli

DATA = {
    "inputs": {"event": {"length": None, "vars": ["x", "y"]}},
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "preprocess": {"method": "auto"},
    "observers": ["number"],
}

# draws random numbers in three ways, and in the training step AT ends or fails on rank ON
NETWORK = """
import os
import random
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 2))
        self.steps = 0

    def forward(self, event):
        if not self.training:
            return self.layers(self.norm(event))
        self.steps += 1
        with open("MODE") as file:
            mode, at, on = file.read().split()
        if self.steps == int(at) and os.environ.get("RANK", "0") in on:
            if mode == "killed":
                os.kill(os.getpid(), 9)
            if mode == "fails":
                raise RuntimeError("the magnet is off")
            os.kill(os.getpid(), 10)  # SIGUSR1, with which the step goes on
        return self.layers(self.norm(event)) * (1 + 0.1 * random.random() + np.random.rand())


def get_model(data_config, **options):
    return Net(), {}
"""


def write_events(folder, rows=37):
    """Files with classes a and b, of which the first and the last event are of class a."""
    random = np.random.default_rng(1)
    for part in ("first", "second"):
        is_a = np.arange(rows) % 3 != 1
        columns = {
            "x": random.normal(is_a, 1, rows).astype("f4"),
            "y": random.normal(size=rows).astype("f4"),
            "is_a": is_a.astype(int),
            "is_b": 1 - is_a,
            "number": np.arange(rows) + 1000 * (part == "second"),
        }
        ak.to_parquet(ak.Array(columns), folder / f"{part}.parquet", row_group_size=10)
    (folder / "data.yaml").write_text(yaml.safe_dump(DATA))
    (folder / "net.py").write_text(NETWORK)
    (folder / "plain.py").write_text(
        "from torch import nn\ndef get_model(data_config, **options):\n"
        "    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2)), {}\n"
    )
    (folder / "MODE").write_text("none 0 none")


QUIET = "--gpus= --no-figures --no-progress --tensorboard off"
COMMON = f"-c data.yaml --batch-size 8 --num-epochs 1 --optimizer adam --seed 3 {QUIET}"
BOTH = "first.parquet second.parquet"


def command(text, network="plain", backend="gloo"):
    """A command of ``weaver-tt`` with the flags of all of them."""
    name, *rest = text.split()
    files = [] if "-i" in rest or "--predict" in rest else ["-i", *BOTH.split()]
    ranks = ["--backend", backend] if backend else []
    return [name, *files, "-n", f"{network}.py", *COMMON.split(), *ranks, *rest]


# what each does, by name
PATHS = {
    "train": f"train -m m/net -t {BOTH} --predict-output m.root",
    "resume": "train -m m/net --num-epochs 2 --resume",
    # 4 batches of a rank: groups of 3 and of 1
    "groups of batches": "train -m k/net --accumulate-batches 3 --ema 0.9 --use-amp "
    "--clip-gradient 1",
    "members": "train -m e/net --ensemble 2 -t second.parquet --predict-output e.parquet",
    "folds": "train -m f/net --cross-validation number%2 -t first.parquet --predict-output f.root",
    # 3 of 74 validation events are left, all in the share of the first rank
    "few": f"train -m v/net --data-val {BOTH} --extra-selection-val number<3",
    "groups": f"train --predict -m m/net -t a:{BOTH.split()[0]} b:{BOTH.split()[1]} "
    "--predict-output g.root --extra-selection-test number>1030",
    "files": f"train --predict -m m/net -t {BOTH} --predict-output s/{{file}}.root",
    "export": "train -m m/net --export-onnx m.onnx",
    "onnx": f"train --predict -m m.onnx -t {BOTH} --predict-output o.root",
    "lr finder": "train -m l/net --lr-finder 1e-5,1,11",
    "reading": "train --io-test",
    "summary": "train --print",
    "check": "check",
    "no column": "train -m w/net --extra-selection-train nosuch>0",
}


@pytest.fixture(scope="module", params=[2, 3])
def ended(request, tmp_path_factory, run_on_ranks):
    """The folder of the paths that so many ranks have taken, and how each has ended."""
    folder = tmp_path_factory.mktemp("ranks")
    write_events(folder)
    jobs = [(request.param, command(text)) for text in PATHS.values()]
    return folder, dict(zip(PATHS, run_on_ranks(folder, *jobs), strict=True))


def test_every_path_ends_well_on_all_ranks(ended):
    _, results = ended
    for name, result in results.items():
        expected = 1 if name == "no column" else 0
        assert set(result.codes) == {expected}, f"{name}:\n{result.said}"
        # what is said is said by the first rank
        assert not any(result.texts[1:]), name


def test_an_error_is_said_once(ended):
    _, results = ended
    assert results["no column"].said.count("no column 'nosuch'") == 1


def test_the_learning_rate_is_found_for_the_batches_of_all_ranks(ended):
    _, results = ended
    result = results["lr finder"]
    rows = 8 * len(result.codes)
    assert f"batches of {rows} rows" in result.said


def predicted(folder, name):
    """Columns of a prediction."""
    if name.endswith(".parquet"):
        return ak.from_parquet(folder / name)
    return uproot.open(f"{folder / name}:tree").arrays()


def test_predictions_are_those_of_one_process_in_input_order(ended, monkeypatch):
    folder, _ = ended
    monkeypatch.chdir(folder)
    numbers = [*range(37), *range(1000, 1037)]
    for text, name, expected in (
        (f"train --predict -m m/net --load-epoch 0 -t {BOTH}", "m.root", numbers),
        ("train --predict -m e/net -t second.parquet", "e.parquet", numbers[37:]),
        (f"train --predict -m m.onnx -t {BOTH}", "o.root", numbers),
    ):
        one = f"one_{name}"
        assert cli.main(command(f"{text} --predict-output {one}", backend=None)) == 0
        found = predicted(folder, name)
        alone = predicted(folder, one)
        assert found.fields == alone.fields
        assert found.number.tolist() == expected
        np.testing.assert_allclose(found.score_is_a, alone.score_is_a, atol=1e-6)
        metrics, metrics_alone = [
            json.loads(
                (folder / which)
                .with_suffix("")
                .with_name(f"{(folder / which).stem}_metrics.json")
                .read_text()
            )["metrics"]
            for which in (name, one)
        ]
        assert metrics == pytest.approx(metrics_alone, rel=1e-5)


def test_folds_follow_each_other_and_an_empty_selection_gives_an_empty_file(ended):
    folder, _ = ended
    assert predicted(folder, "f.root").number.tolist() == [*range(0, 37, 2), *range(1, 37, 2)]
    assert len(predicted(folder, "g_a.root")) == 0
    assert predicted(folder, "g_b.root").number.tolist() == [*range(1031, 1037)]


def test_each_of_several_files_has_an_output_that_all_ranks_make(ended):
    folder, _ = ended
    assert predicted(folder, "s/first.root").number.tolist() == [*range(37)]
    assert predicted(folder, "s/second.root").number.tolist() == [*range(1000, 1037)]


def test_ranks_without_validation_events_take_part(ended):
    folder, _ = ended
    card = json.loads((folder / "v" / "net_run.json").read_text())
    [best] = card["best"]
    # events 0 and 2 are of class a, 1 is not: thirds, or none
    assert best["accuracy"] * 3 == pytest.approx(round(best["accuracy"] * 3))


# --- interruptions


def weights_of(folder, prefix):
    """The state that a run could be resumed from."""
    return torch.load(folder / f"{prefix}_resume.pt", weights_only=True)


def test_a_training_that_ends_in_an_epoch_goes_on_to_the_last_bit(tmp_path, run_on_ranks):
    write_events(tmp_path)
    flags = "--num-epochs 2 --save-minutes 0 --data-fraction 0.9"
    [whole] = run_on_ranks(tmp_path, (2, command(f"train -m a/net {flags}", "net")))
    assert whole.codes == [0, 0], whole.said
    # both ranks, in the third step of the first epoch
    (tmp_path / "MODE").write_text("killed 3 01")
    [stopped] = run_on_ranks(tmp_path, (2, command(f"train -m b/net {flags}", "net")))
    assert stopped.codes == [-9, -9], stopped.said
    assert weights_of(tmp_path, "b/net")["state"]["batches"] == 2
    (tmp_path / "MODE").write_text("none 0 none")
    [resumed] = run_on_ranks(tmp_path, (2, command(f"train -m b/net {flags} --resume", "net")))
    assert resumed.codes == [0, 0], resumed.said
    expected = weights_of(tmp_path, "a/net")
    found = weights_of(tmp_path, "b/net")
    for name, values in expected["weights"].items():
        assert torch.equal(values, found["weights"][name]), name
    assert expected["state"]["best"] == found["state"]["best"]


def test_ranks_that_are_killed_within_a_group_of_batches_go_on_to_the_last_bit(
    tmp_path, run_on_ranks
):
    write_events(tmp_path)
    # of one epoch, groups of 2, 2 and 1 batches; ranks have 33 events each
    flags = "--batch-size 6 --save-minutes 0 --train-val-split 0.9 --accumulate-batches 2 --ema 0.9"
    [whole] = run_on_ranks(tmp_path, (2, command(f"train -m a/net {flags}", "net")))
    assert whole.codes == [0, 0], whole.said
    for at, batches in ((4, 2), (5, 4)):
        (tmp_path / "MODE").write_text(f"killed {at} 01")
        prefix = f"b{at}/net"
        train = command(f"train -m {prefix} {flags}", "net")
        [stopped] = run_on_ranks(tmp_path, (2, train))
        assert stopped.codes == [-9, -9], stopped.said
        assert weights_of(tmp_path, prefix)["state"]["batches"] == batches
        (tmp_path / "MODE").write_text("none 0 none")
        [resumed] = run_on_ranks(tmp_path, (2, [*train, "--resume"]))
        assert resumed.codes == [0, 0], resumed.said
        for name in ("epoch-0_plain", "best_epoch_state"):
            expected = torch.load(tmp_path / "a" / f"net_{name}.pt", weights_only=True)
            found = torch.load(tmp_path / f"b{at}" / f"net_{name}.pt", weights_only=True)
            for key, values in expected.items():
                assert torch.equal(values, found[key]), (name, key)


@pytest.mark.parametrize("norms", ["", "--sync-batchnorm"])
def test_ranks_save_and_end_at_the_same_step_where_one_of_them_is_asked_to(
    tmp_path, run_on_ranks, norms
):
    write_events(tmp_path)
    flags = f"--num-epochs 2 --data-fraction 0.9 {norms}"
    train = command(f"train -m a/net {flags}", "net")
    [whole] = run_on_ranks(tmp_path, (2, train))
    assert whole.codes == [0, 0], whole.said
    train = command(f"train -m b/net {flags}", "net")
    (tmp_path / "MODE").write_text("asked 3 1")
    [stopped] = run_on_ranks(tmp_path, (2, train))
    assert stopped.codes == [75, 75], stopped.said
    saved = weights_of(tmp_path, "b/net")
    assert saved["state"]["batches"] == 3
    [other] = saved["other_ranks"]
    means = [saved["weights"]["norm.running_mean"], other["buffers"][0]["norm.running_mean"]]
    assert torch.equal(*means) == bool(norms)
    request = (tmp_path / "b" / "net_requeue").read_text()
    assert request.startswith("another rank was: saved after 3 batches of epoch 0")
    (tmp_path / "MODE").write_text("none 0 none")
    [resumed] = run_on_ranks(tmp_path, (2, [*train, "--resume"]))
    assert resumed.codes == [0, 0], resumed.said
    assert not (tmp_path / "b" / "net_requeue").exists()
    expected = weights_of(tmp_path, "a/net")
    found = weights_of(tmp_path, "b/net")
    for name, values in expected["weights"].items():
        assert torch.equal(values, found["weights"][name]), name
    assert expected["state"]["best"] == found["state"]["best"]


# beside a network that is asked to end in its second batch, on one rank
ASKED = """
import os, signal
from pathlib import Path
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Linear(2, 2)
        self.calls = 0

    def forward(self, event):
        self.calls += 1
        if self.calls == 2 and os.environ.get("RANK") == Path("ON").read_text():
            os.kill(os.getpid(), signal.SIGUSR1)
        return self.layers(event)


def get_model(data_config, **options):
    return Net(), {}
"""


@pytest.mark.parametrize("rank", [0, 1])
def test_a_prediction_ends_on_all_ranks_where_one_of_them_is_asked_to(
    tmp_path, run_on_ranks, monkeypatch, rank
):
    write_events(tmp_path)
    (tmp_path / "asked.py").write_text(ASKED)
    (tmp_path / "ON").write_text("none")
    monkeypatch.chdir(tmp_path)
    assert cli.main(command("train -m m/net", "asked", backend=None)) == 0
    (tmp_path / "ON").write_text(str(rank))
    predict = command(f"train --predict -m m/net -t {BOTH} --predict-output o/p.root", "asked")
    [stopped] = run_on_ranks(tmp_path, (2, predict))
    assert stopped.codes == [75, 75], stopped.said
    # what a launcher that hides the code is asked by
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["p_requeue"]
    (tmp_path / "ON").write_text("none")
    [again] = run_on_ranks(tmp_path, (2, predict))
    assert again.codes == [0, 0], again.said
    assert not (tmp_path / "o" / "p_requeue").exists()
    assert predicted(tmp_path, "o/p.root").number.tolist() == [*range(37), *range(1000, 1037)]


def test_all_ranks_end_where_the_first_is_asked_to_in_the_pass_for_statistics(
    tmp_path, run_on_ranks
):
    write_events(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGUSR1)\n    return x\n"
    )
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump(DATA | {"new_variables": {"z": "f(x)"}, "selection": "z > -100"})
    )
    [stopped] = run_on_ranks(tmp_path, (2, command("train -m m/net --custom-functions mine.py")))
    assert stopped.codes == [75, 75], stopped.said


def test_other_ranks_go_on_with_the_rows_that_are_left(tmp_path, run_on_ranks):
    write_events(tmp_path)
    flags = "-m a/net --save-minutes 0 --train-val-split 1 --batch-size 4"
    (tmp_path / "MODE").write_text("killed 3 01")
    run_on_ranks(tmp_path, (2, command(f"train {flags}", "net")))
    saved = weights_of(tmp_path, "a/net")
    assert (saved["state"]["batches"], len(saved["other_ranks"])) == (2, 1)
    card = (tmp_path / "a" / "net_run.json").read_text()
    (tmp_path / "MODE").write_text("none 0 none")
    for number in (1, 3):
        torch.save(saved, tmp_path / "a" / "net_resume.pt")
        (tmp_path / "a" / "net_run.json").write_text(card)
        job = (number, command(f"train {flags} --resume", "net"))
        [ended] = run_on_ranks(tmp_path, job)
        assert ended.codes == [0] * number, ended.said
        assert f"changed since the run began: 2 ranks -> {number}" in ended.said
        # each of the two ranks had 37 events: 9 batches of 4 and one event that is left out
        assert weights_of(tmp_path, "a/net")["state"]["best_sums"][0][1] == 72


# with batch norm over ranks, the others wait for it in the middle of their forward pass
ON_ONE_RANK = pytest.mark.parametrize(
    ("rank", "flags"), [(0, ""), (1, ""), (0, "--sync-batchnorm"), (1, "--sync-batchnorm")]
)


@ON_ONE_RANK
def test_what_fails_on_one_rank_fails_on_all_with_its_message(tmp_path, run_on_ranks, rank, flags):
    write_events(tmp_path)
    (tmp_path / "MODE").write_text(f"fails 2 {rank}")
    [ended] = run_on_ranks(tmp_path, (3, command(f"train -m a/net {flags}", "net")))
    assert ended.codes == [1, 1, 1]
    assert ended.texts[0].count("RuntimeError: the magnet is off") == 1
    assert ended.texts[1:] == ["", ""]
    assert "Traceback" not in ended.said


@ON_ONE_RANK
def test_a_rank_that_is_killed_ends_the_others(tmp_path, run_on_ranks, rank, flags):
    write_events(tmp_path)
    (tmp_path / "MODE").write_text(f"killed 2 {rank}")
    [ended] = run_on_ranks(tmp_path, (2, command(f"train -m a/net {flags}", "net")))
    assert ended.codes[rank] == -9
    assert ended.codes[1 - rank] == 1
    assert "another rank has ended" in ended.texts[1 - rank]
    assert "Traceback" not in ended.said
