"""The page of an exported folder says what goes in, what comes out, and where it comes from."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    write_target,
)
from weaver_tt.deploy.export import Export
from weaver_tt.deploy.golden import Golden
from weaver_tt.deploy.readme import readme_text
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.network.network import Network
from weaver_tt.tasks.registry import make_task

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


def test_objects_that_are_left_out_and_variables_in_between_are_named(tmp_path: Path) -> None:
    """What is computed by hand for a reader in C++ needs all of them."""
    config = jets_config(
        rows={"objects": "FatJet"},
        selection="met > 0",
        new_variables={"twice": "2 * jet_pt", "four": "2 * twice", "unneeded": "jet_pt"},
        object_selection={"jets": "twice > 50"},
        inputs={
            "jets": {
                "length": 3,
                "pad_mode": "wrap",
                "vars": [["four", None], ["jet_eta", None], ["jet_phi", None], ["jet_pt", None]],
            },
        },
    )
    export = Export(
        [Network(DeepSet(0, 1, per_jet=True), ["jets"])],
        make_task(config),
        config,
        {"jets": np.ones((4, 4, 3), np.float32)},
    )
    golden = Golden([], [], {}, "columns of the files")
    page = readme_text(TARGETS["raw"]("tagger"), export, golden, {})
    assert "A row is one of `FatJet` of an event" in page
    assert "**jets**: up to 3 objects of a row, repeated until all places are filled, in" in page
    assert "| four | `2 * twice` | as it is" in page
    assert "stay, in all of their columns:\n\n- `jets`: those with `twice > 50`\n" in page
    assert "that are no columns:\n\n- `twice`: `2 * jet_pt`\n\n##" in page
    assert "- rows: those with `met > 0`\n" in page
    assert "unneeded" not in page
