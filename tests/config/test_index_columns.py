"""Places in a collection whose objects are selected: refused unless they are counted anew."""

import logging

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import with_extra_selection
from weaver_tt.errors import ConfigError


def config(pattern="Jet", columns=None, index_columns=None, **more):
    """Selected objects of the collection ``pattern``, and whatever else is in the YAML."""
    selection = {"selection": f"{pattern}_pt > 20"}
    if columns is not None:
        selection["columns"] = columns
    if index_columns is not None:
        selection["index_columns"] = index_columns
    values = {
        "inputs": {"objects": {"length": 4, "vars": [f"{pattern}_pt"]}},
        "object_selection": {"objects": selection},
        **more,
    }
    return from_mapping(values, "data.yaml")


def using(column):
    """A YAML section in which an expression takes the places for those in the table."""
    return {"new_variables": {"x": f"Other_pt[{column}]"}, "observers": ["x"]}


@pytest.mark.parametrize(
    ("collection", "column"),
    [
        ("Jet", "JetPFCands_jetIdx"),
        ("Jet", "Electron_jetIdx"),
        ("Jet", "track_jet_index"),
        ("GenPart", "Electron_genPartIdx"),
        ("GenPart", "GenPart_genPartIdxMother"),
        ("LHEPart", "LHEPart_firstMotherIdx"),
        ("SubJet", "FatJet_subJetIdx1"),
        ("FatJet", "FatJetPFCands_jetIdx"),
        ("PFCands", "JetPFCands_pFCandsIdx"),
        ("SV", "JetSVs_sVIdx"),
        ("Particle", "Particle_M1"),
        ("MCParticles", "MCParticles_parents_begin"),
        ("Tracks", "ReconstructedParticles_tracks_end"),
        ("BTagging", "AnalysisJetsAuxDyn_btaggingLink_m_persIndex"),
    ],
)
def test_an_index_into_the_selected_objects_is_refused_with_the_helper(collection, column):
    message = rf"data.yaml: new variable 'x': '{column}' counts all objects of 'objects', but "
    message += rf"object_selection.objects leaves only those with '{collection}_pt > 20'; "
    message += rf"_reindex\({column}, objects_original_index\) gives their places"
    with pytest.raises(ConfigError, match=message):
        config(collection, **using(column))
    config(
        collection,
        new_variables={"x": f"_reindex({column}, objects_original_index)"},
        observers=["x"],
    )


@pytest.mark.parametrize(
    ("collection", "column"),
    [
        ("Jet", "Jet_genJetIdx"),  # of generated jets, which are all there
        ("Jet", "FatJetPFCands_jetIdx"),  # of large-radius jets
        ("Jet", "GenJetCands_jetIdx"),
        ("Jet", "FatJet_subJetIdx1"),
        ("Jet", "Electron_photonIdx"),
        ("Jet", "Jet_puIdDisc"),
        ("FatJet", "JetPFCands_jetIdx"),
        ("GenJet", "JetPFCands_jetIdx"),
        ("AnalysisLargeRJetsAuxDyn", "AnalysisLargeRJetsAuxDyn_D2"),  # a substructure variable
        ("FatJet", "FatJet_D2"),
        ("Jet", "Jet_index"),  # its own number
        ("Jet", "Jet_jetIdx"),
        ("AnalysisJetsAuxDyn", "AnalysisJetsAuxDyn_btaggingLink_m_persIndex"),
    ],
)
def test_an_index_into_other_objects_is_no_false_alarm(collection, column, caplog):
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(collection, **using(column))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("collection", "column"),
    [
        ("InDetTrackParticlesAuxDyn", "AnalysisElectronsAuxDyn_trackParticleLinks"),
        ("ReconstructedParticles", "_Jets_particles_index"),
        ("ReconstructedParticles", "Jets_particles_begin"),
    ],
)
def test_what_may_be_an_index_of_them_by_its_name_is_a_warning(collection, column, caplog):
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(collection, **using(column))
    assert f"'{column}' counts all objects of 'objects'" in caplog.text
    assert f"_reindex({column}, objects_original_index)" in caplog.text


