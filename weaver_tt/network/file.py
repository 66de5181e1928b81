"""The user's network file: import it, and call its functions with the options that they name."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.options.literals import check_kinds
from weaver_tt.system.examples import find_example
from weaver_tt.weaver_compat.import_names import weaver_names

MAX_NAMES = 8  # told of a dict's


STOCK_LOOPS = (
    "weaver.utils.nn.tools",
    "weaver_tt.weaver_compat.loops",
)  # where Weaver's own loops come from


class NetworkFile:
    """A user's python file with ``get_model`` and, optionally, ``get_loss`` and ``get_task``; errors inside these pass through unchanged."""

    def __init__(self, path: str | Path) -> None:
        """Import ``path``; ConfigError when there is no such python file.

        ``weaver_tt:NAME`` is one of the examples that come with the package.
        """
        self.path = find_example(path, "network_configs", ".py")
        self.module = import_python_file(self.path)

    def get_model(
        self, config: DataConfig, options: Mapping[str, Any]
    ) -> tuple[nn.Module, dict[str, Any]]:
        """(module, model_info) of the file's ``get_model(config, **options)``; model_info names at least the module's inputs, in order."""
        if not callable(getattr(self.module, "get_model", None)):
            names = (name for name, value in vars(self.module).items() if callable(value))
            raise ConfigError(
                f"{self.path}: no function get_model(data_config, **options); {nearest('get_model', names)}"
            )
        made = self._call("get_model", config, options, strict=True)
        if not (
            isinstance(made, tuple)
            and len(made) == 2
            and isinstance(made[0], nn.Module)
            and isinstance(made[1], Mapping)
        ):
            raise ConfigError(
                f"{self.path}: get_model must return (module, model_info), a torch module and a dict, not {describe_value(made)}"
            )
        module, info = made[0], {"input_names": config.input_names, **made[1]}
        for name in info["input_names"]:
            if name not in config.inputs:
                raise ConfigError(
                    f"{self.path}: model_info input_names: no input group {name!r} in {config.source}; {nearest(name, config.inputs)}"
                )
        return module, info

    def get_loss(self, config: DataConfig, options: Mapping[str, Any]) -> Any:
        """What the file's ``get_loss(config, **options)`` returns, or None when the file has no such function."""
        return self._call("get_loss", config, options)

    def get_task(self, config: DataConfig, options: Mapping[str, Any]) -> Any:
        """What the file's ``get_task(config, **options)`` returns, or None when the file has no such function."""
        return self._call("get_task", config, options)

    def check_loops(self, config: DataConfig, options: Mapping[str, Any], task: str) -> None:
        """Refuse a file whose training would not be what it says: one with loops of its own, or an optimiser of its own.

        Weaver's stock loops, which ``get_train_fn`` and ``get_evaluate_fn`` may return, only say which task it is; it must be ``task``. ConfigError.
        """
        if hasattr(self.module, "init_opt"):
            raise ConfigError(
                f"{self.path}: init_opt is not called here; --optimizer, --optimizer-option and --lr-scheduler say the same"
            )
        for name in ("get_train_fn", "get_evaluate_fn"):
            loop = self._call(name, config, options)
            if loop is None:
                continue
            called = getattr(loop, "__name__", describe_value(loop))
            if getattr(loop, "__module__", None) not in STOCK_LOOPS:
                raise ConfigError(
                    f"{self.path}: {name} returns a loop of its own, {called}; here there is one loop over batches, and a task says what is learnt "
                    "in it: write get_task(data_config, **options) (docs/network-file.md), which also wins where both are there"
                )
            if not called.endswith(task):
                raise ConfigError(
                    f"{self.path}: {name} returns {called}, and the labels of {config.source} make the task {task}"
                )

    def _call(
        self, name: str, config: DataConfig, options: Mapping[str, Any], strict: bool = False
    ) -> Any:
        function = getattr(self.module, name, None)
        if function is None:
            return None
        parameters = inspect.signature(function).parameters
        known = list(parameters)[1:]
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            known = list(options)
        unknown = [key for key in options if key not in known]
        if unknown and strict:
            raise unknown_key(unknown[0], known, f"{self.path}: options of {name}")
        named = {key: value for key, value in options.items() if key in known}
        check_kinds(named, function, f"{self.path}: network option")
        with weaver_names(self.path):
            return function(config, **named)


def import_python_file(path: Path, what: str = "network file") -> ModuleType:
    """The module of a file, under a name of its own for each path and content, so that its classes can be pickled and inspected.

    Raises ConfigError, about ``what``, when there is no such python file.
    """
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError(f"{what} {path}: {explain_missing_file(path, '*.py')}")
    identity = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:12]
    name = f"weaver_tt_network_{path.stem}_{identity}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{what} {path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with weaver_names(path):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # a half-made module must not be found next time
        raise
    return module


def explain_missing_file(path: Path, pattern: str) -> str:
    """What is wrong with a path that should be a file, and the nearest files in its folder (or in the closest folder that exists)."""
    if path.is_dir():
        return f"a folder; {nearest(path.name, [entry.name for entry in path.glob(pattern)])}"
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    problem = f"not a {pattern[1:]} file" if path.is_file() else "no such file"
    return f"{problem}; in {folder}: {nearest(path.name, [entry.name for entry in folder.glob(pattern)])}"


def describe_value(value: Any) -> str:
    """A value's type in words, with what a container holds."""
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of ({', '.join(type(entry).__name__ for entry in value)})"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} with {', '.join(map(repr, list(value)[:MAX_NAMES])) or 'nothing'}"
    return type(value).__name__
