"""The worked examples for the files of experiments, on small files with their branches and types.

uproot writes no split objects: ``Jet.PT`` is a branch of its own here, and a part of the branch
``Jet`` in the files of Delphes, EDM4hep and ATLAS, whose column has the same name.
"""

import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from weaver_tt import api, cli
from weaver_tt.network.network import build_network
from weaver_tt.options.train import NetworkOptions

ROOT = Path(__file__).parents[1]
ROWS = 20
# options that make the networks small
SMALL = {"pfn": ["-o", "phi_sizes", "8", "-o", "f_sizes", "8"], "truth_tagging_edges": []}


def write(path, tree, columns):
    """A tree of jagged and plain columns."""
    types = {}
    for name, values in columns.items():
        jagged = isinstance(values, ak.Array)
        types[name] = ak.type(values).content if jagged else values.dtype
    with uproot.recreate(path) as file:
        counters = {name: f"n_{number}" for number, name in enumerate(types)}
        file.mktree(tree, types, counter_name=counters.get)
        file[tree].extend(columns)


def run(*arguments):
    return cli.train([str(argument) for argument in arguments])


def train_and_predict(folder, data_config, network, files, test_file):
    """One epoch on ``files``; the prediction of ``test_file``."""
    common = ["-c", data_config, "-n", f"weaver_tt:{network}", *SMALL[network]]
    common += ["-m", folder / "net", "--gpus", "", "--no-progress", "--tensorboard", "off"]
    common += ["--no-figures", "--seed", 1, "--batch-size", 10]
    assert run("-i", *files, *common, "--num-epochs", 1, "--optimizer", "adam") == 0
    assert run("--predict", "-t", test_file, *common, "--predict-output", folder / "p.root") == 0
    with uproot.open(folder / "p.root") as file:
        return next(iter(file.values(filter_classname="TTree"))).arrays()


def jagged(values, counts, dtype="f4"):
    return ak.unflatten(np.asarray(values).astype(dtype), counts)


