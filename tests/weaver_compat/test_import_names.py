"""Weaver's import names in network files.

They are ours where weaver-core is absent and its own where it is installed; a user's ``utils``
comes before ours.
"""

import importlib.util
import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.weaver_compat.import_names import (
    NOT_OFFERED,
    OUR_MODULES,
    NotOfferedError,
    canonical,
    weaver_names,
)


class Blocked:
    """weaver-core as if it were not installed."""

    def find_spec(self, name, path=None, target=None):
        """Ask the finder of the stand-ins, and nobody after it, for ``weaver``."""
        if name == "weaver":
            return next(
                finder for finder in sys.meta_path if type(finder).__name__ == "_Finder"
            ).find_spec(name)
        return None


def weaver_modules():
    """Modules with Weaver's names, and users' own ``utils``."""
    return [name for name in sys.modules if name.partition(".")[0] in ("weaver", "utils")]


@pytest.fixture
def without_weaver(monkeypatch):
    """No weaver-core, and no module of it left from, or for, another test."""
    for name in weaver_modules():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Blocked(), *sys.meta_path])
    yield
    for name in weaver_modules():
        del sys.modules[name]


def module(tmp_path, text, name="net.py"):
    """The module of a network file with this text."""
    (tmp_path / name).write_text(textwrap.dedent(text))
    return NetworkFile(tmp_path / name).module


@pytest.mark.parametrize("root", ["weaver.utils", "utils"])
def test_the_logger_is_ours_in_both_spellings(tmp_path, without_weaver, root):
    found = module(
        tmp_path,
        f"from {root}.logger import _logger, warn_n_times, warn_once, _configLogger\n"
        f"import {root}.logger as whole",
    )
    assert type(found._logger).__module__ == "weaver_tt.weaver_compat.logger"
    assert found.whole._logger is found._logger


@pytest.mark.parametrize(
    "place", ["weaver.nn.model.PFN", "utils.nn.model.PFN", "weaver.utils.nn.model.PFN"]
)
def test_models_are_ours_in_every_spelling(tmp_path, without_weaver, place):
    from weaver_tt.nn.models.particle_flow import ParticleFlowNetwork

    assert (
        module(tmp_path, f"from {place} import ParticleFlowNetwork").ParticleFlowNetwork
        is ParticleFlowNetwork
    )
    assert (
        module(tmp_path, f"import {place} as m", "other.py").m.ParticleFlowNetwork
        is ParticleFlowNetwork
    )


def test_particle_next_is_ours_with_its_tagger(tmp_path, without_weaver):
    from weaver_tt.nn.models.particle_next import ParticleNeXt, ParticleNeXtTagger

    text = "from weaver.nn.model.ParticleNeXt import ParticleNeXt, ParticleNeXtTagger"
    found = module(tmp_path, text)
    assert found.ParticleNeXt is ParticleNeXt
    assert found.ParticleNeXtTagger is ParticleNeXtTagger


def test_names_that_begin_with_an_underscore_are_there_too(tmp_path, without_weaver):
    from weaver_tt.expressions.helpers import _pad

    assert module(tmp_path, "from weaver.utils.data.tools import _pad")._pad is _pad


def test_get_model_may_import_too(tmp_path, without_weaver):
    file = tmp_path / "net.py"
    file.write_text(
        "def get_loss(config):\n"
        "    from weaver.nn.loss.focal import FocalLoss\n"
        "    return FocalLoss(gamma=1)\n"
    )
    assert NetworkFile(file).get_loss(None, {}).gamma == 1


def test_nothing_is_left_behind(tmp_path, without_weaver):
    module(tmp_path, "from weaver.utils.logger import _logger\nimport utils.logger")
    assert not {name for name in sys.modules if name.partition(".")[0] in ("weaver", "utils")}
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("utils.logger")


def test_what_is_not_offered_says_so(tmp_path, without_weaver):
    with pytest.raises(
        NotOfferedError,
        match=r"weaver\.train: the command is `weaver-tt train`.*pip install weaver-core",
    ):
        module(tmp_path, "from weaver.train import main")
    with pytest.raises(
        ConfigError, match=r"weaver\.nn\.model\.PFM: did you mean 'weaver\.nn\.model\.PFN'"
    ):
        module(tmp_path, "from weaver.nn.model.PFM import ParticleFlowNetwork")
    with pytest.raises(
        ImportError,
        match=r"import EnergyFlow: .* has no such name; did you mean 'EnergyFlowNetwork'",
    ):
        module(tmp_path, "from weaver.nn.model.PFN import EnergyFlow")
    with pytest.raises(NotOfferedError, match=r"utils\.dataset: data are loaded by"):
        module(tmp_path, "from utils import dataset")


def test_a_file_with_another_way_may_catch_it(tmp_path, without_weaver):
    found = module(
        tmp_path,
        "try:\n    from weaver.utils.dataset import X\nexcept ImportError:\n    X = 3\n",
    )
    assert found.X == 3


