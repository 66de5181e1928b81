"""The four commands one after another, as a user runs them."""

import json
import subprocess
import sys

import awkward as ak
import pytest
import uproot

from weaver_tt.applications.truth_tagging import commands
from weaver_tt.errors import ConfigError, DataError, OutputError
from weaver_tt.formats.writers import open_writer


@pytest.fixture
def predictions(tmp_path):
    """Toy events with a network that gives the true efficiencies."""
    commands.run_toy(
        commands.ToyOptions(events=3000, seed=2, kind="boosted", output=str(tmp_path / "toy.root"))
    )
    events = uproot.open(tmp_path / "toy.root")["tree"].arrays(
        [f"jet_{name}" for name in ("pt", "eta", "phi", "mass", "flavour", "istag", "eff_true")]
    )
    with open_writer(tmp_path / "pred.root") as writer:
        writer.write(
            {name: events[name] for name in events.fields} | {"jet_eff": events.jet_eff_true}
        )
    return str(tmp_path / "pred.root")


def close(predictions, folder, **more):
    commands.run_closure(
        commands.ClosureOptions(predictions=[predictions], output=str(folder), **more)
    )
    return json.loads((folder / "closure.json").read_text())


@pytest.fixture
def drawn(monkeypatch):
    """Where figures were asked for; drawing them is tested in test_figures.py."""
    folders = []
    monkeypatch.setattr(
        "weaver_tt.applications.truth_tagging.figures.draw_closure",
        lambda closure, folder: folders.append(folder),
    )
    return folders


def test_closure_with_a_map_from_the_training_file(predictions, tmp_path, drawn):
    summary = close(predictions, tmp_path / "closure", map_from=[str(tmp_path / "toy.root")])
    assert summary["map"]["made_from_predictions"] is False
    tags = summary["map"]["tagged_jets"]["light"]
    assert summary["map"]["tagged_jets_precision"]["light"] == pytest.approx(tags**-0.5)
    assert summary["residuals"]["network"]["b"]["rms"] == 0
    assert drawn == [str(tmp_path / "closure")]


def test_a_saved_map_and_one_made_on_the_way_give_the_same(predictions, tmp_path, drawn):
    commands.run_map(commands.MapOptions(files=[predictions], output=str(tmp_path / "map.json")))
    saved = close(predictions, tmp_path / "saved", map=str(tmp_path / "map.json"))
    made = close(predictions, tmp_path / "made")
    assert made["map"]["made_from_predictions"] is True
    assert saved["distributions"] == made["distributions"]
    assert saved["residuals"]["map"] == made["residuals"]["map"]


def test_weights_of_several_multiplicities(predictions, tmp_path):
    output = str(tmp_path / "weights.root")
    commands.run_weights(
        commands.WeightsOptions(
            predictions=predictions, exactly=[0, 1, 2], at_least=[1], output=output
        )
    )
    events = uproot.open(output)["tree"].arrays()
    assert ak.to_numpy(events.weight_exactly1 + events.weight_exactly2) == pytest.approx(
        ak.to_numpy(events.weight_atleast1)
    )
    assert ak.to_numpy(events.weight_exactly2) == pytest.approx(
        ak.to_numpy(events.jet_eff_true[:, 0] * events.jet_eff_true[:, 1]), rel=1e-6
    )


def test_probabilities_above_1_are_told(predictions, tmp_path, caplog):
    (tmp_path / "distort.yaml").write_text("scale_factors: {all: 1.5}")
    data = str(tmp_path / "data.root")
    distort = str(tmp_path / "distort.yaml")
    commands.run_toy(commands.ToyOptions(events=300, distort=distort, output=data))
    options = commands.WeightsOptions(
        predictions=data,
        efficiency_column="jet_eff_true",
        scale_factor="jet_sf_true",
        exactly=[1],
        output=str(tmp_path / "out.root"),
    )
    commands.run_weights(options)
    assert "is above 1 for" in caplog.text
    assert "they are taken as tagged for certain" in caplog.text


def test_mistakes_are_told(predictions, tmp_path):
    with pytest.raises(ConfigError, match="exclude each other"):
        close(predictions, tmp_path / "x", map="a.json", map_from=["b.root"])
    with pytest.raises(DataError, match="did you mean 'jet_istag'"):
        close(predictions, tmp_path / "x", tag_column="jet_tag")
    with pytest.raises(DataError, match="no such file"):
        close(str(tmp_path / "nothing.root"), tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        close(predictions, tmp_path / "file" / "x")


def test_options_do_not_import_heavy_libraries():
    code = """
import sys, weaver_tt.applications.truth_tagging.commands
heavy = ("numpy", "awkward", "torch", "matplotlib")
print([name for name in heavy if name in sys.modules])
"""
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        == "[]"
    )


def test_a_data_yaml_that_tells_groups_of_files_apart_makes_no_map(predictions, tmp_path):
    path = tmp_path / "groups.yaml"
    path.write_text(
        "file_magic: {is_data: {'data:': 1}}\ninputs: {jets: {length: 2, vars: [jet_pt]}}\n"
    )
    options = commands.MapOptions(files=[f"data:{predictions}"], data_config=str(path))
    with pytest.raises(ConfigError, match=r"groups\.yaml: file_magic: a pattern 'NAME:' is of"):
        commands.run_map(options)
