"""Optimisers and their parameter groups."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from weaver_tt.errors import ConfigError, nearest

# Ranger is RAdam with Lookahead (Zhang et al., arXiv:1907.08610); these defaults are the ones that Weaver's users know. Without degenerated_to_sgd
# the library steps uphill until the variance is rectified (5 steps).
RANGER: dict[str, Any] = {"betas": (0.95, 0.999), "eps": 1e-5, "k": 6, "alpha": 0.5, "use_gc": False, "degenerated_to_sgd": True}


def make_optimizer(network: nn.Module, name: str, rate: float, options: Sequence[Sequence[str]] = ()) -> torch.optim.Optimizer:
    """The optimiser ``name`` (case does not matter) for the parameters of ``network`` that are not frozen.

    ``options``: (key, value) pairs of the command line, values are Python literals. ``weight_decay`` acts on matrices only, not on biases and norms;
    ``lr_mult "('regex', 0.1)"`` multiplies the learning rate of the parameters whose names match.
    Raises ConfigError for an unknown name or option, naming the nearest.
    """
    chosen = {key: literal(value) for key, value in options}
    kind = find_class(name)
    multiplier = chosen.pop("lr_mult", None)
    known = [key for key in inspect.signature(kind).parameters if key not in ("params", "lr", "kwargs")]
    for key in chosen:
        if key not in known:
            raise ConfigError(f"--optimizer-option {key}: {name} has no such option; {nearest(key, [*known, 'lr_mult'])}")
    settings = (RANGER if name.casefold() == "ranger" else {}) | fast(known) | chosen
    groups = parameter_groups(network.named_parameters(), rate, settings.get("weight_decay", 0.0), multiplier)
    if not groups:
        raise ConfigError(f"{type(network).__name__} has no parameter to train")
    try:
        optimizer = kind(groups, lr=rate, **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--optimizer {name} with {settings}: {error}") from error
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def find_class(name: str) -> Callable[..., torch.optim.Optimizer]:
    """Ranger from pytorch_optimizer, anything else from torch.optim."""
    if name.casefold() == "ranger":
        from pytorch_optimizer import Ranger  # takes seconds to import

        return Ranger
    known = {key.casefold(): key for key, value in vars(torch.optim).items() if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)}
    del known["optimizer"], known["lbfgs"]  # the base class; and one that wants a closure
    if name.casefold() not in known:
        raise ConfigError(f"--optimizer {name!r}; {nearest(name, ['ranger', *known.values()])}")
    return getattr(torch.optim, known[name.casefold()])


def fast(known: Iterable[str]) -> dict[str, Any]:
    """The quickest implementation that an optimiser offers: on 16 small matrices on the CPU Adam takes 676 us a step in a loop, 165 us fused."""
    return {"fused": True} if "fused" in known else {"foreach": True} if "foreach" in known else {}


def parameter_groups(named: Iterable[tuple[str, nn.Parameter]], rate: float, decay: float, multiplier: Any = None) -> list[dict[str, Any]]:
    """Parameters that share weight decay and learning rate, in groups."""
    if multiplier is not None and not (isinstance(multiplier, tuple) and len(multiplier) == 2 and isinstance(multiplier[0], str)):
        raise ConfigError(f"--optimizer-option lr_mult: {multiplier!r}; expected ('regex', factor)")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            factor = multiplier[1] if multiplier is not None and re.search(multiplier[0], name) else 1.0
            groups.setdefault((rate * factor, decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    if not decay:
        return [{"params": parameters, "lr": lr} for (lr, _), parameters in groups.items()]
    return [{"params": parameters, "lr": lr, "weight_decay": weight_decay} for (lr, weight_decay), parameters in groups.items()]


def literal(text: str) -> Any:
    """A command line value as Python reads it; what is no literal stays text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