def test_a_users_own_utils_beside_the_file_wins(tmp_path, without_weaver):
    """Also its own logger; what it lacks is still found."""
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "__init__.py").write_text("mine = 1")
    (tmp_path / "utils" / "logger.py").write_text("_logger = 'mine'")
    found = module(
        tmp_path,
        "import utils\n"
        "from utils.logger import _logger\n"
        "from utils.nn.model.PFN import ParticleFlowNetwork",
    )
    assert (found.utils.mine, found._logger) == (1, "mine")
    assert found.ParticleFlowNetwork.__module__ == "weaver_tt.nn.models.particle_flow"
    assert not hasattr(found.utils, "nn")


def test_a_users_own_utils_on_the_path_wins(tmp_path, without_weaver, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "utils.py").write_text("mine = 2")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    assert module(tmp_path, "import utils").utils.mine == 2


def test_other_names_are_not_touched(tmp_path, without_weaver):
    with pytest.raises(ModuleNotFoundError, match="No module named 'weaverbird'"):
        module(tmp_path, "import weaverbird")


def test_custom_functions_may_import_them(tmp_path, without_weaver):
    from weaver_tt.expressions.custom_functions import load_custom_functions

    (tmp_path / "more.py").write_text(
        "from weaver.utils.data.tools import _pad\n\ndef f(x):\n    return _pad(x, 2)\n"
    )
    assert load_custom_functions(str(tmp_path / "more.py"))["f"]([[1, 2, 3]]).tolist() == [[1, 2]]


def test_where_weaver_core_is_installed_its_own_are_used_and_ours_named(tmp_path, monkeypatch):
    pytest.importorskip("weaver")
    for name in [name for name in sys.modules if name.startswith("weaver.nn")]:
        monkeypatch.delitem(sys.modules, name)
    told: list[str] = []
    monkeypatch.setattr(
        logging.getLogger("weaver_tt"), "info", lambda text, *parts: told.append(text % parts)
    )
    found = module(tmp_path, "from weaver.nn.model.ParticleNet import ParticleNet")
    assert found.ParticleNet.__module__ == "weaver.nn.model.ParticleNet"
    assert len(told) == 1
    assert "the models are weaver-core's, which is installed; " in told[0]
    assert "import ours for the same weights, faster: weaver_tt.nn" in told[0]


def test_spellings_meet():
    for spelling in (
        "weaver.nn.model.ParticleNet",
        "utils.nn.model.ParticleNet",
        "weaver.utils.nn.model.ParticleNet",
    ):
        assert canonical(spelling) == "nn.model.ParticleNet"
    assert canonical("weaver.utils.logger") == canonical("utils.logger") == "utils.logger"
    assert canonical("weaver") == ""
    assert not OUR_MODULES.keys() & NOT_OFFERED.keys()


@pytest.mark.parametrize("ours", sorted(OUR_MODULES.values()))
def test_every_module_that_is_named_is_there(ours):
    assert importlib.util.find_spec(ours) is not None


def test_in_a_process_of_its_own(tmp_path):
    """The import system of a fresh interpreter, with weaver-core out of reach."""
    (tmp_path / "net.py").write_text(
        "from utils.logger import _logger\n"
        "from weaver.nn.model.PFN import ParticleFlowNetwork\n"
        "_logger.warning('made', color='bold')\n"
    )
    code = """
        import sys
        sys.modules["weaver"] = None
        from weaver_tt.log import configure_log
        configure_log()
        del sys.modules["weaver"]
        import importlib.machinery
        find = importlib.machinery.PathFinder.find_spec
        def find_others(cls, name, *rest):
            return None if name == "weaver" else find(name, *rest)
        importlib.machinery.PathFinder.find_spec = classmethod(find_others)
        from weaver_tt.network.network import NetworkFile
        module = NetworkFile(sys.argv[1]).module
        print(module.ParticleFlowNetwork.__module__, "weaver" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "net.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.split() == ["weaver_tt.nn.models.particle_flow", "False"]
    assert "WARNING made" in done.stderr


def test_the_names_end_with_the_file(tmp_path, without_weaver):
    with weaver_names(tmp_path / "a.py"):
        import utils.logger as inside
    assert inside._logger
    assert sum(type(finder).__name__ == "_Finder" for finder in sys.meta_path) == 0


@pytest.mark.parametrize(
    "line",
    [
        "from weaver.nn.model.ParticleNet import ParticleNet, ParticleNetTagger, FeatureConv",
        "from utils.nn.model.ParticleNet import ParticleNet, FeatureConv",
        "from weaver.nn.model.ParticleTransformer import ParticleTransformer, "
        "ParticleTransformerTagger",
        "from utils.nn.model.PFN import ParticleFlowNetwork",
        "from weaver.utils.nn.tools import train_classification, evaluate_regression",
        "from weaver.utils.import_tools import import_module",
    ],
)
def test_what_public_network_files_import_is_there(tmp_path, without_weaver, line):
    names = [name.strip() for name in line.partition(" import ")[2].split(",")]
    assert vars(module(tmp_path, line)).keys() >= set(names)
