"""What a column is for, by its name and its values."""

import numpy as np
import pytest

from weaver_tt.run.init.columns import describe_column
from weaver_tt.run.init.roles import (
    find_labels,
    find_weight,
    generated_collections,
    is_count,
    reason_to_leave_out,
)


def column(name, values):
    found = describe_column(name, np.asarray(values), {})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("run", "names of the event"),
        ("luminosityBlock", "names of the event"),
        ("EventHeader_eventNumber", "names of the event"),
        ("EventInfoAuxDyn_runNumber", "names of the event"),
        ("GenJet_pt", "truth, which data do not have"),
        ("SubGenJetAK8_pt", "truth, which data do not have"),
        ("Generator_x1", "truth, which data do not have"),
        ("aux_genpart_mass", "truth, which data do not have"),
        ("Jet_partonFlavour", "truth, which data do not have"),
        ("HLT_IsoMu24", "trigger and filter bits"),
        ("Flag_METFilters", "trigger and filter bits"),
        ("Electron_jetIdx", "places of other objects"),
        ("ReconstructedParticles_tracks_begin", "places of other objects"),
        ("RecoMCTruthLink_weight", "truth, which data do not have"),
        (
            "Jet_btagDeepFlavB",
            "outputs of other taggers: a network that is given them learns little",
        ),
        ("Electron_vidNestedWPBitmapHEEP", "bits packed into one number"),
        ("Tau_decay_bit_mask", "bits packed into one number"),
        ("Jet_orbit", None),
        ("Muon_statusFlags", "bits packed into one number"),
        ("Jet_pt", None),
        ("jet_sdmass", None),
        ("part_isElectron", None),
        ("general_width", None),
    ],
)
def test_a_name_says_why_a_column_is_no_input(name, reason):
    found = reason_to_leave_out(column(name, [0.5, 1.5, 2.5]), [])
    assert found is None if reason is None else found.startswith(reason)


def test_a_column_of_one_value_is_no_input():
    # the mass of a muon, as a file rounds it
    found = reason_to_leave_out(column("Muon_mass", [0.10565, 0.1057]), [])
    assert found == "constant in the rows looked at"


@pytest.mark.parametrize(
    "name",
    [
        *("Jet_jetId", "Jet_puId", "Muon_pdgId", "Muon_mediumId", "Muon_triggerIdLoose"),
        *("Particles_PDG", "Tower_PID", "ReconstructedParticles_type"),
        *("Muon_mvaMuID_WP", "Electron_cutBased", "Electron_cutBased_HEEP", "part_pid"),
        *("Electron_mvaNoIso_WP80", "Electron_seediEtaOriX", "Electron_seediPhiOriY"),
    ],
)
def test_codes_are_whole_numbers_whose_size_means_nothing(name):
    assert reason_to_leave_out(column(name, [0, 1, 4]), []).startswith("codes")
    # a probability may be called alike
    assert reason_to_leave_out(column(name, [0.5, 0.25, 0.125]), []) is None


@pytest.mark.parametrize("name", ["part_charge", "part_isMuon", "Jet_nSVs", "Muon_highPurity"])
def test_whole_numbers_that_count_or_decide_are_inputs(name):
    assert reason_to_leave_out(column(name, [0, 1, 1]), []) is None


def test_a_mask_says_what_is_an_object_unless_it_is_a_number():
    assert reason_to_leave_out(column("part_mask", [0, 1]), []).startswith("masks")
    assert reason_to_leave_out(column("part_mask", [0.5, 1]), []) is None


def test_a_mass_that_is_rounding_is_no_input():
    # those of electrons in NanoAOD, in GeV
    assert "rounding" in reason_to_leave_out(column("Electron_mass", [-1.08e-5, 0, 8.1e-6]), [])
    assert reason_to_leave_out(column("SV_mass", [0.0, 0.3, 2.1]), []) is None
    assert reason_to_leave_out(column("Electron_dz", [-1.08e-5, 0, 8.1e-6]), []) is None


def test_the_numbers_of_objects_are_known_by_their_values():
    numbers = column("how_many", [2, 0, 3])
    assert is_count(numbers, [np.array([1, 1, 1]), np.array([2, 0, 3])])
    assert not is_count(numbers, [np.array([2, 0, 4])])


def test_classes_of_which_no_row_may_have_one_get_a_class_of_all_others():
    labels = find_labels([column("jet_isTop", [1, 0, 0, 0]), column("jet_isW", [0, 1, 0, 0])])
    assert labels.classes == ("jet_isTop", "jet_isW", "label_other")
    assert labels.variables == {"label_other": "(jet_isTop + jet_isW) == 0"}


def test_flags_of_which_several_are_set_are_no_classes():
    assert find_labels([column("is_a", [1, 0, 1]), column("is_b", [0, 1, 1])]) is None


def test_a_column_named_label_that_is_no_whole_number_is_no_label():
    assert find_labels([column("jet_label", [0.5, 1.5])]) is None


def test_the_flavour_of_hadrons_is_taken_before_that_of_partons():
    flavours = [column("Jet_partonFlavour", [5, -21, 1]), column("Jet_hadronFlavour", [5, 4, 0])]
    labels = find_labels(flavours)
    assert labels.columns == ("Jet_hadronFlavour",)
    assert labels.classes == ("label_b", "label_c", "label_light")


def test_other_numbers_are_classes_one_by_one():
    labels = find_labels([column("process", [11, -13, 11])])
    assert labels.variables == {
        "process_minus_13": "process == -13",
        "process_11": "process == 11",
    }


def test_the_usual_weight_is_taken_before_others():
    columns = [column("LHEWeight_original", [1.0, 2.0]), column("genWeight", [1.0, -1.0])]
    weight, every = find_weight(columns)
    assert weight.name == "genWeight"
    assert every == ["LHEWeight_original", "genWeight"]


def test_generated_particles_are_known_by_what_they_alone_have():
    of_fcc = ["Particle_generatorStatus", "Particle_mass", "ReconstructedParticles_mass"]
    of_delphes = ["Particle_M1", "Particle_D1", "Particle_PT", "FatJet_M1", "Photon_Status"]
    for names in (of_fcc, of_delphes):
        assert generated_collections(names) == {"Particle"}
    for name, reason in (("Particle_mass", "truth, which data do not have"), ("Particles_m", None)):
        found = reason_to_leave_out(column(name, [0.5, 1.5]), [], {"Particle"})
        assert found == reason


def test_a_flavour_goes_before_a_single_flag_of_objects():
    flag = column("Jets_isJvtHS", [1, 0, 1])
    flavour = column("Jets_PartonTruthLabelID", [5, 21, 1])
    assert find_labels([flag, flavour]).classes == ("label_b", "label_gluon", "label_light")
    # but a flag that says that it is the label comes first
    label = column("is_signal", [1, 0, 1])
    assert find_labels([flavour, label]).classes == ("is_signal", "no_is_signal")
    assert find_labels([flag]).classes == ("Jets_isJvtHS", "no_Jets_isJvtHS")


def test_a_correction_for_pile_up_is_a_weight_and_not_that_of_a_row():
    names = ["EventInfoAuxDyn_beamSpotWeight", "puWeight", "L1PreFiringWeight_Nom"]
    weight, every = find_weight([column(name, [0.9, 1.1]) for name in names])
    assert weight is None
    assert every == names
    weight, _ = find_weight([column(name, [0.9, 1.1]) for name in (*names, "Weight")])
    assert weight.name == "Weight"
