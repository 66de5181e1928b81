"""``weaver-tt init``: what it writes loads, and says what it does not know."""

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from weaver_tt.cli import main
from weaver_tt.config.load import load_config
from weaver_tt.network.file import NetworkFile
from weaver_tt.run.init.command import example_network
from weaver_tt.run.init.data_yaml import DECIDE
from weaver_tt.system.examples import data_schema, list_examples

ROWS = 60
RANDOM = np.random.default_rng(1)
COUNTS = RANDOM.integers(0, 9, ROWS)


def lists(low=0.0, high=1.0, counts=COUNTS):
    return ak.unflatten(RANDOM.uniform(low, high, counts.sum()).astype(np.float32), counts)


def jets():
    """Jets with particles, two classes, a weight, truth, and columns that say nothing."""
    is_top = np.arange(ROWS) % 2
    return {
        "jet_pt": RANDOM.uniform(500, 600, ROWS),
        "jet_constant": np.full(ROWS, 4.0),
        "jet_nparticles": COUNTS,
        "jet_btag": RANDOM.uniform(0, 1, ROWS),
        "genjet_pt": RANDOM.uniform(500, 600, ROWS),
        "label_top": is_top.astype(np.int32),
        "label_QCD": 1 - is_top.astype(np.int32),
        "weight": RANDOM.uniform(0.5, 2, ROWS),
        "run": np.arange(ROWS),
        "part_px": lists(-5, 5),
        "part_py": lists(-5, 5),
        "part_pz": lists(-5, 5),
        "part_energy": lists(9, 20),
        "part_d0val": lists(-90, 90),
        "part_deta": lists(-1, 1),
        "part_dphi": lists(-1, 1),
    }


def nano():
    """Events with jets, whose flavour is known, and muons in them."""
    flavour = ak.unflatten(RANDOM.integers(3, 6, COUNTS.sum()), COUNTS)
    muons = RANDOM.integers(0, 3, ROWS)
    return {
        "Jet_eta": lists(-2, 2),
        "Jet_pt": lists(20, 90),
        "Jet_phi": lists(-3, 3),
        "Jet_jetId": ak.unflatten(RANDOM.integers(0, 7, COUNTS.sum()), COUNTS),
        "Jet_hadronFlavour": flavour,
        "Muon_pt": lists(3, 9, muons),
        "Muon_dxy": lists(-1, 1, muons),
        "Muon_jetIdx": ak.unflatten(np.full(muons.sum(), -1), muons),
        "genWeight": RANDOM.choice([-1.0, 1.0], ROWS),
        "HLT_Mu": np.arange(ROWS) % 2 == 0,
        "event": np.arange(ROWS),
    }


def write_root(path, columns, tree="tree"):
    with uproot.recreate(path) as file:
        file.mktree(tree, columns)
    return str(path)


def run(folder, *arguments):
    return main(["init", *arguments, "-o", str(folder)])


