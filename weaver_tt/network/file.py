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
from weaver_tt.system.neighbours import EditedFileLoader, Neighbours
from weaver_tt.system.user_code import USER_MODULE, noting_call
from weaver_tt.weaver_compat.import_names import weaver_names

MAX_NAMES = 8  # keys of a dict that a message lists
# module name of a file -> the modules beside it
_NEIGHBOURS: dict[str, Neighbours] = {}
# where Weaver's own loops come from
STOCK_LOOPS = ("weaver.utils.nn.tools", "weaver_tt.weaver_compat.loops")


class NetworkFile:
    """A user's Python file with ``get_model`` and, optionally, ``get_loss`` and ``get_task``.

    Errors inside these functions pass through unchanged; see :mod:`weaver_tt.system.user_code`.
    """

    def __init__(self, path: str | Path) -> None:
        """Import ``path``; ``weaver_tt:NAME`` is an example that comes with the package.

        Raises:
            ConfigError: there is no such Python file.
        """
        self.path = find_example(path, "network_configs", ".py")
        self.module = import_python_file(self.path)

    def get_model(
        self, config: DataConfig, options: Mapping[str, Any]
    ) -> tuple[nn.Module, dict[str, Any]]:
        """What the file's ``get_model(config, **options)`` returns: (module, model_info).

        ``model_info`` names at least the module's inputs, in order.

        Raises:
            ConfigError: the file has no such function, or it has no such option; it returns
                something else, or names an input group that the data YAML does not have.
        """
        if not callable(getattr(self.module, "get_model", None)):
            functions = [name for name, value in vars(self.module).items() if callable(value)]
            raise ConfigError(
                f"{self.path}: no function get_model(data_config, **options); "
                f"{nearest('get_model', functions)}"
            )
        returned = self._call("get_model", config, options, strict=True)
        if not _is_module_and_info(returned):
            raise ConfigError(
                f"{self.path}: get_model must return (module, model_info), a torch module and a "
                f"dict, not {describe_value(returned)}"
            )
        module, file_info = returned
        info = {"input_names": config.input_names, **file_info}
        for name in info["input_names"]:
            if name not in config.inputs:
                raise ConfigError(
                    f"{self.path}: model_info input_names: no input group {name!r} in "
                    f"{config.source}; {nearest(name, config.inputs)}"
                )
        return module, info

    def get_loss(self, config: DataConfig, options: Mapping[str, Any]) -> Any:
        """What the file's ``get_loss(config, **options)`` returns; None without that function."""
        return self._call("get_loss", config, options)

    def get_task(self, config: DataConfig, options: Mapping[str, Any]) -> Any:
        """What the file's ``get_task(config, **options)`` returns; None without that function."""
        return self._call("get_task", config, options)

    def check_loops(self, config: DataConfig, options: Mapping[str, Any], task: str) -> None:
        """Refuse a file with training loops or an optimizer of its own: they would not be used.

        Weaver's stock loops, which ``get_train_fn`` and ``get_evaluate_fn`` may return, only say
        which task it is, by the ends of their names.

        Raises:
            ConfigError: it has such, or the stock loops are not those of ``task``.
        """
        if hasattr(self.module, "init_opt"):
            raise ConfigError(
                f"{self.path}: init_opt is not called here; --optimizer, --optimizer-option and "
                "--lr-scheduler say the same"
            )
        for name in ("get_train_fn", "get_evaluate_fn"):
            loop = self._call(name, config, options)
            if loop is None:
                continue
            loop_name = getattr(loop, "__name__", describe_value(loop))
            if getattr(loop, "__module__", None) not in STOCK_LOOPS:
                raise ConfigError(
                    f"{self.path}: {name} returns a loop of its own, {loop_name}; here there is "
                    "one loop over batches, and a task says what is learnt in it: write "
                    "get_task(data_config, **options) (docs/network-file.md), which also wins "
                    "where both are there"
                )
            # train_classification, evaluate_regression, ...
            if not loop_name.endswith(task):
                raise ConfigError(
                    f"{self.path}: {name} returns {loop_name}, and the labels of {config.source} "
                    f"make the task {task}"
                )

    def _call(
        self, name: str, config: DataConfig, options: Mapping[str, Any], strict: bool = False
    ) -> Any:
        """Call a function of the file with those of ``options`` that it names.

        ``strict``: the other options are an error. None if there is no such function.
        """
        function = getattr(self.module, name, None)
        if function is None:
            return None
        parameters = inspect.signature(function).parameters
        known = list(parameters)[1:]  # the first one is the data config
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            # **options takes all
            known = list(options)
        unknown = [key for key in options if key not in known]
        if unknown and strict:
            raise unknown_key(unknown[0], known, f"{self.path}: options of {name}")
        named = {key: value for key, value in options.items() if key in known}
        check_kinds(named, function, f"{self.path}: network option")
        # the function may import Weaver's modules and what lies beside the file, not only its top
        given = "".join(f", {key}={value!r}" for key, value in named.items())
        beside = neighbours_of(self.module).importable()
        call = noting_call(lambda: f"{self.path}: {name}(data_config{given})")
        with beside, weaver_names(self.path), call:
            return function(config, **named)


