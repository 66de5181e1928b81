"""Weights from files into networks: all of them, those that fit, and those that are frozen."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from weaver_tt.errors import ConfigError, TrainingError, nearest
from weaver_tt.log import log
from weaver_tt.network.file import describe_value, explain_missing_file
from weaver_tt.network.name_patterns import match_names
from weaver_tt.network.network import Network
from weaver_tt.network.normalisation import SHIFT
from weaver_tt.nn.layers.attention import current_name
from weaver_tt.options.train import NetworkOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.checksums import check_entries

MAX_KEYS = 8  # listed of each kind when weights do not fit
# keys under which a checkpoint keeps the weights among other things
CONTAINERS = ("state_dict", "model_state_dict", "model", "weights")
# FILE.pt:PREFIX; only behind these endings, as a colon may be part of any path
FILE_AND_PREFIX = re.compile(r"(.+\.(?:pt|pth|ckpt)):(.+)", re.DOTALL)
LOAD_FLAG = "--load-model-weights"
WRAPPERS = ("module.", "_orig_mod.")  # what DDP and torch.compile put before every name
# how torch says that a file holds more than tensors, and what
_REFUSED = re.compile(r"GLOBAL (\S+) was not an allowed global")
EXCLUDE_FLAG = "--exclude-model-weights"
FREEZE_FLAG = "--freeze-model-weights"


def load_weights(network: Network, path: str | Path) -> None:
    """Put the weights of ``path`` (``FILE`` or ``FILE:PREFIX``) into ``network``.

    Raises:
        TrainingError: they are missing, damaged, or of another network.
    """
    module = network.unwrapped
    state = read_state_dict(path, module.state_dict())
    set_weights(module, state, f"{path}: weights of another network than {network.source}")


def set_weights(module: nn.Module, state: Mapping[str, Tensor], problem: str) -> None:
    """Copy ``state`` into ``module``.

    Raises:
        TrainingError: keys are missing, unexpected, or of another shape. The message begins with
            ``problem`` and lists them.
    """
    differences = _difference_lines(_key_differences(module.state_dict(), state), MAX_KEYS)
    if differences:
        raise TrainingError("\n  ".join([problem, *differences]))
    without_number = [name for name, value in state.items() if value.isnan().any()]
    if without_number:
        log.warning(
            "weights with NaN, of which the network can only make NaN: %s (%d of %d tensors)",
            ", ".join(without_number[:MAX_KEYS]),
            len(without_number),
            len(state),
        )
    module.load_state_dict(state)


def prepare_network(network: Network, options: NetworkOptions) -> None:
    """Load the weights that a training starts from, and freeze those that are to stay.

    Raises:
        ConfigError: flags that do not fit together, or an expression that matches nothing.
        TrainingError: weights that cannot be loaded.
    """
    if options.load_model_weights:
        load_partial_weights(network, options.load_model_weights, options.exclude_model_weights)
    elif options.exclude_model_weights:
        raise ConfigError(f"{EXCLUDE_FLAG}: there is no --load-model-weights to exclude them from")
    if options.freeze_model_weights:
        freeze_weights(network, options.freeze_model_weights)


def load_partial_weights(network: Network, path: str, exclude: str | None = None) -> None:
    """``--load-model-weights``: put into ``network`` what fits of ``path``; log what does not.

    ``path`` is ``FILE``, ``FILE:PREFIX`` or the prefix of a run, of which the best epoch is taken.
    Where no name is one of the network's, but all of them are with a prefix less or a prefix more,
    such as Lightning's ``model.``, they are taken so. The constant that normalises a ratio is no
    weight to begin with, and does not count. ``exclude`` are regular expressions,
    separated by commas: names that one of them matches from their beginning are left out. So are
    names that the network does not have, and weights of another shape, such as a head for other
    classes.

    Raises:
        ConfigError: ``path`` is the prefix of several networks.
        TrainingError: nothing fits: these are weights of another network.
    """
    own = _without_normalisation(network.unwrapped.state_dict())
    path = find_weights(path)
    state = _with_own_prefix(_without_normalisation(read_state_dict(path, own)), own, path)
    patterns = exclude.split(",") if exclude else []
    left_out = match_names(patterns, state, EXCLUDE_FLAG)
    given = {name: value for name, value in state.items() if name not in left_out}
    fitting = {}
    for name, value in given.items():
        if name in own and value.shape == own[name].shape:
            fitting[name] = value
    differences: dict[str, Sequence[str]] = {f"left out by {EXCLUDE_FLAG}": sorted(left_out)}
    differences |= _key_differences(own, given)
    if not fitting:
        problem = f"{path}: none of its weights fits {network.source}"
        reasons = _difference_lines(differences, MAX_KEYS)
        for way in _ways_to_fit(given, own)[:1]:
            reasons.append(f"{way.fitting} of {len(given)} would fit {way.text}")
        raise TrainingError("\n  ".join([problem, *reasons]))
    network.unwrapped.load_state_dict(fitting, strict=False)
    summary = f"{path}: {len(fitting)} of {len(state)} weights loaded into the network's {len(own)}"
    parts = f"of each part: {', '.join(_count_by_part(fitting, own))}"
    text = "\n  ".join([summary, parts, *_difference_lines(differences)])
    if any(differences.values()):
        # part of the network begins with random weights: that should be seen
        log.warning("%s", text)
    else:
        log.info("%s", text)


def _without_normalisation(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that are trained: a constant is fitted behind them, to them alone."""
    return {name: value for name, value in state.items() if name != SHIFT}


