"""Optimisers and their parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.network.name_patterns import match_names
from weaver_tt.options.literals import check_kinds, read_options

# Ranger is RAdam with Lookahead (Zhang et al., arXiv:1907.08610); these defaults are the ones that Weaver's users know. Without degenerated_to_sgd
# the library steps uphill until the variance is rectified (5 steps).
RANGER: dict[str, Any] = {
    "betas": (0.95, 0.999),
    "eps": 1e-5,
    "k": 6,
    "alpha": 0.5,
    "use_gc": False,
    "degenerated_to_sgd": True,
}
# AdamW starts from the numbers of Weaver's, not from torch's, whose weight decay of 0.01 nobody asked for
DEFAULTS: dict[str, dict[str, Any]] = {
    "ranger": RANGER,
    "adamw": {"betas": (0.95, 0.999), "weight_decay": 0.0},
}
NEVER_DECAYED = (
    "pos_embed",
    "cls_token",
    "mask_token",
    "register_token",
)  # last parts of names: learnt inputs, not weights
TASK_PREFIX = "task."  # of the names of a task's own parameters
CLIP = "clip_grad_norm"  # an option of no optimiser: Weaver's spelling of --clip-gradient


def make_optimizer(
    network: nn.Module,
    name: str,
    rate: float,
    options: Sequence[Sequence[str]] = (),
    task_modules: nn.Module | None = None,
) -> torch.optim.Optimizer:
    """The optimiser ``name`` (case does not matter) for the parameters of ``network`` that are not frozen.

    The parameters of a task's own modules are optimised alike, under names that begin with ``task.``.
    ``options``: (key, value) pairs of the command line, values are Python literals. ``weight_decay`` acts on matrices only: not on biases, norms,
    class tokens, and what the network's own ``no_weight_decay()`` names. ``lr_mult "('regex', 0.1)"`` multiplies the learning rate of the parameters
    whose names match from their beginning.
    Raises ConfigError for an unknown name or option, naming the nearest.
    """
    chosen = optimizer_options(name, options)
    chosen.pop(CLIP, None)
    multiplier = chosen.pop("lr_mult", None)
    kind = find_optimizer_class(name)
    known = _option_names(kind)
    settings = DEFAULTS.get(name.casefold(), {}) | fastest_options(known) | chosen
    named = dict(network.named_parameters())
    exempt = set(_exempt_names(network))
    if task_modules is not None:
        for key, parameter in task_modules.named_parameters():
            named[TASK_PREFIX + key] = parameter
        exempt |= {TASK_PREFIX + key for key in _exempt_names(task_modules)}
    decay = settings.get("weight_decay", 0.0)
    groups = parameter_groups(named.items(), rate, decay, multiplier, exempt)
    if not groups:
        raise ConfigError(f"{type(network).__name__} has no parameter to train")
    try:
        optimizer = kind(groups, lr=rate, **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--optimizer {name} with {settings}: {error}") from error
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _exempt_names(module: nn.Module) -> Collection[str]:
    """Names that the module itself exempts from weight decay."""
    return getattr(module, "no_weight_decay", set)()


def optimizer_options(name: str, options: Sequence[Sequence[str]]) -> dict[str, Any]:
    """``--optimizer-option`` as keyword arguments of the optimizer ``name``, and our own two.

    Raises:
        ConfigError: it has no such option, or the value is of another kind.
    """
    chosen = read_options(options)
    kind = find_optimizer_class(name)
    known = [*_option_names(kind), "lr_mult", CLIP]
    for key in chosen:
        if key not in known:
            raise ConfigError(
                f"--optimizer-option {key}: {name} has no such option; {nearest(key, known)}"
            )
    check_kinds(chosen, kind, "--optimizer-option")
    return chosen


def _option_names(kind: Callable[..., torch.optim.Optimizer]) -> list[str]:
    """What may be chosen of an optimizer; its learning rate is a flag of its own."""
    names = inspect.signature(kind).parameters
    return [name for name in names if name not in ("params", "lr", "kwargs")]


def find_optimizer_class(name: str) -> Callable[..., torch.optim.Optimizer]:
    """The class of torch.optim of that name, whatever its case; else that of pytorch_optimizer."""
    found = {
        key.casefold(): value
        for key, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)
    }
    del found["optimizer"], found["lbfgs"]  # the base class; and one that wants a closure
    if name.casefold() in found:
        return found[name.casefold()]
    import pytorch_optimizer  # takes seconds

    more = pytorch_optimizer.get_supported_optimizers()
    if name.casefold() not in more or name.casefold() == "lbfgs":
        raise ConfigError(
            f"--optimizer {name!r}; {nearest(name, ['ranger', *(kind.__name__ for kind in found.values()), *more])}"
        )
    return pytorch_optimizer.load_optimizer(name.casefold())


def fastest_options(known: Iterable[str]) -> dict[str, Any]:
    """The quickest implementation that an optimiser offers: on 16 small matrices on the CPU Adam takes 676 us a step in a loop, 165 us fused."""
    return {"fused": True} if "fused" in known else {"foreach": True} if "foreach" in known else {}


def max_gradient_norm(clip: float | None, options: Sequence[Sequence[str]]) -> float | None:
    """``--clip-gradient``, or Weaver's ``-p clip_grad_norm``; ConfigError where that is no number."""
    value = read_options(options).get(CLIP, clip)
    if value is not None and not _is_number(value):
        raise ConfigError(f"--optimizer-option {CLIP}: expected a number, found {value!r}")
    return value


def compile_step(optimizer: torch.optim.Optimizer, options: dict[str, Any]) -> None:
    """``torch.compile`` the optimiser's step; learning rates become tensors, as for each new number it would be compiled anew."""
    for group in optimizer.param_groups:
        group["lr"] = torch.as_tensor(group["lr"])
    optimizer.step = torch.compile(optimizer.step, **options)  # type: ignore[method-assign, assignment]


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    rate: float,
    decay: float,
    multiplier: Any = None,
    exempt: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Parameters that share weight decay and learning rate, in groups; those named in ``exempt`` have no weight decay."""
    every = dict(named)
    factors = rate_multipliers(every, multiplier)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in every.items():
        if parameter.requires_grad:
            spared = (
                parameter.ndim < 2
                or name.endswith(".bias")
                or name.rpartition(".")[2] in NEVER_DECAYED
                or name in exempt
            )
            groups.setdefault((rate * factors.get(name, 1.0), 0.0 if spared else decay), []).append(
                parameter
            )
    if not decay:
        return [{"params": parameters, "lr": lr} for (lr, _), parameters in groups.items()]
    return [
        {"params": parameters, "lr": lr, "weight_decay": weight_decay}
        for (lr, weight_decay), parameters in groups.items()
    ]


def rate_multipliers(names: Mapping[str, Any], chosen: Any) -> dict[str, float]:
    """Name -> factor of its learning rate, for names that the regular expression of ``chosen``, (regex, factor), matches from their beginning."""
    if chosen is None:
        return {}
    pair = (
        isinstance(chosen, tuple | list)
        and len(chosen) == 2
        and isinstance(chosen[0], str)
        and _is_number(chosen[1])
    )
    if not pair:
        raise ConfigError(f"--optimizer-option lr_mult: {chosen!r}; expected ('regex', factor)")
    return dict.fromkeys(
        match_names([chosen[0]], names, "--optimizer-option lr_mult"), float(chosen[1])
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
