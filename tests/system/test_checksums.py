"""What has changed since it was written, and what unpacks to gigabytes, is named."""

import zipfile

import pytest

from weaver_tt.system.checksums import check_entries


def zipped(path, content, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr("data", content)
    return path


def test_whole_entries_pass_compressed_or_not(tmp_path):
    check_entries(zipped(tmp_path / "a.zip", b"x" * 1000))
    check_entries(zipped(tmp_path / "b.zip", bytes(range(256)) * 40, zipfile.ZIP_DEFLATED))
    check_entries(zipped(tmp_path / "c.zip", b""))
    (tmp_path / "d.pt").write_bytes(b"an older format")
    check_entries(tmp_path / "d.pt")


def test_a_changed_byte_is_named(tmp_path):
    path = zipped(tmp_path / "a.zip", b"weights" * 100)
    path.write_bytes(path.read_bytes().replace(b"weightsweights", b"weightsweightz", 1))
    with pytest.raises(ValueError, match="data has changed since it was written"):
        check_entries(path)


def test_a_few_bytes_that_unpack_to_gigabytes_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", bytes(10**6), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="data unpacks to 1000000 bytes"):
        check_entries(path)