def physlite(path, seed):
    """Jets in MeV; their scores lie in another collection in the opposite order."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 5, ROWS)
    total = counts.sum()
    jets = "AnalysisJetsAuxDyn"
    scores = "BTagging_AntiKt4EMPFlowAuxDyn"
    place = np.concatenate([np.arange(count)[::-1] for count in counts])
    pb = random.uniform(0.1, 1, total)
    columns = {
        f"{jets}.pt": jagged(random.uniform(1e4, 1e5, total), counts),
        f"{jets}.eta": jagged(random.uniform(-3, 3, total), counts),
        f"{jets}.phi": jagged(random.uniform(-3, 3, total), counts),
        f"{jets}.m": jagged(random.uniform(1e3, 1e4, total), counts),
        f"{jets}.HadronConeExclTruthLabelID": jagged(
            random.choice([0, 4, 5, 15], total), counts, "i4"
        ),
        f"{jets}.btaggingLink.m_persIndex": jagged(place, counts, "u4"),
        f"{scores}.DL1dv01_pb": jagged(pb, counts),
        f"{scores}.DL1dv01_pc": jagged((1 - pb) * 0.1, counts),
        f"{scores}.DL1dv01_pu": jagged((1 - pb) * 0.1, counts),
        "EventInfoAuxDyn.eventNumber": np.arange(ROWS, dtype="u8"),
    }
    write(path, "CollectionTree", columns)
    return columns


@pytest.mark.filterwarnings("ignore:.*weaver.*")
def test_jets_of_physlite_are_tagged_by_the_scores_that_they_point_to(tmp_path):
    path = tmp_path / "DAOD_PHYSLITE.1._0001.pool.root.1"
    columns = physlite(path, 1)
    predicted = train_and_predict(
        tmp_path, "weaver_tt:atlas_physlite", "truth_tagging_edges", [path], path
    )
    pt = columns["AnalysisJetsAuxDyn.pt"] / 1000
    central = (pt > 20) & (np.abs(columns["AnalysisJetsAuxDyn.eta"]) < 2.5)
    assert predicted["jet_pt"].tolist() == pt[central].tolist()
    # the opposite order, jet by jet
    pb = columns["BTagging_AntiKt4EMPFlowAuxDyn.DL1dv01_pb"][:, ::-1].to_list()
    for row in range(ROWS):
        ratio = np.log(np.array(pb[row]) / (0.1 * (1 - np.array(pb[row]))))
        expected = (ratio > 2.5)[np.array(central[row].to_list(), bool)]
        assert predicted["jet_istag"][row].tolist() == expected.tolist()
    assert predicted["EventInfoAuxDyn_eventNumber"].tolist() == list(range(ROWS))
    efficiency = ak.flatten(predicted["jet_eff"])
    assert ((efficiency > 0) & (efficiency < 1)).to_list() == [True] * len(efficiency)


def test_physlite_as_an_rntuple_has_colons_in_its_names_and_gives_the_same(tmp_path):
    tree = tmp_path / "tree.root"
    columns = physlite(tree, 5)
    jets = "AnalysisJetsAuxDyn"
    links = {"m_persIndex": columns.pop(f"{jets}.btaggingLink.m_persIndex")}
    fields = {name.replace(".", ":"): values for name, values in columns.items()}
    fields[f"{jets}:btaggingLink"] = ak.zip(links)
    with uproot.recreate(tmp_path / "ntuple.root") as file:
        file.mkrntuple("EventData", fields)
    text = (ROOT / "data_configs" / "atlas_physlite.yaml").read_text()
    config = tmp_path / "ntuple.yaml"
    config.write_text(text.replace("CollectionTree", "EventData", 1))
    names = ["jet_pt", "jet_flavour", "discriminant", "EventInfoAuxDyn_eventNumber"]
    expected = api.read_table(api.load_config("weaver_tt:atlas_physlite"), tree, names)
    found = api.read_table(api.load_config(config), tmp_path / "ntuple.root", names)
    assert ak.sum(ak.num(found["jet_pt"])) > 10
    assert found.to_list() == expected.to_list()


def pfnano(path, seed):
    """Two jets of two candidates each, in no order; the table of pairs names both."""
    random = np.random.default_rng(seed)
    jets = np.full(ROWS, 2)
    candidates = np.full(ROWS, 5)
    pairs = np.full(ROWS, 4)
    number = candidates.sum()
    flavour = np.stack([np.resize([5, 4, 0], ROWS), np.zeros(ROWS)], axis=1)
    columns = {
        "nJet": jets.astype("i4"),
        "Jet_pt": jagged(np.tile([80, 40], ROWS), jets),
        "Jet_eta": jagged(random.uniform(-2, 2, 2 * ROWS), jets),
        "Jet_phi": jagged(random.uniform(-3, 3, 2 * ROWS), jets),
        "Jet_hadronFlavour": jagged(flavour.ravel(), jets, "u1"),
        "JetPFCands_jetIdx": jagged(np.tile([1, 0, 1, 0], ROWS), pairs, "i4"),
        "JetPFCands_pFCandsIdx": jagged(np.tile([0, 3, 4, 1], ROWS), pairs, "i4"),
        "PFCands_pt": jagged(np.tile([9, 70, 3, 75, 8], ROWS) + random.random(number), candidates),
        "PFCands_eta": jagged(random.uniform(-2, 2, number), candidates),
        "PFCands_phi": jagged(random.uniform(-3, 3, number), candidates),
        "PFCands_mass": jagged(np.full(number, 0.1), candidates),
        "PFCands_charge": jagged(random.integers(-1, 2, number), candidates, "i4"),
        "PFCands_pdgId": jagged(np.full(number, 211), candidates, "i4"),
        "event": np.arange(ROWS, dtype="u8"),
    }
    # of the track of candidate 1 no details are kept, although it is charged
    kept = np.tile([True, False, True, True, True], ROWS)
    for name in ("d0", "d0Err", "dz", "dzErr"):
        values = random.uniform(0.1, 0.9, number)
        columns[f"PFCands_{name}"] = jagged(np.where(kept, values, -1), candidates)
    write(path, "Events", columns)
    return columns


def test_a_jet_of_pfnano_has_its_own_candidates_the_hardest_first(tmp_path):
    path = tmp_path / "nano.root"
    columns = pfnano(path, 2)
    table = api.read_table(api.load_config("weaver_tt:pfnano"), path, ["part_pt", "part_energy"])
    # candidates 3 and 1 of each event
    expected = columns["PFCands_pt"][:, [3, 1]]
    assert ak.all(table["part_pt"] == ak.sort(expected, ascending=False))
    predicted = train_and_predict(tmp_path, "weaver_tt:pfnano", "pfn", [path], path)
    assert predicted["jet_pt"].tolist() == [80] * ROWS
    assert predicted["label_b"].tolist() == [row % 3 == 0 for row in range(ROWS)]
    scores = [predicted[f"score_label_{name}"] for name in ("b", "c", "light")]
    assert np.sum(scores, axis=0) == pytest.approx(np.ones(ROWS), abs=1e-5)


@pytest.mark.parametrize("example", ["pfnano", "pfnano_jets"])
def test_a_candidate_of_pfnano_without_details_of_its_track_has_no_impact_parameter(
    tmp_path, example
):
    path = tmp_path / "nano.root"
    columns = pfnano(path, 2)
    names = ["part_d0", "part_d0err", "part_dz", "part_dzerr"]
    first = api.read_table(api.load_config(f"weaver_tt:{example}"), path, names, rows=1)[0]
    # candidate 3, then 1
    for name, of_file in zip(names, ["d0", "d0Err", "dz", "dzErr"], strict=True):
        measured = 10 * columns[f"PFCands_{of_file}"][0, 3]  # mm
        expected = measured if name.endswith("err") else np.tanh(measured)
        assert first[name].tolist() == pytest.approx([expected, 0], rel=1e-6)


def test_each_jet_of_pfnano_is_a_row(tmp_path):
    path = tmp_path / "nano.root"
    columns = pfnano(path, 2)
    names = ["part_pt", "part_energy", "part_logptrel", "event_entry", "object_place"]
    config = api.load_config("weaver_tt:pfnano_jets")
    table = api.read_table(config, path, names)
    assert table["object_place"].to_list() == [0, 1] * ROWS
    assert table["event_entry"].to_list() == np.repeat(np.arange(ROWS), 2).tolist()
    # candidates 3 and 1 of each event, and 4 and 0 of the second jet
    for jet, own in enumerate(([3, 1], [0, 4])):
        expected = ak.sort(columns["PFCands_pt"][:, own], ascending=False)
        assert table["part_pt"][jet::2].to_list() == expected.to_list()
    # the first jet is the one that the other example sees
    leading = api.read_table(api.load_config("weaver_tt:pfnano"), path, names[:3])
    for name in names[:3]:
        # pT of a jet is float32 in the one and float64 in the other
        found, expected = ak.flatten(table[name][::2]), ak.flatten(leading[name])
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    predicted = train_and_predict(tmp_path, "weaver_tt:pfnano_jets", "pfn", [path], path)
    assert predicted["jet_pt"].tolist() == [80, 40] * ROWS
    assert predicted["object_place"].tolist() == [0, 1] * ROWS
    assert predicted["event"].tolist() == np.repeat(np.arange(ROWS), 2).tolist()
    scores = [predicted[f"score_label_{name}"] for name in ("b", "c", "light")]
    assert np.sum(scores, axis=0) == pytest.approx(np.ones(2 * ROWS), abs=1e-5)


def delphes(path, seed):
    """A jet along (0.5, 3.1), a track and a photon beside it, a hadron on the other side."""
    random = np.random.default_rng(seed)
    one = np.ones(ROWS, int)
    columns = {
        "Jet.PT": jagged(random.uniform(40, 90, ROWS), one),
        "Jet.Eta": jagged(np.full(ROWS, 0.5), one),
        "Jet.Phi": jagged(np.full(ROWS, 3.1), one),
        "Jet.Mass": jagged(np.full(ROWS, 8), one),
        "Jet.Flavor": jagged(np.resize([5, 4, 21], ROWS), one, "u4"),
        "EFlowTrack.PT": jagged(np.full(ROWS, 10), one),
        "EFlowTrack.Eta": jagged(np.full(ROWS, 0.6), one),
        "EFlowTrack.Phi": jagged(np.full(ROWS, -3.1), one),
        "EFlowTrack.Charge": jagged(np.full(ROWS, -1), one, "i4"),
        "EFlowTrack.D0": jagged(np.full(ROWS, 0.2), one),
        "EFlowTrack.DZ": jagged(np.full(ROWS, 0.1), one),
        "EFlowPhoton.ET": jagged(np.full(ROWS, 30), one),
        "EFlowPhoton.Eta": jagged(np.full(ROWS, 0.4), one),
        "EFlowPhoton.Phi": jagged(np.full(ROWS, 3.0), one),
        "EFlowNeutralHadron.ET": jagged(np.full(ROWS, 50), one),
        "EFlowNeutralHadron.Eta": jagged(np.full(ROWS, 0.5), one),
        "EFlowNeutralHadron.Phi": jagged(np.full(ROWS, 0), one),
    }
    write(path, "Delphes", columns)
    return columns


def test_a_jet_of_delphes_has_the_particle_flow_objects_around_it(tmp_path):
    path = tmp_path / "delphes.root"
    columns = delphes(path, 3)
    config = api.load_config("weaver_tt:delphes")
    names = ["part_pt", "part_dphi", "part_charge", "part_is_photon", "part_d0"]
    table = api.read_table(config, path, names, rows=1)[0]
    assert table["part_pt"].tolist() == [30, 10]
    # across the seam of the azimuth
    assert table["part_dphi"].tolist() == pytest.approx([-0.1, 2 * np.pi - 6.2], abs=1e-5)
    assert table["part_charge"].tolist() == [0, -1]
    assert table["part_is_photon"].tolist() == [1, 0]
    assert table["part_d0"].tolist() == pytest.approx([0, np.tanh(0.2)])
    predicted = train_and_predict(tmp_path, "weaver_tt:delphes", "pfn", [path], path)
    assert predicted["jet_pt"].tolist() == ak.flatten(columns["Jet.PT"]).tolist()
    assert predicted["label_c"].tolist() == [row % 3 == 1 for row in range(ROWS)]


def edm4hep(path, seed, collection="ReconstructedParticles"):
    """Two massless particles back to back of 50 GeV each, and a soft one."""
    random = np.random.default_rng(seed)
    three = np.full(ROWS, 3)
    phi = random.uniform(-3, 3, ROWS)
    direction = np.stack([np.cos(phi), np.sin(phi), np.zeros(ROWS)], axis=1)
    momenta = np.stack([50 * direction, -50 * direction, 0.1 * direction], axis=1)
    columns = {
        f"{collection}.momentum.{axis}": jagged(momenta[..., i].ravel(), three)
        for i, axis in enumerate("xyz")
    }
    columns[f"{collection}.energy"] = jagged(np.tile([50, 50, 0.1], ROWS), three)
    columns[f"{collection}.charge"] = jagged(np.tile([1, 0, -1], ROWS), three)
    columns[f"{collection}.mass"] = jagged(np.zeros(3 * ROWS), three)
    columns[f"{collection}.tracks_begin"] = jagged(np.tile([0, 1, 1], ROWS), three, "u4")
    write(path, "events", columns)


def uncommented(text, key):
    """An example of which one line that stands in a comment, ``# KEY: ...``, is taken in."""
    return re.sub(rf"^# ({key}: )", r"\1", text, count=1, flags=re.MULTILINE)


