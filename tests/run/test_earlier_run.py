"""Two runs never share a prefix; what an earlier one left goes only where that is asked for."""

import json

import pytest
import torch

from weaver_tt.run.run_card import load_card, written_files
from weaver_tt.run_files import RunFiles


def test_a_fresh_training_on_a_trained_network_is_refused_with_the_ways_out(small_run, capsys):
    assert small_run() == 0
    before = small_run.files()
    assert small_run() == 1
    said = capsys.readouterr().err
    for way in ("--resume", "--load-epoch N", "--overwrite", "any other --model-prefix"):
        assert way in said
    assert small_run.files() == before


def test_resuming_and_loading_an_epoch_are_ways_out(small_run):
    assert small_run() == 0
    assert small_run("--num-epochs", 2, "--resume") == 0
    assert small_run("--num-epochs", 3, "--load-epoch", 1) == 0
    assert sorted(RunFiles(str(small_run.prefix)).epochs()) == [0, 1, 2]


def test_a_prefix_with_a_log_or_a_failed_start_is_free(small_run):
    small_run.prefix.parent.mkdir()
    RunFiles(str(small_run.prefix)).log.write_text("an old log\n")
    # the loss is not finite: it fails after the card is written and before anything is saved
    assert small_run("--start-lr", 1e30, "--seed", 1) == 1
    assert RunFiles(str(small_run.prefix)).card.is_file()
    assert small_run() == 0


def test_overwriting_removes_what_the_run_card_lists_and_nothing_else(small_run):
    curves = ["--tensorboard", small_run.prefix.parent / "net_tensorboard"]
    assert small_run("--num-epochs", 2, "--figures", *curves) == 0
    listed = small_run.files()
    events = {name for name in listed if "tfevents" in name}
    # steps, training, validation, best epoch
    assert len(events) == 4
    mine = {
        "net_notes.txt",
        "net_epoch-1_state.pt.bak",
        "net_epoch-one_state.pt",
        "net2_epoch-1_state.pt",
        "net_figures/mine.png",
        "net_tensorboard/events.out.tfevents.1.another-machine.1.0",
    }
    for name in mine:
        (small_run.prefix.parent / name).touch()
    assert small_run("--overwrite", *curves) == 0
    files = small_run.files()
    assert mine <= files
    # of one epoch, without figures
    assert not {name for name in files - mine if "epoch-1" in name or "figures" in name}
    assert not events & files
    assert listed > files - mine - {name for name in files if "tfevents" in name}


def test_the_card_of_an_ensemble_lists_every_file_that_it_wrote(small_run):
    folder = small_run.prefix.parent
    curves = ["--tensorboard", folder / "net_tensorboard"]
    assert small_run("--ensemble", 2, "--figures", *curves) == 0
    card = load_card(str(small_run.prefix))
    listed = written_files(str(small_run.prefix), card)
    assert {str(path.relative_to(folder)) for path in listed} == small_run.files()


def test_folders_that_become_empty_go_too(small_run):
    assert small_run("--figures", "--tensorboard", small_run.prefix.parent / "curves") == 0
    assert small_run("--overwrite") == 0
    assert not [path for path in small_run.prefix.parent.iterdir() if path.is_dir()]


def test_the_earlier_run_survives_a_command_that_cannot_begin(small_run, capsys):
    assert small_run() == 0
    before = small_run.files()
    weights = RunFiles(str(small_run.prefix)).best.read_bytes()
    assert small_run("--overwrite", "-n", small_run.folder / "nett.py") == 1
    assert small_run("--overwrite", "-i", small_run.folder / "nothing.parquet") == 1
    other = small_run.folder / "other.yaml"
    text = (small_run.folder / "data.yaml").read_text()
    other.write_text(text.replace("vars: [x, y]", "vars: [x, z]"))
    assert small_run("--overwrite", "-c", other) == 1
    assert small_run.files() == before
    assert RunFiles(str(small_run.prefix)).best.read_bytes() == weights


def test_a_training_does_not_remove_the_weights_that_it_begins_with(small_run, capsys):
    assert small_run("--ensemble", 2) == 0
    before = small_run.files()
    best = small_run.prefix.parent / "net_{member}_best_epoch_state.pt"
    assert small_run("--ensemble", 2, "--overwrite", "--load-model-weights", best) == 1
    message = capsys.readouterr().err
    assert "net_member-0_best_epoch_state.pt, which --load-model-weights reads" in message
    assert small_run.files() == before


def test_weights_without_a_run_card_are_never_removed(small_run, capsys):
    assert small_run() == 0
    files = RunFiles(str(small_run.prefix))
    files.card.unlink()
    assert small_run("--overwrite") == 1
    assert "no run card" in capsys.readouterr().err
    assert files.best.is_file()


