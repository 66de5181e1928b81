"""Files of a run."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from weaver_tt.engine import checkpoint
from weaver_tt.engine.optim import make_optimizer
from weaver_tt.errors import ConfigError, OutputError, TrainingError
from weaver_tt.network.weights import read_state_dict
from weaver_tt.run_files import RunFiles


def test_a_folder_is_made_and_nothing_left_in_it(tmp_path):
    checkpoint.check_writable(RunFiles(str(tmp_path / "run" / "net")))
    assert list((tmp_path / "run").iterdir()) == []


def test_cleaning_leaves_the_latest_epoch_the_best_and_other_runs(tmp_path):
    names = [
        "net[1]_epoch-0_state.pt",
        "net[1]_epoch-7_state.pt",
        "net[1]_epoch-10_state.pt",
        "net[1]_best_epoch_state.pt",
        "net1_epoch-0_state.pt",
    ]
    for name in names:
        (tmp_path / name).touch()
    checkpoint.remove_epochs(RunFiles(str(tmp_path / "net[1]")), [0, 7])
    assert {path.name for path in tmp_path.iterdir()} == set(names[2:])


def test_a_folder_that_cannot_be_made_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write to .*file"):
        checkpoint.check_writable(RunFiles(str(tmp_path / "file" / "net")))


def test_what_is_saved_loads_with_weights_only(tmp_path):
    checkpoint.save_checkpoint({"a": torch.ones(2), "n": 3}, tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["n"] == 3
    assert checkpoint.load_checkpoint(tmp_path / "a.pt")["a"].tolist() == [1.0, 1.0]


def test_a_full_disk_keeps_the_previous_file(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    checkpoint.save_checkpoint({"n": 1}, path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.pt: cannot be written .*No space left"):
        checkpoint.save_checkpoint({"n": 2}, path)
    assert checkpoint.load_checkpoint(path) == {"n": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_a_write_that_fails_inside_torch_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.save_checkpoint({"n": 2}, tmp_path / "missing" / "a.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(TrainingError, match=r"bad\.pt: cannot be read as a checkpoint"):
        checkpoint.load_checkpoint(tmp_path / "bad.pt")


def test_something_else_than_a_dict_is_refused(tmp_path):
    checkpoint.save_checkpoint([1, 2], tmp_path / "list.pt")
    with pytest.raises(TrainingError, match="holds a list"):
        checkpoint.load_checkpoint(tmp_path / "list.pt")


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    network = nn.Linear(2, 2)
    adam, sgd = make_optimizer(network, "adam", 0.1), make_optimizer(network, "sgd", 0.1)
    with pytest.raises(TrainingError, match=r"another optimizer: it has no .*betas"):
        checkpoint.load_optimizer(adam, sgd.state_dict(), tmp_path)
    decaying = make_optimizer(network, "adam", 0.1, [["weight_decay", "0.1"]])
    with pytest.raises(TrainingError, match=r"groups of \[1, 1\] parameters, now \[2\]"):
        checkpoint.load_optimizer(adam, decaying.state_dict(), tmp_path)


def test_all_changed_settings_are_named(tmp_path):
    with pytest.raises(TrainingError, match="optimizer was 'adam', now 'sgd'; seed was 1, now 2"):
        checkpoint.check_settings(
            {"optimizer": "sgd", "seed": 2, "same": 3},
            {"optimizer": "adam", "seed": 1, "same": 3},
            tmp_path,
        )


def test_random_generators_go_on(tmp_path):
    def draw():
        return torch.rand(3).tolist(), np.random.normal(size=3).tolist(), random.gauss(0, 1)

    np.random.normal(), random.gauss(0, 1)  # leave half a pair behind in both
    checkpoint.save_checkpoint(checkpoint.random_state(), tmp_path / "random.pt")
    expected = draw()
    checkpoint.set_random_state(checkpoint.load_checkpoint(tmp_path / "random.pt"))
    assert draw() == expected


def test_a_prefix_names_its_best_epoch_or_a_given_one_or_its_members(tmp_path):
    prefix = str(tmp_path / "net")
    for name in ("_best_epoch_state.pt", "_epoch-3_state.pt", "-other_best_epoch_state.pt"):
        Path(prefix + name).touch()
    assert checkpoint.find_states(prefix) == [Path(f"{prefix}_best_epoch_state.pt")]
    assert checkpoint.find_states(prefix, epoch=3) == [Path(f"{prefix}_epoch-3_state.pt")]
    assert checkpoint.find_states(f"{prefix}_epoch-3_state.pt") == [
        Path(f"{prefix}_epoch-3_state.pt")
    ]
    assert checkpoint.find_states(f"{prefix}_epoch-3_state.pt:mod") == [
        Path(f"{prefix}_epoch-3_state.pt:mod")
    ]  # the weights under mod.
    for member in (10, 2):
        Path(f"{prefix}_member-{member}_epoch-7_state.pt").touch()
    assert [path.name for path in checkpoint.find_states(prefix, epoch=7)] == [
        "net_member-2_epoch-7_state.pt",
        "net_member-10_epoch-7_state.pt",
    ]


def test_a_mistyped_prefix_is_met_with_the_trained_network_and_not_with_files(tmp_path):
    (tmp_path / "m").mkdir()
    for name in ("nano_best_epoch_state.pt", "nano_epoch-0_state.pt", "big_epoch-0_state.pt"):
        (tmp_path / "m" / name).touch()
    with pytest.raises(
        ConfigError, match=r"no trained network .*m/nanoo .*did you mean '.*m/nano'"
    ):
        checkpoint.find_states(f"{tmp_path}/m/nanoo")
    with pytest.raises(ConfigError, match=r"no folder .*mm; did you mean '.*/m'"):
        checkpoint.find_states(f"{tmp_path}/mm/nano")
    # the network is there, this epoch of it is not
    with pytest.raises(ConfigError, match=r"no .*nano_epoch-1_state.pt; did you mean '.*epoch-0"):
        checkpoint.find_states(f"{tmp_path}/m/nano", epoch=1)
    with pytest.raises(ConfigError, match=r"no such file; .*did you mean 'nano_epoch-0_state.pt'"):
        checkpoint.find_states(f"{tmp_path}/m/nano_epoch-1_state.pt")


def test_a_mistyped_member_of_an_ensemble_is_met_with_the_ensemble(tmp_path):
    (tmp_path / "net_member-0_best_epoch_state.pt").touch()
    with pytest.raises(ConfigError, match=r"did you mean '.*/net'\?"):
        checkpoint.find_states(f"{tmp_path}/nett")


def test_files_of_an_earlier_run_under_the_same_prefix_are_not_mixed_in(tmp_path):
    prefix = str(tmp_path / "net")
    for name in ("", "_member-0", "_member-1", "_member-2"):
        Path(f"{prefix}{name}_best_epoch_state.pt").touch()
    assert checkpoint.find_states(prefix, members=1) == [Path(f"{prefix}_best_epoch_state.pt")]
    assert checkpoint.find_states(prefix, members=2) == [
        Path(f"{prefix}_member-{number}_best_epoch_state.pt") for number in (0, 1)
    ]
    with pytest.raises(ConfigError, match="say which"):
        checkpoint.find_states(prefix)
    with pytest.raises(ConfigError, match=r"no .*net_member-3_best_epoch_state\.pt"):
        checkpoint.find_states(prefix, members=4)


# --- what a training continues from


def save_twice(files):
    """Two saves, after 1 and after 2 batches: small ones that have all that a reader asks for."""
    for batches in (1, 2):
        checkpoint.save_resumable({"state": {"batches": batches}}, files)


def test_the_save_before_the_latest_is_kept(tmp_path):
    files = RunFiles(str(tmp_path / "net"))
    save_twice(files)
    found = {path.name: checkpoint.batches_into_epoch(path) for path in files.resumable()}
    assert found == {"net_resume.pt": 2, "net_resume_before.pt": 1}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_save_leaves_both_as_they_were(tmp_path, monkeypatch):
    files = RunFiles(str(tmp_path / "net"))
    save_twice(files)

    def fail(value, file):
        file.write(b"the first bytes")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        checkpoint.save_resumable({}, files)
    monkeypatch.undo()
    found = [checkpoint.batches_into_epoch(path) for path in files.resumable()]
    assert found == [2, 1]


def test_without_hard_links_the_save_before_is_kept_too(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(checkpoint.os, "link", refuse)
    files = RunFiles(str(tmp_path / "net"))
    save_twice(files)
    assert [checkpoint.batches_into_epoch(path) for path in files.resumable()] == [2, 1]


def one_bit_flipped(content: bytes) -> bytes:
    """Somewhere in the middle, where numbers are."""
    place = content.index(b"state") + 20
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-100], lambda content: b"", one_bit_flipped],
    ids=["truncated", "empty", "one bit"],
)
def test_a_damaged_save_is_said_and_the_one_before_is_taken(tmp_path, caplog, damage):
    files = RunFiles(str(tmp_path / "net"))
    save_twice(files)
    files.resume.write_bytes(damage(files.resume.read_bytes()))
    assert checkpoint.is_within_epoch(files)
    assert f"taking {files.resume_before}, which was saved before it" in caplog.text
    files.resume_before.write_bytes(b"")
    with pytest.raises(TrainingError, match=r"_resume\.pt.*_resume_before\.pt"):
        checkpoint.is_within_epoch(files)


def test_a_bit_that_flips_in_a_checkpoint_is_noticed(tmp_path):
    path = tmp_path / "net_resume.pt"
    checkpoint.save_checkpoint({"weights": {"w": torch.arange(10_000.0)}}, path)
    assert checkpoint.load_checkpoint(path)["weights"]["w"][3] == 3
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    # torch alone takes it
    assert torch.load(path, weights_only=True)["weights"]["w"].shape == (10_000,)
    with pytest.raises(TrainingError, match=r"net_resume.pt: .*its checksum differs"):
        checkpoint.load_checkpoint(path)
    with pytest.raises(TrainingError, match=r"net_resume.pt: .*its checksum differs"):
        read_state_dict(path, {})
