"""What lies beside a user's file can be imported by it, and by nobody else."""

import pickle
import sys

import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.expressions.custom_functions import load_custom_functions
from weaver_tt.network.file import NetworkFile, import_python_file

CONFIG = from_mapping({"inputs": {"jet": {"vars": ["pt"]}}}, source="test.yaml")
NETWORK = """
from layers import Linear
import blocks.deep

def get_model(data_config):
    import late
    return Linear(late.SIZE), {"input_names": ["jet"]}
"""
LAYERS = """
from dataclasses import dataclass
from torch import nn
from sizes import OUTPUTS

class Linear(nn.Linear):
    def __init__(self, size):
        super().__init__(size, OUTPUTS)

@dataclass
class Settings:
    size: int = 3
"""


@pytest.fixture
def folder(tmp_path):
    """A network file with four modules beside it, one of them in a folder."""
    return write_folder(tmp_path / "one", outputs=2)


def write_folder(folder, outputs):
    (folder / "blocks").mkdir(parents=True)
    (folder / "net.py").write_text(NETWORK)
    (folder / "layers.py").write_text(LAYERS)
    (folder / "sizes.py").write_text(f"OUTPUTS = {outputs}\n")
    (folder / "late.py").write_text("SIZE = 5\n")
    (folder / "blocks" / "deep.py").write_text("from .other import NAME\n")
    (folder / "blocks" / "other.py").write_text("NAME = 'deep'\n")
    return folder


def test_neighbours_are_imported_at_the_top_and_in_functions_and_leave_nothing(folder):
    path, names = list(sys.path), set(sys.modules)
    module, _ = NetworkFile(folder / "net.py").get_model(CONFIG, {})
    assert module.weight.shape == (2, 5)
    assert sys.path == path
    left = set(sys.modules) - names
    # under names that begin with that of the file, which no import spells
    assert left
    assert all(name.startswith("weaver_tt_network_net_") for name in left)


def test_files_with_other_neighbours_of_the_same_names_do_not_meet(folder, tmp_path):
    other = write_folder(tmp_path / "two", outputs=7)
    one, two = (NetworkFile(place / "net.py") for place in (folder, other))
    # in turn: a function's imports, too, are those of its own file
    for _ in range(2):
        assert one.get_model(CONFIG, {})[0].weight.shape == (2, 5)
        assert two.get_model(CONFIG, {})[0].weight.shape == (7, 5)


def test_modules_of_the_same_names_that_are_in_use_stay_in_use(folder, monkeypatch):
    mine = type(sys)("layers")
    monkeypatch.setitem(sys.modules, "layers", mine)
    assert NetworkFile(folder / "net.py").get_model(CONFIG, {})[0].weight.shape == (2, 5)
    assert sys.modules["layers"] is mine


def test_a_module_of_a_neighbour_can_be_pickled_and_compiled(folder):
    module, _ = NetworkFile(folder / "net.py").get_model(CONFIG, {})
    copy = pickle.loads(pickle.dumps(module))
    assert type(copy) is type(module)
    values = torch.ones(1, 5)
    assert torch.equal(torch.compile(copy, backend="eager")(values), module(values))


def test_the_file_is_imported_once_and_anew_when_a_neighbour_has_changed(folder):
    first = import_python_file(folder / "net.py")
    assert import_python_file(folder / "net.py") is first
    (folder / "sizes.py").write_text("OUTPUTS = 4\n")
    changed = NetworkFile(folder / "net.py")
    assert changed.module is not first
    assert changed.get_model(CONFIG, {})[0].weight.shape == (4, 5)
    assert import_python_file(folder / "net.py") is changed.module


def test_a_library_does_not_look_there(folder, tmp_path, monkeypatch):
    # a library that is imported by the file, and that looks for a module of the same name
    library = tmp_path / "libraries"
    library.mkdir()
    (library / "of_a_library.py").write_text(
        "try:\n    import layers\nexcept ImportError:\n    layers = None\n"
    )
    monkeypatch.syspath_prepend(str(library))
    (folder / "net.py").write_text("import of_a_library\nimport layers\n")
    module = import_python_file(folder / "net.py")
    assert module.layers.Settings().size == 3
    assert module.of_a_library.layers is None
    del sys.modules["of_a_library"]


def test_a_folder_of_files_comes_after_what_is_installed(folder):
    # results of a tutorial, such as h5py/plot.py, are no library
    (folder / "colorsys").mkdir()
    (folder / "colorsys" / "plot.py").touch()
    (folder / "hypothesis_like").mkdir()
    (folder / "yaml").mkdir()
    (folder / "yaml" / "plot.py").touch()
    (folder / "net.py").write_text("import colorsys\nimport yaml\n")
    module = import_python_file(folder / "net.py")
    assert module.colorsys.rgb_to_hsv
    assert module.yaml.safe_load


def test_an_error_in_a_neighbour_is_met_again_until_it_is_mended(folder):
    (folder / "layers.py").write_text("1 / 0\n")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            import_python_file(folder / "net.py")
    (folder / "layers.py").write_text(LAYERS)
    assert import_python_file(folder / "net.py").Linear


def test_files_of_functions_have_neighbours_too(folder):
    (folder / "functions.py").write_text(
        "from sizes import OUTPUTS\n\ndef twice(x):\n    return OUTPUTS * x\n"
    )
    assert load_custom_functions(str(folder / "functions.py"))["twice"](3) == 6
    assert "sizes" not in sys.modules