def test_edm4hep_of_another_collection_is_read_by_the_line_in_the_comment(tmp_path):
    names = ["part_energy", "part_theta", "visible_mass"]
    own = tmp_path / "Hbb.root"
    edm4hep(own, 1)
    expected = api.read_table(api.load_config("weaver_tt:edm4hep"), own, names)
    other = tmp_path / "Hbb_ild.root"
    edm4hep(other, 1, collection="PandoraPFOs")
    config = tmp_path / "ild.yaml"
    text = (ROOT / "data_configs" / "edm4hep.yaml").read_text()
    config.write_text(uncommented(text, "branch_magic"))
    found = api.read_table(api.load_config(config), other, names)
    # the soft particle is gone here, too
    assert found["part_energy"][0].tolist() == [50, 50]
    assert found.to_list() == expected.to_list()


def test_events_of_edm4hep_are_labelled_by_the_name_of_their_file(tmp_path):
    processes = ("Hbb", "Hcc", "Hgg")
    files = [tmp_path / f"wzp6_ee_nunuH_{name}_ecm240.root" for name in processes]
    for seed, path in enumerate(files):
        edm4hep(path, seed)
    config = api.load_config("weaver_tt:edm4hep")
    names = ["part_energy", "part_theta", "is_photon", "visible_mass"]
    table = api.read_table(config, files[0], names, rows=1)[0]
    assert table["part_energy"].tolist() == [50, 50]
    assert table["part_theta"].tolist() == pytest.approx([np.pi / 2, np.pi / 2])
    assert table["is_photon"].tolist() == [False, True]
    assert table["visible_mass"] == pytest.approx(100, rel=1e-5)
    predicted = train_and_predict(tmp_path, "weaver_tt:edm4hep", "pfn", files, files[1])
    assert predicted["label_Hcc"].tolist() == [1] * ROWS
    assert predicted["visible_energy"].tolist() == [100] * ROWS


