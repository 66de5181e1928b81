"""Weights from files into networks: all of a trained network's, those of a published one that fit, and those that are to stay as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from weaver_tt.errors import ConfigError, TrainingError, nearest
from weaver_tt.log import log
from weaver_tt.network.file import describe_value, explain_missing_file
from weaver_tt.network.name_patterns import match_names
from weaver_tt.network.network import Network
from weaver_tt.nn.layers.attention import current_name
from weaver_tt.options.train import NetworkOptions

MAX_KEYS = 8  # listed of each kind when weights do not fit
CONTAINERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "weights",
)  # keys under which a checkpoint keeps the weights among other things
WRAPPERS = ("module.", "_orig_mod.")  # what DDP and torch.compile put before every name


def load_weights(network: Network, path: str | Path) -> None:
    """Put the weights of ``path`` (``FILE`` or ``FILE:PREFIX``) into ``network``; TrainingError when missing, damaged, or of another network."""
    module = network.unwrapped
    set_weights(
        module,
        read_state_dict(path, module.state_dict()),
        f"{path}: weights of another network than {network.source}",
    )


def set_weights(module: nn.Module, state: Mapping[str, Tensor], problem: str) -> None:
    """Copy ``state`` into ``module``; TrainingError that begins with ``problem`` and lists keys missing, unexpected, or of another shape."""
    differences = _differences(module.state_dict(), state)
    if differences:
        raise TrainingError("\n  ".join([problem, *differences]))
    module.load_state_dict(state)


def prepare_network(network: Network, options: NetworkOptions) -> None:
    """What a network starts from: weights that are given, and those of its own that are to stay as they are."""
    if options.load_model_weights:
        load_partial_weights(network, options.load_model_weights, options.exclude_model_weights)
    elif options.exclude_model_weights:
        raise ConfigError(
            "--exclude-model-weights: there is no --load-model-weights to exclude them from"
        )
    if options.freeze_model_weights:
        freeze_weights(network, options.freeze_model_weights)


def load_partial_weights(network: Network, path: str, exclude: str | None = None) -> None:
    """``--load-model-weights``: put into ``network`` what of ``path`` (``FILE`` or ``FILE:PREFIX``) fits; the log lists what does not.

    ``exclude``: regular expressions, separated by commas; names that one of them matches from their beginning are left out. So are names that the
    network does not have, and weights of another shape (a head for other classes). TrainingError when nothing fits: weights of another network.
    """
    own = network.unwrapped.state_dict()
    state = read_state_dict(path, own)
    left_out = match_names(exclude.split(",") if exclude else (), state, "--exclude-model-weights")
    given = {name: value for name, value in state.items() if name not in left_out}
    fits = {
        name: value
        for name, value in given.items()
        if name in own and value.shape == own[name].shape
    }
    lists = {"left out by --exclude-model-weights": sorted(left_out)} | _difference_lists(
        own, given
    )
    if not fits:
        raise TrainingError(
            "\n  ".join(
                [
                    f"{path}: none of its weights fits {network.source}",
                    *_difference_lines(lists, MAX_KEYS),
                    *_prefix_hint(own, given),
                ]
            )
        )
    network.unwrapped.load_state_dict(fits, strict=False)
    text = "\n  ".join(
        [
            f"{path}: {len(fits)} of {len(state)} weights loaded into the network's {len(own)}",
            *_difference_lines(lists),
        ]
    )
    (log.warning if any(lists.values()) else log.info)("%s", text)


def freeze_weights(network: Network, patterns: str) -> None:
    """``--freeze-model-weights``: keep what the regular expressions ``patterns`` (separated by commas) match as it is.

    Parameters get no gradient. A batch norm whose running mean is matched stays in evaluation mode, so that its statistics do not move either.
    ConfigError when an expression matches nothing.
    """
    module = network.unwrapped
    frozen = match_names(patterns.split(","), module.state_dict(), "--freeze-model-weights")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name not in frozen)
    norms = {
        name: norm
        for name, norm in module.named_modules()
        if f"{name}.running_mean".lstrip(".") in frozen
    }
    network.frozen_norms += norms.values()
    log.info(
        "frozen: %s; in evaluation mode: %s",
        ", ".join(sorted(frozen)),
        ", ".join(norms) or "nothing",
    )


def read_state_dict(path: str | Path, own: Collection[str] = ()) -> Mapping[str, Tensor]:
    """Names and tensors of ``FILE`` or, of ``FILE.pt:PREFIX``, those under ``PREFIX.`` without it; tensors on the CPU.

    A bare state_dict, or a checkpoint that has one under "state_dict", "model" or "weights"; what DDP and ``torch.compile`` put before the names is
    taken off, unless the network's ``own`` names begin so. Nothing in the file is run. TrainingError when there is no such file, or it holds
    something else.
    """
    file, _, prefix = str(path).partition(".pt:")
    state = _strip_wrappers(_read_file(Path(f"{file}.pt" if prefix else path)), own)
    if not prefix:
        return _with_current_names(state, own)
    inside = {
        name.removeprefix(f"{prefix}."): value
        for name, value in state.items()
        if name.startswith(f"{prefix}.")
    }
    if not inside:
        raise TrainingError(
            f"{file}.pt: no weights under {prefix!r}; {nearest(prefix, _prefixes(state))}"
        )
    return _with_current_names(inside, own)


def _read_file(path: Path) -> Mapping[str, Tensor]:
    """The state_dict in a file."""
    if not path.is_file():
        raise TrainingError(f"weights {path}: {explain_missing_file(path, '*.pt')}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever the bytes lead to
        raise TrainingError(f"{path}: {_explain_unreadable(error)}") from error
    if isinstance(state, Mapping) and "param_groups" in state:
        raise TrainingError(
            f"{path}: the state of an optimiser; the weights are in {str(path).replace('_optimizer', '_state')} as a rule"
        )
    if isinstance(state, Mapping):
        state = next(
            (state[key] for key in CONTAINERS if isinstance(state.get(key), Mapping)), state
        )
    if not isinstance(state, Mapping) or not all(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise TrainingError(
            f"{path}: expected a state_dict, names and tensors, not {describe_value(state)}"
        )
    return state


def _explain_unreadable(error: Exception) -> str:
    """Why a file was refused, and what makes a readable one."""
    refused = re.search(r"GLOBAL (\S+) was not an allowed global", str(error))
    if refused is None:
        reason, *_ = str(error).splitlines() or [type(error).__name__]
        return f"no readable weights (damaged or cut short): {reason}"
    return (
        f"no readable weights: holding more than tensors ({refused[1]}), it could run any code when loaded. Where a whole module was saved, load it "
        "where it was written and save the weights alone: torch.save(model.state_dict(), PATH)"
    )


def _strip_wrappers(state: Mapping[str, Tensor], own: Collection[str]) -> Mapping[str, Tensor]:
    """The names without what wrappers put before each of them; a network may have a part of that name itself."""
    for wrapper in WRAPPERS:
        if (
            state
            and all(name.startswith(wrapper) for name in state)
            and not any(name in own for name in state)
        ):
            return _strip_wrappers(
                {name.removeprefix(wrapper): value for name, value in state.items()}, own
            )
    return state


def _with_current_names(state: Mapping[str, Tensor], own: Collection[str]) -> Mapping[str, Tensor]:
    """The names with ``in_proj_weight``, as published Particle Transformers have it, as ``in_proj.weight`` where the network says so."""
    return {
        current_name(name) if current_name(name) in own else name: value
        for name, value in state.items()
    }


def _prefixes(names: Iterable[str]) -> set[str]:
    """All that ends before a dot of some name."""
    parts = [name.split(".") for name in names]
    return {".".join(part[:length]) for part in parts for length in range(1, len(part))}


def _differences(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[str]:
    """Lines that say which keys are missing, unexpected, or of another shape; none when ``theirs`` fits."""
    return _difference_lines(_difference_lists(ours, theirs), MAX_KEYS)


def _difference_lists(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> dict[str, list[str]]:
    """Kind of difference -> the keys that differ so."""
    missing = [key for key in ours if key not in theirs]
    close = {key: get_close_matches(key, missing, n=1) for key in theirs if key not in ours}
    unexpected = [
        f"{key} (did you mean {near[0]!r}?)" if near else key for key, near in close.items()
    ]
    reshaped = [
        f"{key} is {tuple(ours[key].shape)} in the network, {tuple(theirs[key].shape)} in the file"
        for key in ours
        if key in theirs and ours[key].shape != theirs[key].shape
    ]
    return {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}


def _difference_lines(lists: Mapping[str, Sequence[str]], most: int | None = None) -> list[str]:
    """``kind (number): keys``, of at most ``most`` keys, for each kind that has some."""
    return [
        f"{kind} ({len(keys)}): {', '.join([*keys[:most], *['…'] * (len(keys[:most]) < len(keys))])}"
        for kind, keys in lists.items()
        if keys
    ]


def _prefix_hint(ours: Collection[str], theirs: Collection[str]) -> list[str]:
    """The prefix to take off, where that makes names fit."""
    for prefix in sorted(_prefixes(theirs), key=len):
        if any(f"{prefix}.{name}" in theirs for name in ours):
            return [f"without the prefix {prefix!r} names would fit: FILE.pt:{prefix}"]
    return []