def test_a_network_alone_and_an_ensemble_do_not_share_a_prefix(small_run, capsys):
    assert small_run("--ensemble", 2) == 0
    assert small_run() == 1
    assert "net_member-0_best_epoch_state.pt" in capsys.readouterr().err
    assert small_run("--overwrite") == 0
    assert not [name for name in small_run.files() if "member" in name]


def test_folds_of_an_earlier_cross_validation_with_more_of_them_go_too(small_run, capsys):
    assert small_run("--cross-validation", "number%3") == 0
    assert small_run("--cross-validation", "number%2") == 1
    assert "net_fold-0" in capsys.readouterr().err
    assert small_run("--cross-validation", "number%2", "--overwrite") == 0
    assert not [name for name in small_run.files() if "fold-2" in name]


def test_epochs_of_another_course_go_once_an_epoch_is_trained_anew(small_run):
    assert small_run("--num-epochs", 4, "--seed", 1) == 0
    files = RunFiles(str(small_run.prefix))
    assert small_run("--num-epochs", 2, "--seed", 1, "--load-epoch", 0) == 0
    assert sorted(files.epochs()) == [0, 1]


def test_an_epoch_that_is_not_there_is_met_before_anything_is_read(small_run, capsys):
    assert small_run() == 0
    files = RunFiles(str(small_run.prefix))
    files.resume.unlink()
    log = files.log.read_text()
    assert small_run("--load-epoch", 7) == 1
    assert "--load-epoch 7: there is no" in capsys.readouterr().err
    assert files.log.read_text() == log


def test_resuming_needs_the_file_to_resume_from(small_run, capsys):
    assert small_run() == 0
    RunFiles(str(small_run.prefix)).resume.unlink()
    assert small_run("--num-epochs", 2, "--resume") == 1
    assert "--load-epoch 0 continues" in capsys.readouterr().err


def test_removing_and_continuing_at_once_is_refused(small_run, capsys):
    assert small_run("--overwrite", "--resume") == 1
    assert "give one of them" in capsys.readouterr().err


def test_a_name_for_the_time_cannot_be_continued(small_run, capsys):
    assert small_run("-m", small_run.folder / "{auto}" / "net", "--resume") == 1
    assert "is a new one each time" in capsys.readouterr().err


@pytest.mark.parametrize("trial", [["--lr-finder", "1e-4,1,12"], ["--profile"]])
def test_a_trial_leaves_statistics_and_history_of_a_trained_network(small_run, trial):
    assert small_run() == 0
    files = RunFiles(str(small_run.prefix))
    statistics = files.auto_yaml.read_text()
    history = files.history.read_text()
    weights = torch.load(files.best, weights_only=True)
    # of other rows, with other centers
    selection = ["--extra-selection-train", "x > 0"]
    assert small_run(*trial, *selection, "--overwrite") == 0
    assert files.auto_yaml.read_text() == statistics
    assert files.history.read_text() == history
    assert all(
        torch.equal(weights[name], value)
        for name, value in torch.load(files.best, weights_only=True).items()
    )


def test_the_card_lists_the_files_as_seen_from_its_folder(small_run):
    assert small_run() == 0
    card = json.loads(RunFiles(str(small_run.prefix)).card.read_text())
    assert {"net_run.json", "net.log", "net_epoch-{N}_state.pt"} <= set(card["files"])
    small_run.prefix.parent.rename(small_run.folder / "moved")
    assert small_run("-m", small_run.folder / "moved" / "net", "--overwrite") == 0


def test_prediction_and_export_have_the_network_options_of_the_training(small_run, capsys):
    trained = ["-o", "hidden", 5]
    data = ["-t", small_run.folder / "jets.parquet"]
    output = ["--predict-output", small_run.folder / "pred.root"]
    assert small_run(*trained, "--ensemble", 2) == 0
    for model in (small_run.prefix, f"{small_run.prefix}_member-1_epoch-0_state.pt"):
        assert small_run("--predict", "-m", model, *data, *output) == 0
        assert "net_run.json: hidden 5" in capsys.readouterr().err
    assert small_run("--export-onnx", small_run.folder / "onnx" / "model.onnx") == 0
    # a flag counts more
    assert small_run("--predict", "-o", "hidden", 4, *data, *output) == 1
    assert "(4, 2) in the network, (5, 2) in the file" in capsys.readouterr().err


def test_folds_have_the_network_options_of_their_training(small_run):
    folds = ["--cross-validation", "number%2"]
    output = ["--predict-output", small_run.folder / "pred.root"]
    assert small_run(*folds, "-o", "hidden", 5) == 0
    assert small_run("--predict", *folds, "-t", small_run.folder / "jets.parquet", *output) == 0


def test_a_log_that_cannot_be_written_leaves_no_folder(small_run, capsys):
    (small_run.folder / "file").touch()
    assert small_run("--log", small_run.folder / "file" / "run.log") == 1
    assert "run.log: cannot be written" in capsys.readouterr().err
    assert not small_run.prefix.parent.exists()
