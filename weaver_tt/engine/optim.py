"""Optimizers and their parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.network.name_patterns import match_names
from weaver_tt.options.literals import check_kinds, read_options

# Ranger is RAdam with Lookahead (arXiv:1907.08610), with the defaults that users of Weaver know.
# Without degenerated_to_sgd the library steps uphill until the variance is rectified (5 steps).
RANGER: dict[str, Any] = {
    "betas": (0.95, 0.999),
    "eps": 1e-5,
    "k": 6,
    "alpha": 0.5,
    "use_gc": False,
    "degenerated_to_sgd": True,
}
# AdamW starts from Weaver's numbers, not from torch's, whose weight decay of 0.01 nobody asked for
DEFAULTS: dict[str, dict[str, Any]] = {
    "ranger": RANGER,
    "adamw": {"betas": (0.95, 0.999), "weight_decay": 0.0},
}
# last parts of the names of parameters that are learnt inputs, not weights
NEVER_DECAYED = ("pos_embed", "cls_token", "mask_token", "register_token")
TASK_PREFIX = "task."  # of the names of a task's own parameters
CLIP = "clip_grad_norm"  # an option of no optimizer: Weaver's spelling of --clip-gradient
LR_MULT = "lr_mult"  # another one: learning rates of parameters by name


def make_optimizer(
    network: nn.Module,
    name: str,
    rate: float,
    options: Sequence[Sequence[str]] = (),
    task_modules: nn.Module | None = None,
    task_rate: float | None = None,
) -> torch.optim.Optimizer:
    """The optimizer ``name`` (in any case) for all parameters that are not frozen.

    ``options`` are (key, value) pairs of the command line. ``weight_decay`` acts on matrices only:
    not on biases, norms and class tokens, nor on what a module's own ``no_weight_decay()`` names.
    ``lr_mult "('regex', 0.1)"`` multiplies the learning rate of the parameters whose names match
    from their beginning. The parameters of a task's own modules are optimized in the same way, with
    the learning rate ``task_rate`` if that is not None; their names begin with ``task.``.

    Raises:
        ConfigError: an unknown name or option, with the nearest; nothing is to be trained, or two
            parameters have the same name.
    """
    chosen = optimizer_options(name, options)
    # these two are not the optimizer's own
    chosen.pop(CLIP, None)
    multiplier = chosen.pop(LR_MULT, None)
    kind = find_optimizer_class(name)
    defaults = DEFAULTS.get(name.casefold(), {})
    settings = defaults | fastest_options(_option_names(kind)) | chosen
    named = dict(network.named_parameters())
    exempt = set(_exempt_names(network))
    if task_modules is not None:
        for key, parameter in task_modules.named_parameters():
            # of two parameters with one name, one would never be trained
            if TASK_PREFIX + key in named:
                raise ConfigError(
                    f"the network and the task's modules both have a parameter {TASK_PREFIX}{key}; "
                    f"rename {TASK_PREFIX[:-1]!r} in the network"
                )
            named[TASK_PREFIX + key] = parameter
        exempt |= {TASK_PREFIX + key for key in _exempt_names(task_modules)}
    decay = settings.get("weight_decay", 0.0)
    groups = parameter_groups(named.items(), rate, decay, multiplier, exempt, task_rate)
    if not groups:
        raise ConfigError(f"{type(network).__name__} has no parameter to train")
    try:
        optimizer = kind(groups, lr=rate, **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--optimizer {name} with {settings}: {error}") from error
    for group in optimizer.param_groups:
        # what the schedule's factor multiplies; "lr" itself changes with every step
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
    known = [*_option_names(kind), LR_MULT, CLIP]
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
    """The class of torch.optim of that name, in any case; else that of pytorch_optimizer.

    Raises:
        ConfigError: neither has one, with the nearest name.
    """
    wanted = name.casefold()
    of_torch = {}
    for key, value in vars(torch.optim).items():
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer):
            of_torch[key.casefold()] = value
    # the base class, and one that needs a closure
    del of_torch["optimizer"], of_torch["lbfgs"]
    if wanted in of_torch:
        return of_torch[wanted]
    # takes seconds to import: only for an optimizer that torch does not have
    import pytorch_optimizer

    others = pytorch_optimizer.get_supported_optimizers()
    if wanted not in others or wanted == "lbfgs":
        names = ["ranger", *of_torch, *others]
        raise ConfigError(f"--optimizer {name!r}; {nearest(name, names)}")
    return pytorch_optimizer.load_optimizer(wanted)


def fastest_options(known: Iterable[str]) -> dict[str, Any]:
    """The option of the quickest implementation that an optimizer has, of those it knows.

    On 16 small matrices on the CPU Adam takes 676 us a step in a loop, 165 us fused.
    """
    for option in ("fused", "foreach"):
        if option in known:
            return {option: True}
    return {}


def max_gradient_norm(clip: float | None, options: Sequence[Sequence[str]]) -> float | None:
    """``--clip-gradient``, or Weaver's ``-p clip_grad_norm``.

    Raises:
        ConfigError: that is not a number.
    """
    value = read_options(options).get(CLIP, clip)
    if value is not None and not _is_number(value):
        raise ConfigError(f"--optimizer-option {CLIP}: expected a number, found {value!r}")
    return value


def compile_step(optimizer: torch.optim.Optimizer, options: dict[str, Any]) -> None:
    """``torch.compile`` the optimizer's step."""
    for group in optimizer.param_groups:
        # a number would be compiled into the step, and each new one would compile it again
        group["lr"] = torch.as_tensor(group["lr"])
    compiled = torch.compile(optimizer.step, **options)
    optimizer.step = compiled  # type: ignore[method-assign, assignment]


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    rate: float,
    decay: float,
    multiplier: Any = None,
    exempt: Collection[str] = (),
    task_rate: float | None = None,
) -> list[dict[str, Any]]:
    """Parameters that share weight decay and learning rate, in groups.

    Parameters named in ``exempt`` have no weight decay, nor have those that are no matrices. Those
    of a task have the learning rate ``task_rate``; None for that of the network.
    """
    parameters = dict(named)
    factors = rate_multipliers(parameters, multiplier)
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            continue
        own_rate = rate
        if task_rate is not None and name.startswith(TASK_PREFIX):
            own_rate = task_rate
        own_rate *= factors.get(name, 1.0)
        own_decay = decay if _decays(name, parameter, exempt) else 0.0
        members.setdefault((own_rate, own_decay), []).append(parameter)
    groups = []
    for (own_rate, own_decay), group_parameters in members.items():
        group: dict[str, Any] = {"params": group_parameters, "lr": own_rate}
        if decay:
            # not every optimizer has one
            group["weight_decay"] = own_decay
        groups.append(group)
    return groups


def _decays(name: str, parameter: nn.Parameter, exempt: Collection[str]) -> bool:
    """Whether weight decay acts on this parameter."""
    if name in exempt or parameter.ndim < 2:
        return False
    last = name.rpartition(".")[2]
    # a bias of pairs of objects has several dimensions
    return last not in NEVER_DECAYED and not name.endswith(".bias")


def rate_multipliers(names: Mapping[str, Any], chosen: Any) -> dict[str, float]:
    """Name -> factor of its learning rate, of the names that ``lr_mult`` matches.

    ``chosen`` is (regular expression, factor); it matches names from their beginning.

    Raises:
        ConfigError: it is something else, or matches nothing.
    """
    if chosen is None:
        return {}
    is_pair = isinstance(chosen, tuple | list) and len(chosen) == 2
    if not (is_pair and isinstance(chosen[0], str) and _is_number(chosen[1])):
        raise ConfigError(f"--optimizer-option {LR_MULT}: {chosen!r}; expected ('regex', factor)")
    pattern, factor = chosen
    matched = match_names([pattern], names, f"--optimizer-option {LR_MULT}")
    return dict.fromkeys(matched, float(factor))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
