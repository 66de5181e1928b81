"""Networks by path: import a network file, build the network it describes, load weights, call it by input name."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError, TrainingError, nearest, unknown_key
from weaver_tt.options import NetworkOptions
from weaver_tt.weaver_names import weaver_names

MAX_NAMES = 8  # told of a dict's
STOCK_LOOPS = ("weaver.utils.nn.tools", "weaver_tt.stand_ins.loops")  # where Weaver's own loops come from


class NetworkFile:
    """A user's python file with ``get_model`` and, optionally, ``get_loss`` and ``get_task``; errors inside these pass through unchanged."""

    def __init__(self, path: str | Path) -> None:
        """Import ``path``; ConfigError when there is no such python file."""
        self.path = Path(path)
        self.module = import_python_file(self.path)

    def get_model(self, config: DataConfig, options: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
        """(module, model_info) of the file's ``get_model(config, **options)``; model_info names at least the module's inputs, in order."""
        if not callable(getattr(self.module, "get_model", None)):
            names = (name for name, value in vars(self.module).items() if callable(value))
            raise ConfigError(f"{self.path}: no function get_model(data_config, **options); {nearest('get_model', names)}")
        made = self._call("get_model", config, options, strict=True)
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module) and isinstance(made[1], Mapping)):
            raise ConfigError(f"{self.path}: get_model must return (module, model_info), a torch module and a dict, not {describe_value(made)}")
        module, info = made[0], {"input_names": config.input_names, **made[1]}
        for name in info["input_names"]:
            if name not in config.inputs:
                raise ConfigError(f"{self.path}: model_info input_names: no input group {name!r} in {config.source}; {nearest(name, config.inputs)}")
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
            raise ConfigError(f"{self.path}: init_opt is not called here; --optimizer, --optimizer-option and --lr-scheduler say the same")
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
                raise ConfigError(f"{self.path}: {name} returns {called}, and the labels of {config.source} make the task {task}")

    def _call(self, name: str, config: DataConfig, options: Mapping[str, Any], strict: bool = False) -> Any:
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
        with weaver_names(self.path):
            return function(config, **{key: value for key, value in options.items() if key in known})


class Network:
    """A module called by input name. ``module`` may be wrapped (DDP, ``torch.compile``); ``bare`` is the user's module itself."""

    activated = False  # outputs are raw: the task activates them

    def __init__(self, module: nn.Module, input_names: Sequence[str], source: str = "the network", info: Mapping[str, Any] | None = None) -> None:
        self.module = module
        self.input_names = list(input_names)
        self.source = source  # the network file, for messages
        self.info = dict(info or {})  # the file's model_info
        self.frozen_norms: list[nn.Module] = []  # parts that stay in evaluation mode

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Group -> (N, C, P) or (N, C), to raw outputs (N, K) or (N, K, P); of a module that returns a tuple, its first entry."""
        output = self.module(*[inputs[name] for name in self.input_names])
        return output[0] if isinstance(output, tuple | list) else output

    @property
    def unwrapped(self) -> nn.Module:
        """The module without the wrappers of DDP and ``torch.compile``: what is saved, loaded and exported."""
        module = self.module
        while True:
            inner = module.module if isinstance(module, DistributedDataParallel) else getattr(module, "_orig_mod", None)
            if inner is None:
                return module
            module = inner

    @property
    def device(self) -> torch.device:
        """Where the first parameter lies."""
        return next((parameter.device for parameter in self.unwrapped.parameters()), torch.device("cpu"))

    def takes_any_length(self, config: DataConfig) -> bool:
        """Whether its inputs may have any number of objects: they may unless ``dynamic_axes`` of model_info lists one without axis 2."""
        axes = self.info.get("dynamic_axes") or {}
        return all(config.inputs[name].length is None or 2 in axes.get(name, {2: "P"}) for name in self.input_names)

    def train(self, mode: bool = True) -> Network:
        """Training mode (or evaluation mode)."""
        self.module.train(mode)
        for part in self.frozen_norms:
            part.eval()
        return self

    def eval(self) -> Network:
        """Evaluation mode."""
        return self.train(False)


class Activation(Protocol):
    """What an ensemble needs of a task."""

    def activate(self, output: Tensor) -> Tensor:
        """Raw network output -> probabilities, efficiencies, values."""


class Ensemble:
    """Networks that differ in their seed, called like one: mean and spread of their activated outputs."""

    activated = True

    def __init__(self, members: Sequence[Network], task: Activation) -> None:
        if not members:
            raise TrainingError("an ensemble needs at least one network")
        self.members = list(members)
        self.task = task

    def __call__(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Mean over members of the activated outputs, and their population standard deviation (None for one member)."""
        outputs = torch.stack([self.task.activate(member(inputs)) for member in self.members])
        return outputs.mean(0), outputs.std(0, correction=0) if len(self.members) > 1 else None

    @property
    def input_names(self) -> list[str]:
        """Input groups the members take."""
        return self.members[0].input_names

    @property
    def device(self) -> torch.device:
        """Where the members lie."""
        return self.members[0].device

    def train(self, mode: bool = True) -> Ensemble:
        """Training mode (or evaluation mode) for all members."""
        for member in self.members:
            member.train(mode)
        return self

    def eval(self) -> Ensemble:
        """Evaluation mode for all members."""
        return self.train(False)


def network_options(pairs: Iterable[Sequence[str]]) -> dict[str, Any]:
    """``-o key value`` pairs -> keyword arguments of ``get_model``: values that are Python literals become them, others stay strings."""
    words = {"true": True, "false": False, "none": None}

    def literal(text: str) -> Any:
        if text.lower() in words:
            return words[text.lower()]
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    return {key: literal(value) for key, value in pairs}


def build_network(config: DataConfig, options: NetworkOptions, device: torch.device | str = "cpu", seed: int | None = None) -> Network:
    """The network of ``options.network_config`` on ``device``, not yet trained.

    With ``seed``, the initial weights are a function of it, and the global random state is left as it was.
    """
    file = NetworkFile(options.network_config)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        module, info = file.get_model(config, network_options(options.network_option))
    return Network(module.to(device), info["input_names"], str(file.path), info)


def network_summary(network: Network, config: DataConfig) -> str:
    """The module, its parameters, and the FLOPs of one forward pass of a full row, from the data YAML alone."""
    module = network.unwrapped
    random = torch.Generator().manual_seed(0)
    # uniform positive numbers: every slot is a real object, also for networks that derive the mask
    shapes = {name: (1, *config.input_shapes[name][1:]) for name in network.input_names}
    row = {name: torch.rand(shape, generator=random).to(network.device) for name, shape in shapes.items()}
    was_training, counter = module.training, FlopCounterMode(display=False)
    module.eval()
    with torch.enable_grad(), counter:  # without gradients the counter refuses a part that is called with a parameter, such as a class token
        output = Network(module, network.input_names)(row)
    module.train(was_training)
    total = sum(parameter.numel() for parameter in module.parameters())
    trainable = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    objects = [f"{shape[2]} objects in {name}" for name, shape in shapes.items() if len(shape) == 3]
    lines = [str(module), f"network file  {network.source}"]
    lines += [f"input         {name} (N, {', '.join(map(str, shape[1:]))})" for name, shape in shapes.items()]
    lines += [f"output        (N, {', '.join(map(str, output.shape[1:]))})", f"parameters    {total:,} ({trainable:,} trainable)"]
    lines += [f"FLOPs         {counter.get_total_flops():,} forward, for one row{' with ' if objects else ''}{' and '.join(objects)}"]
    return "\n".join(lines)


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
