"""Modules by path."""

import pytest

from weaver_tt.weaver_compat.import_tools import import_module


def test_a_neighbour_is_imported_by_path(tmp_path):
    (tmp_path / "near.py").write_text("x = 4")
    assert import_module(str(tmp_path / "near.py"), "near").x == 4
    with pytest.raises(ImportError, match="not a python file"):
        import_module(str(tmp_path / "near.txt"))
