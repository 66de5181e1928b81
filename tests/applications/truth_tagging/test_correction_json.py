"""The JSON map gives the same numbers in correctionlib, and comes back unchanged."""

import json

import correctionlib
import numpy as np
import pytest

from weaver_tt.applications.truth_tagging.correction_json import load_map, save_map
from weaver_tt.applications.truth_tagging.efficiency_map import EfficiencyMap, FlavourMap
from weaver_tt.errors import ConfigError, OutputError


@pytest.fixture
def efficiency_map():
    rng = np.random.default_rng(1)
    edges = {
        "b": ([20, 50, 100, 600], [-2, 0, 2]),
        "c": ([20, 600], [-1.5, 0.5, 1.5]),
        "light": ([20, 80, 600], [-2, 2]),
    }
    return EfficiencyMap(
        {
            name: FlavourMap(
                np.array(pt, float),
                np.array(eta, float),
                *rng.uniform(size=(2, len(pt) - 1, len(eta) - 1)),
                tags=float(len(pt)),
            )
            for name, (pt, eta) in edges.items()
        }
    )


def test_correctionlib_reads_the_same_numbers_inside_and_outside_the_edges(
    efficiency_map, tmp_path
):
    path = str(tmp_path / "map.json")
    save_map(efficiency_map, path, "a test")
    rng = np.random.default_rng(2)
    pt, eta, number = rng.uniform(0, 900, 500), rng.uniform(-3, 3, 500), rng.integers(0, 3, 500)
    pt[:4], eta[:4] = [20, 50, 100, 600], [-2, 0, 2, 2]  # on the edges
    flavour = np.array([5, 4, 0])[number]
    read = correctionlib.CorrectionSet.from_file(path)
    efficiency, error = efficiency_map(pt, eta, number)
    assert read["efficiency"].evaluate(flavour, pt, eta) == pytest.approx(efficiency, rel=1e-12)
    assert read["efficiency_error"].evaluate(flavour, pt, eta) == pytest.approx(error, rel=1e-12)
    assert [read["tagged_jets"].evaluate(key) for key in (5, 4, 0, 21)] == [4, 2, 3, 3]


def test_a_saved_map_comes_back(efficiency_map, tmp_path):
    path = str(tmp_path / "folder" / "map.json")
    save_map(efficiency_map, path, "a test")
    for name, table in load_map(path).flavours.items():
        for field in ("pt_edges", "eta_edges", "efficiency", "error", "tags"):
            assert np.array_equal(
                getattr(table, field), getattr(efficiency_map.flavours[name], field)
            )


def test_other_files_are_refused(tmp_path):
    (tmp_path / "other.json").write_text('{"corrections": [{"name": "sf", "data": 1}]}')
    (tmp_path / "broken.json").write_text("{")
    for name, message in (
        ("other.json", "not an efficiency map"),
        ("broken.json", "not an efficiency map"),
        ("none.json", "no such file"),
    ):
        with pytest.raises(ConfigError, match=f"{name}: {message}"):
            load_map(str(tmp_path / name))


def test_a_place_that_cannot_be_written_is_an_output_error(efficiency_map, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the efficiency map"):
        save_map(efficiency_map, str(tmp_path / "file" / "map.json"), "")


@pytest.mark.parametrize("edges", ["[3, 2]", "[1, 1]", "[1]", "[NaN, 2]", "5", "[1e400, 2]"])
def test_a_map_whose_bins_make_no_sense_is_refused(efficiency_map, tmp_path, edges):
    path = tmp_path / "map.json"
    save_map(efficiency_map, str(path), "a test")
    document = json.loads(path.read_text())
    for correction in document["corrections"]:
        if correction["name"] == "efficiency":
            correction["data"]["default"]["edges"][0] = json.loads(edges)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="not an efficiency map"):
        load_map(str(path))


def test_lists_inside_of_lists_inside_of_lists_are_refused(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="not an efficiency map"):
        load_map(str(tmp_path / "deep.json"))
