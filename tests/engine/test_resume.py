"""A training goes on from what is whole, and names what is not."""

import pytest
import torch

from tests.engine.toy import Rows, training
from weaver_tt.engine import checkpoint
from weaver_tt.errors import TrainingError


def trained(folder):
    """A run after its first epoch, and what it can be continued from."""
    run = training(folder / "net")
    run.start()
    run.save_epoch(run.train(Rows()))
    return checkpoint.load_checkpoint(folder / "net_resume.pt")


DAMAGE = [
    ({"steps": "4"}, "steps: expected int, found '4'"),
    ({"done": float("nan")}, "done: expected at least 0, found nan"),
    ({"state": {"epoch": -1}}, "state.epoch: expected at least 0, found -1"),
    ({"state": {}}, "there is no state.epoch"),
    ({"weights": {"weight": 3}}, "weights.weight: expected Tensor, found 3"),
    ({"optimizer": []}, "optimizer: expected keys with values"),
    ({"random": {}}, "there is no random.torch"),
    ({"settings": None}, "settings: expected keys with values"),
    ({"settings": {"ranks": 0}}, "settings.ranks: expected "),
    ({"other_ranks": [{"meters": []}]}, r"other_ranks\[0\]"),
    ({"format": 99}, "format 99, expected 1: written by another version"),
]


@pytest.mark.parametrize(("change", "problem"), DAMAGE)
def test_a_file_to_resume_from_of_another_shape_is_named(tmp_path, change, problem):
    saved = trained(tmp_path)
    if change.get("state"):
        change = {"state": saved["state"] | change["state"]}
    torch.save(saved | change, tmp_path / "net_resume.pt")
    with pytest.raises(TrainingError, match=f"net_resume.pt: .*{problem}"):
        training(tmp_path / "net", resume=True).start()
    # the weights of the epoch are whole, and are not held up
    run = training(tmp_path / "net", load_epoch=0)
    run.start()
    assert run.trainings[0].state.epoch == 1
    assert torch.equal(run.trainings[0].network.unwrapped.weight, saved["weights"]["weight"])


@pytest.mark.parametrize(
    "change",
    [
        {"random": {"torch": torch.zeros(3), "numpy": [1, 2, 3, 4], "python": []}},
        {"schedule": {"bogus": 1, "rates": None}, "optimizer": {"state": {}, "param_groups": []}},
        {"scaler": {"scale": "x"}, "state": {"unknown": 1}},
    ],
)
def test_content_that_torch_runs_into_is_damage_and_no_traceback(tmp_path, change):
    saved = trained(tmp_path)
    if "state" in change:
        change = change | {"state": saved["state"] | change["state"]}
    torch.save(saved | change, tmp_path / "net_resume.pt")
    with pytest.raises(TrainingError, match=r"net_resume\.pt"):
        training(tmp_path / "net", resume=True).start()


def interrupted(folder):
    """A run that was saved after each of the four batches of its first epoch."""
    run = training(folder / "net", save_minutes=0)
    run.start()
    run.train(Rows())
    return checkpoint.load_checkpoint(folder / "net_resume.pt")


def test_on_one_rank_go_on_the_sums_of_all_that_there_were(tmp_path):
    saved = interrupted(tmp_path)
    meters = saved["state"]["meters"]
    # a second rank, which has seen twice and three times as much
    other = {
        "meters": [2 * total for total in meters],
        "terms": {},
        "random": saved["random"],
        "buffers": [{}, {}],
    }
    third = other | {"meters": [3 * total for total in meters]}
    settings = saved["settings"] | {"ranks": 3}
    torch.save(
        saved | {"settings": settings, "other_ranks": [other, third]}, tmp_path / "net_resume.pt"
    )
    run = training(tmp_path / "net", resume=True)
    run.start()
    found = run.trainings[0].state
    assert found.batches == 4
    for total, before in zip(found.meters, meters, strict=True):
        torch.testing.assert_close(total, 6 * before)


def test_random_numbers_go_on_where_they_were(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    metrics = run.train(Rows())
    torch.rand(7)  # as dropout may draw
    run.save_epoch(metrics)
    expected = torch.rand(3)
    training(tmp_path / "net", resume=True).start()
    assert torch.equal(torch.rand(3), expected)


def test_an_epoch_that_was_never_saved_is_named(tmp_path):
    trained(tmp_path)
    with pytest.raises(TrainingError, match=r"--load-epoch 7: .*net_epoch-7_state.pt does not"):
        training(tmp_path / "net", load_epoch=7).start()


def test_after_an_epoch_the_optimizer_goes_on_only_where_it_was_saved_just_then(tmp_path):
    run = training(tmp_path / "net", optimizer="adam")
    run.start()
    for _ in range(2):
        run.save_epoch(run.train(Rows()))
    last = training(tmp_path / "net", optimizer="adam", load_epoch=1)
    last.start()
    # two epochs of four steps
    assert last.trainings[0].update.steps == 8
    assert last.trainings[0].update.optimizer.state_dict()["state"]
    first = training(tmp_path / "net", optimizer="adam", load_epoch=0)
    first.start()
    assert not first.trainings[0].update.optimizer.state_dict()["state"]
    assert first.trainings[0].state.epoch == 1
