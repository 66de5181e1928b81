"""What has changed since the run began that ``--resume`` or ``--load-epoch`` continues.

What may change is said, what makes another training is refused: before the first pass over data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.config.sections import parse_yaml
from weaver_tt.engine.checkpoint import is_within_epoch
from weaver_tt.errors import ConfigError
from weaver_tt.options.flags import spellings
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import RunOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.json_files import json_text

Card = Mapping[str, Any]

# options that do not change what is learnt, and those that are compared by what they stand for: the
# data files, the texts of YAML and network file
NOT_COMPARED = frozenset(
    (
        *("data_config", "data_config_test", "data_train", "data_val", "data_test"),
        "data_test_share",
        *("extra_selection_test", "batch_size_val", "batch_size_test", "remake_weights"),
        *("copy_inputs", "demo", "io_test", "custom_functions"),
        *("network_config", "model_prefix", "load_model_weights", "exclude_model_weights"),
        *("resume", "load_epoch", "overwrite", "save_minutes", "auto_clean", "lr_finder"),
        "max_time",
        *("profile", "regression_mode", "tensorboard", "tensorboard_custom_fn", "histograms"),
        "tracker",
        *("log", "log_every", "progress", "gpus", "backend", "seed"),
    )
)
# options that make another training, or let it validate on rows that it was trained on
NEVER = frozenset(("cross_validation", "train_val_split"))
# options that a resumed run must keep: the moments of the optimizer are of these, and the engine
# refuses others; from the weights of an epoch alone another course may begin
NOT_RESUMED = frozenset(
    (
        *("optimizer", "optimizer_option", "start_lr", "lr_scheduler", "warmup_steps"),
        *("plateau_factor", "plateau_patience", "plateau_threshold"),
        *("clip_gradient", "accumulate_batches", "ema", "use_amp", "amp_dtype"),
        *("steps_per_epoch", "samples_per_epoch", "ensemble_weights"),
    )
)
# options by which rows come into batches: within an epoch its place in the data would be lost
NOT_WITHIN_EPOCH = frozenset(
    (
        *("batch_size", "pool_size", "num_workers", "data_fraction", "file_fraction"),
        "extra_selection_train",
    )
)
# sections of a data YAML that a training does not use
PREDICTION_ONLY = ("observers", "test_time_selection", "monitor_variables", "report")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that has changed.

    ``refused`` says why the run cannot be continued with it, None where it can.
    """

    text: str
    refused: str | None = None


def describe_continuation(before: Card, now: Card, files: RunFiles) -> list[str]:
    """What has changed between the card of a run and that of the command that continues it.

    A line for each change.

    Raises:
        ConfigError: the run cannot be continued with some of them; names these, and the ways out.
    """
    resumed = now["options"]["train"]["load_epoch"] is None
    within_epoch = resumed and is_within_epoch(files)
    changes = [
        *_changed_options(before, now, resumed, within_epoch),
        *_changed_files(before, now, within_epoch),
        *_changed_data_config(before, now),
        *_changed_texts(before, now),
        *_changed_versions(before, now),
    ]
    refused = [change for change in changes if change.refused]
    if refused:
        reasons = [f"{change.text} ({change.refused})" for change in refused]
        raise ConfigError(
            "\n  ".join([f"{files.prefix}: this run cannot be continued with:", *reasons])
            + f"\n{_ways_out(resumed, within_epoch)}"
        )
    return [change.text for change in changes]


def _ways_out(resumed: bool, within_epoch: bool) -> str:
    """What to do instead."""
    ways = ["run as before"]
    if within_epoch:
        ways.append("continue after the latest whole epoch with --load-epoch N")
    elif resumed:
        ways.append("where the optimizer may start afresh, continue with --load-epoch N")
    ways.append("begin another run (-m) with --load-model-weights")
    return "; or ".join(ways)


def _changed_options(
    before: Card, now: Card, resumed: bool, within_epoch: bool
) -> Iterable[Change]:
    """Changes of flags."""
    yield from _changed_ensemble(before, now)
    seed = now["options"]["train"]["seed"]
    if resumed and seed is not None and seed != before["seed"]:
        yield Change(f"--seed {before['seed']} -> {seed}", "the order of the rows follows from it")
    ranks = before.get("ranks", now["ranks"])
    if ranks != now["ranks"]:
        yield Change(
            f"{ranks} ranks -> {now['ranks']} (rows come in another order, and as many to a step "
            "as all ranks have)"
        )
    usual = RunOptions()
    for part in ("data", "network", "train"):
        defaults = getattr(usual, part)
        for item in fields(defaults):
            if item.name in NOT_COMPARED or item.name == "ensemble":
                continue
            # a card of an earlier version lacks flags that have been added since
            old = before["options"][part].get(item.name, getattr(defaults, item.name))
            new = now["options"][part][item.name]
            is_pairs = item.metadata["argparse"].get("nargs") == 2
            if is_pairs:
                # 1e-4 and 0.0001 are the same number
                old = read_options(old)
                new = read_options(new)
            if old == new:
                continue
            reason = None
            if item.name in NEVER:
                reason = "the rows of training and validation would be mixed"
            elif resumed and item.name in NOT_RESUMED:
                reason = "the state of the optimizer is of that"
            elif within_epoch and item.name in NOT_WITHIN_EPOCH:
                reason = "within an epoch, its place in the data would be lost"
            flag = spellings(item)[-1]
            if is_pairs:
                yield Change(f"{flag} {_changed_pairs(old, new)}", reason)
            else:
                yield Change(f"{flag} {_word(old)} -> {_word(new)}", reason)


