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
