"""The page of an exported folder says what goes in, what comes out, and where it comes from."""

from pathlib import Path
from typing import Any

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    write_target,
)
from weaver_tt.deploy.sample import SampleRows

NETWORK = DeepSet(0, 3, event=2)


def test_the_page_names_inputs_outputs_metrics_and_origin(tmp_path: Path) -> None:
    training = {"training": {"best": [{"loss": 0.25}], "command": "train.py -i x", "seed": 3}}
    write_target(tmp_path / "out", "cmssw", event_config(), [NETWORK], metadata=training)
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| jet_pt | a column | 50 | 0.02 | -5 to 5 | 0 |" in page
    assert "- `is_b`: probability of the class" in page
    assert "- `met_of_b`: `met * is_b`" in page
    assert "metrics of the best epoch: loss 0.25" in page
    assert "- command: `train.py -i x`" in page
    assert "20 real, 3 over-long, 3 NaN" in page


def test_columns_that_are_computed_show_their_expression(tmp_path: Path) -> None:
    config = jets_config(
        new_variables={"flag": "(jet_flavour == 5) | (jet_flavour == 4)"},
        inputs={
            "jets": {
                "length": 3,
                "vars": ["jet_pt", "jet_eta", "flag", ["jet_flavour", None, 1, -5, 5, -1]],
            },
        },
    )
    rows = events(30, seed=1)
    sample = sample_of(config, [row | {"flag": row["jet_flavour"] > 0} for row in rows])
    del sample.raw["flag"]
    modules: list[Any] = [DeepSet(0, 1, per_jet=True)]
    write_target(tmp_path / "out", "generic", config, modules, sample=sample)
    page = (tmp_path / "out" / "README.md").read_text()
    assert page.startswith("# tagger: an export for Tagger\n")
    assert "**jets**: up to 3 objects of a row, in this order:" in page
    # a bar would end the cell of the table
    assert "| flag | `(jet_flavour == 5) \\| (jet_flavour == 4)` | as it is | - | - | 0 |" in page
    assert "| jet_flavour | a column | as it is | - | - | -1 |" in page
    assert "- `jet_eff`: of each object" in page


def test_members_and_missing_kinds_are_named(tmp_path: Path) -> None:
    best = [{"loss": 0.25, "name": "a"}, {"loss": 0.5}]
    modules: list[Any] = [DeepSet(seed, 3, event=2) for seed in (1, 2)]
    sample = sample_of(event_config(), events(30, seed=1))
    training = {"training": {"best": best}}
    settings: dict[str, Any] = {"metadata": training, "sample": SampleRows(sample.tensors)}
    write_target(tmp_path / "out", "generic", event_config(), modules, **settings)
    page = (tmp_path / "out" / "README.md").read_text()
    assert "- metrics of the best epoch of member 0: loss 0.25\n" in page
    assert "- metrics of the best epoch of member 1: loss 0.5\n" in page
    assert "from variables computed back from prepared tensors" in page
