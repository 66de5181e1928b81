"""What a search over architectures says of the poster's statements, from trials by hand."""

import importlib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("architecture_search")


def trial(number, state="complete", hidden=8, vectors=8, parameters=1000, auc=0.9, ant=0.1):
    return {
        "number": number,
        "state": state,
        "settings": {"-o hidden": hidden, "-o vectors": vectors},
        "values": {"auc": auc, "ant": ant} if state == "complete" else {},
        "parameters": parameters,
    }


def test_the_statements_are_those_of_the_completed_trials(benchmark):
    trials = [
        trial(0, hidden=64, parameters=50_000, auc=0.98, ant=0.01),
        # one channel of forty is not narrow
        trial(1, vectors=40, parameters=3000, auc=0.97, ant=0.02),
        trial(2, parameters=2500, auc=0.96, ant=0.03),
        trial(3, parameters=500, auc=0.91, ant=0.2),
        trial(4, "fail"),
        trial(5, "continued by 6"),
        trial(6, "pruned"),
    ]
    forest = {"-o hidden": {}, "-o vectors": {}, "-o k": {}, "-o iterations": {}}
    found = benchmark.statements({"trials": trials, "random_forest": {"auc": forest}})
    assert (found["trials"], found["completed"]) == (6, 4)
    assert found["place of -o k for auc, of 4"] == 3
    assert found["place of -o iterations for auc, of 4"] == 4
    assert found["narrow among all"] == 0.5
    assert found["best auc"]["trial"] == 0
    # twenty times smaller than 50,000 parameters are 2,500
    assert found["best auc with 20 times fewer parameters"]["trial"] == 2
    assert found["best ant"]["trial"] == 3


def test_the_space_is_a_narrower_one_of_the_example(benchmark):
    whole = yaml.safe_load((ROOT / "network_configs" / "vec_net_space.yaml").read_text())
    narrow = yaml.safe_load(benchmark.SPACE)
    for section, entries in narrow.items():
        for name, entry in entries.items():
            if name == "keep":
                # so that a trial takes a minute; the poster takes all particles
                assert max(entry) <= 24
                continue
            of_whole = whole[section][name]
            if isinstance(entry, list):
                assert set(entry) <= set(of_whole)
            elif name != "dropout":
                assert float(of_whole["low"]) <= float(entry["low"])
                assert float(entry["high"]) <= float(of_whole["high"])
