"""What is said of a file that is not there."""

from pathlib import Path

from weaver_tt.system.missing_files import no_such_file


def test_the_nearest_of_the_files_beside_it_is_named(tmp_path):
    for name in ("map.json", "map.yaml", "other.json"):
        (tmp_path / name).touch()
    (tmp_path / "maps.json").mkdir()
    path = tmp_path / "mpa.json"
    assert no_such_file(path, ".json") == f"{path}: no such file; did you mean 'map.json'?"
    # of any kind
    path = tmp_path / "mpa.yaml"
    assert no_such_file(path).startswith(f"{path}: no such file; did you mean 'map.yaml'")


def test_without_a_folder_there_is_nothing_to_choose_from(tmp_path):
    path = tmp_path / "none" / "a.json"
    assert no_such_file(path) == f"{path}: no such file; there are none to choose from"


def test_a_folder_that_cannot_be_listed_is_no_other_error(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    # root, whom tests may run as, is never refused
    monkeypatch.setattr(Path, "iterdir", refuse)
    path = tmp_path / "a.json"
    assert no_such_file(path) == f"{path}: no such file; there are none to choose from"
