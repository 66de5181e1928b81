"""Networks by path: import a network file, build the network it describes, load weights, call it by input name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import TrainingError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.outputs import Activated, Output
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import NetworkOptions


class Network:
    """A module called by input name. ``module`` may be wrapped (DDP, ``torch.compile``); ``bare`` is the user's module itself."""

    activated = False  # outputs are raw: the task activates them

    def __init__(
        self,
        module: nn.Module,
        input_names: Sequence[str],
        source: str = "the network",
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self.module = module
        self.input_names = list(input_names)
        self.source = source  # the network file, for messages
        self.info = dict(info or {})  # the file's model_info
        self.frozen_norms: list[nn.Module] = []  # parts that stay in evaluation mode

    def __call__(self, inputs: Mapping[str, Tensor]) -> Output:
        """What the module returns, whole, for inputs by group: (N, C, P), or (N, C) for scalars.

        The output is raw: (N, K) or (N, K, P), alone or in a tuple, list or dict.
        """
        return self.module(*[inputs[name] for name in self.input_names])

    @property
    def unwrapped(self) -> nn.Module:
        """The module without the wrappers of DDP and ``torch.compile``: what is saved, loaded and exported."""
        module = self.module
        while True:
            inner = (
                module.module
                if isinstance(module, DistributedDataParallel)
                else getattr(module, "_orig_mod", None)
            )
            if inner is None:
                return module
            module = inner

    @property
    def device(self) -> torch.device:
        """Where the first parameter lies."""
        return next(
            (parameter.device for parameter in self.unwrapped.parameters()), torch.device("cpu")
        )

    def takes_any_length(self, config: DataConfig) -> bool:
        """Whether its inputs may have any number of objects: they may unless ``dynamic_axes`` of model_info lists one without axis 2."""
        axes = self.info.get("dynamic_axes") or {}
        return all(
            config.inputs[name].length is None or 2 in axes.get(name, {2: "P"})
            for name in self.input_names
        )

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

    def activated_output(self, output: Output) -> Tensor:
        """What a module returned -> probabilities, efficiencies, values in one tensor."""


class Ensemble:
    """Networks that differ in their seed, called like one: mean and spread of their activated outputs."""

    activated = True

    def __init__(self, members: Sequence[Network], task: Activation) -> None:
        if not members:
            raise TrainingError("an ensemble needs at least one network")
        self.members = list(members)
        self.task = task

    def __call__(self, inputs: Mapping[str, Tensor]) -> Activated:
        """Mean over members of the activated outputs, and their population standard deviation.

        There is no deviation (None) of a single member.
        """
        outputs = torch.stack(
            [self.task.activated_output(member(inputs)) for member in self.members]
        )  # (E, N, K) or (E, N, K, P)
        spread = outputs.std(0, correction=0) if len(self.members) > 1 else None
        return Activated(outputs.mean(0), spread)

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


def build_network(
    config: DataConfig,
    options: NetworkOptions,
    device: torch.device | str = "cpu",
    seed: int | None = None,
) -> Network:
    """The network of ``options.network_config`` on ``device``, not yet trained.

    With ``seed``, the initial weights are a function of it, and the global random state is left as it was.
    """
    file = NetworkFile(options.network_config)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        module, info = file.get_model(config, read_options(options.network_option))
    return Network(module.to(device), info["input_names"], str(file.path), info)
