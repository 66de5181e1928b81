"""Names of the files of a run."""

import re
from pathlib import Path

import pytest

from weaver_tt.run_files import RunFiles, find_files, fold_name

FILES = RunFiles("m/net")
WRITTEN = {
    "m/net_epoch-3_state.pt": FILES.epoch(3),
    "m/net_best_epoch_state.pt": FILES.best,
    "m/net_epoch-3_task.pt": FILES.task_epoch(3),
    "m/net_epoch-3_plain.pt": FILES.plain_epoch(3),
    "m/net_epoch-3_plain_task.pt": FILES.plain_task_epoch(3),
    "m/net_best_epoch_plain.pt": FILES.plain_best,
    "m/net_resume.pt": FILES.resume,
    "m/net_resume_before.pt": FILES.resume_before,
    "m/net.lock": FILES.lock,
    "m/net_requeue": FILES.requeue,
    "m/net_run.json": FILES.card,
    "m/net_metrics.json": FILES.metrics,
    "m/net_sample.npz": FILES.sample,
    "m/net_sample.parquet": FILES.raw_sample,
    "m/net.auto.yaml": FILES.auto_yaml,
    "m/net.log": FILES.log,
    "m/net_lr_finder.png": FILES.lr_finder_figure,
    "m/net_lr_finder.json": FILES.lr_finder_numbers,
}


def test_names_are_weavers():
    assert [str(path) for path in WRITTEN.values()] == list(WRITTEN)
    assert FILES.state(3) == FILES.epoch(3)
    assert FILES.state(None) == FILES.best


def test_folders_and_figures_are_named_after_the_run():
    assert str(FILES.figures) == "m/net_figures"
    assert str(FILES.trace) == "m/net_profile/trace.json"
    assert str(FILES.reweighting) == "m/net_reweighting"
    assert str(FILES.tracker_folder("tensorboard")) == "m/net_tensorboard"
    assert str(FILES.tracker_folder("mlflow")) == "m/net_mlflow"


def test_members_and_folds_are_runs_beside_it():
    assert str(FILES.fold(2).member(10).epoch(1)) == "m/net_fold-2_member-10_epoch-1_state.pt"
    assert fold_name(2) == "fold-2"
    assert FILES.fold(2).member(10).run == FILES.fold(2)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_file_leads_back_to_its_prefix(name):
    assert RunFiles.of(name) == FILES
    member = name.replace("m/net", "m/net_member-3")
    assert RunFiles.of(member) == FILES.member(3)
    assert RunFiles.of(member).run == FILES


@pytest.mark.parametrize(
    "name",
    ["m/net", "m/net_best_epoch_state.pt", "m/net_member-3_epoch-12_state.pt", "m/net_member-0"],
)
def test_the_run_of_a_file_is_its_prefix_without_member_and_epoch(name):
    assert RunFiles.of(name).run.prefix == "m/net"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("m/net_epoch-3_state.pt:mod.fc", "m/net"),  # the weights under mod.fc
        ("m/net_best_epoch_state.pt:mod", "m/net"),
        ("m/model.onnx", "m/model"),
        ("m/net_reweighting.pdf", "m/net"),
        ("m/net_history.csv", "m/net"),
        ("m/net_figures/net", "m/net_figures/net"),  # a run in a folder of that name
        ("m/net_epoch-3", "m/net_epoch-3"),  # a run of that name
        ("m/weights.pt", "m/weights.pt"),
    ],
)
def test_of_other_names_no_more_than_a_known_ending_goes(name, prefix):
    assert RunFiles.of(name).prefix == prefix


def test_epochs_and_members_that_are_there_come_in_order_of_their_numbers(tmp_path):
    files = RunFiles(str(tmp_path / "net[1]"))
    for path in (files.epoch(10), files.epoch(9), files.best, files.resume):
        path.touch()
    for member in (10, 2):
        files.member(member).epoch(7).touch()
    (tmp_path / "net1_epoch-4_state.pt").touch()
    (tmp_path / "net[1]_epoch-x_state.pt").touch()
    assert files.epochs() == {9: files.epoch(9), 10: files.epoch(10)}
    assert list(files.members(7)) == [2, 10]
    assert files.members(7)[10] == files.member(10)
    assert files.members(None) == {}


def test_no_other_module_spells_the_name_of_a_file_of_a_run():
    package = Path(__file__).parent.parent / "weaver_tt"
    files = r"_state\.pt|_resume\.pt|_run\.json|_metrics\.json|_sample\.npz|\.auto\.yaml|\.log"
    more = r"_member-|_fold-|_figures|_lr_finder|_profile|_tensorboard|_reweighting|_history"
    spelled = re.compile(rf"f\"[^\"]*\}}(?:{files}|{more})")
    found = []
    for path in package.rglob("*.py"):
        if path.name == "run_files.py":
            continue
        found += [f"{path.name}: {text}" for text in spelled.findall(path.read_text())]
    assert found == []


def test_weights_are_those_of_this_run_and_its_members_alone(tmp_path):
    files = RunFiles(str(tmp_path / "net"))
    others = ["net2_best_epoch_state.pt", "net_fold-0_resume.pt", "net_epoch-1_task.pt", "net.log"]
    for name in others:
        (tmp_path / name).touch()
    assert files.weights() == []
    own = ["net_epoch-11_state.pt", "net_member-3_epoch-0_state.pt", "net_resume.pt"]
    for name in own:
        (tmp_path / name).touch()
    assert [path.name for path in files.weights()] == own


def test_n_stands_for_whole_numbers_and_other_characters_for_themselves(tmp_path):
    for name in ("a[1]_0.pt", "a[1]_12.pt", "a[1]_x.pt", "a1_0.pt", "a[1]_0.pt.bak"):
        (tmp_path / name).touch()
    found = find_files(str(tmp_path / "a[1]_{N}.pt"))
    assert [path.name for path in found] == ["a[1]_0.pt", "a[1]_12.pt"]
    assert find_files(str(tmp_path / "a1_0.pt")) == [tmp_path / "a1_0.pt"]
    assert find_files(str(tmp_path / "a1_1.pt")) == []


def test_folds_are_found_by_their_run_cards_and_know_their_whole(tmp_path):
    (tmp_path / "net_fold-4_run.json").touch()
    files = RunFiles(str(tmp_path / "net"))
    assert files.folds() == {4: files.fold(4)}
    assert files.fold(4).whole == files
    assert files.whole == files
