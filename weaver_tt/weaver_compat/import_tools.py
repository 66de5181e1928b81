"""Weaver's ``utils.import_tools`` for network files that import their neighbours by path."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType


def import_module(path: str, name: str = "_mod") -> ModuleType:
    """The module of the python file ``path``; ImportError when it is none."""
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: not a python file", path=path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
