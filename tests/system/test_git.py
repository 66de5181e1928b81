"""The commit of the sources, in a checkout and in an installed package."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from weaver_tt.system.git import git_hash


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def make_repository(folder: Path) -> None:
    """A repository of one file and one commit."""
    git(folder, "init", "-q")
    (folder / "file").write_text("one")
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "one")


def test_the_hash_of_a_changed_tree_ends_with_a_plus(tmp_path):
    make_repository(tmp_path)
    assert git_hash(tmp_path) == git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "file").write_text("two")
    assert git_hash(tmp_path) == git(tmp_path, "rev-parse", "HEAD") + "+"


def test_a_package_that_is_installed_below_a_repository_is_no_part_of_it(tmp_path):
    make_repository(tmp_path)
    package = tmp_path / ".venv" / "weaver_tt"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert git_hash(package) is None
    (package / "COMMIT").write_text("abc+\n")
    assert git_hash(package) == "abc+"


@pytest.mark.parametrize("folder", ["", "distributions/deploy"])
def test_a_wheel_has_the_commit_that_it_was_made_of(tmp_path, folder):
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="make install has it")
    root = Path(__file__).parents[2]
    if git_hash(root) is None:
        pytest.skip("these sources are in no repository")
    built = next(
        wheel.WheelBuilder(str(root / folder)).build(directory=str(tmp_path), versions=["standard"])
    )
    with zipfile.ZipFile(built) as archive:
        found = archive.read("weaver_tt/COMMIT").decode().strip()
    assert found == git_hash(root)


def test_outside_a_repository_there_is_no_hash(tmp_path):
    assert git_hash(tmp_path) is None
