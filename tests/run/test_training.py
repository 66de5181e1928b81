"""Members of an ensemble are trained on one stream, each as if it were trained alone."""

from pathlib import Path

import pytest
import torch

from weaver_tt import cli
from weaver_tt.data.loaders import Loader
from weaver_tt.run.run_card import load_card
from weaver_tt.run.training import Fold
from weaver_tt.run_files import RunFiles


def train(training, prefix, *flags):
    assert cli.train(training.flags("-m", prefix, "--ensemble", "3", *flags)) == 0


def train_apart(training, monkeypatch, prefix, number, *flags):
    """One of the members alone, at the prefix of the ensemble's files."""
    with monkeypatch.context() as patch:
        seeds = Fold.seeds

        def seed_of_one(fold):
            return dict([list(seeds(fold).items())[number]])

        patch.setattr(Fold, "seeds", seed_of_one)
        train(training, prefix, *flags)


def files_of_member(prefix, number):
    """What it has left of its weights and of the averages of these, by the end of their names."""
    start = RunFiles(prefix).member(number).prefix
    paths = [*Path(prefix).parent.glob("*_plain.pt"), *Path(prefix).parent.glob("*_state.pt")]
    return {
        str(path).removeprefix(start): torch.load(path, weights_only=True)
        for path in paths
        if str(path).startswith(start)
    }


# networks draw from torch, numpy and random, with dropout and batch norm
FLAGS = {
    "as they are": "",
    "each has its own end, rate and best epoch": "--num-epochs 7 --early-stopping 1 "
    "--watch accuracy --lr-scheduler reduce-on-plateau --start-lr 0.05",
    "averages, groups of batches, clipping": "--ema 0.9 --accumulate-batches 3 --clip-gradient 0.1",
    "bf16, a worker process": "--use-amp --num-workers 1",
    "all rows alike": "--ensemble-weights none",
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_training_together_is_training_apart_bit_for_bit(training, monkeypatch, flags):
    train(training, "a/net", *flags.split())
    ends = set()
    for number in range(3):
        train_apart(training, monkeypatch, f"b{number}/net", number, *flags.split())
        together = files_of_member("a/net", number)
        apart = files_of_member(f"b{number}/net", number)
        assert together.keys() == apart.keys()
        for name, weights in apart.items():
            for key, value in weights.items():
                assert torch.equal(value, together[name][key]), (name, key)
        assert load_card("a/net")["best"][number] == load_card(f"b{number}/net")["best"][0]
        ends.add(len(RunFiles("a/net").member(number).epochs()))
    if "--early-stopping" in flags:
        assert len(ends) > 1


def test_members_differ_by_weights_of_the_rows_and_by_what_they_begin_with(training):
    for choice in ("poisson", "none"):
        train(training, f"{choice}/net", "--ensemble-weights", choice)
    first, second = (files_of_member("poisson/net", number) for number in (0, 1))
    alike = files_of_member("none/net", 0)
    key = "layers.0.weight"
    (name, *_) = first
    assert not torch.equal(first[name][key], second[name][key])
    assert not torch.equal(first[name][key], alike[name][key])


def test_rows_are_read_once_for_all_members(training, monkeypatch):
    epochs = []
    original = Loader.epoch

    def counting(loader, number, *arguments):
        epochs.append(number)
        return original(loader, number, *arguments)

    monkeypatch.setattr(Loader, "epoch", counting)
    counts = []
    for members in ("1", "4"):
        epochs.clear()
        flags = training.flags("-m", f"{members}/net", "--ensemble", members)
        assert cli.train(flags) == 0
        counts.append(len(epochs))
    assert counts[0] == counts[1]


def test_the_log_has_means_of_the_members_and_what_each_is_chosen_by(training, capsys):
    train(training, "a/net")
    said = capsys.readouterr().err
    for number in range(2):
        (line,) = [line for line in said.splitlines() if f"epoch {number}: train/" in line]
        assert "members 3" in line
        (line,) = [line for line in said.splitlines() if f"epoch {number}, loss of" in line]
        assert [f"{member}: " in line for member in range(3)] == [True] * 3
    assert said.count("best epoch of net_member-") == 3
    # the network is described once
    assert said.count("parameters") == 1


def test_the_history_of_a_continued_training_has_all_epochs_and_a_figure(small_run):
    assert small_run("--num-epochs", 2, "--figures") == 0
    history = RunFiles(str(small_run.prefix)).history
    before = history.read_text()
    assert small_run("--num-epochs", 3, "--figures", "--resume") == 0
    text = history.read_text()
    assert text.startswith(before)
    assert [line.partition(",")[0] for line in text.splitlines()] == ["epoch", "0", "1", "2"]
    figures = RunFiles(str(small_run.prefix)).figures
    assert (figures / "history.png").is_file()
    assert (figures / "history.pdf").is_file()
