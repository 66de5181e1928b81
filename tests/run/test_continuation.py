"""What may change when a run is continued, and what makes another training."""

import json
from dataclasses import fields

import pytest
import torch
import yaml

from weaver_tt.errors import ConfigError
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.run import continuation
from weaver_tt.run.continuation import as_saved, describe_continuation
from weaver_tt.run.run_card import load_card, make_card
from weaver_tt.run_files import RunFiles

YAML = {
    "inputs": {"jet": {"length": None, "vars": ["x", "far"]}},
    "new_variables": {"far": "x + y", "seen": "x - y"},
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "observers": ["seen"],
}
FILES = {"training": {"_": {"/a.root": 10, "/b.root": 20}}, "validation": {}}


def card_of(*flags, files=FILES, data=YAML, network="import torch"):
    """The card of a command."""
    options = parse_options(["-c", "d.yaml", "-n", "n.py", "-m", "m/net", *flags])
    return as_saved(
        make_card(options, 7, files, {"data": yaml.safe_dump(data), "network": network})
    )


@pytest.fixture
def files(tmp_path):
    """A run that stopped at the end of an epoch."""
    run = RunFiles(str(tmp_path / "net"))
    torch.save({"state": {"batches": 0}}, run.resume)
    return run


@pytest.fixture
def stopped_within(tmp_path):
    """A run that stopped within an epoch."""
    run = RunFiles(str(tmp_path / "net"))
    torch.save({"state": {"batches": 3}}, run.resume)
    return run


def test_nothing_is_said_where_nothing_has_changed(stopped_within):
    assert describe_continuation(card_of(), card_of("--resume"), stopped_within) == []


def test_what_the_same_number_is_has_not_changed(files):
    before = card_of("-p", "weight_decay", "1e-4", "-o", "hidden", "(8,)")
    now = card_of("-p", "weight_decay", "0.0001", "-o", "hidden", "(8, )", "--resume")
    assert describe_continuation(before, now, files) == []


def test_where_files_lie_and_what_is_only_shown_is_not_compared(files):
    more = ["--log", "other.log", "--tensorboard", "off", "--gpus", "", "--no-progress"]
    now = card_of("--resume", "--save-minutes", "1", "--auto-clean", *more)
    assert describe_continuation(card_of(), now, files) == []


def test_changes_that_a_run_may_have_are_said(files):
    now = card_of("--resume", "--num-epochs", "30", "-o", "dropout", "0.2", network="import math")
    assert describe_continuation(card_of("-o", "hidden", "8"), now, files) == [
        "--network-option hidden 8 -> not given, dropout not given -> 0.2",
        "--num-epochs 20 -> 30",
        "network file n.py",
    ]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--batch-size", "256"], "--batch-size 128 -> 256"),
        (["--pool-size", "500"], "--pool-size 100000 -> 500"),
        (["--num-workers", "2"], "--num-workers 0 -> 2"),
        (["--data-fraction", "0.5"], "--data-fraction 1.0 -> 0.5"),
        (["--extra-selection-train", "x > 0"], "--extra-selection-train not given -> x > 0"),
    ],
)
def test_how_rows_come_into_batches_changes_at_the_end_of_an_epoch_alone(
    tmp_path, flags, text, files
):
    now = card_of("--resume", *flags)
    assert describe_continuation(card_of(), now, files) == [text]
    torch.save({"state": {"batches": 3}}, files.resume)
    with pytest.raises(ConfigError) as refusal:
        describe_continuation(card_of(), now, files)
    assert f"{text} (within an epoch, its place in the data would be lost)" in str(refusal.value)
    assert "--load-epoch N" in str(refusal.value)
    # from the weights of a whole epoch
    now = card_of("--load-epoch", "1", *flags)
    assert describe_continuation(card_of(), now, files) == [text]


@pytest.mark.parametrize("way", [["--resume"], ["--load-epoch", "1"]])
@pytest.mark.parametrize(
    "flags", [["--train-val-split", "0.7"], ["--cross-validation", "n%4"], ["--ensemble", "3"]]
)
def test_what_makes_another_training_is_always_refused(files, way, flags):
    with pytest.raises(ConfigError, match=flags[0]):
        describe_continuation(card_of(), card_of(*way, *flags), files)


def test_an_ensemble_may_grow(files):
    now = card_of("--resume", "--ensemble", "8")
    assert describe_continuation(card_of("--ensemble", "4"), now, files) == ["--ensemble 4 -> 8"]


@pytest.mark.parametrize(
    "flags",
    [["--start-lr", "1"], ["--optimizer", "adam"], ["-p", "weight_decay", "1"], ["--seed", "8"]],
)
def test_the_state_of_the_optimizer_is_of_its_settings(files, flags):
    name = "--optimizer-option" if flags[0] == "-p" else flags[0]
    with pytest.raises(ConfigError, match=f"{name} .* -> "):
        describe_continuation(card_of(), card_of("--resume", *flags), files)
    # with fresh moments another rate is another course
    describe_continuation(card_of(), card_of("--load-epoch", "0", *flags), files)


@pytest.mark.parametrize("flags", [["--resume"], ["--load-epoch", "0"]])
def test_another_number_of_ranks_is_said(files, flags):
    before = card_of() | {"ranks": 4}
    [change] = describe_continuation(before, card_of(*flags), files)
    assert change.startswith("4 ranks -> 1 (rows come in another order")


