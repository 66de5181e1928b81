"""Functions of the user's own: those of the python file given with ``--custom-functions``."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from weaver_tt.errors import ConfigError
from weaver_tt.expressions.registry import FUNCTIONS
from weaver_tt.system.neighbours import EditedFileLoader, Neighbours
from weaver_tt.weaver_compat.import_names import weaver_names


@lru_cache
def load_custom_functions(path: str) -> dict[str, Callable[..., Any]]:
    """Functions of a user's python file, by name. Errors inside that file pass through as they are.

    Raises:
        ConfigError: there is no such file, or it holds no function.
    """
    if not Path(path).is_file():
        raise ConfigError(f"--custom-functions {path}: no such file")
    loader = EditedFileLoader(Path(path).stem, path)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--custom-functions {path}: not a python file")
    module = importlib.util.module_from_spec(spec)
    with Neighbours(Path(path).parent, spec.name).importable(), weaver_names(path):
        spec.loader.exec_module(module)
    functions: dict[str, Callable[..., Any]] = {}
    for name, value in vars(module).items():
        # names such as __getattr__ are the module's own affair
        if inspect.isfunction(value) and not name.startswith("__"):
            functions[name] = value
    if not functions:
        raise ConfigError(f"--custom-functions {path}: holds no function")
    return functions


def known_functions(custom: str | None) -> Mapping[str, Callable[..., Any]]:
    """What can be called by its bare name, with the functions of the file ``custom`` if given.

    A function of that file stands before a listed one of the same name.
    """
    if custom is None:
        return FUNCTIONS
    return {**FUNCTIONS, **load_custom_functions(custom)}


def is_custom_function(name: str, functions: Mapping[str, Callable[..., Any]]) -> bool:
    """Whether ``name`` among :func:`known_functions` is one of the user's file."""
    return functions[name] is not FUNCTIONS.get(name)
