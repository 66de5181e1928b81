"""What is kept of a training, and which files of it go."""

import torch

from tests.engine.toy import Rows, training
from weaver_tt.engine import checkpoint


def test_what_is_kept_after_an_epoch_points_to_the_next(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    run.save_epoch(run.train(Rows()))
    saved = checkpoint.load_checkpoint(tmp_path / "net_resume.pt")
    assert (saved["state"]["epoch"], saved["state"]["batches"], saved["steps"]) == (1, 0, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net_best_epoch_state.pt",
        "net_epoch-0_state.pt",
        "net_resume.pt",
    ]


def test_a_save_inside_an_epoch_remembers_the_position(tmp_path):
    run = training(tmp_path / "net", save_minutes=0)  # after every batch
    run.start()
    run.train(Rows())
    assert checkpoint.load_checkpoint(tmp_path / "net_resume.pt")["state"]["batches"] == 4


def test_a_worse_epoch_leaves_the_best_one(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    first = run.train(Rows())
    run.save_epoch(first)
    best = (tmp_path / "net_best_epoch_state.pt").read_bytes()
    with torch.no_grad():
        run.trainings[0].network.unwrapped.weight.fill_(50)
    run.save_epoch(run.validate(Rows()))
    assert run.trainings[0].state.best_epoch == 0
    assert (tmp_path / "net_best_epoch_state.pt").read_bytes() == best


def test_a_run_whose_card_is_lost_has_the_seed_of_its_checkpoint(tmp_path):
    run = training(tmp_path / "net", seed=17)
    run.start()
    run.save_epoch(run.train(Rows()))
    assert checkpoint.saved_seed(tmp_path / "net_resume.pt") == 17
    assert checkpoint.saved_seed(tmp_path / "other_resume.pt") is None


def test_of_epochs_after_the_one_that_was_loaded_nothing_is_left(tmp_path):
    run = training(tmp_path / "net", num_epochs=3)
    run.start()
    for _ in range(3):
        run.save_epoch(run.train(Rows()))
    again = training(tmp_path / "net", load_epoch=0)
    again.start()
    again.save_epoch(again.train(Rows()))
    names = {path.name for path in tmp_path.glob("net_epoch-*")}
    assert names == {"net_epoch-0_state.pt", "net_epoch-1_state.pt"}


def test_with_auto_clean_the_latest_epoch_is_kept_beside_the_best(tmp_path):
    run = training(tmp_path / "net", auto_clean=True)
    run.start()
    for _ in range(3):
        run.save_epoch(run.train(Rows()))
    names = {path.name for path in tmp_path.glob("net_*_state.pt")}
    assert names == {"net_best_epoch_state.pt", "net_epoch-2_state.pt"}


def test_the_state_has_all_that_the_next_step_depends_on(tmp_path):
    run = training(tmp_path / "net", seed=3)
    run.start()
    run.save_epoch(run.train(Rows()))
    saved = checkpoint.load_checkpoint(tmp_path / "net_resume.pt")
    network = run.trainings[0].network.unwrapped
    assert torch.equal(saved["weights"]["weight"], network.weight)
    # four batches in one pass over the rows
    assert (saved["steps"], saved["done"]) == (4, 1.0)
    assert saved["settings"]["ranks"] == 1
    assert saved["other_ranks"] == []
    assert set(saved["random"]) == {"torch", "numpy", "python"}
