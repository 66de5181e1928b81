"""Libraries that an extra installs."""

import math
import sys

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.system.optional_imports import require_module


def test_a_module_that_is_there_is_returned():
    assert require_module("math", "simulate", "simulate") is math


def test_a_missing_module_names_the_extra_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)  # python's way to say that an import fails
    with pytest.raises(
        ConfigError,
        match=r"weaver-tt simulate needs pythia8mc .*; pip install 'weaver_tt\[simulate\]'",
    ):
        require_module("pythia8mc", "simulate", "simulate")