NAMES = """
branch_magic: {weight_up: "weights:up"}
new_variables:
  mask: ak.ones_like(Jet_PT)
  ratio: Jet_PT / (met_x + weight_up)
  other: 1 - is_signal
object_selection: {pf_features: Jet_PT > 20}
inputs:
  pf_points: {length: 4, vars: [[Jet.Eta, null], [Jet/Jet.Phi, null]]}
  pf_features: {length: 4, vars: [[Jet.PT, null], [ratio, null]]}
  pf_mask: {length: 4, vars: [[mask, null]]}
labels: {type: simple, value: [is_signal, other]}
observers: [Jet.PT, Jet_Eta, "met/x", "weights:up", pf_features_original_index]
"""


def test_names_that_no_expression_can_spell_are_read_filtered_and_written(tmp_path):
    random = np.random.default_rng(4)
    two = np.full(ROWS, 2)
    columns = {
        "Jet.PT": jagged(np.tile([10, 30], ROWS), two),
        "Jet.Eta": jagged(random.uniform(-2, 2, 2 * ROWS), two),
        "Jet/Jet.Phi": jagged(random.uniform(-3, 3, 2 * ROWS), two),
        "met/x": np.full(ROWS, 9, "f4"),
        "weights:up": np.ones(ROWS, "f4"),
        "is_signal": np.arange(ROWS) % 2,
    }
    path = tmp_path / "a.root"
    write(path, "t", columns)
    config = tmp_path / "names.yaml"
    config.write_text(NAMES)
    assert api.read_table(api.load_config(config), path, ["ratio"])["ratio"][0].tolist() == [3]
    predicted = train_and_predict(tmp_path, config, "pfn", [path], path)
    assert predicted["Jet.PT"].tolist() == [[30]] * ROWS
    assert predicted["Jet_Eta"].tolist() == columns["Jet.Eta"][:, 1:].tolist()
    assert predicted["pf_features_original_index"].tolist() == [[1]] * ROWS
    assert predicted["met/x"].tolist() == [9] * ROWS
    assert predicted["weights:up"].tolist() == [1] * ROWS


