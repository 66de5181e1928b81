"""The physics of a few simulated jets of each process."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.load import load_config
from weaver_tt.config.plan import needed_names
from weaver_tt.samples.simulate.blocks import make_block
from weaver_tt.samples.simulate.columns import is_accepted
from weaver_tt.samples.simulate.deepak8 import DEEPAK8_LABELS
from weaver_tt.samples.simulate.processes import LABELS, PROCESSES, X_LABELS, SampleSettings

MASSES = {
    "top": (6, 173),
    "w": (24, 80.4),
    "z": (23, 91.2),
    "higgs-bb": (25, 125),
    "higgs-4q": (25, 125),
}  # PDG number, mass in GeV

LARGE_RADIUS = [name for name, kind in PROCESSES.items() if not kind.is_calibration]


@pytest.fixture(scope="module")
def jets():
    """Process -> record array of its first jets, some dozens."""
    samples = {}
    for process in LARGE_RADIUS:
        batches = [
            columns for columns, _ in make_block(SampleSettings(process=process, batch=40), 0, 30)
        ]
        samples[process] = ak.concatenate([ak.zip(columns, depth_limit=1) for columns in batches])
    return samples


@pytest.fixture(scope="module")
def everything(jets):
    """All of them together."""
    return ak.concatenate(list(jets.values()))


def test_the_columns_are_those_of_jetclass(everything):
    parts = "px py pz energy deta dphi d0val d0err dzval dzerr charge pid"
    kinds = "isChargedHadron isNeutralHadron isPhoton isElectron isMuon"
    jet = "pt eta phi energy mass nparticles sdmass tau1 tau2 tau3 tau4 isQ isG"
    names = {f"part_{name}" for name in f"{parts} {kinds}".split()} | {
        f"jet_{name}" for name in jet.split()
    }
    names |= {f"aux_genpart_{name}" for name in ("pt", "eta", "phi", "mass", "pid")}
    names |= {*LABELS, *X_LABELS, *DEEPAK8_LABELS}
    assert set(everything.fields) == names | {"label", "n_parts"}
    assert all(
        np.isfinite(ak.to_numpy(ak.flatten(everything[name], axis=None))).all()
        for name in everything.fields
    )


def test_jets_lie_in_the_window_and_are_the_sum_of_their_constituents(everything):
    assert ((everything.jet_pt >= 550) & (everything.jet_pt <= 650)).to_numpy().all()
    assert (np.abs(everything.jet_eta) < 2).to_numpy().all()
    parts = [
        ak.values_astype(everything[f"part_{name}"], "float64")
        for name in ("px", "py", "pz", "energy")
    ]
    px, py, pz, energy = (ak.to_numpy(ak.sum(values, axis=1)) for values in parts)
    assert np.hypot(px, py) == pytest.approx(everything.jet_pt.to_numpy(), rel=1e-5)
    assert energy == pytest.approx(everything.jet_energy.to_numpy(), rel=1e-5)
    assert energy**2 - px**2 - py**2 - pz**2 == pytest.approx(
        everything.jet_mass.to_numpy() ** 2, abs=20
    )  # GeV^2, of float32 momenta
    assert (everything.jet_nparticles == ak.num(everything.part_px)).to_numpy().all()
    assert (everything.jet_sdmass <= everything.jet_mass + 1e-3).to_numpy().all()


def test_constituents_are_sorted_and_of_one_kind_each(everything):
    pt = np.hypot(everything.part_px, everything.part_py)
    assert ak.all(pt[:, 1:] <= pt[:, :-1] * 1.000001)
    kinds = [
        everything[f"part_is{name}"]
        for name in ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
    ]
    assert ak.all(sum(ak.values_astype(kind, "int64") for kind in kinds) == 1)
    charged = kinds[0] | kinds[3] | kinds[4]
    assert ak.all((np.abs(everything.part_charge) == 1) == charged)
    assert ak.all((everything.part_d0err > 0) == charged)
    assert ak.all((everything.part_dzval != 0) == charged)
    assert not ak.any(
        (np.abs(everything.part_pid) == 12)
        | (np.abs(everything.part_pid) == 14)
        | (np.abs(everything.part_pid) == 16)
    )


def test_the_example_for_particles_of_any_mass_reads_columns_of_simulated_jets(everything):
    path = Path(__file__).parents[3] / "data_configs" / "particlenet_md.yaml"
    config = load_config(str(path))
    required, _ = needed_names(config, "train")
    columns = set(dependency_order(config, required)) - config.new_variables.keys()
    assert columns <= set(everything.fields)
    assert list(config.labels.classes) == [*X_LABELS, "label_QCD"]


def test_more_than_half_of_the_momentum_is_charged(jets):
    pt = np.hypot(jets["qcd"].part_px, jets["qcd"].part_py)
    assert ak.sum(pt[jets["qcd"].part_charge != 0]) / ak.sum(pt) == pytest.approx(
        0.6, abs=0.1
    )  # two of three pions, and few of the rest


@pytest.mark.parametrize("process", MASSES)
def test_resonances_have_their_mass_and_their_jets_hold_them(jets, process):
    pid, mass = MASSES[process]
    sample = jets[process]
    assert (np.abs(sample.aux_genpart_pid) == pid).to_numpy().all()
    assert np.median(sample.aux_genpart_mass) == pytest.approx(mass, rel=0.02)
    assert np.median(sample.jet_mass) == pytest.approx(mass, rel=0.06)
    around = (sample.aux_genpart_phi - sample.jet_phi + np.pi) % (2 * np.pi) - np.pi
    assert (np.hypot(sample.aux_genpart_eta - sample.jet_eta, around) < 0.8).to_numpy().all()


def test_jets_of_partons_are_light_and_resonances_have_prongs(jets):
    assert np.median(jets["qcd"].jet_sdmass) < 60 < np.median(jets["w"].jet_sdmass)
    assert (
        np.median(jets["top"].jet_tau3 / jets["top"].jet_tau2)
        < 0.65
        < np.median(jets["qcd"].jet_tau3 / jets["qcd"].jet_tau2)
    )


def test_one_label_is_set_and_label_says_signal(jets):
    for process, sample in jets.items():
        assert {name: np.unique(sample[name]).tolist() for name in (*LABELS, *X_LABELS)} == {
            name: [int(name == PROCESSES[process].label)] for name in (*LABELS, *X_LABELS)
        }
    assert {
        process: np.unique(sample.label).tolist()
        for process, sample in jets.items()
        if process != "dijet"
    } == {
        "top": [1],
        "qcd": [0],
        "w": [1],
        "z": [1],
        "higgs-bb": [1],
        "higgs-cc": [1],
        "higgs-4q": [1],
        "x-bb": [1],
        "x-cc": [1],
        "x-qq": [1],
    }


def test_each_jet_is_of_one_class_of_deepak8_and_x_of_none(jets):
    families = {"top": "Top", "w": "W", "z": "Z", "qcd": "QCD", "dijet": "QCD"}
    families |= {"higgs-bb": "H_bb", "higgs-cc": "H_cc", "higgs-4q": "H_qqqq"}
    for process, sample in jets.items():
        family = families.get(process)
        names = [name for name in DEEPAK8_LABELS if family and f"label_{family}_" in f"{name}_"]
        own = sum(sample[name].to_numpy() for name in names) if names else 0
        every = sum(sample[name].to_numpy() for name in DEEPAK8_LABELS)
        np.testing.assert_array_equal(every, 1 if family else 0)
        np.testing.assert_array_equal(own, every)


def test_dijets_are_light_quarks_or_gluons(jets):
    dijet = jets["dijet"]
    kind = np.abs(dijet.aux_genpart_pid.to_numpy())
    assert (dijet.jet_isQ.to_numpy() == (kind <= 3)).all()
    assert (dijet.jet_isG.to_numpy() == (kind == 21)).all()
    assert (dijet.jet_isQ + dijet.jet_isG == 1).to_numpy().all()
    assert (dijet.label == dijet.jet_isQ).to_numpy().all()
    assert np.mean(dijet.jet_nparticles[dijet.jet_isG == 1]) > np.mean(
        dijet.jet_nparticles[dijet.jet_isQ == 1]
    )


def test_jets_of_partons_are_labelled_as_those_of_particles_and_are_of_no_kind(jets):
    settings = SampleSettings(process="w", batch=40, parton_level=True, lund=True)
    batches = [columns for columns, _ in make_block(settings, 0, 30)]
    partons = ak.concatenate([ak.zip(columns, depth_limit=1) for columns in batches])
    assert set(partons.fields) > set(jets["w"].fields)
    assert np.unique(partons.label_Wqq).tolist() == [1]
    assert np.unique(np.abs(partons.aux_genpart_pid)).tolist() == [24]
    # the mass is that of the W boson; of some 40 particles 12 partons are left
    assert np.median(partons.jet_mass) == pytest.approx(80.4, rel=0.06)
    assert ak.mean(partons.jet_nparticles) < ak.mean(jets["w"].jet_nparticles) / 2
    of_colour = (np.abs(partons.part_pid) <= 6) | (partons.part_pid == 21)
    assert ak.sum(of_colour) > 200
    for name in ("isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon"):
        assert not ak.any(partons[f"part_{name}"] & of_colour)
    for name in ("d0val", "d0err", "dzval", "dzerr"):
        assert ak.all(partons[f"part_{name}"][of_colour] == 0)
    # a quark keeps its charge
    up = partons.part_charge[partons.part_pid == 2]
    assert ak.all(np.abs(up - 2 / 3) < 1e-6)
    assert (ak.num(partons.lund_lnkt) == ak.num(partons.part_px) - 1).to_numpy().all()


def test_which_jets_count_by_hand():
    pid, origin = np.array([6, -2, 4, 21]), np.array([0, 1, 2, 3, -1])
    assert is_accepted(pid, origin, PROCESSES["top"]).tolist() == [
        True,
        True,
        True,
        True,
        False,
    ]  # any candidate is a top there
    assert is_accepted(pid, origin, PROCESSES["dijet"]).tolist() == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert is_accepted(pid, origin, PROCESSES["qcd"]).tolist() == [True] * 5