def test_every_place_of_the_yaml_is_looked_at():
    column = "Muon_jetIdx"
    sections = [
        {"selection": f"ak.all({column} == 0, axis=1)"},
        {"test_time_selection": f"ak.all({column} == 0, axis=1)"},
        {"event_weight": f"ak.sum({column}, axis=1)"},
        {"labels": {"type": "custom", "value": {"y": f"ak.sum({column}, axis=1)"}}},
        {"labels": {"type": "custom", "value": [column]}},
        {
            "weights": {
                "use_precomputed_weights": True,
                "weight_branches": [f"{column}[:, 0]"],
            }
        },
        {
            "weights": {
                "reweight_method": "flat",
                "reweight_vars": {"met": [0, 1]},
                "reweight_classes": ["a"],
                "reweight_basewgt": f"{column}[:, 0]",
            }
        },
        {"new_variables": {"x": f"{column} + 0", "y": "x > 0"}, "selection": "ak.any(y, axis=1)"},
        {
            "inputs": {
                "objects": {"length": 4, "vars": ["Jet_pt"]},
                "muons": {"length": 4, "vars": [column]},
            }
        },
    ]
    for section in sections:
        with pytest.raises(ConfigError, match=f"'{column}' counts all objects of 'objects'"):
            config(**section)
    plain = config()
    with pytest.raises(ConfigError, match=f"extra selection: '{column}' counts all objects"):
        with_extra_selection(plain, "train", f"ak.any({column} == 1, axis=1)")


def test_a_selection_of_objects_sees_all_of_them_and_may_use_the_places_as_they_are():
    made = from_mapping(
        {
            "new_variables": {"in_jet": "Jet_pt[Cand_jetIdx]", "unused": "Jet_eta[Cand_jetIdx]"},
            "inputs": {
                "jets": {"length": 4, "vars": ["Jet_pt"]},
                "candidates": {"length": 9, "vars": ["Cand_pt"]},
            },
            "object_selection": {"jets": "Jet_pt > 20", "candidates": "in_jet > 20"},
        }
    )
    assert list(made.objects) == ["jets", "candidates"]


def test_names_that_do_not_tell_can_be_listed_and_false_alarms_switched_off():
    with pytest.raises(ConfigError, match="'Jet_2_index' counts all objects"):
        config("Reco", index_columns=["Jet_2_*"], **using("Jet_2_index"))
    config("Jet", index_columns=[], **using("Electron_jetIdx"))


def test_columns_without_a_common_name_are_called_as_their_group():
    values = {
        "inputs": {"jets": {"length": 4, "vars": ["pt", "eta"]}},
        "object_selection": {"jets": "pt > 20"},
        "new_variables": {"x": "pt[lepton_jetIdx]"},
        "observers": ["x"],
    }
    with pytest.raises(ConfigError, match="'lepton_jetIdx' counts all objects of 'jets'"):
        from_mapping(values)
    values["object_selection"] = {"jets": {"selection": "pt > 20", "columns": ["pt", "btag_*"]}}
    with pytest.raises(ConfigError, match="'lepton_jetIdx' counts all objects of 'jets'"):
        from_mapping(values)
    # a longer name is that of the collection
    fat = {
        "inputs": {"jets": {"length": 4, "vars": ["FatJet_pt"]}},
        "object_selection": {"jets": "FatJet_pt > 20"},
        "new_variables": {"x": "Electron_jetIdx + 0"},
        "observers": ["x"],
    }
    from_mapping(fat)


def test_a_copied_index_is_a_warning_unless_the_original_places_are_copied_too(caplog):
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(observers=["Muon_jetIdx"])
    assert "'Muon_jetIdx' counts all objects of 'objects', of which only those" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(observers=["Muon_jetIdx", "objects_original_index"])
        config(observers=["Muon_pt"])
    assert caplog.text == ""


@pytest.mark.parametrize(("collection", "number"), [("Jet", "nJet"), ("Jet", "Jet_size")])
def test_the_number_of_all_objects_is_a_warning_in_an_expression(collection, number, caplog):
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(collection, selection=f"{number} > 2")
    assert f"selection: '{number}' is the number of all objects of the file" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(collection, bucketing={"var": number, "bins": [0, 2, 4]})
    assert f"bucketing.var: '{number}' is the number of all objects of the file" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        config(collection, selection="(nFatJet > 2) & (njets_of_mine > 1)")
    assert caplog.text == ""


def test_the_original_places_exist_only_once_the_objects_are_selected():
    with pytest.raises(ConfigError, match="'jets_original_index' exists once the objects are"):
        from_mapping(
            {
                "inputs": {
                    "jets": {"length": 4, "vars": ["Jet_pt"]},
                    "candidates": {"length": 9, "vars": ["Cand_pt"]},
                },
                "object_selection": {
                    "candidates": "_reindex(Cand_jetIdx, jets_original_index) >= 0",
                    "jets": "Jet_pt > 20",
                },
            }
        )
    with pytest.raises(ConfigError, match="cannot have another meaning"):
        config(new_variables={"objects_original_index": "ak.local_index(Jet_pt)"})