def _changed_ensemble(before: Card, now: Card) -> Iterable[Change]:
    old = before["options"]["network"]["ensemble"]
    new = now["options"]["network"]["ensemble"]
    if old == new:
        return
    reason = None
    if 1 in (old, new):
        reason = "a network alone is no member of an ensemble"
    yield Change(f"--ensemble {old} -> {new}", reason)


def _changed_pairs(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The KEY VALUE pairs that differ."""
    differing = []
    for key in [*old, *(key for key in new if key not in old)]:
        if key in old and key in new and old[key] == new[key]:
            continue
        values = [str(values[key]) if key in values else "not given" for values in (old, new)]
        differing.append(f"{key} {' -> '.join(values)}")
    return ", ".join(differing)


def _word(value: Any) -> str:
    """The value of a flag in a message."""
    if value is None:
        return "not given"
    return str(value)


def _changed_files(before: Card, now: Card, within_epoch: bool) -> Iterable[Change]:
    """Changes of data files: other ones, in other groups, or of other numbers of entries."""
    files_before = before["data_files"]
    if isinstance(files_before, list):
        # a card of an earlier version: paths alone
        return
    for use in ("training", "validation"):
        old = files_before[use]
        new = now["data_files"][use]
        # the order counts too
        if json_text(old) == json_text(new):
            continue
        reason = None
        if use == "training" and within_epoch:
            reason = "within an epoch, its place in the data would be lost"
        yield Change(f"{use} files: {_different_files(old, new)}", reason)


def _different_files(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """How two lists of files differ: group -> path -> entries."""
    old_entries = _entries_by_name(old)
    new_entries = _entries_by_name(new)
    kinds = {
        "new": [name for name in new_entries if name not in old_entries],
        "no longer there": [name for name in old_entries if name not in new_entries],
        "with other entries": [
            name
            for name, entries in new_entries.items()
            if old_entries.get(name, entries) != entries
        ],
    }
    texts = [f"{len(names)} {kind} ({names[0]})" for kind, names in kinds.items() if names]
    return ", ".join(texts) or "in another order"


def _entries_by_name(files: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """``GROUP:PATH`` -> entries."""
    found = {}
    for group, entries_of_path in files.items():
        for path, entries in entries_of_path.items():
            found[f"{group}:{path}"] = entries
    return found


def _changed_data_config(before: Card, now: Card) -> Iterable[Change]:
    """Changes of the sections of the data YAML that a training uses."""
    # the file of functions may have moved
    functions = now["options"]["data"]["custom_functions"]
    old = _training_sections(before, functions)
    new = _training_sections(now, functions)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield Change(f"data YAML, {key}", "the network was trained on something else")


def _training_sections(card: Card, functions: str | None) -> dict[str, Any]:
    """Section -> content, of those sections of the data YAML that a training uses."""
    text = card["configs"]["data"]
    source = card["options"]["data"]["data_config"]
    config = from_mapping(parse_yaml(text, source), source, text, functions)
    sections = dict(parse_yaml(config.text, config.source))
    used = make_plan(config, "train").computed
    variables = sections.get("new_variables") or {}
    sections["new_variables"] = {name: variables.get(name) for name in sorted(used)}
    for name in PREDICTION_ONLY:
        sections.pop(name, None)
    return sections


def _changed_texts(before: Card, now: Card) -> Iterable[Change]:
    """Changes of the network file and of the file of functions."""
    names = {"network": "network file", "functions": "custom functions"}
    for key, name in names.items():
        if before["configs"].get(key) != now["configs"].get(key):
            yield Change(f"{name} {os.path.basename(_path_of(key, now))}")


def _path_of(key: str, card: Card) -> str:
    options = card["options"]
    if key == "network":
        return str(options["network"]["network_config"])
    return str(options["data"]["custom_functions"])


def _changed_versions(before: Card, now: Card) -> Iterable[Change]:
    """Changes of this package and of the libraries, with which the last digits may change."""
    versions = []
    for card in (before, now):
        versions.append({**card["versions"], "weaver_tt": card["weaver_tt"]})
    old, new = versions
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield Change(f"{name} {old[name]} -> {new[name]}")


def as_saved(card: Card) -> Card:
    """A card as it comes back from its file."""
    return json.loads(json_text(card))