def config_in(folder):
    return load_config(str(folder / "data.yaml"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder with what ``init`` makes of the jets."""
    folder = tmp_path_factory.mktemp("init")
    assert run(folder, write_root(folder / "jets.root", jets())) == 0
    return folder


def test_columns_become_what_their_names_and_values_say(written):
    config = config_in(written)
    assert sorted(config.labels.classes) == ["label_QCD", "label_top"]
    assert config.event_weight.source == "weight"
    assert config.inputs["row"].names == ["jet_pt_log"]
    features = ["pf_pt_log", "part_energy_log", "part_d0val_tanh", "part_deta", "part_dphi"]
    assert sorted(config.inputs["pf_features"].names) == sorted(features)
    assert config.inputs["pf_vectors"].names == ["part_px", "part_py", "part_pz", "part_energy"]
    assert "run" in config.observers
    text = (written / "data.yaml").read_text()
    assert "constant in the rows looked at: jet_constant" in text
    assert "numbers of objects: jet_nparticles" in text
    assert "truth, which data do not have: genjet_pt" in text
    assert "learns little else: jet_btag" in text
    assert DECIDE not in text


def test_momenta_come_first_and_the_rest_as_in_the_file(tmp_path):
    names = ["jet_width", "jet_phi", "jet_mass", "jet_girth", "jet_eta", "jet_pt"]
    columns = {name: RANDOM.uniform(1, 2, ROWS) for name in names}
    ak.to_parquet(ak.Array(columns), tmp_path / "a.parquet")
    assert run(tmp_path, str(tmp_path / "a.parquet")) == 0
    found = config_in(tmp_path).inputs["row"].names
    momenta = ["jet_pt_log", "jet_eta", "jet_phi", "jet_mass"]
    assert found == [*momenta, "jet_width", "jet_girth"]


def test_the_first_line_names_the_schema_for_editors(written):
    first, *_ = (written / "data.yaml").read_text().splitlines()
    assert first == "# yaml-language-server: $schema=schema.json"
    # beside it, so that the folder can be moved
    assert (written / "schema.json").read_text() == data_schema().read_text()


def test_the_network_takes_what_the_data_yaml_gives(written):
    config = config_in(written)
    module, info = NetworkFile(str(written / "network.py")).get_model(config, {})
    assert info["input_names"] == ["pf_features", "pf_mask", "row"]
    assert module.output.out_features == 2


def test_a_check_of_what_is_written_finds_no_problem(written):
    arguments = ["-c", "data.yaml", "-n", "network.py", "-i", "jets.root"]
    paths = [str(written / word) if "." in word else word for word in arguments]
    assert main(["check", *paths, "--gpus=", "--num-workers", "0"]) == 0


def test_nothing_is_replaced_unless_asked(written, capsys):
    before = (written / "data.yaml").read_text()
    assert run(written, str(written / "jets.root")) == 1
    said = capsys.readouterr().err
    assert "data.yaml" in said
    assert "--overwrite" in said
    (written / "data.yaml").write_text("mine")
    assert run(written, str(written / "jets.root"), "--overwrite") == 0
    assert (written / "data.yaml").read_text() == before


def test_without_labels_a_line_says_so(tmp_path, capsys):
    columns = {"x": RANDOM.uniform(0, 1, ROWS), "hit_y": lists()}
    assert run(tmp_path, write_root(tmp_path / "a.root", columns)) == 0
    lines = (tmp_path / "data.yaml").read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if DECIDE in line]
    said = f"line {number}: {DECIDE} no column says what is to be learnt"
    assert said in capsys.readouterr().out
    assert config_in(tmp_path).labels is None


def test_files_of_several_names_are_classes_where_no_column_is(tmp_path):
    arguments = []
    # neither the names of the files nor their folder tells which is which
    folder = tmp_path / "ttbar_and_dijet"
    folder.mkdir()
    for number, name in enumerate(("ttbar", "di-jet", "di_jet")):
        path = write_root(folder / f"{number}.root", {"x": RANDOM.uniform(0, 1, ROWS)})
        arguments.append(f"{name}:{path}")
    assert run(tmp_path, *arguments) == 0
    config = config_in(tmp_path)
    classes = ["label_ttbar", "label_di_jet", "label_di_jet_"]
    assert list(config.labels.classes) == classes
    patterns = [{"ttbar:": 1}, {"di-jet:": 1}, {"di_jet:": 1}]
    assert config.file_magic == dict(zip(classes, patterns, strict=True))
    yaml = str(tmp_path / "data.yaml")
    assert main(["check", "-c", yaml, "-i", *arguments]) == 0


def test_where_a_file_has_no_name_the_groups_are_no_classes(tmp_path):
    paths = [
        write_root(tmp_path / f"{name}.root", {"x": RANDOM.uniform(0, 1, ROWS)}) for name in "ab"
    ]
    assert run(tmp_path, f"a:{paths[0]}", str(paths[1])) == 0
    assert config_in(tmp_path).labels is None


def test_one_flag_makes_two_classes(tmp_path):
    columns = {"x": RANDOM.uniform(0, 1, ROWS), "is_signal": np.arange(ROWS) % 3 == 0}
    assert run(tmp_path, write_root(tmp_path / "a.root", columns)) == 0
    assert list(config_in(tmp_path).labels.classes) == ["is_signal", "no_is_signal"]
    # of 60 rows, 0, 3, 6 … are signal
    assert "is_signal 20, no_is_signal 40" in (tmp_path / "data.yaml").read_text()


def test_a_column_of_numbers_from_0_on_is_the_number_of_the_class(tmp_path):
    columns = {"x": RANDOM.uniform(0, 1, ROWS), "jet_label": np.arange(ROWS) % 5}
    assert run(tmp_path, write_root(tmp_path / "a.root", columns)) == 0
    labels = config_in(tmp_path).labels
    assert list(labels.class_number) == ["jet_label"]
    assert list(labels.classes) == [f"jet_label_{number}" for number in range(5)]


def test_where_no_row_has_a_label_the_objects_with_a_flavour_are_rows(tmp_path):
    path = tmp_path / "nano.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", nano())
        file.mktree("Runs", {"run": np.arange(3)})
    assert run(tmp_path, str(path)) == 0
    config = config_in(tmp_path)
    assert config.treename == "Events"
    assert config.rows.name == "Jet"
    assert [(each.name, each.owner) for each in config.rows.linked] == [("Muon", "Muon_jetIdx")]
    assert list(config.labels.classes) == ["label_b", "label_c", "label_light"]
    # momenta first
    assert config.inputs["row"].names == ["Jet_pt_log", "Jet_eta", "Jet_phi"]
    # of the event, and so of each of its jets
    assert config.event_weight.source == "genWeight"
    assert "event" in config.observers
    # with which a report weights, where files have it
    assert "genWeight" in config.optional_observers
    # with what could be done about it
    lines = (tmp_path / "data.yaml").read_text().partition("# - 1 column, codes")[2]
    assert "Jet_jetId" in lines.partition("# -")[0]


def test_the_rows_of_the_file_can_be_asked_for(tmp_path, capsys):
    path = write_root(tmp_path / "nano.root", nano())
    assert run(tmp_path, path, "--objects", "none") == 0
    config = config_in(tmp_path)
    assert config.rows is None
    assert config.inputs["Jet_features"].length == 8
    assert config.event_weight.source == "genWeight"
    assert "trigger and filter bits: HLT_Mu" in (tmp_path / "data.yaml").read_text()
    assert DECIDE in capsys.readouterr().out


def test_another_collection_is_met_with_the_nearest(tmp_path, capsys):
    path = write_root(tmp_path / "nano.root", nano())
    assert run(tmp_path, path, "--objects", "Muno") == 1
    assert "did you mean 'Muon'" in capsys.readouterr().err


def test_a_parquet_file_is_looked_at_in_the_same_way(tmp_path):
    ak.to_parquet(ak.zip(jets(), depth_limit=1), tmp_path / "jets.parquet")
    assert run(tmp_path, str(tmp_path / "jets.parquet")) == 0
    assert sorted(config_in(tmp_path).inputs) == [
        *("pf_features", "pf_mask", "pf_points", "pf_vectors", "row")
    ]


def test_tables_of_an_hdf5_file_are_collections(tmp_path):
    path = tmp_path / "jets.h5"
    particles = np.zeros((ROWS, 9), dtype=[("pt", "f4"), ("eta", "f4"), ("valid", "?")])
    particles["pt"] = RANDOM.uniform(1, 2, (ROWS, 9))
    particles["eta"] = RANDOM.uniform(-1, 1, (ROWS, 9))
    particles["valid"] = np.arange(9) < COUNTS[:, None]
    with h5py.File(path, "w") as file:
        file["particles"] = particles
        for name in ("jet_pt", "label_top", "label_QCD"):
            file[name] = jets()[name]
    assert run(tmp_path, str(path)) == 0
    config = config_in(tmp_path)
    assert sorted(config.labels.classes) == ["label_QCD", "label_top"]
    assert sorted(config.inputs["particles_features"].names) == [
        "particles_eta",
        "particles_pt_log",
    ]
    assert config.inputs["particles_features"].length == 8


def test_a_file_without_rows_says_so(tmp_path, capsys):
    path = write_root(tmp_path / "a.root", {"x": np.zeros(0)})
    assert run(tmp_path, path) == 1
    assert "no rows, so there is nothing to look at" in capsys.readouterr().err


@pytest.mark.parametrize("name", list_examples("data_configs", ".yaml"))
def test_every_example_names_a_network_that_comes_with_it(name):
    text = list_examples("data_configs", ".yaml")[name].read_text()
    assert example_network(text) in list_examples("network_configs", ".py")


def test_an_example_is_copied_with_its_network(tmp_path):
    assert run(tmp_path, "--example", "top_tagging") == 0
    config = load_config(str(tmp_path / "top_tagging.yaml"))
    assert NetworkFile(str(tmp_path / "pfn.py")).get_model(config, {})
    first, *_ = (tmp_path / "top_tagging.yaml").read_text().splitlines()
    assert first.endswith("=schema.json")
    assert (tmp_path / "schema.json").is_file()


def test_another_example_may_lie_beside_the_same_schema(tmp_path):
    assert run(tmp_path, "--example", "top_tagging") == 0
    assert run(tmp_path, "--example", "lund") == 0
    (tmp_path / "schema.json").write_text("{}")
    assert run(tmp_path, "--example", "jetclass") == 1


def test_files_beside_an_example_are_refused(tmp_path, capsys):
    assert run(tmp_path, "jets.root", "--example", "top_tagging") == 1
    assert "leave out the data files" in capsys.readouterr().err


def test_examples_are_listed_without_a_name_and_the_nearest_is_told(tmp_path, capsys):
    assert main(["init", "--example"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(list_examples("data_configs", ".yaml"))
    assert all(len(line) <= 100 for line in shown)
    assert run(tmp_path, "--example", "top_taging") == 1
    assert "did you mean 'top_tagging'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