def freeze_weights(network: Network, patterns: str) -> None:
    """``--freeze-model-weights``: keep what ``patterns`` match as it is.

    ``patterns`` are regular expressions, separated by commas. Parameters that one of them matches
    get no gradient. A batch norm whose running mean is matched stays in evaluation mode, so that
    its statistics do not move either.

    Raises:
        ConfigError: an expression matches nothing.
    """
    module = network.unwrapped
    frozen = match_names(patterns.split(","), module.state_dict(), FREEZE_FLAG)
    for name, parameter in module.named_parameters():
        if name in frozen:
            # what the network file itself has frozen stays so
            parameter.requires_grad_(False)
    norms = {}
    for name, part in module.named_modules():
        running_mean = f"{name}.running_mean".lstrip(".")  # the network itself has no name
        if running_mean in frozen:
            norms[name] = part
    network.frozen_norms += norms.values()
    log.info(
        "frozen: %s; in evaluation mode: %s",
        ", ".join(sorted(frozen)),
        ", ".join(norms) or "nothing",
    )


def read_state_dict(path: str | Path, own: Collection[str] = ()) -> Mapping[str, Tensor]:
    """Names and tensors of ``FILE`` or, of ``FILE.pt:PREFIX``, those under ``PREFIX.`` without it.

    The file holds a bare state_dict, or a checkpoint with one under "state_dict", "model" or
    "weights". What DDP and ``torch.compile`` put before the names is removed, unless the network's
    ``own`` names begin with it. Tensors are on the CPU; nothing in the file is run.

    Raises:
        TrainingError: there is no such file, or it holds something else.
    """
    parts = FILE_AND_PREFIX.fullmatch(str(path))
    if parts is None:
        state = _strip_wrappers(_read_file(Path(path)), own)
        return _with_current_names(state, own)
    file, prefix = parts.groups()
    state = _strip_wrappers(_read_file(Path(file)), own)
    below = _below(prefix, state)
    if not below:
        raise TrainingError(
            f"{file}: no weights under {prefix!r}; {nearest(prefix, _prefixes(state))}"
        )
    return _with_current_names(below, own)


def find_weights(path: str) -> str:
    """The file that ``path`` names: the best epoch, where it is the prefix of a run.

    Raises:
        ConfigError: there are several networks under the prefix; names them.
    """
    if FILE_AND_PREFIX.fullmatch(path) or Path(path).is_file():
        return path
    files = RunFiles(path)
    if files.best.is_file():
        return str(files.best)
    several = [*files.members(None).values(), *files.folds().values()]
    if several:
        shown = [network.prefix for network in several[:MAX_KEYS]]
        raise ConfigError(
            f"{LOAD_FLAG} {path}: there are {len(several)} networks; say which: {', '.join(shown)}"
        )
    return path


def file_of_weights(path: str) -> str:
    """The file that ``path`` names as :func:`find_weights`, without the names inside it."""
    path = find_weights(path)
    parts = FILE_AND_PREFIX.fullmatch(path)
    return parts[1] if parts else path


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under ``prefix``, without it."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in state.items()
        if name.startswith(f"{prefix}.")
    }