def _is_module_and_info(value: Any) -> bool:
    """Whether ``value`` is what ``get_model`` must return."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    module, info = value
    return isinstance(module, nn.Module) and isinstance(info, Mapping)


def import_python_file(path: Path, what: str = "network file") -> ModuleType:
    """The module of a file, imported once for each path and content.

    Modules beside it can be imported by it, and it is imported anew if one of them has changed. Its
    name is made of path and content, so that its classes can be pickled and inspected.

    Raises:
        ConfigError: there is no such Python file; ``what`` says what it should be.
    """
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError(f"{what} {path}: {explain_missing_file(path, '*.py')}")
    content = str(path.resolve()).encode() + path.read_bytes()
    identity = hashlib.sha256(content).hexdigest()[:12]
    name = f"{USER_MODULE}{path.stem}_{identity}"
    while name in sys.modules:
        if not neighbours_of(sys.modules[name]).have_changed:
            return sys.modules[name]
        # objects of the module with the old neighbours may still be there
        name += "_"
    loader = EditedFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{what} {path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # before it runs, as a dataclass in it looks its module up
    sys.modules[name] = module
    _NEIGHBOURS[name] = Neighbours(path.parent, name)
    try:
        with _NEIGHBOURS[name].importable(), weaver_names(path):
            spec.loader.exec_module(module)
    except BaseException:
        # a half-made module must not be found next time
        del sys.modules[name]
        raise
    return module


def neighbours_of(module: ModuleType) -> Neighbours:
    """The modules beside the file of a module that :func:`import_python_file` gave."""
    return _NEIGHBOURS[module.__name__]


def explain_missing_file(path: Path, pattern: str) -> str:
    """What is wrong with a path that should be a file, and the nearest files beside it.

    If its folder does not exist either, those of the closest folder that does.
    """
    if path.is_dir():
        return f"a folder; {_nearest_file(path.name, path, pattern)}"
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    problem = "no such file"
    if path.is_file():
        problem = f"not a {pattern[1:]} file"
    return f"{problem}; in {folder}: {_nearest_file(path.name, folder, pattern)}"


def _nearest_file(name: str, folder: Path, pattern: str) -> str:
    return nearest(name, [entry.name for entry in folder.glob(pattern)])


def describe_value(value: Any) -> str:
    """A value's type in words, with what a container holds."""
    kind = type(value).__name__
    if isinstance(value, tuple | list):
        kinds = ", ".join(type(entry).__name__ for entry in value)
        return f"{kind} of ({kinds})"
    if isinstance(value, Mapping):
        names = ", ".join(repr(name) for name in list(value)[:MAX_NAMES])
        return f"{kind} with {names or 'nothing'}"
    return kind
