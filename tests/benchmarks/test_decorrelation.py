"""What the benchmark of decorrelation chooses, and what it compares with its bars."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import uproot

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("decorrelation")


def number(value, error=0.01):
    return {"value": value, "error": error}


def row(benchmark, kind, strength, auc, excess, rejection=50.0):
    numbers = {
        "auc": number(auc),
        "rejection": number(rejection),
        "excess": number(excess),
        "validation": (auc, excess),
    }
    return benchmark.Row(kind=kind, strength=strength, numbers=numbers, trainings=1)


def test_validation_chooses_the_smallest_excess_of_a_good_auc_and_of_any_that_will_do(benchmark):
    values = [(0.5, 0.93, 0.2), (1, 0.88, 0.1), (2, 0.84, 0.02), (3, 0.75, 0.0)]
    rows = benchmark.with_choices([row(benchmark, "disco", *one) for one in values])
    assert [list(one.chosen) for one in rows] == [[], ["chosen"], ["strongest"], []]
    # where no strength leaves a good AUC there is none to choose
    rows = benchmark.with_choices([row(benchmark, "mi", 9, 0.85, 0.1)])
    assert list(rows[0].chosen) == ["strongest"]


def test_a_strength_whose_excess_is_not_known_is_not_chosen(benchmark):
    values = [(1, 0.9, None), (2, 0.88, 0.1), (3, 0.9, 0.2)]
    rows = benchmark.with_choices([row(benchmark, "mi", *one) for one in values])
    assert [list(one.chosen) for one in rows] == [[], ["chosen", "strongest"], []]


def test_the_share_at_which_half_of_the_tops_pass_lies_between_those_tried(benchmark, tmp_path):
    # of ten jets 1, ..., 9 pass at the shares tried: half of them at the fifth
    columns = {}
    for passing, share in enumerate(benchmark.SCANNED, start=1):
        values = np.where(np.arange(10) < passing, 1.0, -1.0)
        columns[f"top_ddt_{share.replace('.', 'p')}"] = np.append(values, np.nan)
    with uproot.recreate(tmp_path / "scan.root") as file:
        file.mktree("tree", columns)
    found = benchmark.share_of_background(tmp_path / "scan.root")
    assert found == pytest.approx(float(benchmark.SCANNED[4]))


def test_numbers_stand_beside_their_bars(benchmark):
    rows = [row(benchmark, "plain", 0, 0.97, 0.3), row(benchmark, "flat", 0, 0.95, 0.02)]
    rows += benchmark.with_choices([row(benchmark, "kl", 1, 0.9, 0.15)])
    ddt = {
        "target": 0.02,
        "background_efficiency": number(0.024, 0.001),
        "rejection": number(40.0),
        "excess": number(0.01),
        "chi2_per_ndf": 1.5,
    }
    lines = {line.name: line for line in benchmark.bar_lines(rows, [ddt])}
    assert lines["kl: excess / plain's"].value == pytest.approx(0.5)
    assert "met" in lines["kl: excess / plain's"].text()
    assert lines["DDT: 1/eps_B / flat reweighting's"].value == pytest.approx(0.8)
    assert "MISSED" in lines["DDT: 1/eps_B / flat reweighting's"].text()
    # 20 % off, where 15 % are allowed; four errors, where two are
    assert lines["DDT: eps_B off its target / allowed"].value == pytest.approx(0.2 / 0.15)
    assert "not measured" in lines["disco: AUC there"].text()


def test_each_training_has_a_data_yaml_that_can_be_read(benchmark, tmp_path):
    from weaver_tt.config.load import load_config

    benchmark.write_configs(benchmark.WHOLE, tmp_path)
    names = {path.stem for path in tmp_path.iterdir()}
    assert {"plain", "flat", "PFN", "PFN_flat", "disco_2", "kl_0.3"} <= names
    configs = {name: load_config(str(tmp_path / f"{name}.yaml")) for name in names}
    assert configs["plain"].decorrelation is None
    assert configs["mi_2"].decorrelation.strength == 2
    assert configs["flat"].weights is not None
    assert configs["PFN"].weights is None


def test_figures_have_all_strengths_and_the_chosen_ones(benchmark):
    commands = {}

    class Steps:
        def run(self, name, *command, again):
            commands[name] = command[1:-2]

    rows = [row(benchmark, kind, 0, 0.97, 0.3) for kind in ("plain", "flat", "PFN")]
    rows += benchmark.with_choices([row(benchmark, "kl", one, 0.9, 0.2 / one) for one in (1, 2)])
    benchmark.draw(rows, benchmark.WHOLE, Steps())
    every = ["plain:ddt_plain_seed1.root", "flat:flat_seed1.root"]
    every += ["kl@1:kl_1_seed1.root", "kl@2:kl_2_seed1.root"]
    assert list(commands["report_all"][: commands["report_all"].index("--mass-column")]) == every
    chosen = ["plain:plain_seed1.root", "flat:flat_seed1.root", "kl 2:kl_2_seed1.root"]
    assert list(commands["report_chosen"][:3]) == chosen
