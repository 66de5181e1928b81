"""Weaver's import names, for files that were written for it.

``from weaver.nn.model.ParticleNet import ParticleNet`` and the older spelling ``from
utils.nn.model.ParticleNet import ParticleNet`` need no weaver-core: they resolve to modules of ours
where nothing else answers to them. Where weaver-core is installed its own modules are used, and so
is a user's own ``utils`` package, on ``sys.path`` or beside the file.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.log import log

OUR_MODULES = {
    "nn.model.ParticleNet": "weaver_tt.nn.models.particle_net",
    "nn.model.ParticleNeXt": "weaver_tt.nn.models.particle_next",
    "nn.model.ParticleTransformer": "weaver_tt.nn.models.particle_transformer",
    "nn.model.PFN": "weaver_tt.nn.models.particle_flow",
    "nn.loss.focal": "weaver_tt.nn.layers.focal",
    "utils.logger": "weaver_tt.weaver_compat.logger",
    "utils.import_tools": "weaver_tt.weaver_compat.import_tools",
    "utils.nn.tools": "weaver_tt.weaver_compat.loops",
    "utils.data.tools": "weaver_tt.expressions.helpers",
}
"""Module of Weaver, without ``weaver.`` -> module of ours with the same names."""

NOT_OFFERED = {
    "utils.dataset": "data are loaded by weaver_tt.data.loaders, from the same YAML",
    "train": "the command is `weaver-tt train`",
}
"""Module of Weaver that is not here -> what to say of it."""

PACKAGES = {name.rpartition(".")[0] for name in OUR_MODULES} | {"", "nn", "utils"}
ROOTS = ("weaver", "utils")


class NotOfferedError(ConfigError, ModuleNotFoundError):
    """A file asks for something of Weaver that is not here.

    A file that can do without may catch it as an ImportError.
    """


@contextmanager
def weaver_names(file: str | Path) -> Iterator[None]:
    """Weaver's import names, while ``file`` is imported or a function of it is called."""
    finder = _Finder(Path(file).parent)
    before = set(sys.modules)
    # last: what is installed is found first
    sys.meta_path.append(finder)
    try:
        yield
        imported = set(sys.modules) - before - finder.made
        if any(name.startswith("weaver.nn.model.") for name in imported):
            _log_faster_models(str(file))
    finally:
        sys.meta_path.remove(finder)
        _forget(finder)


def _forget(finder: _Finder) -> None:
    """Take the stand-ins out of ``sys.modules``, and out of the packages that they were put in."""
    for name in finder.made:
        parent, _, last = name.rpartition(".")
        if parent in sys.modules:
            # also of a real package that lacks the module
            vars(sys.modules[parent]).pop(last, None)
    for name in finder.made:
        sys.modules.pop(name, None)


@lru_cache
def _log_faster_models(file: str) -> None:
    """Log, once for each file, that weaver-core's models are used, and how to get ours."""
    models = [name for name in OUR_MODULES.values() if "nn.models.particle" in name]
    log.info(
        "%s: the models are weaver-core's, which is installed; "
        "import ours for the same weights, faster: %s",
        file,
        ", ".join(sorted(models)),
    )


class _Finder(MetaPathFinder, Loader):
    """Finds and makes the stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A stand-in for a name that nothing else answers to.

        A ``utils`` of the user's, beside the file, comes first.
        """
        if fullname.partition(".")[0] not in ROOTS:
            return None
        if "." not in fullname:
            beside = PathFinder.find_spec(fullname, [str(self.folder)])
            if beside is not None:
                return beside
        name = canonical(fullname)
        if name in OUR_MODULES or name in PACKAGES:
            self.made.add(fullname)
            return ModuleSpec(fullname, self, is_package=name in PACKAGES)
        # of a package that is a stand-in too, nobody else can have the module
        if fullname.rpartition(".")[0] in self.made:
            raise _not_offered(fullname, name)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the stand-in with the names of our module; any other name is an error."""
        name = canonical(module.__name__)
        if name in PACKAGES:
            return
        ours = importlib.import_module(OUR_MODULES[name])
        known = {key: value for key, value in vars(ours).items() if not key.startswith("__")}

        def missing(attribute: str) -> Any:
            # Python asks for some of these by itself
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            raise NotOfferedError(
                f"from {module.__name__} import {attribute}: {ours.__name__} has no such name; "
                f"{nearest(attribute, known)}"
            )

        vars(module).update(known, __doc__=ours.__doc__, __getattr__=missing)


def _not_offered(fullname: str, name: str) -> NotOfferedError:
    """The error for a module that is not here; ``name`` is its name after ``weaver.``."""
    instead = NOT_OFFERED.get(name)
    if instead is None:
        spelling = fullname.removesuffix(name)
        instead = nearest(fullname, [f"{spelling}{known}" for known in OUR_MODULES])
    return NotOfferedError(
        f"import {fullname}: {instead} (after `pip install weaver-core` its own is used)"
    )


def canonical(name: str) -> str:
    """A name of either spelling, as it is after ``weaver.``.

    ``utils.nn.model.X`` and ``weaver.nn.model.X`` are both ``nn.model.X``.
    """
    if not name.startswith("utils"):
        name = name.removeprefix("weaver").lstrip(".")
    for package in ("utils.nn.model", "utils.nn.loss"):
        if name == package or name.startswith(f"{package}."):
            return name.removeprefix("utils.")
    return name
