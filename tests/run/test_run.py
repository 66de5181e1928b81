"""The story of a run is told whole in ``test_story.py``; here its turns that need no data."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from weaver_tt.config.load import load_config
from weaver_tt.data.raw_rows import evaluate_raw_rows
from weaver_tt.data.statistics import fit
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.sample import load_raw_sample, load_sample
from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.options.train import RunOptions
from weaver_tt.run.run import run
from weaver_tt.run.sample_rows import first_inputs
from weaver_tt.run.task import make_run_task

ROOT = Path(__file__).parents[2]


def options(**output) -> RunOptions:
    """A run of the top-tagging example."""
    chosen = RunOptions()
    chosen.data.data_config, chosen.network.network_config = (
        str(ROOT / "data_configs/top_tagging.yaml"),
        str(ROOT / "network_configs/pfn.py"),
    )
    chosen.train.gpus = ""
    for name, value in output.items():
        setattr(chosen.output, name, value)
    return chosen


def test_printing_needs_no_data(capsys):
    run(options(print=True))
    # 7 features -> 3 layers of 128 on constituents, 3 on the jet, 2 classes
    assert f"parameters    {(7 + 1) * 128 + 5 * 129 * 128 + 129 * 2:,}" in capsys.readouterr().out


def test_training_without_files_is_told_before_anything_starts():
    with pytest.raises(ConfigError, match="--data-train must be given"):
        run(options())


def test_an_export_of_weights_that_are_not_there_names_them(tmp_path):
    chosen = options(export_onnx=str(tmp_path / "model.onnx"))
    chosen.network.model_prefix = str(tmp_path / "net")
    with pytest.raises((ConfigError, TrainingError), match=r"net_best_epoch_state\.pt"):
        run(chosen)


def test_a_network_that_cannot_be_repeated_is_refused_before_it_trains(small_run, capsys):
    source = (small_run.folder / "net.py").read_text()
    # which of two values stays is left to chance
    chance = "torch.zeros(3).put_(torch.tensor([0, 0]), torch.rand(2)); return self"
    (small_run.folder / "net.py").write_text(source.replace("return self", chance, 1))
    assert small_run("--deterministic") == 1
    said = capsys.readouterr().err
    assert "--deterministic: put_ has no deterministic algorithm here" in said
    assert "net.py" in said
    assert "Traceback" not in said
    assert not small_run.prefix.parent.exists()
    (small_run.folder / "net.py").write_text(source)
    assert small_run("--deterministic", "--seed", 3) == 0
    first = small_run.prefix.with_name("net_best_epoch_state.pt").read_bytes()
    assert small_run("--deterministic", "--seed", 3, "--overwrite") == 0
    assert small_run.prefix.with_name("net_best_epoch_state.pt").read_bytes() == first


LEARNT = """
from torch import nn

def get_loss(data_config):
    return nn.Bilinear(1, 1, 1)
"""


def test_the_first_weights_of_what_a_task_trains_follow_from_the_seed(tmp_path):
    file = tmp_path / "learnt.py"
    file.write_text((ROOT / "network_configs/pfn.py").read_text() + LEARNT)
    chosen = options()
    chosen.network.network_config = str(file)
    config = load_config(chosen.data.data_config)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (
        make_run_task(config, chosen, seed).modules.weight.item() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert torch.equal(torch.get_rng_state(), before)


def test_an_interrupted_training_leaves_the_rows_that_its_export_is_compared_on(
    small_run, monkeypatch
):
    def interrupted(fold, *others):
        # all 20 rows, with their statistics; 16 of them are enough to count FLOPs
        assert fold.sample["jet"].shape == (20, 2)
        assert first_inputs(fold.sample)["jet"].shape == (16, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("weaver_tt.run.training.train_members", interrupted)
    assert small_run() == 130
    assert load_sample(small_run.prefix)["jet"].shape == (20, 2)


def test_a_training_keeps_the_columns_that_the_rows_of_its_sample_are_made_of(small_run):
    """Its selection drops every third row; what remains is computed from the file again."""
    text = (small_run.folder / "data.yaml").read_text()
    text = text.replace("vars: [x, y]", "vars: [twice, y]")
    text += "selection: number % 3 != 0\nnew_variables: {twice: 2 * x}\n"
    (small_run.folder / "data.yaml").write_text(text)
    assert small_run() == 0
    raw = load_raw_sample(small_run.prefix)
    data = ak.from_parquet(small_run.folder / "jets.parquet")
    kept = data[data.number % 3 != 0]
    assert sorted(raw) == ["x", "y"]
    assert raw["x"].tolist() == kept.x.tolist()
    config = load_statistics(load_config(small_run.folder / "data.yaml"), str(small_run.prefix))
    _, rows = evaluate_raw_rows(raw, config, "the sample")
    assert np.array_equal(rows.scalars["jet"], load_sample(small_run.prefix)["jet"])


def test_metrics_of_an_earlier_prediction_do_not_stay_beside_rows_without_labels(small_run):
    assert small_run() == 0
    output = small_run.folder / "pred.parquet"
    predict = ["--predict", "--predict-output", output, "-t"]
    assert small_run(*predict, small_run.folder / "jets.parquet") == 0
    assert (small_run.folder / "pred_metrics.json").is_file()
    data = ak.from_parquet(small_run.folder / "jets.parquet")
    ak.to_parquet(data[["x", "y", "number"]], small_run.folder / "data.parquet")
    assert small_run(*predict, small_run.folder / "data.parquet") == 0
    assert output.is_file()
    assert not (small_run.folder / "pred_metrics.json").exists()


def test_flops_of_real_rows_need_no_pass_over_all_of_them(training, capsys, monkeypatch):
    def refuse_any_pass(*arguments, **more):
        raise AssertionError("a pass over the data")

    monkeypatch.setattr(fit, "accumulate", refuse_any_pass)
    run(training.options("--print"))
    # 2 x 4 and 4 x 2 weights, a multiplication and an addition each
    assert "FLOPs         32 forward, for one row, the mean of 16" in capsys.readouterr().out
