"""The file that an analysis takes home: all columns, and the weights behind them."""

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.applications.truth_tagging.event_weights import TagRequest
from weaver_tt.applications.truth_tagging.weights_output import write_event_weights
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import open_writer

COLUMNS = {
    "jet_eff": [[0.5, 0.2], [], [0.1]],
    "jet_eff_std": [[0.05, 0.02], [], [0.01]],
    "jet_pt": [[60.0, 50.0], [], [30.0]],
    "run": [1, 2, 3],
}


def write(path, **changed):
    with open_writer(path) as writer:
        writer.write(
            {
                name: ak.Array(values)
                for name, values in (COLUMNS | changed).items()
                if values is not None
            }
        )
    return str(path)


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_all_columns_are_kept_and_several_weights_added(tmp_path, suffix):
    source, output = write(tmp_path / "pred.root"), tmp_path / f"out.{suffix}"
    write_event_weights(source, str(output), [TagRequest(count=2), TagRequest(count=1, more=True)])
    found = uproot.open(output)["tree"].arrays() if suffix == "root" else ak.from_parquet(output)
    for name, values in COLUMNS.items():
        assert (
            found[name].tolist() == pytest.approx(values)
            if name == "run"
            else found[name].tolist() == values
        )
    assert found.weight_exactly2.tolist() == pytest.approx([0.1, 0, 0])
    assert found.weight_exactly2_std.tolist() == pytest.approx([0.2 * 0.05 + 0.5 * 0.02, 0, 0])
    assert found.weight_atleast1.tolist() == pytest.approx([0.6, 0, 0.1])
    assert [name for name in found.fields if name.startswith("nn") or name.endswith("_")] == []


def test_chunks_are_written_one_after_another(tmp_path, monkeypatch):
    monkeypatch.setattr("weaver_tt.applications.truth_tagging.jets.row_ranges.__defaults__", (2,))
    source, output = write(tmp_path / "pred.root", jet_eff_std=None), tmp_path / "out.root"
    write_event_weights(source, str(output), [TagRequest(count=0)])
    tree = uproot.open(output)["tree"]
    assert np.allclose(tree["weight_exactly0"].array(), [0.4, 1, 0.9])
    assert "weight_exactly0_std" not in tree


def test_a_file_without_events_gives_one_with_the_columns(tmp_path):
    source, output = (
        write(
            tmp_path / "pred.root",
            **{name: ak.Array(values)[:0] for name, values in COLUMNS.items()},
        ),
        tmp_path / "out.root",
    )
    write_event_weights(source, str(output), [TagRequest(count=2)])
    tree = uproot.open(output)["tree"]
    assert tree.num_entries == 0
    assert "weight_exactly2" in tree


SCALE_FACTORS = {"jet_sf": [[1.2, 0.5], [], [2.0]], "jet_sf_std": [[0.1, 0.2], [], [0.3]]}


def weigh(tmp_path, request, **changed):
    source = write(tmp_path / "pred.root", **(SCALE_FACTORS | changed))
    output = tmp_path / "out.root"
    corrected = write_event_weights(source, str(output), [request], scale_factor="jet_sf")
    return uproot.open(output)["tree"].arrays(), corrected


def test_a_tagged_object_gets_eff_sf_and_an_untagged_one_1_minus_eff_sf(tmp_path):
    found, corrected = weigh(tmp_path, TagRequest(count=1))
    # 0.6 and 0.1 in the first event, 0.2 in the last
    assert found.weight_exactly1.tolist() == pytest.approx([0.6 * 0.9 + 0.4 * 0.1, 0, 0.2])
    assert (corrected.objects, corrected.above_one) == (3, 0)
    # derivatives 1 - 2 * 0.1 and 1 - 2 * 0.6, of eff SF; the two causes add up in quadrature
    efficiencies = 0.8 * 1.2 * 0.05 + 0.2 * 0.5 * 0.02
    factors = 0.8 * 0.5 * 0.1 + 0.2 * 0.2 * 0.2
    expected = [np.hypot(efficiencies, factors), 0, np.hypot(2 * 0.01, 0.1 * 0.3)]
    assert found.weight_exactly1_std.tolist() == pytest.approx(expected)


def test_a_spread_of_the_scale_factors_alone_makes_an_error(tmp_path):
    found, _ = weigh(tmp_path, TagRequest(count=1, more=True), jet_eff_std=None)
    first = 0.9 * 0.5 * 0.1 + 0.4 * 0.2 * 0.2
    assert found.weight_atleast1_std.tolist() == pytest.approx([first, 0, 0.1 * 0.3])


def test_a_probability_above_1_counts_as_1_and_is_counted(tmp_path):
    found, corrected = weigh(tmp_path, TagRequest(count=0), jet_sf=[[2.5, 0.5], [], [1.0]])
    assert found.weight_exactly0.tolist() == pytest.approx([0, 1, 0.9])
    assert (corrected.above_one, corrected.largest) == (1, 1.25)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([[1.0, -0.1], [], [1.0]], r"'jet_sf', rows from 0: 1 of 3 scale factors .*first: -0\.1"),
        ([[1.0, 1.0], [], [float("nan")]], "1 of 3 scale factors are not numbers"),
        ([[1.0], [], [1.0]], "expected a scale factor for each efficiency"),
        ([1.0, 1.0, 1.0], "expected a scale factor for each efficiency"),
    ],
)
def test_factors_that_correct_nothing_are_refused(tmp_path, factors, message):
    with pytest.raises(DataError, match=message):
        weigh(tmp_path, TagRequest(count=1), jet_sf=factors, jet_sf_std=None)


def test_what_cannot_be_asked_for(tmp_path):
    source, output = write(tmp_path / "pred.root"), str(tmp_path / "out.root")
    with pytest.raises(ConfigError, match="ask for one or more"):
        write_event_weights(source, output, [])
    with pytest.raises(ConfigError, match="ask for one or more different"):
        write_event_weights(source, output, [TagRequest(count=1), TagRequest(count=1)])
    with pytest.raises(DataError, match="did you mean 'jet_eff'"):
        write_event_weights(source, output, [TagRequest(count=1)], efficiency="jet_ef")
    with pytest.raises(
        DataError, match=r"pred.root: column 'jet_eff', rows from 0: row 2, object 1: nan"
    ):
        write_event_weights(
            write(tmp_path / "pred.root", jet_eff=[[0.5, 0.2], [], [float("nan")]]),
            output,
            [TagRequest(count=1)],
        )
    write_event_weights(write(tmp_path / "pred.root"), output, [TagRequest(count=1)])
    with pytest.raises(DataError, match="already has the column weight_exactly1"):
        write_event_weights(output, str(tmp_path / "again.root"), [TagRequest(count=1)])
