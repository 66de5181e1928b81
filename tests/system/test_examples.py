"""Examples that come with the package, by name."""

import zipfile
from pathlib import Path

import pytest

from weaver_tt import run_files
from weaver_tt.config.load import load_config
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.system import examples

ROOT = Path(__file__).parents[2]


def test_an_example_is_found_by_its_name_with_or_without_ending():
    file = ROOT / "network_configs" / "particle_net.py"
    assert examples.find_example("weaver_tt:particle_net", "network_configs", ".py") == file
    assert examples.find_example("weaver_tt:particle_net.py", "network_configs", ".py") == file


def test_any_other_path_stays_as_it_is():
    assert examples.find_example("a/b.py", "network_configs", ".py") == Path("a/b.py")


def test_what_lies_inside_of_an_installed_package_comes_first(tmp_path, monkeypatch):
    for place in ("inside", "beside"):
        (tmp_path / place / "data_configs").mkdir(parents=True)
        (tmp_path / place / "data_configs" / "top_tagging.yaml").touch()
    monkeypatch.setattr(examples, "PLACES", (tmp_path / "inside", tmp_path / "beside"))
    found = examples.find_example("weaver_tt:top_tagging", "data_configs", ".yaml")
    assert found == tmp_path / "inside" / "data_configs" / "top_tagging.yaml"


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(ConfigError, match=r"weaver_tt:particel_net: .*did you mean 'particle_net'"):
        NetworkFile("weaver_tt:particel_net")
    with pytest.raises(
        ConfigError, match="no such example in data_configs; did you mean 'jetclass"
    ):
        load_config("weaver_tt:jetclas")
    with pytest.raises(ConfigError, match="known: deep_sets, "):
        NetworkFile("weaver_tt:")


def test_data_and_network_examples_are_read():
    assert load_config("weaver_tt:top_tagging").input_names
    assert callable(NetworkFile("weaver_tt:pfn").module.get_model)


def test_a_wheel_holds_the_examples_and_what_lies_in_the_package_now(tmp_path):
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="make install has it")
    (built,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(built).namelist())
    for folder in ("network_configs", "data_configs"):
        for path in (ROOT / folder).glob("*.*"):
            assert f"weaver_tt/examples/{folder}/{path.name}" in names
    package = Path(run_files.__file__).parent
    modules = {str(path.relative_to(package.parent)) for path in package.rglob("*.py")}
    shipped = {name for name in names if name.endswith(".py") and "/examples/" not in name}
    assert shipped == modules
    assert "weaver_tt/py.typed" in names


def test_the_schema_lies_beside_the_examples():
    assert examples.data_schema() == ROOT / "data_configs" / "schema.json"