def _with_own_prefix(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], path: str
) -> Mapping[str, Tensor]:
    """The weights that become the network's ``own`` with one prefix less, or one more.

    As they are, where some fit as they are; so, too, where only a few would fit: by accident.

    Raises:
        TrainingError: they fit in several ways.
    """
    if any(name in own for name in state):
        return state
    ways = _ways_to_fit(state, own)
    if not ways or 2 * ways[0].fitting < min(len(state), len(own)):
        return state
    best = [way for way in ways if way.fitting == ways[0].fitting]
    if len(best) > 1:
        shown = " or ".join(way.text for way in best[:MAX_KEYS])
        raise TrainingError(
            f"{path}: {best[0].fitting} of its weights fit {shown}; FILE.pt:PREFIX says which are "
            "taken"
        )
    [way] = best
    log.info("%s: %d of %d names fit %s", path, way.fitting, len(state), way.text)
    return way.state


class _Way(NamedTuple):
    """Weights with other names, and how many of them a network has."""

    fitting: int
    text: str  # what was done to the names
    state: Mapping[str, Tensor]


def _ways_to_fit(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[_Way]:
    """How names become the network's with a prefix less or more, those first with which most do."""
    ways = []
    # the shortest first: as much as possible should fit
    for prefix in sorted(_prefixes(state), key=_shortest_first):
        below = _with_current_names(_below(prefix, state), own)
        ways.append(_Way(_count_fitting(below, own), f"without the prefix {prefix!r}", below))
    for prefix in sorted(_prefixes(own), key=_shortest_first):
        above = {f"{prefix}.{name}": value for name, value in state.items()}
        named = _with_current_names(above, own)
        ways.append(_Way(_count_fitting(named, own), f"with the prefix {prefix!r}", named))
    ways = [way for way in ways if way.fitting]
    return sorted(ways, key=lambda way: -way.fitting)


def _shortest_first(prefix: str) -> tuple[int, str]:
    return len(prefix), prefix


def _count_fitting(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> int:
    fits = [name in own and own[name].shape == value.shape for name, value in state.items()]
    return sum(fits)


def _count_by_part(fitting: Collection[str], own: Collection[str]) -> list[str]:
    """``body 7 of 7`` for each part of the network, as deep as there are several of them."""
    depth = 1
    deepest = max(name.count(".") for name in own)
    while depth < deepest and len({_part(name, depth) for name in own}) == 1:
        depth += 1
    totals = Counter(_part(name, depth) for name in own)
    loaded = Counter(_part(name, depth) for name in fitting)
    return [f"{part} {loaded[part]} of {total}" for part, total in totals.items()]


def _part(name: str, depth: int) -> str:
    """The first ``depth`` names of those that lead to a weight, without its own."""
    parents = name.split(".")[:-1]
    return ".".join(parents[:depth]) or name


def _read_file(path: Path) -> Mapping[str, Tensor]:
    """The state_dict in a file."""
    if not path.is_file():
        raise TrainingError(f"weights {path}: {explain_missing_file(path, '*.pt')}")
    refusal: Exception | None = None
    try:
        check_entries(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever the bytes lead to
        refusal = error
        state = None
        # never where the file is damaged
        if _REFUSED.search(str(error)):
            state = _read_beside_others(path)
    if refusal is not None and not state:
        raise TrainingError(f"{path}: {_explain_unreadable(refusal)}") from refusal
    if isinstance(state, Mapping):
        if "param_groups" in state:
            weights_file = str(path).replace("_optimizer", "_state")
            raise TrainingError(
                f"{path}: the state of an optimizer; the weights are in {weights_file} as a rule"
            )
        state = _weights_in(state)
    if refusal is not None and not (state and _is_state_dict(state)):
        raise TrainingError(f"{path}: {_explain_unreadable(refusal)}") from refusal
    if not _is_state_dict(state):
        raise TrainingError(
            f"{path}: expected a state_dict, names and tensors, not {describe_value(state)}"
        )
    return state


def _weights_in(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The weights of a checkpoint that keeps them among other things; else all that there is.

    Those of several networks that were trained together are under ``member-0``, ``member-1``.
    """
    for key in CONTAINERS:
        if isinstance(checkpoint.get(key), Mapping):
            return checkpoint[key]
    together = {}
    members = checkpoint.get("members")
    for number, member in enumerate(members if isinstance(members, list) else []):
        if isinstance(member, Mapping) and isinstance(member.get("weights"), Mapping):
            for name, value in member["weights"].items():
                together[f"member-{number}.{name}"] = value
    return together or checkpoint


class _Nothing:
    """Stands for any class or function of which a checkpoint holds more than tensors.

    Nothing of it is imported or called: an empty mapping takes the place of its objects.
    """

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """An empty mapping, which torch's reader fills with whatever it is given."""
        return OrderedDict()


def _read_beside_others(path: Path) -> Any:
    """The content of a checkpoint that holds more than tensors; None where it cannot be told.

    Lightning, for one, keeps settings as objects beside the weights. They are left aside: torch's
    restricted reader is given :class:`_Nothing` for each name that it does not know.
    """
    # of torch 2.6
    list_others = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if list_others is None:
        return None
    try:
        others = list_others(path)
        with torch.serialization.safe_globals([(_Nothing, name) for name in others]):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # whoever asks has an error already, which says more
        return None
    log.info("%s: left aside, as they are no weights: %s", path, ", ".join(sorted(others)))
    return state


def _is_state_dict(value: object) -> bool:
    """Whether ``value`` is names and tensors, and nothing else."""
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(entry, Tensor) for entry in value.values())


def _explain_unreadable(error: Exception) -> str:
    """Why a file was refused, and how to write one that is not."""
    refused = _REFUSED.search(str(error))
    if refused is None:
        reasons = str(error).splitlines() or [type(error).__name__]
        return f"no readable weights (damaged or cut short): {reasons[0]}"
    return (
        f"no readable weights: holding more than tensors ({refused[1]}), it could run any code "
        "when loaded. Where a whole module was saved, load it where it was written and save the "
        "weights alone: torch.save(model.state_dict(), PATH)"
    )


def _strip_wrappers(state: Mapping[str, Tensor], own: Collection[str]) -> Mapping[str, Tensor]:
    """The names without what wrappers put before each of them, several times perhaps.

    A network may have a part of that name itself; then its names begin so, and nothing is removed.
    """
    if not state or any(name in own for name in state):
        return state
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            bare = {name.removeprefix(wrapper): value for name, value in state.items()}
            return _strip_wrappers(bare, own)
    return state


def _with_current_names(state: Mapping[str, Tensor], own: Collection[str]) -> Mapping[str, Tensor]:
    """The names as the network has them, where published weights have an older spelling.

    Such is ``in_proj_weight`` of attention, which is ``in_proj.weight`` here.
    """
    renamed = {}
    for name, value in state.items():
        current = current_name(name)
        renamed[current if current in own else name] = value
    return renamed


def _prefixes(names: Iterable[str]) -> set[str]:
    """All that stands before a dot in some name: ``a`` and ``a.b`` of ``a.b.weight``."""
    prefixes = set()
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts)):
            prefixes.add(".".join(parts[:length]))
    return prefixes


def _key_differences(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> dict[str, Sequence[str]]:
    """Kind of difference -> the keys that differ so; all lists are empty if ``theirs`` fit."""
    missing = [key for key in ours if key not in theirs]
    unexpected = []
    for key in theirs:
        if key in ours:
            continue
        close = get_close_matches(key, missing, n=1)
        # often a part was renamed
        unexpected.append(f"{key} (did you mean {close[0]!r}?)" if close else key)
    reshaped = []
    for key, value in ours.items():
        if key not in theirs or value.shape == theirs[key].shape:
            continue
        own_shape = tuple(value.shape)
        their_shape = tuple(theirs[key].shape)
        reshaped.append(f"{key} is {own_shape} in the network, {their_shape} in the file")
    return {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}


def _difference_lines(
    key_differences: Mapping[str, Sequence[str]], most: int | None = None
) -> list[str]:
    """``kind (number): keys``, of at most ``most`` keys, for each kind that has some."""
    lines = []
    for kind, keys in key_differences.items():
        if not keys:
            continue
        shown = list(keys[:most])
        if len(shown) < len(keys):
            shown.append("…")
        lines.append(f"{kind} ({len(keys)}): {', '.join(shown)}")
    return lines
