"""The network of a network file, and an ensemble of several: called by input name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import TrainingError
from weaver_tt.network.derived import DerivedOutputs, combine_members
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.normalisation import attach_normalisation
from weaver_tt.network.outputs import Activated, Output, shape_text
from weaver_tt.nn.objects.sharing import sharing
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import NetworkOptions
from weaver_tt.system.user_code import noting_call


class Network:
    """A module called by input name.

    ``module`` may be wrapped (DDP, ``torch.compile``); ``unwrapped`` is the user's module itself.
    """

    activated = False  # outputs are raw: the task activates them

    def __init__(
        self,
        module: nn.Module,
        input_names: Sequence[str],
        source: str = "the network",
        info: Mapping[str, Any] | None = None,
    ) -> None:
        """``source``: the network file, for messages; ``info``: its model_info."""
        self.module = module
        self.input_names = list(input_names)
        self.source = source
        self.info = dict(info or {})
        self.frozen_norms: list[nn.Module] = []  # parts that stay in evaluation mode

    def __call__(self, inputs: Mapping[str, Tensor]) -> Output:
        """What the module returns, whole, for inputs by group: (N, C, P), or (N, C) for scalars.

        The output is raw: (N, K) or (N, K, P), alone or in a tuple, list or dict.
        """
        taken = [inputs[name] for name in self.input_names]
        with noting_call(lambda: self._describe_call(taken)):
            return self.module(*taken)

    def _describe_call(self, taken: Sequence[Tensor]) -> str:
        """For messages: ``net.py, called with jets (N, 5, 12), N = 64``."""
        shapes = []
        for name, tensor in zip(self.input_names, taken, strict=True):
            shapes.append(f"{name} {shape_text(tensor.shape)}")
        rows = taken[0].shape[0] if taken else 0
        return f"{self.source}, called with {', '.join(shapes)}, N = {rows},"

    @property
    def unwrapped(self) -> nn.Module:
        """The module without the wrappers of DDP and ``torch.compile``.

        This is what is saved, loaded and exported.
        """
        module = self.module
        # one may wrap the other
        while True:
            if isinstance(module, DistributedDataParallel):
                inner = module.module
            else:
                inner = getattr(module, "_orig_mod", None)  # of torch.compile
            if inner is None:
                return module
            module = inner

    @property
    def device(self) -> torch.device:
        """Where the first parameter is; a network without parameters is on the CPU."""
        first = next(self.unwrapped.parameters(), None)
        if first is None:
            return torch.device("cpu")
        return first.device

    def takes_any_length(self, config: DataConfig) -> bool:
        """Whether its inputs may have any number of objects.

        They may, unless ``dynamic_axes`` of model_info lists one of them without axis 2.
        """
        axes = self.info.get("dynamic_axes") or {}
        for name in self.input_names:
            has_objects = config.inputs[name].length is not None
            # what the file does not list is free
            if has_objects and name in axes and 2 not in axes[name]:
                return False
        return True

    def train(self, mode: bool = True) -> Network:
        """Training mode (or evaluation mode)."""
        self.module.train(mode)
        # their running statistics would move in training mode
        for part in self.frozen_norms:
            part.eval()
        return self

    def eval(self) -> Network:
        """Evaluation mode."""
        return self.train(False)


class Activation(Protocol):
    """What an ensemble needs of a task."""

    @property
    def derived(self) -> DerivedOutputs | None:
        """What is computed from the values of a network; None for nothing."""

    def raw_columns(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The raw columns (N,) of a batch's inputs that leave with the values."""

    def activated_output(self, output: Output) -> Tensor:
        """What a module returned -> probabilities, efficiencies, values in one tensor."""

    def in_units(self, values: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """These values in the units of the data, where raw columns are needed for that."""


class Ensemble:
    """Networks that differ in their seed, called like one.

    The output is the mean and the spread of their activated outputs.
    """

    activated = True

    def __init__(self, members: Sequence[Network], task: Activation) -> None:
        if not members:
            raise TrainingError("an ensemble needs at least one network")
        self.members = list(members)
        self.task = task
        self.derived = task.derived

    def __call__(self, inputs: Mapping[str, Tensor]) -> Activated:
        """Mean over members of the activated outputs, and their population standard deviation.

        There is no deviation (None) of a single member. The same of derived outputs.
        """
        # probabilities are averaged, not logits
        columns = self.task.raw_columns(inputs)
        with sharing(len(self.members) > 1):
            activated = [self.task.activated_output(member(inputs)) for member in self.members]
        of_members = [self.task.in_units(values, columns) for values in activated]
        return combine_members(of_members, self.derived, columns)

    @property
    def has_spread(self) -> bool:
        """Whether there are several members, between which there is a spread."""
        return len(self.members) > 1

    def single_row_seconds(self, inputs: Mapping[str, Tensor]) -> None:
        """Nothing: what takes one row at a time runs exported networks."""

    @property
    def input_names(self) -> list[str]:
        """The input groups that the members take."""
        return self.members[0].input_names

    @property
    def device(self) -> torch.device:
        """Where the members are."""
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

    With ``seed``, the initial weights are a function of it, and the global random state is left as
    it was.
    """
    file = NetworkFile(options.network_config)
    # on the CPU, whatever the device: the weights of a seed are the same everywhere
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        module, info = file.get_model(config, read_options(options.network_option))
    if config.density_ratio is not None:
        attach_normalisation(module)
    return Network(module.to(device), info["input_names"], str(file.path), info)