def test_other_training_files_are_said_and_lose_the_place_within_an_epoch(stopped_within):
    changed = {"training": {"_": {"/a.root": 11, "/c.root": 20}}, "validation": {}}
    text = (
        "training files: 1 new (_:/c.root), 1 no longer there (_:/b.root), "
        "1 with other entries (_:/a.root)"
    )
    with pytest.raises(ConfigError) as refusal:
        describe_continuation(card_of(), card_of("--resume", files=changed), stopped_within)
    assert text in str(refusal.value)
    now = card_of("--load-epoch", "2", files=changed)
    assert describe_continuation(card_of(), now, stopped_within) == [text]


def test_other_validation_files_are_no_loss(stopped_within):
    changed = FILES | {"validation": {"_": {"/v.root": 5}}}
    assert describe_continuation(card_of(), card_of("--resume", files=changed), stopped_within) == [
        "validation files: 1 new (_:/v.root)"
    ]


def test_files_in_another_order_are_another_order_of_rows(stopped_within):
    turned = FILES | {"training": {"_": {"/b.root": 20, "/a.root": 10}}}
    with pytest.raises(ConfigError, match="training files: in another order"):
        describe_continuation(card_of(), card_of("--resume", files=turned), stopped_within)


@pytest.mark.parametrize(
    ("section", "content"),
    [
        ("inputs", {"jet": {"length": None, "vars": ["x"]}}),
        ("labels", {"type": "simple", "value": ["is_b", "is_a"]}),
        ("selection", "x > 0"),
        ("new_variables", {"far": "x + 2 * y", "seen": "x - y"}),
    ],
)
def test_sections_of_the_data_yaml_that_a_training_uses_do_not_change(files, section, content):
    now = card_of("--load-epoch", "1", data=YAML | {section: content})
    with pytest.raises(ConfigError, match=f"data YAML, {section}"):
        describe_continuation(card_of(), now, files)


def test_sections_for_the_prediction_may_change(files):
    data = YAML | {
        "observers": ["seen", "y"],
        "test_time_selection": "x > 0",
        "new_variables": {"far": "x + y", "seen": "y - x"},
    }
    assert describe_continuation(card_of(), card_of("--resume", data=data), files) == []


def test_a_card_without_a_flag_that_was_added_later_has_its_default(files):
    before = card_of()
    del before["options"]["data"]["pool_size"]
    assert describe_continuation(before, card_of("--resume"), files) == []


def test_a_card_of_an_earlier_version_lists_paths_alone(files):
    before = card_of(files=["/a.root"])
    assert describe_continuation(before, card_of("--resume"), files) == []


def test_lists_of_options_name_options():
    known = set()
    for part in fields(RunOptions()):
        known |= {item.name for item in fields(getattr(RunOptions(), part.name))}
    lists = [
        continuation.NOT_COMPARED,
        continuation.NEVER,
        continuation.NOT_RESUMED,
        continuation.NOT_WITHIN_EPOCH,
    ]
    for names in lists:
        assert names <= known
    assert sum(map(len, lists)) == len(frozenset.union(*lists))


def test_a_run_goes_on_with_the_statistics_of_its_first_files(small_run):
    assert small_run() == 0
    files = RunFiles(str(small_run.prefix))
    before = files.auto_yaml.read_text()
    selection = ["--extra-selection-train", "x > 0"]
    assert small_run("--num-epochs", 2, "--resume", *selection) == 0
    assert files.auto_yaml.read_text() == before
    said = files.log.read_text()
    assert "changed since the run began: --extra-selection-train not given -> x > 0" in said
    # the card says what the run is now, and the command that began it
    card = load_card(files.prefix)
    assert card["options"]["data"]["extra_selection_train"] == "x > 0"
    assert len(card["continued"]) == 1


def test_a_changed_training_is_refused_before_anything_of_it_is_written(small_run, capsys):
    assert small_run() == 0
    files = RunFiles(str(small_run.prefix))
    before = {path.name: path.read_bytes() for path in small_run.prefix.parent.iterdir()}
    assert small_run("--num-epochs", 2, "--resume", "--start-lr", 1) == 1
    assert "--start-lr 0.005 -> 1.0" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in files.card.parent.iterdir()} == before
    # from the weights it goes on
    assert small_run("--num-epochs", 2, "--load-epoch", 0, "--start-lr", 1) == 0
    assert json.loads(files.card.read_text())["options"]["train"]["start_lr"] == 1


def test_a_run_without_a_seed_of_its_own_goes_on_with_the_one_it_drew(small_run):
    assert small_run() == 0
    files = RunFiles(str(small_run.prefix))
    seed = load_card(files.prefix)["seed"]
    assert small_run("--num-epochs", 2, "--load-epoch", 0) == 0
    assert load_card(files.prefix)["seed"] == seed
    # all of the training, not the weights alone
    assert "continuing from" in files.log.read_text()


def test_statistics_of_a_failed_start_are_none_of_the_training_that_follows(small_run):
    failing = ["--extra-selection-train", "x > 0", "--start-lr", 1e25, "--resume", "--seed", 1]
    files = RunFiles(str(small_run.prefix))
    assert small_run(*failing) == 1
    left = files.auto_yaml.read_text()
    assert small_run("--resume") == 0
    clean = RunFiles(str(small_run.folder / "clean" / "net"))
    assert small_run("-m", clean.prefix) == 0
    assert files.auto_yaml.read_text() == clean.auto_yaml.read_text() != left
