"""A file is there whole or not at all."""

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.system.atomic_files import write_text, writing


def test_text_appears_under_its_name_with_the_folders_it_needs(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "η")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "η".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def write_half(path, then_raise):
    with writing(path) as file:
        file.write(b"half")
        raise then_raise


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(28, "No space left"), OutputError),
        (RuntimeError("torch"), OutputError),
        (ValueError("a bug"), ValueError),
    ],
)
def test_what_goes_wrong_halfway_leaves_the_previous_file_and_nothing_else(
    tmp_path, raised, expected
):
    path = tmp_path / "a.txt"
    write_text(path, "before")
    with pytest.raises(expected):
        write_half(path, raised)
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_folders_are_made_only_when_asked_for(tmp_path):
    with (
        pytest.raises(OutputError, match=r"missing/a\.txt: cannot be written"),
        writing(tmp_path / "missing" / "a.txt"),
    ):
        pass
    assert not (tmp_path / "missing").exists()


def test_a_folder_that_is_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/a\.txt: cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "text")
