"""The small distribution holds what it imports, and runs where nothing else is installed."""

import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import awkward as ak
import pytest

from tests.deploy.conftest import DeepSet, events, jets_config, write_export
from tests.test_rooms import IMPORTS, MODULES, PACKAGE
from weaver_tt import __version__
from weaver_tt.deploy import Tagger
from weaver_tt.formats.csv_files import read_csv, writing_csv

ROOT = Path(__file__).parents[2]

# what users import or start, what these import by name, and what weaver_tt/__init__.py imports
ENTRANCES = [
    "deploy.tagger",
    "cli",
    "deploy.apply",
    "formats.open_reader",
    "formats.writers",
    "weaver_compat.old_paths",
]

# libraries of training, and those of the extra [files]
ABSENT = ["torch", "onnx", "matplotlib", "yaml", "rich", "uproot", "pyarrow", "h5py"]

PROGRAM = """
import importlib.util, json, sys
from pathlib import Path

absent, folder, out, *paths = sys.argv[1:]
sys.path += paths
found = [name for name in absent.split() if importlib.util.find_spec(name) is not None]
assert not found, found

from weaver_tt import cli
from weaver_tt.deploy import Tagger

columns = {name: [[1.0, 2.0], []] for name in Tagger(folder).column_names}
print(json.dumps(Tagger(folder)(columns)["jet_eff"].tolist()))
codes = [
    cli.apply([folder, "--golden"]),
    cli.apply([folder, "-t", f"{out}/in.csv", "-o", f"{out}/out.csv"]),
    cli.apply([folder, "-t", f"{out}/in.csv", "-o", f"{out}/out.root"]),
]
print(*codes)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    builders = pytest.importorskip("hatchling.builders.wheel", reason="make install has it")
    folder = tmp_path_factory.mktemp("wheel")
    builder = builders.WheelBuilder(str(ROOT / "distributions" / "deploy"))
    (built,) = builder.build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def metadata(wheel: Path) -> Message:
    (path,) = wheel.glob("*.dist-info/METADATA")
    return Parser().parsestr(path.read_text())


def modules_needed() -> set[str]:
    """All that the entrances import, however far, without the packages that they lie in."""
    waiting = list(ENTRANCES)
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += IMPORTS[module]
    return found


def test_it_holds_the_modules_that_are_imported_and_no_others(wheel: Path) -> None:
    """Those are found here by the test of the rooms, in the build by hatch_build.py."""
    expected = {PACKAGE / "__init__.py", PACKAGE / "py.typed"}
    for module in modules_needed():
        path = MODULES[module]
        folders = [folder for folder in path.parents if folder.is_relative_to(PACKAGE)]
        expected |= {path, *(folder / "__init__.py" for folder in folders)}
    shipped = {str(path.relative_to(wheel)) for path in (wheel / "weaver_tt").rglob("*.*")}
    assert shipped == {str(path.relative_to(ROOT)) for path in expected}
    for name in shipped:
        assert (wheel / name).read_bytes() == (ROOT / name).read_bytes()


def test_it_has_the_version_of_the_package_and_needs_three_libraries(wheel: Path) -> None:
    found = metadata(wheel)
    assert (found["Name"], found["Version"]) == ("weaver-tt-deploy", __version__)
    needed = [line for line in found.get_all("Requires-Dist", []) if "extra" not in line]
    assert [line.partition(">")[0] for line in needed] == ["awkward", "numpy", "onnxruntime"]
    (entry_points,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "weaver-tt-apply = weaver_tt.cli:apply" in entry_points.read_text()


def test_its_lowest_versions_are_those_of_the_package() -> None:
    whole, small = (
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        for folder in (ROOT, ROOT / "distributions" / "deploy")
    )
    needed = {*small["dependencies"], *small["optional-dependencies"]["files"]}
    assert len(needed) == 6
    assert needed <= set(whole["dependencies"])


def test_an_editable_install_which_would_be_empty_is_refused(tmp_path: Path) -> None:
    builders = pytest.importorskip("hatchling.builders.wheel", reason="make install has it")
    builder = builders.WheelBuilder(str(ROOT / "distributions" / "deploy"))
    with pytest.raises(ValueError, match="cannot be editable: pip install -e"):
        list(builder.build(directory=str(tmp_path), versions=["editable"]))


def link_libraries(requirements: Iterable[str], folder: Path) -> None:
    """Links to the installed distributions that are required, and all that these require."""
    requirement_of = pytest.importorskip("packaging.requirements").Requirement
    waiting = list(requirements)
    done: set[str] = set()
    while waiting:
        requirement = requirement_of(waiting.pop())
        is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not is_needed or requirement.name in done:
            continue
        done.add(requirement.name)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            pytest.fail(f"{requirement.name} is required and not installed")
        waiting += found.requires or []
        if found.files is None:
            pytest.skip(f"the installation of {requirement.name} does not list its files")
        for name in {path.parts[0] for path in found.files} - {"..", "__pycache__"}:
            link = folder / name
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(name))).resolve())


def test_it_runs_where_only_its_requirements_are_installed(wheel: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    write_export(export, jets_config(), [DeepSet(0, 1, per_jet=True)])
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    link_libraries(metadata(wheel).get_all("Requires-Dist", []), libraries)
    rows = events(6, seed=5)
    columns = {name: ak.Array([row[name] for row in rows]) for name in rows[0]}
    with writing_csv(tmp_path / "in.csv") as file:
        file.write(columns)
    # neither the environment nor its packages, of which -S leaves the standard library
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, " ".join(ABSENT), str(export)]
    command += [str(tmp_path), str(wheel), str(libraries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs, codes = done.stdout.splitlines()
    tagger = Tagger(export)
    two = {name: [[1.0, 2.0], []] for name in tagger.column_names}
    assert json.loads(outputs) == tagger(two)["jet_eff"].tolist()
    # the proof holds, CSV needs no library, and what ROOT needs is said
    assert codes == "0 0 1"
    assert "40 rows (40 real) have the outputs of torch" in done.stderr
    assert "pip install 'weaver-tt-deploy[files]'" in done.stderr
    found = read_csv(tmp_path / "out.csv", lists={"jet_eff"})["jet_eff"]
    expected = tagger(columns)["jet_eff"]
    assert ak.num(found).tolist() == ak.num(expected).tolist()
    assert ak.flatten(found).tolist() == pytest.approx(
        ak.flatten(expected).tolist(), rel=1e-6, nan_ok=True
    )