OFFERED = re.compile(r"^# (event_weight|branch_magic): ", re.MULTILINE)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "data_configs").glob("*.yaml")), ids=lambda p: p.stem
)
def test_lines_that_an_example_offers_in_comments_are_understood(path, tmp_path):
    text = path.read_text()
    for key in OFFERED.findall(text):
        config = tmp_path / path.name
        config.write_text(uncommented(text, key))
        loaded = api.load_config(config)
        assert loaded.event_weight is not None or key != "event_weight"


def stated_networks():
    """Each data YAML with the network files that its first lines name."""
    pairs = []
    for path in sorted((ROOT / "data_configs").glob("*.yaml")):
        comment = re.match(r"(#[^\n]*\n)*", path.read_text())[0]
        pairs += [(path.stem, name) for name in re.findall(r"(\w+)\.py\b", comment)]
    return pairs


FOUR_GROUPS = {"pf_points", "pf_features", "pf_vectors", "pf_mask"}
NETWORKS_FOR_JETS = [
    *("deep_sets", "efn", "mlp", "p_cnn", "particle_net", "particle_net_lite", "particle_next"),
    *("particle_transformer", "particle_transformer_finetune", "pfn", "vec_net"),
]


@pytest.mark.parametrize("network", NETWORKS_FOR_JETS)
def test_every_network_for_jets_is_made_of_each_example_that_has_the_four_groups(network):
    made = []
    for path in sorted((ROOT / "data_configs").glob("*.yaml")):
        config = api.load_config(path)
        if config.inputs.keys() == FOUR_GROUPS:
            api.build_network(config, f"weaver_tt:{network}")
            made.append(path.stem)
    others = {"deepak8", "jetclass", "particlenet_md", "top_tagging", "top_tagging_flat_mass"}
    assert {*made} == others | {"delphes", "edm4hep", "pfnano", "pfnano_jets"}


def test_every_example_names_networks():
    examples = {path.stem for path in (ROOT / "data_configs").glob("*.yaml")}
    assert {example for example, _ in stated_networks()} == examples


@pytest.mark.parametrize(("example", "network"), stated_networks())
def test_an_example_fits_the_networks_that_it_names(example, network):
    config = api.load_config(f"weaver_tt:{example}")
    options = NetworkOptions(network_config=f"weaver_tt:{network}")
    built = build_network(config, options, torch.device("cpu")).eval()
    rows = {}
    for name, group in config.inputs.items():
        shape = [3, *group.shape[1:]]
        rows[name] = torch.ones(shape) if group.is_mask else torch.rand(shape)
        if group.is_parent:
            # each node is the mother of the next
            rows[name] = torch.arange(-1.0, group.length - 1).expand(shape)
    with torch.no_grad():
        output = built(rows)
    outputs = 1
    if not config.labels.object_targets:
        masks = {f"{name}_mask" for name in config.labels.targets}
        outputs = len(config.labels.classes) + len(config.labels.targets.keys() - masks)
    assert output.shape[:2] == (3, outputs)
