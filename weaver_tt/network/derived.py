"""What leaves a network: the mean over members, what is derived of it, and the spread of both.

The same lines make the output of an ensemble in torch and that of an exported graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from weaver_tt.config.corrected_output import CorrectedOutput
from weaver_tt.config.schema import DERIVED_INPUTS, DataConfig
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.tensor_form import compute_on_tensors
from weaver_tt.network.jet_correction import corrected_on_tensors
from weaver_tt.network.outputs import Activated


def raw_columns(config: DataConfig, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The columns of the group ``derived_inputs`` by name, (N,) each; none without that group."""
    group = config.derived_inputs
    if group is None:
        return {}
    return dict(zip(group.names, inputs[DERIVED_INPUTS].unbind(1), strict=True))


class DerivedOutputs:
    """The ``derived_outputs`` of a data YAML, for a network whose K values are called ``values``.

    ``names`` are those of the D derived outputs.
    """

    def __init__(self, config: DataConfig, values: Sequence[str]) -> None:
        """``values``: the names of the K outputs.

        Raises:
            ConfigError: an expression names an output that there is not, or a derived output has
                the name of one.
        """
        self.names = list(config.derived_outputs)
        self._expressions = config.derived_outputs
        self._values = list(values)
        known = list(values)
        for name, columns in config.derived_columns.items():
            where = f"{config.source}: derived_outputs.{name}"
            if name in values:
                raise ConfigError(f"{where}: {name!r} is an output already; choose another name")
            for read in sorted(self._expressions[name].names):
                if read not in columns and read not in known:
                    raise ConfigError(f"{where}: no output {read!r}; {nearest(read, known)}")
            known.append(name)

    def __call__(self, values: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Values (N, K) and the raw columns (N,) by name -> what is derived (N, D).

        Raises:
            ConfigError: the values are those of objects.
        """
        if values.dim() != 2:
            raise ConfigError(
                f"derived_outputs ({', '.join(self.names)}) are made of outputs with one value a "
                f"row; the network gives {tuple(values.shape)}"
            )
        # a name that is an output and a column is the output
        known = {**columns, **dict(zip(self._values, values.unbind(1), strict=True))}
        for name, expression in self._expressions.items():
            if isinstance(expression, CorrectedOutput):
                found = corrected_on_tensors(expression, known)
            else:
                found = compute_on_tensors(expression, known)
            if not isinstance(found, Tensor) or found.dim() == 0:
                # the same number for all rows
                found = torch.zeros_like(values[:, 0]) + found
            known[name] = found
        return torch.stack([known[name] for name in self.names], dim=1)


def combine_members(
    of_members: Sequence[Tensor], derived: DerivedOutputs | None, columns: Mapping[str, Tensor]
) -> Activated:
    """Mean and spread over E members of their activated outputs, (N, K) or (N, K, P), or (N,).

    What is ``derived`` is computed from the mean; its spread is that of what each member alone
    would give. ``columns`` are the raw columns that it needs. One member has no spread.
    """
    outputs = torch.stack(tuple(of_members))  # (E, N, K) or (E, N, K, P)
    mean = outputs.mean(0)
    several = len(of_members) > 1
    spread = population_spread(outputs, mean) if several else None
    if derived is None:
        return Activated(mean, spread)
    of_mean = derived(as_columns(mean), columns)  # (N, D)
    if not several:
        return Activated(mean, spread, of_mean)
    own = torch.stack([derived(as_columns(output), columns) for output in of_members])  # (E, N, D)
    return Activated(mean, spread, of_mean, population_spread(own, own.mean(0)))


def as_columns(values: Tensor) -> Tensor:
    """(N,) -> (N, 1), all else as it is."""
    return values.unsqueeze(1) if values.dim() == 1 else values


def population_spread(outputs: Tensor, mean: Tensor) -> Tensor:
    """The standard deviation over members, (E, ...) -> (...), of the population."""
    if torch.onnx.is_in_onnx_export():
        return (outputs - mean).square().mean(0).sqrt()
    return outputs.std(0, correction=0)
