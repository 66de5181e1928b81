"""``rows`` of a data YAML: the collection whose objects are rows, and what is linked to it."""

import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.data.statistics.fingerprint import pass_config_fingerprint
from weaver_tt.errors import ConfigError
from weaver_tt.formats.row_objects import LinkedObjects, RowObjects


def config_of(rows, **more):
    values = {"inputs": {"jet": {"vars": ["Jet_pt"]}}, "rows": rows} | more
    return from_mapping(values, source="test.yaml")


def test_columns_are_those_that_begin_with_the_name_of_the_collection():
    assert config_of({"objects": "Jet"}).rows == RowObjects(name="Jet", columns=("Jet_*",))
    found = config_of(
        {
            "objects": "jets",
            "columns": ["jet_*", "btag"],
            "linked": {
                "PFCands": {"owner": "JetPFCands_jetIdx", "index": "JetPFCands_pFCandsIdx"},
                "SV": {"columns": "SV_*", "index": "Jet_svIdx1"},
            },
        }
    ).rows
    assert found.columns == ("jet_*", "btag")
    assert found.linked == (
        LinkedObjects(
            name="PFCands",
            columns=("PFCands_*",),
            owner="JetPFCands_jetIdx",
            index="JetPFCands_pFCandsIdx",
        ),
        LinkedObjects(name="SV", columns=("SV_*",), index="Jet_svIdx1"),
    )
    assert from_mapping({"inputs": {"jet": {"vars": ["pt"]}}}).rows is None


def test_predictions_have_the_place_of_each_row():
    config = config_of({"objects": "Jet"}, observers=["object_place", "run"])
    assert config.observers == ("object_place", "run", "event_entry")


def test_a_copy_with_statistics_has_the_same_rows(tmp_path):
    config = config_of({"objects": "Jet", "linked": {"SV": {"index": "Jet_svIdx1"}}})
    save_config(config, str(tmp_path / "auto.yaml"), {})
    assert load_config(str(tmp_path / "auto.yaml")).rows == config.rows


def test_statistics_of_other_rows_are_out_of_date():
    events = from_mapping({"inputs": {"jet": {"vars": ["Jet_pt"]}}})
    jets = config_of({"objects": "Jet"})
    linked = config_of({"objects": "Jet", "linked": {"SV": {"index": "Jet_svIdx1"}}})
    fingerprints = {pass_config_fingerprint(config, []) for config in (events, jets, linked)}
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"object": "Jet"}, r"test\.yaml: rows: unknown key 'object'; did you mean 'objects'"),
        ({"linked": {}}, r"test\.yaml: rows\.objects: expected the name of a collection"),
        ("Jet", r"test\.yaml: rows: expected keys with values"),
        ({"objects": "Jet", "linked": {"SV": {}}}, r"rows\.linked\.SV: what belongs to which"),
        (
            {"objects": "Jet", "linked": {"SV": {"begin": "a"}}},
            r"rows\.linked\.SV: begin and end belong together",
        ),
        (
            {"objects": "Jet", "linked": {"SV": {"begin": "a", "end": "b", "owner": "c"}}},
            r"rows\.linked\.SV: owner, or begin and end; not both",
        ),
        (
            {"objects": "Jet", "linked": {"SV": {"owner": "a", "identity": "b"}}},
            r"rows\.linked\.SV\.identity: needs an index",
        ),
        (
            {"objects": "Jet", "linked": {"SV": {"indx": "a"}}},
            r"unknown key 'indx'; did you mean 'index'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(rows, message):
    with pytest.raises(ConfigError, match=message):
        config_of(rows)
